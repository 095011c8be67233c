/* lapse_store_verify(): everything that a store holds, read and checked.
 *
 * A store in a file is read through a connection of its own, in one transaction, so that what is compared belongs
 * together; one in memory is read while its writers wait. What is found damaged is noted, and the rest is looked at all
 * the same. Fingerprints and events are compared as sums of hashes, so memory does not grow with them. */
#include <stdarg.h>
#include <stdio.h>

#include "store/verify.h"
#include "table/table.h"

/* ---- notes ---------------------------------------------------------------------------------------------------- */

lapse_status lapse_verify_note(struct lapse_verify *v, lapse_error *error, const char *format, ...)
{
    char text[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    lapse_buffer_put(&v->notes, text, strlen(text) + 1);
    v->damages++;
    return v->notes.failed ? lapse_fail_memory(error) : LAPSE_OK;
}

/* A failure that means damage is noted, and the verification goes on. */
static lapse_status absorb(struct lapse_verify *v, lapse_status status, const lapse_error *why, lapse_error *error)
{
    if (status == LAPSE_DAMAGED)
        return lapse_verify_note(v, error, "%s", why->message);
    return status == LAPSE_OK ? LAPSE_OK : lapse_fail_again(error, why);
}

/* ---- pages, values, directories ---------------------------------------------------------------------------------- */

static lapse_status note_page(void *user, const char *text, lapse_error *error)
{
    return lapse_verify_note(user, error, "SQLite: %s", text);
}

static lapse_status check_value(void *user, const char *name, const void *data, size_t n, bool sound, lapse_error *error)
{
    struct lapse_verify *v = user;
    (void)data;
    (void)n;
    if (sound)
        return LAPSE_OK;
    v->lost_values = true;
    return lapse_verify_note(v, error, "the store's value named %s is damaged", name);
}

lapse_status lapse_verify_values(struct lapse_verify *v, lapse_error *error)
{
    lapse_error why = { .size = sizeof why };
    lapse_status status = absorb(v, lapse_file_values(v->store.file, check_value, v, &why), &why, error);
    if (status != LAPSE_OK || v->lost_values)
        return status;
    /* Their checksums are right; now what they say. */
    lapse_status read = lapse_store_read_values(&v->store, &why);
    v->lost_values = read != LAPSE_OK;
    return absorb(v, read, &why, error);
}

static lapse_status load_run(void *user, int64_t id, int family, const void *data, size_t n, lapse_error *error)
{
    struct lapse_verify *v = user;
    lapse_error why = { .size = sizeof why };
    struct lapse_run *run = lapse_run_new(&v->store, family);
    bool room = lapse_mem_reserve(&v->store.mem, &v->runs, &v->run_capacity, v->run_count + 1, sizeof(struct lapse_run *));
    if (!run || !room) {
        lapse_run_release(run);
        return lapse_fail_memory(error);
    }
    run->id = id;
    lapse_status status = lapse_run_load(run, data, n, &why);
    if (status == LAPSE_OK) {
        v->runs[v->run_count++] = run;
        v->upkeep.total += run->rows;
        return LAPSE_OK;
    }
    v->lost_runs = true;
    lapse_run_release(run);
    if (v->salvage && status == LAPSE_DAMAGED && family != LAPSE_RUN_FINGERPRINTS) { /* no other statement meanwhile */
        int64_t head[2] = { id, (int64_t)n };
        lapse_buffer_put(&v->directories, (const char *)head, sizeof head);
        lapse_buffer_put(&v->directories, data, n);
        if (v->directories.failed)
            return lapse_fail_memory(error);
    }
    return absorb(v, status, &why, error);
}

/* No block belongs to two runs. */
static lapse_status check_sharing(struct lapse_verify *v, lapse_error *error)
{
    size_t n;
    int64_t *ids = lapse_runs_ids(&v->store.mem, v->runs, v->run_count, &n);
    lapse_status status = ids ? LAPSE_OK : lapse_fail_memory(error);
    for (size_t i = 1; i < n && status == LAPSE_OK; i++)
        if (ids[i] == ids[i - 1])
            status = lapse_verify_note(v, error, "block %lld is listed twice", (long long)ids[i]);
    lapse_mem_free(&v->store.mem, ids);
    return status;
}

lapse_status lapse_verify_list(struct lapse_verify *v, lapse_error *error)
{
    uint64_t digest;
    lapse_error why = { .size = sizeof why };
    lapse_status status = lapse_file_runs(v->store.file, NULL, load_run, v, &digest, &why);
    bool read = status == LAPSE_OK;
    v->lost_runs |= !read;
    status = absorb(v, status, &why, error);
    if (status != LAPSE_OK || v->lost_runs)
        return status;
    struct lapse_manifest *m = lapse_manifest_new(&v->store.mem, v->run_count);
    if (!m)
        return lapse_fail_memory(error);
    for (size_t i = 0; i < v->run_count; i++) {
        lapse_run_retain(v->runs[i]);
        m->runs[i] = v->runs[i];
    }
    if (lapse_manifest_digest(m) != digest)
        status = lapse_verify_note(v, error, "the store's list of runs is damaged: one is lost, or there is one too many");
    lapse_manifest_release(m);
    return status == LAPSE_OK && !v->salvage ? check_sharing(v, error) : status;
}

/* An id that is given a second time would lead a reader who comes late to something else. */
static lapse_status check_ids(struct lapse_verify *v, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (int runs = 0; runs < 2 && status == LAPSE_OK; runs++) {
        int64_t used, given;
        lapse_error why = { .size = sizeof why };
        status = absorb(v, lapse_file_ids(v->store.file, runs != 0, &used, &given, &why), &why, error);
        if (status == LAPSE_OK && used > given)
            status = lapse_verify_note(v, error, "ids of %s would be given a second time", runs ? "runs" : "blocks");
    }
    return status;
}

/* ---- what belongs together across runs ------------------------------------------------------------------------------ */

static lapse_status check_identities(struct lapse_verify *v, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (int i = 0; i < 256 && status == LAPSE_OK; i++) {
        const struct lapse_identities *events = &v->identities[i][0], *prints = &v->identities[i][1];
        if (events->count != prints->count || events->sum != prints->sum)
            status = lapse_verify_note(v, error, "fingerprints that begin with %02x: there are %llu, which are not those of the "
                                       "%llu events with such an id", (unsigned)i, (unsigned long long)prints->count,
                                       (unsigned long long)events->count);
    }
    const struct lapse_identities *named = &v->addresses[0], *index = &v->addresses[1];
    if (status == LAPSE_OK && (named->count != index->count || named->sum != index->sum))
        status = lapse_verify_note(v, error, "the index of addresses has %llu rows, which are not those of the %llu events that "
                                   "name one", (unsigned long long)index->count, (unsigned long long)named->count);
    return status;
}

static lapse_status count_customers(struct lapse_verify *v, int64_t *out, lapse_error *error)
{
    struct lapse_merge *merge = NULL;
    const struct lapse_group *g;
    size_t n = 0;
    struct lapse_run **runs = lapse_mem_zero(&v->store.mem, v->run_count + 1, sizeof *runs);
    *out = 0;
    for (size_t i = 0; runs && i < v->run_count; i++)
        if (v->runs[i]->family == LAPSE_RUN_EVENTS)
            runs[n++] = v->runs[i];
    lapse_status status = runs ? lapse_merge_open(&v->store, runs, n, LAPSE_FIELD_BIT(LAPSE_F_TIME) |
                                                  LAPSE_FIELD_BIT(LAPSE_F_KIND), NULL, NULL, &merge, error)
                               : lapse_fail_memory(error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK) {
        ++*out;
        status = lapse_upkeep_go_on(&v->upkeep, g->count, error);
    }
    lapse_merge_close(merge);
    lapse_mem_free(&v->store.mem, runs);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

/* ---- the report ------------------------------------------------------------------------------------------------------ */

static void put(struct lapse_builder *b, const char *name, int64_t value, bool known)
{
    char text[32];
    lapse_builder_text(b, 0, name, strlen(name));
    lapse_builder_text(b, 1, text, known ? lapse_int_format(value, text) : 0);
}

static lapse_status report(struct lapse_verify *v, int64_t customers, bool counted, lapse_result **out, lapse_error *error)
{
    static const struct lapse_column_spec columns[] = { { "name", LAPSE_TYPE_STRING, 0 },
                                                        { "value", LAPSE_TYPE_STRING, 0 } };
    struct lapse_builder *b = lapse_builder_new(&v->store.mem, columns, 2, 4);
    lapse_table *table;
    put(b, "blocks", v->blocks, true);
    put(b, "events", v->events, true);
    put(b, "customers", customers, counted);
    put(b, "ok", v->damages == 0, true);
    lapse_status status = lapse_builder_finish(b, &table, error);
    if (status == LAPSE_OK)
        status = lapse_result_of_table(&v->store.mem, table, out, error);
    const char *at = v->notes.data, *end = at ? at + v->notes.size : at;
    for (; status == LAPSE_OK && at < end; at += strlen(at) + 1)
        if (lapse_result_add_note(*out, at, strlen(at)) != LAPSE_OK)
            status = lapse_fail_memory(error);
    if (status == LAPSE_OK && v->damages)
        return lapse_fail(error, LAPSE_DAMAGED, "%s", v->notes.data);
    if (status != LAPSE_OK) {
        lapse_result_free(*out);
        *out = NULL;
    }
    return status;
}

static lapse_status verify(struct lapse_verify *v, lapse_result **out, lapse_error *error)
{
    int64_t customers = 0;
    lapse_error why = { .size = sizeof why };
    lapse_status status = absorb(v, lapse_file_check_pages(v->store.file, note_page, v, &why), &why, error);
    if (status == LAPSE_OK)
        status = lapse_verify_values(v, error);
    if (status == LAPSE_OK)
        status = lapse_verify_list(v, error);
    if (status == LAPSE_OK)
        status = check_ids(v, error);
    v->upkeep.total *= 2;
    if (status == LAPSE_OK)
        status = lapse_upkeep_go_on(&v->upkeep, 0, error);
    for (size_t i = 0; i < v->run_count && status == LAPSE_OK; i++)
        status = lapse_verify_run(v, v->runs[i], error);
    /* What is lost cannot be compared or counted. */
    const bool whole = v->damages == 0;
    if (status == LAPSE_OK && whole)
        status = check_identities(v, error);
    if (status == LAPSE_OK && whole)
        status = lapse_verify_tellings(v, error);
    if (status == LAPSE_OK && whole)
        status = count_customers(v, &customers, error);
    return status == LAPSE_OK ? report(v, customers, whole, out, error) : status;
}

lapse_status lapse_verify_begin(struct lapse_store *store, const lapse_upkeep_options *options, struct lapse_verify **out,
                                lapse_error *error)
{
    struct lapse_upkeep upkeep;
    lapse_status status = lapse_upkeep_begin(&upkeep, options, 0, error);
    *out = NULL;
    if (status != LAPSE_OK)
        return status;
    struct lapse_verify *v = lapse_mem_zero(&store->mem, 1, sizeof *v);
    if (!v)
        return lapse_fail_memory(error);
    v->store.mem = store->mem;
    v->upkeep = upkeep;
    v->block[0].mem = v->block[1].mem = &v->store.mem;
    lapse_buffer_init(&v->block[0].bytes, &v->store.mem);
    lapse_buffer_init(&v->block[1].bytes, &v->store.mem);
    lapse_buffer_init(&v->notes, &v->store.mem);
    lapse_buffer_init(&v->scratch, &v->store.mem);
    lapse_buffer_init(&v->directories, &v->store.mem);
    if (lapse_file_name(store->file)) {
        status = lapse_file_open_snapshot(store->file, &v->store.file, error);
    } else {
        v->borrowed = store;
        lapse_lock_take(store->writer);
        v->store.file = store->file;
    }
    if (status == LAPSE_OK)
        *out = v;
    else
        lapse_verify_end(v);
    return status;
}

void lapse_verify_end(struct lapse_verify *v)
{
    if (!v)
        return;
    lapse_allocator mem = v->store.mem;
    while (v->run_count)
        lapse_run_release(v->runs[--v->run_count]);
    lapse_mem_free(&mem, v->runs);
    if (v->borrowed)
        lapse_lock_give(v->borrowed->writer);
    else
        lapse_file_close(v->store.file);
    lapse_block_free(&v->block[0]);
    lapse_block_free(&v->block[1]);
    lapse_buffer_free(&v->notes);
    lapse_buffer_free(&v->scratch);
    lapse_buffer_free(&v->directories);
    lapse_mem_free(&mem, (void *)(uintptr_t)v->store.zone.starts);
    lapse_mem_free(&mem, v);
}

lapse_status lapse_store_verify(lapse_store *store, const lapse_upkeep_options *options, lapse_result **out,
                                lapse_error *error)
{
    struct lapse_verify *v;
    lapse_status status = lapse_store_check_handle(store, error);
    if (status == LAPSE_OK && !out)
        status = lapse_fail(error, LAPSE_INVALID, "out is NULL");
    if (status != LAPSE_OK)
        return status;
    *out = NULL;
    status = lapse_verify_begin(store, options, &v, error);
    if (status == LAPSE_OK)
        status = verify(v, out, error);
    lapse_verify_end(v);
    return status;
}
