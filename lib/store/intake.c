/* Reading an input into a stage, round by round. In a round the caller's thread reads ahead, since a stream's callback
 * may only be called there, and parses when that is done; other threads parse what was read. Between rounds, when no
 * thread runs, the host is told of bad rows, in the order of lines, and of progress.
 *
 * Chunks are taken in the order of the input, so when a bad row stops a round, every chunk before its own is parsed
 * to its end, and the first bad row of the input is known. */
#include "store/import.h"

enum {
    ROUND = 64,                /* chunks for each thread */
    FAULTS = 1 << 20           /* bytes of bad rows of one worker after which a round ends */
};

/* ---- one chunk, on any thread ---------------------------------------------------------------------------- */

int lapse_import_take_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    struct import_worker *w = self;
    w->status = lapse_stage_put(w->import->stage, &w->hand, rows, n, &w->error);
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

int lapse_import_take_fault(void *self, const struct lapse_csv_fault *fault)
{
    struct import_worker *w = self;
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

static void parse_csv(struct import_worker *w, const struct import_chunk *chunk)
{
    struct lapse_csv_sink sink = { .self = w, .rows = lapse_import_take_rows, .bad = lapse_import_take_fault };
    int64_t rows;
    lapse_csv_parse(w->import->csv, &w->csv, chunk->text.data, chunk->text.size, chunk->line, &sink, &rows);
    if (w->csv.failed)
        w->status = lapse_fail_memory(&w->error);
    w->rows += rows;
}

/* ---- one round -------------------------------------------------------------------------------------------- */

/* The next chunk to parse, NULL: none is there. With the lock held. */
static struct import_chunk *first_read(const struct import *im)
{
    struct import_chunk *first = NULL;
    for (int32_t i = 0; i < im->chunk_count && !im->stopping; i++)
        if (im->chunks[i].state == CHUNK_READ && (!first || im->chunks[i].line < first->line))
            first = &im->chunks[i];
    return first;
}

static struct import_chunk *first_free(const struct import *im)
{
    for (int32_t i = 0; i < im->chunk_count; i++)
        if (im->chunks[i].state == CHUNK_FREE)
            return &im->chunks[i];
    return NULL;
}

/* Reads into the chunks that are free, on the caller's thread. With the lock held, but not while it reads. */
static void read_ahead(struct import *im)
{
    for (struct import_chunk *chunk; (chunk = first_free(im)) != NULL;) {
        im->read |= im->stopping || im->more != LAPSE_OK || im->round_left == 0 || lapse_stage_full(im->stage);
        if (im->read)
            break;
        im->round_left--;
        lapse_lock_give(im->lock);
        lapse_status more = im->reading->next(im, chunk, &im->input_error);
        lapse_lock_take(im->lock);
        im->more = more;
        chunk->state = more == LAPSE_OK ? CHUNK_READ : CHUNK_FREE;
        lapse_lock_wake(im->lock);
    }
    if (im->read)
        lapse_lock_wake(im->lock);
}

/* The next chunk to parse, NULL: none is there, and none will come. With the lock held. The reader waits only while
 * others have all chunks, and each that they give back wakes it. */
static struct import_chunk *next_chunk(struct import *im, bool reads)
{
    for (;;) {
        if (reads && !im->read)
            read_ahead(im);
        struct import_chunk *chunk = first_read(im);
        if (chunk || im->read || im->stopping)
            return chunk;
        lapse_lock_wait(im->lock);
    }
}

/* Task 0 is the caller's thread. */
static int work(void *user, int64_t task)
{
    struct import *im = user;
    struct import_worker *w = &im->workers[task];
    lapse_lock_take(im->lock);
    for (struct import_chunk *chunk; (chunk = next_chunk(im, task == 0)) != NULL;) {
        chunk->state = CHUNK_TAKEN;
        lapse_lock_give(im->lock);
        im->reading->parse(w, chunk);
        lapse_lock_take(im->lock);
        chunk->state = CHUNK_FREE;
        im->read |= w->faults.size > FAULTS;
        im->stopping |= w->stopped || w->status != LAPSE_OK;
        lapse_lock_wake(im->lock);
    }
    lapse_lock_give(im->lock);
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

/* The worker whose next fault stands first in the input, NULL: there are no more. */
static struct import_worker *first_fault(struct import *im)
{
    struct import_worker *first = NULL;
    int64_t least = 0, line;
    for (int32_t i = 0; i < im->threads; i++) {
        struct import_worker *w = &im->workers[i];
        if (w->faults.size == 0 || w->next_fault == w->faults.data + w->faults.size)
            continue;
        memcpy(&line, w->next_fault + offsetof(struct waiting_fault, line), sizeof line);
        if (!first || line < least) {
            first = w;
            least = line;
        }
    }
    return first;
}

static lapse_status tell_faults(struct import *im, lapse_error *error)
{
    bool skip = im->options.flags & LAPSE_IMPORT_SKIP_BAD_ROWS;
    for (int32_t i = 0; i < im->threads; i++)
        im->workers[i].next_fault = im->workers[i].faults.data;
    for (struct import_worker *w; (w = first_fault(im)) != NULL;) {
        lapse_reject reject;
        struct waiting_fault f = read_fault(&w->next_fault, &reject);
        struct lapse_place place = { im->input.name, im->frames ? 0 : f.line, im->frames ? f.line : -1, reject.column };
        if (!skip)
            return lapse_fail_at(error, LAPSE_BAD_INPUT, &place, reject.text, f.text, reject.rule);
        if (!im->options.on_reject)
            break;
        if (im->options.on_reject(im->options.reject_user, &reject))
            return lapse_fail(error, LAPSE_CANCELLED, "cancelled");
    }
    return LAPSE_OK;
}

static lapse_status settle(struct import *im, lapse_error *error)
{
    for (int32_t i = 0; i < im->threads; i++)
        if (im->workers[i].status != LAPSE_OK)
            return pass_on(error, &im->workers[i].error, im->workers[i].status);
    lapse_status status = tell_faults(im, error);
    for (int32_t i = 0; i < im->threads; i++) {
        struct import_worker *w = &im->workers[i];
        im->counts->read += w->rows;
        im->counts->rejected += w->rejected;
        w->rows = w->rejected = 0;
        w->faults.size = 0;
    }
    if (status == LAPSE_OK && im->more != LAPSE_OK && im->more != LAPSE_DONE)
        status = pass_on(error, &im->input_error, im->more);
    if (status == LAPSE_OK && lapse_import_told_to_stop(im))
        status = lapse_fail(error, LAPSE_CANCELLED, "cancelled");
    return status;
}

int lapse_import_told_to_stop(void *import)
{
    struct import *im = import;
    return im->options.on_progress &&
           im->options.on_progress(im->options.progress_user, im->input.done, im->input.total);
}

/* ---- the beginning ------------------------------------------------------------------------------------------- */

/* The first chunk begins with the header, after a byte-order mark perhaps. */
static lapse_status open_csv(struct import *im, struct import_chunk *chunk, lapse_error *error)
{
    static const char bom[] = "\xef\xbb\xbf";
    struct lapse_buffer *text = &chunk->text;
    size_t skip = text->size >= 3 && memcmp(text->data, bom, 3) == 0 ? 3 : 0, end = skip;
    char delimiter = (char)im->options.delimiter;
    struct lapse_csv_setup setup = { &im->store->mem, &im->options, im->input.name, im->source, &im->store->zone,
                                     &im->check };
    bool unclosed;
    if (skip == text->size)
        return lapse_fail(error, LAPSE_BAD_INPUT, "%s: there is no header row", im->input.name);
    do { /* a line end inside quotes belongs to the header */
        const char *lf = memchr(text->data + end, '\n', text->size - end);
        end = lf ? (size_t)(lf - text->data) + 1 : text->size;
    } while (end < text->size && lapse_csv_split(delimiter, text->data + skip, end - skip, false, &unclosed) == 0);
    size_t n = end - skip;
    if (n && text->data[skip + n - 1] == '\n')
        n -= n > 1 && text->data[skip + n - 2] == '\r' ? 2 : 1;
    lapse_status status = lapse_csv_open(&setup, text->data + skip, n, &im->csv, error);
    chunk->line += lapse_csv_lines(text->data, end);
    memmove(text->data, text->data + end, text->size - end);
    text->size -= end;
    return status;
}

lapse_status lapse_import_open_stage(struct import *im, double expected, lapse_error *error)
{
    const int64_t limit = im->store->memory_limit - im->store->memory_limit / 16;
    struct lapse_columns constants = { 0 };
    if (expected > (double)limit / 16)
        expected = (double)limit / 16;
    lapse_csv_constants(im->plan, &constants);
    return lapse_stage_new(im->store, &constants, (size_t)limit, (uint64_t)expected, &im->stage, error);
}

/* About as many rows as there will be, if the rest is like the first chunk. */
static double expected_rows(const struct import *im, const struct import_chunk *chunk)
{
    int64_t rows = lapse_csv_lines(chunk->text.data, chunk->text.size) + 1, bytes = im->input.total;
    if (bytes < im->input.done) /* a stream */
        bytes = im->input.ended ? im->input.done : im->store->memory_limit;
    return (double)rows * ((double)bytes / (double)(chunk->text.size + 1) * 1.06 + 1);
}

static lapse_status next_csv(struct import *im, struct import_chunk *chunk, lapse_error *error)
{
    return lapse_input_chunk(&im->input, im->options.delimiter, &chunk->text, LAPSE_CHUNK, &chunk->line, error);
}

static lapse_status begin_csv(struct import *im, lapse_error *error)
{
    struct import_chunk *chunk = &im->chunks[0];
    im->more = next_csv(im, chunk, &im->input_error);
    if (im->more == LAPSE_DONE)
        return lapse_fail(error, LAPSE_BAD_INPUT, "%s: there is no header row", im->input.name);
    if (im->more != LAPSE_OK)
        return pass_on(error, &im->input_error, im->more);
    lapse_status status = open_csv(im, chunk, error);
    im->plan = im->csv;
    if (status == LAPSE_OK)
        status = lapse_import_open_stage(im, expected_rows(im, chunk), error);
    chunk->state = CHUNK_READ;
    return status;
}

const struct import_reading lapse_import_reading_csv = { begin_csv, next_csv, parse_csv };

lapse_status lapse_import_read(struct import *im, lapse_error *error)
{
    lapse_status status = im->reading->begin(im, error);
    while (status == LAPSE_OK) {
        im->read = im->stopping = false;
        im->round_left = (int64_t)im->threads * ROUND;
        lapse_crew_run(im->crew, im->threads, work, im);
        status = settle(im, error);
        bool last = im->more != LAPSE_OK;
        if (status == LAPSE_OK && (last || lapse_stage_full(im->stage)))
            status = lapse_stage_flush(im->stage, im->crew, error);
        if (last)
            break;
    }
    return status;
}

bool lapse_import_workers_open(struct import *im)
{
    const lapse_allocator *mem = &im->store->mem;
    const int32_t chunks = im->threads > 1 ? im->threads * 2 + 1 : 1; /* one thread need not read ahead */
    im->workers = lapse_mem_zero(mem, (size_t)im->threads, sizeof *im->workers);
    im->chunks = lapse_mem_zero(mem, (size_t)chunks, sizeof *im->chunks);
    im->lock = lapse_lock_new(mem);
    for (int32_t i = 0; im->workers && i < im->threads; i++) {
        struct import_worker *w = &im->workers[i];
        w->import = im;
        w->error.size = sizeof w->error;
        lapse_csv_work_init(&w->csv, mem);
        lapse_arrow_work_init(&w->arrow, mem);
        lapse_stage_hand_init(&w->hand, mem);
        w->hand.first_part = (size_t)i * 37;
        lapse_buffer_init(&w->faults, mem);
    }
    im->chunk_count = im->chunks ? chunks : 0;
    for (int32_t i = 0; i < im->chunk_count; i++)
        lapse_buffer_init(&im->chunks[i].text, mem);
    im->input_error.size = sizeof im->input_error;
    return im->workers && im->chunks && im->lock;
}

void lapse_import_workers_close(struct import *im)
{
    const lapse_allocator *mem = &im->store->mem;
    for (int32_t i = 0; im->workers && i < im->threads; i++) {
        struct import_worker *w = &im->workers[i];
        lapse_csv_work_free(&w->csv);
        lapse_arrow_work_free(&w->arrow);
        lapse_stage_hand_free(&w->hand);
        lapse_buffer_free(&w->faults);
    }
    for (int32_t i = 0; i < im->chunk_count; i++)
        lapse_buffer_free(&im->chunks[i].text);
    lapse_mem_free(mem, im->workers);
    lapse_mem_free(mem, im->chunks);
    lapse_lock_free(mem, im->lock);
}
