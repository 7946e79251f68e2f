// What becomes of a tile's samples while they are in the nearest caches: raw samples
// (PAINT is PAINT_NOTHING), canvas pixels (PAINT_CANVAS) or bytes of RGB (PAINT_RGB); pay only for what is asked.
#include "contract.h"
#include "runs.h"
#include "smooth.h"

#ifndef PAINT
#define PAINT PAINT_NOTHING
#endif
#if PAINT != PAINT_NOTHING
#if PAINT == PAINT_RGB
#define PAINTED uchar
#else
#define PAINTED uint
#endif
// ring: what is painted for each place, canvas pixels or bytes R, G, B, 0; then one more for
// the interior. base: the pixel of the picture at which the samples begin.
#define TARGET_PARAMETERS __global const uint *ring, int base, __global PAINTED *painted
#define TARGET_ARGUMENTS ring, base, painted
#define LOOK_PARAMETERS , int size, float density, float offset
#define LOOK_ARGUMENTS , size, density, offset
#else
#define TARGET_PARAMETERS __global int *count, __global float *frac
#define TARGET_ARGUMENTS count, frac
#define LOOK_PARAMETERS
#define LOOK_ARGUMENTS
#endif

// How a count is kept where states >= 0 are iterations done so far; its own inverse.
#define FINAL(count) (~(count))

// Makes of states that are all FINAL, and of norms, what is to be written: counts and fractions,
// or places on the ring. A loop of long chains of arithmetic that waits for no memory, so that
// many samples are under way at once. Returns how many reached maxiter, and how many escaped late
// (tally.cl); lanes beyond a row's end are counted with the former.
inline int2 conclude(int *state, float *norm, int vectors, int maxiter LOOK_PARAMETERS)
{
    K reached = (K)(0), beyond = (K)(0);
    for (int at = 0; at < vectors * WIDTH; at += WIDTH) {
        const K n = FINAL(LOAD(state + at)), inside = n > maxiter;
        reached -= inside;
        beyond -= n > maxiter / 2;
#if PAINT != PAINT_NOTHING
        if (all(inside)) {
            STORE((K)(size), state + at);
            continue;
        }
#endif
        const F f = select(vector_smooth_frac(LOAD(norm + at)), (F)(0.0f), inside);
#if PAINT != PAINT_NOTHING
        STORE(select(vector_places(n, f, density, offset, size), (K)(size), inside), state + at);
#else
        STORE(n, state + at);
        STORE(f, norm + at);
#endif
    }
    int sums[2 * WIDTH];
    int2 found = (int2)(0);
    STORE(reached, sums);
    STORE(beyond, sums + WIDTH);
    for (int l = 0; l < WIDTH; ++l)
        found += (int2)(sums[l], sums[WIDTH + l] - sums[l]);
    return found;
}

// Writes concluded samples that follow each other in the picture, from the one numbered `pixel` on.
inline void deliver(const int *state, const float *norm, int length, size_t pixel, TARGET_PARAMETERS)
{
#if PAINT == PAINT_NOTHING
    for (int p = 0; p < length; ++p)
        count[pixel + p] = state[p];
    for (int p = 0; p < length; ++p)
        frac[pixel + p] = norm[p];
#elif PAINT == PAINT_CANVAS
    for (int p = 0; p < length; ++p)
        painted[base + pixel + p] = ring[state[p]];
#else
    __global uchar *to = painted + 3 * (base + pixel);
    int p = 0;
    for (; p + 6 <= length; p += 4) {  // 12 bytes of 16; the next ones come over the rest
        const uchar16 v = as_uchar16(
            (uint4)(ring[state[p]], ring[state[p + 1]], ring[state[p + 2]], ring[state[p + 3]]));
        vstore16((uchar16)(v.s012, v.s456, v.s89a, v.scde, (uchar4)(0)), 0, to + 3 * p);
    }
    for (; p < length; ++p)
        vstore3(as_uchar4(ring[state[p]]).xyz, p, to);
#endif
}
