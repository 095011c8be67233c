/* Which customers a commit touches, so that advance need not look at the others.
 *
 * A set of customers, written beside the events by the same transaction, and taken away by the advance that has looked at
 * them; it takes part in folds and merges like everything else. As long as nothing was told there is none. More customers
 * than were touched cost time, and change no record. Cost: of each customer of a commit about 100 ns and some bytes. */
#include "store/telling.h"

static lapse_status write_touched(struct lapse_store *store, struct lapse_merge *merge, struct lapse_run **out,
                                  lapse_error *error)
{
    struct lapse_run_writer w;
    struct lapse_cells cells = { .begin = 0 };
    const struct lapse_group *g;
    lapse_cells_number(&cells, LAPSE_F_TIME, 0);
    lapse_status status = lapse_run_writer_open(&w, store, LAPSE_RUN_TOUCHED, error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK)
        status = lapse_run_writer_put(&w, g->key, &cells.columns, cells.columns.fields, 0, 1, error);
    if (status == LAPSE_DONE)
        return lapse_run_writer_finish(&w, out, error);
    lapse_run_writer_abort(&w);
    return status;
}

static bool is_told(const struct lapse_manifest *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->runs[i]->family == LAPSE_RUN_TOLD)
            return true;
    return false;
}

struct sharers {
    struct lapse_sorter sorter;
    const struct lapse_text *without;
    size_t count;
};

lapse_status lapse_touched_put(struct lapse_sorter *sorter, struct lapse_text customer, lapse_error *error)
{
    struct lapse_cells cells = { .begin = 0 };
    lapse_cells_number(&cells, LAPSE_F_TIME, 0);
    return lapse_sorter_put(sorter, customer, &cells, error);
}

static lapse_status put_sharer(void *user, struct lapse_text customer, lapse_error *error)
{
    struct sharers *s = user;
    size_t i = lapse_texts_find(s->without, 0, s->count, customer);
    return i < s->count && lapse_text_equal(s->without[i], customer) ? LAPSE_OK
                                                                      : lapse_touched_put(&s->sorter, customer, error);
}

lapse_status lapse_touched_sharers(struct lapse_store *store, const struct lapse_manifest *m, const struct lapse_text *addresses,
                                   size_t address_count, const struct lapse_text *without, size_t count,
                                   struct lapse_run **out, lapse_error *error)
{
    struct sharers s = { .without = without, .count = count };
    *out = NULL;
    if (!is_told(m) || address_count == 0)
        return LAPSE_OK;
    lapse_sorter_init(&s.sorter, store, LAPSE_RUN_TOUCHED);
    lapse_status status = lapse_sharers_find(store, m, addresses, address_count, put_sharer, &s, error);
    if (status == LAPSE_OK)
        status = lapse_sorter_finish(&s.sorter, out, error);
    lapse_sorter_free(&s.sorter);
    return status;
}

lapse_status lapse_touched_of(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_run *const *events,
                              size_t count, struct lapse_run **out, lapse_error *error)
{
    size_t n = 0;
    *out = NULL;
    if (!is_told(m))
        return LAPSE_OK;
    struct lapse_run **runs = lapse_mem_zero(&store->mem, count + 1, sizeof(struct lapse_run *));
    if (!runs)
        return lapse_fail_memory(error);
    for (size_t i = 0; i < count; i++)
        if (events[i] && events[i]->rows)
            runs[n++] = events[i];
    struct lapse_merge *merge = NULL;
    lapse_status status = LAPSE_OK;
    if (n)
        status = lapse_merge_open(store, runs, n, LAPSE_FIELD_BIT(LAPSE_F_TIME), NULL, NULL, &merge, error);
    if (status == LAPSE_OK && n)
        status = write_touched(store, merge, out, error);
    lapse_merge_close(merge);
    lapse_mem_free(&store->mem, runs);
    return status;
}
