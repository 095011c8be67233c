/* Runs of a family become one.
 *
 * Their keys are cut into ranges of about as many rows (cut.c), one for each thread. A range is merged by itself and is a
 * part of the new run, whose last block is not full. Where a block goes on at a bound it is read twice. Fingerprints are one
 * range, since the filters of theirs are made in the order of keys. */
#include "store/merging.h"

#include "store/identity.h"
#include "store/telling.h"

enum { ROUND = 32 * LAPSE_BLOCK_ROWS }; /* rows, after which all threads meet */

struct lapse_merging_range {
    struct lapse_text from;    /* where it begins, in a directory of the runs; none: at their first key */
    struct lapse_merge *merge;
    struct lapse_run_writer writer;
    int64_t wanted, merged;    /* rows of a round */
    lapse_status status;       /* LAPSE_DONE: all is handed to the writer */
    lapse_error error;
    struct lapse_run *run;     /* finished */
};

/* ---- whole keys into a run ----------------------------------------------------------------------------------- */

/* How many of the first rows of a key are of versions that a later one has taken the place of. */
static size_t outdated(const struct lapse_chunk *chunk, size_t k)
{
    size_t first = chunk->start[k], last = chunk->start[k + 1] - 1, at = first;
#define VERSION(i) (lapse_columns_number(chunk->columns, LAPSE_F_TIME, chunk->order ? chunk->order[i] : chunk->first + (i)) >> \
                    LAPSE_VERSION_SHIFT)
    while (VERSION(at) != VERSION(last))
        at++;
#undef VERSION
    return at - first;
}

static lapse_status hand_over(struct lapse_run_writer *writer, const struct lapse_chunk *chunk, size_t from,
                              lapse_error *error)
{
    return lapse_run_writer_rows(writer, chunk->columns, LAPSE_ALL_FIELDS, chunk->order ? chunk->order + from : NULL,
                                 chunk->first + from, error);
}

lapse_status lapse_run_writer_chunk(struct lapse_run_writer *writer, const struct lapse_chunk *chunk, lapse_error *error)
{
    const bool latest = lapse_families[writer->run->family].latest;
    size_t given = 0; /* rows handed over */
    lapse_status status = LAPSE_OK;
    for (size_t k = 0; k < chunk->keys && status == LAPSE_OK; k++) {
        size_t at = chunk->start[k], end = chunk->start[k + 1], skipped = latest ? outdated(chunk, k) : 0, fit;
        if (skipped) {
            status = hand_over(writer, chunk, given, error);
            given = at += skipped;
        }
        while (at < end && status == LAPSE_OK) {
            status = lapse_run_writer_key(writer, chunk->text[k], end - at, &fit, error);
            at += fit;
            if (at < end && status == LAPSE_OK) { /* the block is full */
                status = hand_over(writer, chunk, given, error);
                given = at;
            }
        }
    }
    return status == LAPSE_OK ? hand_over(writer, chunk, given, error) : status;
}

/* ---- beginning and ending ------------------------------------------------------------------------------------------ */

/* How many ranges are worth a thread each. */
static int64_t count_ranges(const struct lapse_merging *g, int threads)
{
    int64_t count = 1;
    if (lapse_families[g->runs[0]->family].filter != LAPSE_FILTER_OF_KEYS)
        while (count < threads && (count + 1) * g->store->limits.range <= g->rows)
            count++;
    return count;
}

static lapse_status make_ranges(struct lapse_merging *g, struct lapse_crew *crew, lapse_error *error)
{
    const lapse_allocator *mem = &g->store->mem;
    struct lapse_text *from;
    int64_t count;
    lapse_status status = lapse_runs_cut(mem, g->runs, g->count, count_ranges(g, lapse_crew_threads(crew)), &from, &count, error);
    if (status != LAPSE_OK)
        return status;
    g->ranges = lapse_mem_zero(mem, (size_t)count, sizeof *g->ranges);
    for (int64_t r = 0; g->ranges && r < count; r++)
        g->ranges[g->range_count++].from = from[r];
    lapse_mem_free(mem, from);
    return g->ranges ? LAPSE_OK : lapse_fail_memory(error);
}

static int order_latest(const void *user, uint32_t a, uint32_t b)
{
    struct lapse_run *const *runs = user;
    return (runs[a]->first_time < runs[b]->first_time) - (runs[a]->first_time > runs[b]->first_time);
}

/* A time from which on there are enough rows for the filter: those of the latest runs, when runs follow each other in
 * time, so that few others are noted and fall out again. */
static bool find_since(const struct lapse_merging *g, const struct lapse_recent *recent, int64_t *since)
{
    const lapse_allocator *mem = &g->store->mem;
    const int64_t keep = (int64_t)lapse_recent_keep(recent, g->rows);
    uint32_t *order = lapse_mem_alloc(mem, 2 * g->count * sizeof *order);
    if (!order)
        return false;
    for (size_t i = 0; i < g->count; i++)
        order[i] = (uint32_t)i;
    lapse_sort_indices(order, g->count, order + g->count, order_latest, g->runs);
    int64_t rows = 0;
    for (size_t i = 0; i < g->count && rows < keep; i++) {
        rows += g->runs[order[i]]->rows;
        *since = i + 1 < g->count ? g->runs[order[i]]->first_time : INT64_MIN;
    }
    lapse_mem_free(mem, order);
    return true;
}

static lapse_status open_range(struct lapse_merging *g, size_t r, lapse_error *error)
{
    struct lapse_merging_range *range = &g->ranges[r];
    const bool first = r == 0, last = r + 1 == g->range_count;
    range->error.size = sizeof range->error;
    lapse_status status = lapse_merge_open(g->store, g->runs, g->count, LAPSE_ALL_FIELDS, first ? NULL : &range->from,
                                           last ? NULL : &range[1].from, &range->merge, error);
    if (status == LAPSE_OK)
        status = lapse_run_writer_open(&range->writer, g->store, g->runs[0]->family, error);
    if (status == LAPSE_OK)
        lapse_run_writer_expect(&range->writer, g->rows);
    struct lapse_recent *recent = &range->writer.recent;
    if (status == LAPSE_OK && recent->mem && first)
        status = find_since(g, recent, &recent->since) ? LAPSE_OK : lapse_fail_memory(error);
    else if (status == LAPSE_OK && recent->mem)
        recent->since = g->ranges[0].writer.recent.since;
    return status;
}

lapse_status lapse_merging_begin(struct lapse_store *store, struct lapse_run *const *runs, size_t n, struct lapse_crew *crew,
                                 struct lapse_merging **out, lapse_error *error)
{
    const lapse_allocator *mem = &store->mem;
    struct lapse_merging *g = *out = lapse_mem_zero(mem, 1, sizeof *g);
    if (!g)
        return lapse_fail_memory(error);
    g->store = store;
    g->runs = lapse_mem_zero(mem, n, sizeof(struct lapse_run *));
    for (; g->runs && g->count < n; g->count++) {
        g->runs[g->count] = runs[g->count];
        g->rows += runs[g->count]->rows;
        lapse_run_retain(runs[g->count]);
    }
    lapse_status status = g->runs ? make_ranges(g, crew, error) : lapse_fail_memory(error);
    for (size_t r = 0; r < g->range_count && status == LAPSE_OK; r++)
        status = open_range(g, r, error);
    if (status != LAPSE_OK) {
        lapse_merging_end(g);
        *out = NULL;
    }
    return status;
}

void lapse_merging_end(struct lapse_merging *g)
{
    if (!g)
        return;
    for (size_t r = 0; r < g->range_count; r++) {
        lapse_merge_close(g->ranges[r].merge);
        lapse_run_writer_abort(&g->ranges[r].writer);
        lapse_run_release(g->ranges[r].run);
    }
    for (size_t i = 0; i < g->count; i++)
        lapse_run_release(g->runs[i]);
    lapse_mem_free(&g->store->mem, g->ranges);
    lapse_mem_free(&g->store->mem, g->runs);
    lapse_mem_free(&g->store->mem, g);
}

void lapse_merging_drop(struct lapse_merging *g)
{
    for (size_t r = 0; r < g->range_count; r++) {
        struct lapse_run *written = g->ranges[r].run ? g->ranges[r].run : g->ranges[r].writer.run;
        if (written)
            lapse_run_drop_blocks(written, NULL);
    }
}

/* ---- going on ------------------------------------------------------------------------------------------------------- */

static int merge_range(void *user, int64_t task)
{
    struct lapse_merging *g = user;
    struct lapse_merging_range *range = &g->ranges[task];
    const struct lapse_chunk *chunk;
    for (range->merged = 0; range->status == LAPSE_OK && range->merged < range->wanted;) {
        range->status = lapse_merge_chunk(range->merge, &chunk, &range->error);
        if (range->status == LAPSE_OK) {
            range->merged += chunk->start[chunk->keys] - chunk->start[0];
            range->status = lapse_run_writer_chunk(&range->writer, chunk, &range->error);
        }
    }
    return 0;
}

lapse_status lapse_merging_go_on(struct lapse_merging *g, struct lapse_crew *crew, int64_t rows, int64_t *merged, lapse_error *error)
{
    lapse_status status = LAPSE_DONE;
    int64_t under_way = 0; /* ranges; after the last of them nobody goes on */
    for (size_t r = 0; r < g->range_count; r++)
        under_way += g->ranges[r].status == LAPSE_OK;
    for (size_t r = 0; r < g->range_count; r++)
        g->ranges[r].wanted = rows / under_way + (rows % under_way != 0);
    lapse_crew_run(crew, (int64_t)g->range_count, merge_range, g);
    *merged = 0;
    for (size_t r = 0; r < g->range_count; r++) {
        struct lapse_merging_range *range = &g->ranges[r];
        *merged += range->merged;
        if (range->status != LAPSE_OK && range->status != LAPSE_DONE)
            return lapse_fail_again(error, &range->error);
        status = range->status == LAPSE_OK ? LAPSE_OK : status;
    }
    return status;
}

lapse_status lapse_merging_finish(struct lapse_merging *g, struct lapse_run **out, lapse_error *error)
{
    struct lapse_recent recent = { 0 };
    lapse_status status = LAPSE_OK;
    *out = NULL;
    for (size_t r = 0; r < g->range_count && status == LAPSE_OK; r++) {
        struct lapse_merging_range *range = &g->ranges[r];
        struct lapse_recent part;
        struct lapse_run *written = range->writer.run;
        lapse_run_retain(written);
        status = lapse_run_writer_finish_part(&range->writer, &part, &range->run, error);
        if (status == LAPSE_OK)
            lapse_run_release(written);
        else
            range->run = written;
        if (r == 0)
            recent = part;
        else if (part.mem)
            lapse_recent_absorb(&recent, &part);
        if (status == LAPSE_OK && r > 0 && !lapse_run_join(g->ranges[0].run, range->run))
            status = lapse_fail_memory(error);
    }
    if (status == LAPSE_OK && recent.mem && g->rows > 0 && !(g->ranges[0].run->filter = lapse_recent_filter(&recent)))
        status = lapse_fail_memory(error);
    lapse_recent_free(&recent);
    if (status == LAPSE_OK) {
        *out = g->ranges[0].run;
        g->ranges[0].run = NULL;
    }
    return status;
}

lapse_status lapse_runs_merge(struct lapse_store *store, struct lapse_run *const *runs, size_t n, struct lapse_crew *crew,
                              lapse_status (*go_on)(void *user, int64_t rows, lapse_error *error), void *user,
                              struct lapse_run **out, lapse_error *error)
{
    struct lapse_merging *g;
    *out = NULL;
    lapse_status status = lapse_merging_begin(store, runs, n, crew, &g, error);
    if (status != LAPSE_OK)
        return status;
    const int64_t round = g->range_count > 1 ? ROUND : 1;
    while (status == LAPSE_OK) {
        int64_t merged;
        status = lapse_merging_go_on(g, crew, round, &merged, error);
        if ((status == LAPSE_OK || status == LAPSE_DONE) && go_on && merged) {
            lapse_status told = go_on(user, merged, error);
            status = told == LAPSE_OK ? status : told;
        }
    }
    if (status == LAPSE_DONE)
        status = lapse_merging_finish(g, out, error);
    if (status != LAPSE_OK)
        lapse_merging_drop(g);
    lapse_merging_end(g);
    return status;
}
