"""Settings from options and variables."""

import argparse

import pytest

from mandel import settings
from mandel.errors import MandelError


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("MANDEL_PORT", "abc", "'abc' is not a whole number"),
        ("MANDEL_REQUEST_TIMEOUT", "soon", "'soon' is not a number"),
        ("MANDEL_MAX_FRAMES", "1.5", "'1.5' is not a whole number"),
    ],
)
def test_a_variable_of_another_type_is_refused_in_words(name, text, words):
    with pytest.raises(MandelError) as caught:
        settings.read(env={name: text})
    assert (
        caught.value.code == "BAD_SETTING" and words in caught.value.message and name in caught.value.message
    )


@pytest.mark.parametrize(
    "name, text",
    [
        ("MANDEL_DRIVER_TIMEOUT", "1"),
        ("MANDEL_DRIVER_TIMEOUT", "nan"),
        ("MANDEL_STALL_TIMEOUT", "inf"),
        ("MANDEL_MAX_JOBS", "0"),
        ("MANDEL_DRAIN_TIMEOUT", "-5"),
        ("MANDEL_PORT", "65536"),
        ("MANDEL_PORT", "-1"),
        ("MANDEL_MAX_CONNECTIONS", "0"),
        ("MANDEL_MAX_DB_BYTES", "-5"),
        ("MANDEL_MAX_SIDE", "0"),
        ("MANDEL_MAX_FRAMES", "0"),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused_in_words(name, text):
    with pytest.raises(MandelError) as caught:
        settings.read(env={name: text})
    assert caught.value.code == "BAD_SETTING"
    assert name in caught.value.message and "by default" in caught.value.message


def test_a_key_without_a_certificate_is_refused():
    with pytest.raises(MandelError) as caught:
        settings.read(env={"MANDEL_TLS_KEY": "key.pem"})
    assert caught.value.code == "BAD_SETTING" and "--tls-cert" in caught.value.message


def test_options_are_chosen_and_an_empty_default_is_not_shown():
    parser = argparse.ArgumentParser()
    settings.add_options(parser, without=("tls_ca",))
    text = " ".join(parser.format_help().split())
    assert "--tls-ca" not in text and "--tls-cert" in text and "(MANDEL_TLS_CERT)" in text
    assert "(default 65432; MANDEL_PORT)" in text and "default ;" not in text
