// Linear light to canvas pixels and back. A canvas pixel is a uint with CHANNEL_BITS a channel, gamma-encoded, red
// lowest. One level of a byte is 1 << BYTE_SHIFT canvas levels. Canvas levels are rounded down.
#include "contract.h"

#define LEVELS ((float)CANVAS_LEVELS)
#define CHANNEL_MASK ((1 << CHANNEL_BITS) - 1)
#define CANVAS_RED(pixel) ((pixel) & CHANNEL_MASK)
#define CANVAS_GREEN(pixel) ((pixel) >> CHANNEL_BITS & CHANNEL_MASK)
#define CANVAS_BLUE(pixel) ((pixel) >> 2 * CHANNEL_BITS)
#define CANVAS_PIXEL(r, g, b) ((r) | (g) << CHANNEL_BITS | (b) << 2 * CHANNEL_BITS)
// Canvas levels become bytes by an ordered pattern of 2 x 2 pixels, always the same, so that flats show the levels
// between two bytes and nothing flickers. The threshold of the pixel in column x of row y, 0 to 3.
#define THRESHOLD(x, y) ((((x) ^ (y)) & 1) << 1 | ((y) & 1))
// The byte of a canvas level, or of a vector of them, at a threshold.
#define BYTE_OF(level, threshold) (((level) + (threshold)) >> BYTE_SHIFT)

/* sRGB transfer function, IEC 61966-2-1; in and out 0..1. */
inline float encode(float v)
{
    float curve = mad(1.055f, native_exp2(native_log2(fmax(v, 1e-6f)) * (1.0f / 2.4f)), -0.055f);
    return v <= 0.0031308f ? 12.92f * v : curve;
}

inline uint pack(float r, float g, float b)
{
    uint x = (uint)(encode(r) * LEVELS);
    uint y = (uint)(encode(g) * LEVELS);
    uint z = (uint)(encode(b) * LEVELS);
    return CANVAS_PIXEL(x, y, z);
}

/* The linear light of a canvas channel, 0..1: the middle of what rounding down left open. */
inline float decode(uint level)
{
    float v = ((float)level + 0.5f) / LEVELS;
    float curve = native_exp2(native_log2((v + 0.055f) / 1.055f) * 2.4f);
    return v <= 0.04045f ? v / 12.92f : curve;
}
