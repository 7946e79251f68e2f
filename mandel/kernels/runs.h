// Colour for CPUs, in explicit vectors of RUN_LANES pixels: two to four times as fast as compilers' own vectors of
// single pixels.
#include "srgb.h"

#if RUN_LANES != 16
#error "the vectors here have 16 lanes"
#endif

#ifndef MAPPING
#define MAPPING MAP_ROOT
#endif
// How a smooth count becomes a phase on the palette's ring. With the define MAPPING (a number of the contract)
// MAP_EVEN, a curve says so, and density and offset are part of it: from the whole count bases[k] on the phase is
// lines[k].x, and each further count adds lines[k].y. The curve has 2 * reach pieces, a power of two (1 if reach is 0).
#define MAPPING_PARAMETERS \
    float density, float offset, __global const int *bases, __global const float2 *lines, int reach
#define MAPPING_ARGUMENTS density, offset, bases, lines, reach

// The phase of a sample, in turns.
inline float turns_of(int n, float frac, MAPPING_PARAMETERS)
{
#if MAPPING == MAP_EVEN
    const float whole = fmin(fmax(floor(frac), -1e6f), 1e6f);
    const int m = add_sat(n, (int)whole);
    int k = 0;
    for (int step = reach; step > 0; step >>= 1)
        k += bases[k + step] <= m ? step : 0;
    return mad(lines[k].y, fmax((float)(m - bases[k]) + (frac - whole), 0.0f), lines[k].x);
#elif MAPPING == MAP_LINEAR
    return mad(density, fmax((float)n + frac, 0.0f), offset);
#elif MAPPING == MAP_LOG
    return mad(density, native_log2(fmax((float)n + frac, 0.0f) + 1.0f), offset);
#else
    return mad(density, native_sqrt(fmax((float)n + frac, 0.0f)), offset);
#endif
}

// A sample's place on the palette's ring, 0 ... size - 1: entry i is the colour at phase (i + 0.5) / size. The result
// is a valid place whatever n and frac are: GPUs colour after every round of iterating, when some samples may not have
// been written yet (mandel/render/rounds.py).
inline int place(int n, float frac, int size, MAPPING_PARAMETERS)
{
    const float turns = turns_of(n, frac, MAPPING_ARGUMENTS);
    return clamp((int)((turns - floor(turns)) * (float)size), 0, size - 1);
}

// The same for a vector of LANES_ samples.
#if MAPPING == MAP_ROOT
#define DEFINE_PLACES(name, LANES_, F_, I_, TO_F_, TO_I_) \
inline I_ name(I_ n, F_ frac, int size, MAPPING_PARAMETERS) \
{ \
    const F_ root = native_sqrt(fmax(TO_F_(n) + frac, 0.0f)); \
    const F_ turns = mad((F_)(density), root, (F_)(offset)); \
    return min(TO_I_((turns - floor(turns)) * (float)size), size - 1); \
}
#else
#define DEFINE_PLACES(name, LANES_, F_, I_, TO_F_, TO_I_) \
inline I_ name(I_ n, F_ frac, int size, MAPPING_PARAMETERS) \
{ \
    union { I_ all; int each[LANES_]; } count, found; \
    union { F_ all; float each[LANES_]; } rest; \
    count.all = n; \
    rest.all = frac; \
    for (int l_ = 0; l_ < LANES_; l_++) \
        found.each[l_] = place(count.each[l_], rest.each[l_], size, MAPPING_ARGUMENTS); \
    return found.all; \
}
#endif
DEFINE_PLACES(places_16, 16, float16, int16, convert_float16, convert_int16)
#if defined(WIDTH) && WIDTH > 1
DEFINE_PLACES(vector_places, WIDTH, F, K, TO_F, TO_K)
#endif

// Canvas pixels of 16 samples, one a pixel. The ring's entry ``size`` is the interior's.
inline uint16 shaded(int16 n, float16 frac, int maxiter,
                     __global const uint *ring, int size, MAPPING_PARAMETERS)
{
    int entries[16];
    uint colours[16];
    vstore16(select(places_16(n, frac, size, MAPPING_ARGUMENTS), (int16)(size), n > maxiter), 0, entries);
    for (int l = 0; l < 16; l++)
        colours[l] = ring[entries[l]];
    return vload16(0, colours);
}

// 16 canvas pixels as 48 bytes of RGB.
inline void store_rgb(uint16 v, __global uchar *to)
{
    v = BYTE_OF(CANVAS_RED(v)) | BYTE_OF(CANVAS_GREEN(v)) << 8 | BYTE_OF(CANVAS_BLUE(v)) << 16;
    const uint4 p = v.s048c, q = v.s159d, r = v.s26ae, s = v.s37bf;
    const uint4 a = p | q << 24, b = q >> 8 | r << 16, c = r >> 16 | s << 8;
    vstore16(as_uchar16((uint4)(a.x, b.x, c.x, a.y)), 0, to);
    vstore16(as_uchar16((uint4)(b.y, c.y, a.z, b.z)), 1, to);
    vstore16(as_uchar16((uint4)(c.z, a.w, b.w, c.w)), 2, to);
}
