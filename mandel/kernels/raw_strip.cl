/* A strip's raw samples on their way to a file and back. Their fractions are rounded to few bits; then only the
 * differences of neighbours are kept.
 *
 * A sample becomes one number q, its smooth count in units of 1 / STEPS:
 *   q = count * STEPS + frac * STEPS
 *
 * where STEPS is 2 to the power of FRACTION_BITS. */
#include "contract.h"

#define STEPS (1 << FRACTION_BITS)

/* Rounds the fractions of samples that escaped to one of STEPS values, from ``low`` / STEPS on. With no more values
 * than STEPS, count and frac follow from q. Global size: samples. */
kernel void round_fractions(global const int *restrict count, global float *restrict frac, int maxiter, int low)
{
    int i = get_global_id(0);
    float steps = clamp(rint(frac[i] * STEPS), (float)low, (float)(low + STEPS - 1));
    frac[i] = count[i] > maxiter ? 0.0f : steps / STEPS;
}

inline long number(global const int *restrict count, global const float *restrict frac, int at)
{
    return (long)count[at] * STEPS + (long)(frac[at] * STEPS);
}

/* The difference of q from left + above - above left, in zigzag coding (the sign in the lowest bit), as planes of
 * bytes: first the lowest bytes of all samples, then the next. Outside the block q is 0. Global size: columns, rows. */
kernel void differences(global const int *restrict count, global const float *restrict frac,
                        global uchar *restrict planes)
{
    int i = get_global_id(0), j = get_global_id(1), cols = get_global_size(0), at = j * cols + i;
    long d = number(count, frac, at);
    if (i)
        d -= number(count, frac, at - 1);
    if (j)
        d -= number(count, frac, at - cols);
    if (i && j)
        d += number(count, frac, at - cols - 1);
    ulong zigzag = ((ulong)d << 1) ^ (ulong)(d >> 63);
    int n = cols * (int)get_global_size(1);
    for (int k = 0; k < RAW_PLANES; k++)
        planes[k * n + at] = (uchar)(zigzag >> (8 * k));
}

/* Samples from their q. Global size: samples. */
kernel void split(global const long *restrict numbers, int maxiter, int low, global int *restrict count,
                  global float *restrict frac)
{
    int i = get_global_id(0);
    long q = numbers[i];
    bool interior = q == ((long)maxiter + 1) * STEPS;
    long n = interior ? (long)maxiter + 1 : (q - low) >> FRACTION_BITS;
    count[i] = (int)n;
    frac[i] = (float)(q - n * STEPS) / STEPS;
}

/* Makes the level at ``to`` by repeating the texels of the next coarser level, at ``from``. Global size: columns and
 * rows of the new level. */
kernel void repeat(global uint *restrict texels, int from, int to)
{
    int i = get_global_id(0), j = get_global_id(1), cols = get_global_size(0);
    texels[to + j * cols + i] = texels[from + (j / 2) * (cols / 2) + i / 2];
}

/* Codes of distances and slopes, a byte each: of a look that needs dz/dc. First those of all slopes, then those of all
 * distances. Global size: samples. */
kernel void derivative_codes(global const float *restrict distance, global const float2 *restrict slope,
                             global uchar *restrict codes)
{
    int i = get_global_id(0), n = get_global_size(0);
    codes[i] = (uchar)((int)rint(atan2(slope[i].y, slope[i].x) * (128.0f / M_PI_F)) & 255);
    float steps = native_log2(fmax(distance[i], 1e-30f)) * (float)DISTANCE_STEPS - (float)DISTANCE_LEAST;
    codes[n + i] = (uchar)clamp((int)rint(steps), 0, 255);
}

/* Distances and slopes from their codes. directions: the unit vector of each code; distances: each code's distance. */
kernel void from_codes(global const uchar *restrict codes, global const float2 *restrict directions,
                       global const float *restrict distances, global float *restrict distance,
                       global float2 *restrict slope)
{
    int i = get_global_id(0), n = get_global_size(0);
    slope[i] = directions[codes[i]];
    distance[i] = distances[codes[n + i]];
}
