/* The latest rows of a run of events, and the filters that are made of them.
 *
 * Rows without id are known by their content, and events come nearly in the order of time: so a run's filter holds the
 * contents of its latest rows only, a 128th of them or 16,384. What is older is looked for in the run itself. A row that
 * falls out costs a comparison, one that stays about 30 ns. */
#include "store/identity.h"

enum { LEAST = 1 << 14, SHARE = 128 };

uint64_t lapse_content_seed(const struct lapse_store *store)
{
    return lapse_hash(store->key, sizeof store->key, 0);
}

static uint64_t stir(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

uint64_t lapse_content_key(uint64_t seed, struct lapse_text customer, const struct lapse_columns *c, size_t i)
{
    uint64_t h = lapse_hash(customer.data, customer.size, seed);
    for (uint32_t bits = c->fields & LAPSE_ALL_FIELDS; bits; bits &= bits - 1) {
        const int f = (int)lapse_lowest_bit(bits);
        uint64_t v = 0;
        if (c->number[f]) {
            int64_t number = lapse_columns_number(c, f, i);
            v = number == LAPSE_MISSING ? 0 : (uint64_t)number + 1;
        } else if (c->name[f]) {
            v = lapse_columns_name(c, f, i);
        } else {
            struct lapse_text t = lapse_columns_text(c, f, i);
            v = t.size ? lapse_hash(t.data, t.size, seed) : 0;
        }
        if (v) /* what is not there is not there, whether the run has the column or not */
            h = stir(h, v + ((uint64_t)f << 56));
    }
    return stir(h, h >> 32);
}

/* ---- the latest rows -------------------------------------------------------------------------------------------- */

void lapse_recent_init(struct lapse_recent *r, const struct lapse_store *store)
{
    size_t most = (size_t)store->memory_limit / 256;
    *r = (struct lapse_recent){ .mem = &store->mem, .seed = lapse_content_seed(store), .since = INT64_MIN,
                                .least = LEAST, .most = most > LEAST ? most : LEAST };
}

void lapse_recent_free(struct lapse_recent *r)
{
    if (!r->mem)
        return;
    lapse_mem_free(r->mem, r->time);
    lapse_mem_free(r->mem, r->hash);
    r->time = NULL;
    r->hash = NULL;
    r->count = r->capacity = 0;
}

static bool grow(struct lapse_recent *r, size_t need)
{
    if (need <= r->capacity)
        return true;
    size_t capacity = r->capacity < 64 ? 64 : 2 * r->capacity;
    void *time = lapse_mem_resize(r->mem, r->time, capacity * sizeof *r->time);
    r->time = time ? time : r->time;
    void *hash = lapse_mem_resize(r->mem, r->hash, capacity * sizeof *r->hash);
    r->hash = hash ? hash : r->hash;
    r->capacity = time && hash ? capacity : r->capacity;
    return time && hash;
}

/* Lets the earliest go. Rows of one instant stay or go together. */
static bool forget(struct lapse_recent *r, size_t keep)
{
    int64_t rank = (int64_t)(r->count - keep), since;
    struct lapse_span span = { r->time, (int64_t)r->count };
    if (!lapse_select(r->mem, &span, 1, &rank, 1, &since))
        return false;
    size_t same = 0;
    for (size_t i = 0; i < r->count; i++)
        same += r->time[i] >= since;
    r->since = same > keep + keep / 2 ? since + 1 : since;
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->time[i] < r->since)
            continue;
        r->time[kept] = r->time[i];
        r->hash[kept++] = r->hash[i];
    }
    r->count = kept;
    return true;
}

size_t lapse_recent_keep(const struct lapse_recent *r, int64_t seen)
{
    size_t keep = (size_t)(seen / SHARE);
    return keep < r->least ? r->least : keep > r->most ? r->most : keep;
}

void lapse_recent_take(struct lapse_recent *r, struct lapse_text customer, const struct lapse_columns *c, size_t first,
                       size_t n)
{
    const int64_t *times = c->number[LAPSE_F_TIME];
    r->seen += (int64_t)n;
    for (size_t i = first; i < first + n; i++) {
        if (times[i] < r->since || lapse_columns_text(c, LAPSE_F_EVENT_ID, i).size)
            continue;
        size_t keep = lapse_recent_keep(r, r->seen);
        if (!grow(r, r->count + 1)) {
            r->failed = true;
            return;
        }
        r->time[r->count] = times[i];
        r->hash[r->count++] = lapse_content_key(r->seed, customer, c, i);
        if (r->count >= 2 * keep && !forget(r, keep))
            r->failed = true;
    }
}

void lapse_recent_absorb(struct lapse_recent *to, struct lapse_recent *from)
{
    to->since = from->since > to->since ? from->since : to->since;
    to->seen += from->seen;
    to->failed |= from->failed;
    for (size_t i = 0; i < from->count && !to->failed; i++) {
        if (from->time[i] < to->since)
            continue;
        if (!grow(to, to->count + 1)) {
            to->failed = true;
            break;
        }
        to->time[to->count] = from->time[i];
        to->hash[to->count++] = from->hash[i];
    }
    size_t keep = lapse_recent_keep(to, to->seen);
    if (!to->failed && to->count >= 2 * keep && !forget(to, keep))
        to->failed = true;
    lapse_recent_free(from);
}

struct lapse_filter *lapse_recent_filter(struct lapse_recent *r)
{
    struct lapse_filter *f = r->failed ? NULL : lapse_filter_new(r->mem, NULL);
    struct lapse_sort_key *keys = lapse_mem_alloc(r->mem, (r->count + 1) * sizeof *keys);
    bool ok = f && keys;
    if (ok) {
        f->since = r->since;
        for (size_t i = 0; i < r->count; i++)
            keys[i] = (struct lapse_sort_key){ r->hash[i], 0 };
        ok = lapse_filter_add_all(f, keys, r->count);
    }
    lapse_mem_free(r->mem, keys);
    if (!ok)
        lapse_filter_free(f);
    return ok ? f : NULL;
}

/* ---- the filter of a published run --------------------------------------------------------------------------------- */

/* LAPSE_DONE: it is not as it was stored. */
static lapse_status load(struct lapse_run *run, lapse_error *error)
{
    struct lapse_filter *f = run->filter;
    struct lapse_buffer b;
    lapse_buffer_init(&b, run->mem);
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < f->count && status == LAPSE_OK; i++) {
        struct lapse_filter_part *part = &f->parts[i];
        if (part->data)
            continue;
        status = lapse_file_get_block(run->file, part->id, &b, NULL);
        if (status == LAPSE_NO_MEMORY)
            status = lapse_fail_memory(error);
        else if (status == LAPSE_IO || status == LAPSE_BUSY)
            status = lapse_fail(error, status, "the filter of run %lld cannot be read", (long long)run->id);
        else if (status != LAPSE_OK || b.size != part->size ||
                 lapse_hash(b.data, b.size, (uint64_t)part->id) != part->checksum)
            status = LAPSE_DONE;
        else if (!(part->data = lapse_mem_alloc(run->mem, b.size)))
            status = lapse_fail_memory(error);
        if (status != LAPSE_OK)
            break;
        memcpy(part->data, b.data, b.size);
        status = lapse_filter_open(part) ? LAPSE_OK : LAPSE_DONE;
    }
    lapse_buffer_free(&b);
    return status;
}

static lapse_status make(struct lapse_store *store, struct lapse_run *run, struct lapse_filter **out,
                         lapse_error *error)
{
    bool prints = lapse_families[run->family].filter == LAPSE_FILTER_OF_KEYS, ok;
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    struct lapse_recent recent;
    lapse_recent_init(&recent, store);
    struct lapse_filter *f = prints ? lapse_filter_new(run->mem, store->bloom) : NULL;
    uint64_t *keys = NULL;
    size_t n = 0;
    ok = !prints || f;
    lapse_status status = ok ? lapse_merge_open(store, &run, 1, prints ? LAPSE_FIELD_BIT(LAPSE_F_VALUE) : LAPSE_ALL_FIELDS,
                                                NULL, NULL, &merge, error)
                             : LAPSE_OK;
    while (ok && status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK) {
        if (!prints)
            lapse_recent_take(&recent, g->key, g->columns, g->first, (size_t)g->count);
        else
            ok = lapse_filter_take(f, &keys, &n, g->key);
        ok = ok && !recent.failed;
    }
    status = status == LAPSE_DONE ? LAPSE_OK : status;
    if (ok && status == LAPSE_OK && prints)
        ok = lapse_filter_end(f, keys, n);
    else if (ok && status == LAPSE_OK)
        ok = (f = lapse_recent_filter(&recent)) != NULL;
    lapse_merge_close(merge);
    lapse_recent_free(&recent);
    lapse_mem_free(run->mem, keys);
    if (ok && status == LAPSE_OK) {
        *out = f;
        return LAPSE_OK;
    }
    lapse_filter_free(f);
    return status != LAPSE_OK ? status : lapse_fail_memory(error);
}

lapse_status lapse_filter_of(struct lapse_store *store, struct lapse_run *run, const struct lapse_filter **out,
                             lapse_error *error)
{
    lapse_status status = run->filter ? load(run, error) : LAPSE_DONE;
    if (status == LAPSE_DONE) {
        struct lapse_filter *made = NULL;
        status = make(store, run, &made, error);
        if (status == LAPSE_OK) {
            lapse_filter_free(run->filter);
            run->filter = made;
        }
    }
    *out = run->filter;
    return status;
}
