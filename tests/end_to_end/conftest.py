import json

import pytest


@pytest.fixture
def service(real_service):
    return real_service


@pytest.fixture
def payload_file(tmp_path):
    """payload_file(**fields) -> path of a payload, small unless told otherwise."""

    def write(**fields):
        path = tmp_path / "payload.json"
        small = {"num_frames": 8, "frame_width": 96, "frame_height": 64, "maxiter": 300, "fps": 10}
        path.write_text(json.dumps({**small, **fields}))
        return str(path)

    return write
