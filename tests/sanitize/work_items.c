// Which work item runs: kernels are called one work item after the other.
#include <stddef.h>

static size_t ids[3], sizes[3];

void of_global_size(size_t x, size_t y, size_t z) { sizes[0] = x; sizes[1] = y; sizes[2] = z; }
void at_work_item(size_t x, size_t y, size_t z) { ids[0] = x; ids[1] = y; ids[2] = z; }
size_t get_global_id(unsigned side) { return side < 3 ? ids[side] : 0; }
size_t get_global_size(unsigned side) { return side < 3 ? sizes[side] : 1; }
