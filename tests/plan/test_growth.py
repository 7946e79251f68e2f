import gmpy2
import numpy as np
import pytest
from gmpy2 import mpc, mpfr

from mandel.plan.growth import Growth, first_return
from mandel.plan.nucleus import periods_in_disc
from mandel.plan.reference import reference_orbit

MINIBROT = "-1.7490812690053707442832620219208639942586460813548838", "0"


def derivatives(re, im, steps, bits=400):
    """log2 |dz_n/dc|, in arithmetic of many bits."""
    with gmpy2.context(precision=bits, emin=-(2**30), emax=2**30):
        c, z, d, logs = mpc(mpfr(re), mpfr(im)), mpc(0), mpc(0), []
        for _ in range(steps + 1):
            logs.append(float(gmpy2.log2(abs(d))))
            z, d = z * z + c, 2 * z * d + 1
        return np.array(logs)


@pytest.mark.parametrize(
    "re, im, bits, steps",
    [
        (*MINIBROT, 256, 500),
        ("-1", "1e-130", 1_000, 700),
        ("-0.75", "0", 128, 3_000),
        ("-0.1", "0.1", 128, 500),
        ("0.3", "0.6", 128, 60),
        ("1e-200", "0", 800, 50),
    ],
    ids=["minibrot", "entries with exponents", "parabolic", "attracted", "escapes", "next to 0"],
)
def test_growth_is_the_derivatives(re, im, bits, steps):
    orbit = reference_orbit(re, im, bits, steps)
    parts = np.array_split(np.arange(orbit.last + 1), 7)
    growth = Growth()
    got = np.concatenate(
        [growth.advance(orbit.re[part], orbit.im[part], orbit.exponent[part]) for part in parts]
    )
    want = derivatives(re, im, orbit.last, 3_000)
    assert got[0] == -np.inf and len(got) == orbit.last + 1
    np.testing.assert_allclose(got[1:], want[1:], atol=1e-6)


@pytest.mark.parametrize(
    "re, im, radius, period",
    [
        (*MINIBROT, "5.4e-21", 145),
        (*MINIBROT, "1e-8", 129),
        ("-1.401155189092050606", "0", "1e-8", 4_096),
        ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139", "1e-13", 998),
    ],
)
def test_an_orbit_ends_where_it_returns(re, im, radius, period):
    whole, short = (reference_orbit(re, im, 256, 20_000, radius=r) for r in (None, radius))
    assert short.period == short.last == period and short.complete and not short.escaped and not short.wrap
    assert first_return(whole.re, whole.im, whole.exponent, np.log2(float(radius))) == period
    assert next(periods_in_disc(re, im, str(2 * float(radius)), 20_000)) == period
    for name in ("re", "im", "exponent"):
        assert (getattr(short, name) == getattr(whole, name)[: period + 1]).all()
    assert (short.edge <= period).all()


def test_no_return():
    escapes = reference_orbit("0.3", "0.6", 128, 1_000, radius="1e-20")
    assert escapes.escaped and not escapes.period
    assert first_return(escapes.re, escapes.im, escapes.exponent, -66.0) == 0
    settles = reference_orbit("-0.5", "0.3", 128, 20_000, radius="1e-6")
    assert settles.wrap and not settles.period


def test_an_orbit_that_hardly_grows_is_given_up(monkeypatch):
    monkeypatch.setattr("mandel.plan.reference._PATIENCE", 10_000)
    root = reference_orbit("-0.75", "0", 128, 10**6, radius="1e-9", gives_up=True)
    assert not root.complete and root.last == root.limit and 10_000 <= root.last < 20_000
    assert not root.serves(128, 10**6)
