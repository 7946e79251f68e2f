"""What the strict reader refuses, and that it loses no digit."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mandel.errors import RequestError
from mandel.payload.decimal_text import Number
from mandel.protocol import strict_json

BAD = [
    (b'{"a": 1, "a": 1}', "DUPLICATE_KEY"),
    (b'[{"a": 1, "\\u0061": 1}]', "DUPLICATE_KEY"),
    (b"\xef\xbb\xbf{}", "BAD_UTF8"),
    ("{}".encode("utf-16"), "BAD_UTF8"),
    ("{}".encode("utf-32-be"), "BAD_UTF8"),
    (b'"\xff"', "BAD_UTF8"),
    (b'"\xed\xa0\x80"', "BAD_UTF8"),
    (b'"\\ud800"', "BAD_JSON"),
    (b'{"\\udfff": 0}', "BAD_JSON"),
    (b'["\\u0000"]', "BAD_JSON"),
    (b'"\t"', "BAD_JSON"),
    (b"", "BAD_JSON"),
    (b"{", "BAD_JSON"),
    (b"{} {}", "BAD_JSON"),
    (b"[1,]", "BAD_JSON"),
    (b"{a: 1}", "BAD_JSON"),
    (b"01", "BAD_JSON"),
    (b"1.", "BAD_JSON"),
    (b".5", "BAD_JSON"),
    (b"[1}", "BAD_JSON"),
    (b"nul", "BAD_JSON"),
    (b"[" * 33 + b"]" * 33, "TOO_DEEP"),
    (b'{"a":' * 50_000, "TOO_DEEP"),
]
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('ab\\"{[é', max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("data, code", BAD)
def test_refused(data, code):
    with pytest.raises(RequestError) as caught:
        strict_json.loads(data)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "-0",
        "1e400",
        "0.1000000000000000055511151231257827",
        "NaN",
        "-Infinity",
        "9" * 50_000,
    ],
)
def test_numbers_are_text(text):
    assert strict_json.loads(text.encode()) == Number(text)


def test_a_pair_of_surrogates_is_one_character():
    assert strict_json.loads(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_deepest_allowed():
    assert strict_json.loads(b"[" * 32 + b"]" * 32)


@given(ANY, st.booleans())
@settings(deadline=None)
def test_agrees_with_json(value, ascii_only):
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert strict_json.loads(data, number=int) == value
    assert strict_json.loads(strict_json.dumps(strict_json.loads(data)), number=int) == value


@given(
    ANY.filter(lambda value: isinstance(value, (dict, list, str))), st.integers(0, 40), st.binary(max_size=8)
)
@settings(deadline=None)
def test_scanner_finds_the_end_in_any_pieces(value, cut, more):
    data = json.dumps(value).encode()
    scanner = strict_json.Scanner()
    first, rest = data[:cut], data[cut:] + more
    end = scanner.feed(first)
    assert (end if end is not None else len(first) + scanner.feed(rest)) == len(data)


@pytest.mark.parametrize("unit", [b'"",', b'"\\u0041",', b"1,", b"{},", b"[],"])
def test_no_more_of_it_is_read_than_is_allowed(unit):
    """Each mark takes time, and in the page's server all others wait meanwhile."""
    few = b"[" + unit * 999 + unit[:-1] + b"]"
    assert len(strict_json.loads(few, max_marks=10_000)) == 1_000
    many = b"[" + unit * 1_000_000 + unit[:-1] + b"]"
    with pytest.raises(RequestError) as error:
        strict_json.loads(many, max_marks=10_000)
    assert error.value.code == "TOO_LARGE"


def test_the_end_of_a_string_is_looked_for_at_its_place_alone(monkeypatch):
    """With many strings the rest of the text was copied for each: minutes for 4 MiB."""

    class Watched(bytes):
        copied = 0

        def __getitem__(self, at):
            found = super().__getitem__(at)
            if isinstance(at, slice):
                Watched.copied += len(found)
            return found

    text = Watched(b"[" + b'"",' * 1_000 + b'"\\\\"]')
    assert strict_json.Scanner().feed(text) == len(text)
    assert Watched.copied < 10 * len(text)
