// Where sample (i, j) of a grid lies, from two small tables made on the host
// (mandel/plan/axes.py), so that every device sees bit-identical coordinates.
//
// GEOMETRY 0, straight: across = re of each column; down = im of each row.
// GEOMETRY 1, turned:   across, down = four runs each, re_hi re_lo im_hi im_lo:
//                       what a column and a row add to the coordinate.
// GEOMETRY 2, polar:    across = cos, sin of each column; down = radius of each
//                       row, then four numbers: the centre, re_hi re_lo im_hi im_lo.
// GEOMETRY 3, listed:   across, down = re and im of every sample, row-major
//                       (made by points.cl).
#ifndef GEOMETRY
#define GEOMETRY 0
#endif

inline double sum_rounded_once(double a, double b, double rest)
{
    const double s = a + b, t = s - a;
    return s + (((a - (s - t)) + (b - t)) + rest);
}

inline double2 sample_at(__global const double *across, __global const double *down,
                         int i, int j, int cols, int rows)
{
#if GEOMETRY == 0
    return (double2)(across[i], down[j]);
#elif GEOMETRY == 1
    return (double2)(
        sum_rounded_once(across[i], down[j], across[cols + i] + down[rows + j]),
        sum_rounded_once(across[2*cols + i], down[2*rows + j], across[3*cols + i] + down[3*rows + j]));
#elif GEOMETRY == 3
    return (double2)(across[j * cols + i], down[j * cols + i]);
#else
    const double r = down[j], x = r * across[i], y = r * across[cols + i];
    return (double2)(
        sum_rounded_once(down[rows], x, down[rows + 1] + fma(r, across[i], -x)),
        sum_rounded_once(down[rows + 2], y, down[rows + 3] + fma(r, across[cols + i], -y)));
#endif
}
