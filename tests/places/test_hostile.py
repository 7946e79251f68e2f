"""Files that are cut off, damaged, huge or meant to harm end as one sentence, and soon."""

import gc
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mandel.client import place_file
from mandel.errors import RequestError
from mandel.places import numbers, pasted
from mandel.places.place import Found
from mandel.places.read import TABLE, found_in
from mandel.places.text import decoded, joined
from tests.places import samples


def read(text, name, entry=None):
    """What is found, or None; any other error than one for people fails the test."""
    try:
        found = found_in(text, name, entry)
    except RequestError as error:
        assert error.message and len(error.message) < 1000
        return None
    if found is not None and found.place is not None:
        assert numbers.exact(found.place.delta(1920, 1080)) is not None
        assert all(numbers.exact(number) is not None for number in (found.place.re, found.place.im))
    if found is not None and found.palette is not None:
        positions = [at for at, _ in found.palette.colours]
        assert positions[0] == 0 and positions == sorted(set(positions)) and positions[-1] < 1
        assert all(0 <= channel <= 255 for _, colour in found.palette.colours for channel in colour)
    return found


@pytest.mark.parametrize("name", samples.ALL)
def test_files_that_are_cut_off(name):
    text = samples.ALL[name]
    for length in range(0, len(text), max(1, len(text) // 200)):
        read(text[:length], name)
        read(text[length:], name)


@pytest.mark.parametrize("name", samples.ALL)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_files(name, data):
    text = samples.ALL[name]
    at = data.draw(st.integers(0, len(text)))
    piece = data.draw(
        st.one_of(
            st.text(max_size=8),
            st.sampled_from(
                ["-", "e", "/", "{", "}", '"', "(", "nan", "inf", "1e999999999999", "=", "\n", "\0", "<2>"]
            ),
        )
    )
    read(text[:at] + piece + text[at + data.draw(st.integers(0, 9)) :], name)


@pytest.mark.parametrize(
    "number", ["nan", "inf", "-1", "0", "1e999999999999999", "1e-999999999", "9" * 300_000, "x", ""]
)
@pytest.mark.parametrize(
    "template",
    [
        ("a.kfr", "Re: 0\nIm: 0\nZoom: {}\n"),
        ("a.f3.toml", 'program = "fraktaler-3"\nlocation.zoom = "{}"\n'),
        ("a.toml", 'real = "0"\nimag = "0"\nzoom = "{}"\n'),
        ("a.ini", "[location]\nzoom = {}\n"),
        ("a.xpf", "(view 0 0 {0} {0})"),
        ("a.par", "A {{ center-mag=0/0/{} }}"),
        ("a.par", "A {{ corners={0}/{0}/{0}/{0} }}"),
        ("a.upr", "A {{ fractal: mapping: magn={} formula: filename=Standard.ufm entry=Mandelbrot }}"),
    ],
    ids=str,
)
def test_scales_that_are_none(template, number):
    name, text = template
    assert read(text.format(number), name) is None


BLOWN_UP = {
    "blank lines": "\n",
    "blanks": " ",
    "digits": "7",
    "points": "a.",
    "digits and points": "1.",
    "quotes": '"',
    "open braces": "{",
    "open brackets": "(",
    "commands": "(a ",
    "square brackets": "[",
    "colons": "a:",
    "equals": "a=",
    "entries": "A{}",
    "backslashes": "\\\n",
    "comments": ";\n",
    "labels": "x ",
    "ten": "x10 ",
}
STARTS = {
    "": "",
    "a.kfr": "Re: ",
    "a.f3.toml": 'program = "fraktaler-3"\n',
    "nested.f3.toml": 'program = "fraktaler-3"\nx = {',
    "list.toml": "palette = [",
    "string.toml": 'real = "',
    "a.ini": "[location]\nreal = ",
    "a.xpf": "(view ",
    "a.par": "A { type=mandel colors=",
    "names.par": "A { x=1\n",
    "a.upr": "A {\ngradient:\n ",
    "title.upr": 'A {\ngradient: title="',
    "a.ggr": "GIMP Gradient\nName: x\n9\n",
    "a.gpl": "GIMP Palette\n",
    "a.map": "0 0 0\n",
}


def seconds(work, text):
    """CPU time that ``work`` takes on a text, without collections, which look at what all tests have left."""
    gc.disable()
    try:
        begun = time.process_time()
        work(text)
        return time.process_time() - begun
    finally:
        gc.enable()


def grows_evenly(work, start, piece, end=""):
    """Whether four times the file takes about four times the work, not sixteen times."""
    size = 1 << 15
    large = seconds(work, start + piece * (size // len(piece)) + end)
    # What takes so little is too short to be compared.
    return large < 0.1 or large < 8 * seconds(work, start + piece * (size // 4 // len(piece)) + end)


@pytest.mark.parametrize("piece", BLOWN_UP)
def test_the_work_does_not_grow_with_the_square_of_a_file(piece):
    for name, start in STARTS.items():
        assert grows_evenly(lambda text, name=name: read(text, name or "a"), start, BLOWN_UP[piece], "}\n"), (
            name
        )


@pytest.mark.parametrize("piece", BLOWN_UP)
def test_the_work_does_not_grow_with_the_square_of_what_is_pasted(piece):
    def work(text):
        try:
            pasted.point(text)
        except RequestError:
            pass  # most are refused
        assert pasted.number(text)
        assert isinstance(joined('{"' + text), str)

    for start in ("", "-0.75,", "x", "(1e", "0.1 + 0.2i"):
        assert grows_evenly(work, start, BLOWN_UP[piece]), start


def test_work_that_grows_with_the_square_would_be_seen():
    slow = re.compile(r"\w*:|\w[\w.]*=")  # looks at a long word from each of its characters
    assert not grows_evenly(slow.findall, "", BLOWN_UP["points"])


def test_nothing_is_followed_to_another_file_and_nothing_runs(tmp_path):
    (tmp_path / "secret.map").write_text(samples.MAP)
    found = found_in(f"A {{ type=mandel colors=@{tmp_path}/secret.map }}", "a.par")
    assert found.palette is None
    with pytest.raises(RequestError):
        found_in("[location]\nreal = __import__('os').getpid()\n", "a.ini")


@pytest.mark.parametrize("name", samples.ALL)
def test_a_file_cannot_control_the_terminal(name, tmp_path):
    """Escape sequences wherever a file has words: what is said, as error or not, has none."""
    path = tmp_path / name
    words = re.findall(r"\w+", samples.ALL[name])[:60]
    for word in sorted(set(words)):
        path.write_text(samples.ALL[name].replace(word, f"\x1b[31m{word}\x9b2J", 1))
        try:
            _, found = place_file.content(str(path))
            _, said = place_file.zoom_fields(found, "a", {}) if found is not None else ({}, [])
        except RequestError as error:
            said = [error.message]
        assert all(line.isprintable() for line in said), said


def test_what_is_said_has_an_end():
    text = samples.RUST_FRACTAL + "".join(f"key_{i} = 1\n" for i in range(5000))
    _, said = place_file.zoom_fields(found_in(text, "a.toml"), "a", {})
    assert "and 4989 more" in said[1] and max(map(len, said)) < 1100


def test_all_formats_give_what_they_found():
    for kind in TABLE:
        assert any(
            isinstance(read(text, "-"), Found)
            for text in samples.ALL.values()
            if kind.looks_like.search(text)
        )


@given(st.binary(max_size=300))
def test_bytes_give_text_or_a_sentence(data):
    try:
        assert isinstance(decoded(data), str)
    except RequestError as error:
        assert error.message
