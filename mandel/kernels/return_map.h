// The return map (return_map.cl): terms of w^j are for c^0, c^1, ...; higher powers of w have fewer of them.
#include "contract.h"

// How many powers of c go with w^j. octaves: log2 of the largest |w| over the unit of c, by which c^k is smaller.
inline int return_columns(int j, int octaves)
{
    return 1 + min(RETURN_COLUMNS - 1, 3 * (RETURN_DEGREE - j) / clamp(octaves, 3, RETURN_DEGREE));
}
// Where the map has the term of w^j c^k; before the terms are RETURN_HEAD entries.
#define RETURN_HEAD 3
#define RETURN_TERM(j, k) ((j) * RETURN_COLUMNS + (k))
