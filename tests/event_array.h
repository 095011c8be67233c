/* Events as an array beside a store, for the suites of runs: number `i` of them has a time of its own, so that their
 * order is plain, and what a store holds is compared row by row. A suite defines _POSIX_C_SOURCE 200809L before
 * this. */
#ifndef TESTS_EVENT_ARRAY_H
#define TESTS_EVENT_ARRAY_H

#include "stores.h"

enum { MOST = 400000, CUSTOMERS = 3000, NAME = 24 };

static int32_t customer_of[MOST];
static int64_t time_of[MOST], amount_of[MOST];
static int32_t count, append_threads = 1;

/* Ids of several lengths, one a prefix of another; customer 0 is a giant. */
static inline void name_of(int32_t customer, char out[NAME])
{
    static const char *const tails[] = { "xyz", "", "x" };
    snprintf(out, NAME, "c%04d%s", customer / 3, tails[customer % 3]);
}

static inline void draw_events(int32_t n, int one_in_giant)
{
    assert_true(count + n <= MOST);
    for (int32_t i = 0; i < n; i++, count++) {
        customer_of[count] = draw((uint64_t)one_in_giant) == 0 ? 0 : (int32_t)draw(CUSTOMERS);
        /* nearly in order of time, as events come */
        time_of[count] = INT64_C(1700000000000000) + ((int64_t)count - (count % 7 ? 0 : (int64_t)draw(50))) * 1000000 + count;
        amount_of[count] = (int64_t)draw(100000);
    }
}

static inline lapse_status append(lapse_store *store, int32_t first, int32_t n)
{
    static char text[MOST * NAME];
    static int64_t offsets[MOST + 1];
    lapse_append_options o;
    lapse_error error = { .size = sizeof error };
    size_t used = 0;
    for (int32_t i = 0; i < n; i++) {
        char name[NAME];
        name_of(customer_of[first + i], name);
        offsets[i] = (int64_t)used;
        memcpy(text + used, name, strlen(name));
        used += strlen(name);
    }
    offsets[n] = (int64_t)used;
    lapse_batch b = { .size = sizeof b, .rows = n, .customer = text, .customer_offsets = offsets,
                      .time = time_of + first, .amount = amount_of + first };
    lapse_append_options_init(&o, sizeof o);
    o.flags = LAPSE_IMPORT_KEEP_ALL;
    o.threads = append_threads;
    lapse_status status = lapse_store_append(store, &b, &o, NULL, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    return status;
}

static inline void append_drawn(lapse_store *store, int32_t n, int one_in_giant)
{
    draw_events(n, one_in_giant);
    assert_int_equal(append(store, count - n, n), LAPSE_OK);
}

static inline int compare_events(const void *a, const void *b)
{
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    char x[NAME], y[NAME];
    if (customer_of[i] == customer_of[j])
        return (time_of[i] > time_of[j]) - (time_of[i] < time_of[j]);
    name_of(customer_of[i], x);
    name_of(customer_of[j], y);
    return strcmp(x, y);
}

static int32_t sorted[MOST];

static inline void sort_events(int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        sorted[i] = i;
    qsort(sorted, (size_t)n, sizeof *sorted, compare_events);
}

static inline const void *data_of(lapse_table *table, const char *name, const int64_t **offsets)
{
    lapse_column column = { .size = sizeof column };
    assert_int_equal(lapse_table_column(table, lapse_table_find(table, name), &column), LAPSE_OK);
    if (offsets)
        *offsets = column.offsets;
    return column.data;
}

/* The rows of a result are sorted[from], sorted[from + 1], ... */
static inline int32_t check_rows(lapse_result *result, int32_t from)
{
    lapse_table *table;
    lapse_status status;
    while ((status = lapse_result_next(result, &table, NULL)) == LAPSE_OK) {
        const int64_t *offsets, *times = data_of(table, "time", NULL), *amounts = data_of(table, "amount", NULL);
        const char *names = data_of(table, "customer", &offsets);
        for (int64_t r = 0; r < lapse_table_rows(table); r++, from++) {
            char expected[NAME];
            name_of(customer_of[sorted[from]], expected);
            assert_int_equal(offsets[r + 1] - offsets[r], strlen(expected));
            assert_memory_equal(names + offsets[r], expected, strlen(expected));
            assert_int_equal(times[r], time_of[sorted[from]]);
            assert_int_equal(amounts[r], amount_of[sorted[from]]);
        }
        lapse_table_release(table);
    }
    assert_int_equal(status, LAPSE_DONE);
    lapse_result_free(result);
    return from;
}

static inline void check_view(lapse_view *view, int32_t n, int histories)
{
    lapse_result *result;
    sort_events(n);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    assert_int_equal(check_rows(result, 0), n);
    for (int i = 0; i < histories; i++) {
        char name[NAME];
        int32_t customer = i == 0 ? 0 : (int32_t)draw(CUSTOMERS), from = 0;
        while (from < n && customer_of[sorted[from]] != customer)
            from++;
        name_of(customer, name);
        lapse_status status = lapse_view_history(view, name, &result, NULL);
        assert_int_equal(status, from < n ? LAPSE_OK : LAPSE_NOT_FOUND);
        if (from == n)
            continue;
        int32_t end = check_rows(result, from);
        assert_true(end == n || customer_of[sorted[end]] != customer);
    }
}

static inline void check_store(lapse_store *store, int32_t n, int histories)
{
    lapse_view *view;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    check_view(view, n, histories);
    lapse_view_close(view);
}

/* Limits so small that folds, merges, several of them at once and a share at a time, all happen often. */
static inline void be_small(lapse_store *store)
{
    store->limits = (struct lapse_merging_limits){ .small = 60, .tail_runs = 7, .tail_rows = 200, .runs = 3,
                                                   .runs_behind = 30, .share = 1, .least_share = 1, .range = 40 };
}

#endif
