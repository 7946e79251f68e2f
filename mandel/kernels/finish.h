// The last step of a tile, while its samples are in the nearest caches. The define PAINT says what is written: raw
// samples (PAINT_NOTHING), canvas pixels (PAINT_CANVAS) or bytes of RGB (PAINT_RGB). Nothing else is computed.
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
// ring: the palette, an entry for each place on the ring: a canvas pixel, or bytes R, G, B, 0. One more entry is the
// interior's. Of bytes there are four such rings, one for each threshold (srgb.h). base: the pixel of the picture at
// which the samples begin.
#define TARGET_PARAMETERS __global const uint *ring, int base, __global PAINTED *painted
#define TARGET_ARGUMENTS ring, base, painted
#define LOOK_PARAMETERS , int size, MAPPING_PARAMETERS
#define LOOK_ARGUMENTS , size, MAPPING_ARGUMENTS
#define RING_ENTRIES (size + 1)
#else
#define TARGET_PARAMETERS __global int *count, __global float *frac
#define TARGET_ARGUMENTS count, frac
#define LOOK_PARAMETERS
#define LOOK_ARGUMENTS
#define RING_ENTRIES 0
#endif

// A sample's final count as a negative state. (States >= 0 count the iterations done so far.) FINAL undoes itself.
#define FINAL(count) (~(count))

// Turns final states and norms into what is to be written: counts and fractions, or places on the ring. The loop
// waits for no memory, so that the processor works on many samples at once. Returns how many samples reached maxiter
// and how many escaped late (tally.cl). Lanes beyond a row's end count among the former.
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
        STORE(select(vector_places(n, f, size, MAPPING_ARGUMENTS), (K)(size), inside), state + at);
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

// Writes concluded samples that are neighbours in a row of the picture, from pixel number ``pixel`` on, which is in
// column x of row y. entries: of one ring.
inline void deliver(const int *state, const float *norm, int length, size_t pixel, int x, int y, int entries,
                    TARGET_PARAMETERS)
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
    __global const uint *even = ring + entries * THRESHOLD(x, y), *odd = ring + entries * THRESHOLD(x + 1, y);
    int p = 0;
    for (; p + 6 <= length; p += 4) {  // stores 16 bytes of which 12 count; the next store overwrites the rest
        const uchar16 v = as_uchar16(
            (uint4)(even[state[p]], odd[state[p + 1]], even[state[p + 2]], odd[state[p + 3]]));
        vstore16((uchar16)(v.s012, v.s456, v.s89a, v.scde, (uchar4)(0)), 0, to + 3 * p);
    }
    for (; p < length; ++p)
        vstore3(as_uchar4((p % 2 ? odd : even)[state[p]]).xyz, p, to);
#endif
}
