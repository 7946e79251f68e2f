// Perturbation about one reference orbit Z_m, with rebasing and second-order BLA.
//
// A sample's orbit is Z_m + z. WIDTH neighbouring samples walk in lockstep: they
// share the reference index m and the count n, so that tables are read once and
// broadcast. Where some rebase and others do not, the group splits; one part
// goes on, the other is parked and taken up again later.
//
// DEEP: z = w 2^e with one exponent e per group while z is too small for double
// (e == 0 means plain double), likewise the derivative d = dd 2^g.
#include "geometry.h"
#include "lanes.h"
#include "smooth.h"

#define LOW_MASK ((1 << LOW) - 1)
#define NORM(x, y) fma(x, x, (y) * (y))

// 2^k, or 0 below the range of normal numbers.
inline double power2(int k)
{
    return k < -1022 ? 0.0 : as_double((long)(min(k, 1023) + 1023) << 52);
}

// About 4096 log2(v), rounded down, for v >= 0: comparable with the table's reach.
inline int rough_log(double v)
{
    return (int)(as_long(v) >> 40) - (1023 << 12);
}

// Where the table holds the blocks that start at m = 1 + (s << LOW), smallest first.
inline int first_block(int s, int tops)
{
    return s == 0 ? 0 : tops + 2 * (s - 1) - (int)popcount(s - 1);
}

// Where value is in an ascending list, or -1.
inline int find(__global const int *list, int length, int value)
{
    int low = 0, high = length - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (list[middle] < value) low = middle + 1; else high = middle;
    }
    return list[low] == value ? low : -1;
}

__kernel
#if WIDTH > 1
__attribute__((vec_type_hint(V)))
#endif
void perturb(__global const double *across, __global const double *down, __global const double *spacing,
             int cols, int rows, double scale, int scale_exponent, int maxiter, double bailout,
             int last, int wrap, __global const double2 *orbit, __global const int *orbit_exponent,
             int edges, __global const int *edge, __global const double *edge_gap,
             __global const int *edge_exponent,
             int tops, __global const double8 *blocks, __global const int *reach,
             __global const double8 *deep_blocks, __global const int *deep_reach,
             int start, double start_x, double start_y, int start_exponent,
             __global int *count, __global float *frac
#if DISTANCE
             , __global float *distance
#endif
#if SLOPE
             , __global float2 *slope
#endif
             )
{
    const int i0 = get_global_id(0) * TILE_COLS, j0 = get_global_id(1) * TILE_ROWS;
    const double limit = bailout * bailout;
    V cx = 0, cy = 0;
    M pending = 0;
#if DERIVATIVE
    V unit = 0;
#endif
    for (int k = 0; k < WIDTH; ++k) {
        const int i = i0 + k % TILE_COLS, j = j0 + k / TILE_COLS;
        if (i < cols && j < rows) {
            const double2 c = sample_at(across, down, i, j, cols, rows);
            LANE_D(cx, k) = c.x * scale;
            LANE_D(cy, k) = c.y * scale;
            LANE_L(pending, k) = -1;
#if DERIVATIVE
            LANE_D(unit, k) = spacing[j] * scale;
#endif
        }
    }
    pending = pending != 0;
    // In plain double c is what is left of it there: 0 below 1e-308.
    const double plain = power2(scale_exponent);
    const V px = cx * plain, py = cy * plain;

    V x = fma((V)(start_x), cx, -(start_y * cy)), y = fma((V)(start_x), cy, start_y * cx);
    int m = start, n = start, e = start_exponent + scale_exponent;
    V parked_x = x, parked_y = y;
    M parked_m = m, parked_n = n, parked_e = e;
#if DERIVATIVE
    V dx = start_x * unit, dy = start_y * unit;
    V parked_dx = dx, parked_dy = dy;
    int g = e;
    M parked_g = g;
#endif
    // A cycle test at rebases: a sample that comes back to the very same state
    // can never leave. seen_n doubles, after Brent.
    V seen_x = NAN, seen_y = NAN;
    M seen_n = 1, seen_e = 0;

    while (ANY(pending)) {
        int leader = 0;
        while (leader < WIDTH - 1 && !LANE_L(pending, leader)) ++leader;
        m = (int)LANE_L(parked_m, leader);
        n = (int)LANE_L(parked_n, leader);
        e = (int)LANE_L(parked_e, leader);
        M active = pending & (parked_m == (M)m) & (parked_n == (M)n) & (parked_e == (M)e);
        x = parked_x;
        y = parked_y;
#if DERIVATIVE
        g = (int)LANE_L(parked_g, leader);
        active = active & (parked_g == (M)g);
        dx = parked_dx;
        dy = parked_dy;
        double unit_factor = power2(scale_exponent - g);
#endif
        while (ANY(active)) {
            if (n >= maxiter) {
                for (int k = 0; k < WIDTH; ++k)
                    if (LANE_L(active, k)) {
                        const size_t at = (size_t)(j0 + k / TILE_COLS) * cols + i0 + k % TILE_COLS;
                        count[at] = maxiter + 1;
                        frac[at] = 0;
#if DISTANCE
                        distance[at] = 0;
#endif
#if SLOPE
                        slope[at] = (float2)(0.0f, 0.0f);
#endif
                    }
                pending = pending & NOT(active);
                break;
            }
            // The longest block that every sample of the group may take.
            int level = -1, block = 0;
            if (m > 0 && ((m - 1) & LOW_MASK) == 0) {
                const int s = (m - 1) >> LOW;
                block = first_block(s, tops);
                const int most = s == 0 ? tops : min(32 - (int)clz(s & -s), tops);
                const V size = active ? NORM(x, y) : (V)(0.0);
                const int size_log = rough_log(greatest(size)) + 8192 * e;
                __global const int *allowed = reach + block;
#if DEEP
                if (e != 0) allowed = deep_reach + block;
#endif
                while (level + 1 < most && size_log < allowed[level + 1]) ++level;
                block += level;
            }
            const V old_x = x, old_y = y;
            const int length = level < 0 ? 1 : 1 << (LOW + level);
#if DERIVATIVE
            const V old_dx = dx, old_dy = dy;
#endif
#if DEEP
            const int old_e = e;
            if (e != 0) {
                double2 a, b = (double2)(1.0, 0.0), d;
                int ea, eb = 0, ed;
                if (level < 0) {
                    a = 2 * orbit[m];
                    ea = m == 0 ? -(1 << 28) : orbit_exponent[m];  // Z_0 = 0
                    d = b;
                    ed = 0;
                } else {
                    const double8 t = deep_blocks[block];
                    a = t.s01; b = t.s23; d = t.s45;
                    const int4 exponents = as_int4(t.s67);
                    ea = exponents.x; eb = exponents.y; ed = exponents.z;
                }
                // (a + d z) z + b c, in units of 2^(e + top)
                const int ec = eb + scale_exponent, top = max(max(ea, ed + e), ec - e);
                a *= power2(ea - top);
                d *= power2(ed + e - top);
                const double2 bc = b * power2(ec - e - top);
                const V tx = fma((V)(d.x), x, fma((V)(-d.y), y, (V)(a.x)));
                const V ty = fma((V)(d.x), y, fma((V)(d.y), x, (V)(a.y)));
                const V rx = fma(tx, x, fma(-ty, y, fma((V)(bc.x), cx, -(bc.y * cy))));
                y = fma(tx, y, fma(ty, x, fma((V)(bc.x), cy, bc.y * cx)));
                x = rx;
#if DERIVATIVE
                // (a + 2 d z) dz + b, in units of 2^(g + top_g)
                const int top_g = max(top, ec - g);
                const double fit = power2(top - top_g);
                const double2 bu = b * power2(ec - g - top_g);
                const V ux = (tx + fma((V)(d.x), old_x, -(d.y * old_y))) * fit;
                const V uy = (ty + fma((V)(d.x), old_y, d.y * old_x)) * fit;
                const V vx = fma(ux, dx, fma(-uy, dy, bu.x * unit));
                dy = fma(ux, dy, fma(uy, dx, bu.y * unit));
                dx = vx;
                g += top_g;
#endif
                e += top;
            } else
#endif
            if (level < 0) {
                double2 z = orbit[m];
#if DEEP
                z *= power2(orbit_exponent[m]);
#endif
                const V tx = fma((V)(2.0), (V)(z.x), x), ty = fma((V)(2.0), (V)(z.y), y);
                const V rx = fma(tx, x, fma(-ty, y, px));
                y = fma(tx, y, fma(ty, x, py));
                x = rx;
#if DERIVATIVE
                const V ux = tx + old_x, uy = ty + old_y;
                const V vx = fma(ux, dx, fma(-uy, dy, unit_factor * unit));
                dy = fma(ux, dy, uy * dx);
                dx = vx;
#endif
            } else {
                const double8 t = blocks[block];
                const V tx = fma((V)(t.s4), x, fma((V)(-t.s5), y, (V)(t.s0)));
                const V ty = fma((V)(t.s4), y, fma((V)(t.s5), x, (V)(t.s1)));
                const V rx = fma(tx, x, fma(-ty, y, fma((V)(t.s2), px, -(t.s3 * py))));
                y = fma(tx, y, fma(ty, x, fma((V)(t.s2), py, t.s3 * px)));
                x = rx;
#if DERIVATIVE
                const V ux = tx + fma((V)(t.s4), old_x, -(t.s5 * old_y));
                const V uy = ty + fma((V)(t.s4), old_y, t.s5 * old_x);
                const V w = unit_factor * unit;
                const V vx = fma(ux, dx, fma(-uy, dy, t.s2 * w));
                dy = fma(ux, dy, fma(uy, dx, t.s3 * w));
                dx = vx;
#endif
            }
            V size = NORM(x, y);
#if DEEP
            if (old_e == 0) {
                if (greatest(active ? size : (V)(0.0)) < 0x1p-1000) {
                    // Too small for plain double: the same step again, scaled.
                    e = -500;
                    x = old_x * 0x1p500;
                    y = old_y * 0x1p500;
#if DERIVATIVE
                    dx = old_dx;
                    dy = old_dy;
#endif
                    continue;
                }
            } else {
                const double most = greatest(active ? size : (V)(0.0));
                if (most > 0) {
                    int shift = (int)(as_long(most) >> 53) - 511;
                    if (e + shift > -480) shift = -e;
                    if (shift == -e || abs(shift) > 100) {
                        const double factor = power2(-shift);
                        x *= factor;
                        y *= factor;
                        e += shift;
                        size = NORM(x, y);
                    }
                }
            }
#if DERIVATIVE
            {
                const double most = greatest(active ? fmax(fabs(dx), fabs(dy)) : (V)(0.0));
                if (most > 0x1p200 || most < 0x1p-200 && most > 0) {
                    const int shift = (int)(as_long(most) >> 52) - 1023;
                    dx *= power2(-shift);
                    dy *= power2(-shift);
                    g += shift;
                }
                unit_factor = power2(scale_exponent - g);
            }
#endif
#endif
            m += length;
            n += length;
            double2 z = orbit[m];
            int eu = 0;
            V fx, fy, full, sum_x, sum_y, sum, part;
#if DEEP
            const int ez = orbit_exponent[m];
            if (ez != 0 || e != 0) {
                const double to_plain = power2(e);
                const double2 zp = z * power2(ez);
                fx = fma((V)(to_plain), x, (V)(zp.x));
                fy = fma((V)(to_plain), y, (V)(zp.y));
                full = NORM(fx, fy);
                eu = max(ez, e);
                const double fz = power2(ez - eu), fw = power2(e - eu);
                sum_x = fma((V)(fw), x, (V)(z.x * fz));
                sum_y = fma((V)(fw), y, (V)(z.y * fz));
                sum = NORM(sum_x, sum_y);
                part = size * (fw * fw);
            } else
#endif
            {
                fx = z.x + x;
                fy = z.y + y;
                full = sum = NORM(fx, fy);
                sum_x = fx;
                sum_y = fy;
                part = size;
            }
            M gone = active & NOT(full <= limit), back = active & (sum < part);
            const double square = fma(z.x, z.x, z.y * z.y);
            if (edges > 0 && fabs(square - 4.0) < 0x1p-19) {
                // |Z + z| > 2 where a double of that size cannot tell: by the sign of
                // (|Z|^2 - 4) + 2 Re(conj(Z) z) + |z|^2.
                const int found = find(edge, edges, m);
                if (found >= 0) {
                    const double gap = edge_gap[found] * power2(edge_exponent[found] - e);
                    const V over = fma((V)(2 * z.x), x, fma((V)(2 * z.y), y, gap + size * power2(e)));
                    gone = active & (over > 0);
                }
            }
            const M near = back;
            if (m == last) back = active;
            if (!ANY(gone | back)) continue;

            if (ANY(gone)) {
                for (int k = 0; k < WIDTH; ++k)
                    if (LANE_L(gone, k)) {
                        const size_t at = (size_t)(j0 + k / TILE_COLS) * cols + i0 + k % TILE_COLS;
                        const bool out = n <= maxiter;
                        const double norm = LANE_D(full, k);
                        count[at] = out ? n : maxiter + 1;
                        frac[at] = out ? smooth_frac(norm) : 0.0f;
#if DEEP && DERIVATIVE
                        const double back_to_unit = power2(g);
#elif DERIVATIVE
                        const double back_to_unit = 1.0;
#endif
#if DISTANCE
                        distance[at] = out
                            ? smooth_distance(norm, LANE_D(dx, k) * back_to_unit,
                                              LANE_D(dy, k) * back_to_unit)
                            : 0.0f;
#endif
#if SLOPE
                        slope[at] = out
                            ? smooth_slope(LANE_D(fx, k), LANE_D(fy, k), LANE_D(dx, k), LANE_D(dy, k))
                            : (float2)(0.0f, 0.0f);
#endif
                    }
                active = active & NOT(gone);
                pending = pending & NOT(gone);
                back = back & active;
            }
            if (ANY(back)) {
                // At the end of an orbit that repeats, z goes on as it is from index wrap.
                const M stay = m == last && wrap > 0 ? back & NOT(near) : (M)0;
                const V new_x = stay ? x : sum_x, new_y = stay ? y : sum_y;
                const M new_e = stay ? (M)e : (M)eu;
                const M same = back & (new_x == seen_x) & (new_y == seen_y) & (new_e == seen_e);
                const M save = back & ((M)n >= 2 * seen_n);
                seen_x = save ? new_x : seen_x;
                seen_y = save ? new_y : seen_y;
                seen_e = save ? new_e : seen_e;
                seen_n = save ? (M)n : seen_n;
                parked_x = back ? new_x : parked_x;
                parked_y = back ? new_y : parked_y;
                parked_e = back ? new_e : parked_e;
                parked_m = back ? (stay ? (M)wrap : (M)0) : parked_m;
                // Interior: what is left of its iterations changes nothing.
                parked_n = back ? (same ? (M)maxiter : (M)n) : parked_n;
#if DERIVATIVE
                parked_dx = back ? dx : parked_dx;
                parked_dy = back ? dy : parked_dy;
                parked_g = back ? (M)g : parked_g;
#endif
                active = active & NOT(back);
            }
        }
    }
}
