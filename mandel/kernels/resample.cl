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

/* Adds a texel's light, weighted. */
inline void add(uint texel, float weight, float *r, float *g, float *b)
{
    float x = (float)(texel & 1023), y = (float)((texel >> 10) & 1023), z = (float)(texel >> 20);
    *r = mad(x * x, weight, *r);
    *g = mad(y * y, weight, *g);
    *b = mad(z * z, weight, *b);
}

/* Adds a bilinear look at one level; u, v in texels of level 0. ``place``: the
 * offset of the level's row place.y, which is the first there is; place.z is the
 * last. (Scalars throughout: with float3 the kernel takes half as long again.) */
inline void look(global const uint *restrict texels, int4 place, int level, int around,
                 float u, float v, float weight, float *r, float *g, float *b)
{
    float scale = as_float((127 - level) << 23);  // 2 to the power of -level
    float x = mad(u, scale, -0.5f), y = mad(v, scale, -0.5f);
    float left = floor(x), top = floor(y);
    float fx = x - left, fy = y - top;
    int cols = around >> level, i = (int)left, j = (int)top;
    i += i < 0 ? cols : 0;
    i -= i >= cols ? cols : 0;
    int next = i + 1 == cols ? 0 : i + 1;
    int above = place.x + (clamp(j, place.y, place.z) - place.y) * cols;
    int below = place.x + (clamp(j + 1, place.y, place.z) - place.y) * cols;
    float low = weight * fy, high = weight - low;
    add(texels[above + i], high - high * fx, r, g, b);
    add(texels[above + next], high * fx, r, g, b);
    add(texels[below + i], low - low * fx, r, g, b);
    add(texels[below + next], low * fx, r, g, b);
}

/* One frame. Global size: width, height, even. All looks of a pixel use the level
 * of its centre, and the derivative of the map there.
 *
 * places: for each level where its rows lie, as ``look`` takes it.
 * origin: row at one pixel from the centre; column: where the frame's right is;
 * per_e: rows (or columns) to a unit of the logarithm (or a radian);
 * level_at_one: the level at one pixel from the centre. */
kernel void resample(
    global const uint *restrict texels, global const int4 *restrict places,
    int around, float origin, float column, float per_e, float level_at_one, global uint *restrict canvas)
{
    int i = get_global_id(0), j = get_global_id(1);
    int width = get_global_size(0), height = get_global_size(1);
    float x = (float)i - 0.5f * (float)(width - 1), y = 0.5f * (float)(height - 1) - (float)j;
    float square = x * x + y * y, octaves = 0.5f * native_log2(square);
    float u = mad(atan2(y, x), per_e, column), v = mad(octaves, -per_e * M_LN2_F, origin);
    u += u < 0.0f ? (float)around : 0.0f;
    u -= u >= (float)around ? (float)around : 0.0f;
    float level = clamp(level_at_one - octaves, 0.0f, (float)COARSEST);
    int fine = (int)level, coarse = min(fine + 1, COARSEST);
    float share = level - (float)fine;
    // The map is conformal: a pixel to the right is (-y, -x) turned and scaled, one up (x, -y).
    float along_x = x * per_e / square, along_y = y * per_e / square;
    float red = 0.0f, green = 0.0f, blue = 0.0f;
    for (int b = 0; b < LOOKS; b++)
        for (int a = 0; a < LOOKS; a++) {
            float right = ((float)a + 0.5f) / LOOKS - 0.5f, up = ((float)b + 0.5f) / LOOKS - 0.5f;
            float at_u = u + up * along_x - right * along_y, at_v = v - right * along_x - up * along_y;
            look(texels, places[fine], fine, around, at_u, at_v, 1.0f - share, &red, &green, &blue);
            if (share > 0.0f)
                look(texels, places[coarse], coarse, around, at_u, at_v, share, &red, &green, &blue);
        }
    const float mean = 1.0f / (LOOKS * LOOKS * ROOTS * ROOTS);
    canvas[j * width + i] = pack(red * mean, green * mean, blue * mean);
}
