/* Conflicts of an import: they are known when all rows are, so their rows are read a second time to be told. */
#include "store/import.h"

int lapse_import_note_conflict(void *import, int64_t line, int outcome)
{
    struct import *im = import;
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

static void put_text(struct lapse_buffer *b, struct lapse_text text)
{
    lapse_buffer_put(b, text.data, text.size);
    lapse_buffer_byte(b, 0);
}

static int tell_conflict(struct import *im, int64_t line, struct lapse_text id, struct lapse_text raw,
                         struct lapse_buffer *scratch)
{
    scratch->size = 0;
    put_text(scratch, raw);
    put_text(scratch, id);
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

static int match_conflict(void *self, int64_t line, struct lapse_text raw, struct lapse_text id)
{
    struct import_worker *w = self;
    struct import *im = w->import;
    if (im->next_conflict == im->conflict_count)
        return 1;
    return line == im->conflicts[im->next_conflict] ? tell_conflict(im, line, id, raw, &w->faults) : 0;
}

static int pass_over(void *self, const struct lapse_csv_fault *fault)
{
    (void)self;
    (void)fault;
    return 0;
}

lapse_status lapse_import_say_stopped(const struct import *im, lapse_error *error)
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

lapse_status lapse_import_tell_conflicts(void *import, lapse_error *error)
{
    struct import *im = import;
    if (im->conflict_count == 0)
        return LAPSE_OK;
    lapse_status status = sort_conflicts(im, error);
    struct import_worker *w = &im->workers[0];
    struct import_chunk *chunk = &im->chunks[0];
    struct lapse_input again;
    struct lapse_csv_sink sink = { w, NULL, match_conflict, pass_over };
    const struct lapse_text nothing = { "", 0 };
    int64_t rows;
    lapse_input_init(&again, &im->store->mem, im->input.name);
    if (status == LAPSE_OK && im->path)
        status = lapse_input_open(&again, im->path, error);
    while (status == LAPSE_OK && im->path && !im->stopped && im->next_conflict < im->conflict_count) {
        status = lapse_input_chunk(&again, im->options.delimiter, &chunk->text, LAPSE_CHUNK, &chunk->line, error);
        if (status == LAPSE_OK) /* the header is parsed as a row, a bad one or none that is looked for */
            lapse_csv_parse(im->csv, &w->csv, chunk->text.data, chunk->text.size, chunk->line, &sink, &rows);
        if (w->csv.failed)
            im->stopped = LAPSE_NO_MEMORY;
    }
    while ((status == LAPSE_OK || status == LAPSE_DONE) && !im->stopped && im->next_conflict < im->conflict_count)
        tell_conflict(im, im->conflicts[im->next_conflict], nothing, nothing, &w->faults);
    lapse_input_close(&again);
    if (im->stopped)
        return lapse_import_say_stopped(im, error);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}
