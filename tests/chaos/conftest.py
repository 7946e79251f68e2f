import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.chaos import PATIENCE, Faults, amount
from tests.support.cluster import Cluster
from tests.support.ffmpeg import Encoders
from tests.support.service import Service


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Brings faults upon the encoders on all nodes of the cluster."""
    return Encoders(tmp_path_factory.mktemp("encoders"))


def pytest_collection_modifyitems(items):
    """These wait up to PATIENCE for each of many things; the long forms take hours."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(amount(2 * PATIENCE, 8 * 3600)))


_running = []  # what is ended after the last test of this folder


@pytest.fixture(scope="session")
def own_cluster(encoders):
    """The one cluster of all tests of this folder, brought up by the scripts."""
    cluster = Cluster(IMAGEIO_FFMPEG_EXE=str(encoders.executable))
    _running.append(cluster.end)
    deadline = time.monotonic() + PATIENCE
    while (started := cluster.head()).returncode:  # Ray itself gives up on a machine at full load
        assert time.monotonic() < deadline, started.stderr + started.stdout
        processes.end_all(cluster.mark)
    cluster.started = started
    return cluster


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem):
    """A session's fixtures would outlive all the folders that follow."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        pytest_sessionfinish()


def pytest_sessionfinish():
    """Also after an interrupt."""
    while _running:
        _running.pop()()


@pytest.fixture
def cluster(own_cluster, encoders):
    """A head and two more nodes of one CPU each, without faults."""
    whole(own_cluster)
    yield own_cluster
    own_cluster.faults.unlink(missing_ok=True)
    encoders.withdraw()


def whole(cluster: Cluster) -> None:
    """Brings a cluster back to three nodes, those that it lacks at the same time."""
    deadline = time.monotonic() + PATIENCE
    while missing := 2 - len(cluster.raylets()):
        with ThreadPoolExecutor(missing) as pool:
            workers = list(pool.map(lambda _: cluster.worker(), range(missing)))
        for worker in workers:  # Ray itself gives up on a machine at full load
            assert worker.returncode == 0 or time.monotonic() < deadline, worker.stderr + worker.stdout


@pytest.fixture
def faults(cluster):
    """Brings faults upon the tasks on all nodes of the cluster."""
    return Faults(cluster.faults)


@pytest.fixture(scope="session")
def own_service(own_cluster, tmp_path_factory):
    running = own_cluster.service(tmp_path_factory.mktemp("service") / "DB")
    _running.append(running.kill)
    return running


@pytest.fixture
def service(own_service):
    """The one service on the cluster."""
    yield own_service
    assert "Traceback" not in own_service.output(), own_service.output()


@pytest.fixture
def embedded(tmp_path):
    """start(db, *options) -> a service that starts Ray itself; all are ended after the test."""
    started = []

    def start(*options: str, **environment: str) -> Service:
        started.append(
            Service(
                tmp_path / "DB",
                "--address",
                "local",
                *options,
                environment={"MANDEL_TASK_FAULTS": str(tmp_path / "faults"), **environment},
            )
        )
        return started[-1]

    yield start
    for running in started:
        processes.end_all(running.mark)
        running.process.wait()
        assert "Traceback" not in running.output(), running.output()
