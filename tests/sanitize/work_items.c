// Runs a kernel's work items: one after the other, or those of a group as threads, where they wait for
// each other at barriers. Local memory is static: groups follow each other.
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef void Item(const void *arguments);

static __thread size_t global_id[3];
static size_t sizes[3], groups[3];
static pthread_barrier_t meeting;
static int together;

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

void barrier(unsigned flags)
{
    (void)flags;
    if (!together) fail("a barrier in a kernel that was launched without a work group");
    pthread_barrier_wait(&meeting);
}

typedef struct {
    Item *item;
    const void *arguments;
    size_t id[3];
} Work;

static void *work(void *given)
{
    const Work *own = given;
    for (int side = 0; side < 3; side++) global_id[side] = own->id[side];
    own->item(own->arguments);
    return NULL;
}

static void run_group(Item *item, const void *arguments, const size_t *corner)
{
    const size_t count = groups[0] * groups[1] * groups[2];
    pthread_t *threads = malloc(count * sizeof *threads);
    Work *works = malloc(count * sizeof *works);
    if (!threads || !works || pthread_barrier_init(&meeting, NULL, (unsigned)count)) fail("no memory for threads");
    for (size_t k = 0; k < count; k++) {
        works[k] = (Work){item, arguments, {
            corner[0] + k % groups[0], corner[1] + k / groups[0] % groups[1], corner[2] + k / groups[0] / groups[1]}};
        if (pthread_create(&threads[k], NULL, work, &works[k])) fail("no thread for a work item");
    }
    for (size_t k = 0; k < count; k++) pthread_join(threads[k], NULL);
    pthread_barrier_destroy(&meeting);
    free(threads);
    free(works);
}

// From work item `first` to below `size`; by_groups: the items of a group at the same time.
void run_work_items(Item *item, const void *arguments, const size_t *first, const size_t *size, const size_t *group,
                    int by_groups)
{
    for (int side = 0; side < 3; side++) {
        sizes[side] = size[side];
        groups[side] = group[side];
    }
    together = by_groups;
    const size_t step[3] = {by_groups ? group[0] : 1, by_groups ? group[1] : 1, by_groups ? group[2] : 1};
    for (size_t z = first[2]; z < size[2]; z += step[2])
        for (size_t y = first[1]; y < size[1]; y += step[1])
            for (size_t x = first[0]; x < size[0]; x += step[0]) {
                const Work one = {item, arguments, {x, y, z}};
                if (by_groups) run_group(item, arguments, one.id);
                else work((void *)&one);
            }
}
