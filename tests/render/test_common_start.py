"""The series with which all samples of a grid begin, against exact iteration."""

from decimal import Decimal

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpfr

from mandel.device.context import device_context
from mandel.kernels.contract import SERIES_TERMS
from mandel.plan.arithmetic import log2_of
from mandel.plan.precision import precision
from mandel.plan.view import View
from mandel.render import perturbed
from mandel.render.perturbed import PerturbedIterator

SEAHORSE = "-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"
NUCLEUS = "-1.7490812690053707442832620219208639942586460813548838", "0"  # period 145, size 1.35e-21


def begun(view, maxiter):
    """The start of a view's samples: index, iterations, exponent, terms, unit of c."""
    ctx = device_context()
    iterator = PerturbedIterator(ctx)
    iterator.iterate(view.grid(), maxiter, 1000.0)
    buffer, unit = iterator._start[1], int(np.ceil(precision(view.grid()).c_max))
    start = ctx.download(buffer, np.empty((1 + SERIES_TERMS, 2)))
    m, n, exponent, terms = start[0].view(np.int32).tolist()
    return m, n, exponent, start[1 : 1 + terms] @ (1, 1j), unit


def difference(view, at, n, m):
    """Exactly, as mpc: z_n of the point ``at`` (fractions of a delta from the centre) minus Z_m, the centre's."""
    bits = int(-log2_of(Decimal(view.delta))) + 300
    with gmpy2.context(gmpy2.get_context(), precision=2 * bits, emin=-(10**9)):
        centre, delta = gmpy2.mpc(*(mpfr(str(part)) for part in (view.re, view.im))), mpfr(view.delta)
        c, z, reference = centre + delta * gmpy2.mpc(at), gmpy2.mpc(0), gmpy2.mpc(0)
        for _ in range(n):
            z = z * z + c
        for _ in range(m):
            reference = reference * reference + centre
        return z - reference, c - centre


@pytest.mark.parametrize(
    "point, delta, maxiter, least",
    [
        (SEAHORSE, "1e-8", 3_000, 780),
        (SEAHORSE, "1e-9", 3_000, 950),
        (SEAHORSE, "1e-12", 3_000, 990),  # beyond the end of the orbit, at 998
        (("-0.5", "0.1"), "1e-12", 5_000, 5_000),  # a periodic orbit
        (NUCLEUS, "5.4e-18", 3_000, 120),
        (("0", "1"), "1e-30", 2_000, 75),
        (("0", "1"), "1e-400", 5_000, 1_000),  # blocks, extended range
        (("-2", "1e-130"), "1e-131", 2_000, 200),
    ],
)
def test_the_series_is_what_samples_do(point, delta, maxiter, least):
    view = View(*point, delta, 64, 64)
    m, n, exponent, terms, unit = begun(view, maxiter)
    assert n >= least and len(terms) <= SERIES_TERMS
    for at in (0.35 + 0.35j, -0.5 - 0.2j, 0.01j, 0.003 - 0.5j):
        want, c = difference(view, at, n, m)
        u = complex(c * mpfr(2) ** -unit)
        got = sum(term * u**k for k, term in enumerate(terms))
        slope = sum(k * term * u ** (k - 1) for k, term in enumerate(terms) if k)
        # A 2^-30th of a pixel of this view, and 64 of its pixels are a delta.
        assert abs(complex(want * mpfr(2) ** -exponent) - got) < 2.0**-36 * abs(slope) * abs(
            c * mpfr(2) ** -unit
        ) / abs(at)


def test_a_group_as_gpus_have_it_makes_the_same_bits(monkeypatch):
    view = View(*SEAHORSE, "1e-9", 64, 64)
    alone = begun(view, 3_000)
    monkeypatch.setattr(perturbed, "_CPU_SERIES_GROUP", SERIES_TERMS)
    together = begun(view, 3_000)
    assert alone[:3] == together[:3] and alone[3].tobytes() == together[3].tobytes()
