// Runs a kernel's work items one after the other; in kernels with barriers those of a group take turns, from
// barrier to barrier. Local memory is static: groups follow each other.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

typedef void Item(const void *arguments);

static size_t global_id[3], sizes[3], groups[3];

size_t get_global_id(unsigned side) { return side < 3 ? global_id[side] : 0; }
size_t get_global_size(unsigned side) { return side < 3 ? sizes[side] : 1; }
size_t get_local_size(unsigned side) { return side < 3 ? groups[side] : 1; }
size_t get_local_id(unsigned side) { return side < 3 ? global_id[side] % groups[side] : 0; }
size_t get_group_id(unsigned side) { return side < 3 ? global_id[side] / groups[side] : 0; }
size_t get_num_groups(unsigned side) { return side < 3 ? sizes[side] / groups[side] : 1; }

static void fail(const char *what)
{
    fprintf(stderr, "runtime error: %s\n", what);
    abort();
}

#define STACK (256 << 10)  // of a work item of a kernel with barriers
#define MOST_ITEMS 1024

typedef struct {
    ucontext_t context;
    char *stack;
    int ended;
} Turn;

static Turn turns[MOST_ITEMS];
static ucontext_t all;  // whoever gives the turns
static Turn *now;
static Item *running;
static const void *given;

void barrier(unsigned flags)
{
    (void)flags;
    if (!now) fail("a barrier outside of a group");
    swapcontext(&now->context, &all);
}

static void run_item(void)
{
    running(given);
    now->ended = 1;
}

static void run_group(const size_t *corner)
{
    const size_t count = groups[0] * groups[1] * groups[2];
    if (count > MOST_ITEMS) fail("a group of more work items than work_items.c has room for");
    for (size_t k = 0; k < count; k++) {
        Turn *turn = &turns[k];
        if (!turn->stack && !(turn->stack = malloc(STACK))) fail("no memory for stacks");
        getcontext(&turn->context);
        turn->context.uc_stack.ss_sp = turn->stack;
        turn->context.uc_stack.ss_size = STACK;
        turn->context.uc_link = &all;
        turn->ended = 0;
        makecontext(&turn->context, run_item, 0);
    }
    for (size_t ended = 0; ended < count;) {
        ended = 0;
        for (size_t k = 0; k < count; k++) {
            global_id[0] = corner[0] + k % groups[0];
            global_id[1] = corner[1] + k / groups[0] % groups[1];
            global_id[2] = corner[2] + k / groups[0] / groups[1];
            now = &turns[k];
            swapcontext(&all, &now->context);
            ended += now->ended;
        }
        if (ended && ended < count) fail("a barrier that not all work items of a group come to");
    }
    now = NULL;
}

// From work item `first` to below `size`; by_groups: the items of a group at the same time.
void run_work_items(Item *item, const void *arguments, const size_t *first, const size_t *size, const size_t *group,
                    int by_groups)
{
    for (int side = 0; side < 3; side++) {
        sizes[side] = size[side];
        groups[side] = group[side];
    }
    running = item;
    given = arguments;
    const size_t step[3] = {by_groups ? group[0] : 1, by_groups ? group[1] : 1, by_groups ? group[2] : 1};
    for (size_t z = first[2]; z < size[2]; z += step[2])
        for (size_t y = first[1]; y < size[1]; y += step[1])
            for (size_t x = first[0]; x < size[0]; x += step[0]) {
                global_id[0] = x;
                global_id[1] = y;
                global_id[2] = z;
                if (by_groups) run_group((size_t[3]){x, y, z});
                else item(arguments);
            }
}
