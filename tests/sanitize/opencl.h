// The built-in functions of OpenCL C that kernels may use, in OpenCL C itself, so that clang makes
// code for the host out of kernel files as they are. Each goes lane by lane through plain C: what
// the sanitizers know of memory, conversions and integers holds within them too.
//
// A built-in that is missing is an "implicit declaration" error when a kernel is compiled; add it here.
#include "opencl-c-base.h"

#define BUILTIN static __attribute__((overloadable, always_inline))
#define inline static  // C99's `inline` alone defines nothing to link
#define LANES_(body) _Pragma("unroll") for (int l_ = 0; l_ < N_; ++l_) body

size_t get_global_id(uint side);  // work_items.c
size_t get_global_size(uint side);
size_t get_local_id(uint side);
size_t get_local_size(uint side);
size_t get_group_id(uint side);
size_t get_num_groups(uint side);
#define get_global_offset(side) ((size_t)0)
void barrier(uint flags);
#define mem_fence(flags)

#define SCALARS_(DO, A) DO(A, char) DO(A, uchar) DO(A, short) DO(A, ushort) DO(A, int) DO(A, uint) DO(A, long) DO(A, ulong)
#define REALS_(DO, A) DO(A, float) DO(A, double)
#define WIDTHS_(DO, T) DO(T, 2) DO(T, 3) DO(T, 4) DO(T, 8) DO(T, 16)

// select, any, all: scalars take a condition as C does, vectors the top bit of each lane.
#define SCALAR_(A, T) \
    BUILTIN T min(T a, T b) { return b < a ? b : a; } \
    BUILTIN T max(T a, T b) { return a < b ? b : a; } \
    BUILTIN T clamp(T a, T low, T high) { return min(max(a, low), high); }
SCALARS_(SCALAR_, )
REALS_(SCALAR_, )
#define VECTOR_(T, N) \
    BUILTIN T##N min(T##N a, T##N b) { enum { N_ = N }; T##N r; LANES_(r[l_] = min(a[l_], b[l_]);) return r; } \
    BUILTIN T##N max(T##N a, T##N b) { enum { N_ = N }; T##N r; LANES_(r[l_] = max(a[l_], b[l_]);) return r; } \
    BUILTIN T##N min(T##N a, T b) { return min(a, (T##N)(b)); } \
    BUILTIN T##N max(T##N a, T b) { return max(a, (T##N)(b)); } \
    BUILTIN T##N clamp(T##N a, T##N low, T##N high) { return min(max(a, low), high); } \
    BUILTIN T##N clamp(T##N a, T low, T high) { return clamp(a, (T##N)(low), (T##N)(high)); }
#define VECTORS_(A, T) WIDTHS_(VECTOR_, T)
SCALARS_(VECTORS_, )
REALS_(VECTORS_, )

// vload and vstore need the alignment of an element only, and touch no more than their lanes.
#define MOVE_(T, N, SPACE) \
    BUILTIN T##N vload##N(size_t at, const SPACE T *p) \
    { enum { N_ = N }; T##N r; LANES_(r[l_] = p[at * N + l_];) return r; }
#define STORE_(T, N, SPACE) \
    BUILTIN void vstore##N(T##N v, size_t at, SPACE T *p) { enum { N_ = N }; LANES_(p[at * N + l_] = v[l_];) }
#define MOVES_(T, N) MOVE_(T, N, __global) MOVE_(T, N, __private) MOVE_(T, N, __constant) MOVE_(T, N, __local) \
    STORE_(T, N, __global) STORE_(T, N, __private) STORE_(T, N, __local)
#define MOVES_ALL_(A, T) WIDTHS_(MOVES_, T)
SCALARS_(MOVES_ALL_, )
REALS_(MOVES_ALL_, )

// Masks.
#define MASK_(A, T) \
    BUILTIN int any(T a) { return a < 0; } \
    BUILTIN int all(T a) { return a < 0; }
#define MASKS_(T, N) \
    BUILTIN int any(T##N a) { enum { N_ = N }; int r = 0; LANES_(r |= a[l_] < 0;) return r; } \
    BUILTIN int all(T##N a) { enum { N_ = N }; int r = 1; LANES_(r &= a[l_] < 0;) return r; }
#define MASKS_ALL_(A, T) WIDTHS_(MASKS_, T)
MASK_(, char) MASK_(, short) MASK_(, int) MASK_(, long)
MASKS_ALL_(, char) MASKS_ALL_(, short) MASKS_ALL_(, int) MASKS_ALL_(, long)

#define SELECT_(T, M, S) \
    BUILTIN T select(T a, T b, M c) { return c ? b : a; } \
    SELECTS_(T, 2, M, S) SELECTS_(T, 3, M, S) SELECTS_(T, 4, M, S) SELECTS_(T, 8, M, S) SELECTS_(T, 16, M, S)
#define SELECTS_(T, N, M, S) \
    BUILTIN T##N select(T##N a, T##N b, M##N c) \
    { enum { N_ = N }; T##N r; LANES_(r[l_] = (S)c[l_] < 0 ? b[l_] : a[l_];) return r; }
SELECT_(char, char, char) SELECT_(uchar, char, char) SELECT_(short, short, short) SELECT_(ushort, short, short)
SELECT_(int, int, int) SELECT_(uint, int, int) SELECT_(float, int, int)
SELECT_(long, long, long) SELECT_(ulong, long, long) SELECT_(double, long, long)
SELECT_(int, uint, int) SELECT_(uint, uint, int) SELECT_(float, uint, int)
SELECT_(long, ulong, long) SELECT_(ulong, ulong, long) SELECT_(double, ulong, long)

// Real functions, one for each lane.
#define ONE_(T, name, call) BUILTIN T name(T a) { return call(a); } WIDTHS_ONE_(T, name)
#define ONE_N_(T, N, name) \
    BUILTIN T##N name(T##N a) { enum { N_ = N }; T##N r; LANES_(r[l_] = name(a[l_]);) return r; }
#define WIDTHS_ONE_(T, name) \
    ONE_N_(T, 2, name) ONE_N_(T, 3, name) ONE_N_(T, 4, name) ONE_N_(T, 8, name) ONE_N_(T, 16, name)
#define ONES_(name) ONE_(double, name, __builtin_##name) ONE_(float, name, __builtin_##name##f)
ONES_(fabs) ONES_(sqrt) ONES_(floor) ONES_(ceil) ONES_(trunc) ONES_(rint) ONES_(round)
ONES_(exp) ONES_(exp2) ONES_(log) ONES_(log2) ONES_(log10) ONES_(sin) ONES_(cos) ONES_(tan) ONES_(atan)
#define rsqrt_(a) (1 / __builtin_sqrt(a))
#define rsqrtf_(a) (1 / __builtin_sqrtf(a))
#define recip_(a) (1 / (a))
ONE_(double, rsqrt, rsqrt_) ONE_(float, rsqrt, rsqrtf_)
ONE_(float, native_sqrt, __builtin_sqrtf) ONE_(float, native_rsqrt, rsqrtf_) ONE_(float, native_recip, recip_)
ONE_(float, native_exp, __builtin_expf) ONE_(float, native_exp2, __builtin_exp2f)
ONE_(float, native_log, __builtin_logf) ONE_(float, native_log2, __builtin_log2f)
ONE_(float, native_sin, __builtin_sinf) ONE_(float, native_cos, __builtin_cosf)

#define TWO_(T, name, call) BUILTIN T name(T a, T b) { return call(a, b); } \
    TWO_N_(T, 2, name) TWO_N_(T, 3, name) TWO_N_(T, 4, name) TWO_N_(T, 8, name) TWO_N_(T, 16, name)
#define TWO_N_(T, N, name) \
    BUILTIN T##N name(T##N a, T##N b) { enum { N_ = N }; T##N r; LANES_(r[l_] = name(a[l_], b[l_]);) return r; }
#define TWOS_(name) TWO_(double, name, __builtin_##name) TWO_(float, name, __builtin_##name##f)
TWOS_(fmin) TWOS_(fmax) TWOS_(fmod) TWOS_(pow) TWOS_(atan2) TWOS_(hypot) TWOS_(copysign)
#define SECOND_SCALAR_(T, N) \
    BUILTIN T##N fmin(T##N a, T b) { return fmin(a, (T##N)(b)); } \
    BUILTIN T##N fmax(T##N a, T b) { return fmax(a, (T##N)(b)); }
WIDTHS_(SECOND_SCALAR_, float)
WIDTHS_(SECOND_SCALAR_, double)

// Rounded once, as the standard demands, on whatever host; mad may round twice.
BUILTIN double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
BUILTIN float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
BUILTIN double mad(double a, double b, double c) { return a * b + c; }
BUILTIN float mad(float a, float b, float c) { return a * b + c; }
#if defined(__FMA__) || defined(__aarch64__)  // one instruction for all lanes
#define FUSED_(T, N) \
    BUILTIN T##N fma(T##N a, T##N b, T##N c) \
    { \
        _Pragma("OPENCL FP_CONTRACT ON") \
        return a * b + c; \
    }
#else
#define FUSED_(T, N) \
    BUILTIN T##N fma(T##N a, T##N b, T##N c) \
    { enum { N_ = N }; T##N r; LANES_(r[l_] = fma(a[l_], b[l_], c[l_]);) return r; }
#endif
#define MAD_(T, N) BUILTIN T##N mad(T##N a, T##N b, T##N c) { return a * b + c; }
WIDTHS_(FUSED_, double) WIDTHS_(FUSED_, float) WIDTHS_(MAD_, double) WIDTHS_(MAD_, float)

BUILTIN double ldexp(double a, int k) { return __builtin_ldexp(a, k); }
BUILTIN float ldexp(float a, int k) { return __builtin_ldexpf(a, k); }
BUILTIN int ilogb(double a) { return __builtin_ilogb(a); }
BUILTIN int ilogb(float a) { return __builtin_ilogbf(a); }

// Scalars say 1, vectors -1.
#define CLASS_(T, M, name, test) \
    BUILTIN int name(T a) { return test(a) ? 1 : 0; } \
    CLASS_N_(T, M, 2, name) CLASS_N_(T, M, 3, name) CLASS_N_(T, M, 4, name) CLASS_N_(T, M, 8, name) \
    CLASS_N_(T, M, 16, name)
#define CLASS_N_(T, M, N, name) \
    BUILTIN M##N name(T##N a) { enum { N_ = N }; M##N r; LANES_(r[l_] = -name(a[l_]);) return r; }
CLASS_(float, int, isnan, __builtin_isnan) CLASS_(double, long, isnan, __builtin_isnan)
CLASS_(float, int, isinf, __builtin_isinf) CLASS_(double, long, isinf, __builtin_isinf)
CLASS_(float, int, isfinite, __builtin_isfinite) CLASS_(double, long, isfinite, __builtin_isfinite)

// Integers. abs gives the unsigned type.
BUILTIN uint abs(int a) { return a < 0 ? 0u - (uint)a : (uint)a; }
BUILTIN ulong abs(long a) { return a < 0 ? 0ul - (ulong)a : (ulong)a; }
BUILTIN uint abs_diff(uint a, uint b) { return a < b ? b - a : a - b; }
BUILTIN uint abs_diff(int a, int b) { return a < b ? (uint)b - (uint)a : (uint)a - (uint)b; }
BUILTIN int popcount(int a) { return __builtin_popcount((uint)a); }
BUILTIN uint popcount(uint a) { return (uint)__builtin_popcount(a); }
BUILTIN ulong popcount(ulong a) { return (ulong)__builtin_popcountll(a); }
BUILTIN int clz(int a) { return a ? __builtin_clz((uint)a) : 32; }
BUILTIN uint clz(uint a) { return a ? (uint)__builtin_clz(a) : 32u; }
BUILTIN long clz(long a) { return a ? __builtin_clzl((ulong)a) : 64; }
BUILTIN ulong clz(ulong a) { return a ? (ulong)__builtin_clzl(a) : 64ul; }

// One work item runs at a time.
#define ATOMIC_(T, SPACE) \
    BUILTIN T atomic_add(volatile SPACE T *p, T by) { T was = *p; *p = was + by; return was; } \
    BUILTIN T atomic_inc(volatile SPACE T *p) { return atomic_add(p, (T)1); } \
    BUILTIN T atomic_dec(volatile SPACE T *p) { return atomic_add(p, (T)-1); } \
    BUILTIN T atomic_max(volatile SPACE T *p, T with) { T was = *p; *p = max(was, with); return was; } \
    BUILTIN T atomic_min(volatile SPACE T *p, T with) { T was = *p; *p = min(was, with); return was; } \
    BUILTIN T atomic_or(volatile SPACE T *p, T with) { T was = *p; *p = was | with; return was; }
ATOMIC_(int, __global) ATOMIC_(uint, __global) ATOMIC_(int, __local) ATOMIC_(uint, __local)

// Conversions, checked lane by lane (-fsanitize=float-cast-overflow); saturating ones clamp first.
#define CONVERT_(FROM, TO) \
    BUILTIN TO convert_##TO(FROM a) { return (TO)a; } \
    CONVERT_N_(FROM, TO, 2) CONVERT_N_(FROM, TO, 3) CONVERT_N_(FROM, TO, 4) CONVERT_N_(FROM, TO, 8) \
    CONVERT_N_(FROM, TO, 16)
#define CONVERT_N_(FROM, TO, N) \
    BUILTIN TO##N convert_##TO##N(FROM##N a) { enum { N_ = N }; TO##N r; LANES_(r[l_] = (TO)a[l_];) return r; }
SCALARS_(CONVERT_, char) SCALARS_(CONVERT_, uchar) SCALARS_(CONVERT_, short) SCALARS_(CONVERT_, ushort)
SCALARS_(CONVERT_, int) SCALARS_(CONVERT_, uint) SCALARS_(CONVERT_, long) SCALARS_(CONVERT_, ulong)
SCALARS_(CONVERT_, float) SCALARS_(CONVERT_, double)
REALS_(CONVERT_, char) REALS_(CONVERT_, uchar) REALS_(CONVERT_, short) REALS_(CONVERT_, ushort)
REALS_(CONVERT_, int) REALS_(CONVERT_, uint) REALS_(CONVERT_, long) REALS_(CONVERT_, ulong)
REALS_(CONVERT_, float) REALS_(CONVERT_, double)
