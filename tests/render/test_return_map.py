"""The return map: many iterations in one step after a rebase, against exact iteration and against single steps."""

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpc, mpfr

from mandel.device.context import device_context
from mandel.kernels.contract import RETURN_COLUMNS, RETURN_DEGREE
from mandel.plan.precision import precision
from mandel.plan.view import View
from mandel.render import perturbed
from mandel.render.perturbed import PerturbedIterator
from mandel.render.samples import Outputs

SEAHORSE = "-0.743643887037158704752191506114774", "0.131825904205311970493132056385139"
SPIRAL = "-1.338238635043279", "-0.057237059127183"
# On each delta's circle |c| = delta / sqrt(2), at three places.
TURNS = np.exp(1j * np.array([0.3, 2.0, 4.4]))


def returning(view, maxiter=3000):
    """Iterations of the view's map, exponent of |w|, rest, rounding at v = 1 and at v = 0, terms, unit of c."""
    ctx = device_context()
    iterator = PerturbedIterator(ctx)
    iterator.iterate(view.grid(), maxiter, 1000.0)
    entries = ctx.download(iterator._returning[1], np.empty((perturbed._RETURN_LENGTH, 2)))
    length, exponent = entries[0].view(np.int32)[:2].tolist()
    terms = (entries[3:] @ (1, 1j)).reshape(RETURN_DEGREE + 1, RETURN_COLUMNS)
    rest, rounding, least_rounding = entries[1, 0], entries[1, 1], entries[2, 0]
    return length, exponent, rest, rounding, least_rounding, terms, int(np.ceil(precision(view.grid()).c_max))


def after(view, w, c, length):
    """Exactly: what ``length`` iterations after a rebase make of a sample that has w = z^2 + c after the first."""
    with gmpy2.context(gmpy2.get_context(), precision=300):
        centre = mpc(mpfr(view.re), mpfr(view.im))
        reference, z = centre, centre + mpc(w)
        for _ in range(length - 1):
            reference, z = reference * reference + centre, z * z + centre + mpc(c)
        return complex(z - reference)


@pytest.mark.parametrize("delta", ["1e-7", "1e-9", "1e-11", "1e-18"])
def test_the_map_is_what_exact_iteration_gives(delta):
    view = View(*SEAHORSE, delta, 64, 64)
    length, exponent, rest, rounding, least_rounding, terms, unit = returning(view)
    assert length == 78  # where Z comes to 2^-10.5
    assert 2.0**exponent > 2.0**unit
    linear = abs(terms[1, 0])
    assert 0 < rest <= 2.0**-48 * linear
    for size in (1.0, 0.5, 2.0**-8):
        for v in size * TURNS:
            for u in TURNS[::-1] * 0.99:
                powers = np.power(v, np.arange(RETURN_DEGREE + 1)), np.power(u, np.arange(RETURN_COLUMNS))
                found = powers[0] @ terms @ powers[1]
                exact = after(view, v * 2.0**exponent, u * 2.0**unit, length)
                assert abs(found - exact) <= rest + size * rounding + least_rounding
    # The bound of what is left out is no larger than it must be: at the rim some sample comes near it.
    assert rest + rounding < 2.0**-46 * linear


def test_a_reference_that_does_not_come_near_0_has_no_map():
    iterator = PerturbedIterator(device_context())
    iterator.iterate(View(*SPIRAL, "1e-8", 64, 64).grid(), 3000, 1000.0)
    assert iterator._returning[1] is None


@pytest.mark.parametrize("delta, maxiter", [("1e-7", 3000), ("1e-11", 3000), ("1e-7", 20_000)])
def test_samples_are_those_of_single_steps(delta, maxiter, monkeypatch):
    """Also those that rebase only because they take the map. Others lie so near the set that no double can tell."""
    grid, outputs = View(*SEAHORSE, delta, 48, 48).grid(), Outputs(distance=True)
    ctx, made = device_context(), []
    for dips in (perturbed._DIPS, range(0)):
        monkeypatch.setattr(perturbed, "_DIPS", dips)
        iterator = PerturbedIterator(ctx)
        samples = iterator.iterate(grid, maxiter, 1000.0, outputs)
        made.append(
            [
                ctx.download(buffer, np.empty((48, 48), kind))
                for buffer, kind in (
                    (samples.count, np.int32),
                    (samples.frac, np.float32),
                    (samples.distance, np.float32),
                )
            ]
        )
        assert (iterator._returning[1] is None) == (not dips)
    (count, frac, distance), (count_0, frac_0, distance_0) = made
    well = np.maximum(distance, distance_0) > 2.0**-12
    assert well.mean() > 0.2
    assert not np.array_equal(frac, frac_0)  # the map was taken
    assert np.array_equal(count[well], count_0[well])
    far = 2.0**-30 / distance_0[well]
    assert np.all(np.abs(frac - frac_0)[well] <= 4e-6 + 6 * far)
    assert np.all(np.abs(distance - distance_0)[well] <= distance_0[well] * (2e-5 + 64 * far))
