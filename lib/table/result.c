/* Results: streams of tables from a source, with the notes that go with them.
 * What ends a stream (its last part, a failure, a callback that cancels) is kept, and every later call is
 * answered with it again. Pulling a part costs what the source costs; collecting copies each value once. */
#include "table/table.h"

enum { THREADS_MOST = 16 };

/* A part that was made ahead of being asked for. */
struct part {
    lapse_table *table; /* NULL: it was given, or there is none */
    lapse_table *spare; /* the one before in this place */
    lapse_status status;
    lapse_error error;
};

struct lapse_result {
    lapse_allocator mem;
    struct lapse_source source;
    int64_t at;         /* rows of a source of ranges that have been given */
    struct part *parts; /* of these; as many as threads are made at once */
    int64_t made, given; /* of parts */
    struct lapse_column_spec *columns;
    int32_t count;
    lapse_status ended; /* LAPSE_OK while there may be more */
    lapse_error error;  /* of `ended` */
    char **notes;
    size_t note_count, note_capacity;
};

/* How many parts, or pieces of CSV, are made at once. */
static int32_t width_of(const struct lapse_result *result)
{
    int32_t threads = result->source.threads;
    return threads < 1 ? 1 : threads < THREADS_MOST ? threads : THREADS_MOST;
}

static void close_source(struct lapse_source *source)
{
    if (source->close)
        source->close(source->self);
}

lapse_status lapse_result_new(const lapse_allocator *mem, const struct lapse_column_spec *columns,
                              int32_t count, struct lapse_source source, lapse_result **out, lapse_error *error)
{
    *out = NULL;
    lapse_result *result = lapse_mem_zero(mem, 1, sizeof *result);
    size_t n = count > 0 ? (size_t)count : 0;
    struct lapse_column_spec *copy = result ? lapse_mem_zero(mem, n + 1, sizeof *copy) : NULL;
    if (!copy) {
        lapse_mem_free(mem, result);
        close_source(&source);
        return lapse_fail_memory(error);
    }
    if (n > 0)
        memcpy(copy, columns, n * sizeof *copy);
    result->mem = *mem;
    result->source = source;
    result->columns = copy;
    result->count = (int32_t)n;
    result->error.size = sizeof result->error;
    result->error.row = -1;
    *out = result;
    return LAPSE_OK;
}

void lapse_result_free(lapse_result *result)
{
    if (!result)
        return;
    lapse_allocator mem = result->mem;
    close_source(&result->source);
    for (int32_t i = 0; result->parts && i < width_of(result); i++) {
        lapse_table_release(result->parts[i].table);
        lapse_table_release(result->parts[i].spare);
    }
    lapse_mem_free(&mem, result->parts);
    for (size_t i = 0; i < result->note_count; i++)
        lapse_mem_free(&mem, result->notes[i]);
    lapse_mem_free(&mem, result->notes);
    lapse_mem_free(&mem, result->columns);
    lapse_mem_free(&mem, result);
}

/* Tells the caller why the stream has ended. */
static lapse_status tell_end(const lapse_result *result, lapse_error *error)
{
    return result->ended == LAPSE_DONE ? LAPSE_DONE : lapse_fail_again(error, &result->error);
}

/* Of the parts that follow one another from result->at on. Its memory is that of the part before in its place, once all
 * others have released that. */
static int make_part(void *user, int64_t index)
{
    struct lapse_result *result = user;
    const struct lapse_source *source = &result->source;
    struct part *p = &result->parts[index];
    int64_t first = result->at + index * LAPSE_TABLE_ROWS, left = source->rows - first;
    p->error = (lapse_error){ .size = sizeof p->error, .row = -1 };
    p->status = source->range(source->self, first, left < LAPSE_TABLE_ROWS ? source->rows : first + LAPSE_TABLE_ROWS,
                              p->spare, &p->table, &p->error);
    lapse_table_release(p->spare);
    p->spare = left > LAPSE_TABLE_ROWS ? p->table : NULL;
    lapse_table_retain(p->spare);
    return 0;
}

static lapse_status next_range(lapse_result *result, lapse_table **out)
{
    const int32_t width = width_of(result);
    int64_t left = result->source.rows - result->at;
    if (left == 0)
        return LAPSE_DONE;
    if (!result->parts && !(result->parts = lapse_mem_zero(&result->mem, (size_t)width, sizeof *result->parts)))
        return lapse_fail_memory(&result->error);
    if (result->given == result->made) {
        int64_t count = (left - 1) / LAPSE_TABLE_ROWS + 1;
        result->made = count < width ? count : width;
        result->given = 0;
        lapse_parallel(width, result->made, make_part, result);
    }
    struct part *p = &result->parts[result->given++];
    if (p->status != LAPSE_OK) {
        lapse_fail_again(&result->error, &p->error);
        return p->status;
    }
    *out = p->table;
    p->table = NULL;
    result->at += (*out)->rows;
    return LAPSE_OK;
}

/* The next part, or why there is none; a failure is kept in result->error, not yet told. */
static lapse_status pull(lapse_result *result, lapse_table **out)
{
    *out = NULL;
    if (result->ended == LAPSE_OK) {
        result->ended = result->source.range ? next_range(result, out)
                                             : result->source.next(result->source.self, out, &result->error);
        result->error.status = result->ended;
    }
    return result->ended;
}

lapse_status lapse_result_next(lapse_result *result, lapse_table **out, lapse_error *error)
{
    if (out)
        *out = NULL;
    if (!result || !out)
        return lapse_fail(error, LAPSE_INVALID, "lapse_result_next() was given a NULL pointer");
    return pull(result, out) == LAPSE_OK ? LAPSE_OK : tell_end(result, error);
}

lapse_status lapse_result_collect(lapse_result *result, lapse_table **out, lapse_error *error)
{
    if (out)
        *out = NULL;
    if (!result || !out)
        return lapse_fail(error, LAPSE_INVALID, "lapse_result_collect() was given a NULL pointer");
    if (result->ended != LAPSE_OK && result->ended != LAPSE_DONE)
        return tell_end(result, error);
    struct lapse_builder *b = lapse_builder_new(&result->mem, result->columns, result->count, 0);
    lapse_table *part;
    while (b && pull(result, &part) == LAPSE_OK) {
        lapse_builder_append(b, part, 0, part->rows);
        lapse_table_release(part);
    }
    if (b && result->ended != LAPSE_DONE) {
        lapse_builder_free(b);
        return tell_end(result, error);
    }
    lapse_status status = lapse_builder_finish(b, out, &result->error);
    if (status == LAPSE_OK)
        return LAPSE_OK;
    /* Parts are gone that were pulled for nothing: the rest must not pass for the whole. */
    result->ended = status;
    return tell_end(result, error);
}

/* ---- CSV ---------------------------------------------------------------------------------------------- */

struct output {
    lapse_result *result;
    lapse_write_fn write;
    void *user;
};

/* Hands on what a buffer holds, if it holds anything. */
static lapse_status flush(const struct output *o, struct lapse_buffer *buffer)
{
    if (buffer->failed)
        return lapse_fail_memory(&o->result->error);
    if (buffer->size > 0 && o->write(o->user, buffer->data, (int64_t)buffer->size) != 0)
        return lapse_fail(&o->result->error, LAPSE_CANCELLED, "cancelled by the function that takes the output");
    buffer->size = 0;
    return LAPSE_OK;
}

/* Part by part, in chunks that go over their ends. */
static lapse_status write_stream(const struct output *o)
{
    lapse_result *result = o->result;
    struct lapse_csv_writer *w = lapse_mem_alloc(&result->mem, sizeof *w);
    lapse_status status = LAPSE_OK;
    lapse_table *part;
    if (!w)
        return lapse_fail_memory(&result->error);
    lapse_csv_writer_init(w, &result->mem);
    lapse_csv_header(&w->out, result);
    while (status == LAPSE_OK && pull(result, &part) == LAPSE_OK) {
        for (int64_t row = 0; status == LAPSE_OK && row < part->rows;) {
            row = lapse_csv_rows(w, part, row, LAPSE_CSV_CHUNK);
            if (w->out.failed || w->out.size >= LAPSE_CSV_CHUNK)
                status = flush(o, &w->out);
        }
        lapse_table_release(part);
    }
    if (status == LAPSE_OK)
        status = result->ended == LAPSE_DONE ? flush(o, &w->out) : result->ended;
    lapse_csv_writer_free(w);
    lapse_mem_free(&result->mem, w);
    return status;
}

/* Rows that are all there are printed in pieces, which any thread takes in their order; the caller's thread hands them on
 * in that order too, and prints others while the next one is not ready. No more than `width` are at hand. */
enum { PIECE_ROWS = 2048, PIECES_A_THREAD = 4 };

struct piece {
    struct lapse_buffer text;
    lapse_status status;
    lapse_error error;
    bool ready;
};
struct printing {
    const struct output *output;
    struct lapse_csv_writer *writers; /* one a thread */
    int64_t first, count, width;      /* the row they begin with, pieces in all, those that are at hand at once */
    struct lapse_lock *lock;          /* of all that follows */
    struct piece *pieces;             /* number i at i % width, until it is handed on */
    int64_t begun, handed_on;
    lapse_status status;              /* of what was handed on */
};

static void print_piece(const struct printing *p, struct lapse_csv_writer *writer, int64_t number)
{
    const struct lapse_source *source = &p->output->result->source;
    struct piece *piece = &p->pieces[number % p->width];
    const int64_t first = p->first + number * PIECE_ROWS, left = source->rows - first;
    lapse_table *table;
    piece->error = (lapse_error){ .size = sizeof piece->error, .row = -1 };
    piece->status = source->range(source->self, first, first + (left < PIECE_ROWS ? left : PIECE_ROWS), NULL, &table,
                                  &piece->error);
    if (piece->status != LAPSE_OK)
        return;
    writer->out = piece->text;
    lapse_csv_rows(writer, table, 0, SIZE_MAX);
    piece->text = writer->out;
    lapse_buffer_init(&writer->out, piece->text.mem);
    lapse_table_release(table);
}

/* On the caller's thread. */
static lapse_status hand_on(const struct output *o, struct piece *piece)
{
    if (piece->status == LAPSE_OK)
        return flush(o, &piece->text);
    o->result->error = piece->error;
    return piece->status;
}

/* Thread 0 is the caller's. */
static int print_pieces(void *user, int64_t thread)
{
    struct printing *p = user;
    lapse_lock_take(p->lock);
    while (p->status == LAPSE_OK && (thread == 0 ? p->handed_on : p->begun) < p->count) {
        struct piece *next = &p->pieces[p->handed_on % p->width];
        const bool hands_on = thread == 0 && next->ready;
        if (!hands_on && (p->begun == p->count || p->begun == p->handed_on + p->width)) {
            lapse_lock_wait(p->lock);
            continue;
        }
        const int64_t number = hands_on ? p->handed_on : p->begun++;
        lapse_lock_give(p->lock);
        lapse_status status = LAPSE_OK;
        if (hands_on)
            status = hand_on(p->output, next);
        else
            print_piece(p, &p->writers[thread], number);
        lapse_lock_take(p->lock);
        p->pieces[number % p->width].ready = !hands_on;
        p->handed_on += hands_on;
        p->status = hands_on ? status : p->status;
        lapse_lock_wake(p->lock);
    }
    lapse_lock_give(p->lock);
    return 0;
}

static lapse_status write_ranges(const struct output *o)
{
    lapse_result *result = o->result;
    const lapse_allocator *mem = &result->mem;
    const int32_t threads = width_of(result);
    struct printing p = { .output = o, .first = result->at, .width = threads > 1 ? threads * PIECES_A_THREAD : 1 };
    p.count = (result->source.rows - p.first + PIECE_ROWS - 1) / PIECE_ROWS;
    p.writers = lapse_mem_alloc(mem, (size_t)threads * sizeof *p.writers);
    p.pieces = lapse_mem_zero(mem, (size_t)p.width, sizeof *p.pieces);
    p.lock = lapse_lock_new(mem);
    if (p.writers && p.pieces && p.lock) {
        for (int32_t i = 0; i < threads; i++)
            lapse_csv_writer_init(&p.writers[i], mem);
        for (int64_t i = 0; i < p.width; i++)
            lapse_buffer_init(&p.pieces[i].text, mem);
        lapse_csv_header(&p.pieces[0].text, result);
        lapse_parallel(threads, threads, print_pieces, &p);
        if (p.count == 0) /* no row is left: the header alone */
            p.status = flush(o, &p.pieces[0].text);
        result->at = result->source.rows;
        for (int32_t i = 0; i < threads; i++)
            lapse_csv_writer_free(&p.writers[i]);
        for (int64_t i = 0; i < p.width; i++)
            lapse_buffer_free(&p.pieces[i].text);
    } else {
        p.status = lapse_fail_memory(&result->error);
    }
    lapse_lock_free(mem, p.lock);
    lapse_mem_free(mem, p.pieces);
    lapse_mem_free(mem, p.writers);
    return p.status == LAPSE_OK ? LAPSE_DONE : p.status;
}

lapse_status lapse_result_write_csv(lapse_result *result, lapse_write_fn write, void *user, lapse_error *error)
{
    if (!result || !write)
        return lapse_fail(error, LAPSE_INVALID, "lapse_result_write_csv() was given a NULL pointer");
    if (result->ended != LAPSE_OK && result->ended != LAPSE_DONE)
        return tell_end(result, error);
    struct output output = { result, write, user };
    lapse_status status = result->source.range ? write_ranges(&output) : write_stream(&output);
    if (status != LAPSE_OK)
        result->ended = status;
    return result->ended == LAPSE_DONE ? LAPSE_OK : tell_end(result, error);
}

int32_t lapse_result_columns(const lapse_result *result)
{
    return result ? result->count : 0;
}

lapse_status lapse_result_column(const lapse_result *result, int32_t index, lapse_column *out)
{
    if (!result || !out || index < 0 || index >= result->count)
        return LAPSE_INVALID;
    const struct lapse_column_spec *spec = &result->columns[index];
    lapse_column column = {
        .size = sizeof column, .type = spec->type, .name = spec->name, .digits = spec->digits
    };
    return lapse_column_write(&column, out);
}

const lapse_allocator *lapse_result_memory(const lapse_result *result)
{
    return &result->mem;
}

lapse_status lapse_result_add_note(lapse_result *result, const char *text, size_t n)
{
    char *note = lapse_mem_text(&result->mem, text, n);
    if (!note || !lapse_mem_reserve(&result->mem, &result->notes, &result->note_capacity,
                                    result->note_count + 1, sizeof *result->notes)) {
        lapse_mem_free(&result->mem, note);
        return LAPSE_NO_MEMORY;
    }
    result->notes[result->note_count++] = note;
    return LAPSE_OK;
}

int32_t lapse_result_notes(const lapse_result *result)
{
    return result ? (int32_t)result->note_count : 0;
}

const char *lapse_result_note(const lapse_result *result, int32_t index)
{
    return result && index >= 0 && (size_t)index < result->note_count ? result->notes[index] : NULL;
}

/* ---- a table as a source ----------------------------------------------------------------------------- */

struct table_source {
    lapse_allocator mem;
    lapse_table *table;
    struct lapse_column_spec columns[];
};

static lapse_status table_range(void *self, int64_t first, int64_t end, lapse_table *spare, lapse_table **out,
                                lapse_error *error)
{
    struct table_source *s = self;
    if (end - first == s->table->rows) {
        lapse_table_retain(s->table);
        *out = s->table;
        return LAPSE_OK;
    }
    struct lapse_builder *b = lapse_builder_again(&s->mem, s->columns, s->table->count, end - first, spare);
    lapse_builder_append(b, s->table, first, end);
    return lapse_builder_finish(b, out, error);
}

static void table_close(void *self)
{
    struct table_source *s = self;
    lapse_allocator mem = s->mem;
    lapse_table_release(s->table);
    lapse_mem_free(&mem, s);
}

lapse_status lapse_result_of_table(const lapse_allocator *mem, lapse_table *table, lapse_result **out,
                                   lapse_error *error)
{
    *out = NULL;
    size_t count = (size_t)table->count;
    struct table_source *s = lapse_mem_zero(mem, 1, sizeof *s + count * sizeof s->columns[0]);
    if (!s) {
        lapse_table_release(table);
        return lapse_fail_memory(error);
    }
    s->mem = *mem;
    s->table = table;
    for (size_t i = 0; i < count; i++)
        s->columns[i] = table->column[i].spec;
    struct lapse_source source = { .self = s, .close = table_close, .range = table_range, .rows = table->rows };
    return lapse_result_new(mem, s->columns, table->count, source, out, error);
}
