/* Strips of the exponential map: canvas -> texels -> coarser levels -> frames.
 *
 * A texel holds square roots of linear light, ten bits a channel, red lowest:
 * about as even to the eye as sRGB, and a multiplication away from linear
 * light, in which all filtering is done.
 *
 * Defines: LOOKS (looks along each side of a pixel), COARSEST (the last level).
 */
#include "srgb.h"

#ifndef LOOKS
#define LOOKS 1
#endif
#ifndef COARSEST
#define COARSEST 0
#endif
#define ROOTS 1023.0f

inline float3 light_of(uint texel)
{
    float3 root = (float3)((float)(texel & 1023), (float)((texel >> 10) & 1023), (float)(texel >> 20));
    return root * root;
}

inline uint texel_of(float3 light)
{
    float3 root = fmin(native_sqrt(light), ROOTS) + 0.5f;
    return (uint)root.x | ((uint)root.y << 10) | ((uint)root.z << 20);
}

/* A shaded block of samples to its place in a strip's finest level.
 * Global size: columns, rows of the block; ``at`` is its first texel. */
kernel void to_texels(global const uint *restrict canvas, int at, int stride, global uint *restrict texels)
{
    int i = get_global_id(0), j = get_global_id(1);
    uint v = canvas[j * (int)get_global_size(0) + i];
    float3 light = (float3)(decode(v & 1023), decode((v >> 10) & 1023), decode(v >> 20));
    texels[at + j * stride + i] = v ? texel_of(light * (ROOTS * ROOTS)) : 0;
}

/* The level at ``to`` from the next finer one at ``from``. Global size: its columns, rows. */
kernel void halve(global uint *restrict texels, int from, int to)
{
    int i = get_global_id(0), j = get_global_id(1), cols = get_global_size(0);
    global const uint *fine = texels + from + 4 * j * cols + 2 * i;
    float3 sum = light_of(fine[0]) + light_of(fine[1]) + light_of(fine[2 * cols]) + light_of(fine[2 * cols + 1]);
    texels[to + j * cols + i] = texel_of(0.25f * sum);
}

/* Bilinear look at one level: u, v in texels of level 0. ``place``: offset of
 * the level's row ``place.y``, which is the first there is; place.z is the last. */
inline float3 look(global const uint *restrict texels, int4 place, int level, int around, float u, float v)
{
    float x = ldexp(u, -level) - 0.5f, y = ldexp(v, -level) - 0.5f;
    float left = floor(x), top = floor(y);
    float fx = x - left, fy = y - top;
    int cols = around >> level;
    int i = (int)left, j = (int)top;
    i += i < 0 ? cols : 0;
    i -= i >= cols ? cols : 0;
    int next = i + 1 == cols ? 0 : i + 1;
    int above = place.x + (clamp(j, place.y, place.z) - place.y) * cols;
    int below = place.x + (clamp(j + 1, place.y, place.z) - place.y) * cols;
    float3 high = mix(light_of(texels[above + i]), light_of(texels[above + next]), fx);
    float3 low = mix(light_of(texels[below + i]), light_of(texels[below + next]), fx);
    return mix(high, low, fy);
}

/* One frame. Global size: width, height.
 *
 * places: for each level where its rows lie, as ``look`` takes it.
 * origin: row at one pixel from the centre; column: where the frame's right is;
 * per_e: rows (or columns) to a unit of the logarithm (or a radian). */
kernel void resample(
    global const uint *restrict texels, global const int4 *restrict places,
    int around, float origin, float column, float per_e, global uint *restrict canvas)
{
    int i = get_global_id(0), j = get_global_id(1);
    int width = get_global_size(0), height = get_global_size(1);
    float3 sum = 0.0f;
    for (int b = 0; b < LOOKS; b++)
        for (int a = 0; a < LOOKS; a++) {
            float x = (float)i - 0.5f * (float)width + ((float)a + 0.5f) / LOOKS;
            float y = 0.5f * (float)height - (float)j - ((float)b + 0.5f) / LOOKS;
            float log_r = 0.5f * log(x * x + y * y);
            float u = mad(atan2(y, x), per_e, column);
            u += u < 0.0f ? (float)around : 0.0f;
            u -= u >= (float)around ? (float)around : 0.0f;
            float v = mad(-log_r, per_e, origin);
            float level = clamp(native_log2(per_e / LOOKS) - log_r * M_LOG2E_F, 0.0f, (float)COARSEST);
            int fine = min((int)level, COARSEST);
            int coarse = min(fine + 1, COARSEST);
            sum += mix(look(texels, places[fine], fine, around, u, v),
                       look(texels, places[coarse], coarse, around, u, v), level - (float)fine);
        }
    sum *= 1.0f / (LOOKS * LOOKS * ROOTS * ROOTS);
    canvas[j * width + i] = pack(sum.x, sum.y, sum.z);
}
