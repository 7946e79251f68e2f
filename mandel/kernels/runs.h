// Colour for CPUs, in explicit vectors of 16 pixels: two to four times as fast as
// what a compiler makes of single pixels.

// A sample's place on the ring: entry i is the colour at phase (i + 0.5) / size.
inline int place(int n, float frac, float density, float offset, int size)
{
    const float turns = mad(density, native_sqrt(fmax((float)n + frac, 0.0f)), offset);
    return min((int)((turns - floor(turns)) * (float)size), size - 1);
}

// Canvas pixels of 16 samples from `at` on, one a pixel.
inline uint16 shaded(__global const int *count, __global const float *frac, int at, int maxiter,
                     __global const uint *ring, int size, float density, float offset)
{
    const int16 n = vload16(0, count + at);
    const float16 root = native_sqrt(fmax(convert_float16(n) + vload16(0, frac + at), 0.0f));
    const float16 turns = mad((float16)(density), root, (float16)(offset));
    int entries[16];
    uint colours[16];
    vstore16(min(convert_int16((turns - floor(turns)) * (float)size), size - 1), 0, entries);
    for (int l = 0; l < 16; l++)
        colours[l] = ring[entries[l]];
    return select(vload16(0, colours), (uint16)(0), n > maxiter);
}

// 16 canvas pixels as 48 bytes of RGB.
inline void store_rgb(uint16 v, __global uchar *to)
{
    v = ((v & 1023) + 2) >> 2 | ((((v >> 10) & 1023) + 2) >> 2) << 8 | (((v >> 20) + 2) >> 2) << 16;
    const uint4 p = v.s048c, q = v.s159d, r = v.s26ae, s = v.s37bf;
    const uint4 a = p | q << 24, b = q >> 8 | r << 16, c = r >> 16 | s << 8;
    vstore16(as_uchar16((uint4)(a.x, b.x, c.x, a.y)), 0, to);
    vstore16(as_uchar16((uint4)(b.y, c.y, a.z, b.z)), 1, to);
    vstore16(as_uchar16((uint4)(c.z, a.w, b.w, c.w)), 2, to);
}

// Canvas pixels (PAINT 1) or bytes of RGB (PAINT 2) of one work item's samples `first` to `end`.
#ifndef PAINT
#define PAINT 0
#endif
#if PAINT == 2
#define PAINTED uchar
#else
#define PAINTED uint
#endif
inline void paint(__global const int *count, __global const float *frac, int first, int end, int maxiter,
                  __global const uint *ring, int size, float density, float offset,
                  int base, __global PAINTED *painted)
{
    if (end - first < 16) {
        for (int p = first; p < end; ++p) {
            const uint v = count[p] > maxiter ? 0 : ring[place(count[p], frac[p], density, offset, size)];
#if PAINT == 2
            for (int k = 0; k < 3; ++k) painted[3 * (base + p) + k] = (((v >> (10 * k)) & 1023) + 2) >> 2;
#else
            painted[base + p] = v;
#endif
        }
        return;
    }
    for (int from = first; from < end; from += 16) {  // the last vector does some pixels again
        const int at = min(from, end - 16);
        const uint16 v = shaded(count, frac, at, maxiter, ring, size, density, offset);
#if PAINT == 2
        store_rgb(v, painted + 3 * (base + at));
#else
        vstore16(v, 0, painted + base + at);
#endif
    }
}
