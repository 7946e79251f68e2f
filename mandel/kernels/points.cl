// Coordinates of the samples of listed pixels, N x N each, as the geometry INDEXED takes them: bit by bit those that
// the grid of ``across`` and ``down`` has there.
#include "geometry.h"

/* Global size: ``samples`` or more; work items beyond repeat the last sample.
 * width: of the canvas; cols, rows: of the grid, N times the canvas's. */
__kernel void locate(__global const double *across, __global const double *down, int cols, int rows,
                     int width, __global const int *list, int first, int samples,
                     __global double *re, __global double *im)
{
    const int at = get_global_id(0), k = min(at, samples - 1), part = k % (N * N);
    const int pixel = list[first + k / (N * N)];
    const double2 c = sample_at(
        across, down, pixel % width * N + part % N, pixel / width * N + part / N, cols, rows);
    re[at] = c.x;
    im[at] = c.y;
}
