/* Answers about customers as streams of tables in bounded memory. The customers are cut into slices of about
 * equally many events, which do not depend on the number of threads, so neither do the tables. A pull works on the
 * next slices, one a thread, until each has a few tables or has ended, and hands the tables out in order. One
 * customer is a slice of its own. */
#include "state/state.h"

enum { SLICE_EVENTS = 1 << 18, TABLES_AT_ONCE = 4, FEW_ROWS = 16, SOME_ROWS = 4096 };

struct lapse_stream {
    lapse_view *view; /* owned, as all below is */
    struct lapse_rules rules;
    struct lapse_answer answer;
    struct lapse_crossing *crossing;
    bool alone; /* one customer */
    struct lapse_one one;
    int32_t threads;
    lapse_progress_fn on_progress;
    void *progress_user;
    struct lapse_text *keys;     /* where slices begin */
    int64_t slices, next;        /* how many, and the next one to work out */
    int64_t done, events;        /* gone through, and in all */
    struct lapse_sheet **sheets; /* one for each thread */
    int32_t sheet, table;        /* the next table to hand out is this one of that sheet */
    int32_t filled;              /* sheets that have been worked out */
};

lapse_status lapse_one_read(struct lapse_one *one, const char *customer, lapse_error *error)
{
    size_t n = strlen(customer);
    if (n == 0 || n > 255)
        return lapse_fail(error, LAPSE_INVALID, "a customer id has 1 to 255 bytes");
    memcpy(one->bytes, customer, n); /* no id lies between one and the same with a NUL behind it */
    one->bytes[n] = 0;
    one->from = (struct lapse_text){ one->bytes, (uint32_t)n };
    one->to = (struct lapse_text){ one->bytes, (uint32_t)n + 1 };
    return LAPSE_OK;
}

/* ---- sheets ------------------------------------------------------------------------------------------ */

void lapse_sheet_fail(struct lapse_sheet *s)
{
    if (s->status == LAPSE_OK)
        s->status = lapse_fail_memory(&s->error);
}

static void finish_table(struct lapse_sheet *s)
{
    if (!s->builder)
        return;
    lapse_table *table = NULL;
    lapse_status status = lapse_builder_finish(s->builder, &table, &s->error);
    s->builder = NULL;
    s->rows = 0;
    if (status != LAPSE_OK) {
        s->status = s->status == LAPSE_OK ? status : s->status;
    } else if (s->count == s->capacity && !lapse_mem_reserve(s->stream->rules.mem, &s->tables, &s->capacity,
                                                             s->count + 1, sizeof *s->tables)) {
        lapse_table_release(table);
        lapse_sheet_fail(s);
    } else {
        s->tables[s->count++] = table;
    }
}

struct lapse_builder *lapse_sheet_row(struct lapse_sheet *s)
{
    const struct lapse_answer *a = &s->stream->answer;
    if (s->status != LAPSE_OK)
        return NULL;
    if (s->rows == LAPSE_TABLE_ROWS)
        finish_table(s);
    if (!s->builder && s->status == LAPSE_OK &&
        !(s->builder = lapse_builder_new(s->stream->rules.mem, a->columns, a->count,
                                         s->stream->alone ? FEW_ROWS : SOME_ROWS)))
        lapse_sheet_fail(s);
    s->rows++;
    return s->builder;
}

static void release_tables(struct lapse_sheet *s, size_t from)
{
    for (size_t i = from; i < s->count; i++)
        lapse_table_release(s->tables[i]);
    s->count = 0;
}

static lapse_status begin_slice(struct lapse_sheet *s)
{
    struct lapse_stream *stream = s->stream;
    const struct lapse_answer *a = &stream->answer;
    const struct lapse_text *from = s->slice > 0 ? &stream->keys[s->slice] : NULL;
    const struct lapse_text *to = s->slice + 1 < stream->slices ? &stream->keys[s->slice + 1] : NULL;
    if (stream->alone) {
        from = &stream->one.from;
        to = &stream->one.to;
    }
    s->error.size = sizeof s->error;
    s->events = 0;
    return lapse_cursor_open(stream->view, lapse_person_fields(a->regions) | a->fields, from, to, &s->cursor,
                             &s->error);
}

static void end_slice(struct lapse_sheet *s)
{
    lapse_cursor_close(s->cursor);
    s->cursor = NULL;
    s->ended = true;
    finish_table(s);
    if (s->status != LAPSE_OK)
        release_tables(s, 0);
}

static lapse_status put_customer(struct lapse_sheet *s, const struct lapse_history *h,
                                 struct lapse_text customer)
{
    lapse_status status = lapse_person_fold(&s->person, h, &s->error);
    if (status != LAPSE_OK)
        return status;
    s->stream->answer.put(s, &s->stream->answer, customer);
    return s->status;
}

/* One sheet, for a few tables or to the end of its slice; none that still has tables. */
static int work_out(void *user, int64_t task)
{
    struct lapse_stream *stream = user;
    struct lapse_sheet *s = stream->sheets[stream->sheet + task];
    const struct lapse_history *h = NULL;
    bool fresh = !s->cursor;
    if (s->ended || s->count)
        return 0;
    if (fresh)
        s->status = begin_slice(s);
    while (s->status == LAPSE_OK && s->count < TABLES_AT_ONCE &&
           (s->status = lapse_cursor_next(s->cursor, &h, &s->error)) == LAPSE_OK) {
        s->status = put_customer(s, h, h->customer);
        fresh = false;
    }
    if (s->cursor)
        s->events = lapse_cursor_events(s->cursor);
    if (s->status == LAPSE_DONE) {
        s->status = LAPSE_OK;
        if (fresh && stream->alone && stream->answer.of_nobody)
            s->status = lapse_view_forgotten(stream->view, stream->one.from, &s->person.forgotten, &s->error);
        if (fresh && stream->alone && stream->answer.of_nobody && s->status == LAPSE_OK)
            s->status = put_customer(s, NULL, stream->one.from);
        end_slice(s);
    } else if (s->status != LAPSE_OK) {
        end_slice(s);
    }
    return 0;
}

/* ---- the stream -------------------------------------------------------------------------------------- */

static void next_slices(struct lapse_stream *s)
{
    int64_t n = s->slices - s->next;
    for (int32_t i = 0; i < s->filled; i++)
        s->done += s->sheets[i]->events;
    s->filled = n < s->threads ? (int32_t)n : s->threads;
    for (int32_t i = 0; i < s->filled; i++) {
        s->sheets[i]->slice = s->next + i;
        s->sheets[i]->ended = false;
        s->sheets[i]->events = 0;
    }
    s->next += s->filled;
    s->sheet = s->table = 0;
}

static lapse_status work_out_some(struct lapse_stream *s, lapse_error *error)
{
    int64_t done = s->done;
    s->sheets[s->sheet]->count = 0;
    s->table = 0;
    lapse_parallel(s->threads, s->filled - s->sheet, work_out, s);
    for (int32_t i = 0; i < s->filled; i++)
        done += s->sheets[i]->events;
    if (s->on_progress && s->on_progress(s->progress_user, done, s->events > done ? s->events : done))
        return lapse_fail(error, LAPSE_CANCELLED, "cancelled");
    return LAPSE_OK;
}

static lapse_status next_table(void *self, lapse_table **out, lapse_error *error)
{
    struct lapse_stream *s = self;
    *out = NULL;
    lapse_status status = lapse_view_check(s->view, error);
    while (status == LAPSE_OK) {
        if (s->sheet == s->filled) {
            if (s->next == s->slices)
                return LAPSE_DONE;
            next_slices(s);
        }
        struct lapse_sheet *sheet = s->sheets[s->sheet];
        if ((size_t)s->table < sheet->count) {
            *out = sheet->tables[s->table++];
            return LAPSE_OK;
        }
        if (sheet->status != LAPSE_OK)
            return lapse_fail_again(error, &sheet->error);
        if (!sheet->ended) {
            status = work_out_some(s, error);
            continue;
        }
        sheet->count = 0;
        s->sheet++;
        s->table = 0;
    }
    return status;
}

static void close_stream(void *self)
{
    struct lapse_stream *s = self;
    lapse_view *view = s->view;
    const lapse_allocator *mem = s->rules.mem;
    for (int32_t i = 0; s->sheets && i < s->threads; i++) {
        struct lapse_sheet *sheet = s->sheets[i];
        if (!sheet)
            continue;
        if (i >= s->sheet)
            release_tables(sheet, i == s->sheet ? (size_t)s->table : 0);
        lapse_builder_free(sheet->builder);
        lapse_cursor_close(sheet->cursor);
        lapse_person_end(&sheet->person);
        lapse_mem_free(mem, sheet->tables);
        lapse_mem_free(mem, sheet->order);
        lapse_mem_free(mem, sheet);
    }
    lapse_crossing_free(s->crossing);
    lapse_mem_free(mem, s->sheets);
    lapse_mem_free(mem, s->keys);
    lapse_mem_free(mem, s);
    lapse_view_close(view);
}

static lapse_status make_sheets(struct lapse_stream *s, lapse_error *error)
{
    s->sheets = lapse_mem_zero(s->rules.mem, (size_t)s->threads, sizeof(struct lapse_sheet *));
    for (int32_t i = 0; s->sheets && i < s->threads; i++) {
        struct lapse_sheet *sheet = s->sheets[i] = lapse_mem_zero(s->rules.mem, 1, sizeof *sheet);
        if (!sheet)
            return lapse_fail_memory(error);
        sheet->stream = s;
        lapse_person_begin(&sheet->person, &s->rules, s->answer.regions);
        sheet->person.crossing = s->crossing;
    }
    return s->sheets ? LAPSE_OK : lapse_fail_memory(error);
}

/* What crosses between customers, for all of them or for the one. */
static lapse_status find_crossing(struct lapse_stream *s, lapse_error *error)
{
    struct lapse_cursor *cursor;
    const struct lapse_history *h;
    if (!(s->answer.regions & LAPSE_CROSSED_REGIONS))
        return LAPSE_OK;
    if (!s->alone)
        return lapse_crossing_of_all(s->view, &s->crossing, error);
    lapse_status status =
        lapse_cursor_open(s->view, LAPSE_ADDRESS_FIELDS, &s->one.from, &s->one.to, &cursor, error);
    if (status != LAPSE_OK)
        return status;
    status = lapse_cursor_next(cursor, &h, error);
    if (status == LAPSE_OK)
        status = lapse_crossing_of_one(s->view, h, &s->crossing, error);
    lapse_cursor_close(cursor);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

lapse_status lapse_stream_new(lapse_view *view, const struct lapse_rules *rules,
                              const struct lapse_answer *answer, const lapse_state_options *options,
                              lapse_result **out, lapse_error *error)
{
    const lapse_allocator *mem = rules->mem;
    struct lapse_stream *s = lapse_mem_zero(mem, 1, sizeof *s);
    if (!s)
        return lapse_fail_memory(error);
    lapse_view_retain(view);
    s->view = view;
    s->rules = *rules;
    s->answer = *answer;
    s->threads = options->threads;
    s->on_progress = options->on_progress;
    s->progress_user = options->progress_user;
    s->slices = 1;
    s->alone = options->customer != NULL;
    lapse_status status = LAPSE_OK;
    if (s->alone) {
        s->threads = 1;
        status = lapse_one_read(&s->one, options->customer, error);
    } else {
        s->events = lapse_view_rows(view);
        status = lapse_view_cut(view, s->events / SLICE_EVENTS + 1, &s->keys, &s->slices, error);
    }
    if (status == LAPSE_OK)
        status = find_crossing(s, error);
    s->answer.fields |= s->crossing ? LAPSE_ALL_FIELDS : 0;
    if (status == LAPSE_OK)
        status = make_sheets(s, error);
    if (status != LAPSE_OK) {
        close_stream(s);
        return status;
    }
    struct lapse_source source = { .self = s, .next = next_table, .close = close_stream };
    return lapse_result_new(mem, s->answer.columns, s->answer.count, source, out, error);
}
