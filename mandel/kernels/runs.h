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
// lines[k].x, and each further count adds lines[k].y. The first MAP_BUCKETS ints of ``bases`` are no counts: they say
// where the search begins, by the eighth of an octave in which a count lies. It goes at most 2 * reach - 1 further.
#define MAPPING_PARAMETERS \
    float density, float offset, __global const int *bases, __global const float2 *lines, int reach
#define MAPPING_ARGUMENTS density, offset, bases, lines, reach

// The phase of a sample, in turns.
inline float turns_of(int n, float frac, MAPPING_PARAMETERS)
{
#if MAPPING == MAP_EVEN
    const float whole = fmin(fmax(floor(frac), -1e6f), 1e6f);
    const int m = clamp(n, 0, INT_MAX - 1000000) + (int)whole;
    __global const int *counts = bases + MAP_BUCKETS;
    int k = bases[(as_int((float)max(m, 0) + 1.0f) >> 20) - (127 << 3)];
    for (int step = reach; step > 0; step >>= 1)
        k += counts[k + step] <= m ? step : 0;
    return mad(lines[k].y, fmax((float)(m - counts[k]) + (frac - whole), 0.0f), lines[k].x);
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

// The same for a vector of LANES_ samples. Only the search in a curve is done lane by lane.
#if MAPPING == MAP_EVEN
#define VECTOR_TURNS(LANES_, F_, I_, TO_F_, TO_I_, AS_I_) \
    const F_ whole = fmin(fmax(floor(frac), (F_)(-1e6f)), (F_)(1e6f)); \
    union { I_ all; int each[LANES_]; } count, bucket, from; \
    union { F_ all; float each[LANES_]; } phase, step; \
    count.all = clamp(n, (I_)(0), (I_)(INT_MAX - 1000000)) + TO_I_(whole); \
    bucket.all = (AS_I_(TO_F_(max(count.all, (I_)(0))) + 1.0f) >> 20) - (127 << 3); \
    for (int l_ = 0; l_ < LANES_; l_++) { \
        int k_ = bases[bucket.each[l_]]; \
        for (int s_ = reach; s_ > 0; s_ >>= 1) \
            k_ += bases[MAP_BUCKETS + k_ + s_] <= count.each[l_] ? s_ : 0; \
        from.each[l_] = bases[MAP_BUCKETS + k_]; \
        phase.each[l_] = lines[k_].x; \
        step.each[l_] = lines[k_].y; \
    } \
    const F_ turns = mad(step.all, fmax(TO_F_(count.all - from.all) + (frac - whole), (F_)(0.0f)), phase.all);
#else
#if MAPPING == MAP_LINEAR
#define MAPPED_(mu) (mu)
#elif MAPPING == MAP_LOG
#define MAPPED_(mu) native_log2((mu) + 1.0f)
#else
#define MAPPED_(mu) native_sqrt(mu)
#endif
#define VECTOR_TURNS(LANES_, F_, I_, TO_F_, TO_I_, AS_I_) \
    const F_ turns = mad((F_)(density), MAPPED_(fmax(TO_F_(n) + frac, (F_)(0.0f))), (F_)(offset));
#endif
#define DEFINE_PLACES(name, LANES_, F_, I_, TO_F_, TO_I_, AS_I_) \
inline I_ name(I_ n, F_ frac, int size, MAPPING_PARAMETERS) \
{ \
    VECTOR_TURNS(LANES_, F_, I_, TO_F_, TO_I_, AS_I_) \
    return clamp(TO_I_((turns - floor(turns)) * (float)size), (I_)(0), (I_)(size - 1)); \
}
DEFINE_PLACES(places_16, 16, float16, int16, convert_float16, convert_int16, as_int16)
#if defined(WIDTH) && WIDTH > 1
DEFINE_PLACES(vector_places, WIDTH, F, K, TO_F, TO_K, AS_K)
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

// 16 canvas pixels as 48 bytes of RGB. at: the first one's number in a picture at least 16 pixels wide.
inline void store_rgb(uint16 v, int at, int width, __global uchar *to)
{
    const uint16 lane = (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const uint row = (uint)(at / width), first = (uint)(at % width);
    const uint16 beyond = select((uint16)(0), (uint16)(1), lane + first >= (uint16)((uint)width));
    const uint16 t = THRESHOLD(lane + first - beyond * (uint)width, row + beyond);
    v = BYTE_OF(CANVAS_RED(v), t) | BYTE_OF(CANVAS_GREEN(v), t) << 8 | BYTE_OF(CANVAS_BLUE(v), t) << 16;
    const uint4 p = v.s048c, q = v.s159d, r = v.s26ae, s = v.s37bf;
    const uint4 a = p | q << 24, b = q >> 8 | r << 16, c = r >> 16 | s << 8;
    vstore16(as_uchar16((uint4)(a.x, b.x, c.x, a.y)), 0, to);
    vstore16(as_uchar16((uint4)(b.y, c.y, a.z, b.z)), 1, to);
    vstore16(as_uchar16((uint4)(c.z, a.w, b.w, c.w)), 2, to);
}
