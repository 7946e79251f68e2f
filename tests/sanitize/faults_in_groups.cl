// Faults of work groups that the sanitizers must report; tests/sanitize/test_sanitizers.py knows the lines.

kernel void local_array(int at, global int *out)
{
    local int own[4];
    own[get_local_id(0) + at] = 1;  // line 6
    barrier(CLK_LOCAL_MEM_FENCE);
    out[0] = own[0];
}

kernel void lonely_barrier(int least, global int *out)
{
    if (get_local_id(0) >= least) barrier(CLK_LOCAL_MEM_FENCE);
    out[0] = 1;
}

kernel __attribute__((reqd_work_group_size(4, 1, 1))) void sum_of_four(int from, global int *out)
{
    local int own[4];
    own[get_local_id(0)] = from + (int)get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    out[get_local_id(0)] = own[0] + own[1] + own[2] + own[3];  // line 22
}
