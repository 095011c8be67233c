/* lapse_store_forget(): what the host asks, checked and put in order, for the store to do (store/erase.c). */
#include <lapse/erase.h>

#include "view/view.h"

static const lapse_forget_options defaults = { .size = sizeof defaults, .at = LAPSE_MISSING };
static const size_t oldest = offsetof(lapse_forget_options, progress_user) + sizeof(void *);
static const size_t oldest_out = offsetof(lapse_forgotten, events) + sizeof(int64_t);

lapse_status lapse_forget_options_init(lapse_forget_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &defaults, sizeof defaults, oldest);
}

struct forget {
    lapse_store *store;
    lapse_forget_options options;
    struct lapse_text *ids;   /* ascending, each once */
    int64_t count, done;
    struct lapse_ledger_row *rows;
    size_t row_count, row_capacity;
};

static lapse_status go_on(void *user, int64_t rows, lapse_error *error)
{
    struct forget *f = user;
    f->done += rows;
    if (f->options.on_progress && f->options.on_progress(f->options.progress_user, f->done, f->done))
        return lapse_fail(error, LAPSE_CANCELLED, "cancelled");
    return LAPSE_OK;
}

/* ---- what the ledger keeps -------------------------------------------------------------------------------------- */

static bool put_row(struct forget *f, const struct lapse_history *h, const struct lapse_carried *c)
{
    if (!lapse_mem_reserve(&f->store->mem, &f->rows, &f->row_capacity, f->row_count + 1, sizeof *f->rows))
        return false;
    struct lapse_ledger_row *row = &f->rows[f->row_count++];
    uint8_t kind = h->name[LAPSE_F_KIND][c->row];
    memset(row, 0, sizeof *row);
    memcpy(row->address, c->address.data, sizeof row->address);
    row->channel = c->channel;
    row->kind = kind == LAPSE_KIND_SMS_KEYWORD ? LAPSE_KIND_CONSENT_WITHDRAWN : kind;
    row->time = h->number[LAPSE_F_TIME][c->row];
    if (kind == LAPSE_KIND_CONSENT_WITHDRAWN)
        row->purpose = h->name[LAPSE_F_PURPOSE][c->row];
    else if (kind == LAPSE_KIND_SMS_KEYWORD)
        row->purpose = LAPSE_PURPOSE_MARKETING;
    return true;
}

static int order_rows(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_ledger_row *rows = user, *x = &rows[a], *y = &rows[b];
    const int key[2] = { x->channel << 16 | x->kind << 8 | x->purpose, y->channel << 16 | y->kind << 8 | y->purpose };
    int order = memcmp(x->address, y->address, sizeof x->address);
    if (order == 0)
        order = key[0] - key[1];
    return order ? order : (x->time > y->time) - (x->time < y->time);
}

/* As they lie in a run: by address, then canonically. */
static int order_kept(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_ledger_row *rows = user, *x = &rows[a], *y = &rows[b];
    int order = memcmp(x->address, y->address, sizeof x->address);
    if (order == 0)
        order = (x->time > y->time) - (x->time < y->time);
    if (order == 0)
        order = lapse_kinds[x->kind].rank - lapse_kinds[y->kind].rank;
    if (order == 0)
        order = strcmp(lapse_kinds[x->kind].name, lapse_kinds[y->kind].name);
    if (order == 0 && x->channel != y->channel)
        order = strcmp(x->channel ? lapse_channel_name(x->channel) : "", y->channel ? lapse_channel_name(y->channel) : "");
    if (order == 0 && x->purpose != y->purpose)
        order = strcmp(x->purpose ? lapse_purpose_name(x->purpose) : "", y->purpose ? lapse_purpose_name(y->purpose) : "");
    return order;
}

static lapse_status sort_rows(struct forget *f, int (*compare)(const void *user, uint32_t a, uint32_t b), bool last_only,
                              lapse_error *error)
{
    const lapse_allocator *mem = &f->store->mem;
    size_t n = f->row_count, kept = 0;
    uint32_t *order = lapse_mem_alloc(mem, (2 * n + 1) * sizeof *order);
    struct lapse_ledger_row *rows = lapse_mem_alloc(mem, (n + 1) * sizeof *rows);
    lapse_status status = order && rows ? LAPSE_OK : lapse_fail_memory(error);
    for (size_t i = 0; i < n && status == LAPSE_OK; i++)
        order[i] = (uint32_t)i;
    if (status == LAPSE_OK) {
        lapse_sort_indices(order, n, order + n, compare, f->rows);
        for (size_t i = 0; i < n; i++) { /* of one kind about one address only the last is needed */
            const struct lapse_ledger_row *x = &f->rows[order[i]], *y = i + 1 < n ? &f->rows[order[i + 1]] : NULL;
            bool again = last_only && y && memcmp(x->address, y->address, sizeof x->address) == 0 &&
                         x->channel == y->channel && x->kind == y->kind && x->purpose == y->purpose;
            if (!again)
                rows[kept++] = *x;
        }
        if (kept)
            memcpy(f->rows, rows, kept * sizeof *rows);
        f->row_count = kept;
    }
    lapse_mem_free(mem, order);
    lapse_mem_free(mem, rows);
    return status;
}

/* Called in the transaction: their histories as they are at its beginning. */
static lapse_status keep(void *user, const struct lapse_ledger_row **rows, size_t *count, lapse_error *error)
{
    struct forget *f = user;
    struct lapse_addresses a = { .mem = &f->store->mem };
    struct lapse_cursor *cursor = NULL;
    const struct lapse_history *h = NULL;
    lapse_view *view;
    lapse_status status = lapse_view_open(f->store, INT64_MAX, &view, error);
    if (status == LAPSE_OK)
        status = lapse_cursor_open(view, LAPSE_ADDRESS_FIELDS | LAPSE_FIELD_BIT(LAPSE_F_PURPOSE), &f->ids[0], NULL, &cursor,
                                   error);
    for (int64_t i = 0; i < f->count && status == LAPSE_OK; i++) {
        status = lapse_cursor_find(cursor, f->ids[i], &h, error);
        if (!h)
            continue; /* all of theirs is retracted */
        bool ok = lapse_addresses_read(&a, h, LAPSE_CARRIES_TO_LEDGER);
        for (size_t k = 0; k < a.carried_count && ok; k++)
            ok = put_row(f, h, &a.carried[k]);
        status = ok ? LAPSE_OK : lapse_fail_memory(error);
    }
    lapse_cursor_close(cursor);
    lapse_view_close(view);
    lapse_addresses_free(&a);
    if (status == LAPSE_DONE || status == LAPSE_OK)
        status = sort_rows(f, order_rows, true, error);
    if (status == LAPSE_OK)
        status = sort_rows(f, order_kept, false, error);
    *rows = f->rows;
    *count = f->row_count;
    return status;
}

/* ---- what is asked --------------------------------------------------------------------------------------------------- */

static int order_ids(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_text *id = user;
    return lapse_text_order(id[a], id[b]);
}

static lapse_status check_id(const char *data, int64_t from, int64_t to, int64_t row, lapse_error *error)
{
    const char *rule = "a customer id has 1 to 255 bytes";
    if (from >= 0 && to > from && to - from <= LAPSE_TEXT_MAX && lapse_text_check(data + from, (size_t)(to - from), &rule))
        return LAPSE_OK;
    return lapse_fail(error, LAPSE_INVALID, "customer %lld: %s", (long long)row, rule);
}

/* Ids in order, each once, in the second half of room for all of them. */
static lapse_status read_ids(struct forget *f, const char *customers, const int64_t *offsets, int64_t count,
                             lapse_error *error)
{
    const lapse_allocator *mem = &f->store->mem;
    lapse_status status = LAPSE_OK;
    if (count > UINT32_MAX / 4)
        return lapse_fail(error, LAPSE_INVALID, "so many customers cannot be forgotten in one call");
    struct lapse_text *ids = lapse_mem_alloc(mem, 2 * (size_t)count * sizeof *ids);
    uint32_t *order = lapse_mem_alloc(mem, 2 * (size_t)count * sizeof *order);
    if (!ids || !order)
        status = lapse_fail_memory(error);
    for (int64_t i = 0; i < count && status == LAPSE_OK; i++) {
        status = check_id(customers, offsets[i], offsets[i + 1], i, error);
        ids[i] = (struct lapse_text){ customers + offsets[i], (uint32_t)(offsets[i + 1] - offsets[i]) };
        order[i] = (uint32_t)i;
    }
    if (status == LAPSE_OK) {
        struct lapse_text *sorted = ids + count;
        lapse_sort_indices(order, (size_t)count, order + count, order_ids, ids);
        for (int64_t i = 0; i < count; i++)
            if (i == 0 || order_ids(ids, order[i - 1], order[i]) != 0)
                sorted[f->count++] = ids[order[i]];
        memcpy(ids, sorted, (size_t)f->count * sizeof *ids);
    }
    f->ids = ids;
    lapse_mem_free(mem, order);
    return status;
}

static lapse_status check(struct forget *f, const char *customers, const int64_t *offsets, int64_t count,
                          const lapse_forget_options *options, const lapse_forgotten *out, lapse_error *error)
{
    lapse_status status = lapse_store_check(f->store, error);
    if (status == LAPSE_OK && options)
        status = lapse_options_read(&f->options, sizeof f->options, options, oldest, "lapse_forget_options", error);
    if (status != LAPSE_OK)
        return status;
    if (f->options.flags)
        return lapse_fail(error, LAPSE_INVALID, "lapse_forget_options: flags are 0");
    if (count < 0 || (count > 0 && (!customers || !offsets)))
        return lapse_fail(error, LAPSE_INVALID, "lapse_store_forget() was given a NULL pointer or a count below 0");
    if (count > 0 && (f->options.at < LAPSE_TIME_MIN || f->options.at > LAPSE_TIME_MAX))
        return lapse_fail(error, LAPSE_INVALID, "the instant of an erasure is required, from 1900-01-01 to 2999-12-31");
    if (out && (out->size < oldest_out || out->size > 4096))
        return lapse_fail(error, LAPSE_INVALID, "lapse_forgotten: its size is not set");
    return LAPSE_OK;
}

lapse_status lapse_store_forget(lapse_store *store, const char *customers, const int64_t *offsets, int64_t count,
                                const lapse_forget_options *options, lapse_forgotten *out, lapse_error *error)
{
    struct forget f = { .store = store, .options = defaults };
    lapse_status status = check(&f, customers, offsets, count, options, out, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_erasure erasure = { .at = f.options.at, .go_on = go_on, .keep = keep, .user = &f };
    if (count)
        status = read_ids(&f, customers, offsets, count, error);
    erasure.customers = f.ids;
    erasure.count = (size_t)f.count;
    if (status == LAPSE_OK)
        status = lapse_store_erase(store, &erasure, error);
    if (out) {
        const lapse_forgotten ours = { out->size, 0, erasure.events ? f.count : 0, erasure.events };
        memset(out, 0, out->size);
        memcpy(out, &ours, sizeof ours);
    }
    lapse_mem_free(&store->mem, f.ids);
    lapse_mem_free(&store->mem, f.rows);
    return status;
}
