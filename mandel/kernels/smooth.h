// What is derived from the first z beyond the bailout, by every engine alike.

// frac = 1 - log2(ln|z|): count + frac is the smooth iteration count, which
// depends less and less on the bailout R as R grows (error about 1/R).
// norm = |z|^2; below 3e38, since R <= 1e9 and |z| <= R^2 + |c|.
inline float smooth_frac(double norm)
{
    return 1.0f - log2(0.5f * log((float)norm));
}

// 2 |z| ln|z| / |d|, with d = dz/dc in units of 1 / (sample spacing).
inline float smooth_distance(double norm, double dx, double dy)
{
    const double r = sqrt(norm);
    return (float)(r * (double)log((float)norm) / hypot(dx, dy));
}

// Unit vector of z / d.
inline float2 smooth_slope(double x, double y, double dx, double dy)
{
    const double u = fma(x, dx, y * dy), v = fma(y, dx, -(x * dy));
    const double length = hypot(u, v);
    return length > 0 ? (float2)((float)(u / length), (float)(v / length)) : (float2)(0.0f, 0.0f);
}
