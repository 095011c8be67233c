/* Results: streams of tables from a source, with the notes that go with them.
 * What ends a stream (its last part, a failure, a callback that cancels) is kept, and every later call is
 * answered with it again. Pulling a part costs what the source costs; collecting copies each value once. */
#include "table/table.h"

struct lapse_result {
    lapse_allocator mem;
    struct lapse_source source;
    struct lapse_column_spec *columns;
    int32_t count;
    lapse_status ended; /* LAPSE_OK while there may be more */
    lapse_error error;  /* of `ended` */
    char **notes;
    size_t note_count, note_capacity;
};

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

/* The next part, or why there is none; a failure is kept in result->error, not yet told. */
static lapse_status pull(lapse_result *result, lapse_table **out)
{
    *out = NULL;
    if (result->ended == LAPSE_OK) {
        result->ended = result->source.next(result->source.self, out, &result->error);
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

/* Hands on what the buffer holds, if it holds anything. */
static lapse_status flush(struct lapse_buffer *buffer, lapse_write_fn write, void *user, lapse_error *error)
{
    if (buffer->failed)
        return lapse_fail_memory(error);
    if (buffer->size > 0 && write(user, buffer->data, (int64_t)buffer->size) != 0)
        return lapse_fail(error, LAPSE_CANCELLED, "cancelled by the function that takes the output");
    buffer->size = 0;
    return LAPSE_OK;
}

lapse_status lapse_result_write_csv(lapse_result *result, lapse_write_fn write, void *user, lapse_error *error)
{
    if (!result || !write)
        return lapse_fail(error, LAPSE_INVALID, "lapse_result_write_csv() was given a NULL pointer");
    if (result->ended != LAPSE_OK && result->ended != LAPSE_DONE)
        return tell_end(result, error);
    struct lapse_buffer buffer;
    lapse_buffer_init(&buffer, &result->mem);
    lapse_csv_header(&buffer, result);
    lapse_status status = LAPSE_OK;
    lapse_table *part;
    while (status == LAPSE_OK && pull(result, &part) == LAPSE_OK) {
        for (int64_t row = 0; status == LAPSE_OK && row < part->rows;) {
            row = lapse_csv_rows(&buffer, part, row);
            if (buffer.failed || buffer.size >= LAPSE_CSV_CHUNK)
                status = flush(&buffer, write, user, &result->error);
        }
        lapse_table_release(part);
    }
    if (result->ended == LAPSE_DONE)
        status = flush(&buffer, write, user, &result->error);
    lapse_buffer_free(&buffer);
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
    int64_t row; /* the first that has not been given yet */
    struct lapse_column_spec columns[];
};

static lapse_status table_next(void *self, lapse_table **out, lapse_error *error)
{
    struct table_source *s = self;
    int64_t first = s->row, left = s->table->rows - first;
    if (left == 0)
        return LAPSE_DONE;
    if (left > LAPSE_TABLE_ROWS)
        left = LAPSE_TABLE_ROWS;
    s->row += left;
    if (left == s->table->rows) {
        lapse_table_retain(s->table);
        *out = s->table;
        return LAPSE_OK;
    }
    struct lapse_builder *b = lapse_builder_new(&s->mem, s->columns, s->table->count, left);
    lapse_builder_append(b, s->table, first, s->row);
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
    return lapse_result_new(mem, s->columns, table->count, (struct lapse_source){ s, table_next, table_close },
                            out, error);
}
