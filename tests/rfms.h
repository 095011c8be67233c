/* What the suites of lib/rfm share: options, an answer as rows of CSV, and the bin of a value as ruling R5 has it. */
#ifndef TESTS_RFMS_H
#define TESTS_RFMS_H

#include "help.h"

#include "rfm/rfm.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static inline lapse_rfm_options defaults(void)
{
    lapse_rfm_options o;
    assert_int_equal(lapse_rfm_options_init(&o, sizeof o), LAPSE_OK);
    return o;
}

static inline lapse_rfm_options with_table(const char *text)
{
    lapse_rfm_options o = defaults();
    o.segments = text;
    o.segments_size = (int64_t)strlen(text);
    return o;
}

/* A store that is opened with options, and a view of one that is not closed with it. */
static inline lapse_store *store_with_options(const char *csv, const lapse_store_options *options)
{
    lapse_store *store;
    assert_int_equal(lapse_store_open(NULL, options, &store, NULL), LAPSE_OK);
    add_events(store, csv, strlen(csv));
    return store;
}

static inline lapse_view *view_at(lapse_store *store, const char *as_of)
{
    lapse_view *view;
    int64_t time;
    assert_int_equal(lapse_store_time(store, as_of, &time, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_open(store, time, &view, NULL), LAPSE_OK);
    return view;
}

typedef lapse_status answer_fn(lapse_view *, const lapse_rfm_options *, lapse_result **, lapse_error *);

/* An answer as CSV without its header row; to be freed. */
static inline char *ask_view(lapse_view *view, answer_fn *answer, const lapse_rfm_options *o)
{
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    if (answer(view, o, &result, &error) != LAPSE_OK)
        fail_msg("answer: %s", error.message);
    char *csv = csv_of(result), *rows = strchr(csv, '\n') + 1;
    memmove(csv, rows, strlen(rows) + 1);
    return csv;
}

static inline int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* R5 as written: with k = floor((n-1)i/N), v is above iff N(v - x_k) > ((n-1)i mod N)(x_k+1 - x_k). */
static inline int naive_bin(const int64_t *sorted, int n, int bins, int64_t v)
{
    int bin = 1;
    for (int i = 1; i < bins; i++) {
        int k = (n - 1) * i / bins, rest = (n - 1) * i % bins;
        lapse_int128 xk = sorted[k], next = sorted[k + 1 < n ? k + 1 : k];
        bin += bins * (v - xk) > rest * (next - xk);
    }
    return bin;
}

#endif
