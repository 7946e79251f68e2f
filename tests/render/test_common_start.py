"""The series with which all samples of a grid begin, against exact iteration."""

from dataclasses import dataclass
from decimal import Decimal

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpfr

from mandel.device.context import device_context
from mandel.kernels.contract import SERIES_TERMS, START_LENGTH, STARTS
from mandel.plan.arithmetic import log2_of
from mandel.plan.grid import PLANE, Grid
from mandel.plan.precision import precision
from mandel.plan.view import View
from mandel.render import perturbed
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs

SEAHORSE = "-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"
NUCLEUS = "-1.7490812690053707442832620219208639942586460813548838", "0"  # period 145, size 1.35e-21


AT = (0.35 + 0.35j, -0.5 - 0.2j, 0.01j, 0.003 - 0.5j, -0.0019 + 0.0009j, 0.122j, -0.31j, 0.05 - 0.02j)
# Near the nuclei of the minibrots here, dz/dc is many orders less than elsewhere.
ISLAND = "-0.26883671328153937448627108989826490523", "0.8363448210804207674811048155529940947"  # period 35
DEEP_ISLAND = (
    "-1.153627334742384689484618316943664580056728534138078431269727344369635187",
    "0.316713408383114544821281454996697028970333253152869409479041679852877243",
)


@dataclass(frozen=True)
class Start:
    """Where samples may begin: see kernels/common_start.cl."""

    m: int
    n: int
    exponent: int
    terms: np.ndarray
    rest: float
    noise: np.ndarray

    def at(self, u: complex) -> tuple[complex, complex]:
        """z and dz/du."""
        powers = u ** np.arange(len(self.terms) + 1)
        return self.terms @ powers[:-1], (self.terms * np.arange(len(self.terms)))[1:] @ powers[:-2]

    def serves(self, u: complex) -> bool:
        """Whether dz/du is as large as it needs to be."""
        size = abs(u)
        needed = self.rest * size**SERIES_TERMS + self.noise @ size ** np.arange(len(self.noise))
        return bool(needed <= abs(self.at(u)[1]))


def begun(view, maxiter):
    """The starts of a view's samples by their number, and the exponent of the unit of c."""
    ctx = device_context()
    iterator = PerturbedIterator(ctx)
    iterator.iterate(view.grid(), maxiter, 1000.0)
    buffer, unit = iterator._start[1], int(np.ceil(precision(view.grid()).c_max))
    starts = {}
    for k, part in enumerate(ctx.download(buffer, np.empty((STARTS, START_LENGTH, 2)))):
        m, n, exponent, terms = part[0].view(np.int32).tolist()
        if k == 0 or np.isfinite(part[1, 0]):
            pairs = part[2 : 2 + 2 * terms]
            rest, noise = (part[1, 0], pairs[1::2, 0]) if k else (0.0, np.zeros(terms))
            starts[k] = Start(m, n, exponent, pairs[::2] @ (1, 1j), rest, noise)
    return starts, unit


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
    "point, delta, maxiter, first, latest",
    [
        (SEAHORSE, "1e-8", 3_000, 780, 900),
        (SEAHORSE, "1e-9", 3_000, 950, 950),
        (SEAHORSE, "1e-12", 3_000, 990, 1_950),  # beyond the end of the orbit, at 998, and again
        (("-0.5", "0.1"), "1e-12", 5_000, 5_000, 5_000),  # a periodic orbit
        (NUCLEUS, "1e-13", 3_000, 140, 180),
        (NUCLEUS, "5.4e-18", 3_000, 120, 280),
        (ISLAND, "1e-10", 3_000, 35, 70),
        (DEEP_ISLAND, "3.7e-33", 3_000, 220, 780),
        (("0", "1"), "1e-30", 2_000, 75, 75),
        (("0", "1"), "1e-400", 5_000, 1_000, 1_000),  # blocks, extended range
        (("-2", "1e-130"), "1e-131", 2_000, 200, 200),
    ],
)
def test_the_series_is_what_samples_do(point, delta, maxiter, first, latest):
    view = View(*point, delta, 64, 64)
    starts, unit = begun(view, maxiter)
    assert starts[0].n >= first and max(start.n for start in starts.values()) >= latest
    served = dict.fromkeys(starts, 0)
    for at in AT:
        for k, start in starts.items():
            assert len(start.terms) <= SERIES_TERMS
            want, c = difference(view, at, start.n, start.m)
            u = complex(c * mpfr(2) ** -unit)
            if k and not start.serves(u):
                continue
            served[k] += 1
            got, slope = start.at(u)
            # A 2^-30th of a pixel of this view, and 64 of its pixels are a delta.
            assert abs(complex(want * mpfr(2) ** -start.exponent - got)) < 2.0**-36 * abs(slope) * abs(
                u
            ) / abs(at)
    assert all(served.values())


def test_a_group_as_gpus_have_it_makes_the_same_bits(monkeypatch):
    view = View(*SEAHORSE, "1e-12", 64, 64)
    alone, _ = begun(view, 3_000)
    monkeypatch.setattr(perturbed, "_CPU_SERIES_GROUP", SERIES_TERMS)
    together, _ = begun(view, 3_000)
    assert len(alone) > 1 and alone.keys() == together.keys()
    for k, start in alone.items():
        assert start.terms.tobytes() == together[k].terms.tobytes()
        assert start.noise.tobytes() == together[k].noise.tobytes()
        assert (start.m, start.n, start.rest) == (together[k].m, together[k].n, together[k].rest)


@pytest.mark.parametrize(
    "grid",
    [
        View(*SEAHORSE, "1e-12", 96, 64).grid(),
        View(*NUCLEUS, "1e-13", 96, 64).grid(),
        # The series rebases where only some samples have to.
        Grid(*DEEP_ISLAND, Decimal("7.008026697462368643121627857e-36"), 1, 528, 0, 263.5, PLANE, -1 + 0j),
    ],
)
def test_samples_do_not_depend_on_where_they_begin(monkeypatch, grid):
    ctx = device_context()
    made = []
    for steps in (perturbed._MOST_COMMON_STEPS, 0):  # without any, every sample begins at 0
        monkeypatch.setattr(perturbed, "_MOST_COMMON_STEPS", steps)
        samples = PerturbedIterator(ctx).iterate(grid, 3_000, 2.0, Outputs(distance=True))
        outputs = (samples.count, np.int32), (samples.frac, np.float32), (samples.distance, np.float32)
        made.append(
            [ctx.download(buffer, np.empty((grid.rows, grid.cols), dtype)) for buffer, dtype in outputs]
        )
    (count, frac, distance), (own_count, own_frac, own_distance) = made
    outside = (own_count <= 3_000) & (own_distance > 2.0**-12)
    assert outside.mean() > 0.5
    assert np.array_equal(count[outside], own_count[outside])
    # As the sweep has it: both may be moved by a 2^-30th of a pixel.
    frac_error = 2e-6 + 6 * 2.0**-30 / own_distance[outside]
    distance_error = (1e-5 + 64 * 2.0**-30 / own_distance[outside]) * own_distance[outside]
    assert (abs(frac - own_frac)[outside] <= frac_error).all()
    assert (abs(distance - own_distance)[outside] <= distance_error).all()
