/* lapse_store_info(): one pass over keys, times and kinds. */
#include "store/store.h"
#include "table/table.h"

struct summary {
    int64_t customers, events, first, last, kinds[LAPSE_KINDS];
};

static lapse_status sum_up(struct lapse_store *store, struct summary *s, lapse_error *error)
{
    struct lapse_manifest *m;
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    lapse_status status = lapse_store_manifest(store, &m, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_run **runs = lapse_mem_zero(&store->mem, m->count + 1, sizeof(struct lapse_run *));
    status = runs ? lapse_merge_open(store, runs, lapse_manifest_family(m, LAPSE_RUN_EVENTS, runs),
                                     LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND), NULL, NULL, &merge,
                                     error)
                  : lapse_fail_memory(error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK) {
        s->customers++;
        s->events += g->count;
        for (size_t i = g->first; i < g->first + (size_t)g->count; i++) {
            int64_t time = lapse_columns_number(g->columns, LAPSE_F_TIME, i);
            s->first = time < s->first ? time : s->first;
            s->last = time > s->last ? time : s->last;
            s->kinds[lapse_columns_name(g->columns, LAPSE_F_KIND, i)]++;
        }
    }
    lapse_merge_close(merge);
    lapse_mem_free(&store->mem, runs);
    lapse_manifest_release(m);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static void put(struct lapse_builder *b, const char *name, const char *value, size_t n)
{
    lapse_builder_text(b, 0, name, strlen(name));
    lapse_builder_text(b, 1, value, n);
}

static void put_int(struct lapse_builder *b, const char *name, int64_t value)
{
    char text[32];
    put(b, name, text, lapse_int_format(value, text));
}

static void put_time(struct lapse_builder *b, const char *name, int64_t value, bool there)
{
    char text[32];
    put(b, name, text, there ? lapse_instant_format(value, text) : 0);
}

lapse_status lapse_store_info(lapse_store *store, lapse_result **out, lapse_error *error)
{
    static const struct lapse_column_spec columns[] = { { "name", LAPSE_TYPE_STRING, 0 },
                                                        { "value", LAPSE_TYPE_STRING, 0 } };
    struct summary s = { .first = INT64_MAX, .last = INT64_MIN };
    lapse_status status = lapse_store_check(store, error);
    if (status == LAPSE_OK && !out)
        status = lapse_fail(error, LAPSE_INVALID, "out is NULL");
    if (status != LAPSE_OK)
        return status;
    *out = NULL;
    status = sum_up(store, &s, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_builder *b = lapse_builder_new(&store->mem, columns, 2, 16);
    if (!b)
        return lapse_fail_memory(error);
    put_int(b, "customers", s.customers);
    put_int(b, "events", s.events);
    put_time(b, "first_time", s.first, s.events > 0);
    put_time(b, "last_time", s.last, s.events > 0);
    for (int k = 1; k < LAPSE_KINDS; k++) {
        char name[64] = "kind.";
        strncat(name, lapse_kinds[k].name, sizeof name - 6);
        if (s.kinds[k])
            put_int(b, name, s.kinds[k]);
    }
    int64_t bytes = lapse_file_bytes(store->file);
    if (bytes < 0)
        put(b, "bytes", "", 0);
    else
        put_int(b, "bytes", bytes);
    put_int(b, "format", lapse_file_format(store->file));
    put(b, "zone", store->zone_name, strlen(store->zone_name));
    put_int(b, "digits", store->digits);
    lapse_table *table;
    status = lapse_builder_finish(b, &table, error);
    return status == LAPSE_OK ? lapse_result_of_table(&store->mem, table, out, error) : status;
}
