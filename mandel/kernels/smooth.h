// What all engines derive alike from the first z beyond the bailout.

// log2 of a normal x > 0, with an error below 2e-7 and the same bits on every device:
// x = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), log2(1 + f) = f P(f) fitted
// at Chebyshev nodes.
#define DEFINE_LOG2(name, F_, I_, AS_F_, AS_I_, TO_F_) \
inline F_ name(F_ x) \
{ \
    const I_ i = AS_I_(x) - 0x3f3504f3; \
    const F_ f = AS_F_((i & 0x7fffff) + 0x3f3504f3) - 1.0f; \
    F_ p = fma(f, (F_)(-0.14620353281497955f), (F_)(0.2342098504304886f)); \
    p = fma(f, p, (F_)(-0.24882180988788605f)); \
    p = fma(f, p, (F_)(0.28707560896873474f)); \
    p = fma(f, p, (F_)(-0.36024197936058044f)); \
    p = fma(f, p, (F_)(0.4809240400791168f)); \
    p = fma(f, p, (F_)(-0.721352756023407f)); \
    p = fma(f, p, (F_)(1.442694902420044f)); \
    return fma(f, p, TO_F_(i >> 23)); \
}
DEFINE_LOG2(log2_of, float, int, as_float, as_int, (float))

// frac = 1 - log2(ln|z|) = 1 - log2(ln(2) / 2) - log2(log2(norm)), norm = |z|^2:
// count + frac is the smooth iteration count, which depends less and less on
// the bailout R as R grows (error about 1/R). norm stays below 3e38, since
// R <= 1e9 and |z| <= R^2 + |c|.
#define SMOOTH_OFFSET 2.5287663729f
inline float smooth_frac(double norm)
{
    return SMOOTH_OFFSET - log2_of(log2_of((float)norm));
}

#if defined(WIDTH) && WIDTH > 1
DEFINE_LOG2(vector_log2_of, F, K, AS_F, AS_K, TO_F)
inline F vector_smooth_frac(F norm)
{
    return SMOOTH_OFFSET - vector_log2_of(vector_log2_of(norm));
}
#endif

// 2 |z| ln|z| / |d 2^exponent|, with d = dz/dc in units of 1 / (sample spacing). Never NaN or infinite:
// beyond the range of float it is 0, or the largest float.
inline float smooth_distance(double norm, double dx, double dy, int exponent)
{
    const float ln_norm = 0.69314718056f * log2_of((float)norm);
    const double square = fma(dx, dx, dy * dy);
    if (!(square < INFINITY)) return 0.0f;  // d left the range of double: the set is as near
    const double unscaled = sqrt(norm) * (double)ln_norm / sqrt(square);
    const int k = clamp(-exponent, -1022, 1023);
    return (float)fmin(unscaled * as_double((long)(k + 1023) << 52), (double)FLT_MAX);
}

// Unit vector of z / d; (0, 0) where d is 0 or left the range of double.
inline float2 smooth_slope(double x, double y, double dx, double dy)
{
    const double u = fma(x, dx, y * dy), v = fma(y, dx, -(x * dy));
    const double length = sqrt(fma(u, u, v * v));
    return length > 0 && length < INFINITY ? (float2)((float)(u / length), (float)(v / length)) : (float2)(0.0f, 0.0f);
}
