/* Counts the samples that reached the iteration limit, and those that escaped late: after more than half the limit.
 * With a higher limit about as many more would escape as these late ones (docs/depth.md).
 *
 * Each work group takes TALLY_RUN samples. Defines: GROUP (its work items; 1 on CPUs). */
#include "contract.h"

#ifndef GROUP
#define GROUP 1
#endif

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void tally(global const int *restrict count, int length, int maxiter, global int2 *restrict found)
{
    const int begin = get_group_id(0) * TALLY_RUN, end = min(begin + TALLY_RUN, length), half_way = maxiter / 2;
#if GROUP == 1
    int16 reached = 0, beyond = 0;
    int at = begin;
    for (; at + 16 <= end; at += 16) {
        const int16 n = vload16(0, count + at);
        reached -= n > maxiter;
        beyond -= n > half_way;
    }
    const int8 r8 = reached.lo + reached.hi, b8 = beyond.lo + beyond.hi;
    const int4 r4 = r8.lo + r8.hi, b4 = b8.lo + b8.hi;
    int r = r4.x + r4.y + r4.z + r4.w, b = b4.x + b4.y + b4.z + b4.w;
    for (; at < end; at++) {
        r += count[at] > maxiter;
        b += count[at] > half_way;
    }
    found[get_group_id(0)] = (int2)(r, b - r);
#else
    local int2 sums[GROUP];
    const int own = get_local_id(0);
    int r = 0, b = 0;
    for (int at = begin + own; at < end; at += GROUP) {
        r += count[at] > maxiter;
        b += count[at] > half_way;
    }
    sums[own] = (int2)(r, b - r);
    for (int other = GROUP / 2; other > 0; other /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (own < other)
            sums[own] += sums[own + other];
    }
    if (own == 0)
        found[get_group_id(0)] = sums[0];
#endif
}
