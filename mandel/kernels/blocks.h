// The table of blocks (mandel/plan/bla_table.py). A block of a level does 2^(LOW + level) iterations in one step.
// Shorter blocks are not in the table: single steps are as fast.
#include "contract.h"
#include "lanes.h"

#define LOW_MASK ((1 << LOW) - 1)

// The table's reach R is an int, log2(R^2) with REACH_BITS after the binary point. Exponents below this one are
// all alike to it: with a smaller one the int would overflow.
#define LEAST_EXPONENT -260000
ASSERT(-(LEAST_EXPONENT) < INT_MAX >> (REACH_BITS + 1));

// About log2(v), rounded down, with REACH_BITS after the binary point, for v >= 0: comparable with a reach.
inline E rough_log(V v)
{
    return TO_E(AS_BITS(v) >> (52 - REACH_BITS)) - (1023 << REACH_BITS);
}
#define ROUGH_LOG(number) ((int)(as_long(number) >> (52 - REACH_BITS)) - (1023 << REACH_BITS))

// The table's first block of those that start at m = 1 + (s << LOW); they lie together, shortest first. The same
// formula is in mandel/plan/bla_table.py; tests/render/test_contract.py compares them.
inline int first_block(int s, int tops)
{
    return s == 0 ? 0 : tops + 2 * (s - 1) - (int)popcount(s - 1);
}
