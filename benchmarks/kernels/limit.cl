// The hardware's limit: z <- z^2 + c in fused multiply-adds with no bail-out
// test at all, CHAINS independent orbits of WIDTH lanes in flight.
#ifndef WIDTH
#define WIDTH 8
#endif
#ifndef CHAINS
#define CHAINS 4
#endif
#if WIDTH == 1
#define V double
#else
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define V JOIN(double, WIDTH)
#endif

__kernel
#if WIDTH > 1
__attribute__((reqd_work_group_size(1, 1, 1), vec_type_hint(V)))
#endif
void limit(int iterations, double re, __global V *out)
{
    V x[CHAINS], y[CHAINS], a[CHAINS], b[CHAINS];
    for (int g = 0; g < CHAINS; ++g) {
        x[g] = y[g] = (V)(0.0);
        a[g] = (V)(re * (g + 1));
        b[g] = (V)(1e-6 * get_global_id(0));
    }
    for (int n = 0; n < iterations; ++n)
        for (int g = 0; g < CHAINS; ++g) {
            const V t = fma(x[g], x[g], fma(-y[g], y[g], a[g]));
            y[g] = fma(x[g] + x[g], y[g], b[g]);
            x[g] = t;
        }
    V sum = (V)(0.0);
    for (int g = 0; g < CHAINS; ++g) sum += x[g] + y[g];
    out[get_global_id(0)] = sum;
}
