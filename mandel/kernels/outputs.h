// What a sample writes to memory: its count and fraction; with the defines DISTANCE and SLOPE also its distance
// estimate and the unit vector of z / (dz/dc).
#include "smooth.h"

#if DISTANCE
#define DISTANCE_PARAMETER , __global float *distance
#define DISTANCE_ARGUMENT , distance
#else
#define DISTANCE_PARAMETER
#define DISTANCE_ARGUMENT
#endif
#if SLOPE
#define SLOPE_PARAMETER , __global float2 *slope
#define SLOPE_ARGUMENT , slope
#else
#define SLOPE_PARAMETER
#define SLOPE_ARGUMENT
#endif
#define OUTPUT_PARAMETERS __global int *count, __global float *frac DISTANCE_PARAMETER SLOPE_PARAMETER
#define OUTPUT_ARGUMENTS count, frac DISTANCE_ARGUMENT SLOPE_ARGUMENT

inline void put_interior(size_t at, int maxiter, OUTPUT_PARAMETERS)
{
    count[at] = maxiter + 1;
    frac[at] = 0.0f;
#if DISTANCE
    distance[at] = 0.0f;
#endif
#if SLOPE
    slope[at] = (float2)(0.0f, 0.0f);
#endif
}

// A sample that escaped with iteration n, to z = x + i y, norm = |z|^2. dz/dc = (dx + i dy) 2^exponent, in units of
// 1 / (sample spacing); it is read only for DISTANCE and SLOPE.
inline void put_escape(size_t at, int n, int maxiter, double norm, double x, double y,
                       double dx, double dy, int exponent, OUTPUT_PARAMETERS)
{
    if (n > maxiter) {
        put_interior(at, maxiter, OUTPUT_ARGUMENTS);
        return;
    }
    count[at] = n;
    frac[at] = smooth_frac(norm);
#if DISTANCE
    distance[at] = smooth_distance(norm, dx, dy, exponent);
#endif
#if SLOPE
    slope[at] = smooth_slope(x, y, dx, dy);
#endif
}
