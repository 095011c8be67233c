/* The outbox: records that wait for the host to confirm them, read in the order of seq; their confirmation; and the next
 * deadline. A record that is confirmed is passed over; a run of which all are is taken away. Reading costs that of the
 * records read; a confirmation is one small transaction. */
#include "state/outbox.h"

enum { SEQ, CUSTOMER, REGION, KEY, FROM, TO, EFFECTIVE_TIME, CAUSE, CORRECTED, COLUMNS };
static const struct lapse_column_spec columns[COLUMNS] = {
    [SEQ] = { "seq", LAPSE_TYPE_INT64, 0 },       [CUSTOMER] = { "customer", LAPSE_TYPE_STRING, 0 },
    [REGION] = { "region", LAPSE_TYPE_STRING, 0 }, [KEY] = { "key", LAPSE_TYPE_STRING, 0 },
    [FROM] = { "from", LAPSE_TYPE_STRING, 0 },     [TO] = { "to", LAPSE_TYPE_STRING, 0 },
    [EFFECTIVE_TIME] = { "effective_time", LAPSE_TYPE_TIME, 0 },
    [CAUSE] = { "cause", LAPSE_TYPE_STRING, 0 },   [CORRECTED] = { "corrected", LAPSE_TYPE_INT64, 0 },
};

/* ---- records as a result --------------------------------------------------------------------------------------- */

struct outbox {
    lapse_store *store;              /* retained, as the manifest is */
    struct lapse_manifest *manifest;
    struct lapse_merge *merge;
    int64_t left;                    /* records that may still be told */
};

static const char *cause_name(int64_t cause)
{
    if (cause == LAPSE_CAUSE_TIMER)
        return "timer";
    if (cause == LAPSE_CAUSE_POLICY)
        return "policy";
    return cause > 0 && cause < LAPSE_KINDS ? lapse_kinds[cause].name : NULL;
}

static const char *state_name(const struct lapse_told_region *region, int64_t state)
{
    return state > 0 && state <= INT32_MAX ? region->name_of((int32_t)state) : NULL;
}

static void put_name(struct lapse_builder *b, int32_t column, const char *name)
{
    lapse_builder_text(b, column, name, strlen(name));
}

static lapse_status put_record(struct lapse_builder *b, struct lapse_text number, const struct lapse_columns *c, size_t i,
                               lapse_error *error)
{
    char id[LAPSE_TEXT_MAX], text[LAPSE_TOLD_KEY_ROOM];
    struct lapse_told_key key;
    struct lapse_text customer = lapse_numbered_customer(number, c, i, id);
    int64_t cause = lapse_columns_number(c, LAPSE_T_CAUSE, i);
    lapse_told_key_read(c, i, &key);
    bool known = key.region > 0 && key.region < LAPSE_TOLD_REGIONS && lapse_told_regions[key.region].name;
    const struct lapse_told_region *region = &lapse_told_regions[known ? key.region : 0];
    const char *from = known ? state_name(region, lapse_columns_number(c, LAPSE_T_FROM, i)) : NULL;
    const char *to = known ? state_name(region, lapse_columns_number(c, LAPSE_T_TO, i)) : NULL;
    if (!from || !to || cause < 0 || !cause_name(cause / 2))
        return lapse_fail(error, LAPSE_DAMAGED, "record %lld of the outbox is damaged", (long long)lapse_number_of(number));
    size_t n = lapse_told_key_format(&key, text);
    lapse_builder_int(b, SEQ, lapse_number_of(number));
    lapse_builder_text(b, CUSTOMER, customer.data, customer.size);
    put_name(b, REGION, region->name);
    if (n)
        lapse_builder_text(b, KEY, text, n);
    else
        lapse_builder_missing(b, KEY);
    put_name(b, FROM, from);
    put_name(b, TO, to);
    lapse_builder_int(b, EFFECTIVE_TIME, lapse_columns_number(c, LAPSE_F_TIME, i));
    put_name(b, CAUSE, cause_name(cause / 2));
    lapse_builder_int(b, CORRECTED, cause & 1);
    return LAPSE_OK;
}

static lapse_status next(void *self, lapse_table **out, lapse_error *error)
{
    enum { SOME = 1024 };
    struct outbox *o = self;
    const struct lapse_group *g;
    int64_t rows = 0;
    *out = NULL;
    lapse_status status = lapse_store_check(o->store, error);
    if (status == LAPSE_OK && atomic_load_explicit(&o->store->erased, memory_order_relaxed) != o->manifest->erased)
        status = lapse_view_stale(error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_builder *b = lapse_builder_new(&o->store->mem, columns, COLUMNS, o->left < SOME ? o->left : SOME);
    if (!b)
        return lapse_fail_memory(error);
    while (status == LAPSE_OK && rows < LAPSE_TABLE_ROWS && o->left > 0 &&
           (status = lapse_merge_next(o->merge, &g, error)) == LAPSE_OK) {
        status = put_record(b, g->key, g->columns, g->first, error);
        rows++;
        o->left--;
    }
    if ((status != LAPSE_OK && status != LAPSE_DONE) || rows == 0) {
        lapse_builder_free(b);
        return status == LAPSE_OK ? LAPSE_DONE : status;
    }
    return lapse_builder_finish(b, out, error);
}

static void close_outbox(void *self)
{
    struct outbox *o = self;
    lapse_store *store = o->store;
    lapse_merge_close(o->merge);
    lapse_manifest_release(o->manifest);
    lapse_mem_free(&store->mem, o);
    lapse_store_close(store);
}

/* The rows of a numbered family from `number` on. */
static lapse_status open_from(lapse_store *store, const struct lapse_manifest *m, int family, int64_t number,
                              struct lapse_merge **out, lapse_error *error)
{
    struct lapse_numbered from;
    *out = NULL;
    struct lapse_run **runs = lapse_mem_zero(&store->mem, m->count + 1, sizeof(struct lapse_run *));
    if (!runs)
        return lapse_fail_memory(error);
    lapse_numbered_set(&from, number, (struct lapse_text){ "", 0 });
    lapse_status status = lapse_merge_open(store, runs, lapse_manifest_family(m, family, runs), LAPSE_ALL_FIELDS, &from.key,
                                           NULL, out, error);
    lapse_mem_free(&store->mem, runs);
    return status;
}

lapse_status lapse_outbox_read(lapse_store *store, int64_t limit, lapse_result **out, lapse_error *error)
{
    struct lapse_call call;
    bool before;
    struct outbox *o = lapse_mem_zero(&store->mem, 1, sizeof *o);
    if (!o)
        return lapse_fail_memory(error);
    lapse_store_retain(store);
    o->store = store;
    o->left = limit;
    lapse_status status = lapse_store_manifest(store, &o->manifest, error);
    if (status == LAPSE_OK)
        status = lapse_call_read(store, o->manifest, &call, &before, error);
    if (status == LAPSE_OK)
        status = open_from(store, o->manifest, LAPSE_RUN_OUTBOX, call.confirmed + 1, &o->merge, error);
    if (status != LAPSE_OK) {
        close_outbox(o);
        return status;
    }
    struct lapse_source source = { .self = o, .next = next, .close = close_outbox };
    return lapse_result_new(&store->mem, columns, COLUMNS, source, out, error);
}

/* ---- confirming ----------------------------------------------------------------------------------------------------- */

lapse_status lapse_store_acknowledge(lapse_store *store, int64_t seq, lapse_error *error)
{
    struct lapse_telling t;
    lapse_status status = lapse_store_check(store, error);
    if (status == LAPSE_OK && seq < 0)
        status = lapse_fail(error, LAPSE_INVALID, "seq is 0 or more");
    if (status == LAPSE_OK)
        status = lapse_telling_begin(&t, store, error);
    if (status != LAPSE_OK)
        return status;
    if (seq >= t.call.seq)
        status = lapse_fail(error, LAPSE_BAD_INPUT, "no record has the number %lld: the last one has %lld", (long long)seq,
                            (long long)t.call.seq - 1);
    if (status != LAPSE_OK || seq <= t.call.confirmed) {
        lapse_telling_abort(&t);
        return status;
    }
    size_t n = 0;
    t.call.confirmed = seq;
    for (size_t i = 0; i < t.manifest->count; i++) {
        const struct lapse_run *run = t.manifest->runs[i];
        if (run->family == LAPSE_RUN_OUTBOX && run->block_count &&
            lapse_number_of(run->blocks[run->block_count - 1].last_key) <= seq)
            t.runs[n++] = t.manifest->runs[i];
    }
    return lapse_telling_end(&t, NULL, 0, t.runs, n, error);
}

lapse_status lapse_store_acknowledged(lapse_store *store, int64_t *out, lapse_error *error)
{
    struct lapse_manifest *m;
    struct lapse_call call;
    bool before;
    lapse_status status = lapse_store_question(store, out, &m, error);
    if (status != LAPSE_OK)
        return status;
    status = lapse_call_read(store, m, &call, &before, error);
    lapse_manifest_release(m);
    *out = status == LAPSE_OK ? call.confirmed : 0;
    return status;
}

/* ---- the next deadline -------------------------------------------------------------------------------------------------- */

static lapse_status read_told(lapse_store *store, struct lapse_run *const *told, size_t n, struct lapse_text customer,
                              struct lapse_told *out, lapse_error *error)
{
    struct lapse_merge *merge;
    const struct lapse_group *g = NULL;
    char above[LAPSE_TEXT_MAX + 1];
    memcpy(above, customer.data, customer.size);
    above[customer.size] = 0;
    struct lapse_text to = { above, customer.size + 1 };
    lapse_status status = lapse_merge_open(store, told, n, LAPSE_ALL_FIELDS, &customer, &to, &merge, error);
    if (status != LAPSE_OK)
        return status;
    status = lapse_merge_next(merge, &g, error);
    if (status == LAPSE_OK || status == LAPSE_DONE)
        status = lapse_told_read(status == LAPSE_OK ? g : NULL, out, error);
    lapse_merge_close(merge);
    return status;
}

/* Entries lie at deadlines or before them, so the least deadline is found once entries are not before it any more. */
static lapse_status from_entries(lapse_store *store, struct lapse_merge *merge, struct lapse_run *const *told, size_t n,
                                 int64_t *least, lapse_error *error)
{
    const struct lapse_group *g;
    char id[LAPSE_TEXT_MAX];
    lapse_status status;
    while ((status = lapse_merge_next(merge, &g, error)) == LAPSE_OK && lapse_number_of(g->key) < *least)
        for (size_t i = g->first; i < g->first + (size_t)g->count; i++) {
            struct lapse_told was;
            status = read_told(store, told, n, lapse_numbered_customer(g->key, g->columns, i, id), &was, error);
            if (status != LAPSE_OK)
                return status;
            if (was.wake == lapse_number_of(g->key) && was.deadline < *least)
                *least = was.deadline;
        }
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

/* Where the entries were thrown away. */
static lapse_status from_told(lapse_store *store, struct lapse_run *const *told, size_t n, int64_t *least,
                              lapse_error *error)
{
    struct lapse_merge *merge;
    const struct lapse_group *g;
    struct lapse_told was;
    lapse_status status = lapse_merge_open(store, told, n, LAPSE_ALL_FIELDS, NULL, NULL, &merge, error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK) {
        status = lapse_told_read(g, &was, error);
        if (status == LAPSE_OK && was.deadline != LAPSE_MISSING && was.deadline < *least)
            *least = was.deadline;
    }
    lapse_merge_close(merge);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static lapse_status find_deadline(lapse_store *store, const struct lapse_manifest *m, int64_t *least, lapse_error *error)
{
    struct lapse_call call;
    struct lapse_merge *merge = NULL;
    bool before, lost = true;
    lapse_status status = lapse_call_read(store, m, &call, &before, error);
    if (status != LAPSE_OK || !call.waits)
        return status;
    struct lapse_run **told = lapse_mem_zero(&store->mem, m->count + 1, sizeof(struct lapse_run *));
    if (!told)
        return lapse_fail_memory(error);
    size_t n = lapse_manifest_family(m, LAPSE_RUN_TOLD, told);
    for (size_t i = 0; i < m->count; i++)
        lost &= m->runs[i]->family != LAPSE_RUN_DEADLINES;
    if (lost)
        status = from_told(store, told, n, least, error);
    else
        status = open_from(store, m, LAPSE_RUN_DEADLINES, call.as_of + 1, &merge, error);
    if (status == LAPSE_OK && !lost)
        status = from_entries(store, merge, told, n, least, error);
    lapse_merge_close(merge);
    lapse_mem_free(&store->mem, told);
    return status;
}

lapse_status lapse_store_next_deadline(lapse_store *store, int64_t *out, lapse_error *error)
{
    struct lapse_manifest *m;
    int64_t least = LAPSE_NEVER;
    lapse_status status = lapse_store_question(store, out, &m, error);
    if (status != LAPSE_OK)
        return status;
    status = find_deadline(store, m, &least, error);
    lapse_manifest_release(m);
    *out = status == LAPSE_OK && least != LAPSE_NEVER ? least : 0;
    if (status == LAPSE_OK && least == LAPSE_NEVER)
        return lapse_fail(error, LAPSE_NOT_FOUND, "nothing that was told changes by time alone");
    return status;
}
