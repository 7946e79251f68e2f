"""``python -m mandel``: the commands and how they introduce themselves."""

import pytest

from mandel import __main__ as commands


def test_an_unknown_command_is_named(capsys):
    assert commands.main(["frobnicate"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("no command 'frobnicate'\n") and "zoom" in err


def test_the_nearest_command_is_named(capsys):
    assert commands.main(["zom"]) == 2
    assert capsys.readouterr().err.startswith("no command 'zom'; did you mean zoom?\n")


@pytest.mark.parametrize(
    "argv, words",
    [
        ("zoom --lok copper", "there is no option --lok; did you mean --look?"),
        ("zoom a.json --width=100", "there is no option --width; did you mean --frame-width?"),
        ("client a.json --palete ember", "there is no option --palete; did you mean --palette?"),
        ("head --prot 3", "there is no option --prot; did you mean --port?"),
        ("still --wdith 3", "there is no option --wdith; did you mean --width?"),
        ("locate --pont=1,2 --delta 3", "there is no option --pont; did you mean --point?"),
        ("tune --devcie cpu", "there is no option --devcie; did you mean --device?"),
        ("doctor --gpu", "there is no option --gpu; did you mean --gpus?"),
        ("client --xyzzy", "there is no option --xyzzy (--help"),
    ],
)
def test_the_nearest_option_is_named(argv, words, capsys):
    with pytest.raises(SystemExit) as caught:
        commands.main(argv.split())
    assert caught.value.code == 2 and words in capsys.readouterr().err


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
