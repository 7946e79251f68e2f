/* Raw samples -> canvas -> bytes.
 *
 * The canvas holds a gamma-encoded pixel in a uint (srgb.h). It is finer than the bytes made from it, so that rounding
 * happens only once.
 *
 * No branch depends on a sample, so that compilers can run work items as lanes of vectors.
 *
 * Defines: N (samples along each side of a pixel), LIST (1: the samples belong to the pixels of a list, 0: to a band),
 * SLOPE, DISTANCE (0 or 1), MAPPING (runs.h).
 */
#include "runs.h"
#include "srgb.h"

#ifndef N
#define N 1
#endif
#ifndef LIST
#define LIST 0
#endif
#ifndef SLOPE
#define SLOPE 0
#endif
#ifndef DISTANCE
#define DISTANCE 0
#endif

/* Channels of a light_ring colour, or of a sum of up to 16. */
#define LIGHTS ((float)LIGHT_LEVELS)
#define LIGHT_MASK ((1 << LIGHT_BITS) - 1)
#define RED(sum) ((float)((uint)(sum) & LIGHT_MASK))
#define GREEN(sum) ((float)((uint)((sum) >> LIGHT_BITS) & LIGHT_MASK))
#define BLUE(sum) ((float)(uint)((sum) >> 2 * LIGHT_BITS))

/* Shades every pixel of a band (global size: width, rows) or of a list (global
 * size: its length), averaging N x N samples in linear light.
 *
 * flat_ring: colours as they lie on the canvas. light_ring: linear light, its channels LIGHT_BITS apart, so that
 * one load brings a colour and 16 of them are added without overflow. The entry behind the last one is the interior's.
 * base: the band's first pixel on the canvas, or the first entry of the list. */
kernel void shade(
    global const int *restrict count, global const float *restrict frac,
    global const float *restrict distance, global const float2 *restrict slope,
    int maxiter, global const uint *restrict flat_ring, global const ulong *restrict light_ring,
    int size, MAPPING_PARAMETERS, float light_re, float light_im, float relief, float edge,
    global const int *restrict list, int base, global uint *restrict canvas)
{
#if LIST
    int first = get_global_id(0) * (N * N), stride = N;
    int pixel = list[base + get_global_id(0)];
#else
    int stride = get_global_size(0) * N;
    int first = get_global_id(1) * N * stride + get_global_id(0) * N;
    int pixel = base + get_global_id(1) * get_global_size(0) + get_global_id(0);
#endif

#if N == 1 && !SLOPE && !DISTANCE
    int n = count[first];
    int entry = place(n, frac[first], size, MAPPING_ARGUMENTS);
    canvas[pixel] = flat_ring[n > maxiter ? size : entry];

#else
#if SLOPE || DISTANCE
    float r = 0.0f, g = 0.0f, b = 0.0f;
#else
    ulong sum = 0;
#endif
    for (int j = 0; j < N; j++)
        for (int i = 0; i < N; i++) {
            int s = first + j * stride + i;
            int n = count[s];
            int entry = place(n, frac[s], size, MAPPING_ARGUMENTS);
            ulong colour = light_ring[n > maxiter ? size : entry];
#if SLOPE || DISTANCE
            float light = 1.0f;
#if SLOPE
            float lit = slope[s].x * light_re + slope[s].y * light_im;
            light *= mad(relief, 0.5f * (lit - 1.0f), 1.0f);
#endif
#if DISTANCE
            float d = fmin(distance[s] * edge, 1.0f);
            light *= d * (2.0f - d);
#endif
            light = n > maxiter ? 1.0f : light;
            r += light * RED(colour);
            g += light * GREEN(colour);
            b += light * BLUE(colour);
        }
#else
            sum += colour;
        }
    float r = RED(sum), g = GREEN(sum), b = BLUE(sum);
#endif
    const float share = 1.0f / (N * N * LIGHTS);
    canvas[pixel] = pack(r * share, g * share, b * share);
#endif
}

/* For CPUs: RUN_PIXELS to a work item, in explicit vectors of RUN_LANES (16). The last vector of all ends with the
 * last pixel and does some pixels again. */
#define EACH_16(at, length) \
    for (int from_ = get_global_id(0) * RUN_PIXELS, end_ = min(from_ + RUN_PIXELS, length), \
             at = min(from_, length - 16); \
         from_ < end_; from_ += 16, at = min(from_, length - 16))

/* ``shade`` of one sample a pixel without slope and distance; length >= 16. */
kernel __attribute__((reqd_work_group_size(1, 1, 1), vec_type_hint(float16)))
void shade_run(
    global const int *restrict count, global const float *restrict frac, int maxiter,
    global const uint *restrict flat_ring, int size, MAPPING_PARAMETERS,
    int length, int base, global uint *restrict canvas)
{
    EACH_16(at, length)
        vstore16(
            shaded(vload16(0, count + at), vload16(0, frac + at), maxiter, flat_ring, size, MAPPING_ARGUMENTS),
            0, canvas + base + at);
}

inline uint step_between(uint a, uint b)
{
    uint r = abs_diff(CANVAS_RED(a), CANVAS_RED(b));
    uint g = abs_diff(CANVAS_GREEN(a), CANVAS_GREEN(b));
    return max(max(r, g), abs_diff(CANVAS_BLUE(a), CANVAS_BLUE(b)));
}

/* Marks the pixels that differ from one of their four neighbours by more than ``least`` canvas levels in some
 * channel. Global size: width, height. */
kernel void mark_edges(global const uint *restrict canvas, uint least, global uchar *restrict mark)
{
    int width = get_global_size(0), height = get_global_size(1);
    int x = get_global_id(0), y = get_global_id(1), p = y * width + x;
    uint own = canvas[p];
    uint most = max(
        max(step_between(own, canvas[x > 0 ? p - 1 : p]),
            step_between(own, canvas[x < width - 1 ? p + 1 : p])),
        max(step_between(own, canvas[y > 0 ? p - width : p]),
            step_between(own, canvas[y < height - 1 ? p + width : p])));
    mark[p] = most > least ? 1 : 0;
}

/* How many of each MARK_RUN pixels are marked. */
kernel void count_marked(global const uchar *restrict mark, int pixels, global int *restrict found)
{
    int first = get_global_id(0) * MARK_RUN, end = min(first + MARK_RUN, pixels), sum = 0;
    for (int p = first; p < end; p++)
        sum += mark[p];
    found[get_global_id(0)] = sum;
}

/* Lists the marked ones of each MARK_RUN pixels, from starts[] on. */
kernel void list_marked(
    global const uchar *restrict mark, int pixels, global const int *restrict starts, global int *restrict list)
{
    int first = get_global_id(0) * MARK_RUN, end = min(first + MARK_RUN, pixels), at = starts[get_global_id(0)];
    for (int p = first; p < end; p++)
        if (mark[p])
            list[at++] = p;
}

/* 8-bit RGB, interleaved. A work item makes four pixels, so that it writes whole words. */
kernel void to_rgb(global const uint *restrict canvas, int width, global uint *restrict out)
{
    int i = get_global_id(0);
    uint byte[12];
    for (int p = 0; p < 4; p++) {
        uint v = canvas[4 * i + p];
        int y = (4 * i + p) / width, x = 4 * i + p - y * width;
        uint t = THRESHOLD(x, y);
        byte[3 * p + 0] = BYTE_OF(CANVAS_RED(v), t);
        byte[3 * p + 1] = BYTE_OF(CANVAS_GREEN(v), t);
        byte[3 * p + 2] = BYTE_OF(CANVAS_BLUE(v), t);
    }
    for (int w = 0; w < 3; w++)
        out[3 * i + w] = byte[4 * w] | (byte[4 * w + 1] << 8) | (byte[4 * w + 2] << 16)
                         | (byte[4 * w + 3] << 24);
}

/* The same for CPUs; width >= 16. */
kernel __attribute__((reqd_work_group_size(1, 1, 1), vec_type_hint(uint16)))
void to_rgb_run(global const uint *restrict canvas, int length, int width, global uchar *restrict out)
{
    EACH_16(at, length)
        store_rgb(vload16(0, canvas + at), at, width, out + 3 * at);
}

/* What is added to a value of a plane before it is rounded down: a pattern of 4 x 4 pixels, 1/32 to 31/32. */
inline float between(int x, int y)
{
    return mad((float)(4 * THRESHOLD(x, y) + THRESHOLD(x >> 1, y >> 1)), 0.0625f, 0.03125f);
}

/* ITU-R BT.709, limited range, planes Y, Cb, Cr; a work item makes 2 x 2 pixels
 * of luma and their average chroma. Global size: width / 2, height / 2. */
kernel void to_yuv420(global const uint *restrict canvas, global uchar *restrict out)
{
    const float kr = 0.2126f, kg = 0.7152f, kb = 0.0722f;
    int pairs = get_global_size(0), rows = get_global_size(1);
    int x = get_global_id(0), y = get_global_id(1);
    global const uint *from = canvas + 4 * y * pairs + 2 * x;
    float luma[4], r = 0.0f, b = 0.0f, all = 0.0f;
    for (int p = 0; p < 4; p++) {
        uint v = from[(p >> 1) * 2 * pairs + (p & 1)];
        float pr = (float)CANVAS_RED(v), pg = (float)CANVAS_GREEN(v), pb = (float)CANVAS_BLUE(v);
        luma[p] = kr * pr + kg * pg + kb * pb;
        r += pr;
        b += pb;
        all += luma[p];
    }
    global ushort *plane = (global ushort *)out;
    for (int j = 0; j < 2; j++) {
        int at = 2 * x, row = 2 * y + j;
        ushort left = (ushort)mad(luma[2 * j], 219.0f / LEVELS, 16.0f + between(at, row));
        ushort right = (ushort)mad(luma[2 * j + 1], 219.0f / LEVELS, 16.0f + between(at + 1, row));
        plane[(2 * y + j) * pairs + x] = left | (right << 8);
    }
    global uchar *chroma = out + 4 * pairs * rows + y * pairs + x;
    float middle = 128.0f + between(x, y);
    chroma[0] = (uchar)mad(b - all, 28.0f / LEVELS / (1.0f - kb), middle);
    chroma[pairs * rows] = (uchar)mad(r - all, 28.0f / LEVELS / (1.0f - kr), middle);
}

inline uint stretched(uint level)
{
    return level + (level * (CHANNEL_MASK - CANVAS_LEVELS) + CANVAS_LEVELS / 2) / CANVAS_LEVELS;
}

/* Ten bits a channel, as on the canvas, but up to 1023. A work item makes one pixel. */
kernel void to_rgb10(global const uint *restrict canvas, global uint *restrict out)
{
    int i = get_global_id(0);
    uint v = canvas[i];
    out[i] = CANVAS_PIXEL(stretched(CANVAS_RED(v)), stretched(CANVAS_GREEN(v)), stretched(CANVAS_BLUE(v)));
}
