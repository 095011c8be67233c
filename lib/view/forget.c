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
};

static lapse_status go_on(void *user, int64_t rows, lapse_error *error)
{
    struct forget *f = user;
    f->done += rows;
    if (f->options.on_progress && f->options.on_progress(f->options.progress_user, f->done, f->done))
        return lapse_fail(error, LAPSE_CANCELLED, "cancelled");
    return LAPSE_OK;
}

static int order_ids(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_text *id = user;
    return lapse_text_compare(id[a].data, id[a].size, id[b].data, id[b].size);
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
    struct lapse_text *ids = lapse_mem_alloc(mem, 2 * (size_t)count * sizeof *ids), *sorted = ids + count;
    uint32_t *order = lapse_mem_alloc(mem, 2 * (size_t)count * sizeof *order);
    if (!ids || !order)
        status = lapse_fail_memory(error);
    for (int64_t i = 0; i < count && status == LAPSE_OK; i++) {
        status = check_id(customers, offsets[i], offsets[i + 1], i, error);
        ids[i] = (struct lapse_text){ customers + offsets[i], (uint32_t)(offsets[i + 1] - offsets[i]) };
        order[i] = (uint32_t)i;
    }
    if (status == LAPSE_OK)
        lapse_sort_indices(order, (size_t)count, order + count, order_ids, ids);
    for (int64_t i = 0; i < count && status == LAPSE_OK; i++)
        if (i == 0 || order_ids(ids, order[i - 1], order[i]) != 0)
            sorted[f->count++] = ids[order[i]];
    if (status == LAPSE_OK)
        memcpy(ids, sorted, (size_t)f->count * sizeof *ids);
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
    struct lapse_erasure erasure = { .at = f.options.at, .go_on = go_on, .user = &f };
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
    return status;
}
