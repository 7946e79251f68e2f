/* Raw samples of a strip on their way to a file: fractions of few bits, then differences.
 *
 * A sample as one number, its smooth count in units of 1 / STEPS:
 *   q = count * STEPS + frac * STEPS
 *
 * where STEPS is 2 to the power of FRACTION_BITS. */
#include "contract.h"

#define STEPS (1 << FRACTION_BITS)

/* Rounds the fractions of samples that escaped to STEPS values from ``low`` / STEPS on,
 * so that q tells count and frac. Global size: samples. */
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

/* What q is more than its neighbours' plane (left + above - both), zigzag, byte by byte: all
 * lowest bytes first. Beyond the block q counts as 0. Global size: columns, rows. */
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

/* Samples out of their q. Global size: samples. */
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

/* The level at ``to`` as the next coarser one at ``from`` has it. Global size: its columns, rows. */
kernel void repeat(global uint *restrict texels, int from, int to)
{
    int i = get_global_id(0), j = get_global_id(1), cols = get_global_size(0);
    texels[to + j * cols + i] = texels[from + (j / 2) * (cols / 2) + i / 2];
}
