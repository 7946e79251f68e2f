// The state of lanes in perturb.cl that wait for their turn (parked), and how it is kept between rounds (rounds.h).
#include "lanes.h"
#include "rounds.h"

// x, y, e: z = (x + i y) 2^e. m: index on the reference orbit. n: iterations done.
// dx, dy, g: dz/dc = (dx + i dy) 2^g / (sample spacing). seen_*: the state at an earlier rebase, for the cycle test.
// lost: see apart.h.
typedef struct {
    V x, y, dx, dy, seen_x, seen_y, lost;
    E m, n, seen_n, e, g, seen_e;
} Parked;

// Parks the lanes of ``mask`` in this state.
#define PARK(p, mask, x_, y_, e_, m_, n_) \
    (p).x = (mask) ? (x_) : (p).x; \
    (p).y = (mask) ? (y_) : (p).y; \
    (p).e = (mask) ? (e_) : (p).e; \
    (p).m = (mask) ? (m_) : (p).m; \
    (p).n = (mask) ? (n_) : (p).n; \
    (p).dx = (mask) ? dx : (p).dx; \
    (p).dy = (mask) ? dy : (p).dy; \
    (p).g = (mask) ? g : (p).g;

#if ROUNDS
ASSERT(PERTURBED_STATE == 12);
// Number k of those that a lane keeps. Each number of all work items lies together.
#define KEPT(k) state[(k) * items]

// Keeps the lanes of ``pending`` and ``apart`` for the next round, which begins with those of ``active``.
inline void keep(const Parked *p, M pending, M active, M apart, __global M *state, size_t items)
{
    KEPT(0) = (pending | apart) != 0 ? TO_M(p->m) << 2 | (apart & 1) << 1 | (active & 1) : (M)(-1);
    KEPT(1) = TO_M(p->n) | TO_M(p->seen_n) << 32;
    KEPT(2) = AS_BITS(p->x);
    KEPT(3) = AS_BITS(p->y);
    KEPT(4) = AS_BITS(p->seen_x);
    KEPT(5) = AS_BITS(p->seen_y);
    KEPT(6) = TO_M(p->e);
    KEPT(7) = TO_M(p->seen_e);
    KEPT(8) = AS_BITS(p->dx);
    KEPT(9) = AS_BITS(p->dy);
    KEPT(10) = TO_M(p->g);
    KEPT(11) = AS_BITS(p->lost);
}

// Reads what ``keep`` kept. Returns the pending lanes; ``turn`` are those to begin with.
inline M take_up(Parked *p, M *turn, M *apart, __global const M *state, size_t items)
{
    const M where = KEPT(0), there = where >= 0;
    *apart = there & ((where & 2) != 0);
    if (!ANY(there)) return there;
    *turn = there & ((where & 1) != 0);
    p->m = TO_E(where >> 2);
    p->n = TO_E(KEPT(1) & 0xffffffff);
    p->seen_n = TO_E(KEPT(1) >> 32);
    p->x = AS_V(KEPT(2));
    p->y = AS_V(KEPT(3));
    p->seen_x = AS_V(KEPT(4));
    p->seen_y = AS_V(KEPT(5));
    p->e = TO_E(KEPT(6));
    p->seen_e = TO_E(KEPT(7));
    p->dx = AS_V(KEPT(8));
    p->dy = AS_V(KEPT(9));
    p->g = TO_E(KEPT(10));
    p->lost = AS_V(KEPT(11));
    return there & NOT(*apart);
}
#endif
