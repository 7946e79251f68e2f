// Many iterations in one step for samples that have just rebased, as a polynomial in two variables: the return map.
//
// A sample at m = 0 with z has w = z^2 + c after one iteration, and after k iterations a power series in w and c about
// Z_k. Where Z_k is near 0, a *dip*, most samples come near 0 again, rebase there and take the same polynomial again.
// Near a minibrot it is the minibrot's own map. Blocks (blocks.h) cannot do this: they neglect z^3 and z c.
//
// LEAST: a map of fewer iterations would save less than its coefficients cost.
//
// The host lists the dips that are nearer to 0 than all before. The latest is taken for which the map holds for samples
// that rebased at the dip before: for |w| up to |Z|^2 there. Then |w| may become as large as the series allows.
//
// GROUP work items share the terms; all else they do alike. Results do not depend on GROUP: sums are always made in
// the same order.
#define WIDTH 1
#include "lanes.h"
#include "return_map.h"
#include "upper_bound.h"

#ifndef GROUP
#define GROUP 1
#endif
#define TERMS ((RETURN_DEGREE + 1) * RETURN_COLUMNS)
#define EACH_TERM(t) for (int t = get_local_id(0); t < TERMS; t += GROUP)
#define LINEAR RETURN_TERM(1, 0)
// What the terms leave out, the *rest*, is at most this part of the linear term in w. perturb.cl tests it once more for
// each sample. No step on the way may have more than LAST_REST.
#define MOST_REST 0x1p-48
#define LAST_REST 0x1p-20
// Of a sum of terms: more than what rounding adds to it, here and where a sample is put in.
#define ROUNDING 0x1p-50
// Smaller coefficients would become slow denormal numbers.
#define LEAST_TERM 0x1p-900

// With v = w / 2^w_exponent and u = c / 2^unit_exponent, both at most 1. Writes entry 0: the iterations k, w_exponent;
// k is 0 where there is no map. Entry 1: the rest, and how much rounding adds at |v| = 1; entry 2: how much it adds at
// v = 0. Then the terms, where return_map.h says.
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void return_map(int unit_exponent, int dips, __global const int *dip, __global const double2 *orbit,
                __global double2 *map)
{
    __local double2 term[TERMS], made[TERMS];
    __local double size[TERMS], later[TERMS];  // of a term; the sum of those of the same power of w from it on
    __local double left_out[TERMS];  // of the square, by the products of a term with later ones
    __local int columns[RETURN_DEGREE + 1];
    const int own = get_local_id(0);
    bool found = false;
    if (own == 0) map[0] = as_double2((int4)(0, 0, 0, 0));
    for (int i = dips - 1; i >= 0 && !found; --i) {
        const int length = dip[i];
        if (length < LEAST) break;
        const double2 nearest = orbit[i > 0 ? dip[i - 1] : length];
        const double square_there = fma(nearest.x, nearest.x, nearest.y * nearest.y);
        int w_exponent = max(exponents(square_there) + (i > 0 ? 1 : 3), unit_exponent + 1);
        for (bool good = true; good; ++w_exponent) {
            const int octaves = w_exponent - unit_exponent;
            double rest = 0, with_w = 0, only_c = 0;
            double2 z;
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int j = own; j <= RETURN_DEGREE; j += GROUP) columns[j] = return_columns(j, octaves);
            EACH_TERM(t) term[t] = (double2)(t == LINEAR ? power2(w_exponent) : 0.0, 0.0);
            for (int m = 1;; ++m) {
                EACH_TERM(t) size[t] = upper_bound(term[t]);
                barrier(CLK_LOCAL_MEM_FENCE);
                with_w = only_c = 0;
                for (int t = 0; t < RETURN_COLUMNS; ++t) only_c += size[t];
                for (int t = RETURN_COLUMNS; t < TERMS; ++t) with_w += size[t];
                const double sum = only_c + with_w;
                z = orbit[m];
                const double z_size = upper_bound(z);
                // No sample may escape on the way.
                good = sum + rest + z_size < 2 && rest <= (m < length ? LAST_REST : MOST_REST) * size[LINEAR];
                if (!good || m == length) break;
                for (int j = own; j <= RETURN_DEGREE; j += GROUP) {
                    double sum_of = 0;
                    for (int k = RETURN_COLUMNS - 1; k >= 0; --k)
                        later[RETURN_TERM(j, k)] = sum_of += size[RETURN_TERM(j, k)];
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                EACH_TERM(t) {
                    const int j = t / RETURN_COLUMNS, k = t % RETURN_COLUMNS;
                    double2 square = (double2)(0.0, 0.0);
                    double beyond = 0;
                    if (k < columns[j]) {
                        for (int p = 0; p <= RETURN_DEGREE; ++p) {
                            const int from = j + p > RETURN_DEGREE ? 0 : max(columns[j + p] - k, 0);
                            if (from < columns[p]) beyond += later[RETURN_TERM(p, from)];
                        }
                        for (int p = 0; 2 * p <= j; ++p) {
                            if (2 * p == j) square *= 2;  // all before are there twice
                            for (int q = max(k - columns[j - p] + 1, 0); q <= min(k, columns[p] - 1); ++q) {
                                const int one = RETURN_TERM(p, q), other = RETURN_TERM(j - p, k - q);
                                const double2 a = term[one], b = term[other];
                                square.x = fma(a.x, b.x, fma(-a.y, b.y, square.x));
                                square.y = fma(a.x, b.y, fma(a.y, b.x, square.y));
                            }
                        }
                        if (j % 2) square *= 2;
                        const double2 a = 2 * z, b = term[t];
                        square.x = fma(a.x, b.x, fma(-a.y, b.y, square.x));
                        square.y = fma(a.x, b.y, fma(a.y, b.x, square.y));
                        if (t == RETURN_TERM(0, 1)) square.x += power2(unit_exponent);
                        if (fmax(fabs(square.x), fabs(square.y)) < LEAST_TERM) square = (double2)(0.0, 0.0);
                    }
                    made[t] = square;
                    left_out[t] = size[t] * beyond;
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                rest *= 2 * (z_size + sum) + rest;
                for (int t = 0; t < TERMS; ++t) rest += left_out[t];
                EACH_TERM(t) term[t] = made[t];
            }
            if (!good) break;
            found = true;
            if (own == 0) {
                map[0] = as_double2((int4)(length, w_exponent, 0, 0));
                map[1] = (double2)(rest, ROUNDING * with_w);
                map[2] = (double2)(ROUNDING * (only_c + upper_bound(z)), 0.0);
            }
            EACH_TERM(t) map[RETURN_HEAD + t] = term[t];
        }
    }
}
