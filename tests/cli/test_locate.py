import json

import pytest

from mandel.cli.locate import main


def test_prints_what_to_ask_for(capsys):
    assert main(["--point=-1.75,0", "--delta", "0.05"]) == 0
    out = capsys.readouterr().out
    assert "period 3" in out and "--point=-1.754877666246692760049" in out
    assert "minibrot" in out and "Julia" in out


def test_it_says_when_the_minibrot_is_much_deeper_than_the_view(capsys):
    for delta, is_deeper in (("1e-15", True), ("1", False)):
        assert main(["--point=-1.7490812690237,0", "--delta", delta]) == 0
        assert ("specks in your view, --delta 1e-15" in capsys.readouterr().out) is is_deeper


def test_json_holds_a_point_that_payloads_take(capsys):
    assert main(["--json", "--point=-1.94079,0.00001", "--delta", "1e-3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["period"] == 4 and found["point"].startswith("-1.9407998065294847522")
    assert set(found) == {"point", "period", "size", "turn_degrees", "minibrot_delta", "julia_delta"}


@pytest.mark.parametrize(
    "argv, code, exit_code",
    [
        (["--point=3,3", "--delta", "1e-3"], "NO_NUCLEUS", 1),
        (["--point=3,x", "--delta", "1e-3"], "BAD_NUMBER", 2),
        (["--point=0,0", "--delta", "0"], "OUT_OF_RANGE", 2),
        (["--point=0,0", "--delta", "1", "--max-period", "0"], "OUT_OF_RANGE", 2),
    ],
)
def test_errors_are_one_line(capsys, argv, code, exit_code):
    assert main(argv) == exit_code
    err = capsys.readouterr().err
    assert err.startswith(code) and err.count("\n") == 1
