// The numbers on which Python and the kernels must agree. mandel/kernels/contract.py has them and says what they
// mean; mandel.kernels.options passes them to the compiler of every program.
#if !defined(AXIS_ALIGNED) || !defined(BYTE_SHIFT) || !defined(CANVAS_LEVELS) || !defined(CHANNEL_BITS) || \
    !defined(CURVE_ENTRIES) || !defined(DIRECT_DERIVATIVE_STATE) || !defined(DIRECT_STATE) || \
    !defined(DISTANCE_LEAST) || !defined(DISTANCE_STEPS) || !defined(FRACTION_BITS) || !defined(INDEXED) || !defined(LIGHT_BITS) || !defined(LIGHT_LEVELS) || \
    !defined(MAP_BUCKETS) || !defined(MAP_EVEN) || !defined(MAP_LINEAR) || !defined(MAP_LOG) || !defined(MAP_ROOT) || !defined(MARK_RUN) || \
    !defined(PAINT_CANVAS) || !defined(PAINT_NOTHING) || !defined(PAINT_RGB) || \
    !defined(PERTURBED_STATE) || !defined(PLAIN_Z_EXPONENT) || !defined(POLAR_GEOMETRY) || \
    !defined(RAW_PLANES) || !defined(REACH_BITS) || !defined(RETURN_COLUMNS) || !defined(RETURN_DEGREE) || !defined(RESAMPLED_COLS) || !defined(RESAMPLED_ROWS) || \
    !defined(ROTATED) || !defined(RUN_LANES) || !defined(RUN_PIXELS) || !defined(SERIES_TERMS) || \
    !defined(START_LENGTH) || !defined(STARTS) || !defined(TALLY_RUN) || !defined(TILE_SAMPLE_STATE) || \
    !defined(TILE_STATE)
#error "numbers of mandel/kernels/contract.py are missing: build with the options of mandel.kernels.options"
#endif
