// One source for every vector width. V: WIDTH doubles. M: their masks (true is -1). K: as many ints. F: as many
// floats.
#ifndef WIDTH
#define WIDTH 8
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
// Stops the build where a condition does not hold.
#define ASSERT(holds) typedef char JOIN(assert_, __LINE__)[(holds) ? 1 : -1]
#if WIDTH == 1
#define V double
#define M long
#define F float
#define TO_M (long)
#define TO_F (float)
#define ANY(m) ((m) != 0)
#else
#define V JOIN(double, WIDTH)
#define M JOIN(long, WIDTH)
#define K JOIN(int, WIDTH)
#define F JOIN(float, WIDTH)
#define TO_K JOIN(convert_int, WIDTH)
#define TO_M JOIN(convert_long, WIDTH)
#define TO_F JOIN(convert_float, WIDTH)
#define AS_K JOIN(as_int, WIDTH)
#define AS_F JOIN(as_float, WIDTH)
#define LOAD(p) JOIN(vload, WIDTH)(0, p)
#define STORE(v, p) JOIN(vstore, WIDTH)(v, 0, p)

#define ANY(m) any(m)

#if WIDTH == 4
#define LANES (M)(0, 1, 2, 3)
#elif WIDTH == 8
#define LANES (M)(0, 1, 2, 3, 4, 5, 6, 7)
#elif WIDTH == 16
#define LANES (M)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#endif

// How many lanes of a mask are set.
#ifndef __has_builtin
#define __has_builtin(name) 0
#endif
inline int lanes_set(M mask)
{
#if __has_builtin(__builtin_reduce_add)  // compilers turn it into a count of bits
    return -(int)__builtin_reduce_add(mask);
#else
#if WIDTH == 4
    const long4 m = mask;
#else
#if WIDTH == 16
    const long8 w = mask.lo + mask.hi;
#else
    const long8 w = mask;
#endif
    const long4 m = w.lo + w.hi;
#endif
    const long2 s = m.lo + m.hi;
    return -(int)(s.x + s.y);
#endif
}

// The greatest of all lanes.
inline int greatest_int(K lanes)
{
#if WIDTH == 4
    const int4 m = lanes;
#else
#if WIDTH == 16
    const int8 w = max(lanes.lo, lanes.hi);
#else
    const int8 w = lanes;
#endif
    const int4 m = max(w.lo, w.hi);
#endif
    const int2 s = max(m.lo, m.hi);
    return max(s.x, s.y);
}
#endif
