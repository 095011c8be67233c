/* Which runs are merged, and when.
 *
 * The tail: runs of less than a block. They are folded into one run, inside the commit that makes them too many, so
 * that a commit of one event is one small transaction. Cost: a row of the tail is written anew each time the tail is
 * folded, until it is in a run of a block or more.
 *
 * Larger runs: when more than `runs` are free, the smallest are merged, and on while the next is no larger than those
 * before it together. So run sizes are like binomial coefficients: a row is merged once or twice among 1,000 runs.
 * Such a merge goes on for a bounded number of rows after each commit, in a transaction of its own. Its finished blocks
 * are in the file but in no run; it is thrown away when the process ends, when another process commits (which may sweep
 * these blocks), or when a run it reads is no longer published. Where merges fall behind nevertheless, because every
 * process commits once only, one is done as a whole. */
#include "store/merging.h"

const struct lapse_merging_limits lapse_merging_defaults = {
    .small = LAPSE_BLOCK_ROWS,
    .tail_runs = 256,
    .tail_rows = 4 * LAPSE_BLOCK_ROWS,
    .runs = 48,
    .runs_behind = 64,
    .share = 8,
    .least_share = 32 * LAPSE_BLOCK_ROWS,
    .range = 8 * LAPSE_BLOCK_ROWS,
};

/* ---- the tail --------------------------------------------------------------------------------------------------- */

static bool is_small(const struct lapse_store *store, const struct lapse_run *run)
{
    return run->rows < store->limits.small;
}

size_t lapse_tail_choose(const struct lapse_store *store, const struct lapse_manifest *m, int family,
                         struct lapse_run *const *added, size_t added_count, struct lapse_run **out)
{
    size_t n = 0, published;
    int64_t rows = 0;
    bool adds = false;
    for (size_t i = 0; i < added_count; i++)
        adds |= added[i]->family == family;
    for (size_t i = 0; adds && i < m->count; i++)
        if (m->runs[i]->family == family && is_small(store, m->runs[i]))
            out[n++] = m->runs[i];
    published = n;
    for (size_t i = 0; i < added_count; i++)
        if (added[i]->family == family && is_small(store, added[i]))
            out[n++] = added[i];
    for (size_t i = 0; i < n; i++)
        rows += out[i]->rows;
    return published && (n > store->limits.tail_runs || rows > store->limits.tail_rows) ? n : 0;
}

/* ---- larger runs ------------------------------------------------------------------------------------------------ */

static void forget_merging(struct lapse_store *store, size_t i)
{
    lapse_merging_end(store->merging[i]);
    store->merging[i] = store->merging[--store->merging_count];
}

/* In a transaction: its blocks go with it. */
static void abandon(struct lapse_store *store, size_t i)
{
    lapse_merging_drop(store->merging[i]);
    forget_merging(store, i);
}

void lapse_merging_forget(struct lapse_store *store)
{
    while (store->merging_count)
        forget_merging(store, store->merging_count - 1);
}

void lapse_merging_abandon(struct lapse_store *store)
{
    while (store->merging_count)
        abandon(store, store->merging_count - 1);
}

static bool published(const struct lapse_manifest *m, const struct lapse_run *run)
{
    bool found = false;
    for (size_t i = 0; i < m->count && !found; i++)
        found = m->runs[i] == run;
    return found;
}

static void abandon_stale(struct lapse_store *store, const struct lapse_manifest *m)
{
    for (size_t i = store->merging_count; i-- > 0;) {
        const struct lapse_merging *g = store->merging[i];
        bool good = g->version == m->version;
        for (size_t r = 0; r < g->count && good; r++)
            good = published(m, g->runs[r]);
        if (!good)
            abandon(store, i);
    }
}

static bool being_merged(const struct lapse_store *store, const struct lapse_run *run)
{
    bool found = false;
    for (size_t i = 0; i < store->merging_count; i++)
        for (size_t r = 0; r < store->merging[i]->count; r++)
            found |= store->merging[i]->runs[r] == run;
    return found;
}

static int order_rows(const void *user, uint32_t a, uint32_t b)
{
    struct lapse_run *const *runs = user;
    return (runs[a]->rows > runs[b]->rows) - (runs[a]->rows < runs[b]->rows);
}

/* The larger runs of a family that no merge under way reads. */
static size_t free_runs(const struct lapse_store *store, const struct lapse_manifest *m, int family,
                        struct lapse_run **out)
{
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->runs[i]->family == family && !is_small(store, m->runs[i]) && !being_merged(store, m->runs[i]))
            out[n++] = m->runs[i];
    return n;
}

/* Of the free runs those to merge now: they become the first of `runs`, in the order of the manifest, which is most
 * often that of time. 0: none, or no memory. */
static size_t choose(const struct lapse_store *store, struct lapse_run **runs, size_t n)
{
    size_t chosen = 0, kept = 0;
    int64_t sum = 0, most = 0;
    uint32_t *order = n > store->limits.runs ? lapse_mem_alloc(&store->mem, 2 * n * sizeof *order) : NULL;
    if (!order)
        return 0;
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    lapse_sort_indices(order, n, order + n, order_rows, runs);
    for (; chosen < n && (chosen < 2 || runs[order[chosen]]->rows <= sum); chosen++) {
        most = runs[order[chosen]]->rows;
        sum += most;
    }
    for (size_t i = 0; i < n && kept < chosen; i++) /* of equally large ones it does not matter which */
        if (runs[i]->rows <= most)
            runs[kept++] = runs[i];
    lapse_mem_free(&store->mem, order);
    return kept;
}

static size_t smallest(const struct lapse_store *store)
{
    size_t least = 0;
    for (size_t i = 1; i < store->merging_count; i++)
        if (store->merging[i]->rows < store->merging[least]->rows)
            least = i;
    return least;
}

/* Merges up to *budget rows, the smallest merge first. In a transaction, which is ended when a run becomes whole: then
 * *ended. What fails is abandoned. */
static lapse_status go_on(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_crew *crew, int64_t *budget,
                          bool *ended)
{
    size_t i = smallest(store);
    struct lapse_merging *g = store->merging[i];
    struct lapse_run *merged = NULL;
    int64_t rows;
    lapse_status status = lapse_merging_go_on(g, crew, *budget, &rows, NULL);
    *budget -= rows;
    if (status == LAPSE_OK)
        return LAPSE_OK;
    if (status == LAPSE_DONE)
        status = lapse_merging_finish(g, &merged, NULL);
    if (status != LAPSE_OK)
        lapse_merging_drop(g);
    else {
        *ended = true;
        status = lapse_store_publish(store, m, &merged, 1, g->runs, g->count, NULL);
    }
    lapse_run_release(merged);
    forget_merging(store, i);
    return status;
}

/* Begins what should be merged; *behind: all of it is to be done now. */
static lapse_status begin(struct lapse_store *store, const struct lapse_manifest *m, struct lapse_crew *crew, bool *behind)
{
    struct lapse_run **runs = lapse_mem_zero(&store->mem, m->count + 1, sizeof(struct lapse_run *));
    lapse_status status = runs ? LAPSE_OK : LAPSE_NO_MEMORY;
    for (int f = 0; f < LAPSE_FAMILIES && status == LAPSE_OK && store->merging_count < LAPSE_MERGINGS; f++) {
        size_t free = free_runs(store, m, f, runs), n = choose(store, runs, free);
        *behind |= free > store->limits.runs_behind;
        if (n == 0)
            continue;
        status = lapse_merging_begin(store, runs, n, crew, &store->merging[store->merging_count], NULL);
        if (status == LAPSE_OK)
            store->merging[store->merging_count++]->version = m->version;
    }
    lapse_mem_free(&store->mem, runs);
    return status;
}

/* Is there anything to do? Looked at without a transaction, for most often there is not. */
static bool idle(struct lapse_store *store)
{
    struct lapse_manifest *m = NULL;
    size_t large[LAPSE_FAMILIES] = { 0 };
    bool some = store->merging_count > 0;
    if (store->merging_count == 0 && lapse_store_manifest(store, &m, NULL) == LAPSE_OK)
        for (size_t i = 0; i < m->count; i++)
            if (!is_small(store, m->runs[i]))
                some |= ++large[m->runs[i]->family] > store->limits.runs;
    lapse_manifest_release(m);
    return !some;
}

void lapse_merging_share(struct lapse_store *store, int64_t rows, struct lapse_crew *crew)
{
    int64_t budget = rows < INT64_MAX / store->limits.share ? rows * store->limits.share : INT64_MAX;
    budget = budget < store->limits.least_share ? store->limits.least_share : budget;
    lapse_status status = LAPSE_OK;
    while (status == LAPSE_OK && budget > 0 && !store->damaged && !idle(store)) {
        struct lapse_manifest *m = NULL;
        bool ended = false, behind = false;
        if (lapse_file_begin(store->file, NULL) != LAPSE_OK)
            return;
        status = lapse_store_manifest(store, &m, NULL);
        if (status == LAPSE_OK) {
            abandon_stale(store, m);
            status = begin(store, m, crew, &behind);
        }
        budget = behind ? INT64_MAX : budget;
        if (status == LAPSE_OK && store->merging_count)
            status = go_on(store, m, crew, &budget, &ended);
        store->damaged |= status == LAPSE_DAMAGED;
        if (!ended && lapse_file_commit(store->file, NULL) != LAPSE_OK) {
            lapse_file_rollback(store->file); /* and with it blocks that merges count on */
            lapse_merging_forget(store);
            status = LAPSE_IO;
        }
        lapse_manifest_release(m);
    }
}
