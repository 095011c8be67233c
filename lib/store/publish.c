/* Commits: staged runs become published ones in one small transaction, and runs are merged so that they stay few.
 *
 * Runs that were merged away keep their blocks until no manifest names them any more; the next commit deletes those.
 * What a crash leaves of this is swept when the store is opened for writing. */
#include "store/store.h"

enum { RUNS = 8 }; /* of a family before some are merged */

/* Deletes blocks of runs that only `dropped` still knows. In a transaction. */
static lapse_status sweep_dropped(struct lapse_store *store, size_t *swept, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    *swept = 0;
    for (size_t i = 0; i < store->dropped_count && status == LAPSE_OK; i++) {
        struct lapse_run *run = store->dropped[i];
        if (atomic_load(&run->owners) > 1)
            continue;
        status = lapse_run_drop_blocks(run, error);
        store->dropped[i] = store->dropped[*swept];
        store->dropped[(*swept)++] = run;
    }
    return status;
}

/* After the commit: the first `swept` are gone. */
static void forget_dropped(struct lapse_store *store, size_t swept)
{
    for (size_t i = 0; i < swept; i++)
        lapse_run_release(store->dropped[i]);
    store->dropped_count -= swept;
    if (swept)
        memmove(store->dropped, store->dropped + swept, store->dropped_count * sizeof store->dropped[0]);
}

/* The manifest with `added` and without `removed`; takes over no references. */
static struct lapse_manifest *next_manifest(const struct lapse_manifest *m, struct lapse_run *const *added,
                                            size_t added_count, struct lapse_run *const *removed, size_t removed_count)
{
    struct lapse_manifest *next = lapse_manifest_new(m->mem, m->count + added_count);
    if (!next)
        return NULL;
    next->version = m->version;
    next->count = 0;
    for (size_t i = 0; i < m->count + added_count; i++) {
        struct lapse_run *run = i < m->count ? m->runs[i] : added[i - m->count];
        bool keep = true;
        for (size_t r = 0; r < removed_count; r++)
            keep = keep && run != removed[r];
        if (!keep)
            continue;
        lapse_run_retain(run);
        next->runs[next->count++] = run;
    }
    return next;
}

/* Saves the runs' directories and commits; then everybody sees them. In a transaction, which is ended. */
static lapse_status publish(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_run **added,
                            size_t added_count, struct lapse_run **removed, size_t removed_count, lapse_error *error)
{
    size_t swept = 0;
    lapse_status status = sweep_dropped(store, &swept, error);
    for (size_t i = 0; i < added_count && status == LAPSE_OK; i++)
        status = lapse_run_save(added[i], error);
    for (size_t i = 0; i < removed_count && status == LAPSE_OK; i++)
        status = lapse_file_drop_run(store->file, removed[i]->id, error);
    struct lapse_manifest *next = NULL;
    if (status == LAPSE_OK) {
        next = next_manifest(m, added, added_count, removed, removed_count);
        status = next ? lapse_file_set_digest(store->file, lapse_manifest_digest(next), error)
                      : lapse_fail_memory(error);
    }
    if (status == LAPSE_OK) {
        bool room = lapse_mem_reserve(&store->mem, &store->dropped, &store->dropped_capacity,
                                      store->dropped_count + removed_count, sizeof(struct lapse_run *));
        status = room ? lapse_file_commit(store->file, error) : lapse_fail_memory(error);
    }
    if (status != LAPSE_OK) {
        lapse_manifest_release(next);
        lapse_file_rollback(store->file);
        return status;
    }
    forget_dropped(store, swept);
    for (size_t i = 0; i < removed_count; i++) {
        lapse_run_retain(removed[i]);
        store->dropped[store->dropped_count++] = removed[i];
    }
    lapse_lock_take(store->guard);
    lapse_manifest_release(store->manifest);
    store->manifest = next;
    lapse_lock_give(store->guard);
    return LAPSE_OK;
}

/* ---- merging ------------------------------------------------------------------------------------------------ */

static int order_rows(const void *user, uint32_t a, uint32_t b)
{
    struct lapse_run *const *runs = user;
    return (runs[a]->rows > runs[b]->rows) - (runs[a]->rows < runs[b]->rows);
}

/* Of the runs of a family those to merge now: the smallest, and on while the next is at most twice their sum. So a
 * row is merged as often as the logarithm of the rows. Puts them first in `runs` and returns how many. */
static size_t choose(const lapse_allocator *mem, struct lapse_run **runs, size_t n)
{
    if (n <= RUNS)
        return 0;
    uint32_t *order = lapse_mem_alloc(mem, 2 * n * sizeof *order);
    struct lapse_run **copy = lapse_mem_alloc(mem, n * sizeof(struct lapse_run *));
    size_t chosen = 0;
    if (order && copy) {
        for (size_t i = 0; i < n; i++)
            order[i] = (uint32_t)i;
        lapse_sort_indices(order, n, order + n, order_rows, runs);
        memcpy(copy, runs, n * sizeof *copy);
        int64_t sum = 0;
        bool open = true;
        for (size_t i = 0; i < n; i++) {
            runs[i] = copy[order[i]];
            open = open && (i < 2 || runs[i]->rows / 2 <= sum);
            sum += runs[i]->rows;
            chosen += open;
        }
    }
    lapse_mem_free(mem, order);
    lapse_mem_free(mem, copy);
    return chosen;
}

static lapse_status write_chunk(struct lapse_run_writer *writer, const struct lapse_chunk *chunk, lapse_error *error)
{
    size_t given = 0; /* rows handed over */
    lapse_status status = LAPSE_OK;
    for (size_t k = 0; k < chunk->keys && status == LAPSE_OK; k++)
        for (size_t end = chunk->start[k + 1], at = chunk->start[k], fit; at < end && status == LAPSE_OK; at += fit) {
            status = lapse_run_writer_key(writer, chunk->text[k], end - at, &fit, error);
            if (status == LAPSE_OK && fit < end - at) { /* the block is full */
                status = lapse_run_writer_rows(writer, chunk->columns, LAPSE_ALL_FIELDS,
                                               chunk->order ? chunk->order + given : NULL, chunk->first + given, error);
                given = at + fit;
            }
        }
    return status == LAPSE_OK ? lapse_run_writer_rows(writer, chunk->columns, LAPSE_ALL_FIELDS,
                                                      chunk->order ? chunk->order + given : NULL,
                                                      chunk->first + given, error)
                              : status;
}

/* One run of all rows of `runs`. In a transaction. */
static lapse_status merge(struct lapse_store *store, struct lapse_run **runs, size_t n, struct lapse_run **out,
                          lapse_error *error)
{
    struct lapse_merge *merge;
    struct lapse_run_writer writer;
    const struct lapse_chunk *chunk;
    *out = NULL;
    lapse_status status = lapse_merge_open(store, runs, n, LAPSE_ALL_FIELDS, NULL, NULL, &merge, error);
    if (status != LAPSE_OK)
        return status;
    status = lapse_run_writer_open(&writer, store, runs[0]->family, error);
    while (status == LAPSE_OK && (status = lapse_merge_chunk(merge, &chunk, error)) == LAPSE_OK)
        status = write_chunk(&writer, chunk, error);
    status = status == LAPSE_DONE ? lapse_run_writer_finish(&writer, out, error) : status;
    lapse_run_writer_abort(&writer);
    lapse_merge_close(merge);
    return status;
}

/* With the writer lock held. */
static lapse_status merge_family(struct lapse_store *store, int family, lapse_error *error)
{
    struct lapse_manifest *m = NULL;
    lapse_status status = lapse_store_manifest(store, &m, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_run **runs = lapse_mem_zero(&store->mem, m->count + 1, sizeof(struct lapse_run *)), *merged = NULL;
    size_t n = runs ? choose(&store->mem, runs, lapse_manifest_family(m, family, runs)) : 0;
    if (n) {
        status = lapse_file_begin(store->file, error);
        if (status == LAPSE_OK) {
            status = merge(store, runs, n, &merged, error);
            if (status == LAPSE_OK)
                status = publish(store, m, &merged, 1, runs, n, error);
            else
                lapse_file_rollback(store->file);
        }
        lapse_run_release(merged);
    }
    lapse_mem_free(&store->mem, runs);
    lapse_manifest_release(m);
    return runs ? status : lapse_fail_memory(error);
}

/* ---- commits -------------------------------------------------------------------------------------------------- */

static lapse_status publish_commit(struct lapse_store *store, struct lapse_commit *commit,
                                   const struct lapse_manifest *m, lapse_error *error)
{
    struct lapse_run *events = NULL, *fingerprints = NULL;
    lapse_status status = lapse_identity_resolve(commit, m, &events, &fingerprints, error);
    if (status != LAPSE_OK)
        return status;
    if (commit->resolved)
        status = commit->resolved(commit->user, error);
    if (status == LAPSE_OK)
        status = lapse_commit_go_on(commit, error);
    struct lapse_run **added = lapse_mem_zero(&store->mem, commit->staged_count + 2, sizeof(struct lapse_run *));
    size_t n = 0;
    if (status == LAPSE_OK && !added)
        status = lapse_fail_memory(error);
    for (size_t i = 0; i < commit->staged_count && status == LAPSE_OK; i++) {
        if (events) {
            status = lapse_run_drop_blocks(commit->staged[i], error);
            continue;
        }
        commit->staged[i]->family = LAPSE_RUN_EVENTS;
        added[n++] = commit->staged[i];
    }
    if (status == LAPSE_OK && events && events->rows)
        added[n++] = events;
    if (status == LAPSE_OK && fingerprints && fingerprints->rows)
        added[n++] = fingerprints;
    if (status == LAPSE_OK) {
        if (commit->flags & LAPSE_IMPORT_DRY_RUN || n == 0)
            lapse_file_rollback(store->file);
        else
            status = publish(store, m, added, n, NULL, 0, error);
    }
    lapse_mem_free(&store->mem, added);
    lapse_run_release(events);
    lapse_run_release(fingerprints);
    return status;
}

lapse_status lapse_store_commit(struct lapse_store *store, struct lapse_commit *commit,
                                lapse_status (*fill)(void *user, struct lapse_commit *commit, lapse_error *error),
                                void *user, lapse_error *error)
{
    struct lapse_manifest *m = NULL;
    lapse_lock_take(store->writer);
    lapse_status status = lapse_file_begin(store->file, error);
    if (status == LAPSE_OK) {
        /* Read inside the transaction: nobody else can publish until it ends. */
        status = lapse_store_manifest(store, &m, error);
        if (status == LAPSE_OK)
            status = fill(user, commit, error);
        if (status == LAPSE_OK)
            status = publish_commit(store, commit, m, error);
        if (status != LAPSE_OK)
            lapse_file_rollback(store->file);
        lapse_manifest_release(m);
    }
    /* What was committed stays committed when merging fails; the next commit tries again. */
    if (status == LAPSE_OK && !(commit->flags & LAPSE_IMPORT_DRY_RUN)) {
        merge_family(store, LAPSE_RUN_EVENTS, NULL);
        merge_family(store, LAPSE_RUN_FINGERPRINTS, NULL);
    }
    lapse_lock_give(store->writer);
    return status;
}

static int order_ids(const void *user, uint32_t a, uint32_t b)
{
    const int64_t *id = user;
    return (id[a] > id[b]) - (id[a] < id[b]);
}

/* Ids of the blocks that no run of this moment has. */
static lapse_status find_left(struct lapse_store *store, int64_t **left, size_t *count, lapse_error *error)
{
    struct lapse_manifest *m = NULL;
    size_t n = 0, k = 0;
    lapse_status status = lapse_store_manifest(store, &m, error);
    if (status != LAPSE_OK)
        return status;
    for (size_t i = 0; i < m->count; i++)
        n += m->runs[i]->block_count;
    int64_t *ids = lapse_mem_alloc(&store->mem, (2 * n + 1) * sizeof *ids), *ascending = ids + n;
    uint32_t *order = lapse_mem_alloc(&store->mem, (2 * n + 1) * sizeof *order);
    if (ids && order) {
        for (size_t i = 0; i < m->count; i++)
            for (size_t b = 0; b < m->runs[i]->block_count; b++, k++) {
                ids[k] = m->runs[i]->blocks[b].id;
                order[k] = (uint32_t)k;
            }
        lapse_sort_indices(order, n, order + n, order_ids, ids);
        for (size_t i = 0; i < n; i++)
            ascending[i] = ids[order[i]];
        status = lapse_file_other_blocks(store->file, ascending, n, left, count, error);
    } else {
        status = lapse_fail_memory(error);
    }
    lapse_mem_free(&store->mem, ids);
    lapse_mem_free(&store->mem, order);
    lapse_manifest_release(m);
    return status;
}

lapse_status lapse_store_sweep(struct lapse_store *store, lapse_error *error)
{
    int64_t *left = NULL;
    size_t count = 0;
    lapse_status status = find_left(store, &left, &count, error);
    lapse_mem_free(&store->mem, left);
    if (status != LAPSE_OK || count == 0)
        return status;
    /* Looked at again inside the transaction: what was left may be what another writer has just published. */
    left = NULL;
    status = lapse_file_begin(store->file, error);
    if (status == LAPSE_BUSY)
        return LAPSE_OK; /* another time */
    if (status == LAPSE_OK)
        status = find_left(store, &left, &count, error);
    if (status == LAPSE_OK)
        status = lapse_file_drop_blocks(store->file, left, count, error);
    if (status == LAPSE_OK)
        status = lapse_file_commit(store->file, error);
    if (status != LAPSE_OK)
        lapse_file_rollback(store->file);
    lapse_mem_free(&store->mem, left);
    return status;
}
