// The main cardioid and the period-2 disc, which need no iterating. A margin far
// above the rounding error keeps every exterior sample out of them.
inline bool in_main_bulbs(double a, double b)
{
    const double b2 = b * b, p = a - 0.25, q = fma(p, p, b2), r = a + 1.0;
    return q * (q + p) < 0.25 * b2 - 1e-14 || fma(r, r, b2) < 0.0625 - 1e-14;
}
