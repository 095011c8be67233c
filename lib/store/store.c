/* Opening and closing a store, and what is told about it as a whole. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <unistd.h>

#include "store/identity.h"

enum { LEAST_MEMORY = 16 << 20, MOST_OFFSET = 50400, ZONE_ENTRIES = 1 << 16 };

static const lapse_store_options defaults = {
    .size = sizeof defaults, .memory_limit = 256 << 20, .timeout_ms = 5000, .digits = -1,
};

/* The struct of 0.9 ended here. */
static const size_t oldest = offsetof(lapse_store_options, currency) + sizeof(const char *);

lapse_status lapse_store_options_init(lapse_store_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &defaults, sizeof defaults, oldest);
}

/* ---- options ------------------------------------------------------------------------------------------------ */

static lapse_status check_zone(const lapse_store_options *o, lapse_error *error)
{
    if (o->zone_count < 0 || o->zone_count > ZONE_ENTRIES || (o->zone_count && (!o->zone_starts || !o->zone_offsets)))
        return lapse_fail(error, LAPSE_INVALID, "a zone has 1 to %d entries", ZONE_ENTRIES);
    for (int32_t i = 0; i < o->zone_count; i++) {
        if (o->zone_offsets[i] < -MOST_OFFSET || o->zone_offsets[i] > MOST_OFFSET)
            return lapse_fail(error, LAPSE_INVALID, "zone entry %d: an offset is at most 14 hours", (int)i);
        if (i > 0 && o->zone_starts[i] <= o->zone_starts[i - 1])
            return lapse_fail(error, LAPSE_INVALID, "zone entry %d: instants must ascend", (int)i);
    }
    if (o->zone_name && (strlen(o->zone_name) > 64 || !lapse_utf8_valid(o->zone_name, strlen(o->zone_name))))
        return lapse_fail(error, LAPSE_INVALID, "the name of a zone is at most 64 bytes of UTF-8");
    return LAPSE_OK;
}

static lapse_status check_options(const lapse_store_options *o, lapse_error *error)
{
    const uint32_t known = LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST | LAPSE_STORE_MUST_BE_NEW | LAPSE_STORE_VERIFY;
    const uint32_t existing = LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST | LAPSE_STORE_VERIFY;
    if (o->flags & ~known)
        return lapse_fail(error, LAPSE_INVALID, "lapse_store_options has flags that this library does not know");
    if (o->flags & LAPSE_STORE_MUST_BE_NEW && o->flags & existing)
        return lapse_fail(error, LAPSE_INVALID, "a store cannot be new and exist");
    if (o->memory_limit < LEAST_MEMORY)
        return lapse_fail(error, LAPSE_INVALID, "memory_limit is at least 16 MiB");
    if (o->timeout_ms < 0)
        return lapse_fail(error, LAPSE_INVALID, "timeout_ms is 0 or more");
    if (o->sync < LAPSE_SYNC_FULL || o->sync > LAPSE_SYNC_OFF)
        return lapse_fail(error, LAPSE_INVALID, "sync is none of LAPSE_SYNC_");
    if (o->digits < -1 || o->digits > 6)
        return lapse_fail(error, LAPSE_INVALID, "digits are 0 to 6");
    if (o->currency) {
        size_t n = strlen(o->currency);
        for (size_t i = 0; i < n; i++)
            n = o->currency[i] >= 'A' && o->currency[i] <= 'Z' ? n : 0;
        if (n != 3)
            return lapse_fail(error, LAPSE_INVALID, "a currency is three capital letters");
    }
    return check_zone(o, error);
}

/* ---- the values a store is made with, kept as text so that they can be read by anyone --------------------------- */

static void offset_name(int32_t offset, char *out, size_t n)
{
    int32_t a = offset < 0 ? -offset : offset;
    snprintf(out, n, "%c%02d:%02d", offset < 0 ? '-' : '+', (int)(a / 3600), (int)(a / 60 % 60));
}

/* `instant offset` lines. */
static lapse_status write_zone(struct lapse_store *store, const lapse_store_options *o, lapse_error *error)
{
    static const int64_t utc_start[] = { INT64_MIN };
    static const int32_t utc_offset[] = { 0 };
    int32_t count = o->zone_count ? o->zone_count : 1;
    const int64_t *starts = o->zone_count ? o->zone_starts : utc_start;
    const int32_t *offsets = o->zone_count ? o->zone_offsets : utc_offset;
    struct lapse_buffer text;
    lapse_buffer_init(&text, &store->mem);
    for (int32_t i = 0; i < count; i++) {
        char line[48];
        size_t n = lapse_int_format(starts[i], line);
        line[n++] = ' ';
        n += lapse_int_format(offsets[i], line + n);
        line[n++] = '\n';
        lapse_buffer_put(&text, line, n);
    }
    char name[65];
    offset_name(offsets[0], name, sizeof name);
    if (o->zone_name)
        snprintf(name, sizeof name, "%s", o->zone_name);
    lapse_status status = text.failed ? lapse_fail_memory(error)
                                      : lapse_file_set(store->file, "zone", text.data, text.size, error);
    lapse_buffer_free(&text);
    return status == LAPSE_OK ? lapse_file_set(store->file, "zone_name", name, strlen(name), error) : status;
}

static lapse_status write_values(struct lapse_store *store, const lapse_store_options *o, bool in_file,
                                 lapse_error *error)
{
    /* In memory nothing outlives the process: a key of zeros, so that the same file gives the same hashes. */
    uint8_t key[LAPSE_KEY_SIZE] = { 0 };
    char digits = (char)('0' + (o->digits < 0 ? 2 : o->digits));
    if (o->key)
        memcpy(key, o->key, sizeof key);
    else if (in_file && !lapse_random(key, sizeof key))
        return lapse_fail(error, LAPSE_IO, "the system gives no random bytes for the store's key");
    lapse_status status = write_zone(store, o, error);
    if (status == LAPSE_OK)
        status = lapse_file_set(store->file, "digits", &digits, 1, error);
    if (status == LAPSE_OK)
        status = lapse_file_set(store->file, "currency", o->currency, o->currency ? 3 : 0, error);
    if (status == LAPSE_OK)
        status = lapse_file_set(store->file, "key", key, sizeof key, error);
    if (status == LAPSE_OK)
        status = lapse_file_set_digest(store->file, 0, error); /* no runs */
    return status;
}

static lapse_status damaged(const char *name, lapse_error *error)
{
    return lapse_fail(error, LAPSE_DAMAGED, "the store's value named %s is damaged", name);
}

static lapse_status read_zone(struct lapse_store *store, struct lapse_buffer *text, lapse_error *error)
{
    int32_t lines = 0;
    for (size_t i = 0; i < text->size; i++)
        lines += text->data[i] == '\n';
    if (lines < 1 || lines > ZONE_ENTRIES)
        return damaged("zone", error);
    int64_t *starts = lapse_mem_alloc(&store->mem, (size_t)lines * (sizeof *starts + sizeof(int32_t)));
    if (!starts)
        return lapse_fail_memory(error);
    int32_t *offsets = (int32_t *)(starts + lines);
    store->zone = (struct lapse_zone){ lines, starts, offsets };
    const char *at = text->data, *end = at + text->size;
    for (int32_t i = 0; i < lines; i++) {
        const char *lf = memchr(at, '\n', (size_t)(end - at)), *blank = memchr(at, ' ', (size_t)(lf - at));
        int64_t offset = 0;
        if (!blank || !lapse_int_parse(at, (size_t)(blank - at), &starts[i]) ||
            !lapse_int_parse(blank + 1, (size_t)(lf - blank - 1), &offset) || offset < -MOST_OFFSET ||
            offset > MOST_OFFSET || (i > 0 && starts[i] <= starts[i - 1]))
            return damaged("zone", error);
        offsets[i] = (int32_t)offset;
        at = lf + 1;
    }
    return LAPSE_OK;
}

lapse_status lapse_store_read_digits(struct lapse_store *store, struct lapse_buffer *scratch, lapse_error *error)
{
    lapse_status status = lapse_file_get(store->file, "digits", scratch, error);
    if (status == LAPSE_OK && (scratch->size != 1 || scratch->data[0] < '0' || scratch->data[0] > '6'))
        status = damaged("digits", error);
    if (status == LAPSE_OK)
        store->digits = scratch->data[0] - '0';
    return status;
}

lapse_status lapse_store_read_values(struct lapse_store *store, lapse_error *error)
{
    struct lapse_buffer b;
    lapse_buffer_init(&b, &store->mem);
    lapse_status status = lapse_file_get(store->file, "zone", &b, error);
    if (status == LAPSE_OK)
        status = read_zone(store, &b, error);
    if (status == LAPSE_OK)
        status = lapse_file_get(store->file, "zone_name", &b, error);
    if (status == LAPSE_OK && b.size >= sizeof store->zone_name)
        status = damaged("zone_name", error);
    if (status == LAPSE_OK) {
        memcpy(store->zone_name, b.data, b.size);
        status = lapse_store_read_digits(store, &b, error);
    }
    if (status == LAPSE_OK)
        status = lapse_file_get(store->file, "currency", &b, error);
    if (status == LAPSE_OK && b.size != 0 && b.size != 3)
        status = damaged("currency", error);
    if (status == LAPSE_OK) {
        memcpy(store->currency, b.data, b.size);
        status = lapse_file_get(store->file, "key", &b, error);
    }
    if (status == LAPSE_OK && b.size != sizeof store->key)
        status = damaged("key", error);
    if (status == LAPSE_OK)
        memcpy(store->key, b.data, b.size);
    lapse_buffer_free(&b);
    return status;
}

/* Rulings F26: what a store was made with is fixed. */
static lapse_status agree(const struct lapse_store *store, const lapse_store_options *o, lapse_error *error)
{
    if (o->digits >= 0 && o->digits != store->digits)
        return lapse_fail(error, LAPSE_BAD_INPUT, "the store has %d digits, not %d: they are fixed when it is made",
                          store->digits, (int)o->digits);
    if (o->currency && strcmp(o->currency, store->currency) != 0)
        return lapse_fail(error, LAPSE_BAD_INPUT, "the store's currency is %s, not %s: it is fixed when it is made",
                          store->currency[0] ? store->currency : "not named", o->currency);
    if (o->key && memcmp(o->key, store->key, sizeof store->key) != 0)
        return lapse_fail(error, LAPSE_BAD_INPUT, "the store has another key: it is fixed when it is made");
    bool same = o->zone_count == 0 || o->zone_count == store->zone.count;
    for (int32_t i = 0; same && i < o->zone_count; i++)
        same = o->zone_offsets[i] == store->zone.offsets[i] && (i == 0 || o->zone_starts[i] == store->zone.starts[i]);
    if (!same)
        return lapse_fail(error, LAPSE_BAD_INPUT, "the store's zone is %s: it is fixed when it is made",
                          store->zone_name);
    return LAPSE_OK;
}

/* ---- opening and closing -------------------------------------------------------------------------------------------- */

static void destroy(struct lapse_store *store)
{
    lapse_allocator mem = store->mem;
    lapse_merging_forget(store);
    lapse_manifest_release(store->manifest);
    for (size_t i = 0; i < store->dropped_count; i++)
        lapse_run_release(store->dropped[i]);
    lapse_mem_free(&mem, store->dropped);
    lapse_tombs_release(store->tombs);
    lapse_file_close(store->file);
    lapse_cache_free(store->cache);
    lapse_bloom_free(&mem, store->bloom);
    lapse_lock_free(&mem, store->writer);
    lapse_lock_free(&mem, store->guard);
    lapse_mem_free(&mem, (void *)(uintptr_t)store->zone.starts);
    lapse_mem_free(&mem, store);
}

void lapse_store_retain(struct lapse_store *store)
{
    atomic_fetch_add(&store->owners, 1);
}

void lapse_store_close(lapse_store *store)
{
    if (store && atomic_fetch_sub(&store->owners, 1) == 1)
        destroy(store);
}

struct lapse_store *lapse_store_new(const lapse_allocator *mem, lapse_error *error)
{
    struct lapse_store *store = lapse_mem_zero(mem, 1, sizeof *store);
    if (store) {
        store->mem = *mem;
        store->memory_limit = defaults.memory_limit;
        store->limits = lapse_merging_defaults;
        store->process = getpid();
        store->writer = lapse_lock_new(mem);
        store->guard = lapse_lock_new(mem);
        store->cache = lapse_cache_new(mem);
        atomic_init(&store->owners, 1);
    }
    if (store && store->writer && store->guard && store->cache)
        return store;
    lapse_store_close(store);
    lapse_fail_memory(error);
    return NULL;
}

void lapse_store_keep_blocks(struct lapse_store *store, bool on)
{
    lapse_cache_limit(store->cache, on ? (size_t)store->memory_limit / 2 : 0);
}

void lapse_store_erased(struct lapse_store *store, int64_t count)
{
    if (atomic_exchange(&store->erased, count) != count)
        lapse_cache_clear(store->cache);
}

static lapse_status open_store(struct lapse_store *store, const char *path, const lapse_store_options *o,
                               lapse_error *error)
{
    bool made = false;
    lapse_error why = { .size = sizeof why };
    struct lapse_manifest *m = NULL;
    lapse_status status = lapse_file_open(&store->mem, path, o, &made, &store->file, error);
    if (status == LAPSE_OK && made)
        status = write_values(store, o, path != NULL, error);
    if (status == LAPSE_OK && made)
        status = lapse_file_commit(store->file, error);
    if (status != LAPSE_OK)
        return status;
    status = lapse_store_read_values(store, &why);
    if (status == LAPSE_OK && !made)
        status = agree(store, o, &why);
    if (status == LAPSE_OK)
        status = lapse_store_manifest(store, &m, &why); /* a damaged directory is told now */
    lapse_manifest_release(m);
    if (status == LAPSE_DAMAGED && o->flags & LAPSE_STORE_VERIFY) {
        store->unsound = true;
        store->digits = o->digits; /* the host may know them */
        return LAPSE_OK;
    }
    if (status != LAPSE_OK)
        return lapse_fail_again(error, &why);
    return !made && !lapse_file_read_only(store->file) ? lapse_store_sweep(store, error) : LAPSE_OK;
}

lapse_status lapse_store_open(const char *path, const lapse_store_options *options, lapse_store **out,
                              lapse_error *error)
{
    lapse_store_options o = defaults;
    lapse_allocator mem;
    if (!out)
        return lapse_fail(error, LAPSE_INVALID, "out is NULL");
    *out = NULL;
    lapse_status status = options ? lapse_options_read(&o, sizeof o, options, oldest, "lapse_store_options", error)
                                  : LAPSE_OK;
    if (status == LAPSE_OK)
        status = check_options(&o, error);
    if (status == LAPSE_OK)
        status = lapse_mem_init(&mem, o.allocator, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_store *store = lapse_store_new(&mem, error);
    if (!store)
        return LAPSE_NO_MEMORY;
    store->memory_limit = o.memory_limit;
    lapse_store_keep_blocks(store, true);
    if (o.flags & LAPSE_STORE_VERIFY)
        o.flags |= LAPSE_STORE_READ_ONLY;
    atomic_init(&store->erased, 0);
    status = open_store(store, path, &o, error);
    if (status != LAPSE_OK) {
        destroy(store);
        return status;
    }
    *out = store;
    return LAPSE_OK;
}

lapse_status lapse_store_check_handle(const struct lapse_store *store, lapse_error *error)
{
    if (!store)
        return lapse_fail(error, LAPSE_INVALID, "the store is NULL");
    if (store->process != getpid())
        return lapse_fail(error, LAPSE_FORKED, "this handle was made before fork: open the store again");
    return LAPSE_OK;
}

lapse_status lapse_store_check(const struct lapse_store *store, lapse_error *error)
{
    lapse_status status = lapse_store_check_handle(store, error);
    if (status == LAPSE_OK && store->unsound)
        return lapse_fail(error, LAPSE_DAMAGED, "the store is damaged: lapse_store_verify() tells where");
    return status;
}

void lapse_store_check_of(const struct lapse_store *store, int64_t received_at, const lapse_policy *policy,
                          struct lapse_check *check)
{
    struct lapse_setting_value skew = lapse_policy_value(policy, LAPSE_SET_IMPORT_SKEW);
    *check = (struct lapse_check){ .latest = received_at, .key = store->key, .key_size = sizeof store->key,
                                   .digits = store->digits };
    if (received_at != INT64_MAX)
        check->latest = lapse_zone_add(&store->zone, received_at, skew.n, skew.unit);
}

lapse_status lapse_counts_give(lapse_counts *theirs, const lapse_counts *ours, lapse_error *error)
{
    if (!theirs)
        return LAPSE_OK;
    uint32_t size = theirs->size;
    if (size < sizeof *ours || size > 4096)
        return lapse_fail(error, LAPSE_INVALID, "lapse_counts: its size is not set");
    memset(theirs, 0, size);
    memcpy(theirs, ours, sizeof *ours);
    theirs->size = size;
    return LAPSE_OK;
}

/* ---- what a store is ------------------------------------------------------------------------------------------------- */

int32_t lapse_store_digits(const lapse_store *store)
{
    return store ? store->digits : 0;
}

lapse_status lapse_store_time(const lapse_store *store, const char *text, int64_t *out, lapse_error *error)
{
    lapse_status status = lapse_store_check(store, error);
    return status == LAPSE_OK ? lapse_time_parse(text, store->zone.count, store->zone.starts, store->zone.offsets, out,
                                                 error)
                              : status;
}

lapse_status lapse_store_question(struct lapse_store *store, const void *answer, struct lapse_manifest **out,
                                  lapse_error *error)
{
    lapse_status status = lapse_store_check(store, error);
    if (status == LAPSE_OK && !answer)
        status = lapse_fail(error, LAPSE_INVALID, "out is NULL");
    return status == LAPSE_OK ? lapse_store_manifest(store, out, error) : status;
}

lapse_status lapse_store_default_instant(lapse_store *store, int64_t *out, lapse_error *error)
{
    struct lapse_manifest *m;
    int64_t last = INT64_MIN;
    lapse_status status = lapse_store_question(store, out, &m, error);
    if (status != LAPSE_OK)
        return status;
    for (size_t i = 0; i < m->count; i++)
        if (m->runs[i]->family == LAPSE_RUN_EVENTS && m->runs[i]->last_time > last)
            last = m->runs[i]->last_time;
    lapse_manifest_release(m);
    if (last == INT64_MIN)
        return lapse_fail(error, LAPSE_NOT_FOUND, "the store has no events");
    *out = lapse_zone_day_start(&store->zone, lapse_zone_day(&store->zone, last) + 1);
    return LAPSE_OK;
}
