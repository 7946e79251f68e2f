// z <- z^2 + c in double precision, for CPUs. A work item owns a tile of samples. It iterates CHAINS explicit vectors
// at once: while one waits for the result of a fused multiply-add, the processor works on the others.
//
// Words used here:
//   lane      a sample's place in a vector of WIDTH samples.
//   chain     one of the CHAINS vectors that are iterated together; EACH loops over them.
//   bulbs     the main cardioid and the period-2 disc (interior.h): their samples are interior without iterating.
//   early     samples here escape within MOST iterations, so step 1 can finish them.
//   lead      iterations that all samples here seem to survive: step 1 does them without a test.
//   block     BLOCK iterations without a test, then one test.
//   look      a comparison of z with what it was some blocks ago: an orbit that returns may be periodic.
//   calm      looks in a row at which no orbit had returned. After CALM of them the first look comes later.
//   trapped   proven never to escape (interior.h).
//   few       a chain gives its vector up when so few of its lanes are still inside the disc.
//   pass      step 2 over a list of samples. Pass 0 takes whole vectors; later passes take what is left over.
//
// 1. Samples that escape within MOST iterations, whole vectors at a time. Neighbours escape after about the same
//    number of iterations. So ``lead`` iterations run without a test; if a lane has escaped by then, the vectors
//    start again from z = c. From there on a test follows each iteration. Until the first lane escapes all lanes have
//    the same count. After that, a lane that has escaped keeps its count and its norm, and the others go on.
//    Where no lane of a vector escapes early, step 1 does FIRST iterations and leaves the rest to step 2.
// 2. The samples left over run in blocks. After each block's test, lanes inside the disc keep their state for step 3;
//    no branch is needed when one escapes. A chain gives its vector up when at most SPARSE lanes are inside, or OLD
//    lanes once looks have begun, and takes the next vector. The lanes still inside go on a list. The next pass packs
//    the list into full vectors, and so on until the list is empty: no lane idles for long.
// 3. The exact count: bisection replays the last block, half of it, a quarter and so on. Outside the disc (R >= 2) z
//    grows for ever or becomes inf or NaN, which also test as outside: a late test misses nothing.
// 4. Fractions or colours of the whole tile, and the way to the device's memory (finish.h).
//
// In rounds (rounds.h) a tile that runs out of its budget in step 2 keeps its samples and its list in global memory.
// The next round goes on with that list.
#include "geometry.h"
#include "interior.h"
#include "tiles.h"
#include "finish.h"
#include "rounds.h"

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
#ifndef OLD
#define OLD (WIDTH * 11 / 16)
#endif
#ifndef TILE
#define TILE 256  // vectors
#endif
// The longest list: a vector that is given up has at most MOST_LEFT lanes inside. put_back writes the ids of all
// WIDTH lanes at the list's end and then counts only those inside: hence the room for one more vector.
#if ROUNDS
#define MOST_LEFT WIDTH  // at the end of a round all lanes may be inside
#else
#define MOST_LEFT (OLD > SPARSE ? OLD : SPARSE)
#endif
#define LISTED (TILE * MOST_LEFT + WIDTH)
// The bisection halves BLOCK down to 1. Each pass must make the list shorter than the last one.
ASSERT((BLOCK & (BLOCK - 1)) == 0 && OLD < WIDTH && SPARSE < WIDTH && FIRST <= MOST);

#if ROUNDS
// What a tile keeps between rounds: whether it needs more (TILE_STATE), and for each sample x, y and its state.
ASSERT(TILE_STATE == 1 && TILE_SAMPLE_STATE == 3);
#define OF_SAMPLE(at) (own + TILE_STATE + TILE_SAMPLE_STATE * (at))
#define GO_ON (--budget >= 0)
#else
#define GO_ON true
#endif

// Stores a vector's samples where they belong in the tile, and appends those that are ``in`` the disc to a list of
// ``left`` entries. Returns the list's new length. whole: the samples are neighbours in the tile.
inline int put_back(bool whole, V x, V y, K n, K who, M in, double *xs, double *ys, int *state, int *list, int left)
{
    int id[WIDTH], here[WIDTH];
    STORE(who, id);
    if (whole) {
        STORE(x, xs + id[0]);
        STORE(y, ys + id[0]);
        STORE(n, state + id[0]);
    } else {
        double px[WIDTH], py[WIDTH];
        int pn[WIDTH];
        STORE(x, px);
        STORE(y, py);
        STORE(n, pn);
        for (int l = 0; l < WIDTH; ++l)
            if (id[l] >= 0) { xs[id[l]] = px[l]; ys[id[l]] = py[l]; state[id[l]] = pn[l]; }
    }
    if (any(in)) {
        STORE(TO_K(in), here);
        for (int l = 0; l < WIDTH; ++l) {
            list[left] = id[l];
            left -= here[l];
        }
    }
    return left;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1), vec_type_hint(V)))
void direct_tiles(__global const double *across, __global const double *down,
                  int cols, int rows, int maxiter, double bailout, int per_tile,
                  __global int2 *tally, TARGET_PARAMETERS LOOK_PARAMETERS ROUND_PARAMETERS)
{
    const Task task = {across, down, cols, rows}, *t = &task;
    const int per_row = (cols + WIDTH - 1) / WIDTH;
    const long begin = (long)get_global_id(0) * per_tile, all_vectors = (long)per_row * rows;
    const int vectors = (int)min((long)per_tile, all_vectors - begin);
    const int interior = FINAL(maxiter + 1);
    const V limit = (V)(bailout * bailout);

    // Room for TILE vectors (the host sees to per_tile <= TILE), and for chains that repeat the last vector.
    double xs[(TILE + CHAINS) * WIDTH], ys[(TILE + CHAINS) * WIDTH];
    int state[(TILE + CHAINS) * WIDTH];   // >= 0: iterations done to reach xs, ys; else FINAL(count)
    float norms[(TILE + CHAINS) * WIDTH]; // |z|^2 at that count
    int col[TILE + CHAINS], row[TILE + CHAINS];  // of each vector's first sample
    int todo[TILE];                 // vectors that need more iterations
    int list[2][LISTED];            // samples still inside when their vector was given up
    int todos = 0;
    int waiting = 0, pass = 0;      // how much the next pass takes: vectors of todo, or samples of a list
    bool begun = false;
#if ROUNDS
    __global long *const own = kept + (size_t)get_global_id(0) * (TILE_STATE + TILE_SAMPLE_STATE * per_tile * WIDTH);
    begun = again;
    if (begun) {
        if (own[0] == 0) return;
        pass = 1;
        for (int v = 0; v < vectors; ++v) {
            col[v] = (int)((begin + v) % per_row) * WIDTH;
            row[v] = (int)((begin + v) / per_row);
            bool through = true;
            for (int at = v * WIDTH; at < (v + 1) * WIDTH; ++at) {
                __global const long *const of = OF_SAMPLE(at);
                xs[at] = as_double(of[0]);
                ys[at] = as_double(of[1]);
                state[at] = upper(of[2]);
                norms[at] = state[at] < 0 ? as_float(lower(of[2])) : 0.0f;
                if (state[at] >= 0) through = false;
                if (state[at] >= 0 && lower(of[2])) list[1][waiting++] = at;
            }
            if (!through) todo[todos++] = v;
        }
    }
#endif
    bool early = true;  // samples here escape within MOST iterations
    int lead = 1;       // iterations that all samples here seem to survive

    int i = (int)(begin % per_row) * WIDTH, j = (int)(begin / per_row);
    for (int v = begun ? vectors : 0; v < vectors; v += CHAINS) {
        V x[CHAINS], y[CHAINS], a[CHAINS], b[CHAINS], norm[CHAINS];
        V bound[CHAINS];  // the largest norm inside the disc; -1 for lanes that need no iterating
        K n[CHAINS];
        M bulbs = (M)(0);  // lanes in a rectangle about the bulbs, which may be in them
        EACH {
            col[v + g] = i;
            row[v + g] = j;
            points_at(t, i, j, &a[g], &b[g]);
            bulbs |= (fabs(b[g]) < 0.66) & (a[g] > -1.26);
            bound[g] = limit;
            if (i + WIDTH > cols) bound[g] = select(limit, (V)(-1.0), LANES >= (M)(cols - i));
            if (v + g < vectors - 1) {  // chains beyond the last vector repeat it
                i += WIDTH;
                if (i >= cols) { i = 0; ++j; }
            }
        }
        if (any(bulbs)) {
            M busy = (M)(0);
            EACH {
                bound[g] = select(bound[g], (V)(-1.0), in_main_bulbs(a[g], b[g]));
                busy |= bound[g] > 0.0;
            }
            if (!any(busy)) {
                EACH STORE((K)(interior), state + (v + g) * WIDTH);
                continue;
            }
        }
        int done = lead;
        for (;;) {
            EACH { x[g] = a[g]; y[g] = b[g]; }
            for (int k = 1; k < done; ++k) STEPS(1, x, y, a, b)
            NORMS
            if (done == 1 || !any_beyond(norm, limit)) break;
            done = 1;
            early = true;
        }
        if (early) {
            while (done < MOST && !any_beyond(norm, limit)) {
                STEPS(1, x, y, a, b)
                NORMS
                ++done;
            }
            early = any_beyond(norm, limit);
            lead = early ? max(done - 1, 1) : FIRST;
        }
        EACH n[g] = (K)(done);
        while (early && done < MOST && any_within(norm, bound)) {
            STEPS(1, x, y, a, b)
            ++done;
            _Pragma("unroll") EACH {
                const M in = norm[g] <= bound[g];
                norm[g] = select(norm[g], fma(x[g], x[g], y[g] * y[g]), in);
                n[g] -= TO_K(in);
            }
        }
        EACH {
            const K pending = TO_K(norm[g] <= bound[g]);
            const K final_ = select(FINAL(n[g]), (K)(interior), TO_K(bound[g] < 0.0) | (n[g] > maxiter));
            STORE(select(final_, n[g], pending), state + (v + g) * WIDTH);
            STORE(TO_F(norm[g]), norms + (v + g) * WIDTH);
        }
        if (!any_within(norm, bound)) continue;
        EACH {
            if (v + g >= vectors || !any(norm[g] <= bound[g])) continue;
            STORE(x[g], xs + (v + g) * WIDTH);
            STORE(y[g], ys + (v + g) * WIDTH);
            todo[todos++] = v + g;
        }
    }

    // Step 2. Pass 0 takes the vectors of todo, later passes lists of samples.
    if (!begun) waiting = todos;
    int failed = 0, skipped = 0;  // proofs in a row that failed; looks that skipped one
    int calm = 0;                 // looks in a row at which no orbit had returned
    for (; waiting > 0; ++pass) {
        const __private int *from = list[pass & 1];
        __private int *to = list[(pass + 1) & 1];
        int taken = 0, left = 0, busy = 0;
        V x[CHAINS], y[CHAINS], a[CHAINS], b[CHAINS];   // z and c; x is NAN in lanes that need no more
        V kx[CHAINS], ky[CHAINS];                       // kept: the last z that a test found inside
        V ox[CHAINS], oy[CHAINS];                       // old: z at the last look
        K n[CHAINS], who[CHAINS];                       // iterations done to reach kx, ky; which samples
        int blocks[CHAINS], due[CHAINS], last[CHAINS];  // blocks done; at the next look; at which maxiter is reached
        int few[CHAINS];                                // lanes inside at which the vector is given up
        bool held[CHAINS];                              // the chain has a vector
        const int sparse = pass == 0 || waiting > 2 * CHAINS * WIDTH ? SPARSE : 0;
        EACH {
            x[g] = y[g] = a[g] = b[g] = (V)(NAN);  // an empty chain takes a vector after its first test
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
                    if (few[g] > 0) few[g] = OLD;
                    const V u = x[g] - ox[g], v = y[g] - oy[g], moved = fma(u, u, v * v);
                    const M near = in & (moved < (V)(NEAR * NEAR));
                    M inner = in & TO_M(n[g] >= maxiter);
                    calm = any(near) ? 0 : calm + 1;
                    // A proof costs as much as some blocks. It pays where it ends the vector: if most of
                    // the lanes inside seem to return. Where proofs keep failing, as near slowly attracting
                    // cycles, only one in 32 is tried.
                    if (PROOF && lanes_set(near) * 2 > lanes_set(in) && (failed < 2 || ++skipped % 32 == 0)) {
                        int trial = TRIAL(blocks[g] * BLOCK);
#if ROUNDS
                        trial = min(trial, max(budget, LEAST_TRIAL / BLOCK) * BLOCK);
                        budget -= trial / BLOCK;
#endif
                        const M bound = trapped(x[g], y[g], a[g], b[g], moved, near, trial);
                        failed = any(bound) ? 0 : failed + 1;
                        inner |= bound;
                    }
                    if (any(inner)) {
                        n[g] = select(n[g], (K)(interior), TO_K(inner));
                        x[g] = select(x[g], (V)(NAN), inner);
                        in &= !inner;
                    }
                    ox[g] = x[g];
                    oy[g] = y[g];
                    if (blocks[g] >= last[g]) {  // lanes that began with fewer iterations go on
                        const int left_to_do = maxiter - greatest_int(select((K)(0), n[g], TO_K(in)));
                        last[g] = blocks[g] + max((left_to_do + BLOCK - 1) / BLOCK, 1);
                    }
                    due[g] = min(blocks[g] + gap_after(blocks[g]), last[g]);
                    if (lanes_set(in) > few[g]) continue;
                }

                // The chain gives its vector up and takes the next one.
                if (held[g]) {
                    --busy;
                    left = put_back(pass == 0, kx[g], ky[g], n[g], who[g], in, xs, ys, state, to, left);
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
                    n[g] = LOAD(state + v * WIDTH);
                    if (PROOF)
                        n[g] = select(n[g], (K)(interior), (n[g] >= 0) & TO_K(in_small_discs(a[g], b[g])));
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
                        pn[l] = state[s];
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
        } while (busy > 0 && GO_ON);
#if ROUNDS
        if (busy > 0) {  // the round ends: keep what the chains hold and what none has taken yet
            EACH {
                const M in = fma(x[g], x[g], y[g] * y[g]) <= limit;
                if (held[g])
                    left = put_back(pass == 0, kx[g], ky[g], n[g], who[g], in, xs, ys, state, to, left);
            }
            for (; taken < waiting; ++taken) {
                const int first = pass == 0 ? todo[taken] * WIDTH : from[taken];
                for (int at = first; at < first + (pass == 0 ? WIDTH : 1); ++at)
                    if (state[at] >= 0) to[left++] = at;
            }
            for (int at = 0; at < vectors * WIDTH; ++at) {
                OF_SAMPLE(at)[0] = as_long(xs[at]);
                OF_SAMPLE(at)[1] = as_long(ys[at]);
                OF_SAMPLE(at)[2] = packed(state[at], state[at] < 0 ? as_int(norms[at]) : 0);
            }
            for (int k = 0; k < left; ++k) OF_SAMPLE(to[k])[2] = packed(state[to[k]], 1);
            own[0] = 1;
            atomic_inc(left_over);
            return;
        }
#endif
        waiting = left;
    }
#if ROUNDS
    own[0] = 0;
#endif

    for (int f = 0; f < todos; f += CHAINS) {
        V x[CHAINS], y[CHAINS], a[CHAINS], b[CHAINS];
        K n[CHAINS], was[CHAINS];
        int at[CHAINS];
        EACH {
            at[g] = todo[min(f + g, todos - 1)];
            points_at(t, col[at[g]], row[at[g]], &a[g], &b[g]);
            at[g] *= WIDTH;
            x[g] = LOAD(xs + at[g]);
            y[g] = LOAD(ys + at[g]);
            n[g] = was[g] = LOAD(state + at[g]);
        }
        BISECT(BLOCK / 2, x, y, a, b, n)
        STEPS(1, x, y, a, b)
        EACH {
            const K pending = was[g] >= 0;
            const K final_ = select(FINAL(n[g] + 1), (K)(interior), n[g] >= maxiter);
            const F norm = TO_F(fma(x[g], x[g], y[g] * y[g]));
            if (f + g >= todos) continue;
            STORE(select(was[g], final_, pending), state + at[g]);
            STORE(select(LOAD(norms + at[g]), norm, pending), norms + at[g]);
        }
    }

    const int idle = (int)((begin + vectors) / per_row - begin / per_row) * (per_row * WIDTH - cols);  // beyond rows' ends
    tally[get_global_id(0)] = conclude(state, norms, vectors, maxiter LOOK_ARGUMENTS) - (int2)(idle, 0);
#if PAINT != PAINT_NOTHING
    const int above = base / cols;  // rows of the picture
#else
    const int above = 0;
#endif
    for (int v = 0; v < vectors;) {  // row by row
        const int first = (int)((begin + v) % per_row) * WIDTH, y = (int)((begin + v) / per_row);
        const size_t pixel = (size_t)y * cols + first;
        const int part = min((vectors - v) * WIDTH, cols - first);
        deliver(state + v * WIDTH, norms + v * WIDTH, part, pixel, first, above + y, RING_ENTRIES, TARGET_ARGUMENTS);
        v += (part + WIDTH - 1) / WIDTH;
    }
}
