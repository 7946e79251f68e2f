import time

import pytest

from tests.support import processes
from tests.support.chaos import PATIENCE, Faults
from tests.support.cluster import Cluster
from tests.support.ffmpeg import Encoders
from tests.support.service import Service


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Brings faults upon the encoders on all nodes of the cluster."""
    return Encoders(tmp_path_factory.mktemp("encoders"))


@pytest.fixture(scope="session")
def own_cluster(encoders):
    cluster = Cluster(IMAGEIO_FFMPEG_EXE=str(encoders.executable))
    try:
        head = cluster.head()
        assert head.returncode == 0, head.stderr + head.stdout
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def cluster(own_cluster, encoders):
    """A head and two more nodes of one CPU each, without faults."""
    whole(own_cluster)
    yield own_cluster
    own_cluster.faults.unlink(missing_ok=True)
    encoders.withdraw()


def whole(cluster: Cluster) -> None:
    """Brings a cluster back to three nodes."""
    deadline = time.monotonic() + PATIENCE
    while len(cluster.raylets()) < 2:
        worker = cluster.worker()  # Ray itself gives up on a machine at full load
        assert worker.returncode == 0 or time.monotonic() < deadline, worker.stderr + worker.stdout


@pytest.fixture
def faults(cluster):
    """Brings faults upon the tasks on all nodes of the cluster."""
    return Faults(cluster.faults)


@pytest.fixture(scope="module")
def service(own_cluster, tmp_path_factory):
    """A service on the cluster, for all tests of a module; its processes are ended then."""
    running = own_cluster.service(tmp_path_factory.mktemp("service") / "DB")
    yield running
    running.kill()
    assert "Traceback" not in running.output(), running.output()


@pytest.fixture
def embedded(tmp_path):
    """start(db, *options) -> a service that starts Ray itself; all are ended after the test."""
    started = []

    def start(*options: str, **environment: str) -> Service:
        started.append(Service(tmp_path / "DB", "--address", "local", *options,
                               environment={"MANDEL_TASK_FAULTS": str(tmp_path / "faults"), **environment}))
        return started[-1]

    yield start
    for running in started:
        processes.end_all(running.mark)
        running.process.wait()
        assert "Traceback" not in running.output(), running.output()
