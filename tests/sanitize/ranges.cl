// What kernels make of the greatest counts there are, without iterating so far.
#include "interior.h"
#include "rounds.h"

kernel void of_blocks(int blocks, int block, global int *out)
{
    out[0] = gap_after(blocks);
    out[1] = blocks + gap_after(blocks);
    out[2] = TRIAL(blocks * block);
}

kernel void of_states(int count, global int *out)
{
    out[0] = upper(packed(~count, count)) == ~count;
    out[1] = lower(packed(count, ~count)) == ~count;
}
