// Perturbation about one reference orbit Z_m, with rebasing and second-order BLA.
//
// A sample's orbit is Z_m + z, with the reference orbit Z. WIDTH neighbouring samples, a group, walk in lockstep: they
// share the index m and the count n, so that each entry of a table is read once for all of them. Where some rebase and
// others do not, the group splits: one part goes on, the other is parked (parked.h) until its turn comes.
//
// DEEP: z may be too small for double. While that is so in any lane, the group takes scaled steps: z = w 2^e, with an
// exponent e for each lane, so that no lane's result depends on its neighbours. Otherwise the group takes plain steps,
// with e = 0. In plain steps |z| is 2^PLAIN_Z_EXPONENT or more; a c that is too small for double is nothing beside it.
//
// The derivative dz/dc is d 2^g, with an exponent g for each lane.
#include "geometry.h"
#include "blocks.h"
#include "outputs.h"
#include "parked.h"

ASSERT(LOW > 0);  // blocks start at m = 1, not at m = 0
#define NORM(x, y) fma(x, x, (y) * (y))
// Scaled steps begin below |z| = 2^PLAIN_Z_EXPONENT; plain steps begin again from 2^PLAIN_AGAIN on.
#define LEAST_PLAIN_SQUARE power2(2 * PLAIN_Z_EXPONENT)
#define PLAIN_AGAIN (PLAIN_Z_EXPONENT + 20)
#define WHERE(k) ((size_t)(j0 + (k) / TILE_COLS) * cols + i0 + (k) % TILE_COLS)

// About log2 of the root of v > 0.
inline int half_exponent(double v)
{
    return ((int)(as_long(v) >> 52) - 1023) >> 1;
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
             OUTPUT_PARAMETERS ROUND_PARAMETERS)
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
    // c as a plain double: 0 where it is below the range.
    const double plain = power2(scale_exponent);
    const V px = cx * plain, py = cy * plain;

    // The cycle test, at rebases: a sample that returns to exactly the state seen_* can never escape. After Brent, a
    // new state is saved whenever the count has doubled since the last one.
    Parked parked = {
        .x = fma((V)(start_x), cx, -(start_y * cy)), .y = fma((V)(start_x), cy, start_y * cx), .m = start,
        .n = start, .e = start_exponent + scale_exponent, .g = start_exponent + scale_exponent,
        .seen_x = NAN, .seen_y = NAN, .seen_n = 1,
    };
    V x, y;
    int m, n;
    E e = 0;
#if DEEP
    // The centre's own sample stays at z = 0. Plain doubles do for it, but not for 2 Z dz.
    const M centre = (cx == 0) & (cy == 0), moving = DERIVATIVE ? (M)(-1) : NOT(centre);
    bool scaled, even = true;  // even: all lanes have the same e
#endif
#if DERIVATIVE
    parked.dx = start_x * unit;
    parked.dy = start_y * unit;
    V dx, dy;
    E g;
#endif
    M turn = 0;  // lanes that go first, of those that are pending
#if ROUNDS
    const size_t items = get_global_size(0) * get_global_size(1);
    __global M *const state = (__global M *)kept + get_global_id(1) * get_global_size(0) + get_global_id(0);
    if (again) pending = take_up(&parked, &turn, state, items);
#endif

    while (ANY(pending)) {
#if ROUNDS
        if (--budget < 0) {
            keep(&parked, pending, turn, state, items);
            atomic_inc(left_over);
            return;
        }
#endif
        M active = ANY(turn) ? turn : pending;
        turn = 0;
        int leader = 0;
        while (leader < WIDTH - 1 && !LANE_L(active, leader)) ++leader;
        m = (int)LANE_E(parked.m, leader);
        n = (int)LANE_E(parked.n, leader);
        active = active & (parked.m == (E)m) & (parked.n == (E)n);
        x = parked.x;
        y = parked.y;
#if DEEP
        e = parked.e;
        scaled = ANY(active & (e != 0));
        if (scaled) even = gather(&x, &y, &e, active, scale_exponent);
#endif
#if DERIVATIVE
        dx = parked.dx;
        dy = parked.dy;
        g = parked.g;
        V own_unit = unit * powers2(scale_exponent - g);
#endif
        while (ANY(active)) {
            if (n >= maxiter) {
                for (int k = 0; k < WIDTH; ++k)
                    if (LANE_L(active, k)) put_interior(WHERE(k), maxiter, OUTPUT_ARGUMENTS);
                pending = pending & NOT(active);
                break;
            }
            // The longest block that all samples of the group may take; level -1: a single step.
            int level = -1, block = 0;
            if (((m - 1) & LOW_MASK) == 0) {
#if ROUNDS
                if (--budget < 0) {  // the next round begins with these lanes
                    PARK(parked, active, x, y, e, (E)m, (E)n)
                    turn = active;
                    break;
                }
#endif
                const int s = (m - 1) >> LOW;
                block = first_block(s, tops);
                const int most = s == 0 ? tops : min(32 - (int)clz(s & -s), tops);
                const V size = active ? NORM(x, y) : (V)(0.0);
                __global const int *allowed = reach + block;
                int size_log;
#if DEEP
                if (scaled) {
                    allowed = deep_reach + block;
                    const E all_logs = rough_log(size) + (2 << REACH_BITS) * max(e, (E)(LEAST_EXPONENT));
                    size_log = greatest_exponent(active ? all_logs : (E)(INT_MIN));
                } else
#endif
                size_log = greatest_exponent(rough_log((V)(greatest(size))));
                while (level + 1 < most && size_log < allowed[level + 1]) ++level;
                block += level;
            }
            const V old_x = x, old_y = y;
            const int length = level < 0 ? 1 : 1 << (LOW + level);
#if DERIVATIVE
            const V old_dx = dx, old_dy = dy;
#endif
#if DEEP
            const bool was_scaled = scaled;
            if (scaled) {
                double2 a, b = (double2)(1.0, 0.0), d;
                int ea, eb = 0, ed;
                if (level < 0) {
                    a = 2 * orbit[m];
                    ea = orbit_exponent[m];
                    d = b;
                    ed = 0;
                } else {
                    const double8 t = deep_blocks[block];
                    a = t.s01; b = t.s23; d = t.s45;
                    const int4 exponents_of = as_int4(t.s67);
                    ea = exponents_of.x; eb = exponents_of.y; ed = exponents_of.z;
                }
                // z' = (a + d z) z + b c, in units of 2^(e + top)
                const int ec = eb + scale_exponent;
                E top;
                V sa, sb, sd;
                if (even) {
                    const int e0 = COMMON(e), least = max(ea, ed + e0);
                    const int top0 = ANY(active & NOT(centre)) ? max(least, ec - e0) : least;
                    sa = power2(ea - top0);
                    sb = power2(min(ec - e0 - top0, 0));
                    sd = power2(ed + e0 - top0);
                    top = top0;
                } else {
                    top = max((E)(ea), ed + e);
                    top = centre ? top : max(top, ec - e);  // b c is 0 there, and must not hide a dz
                    sa = powers2(ea - top);
                    sb = powers2(min(ec - e - top, (E)(0)));
                    sd = powers2(ed + e - top);
                }
                const V bx = b.x * sb, by = b.y * sb, ux = d.x * sd, uy = d.y * sd;
                const V tx = fma(ux, x, fma(-uy, y, a.x * sa));
                const V ty = fma(ux, y, fma(uy, x, a.y * sa));
                const V rx = fma(tx, x, fma(-ty, y, fma(bx, cx, -(by * cy))));
                y = fma(tx, y, fma(ty, x, fma(bx, cy, by * cx)));
                x = rx;
#if DERIVATIVE
                // dz' = (a + 2 d z) dz + b, in units of 2^(g + top_g)
                const E top_g = max(top, ec - g);
                const V fit = powers2(top - top_g), own = unit * powers2(ec - g - top_g);
                const V vx = (tx + fma(ux, old_x, -(uy * old_y))) * fit;
                const V vy = (ty + fma(ux, old_y, uy * old_x)) * fit;
                const V wx = fma(vx, dx, fma(-vy, dy, b.x * own));
                dy = fma(vx, dy, fma(vy, dx, b.y * own));
                dx = wx;
                g += top_g;
#endif
                e += top;
                V most = fmax(fabs(x), fabs(y));
                if (!even || ANY(active & ((most > 0x1p100) | (most < 0x1p-480)))) {
                    even = gather(&x, &y, &e, active, scale_exponent);
                    most = fmax(fabs(x), fabs(y));
                }
                if (!even || COMMON(e) > PLAIN_AGAIN - 100) {
                    if (!ANY(active & (most < powers2(PLAIN_AGAIN - e)) & (moving | (most > 0)))) {
                        const V factor = powers2(e);
                        x *= factor;
                        y *= factor;
                        e = 0;
                        scaled = false;
                    }
                }
            } else
#endif
            if (level < 0) {
                double2 z = orbit[m];
#if DEEP
                if (orbit_exponent[m] != 0) z *= power2(orbit_exponent[m]);
#endif
                const V tx = fma((V)(2.0), (V)(z.x), x), ty = fma((V)(2.0), (V)(z.y), y);
                const V rx = fma(tx, x, fma(-ty, y, px));
                y = fma(tx, y, fma(ty, x, py));
                x = rx;
#if DERIVATIVE
                const V ux = tx + old_x, uy = ty + old_y;
                const V vx = fma(ux, dx, fma(-uy, dy, own_unit));
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
                const V vx = fma(ux, dx, fma(-uy, dy, t.s2 * own_unit));
                dy = fma(ux, dy, fma(uy, dx, t.s3 * own_unit));
                dx = vx;
#endif
            }
            V size = NORM(x, y);
#if DEEP
            const M tiny = active & (size < LEAST_PLAIN_SQUARE);
            // A z that is 0 and stays 0 is not too small: it is the centre's own sample.
            if (!was_scaled && ANY(tiny) && ANY(tiny & (moving | (old_x != 0) | (old_y != 0)))) {
                // z became too small for plain double: do the step again, scaled.
                x = old_x;
                y = old_y;
                even = gather(&x, &y, &e, active, scale_exponent);
                scaled = true;
#if DERIVATIVE
                dx = old_dx;
                dy = old_dy;
#endif
                continue;
            }
#endif
#if DERIVATIVE
            {
                const V most = fmax(fabs(dx), fabs(dy));
                if (ANY(active & ((most > 0x1p200) | (most < 0x1p-200) & (most > 0))))
                    normalise(&dx, &dy, &g, scale_exponent);
                own_unit = unit * powers2(scale_exponent - g);  // scaled steps change g as well
            }
#endif
            m += length;
            n += length;
            const double2 z = orbit[m];
            const double square = fma(z.x, z.x, z.y * z.y);
            V fx, fy, full, sum_x, sum_y, sum, part;
            E eu = 0;
#if DEEP
            const int ez = orbit_exponent[m];
            if (scaled) {
                // The usual case first: where |z| < 2^-60 |Z| and |Z| is well inside the disc, no lane escapes or
                // rebases.
                if (even && COMMON(e) + 160 < ez + half_exponent(square) && m != last && square < 3.9) continue;
                const V to_plain = powers2(e);
                const double2 zp = z * power2(ez);
                fx = fma(to_plain, x, (V)(zp.x));
                fy = fma(to_plain, y, (V)(zp.y));
                full = NORM(fx, fy);
                eu = max((E)(ez), e);
                const V fz = powers2(ez - eu), fw = powers2(e - eu);
                sum_x = fma(fw, x, z.x * fz);
                sum_y = fma(fw, y, z.y * fz);
                sum = NORM(sum_x, sum_y);
                part = size * (fw * fw);
            } else
#endif
            {
                double2 zp = z;
#if DEEP
                if (ez != 0) zp *= power2(ez);
#endif
                fx = sum_x = zp.x + x;
                fy = sum_y = zp.y + y;
                full = sum = NORM(fx, fy);
                part = size;
            }
            M gone = active & NOT(full <= limit), back = active & (sum < part);
            if (edges > 0 && fabs(square - 4.0) < 0x1p-4) {
                // |Z| is so near 2 that a double may not tell whether |Z + z| > 2. The sign of
                // (|Z|^2 - 4) + 2 Re(conj(Z) z) + |z|^2 tells; the host gives |Z|^2 - 4 exactly (edge_gap).
                const int found = find(edge, edges, m);
                if (found >= 0) {
#if DEEP
                    const V gap = edge_gap[found] * powers2(edge_exponent[found] - e);
                    const V squared = size * powers2(e);
#else
                    const V gap = edge_gap[found] * power2(edge_exponent[found]), squared = size;
#endif
                    const V over = fma((V)(2 * z.x), x, fma((V)(2 * z.y), y, gap + squared));
                    gone = active & (over > 0);
                }
            }
            const M near = back;
            if (m == last) back = active;
            if (!ANY(gone | back)) continue;

            if (ANY(gone)) {
                for (int k = 0; k < WIDTH; ++k)
                    if (LANE_L(gone, k))
                        put_escape(
                            WHERE(k), n, maxiter, LANE_D(full, k), LANE_D(fx, k), LANE_D(fy, k),
#if DERIVATIVE
                            LANE_D(dx, k), LANE_D(dy, k), (int)LANE_E(g, k),
#else
                            0, 0, 0,
#endif
                            OUTPUT_ARGUMENTS);
                active = active & NOT(gone);
                pending = pending & NOT(gone);
                back = back & active;
            }
            if (ANY(back)) {
                // At the end of a periodic reference, z goes on unchanged from index ``wrap``.
                const M stay = m == last && wrap > 0 ? back & NOT(near) : (M)0;
                const V new_x = stay ? x : sum_x, new_y = stay ? y : sum_y;
                const E new_e = stay ? e : eu;
                const M same = back & (new_x == parked.seen_x) & (new_y == parked.seen_y) & (new_e == parked.seen_e);
                const M save = back & ((E)n - parked.seen_n >= parked.seen_n);
                parked.seen_x = save ? new_x : parked.seen_x;
                parked.seen_y = save ? new_y : parked.seen_y;
                parked.seen_e = save ? new_e : parked.seen_e;
                parked.seen_n = save ? (E)n : parked.seen_n;
                // A sample in a cycle is interior: it gets maxiter as its count at once.
                PARK(parked, back, new_x, new_y, new_e, stay ? (E)wrap : (E)0, same ? (E)maxiter : (E)n)
                active = active & NOT(back);
            }
        }
    }
#if ROUNDS
    state[0] = (M)(-1);
#endif
}
