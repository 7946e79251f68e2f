// Where the samples of a grid begin: after n iterations, at index m of the reference orbit, with z as a polynomial in c.
//
// From z = 0 on, z is a power series in c. While its first SERIES_TERMS terms hold for every c of the grid, one walk
// along the reference orbit does the iterations of all samples. A sample then begins with the polynomial's value.
//
// z = 2^exponent (term[0] + term[1] u + term[2] u^2 + ...) with u = c / 2^unit_exponent, |u| <= radius <= 1. The walk
// takes the steps that a sample takes: z <- (A + D z) z + B c, of blocks (blocks.h), or with D = B = 1 and A = 2 Z_m.
// It rebases where some sample might have to, and at the end of the orbit: then term[0] becomes other than 0. With it
// goes ``rest``, a bound of what the terms leave out, for |u| = radius. Its least power of u is u^SERIES_TERMS.
//
// An error of z moves a sample by so much divided by its own dz/dc. Start 0 is the last place where dz/dc is about the
// same for all samples: it serves all of them. Near a nucleus dz/dc is many orders less than elsewhere. So a later
// start tells what dz/dc a sample needs to begin there, by its |u|; one that has less takes an earlier start
// (perturb.cl). Starts 1, 2, ... allow the rest to be 1, 2^8, 2^16, ... times too large at the rim, as it is that much
// smaller farther in. In the need is also ``noise``, a bound of the rounding errors since start 0 for each term: where
// terms cancel they are more than what a sample's own steps have.
//
// GROUP work items share the terms; all else they do alike. Results do not depend on GROUP: sums are always made in
// the same order.
#define WIDTH 1
#include "blocks.h"
#include "upper_bound.h"

#ifndef GROUP
#define GROUP 1
#endif
#define EACH_TERM(k) for (int k = get_local_id(0); k < SERIES_TERMS; k += GROUP)
// The rest must stay below 2^-42 of the term in u: less than what a block neglects (EPSILON_BITS in mandel/plan/bla.py).
#define MOST_REST 0x1p-42
// At start 0 both are relative to the linear term, so dz/dc must be about the same for all c: the other terms change it
// by less than MOST_BENT of it. Term 0, there after a rebase, is rounded; it may be 2^8 of the linear term.
#define MOST_BENT 0.9
#define LEVER 0x1p-8
// The walk ends where the error is more than this part of what the largest of the terms of dz/dc allows.
#define LAST_PART 0.5
// The part of the rest that counts for a start: it may be as much too large at the rim.
#define COUNTED(stage) power2(8 - 8 * (stage))
// A start that saves fewer iterations after the one before is not worth another look at a sample.
#define LEAST_GAIN 16
#define ROUNDING 0x1p-53
// Smaller coefficients are nothing beside that of u, which is about 1; they would become slow denormal numbers.
#define LEAST_TERM 0x1p-400

inline double2 product(double2 a, double2 b)
{
    return (double2)(fma(a.x, b.x, -(a.y * b.y)), fma(a.x, b.y, a.y * b.x));
}

// Writes STARTS starts of START_LENGTH numbers each. Number 0: m, n, exponent, number of terms. Number 1, from start 1
// on: how much of dz/du a sample needs for the rest, at |u| = 1; then the most dz/du that a sample may have, or 0 where
// there is no such start. Numbers 2 + 2k: term k. Numbers 3 + 2k: term k of how much of dz/du it needs for the noise.
// Terms beyond their number are not written.
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void common_start(double radius, int unit_exponent, int maxiter, double bailout, int most_steps,
                  int last, int wrap, __global const double2 *orbit, __global const int *orbit_exponent,
                  int tops, __global const double8 *blocks, __global const int *reach,
                  __global double2 *start)
{
    __local double2 term[SERIES_TERMS], made[SERIES_TERMS];
    __local double size[SERIES_TERMS], power[SERIES_TERMS];  // |term| radius^k, radius^k
    __local double noise[SERIES_TERMS], made_noise[SERIES_TERMS];  // of a term, times radius^k
    const int own = get_local_id(0);
    if (own == 0) {
        power[0] = 1;
        for (int k = 1; k < SERIES_TERMS; ++k) power[k] = power[k - 1] * radius;
        start[0] = as_double2((int4)(0, 0, DEEP ? unit_exponent : 0, 0));
        for (int k = 0; k < STARTS; ++k) start[k * START_LENGTH + 1] = (double2)(INFINITY, 0.0);
    }
    EACH_TERM(k) {
        term[k] = (double2)(0.0, 0.0);
        noise[k] = 0;
    }
    int m = 0, n = 0, exponent = unit_exponent;
    double rest = 0;
    int stage = 0;         // the start that is being looked for
    int written = 0, least_n = 0;  // iterations at the last start that was written; at least so many at the next one
    // Whether a sample may have rebased before it had to. Its z may then be large beside its dz/dc, and what blocks
    // neglect of z would be too much.
    bool early = false;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step = 0; step < most_steps; ++step) {
        EACH_TERM(k) size[k] = upper_bound(term[k]) * power[k];
        barrier(CLK_LOCAL_MEM_FENCE);
        double sum = size[0], later = 0, tail = 0;  // tail: of the square, beyond the last term
        double slopes = 0, steepest = 0;            // the terms of dz/du, times radius: their sum, the largest
        double all_noise = noise[0];
        int terms = 1;
        for (int k = 1; k < SERIES_TERMS; ++k) {
            sum += size[k];
            slopes += k * size[k];
            steepest = fmax(steepest, k * size[k]);
            all_noise += noise[k];
            later += size[SERIES_TERMS - k];
            tail = fma(size[k], later, tail);
            if (size[k] > 0x1p-60 * size[1]) terms = k + 1;
        }
        double2 z = orbit[m];
#if DEEP
        int ez = orbit_exponent[m];
#else
        int ez = 0;
#endif
        if (n > 0) {
            const double most = (sum + rest) * power2(exponent);  // of |z|
            // No sample may have escaped.
            if (!(most + upper_bound(z) * power2(ez) < bailout * (1 - 0x1p-40))) break;
            const int before = stage;
            if (stage == 0) {
                const double bent = LEVER * size[0] + (slopes - size[1]);  // by so much may dz/dc differ
                if (!(rest <= MOST_REST * size[1]) || !(bent <= MOST_BENT * size[1])) stage = 1;
            }
            const double most_error = LAST_PART * MOST_REST * steepest;
            while (stage > 0 && stage < STARTS && !(fma(COUNTED(stage), rest, all_noise) <= most_error)) ++stage;
            if (stage == STARTS) break;
            if (stage > before) least_n = written + LEAST_GAIN;
            if (m == last && wrap > 0) {  // a periodic reference goes on from ``wrap``
                m = wrap;
                z = orbit[m];
#if DEEP
                ez = orbit_exponent[m];
#endif
            }
            if (m > 0 && (m == last || (sum + rest) * power2(exponent - ez) > 0.25 * fmax(fabs(z.x), fabs(z.y)))) {
                barrier(CLK_LOCAL_MEM_FENCE);  // all have read the sizes
                early |= stage > 0 && m != last;
                if (own == 0) {
                    term[0] += z * power2(ez - exponent);
                    if (stage > 0) noise[0] += 2 * ROUNDING * upper_bound(term[0]);  // of the orbit's Z, and of the sum
                }
                m = 0;
                continue;
            }
            const double unit = DEEP ? 1.0 : power2(exponent);
            if (n >= least_n) {
                __global double2 *made_start = start + stage * START_LENGTH;
                const double needed = unit / (MOST_REST * radius);
                EACH_TERM(k) if (k < terms) {
                    made_start[2 + 2 * k] = term[k] * unit;
                    made_start[3 + 2 * k] = (double2)(fma(ROUNDING, size[k], noise[k]) / power[k] * needed, 0.0);
                }
                if (own == 0) {
                    made_start[0] = as_double2((int4)(m, n, DEEP ? exponent : 0, terms));
                    if (stage > 0)
                        made_start[1] = (double2)(rest / (power[SERIES_TERMS - 1] * radius) * needed,
                                                  slopes / radius * unit);
                }
                written = n;
            }
            if (n >= maxiter) break;
        }
        int level = -1, block = 0;
        if (!early && ((m - 1) & LOW_MASK) == 0) {
            const int s = (m - 1) >> LOW;
            block = first_block(s, tops);
            const int highest = s == 0 ? tops : min(32 - (int)clz(s & -s), tops);
            const int size_log = rough_log((sum + rest) * (sum + rest)) + (2 << REACH_BITS) * max(exponent, LEAST_EXPONENT);
            while (level + 1 < highest && size_log < reach[block + level + 1]) ++level;
        }
        const int length = level < 0 ? 1 : 1 << (LOW + level);
        double2 a = 2 * z, b = (double2)(1.0, 0.0), d = b;
        int ea = ez, eb = 0, ed = 0;
        if (level >= 0) {
            const double8 t = blocks[block + level];
            a = t.s01; b = t.s23; d = t.s45;
#if DEEP
            const int4 exponents_of = as_int4(t.s67);
            ea = exponents_of.x; eb = exponents_of.y; ed = exponents_of.z;
#endif
        }
        // In units of 2^(exponent + top).
        const int ec = eb + unit_exponent - exponent, top = max(max(ea, ed + exponent), ec);
        a *= power2(ea - top);
        b *= power2(ec - top);
        d *= power2(ed + exponent - top);
        EACH_TERM(k) {
            double2 square = (double2)(0.0, 0.0);
            for (int i = 0; i < (k + 1) / 2; ++i) {
                const double2 p = term[i], q = term[k - i];
                square.x = fma(p.x, q.x, fma(-p.y, q.y, square.x));
                square.y = fma(p.x, q.y, fma(p.y, q.x, square.y));
            }
            square *= 2;
            if (k % 2 == 0) square += product(term[k / 2], term[k / 2]);
            made[k] = product(a, term[k]) + product(d, square);
            if (k == 1) made[k] += b;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        double largest = 0;
        for (int k = 0; k < SERIES_TERMS; ++k) largest = fmax(largest, fmax(fabs(made[k].x), fabs(made[k].y)));
        if (!(largest > 0x1p-1000)) break;
        const int shift = (int)exponents(largest);
        const double factor = power2(-shift), a_size = upper_bound(a), d_size = upper_bound(d);
        if (stage > 0) {
            EACH_TERM(k) {
                double product_noise = 0;  // and the rounding, of 2 term z, without A
                for (int i = 0; i <= k; ++i)
                    product_noise = fma(size[i], fma(2.0, noise[k - i], ROUNDING * size[k - i]), product_noise);
                made_noise[k] = fma(a_size, fma(ROUNDING, size[k], noise[k]), d_size * product_noise);
                if (k == 1) made_noise[k] += ROUNDING * upper_bound(b) * radius;
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            EACH_TERM(k) noise[k] = made_noise[k] * factor;
        }
        rest = fma(fma(d_size, 2 * sum + rest, a_size), rest, d_size * tail) * factor;
        EACH_TERM(k) {
            const double2 t = made[k] * factor;
            term[k] = fmax(fabs(t.x), fabs(t.y)) < LEAST_TERM ? (double2)(0.0, 0.0) : t;
        }
        exponent += top + shift;
        m += length;
        n += length;
    }
}
