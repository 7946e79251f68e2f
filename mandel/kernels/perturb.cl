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
#include "return_map.h"
#include "outputs.h"
#include "parked.h"
#include "apart.h"

ASSERT(LOW > 0);  // blocks start at m = 1, not at m = 0
#define NORM(x, y) fma(x, x, (y) * (y))
// Scaled steps begin below |z| = 2^PLAIN_Z_EXPONENT; plain steps begin again from 2^PLAIN_AGAIN on.
#define LEAST_PLAIN_SQUARE power2(2 * PLAIN_Z_EXPONENT)
#define PLAIN_AGAIN (PLAIN_Z_EXPONENT + 20)
// Of |z / (dz/du)|^2 at a start after a rebase that a sample might have done later; u is 0.5 to 1 at the grid's rim.
#define MOST_LEVER 4
// Single steps that a group takes in one go, with the tests at their end; where a lane had to rebase, to go apart or
// to escape in between, they are taken again one by one. So a lane does the same as by single steps. MOST_QUICK of them
// where z is so far BEYOND the reach of the shortest block that none will soon be allowed; else as many as that block
// has.
#define QUICK (WIDTH > 1 && !DEEP)
#define MOST_QUICK 16
#define BEYOND (16 << REACH_BITS)  // 2^8 in |z|
// Whether some lane's dz/dc will soon have grown enough: a long go would have to be taken again.
#define SOON ANY(active & (NORM(dx, dy) * SOON_GROWTH >= enough))
#define SOON_GROWTH 0x1p4
// Whether samples may take the return map (return_map.cl) where they begin at m = 0. The host leaves it out where the
// reference has no dip or c is small, as GPUs have no registers to spare for it.
#ifndef RETURNS
#define RETURNS 0
#endif
ASSERT(!(RETURNS && DEEP));
// An error of z moves a sample by so much over its dz/dc: for one use of the map, at most so many units of c.
#define MOST_MOVED 0x1p-42
// Single steps that take as long as one use of the map.
#define RETURN_STEPS 16
// A proof of interior is tried more seldom where the map makes iterations so much cheaper than those of a trial.
#if RETURNS
#define TRIAL_PACE (way.x > 0 ? 4 : 1)
#else
#define TRIAL_PACE 1
#endif
#define WHERE(k) ((size_t)(j0 + (k) / TILE_COLS) * cols + i0 + (k) % TILE_COLS)

// 2 z + w. Many lanes share z, so that CPUs need no multiplication; GPUs have one instruction for all of it.
#define TWICE(z, w) (WIDTH > 1 ? ((z) + (z)) + (w) : fma((V)(2.0), (V)(z), w))
// One iteration with z as a plain number, from the reference's entry ``from``. ux_, uy_: 2 (Z + z).
#define PLAIN_STEP(from, look) \
    { \
        const V tx_ = TWICE((from).x, x), ty_ = TWICE((from).y, y), ux_ = tx_ + x, uy_ = ty_ + y; \
        const V vx_ = fma(ux_, dx, fma(-uy_, dy, own_unit)), rx_ = fma(tx_, x, fma(-ty_, y, px)); \
        look \
        y = fma(tx_, y, fma(ty_, x, py)); \
        x = rx_; \
        dy = fma(ux_, dy, uy_ * dx); \
        dx = vx_; \
    }
// For PLAIN_STEP: signs becomes negative where |Z + z| < |z|, as |Z + z|^2 - |z|^2 = Re(conj(Z) (Z + 2 z)) then is.
#define LOOK(from) signs |= AS_BITS(fma((V)((from).x), ux_ - (from).x, (from).y * (uy_ - (from).y)));

// What a CPU keeps until it changes, and a GPU makes anew each time, to spare registers.
#define UNCHANGED(value, anew) (WIDTH > 1 ? (value) : (anew))
#define FAR(size) (((size) > 0x1p200) | ((size) < 0x1p-200) & ((size) > 0))  // of dz/dc: time to change its exponent

// A step of lanes apart when only the outputs still count.
#if DISTANCE || SLOPE
#define LAST_STEP(x, y, dx, dy) APART_STEP(x, y, dx, dy)
#else
#define LAST_STEP(x, y, dx, dy) \
    { \
        const V t_ = fma(x, x, fma(-y, y, a)); \
        y = fma(x + x, y, b); \
        x = t_; \
    }
#endif

// Parks lanes that were apart.
inline void park_apart(Parked *p, M mask, V x, V y, V dx, V dy, E g, E n)
{
    p->x = mask ? x : p->x;
    p->y = mask ? y : p->y;
    p->dx = mask ? dx : p->dx;
    p->dy = mask ? dy : p->dy;
    p->g = mask ? g : p->g;
    p->n = mask ? n : p->n;
}

// About log2 of the root of v > 0.
inline int half_exponent(double v)
{
    return ((int)(as_long(v) >> 52) - 1023) >> 1;
}

// The polynomial in u of each lane whose terms lie ``stride`` entries apart, the lowest first, and its derivative.
inline void polynomial(__global const double2 *terms, int stride, int count, V ux, V uy, V *x, V *y, V *dx, V *dy)
{
    V zx = 0, zy = 0, sx = 0, sy = 0;
    for (int k = count - 1; k >= 0; --k) {
        const double2 term = terms[k * stride];
        const V t = fma(sx, ux, fma(-sy, uy, zx));
        sy = fma(sx, uy, fma(sy, ux, zy));
        sx = t;
        const V r = fma(zx, ux, fma(-zy, uy, (V)(term.x)));
        zy = fma(zx, uy, fma(zy, ux, (V)(term.y)));
        zx = r;
    }
    *x = zx;
    *y = zy;
    *dx = sx;
    *dy = sy;
}

#if RETURNS
// The return map's coefficient of w^j for the c of each lane, and its derivative by u = c / 2^unit_exponent.
inline void return_coefficient(__global const double2 *returning, int j, int octaves, V ux, V uy,
                               V *x, V *y, V *dx, V *dy)
{
    polynomial(returning + RETURN_HEAD + RETURN_TERM(j, 0), 1, return_columns(j, octaves), ux, uy, x, y, dx, dy);
}
#endif

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
             __global const double2 *start, int unit_exponent, __global const double2 *returning,
             OUTPUT_PARAMETERS ROUND_PARAMETERS)
{
    const int i0 = get_global_id(0) * TILE_COLS, j0 = get_global_id(1) * TILE_ROWS;
    const double limit = bailout * bailout;
    V cx = 0, cy = 0;
    M pending = 0;
    V unit = 0;
    for (int k = 0; k < WIDTH; ++k) {
        const int i = i0 + k % TILE_COLS, j = j0 + k / TILE_COLS;
        if (i < cols && j < rows) {
            const double2 c = sample_at(across, down, i, j, cols, rows);
            LANE_D(cx, k) = c.x * scale;
            LANE_D(cy, k) = c.y * scale;
            LANE_L(pending, k) = -1;
            LANE_D(unit, k) = spacing[j] * scale;
        }
    }
    pending = pending != 0;
    // c as a plain double: 0 where it is below the range.
    const double plain = power2(scale_exponent);
    const V px = cx * plain, py = cy * plain;

    double2 centre_c = orbit[1];
#if DEEP
    centre_c *= power2(orbit_exponent[1]);
#endif
    const V a = px + centre_c.x, b = py + centre_c.y;
    if (PROOF) {  // rounding c to double is far less than the margin of this
        const M inside = pending & in_main_bulbs(a, b);
        for (int k = 0; k < WIDTH; ++k)
            if (LANE_L(inside, k)) put_interior(WHERE(k), maxiter, OUTPUT_ARGUMENTS);
        pending = pending & NOT(inside);
    }

    // The cycle test, at rebases: a sample that returns to exactly the state seen_* can never escape. After Brent, a
    // new state is saved whenever the count has doubled since the last one.
    Parked parked = {.seen_x = NAN, .seen_y = NAN, .seen_n = 1};
    V x, y;
    int m;
    E n;
    E e = 0;
#if DEEP
    // The centre's own sample stays at z = 0. Plain doubles do for it, but not for 2 Z dz.
    const M centre = (cx == 0) & (cy == 0);
    bool scaled, even = true;  // even: all lanes have the same e
#endif
#if RETURNS
    const int4 way = as_int4(returning[0]);  // how many iterations the map does, the exponent of its |w|
    const double most_w = power2(way.y), most_z = most_w - power2(unit_exponent);
    const double to_v = power2(-way.y), to_u = power2(-unit_exponent);
    // Where |w| is less, a block does as much.
    int least_log = INT_MIN;
    for (int level = 0; level < tops && least_log == INT_MIN; ++level)
        if (2 << (LOW + level) >= way.x) least_log = reach[level];
    // Whether samples take the map from start 0 on: m, n, exponent, terms of it. Then a later start in the middle of the
    // reference, with single steps to its end, may be slower.
    const int4 first = as_int4(start[0]);
    const bool mapped = way.x > 0 && first.x == 0 && first.w > 1
                        && NORM(start[2].x, start[2].y) + NORM(start[4].x, start[4].y) <= most_z;
#if WIDTH > 1
    bool prepared = false;  // whether the map's coefficients for the lanes' c are there
    V map_x[RETURN_DEGREE + 1], map_y[RETURN_DEGREE + 1], map_dx[RETURN_DEGREE + 1], map_dy[RETURN_DEGREE + 1];
#endif
#endif
    V dx = 0, dy = 0;
    E g;
    M apart = 0;   // lanes that go on in plain double; they are not among the pending ones
    {
        const double to_unit = power2(scale_exponent - unit_exponent);
        const V ux = cx * to_unit, uy = cy * to_unit;
        const V length = sqrt(NORM(ux, uy));
        V power = length;  // |u|^SERIES_TERMS
        for (int k = 1; k < SERIES_TERMS; k *= 2) power *= power;
        // The latest start at which a sample's own dz/du is as large as it needs to be there (common_start.cl).
        M left = pending;
#if ROUNDS
        if (again) left = 0;  // their states are kept
#endif
        for (int stage = STARTS - 1; ANY(left); --stage) {
            __global const double2 *from = start + stage * START_LENGTH;
            const double2 rest = from[1];
            if (stage > 0 && (rest.y == 0 || !ANY(left & (rest.x * power <= rest.y)))) continue;
            const int4 begin = as_int4(from[0]);  // m, n, exponent, terms
#if RETURNS
            if (mapped && begin.x > 0 && (begin.y - first.y) / way.x * RETURN_STEPS < last - begin.x) continue;
#endif
            V zx, zy;
            polynomial(from + 2, 2, begin.w, ux, uy, &zx, &zy, &dx, &dy);
            const V slope = NORM(dx, dy);
            dx *= unit;
            dy *= unit;
            g = begin.z + scale_exponent - unit_exponent;
            double2 z = orbit[begin.x];
            double to_plain = 1;
#if DEEP
            z *= power2(orbit_exponent[begin.x]);
            to_plain = power2(begin.z);
#endif
            x = fma(zx, (V)(to_plain), (V)(z.x));
            y = fma(zy, (V)(to_plain), (V)(z.y));
            M here = left, grown = GROWN_ENOUGH(NORM(x, y), dx, dy, ENOUGH(g));
            if (stage > 0) {
                V needed = 0;
                for (int k = 2 * begin.w; k > 0; k -= 2) needed = fma(needed, length, (V)(from[k + 1].x));
                needed = fma(rest.x, power, needed);
                // And what blocks neglect of z must not be more, beside dz/du, than what they neglect of other samples.
                here = here & (needed * needed <= slope) & (grown | (NORM(zx, zy) <= MOST_LEVER * slope));
            }
            left = left & NOT(here);
            grown = here & grown;
            apart = apart | grown;
            PARK(
                parked, here, grown ? x : zx, grown ? y : zy, grown ? (E)(0) : (E)(begin.z),
                grown ? (E)(0) : (E)(begin.x), (E)(begin.y))
        }
        pending = pending & NOT(apart);
    }
    M turn = 0;  // lanes that go first, of those that are pending
    // Lanes that escaped: z and n are parked. Of those that are ``crossing``, the state before the block of APART_STEPS in
    // which they escaped. All are written at the end, at once.
    M escaped = 0, crossing = 0;
    int next_trial = INT_MAX;       // of a proof of interior
    float least_disc = 1e-9f; // in that proof: rounding errors hide smaller ones where cycles come near 0
#if ROUNDS
    const size_t items = get_global_size(0) * get_global_size(1);
    __global M *const state = (__global M *)kept + get_global_id(1) * get_global_size(0) + get_global_id(0);
    if (again) pending = take_up(&parked, &turn, &apart, state, items);
    bool more = false;  // more to do than this round may
#endif
    while (ANY(pending | apart)) {
        // Plain double, when all other lanes are through or have come here.
        if (ANY(turn & apart) || !ANY(pending)) {
            V old_x, old_y;  // z at the last look, as in direct.cl
            E done = parked.n;
            int blocks = 0, due = GAP;
            x = parked.x;
            y = parked.y;
            dx = parked.dx;
            dy = parked.dy;
            g = parked.g;
            if (ANY(turn)) {
                blocks = greatest_exponent(apart ? parked.seen_e : (E)(0));
                due = greatest_exponent(apart ? parked.seen_n : (E)(0));
                old_x = parked.seen_x;
                old_y = parked.seen_y;
            } else {
                old_x = x;
                old_y = y;
            }
            turn = 0;
            V own_unit = unit * powers2(scale_exponent - g), to_plain = powers2(g);
            while (ANY(apart)) {
                const M over = apart & (done >= (E)maxiter);
                if (ANY(over)) {
                    for (int k = 0; k < WIDTH; ++k)
                        if (LANE_L(over, k)) put_interior(WHERE(k), maxiter, OUTPUT_ARGUMENTS);
                    apart = apart & NOT(over);
                    continue;
                }
#if ROUNDS
                if (--budget < 0) {
                    PARK(parked, apart, x, y, (E)(0), (E)(0), done)
                    parked.seen_x = apart ? old_x : parked.seen_x;
                    parked.seen_y = apart ? old_y : parked.seen_y;
                    parked.seen_e = apart ? (E)blocks : parked.seen_e;
                    parked.seen_n = apart ? (E)due : parked.seen_n;
                    more = true;
                    turn = apart;
                    break;
                }
#endif
                V x0 = x, y0 = y;
                V dx0 = dx, dy0 = dy;
                if (WIDTH == 1) own_unit = unit * powers2(scale_exponent - g);
                V least = INFINITY;  // |dz/dc|, or a little less
                for (int part = 0; part < APART_STEPS; part += 4) {
                    for (int k = 0; k < 4; ++k) APART_STEP(x, y, dx, dy)
                    const V size = LARGER(fabs(dx), fabs(dy));
                    least = size < least ? size : least;
                }
                const V norm = NORM(x, y);
                ++blocks;
                const V derivative = least * UNCHANGED(to_plain, powers2(g));
                const M losing = apart & (derivative < LARGE);
                M weak = apart & NOT(derivative >= FIRM);
                if (ANY(losing)) {
                    parked.lost += losing ? 1.0 / derivative : (V)(0.0);
                    weak = weak | apart & NOT(parked.lost <= MOST_LOST);
                }
                if (ANY(weak)) {
                    park_apart(&parked, weak, x0, y0, dx0, dy0, g, done);
                    parked.seen_x = weak ? (V)(NAN) : parked.seen_x;
                    parked.seen_n = weak ? (E)(1) : parked.seen_n;
                    apart = apart & NOT(weak);
                    pending = pending | weak;
                }
                const M gone = apart & NOT(norm <= limit);
                if (ANY(gone)) {
                    park_apart(&parked, gone, x0, y0, dx0, dy0, g, done);
                    crossing = crossing | gone;
                    apart = apart & NOT(gone);
                }
                done += APART_STEPS;
                if (ANY(apart & (LARGER(fabs(dx), fabs(dy)) > 0x1p200))) {
                    normalise(&dx, &dy, &g, scale_exponent);
                    own_unit = unit * powers2(scale_exponent - g);
                    to_plain = powers2(g);
                }
                if (blocks < due) continue;
                const V u = x - old_x, v = y - old_y, moved = fma(u, u, v * v);
                const M near = apart & (moved < (V)(NEAR * NEAR));
                if (PROOF && ANY(near)) {
                    const int most = min(TRIAL(blocks * APART_STEPS), MOST_TRIAL);
#if ROUNDS
                    budget -= most / APART_STEPS;
#endif
                    const M bound = trapped(x, y, a, b, moved, near, most);
                    for (int k = 0; k < WIDTH; ++k)
                        if (LANE_L(bound, k)) put_interior(WHERE(k), maxiter, OUTPUT_ARGUMENTS);
                    apart = apart & NOT(bound);
                }
                due += gap_after(blocks);
                old_x = x;
                old_y = y;
            }
#if ROUNDS
            if (more) break;
#endif
            continue;
        }
#if ROUNDS
        if (--budget < 0) {
            more = true;
            break;
        }
#endif
        M active = ANY(turn) ? turn : pending;
        turn = 0;
        int leader = 0;
        while (leader < WIDTH - 1 && !LANE_L(active, leader)) ++leader;
        m = (int)LANE_E(parked.m, leader);
        active = active & (parked.m == (E)m);
        n = parked.n;
        int left = maxiter - greatest_exponent(active ? n : (E)(0));  // iterations of the lane that is farthest on
        x = parked.x;
        y = parked.y;
#if DEEP
        e = parked.e;
        scaled = ANY(active & (e != 0));
        if (scaled) even = gather(&x, &y, &e, active, scale_exponent);
#endif
        dx = parked.dx;
        dy = parked.dy;
        g = parked.g;
        V own_unit = unit * powers2(scale_exponent - g), enough = ENOUGH(g);
        while (ANY(active)) {
            if (left <= 0) {
                const M over = active & (n >= (E)maxiter);
                for (int k = 0; k < WIDTH; ++k)
                    if (LANE_L(over, k)) put_interior(WHERE(k), maxiter, OUTPUT_ARGUMENTS);
                active = active & NOT(over);
                pending = pending & NOT(over);
                left = maxiter - greatest_exponent(active ? n : (E)(0));
                continue;
            }
            bool returned = false;
#if RETURNS
            if (m == 0 && way.x > 0) {
                const V wx = fma(x, x, fma(-y, y, px)), wy = fma(x, y, fma(x, y, py)), norm = NORM(wx, wy);
                M fit = active & (norm <= most_w * most_w) & (rough_log(norm) >= (E)least_log);
                if (ANY(fit)) {
                    const V ux = px * to_u, uy = py * to_u, vx = wx * to_v, vy = wy * to_v;
                    const int octaves = way.y - unit_exponent;
                    V zx = 0, zy = 0, by_vx = 0, by_vy = 0, by_ux = 0, by_uy = 0;
#if WIDTH > 1
                    if (!prepared)
                        for (int j = 0; j <= RETURN_DEGREE; ++j)
                            return_coefficient(
                                returning, j, octaves, ux, uy, map_x + j, map_y + j, map_dx + j, map_dy + j);
                    prepared = true;
#endif
                    for (int j = RETURN_DEGREE; j >= 0; --j) {
#if WIDTH > 1
                        const V ax = map_x[j], ay = map_y[j], bx = map_dx[j], by = map_dy[j];
#else
                        V ax, ay, bx, by;
                        return_coefficient(returning, j, octaves, ux, uy, &ax, &ay, &bx, &by);
#endif
                        const V s = fma(by_vx, vx, fma(-by_vy, vy, zx));
                        by_vy = fma(by_vx, vy, fma(by_vy, vx, zy));
                        by_vx = s;
                        const V r = fma(by_ux, vx, fma(-by_uy, vy, bx));
                        by_uy = fma(by_ux, vy, fma(by_uy, vx, by));
                        by_ux = r;
                        const V t = fma(zx, vx, fma(-zy, vy, ax));
                        zy = fma(zx, vy, fma(zy, vx, ay));
                        zx = t;
                    }
                    // dz/dc of z from that of w = z^2 + c
                    const V own_v = own_unit * to_v, own_u = own_unit * to_u;
                    const V dvx = fma(2 * to_v * x, dx, fma(-2 * to_v * y, dy, own_v));
                    const V dvy = fma(2 * to_v * x, dy, 2 * to_v * y * dx);
                    const V new_dx = fma(by_vx, dvx, fma(-by_vy, dvy, by_ux * own_u));
                    const V new_dy = fma(by_vx, dvy, fma(by_vy, dvx, by_uy * own_u));
                    const double2 errors = returning[1];
                    const V larger = 1.5 * LARGER(fabs(vx), fabs(vy));
                    const V error = fma(larger, (V)(errors.y), (V)(errors.x + returning[2].x)) * own_u;
                    fit = fit & (error * error <= MOST_MOVED * MOST_MOVED * NORM(new_dx, new_dy));
                    if (ANY(fit)) {
                        const M others = active & NOT(fit);
                        if (ANY(others)) {
                            PARK(parked, others, x, y, e, (E)(0), n)
                            active = fit;
                            left = maxiter - greatest_exponent(active ? n : (E)(0));
                        }
                        x = zx;
                        y = zy;
                        dx = new_dx;
                        dy = new_dy;
                        returned = true;
#if ROUNDS
                        budget -= RETURN_STEPS >> LOW;
#endif
                    }
                }
            }
#endif
            // The longest block that all samples of the group may take; level -1: a single step.
            int level = -1, block = 0, quick = 0;
            if (((m - 1) & LOW_MASK) == 0) {
#if ROUNDS
                if (--budget < 0) {  // the next round begins with these lanes
                    PARK(parked, active, x, y, e, (E)m, n)
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
#if QUICK
                if (level < 0 && edges == 0) {
                    const bool aligned = ((m - 1) & (MOST_QUICK - 1)) == 0;
                    quick = aligned && size_log - BEYOND > allowed[0] && !SOON ? MOST_QUICK : 1 << LOW;
                }
#endif
                block += level;
            }
            V old_x = x, old_y = y;
            int length = level < 0 ? 1 : 1 << (LOW + level);
#if RETURNS
            if (returned) length = way.x;
#endif
            V old_dx = dx, old_dy = dy;
#if QUICK
            bool quickly = false, through = false;
            // What is taken follows from m and the lanes' states alone: a round may end before any of them.
            for (int steps = quick; steps > 0 && !quickly; steps = steps > 1 << LOW ? 1 << LOW : 0) {
                while (min(last - m - 1, left) >= steps) {
                    M signs = 0, grown = 0;
                    for (int k = 0; k < steps;) {
                        const int whole = k;  // up to where the derivative is looked at
                        for (; k < min(steps, whole + 8 - (m + whole) % 8); ++k)
                            PLAIN_STEP(orbit[m + k], LOOK(orbit[m + k]))
                        if ((m + k) % 8 == 0) grown |= NORM(dx, dy) >= enough;
                    }
                    const double2 z = orbit[m + steps];
                    const V sum_x = x + z.x, sum_y = y + z.y, sum = NORM(sum_x, sum_y);
                    const M failed = (signs < 0) | NOT(sum <= limit) | grown & (parked.lost <= MOST_LOST);
                    const M busy = failed | (sum < NORM(x, y)) | FAR(LARGER(fabs(dx), fabs(dy)));
                    through = !ANY(active & busy);
                    if (!through) {
                        quickly = !ANY(active & failed);
                        break;
                    }
                    m += steps;
                    n += steps;
                    left -= steps;
                    old_x = x;
                    old_y = y;
                    old_dx = dx;
                    old_dy = dy;
                    if (steps < MOST_QUICK || !LANE_L(active, leader)) break;
#if ROUNDS
                    budget -= steps >> LOW;
                    if (budget < 0) break;
#endif
                    const double size = NORM(LANE_D(x, leader), LANE_D(y, leader));
                    if (ROUGH_LOG(size) - BEYOND <= reach[first_block((m - 1) >> LOW, tops)]) break;
                    through = false;
                }
                if (through) break;
                if (quickly) {
                    length = steps;
                } else {
                    x = old_x;
                    y = old_y;
                    dx = old_dx;
                    dy = old_dy;
                }
            }
            if (through) continue;
            if (!quickly)
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
                // dz' = (a + 2 d z) dz + b, in units of 2^(g + top_g)
                const E top_g = max(top, ec - g);
                const V fit = powers2(top - top_g), own = unit * powers2(ec - g - top_g);
                const V vx = (tx + fma(ux, old_x, -(uy * old_y))) * fit;
                const V vy = (ty + fma(ux, old_y, uy * old_x)) * fit;
                const V wx = fma(vx, dx, fma(-vy, dy, b.x * own));
                dy = fma(vx, dy, fma(vy, dx, b.y * own));
                dx = wx;
                g += top_g;
                e += top;
                V most = fmax(fabs(x), fabs(y));
                if (!even || ANY(active & ((most > 0x1p100) | (most < 0x1p-480)))) {
                    even = gather(&x, &y, &e, active, scale_exponent);
                    most = fmax(fabs(x), fabs(y));
                }
                if (!even || COMMON(e) > PLAIN_AGAIN - 100) {
                    if (!ANY(active & (most < powers2(PLAIN_AGAIN - e)))) {
                        const V factor = powers2(e);
                        x *= factor;
                        y *= factor;
                        e = 0;
                        scaled = false;
                    }
                }
            } else
#endif
            if (level < 0 && !returned) {
                double2 z = orbit[m];
#if DEEP
                if (orbit_exponent[m] != 0) z *= power2(orbit_exponent[m]);
#endif
                PLAIN_STEP(z, )
            } else if (!returned) {
                const double8 t = blocks[block];
                const V tx = fma((V)(t.s4), x, fma((V)(-t.s5), y, (V)(t.s0)));
                const V ty = fma((V)(t.s4), y, fma((V)(t.s5), x, (V)(t.s1)));
                const V rx = fma(tx, x, fma(-ty, y, fma((V)(t.s2), px, -(t.s3 * py))));
                y = fma(tx, y, fma(ty, x, fma((V)(t.s2), py, t.s3 * px)));
                x = rx;
                const V ux = tx + fma((V)(t.s4), old_x, -(t.s5 * old_y));
                const V uy = ty + fma((V)(t.s4), old_y, t.s5 * old_x);
                const V vx = fma(ux, dx, fma(-uy, dy, t.s2 * own_unit));
                dy = fma(ux, dy, fma(uy, dx, t.s3 * own_unit));
                dx = vx;
            }
            V size = NORM(x, y);
#if DEEP
            const M tiny = active & (size < LEAST_PLAIN_SQUARE);
            if (!was_scaled && ANY(tiny)) {
                // z became too small for plain double: do the step again, scaled.
                x = old_x;
                y = old_y;
                even = gather(&x, &y, &e, active, scale_exponent);
                scaled = true;
                dx = old_dx;
                dy = old_dy;
                continue;
            }
#endif
            {
                const bool far = ANY(active & FAR(fmax(fabs(dx), fabs(dy))));
                if (far) normalise(&dx, &dy, &g, scale_exponent);
                if (DEEP || far) {  // scaled steps change g as well
                    own_unit = unit * powers2(scale_exponent - g);
                    enough = ENOUGH(g);
                }
            }
            m += length;
            n += length;
            left -= length;
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
#if RETURNS
            // Where z is small again, the sample may rebase, and takes the map again.
            if (returned) back = back | active & (sum <= most_z);
#endif
            if (m % 8 == 0)
                back = back | active & (parked.lost <= MOST_LOST)
                              & GROWN_ENOUGH(full, dx, dy, UNCHANGED(enough, ENOUGH(g)));
            if (!ANY(gone | back)) continue;

            if (ANY(gone)) {
                PARK(parked, gone, fx, fy, (E)(0), (E)(0), n)
                escaped = escaped | gone;
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
                const M save = back & (n - parked.seen_n >= parked.seen_n);
                // Or its orbit comes near that state again, and is proven to be trapped.
                const V ux = fx - parked.seen_x, uy = fy - parked.seen_y, moved = fma(ux, ux, uy * uy);
                const M hopeful = back & (new_e == 0) & (parked.seen_e == 0) & NOT(same) & (moved < (V)(NEAR * NEAR));
                M bound = 0;
                if (PROOF && left <= next_trial && ANY(hopeful)) {
                    const int most = min(greatest_exponent(hopeful ? n - parked.seen_n : (E)(0)) + 4, MOST_TRIAL);
#if ROUNDS
                    budget -= most / APART_STEPS;
#endif
                    bound = trapped_within(TO_F(sqrt(moved)) * WIDER + least_disc, fx, fy, a, b,
                                           hopeful, most);
                    least_disc = least_disc < 1e-5f ? least_disc * 32 : 1e-9f;
                    next_trial = left - TRIAL_PACE * max(most, (maxiter - left) / 8);
                }
                parked.seen_x = save ? new_x : parked.seen_x;
                parked.seen_y = save ? new_y : parked.seen_y;
                parked.seen_e = save ? new_e : parked.seen_e;
                parked.seen_n = save ? n : parked.seen_n;
                // Only with z as a plain number: a scaled lane keeps it with an exponent.
                const M leave = back & NOT(stay | same | bound) & (new_e == 0) & (parked.lost <= MOST_LOST)
                                & GROWN_ENOUGH(full, dx, dy, UNCHANGED(enough, ENOUGH(g)));
                apart = apart | leave;
                pending = pending & NOT(leave);
                // Such a sample is interior: it gets maxiter as its count at once.
                PARK(parked, back, new_x, new_y, new_e, stay ? (E)wrap : (E)0, same | bound ? (E)maxiter : n)
                active = active & NOT(back);
            }
        }
    }
#if ROUNDS
    if (more) {
        keep(&parked, pending, turn, apart, state, items);
        atomic_inc(left_over);
    } else {
        state[0] = (M)(-1);
    }
#endif
    if (ANY(crossing)) {  // bisection to the last z inside the disc, then one step out of it
        V x_in = parked.x, y_in = parked.y, dx_in = parked.dx, dy_in = parked.dy;
        const V own_unit = unit * powers2(scale_exponent - parked.g);
        for (int part = APART_STEPS / 2; part > 0; part >>= 1) {
            x = x_in;
            y = y_in;
            dx = dx_in;
            dy = dy_in;
            for (int k = 0; k < part; ++k) LAST_STEP(x, y, dx, dy)
            const M inside = crossing & (NORM(x, y) <= limit);
            x_in = inside ? x : x_in;
            y_in = inside ? y : y_in;
            dx_in = inside ? dx : dx_in;
            dy_in = inside ? dy : dy_in;
            parked.n += inside ? (E)part : (E)(0);
        }
        LAST_STEP(x_in, y_in, dx_in, dy_in)
        park_apart(&parked, crossing, x_in, y_in, dx_in, dy_in, parked.g, parked.n + 1);
    }
    escaped = escaped | crossing;
#if WIDTH > 1 && !DISTANCE && !SLOPE
    if (ANY(escaped)) {
        const M late = parked.n > (E)maxiter;
        const F found = vector_smooth_frac(TO_F(escaped & NOT(late) ? NORM(parked.x, parked.y) : (V)(4.0)));
        for (int k = 0; k < WIDTH; ++k)
            if (LANE_L(escaped, k)) {
                const bool inside = LANE_L(late, k);
                count[WHERE(k)] = inside ? maxiter + 1 : (int)LANE_E(parked.n, k);
                frac[WHERE(k)] = inside ? 0.0f : ((float *)&found)[k];
            }
    }
#else
    for (int k = 0; k < WIDTH; ++k)
        if (LANE_L(escaped, k)) {
            const double last_x = LANE_D(parked.x, k), last_y = LANE_D(parked.y, k);
            put_escape(
                WHERE(k), (int)LANE_E(parked.n, k), maxiter, NORM(last_x, last_y), last_x, last_y,
                LANE_D(parked.dx, k), LANE_D(parked.dy, k), (int)LANE_E(parked.g, k), OUTPUT_ARGUMENTS);
        }
#endif
}
