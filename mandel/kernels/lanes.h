// Vectors whose lanes may take different ways. A true mask has all bits set in a vector's lane, but is 1 as a scalar
// (WIDTH 1): combine masks with & and |, negate them with NOT only.
//
// E holds a binary exponent for each lane, as wide as a mask's lanes, so that masks can choose between exponents.
#include "vector.h"

#if WIDTH == 1
#define E int
#define NOT(mask) (!(mask))
inline double greatest(double v) { return v; }
inline int greatest_exponent(int v) { return v; }
#define AS_V as_double
#define AS_BITS as_long
#define TO_E (int)
#else
#define E M
#define NOT(mask) (~(mask))
#define AS_V JOIN(as_double, WIDTH)
#define AS_BITS JOIN(as_long, WIDTH)
#define TO_E
#if WIDTH == 16
#define TO_8(of, v) of((v).lo, (v).hi)
#else
#define TO_8(of, v) (v)
#endif
inline double greatest(V lanes)
{
    const double8 v = TO_8(fmax, lanes);
    const double4 a = fmax(v.lo, v.hi);
    const double2 b = fmax(a.lo, a.hi);
    return fmax(b.x, b.y);
}
inline int greatest_exponent(E lanes)
{
    const long8 v = TO_8(max, lanes);
    const long4 a = max(v.lo, v.hi);
    const long2 b = max(a.lo, a.hi);
    return (int)max(b.x, b.y);
}
#endif
// One lane of a vector in private memory.
#define LANE_D(v, k) (((double *)&(v))[k])
#define LANE_L(v, k) (((long *)&(v))[k])
#define LANE_E(v, k) (((SCALAR_E *)&(v))[k])
#if WIDTH == 1
#define SCALAR_E int
#else
#define SCALAR_E long
#endif

// 2^k, or 0 below the range of normal numbers.
inline double power2(int k)
{
    return as_double((long)(clamp(k, -1023, 1023) + 1023) << 52);
}

// The same for each lane.
inline V powers2(E k)
{
#if WIDTH == 1
    return power2(k);
#else
    return AS_V((clamp(k, -1023L, 1023L) + 1023L) << 52);
#endif
}

// The exponent that all lanes share; only where they do.
#if WIDTH == 1
#define COMMON(e) (e)
#else
#define COMMON(e) ((int)(e).s0)
#endif

// The binary exponent of v, -1023 for 0.
inline E exponents(V v)
{
    return TO_E(AS_BITS(v) >> 52 & 0x7ff) - 1023;
}

// Rescales x 2^e and y 2^e so that the larger mantissa is about 1. Lanes that are 0 get the exponent ``of_zero``.
inline void normalise(V *x, V *y, E *e, int of_zero)
{
    const V size = fmax(fabs(*x), fabs(*y));
    const E shift = exponents(size);
    const V factor = powers2(-shift);
    *x *= factor;
    *y *= factor;
    *e = size == 0 ? (E)(of_zero) : *e + shift;
}

// The same, and then one exponent for all lanes, if the lanes of the mask ``count`` allow it: the least mantissa must
// stay at 2^-400 or more, so that its square is a normal number. Returns whether all lanes share the exponent.
inline bool gather(V *x, V *y, E *e, M count, int of_zero)
{
    normalise(x, y, e, of_zero);
    const int top = greatest_exponent(count ? *e : (E)(INT_MIN / 2));
    if (ANY(count & (*e < top - 400))) return false;
    const V factor = powers2(*e - top);
    *x *= factor;
    *y *= factor;
    *e = top;
    return true;
}
