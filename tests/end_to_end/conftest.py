import json

import pytest

from tests.support.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The real service with Ray on this machine; ended, and nothing of it left, after the module."""
    folder = tmp_path_factory.mktemp("service")
    running = Service(folder / "DB", "--address", "local")
    yield running
    code = running.stop()
    assert "Traceback" not in running.output(), running.output()
    assert code == 0, running.output()


@pytest.fixture
def payload_file(tmp_path):
    """payload_file(**fields) -> path of a payload, small unless told otherwise."""

    def write(**fields):
        path = tmp_path / "payload.json"
        small = {"num_frames": 8, "frame_width": 96, "frame_height": 64, "maxiter": 300, "fps": 10}
        path.write_text(json.dumps({**small, **fields}))
        return str(path)

    return write
