/* Commits: staged runs become published ones in one small transaction, which folds the tail now and then (merging.c).
 *
 * Runs that were merged away keep their blocks until no manifest names them any more; the next commit deletes those.
 * What a crash leaves of this is swept when the store is opened for writing. */
#include "store/telling.h"

/* Ids of the blocks that no run of the manifest has. */
static lapse_status find_left(struct lapse_store *store, const struct lapse_manifest *m, int64_t **left, size_t *count,
                              lapse_error *error)
{
    size_t n;
    int64_t *ids = lapse_runs_ids(&store->mem, m->runs, m->count, &n);
    lapse_status status = ids ? lapse_file_other_blocks(store->file, ids, n, left, count, error) : lapse_fail_memory(error);
    lapse_mem_free(&store->mem, ids);
    return status;
}

/* In a transaction: deletes them. */
static lapse_status drop_left(struct lapse_store *store, const struct lapse_manifest *m, lapse_error *error)
{
    int64_t *left = NULL;
    size_t count = 0;
    lapse_status status = find_left(store, m, &left, &count, error);
    if (status == LAPSE_OK)
        status = lapse_file_drop_blocks(store->file, left, count, error);
    lapse_mem_free(&store->mem, left);
    return status;
}

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

/* The manifest with what a change adds and without what it takes; takes over no references. */
static struct lapse_manifest *next_manifest(const struct lapse_manifest *m, const struct lapse_change *c)
{
    struct lapse_manifest *next = lapse_manifest_new(m->mem, m->count + c->added_count);
    if (!next)
        return NULL;
    next->version = m->version;
    next->count = 0;
    for (size_t i = 0; i < m->count + c->added_count; i++) {
        struct lapse_run *run = i < m->count ? m->runs[i] : c->added[i - m->count];
        bool keep = true;
        for (size_t r = 0; r < c->removed_count; r++)
            keep = keep && run != c->removed[r];
        if (!keep)
            continue;
        lapse_run_retain(run);
        next->runs[next->count++] = run;
    }
    lapse_manifest_settle(next);
    return next;
}

/* Blocks of runs that are taken off the list wait in `dropped` until no view reads them, unless the change erases. */
lapse_status lapse_change_publish(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_change *c,
                                  lapse_error *error)
{
    size_t swept = c->erases ? store->dropped_count : 0, kept = c->erases ? 0 : c->removed_count;
    lapse_status status = c->erases ? LAPSE_OK : sweep_dropped(store, &swept, error);
    for (size_t i = 0; i < c->added_count && status == LAPSE_OK; i++)
        status = lapse_run_save(c->added[i], error);
    for (size_t i = 0; i < c->removed_count && status == LAPSE_OK; i++)
        status = lapse_file_drop_run(store->file, c->removed[i]->id, error);
    struct lapse_manifest *next = NULL;
    if (status == LAPSE_OK) {
        next = next_manifest(m, c);
        status = next ? lapse_file_set_digest(store->file, lapse_manifest_digest(next), error)
                      : lapse_fail_memory(error);
    }
    if (status == LAPSE_OK && c->erases)
        status = drop_left(store, next, error);
    if (status == LAPSE_OK) {
        bool room = lapse_mem_reserve(&store->mem, &store->dropped, &store->dropped_capacity,
                                      store->dropped_count + kept, sizeof(struct lapse_run *));
        status = room ? lapse_file_commit(store->file, error) : lapse_fail_memory(error);
    }
    if (status != LAPSE_OK) {
        lapse_manifest_release(next);
        lapse_file_rollback(store->file);
        return status;
    }
    forget_dropped(store, swept);
    for (size_t i = 0; i < kept; i++) {
        lapse_run_retain(c->removed[i]);
        store->dropped[store->dropped_count++] = c->removed[i];
    }
    lapse_lock_take(store->guard);
    lapse_manifest_release(store->manifest);
    store->manifest = next;
    lapse_store_erased(store, next->erased);
    lapse_lock_give(store->guard);
    return LAPSE_OK;
}

lapse_status lapse_store_publish(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_run **added,
                                 size_t added_count, struct lapse_run **removed, size_t removed_count,
                                 lapse_error *error)
{
    struct lapse_change c = { .added = added, .added_count = added_count, .removed = removed,
                              .removed_count = removed_count };
    return lapse_change_publish(store, m, &c, error);
}

/* ---- commits -------------------------------------------------------------------------------------------------- */

lapse_status lapse_change_begin(struct lapse_store *store, const struct lapse_manifest *m, size_t more,
                                struct lapse_change *c, lapse_error *error)
{
    size_t all = m->count + more + LAPSE_FAMILIES;
    *c = (struct lapse_change){ .added = lapse_mem_zero(&store->mem, 3 * all, sizeof(struct lapse_run *)) };
    if (!c->added)
        return lapse_fail_memory(error);
    c->removed = c->added + all;
    c->tail = c->removed + all;
    return LAPSE_OK;
}

void lapse_change_end(struct lapse_store *store, struct lapse_change *c)
{
    for (int f = 0; f < LAPSE_FAMILIES; f++)
        lapse_run_release(c->folded[f]);
    lapse_mem_free(&store->mem, c->added);
}

/* When that fails the commit goes on as it is, unless SQLite has ended the transaction. */
lapse_status lapse_change_fold(struct lapse_store *store, const struct lapse_manifest *m, int family,
                               struct lapse_change *c, lapse_error *error)
{
    struct lapse_run **folded = &c->folded[family];
    size_t n = lapse_tail_choose(store, m, family, c->added, c->added_count, c->tail), kept = 0;
    for (size_t i = 0; i < c->removed_count; i++) /* the tail may be about to become shorter: another time */
        n = c->removed[i]->family == family ? 0 : n;
    if (n == 0 || store->damaged)
        return LAPSE_OK;
    lapse_status status = lapse_runs_merge(store, c->tail, n, NULL, NULL, NULL, folded, NULL);
    store->damaged |= status == LAPSE_DAMAGED;
    if (status != LAPSE_OK && lapse_file_in_transaction(store->file))
        return LAPSE_OK;
    if (status != LAPSE_OK)
        return status == LAPSE_NO_MEMORY ? lapse_fail_memory(error)
                                         : lapse_fail(error, status, "the store's file: writing failed");
    for (size_t t = 0; t < n; t++) {
        if (c->tail[t]->id) {
            c->removed[c->removed_count++] = c->tail[t];
            continue;
        }
        lapse_run_drop_blocks(c->tail[t], NULL);
        for (size_t i = kept = 0; i < c->added_count; i++)
            if (c->added[i] != c->tail[t])
                c->added[kept++] = c->added[i];
        c->added_count = kept;
    }
    c->added[c->added_count++] = *folded;
    return LAPSE_OK;
}

lapse_status lapse_store_replace(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_run *const *added,
                                 size_t added_count, struct lapse_run *const *removed, size_t removed_count,
                                 lapse_error *error)
{
    struct lapse_change c;
    lapse_status status = lapse_change_begin(store, m, added_count, &c, error);
    if (status != LAPSE_OK)
        return status;
    for (; c.added_count < added_count; c.added_count++)
        c.added[c.added_count] = added[c.added_count];
    for (; c.removed_count < removed_count; c.removed_count++)
        c.removed[c.removed_count] = removed[c.removed_count];
    for (int f = 0; f < LAPSE_FAMILIES && status == LAPSE_OK; f++)
        status = lapse_change_fold(store, m, f, &c, error);
    if (status == LAPSE_OK)
        status = lapse_change_publish(store, m, &c, error);
    lapse_change_end(store, &c);
    return status;
}

/* `runs`: what is left of each staged run, then the run of fingerprints; NULL where there is none. With them go those whom
 * this touches, and the index of addresses. */
static lapse_status publish_change(struct lapse_commit *commit, const struct lapse_manifest *m, struct lapse_run **runs,
                                   lapse_error *error)
{
    struct lapse_store *store = commit->store;
    struct lapse_run *touched = NULL, **index = NULL, **added = NULL;
    size_t n = 0, index_count = 0;
    for (size_t i = 0; i <= commit->staged_count; i++)
        n += runs[i] && runs[i]->rows;
    if (commit->flags & LAPSE_IMPORT_DRY_RUN || n == 0) {
        lapse_file_rollback(store->file);
        return LAPSE_OK;
    }
    lapse_status status = lapse_addresses_make(store, runs, commit->staged_count, &index, &index_count, error);
    if (status == LAPSE_OK)
        status = lapse_touched_of(store, m, runs, commit->staged_count, &touched, error);
    if (status == LAPSE_OK && !(added = lapse_mem_zero(&store->mem, n + index_count + 1, sizeof *added)))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK) {
        n = 0;
        for (size_t i = 0; i <= commit->staged_count; i++)
            if (runs[i] && runs[i]->rows)
                added[n++] = runs[i];
        for (size_t i = 0; i < index_count; i++)
            added[n++] = index[i];
        if (touched)
            added[n++] = touched;
        status = lapse_store_replace(store, m, added, n, NULL, 0, error);
    }
    for (size_t i = 0; i < index_count; i++)
        lapse_run_release(index[i]);
    lapse_mem_free(&store->mem, index);
    lapse_run_release(touched);
    lapse_mem_free(&store->mem, added);
    return status;
}

static lapse_status publish_commit(struct lapse_store *store, struct lapse_commit *commit,
                                   const struct lapse_manifest *m, lapse_error *error)
{
    size_t staged = commit->staged_count;
    struct lapse_run **events = lapse_mem_zero(&store->mem, staged + 1, sizeof(struct lapse_run *));
    if (!events)
        return lapse_fail_memory(error);
    lapse_status status = lapse_identity_resolve(commit, m, events, &events[staged], error);
    if (status == LAPSE_OK && commit->resolved)
        status = commit->resolved(commit->user, error);
    if (status == LAPSE_OK)
        status = lapse_commit_go_on(commit, error);
    for (size_t i = 0; i < staged; i++)
        if (events[i])
            events[i]->family = LAPSE_RUN_EVENTS;
    if (status == LAPSE_OK)
        status = publish_change(commit, m, events, error);
    for (size_t i = 0; i <= staged; i++)
        lapse_run_release(events[i]);
    lapse_mem_free(&store->mem, events);
    return status;
}

lapse_status lapse_store_commit(struct lapse_store *store, struct lapse_commit *commit,
                                lapse_status (*fill)(void *user, struct lapse_commit *commit, lapse_error *error),
                                void *user, lapse_error *error)
{
    struct lapse_manifest *m = NULL;
    if (!lapse_crew_new(&store->mem, commit->threads, &commit->crew))
        return lapse_fail_memory(error);
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
    if (status == LAPSE_OK && !(commit->flags & LAPSE_IMPORT_DRY_RUN))
        lapse_merging_share(store, commit->counts->accepted, commit->crew);
    lapse_lock_give(store->writer);
    lapse_crew_free(commit->crew);
    commit->crew = NULL;
    return status;
}

lapse_status lapse_store_sweep(struct lapse_store *store, lapse_error *error)
{
    struct lapse_manifest *m = NULL;
    int64_t *left = NULL;
    size_t count = 0;
    lapse_status status = lapse_store_manifest(store, &m, error);
    if (status == LAPSE_OK)
        status = find_left(store, m, &left, &count, error);
    lapse_manifest_release(m);
    lapse_mem_free(&store->mem, left);
    if (status != LAPSE_OK || count == 0)
        return status;
    /* Looked at again inside the transaction: what was left may be what another writer has just published. */
    m = NULL;
    lapse_error why = { .size = sizeof why };
    status = lapse_file_begin(store->file, &why);
    if (status == LAPSE_BUSY)
        return LAPSE_OK; /* another time */
    if (status != LAPSE_OK)
        lapse_fail_again(error, &why);
    if (status == LAPSE_OK)
        status = lapse_store_manifest(store, &m, error);
    if (status == LAPSE_OK)
        status = drop_left(store, m, error);
    if (status == LAPSE_OK)
        status = lapse_file_commit(store->file, error);
    if (status != LAPSE_OK)
        lapse_file_rollback(store->file);
    lapse_manifest_release(m);
    return status;
}
