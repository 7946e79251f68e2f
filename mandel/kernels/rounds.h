// Long work in rounds (mandel/render/rounds.py): no launch lasts longer than the host allows. A work
// item does at most `budget` steps, then keeps its state and counts itself among those that are left;
// the next round goes on from there. Nothing of a result depends on where rounds end.
//
// ROUNDS 0 leaves all of it out, for work that is known to be short.
#include "contract.h"

#ifndef ROUNDS
#define ROUNDS 0
#endif
#if ROUNDS
// again: not the first round. left: how many work items have more to do.
#define ROUND_PARAMETERS , int budget, int again, __global int *left_over, __global long *kept
#else
#define ROUND_PARAMETERS
#endif

// Two ints as one number of a state, and back.
inline long packed(int a, int b) { return (long)a << 32 | (uint)b; }
inline int upper(long both) { return (int)(both >> 32); }
inline int lower(long both) { return (int)both; }
