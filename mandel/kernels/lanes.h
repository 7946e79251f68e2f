// Lanes of a work item that do not always go the same way. A mask is true in every
// bit for vectors, 1 for scalars: combine masks with & and |, negate with NOT only.
#include "vector.h"

#if WIDTH == 1
#define NOT(mask) (!(mask))
inline double greatest(double v) { return v; }
#else
#define NOT(mask) (~(mask))
#if WIDTH == 16
inline double greatest(double16 w)
{
    const double8 v = fmax(w.lo, w.hi);
#else
inline double greatest(double8 v)
{
#endif
    const double4 a = fmax(v.lo, v.hi);
    const double2 b = fmax(a.lo, a.hi);
    return fmax(b.x, b.y);
}
#endif
// One lane of a vector in private memory.
#define LANE_D(v, k) (((double *)&(v))[k])
#define LANE_L(v, k) (((long *)&(v))[k])
