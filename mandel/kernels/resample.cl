/* Strips of the exponential map: canvas -> texels -> coarser levels -> frames.
 *
 * A texel holds the square roots of linear light, CHANNEL_BITS a channel, red lowest. To the eye these steps are about
 * as even as sRGB's, and one multiplication leads to linear light, in which all filtering is done.
 *
 * Defines: TAPS (texels along each side of the block that a pixel is made from,
 * even), COARSEST (the last level).
 */
#include "srgb.h"

#ifndef TAPS
#define TAPS 4
#endif
#ifndef SOFT
#define SOFT 1.4f  // texels over which the edge of a pixel fades; docs/sampling.md
#endif
#ifndef COARSEST
#define COARSEST 0
#endif
#define ROOTS ((float)CHANNEL_MASK)
#define CURVE ((float)(CURVE_ENTRIES - 1))  // the last entry of the table ``curve``

inline float3 light_of(uint texel)
{
    float3 root = (float3)((float)CANVAS_RED(texel), (float)CANVAS_GREEN(texel), (float)CANVAS_BLUE(texel));
    return root * root;
}

inline uint texel_of(float3 light)
{
    float3 root = fmin(native_sqrt(light), ROOTS) + 0.5f;
    return CANVAS_PIXEL((uint)root.x, (uint)root.y, (uint)root.z);
}

/* Copies a shaded block of samples to its place in a strip's finest level, as texels.
 * Global size: columns, rows of the block. at: the block's first texel; stride: texels in a row of the level. */
kernel void to_texels(global const uint *restrict canvas, int at, int stride, global uint *restrict texels)
{
    int i = get_global_id(0), j = get_global_id(1);
    uint v = canvas[j * (int)get_global_size(0) + i];
    float3 light = (float3)(decode(CANVAS_RED(v)), decode(CANVAS_GREEN(v)), decode(CANVAS_BLUE(v)));
    texels[at + j * stride + i] = v ? texel_of(light * (ROOTS * ROOTS)) : 0;
}

/* Makes the level at ``to`` from the next finer level, at ``from``: each texel is the mean of four.
 * Global size: columns, rows of the new level. */
kernel void halve(global uint *restrict texels, int from, int to)
{
    int i = get_global_id(0), j = get_global_id(1), cols = get_global_size(0);
    global const uint *fine = texels + from + 4 * j * cols + 2 * i;
    float3 sum = light_of(fine[0]) + light_of(fine[1]);
    sum += light_of(fine[2 * cols]) + light_of(fine[2 * cols + 1]);
    texels[to + j * cols + i] = texel_of(0.25f * sum);
}

/* Where a frame's pixels lie as seen from its centre: (direction in radians, log2 of the distance in pixels).
 * Global size: width, height; both even. */
kernel void polar(global float2 *restrict places)
{
    int i = get_global_id(0), j = get_global_id(1);
    int width = get_global_size(0), height = get_global_size(1);
    float x = (float)i - 0.5f * (float)(width - 1), y = 0.5f * (float)(height - 1) - (float)j;
    places[j * width + i] = (float2)(atan2(y, x), 0.5f * log2(x * x + y * y));
}

/* One frame. Global size: width, height.
 *
 * A pixel is a weighted mean of the TAPS x TAPS texels around its centre, all of one level: the level of which 2 to 4
 * texels lie along the pixel's side (fewer where there is no finer level). The map is conformal: the pixel is a turned
 * and scaled square on it. A texel's weight says how far it lies within that square, whose edges fade over SOFT
 * texels. There is no branch, so that compilers for CPUs make vectors of neighbouring pixels.
 *
 * pixels: what ``polar`` gives for this size;
 * places: for each level the offset of the first row that is there, that row's number, the last row's number;
 * origin: row at one pixel from the centre; column: where the frame's right is;
 * per_e: rows (or columns) to a unit of the logarithm (or a radian);
 * level_at_one: the level at one pixel from the centre;
 * curve: canvas levels of square roots of light. */
kernel void resample(
    global const uint *restrict texels, global const float2 *restrict pixels,
    global const int4 *restrict places, int around, float origin, float column, float per_e,
    float level_at_one, global const uint *restrict curve, global uint *restrict canvas)
{
    int i = get_global_id(0), j = get_global_id(1);
    int width = get_global_size(0), height = get_global_size(1);
    float2 pixel = pixels[j * width + i];
    int level = clamp((int)floor(level_at_one - pixel.y), 0, COARSEST);
    float scale = as_float((127 - level) << 23);  // 2 to the power of -level
    float u = mad(mad(pixel.x, per_e, column), scale, -0.5f);
    float v = mad(mad(pixel.y, -per_e * M_LN2_F, origin), scale, -0.5f);
    float left = floor(u), top = floor(v);
    int4 place = places[level];
    int cols = around >> level, first = (int)left - (TAPS / 2 - 1), row = (int)top - (TAPS / 2 - 1);

    // Right, as seen on the map, is (-y, -x); up is (x, -y): here in units of SOFT texels.
    float x = (float)i - 0.5f * (float)(width - 1), y = 0.5f * (float)(height - 1) - (float)j;
    float inverse = native_rsqrt(x * x + y * y);
    float half_side = mad(per_e * scale * inverse, 0.5f / SOFT, 0.5f);
    x *= inverse * (1.0f / SOFT);
    y *= inverse * (1.0f / SOFT);

    int col[TAPS];
    float right[TAPS], up[TAPS];
    #pragma unroll
    for (int a = 0; a < TAPS; a++) {
        float du = left - u + (float)(a - (TAPS / 2 - 1));
        right[a] = du * y;
        up[a] = du * x;
        int c = first + a;
        c += c < 0 ? cols : 0;
        col[a] = c - (c >= cols ? cols : 0);
    }
    float r = 0.0f, g = 0.0f, b = 0.0f, sum = 0.0f;
    #pragma unroll
    for (int q = 0; q < TAPS; q++) {
        float dv = top - v + (float)(q - (TAPS / 2 - 1));
        int from = place.x + (clamp(row + q, place.y, place.z) - place.y) * cols;
        #pragma unroll
        for (int a = 0; a < TAPS; a++) {
            float weight = clamp(half_side - fabs(mad(dv, x, right[a])), 0.0f, 1.0f)
                           * clamp(half_side - fabs(mad(dv, -y, up[a])), 0.0f, 1.0f);
            uint texel = texels[from + col[a]];
            // Conversions of signed numbers are a single instruction everywhere.
            float red = (float)(int)CANVAS_RED(texel), blue = (float)(int)CANVAS_BLUE(texel);
            float green = (float)(int)(texel & (CHANNEL_MASK << CHANNEL_BITS));  // not shifted down
            r = mad(weight * red, red, r);
            g = mad(weight * green, green, g);
            b = mad(weight * blue, blue, b);
            sum += weight;
        }
    }
    // Rounding errors must not lead beyond the table.
    float share = native_rsqrt(sum) * (CURVE / ROOTS);
    int red = (int)fmin(native_sqrt(r) * share, CURVE), blue = (int)fmin(native_sqrt(b) * share, CURVE);
    int green = (int)fmin(native_sqrt(g) * (share / (float)(1 << CHANNEL_BITS)), CURVE);
    canvas[j * width + i] = CANVAS_PIXEL(curve[red], curve[green], curve[blue]);
}
