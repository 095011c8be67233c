/* Rows about what was told, and the transaction in which they change: everything that one call of advance or of an
 * acknowledgement adds and takes away is published with the row of the call itself, which replaces that of the call before. */
#include "store/telling.h"

/* ---- numbered keys ---------------------------------------------------------------------------------------------- */

void lapse_numbered_set(struct lapse_numbered *out, int64_t number, struct lapse_text customer)
{
    uint64_t n = (uint64_t)number ^ UINT64_C(1) << 63;
    uint32_t room = LAPSE_TEXT_MAX - LAPSE_NUMBER_SIZE, fits = customer.size < room ? customer.size : room;
    for (int i = 0; i < LAPSE_NUMBER_SIZE; i++)
        out->bytes[i] = (char)(uint8_t)(n >> 8 * (LAPSE_NUMBER_SIZE - 1 - i));
    if (fits)
        memcpy(out->bytes + LAPSE_NUMBER_SIZE, customer.data, fits);
    out->key = (struct lapse_text){ out->bytes, LAPSE_NUMBER_SIZE + fits };
    out->rest = (struct lapse_text){ customer.data + fits, customer.size - fits };
}

int64_t lapse_number_of(struct lapse_text key)
{
    return (int64_t)(lapse_text_eight(key, 0) ^ UINT64_C(1) << 63);
}

struct lapse_text lapse_numbered_customer(struct lapse_text key, const struct lapse_columns *c, size_t i, char *out)
{
    struct lapse_text rest = lapse_columns_text(c, LAPSE_T_REST, i);
    uint32_t n = key.size > LAPSE_NUMBER_SIZE ? key.size - LAPSE_NUMBER_SIZE : 0;
    if (rest.size > LAPSE_TEXT_MAX - n) /* not of this library */
        rest.size = LAPSE_TEXT_MAX - n;
    memcpy(out, key.data + LAPSE_NUMBER_SIZE, n);
    if (rest.size)
        memcpy(out + n, rest.data, rest.size);
    return (struct lapse_text){ out, n + rest.size };
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

void lapse_cells_number(struct lapse_cells *cells, int field, int64_t value)
{
    cells->number[field] = value;
    cells->columns.number[field] = &cells->number[field];
    cells->columns.fields |= LAPSE_FIELD_BIT(field);
}

static void set_name(struct lapse_cells *cells, int field, uint8_t value)
{
    cells->name[field] = value;
    cells->columns.name[field] = &cells->name[field];
    cells->columns.fields |= LAPSE_FIELD_BIT(field);
}

void lapse_cells_text(struct lapse_cells *cells, int field, struct lapse_text text)
{
    cells->length[field] = (uint8_t)text.size;
    cells->columns.text[field] =
        (struct lapse_text_column){ text.data, &cells->begin, &cells->length[field], NULL };
    cells->columns.fields |= LAPSE_FIELD_BIT(field);
}

void lapse_cells_key(struct lapse_cells *cells, const struct lapse_told_key *key)
{
    lapse_cells_number(cells, LAPSE_T_REGION, key->region);
    if (key->channel)
        set_name(cells, LAPSE_F_CHANNEL, key->channel);
    if (key->purpose)
        set_name(cells, LAPSE_F_PURPOSE, key->purpose);
    if (key->topic.size)
        lapse_cells_text(cells, LAPSE_F_TOPIC, key->topic);
    if (key->endpoint.size)
        lapse_cells_text(cells, LAPSE_F_ENDPOINT, key->endpoint);
    if (key->ref.size)
        lapse_cells_text(cells, LAPSE_F_REF, key->ref);
}

void lapse_told_key_read(const struct lapse_columns *c, size_t i, struct lapse_told_key *out)
{
    int64_t region = lapse_columns_number(c, LAPSE_T_REGION, i);
    *out = (struct lapse_told_key){ .region = region < 0 || region > INT32_MAX ? -1 : (int32_t)region,
                                    .channel = lapse_columns_name(c, LAPSE_F_CHANNEL, i),
                                    .purpose = lapse_columns_name(c, LAPSE_F_PURPOSE, i),
                                    .topic = lapse_columns_text(c, LAPSE_F_TOPIC, i),
                                    .endpoint = lapse_columns_text(c, LAPSE_F_ENDPOINT, i),
                                    .ref = lapse_columns_text(c, LAPSE_F_REF, i) };
}

/* ---- the last call -------------------------------------------------------------------------------------------------- */

static const struct lapse_text the_call = { "advance", 7 };

static bool take_call(const struct lapse_group *g, struct lapse_call *out)
{
    const struct lapse_columns *c = g->columns;
    size_t i = g->first;
    struct lapse_text policy = lapse_columns_text(c, LAPSE_F_ENDPOINT, i), regions = lapse_columns_text(c, LAPSE_F_REASON, i);
    *out = (struct lapse_call){ .number = lapse_columns_number(c, LAPSE_F_AMOUNT, i),
                                .as_of = lapse_columns_number(c, LAPSE_F_TIME, i),
                                .seq = lapse_columns_number(c, LAPSE_F_QUANTITY, i),
                                .confirmed = lapse_columns_number(c, LAPSE_F_PRICE, i),
                                .waits = lapse_columns_number(c, LAPSE_F_VALUE, i) != 0 };
    memcpy(out->regions, regions.data, regions.size);
    if (policy.size == sizeof out->policy)
        memcpy(out->policy, policy.data, policy.size);
    return g->count == 1 && policy.size == sizeof out->policy && out->number > 0 && out->seq > 0 &&
           out->confirmed >= 0 && out->confirmed < out->seq;
}

lapse_status lapse_call_read(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_call *out,
                             bool *before, lapse_error *error)
{
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    struct lapse_run *run = NULL;
    size_t runs = 0;
    *before = false;
    *out = (struct lapse_call){ .seq = 1 };
    for (size_t i = 0; i < m->count; i++)
        if (m->runs[i]->family == LAPSE_RUN_CALLS) {
            run = m->runs[i];
            runs++;
        }
    if (runs == 0)
        return LAPSE_OK;
    lapse_status status = lapse_merge_open(store, &run, 1, LAPSE_ALL_FIELDS, NULL, NULL, &merge, error);
    if (status == LAPSE_OK)
        status = lapse_merge_next(merge, &g, error);
    *before = status == LAPSE_OK && runs == 1 && run->rows == 1 && take_call(g, out);
    lapse_merge_close(merge);
    if ((status == LAPSE_OK || status == LAPSE_DONE) && !*before)
        return lapse_fail(error, LAPSE_DAMAGED, "what the store says of the last advance is damaged (run %lld)",
                          (long long)run->id);
    return status;
}

static lapse_status write_call(struct lapse_store *store, const struct lapse_call *call, struct lapse_run **out,
                               lapse_error *error)
{
    struct lapse_run_writer w;
    struct lapse_cells cells = { .begin = 0 };
    *out = NULL;
    lapse_cells_number(&cells, LAPSE_F_TIME, call->as_of);
    lapse_cells_number(&cells, LAPSE_F_AMOUNT, call->number);
    lapse_cells_number(&cells, LAPSE_F_QUANTITY, call->seq);
    lapse_cells_number(&cells, LAPSE_F_PRICE, call->confirmed);
    lapse_cells_number(&cells, LAPSE_F_VALUE, call->waits);
    lapse_cells_text(&cells, LAPSE_F_ENDPOINT, (struct lapse_text){ (const char *)call->policy, sizeof call->policy });
    lapse_cells_text(&cells, LAPSE_F_REASON, (struct lapse_text){ call->regions, (uint32_t)strlen(call->regions) });
    lapse_status status = lapse_run_writer_open(&w, store, LAPSE_RUN_CALLS, error);
    if (status == LAPSE_OK)
        status = lapse_run_writer_put(&w, the_call, &cells.columns, LAPSE_ALL_FIELDS, 0, 1, error);
    if (status == LAPSE_OK)
        return lapse_run_writer_finish(&w, out, error);
    lapse_run_writer_abort(&w);
    return status;
}

/* ---- the transaction -------------------------------------------------------------------------------------------------- */

static void let_go(struct lapse_telling *t)
{
    lapse_manifest_release(t->manifest);
    lapse_mem_free(&t->store->mem, t->runs);
    lapse_lock_give(t->store->writer);
}

void lapse_telling_abort(struct lapse_telling *t)
{
    lapse_file_rollback(t->store->file);
    let_go(t);
}

lapse_status lapse_telling_begin(struct lapse_telling *t, struct lapse_store *store, lapse_error *error)
{
    *t = (struct lapse_telling){ .store = store };
    lapse_lock_take(store->writer);
    lapse_status status = lapse_file_begin(store->file, error);
    if (status == LAPSE_OK)
        status = lapse_store_manifest(store, &t->manifest, error);
    if (status == LAPSE_OK &&
        !(t->runs = lapse_mem_zero(&store->mem, t->manifest->count + 2, sizeof(struct lapse_run *))))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK)
        status = lapse_call_read(store, t->manifest, &t->call, &t->before, error);
    if (status != LAPSE_OK)
        lapse_telling_abort(t);
    return status;
}

lapse_status lapse_telling_end(struct lapse_telling *t, struct lapse_run *const *added, size_t added_count,
                               struct lapse_run *const *removed, size_t removed_count, lapse_error *error)
{
    struct lapse_store *store = t->store;
    struct lapse_run **in = lapse_mem_zero(&store->mem, added_count + t->manifest->count + 2, sizeof(struct lapse_run *));
    struct lapse_run **out = in ? in + added_count + 1 : NULL, *call = NULL;
    size_t n = 0;
    int64_t rows = 0;
    lapse_status status = in ? write_call(store, &t->call, &call, error) : lapse_fail_memory(error);
    if (status == LAPSE_OK) {
        for (size_t i = 0; i < added_count; i++) {
            in[i] = added[i];
            rows += added[i]->rows;
        }
        in[added_count] = call;
        for (; n < removed_count; n++)
            out[n] = removed[n];
        for (size_t i = 0; i < t->manifest->count; i++)
            if (t->manifest->runs[i]->family == LAPSE_RUN_CALLS)
                out[n++] = t->manifest->runs[i];
        status = lapse_store_replace(store, t->manifest, in, added_count + 1, out, n, error);
    }
    if (status != LAPSE_OK)
        lapse_file_rollback(store->file);
    lapse_run_release(call);
    lapse_mem_free(&store->mem, in);
    if (status == LAPSE_OK && rows) /* where nothing was found nobody should have to wait */
        lapse_merging_share(store, rows, NULL);
    let_go(t);
    return status;
}
