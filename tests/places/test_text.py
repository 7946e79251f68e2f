"""Files in any encoding, with any line ends, and those that are no text."""

import codecs
import io
import json
import sys

import pytest

from mandel.client import place_file
from mandel.errors import RequestError
from mandel.payload.decimal_text import Number
from mandel.places import text
from mandel.places.read import found_in
from tests.places import samples

# What Notepad, PowerShell and others write: encoding, byte order mark.
ENCODINGS = {
    "utf-8": ("utf-8", b""),
    "utf-8 with mark": ("utf-8", codecs.BOM_UTF8),
    "utf-16-le with mark": ("utf-16-le", codecs.BOM_UTF16_LE),
    "utf-16-be with mark": ("utf-16-be", codecs.BOM_UTF16_BE),
    "utf-16-le": ("utf-16-le", b""),
    "utf-16-be": ("utf-16-be", b""),
    "utf-32-le with mark": ("utf-32-le", codecs.BOM_UTF32_LE),
    "utf-32-be with mark": ("utf-32-be", codecs.BOM_UTF32_BE),
    "utf-32-le": ("utf-32-le", b""),
    "utf-32-be": ("utf-32-be", b""),
}
PAYLOAD = '{\n  "point": "-0.75,0.1",\n  "maxiter": 100\n}\n'


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CR LF", "CR"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_sample_reads_the_same_in_every_encoding(encoding, newline, tmp_path):
    name, mark = ENCODINGS[encoding]
    for file, sample in samples.ALL.items():
        plain = sample.replace("\r\n", "\n")
        path = tmp_path / file
        path.write_bytes(mark + plain.replace("\n", newline).encode(name))
        assert place_file.content(str(path)) == ({}, found_in(plain, file))
    path = tmp_path / "a.json"
    path.write_bytes(mark + PAYLOAD.replace("\n", newline).encode(name))
    assert place_file.content(str(path)) == ({"point": "-0.75,0.1", "maxiter": Number("100")}, None)


def test_old_comments_in_latin_1_are_read(tmp_path):
    path = tmp_path / "a.par"
    path.write_bytes(b"A { ; \xa9 1995\n type=mandel center-mag=0/0/1 }")
    assert place_file.content(str(path))[1].place.maxiter == 150


@pytest.mark.parametrize(
    "data, says",
    [
        (b"\x89PNG\r\n\x1a\n", "carries no payload"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b"\xffIMPV\r\n\0" + bytes(40), "Imagina"),
        (codecs.BOM_UTF16_LE + b"a\0b", "not UTF-16"),
        (bytes(1000), "zero bytes"),
        (b"", "files that are read: JSON, GIMP gradient"),
        (b"hello\n", "files that are read"),
        (b"[1]", "one JSON object"),
        (b'{"point": 1, "point": 2}', "given twice"),
        (b"{", "not JSON"),
    ],
)
def test_what_is_no_place_is_refused_with_its_name(data, says, tmp_path):
    path = tmp_path / "odd"
    path.write_bytes(data)
    with pytest.raises(RequestError) as raised:
        place_file.content(str(path))
    assert says in raised.value.message and str(path) in raised.value.message


def test_missing_and_endless_files(tmp_path):
    with pytest.raises(RequestError, match="No such file"):
        place_file.content(str(tmp_path / "none.kfr"))
    with pytest.raises(RequestError, match="Is a directory"):
        place_file.content(str(tmp_path))
    with pytest.raises(RequestError, match="more than 4 MiB"):
        place_file.content("/dev/zero")
    path = tmp_path / "large"
    path.write_bytes(b" " * (text.MOST_BYTES + 1))
    with pytest.raises(RequestError, match="more than 4 MiB"):
        place_file.content(str(path))


def test_standard_input_is_known_by_its_content(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(samples.KFR.encode())))
    assert place_file.content("-")[1].program == "Kalles Fraktaler"


def test_an_entry_is_named_behind_the_file(tmp_path):
    path = tmp_path / "a.par"
    path.write_text(samples.PAR)
    assert place_file.content(f"{path}#Seahorse")[1].place.maxiter == 500
    with pytest.raises(RequestError, match="no entry 'x'"):
        place_file.content(f"{path}#x")
    odd = tmp_path / "a#b.json"
    odd.write_text(json.dumps({"fps": 30}))
    assert place_file.content(str(odd)) == ({"fps": Number("30")}, None)


@pytest.mark.parametrize("name", samples.ALL)
def test_a_file_may_begin_with_its_first_word(name, tmp_path):
    """Comments and headings that programs write are often taken away."""
    lines = samples.ALL[name].replace("\r\n", "\n").split("\n")
    while lines[0].startswith(("#", ";", "(initstate)")):
        del lines[0]
    path = tmp_path / name
    path.write_text("\n".join(lines))
    fields, found = place_file.content(str(path))
    whole = found_in(samples.ALL[name], name)
    assert fields == {} and (found.place, found.palette) == (whole.place, whole.palette)
