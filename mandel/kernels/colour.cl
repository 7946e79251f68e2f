/* Raw samples -> canvas -> bytes.
 *
 * The canvas holds one gamma-encoded pixel in a uint, ten bits a channel, red
 * lowest: finer than the bytes made from it, so rounding happens once.
 *
 * No branch depends on a sample, so that work items run as lanes of vectors.
 *
 * Defines: N (samples along each side of a pixel), LIST (samples of the pixels
 * of a list instead of a whole band), SLOPE, DISTANCE (0 or 1).
 */

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

#define LEVELS 1023.0f

/* sRGB transfer function, IEC 61966-2-1; in and out 0..1. */
inline float encode(float v)
{
    float curve = mad(1.055f, native_exp2(native_log2(fmax(v, 1e-6f)) * (1.0f / 2.4f)), -0.055f);
    return v <= 0.0031308f ? 12.92f * v : curve;
}

inline uint pack(float r, float g, float b)
{
    uint x = (uint)mad(encode(r), LEVELS, 0.5f);
    uint y = (uint)mad(encode(g), LEVELS, 0.5f);
    uint z = (uint)mad(encode(b), LEVELS, 0.5f);
    return x | y << 10 | z << 20;
}

/* Shades every pixel of a band (global size: width, rows) or of a list (global
 * size: its length), averaging N x N samples in linear light.
 *
 * ring: size + 1 entries of 4 floats, linear light, the last equal to the first.
 * base: the band's first pixel on the canvas. */
kernel void shade(
    global const int *restrict count, global const float *restrict frac,
    global const float *restrict distance, global const float2 *restrict slope,
    int maxiter, constant float *restrict ring, int size, float density, float offset,
    float light_re, float light_im, float relief, float edge,
    global const int *restrict list, int base, global uint *restrict canvas)
{
#if LIST
    int first = get_global_id(0) * (N * N), stride = N;
    int pixel = list[get_global_id(0)];
#else
    int stride = get_global_size(0) * N;
    int first = get_global_id(1) * N * stride + get_global_id(0) * N;
    int pixel = base + get_global_id(1) * get_global_size(0) + get_global_id(0);
#endif
    float r = 0.0f, g = 0.0f, b = 0.0f;
    for (int j = 0; j < N; j++)
        for (int i = 0; i < N; i++) {
            int s = first + j * stride + i;
            int n = count[s];
            float mu = fmax((float)n + frac[s], 0.0f);
            float turns = mad(density, native_sqrt(mu), offset);
            float at = (turns - floor(turns)) * (float)size;
            int k = min((int)at, size - 1);
            float t = at - (float)k;
            float light = n > maxiter ? 0.0f : 1.0f;
#if SLOPE
            float lit = slope[s].x * light_re + slope[s].y * light_im;
            light *= mad(relief, 0.5f * (lit - 1.0f), 1.0f);
#endif
#if DISTANCE
            float d = fmin(distance[s] * edge, 1.0f);
            light *= d * (2.0f - d);
#endif
            float u = light - light * t, v = light * t;
            r += u * ring[4 * k + 0] + v * ring[4 * k + 4];
            g += u * ring[4 * k + 1] + v * ring[4 * k + 5];
            b += u * ring[4 * k + 2] + v * ring[4 * k + 6];
        }
    const float share = 1.0f / (N * N);
    canvas[pixel] = pack(r * share, g * share, b * share);
}

inline uint byte_of(uint level)
{
    return (level * 255 + 511) / 1023;
}

/* 8-bit RGB, interleaved; a work item makes four pixels, so bytes go out as words. */
kernel void to_rgb(global const uint *restrict canvas, global uint *restrict out)
{
    int i = get_global_id(0);
    uint byte[12];
    for (int p = 0; p < 4; p++) {
        uint v = canvas[4 * i + p];
        byte[3 * p + 0] = byte_of(v & 1023);
        byte[3 * p + 1] = byte_of(v >> 10 & 1023);
        byte[3 * p + 2] = byte_of(v >> 20);
    }
    for (int w = 0; w < 3; w++)
        out[3 * i + w] = byte[4 * w] | byte[4 * w + 1] << 8 | byte[4 * w + 2] << 16 | byte[4 * w + 3] << 24;
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
        float pr = (float)(v & 1023), pg = (float)(v >> 10 & 1023), pb = (float)(v >> 20);
        luma[p] = kr * pr + kg * pg + kb * pb;
        r += pr;
        b += pb;
        all += luma[p];
    }
    global ushort *plane = (global ushort *)out;
    for (int j = 0; j < 2; j++) {
        ushort left = (ushort)mad(luma[2 * j], 219.0f / LEVELS, 16.5f);
        ushort right = (ushort)mad(luma[2 * j + 1], 219.0f / LEVELS, 16.5f);
        plane[(2 * y + j) * pairs + x] = left | right << 8;
    }
    global uchar *chroma = out + 4 * pairs * rows + y * pairs + x;
    chroma[0] = (uchar)mad(b - all, 28.0f / LEVELS / (1.0f - kb), 128.5f);
    chroma[pairs * rows] = (uchar)mad(r - all, 28.0f / LEVELS / (1.0f - kr), 128.5f);
}
