// At least |v|, by very little: in a walk of thousands of steps any excess is multiplied as often.
inline double upper_bound(double2 v)
{
    return fmax(sqrt(fma(v.x, v.x, v.y * v.y)), fmax(fabs(v.x), fabs(v.y))) * (1 + 0x1p-50);
}
