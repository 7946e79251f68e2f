// Building blocks of direct_tiles.cl: steps of all CHAINS vectors at once, and the coordinates of a vector's samples.
#include "geometry.h"
#include "vector.h"

#define EACH for (int g = 0; g < CHAINS; ++g)

#define STEPS(count, x, y, a, b) \
    _Pragma("unroll") for (int k_ = 0; k_ < (count); ++k_) { \
        _Pragma("unroll") EACH { \
            const V t_ = fma(x[g], x[g], fma(-y[g], y[g], a[g])); \
            y[g] = fma(x[g] + x[g], y[g], b[g]); \
            x[g] = t_; \
        } \
    }

typedef struct {
    __global const double *across, *down;
    int cols, rows;
} Task;

inline void points_at(const Task *t, int i, int j, V *a, V *b)
{
#if GEOMETRY == AXIS_ALIGNED
    *a = LOAD(t->across + i);
    *b = (V)(t->down[j]);
#elif GEOMETRY == INDEXED
    *a = LOAD(t->across + j * t->cols + i);
    *b = LOAD(t->down + j * t->cols + i);
#else
    double re[WIDTH], im[WIDTH];
    for (int l = 0; l < WIDTH; ++l) {
        const double2 c = sample_at(t->across, t->down, min(i + l, t->cols - 1), j, t->cols, t->rows);
        re[l] = c.x;
        im[l] = c.y;
    }
    *a = LOAD(re);
    *b = LOAD(im);
#endif
}

#define NORMS EACH norm[g] = fma(x[g], x[g], y[g] * y[g]);

inline bool any_beyond(const V *norm, V limit)
{
    M beyond = (M)(0);
    _Pragma("unroll") EACH beyond |= !(norm[g] <= limit);
    return any(beyond);
}

inline bool any_within(const V *norm, const V *bound)
{
    M within = (M)(0);
    _Pragma("unroll") EACH within |= norm[g] <= bound[g];
    return any(within);
}

// For states inside the disc that escape within 2 * half iterations: advances each to its last z inside, and adds
// the iterations done to n.
#define BISECT(half, x, y, a, b, n) \
    for (int h_ = (half); h_ > 0; h_ >>= 1) { \
        V p_[CHAINS], q_[CHAINS]; \
        EACH { p_[g] = x[g]; q_[g] = y[g]; } \
        for (int k_ = 0; k_ < h_; ++k_) STEPS(1, p_, q_, a, b) \
        EACH { \
            const M in_ = fma(p_[g], p_[g], q_[g] * q_[g]) <= limit; \
            x[g] = select(x[g], p_[g], in_); \
            y[g] = select(y[g], q_[g], in_); \
            n[g] += TO_K(in_) & h_; \
        } \
    }
