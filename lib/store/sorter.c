/* Rows that come in any order, as one sorted run of a family. They are collected up to a limit, sorted by key and time, and
 * written; where that happens more than once, the runs are merged. Cost: two copies of each row, and a merge for each
 * power of 64 in the number of times. */
#include "store/telling.h"

enum { ROWS = 1 << 16, BYTES = 1 << 24, RUNS = 64 }; /* collected, and runs beside each other, at most */

void lapse_sorter_init(struct lapse_sorter *s, struct lapse_store *store, int family)
{
    *s = (struct lapse_sorter){ .store = store, .family = family, .most_rows = ROWS, .most_runs = RUNS };
    lapse_rows_init(&s->rows, &store->mem);
}

void lapse_sorter_free(struct lapse_sorter *s)
{
    if (!s->store)
        return;
    while (s->count)
        lapse_run_release(s->runs[--s->count]);
    lapse_mem_free(&s->store->mem, s->runs);
    lapse_rows_free(&s->rows);
}

static int order_rows(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_columns *c = user;
    struct lapse_text x = lapse_columns_text(c, LAPSE_F_CUSTOMER, a), y = lapse_columns_text(c, LAPSE_F_CUSTOMER, b);
    int order = lapse_text_order(x, y);
    if (order)
        return order;
    int64_t s = lapse_columns_number(c, LAPSE_F_TIME, a), t = lapse_columns_number(c, LAPSE_F_TIME, b);
    return (s > t) - (s < t);
}

static lapse_status write_sorted(struct lapse_sorter *s, const struct lapse_columns *c, const uint32_t *order,
                                 struct lapse_run **out, lapse_error *error)
{
    struct lapse_run_writer w;
    const struct lapse_chunk chunk = { .columns = c, .order = order, .keys = s->rows.count };
    lapse_status status = lapse_run_writer_open(&w, s->store, s->family, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_text *keys = lapse_mem_alloc(&s->store->mem, chunk.keys * sizeof *keys);
    uint32_t *start = lapse_mem_alloc(&s->store->mem, (chunk.keys + 1) * sizeof *start);
    if (keys && start) {
        struct lapse_chunk whole = chunk;
        for (size_t i = 0; i < chunk.keys; i++) {
            keys[i] = lapse_columns_text(c, LAPSE_F_CUSTOMER, order[i]);
            start[i] = (uint32_t)i;
        }
        start[chunk.keys] = (uint32_t)chunk.keys;
        whole.text = keys;
        whole.start = start;
        status = lapse_run_writer_chunk(&w, &whole, error);
    } else {
        status = lapse_fail_memory(error);
    }
    lapse_mem_free(&s->store->mem, keys);
    lapse_mem_free(&s->store->mem, start);
    if (status == LAPSE_OK)
        return lapse_run_writer_finish(&w, out, error);
    lapse_run_writer_abort(&w);
    return status;
}

/* The runs become one. */
static lapse_status merge(struct lapse_sorter *s, lapse_error *error)
{
    struct lapse_run *merged;
    lapse_status status = lapse_runs_merge(s->store, s->runs, s->count, NULL, NULL, NULL, &merged, error);
    if (status != LAPSE_OK)
        return status;
    while (s->count && status == LAPSE_OK) {
        status = lapse_run_drop_blocks(s->runs[s->count - 1], error);
        lapse_run_release(s->runs[--s->count]);
    }
    if (status == LAPSE_OK)
        s->runs[s->count++] = merged;
    else
        lapse_run_release(merged);
    return status;
}

static lapse_status flush(struct lapse_sorter *s, lapse_error *error)
{
    const lapse_allocator *mem = &s->store->mem;
    struct lapse_columns c;
    struct lapse_run *run = NULL;
    size_t n = s->rows.count;
    if (n == 0)
        return LAPSE_OK;
    uint32_t *order = lapse_mem_alloc(mem, 2 * n * sizeof *order);
    bool room = order && lapse_mem_reserve(mem, &s->runs, &s->capacity, s->count + 1, sizeof(struct lapse_run *));
    lapse_status status = room ? LAPSE_OK : lapse_fail_memory(error);
    if (status == LAPSE_OK) {
        lapse_rows_columns(&s->rows, &c);
        for (size_t i = 0; i < n; i++)
            order[i] = (uint32_t)i;
        lapse_sort_indices(order, n, order + n, order_rows, &c);
        status = write_sorted(s, &c, order, &run, error);
    }
    if (status == LAPSE_OK)
        s->runs[s->count++] = run;
    lapse_mem_free(mem, order);
    lapse_rows_clear(&s->rows);
    return status == LAPSE_OK && s->count == s->most_runs ? merge(s, error) : status;
}

lapse_status lapse_sorter_put(struct lapse_sorter *s, struct lapse_text key, struct lapse_cells *cells, lapse_error *error)
{
    lapse_cells_text(cells, LAPSE_F_CUSTOMER, key);
    if (!lapse_rows_gather(&s->rows, &cells->columns, cells->columns.fields, NULL, 0, 1))
        return lapse_fail_memory(error);
    return s->rows.count >= s->most_rows || s->rows.bytes.size >= BYTES ? flush(s, error) : LAPSE_OK;
}

lapse_status lapse_sorter_finish(struct lapse_sorter *s, struct lapse_run **out, lapse_error *error)
{
    *out = NULL;
    lapse_status status = flush(s, error);
    if (status == LAPSE_OK && s->count > 1)
        status = merge(s, error);
    if (status == LAPSE_OK && s->count)
        *out = s->runs[--s->count];
    return status;
}
