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


def test_it_says_when_the_view_lies_inside_what_was_found(capsys):
    for delta, is_inside in (("1e-400", True), ("1", False)):
        assert main(["--point=0,0", "--delta", delta]) == 0
        out = capsys.readouterr().out
        assert (
            "--delta 1e-400, lies deep inside the whole set: a zoom to this point ends in black" in out
        ) is is_inside
        assert "turned by 0.0 degrees" in out and "specks" not in out


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--point=1,1", "--delta=1e-400"], "outside the set (it escapes after 2 iterations)"),
        (["--point=-0.1,0", "--delta=1e-400"], "seems to lie inside the set"),
    ],
)
def test_where_nothing_is_found_it_says_what_to_do(capsys, argv, words):
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert words in err and "as with --delta 1e-397." in err and err.count("\n") == 1


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
