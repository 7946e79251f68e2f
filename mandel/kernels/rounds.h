// Long work is done in rounds, one launch each (mandel/render/rounds.py), so that no launch lasts too long. In a round
// a work item does at most ``budget`` steps. If it has more to do, it keeps its state in global memory and adds 1 to
// ``left_over``; the next round goes on from that state. Results do not depend on where rounds end.
//
// With ROUNDS 0 kernels have none of this, for work that is known to be short.
#include "contract.h"

#ifndef ROUNDS
#define ROUNDS 0
#endif
#if ROUNDS
// again: 0 in the first round. left_over: how many work items have more to do. kept: their states.
#define ROUND_PARAMETERS , int budget, int again, __global int *left_over, __global long *kept
#else
#define ROUND_PARAMETERS
#endif

// Two ints as one long of a state, and back.
inline long packed(int a, int b) { return (long)a << 32 | (uint)b; }
inline int upper(long both) { return (int)(both >> 32); }
inline int lower(long both) { return (int)both; }
