// Faults that the sanitizers must report; tests/sanitize/test_sanitizers.py knows the lines.
#include "faults.h"

kernel void private_array(int at, global int *out)
{
    int own[8];
    for (int k = 0; k < 8; ++k) own[k] = k;
    out[0] = through_pointer(own, at);                   // line 8
}

kernel void read_buffer(int at, global int *out) { out[0] = out[at]; }  // line 11

kernel void vector_store(int at, global int *out)
{
    vstore4((int4)(1, 2, 3, 4), 0, out + at);            // line 15
}

kernel void overflow(int value, global int *out) { out[0] = value + value; }  // line 18

kernel void index_overflow(int row, int cols, global int *out)
{
    out[0] = row * cols > 0;                             // line 22
}

kernel void conversion(float value, global int *out) { out[0] = (int)value; }  // line 25

kernel void vector_conversion(float value, global int *out)
{
    out[0] = convert_int4((float4)(value)).y;            // line 29
}

kernel void division(int by, global int *out) { out[0] = 1 / by; }  // line 32

kernel void misaligned(int at, global int *out)
{
    *(global int *)((global char *)out + at) = 1;        // line 36
}

kernel void negation(int value, global int *out) { out[0] = -value; }  // line 39
