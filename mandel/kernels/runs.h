// Colour for CPUs, in explicit vectors of RUN_LANES pixels: two to four times as fast as compilers' own vectors of
// single pixels.
#include "srgb.h"

#if RUN_LANES != 16
#error "the vectors here have 16 lanes"
#endif

// A sample's place on the palette's ring, 0 ... size - 1: entry i is the colour at phase (i + 0.5) / size. The result
// is a valid place whatever n and frac are: GPUs colour after every round of iterating, when some samples may not have
// been written yet (mandel/render/rounds.py).
inline int place(int n, float frac, float density, float offset, int size)
{
    const float turns = mad(density, native_sqrt(fmax((float)n + frac, 0.0f)), offset);
    return clamp((int)((turns - floor(turns)) * (float)size), 0, size - 1);
}

// The same for a vector of samples.
#define DEFINE_PLACES(name, F_, I_, TO_F_, TO_I_) \
inline I_ name(I_ n, F_ frac, float density, float offset, int size) \
{ \
    const F_ root = native_sqrt(fmax(TO_F_(n) + frac, 0.0f)); \
    const F_ turns = mad((F_)(density), root, (F_)(offset)); \
    return min(TO_I_((turns - floor(turns)) * (float)size), size - 1); \
}
DEFINE_PLACES(places_16, float16, int16, convert_float16, convert_int16)
#if defined(WIDTH) && WIDTH > 1
DEFINE_PLACES(vector_places, F, K, TO_F, TO_K)
#endif

// Canvas pixels of 16 samples, one a pixel. The ring's entry ``size`` is the interior's.
inline uint16 shaded(int16 n, float16 frac, int maxiter,
                     __global const uint *ring, int size, float density, float offset)
{
    int entries[16];
    uint colours[16];
    vstore16(select(places_16(n, frac, density, offset, size), (int16)(size), n > maxiter), 0, entries);
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
