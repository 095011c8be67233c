/* A stage becomes a run: its parts are sorted, each a task; then ranges of ids are gathered from all parts and
 * written; their runs, one behind the other, are the run. */
#include "store/stage.h"

/* Rows of a range: enough blocks that the last one, which is not full, does not matter. */
enum { RANGE_ROWS = 16 * LAPSE_BLOCK_ROWS, MOST_RANGES = 4096 };

/* A customer of a range. */
struct place {
    uint32_t part, customer;
};

/* What a task writes, and how that went. */
struct range {
    uint32_t bound;              /* customer of the sample at whom it begins */
    int64_t first_row;           /* in the whole run */
    struct lapse_run *run;
    lapse_status status;
    lapse_error error;
};

/* What identity will ask of the run: gathered from its ranges as they are finished. */
struct notes {
    struct lapse_lock *lock;
    struct lapse_prints *prints;
    bool filtered;               /* `recent` is wanted */
    struct lapse_recent recent;
};

struct writing {
    struct lapse_stage *stage;
    struct lapse_columns columns[STAGE_PARTS];
    atomic_size_t next;              /* part or range that a thread takes */
    atomic_bool no_memory;
    const struct stage_part *sample; /* whose customers bound the ranges */
    uint32_t *first;                 /* of each range and part: its first customer there; in the end the last */
    size_t rows;
    struct range *ranges;
    size_t count;
    struct notes notes;
    int64_t since;               /* rows before it need not be noted */
    struct lapse_filter *filter;
};

/* One thread's share of `tasks`, each. No more threads than there are tasks. */
static void share_out(struct lapse_crew *crew, size_t tasks, int (*share)(void *user, int64_t thread), struct writing *w)
{
    const int threads = lapse_crew_threads(crew);
    atomic_store(&w->next, 0);
    lapse_crew_run(crew, (size_t)threads < tasks ? threads : (int64_t)tasks, share, w);
}

/* Parts are taken until there are none. */
static int sort_parts(void *user, int64_t task)
{
    struct writing *w = user;
    struct lapse_stage *s = w->stage;
    struct stage_scratch scratch;
    (void)task;
    lapse_stage_scratch_init(&scratch, s->mem);
    for (size_t p; (p = atomic_fetch_add(&w->next, 1)) < s->part_count;) {
        if (!lapse_stage_part_sort(&s->parts[p], &s->constants, s->store->digits, &scratch))
            atomic_store(&w->no_memory, true);
        lapse_rows_columns(&s->parts[p].rows, &w->columns[p]);
    }
    lapse_stage_scratch_free(&scratch);
    return 0;
}

/* The customer of `part` at which range r > 0 begins. */
static uint32_t first_customer(const struct writing *w, const struct stage_part *part, uint32_t bound)
{
    struct lapse_text key = stage_id(w->sample, bound);
    uint32_t low = 0, high = part->customers;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct lapse_text id = stage_id(part, middle);
        if (lapse_text_order(id, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int bound_part(void *user, int64_t task)
{
    struct writing *w = user;
    const struct stage_part *part = &w->stage->parts[task];
    uint32_t *first = w->first + task;
    first[0] = 0;
    for (size_t r = 1; r < w->count; r++)
        first[r * w->stage->part_count] = first_customer(w, part, w->ranges[r].bound);
    first[w->count * w->stage->part_count] = part->customers;
    return 0;
}

/* The part with the most rows is the sample: cut into pieces of about equal numbers of rows. */
static bool choose_ranges(struct writing *w, struct lapse_crew *crew)
{
    const struct lapse_stage *s = w->stage;
    size_t rows = 0, parts = s->part_count;
    w->sample = &s->parts[0];
    for (size_t p = 0; p < parts; p++) {
        rows += s->parts[p].rows.count;
        if (s->parts[p].rows.count > w->sample->rows.count)
            w->sample = &s->parts[p];
    }
    size_t wanted = rows / RANGE_ROWS < MOST_RANGES ? rows / RANGE_ROWS + 1 : MOST_RANGES;
    size_t of_sample = w->sample->rows.count;
    w->first = lapse_mem_alloc(s->mem, (wanted + 1) * parts * sizeof *w->first);
    w->ranges = lapse_mem_zero(s->mem, wanted, sizeof *w->ranges);
    if (!w->first || !w->ranges)
        return false;
    w->count = 1;
    for (uint32_t k = 1; k < w->sample->customers && w->count < wanted; k++)
        if (w->sample->start[k] >= of_sample / wanted * w->count)
            w->ranges[w->count++].bound = k;
    lapse_crew_run(crew, (int64_t)parts, bound_part, w);
    for (size_t r = 1; r < w->count; r++)
        for (size_t p = 0; p < parts; p++) {
            uint32_t c = w->first[r * parts + p];
            w->ranges[r].first_row += c ? s->parts[p].start[c] : 0;
        }
    w->rows = rows;
    return true;
}

/* Of many rows the latest are noted for a filter. Which these are is known before from the sample, so that few others
 * are noted and fall out again. */
static bool open_notes(struct writing *w)
{
    const struct lapse_stage *s = w->stage;
    size_t n = w->sample->rows.count;
    const struct lapse_columns *columns = &w->columns[w->sample - s->parts];
    w->since = INT64_MIN;
    w->notes.filtered = w->rows >= LAPSE_FILTER_KEYS;
    if (!(w->notes.lock = lapse_lock_new(s->mem)))
        return false;
    if (!w->notes.filtered)
        return true;
    lapse_recent_init(&w->notes.recent, s->store);
    size_t keep = 2 * lapse_recent_keep(&w->notes.recent, (int64_t)w->rows);
    int64_t rank = keep < w->rows ? (int64_t)((double)n * (1 - (double)keep / (double)w->rows)) : 0;
    if (rank == 0)
        return true;
    int64_t *time = lapse_mem_alloc(s->mem, n * sizeof *time);
    for (size_t i = 0; time && i < n; i++)
        time[i] = lapse_columns_number(columns, LAPSE_F_TIME, i);
    struct lapse_span span = { time, (int64_t)n };
    bool ok = time && lapse_select(s->mem, &span, 1, &rank, 1, &w->since);
    lapse_mem_free(s->mem, time);
    return ok;
}

/* ---- one range ------------------------------------------------------------------------------------------ */

/* Of a thread that gathers one range after the other, in memory that was touched before. */
struct gathering {
    const struct writing *w;
    size_t count, room;
    struct place *places;
    struct lapse_sort_key *keys;   /* two for each place */
    uint32_t *scratch, *order;     /* of places */
    struct lapse_stretch *stretches; /* of the block under construction */
    size_t stretch_count;
    struct lapse_run_writer writer;
};

static void free_gathering(struct gathering *g)
{
    void *arrays[] = { g->places, g->keys, g->order, g->scratch, g->stretches };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        lapse_mem_free(g->w->stage->mem, arrays[i]);
    *g = (struct gathering){ .w = g->w };
}

static bool make_room(struct gathering *g, size_t n)
{
    const lapse_allocator *mem = g->w->stage->mem;
    if (g->places && n <= g->room)
        return true;
    free_gathering(g);
    g->room = n + n / 8;
    g->places = lapse_mem_alloc(mem, (g->room + 1) * sizeof *g->places);
    g->keys = lapse_mem_alloc(mem, (2 * g->room + 1) * sizeof *g->keys);
    g->order = lapse_mem_alloc(mem, (g->room + 1) * sizeof *g->order);
    g->scratch = lapse_mem_alloc(mem, (g->room + 1) * sizeof *g->scratch);
    g->stretches = lapse_mem_alloc(mem, LAPSE_BLOCK_ROWS * sizeof *g->stretches);
    return g->places && g->keys && g->order && g->scratch && g->stretches;
}

static struct lapse_text id_of(const struct gathering *g, uint32_t place)
{
    return stage_id(&g->w->stage->parts[g->places[place].part], g->places[place].customer);
}

static int order_places(const void *user, uint32_t a, uint32_t b)
{
    struct lapse_text x = id_of(user, a), y = id_of(user, b);
    return lapse_text_order(x, y);
}

/* Bytes that all ids of the range begin with: those that the least and the greatest have in common. Each part is
 * sorted, so these are among the parts' first and last. */
static size_t common_prefix(const struct gathering *g)
{
    uint32_t least = 0, most = 0;
    for (uint32_t i = 1; i < g->count; i++) {
        if (g->places[i].part == g->places[i - 1].part && i + 1 < g->count &&
            g->places[i].part == g->places[i + 1].part)
            continue;
        least = order_places(g, i, least) < 0 ? i : least;
        most = order_places(g, i, most) > 0 ? i : most;
    }
    struct lapse_text x = id_of(g, least), y = id_of(g, most);
    size_t n = 0;
    while (n < x.size && n < y.size && x.data[n] == y.data[n])
        n++;
    return n;
}

/* g->order: places by id. */
static bool collect(struct gathering *g, size_t r)
{
    const struct lapse_stage *s = g->w->stage;
    const uint32_t *first = g->w->first + r * s->part_count, *end = first + s->part_count;
    size_t n = 0;
    for (size_t p = 0; p < s->part_count; p++)
        n += end[p] - first[p];
    if (!make_room(g, n))
        return false;
    g->count = g->stretch_count = 0;
    for (uint32_t p = 0; p < s->part_count; p++)
        for (uint32_t c = first[p]; c < end[p]; c++)
            g->places[g->count++] = (struct place){ p, c };
    if (n == 0)
        return true;
    if (s->part_count == 1) { /* it is sorted */
        for (uint32_t i = 0; i < n; i++)
            g->order[i] = i;
        return true;
    }
    size_t skip = common_prefix(g);
    for (uint32_t i = 0; i < n; i++)
        g->keys[i] = (struct lapse_sort_key){ lapse_text_eight(id_of(g, i), skip), i };
    lapse_sort_settled(g->keys, g->order, n, g->scratch, order_places, g);
    return true;
}

/* In a stage of one part, rows of the next customer lie behind those of the last. */
static void add_stretch(struct gathering *g, const struct lapse_columns *from, size_t first, size_t n)
{
    struct lapse_stretch *last = &g->stretches[g->stretch_count];
    if (g->stretch_count && last[-1].from == from && last[-1].first + last[-1].n == first)
        last[-1].n += n;
    else
        g->stretches[g->stretch_count++] = (struct lapse_stretch){ from, first, n };
}

static lapse_status hand_over(struct gathering *g, lapse_error *error)
{
    lapse_status status = lapse_run_writer_stretches(&g->writer, g->stretches, g->stretch_count, UINT32_MAX,
                                                     &g->w->stage->constants, error);
    g->stretch_count = 0;
    return status;
}

static lapse_status write_places(struct gathering *g, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < g->count && status == LAPSE_OK; i++) {
        struct place place = g->places[g->order[i]];
        const struct stage_part *part = &g->w->stage->parts[place.part];
        uint32_t first = part->start[place.customer], left = part->start[place.customer + 1] - first;
        while (left && status == LAPSE_OK) {
            size_t fit;
            status = lapse_run_writer_key(&g->writer, id_of(g, g->order[i]), left, &fit, error);
            if (status == LAPSE_OK && fit)
                add_stretch(g, &g->w->columns[place.part], first, fit);
            first += (uint32_t)fit;
            left -= (uint32_t)fit;
            if (status == LAPSE_OK && left) /* the block is full */
                status = hand_over(g, error);
        }
    }
    return status == LAPSE_OK ? hand_over(g, error) : status;
}

/* The notes of a finished range. */
static lapse_status take_notes(struct writing *w, struct lapse_run *run, struct lapse_recent *recent, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    lapse_lock_take(w->notes.lock);
    if (w->notes.filtered)
        lapse_recent_absorb(&w->notes.recent, recent);
    if (run->prints) {
        if (!w->notes.prints)
            w->notes.prints = lapse_prints_new(w->stage->store);
        status = w->notes.prints ? lapse_prints_absorb(w->notes.prints, run->prints, error) : lapse_fail_memory(error);
        lapse_prints_free(run->prints);
        run->prints = NULL;
    }
    lapse_lock_give(w->notes.lock);
    return status;
}

static lapse_status write_range(struct writing *w, struct gathering *g, size_t r, lapse_error *error)
{
    const struct lapse_stage *s = w->stage;
    struct range *range = &w->ranges[r];
    struct lapse_recent recent = { 0 };
    lapse_status status = collect(g, r) ? LAPSE_OK : lapse_fail_memory(error);
    if (status == LAPSE_OK)
        status = lapse_run_writer_open(&g->writer, s->store, LAPSE_RUN_STAGED, error);
    if (status == LAPSE_OK) {
        g->writer.first_row = range->first_row;
        g->writer.keep_lines = s->keep_lines;
        if (w->notes.filtered) {
            lapse_recent_init(&g->writer.recent, s->store);
            g->writer.recent.since = w->since;
        }
        status = write_places(g, error);
    }
    if (status == LAPSE_OK)
        status = lapse_run_writer_finish_part(&g->writer, &recent, &range->run, error);
    if (status == LAPSE_OK)
        status = take_notes(w, range->run, &recent, error);
    lapse_recent_free(&recent);
    lapse_run_writer_abort(&g->writer);
    return status;
}

/* Ranges, likewise. One that fails is the last: those before it are with some thread. */
static int write_ranges(void *user, int64_t task)
{
    struct writing *w = user;
    struct gathering g = { .w = w };
    (void)task;
    for (size_t r; (r = atomic_fetch_add(&w->next, 1)) < w->count;) {
        struct range *range = &w->ranges[r];
        range->error.size = sizeof range->error;
        range->status = write_range(w, &g, r, &range->error);
        if (range->status != LAPSE_OK)
            atomic_store(&w->next, w->count);
    }
    free_gathering(&g);
    return 0;
}

/* ---- all of it ---------------------------------------------------------------------------------------------- */

/* What is left to do when all is written: to make the filter, and to give back the memory of the parts, which takes its
 * time too. */
static int settle(void *user, int64_t task)
{
    struct writing *w = user;
    if (task > 0)
        lapse_stage_part_clear(&w->stage->parts[task - 1]);
    else if (w->notes.filtered)
        w->filter = lapse_recent_filter(&w->notes.recent);
    return 0;
}

static lapse_status write_all(struct writing *w, struct lapse_crew *crew, struct lapse_run **out, lapse_error *error)
{
    share_out(crew, w->count, write_ranges, w);
    struct lapse_run *run = w->ranges[0].run;
    lapse_status status = LAPSE_OK;
    for (size_t r = 0; r < w->count && status == LAPSE_OK; r++) {
        status = w->ranges[r].status;
        if (status != LAPSE_OK)
            lapse_fail_again(error, &w->ranges[r].error);
        else if (r > 0 && !lapse_run_join(run, w->ranges[r].run))
            status = lapse_fail_memory(error);
    }
    if (status == LAPSE_OK) {
        lapse_crew_run(crew, (int64_t)w->stage->part_count + 1, settle, w);
        run->filter = w->filter;
        if (w->notes.filtered && !run->filter)
            status = lapse_fail_memory(error);
    }
    for (size_t r = status == LAPSE_OK; r < w->count; r++)
        lapse_run_release(w->ranges[r].run);
    if (status != LAPSE_OK)
        return status;
    run->prints = w->notes.prints;
    w->notes.prints = NULL;
    *out = run;
    return LAPSE_OK;
}

lapse_status lapse_stage_write(struct lapse_stage *s, struct lapse_crew *crew, struct lapse_run **out, lapse_error *error)
{
    struct writing *w = lapse_mem_zero(s->mem, 1, sizeof *w);
    if (!w)
        return lapse_fail_memory(error);
    w->stage = s;
    share_out(crew, s->part_count, sort_parts, w);
    bool ok = !atomic_load(&w->no_memory) && choose_ranges(w, crew) && open_notes(w);
    lapse_status status = ok ? write_all(w, crew, out, error) : lapse_fail_memory(error);
    lapse_prints_free(w->notes.prints);
    lapse_recent_free(&w->notes.recent);
    lapse_lock_free(s->mem, w->notes.lock);
    lapse_mem_free(s->mem, w->first);
    lapse_mem_free(s->mem, w->ranges);
    lapse_mem_free(s->mem, w);
    return status;
}
