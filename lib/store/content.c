/* Which staged rows without id the store has already: those whose content it holds from the same source (rulings X6).
 *
 * The store holds of each content the largest number that one call had: staged and published rows are matched one to
 * one, in the canonical order in which both lie. A published row can only match one of its own time and source, so
 * most runs are ruled out by their directories. Where staged rows are few, filters tell which of them may lie in a run;
 * what lies before a filter's time, and more rows than are worth a question each, is looked for in the runs themselves.
 *
 * Cost: nothing where times are later than those of every run; else about 30 ns a row and a few for each run that
 * overlaps; a block read for each customer with rows before the filter's time, a pass over the runs at most. */
#include "store/identity.h"

static bool shares_source(const struct lapse_run *staged, const struct lapse_run *run)
{
    if (staged->many_sources)
        return run->source_count > 0 || run->many_sources;
    for (size_t s = 0; s < staged->source_count; s++)
        if (lapse_run_has_source(run, staged->sources[s]))
            return true;
    return false;
}

/* Could rows of the commit lie in a published run? */
static bool may_hold(const struct lapse_commit *commit, const struct lapse_run *run)
{
    for (size_t i = 0; i < commit->staged_count; i++) {
        const struct lapse_run *staged = commit->staged[i];
        if (staged->first_time <= run->last_time && run->first_time <= staged->last_time && shares_source(staged, run))
            return true;
    }
    return false;
}

/* ---- matching ------------------------------------------------------------------------------------------------------ */

int64_t lapse_verdict_line(const struct lapse_verdicts *v, int64_t ordinal)
{
    size_t i = v->commit->staged_count;
    while (i > 1 && v->base[i - 1] > ordinal)
        i--;
    const int64_t *lines = v->commit->staged[i - 1]->lines;
    return lines ? lines[ordinal - v->base[i - 1]] : -1;
}

/* A row without id that is not dropped yet and, if only some are asked for, is one of those. */
static bool asked(const struct lapse_verdicts *v, const uint8_t *suspects, const struct lapse_group *g, size_t i)
{
    int64_t ordinal = lapse_columns_number(g->columns, LAPSE_F_LINE, i);
    return (!suspects || suspects[ordinal / 8] >> ordinal % 8 & 1) && !lapse_verdict(v, ordinal) &&
           !lapse_columns_text(g->columns, LAPSE_F_EVENT_ID, i).size;
}

static lapse_status match_group(struct lapse_verdicts *v, const uint8_t *suspects, const struct lapse_group *g,
                                const struct lapse_group *published, lapse_error *error)
{
    size_t j = published->first, end = j + (size_t)published->count;
    lapse_status status = LAPSE_OK;
    for (size_t i = g->first; i < g->first + (size_t)g->count && j < end && status == LAPSE_OK; i++) {
        if (!asked(v, suspects, g, i))
            continue;
        int order = 1;
        for (; j < end && order > 0; j += order >= 0)
            order = lapse_columns_compare(g->columns, i, published->columns, j, v->commit->store->digits);
        int64_t ordinal = lapse_columns_number(g->columns, LAPSE_F_LINE, i);
        if (order == 0)
            status = lapse_verdict_drop(v, ordinal, lapse_verdict_line(v, ordinal), LAPSE_ROW_DUPLICATE, error);
    }
    return status;
}

/* Matches all staged rows, or suspects only, with the rows of published runs. */
static lapse_status match(struct lapse_verdicts *v, struct lapse_run *const *runs, size_t count,
                          const uint8_t *suspects, lapse_error *error)
{
    struct lapse_commit *commit = v->commit;
    struct lapse_merge *staged, *merge = NULL;
    const struct lapse_group *g, *found = NULL;
    lapse_status status = lapse_merge_open(commit->store, commit->staged, commit->staged_count,
                                           LAPSE_ALL_FIELDS | LAPSE_FIELD_BIT(LAPSE_F_LINE), NULL, NULL, &staged, error);
    for (int64_t n = 1; status == LAPSE_OK && (status = lapse_merge_next(staged, &g, error)) == LAPSE_OK; n++) {
        bool some = false;
        if (n % 4096 == 0)
            status = lapse_commit_go_on(commit, error);
        for (size_t i = g->first; i < g->first + (size_t)g->count && !some; i++)
            some = asked(v, suspects, g, i);
        if (status == LAPSE_OK && some && !merge)
            status = lapse_merge_open(commit->store, runs, count, LAPSE_ALL_FIELDS, &g->key, NULL, &merge, error);
        if (status == LAPSE_OK && some)
            status = lapse_merge_find(merge, g->key, &found, error);
        if (status == LAPSE_OK && some && found)
            status = match_group(v, suspects, g, found, error);
    }
    lapse_merge_close(staged);
    lapse_merge_close(merge);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

/* ---- asking filters ---------------------------------------------------------------------------------------------------- */

/* The staged rows without id, by their keys. */
struct contents {
    const lapse_allocator *mem;
    size_t count;
    struct lapse_sort_key *keys, *sorted; /* room for two of each row; sorted: one half */
    uint64_t *key;                        /* ascending */
    int64_t *time, *ordinal;              /* in the order they were read */
    uint32_t *admitted;
    uint8_t *suspects;                    /* by ordinal */
};

static void free_contents(struct contents *c)
{
    void *arrays[] = { c->keys, c->key, c->time, c->ordinal, c->admitted, c->suspects };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        lapse_mem_free(c->mem, arrays[i]);
}

static lapse_status read_contents(struct lapse_verdicts *v, struct contents *c, lapse_error *error)
{
    struct lapse_commit *commit = v->commit;
    struct lapse_merge *merge;
    const struct lapse_group *g;
    size_t rows = (size_t)v->rows + 1;
    uint64_t seed = lapse_content_seed(commit->store);
    *c = (struct contents){ .mem = &commit->store->mem };
    c->keys = lapse_mem_alloc(c->mem, 2 * rows * sizeof *c->keys);
    c->key = lapse_mem_alloc(c->mem, rows * sizeof *c->key);
    c->time = lapse_mem_alloc(c->mem, rows * sizeof *c->time);
    c->ordinal = lapse_mem_alloc(c->mem, rows * sizeof *c->ordinal);
    c->admitted = lapse_mem_alloc(c->mem, rows * sizeof *c->admitted);
    c->suspects = lapse_mem_alloc(c->mem, rows / 8 + 1);
    if (!c->keys || !c->key || !c->time || !c->ordinal || !c->admitted || !c->suspects)
        return lapse_fail_memory(error);
    lapse_status status = lapse_merge_open(commit->store, commit->staged, commit->staged_count,
                                           LAPSE_ALL_FIELDS | LAPSE_FIELD_BIT(LAPSE_F_LINE), NULL, NULL, &merge, error);
    while (status == LAPSE_OK && (status = lapse_merge_next(merge, &g, error)) == LAPSE_OK)
        for (size_t i = g->first; i < g->first + (size_t)g->count; i++) {
            if (lapse_columns_text(g->columns, LAPSE_F_EVENT_ID, i).size)
                continue;
            c->keys[c->count] = (struct lapse_sort_key){ lapse_content_key(seed, g->key, g->columns, i),
                                                         (uint32_t)c->count };
            c->time[c->count] = lapse_columns_number(g->columns, LAPSE_F_TIME, i);
            c->ordinal[c->count++] = lapse_columns_number(g->columns, LAPSE_F_LINE, i);
        }
    lapse_merge_close(merge);
    c->sorted = lapse_sort_keys(c->keys, c->keys + rows, c->count);
    for (size_t i = 0; i < c->count; i++)
        c->key[i] = c->sorted[i].key;
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static bool suspect(struct contents *c, size_t i)
{
    int64_t ordinal = c->ordinal[c->sorted[i].index];
    c->suspects[ordinal / 8] |= (uint8_t)(1u << ordinal % 8);
    return true;
}

/* Rows that may lie in the run: those the filter admits, and those before its time. */
static lapse_status suspects_of(struct lapse_verdicts *v, struct contents *c, struct lapse_run *run, bool *any,
                                lapse_error *error)
{
    const struct lapse_filter *filter;
    lapse_status status = lapse_filter_of(v->commit->store, run, &filter, error);
    if (status != LAPSE_OK)
        return status;
    *any = false;
    memset(c->suspects, 0, (size_t)v->rows / 8 + 1);
    for (size_t i = 0; i < c->count && filter->since > run->first_time; i++) {
        int64_t time = c->time[c->sorted[i].index];
        if (time >= run->first_time && time <= run->last_time && time < filter->since)
            *any = suspect(c, i);
    }
    size_t n = lapse_filter_admit(filter, c->key, c->count, c->admitted);
    for (size_t k = 0; k < n; k++)
        *any = suspect(c, c->admitted[k]);
    return LAPSE_OK;
}

static lapse_status ask_filters(struct lapse_verdicts *v, struct lapse_run **runs, size_t count, lapse_error *error)
{
    struct contents c;
    bool any;
    lapse_status status = read_contents(v, &c, error);
    for (size_t i = 0; i < count && status == LAPSE_OK; i++) {
        status = suspects_of(v, &c, runs[i], &any, error);
        if (status == LAPSE_OK && any)
            status = match(v, &runs[i], 1, c.suspects, error);
    }
    struct lapse_run *staged = v->commit->staged[0];
    if (status == LAPSE_OK && v->commit->staged_count == 1 && !staged->filter) { /* it is made, as for the next commit */
        struct lapse_filter *f = lapse_filter_new(c.mem, NULL);
        if (f && lapse_filter_add_all(f, c.sorted, c.count))
            staged->filter = f;
        else
            lapse_filter_free(f);
    }
    free_contents(&c);
    return status;
}

lapse_status lapse_judge_contents(struct lapse_verdicts *v, const struct lapse_manifest *manifest, lapse_error *error)
{
    struct lapse_store *store = v->commit->store;
    struct lapse_run **runs = lapse_mem_zero(&store->mem, manifest->count + 1, sizeof *runs);
    if (!runs)
        return lapse_fail_memory(error);
    size_t n = 0;
    for (size_t i = 0; i < manifest->count; i++)
        if (manifest->runs[i]->family == LAPSE_RUN_EVENTS && may_hold(v->commit, manifest->runs[i]))
            runs[n++] = manifest->runs[i];
    lapse_status status = LAPSE_OK;
    if (n && v->rows <= store->memory_limit / 512)
        status = ask_filters(v, runs, n, error);
    else if (n)
        status = match(v, runs, n, NULL, error);
    lapse_mem_free(&store->mem, runs);
    return status;
}
