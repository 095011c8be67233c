/* Importing an event file: chunks of whole records are parsed and staged, each by a worker of its own, round by round;
 * callbacks are called between rounds, on the caller's thread, in the order of lines. */
#include "store/input.h"

static const size_t oldest = offsetof(lapse_import_options, progress_user) + sizeof(void *);
enum { CHUNK = 2 << 20, THREADS = 64 };

struct worker {
    struct import *import;
    struct lapse_stage *stage;
    struct lapse_buffer chunk, scratch, faults;
    int64_t line, rows, rejected;
    bool filled, stopped;       /* stopped: by the first of `faults` */
    lapse_status status;
    lapse_error error;
};

struct import {
    struct lapse_store *store;
    lapse_import_options options;
    const char *path;           /* NULL: a stream */
    const char *source;
    struct lapse_input input;
    struct lapse_check check;
    struct lapse_csv *csv;
    struct worker *workers;
    int32_t threads;
    lapse_counts *counts;
    struct lapse_run **runs;
    int64_t *conflicts;         /* lines */
    size_t conflict_count, conflict_capacity, next_conflict;
    lapse_status stopped;       /* why telling them ended early */
};

/* ---- one chunk, on any thread ---------------------------------------------------------------------------- */

static int take_row(void *self, const struct lapse_row *row, int64_t line, struct lapse_text raw)
{
    struct worker *w = self;
    (void)raw;
    w->status = lapse_stage_put(w->stage, row, line, &w->error);
    return w->status != LAPSE_OK;
}

/* A fault waits as: line, sizes of column, text, rule and row, and these with NULs. */
struct waiting_fault {
    int64_t line;
    size_t column, text, rule, row;
};

static void put_text(struct lapse_buffer *b, const char *text, size_t n)
{
    lapse_buffer_put(b, text, n);
    lapse_buffer_byte(b, 0);
}

static int take_fault(void *self, const struct lapse_csv_fault *fault)
{
    struct worker *w = self;
    struct waiting_fault f = { fault->line, strlen(fault->column), fault->text.size, strlen(fault->rule),
                               fault->row.size };
    lapse_buffer_put(&w->faults, &f, sizeof f);
    put_text(&w->faults, fault->column, f.column);
    put_text(&w->faults, fault->text.data, f.text);
    put_text(&w->faults, fault->rule, f.rule);
    put_text(&w->faults, fault->row.data, f.row);
    w->rejected++;
    if (w->faults.failed)
        w->status = lapse_fail_memory(&w->error);
    w->stopped = !(w->import->options.flags & LAPSE_IMPORT_SKIP_BAD_ROWS);
    return w->stopped || w->status != LAPSE_OK;
}

static int parse_chunk(void *user, int64_t task)
{
    struct worker *w = &((struct worker *)user)[task];
    struct lapse_csv_sink sink = { w, take_row, take_fault };
    lapse_csv_parse(w->import->csv, &w->scratch, w->chunk.data, w->chunk.size, w->line, &sink, &w->rows);
    if (w->scratch.failed)
        w->status = lapse_fail_memory(&w->error);
    return 0;
}

static int flush_stage(void *user, int64_t task)
{
    struct worker *w = &((struct worker *)user)[task];
    w->status = lapse_stage_flush(w->stage, &w->error);
    return 0;
}

/* ---- between rounds ----------------------------------------------------------------------------------------- */

static lapse_status pass_on(lapse_error *error, const lapse_error *from, lapse_status status)
{
    lapse_fail_again(error, from);
    return status;
}

static struct waiting_fault read_fault(const char **at, lapse_reject *reject)
{
    struct waiting_fault f;
    memcpy(&f, *at, sizeof f);
    const char *p = *at + sizeof f;
    *reject = (lapse_reject){ .size = sizeof *reject, .outcome = LAPSE_ROW_REJECTED, .line = f.line };
    reject->column = p;
    reject->text = reject->column + f.column + 1;
    reject->rule = reject->text + f.text + 1;
    reject->row = reject->rule + f.rule + 1;
    reject->row_size = (int64_t)f.row;
    *at = reject->row + f.row + 1;
    return f;
}

/* Tells the host of what a worker met; in the order of the workers that is the order of the lines. */
static lapse_status settle(struct import *im, struct worker *w, lapse_error *error)
{
    lapse_reject reject;
    const char *at = w->faults.data;
    if (w->status != LAPSE_OK)
        return pass_on(error, &w->error, w->status);
    if (w->stopped) {
        struct waiting_fault f = read_fault(&at, &reject);
        struct lapse_place place = { im->input.name, f.line, -1, reject.column };
        return lapse_fail_at(error, LAPSE_BAD_INPUT, &place, reject.text, f.text, reject.rule);
    }
    for (int64_t i = 0; im->options.on_reject && i < w->rejected; i++) {
        read_fault(&at, &reject);
        if (im->options.on_reject(im->options.reject_user, &reject))
            return lapse_fail(error, LAPSE_CANCELLED, "cancelled");
    }
    im->counts->read += w->rows;
    im->counts->rejected += w->rejected;
    w->rows = w->rejected = 0;
    w->faults.size = 0;
    return LAPSE_OK;
}

/* The first chunk begins with the header, after a byte-order mark perhaps. */
static lapse_status open_csv(struct import *im, struct lapse_buffer *chunk, int64_t *line, lapse_error *error)
{
    static const char bom[] = "\xef\xbb\xbf";
    size_t skip = chunk->size >= 3 && memcmp(chunk->data, bom, 3) == 0 ? 3 : 0, end = skip;
    char delimiter = (char)im->options.delimiter;
    struct lapse_csv_setup setup = { &im->store->mem, &im->options, im->input.name, im->source, &im->store->zone,
                                     &im->check };
    bool unclosed;
    if (skip == chunk->size)
        return lapse_fail(error, LAPSE_BAD_INPUT, "%s: there is no header row", im->input.name);
    do { /* a line end inside quotes belongs to the header */
        const char *lf = memchr(chunk->data + end, '\n', chunk->size - end);
        end = lf ? (size_t)(lf - chunk->data) + 1 : chunk->size;
    } while (end < chunk->size && lapse_csv_split(delimiter, chunk->data + skip, end - skip, false, &unclosed) == 0);
    size_t n = end - skip;
    if (n && chunk->data[skip + n - 1] == '\n')
        n -= n > 1 && chunk->data[skip + n - 2] == '\r' ? 2 : 1;
    lapse_status status = lapse_csv_open(&setup, chunk->data + skip, n, &im->csv, error);
    *line += lapse_csv_lines(chunk->data, end);
    memmove(chunk->data, chunk->data + end, chunk->size - end);
    chunk->size -= end;
    return status;
}

static lapse_status open_workers(struct import *im, lapse_error *error)
{
    struct lapse_store *store = im->store;
    uint32_t fields = lapse_csv_has(im->csv, LAPSE_F_EVENT_ID) ? LAPSE_FIELD_BIT(LAPSE_F_LINE) : 0;
    for (int f = 0; f < LAPSE_FIELDS; f++)
        fields |= lapse_csv_has(im->csv, (enum lapse_field)f) ? LAPSE_FIELD_BIT(f) : 0;
    size_t limit = (size_t)store->memory_limit / 4 * 3 / (size_t)im->threads;
    lapse_status status = LAPSE_OK;
    for (int32_t i = 0; i < im->threads && status == LAPSE_OK; i++)
        status = lapse_stage_new(store, fields, limit, &im->workers[i].stage, error);
    return status;
}

static int told_to_stop(void *user)
{
    struct import *im = user;
    return im->options.on_progress &&
           im->options.on_progress(im->options.progress_user, im->input.done, im->input.total);
}

static lapse_status take_chunks(struct import *im, lapse_error *error)
{
    lapse_status status = LAPSE_OK, more = LAPSE_OK;
    while (status == LAPSE_OK && more == LAPSE_OK) {
        int32_t n = 0;
        for (; n < im->threads && more == LAPSE_OK; n += more == LAPSE_OK) {
            struct worker *w = &im->workers[n];
            more = lapse_input_chunk(&im->input, im->options.delimiter, &w->chunk, CHUNK, &w->line, &w->error);
            if (more == LAPSE_OK && !im->csv) {
                status = open_csv(im, &w->chunk, &w->line, error);
                if (status == LAPSE_OK)
                    status = open_workers(im, error);
                if (status != LAPSE_OK)
                    return status;
            }
        }
        /* Chunks before one that cannot be read are parsed first: their faults come before it. */
        lapse_parallel(im->threads, n, parse_chunk, im->workers);
        for (int32_t i = 0; i < n && status == LAPSE_OK; i++)
            status = settle(im, &im->workers[i], error);
        if (status == LAPSE_OK && more != LAPSE_OK && more != LAPSE_DONE)
            status = pass_on(error, &im->workers[n].error, more);
        if (status == LAPSE_OK && told_to_stop(im))
            status = lapse_fail(error, LAPSE_CANCELLED, "cancelled");
    }
    if (status == LAPSE_OK && !im->csv)
        status = lapse_fail(error, LAPSE_BAD_INPUT, "%s: there is no header row", im->input.name);
    return status;
}

static lapse_status fill(void *user, struct lapse_commit *commit, lapse_error *error)
{
    struct import *im = user;
    lapse_status status = take_chunks(im, error);
    if (status != LAPSE_OK)
        return status;
    lapse_parallel(im->threads, im->threads, flush_stage, im->workers);
    struct lapse_run **runs;
    size_t count = 0, n = 0;
    for (int32_t i = 0; i < im->threads && status == LAPSE_OK; i++) {
        status = settle(im, &im->workers[i], error);
        count += lapse_stage_runs(im->workers[i].stage, &runs);
    }
    im->runs = lapse_mem_alloc(&im->store->mem, (count + 1) * sizeof(struct lapse_run *));
    if (status == LAPSE_OK && !im->runs)
        status = lapse_fail_memory(error);
    for (int32_t i = 0; i < im->threads && status == LAPSE_OK; i++) {
        size_t k = lapse_stage_runs(im->workers[i].stage, &runs);
        memcpy(im->runs + n, runs ? runs : im->runs, k * sizeof *runs);
        n += k;
    }
    commit->staged = im->runs;
    commit->staged_count = n;
    return status;
}

/* ---- conflicts: they are known when all rows are, so their rows are read a second time ---------------------------- */

static int note_conflict(void *user, int64_t line, int outcome)
{
    struct import *im = user;
    if (outcome != LAPSE_ROW_CONFLICT || !im->options.on_reject)
        return 0;
    if (!lapse_mem_reserve(&im->store->mem, &im->conflicts, &im->conflict_capacity, im->conflict_count + 1,
                           sizeof *im->conflicts)) {
        im->stopped = LAPSE_NO_MEMORY;
        return 1;
    }
    im->conflicts[im->conflict_count++] = line;
    return 0;
}

static int tell_conflict(struct import *im, int64_t line, struct lapse_text id, struct lapse_text raw,
                         struct lapse_buffer *scratch)
{
    scratch->size = 0;
    put_text(scratch, raw.data, raw.size);
    put_text(scratch, id.data, id.size);
    if (scratch->failed) {
        im->stopped = LAPSE_NO_MEMORY;
        return 1;
    }
    lapse_reject reject = { .size = sizeof reject, .outcome = LAPSE_ROW_CONFLICT, .line = line, .column = "event_id",
                            .text = scratch->data + raw.size + 1,
                            .rule = "another event is stored under this source and event_id",
                            .row = scratch->data, .row_size = (int64_t)raw.size };
    im->next_conflict++;
    if (im->options.on_reject(im->options.reject_user, &reject))
        im->stopped = LAPSE_CANCELLED;
    return im->stopped != LAPSE_OK;
}

static int match_conflict(void *self, const struct lapse_row *row, int64_t line, struct lapse_text raw)
{
    struct worker *w = self;
    struct import *im = w->import;
    if (im->next_conflict == im->conflict_count)
        return 1;
    return line == im->conflicts[im->next_conflict]
               ? tell_conflict(im, line, row->text[LAPSE_F_EVENT_ID], raw, &w->faults) : 0;
}

static int pass_over(void *self, const struct lapse_csv_fault *fault)
{
    (void)self;
    (void)fault;
    return 0;
}

static lapse_status say_stopped(const struct import *im, lapse_error *error)
{
    return im->stopped == LAPSE_NO_MEMORY ? lapse_fail_memory(error)
                                          : lapse_fail(error, LAPSE_CANCELLED, "cancelled");
}

static int order_lines(const void *user, uint32_t a, uint32_t b)
{
    const int64_t *line = user;
    return (line[a] > line[b]) - (line[a] < line[b]);
}

static lapse_status sort_conflicts(struct import *im, lapse_error *error)
{
    size_t n = im->conflict_count;
    uint32_t *order = lapse_mem_alloc(&im->store->mem, 2 * n * sizeof *order);
    int64_t *lines = lapse_mem_alloc(&im->store->mem, n * sizeof *lines);
    for (size_t i = 0; order && i < n; i++)
        order[i] = (uint32_t)i;
    if (order && lines) {
        lapse_sort_indices(order, n, order + n, order_lines, im->conflicts);
        for (size_t i = 0; i < n; i++)
            lines[i] = im->conflicts[order[i]];
        memcpy(im->conflicts, lines, n * sizeof *lines);
    }
    lapse_status status = order && lines ? LAPSE_OK : lapse_fail_memory(error);
    lapse_mem_free(&im->store->mem, order);
    lapse_mem_free(&im->store->mem, lines);
    return status;
}

static lapse_status tell_conflicts(void *user, lapse_error *error)
{
    struct import *im = user;
    if (im->conflict_count == 0)
        return LAPSE_OK;
    lapse_status status = sort_conflicts(im, error);
    struct worker *w = &im->workers[0];
    struct lapse_input again;
    struct lapse_csv_sink sink = { w, match_conflict, pass_over };
    const struct lapse_text nothing = { "", 0 };
    lapse_input_init(&again, &im->store->mem, im->input.name);
    if (status == LAPSE_OK && im->path)
        status = lapse_input_open(&again, im->path, error);
    while (status == LAPSE_OK && im->path && !im->stopped && im->next_conflict < im->conflict_count) {
        status = lapse_input_chunk(&again, im->options.delimiter, &w->chunk, CHUNK, &w->line, error);
        if (status == LAPSE_OK) /* the header is parsed as a row, a bad one or none that is looked for */
            lapse_csv_parse(im->csv, &w->scratch, w->chunk.data, w->chunk.size, w->line, &sink, &w->rows);
        if (w->scratch.failed)
            im->stopped = LAPSE_NO_MEMORY;
    }
    while ((status == LAPSE_OK || status == LAPSE_DONE) && !im->stopped && im->next_conflict < im->conflict_count)
        tell_conflict(im, im->conflicts[im->next_conflict], nothing, nothing, &w->faults);
    lapse_input_close(&again);
    if (im->stopped)
        return say_stopped(im, error);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

/* ---- the calls ------------------------------------------------------------------------------------------------------ */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static lapse_status check_options(struct import *im, const lapse_import_options *options, lapse_error *error)
{
    lapse_import_options *o = &im->options;
    const uint32_t known = LAPSE_IMPORT_SKIP_BAD_ROWS | LAPSE_IMPORT_IGNORE_UNKNOWN | LAPSE_IMPORT_NEGATIVE_REFUND |
                           LAPSE_IMPORT_DRY_RUN | LAPSE_IMPORT_KEEP_ALL;
    lapse_import_options_init(o, sizeof *o);
    lapse_status status = options ? lapse_options_read(o, sizeof *o, options, oldest, "lapse_import_options", error)
                                  : LAPSE_OK;
    if (status != LAPSE_OK)
        return status;
    if (o->flags & ~known)
        return lapse_fail(error, LAPSE_INVALID, "lapse_import_options has flags that this library does not know");
    if (o->threads < 1 || o->threads > THREADS)
        return lapse_fail(error, LAPSE_INVALID, "threads are 1 to %d", THREADS);
    if (o->delimiter < 1 || o->delimiter > 127 || o->delimiter == '"' || o->delimiter == '\r' || o->delimiter == '\n')
        return lapse_fail(error, LAPSE_INVALID, "a delimiter is one ASCII character, no quote and no line end");
    im->threads = o->threads;
    im->source = o->source ? o->source : im->path ? base_name(im->path) : "stdin";
    if (strlen(im->source) > 255 || !lapse_utf8_valid(im->source, strlen(im->source)))
        return lapse_fail(error, LAPSE_INVALID, "a source is at most 255 bytes of UTF-8");
    return LAPSE_OK;
}

/* *counts is 0 if anything fails. */
static lapse_status prepare(struct import *im, const lapse_import_options *options, lapse_counts *counts,
                            lapse_error *error)
{
    const lapse_counts none = { 0 };
    lapse_status status = lapse_counts_give(counts, &none, error);
    if (status == LAPSE_OK)
        status = lapse_store_check(im->store, error);
    return status == LAPSE_OK ? check_options(im, options, error) : status;
}

static lapse_status import(struct import *im, lapse_counts *counts, lapse_error *error)
{
    struct lapse_store *store = im->store;
    lapse_counts own = { 0 };
    struct lapse_commit commit = { .store = store, .flags = im->options.flags, .counts = &own,
                                   .dropped = note_conflict, .stop = told_to_stop,
                                   .resolved = tell_conflicts, .user = im };
    im->counts = &own;
    lapse_store_check_of(store, im->options.received_at, im->options.policy, &im->check);
    im->workers = lapse_mem_zero(&store->mem, (size_t)im->threads + 1, sizeof *im->workers);
    if (!im->workers)
        return lapse_fail_memory(error);
    for (int32_t i = 0; i <= im->threads; i++) {
        struct worker *w = &im->workers[i];
        w->import = im;
        w->error.size = sizeof w->error;
        lapse_buffer_init(&w->chunk, &store->mem);
        lapse_buffer_init(&w->scratch, &store->mem);
        lapse_buffer_init(&w->faults, &store->mem);
    }
    lapse_status status = lapse_store_commit(store, &commit, fill, im, error);
    if (status == LAPSE_CANCELLED && im->stopped)
        status = say_stopped(im, error);
    for (int32_t i = 0; i <= im->threads; i++) {
        struct worker *w = &im->workers[i];
        lapse_stage_free(w->stage);
        lapse_buffer_free(&w->chunk);
        lapse_buffer_free(&w->scratch);
        lapse_buffer_free(&w->faults);
    }
    lapse_csv_close(im->csv);
    lapse_mem_free(&store->mem, im->runs);
    lapse_mem_free(&store->mem, im->conflicts);
    lapse_mem_free(&store->mem, im->workers);
    return status == LAPSE_OK ? lapse_counts_give(counts, &own, error) : status;
}

lapse_status lapse_store_import_file(lapse_store *store, const char *path, const lapse_import_options *options,
                                     lapse_counts *counts, lapse_error *error)
{
    struct import im = { .store = store, .path = path };
    lapse_status status = prepare(&im, options, counts, error);
    if (status == LAPSE_OK && !path)
        status = lapse_fail(error, LAPSE_INVALID, "path is NULL");
    if (status != LAPSE_OK)
        return status;
    lapse_input_init(&im.input, &store->mem, im.options.name ? im.options.name : path);
    status = lapse_input_open(&im.input, path, error);
    if (status == LAPSE_OK)
        status = import(&im, counts, error);
    lapse_input_close(&im.input);
    return status;
}

lapse_status lapse_store_import_stream(lapse_store *store, lapse_read_fn read, void *user,
                                       const lapse_import_options *options, lapse_counts *counts, lapse_error *error)
{
    struct import im = { .store = store };
    lapse_status status = prepare(&im, options, counts, error);
    if (status == LAPSE_OK && !read)
        status = lapse_fail(error, LAPSE_INVALID, "read is NULL");
    if (status != LAPSE_OK)
        return status;
    lapse_input_init(&im.input, &store->mem, im.options.name ? im.options.name : "input");
    im.input.read = read;
    im.input.user = user;
    status = import(&im, counts, error);
    lapse_input_close(&im.input);
    return status;
}
