/* Appends with identity, measured: batches of orders that the store must not take twice.
 *
 *     identity keep|content|ids|late|again FILE [EVENTS [BATCH [CUSTOMERS]]]
 *
 * keep: everything is kept. content: no ids, one source, in the order of time. ids: 16 random hexadecimal digits each.
 * late: as content, then a tenth of a batch's events at any earlier time. again: ids, then the last tenth once more.
 * Every batch is one durable commit. Prints events a second, counts and resident memory at each tenth. */
#define _POSIX_C_SOURCE 200809L

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <lapse.h>

static uint64_t mixed(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double processor(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct events {
    int64_t customers, rows;
    char *customer, *id;
    int64_t *customer_offsets, *id_offsets, *time, *amount;
    double *value;
};

/* Event i: the same whenever it is made. */
static void make(struct events *e, int64_t at, int64_t i, int64_t total, int late)
{
    const int64_t begin = INT64_C(1672531200) * 1000000, span = INT64_C(2) * 365 * 86400 * 1000000;
    uint64_t r = mixed((uint64_t)i);
    int64_t when = late && r % 10 == 0 ? (int64_t)(mixed(r) % (uint64_t)(i + 1)) : i;
    e->customer_offsets[at + 1] = e->customer_offsets[at] +
        sprintf(e->customer + e->customer_offsets[at], "C%07llu",
                (unsigned long long)(mixed(r ^ 1) % (uint64_t)e->customers));
    e->id_offsets[at + 1] = e->id_offsets[at] +
        sprintf(e->id + e->id_offsets[at], "%016llx", (unsigned long long)mixed(r ^ 2));
    e->time[at] = begin + span / total * when / 1000000 * 1000000;
    e->amount[at] = (int64_t)(mixed(r ^ 3) % 20000) + 1;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const char *mode = argv[1];
    int ids = !strcmp(mode, "ids") || !strcmp(mode, "again"), late = !strcmp(mode, "late");
    int64_t total = argc > 3 ? atoll(argv[3]) : 10000000, size = argc > 4 ? atoll(argv[4]) : 10000;
    struct events e = { argc > 5 ? atoll(argv[5]) : 1000000, 0, 0, 0, 0, 0, 0, 0, 0 };
    size_t n = (size_t)size;
    e.customer = malloc(n * 24);
    e.id = malloc(n * 24);
    e.customer_offsets = calloc(n + 1, 8);
    e.id_offsets = calloc(n + 1, 8);
    e.time = malloc(n * 8);
    e.amount = malloc(n * 8);
    lapse_error error = { .size = sizeof error };
    lapse_store *store = NULL;
    remove(argv[2]);
    lapse_status status = lapse_store_open(argv[2], NULL, &store, &error);
    lapse_append_options options;
    lapse_append_options_init(&options, sizeof options);
    options.source = "shop";
    options.flags = strcmp(mode, "keep") ? 0 : LAPSE_IMPORT_KEEP_ALL;
    lapse_counts sum = { .size = sizeof sum };
    double spent = 0, used = 0, slowest = 0;
    int64_t extra = strcmp(mode, "again") ? 0 : total / 10, reported = 0;
    for (int64_t done = 0; done < total + extra && status == LAPSE_OK; done += size) {
        for (int64_t k = 0; k < size; k++)
            make(&e, k, done < total ? done + k : done + k - extra, total, late);
        lapse_batch batch = { .size = sizeof batch, .rows = size, .customer = e.customer,
                              .customer_offsets = e.customer_offsets, .time = e.time, .amount = e.amount };
        if (ids) {
            batch.event_id = e.id;
            batch.event_id_offsets = e.id_offsets;
        }
        lapse_counts counts = { .size = sizeof counts };
        double begin = now(), busy = processor();
        status = lapse_store_append(store, &batch, &options, &counts, &error);
        double one = now() - begin;
        spent += one;
        slowest = one > slowest ? one : slowest;
        used += processor() - busy;
        sum.accepted += counts.accepted;
        sum.duplicate += counts.duplicate;
        sum.conflict += counts.conflict;
        if (done + size - reported >= total / 10) {
            struct rusage u;
            getrusage(RUSAGE_SELF, &u);
            printf("%9lld events  %.2f M/s  (%.2f M/s of processor time, slowest commit %.0f ms)  accepted %lld "
                   "duplicate %lld conflict %lld  %ld MiB\n",
                   (long long)(done + size), (double)(done + size - reported) / spent / 1e6,
                   (double)(done + size - reported) / used / 1e6, slowest * 1e3, (long long)sum.accepted,
                   (long long)sum.duplicate, (long long)sum.conflict, u.ru_maxrss / 1024);
            fflush(stdout);
            reported = done + size;
            spent = used = slowest = 0;
        }
    }
    if (status != LAPSE_OK)
        fprintf(stderr, "%s\n", error.message);
    lapse_store_close(store);
    return status != LAPSE_OK;
}
