// WIDTH samples side by side in one work item: 1 on devices that vectorise over
// work items (GPUs), 8 or 16 on CPUs. A flag is true in every bit for vectors,
// 1 for scalars: combine flags with & and |, negate them with NOT only.
#ifndef WIDTH
#define WIDTH 1
#endif
#if WIDTH == 1
typedef double real;
typedef long lane;
#define ANY(f) ((f) != 0)
#define NOT(f) (!(f))
#define TO_REAL(l) ((double)(l))
inline double greatest(double v) { return v; }
#else
#define LANES_PASTE(a, b) a##b
#define LANES_TYPE(a, b) LANES_PASTE(a, b)
typedef LANES_TYPE(double, WIDTH) real;
typedef LANES_TYPE(long, WIDTH) lane;
#define ANY(f) any(f)
#define NOT(f) (~(f))
#if WIDTH == 16
inline double greatest(double16 w) { double8 v = fmax(w.lo, w.hi);
#else
inline double greatest(double8 v) {
#endif
    const double4 a = fmax(v.lo, v.hi);
    const double2 b = fmax(a.lo, a.hi);
    return fmax(b.x, b.y);
}
#endif
// One lane of a vector in private memory.
#define LANE_D(v, k) (((double *)&(v))[k])
#define LANE_L(v, k) (((long *)&(v))[k])
