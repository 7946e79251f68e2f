// Linear light to canvas pixels: ten bits a channel, gamma-encoded, red lowest.
//
// Four canvas levels to one of a byte, rounded down, so that rounding the
// canvas to bytes is rounding the exact value.
#define LEVELS 1020.0f

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
    return x | (y << 10) | (z << 20);
}

/* The linear light of a canvas channel, 0..1: the middle of what rounding down left open. */
inline float decode(uint level)
{
    float v = ((float)level + 0.5f) / LEVELS;
    float curve = native_exp2(native_log2((v + 0.055f) / 1.055f) * 2.4f);
    return v <= 0.04045f ? v / 12.92f : curve;
}
