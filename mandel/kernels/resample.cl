/* Strips of the exponential map: canvas -> texels -> coarser levels -> frames.
 *
 * A texel holds the square roots of linear light, CHANNEL_BITS a channel, red lowest. To the eye these steps are about
 * as even as sRGB's, and one multiplication leads to linear light, in which all filtering is done.
 *
 * Defines: TAPS (texels along each side of the block that a pixel is made from), COARSEST (the last level).
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
#if TAPS != 4 || RUN_LANES != 16
#error "the kernels that resample a frame have 4 x 4 texels and 16 lanes"
#endif
#define ROOTS ((float)CHANNEL_MASK)
#define CURVE ((float)(CURVE_ENTRIES - 1))  // the last entry of the table ``curve``
#define NEAREST 0.0625f  // of the square of a pixel's distance, which is 0.5 or more about the frame's own centre

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

/* Where a frame's pixels lie as seen from the strips' centre: (direction in radians, log2 of the distance in pixels).
 * Global size: width, height; both even. aside_x, aside_y: pixels from there to the frame's centre, right and up. */
kernel void polar(global float2 *restrict places, float aside_x, float aside_y)
{
    int i = get_global_id(0), j = get_global_id(1);
    int width = get_global_size(0), height = get_global_size(1);
    float x = (float)i - 0.5f * (float)(width - 1) + aside_x, y = 0.5f * (float)(height - 1) - (float)j + aside_y;
    places[j * width + i] = (float2)(atan2(y, x), 0.5f * log2(fmax(x * x + y * y, NEAREST)));
}

/* 1 / sqrt(v) for v >= 0, with an error below 3e-7 and the same bits on every device and in every lane; finite for 0. */
#define DEFINE_INVERSE_ROOT(name, F_, AS_F_, AS_I_) \
inline F_ name(F_ v) \
{ \
    const F_ half_ = -0.5f * v; \
    F_ root = AS_F_(0x5f375a86 - (AS_I_(v) >> 1)); \
    root *= fma(half_ * root, root, (F_)(1.5f)); \
    root *= fma(half_ * root, root, (F_)(1.5f)); \
    return root * fma(half_ * root, root, (F_)(1.5f)); \
}
DEFINE_INVERSE_ROOT(inverse_root, float, as_float, as_int)
DEFINE_INVERSE_ROOT(inverse_roots, float16, as_float16, as_int16)

/* One frame.
 *
 * A pixel is a weighted mean of the TAPS x TAPS texels around its centre, all of one level: the level of which 2 to 4
 * texels lie along the pixel's side (fewer where there is no finer level). The map is conformal: the pixel is a turned
 * and scaled square on it. A texel's weight says how far it lies within that square, whose edges fade over SOFT
 * texels.
 *
 * pixels: what ``polar`` gives for this size and place; aside_x, aside_y: as there;
 * places: for each level the offset of the first row that is there, that row's number, the last row's number;
 * beyond: how many columns of a level's beginning follow each of its rows once more;
 * origin: row at one pixel from the centre; column: where the frame's right is;
 * per_e: rows (or columns) to a unit of the logarithm (or a radian);
 * level_at_one: the level at one pixel from the centre;
 * curve: canvas levels of square roots of light. */
#define FRAME_PARAMETERS \
    global const uint *restrict texels, global const float2 *restrict pixels, global const int4 *restrict places, \
        int around, int beyond, float origin, float column, float per_e, float level_at_one, \
        global const uint *restrict curve, global uint *restrict canvas, float aside_x, float aside_y

/* Global size: width, height. */
kernel void resample(FRAME_PARAMETERS)
{
    int i = get_global_id(0), j = get_global_id(1);
    int width = get_global_size(0), height = get_global_size(1);
    float2 pixel = pixels[j * width + i];
    int level = clamp((int)floor(level_at_one - pixel.y), 0, COARSEST);
    float scale = as_float((127 - level) << 23);  // 2 to the power of -level
    float u = fma(fma(pixel.x, per_e, column), scale, -0.5f);
    float v = fma(fma(pixel.y, -per_e * M_LN2_F, origin), scale, -0.5f);
    float left = floor(u), top = floor(v);
    int4 place = places[level];
    int cols = around >> level, first = (int)left - (TAPS / 2 - 1), row = (int)top - (TAPS / 2 - 1);

    // Right, as seen on the map, is (-y, -x); up is (x, -y): here in units of SOFT texels.
    float x = (float)i - 0.5f * (float)(width - 1) + aside_x, y = 0.5f * (float)(height - 1) - (float)j + aside_y;
    float inverse = inverse_root(fmax(fma(x, x, y * y), NEAREST));
    float half_side = fma(per_e * scale * inverse, 0.5f / SOFT, 0.5f);
    x *= inverse * (1.0f / SOFT);
    y *= inverse * (1.0f / SOFT);

    // Summed column by column, as the lanes of resample_run do.
    float4 sums[TAPS];
    #pragma unroll
    for (int a = 0; a < TAPS; a++) {
        float du = left - u + (float)(a - (TAPS / 2 - 1)), right = du * y, up = du * x;
        int col = first + a;
        col += col < 0 ? cols : 0;
        col -= col >= cols ? cols : 0;
        float r = 0.0f, g = 0.0f, b = 0.0f, sum = 0.0f;
        #pragma unroll
        for (int q = 0; q < TAPS; q++) {
            float dv = top - v + (float)(q - (TAPS / 2 - 1));
            float weight = clamp(half_side - fabs(fma(dv, x, right)), 0.0f, 1.0f)
                           * clamp(half_side - fabs(fma(dv, -y, up)), 0.0f, 1.0f);
            int from = place.x + (clamp(row + q, place.y, place.z) - place.y) * (cols + beyond);
            uint texel = texels[from + col];
            // Conversions of signed numbers are a single instruction everywhere.
            float red = (float)(int)CANVAS_RED(texel), blue = (float)(int)CANVAS_BLUE(texel);
            float green = (float)(int)(texel & (CHANNEL_MASK << CHANNEL_BITS));  // not shifted down
            r = fma(weight * red, red, r);
            g = fma(weight * green, green, g);
            b = fma(weight * blue, blue, b);
            sum += weight;
        }
        sums[a] = (float4)(r, g, b, sum);
    }
    float4 all_taps = (sums[0] + sums[2]) + (sums[1] + sums[3]);
    float r = all_taps.x, g = all_taps.y, b = all_taps.z, sum = all_taps.w;
    // Rounding errors must not lead beyond the table.
    const float high = CURVE / ROOTS;
    int red = (int)fmin(r * inverse_root(r * sum) * high, CURVE);
    int blue = (int)fmin(b * inverse_root(b * sum) * high, CURVE);
    int green = (int)fmin(g * inverse_root(g * sum) * (high / (float)(1 << CHANNEL_BITS)), CURVE);
    canvas[j * width + i] = CANVAS_PIXEL(curve[red], curve[green], curve[blue]);
}

// For the pixels k, k + 4, k + 8 and k + 12 of 16: the weighted sums of light of each column of texels. A lane has the
// texel in column a of pixel k + 4 l, with a = lane % 4 and l = lane / 4. EACH: these pixels' lanes, four times each.
#define GATHER(k, EACH) \
    { \
        const float16 x_ = x.EACH, y_ = y.EACH, half_ = half_side.EACH, du_ = across.EACH + columns; \
        const float16 right_ = du_ * y_, up_ = du_ * x_, below_ = down.EACH; \
        r[k] = g[k] = b[k] = sum[k] = (float16)(0.0f); \
        _Pragma("unroll") \
        for (int q = 0; q < TAPS; q++) { \
            const float16 dv_ = below_ + (float)(q - (TAPS / 2 - 1)); \
            const float16 weight_ = clamp(half_ - fabs(fma(dv_, x_, right_)), (float16)(0.0f), (float16)(1.0f)) \
                                    * clamp(half_ - fabs(fma(dv_, -y_, up_)), (float16)(0.0f), (float16)(1.0f)); \
            const int16 texel_ = as_int16((uint16)( \
                vload4(0, texels + from[q][k]), vload4(0, texels + from[q][k + 4]), \
                vload4(0, texels + from[q][k + 8]), vload4(0, texels + from[q][k + 12]))); \
            const float16 red_ = convert_float16(texel_ & CHANNEL_MASK); \
            const float16 green_ = convert_float16(texel_ & (CHANNEL_MASK << CHANNEL_BITS)); \
            const float16 blue_ = convert_float16(texel_ >> 2 * CHANNEL_BITS); \
            r[k] = fma(weight_ * red_, red_, r[k]); \
            g[k] = fma(weight_ * green_, green_, g[k]); \
            b[k] = fma(weight_ * blue_, blue_, b[k]); \
            sum[k] += weight_; \
        } \
    }

// Two vectors' first or second pairs of each four lanes, by turns.
#define FIRSTS(a, b) \
    (float16)(a.s0, b.s0, a.s1, b.s1, a.s4, b.s4, a.s5, b.s5, a.s8, b.s8, a.s9, b.s9, a.sc, b.sc, a.sd, b.sd)
#define SECONDS(a, b) \
    (float16)(a.s2, b.s2, a.s3, b.s3, a.s6, b.s6, a.s7, b.s7, a.sa, b.sa, a.sb, b.sb, a.se, b.se, a.sf, b.sf)

// Lane k + 4 l has the sum of lanes 4 l to 4 l + 3 of four[k].
inline float16 sums_of_fours(const float16 *four)
{
    const float16 m = FIRSTS(four[0], four[1]) + SECONDS(four[0], four[1]);
    const float16 n = FIRSTS(four[2], four[3]) + SECONDS(four[2], four[3]);
    return (float16)(m.s01, n.s01, m.s45, n.s45, m.s89, n.s89, m.scd, n.scd)
           + (float16)(m.s23, n.s23, m.s67, n.s67, m.sab, n.sab, m.sef, n.sef);
}

/* The same for CPUs, to the same bits, in explicit vectors of 16 pixels. The four texels of a pixel in a row of the map
 * are one load, so ``beyond`` is TAPS - 1. A work item makes RESAMPLED_COLS x RESAMPLED_ROWS pixels or fewer, at least
 * 16 wide: the last ones of a row are made again. */
kernel __attribute__((reqd_work_group_size(1, 1, 1), vec_type_hint(float16)))
void resample_run(FRAME_PARAMETERS, int width, int height)
{
    const float16 lanes = (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const float16 columns = lanes.s0123012301230123 - (float)(TAPS / 2 - 1);
    const int left_end = get_global_id(0) * RESAMPLED_COLS, right_end = min(left_end + RESAMPLED_COLS, width);
    const int upper = get_global_id(1) * RESAMPLED_ROWS, lower = min(upper + RESAMPLED_ROWS, height);
    for (int j = upper; j < lower; j++)
    for (int i = left_end; i < right_end; i += 16) {
        const int at = min(i, width - 16);
        global const float *polar = (global const float *)(pixels + j * width + at);
        const float16 one = vload16(0, polar), other = vload16(1, polar);
        const float16 angle = (float16)(one.even, other.even), depth = (float16)(one.odd, other.odd);
        const int16 level = clamp(convert_int16(floor(level_at_one - depth)), 0, COARSEST);
        float16 x = lanes + ((float)at - 0.5f * (float)(width - 1)) + aside_x;
        float16 y = 0.5f * (float)(height - 1) - (float)j + aside_y;
        const float16 inverse = inverse_roots(fmax(fma(x, x, y * y), (float16)(NEAREST)));
        x *= inverse * (1.0f / SOFT);
        y *= inverse * (1.0f / SOFT);
        const float16 turned = fma(angle, (float16)(per_e), (float16)(column));
        const float16 deep = fma(depth, (float16)(-per_e * M_LN2_F), (float16)(origin));
        uint16 pixel = (uint16)(0);
        int16 done = (int16)(0);
        // Mostly all of these pixels are of one level, else of two.
        do {
            int each[16], own = 0;
            vstore16(select(level, (int16)(-1), done), 0, each);
            for (int l = 0; l < 16; l++)
                own = max(own, each[l]);
            const float scale = as_float((127 - own) << 23);
            const float16 u = fma(turned, (float16)(scale), (float16)(-0.5f));
            const float16 v = fma(deep, (float16)(scale), (float16)(-0.5f));
            const float16 left = floor(u), top = floor(v);
            const int4 place = places[own];
            const int cols = around >> own, stride = cols + beyond;
            const int16 row = convert_int16(top) - (TAPS / 2 - 1);
            int16 col = convert_int16(left) - (TAPS / 2 - 1);
            col += select((int16)(0), (int16)(cols), col < 0);
            col -= select((int16)(0), (int16)(cols), col >= cols);
            col += place.x;
            int from[TAPS][16];
            for (int q = 0; q < TAPS; q++)
                vstore16(col + (clamp(row + q, (int16)(place.y), (int16)(place.z)) - place.y) * stride, 0,
                         from[q]);
            const float16 half_side = fma(per_e * scale * inverse, (float16)(0.5f / SOFT), (float16)(0.5f));
            const float16 across = left - u, down = top - v;
            float16 r[4], g[4], b[4], sum[4];
            GATHER(0, s000044448888cccc)
            GATHER(1, s111155559999dddd)
            GATHER(2, s22226666aaaaeeee)
            GATHER(3, s33337777bbbbffff)
            const float16 rs = sums_of_fours(r), gs = sums_of_fours(g), bs = sums_of_fours(b);
            const float16 weights = sums_of_fours(sum);
            const float high = CURVE / ROOTS;
            const float16 most = CURVE;
            int reds[16], greens[16], blues[16];
            vstore16(convert_int16(fmin(rs * inverse_roots(rs * weights) * high, most)), 0, reds);
            vstore16(convert_int16(fmin(bs * inverse_roots(bs * weights) * high, most)), 0, blues);
            vstore16(convert_int16(fmin(
                gs * inverse_roots(gs * weights) * (high / (float)(1 << CHANNEL_BITS)), most)), 0, greens);
            uint made[16];
            for (int l = 0; l < 16; l++)
                made[l] = CANVAS_PIXEL(curve[reds[l]], curve[greens[l]], curve[blues[l]]);
            pixel = select(pixel, vload16(0, made), level == own);
            done |= level == own;
        } while (!all(done));
        vstore16(pixel, 0, canvas + j * width + at);
    }
}
