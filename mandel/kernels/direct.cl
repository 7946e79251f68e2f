// z <- z^2 + c in double precision, one work item per sample.
//
// BLOCK iterations run without a bail-out test; then |z| is tested. The block in which z escaped is replayed for the
// exact count. Once outside the disc (R >= 2), z grows for ever or becomes inf or NaN, which also test as outside: a
// late test misses nothing.
#define WIDTH 1
#include "geometry.h"
#include "interior.h"
#include "outputs.h"
#include "rounds.h"

#ifndef BLOCK
#define BLOCK 16
#endif

#define STEP { const double t = fma(x, x, fma(-y, y, a)); y = fma(x + x, y, b); x = t; }
#if DERIVATIVE
#define STEP_D { const double u = 2 * fma(x, dx, -(y * dy)) + unit; dy = 2 * fma(x, dy, y * dx); dx = u; STEP }
#else
#define STEP_D STEP
#endif

// What a sample keeps between rounds.
#if DERIVATIVE
ASSERT(DIRECT_DERIVATIVE_STATE == 7);
#else
ASSERT(DIRECT_STATE == 5);
#endif
#define STATE(k) kept[(size_t)(k) * cols * rows + at]

__kernel void direct(__global const double *across, __global const double *down,
                     __global const double *spacing, int cols, int rows, int maxiter, double bailout,
                     OUTPUT_PARAMETERS ROUND_PARAMETERS)
{
    const int i = get_global_id(0), j = get_global_id(1);
    if (i >= cols || j >= rows) return;
    const size_t at = (size_t)j * cols + i;
    const double2 c = sample_at(across, down, i, j, cols, rows);
    const double a = c.x, b = c.y, limit = bailout * bailout;
    double x = 0, y = 0, x0 = 0, y0 = 0, old_x = 0, old_y = 0;
    double dx = 0, dy = 0;
#if DERIVATIVE
    const double unit = spacing[j];
    double dx0 = 0, dy0 = 0;
#endif
    int n = in_main_bulbs(a, b) ? maxiter : 0, due = GAP;
#if ROUNDS
    if (again) {
        const long counts = STATE(0);
        n = upper(counts);
        due = lower(counts);
        if (n < 0) return;
        x = as_double(STATE(1)); y = as_double(STATE(2));
        old_x = as_double(STATE(3)); old_y = as_double(STATE(4));
#if DERIVATIVE
        dx = as_double(STATE(5)); dy = as_double(STATE(6));
#endif
    }
#endif
    int blocks = n / BLOCK;
    bool out = false;
    while (!out && n < maxiter) {
#if ROUNDS
        if (--budget < 0) {
            STATE(0) = packed(n, due);
            STATE(1) = as_long(x); STATE(2) = as_long(y);
            STATE(3) = as_long(old_x); STATE(4) = as_long(old_y);
#if DERIVATIVE
            STATE(5) = as_long(dx); STATE(6) = as_long(dy);
#endif
            atomic_inc(left_over);
            return;
        }
#endif
        x0 = x; y0 = y;
#if DERIVATIVE
        dx0 = dx; dy0 = dy;
#endif
        for (int k = 0; k < BLOCK; ++k) STEP_D
        out = !(fma(x, x, y * y) <= limit);
        if (out) break;
        n += BLOCK;
        if (++blocks == due) {
            const double u = x - old_x, v = y - old_y, moved = fma(u, u, v * v);
            if (PROOF && moved < NEAR * NEAR) {
                int most = TRIAL(n);
#if ROUNDS
                most = min(most, max(budget, LEAST_TRIAL / BLOCK) * BLOCK);
                budget -= most / BLOCK;
#endif
                if (trapped(x, y, a, b, moved, 1, most)) break;
            }
            due += gap_after(blocks);
            old_x = x; old_y = y;
        }
    }
#if ROUNDS
    STATE(0) = packed(-1, 0);
#endif
    if (!out) n = maxiter;
    else {
        // Bisection to the last z inside the disc, then one step out of it.
        x = x0; y = y0;
#if DERIVATIVE
        dx = dx0; dy = dy0;
#endif
        for (int part = BLOCK / 2; part > 0; part >>= 1) {
            const double px = x, py = y;
#if DERIVATIVE
            const double pdx = dx, pdy = dy;
#endif
            for (int k = 0; k < part; ++k) STEP_D
            if (fma(x, x, y * y) <= limit) n += part;
            else {
                x = px; y = py;
#if DERIVATIVE
                dx = pdx; dy = pdy;
#endif
            }
        }
        STEP_D
    }
    // All samples end here. A second exit, for the interior, would double the registers (NVIDIA sm_90, derivatives).
    put_escape(at, n + 1, maxiter, fma(x, x, y * y), x, y, dx, dy, 0, OUTPUT_ARGUMENTS);
}
