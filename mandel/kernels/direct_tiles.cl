// z <- z^2 + c in double precision for CPUs: a work item owns a tile of samples
// and iterates CHAINS explicit vectors at once, so that the latency of one
// fused multiply-add hides behind the others.
//
// 1. Every vector of contiguous samples does FIRST iterations. Where that gets
//    some through, it starts again with a test after every iteration (near the
//    origin, from the third on), to MOST or a little further; samples that are
//    through, and those in the main bulbs, are written out.
// 2. What is left runs in blocks of BLOCK iterations without a test, then one
//    test, after which lanes inside the disc keep their state: no branch when one
//    leaves. When at most SPARSE lanes of a vector are inside the chain takes the
//    next vector; the survivors go on a list, and the list is packed into full
//    vectors and run likewise until it is empty: no lane idles for long.
// 3. The last block is replayed for the exact count by bisection: half a
//    block, a test, a quarter... Outside the disc (R >= 2) z grows for ever or
//    ends as inf or NaN, which test as outside too; so a test at a block's end
//    misses nothing.
// 4. With PAINT the tile's samples, still in the nearest caches, are coloured as
//    well: 1: canvas pixels, 2: bytes of RGB (runs.h).
//
// Interior samples end early when their orbit is proven to be trapped (interior.h).
#include "geometry.h"
#include "interior.h"
#include "runs.h"
#include "smooth.h"
#include "tiles.h"

#ifndef CHAINS
#define CHAINS 4
#endif
#ifndef MOST
#define MOST 17
#endif
#ifndef BLOCK
#define BLOCK 16
#endif
#ifndef FIRST
#define FIRST 8
#endif
#ifndef SPARSE
#define SPARSE 2
#endif
#ifndef TILE
#define TILE 256  // vectors
#endif
// States of a sample in n[]: iterations done (>= 0), or one of these.
#define INTERIOR -1
#define WRITTEN -2

__kernel __attribute__((reqd_work_group_size(1, 1, 1), vec_type_hint(V)))
void direct_tiles(__global const double *across, __global const double *down,
                  int cols, int rows, int maxiter, double bailout, int per_tile,
                  __global int *count, __global float *frac
#if PAINT
                  , __global const uint *ring, int size, float density, float offset,
                  int base, __global PAINTED *painted
#endif
                  )
{
    const Task task = {across, down, count, frac, cols, rows, maxiter}, *t = &task;
    const int per_row = (cols + WIDTH - 1) / WIDTH;
    const long begin = (long)get_global_id(0) * per_tile, all_vectors = (long)per_row * rows;
    const int vectors = (int)min((long)per_tile, all_vectors - begin);
    const V limit = (V)(bailout * bailout);
    // Where |c| <= 2.5: |z_3| < 80, so that tests of the first three find all inside.
    const V harmless = (V)(bailout >= 80 ? 6.25 : -1.0);

    double xs[TILE * WIDTH], ys[TILE * WIDTH];
    int ns[TILE * WIDTH];
    int col[TILE + CHAINS], row[TILE + CHAINS];  // of each vector's first sample
    int todo[TILE];                 // vectors that need more iterations
    int list[2][TILE * WIDTH / 2];  // samples that were left when their vector was given up
    int todos = 0;
    bool early = true;  // whether samples about here are through within MOST iterations

    int i = (int)(begin % per_row) * WIDTH, j = (int)(begin / per_row);
    for (int v = 0; v < vectors; v += CHAINS) {
        V x[CHAINS], y[CHAINS], a[CHAINS], b[CHAINS];
        K n[CHAINS];
        M bulb[CHAINS], out[CHAINS];
        M through = (M)(0), inside = (M)(-1);
        EACH {
            col[v + g] = i;
            row[v + g] = j;
            if (v + g < vectors - 1) {  // beyond the end: the last one again
                i += WIDTH;
                if (i >= cols) { i = 0; ++j; }
            }
            points_at(t, col[v + g], row[v + g], &a[g], &b[g]);
            bulb[g] = in_main_bulbs(a[g], b[g]);
            inside &= bulb[g];
            x[g] = a[g];
            y[g] = b[g];
        }
        if (all(inside)) {
            EACH if (v + g < vectors)
                write(t, col[v + g], row[v + g], (K)(maxiter + 1), (F)(0.0f), (K)(-1));
            continue;
        }
        int done = FIRST;
        if (!early) {
            STEPS(FIRST - 1, x, y, a, b)
            EACH early |= any(!(fma(x[g], x[g], y[g] * y[g]) <= limit));
            EACH if (early) { x[g] = a[g]; y[g] = b[g]; }
        }
        V norm[CHAINS], turn[CHAINS];
        EACH { norm[g] = (V)(0.0); turn[g] = (V)(1.0); out[g] = bulb[g]; }
        if (early) {
            M in[CHAINS];
            M left = (M)(-1), tame = (M)(-1);
            EACH {
                norm[g] = fma(x[g], x[g], y[g] * y[g]);
                in[g] = norm[g] <= limit;
                tame &= norm[g] <= harmless;
            }
            done = 1;
            if (all(tame)) {
                STEPS(2, x, y, a, b)
                done = 3;
            }
            while (done < MOST && any(left)) {
                _Pragma("unroll") for (int k = 1; k <= 4; ++k) {
                    STEPS(1, x, y, a, b)
                    _Pragma("unroll") EACH {
                        const V now = fma(x[g], x[g], y[g] * y[g]);
                        norm[g] = select(norm[g], now, in[g]);
                        turn[g] = select(turn[g], (V)(done + k), in[g]);
                        in[g] = now <= limit;
                    }
                }
                done += 4;
                left = (M)(0);
                EACH left |= in[g] & !bulb[g];
            }
            EACH {
                out[g] = !in[g] | bulb[g];
                through |= out[g];
            }
            early = any(through);
        }
        EACH {
            const M pad = LANES >= (M)(cols - col[v + g]);
            if (v + g < vectors && !all(out[g] | pad)) {
                STORE(x[g], xs + (v + g) * WIDTH);
                STORE(y[g], ys + (v + g) * WIDTH);
                STORE(select((K)(done), (K)(WRITTEN), TO_K(out[g] | pad)), ns + (v + g) * WIDTH);
                todo[todos++] = v + g;
            }
            through |= out[g];
        }
        if (!any(through)) continue;
        EACH {
            const K first = TO_K(turn[g]), in = TO_K(bulb[g]) | (first > maxiter);
            const F f = vector_smooth_frac(norm[g]);
            if (v + g < vectors && any(out[g]))
                write(t, col[v + g], row[v + g], select(first, (K)(maxiter + 1), in),
                      select(f, (F)(0.0f), in), TO_K(out[g]));
        }
    }

    // Blocks: pass 0 takes the vectors of todo, later passes lists of samples.
    int waiting = todos, failed = 0, skipped = 0;
    int calm = 0;  // looks since the last orbit that returned
    for (int pass = 0; waiting > 0; ++pass) {
        const __private int *from = list[pass & 1];
        __private int *to = list[(pass + 1) & 1];
        int taken = 0, left = 0, busy = 0;
        V x[CHAINS], y[CHAINS], a[CHAINS], b[CHAINS];   // the orbits; NAN: the lane is through
        V kx[CHAINS], ky[CHAINS];                       // kept: the last that was inside
        V ox[CHAINS], oy[CHAINS];                       // some blocks ago, to see orbits return
        K n[CHAINS], who[CHAINS];                       // iterations done at what is kept; which samples
        int blocks[CHAINS], due[CHAINS], last[CHAINS];  // counts of blocks
        int few[CHAINS];                                // lanes left at which the vector is given up
        bool held[CHAINS];
        const int sparse = pass == 0 || waiting > 2 * CHAINS * WIDTH ? SPARSE : 0;
        EACH {
            x[g] = y[g] = a[g] = b[g] = (V)(NAN);  // an empty chain asks for work at its first test
            n[g] = (K)(0);
            blocks[g] = few[g] = 0;
            due[g] = INT_MAX;
            held[g] = false;
        }
        do {
            STEPS(BLOCK, x, y, a, b)
            _Pragma("unroll") EACH {
                M in = fma(x[g], x[g], y[g] * y[g]) <= limit;
                kx[g] = select(kx[g], x[g], in);
                ky[g] = select(ky[g], y[g], in);
                n[g] += TO_K(in) & BLOCK;
                if (++blocks[g] < due[g] && lanes_set(in) > few[g]) continue;

                if (blocks[g] >= due[g]) {
                    const V u = x[g] - ox[g], v = y[g] - oy[g], moved = fma(u, u, v * v);
                    const M near = in & (moved < (V)(NEAR * NEAR));
                    M inner = in & TO_M(n[g] >= maxiter);
                    calm = any(near) ? 0 : calm + 1;
                    // Where proofs keep failing, as near slowly attracting cycles, few are tried.
                    if (PROOF && any(near) && (failed < 2 || ++skipped % 32 == 0)) {
                        const int trial = TRIAL(blocks[g] * BLOCK);
                        const M bound = trapped(x[g], y[g], a[g], b[g], moved, near, trial);
                        failed = any(bound) ? 0 : failed + 1;
                        inner |= bound;
                    }
                    if (any(inner)) {
                        n[g] = select(n[g], (K)(INTERIOR), TO_K(inner));
                        x[g] = select(x[g], (V)(NAN), inner);
                        in &= !inner;
                    }
                    ox[g] = x[g];
                    oy[g] = y[g];
                    due[g] = blocks[g] < last[g] ? min(blocks[g] + gap_after(blocks[g]), last[g]) : blocks[g] + 1;
                    if (lanes_set(in) > few[g]) continue;
                }

                // Give the vector up and take the next.
                if (held[g]) {
                    --busy;
                    int id[WIDTH], here[WIDTH];
                    STORE(who[g], id);
                    if (pass == 0) {
                        STORE(kx[g], xs + id[0]);
                        STORE(ky[g], ys + id[0]);
                        STORE(n[g], ns + id[0]);
                    } else {
                        double px[WIDTH], py[WIDTH];
                        int pn[WIDTH];
                        STORE(kx[g], px);
                        STORE(ky[g], py);
                        STORE(n[g], pn);
                        for (int l = 0; l < WIDTH; ++l)
                            if (id[l] >= 0) { xs[id[l]] = px[l]; ys[id[l]] = py[l]; ns[id[l]] = pn[l]; }
                    }
                    if (any(in)) {
                        STORE(TO_K(in), here);
                        for (int l = 0; l < WIDTH; ++l) {
                            to[left] = id[l];
                            left -= here[l];
                        }
                    }
                }
                blocks[g] = 0;
                held[g] = taken < waiting;
                if (!held[g]) {
                    x[g] = (V)(NAN);
                    due[g] = INT_MAX;
                    few[g] = -1;
                    continue;
                }
                ++busy;
                few[g] = sparse;
                if (pass == 0) {
                    const int v = todo[taken++];
                    points_at(t, col[v], row[v], &a[g], &b[g]);
                    who[g] = v * WIDTH + TO_K(LANES);
                    n[g] = LOAD(ns + v * WIDTH);
                    if (PROOF)
                        n[g] = select(n[g], (K)(INTERIOR), (n[g] >= 0) & TO_K(in_small_discs(a[g], b[g])));
                    x[g] = select((V)(NAN), LOAD(xs + v * WIDTH), TO_M(n[g] >= 0));
                    y[g] = LOAD(ys + v * WIDTH);
                    last[g] = (maxiter - FIRST + BLOCK - 1) / BLOCK;
                } else {
                    double px[WIDTH], py[WIDTH], pa[WIDTH], pb[WIDTH];
                    int id[WIDTH], pn[WIDTH], most = 0;
                    for (int l = 0; l < WIDTH; ++l) {
                        const bool any_left = taken < waiting;
                        const int s = any_left ? from[taken++] : 0, v = s / WIDTH;
                        const double2 c =
                            sample_at(across, down, min(col[v] + s % WIDTH, cols - 1), row[v], cols, rows);
                        id[l] = any_left ? s : -1;
                        px[l] = any_left ? xs[s] : NAN;
                        py[l] = ys[s];
                        pn[l] = ns[s];
                        most = max(most, any_left ? pn[l] : 0);
                        pa[l] = c.x;
                        pb[l] = c.y;
                    }
                    who[g] = LOAD(id);
                    x[g] = LOAD(px);
                    y[g] = LOAD(py);
                    a[g] = LOAD(pa);
                    b[g] = LOAD(pb);
                    n[g] = LOAD(pn);
                    last[g] = (maxiter - most + BLOCK - 1) / BLOCK;
                }
                due[g] = max(min(calm < CALM ? GAP : LATE_GAP, last[g]), 1);
                kx[g] = ox[g] = x[g];
                ky[g] = oy[g] = y[g];
            }
        } while (busy > 0);
        waiting = left;
    }

    for (int f = 0; f < todos; f += CHAINS) {
        V x[CHAINS], y[CHAINS], a[CHAINS], b[CHAINS];
        K n[CHAINS], was[CHAINS];
        int at[CHAINS];
        EACH {
            at[g] = todo[min(f + g, todos - 1)];
            points_at(t, col[at[g]], row[at[g]], &a[g], &b[g]);
            x[g] = LOAD(xs + at[g] * WIDTH);
            y[g] = LOAD(ys + at[g] * WIDTH);
            n[g] = was[g] = LOAD(ns + at[g] * WIDTH);
        }
        BISECT(BLOCK / 2, x, y, a, b, n)
        STEPS(1, x, y, a, b)
        EACH {
            const K inside = (was[g] == INTERIOR) | (n[g] + 1 > maxiter);
            const F part = vector_smooth_frac(fma(x[g], x[g], y[g] * y[g]));
            if (f + g < todos)
                write(t, col[at[g]], row[at[g]], select(n[g] + 1, (K)(maxiter + 1), inside),
                      select(part, (F)(0.0f), inside), was[g] != WRITTEN);
        }
    }

#if PAINT
    const long after = begin + vectors;
    const int first = (int)(begin / per_row) * cols + (int)(begin % per_row) * WIDTH;
    const int end = (int)(after / per_row) * cols + (int)(after % per_row) * WIDTH;
    paint(count, frac, first, end, maxiter, ring, size, density, offset, base, painted);
#endif
}
