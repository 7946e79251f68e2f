// The table of blocks (mandel/plan/bla_table.py): 2^(LOW + level) iterations in one step.
// Levels 0 to LOW - 1 are left out: single steps do as well.
#include "lanes.h"

#define LOW_MASK ((1 << LOW) - 1)

// The table's reach is an int of 4096 log2(R^2): exponents below this are alike to it.
#define LEAST_EXPONENT -260000

// About 4096 log2(v), rounded down, for v >= 0: comparable with the table's reach.
inline E rough_log(V v)
{
    return TO_E(AS_BITS(v) >> 40) - (1023 << 12);
}

// Where the table holds the blocks that start at m = 1 + (s << LOW), smallest first.
inline int first_block(int s, int tops)
{
    return s == 0 ? 0 : tops + 2 * (s - 1) - (int)popcount(s - 1);
}
