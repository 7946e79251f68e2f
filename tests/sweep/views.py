"""Random views of every kind: one follows from its kind and its seed alone.

A kind is where a view lies; its shape (turned, polar, wide, ...), bailout and limit are drawn likewise. Limits
and sizes are bounded together, so that any view takes well below a second.
"""

from __future__ import annotations

import cmath
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache
from pathlib import Path

import gmpy2
from gmpy2 import mpc, mpfr

from mandel.plan.arithmetic import arithmetic, log2_of
from mandel.plan.grid import POLAR, Grid
from mandel.plan.nucleus import Nucleus
from mandel.plan.view import View
from tests.support import exact

NUCLEI = Path(__file__).parents[1] / "reference" / "nuclei.json"
# Samples times limit of a view.
WORK = 3_000_000
_SHORT = Context(prec=17, Emax=10**9, Emin=-(10**9))
# Points where critical orbits end in a cycle: (preperiod, period, approximation).
MISIUREWICZ = (
    (2, 1, -2 + 0j),
    (2, 2, 1j),
    (3, 1, -1.5436890126920764 + 0j),
    (4, 1, -0.10109636384562 + 0.95628651080914j),
    (3, 2, 0.4196433776 + 0.6062907292j),
    (4, 2, -1.2963551382 + 0.4418516057j),
    (3, 1, -0.2281554937 + 1.1151425080j),
    (5, 1, 0.3663629834 + 0.5915337733j),
    (10, 1, -0.2710775741 + 0.8575556835j),
    (3, 3, -0.6070310226 + 0.6052513813j),
    (5, 4, -1.7873461333 + 0.0190380337j),
    (12, 3, -0.6576466030 + 0.4033722936j),
    (23, 2, -0.7766105926 + 0.1346089617j),
)
# Where components touch, or the main cardioid's cusp is; and where doublings of periods end.
CUSPS = (
    ("0.25", "0"),
    ("-0.75", "0"),
    ("-1.25", "0"),
    ("-1.75", "0"),
    ("-0.125", "0.649519052838328985310143"),
    ("-1.3680989394", "0"),
    ("0.25", "0.5"),
    ("-0.481762", "0.531656"),
)
FEIGENBAUM = ("-1.401155189092050606005238850", "-1.7864402555636389", "-1.40115", "-1.401155189093")


@dataclass(frozen=True)
class Case:
    """A view and how it is to be iterated.

    Attributes:
        kind, seed: what it follows from.
        grid: its samples.
        view: the same, if a view has such samples.
        maxiter, bailout: where iterating ends.
    """

    kind: str
    seed: int
    grid: Grid
    view: View | None
    maxiter: int
    bailout: float

    @property
    def engine(self) -> str:
        return arithmetic(self.grid).engine

    @property
    def depth(self) -> float:
        """-log10 of the spacing."""
        return -log2_of(self.grid.scale) / math.log2(10)

    def command(self) -> str:
        """What makes this very view again; as a still, if that can be."""
        again = (
            f"python -m tests.sweep --view {self.kind}:{self.seed}  # {self.grid.kind} {self.grid.cols}x"
            f"{self.grid.rows}, spacing 1e{-self.depth:+.0f}, {self.maxiter} iterations to {self.bailout:g}"
        )
        if self.view is None or self.view.turn != 1 or len(self.view.re + self.view.im) > 400:
            return again
        v = self.view
        return again + (
            f"; python -m mandel still --point={v.re},{v.im} --delta {v.delta} --width {v.width}"
            f" --height {v.height} --maxiter {self.maxiter} --bailout {self.bailout} -o x.npz"
        )


@dataclass(frozen=True)
class Place:
    """Where a view lies: its centre, extent and the limits worth trying."""

    re: str
    im: str
    delta: Decimal
    limits: tuple[float, float]


def power(log10: float) -> Decimal:
    """10**log10 with 17 digits, whatever the exponent."""
    whole = math.floor(log10)
    return _SHORT.create_decimal(repr(10 ** (log10 - whole))).scaleb(whole)


def moved(re: str, im: str, by: Decimal, offset: complex) -> tuple[str, str]:
    return exact.shifted(re, _SHORT.multiply(by, Decimal(offset.real))), exact.shifted(
        im, _SHORT.multiply(by, Decimal(offset.imag))
    )


@cache
def nuclei() -> tuple[tuple[str, Nucleus], ...]:
    rows = json.loads(NUCLEI.read_text())
    return tuple(
        (r["name"], Nucleus(r["re"], r["im"], r["period"], Decimal(r["size"]), r["angle"])) for r in rows
    )


def refined(nucleus: Nucleus, digits: int) -> tuple[str, str]:
    """More digits of a nucleus."""
    bits = int(digits * 3.33) + 64
    with gmpy2.context(precision=bits, emax=2**40, emin=-(2**40)):
        c = mpc(mpfr(nucleus.re), mpfr(nucleus.im))
        for _ in range(max(1, math.ceil(math.log2(digits / 10)))):
            z, d = mpc(0), mpc(0)
            for _ in range(nucleus.period):
                d = 2 * z * d + 1
                z = z * z + c
            c -= z / d
        return tuple(f"{Decimal(str(part)):f}" for part in (c.real, c.imag))


def misiurewicz(preperiod: int, period: int, near: complex, digits: int) -> tuple[str, str]:
    """The point near ``near`` with z_preperiod = z_(preperiod + period)."""
    with gmpy2.context(precision=int(digits * 3.33) + 64, emax=2**40, emin=-(2**40)):
        c = mpc(near)
        for _ in range(12 + max(0, math.ceil(math.log2(digits / 10)))):
            z, d, first = mpc(0), mpc(0), None
            for n in range(preperiod + period):
                if n == preperiod:
                    first = z, d
                d = 2 * z * d + 1
                z = z * z + c
            slope = d - first[1]
            if slope == 0 or z == first[0]:
                break
            c -= (z - first[0]) / slope
        return tuple(f"{Decimal(str(part)):f}" for part in (c.real, c.imag))


def _scattered(rng: random.Random, re: str, im: str, delta: Decimal) -> tuple[str, str]:
    """The centre itself, or one near it."""
    if rng.random() < 0.35:
        return re, im
    return moved(re, im, delta, complex(rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)))


def _escape(c: complex, most: int) -> int:
    z, n = 0j, 0
    while abs(z) <= 2 and n < most:
        z, n = z * z + c, n + 1
    return n


def home(rng: random.Random) -> Place:
    re, im = (repr(round(rng.uniform(-2, 2), rng.choice([0, 1, 15]))) for _ in range(2))
    return Place(re, im, power(rng.uniform(-1, 1.2)), (20, 3_000))


def exterior(rng: random.Random) -> Place:
    while True:
        c = cmath.rect(
            10 ** rng.choice([rng.uniform(-0.3, 0.3), rng.uniform(0, 6)]), rng.uniform(-math.pi, math.pi)
        )
        if _escape(c, 40) < 40:
            return Place(
                repr(c.real),
                repr(c.imag),
                power(rng.choice([rng.uniform(-9, 0), rng.uniform(-600, 0)])),
                (20, 300),
            )


def boundary(rng: random.Random) -> Place:
    while True:
        c = complex(rng.uniform(-2, 0.5), rng.uniform(-1.2, 1.2))
        if 25 < _escape(c, 1_000) < 1_000:
            return Place(repr(c.real), repr(c.imag), power(rng.uniform(-10, -1)), (200, 10_000))


def interior(rng: random.Random) -> Place:
    if rng.random() < 0.5:
        c = cmath.rect(rng.uniform(0.2, 1.02), rng.uniform(-math.pi, math.pi))
        c = rng.choice([c / 2 - c * c / 4, -1 + c / 4])
        return Place(repr(c.real), repr(c.imag), power(rng.uniform(-40, -0.5)), (50, 5_000))
    nucleus = rng.choice([n for _, n in nuclei() if n.period < 3_000])
    offset = cmath.rect(rng.uniform(0, 0.25), rng.uniform(-math.pi, math.pi))
    re, im = moved(nucleus.re, nucleus.im, nucleus.size, offset)
    return Place(
        re, im, nucleus.size * power(rng.uniform(-6, 0.2)), (2 * nucleus.period, 20 * nucleus.period)
    )


def cusp(rng: random.Random) -> Place:
    depth = rng.choice([rng.uniform(1, 6), rng.uniform(1, 14), rng.uniform(1, 60)])
    delta = power(-depth)
    return Place(*_scattered(rng, *rng.choice(CUSPS), delta), delta, (300, 30_000))


def feigenbaum(rng: random.Random) -> Place:
    delta = power(-rng.choice([rng.uniform(1, 8), rng.uniform(1, 25)]))
    return Place(*_scattered(rng, rng.choice(FEIGENBAUM), "0", delta), delta, (300, 20_000))


def tip(rng: random.Random) -> Place:
    """Near -2, where orbits run along |z| = 2."""
    depth = rng.choice([rng.uniform(1, 20), rng.uniform(1, 200), rng.uniform(150, 1_100)])
    if rng.random() < 0.25:
        return Place(
            "-1." + "9" * 27, f"-2e-{rng.randint(30, 989)}", power(-depth), (4 * depth, 9 * depth + 500)
        )
    near = power(-depth)
    re, im = moved(
        "-2", "0", near, cmath.rect(1, rng.choice([0, math.pi / 2, rng.uniform(-math.pi, math.pi)]))
    )
    if rng.random() < 0.2:
        re, im = "-2", "0"
    return Place(re, im, near * power(rng.uniform(-1, 2)), (2 * depth + 20, 9 * depth + 500))


def misiurewicz_point(rng: random.Random) -> Place:
    which = rng.choice(MISIUREWICZ)
    depth = rng.choice(
        [rng.uniform(1, 9), rng.uniform(5, 120), rng.uniform(100, 400), rng.uniform(100, 1_200)]
    )
    delta = power(-depth)
    re, im = misiurewicz(*which, int(depth) + 40)
    least = 60 + depth * 2 * which[1]
    return Place(*_scattered(rng, re, im, delta), delta, (least, 8 * least + 500))


def _swift(rng: random.Random) -> Nucleus:
    """A nucleus; those of small period more often."""
    while True:
        _, nucleus = rng.choice(nuclei())
        if rng.random() < min(1, 1_500 / nucleus.period):
            return nucleus


def minibrot(rng: random.Random) -> Place:
    nucleus = _swift(rng)
    delta = nucleus.size * power(rng.choice([math.log10(4), rng.uniform(-0.5, 1.5)]))
    re, im = _scattered(rng, nucleus.re, nucleus.im, delta)
    return Place(re, im, delta, (2 * nucleus.period + 100, 30 * nucleus.period + 100))


def julia(rng: random.Random) -> Place:
    nucleus = _swift(rng)
    depth = -float(nucleus.size.adjusted()) * rng.uniform(0.45, 0.95)
    delta = power(-depth)
    return Place(
        *_scattered(rng, nucleus.re, nucleus.im, delta),
        delta,
        (nucleus.period + 100, 5 * nucleus.period + 500),
    )


def nucleus_centre(rng: random.Random) -> Place:
    """A nucleus to many more digits than the view needs, or next to one: orbits come near 0 again and again."""
    if rng.random() < 0.4:
        re, im = rng.choice([("0", "0"), ("-1", "0")])
        period, size = 2, 0.0
    else:
        nucleus = rng.choice([n for _, n in nuclei() if n.period < 1_500 and n.size > Decimal("1e-120")])
        period, size = nucleus.period, -float(log2_of(nucleus.size)) / math.log2(10)
        re, im = refined(nucleus, int(2 * size) + rng.randint(60, 500))
    if rng.random() < 0.5:
        away = power(-rng.uniform(size + 5, size + 400))
        re, im = moved(re, im, away, cmath.rect(1, rng.choice([math.pi / 2, rng.uniform(-math.pi, math.pi)])))
    return Place(re, im, power(-size - rng.uniform(-1.5, 25)), (2 * period + 100, 40 * period + 1_000))


def axis(rng: random.Random) -> Place:
    """Centres on the real axis: the upper half is the lower half's mirror image."""
    point = rng.choice(
        ["-1.25066", "-1.7490812690053707", "-1.9408", "-0.7499", "-2", "-1.310702641336832884"]
    )
    depth = rng.choice([rng.uniform(0, 9), rng.uniform(0, 60)])
    if rng.random() < 0.4:
        nucleus = rng.choice(
            [n for name, n in nuclei() if name.startswith("tip") and n.size > Decimal("1e-500")]
        )
        point, depth = nucleus.re, -float(nucleus.size.adjusted()) * rng.uniform(0.5, 1)
    return Place(point, "0", power(-depth), (200, 6_000))


def large(rng: random.Random) -> Place:
    return rng.choice([home, boundary, cusp])(rng)


def island(rng: random.Random) -> Place:
    """About a nucleus that is looked for anew."""
    nucleus = exact.random_nucleus(rng, rng.choice([6, 10, 15, 25]), max_period=3_000)
    if nucleus is None:
        return boundary(rng)
    delta = 4 * nucleus.size ** Decimal(f"{rng.uniform(0.6, 1.1):.3f}")
    re, im = _scattered(rng, nucleus.re, nucleus.im, delta)
    return Place(re, im, _SHORT.plus(delta), (2 * nucleus.period + 100, 10 * nucleus.period + 500))


KINDS: dict[str, Callable[[random.Random], Place]] = {
    "home": home,
    "exterior": exterior,
    "boundary": boundary,
    "interior": interior,
    "cusp": cusp,
    "feigenbaum": feigenbaum,
    "tip": tip,
    "misiurewicz": misiurewicz_point,
    "minibrot": minibrot,
    "julia": julia,
    "nucleus": nucleus_centre,
    "axis": axis,
    "large": large,
    "island": island,
}
# How often a kind is drawn.
WEIGHTS = {"large": 0.15, "island": 0.15, "minibrot": 2.0, "tip": 1.5, "nucleus": 1.5}


def _size(rng: random.Random, kind: str) -> tuple[int, int]:
    if kind == "large":
        return rng.choice([(3840, 2160), (2560, 1440), (1280, 720), (4096, 64), (48, 3000)])
    if kind == "axis":
        return rng.randint(8, 40), 2 * rng.randint(3, 16) + 1
    return rng.choice(
        [
            (rng.randint(16, 64), rng.randint(12, 48)),
            (rng.randint(16, 40), rng.randint(12, 30)),
            (rng.randint(8, 24), rng.randint(6, 16)),
            (rng.randint(1, 6), rng.randint(1, 5)),
            (rng.randint(100, 2_000), rng.randint(1, 3)),
            (rng.randint(1, 3), rng.randint(100, 1_000)),
            (rng.randint(90, 200), rng.randint(60, 120)),
        ]
    )


def _polar(rng: random.Random, place: Place, samples: int) -> Grid:
    """A piece of an exponential map about the centre, as strips are."""
    around = rng.choice([16, 32, 48, 96, 200, 640])
    rows = max(min(rng.randint(1, around // 2), samples // around), 1)
    cols = around if rng.random() < 0.6 else rng.randint(1, around)
    first = rng.choice([0, rng.randint(0, 4 * around), rng.uniform(-0.3, 3) * around])
    turn = 1 + 0j if rng.random() < 0.6 else cmath.rect(1, rng.uniform(-math.pi, math.pi))
    return Grid(
        place.re,
        place.im,
        place.delta,
        cols,
        rows,
        float(rng.choice([0, rng.randint(0, around)])),
        float(first),
        POLAR,
        turn,
        around,
    )


def case(kind: str, seed: int) -> Case:
    """The view of a kind with a seed."""
    rng = random.Random(f"{kind} {seed}")
    place = KINDS[kind](rng)
    width, height = _size(rng, kind)
    low, high = place.limits
    maxiter = int(low * (high / low) ** rng.random())
    if rng.random() < 0.06:
        maxiter = rng.randint(1, 40)
    work = WORK if kind != "large" else 80 * WORK
    if kind == "large":
        maxiter = min(maxiter, max(work // (width * height), 5))
    while width * height > 4 and width * height * maxiter > work:
        width, height = max(width * 4 // 5, 1), max(height * 4 // 5, 1)
    if kind == "axis":
        height |= 1
    maxiter = max(min(maxiter, 2 * work), 1)
    bailout = float(rng.choice([2, 2, 2, 1000, 1000, round(10 ** rng.uniform(0.302, 9), 2), 1e9]))
    shape = rng.random()
    if shape < 0.15 and kind not in ("axis", "large"):
        return Case(kind, seed, _polar(rng, place, width * height), None, maxiter, bailout)
    turn = 1 + 0j
    if shape < 0.4 and kind != "axis":
        turn = rng.choice([1j, -1 + 0j, complex(0.6, 0.8), cmath.rect(1, rng.uniform(-math.pi, math.pi))])
    view = View(place.re, place.im, f"{place.delta:e}", width, height, turn)
    return Case(kind, seed, view.grid(), view, maxiter, bailout)
