// Tests that find interior samples without iterating to maxiter. None of them may ever claim an exterior sample:
// every comparison leaves a margin far above its rounding error.
#include "vector.h"

// In the main cardioid or the period-2 disc, the bulbs.
inline M in_main_bulbs(V a, V b)
{
    const V b2 = b * b, p = a - 0.25, q = fma(p, p, b2), r = a + 1.0;
    return (q * (q + p) < 0.25 * b2 - 1e-14) | (fma(r, r, b2) < (V)(0.0625 - 1e-14));
}

// In one of some discs inside the largest components of periods 3 and 4. On the discs' edges the multiplier of the
// cycle stays below 0.985 (tests/render/test_direct.py shows it), hence inside them too.
inline M in_small_discs(V a, V b)
{
    const V s = fabs(b);
    const V p = a + 0.123, q = s - 0.7445, u = a - 0.281, v = s - 0.5312, w = a + 1.3095;
    return (fma(p, p, q * q) < (V)(0.091 * 0.091)) | (fma(u, u, v * v) < (V)(0.042 * 0.042))
         | (fma(w, w, s * s) < (V)(0.0565 * 0.0565));
}

// Proof that an orbit is trapped, that is, never escapes. The proof carries a disc of radius r about z along the
// orbit. A point at distance h from z is mapped to distance |2 z h + h^2| <= 2 |z| h + h^2 from z's image. When, some
// iterations on, the disc lies inside the first one, every later z stays in the discs seen so far: the sample is
// interior, whatever maxiter. GROWN and ADDED exceed all rounding errors, also those of z, so that the rounded orbit
// is trapped as well.
//
// moved: |z - z at the last look|^2. When it is below NEAR^2, the orbit may be near an attracting cycle. The proof
// then tries a disc WIDER times as large as that distance, for at most ``most`` iterations.
#ifndef PROOF
#define PROOF 1  // 0: leaves the proof out, to measure what it saves
#endif
#define NEAR 3e-4
#define WIDER 4.0f
#define LEAST_TRIAL 64
#define TRIAL(done) max(LEAST_TRIAL, (done) / 8)  // iterations worth trying after so many
#define GROWN 1.000002f
#define ADDED 1e-14f

inline M trapped_within(F first, V x, V y, V a, V b, M asked, int most)
{
    M hopeful = asked;
    const V x0 = x, y0 = y;
    F r = first;
    M proven = (M)(0);
    for (int k = 0; k < most && ANY(hopeful); k += 4) {
        for (int l = 0; l < 4; ++l) {
            const F size = sqrt(TO_F(fma(x, x, y * y)));
            r = fma(fma(size, (F)(2.0f), r) * r, (F)(GROWN), (F)(ADDED));
            const V t = fma(x, x, fma(-y, y, a));
            y = fma(x + x, y, b);
            x = t;
            const V u = x - x0, v = y - y0;
            proven |= TO_M(fma(sqrt(TO_F(fma(u, u, v * v))), (F)(GROWN), r) < first);
        }
        hopeful &= (!proven) & TO_M(r < (F)(1.0f));
    }
    return proven & asked;
}

inline M trapped(V x, V y, V a, V b, V moved, M asked, int most)
{
    return trapped_within(fma(sqrt(TO_F(moved)), (F)(WIDER), (F)(1e-9f)), x, y, a, b, asked, most);
}

// Blocks until the next look: about half of those done so far, rounded down to a number that many periods divide.
#define GAP 3
#define LATE_GAP 15  // the first gap after CALM looks at which no orbit had returned
#define CALM 8
inline int gap_after(int blocks)
{
    const int gap = max(blocks / 2, GAP);
    const int unit = gap < 15 ? 3 : gap < 105 ? 15 : gap < 315 ? 105 : gap < 3465 ? 315 : 3465;
    return gap - gap % unit;
}
