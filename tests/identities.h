/* What the suites of identity share: events drawn from small domains, a naive model of which of them a store takes,
 * and commits that are compared with it. A suite defines _POSIX_C_SOURCE 200809L before this. */
#ifndef TESTS_IDENTITIES_H
#define TESTS_IDENTITIES_H

#include "stores.h"

#include "store/identity.h"

static inline int order_keys(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static inline lapse_store *open_store(const char *at, int64_t memory)
{
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.memory_limit = memory;
    o.sync = LAPSE_SYNC_OFF;
    lapse_status status = lapse_store_open(at, &o, &store, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    return store;
}

/* Events are drawn from small domains, so that they meet again. An event is told by one number. */
struct world {
    int64_t customers, times, amounts, ids; /* how many there are; ids 0: none */
    int64_t id_share;                       /* of 100 events those with an id */
};
struct event {
    uint8_t source;
    int64_t id;       /* -1: none */
    int64_t content;  /* customer, time and amount in one */
};

static inline struct event draw_event(const struct world *w, int64_t from, int64_t span)
{
    struct event e = { .id = -1 };
    int64_t time = from + (int64_t)draw((uint64_t)span);
    e.content = ((int64_t)draw((uint64_t)w->customers) * w->times + time) * w->amounts + (int64_t)draw((uint64_t)w->amounts);
    e.source = (uint8_t)draw(3);
    if (w->ids && (int64_t)draw(100) < w->id_share)
        e.id = (int64_t)draw((uint64_t)w->ids);
    return e;
}

/* What the store holds: of each (source, id) its content, of each (source, content) how many. */
struct model {
    const struct world *w;
    int64_t *by_id;   /* content + 1 */
    int32_t *by_content, *in_call;
    int64_t events;
};

static inline size_t contents(const struct world *w)
{
    return (size_t)(3 * w->customers * w->times * w->amounts);
}

static inline void open_model(struct model *m, const struct world *w)
{
    *m = (struct model){ .w = w };
    m->by_id = calloc(3 * (size_t)(w->ids + 1), sizeof *m->by_id);
    m->by_content = calloc(contents(w), sizeof *m->by_content);
    m->in_call = calloc(contents(w), sizeof *m->in_call);
}

static inline void close_model(struct model *m)
{
    free(m->by_id);
    free(m->by_content);
    free(m->in_call);
}

static inline size_t place(const struct world *w, const struct event *e)
{
    return (size_t)(e->source * (w->customers * w->times * w->amounts) + e->content);
}

/* Takes n events of one call; what each should come to. Of equal rows without id any may be the duplicate: those have
 * the number that should be new in *fresh of their content, which the caller counts down. */
static inline void expect(struct model *m, const struct event *events, int64_t n, bool keep_all, int32_t *outcomes,
                   int32_t *fresh)
{
    for (int64_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        outcomes[i] = LAPSE_ROW_ACCEPTED;
        if (e->id < 0) {
            m->in_call[place(m->w, e)]++;
            continue;
        }
        int64_t *known = &m->by_id[e->source * (m->w->ids + 1) + e->id];
        if (*known)
            outcomes[i] = *known == e->content + 1 ? LAPSE_ROW_DUPLICATE : LAPSE_ROW_CONFLICT;
        else
            *known = e->content + 1, m->events++;
    }
    for (int64_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        size_t at = place(m->w, e);
        if (e->id >= 0 || m->in_call[at] == 0)
            continue;
        int32_t more = keep_all ? m->in_call[at] : m->in_call[at] - m->by_content[at];
        fresh[at] = more > 0 ? more : 0;
        m->by_content[at] += fresh[at];
        m->events += fresh[at];
        m->in_call[at] = 0;
    }
}

static const char *const sources[] = { "shop", "till", "" };

static inline lapse_counts append(lapse_store *store, const struct world *w, const struct event *events, int64_t n,
                           uint32_t flags, int32_t *outcomes)
{
    size_t rows = (size_t)n;
    char *customer = malloc(rows * 12 + 1), *id = malloc(rows * 12 + 1), *source = malloc(rows * 4 + 1);
    int64_t *at = calloc(3 * (rows + 1), sizeof *at), *id_at = at + rows + 1, *source_at = id_at + rows + 1;
    int64_t *time = malloc(rows * sizeof *time), *amount = malloc(rows * sizeof *amount);
    for (size_t i = 0; i < rows; i++) {
        const struct event *e = &events[i];
        at[i + 1] = at[i] + sprintf(customer + at[i], "C%d", (int)(e->content / w->amounts / w->times));
        id_at[i + 1] = id_at[i] + (e->id < 0 ? 0 : sprintf(id + id_at[i], "%d", (int)e->id));
        source_at[i + 1] = source_at[i] + sprintf(source + source_at[i], "%s", sources[e->source]);
        time[i] = (e->content / w->amounts % w->times + 1) * LAPSE_DAY;
        amount[i] = e->content % w->amounts;
    }
    lapse_batch batch = { .size = sizeof batch, .rows = n, .customer = customer, .customer_offsets = at, .time = time,
                          .amount = amount, .source = source, .source_offsets = source_at };
    if (w->ids) {
        batch.event_id = id;
        batch.event_id_offsets = id_at;
    }
    lapse_append_options options;
    lapse_append_options_init(&options, sizeof options);
    options.flags = flags;
    options.outcomes = outcomes;
    lapse_counts counts = { .size = sizeof counts };
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_store_append(store, &batch, &options, &counts, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    assert_int_equal(counts.read, n);
    assert_int_equal(counts.accepted + counts.duplicate + counts.conflict + counts.erased, n);
    free(customer);
    free(id);
    free(source);
    free(at);
    free(time);
    free(amount);
    return counts;
}

/* Appends and compares outcome by outcome. */
static inline void check_append(lapse_store *store, struct model *m, const struct event *events, int64_t n, uint32_t flags)
{
    int32_t *outcomes = malloc((size_t)n * sizeof *outcomes), *expected = malloc((size_t)n * sizeof *expected);
    int32_t *fresh = calloc(contents(m->w), sizeof *fresh);
    int64_t before = m->events;
    lapse_counts counts = append(store, m->w, events, n, flags, outcomes);
    expect(m, events, n, flags & LAPSE_IMPORT_KEEP_ALL, expected, fresh);
    for (int64_t i = 0; i < n; i++) {
        if (events[i].id >= 0)
            assert_int_equal(outcomes[i], expected[i]);
        else
            fresh[place(m->w, &events[i])] -= outcomes[i] == LAPSE_ROW_ACCEPTED;
    }
    for (size_t c = 0; c < contents(m->w); c++)
        assert_int_equal(fresh[c], 0);
    assert_int_equal(counts.accepted, m->events - before);
    free(outcomes);
    free(expected);
    free(fresh);
}

static inline int64_t rows_in(lapse_store *store, int family)
{
    struct lapse_manifest *m;
    int64_t rows = 0;
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (size_t i = 0; i < m->count; i++) {
        rows += m->runs[i]->family == family ? m->runs[i]->rows : 0;
        assert_int_not_equal(m->runs[i]->family, LAPSE_RUN_STAGED);
        assert_int_equal(m->runs[i]->fields & ~LAPSE_ALL_FIELDS, 0); /* no lines are left in it */
    }
    lapse_manifest_release(m);
    return rows;
}

/* The rows of an answer, which is read to its end and freed, as the view is. */
static inline int64_t count_rows(lapse_view *view, lapse_result *result)
{
    lapse_table *table;
    int64_t rows = 0;
    while (lapse_result_next(result, &table, NULL) == LAPSE_OK) {
        rows += lapse_table_rows(table);
        lapse_table_release(table);
    }
    lapse_result_free(result);
    lapse_view_close(view);
    return rows;
}

/* Everything the store shows, read row by row. */
static inline int64_t events_in(lapse_store *store)
{
    lapse_view *view;
    lapse_result *result;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    return count_rows(view, result);
}

static inline void check_store(lapse_store *store, const struct model *m)
{
    int64_t ids = 0;
    for (int64_t i = 0; i < 3 * (m->w->ids + 1); i++)
        ids += m->by_id[i] != 0;
    assert_int_equal(rows_in(store, LAPSE_RUN_EVENTS), m->events);
    assert_int_equal(rows_in(store, LAPSE_RUN_FINGERPRINTS), ids);
    assert_int_equal(events_in(store), m->events);
}

#endif
