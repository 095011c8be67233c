/* Importing a stream of Arrow arrays: intake.c on slices of arrays instead of pieces of a file. Arrays are asked for,
 * and released, on the caller's thread; each lives until the last chunk that is a slice of it is used again. */
#include "store/import.h"

struct import_frame {
    struct ArrowArray array;
    int users; /* chunks, and the reader while it cuts them */
};

struct import_frames {
    struct ArrowArrayStream stream;
    struct lapse_arrow *arrow;
    struct import_frame *frame; /* one more than chunks */
    struct import_frame *current;
    int64_t at, row;            /* next row, in the current array and in the stream */
};

static void drop(struct import_frame *frame)
{
    if (frame && --frame->users == 0 && frame->array.release)
        frame->array.release(&frame->array);
}

static lapse_status fail_stream(const struct import *im, const char *what, lapse_error *error)
{
    struct ArrowArrayStream *stream = &im->frames->stream;
    const char *said = stream->get_last_error ? stream->get_last_error(stream) : NULL;
    if (!said || !lapse_utf8_valid(said, strlen(said)))
        said = "it does not say why";
    return lapse_fail(error, LAPSE_IO, "%s: the stream %s: %s", im->input.name, what, said);
}

/* Makes the next array the current one. LAPSE_DONE: there is none. */
static lapse_status fetch(struct import *im, lapse_error *error)
{
    struct import_frames *f = im->frames;
    struct import_frame *frame = f->frame;
    drop(f->current);
    f->current = NULL;
    while (frame->users > 0) /* each chunk but the one to be filled has one at most */
        frame++;
    memset(&frame->array, 0, sizeof frame->array);
    if (f->stream.get_next(&f->stream, &frame->array) != 0)
        return fail_stream(im, "failed", error);
    if (!frame->array.release)
        return LAPSE_DONE;
    frame->users = 1;
    f->current = frame;
    f->at = 0;
    lapse_status status = lapse_arrow_check(f->arrow, &frame->array, im->input.name, error);
    if (status == LAPSE_OK && frame->array.length > INT64_MAX / 2 - f->row)
        status = lapse_fail(error, LAPSE_BAD_INPUT, "%s: the stream has too many rows", im->input.name);
    return status;
}

static lapse_status next_slice(struct import *im, struct import_chunk *chunk, lapse_error *error)
{
    struct import_frames *f = im->frames;
    drop(chunk->frame);
    chunk->frame = NULL;
    if (!f->current || f->at == f->current->array.length) {
        lapse_status status = fetch(im, error);
        if (status != LAPSE_OK)
            return status;
    }
    int64_t left = f->current->array.length - f->at;
    chunk->frame = f->current;
    chunk->frame->users++;
    chunk->first = f->at;
    chunk->rows = left < LAPSE_CSV_BATCH ? left : LAPSE_CSV_BATCH;
    chunk->line = f->row;
    f->at += chunk->rows;
    f->row += chunk->rows;
    im->input.done = f->row;
    return LAPSE_OK;
}

static void parse_slice(struct import_worker *w, const struct import_chunk *chunk)
{
    const struct import *im = w->import;
    struct lapse_csv_sink sink = { .self = w, .rows = lapse_import_take_rows, .bad = lapse_import_take_fault };
    if (chunk->rows == 0)
        return;
    lapse_arrow_read(im->frames->arrow, &w->arrow, &chunk->frame->array, chunk->first, chunk->rows, chunk->line, &sink);
    if (w->arrow.failed)
        w->status = lapse_fail_memory(&w->error);
    if (w->arrow.broken) {
        struct lapse_place place = { im->input.name, 0, -1, w->arrow.broken };
        w->status = lapse_fail_at(&w->error, LAPSE_BAD_INPUT, &place, NULL, 0,
                                  "the array is damaged: a value points to where nothing can be");
    }
    w->rows += chunk->rows;
}

static lapse_status begin_stream(struct import *im, lapse_error *error)
{
    enum { LEAST = 1 << 15 }; /* rows, so that several threads can begin at once */
    struct import_frames *f = im->frames;
    struct ArrowSchema schema = { 0 };
    struct lapse_csv_setup setup = { &im->store->mem, &im->options, im->input.name, im->source, &im->store->zone,
                                     &im->check };
    f->frame = lapse_mem_zero(&im->store->mem, (size_t)im->chunk_count + 1, sizeof *f->frame);
    if (!f->frame)
        return lapse_fail_memory(error);
    if (f->stream.get_schema(&f->stream, &schema) != 0)
        return fail_stream(im, "gives no schema", error);
    if (!schema.release)
        return lapse_fail(error, LAPSE_BAD_INPUT, "%s: the stream's schema was released before", im->input.name);
    lapse_status status = lapse_arrow_open(&setup, &schema, &f->arrow, error);
    if (status != LAPSE_OK)
        return status;
    im->plan = lapse_arrow_plan(f->arrow);
    status = fetch(im, error);
    im->more = status;
    int64_t rows = status == LAPSE_OK ? f->current->array.length : 0;
    if (status == LAPSE_OK || status == LAPSE_DONE)
        status = lapse_import_open_stage(im, rows < LEAST ? (double)LEAST : (double)rows, error);
    return status;
}

static const struct import_reading reading = { begin_stream, next_slice, parse_slice };

lapse_status lapse_store_import_arrow(lapse_store *store, struct ArrowArrayStream *stream,
                                      const lapse_import_options *options, lapse_counts *counts, lapse_error *error)
{
    struct import_frames frames = { .at = 0 };
    struct import im = { .store = store, .path = NULL, .reading = &reading, .frames = &frames };
    if (stream) {
        frames.stream = *stream;
        stream->release = NULL;
    }
    lapse_status status = lapse_import_prepare(&im, options, counts, error);
    if (status == LAPSE_OK && (!frames.stream.release || !frames.stream.get_schema || !frames.stream.get_next))
        status = lapse_fail(error, LAPSE_INVALID, "the stream is NULL, or was released before");
    if (status == LAPSE_OK) {
        lapse_input_init(&im.input, &store->mem, im.options.name ? im.options.name : "stream");
        status = lapse_import_run(&im, counts, error);
        lapse_input_close(&im.input);
        for (int32_t i = 0; frames.frame && i <= im.chunk_count; i++)
            if (frames.frame[i].users > 0 && frames.frame[i].array.release)
                frames.frame[i].array.release(&frames.frame[i].array);
        lapse_mem_free(&store->mem, frames.frame);
        lapse_arrow_close(frames.arrow);
    }
    if (frames.stream.release)
        frames.stream.release(&frames.stream);
    return status;
}
