/* What it costs to tell changes: changes STORE CUSTOMERS [DAYS]. Makes the store if it is not there (5 orders a customer), takes
 * a baseline, and then times advance with nothing due, and after new orders of 1,000, 10,000 and 100,000 customers drawn
 * by chance (the first of which finds nothing in the cache). With a third number the store is there, and so many days have
 * passed since it was made. Prints milliseconds, and microseconds for each record told and for each customer looked at. */
#define _POSIX_C_SOURCE 200809L
#include <lapse.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY INT64_C(86400000000)

enum { ORDERS = 5, BATCH = 1 << 18, ID = 8 };
static const int64_t start = 19723 * DAY; /* 2024-01-01 */

static uint64_t seed = 42;
static uint64_t draw(uint64_t below) /* splitmix64 */
{
    uint64_t z = seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % below;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(lapse_status status, const lapse_error *error)
{
    if (status == LAPSE_OK || status == LAPSE_DONE)
        return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

/* Orders of customers first, first + 1, ... or, with `all` > 0, of any of so many. */
static void append(lapse_store *store, int64_t rows, int64_t first, int64_t all, int64_t from, int64_t days)
{
    char *ids = malloc((size_t)rows * ID + 1);
    int64_t *offsets = malloc(((size_t)rows + 1) * sizeof *offsets), *times = malloc((size_t)rows * sizeof *times);
    int64_t *amounts = malloc((size_t)rows * sizeof *amounts);
    lapse_error error = { .size = sizeof error };
    lapse_append_options options;
    if (!ids || !offsets || !times || !amounts)
        exit(1);
    for (int64_t i = 0; i < rows; i++) {
        char id[ID + 1];
        snprintf(id, sizeof id, "%08" PRId64, all ? (int64_t)draw((uint64_t)all) : first + i);
        memcpy(ids + i * ID, id, ID);
        offsets[i] = i * ID;
        times[i] = from + (int64_t)draw((uint64_t)(days * 86400)) * 1000000;
        amounts[i] = 100 + (int64_t)draw(10000);
    }
    offsets[rows] = rows * ID;
    lapse_batch batch = { .size = sizeof batch, .rows = rows, .customer = ids, .customer_offsets = offsets, .time = times,
                          .amount = amounts };
    lapse_append_options_init(&options, sizeof options);
    options.flags = LAPSE_IMPORT_KEEP_ALL;
    check(lapse_store_append(store, &batch, &options, NULL, &error), &error);
    free(ids);
    free(offsets);
    free(times);
    free(amounts);
}

static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds of one call; *records and *last are what was told. */
static double advance(lapse_store *store, int64_t as_of, uint32_t flags, int64_t *records, int64_t *last)
{
    lapse_error error = { .size = sizeof error };
    lapse_advance_options options;
    lapse_result *result;
    lapse_table *table;
    lapse_status status;
    double begin = now();
    lapse_advance_options_init(&options, sizeof options);
    options.flags = flags;
    check(lapse_store_advance(store, as_of, &options, &result, &error), &error);
    *records = 0;
    while ((status = lapse_result_next(result, &table, &error)) == LAPSE_OK) {
        lapse_column seq = { .size = sizeof seq };
        lapse_table_column(table, 0, &seq);
        *records += seq.rows;
        *last = ((const int64_t *)seq.data)[seq.rows - 1];
        lapse_table_release(table);
    }
    check(status, &error);
    lapse_result_free(result);
    return now() - begin;
}

int main(int argc, char **argv)
{
    static const int64_t sizes[] = { 1000, 1000, 1000, 1000, 1000, 10000, 100000 };
    int64_t customers = argc > 2 ? strtoll(argv[2], NULL, 10) : 0, records, last = 0, as_of = start + 230 * DAY;
    lapse_error error = { .size = sizeof error };
    lapse_store *store;
    double begin = now();
    if (customers < 1000 || customers > 90000000) {
        fprintf(stderr, "usage: changes STORE CUSTOMERS\n");
        return 2;
    }
    seed += argc > 3 ? (uint64_t)strtoull(argv[3], NULL, 10) : 0;
    bool made = access(argv[1], F_OK) != 0;
    check(lapse_store_open(argv[1], NULL, &store, &error), &error);
    if (made) {
        for (int o = 0; o < ORDERS; o++)
            for (int64_t first = 0; first < customers; first += BATCH)
                append(store, customers - first < BATCH ? customers - first : BATCH, first, 0, start + o * 30 * DAY, 30);
        check(lapse_store_compact(store, NULL, &error), &error);
        printf("made in %.1f s\n", now() - begin);
        printf("baseline of %" PRId64 " customers: %.1f s\n", customers,
               advance(store, as_of, LAPSE_ADVANCE_BASELINE, &records, &last));
        check(lapse_store_compact(store, NULL, &error), &error);
        lapse_store_close(store);
        check(lapse_store_open(argv[1], NULL, &store, &error), &error);
    } else {
        as_of += (argc > 3 ? strtoll(argv[3], NULL, 10) : 1) * DAY;
        printf("to day %" PRId64 ": %.1f s\n", as_of / DAY, advance(store, as_of, 0, &records, &last));
        check(lapse_store_acknowledge(store, last, &error), &error);
        check(lapse_store_compact(store, NULL, &error), &error);
    }
    for (int i = 0; i < 3; i++) {
        int64_t deadline;
        as_of += 1000;
        double seconds = advance(store, as_of, 0, &records, &last);
        begin = now();
        check(lapse_store_next_deadline(store, &deadline, &error), &error);
        printf("nothing new: %.2f ms, %" PRId64 " records; next deadline: %.2f ms\n", 1e3 * seconds, records,
               1e3 * (now() - begin));
    }
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        append(store, sizes[s], 0, customers, as_of - DAY, 1);
        double used = cpu(), seconds = advance(store, as_of, 0, &records, &last);
        used = cpu() - used;
        printf("%" PRId64 " orders: %.1f ms (processor %.1f), %" PRId64 " records, %.2f us a record (%.2f)\n", sizes[s],
               1e3 * seconds, 1e3 * used, records, 1e6 * seconds / (double)records, 1e6 * used / (double)records);
        begin = now();
        check(lapse_store_acknowledge(store, last, &error), &error);
        printf("  acknowledged in %.2f ms\n", 1e3 * (now() - begin));
    }
    as_of += DAY; /* a day's deadlines */
    double seconds = advance(store, as_of, 0, &records, &last);
    printf("a day later: %.1f ms, %" PRId64 " records, %.2f us a record\n", 1e3 * seconds, records,
           records ? 1e6 * seconds / (double)records : 0);
    lapse_store_close(store);
    return 0;
}
