// Where sample (i, j) of a grid lies, from two small tables made on the host
// (mandel/plan/axes.py), so that every device sees bit-identical coordinates.
//
// The define GEOMETRY says what the tables hold:
//   AXIS_ALIGNED    across: re of each column. down: im of each row.
//   ROTATED         across, down: what a column and a row add to the coordinate, four runs each:
//                   re_hi, re_lo, im_hi, im_lo.
//   POLAR_GEOMETRY  across: cos, then sin of each column. down: the radius of each row, then four numbers, the
//                   centre: re_hi, re_lo, im_hi, im_lo.
//   INDEXED         across, down: re and im of every sample, row-major (made by points.cl).
#include "contract.h"

#ifndef GEOMETRY
#define GEOMETRY AXIS_ALIGNED
#endif

inline double sum_rounded_once(double a, double b, double rest)
{
    const double s = a + b, t = s - a;
    return s + (((a - (s - t)) + (b - t)) + rest);
}

inline double2 sample_at(__global const double *across, __global const double *down,
                         int i, int j, int cols, int rows)
{
#if GEOMETRY == AXIS_ALIGNED
    return (double2)(across[i], down[j]);
#elif GEOMETRY == ROTATED
    return (double2)(
        sum_rounded_once(across[i], down[j], across[cols + i] + down[rows + j]),
        sum_rounded_once(across[2*cols + i], down[2*rows + j], across[3*cols + i] + down[3*rows + j]));
#elif GEOMETRY == INDEXED
    return (double2)(across[j * cols + i], down[j * cols + i]);
#else
    const double r = down[j], x = r * across[i], y = r * across[cols + i];
    return (double2)(
        sum_rounded_once(down[rows], x, down[rows + 1] + fma(r, across[i], -x)),
        sum_rounded_once(down[rows + 2], y, down[rows + 3] + fma(r, across[cols + i], -y)));
#endif
}
