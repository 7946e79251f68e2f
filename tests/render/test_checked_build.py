"""The checked build itself: each kind of overrun is reported, at its line; what is right is not."""

import os
import re

import numpy as np
import pytest

from mandel.device.choose import choose
from tests.support.checked import CheckedContext, OutOfBounds, Unsupported

PREFACE = """\
#define LANE(v, k) (((int *)&(v))[k])
#define PUT(p, i) (p)[i] = 1
typedef struct { __global const int *from; int before, *to; } Both;
inline void second(int *p) { p[1] = 2; }
inline int sum(const int *p, int n) { int s = 0; for (int k = 0; k < n; ++k) s += p[k]; return s; }
inline int first_of(const Both *both, int k) { return both->from[k]; }
inline void write(const Both *both, int k) { both->to[k] = 1; }
inline void pass_on(__global int *out, int k) { out[k] = 1; }
"""
HEAD = "__kernel void test(__global const int *in, __global int *out, __local int *near, int n)\n{\n"
LINE = PREFACE.count("\n") + 3  # of the first statement


@pytest.fixture(scope="module")
def ctx():
    return CheckedContext(choose(os.environ.get("MANDEL_DEVICE", "auto")).device)


def run(ctx, body: str, n: int = 4, ints: int = 4) -> np.ndarray:
    """``body`` with ``in`` (4 ints, 10 to 13), ``out`` (``ints`` ints, 0) and ``near`` (4 ints)."""
    program = ctx.checked(PREFACE + HEAD + body + "\n}\n", name="test")
    out = ctx.upload(np.zeros(ints, np.int32))
    ctx.launcher(*program, "test")(
        ctx.queue,
        (1,),
        (1,),
        ctx.upload(np.arange(10, 14, dtype=np.int32)),
        out,
        ctx.cl.LocalMemory(16),
        np.int32(n),
    )
    return ctx.download(out, np.empty(ints, np.int32))


# Statements of which the last line is at fault for n = 4, and words of the report.
WRONG = {
    "private array": ("int a[4] = {0};\na[n] = 1; out[0] = a[0];", "a[n]: index 4"),
    "private array, read": ("int a[4] = {0};\nout[0] = a[n];", "a[n]: index 4"),
    "negative index": ("int a[4] = {0};\na[n - 5] = 1; out[0] = a[0];", "a[n - 5]: index -1"),
    "row of an array": ("int a[2][4] = {{0}};\na[0][n] = 1; out[0] = a[1][0];", "a[0][n]: index 4"),
    "rows of an array": ("int a[2][4] = {{0}};\na[n - 2][0] = 1; out[0] = a[1][0];", "a[n - 2]: index 2"),
    "pointer to a row": (
        "int a[2][4] = {{0}};\nint *p = a[n & 1];\np[n] = 1; out[0] = a[1][0];",
        "p[n]: index 4",
    ),
    "row chosen later": (
        "int a[2][4] = {{0}}, b[8]; b[0] = 0;\nint *p = b;\np[7] = 1; p = a[n & 1];\np[n++] = 1; out[0] = a[1][0];",
        "p[n++]: index 4",
    ),
    "before a pointer": ("int a[4] = {0}, *p = a + 2;\np[-3] = 1; out[0] = a[0];", "p[-3]: index -3"),
    "stepping pointer": ("int a[4] = {0}, *p = a; p++; p += 2; ++p;\n*p = 1; out[0] = a[0];", "*p: index 0"),
    "difference of pointers": (
        "int a[4] = {0}, *p = a + n;\nint *q = p - 5;\n*q = 1; out[0] = a[0];",
        "*q: index 0",
    ),
    "the other of two": (
        "int a[4] = {0}, b[2] = {0};\nint *p = n == 4 ? b : a;\np[2] = 1; out[0] = b[0];",
        "p[2]",
    ),
    "address of an element": ("int a[4] = {0}, *p = &a[2];\np[2] = 1; out[0] = a[0];", "p[2]: index 2"),
    "address of a variable": ("int a = 0, *p = &a;\np[1] = 1; out[0] = a;", "p[1]: index 1"),
    "a vector's lanes": ("int4 v = (int4)(1, 2, 3, 4);\nLANE(v, n) = 1; out[0] = v.x;", "index 4"),
    "lanes of another type": (
        "short8 v = (short8)(1);\nint *p = (int *)&v;\nout[1] = p[3];\nout[0] = p[n];",
        "p[n]: index 4",
    ),
    "global buffer": ("out[n] = 1;", "out[n]: index 4"),
    "global buffer, read": ("out[0] = in[n];", "in[n]: index 4"),
    "global, far": ("out[0] = in[n * 1000000];", "index 4000000"),
    "global, below": ("__global int *p = out + 1;\np[-2] = 1;", "p[-2]"),
    "global, of bytes": ("__global uchar *p = (__global uchar *)out;\np[15] = 1;\np[4 * n] = 1;", "index 16"),
    "global, of larger things": ("__global long *p = (__global long *)out;\np[1] = 0;\np[2] = 1;", "p[2]"),
    "local memory": ("near[n] = 1; out[0] = near[0];", "near[n]: index 4"),
    "local array": ("__local int l[3];\nl[n - 1] = 1; out[0] = l[0];", "l[n - 1]: index 3"),
    "vload": ("int4 v = vload4(0, in);\nv += vload4(0, in + 1); out[0] = v.x;", "vload4(0, in + 1)"),
    "vload by index": (
        "int2 v = vload2(1, in);\nv += vload2(n - 2, in); out[0] = v.x;",
        "vload2(n - 2, in): index 4",
    ),
    "vload3": ("int3 v = vload3(0, in + 1);\nv += vload3(1, in); out[0] = v.x;", "vload3(1, in): index 3"),
    "vstore": ("vstore4((int4)(1), 0, out);\nvstore4((int4)(1), 0, out + 1);", "vstore4"),
    "vstore to a smaller array": ("int a[3] = {0};\nvstore16((int16)(n), 0, a); out[0] = a[0];", "64 bytes"),
    "vstore before": ("vstore2((int2)(1), -1, out);", "index -2"),
    "atomic": ("atomic_add(out + 3, 1);\natomic_inc(&out[n]);", "atomic_inc(&out[n])"),
    "dereference": ("*(out + n) = 1;", "*(out + n)"),
    "compound assignment": ("int a[4] = {0};\na[n] += 2; out[0] = a[0];", "a[n]"),
    "increment": ("int a[4] = {0}; int k = 3;\na[k++]++;\na[k++]++; out[0] = a[0];", "a[k++]: index 4"),
    "macro's": ("int a[4] = {0};\nPUT(a, n); out[0] = a[0];", "index 4"),
    "an element's index": ("int a[4] = {3, 4, 5, 6};\nout[0] = in[a[1]];", "in[a[1]]: index 4"),
    "loop, one too far": ("for (int k = 0; k <= n; ++k)\n    out[k] = k;", "out[k]: index 4"),
    "row in a loop": (
        "int a[2][3] = {{0}};\nfor (int k = 0; k < 2; ++k) out[k] = a[k][n - 1];",
        "a[k][n - 1]: index 3",
    ),
}
# The same within functions: their line, and words.
WRONG_WITHIN = {
    "pointer into an array": ("int a[4] = {0};\nsecond(a + 3); out[0] = a[0];", 4, "p[1]: index 1"),
    "row": ("int a[2][4] = {{0}};\nout[0] = sum(a[0], 5);", 5, "p[k]: index 4"),
    "address": ("int a[4] = {0};\nout[0] = sum(&a[2], 3);", 5, "p[k]: index 2"),
    "variable": ("int a = 0;\nsecond(&a); out[0] = a;", 4, "p[1]: index 1"),
    "struct's pointer": (
        "int a[3] = {0};\nconst Both both = {in, 7, a}, *b = &both;\nout[0] = first_of(b, 4);",
        6,
        "from",
    ),
    "struct's other pointer": (
        "int a[3] = {0};\nBoth both = {in, 7, a};\nwrite(&both, 3); out[0] = a[0];",
        7,
        "to[k]",
    ),
    "struct's pointer, set": (
        "int a[3] = {0};\nBoth both = {in, 7, a}, c;\nboth.to = a + 1; c = both;\nwrite(&c, 2); out[0] = a[0];",
        7,
        "to[k]: index 2",
    ),
    "struct's pointer by name": (
        "int a[3] = {0};\nBoth both = {.to = a, .before = 7, .from = in};\nwrite(&both, 3); out[0] = a[0];",
        7,
        "to[k]",
    ),
    "struct": (
        "int a[3] = {0};\nBoth both = {in, 7, a};\nwrite(&both + 1, 0); out[0] = a[0];",
        7,
        "both->to",
    ),
    "global": ("pass_on(out, n);", 8, "out[k]: index 4"),
    "part of a buffer": ("pass_on(out + 3, 1);", 8, "out[k]: index 1"),
}


def report(ctx, body: str, **sizes: int) -> str:
    with pytest.raises(OutOfBounds) as found:
        run(ctx, body, **sizes)
    return str(found.value)


@pytest.mark.parametrize("kind", WRONG)
def test_an_overrun_is_reported_at_its_line(ctx, kind):
    body, words = WRONG[kind]
    said = report(ctx, body)
    assert said.startswith(f"test:{LINE + body.count(chr(10))}: "), said
    assert words in said


@pytest.mark.parametrize("kind", WRONG_WITHIN)
def test_an_overrun_within_a_function_is_reported_there(ctx, kind):
    body, line, words = WRONG_WITHIN[kind]
    said = report(ctx, body)
    assert said.startswith(f"test:{line}: "), said
    assert words in said


def test_an_access_half_beyond_is_reported(ctx):
    """Aligned, as GPUs ask for: what is checked is where it ends."""
    said = report(ctx, "__global long *p = (__global long *)out;\np[0] = 0;\np[1] = 1;", ints=3)
    assert said.startswith(f"test:{LINE + 2}: ") and "p[1]: index 1" in said and "8 bytes" in said


def test_an_index_that_overflows_is_reported(ctx):
    """Not what the kernel would touch, but what it should."""
    said = report(ctx, "int many = n << 29;\nout[0] = in[many * 2 + n];")
    assert "does not fit an int" in said or re.search(r"index \d{10}", said)


def test_the_first_of_many_is_told_and_all_are_counted(ctx):
    said = report(ctx, "int a[4] = {0};\nfor (int k = 0; k < 9; ++k)\n    a[k] = 1;\nout[0] = a[0];")
    assert "index 4 " in said and "5 such accesses" in said


RIGHT = """
int a[2][4], s = 0;
for (int k = 0; k < 8; ++k) a[k / 4][k % 4] = k;
int *p = a[1], *end = a[1] + 4, i = 0;
while (p < end) { s += *p; p++; }
p -= 4; s += p[0] + *(p + 3) + sum(a[n & 1], 4) + sum(&a[1][2], 2);
second(a[0] + 2);
Both both = {in, 7, p}, *b = &both;
write(b, i++);
s += first_of(b, 3) + both.from[0] + b->before + (n > 3 ? a[0] : a[1])[3] + i;
int4 v = vload4(0, in);
vstore4(v + (int4)(1, 2, 3, 4), 0, out);
out[3] += s + LANE(v, 3) + convert_int4(as_float4(v)).y;
near[3] = out[3]; out[3] = near[3];
__local int l[2];
l[1] = a[1][0];
vstore2((int2)(5, l[1]), 0, (__global int *)out + 1);
atomic_add(&out[0], 2);
__global const uchar *bytes = (__global const uchar *)in;
out[0] += bytes[12] * 1000 + vload3(1, bytes + 10).z;
"""


def test_what_is_right_is_not_reported_and_gives_what_it_always_does(ctx):
    out = run(ctx, RIGHT)
    program = ctx.build(PREFACE + HEAD + RIGHT + "\n}\n")
    usual = ctx.upload(np.zeros(4, np.int32))
    ctx.cl.Kernel(program, "test")(
        ctx.queue,
        (1,),
        (1,),
        ctx.upload(np.arange(10, 14, dtype=np.int32)),
        usual,
        ctx.cl.LocalMemory(16),
        np.int32(4),
    )
    assert out.tolist() == ctx.download(usual, np.empty(4, np.int32)).tolist()
    assert out[1] == 5 and out[2] == 1


@pytest.mark.parametrize(
    "body, words",
    [
        ("int a[4], k = 0, *p = a + k++;\nout[0] = *p;", "statement of its own"),
        ("int a[4], *p = a;\nout[0] = *p++;", "statement of its own"),
        ("__global int *p = (__global int *)n;\nout[0] = *p;", "which object"),
        ("__global int *p = 0;\nout[0] = *p;", "which object"),
        ("int a[4], *p[2];\np[0] = a;", "arrays of pointers"),
        ("prefetch(in, 4);", "what prefetch does"),
    ],
)
def test_what_it_cannot_follow_is_refused(ctx, body, words):
    """Never passed over: bounds that are not known are an error with the line."""
    with pytest.raises(Unsupported, match=words) as refused:
        run(ctx, body)
    assert re.match(r"test:\d+: ", str(refused.value))


def test_memory_beyond_what_was_asked_for_is_not_its_own(ctx):
    """Pools round up; here a buffer has what was asked for, and new memory holds what no kernel writes."""
    buffer = ctx.empty(12)
    assert buffer.size == 12
    assert (ctx.download(buffer, np.empty(12, np.uint8)) == 0xA5).all()
