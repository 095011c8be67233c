/* lapse_store_compact(): one run of each family, and no free pages.
 *
 * Three transactions: the merged runs take the place of the others; blocks that no view of this process reads any more
 * are deleted; the file is written anew without its free pages. After each of them the store is whole. Cost: each row is
 * decoded and encoded once; what is in the file is written three to four times. */
#include "store/upkeep.h"

struct compact {
    struct lapse_store *store;
    struct lapse_upkeep upkeep;
    struct lapse_crew *crew;
    struct lapse_manifest *manifest;
    struct lapse_run **old;             /* those to be replaced; room for all of the manifest */
    size_t old_count;
    struct lapse_run *merged[LAPSE_FAMILIES];
    size_t merged_count;
};

static bool upgrades(const struct compact *c)
{
    return c->upkeep.options.flags & LAPSE_COMPACT_UPGRADE;
}

static lapse_status go_on(void *user, int64_t rows, lapse_error *error)
{
    return lapse_upkeep_go_on(user, rows, error);
}

/* In a transaction, which is ended. */
static lapse_status merge_all(struct compact *c, lapse_error *error)
{
    struct lapse_store *store = c->store;
    lapse_status status = lapse_store_manifest(store, &c->manifest, error);
    if (status == LAPSE_OK && !(c->old = lapse_mem_zero(&store->mem, c->manifest->count + 1, sizeof(struct lapse_run *))))
        status = lapse_fail_memory(error);
    for (size_t i = 0; status == LAPSE_OK && i < c->manifest->count; i++)
        c->upkeep.total += c->manifest->runs[i]->rows;
    if (status == LAPSE_OK)
        status = lapse_upkeep_go_on(&c->upkeep, 0, error);
    lapse_merging_abandon(store);
    for (int f = 0; f < LAPSE_FAMILIES && status == LAPSE_OK; f++) {
        struct lapse_run **runs = c->old + c->old_count;
        size_t n = lapse_manifest_family(c->manifest, f, runs);
        if (n < 2 && !(n && upgrades(c)))
            continue;
        c->old_count += n;
        status = lapse_runs_merge(store, runs, n, c->crew, go_on, &c->upkeep,
                                  &c->merged[c->merged_count], error);
        c->merged_count += status == LAPSE_OK;
    }
    if (status == LAPSE_OK && upgrades(c))
        status = lapse_file_upgrade(store->file, error);
    if (status == LAPSE_OK)
        status = lapse_upkeep_go_on(&c->upkeep, 0, error);
    if (status == LAPSE_OK && (c->merged_count || upgrades(c)))
        return lapse_store_publish(store, c->manifest, c->merged, c->merged_count, c->old, c->old_count, error);
    lapse_file_rollback(store->file);
    return status;
}

/* Deletes the blocks of runs that are merged away and that no view holds. */
static lapse_status drop_merged(struct compact *c, lapse_error *error)
{
    struct lapse_store *store = c->store;
    if (store->dropped_count == 0)
        return LAPSE_OK;
    lapse_status status = lapse_file_begin(store->file, error);
    if (status == LAPSE_OK)
        status = lapse_store_manifest(store, &c->manifest, error);
    if (status == LAPSE_OK)
        return lapse_store_publish(store, c->manifest, NULL, 0, NULL, 0, error);
    lapse_file_rollback(store->file);
    return status;
}

static void let_go(struct compact *c)
{
    lapse_manifest_release(c->manifest);
    c->manifest = NULL;
    lapse_mem_free(&c->store->mem, c->old);
    c->old = NULL;
    while (c->merged_count)
        lapse_run_release(c->merged[--c->merged_count]);
}

lapse_status lapse_store_compact(lapse_store *store, const lapse_upkeep_options *options, lapse_error *error)
{
    struct compact c = { .store = store };
    lapse_status status = lapse_store_check(store, error);
    if (status == LAPSE_OK)
        status = lapse_upkeep_begin(&c.upkeep, options, LAPSE_COMPACT_UPGRADE, error);
    if (status == LAPSE_OK && !lapse_crew_new(&store->mem, c.upkeep.options.threads, &c.crew))
        status = lapse_fail_memory(error);
    if (status != LAPSE_OK)
        return status;
    lapse_lock_take(store->writer);
    status = lapse_file_begin(store->file, error);
    if (status == LAPSE_OK)
        status = merge_all(&c, error);
    lapse_crew_free(c.crew);
    let_go(&c);
    if (status == LAPSE_OK)
        status = drop_merged(&c, error);
    let_go(&c);
    if (status == LAPSE_OK)
        status = lapse_file_shrink(store->file, &c.upkeep, error);
    lapse_lock_give(store->writer);
    return status;
}
