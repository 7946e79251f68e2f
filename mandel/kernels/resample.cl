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
#define CURVE 4095.0f  // entries of a table of canvas levels, less one

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
    float3 sum = light_of(fine[0]) + light_of(fine[1]);
    sum += light_of(fine[2 * cols]) + light_of(fine[2 * cols + 1]);
    texels[to + j * cols + i] = texel_of(0.25f * sum);
}

/* Where pixels lie as seen from the centre of a frame: (direction in radians,
 * octaves from one pixel). Global size: width, height, even. */
kernel void polar(global float2 *restrict places)
{
    int i = get_global_id(0), j = get_global_id(1);
    int width = get_global_size(0), height = get_global_size(1);
    float x = (float)i - 0.5f * (float)(width - 1), y = 0.5f * (float)(height - 1) - (float)j;
    places[j * width + i] = (float2)(atan2(y, x), 0.5f * log2(x * x + y * y));
}

inline float4 squares(uint texel)
{
    float4 root = convert_float4(((uint4)(texel) >> (uint4)(0, 10, 20, 30)) & 1023u);
    return root * root;
}

/* A bilinear look at one level; u, v in texels of level 0. ``place``: the offset
 * of the level's row place.y, which is the first there is; place.z is the last. */
inline float4 look(global const uint *restrict texels, int4 place, int level, int around, float u, float v)
{
    float scale = as_float((127 - level) << 23);  // 2 to the power of -level
    float x = mad(u, scale, -0.5f), y = mad(v, scale, -0.5f);
    float left = floor(x), top = floor(y);
    float fx = x - left, fy = y - top;
    int cols = around >> level, i = (int)left, j = (int)top;
    i += i < 0 ? cols : 0;
    i -= i >= cols ? cols : 0;
    int next = i + 1 == cols ? 0 : i + 1;
    global const uint *above = texels + place.x + (clamp(j, place.y, place.z) - place.y) * cols;
    global const uint *below = texels + place.x + (clamp(j + 1, place.y, place.z) - place.y) * cols;
    float4 high = mad(squares(above[next]) - squares(above[i]), fx, squares(above[i]));
    float4 low = mad(squares(below[next]) - squares(below[i]), fx, squares(below[i]));
    return mad(low - high, fy, high);
}

/* One frame. Global size: width, height. All looks of a pixel use the level of its
 * centre, and the derivative of the map there. A work item's vectors are colours:
 * CPUs load four neighbours faster than they gather those of many pixels.
 *
 * pixels: what ``polar`` gives for this size;
 * places: for each level where its rows lie, as ``look`` takes it;
 * origin: row at one pixel from the centre; column: where the frame's right is;
 * per_e: rows (or columns) to a unit of the logarithm (or a radian);
 * level_at_one: the level at one pixel from the centre;
 * curve: canvas levels of square roots of light. */
kernel __attribute__((vec_type_hint(float4))) void resample(
    global const uint *restrict texels, global const float2 *restrict pixels,
    global const int4 *restrict places, int around, float origin, float column, float per_e,
    float level_at_one, global const uint *restrict curve, global uint *restrict canvas)
{
    int i = get_global_id(0), j = get_global_id(1);
    int width = get_global_size(0), height = get_global_size(1);
    float2 pixel = pixels[j * width + i];
    float u = mad(pixel.x, per_e, column), v = mad(pixel.y, -per_e * M_LN2_F, origin);
    u += u < 0.0f ? (float)around : 0.0f;
    u -= u >= (float)around ? (float)around : 0.0f;
    float level = clamp(level_at_one - pixel.y, 0.0f, (float)COARSEST);
    int fine = (int)level, coarse = min(fine + 1, COARSEST);
    float share = level - (float)fine;
    // The map is conformal: a pixel to the right is (-y, -x) turned and scaled, one up (x, -y).
    float x = (float)i - 0.5f * (float)(width - 1), y = 0.5f * (float)(height - 1) - (float)j;
    float along = per_e / (x * x + y * y), along_x = x * along, along_y = y * along;
    float4 sum = 0.0f;
    for (int b = 0; b < LOOKS; b++)
        for (int a = 0; a < LOOKS; a++) {
            float right = ((float)a + 0.5f) / LOOKS - 0.5f, up = ((float)b + 0.5f) / LOOKS - 0.5f;
            float at_u = u + up * along_x - right * along_y, at_v = v - right * along_x - up * along_y;
            float4 near = look(texels, places[fine], fine, around, at_u, at_v);
            if (share > 0.0f)
                near = mix(near, look(texels, places[coarse], coarse, around, at_u, at_v), share);
            sum += near;
        }
    sum *= 1.0f / (LOOKS * LOOKS * ROOTS * ROOTS);
    int4 root = convert_int4(sqrt(sum) * CURVE);
    canvas[j * width + i] = curve[root.x] | (curve[root.y] << 10) | (curve[root.z] << 20);
}
