"""``python -m mandel``: the commands and how they introduce themselves."""

import pytest

from mandel import __main__ as commands


def test_an_unknown_command_is_named(capsys):
    assert commands.main(["frobnicate"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("no command 'frobnicate'\n") and "zoom" in err


def test_help_lists_the_commands(capsys):
    assert commands.main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and all(name in out for name in commands.COMMANDS)
    assert commands.main([]) == 2


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_help_is_plain_text(name, capsys):
    with pytest.raises(SystemExit) as caught:
        commands.main([name, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "``" not in out and "default ;" not in out
    assert ("--tls-ca " in out) == (name == "client")
