// Samples of perturb.cl that go on in plain double, without a reference orbit: where dz/dc has become so large that the
// rounding errors of z move a sample by nothing. Most late iterations are such. Lanes need not keep together here: each
// of them would rebase at another time, and none reads the orbit.
//
// A rounding error of 2^-53 at a step is like moving c by 2^-53 / |dz/dc|. With |dz/dc| at FIRM or more, in units of
// 1 / (sample spacing), that is 2^-33 of a pixel at most. The derivative is looked at after every 4 steps: in between it
// may only fall by what 3 steps with |z| <= 2 can give back. Mostly dz/dc grows, and the first steps have nearly all of
// the error. Beside a cusp it does not grow for thousands of steps, in which c's own rounding errs to the same side
// each time. So the sum is kept: ``lost``, in units of APART_STEPS 2^-53 px.
//
// A lane whose derivative falls below FIRM, or which may have lost MOST_LOST, leaves with its state before that block,
// as a sample that has just rebased. In the second case for good.
#include "interior.h"

#define APART_STEPS 16
#define FIRM 0x1p-20
#define MOST_LOST 0x1p18  // 2^-31 px
#define LARGE 0x1p20      // where dz/dc is larger, nothing is lost: 2^31 steps would lose 2^-42 px
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
// Lanes come here with a derivative that is larger by some steps, also after the next step: norm is |z|^2.
#define ENOUGH(g) (0x1p16 * FIRM * FIRM * powers2(-2 * (g)))
#define GROWN_ENOUGH(norm, dx, dy, enough) (fmin(4 * (norm), (V)(1.0)) * NORM(dx, dy) >= (enough))
#define MOST_TRIAL (1 << 24)

#define APART_STEP(x, y, dx, dy) \
    { \
        const V x2_ = x + x, y2_ = y + y, u_ = fma(x2_, dx, fma(-y2_, dy, own_unit)); \
        const V t_ = fma(x, x, fma(-y, y, a)); \
        dy = fma(x2_, dy, y2_ * dx); \
        dx = u_; \
        y = fma(x2_, y, b); \
        x = t_; \
    }
