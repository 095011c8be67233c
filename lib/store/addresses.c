/* The index of addresses: under the first bytes of its hash, the customer of every event that names an address so that
 * others who hold it may be concerned (LAPSE_KIND_ADDRESS). It says only where to look: what follows from it is decided by
 * the histories of these customers (lib/view), so that it depends on the set of events alone.
 *
 * A row for each such event, made when the event is published. Cost: nothing for events without address; else a sort of
 * eight bytes and some 12 bytes of file. Memory: a share of the limit, beyond which another run is begun. */
#include "store/store.h"

enum { SHARE = 16, ENTRY = LAPSE_ADDRESS_KEY + 1 };

struct index {
    struct lapse_store *store;
    struct lapse_buffer bytes;   /* of each entry the key, the size of the customer's id, and the id */
    uint32_t *at;
    size_t count, capacity;
    struct lapse_run **runs;
    size_t run_count, run_capacity;
};

static bool take(struct index *x, struct lapse_text customer, const struct lapse_columns *c, size_t i)
{
    if (!lapse_mem_reserve(&x->store->mem, &x->at, &x->capacity, x->count + 1, sizeof *x->at))
        return false;
    x->at[x->count++] = (uint32_t)x->bytes.size;
    lapse_buffer_put(&x->bytes, lapse_columns_text(c, LAPSE_F_ENDPOINT, i).data, LAPSE_ADDRESS_KEY);
    lapse_buffer_byte(&x->bytes, (uint8_t)customer.size);
    lapse_buffer_put(&x->bytes, customer.data, customer.size);
    return !x->bytes.failed;
}

static int order_entries(const void *user, uint32_t a, uint32_t b)
{
    const struct index *x = user;
    const char *p = x->bytes.data + x->at[a], *q = x->bytes.data + x->at[b];
    int order = memcmp(p, q, LAPSE_ADDRESS_KEY);
    return order ? order : lapse_text_compare(p + ENTRY, (uint8_t)p[ENTRY - 1], q + ENTRY, (uint8_t)q[ENTRY - 1]);
}

/* What was taken becomes a run. */
static lapse_status flush(struct index *x, lapse_error *error)
{
    const lapse_allocator *mem = &x->store->mem;
    struct lapse_run_writer w = { 0 };
    size_t n = x->count;
    uint32_t *order = lapse_mem_alloc(mem, (2 * n + 1) * sizeof *order);
    bool room = order && lapse_mem_reserve(mem, &x->runs, &x->run_capacity, x->run_count + 1, sizeof *x->runs);
    lapse_status status = room ? lapse_run_writer_open(&w, x->store, LAPSE_RUN_ADDRESSES, error) : lapse_fail_memory(error);
    for (size_t i = 0; i < n && status == LAPSE_OK; i++)
        order[i] = (uint32_t)i;
    if (status == LAPSE_OK)
        lapse_sort_indices(order, n, order + n, order_entries, x);
    for (size_t i = 0; i < n && status == LAPSE_OK; i++) {
        const char *entry = x->bytes.data + x->at[order[i]];
        const uint32_t begin = 0;
        const uint8_t size = (uint8_t)entry[ENTRY - 1];
        struct lapse_columns c = { .fields = LAPSE_FIELD_BIT(LAPSE_F_REF) };
        c.text[LAPSE_F_REF] = (struct lapse_text_column){ entry + ENTRY, &begin, &size, NULL };
        status = lapse_run_writer_put(&w, (struct lapse_text){ entry, LAPSE_ADDRESS_KEY }, &c, UINT32_MAX, 0, 1, error);
    }
    if (status == LAPSE_OK)
        status = lapse_run_writer_finish(&w, &x->runs[x->run_count], error);
    x->run_count += status == LAPSE_OK;
    x->count = x->bytes.size = 0;
    lapse_run_writer_abort(&w);
    lapse_mem_free(mem, order);
    return status;
}

static int order_texts(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_text *text = user;
    return lapse_text_order(text[a], text[b]);
}

struct lapse_text *lapse_keys_sort(const struct lapse_buffer *bytes, uint32_t size, size_t *count)
{
    size_t n = bytes->size / size;
    uint32_t *order = lapse_mem_alloc(bytes->mem, (2 * n + 1) * sizeof *order);
    struct lapse_text *keys = lapse_mem_alloc(bytes->mem, (n + 1) * sizeof *keys);
    struct lapse_text *sorted = lapse_mem_alloc(bytes->mem, (n + 1) * sizeof *sorted);
    bool ok = order && keys && sorted && n < UINT32_MAX;
    *count = 0;
    for (size_t i = 0; i < n && ok; i++) {
        keys[i] = (struct lapse_text){ bytes->data + i * size, size };
        order[i] = (uint32_t)i;
    }
    if (ok)
        lapse_sort_indices(order, n, order + n, order_texts, keys);
    for (size_t i = 0; i < n && ok; i++)
        if (i == 0 || order_texts(keys, order[i - 1], order[i]) != 0)
            sorted[(*count)++] = keys[order[i]];
    lapse_mem_free(bytes->mem, order);
    lapse_mem_free(bytes->mem, keys);
    if (ok)
        return sorted;
    lapse_mem_free(bytes->mem, sorted);
    return NULL;
}

lapse_status lapse_sharers_find(struct lapse_store *store, const struct lapse_manifest *m, const struct lapse_text *keys,
                                size_t count, lapse_status (*each)(void *user, struct lapse_text customer, lapse_error *error),
                                void *user, lapse_error *error)
{
    const struct lapse_group *g = NULL;
    struct lapse_merge *merge = NULL;
    struct lapse_run **runs = lapse_mem_zero(&store->mem, m->count + 1, sizeof *runs);
    size_t n = runs ? lapse_manifest_family(m, LAPSE_RUN_ADDRESSES, runs) : 0;
    lapse_status status = runs ? lapse_merge_open(store, runs, n, LAPSE_FIELD_BIT(LAPSE_F_REF), NULL, NULL, &merge, error)
                               : lapse_fail_memory(error);
    for (size_t k = 0; k < count && status == LAPSE_OK; k++) {
        status = lapse_merge_find(merge, keys[k], &g, error);
        for (size_t i = g ? g->first : 0; g && i < g->first + (size_t)g->count && status == LAPSE_OK; i++)
            status = each(user, lapse_columns_text(g->columns, LAPSE_F_REF, i), error);
    }
    lapse_merge_close(merge);
    lapse_mem_free(&store->mem, runs);
    return status;
}

lapse_status lapse_addresses_make(struct lapse_store *store, struct lapse_run *const *events, size_t count,
                                  struct lapse_run ***runs, size_t *made, lapse_error *error)
{
    const size_t most = (size_t)store->memory_limit / SHARE / 2; /* of texts; as much again for their order */
    const uint32_t fields = LAPSE_FIELD_BIT(LAPSE_F_KIND) | LAPSE_FIELD_BIT(LAPSE_F_ENDPOINT);
    struct index x = { .store = store };
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    lapse_status status = LAPSE_OK;
    lapse_buffer_init(&x.bytes, &store->mem);
    for (size_t r = 0; r < count && status == LAPSE_OK; r++) {
        if (!events[r] || !(events[r]->fields & LAPSE_FIELD_BIT(LAPSE_F_ENDPOINT)))
            continue;
        status = lapse_merge_open(store, &events[r], 1, fields, NULL, NULL, &merge, error);
        while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK) {
            for (size_t i = g->first; i < g->first + (size_t)g->count && status == LAPSE_OK; i++)
                if (lapse_address_named(g->columns, i) && !take(&x, g->key, g->columns, i))
                    status = lapse_fail_memory(error);
            if (status == LAPSE_OK && x.bytes.size > most)
                status = flush(&x, error);
        }
        status = status == LAPSE_DONE ? LAPSE_OK : status;
        lapse_merge_close(merge);
        merge = NULL;
    }
    if (status == LAPSE_OK && x.count)
        status = flush(&x, error);
    lapse_buffer_free(&x.bytes);
    lapse_mem_free(&store->mem, x.at);
    *runs = x.runs;
    *made = x.run_count;
    return status;
}
