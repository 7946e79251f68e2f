"""Reference orbits against gmpy2's floating point, and their storage."""

import pickle

import gmpy2
import numpy as np
import pytest

from mandel.errors import RenderError
from mandel.plan.reference import Reference, fixed_point, reference_orbit


def mpfr_orbit(re, im, bits, steps):
    with gmpy2.context(precision=bits):
        c, z, out = gmpy2.mpc(f"({re} {im})"), gmpy2.mpc(0), []
        for _ in range(steps + 1):
            out.append(complex(z))
            z = z * z + c
    return np.array(out)


def test_fixed_point_uses_every_digit():
    assert fixed_point("0.5", 8) == 128
    assert fixed_point("-1e-2", 64) == -(2**64 // 100) or fixed_point("-1e-2", 64) == -(2**64 // 100) - 1
    assert fixed_point("1E+3", 4) == 16_000
    long = "0." + "3" * 400
    assert abs(fixed_point(long, 1_300) - (int("3" * 400) << 1_300) // 10**400) <= 1


@pytest.mark.parametrize("text", ["", "nan", "inf", "1,5", "0x10"])
def test_not_a_number_is_refused(text):
    with pytest.raises(RenderError) as error:
        fixed_point(text, 64)
    assert error.value.code == "BAD_NUMBER"


def test_orbit_equals_floating_point_of_higher_precision():
    re, im = "-1.7687788", "0.0017388999"
    orbit = reference_orbit(re, im, 192, 100)
    want = mpfr_orbit(re, im, 400, 100)
    assert orbit.last == 100 and not orbit.complete
    np.testing.assert_allclose(orbit.re + 1j * orbit.im, want, rtol=1e-15)


def test_escape_ends_the_orbit_and_end_follows_the_bailout():
    orbit = reference_orbit("0.3", "0.6", 64, 1_000)
    assert orbit.escaped and orbit.complete and orbit.last < 1_000
    radius = np.hypot(orbit.re, orbit.im)
    for bailout in (2.0, 100.0, 1000.0):
        end = orbit.end(bailout)
        assert radius[end] > bailout >= radius[end - 1]
    assert orbit.end(1e9) == orbit.last


def test_far_outside():
    orbit = reference_orbit("1e30", "-4e6", 64, 10)
    assert orbit.escaped and orbit.last == 1


@pytest.mark.parametrize("re, im, period", [("0", "0", 1), ("-1", "0", 2)])
def test_exact_nuclei_end_at_their_period(re, im, period):
    orbit = reference_orbit(re, im, 300, 1_000)
    assert orbit.period == orbit.last == period
    assert orbit.re[period] == orbit.im[period] == 0


def test_a_nucleus_is_one_only_at_its_own_precision():
    digits = "-1.754877666246692760049508896358528691894606617772793143989"
    assert reference_orbit(digits, "0", 128, 50).period == 3
    assert reference_orbit(digits, "0", 400, 5).period == 0


def test_interior_centre_settles_on_its_cycle():
    orbit = reference_orbit("-0.11", "0.7", 100, 100_000)
    assert orbit.wrap > 0 and orbit.last < 100_000 and orbit.complete
    assert orbit.re[orbit.last] == orbit.re[orbit.wrap] and orbit.im[orbit.last] == orbit.im[orbit.wrap]


def test_tiny_entries_keep_their_exponent():
    """c = i + d with d = 1e-200 about a nucleus of period 1: Z_m is about c, then c**2 ..."""
    orbit = reference_orbit("1e-200", "0", 1_000, 3)
    assert orbit.exponent[1] < -600
    assert orbit.re[1] * 2.0 ** (int(orbit.exponent[1]) + 600) == pytest.approx(1e-200 * 2.0**600, rel=1e-15)


def test_progress_can_end_it():
    seen = []

    def progress(done, limit):
        seen.append((done, limit))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reference_orbit("-0.11", "0.7", 3_000, 10**7, progress)
    assert len(seen) == 1 and 0 < seen[0][0] < seen[0][1] == 10**7


def test_serves():
    orbit = reference_orbit("-1.7687788", "0.0017388999", 192, 50)
    assert orbit.serves(192, 50) and orbit.serves(64, 10)
    assert not orbit.serves(193, 50) and not orbit.serves(192, 51)
    assert reference_orbit("0.3", "0.6", 64, 1_000).serves(64, 10**9)


def test_storage_is_exact_and_damage_is_seen():
    orbit = reference_orbit("1e-200", "1e-3", 800, 40)
    data = orbit.to_bytes()
    for again in (Reference.from_bytes(data), pickle.loads(pickle.dumps(orbit, protocol=5))):
        assert np.array_equal(again.re, orbit.re) and np.array_equal(again.im, orbit.im)
        assert np.array_equal(again.exponent, orbit.exponent)
        assert (again.bits, again.limit, again.escaped, again.period, again.wrap) == (
            orbit.bits,
            orbit.limit,
            orbit.escaped,
            orbit.period,
            orbit.wrap,
        )
    for broken in (data[:-1], data[:20], b"", data[:50] + bytes([data[50] ^ 1]) + data[51:]):
        with pytest.raises(RenderError) as error:
            Reference.from_bytes(broken)
        assert error.value.code == "BAD_REFERENCE"


@pytest.mark.parametrize(
    "re, im", [("-1.768778833", "0.001738996"), ("-0.75", "1e-3"), ("0", "1"), ("0.25", "2e-30")]
)
def test_the_orbit_of_a_conjugate_is_the_conjugate(re, im):
    """Or mirror images would differ in the last bits of samples."""
    one, other = (reference_orbit(re, y, 94, 3_000) for y in (im, "-" + im))
    assert np.array_equal(one.re, other.re) and np.array_equal(one.im, -other.im)
    assert np.array_equal(one.exponent, other.exponent) and np.array_equal(one.edge, other.edge)
    assert (one.wrap, one.period, one.escaped) == (other.wrap, other.period, other.escaped)
