"""The numbers on which Python and the kernels must agree, each written once.

Python reads them from here. ``kernels.options`` passes all of them to the compiler of every program, as -D defines
of the same names. ``contract.h`` refuses to build where one is missing, so that a kernel never falls back on 0.

What differs from one variant of a kernel to another (WIDTH, ROUNDS, ...) is not here: the module that chooses the
variant passes it.
"""

from __future__ import annotations

# ---- pixels ---------------------------------------------------------------------------------------------------
# A canvas pixel and a strip's texel are one uint each: three channels of so many bits, red lowest.
CHANNEL_BITS = 10
# A canvas channel goes from 0 to 4 x 255: four levels to each of a byte.
BYTE_SHIFT = 2
CANVAS_LEVELS = 255 << BYTE_SHIFT
# Linear light of a palette entry is one ulong: 17 bits a channel, 21 bits apart, so that 16 entries can be added.
LIGHT_LEVELS = (1 << 17) - 1
LIGHT_BITS = 21
# Entries of the table that turns square roots of light into canvas levels.
CURVE_ENTRIES = 4096
# What direct_tiles.cl writes (its define PAINT): raw samples, canvas pixels or bytes of RGB.
PAINT_NOTHING, PAINT_CANVAS, PAINT_RGB = 0, 1, 2
# From a smooth count to a place on the palette (colour/mappings.py).
MAP_ROOT, MAP_LINEAR, MAP_LOG, MAP_EVEN = 0, 1, 2, 3
MAP_BUCKETS = 8 * 31 + 1  # eighths of an octave, up to counts of 2^31

# ---- work of one work item ------------------------------------------------------------------------------------
# Pixels that the kernels for CPUs take in one go, in vectors of RUN_LANES: a picture must have at least one vector.
RUN_PIXELS, RUN_LANES = 4096, 16
# Columns and rows of a frame that CPUs resample in one go: most of what they are made from stays in the nearest caches.
RESAMPLED_COLS, RESAMPLED_ROWS = 192, 64
MARK_RUN = 64  # pixels, where edges are counted and listed
TALLY_RUN = 4096  # samples of one work group

# ---- raw strips -----------------------------------------------------------------------------------------------
FRACTION_BITS = 12  # of a kept sample's fraction
# Bytes of a difference: counts take 31 bits, fractions 12, differences and signs 3.
RAW_PLANES = 6
# The code of a distance is its log2 in so many steps an octave, the least one of them code 0: 1/64 to 1,000 samples.
DISTANCE_STEPS, DISTANCE_LEAST = 16, -6 * 16

# ---- where samples lie (geometry.h) ---------------------------------------------------------------------------
AXIS_ALIGNED, ROTATED, POLAR_GEOMETRY, INDEXED = 0, 1, 2, 3

# ---- perturbation ---------------------------------------------------------------------------------------------
# In plain double precision |z| is at least 2^PLAIN_Z_EXPONENT.
PLAIN_Z_EXPONENT = -500
# Terms of the series with which all samples of a grid begin (common_start.cl).
SERIES_TERMS = 32
# What it writes: so many places where samples may begin, each of so many double2.
STARTS, START_LENGTH = 4, 2 + 2 * SERIES_TERMS
# The return map (return_map.cl): the highest power of w, and how many powers of c are kept beside each of w.
RETURN_DEGREE, RETURN_COLUMNS = 20, 12
# The table of blocks gives the reach R of a block as log2(R^2) with so many bits after the binary point.
REACH_BITS = 12

# ---- states between rounds, in longs (render/rounds.py) -------------------------------------------------------
DIRECT_STATE, DIRECT_DERIVATIVE_STATE = 5, 7  # of a sample, without and with dz/dc
TILE_STATE, TILE_SAMPLE_STATE = 1, 3  # of a tile, and of each of its samples
PERTURBED_STATE = 12  # of a sample

DEFINES: tuple[tuple[str, int], ...] = tuple(
    (name, value) for name, value in sorted(globals().items()) if name.isupper() and isinstance(value, int)
)
