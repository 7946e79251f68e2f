"""The driver's orders, without a cluster."""

from types import SimpleNamespace

from mandel.driver.jobs.scheduler import Scheduler
from mandel.driver.main import _obey
from tests.support.local_executor import LocalExecutor


def test_a_job_that_cannot_be_read_fails_alone(tmp_path):
    said = []
    channel, executor = SimpleNamespace(send=said.append), LocalExecutor()
    scheduler = Scheduler(executor, channel.send)
    order = {"do": "render", "job": "j", "tmp": str(tmp_path), "segments": {}}
    for payload in ({"num_frames": "many"}, {"palette": "gone"}, None):
        assert _obey(order | {"payload": payload}, channel, scheduler, lambda: None)
        event = said.pop()
        assert (event["event"], event["job"], event["code"]) == ("failed", "j", "BAD_JOB")
    assert not scheduler.busy and not said
    assert not _obey({"do": "stop"}, channel, scheduler, lambda: None)
    scheduler.close()
    executor.close()
