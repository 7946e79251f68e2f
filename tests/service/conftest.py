import pytest

from tests.service.heads import Head


@pytest.fixture
def heads(tmp_path):
    """Starts heads in one folder; ends all that is left of them."""
    started = []

    def start(*options: str, **how) -> Head:
        started.append(Head(tmp_path, *options, **how))
        return started[-1]

    yield start
    for head in started:
        head.end()
    for head in started:
        assert "Traceback" not in head.said() + head.chatter(), head.said() + head.chatter()


@pytest.fixture
def head(heads):
    return heads()
