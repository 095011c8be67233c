/* One run of the reader of event files, written down: what is set up, and what came out, as text in the order of lines. Shared
 * by the suites test_event_csv*.c. */
#ifndef TESTS_CSV_RUN_H
#define TESTS_CSV_RUN_H

#include "help.h"

#include "event/event.h"

#define REFUND LAPSE_IMPORT_NEGATIVE_REFUND
#define IGNORE LAPSE_IMPORT_IGNORE_UNKNOWN

/* What is set up, and what came out: `row LINE customer|field=printed|...` and `bad LINE column "text" rule`. */
struct run {
    lapse_allocator mem;
    lapse_import_options options;
    struct lapse_check check;
    const struct lapse_zone *zone;
    const char *source;
    struct lapse_csv *csv;
    struct lapse_csv_work work;
    struct lapse_buffer out; /* good and bad rows, each with a NUL behind it until they are in the order of lines */
    struct lapse_buffer lines; /* of good rows that were told of but not handed over yet */
    size_t next_line;
    int64_t rows, good, bad;
    char rule[400], column[300], text[300], row[2000];
    int64_t line;
    lapse_error error;
    int64_t stop_after;
};

static inline void begin(struct run *r)
{
    memset(r, 0, sizeof *r);
    assert_int_equal(lapse_mem_init(&r->mem, NULL, NULL), LAPSE_OK);
    assert_int_equal(lapse_import_options_init(&r->options, sizeof r->options), LAPSE_OK);
    r->check = (struct lapse_check){ INT64_MAX, "key", 3, 2 };
    r->zone = &lapse_zone_utc;
    r->source = "file.csv";
    r->error.size = sizeof r->error;
    lapse_csv_work_init(&r->work, &r->mem);
    lapse_buffer_init(&r->out, &r->mem);
    lapse_buffer_init(&r->lines, &r->mem);
}

static inline void end(struct run *r)
{
    lapse_csv_close(r->csv);
    lapse_csv_work_free(&r->work);
    lapse_buffer_free(&r->out);
    lapse_buffer_free(&r->lines);
}

static inline void put_number(struct run *r, int64_t n)
{
    char text[400];
    lapse_buffer_put(&r->out, text, lapse_int_format(n, text));
}

static inline void put_row(struct run *r, const struct lapse_row *row, int64_t line)
{
    char text[400];
    put_number(r, line);
    lapse_buffer_text(&r->out, " ");
    lapse_buffer_put(&r->out, row->customer.data, row->customer.size);
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        size_t n = lapse_field_format((enum lapse_field)f, row, r->check.digits, text);
        if (n == 0 || (f == LAPSE_F_SOURCE && n == strlen(r->source) && memcmp(text, r->source, n) == 0))
            continue;
        lapse_buffer_text(&r->out, "|");
        if (f != LAPSE_F_TIME) {
            lapse_buffer_text(&r->out, lapse_fields[f].name);
            lapse_buffer_text(&r->out, "=");
        }
        lapse_buffer_put(&r->out, text, n);
    }
    if (row->text[LAPSE_F_SOURCE].size == 0)
        lapse_buffer_text(&r->out, "|nosource");
    lapse_buffer_put(&r->out, "\n", 2);
}

/* Good rows are told of one by one, then handed over as columns. */
static inline int take_row(void *self, int64_t line, struct lapse_text raw, struct lapse_text event_id)
{
    struct run *r = self;
    assert_true(raw.size > 0 && event_id.size <= 255);
    r->good++;
    lapse_buffer_put(&r->lines, &line, sizeof line);
    return r->stop_after > 0 && r->good + r->bad >= r->stop_after ? 77 : 0;
}

static inline int take_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    struct run *r = self;
    struct lapse_columns all = *rows;
    assert_true(n > 0 && n <= LAPSE_CSV_BATCH);
    assert_int_equal(rows->constant, 0);
    lapse_csv_constants(r->csv, &all);
    assert_int_equal(rows->fields & all.constant, 0);
    for (size_t i = 0; i < n; i++) {
        struct lapse_row row;
        int64_t line;
        assert_true(r->next_line + sizeof line <= r->lines.size);
        memcpy(&line, r->lines.data + r->next_line, sizeof line);
        r->next_line += sizeof line;
        if (lapse_csv_has(r->csv, LAPSE_F_EVENT_ID))
            assert_int_equal(lapse_columns_number(rows, LAPSE_F_LINE, i), line);
        lapse_columns_row(&all, i, lapse_columns_text(&all, LAPSE_F_CUSTOMER, i), &row);
        put_row(r, &row, line);
    }
    for (int f = 0; f < LAPSE_COLUMNS; f++) { /* nothing without a value */
        size_t values = 0;
        for (size_t i = 0; i < n && rows->fields & LAPSE_FIELD_BIT(f); i++)
            values += lapse_column_class(f) == LAPSE_CLASS_NUMBER ? lapse_columns_number(rows, f, i) != LAPSE_MISSING
                      : lapse_column_class(f) == LAPSE_CLASS_NAME ? lapse_columns_name(rows, f, i) != 0
                                                                  : lapse_columns_text(rows, f, i).size != 0;
        assert_true(values > 0 || !(rows->fields & LAPSE_FIELD_BIT(f)));
    }
    return 0;
}

static inline void keep(char *out, size_t room, const char *data, size_t n)
{
    n = n < room - 1 ? n : room - 1;
    if (n > 0)
        memcpy(out, data, n);
    out[n] = '\0';
}

static inline int take_bad(void *self, const struct lapse_csv_fault *fault)
{
    struct run *r = self;
    if (r->bad++ == 0) {
        r->line = fault->line;
        keep(r->rule, sizeof r->rule, fault->rule, strlen(fault->rule));
        keep(r->column, sizeof r->column, fault->column, strlen(fault->column));
        keep(r->text, sizeof r->text, fault->text.data, fault->text.size);
        keep(r->row, sizeof r->row, fault->row.data, fault->row.size);
    }
    put_number(r, fault->line);
    lapse_buffer_text(&r->out, " bad ");
    lapse_buffer_put(&r->out, fault->row.data, fault->row.size);
    lapse_buffer_put(&r->out, "\n", 2);
    return r->stop_after > 0 && r->good + r->bad >= r->stop_after ? 77 : 0;
}

static inline lapse_status open_csv(struct run *r, const char *header, size_t n)
{
    struct lapse_csv_setup setup = { &r->mem, &r->options, "in.csv", r->source, r->zone, &r->check };
    return lapse_csv_open(&setup, header, n, &r->csv, &r->error);
}

static inline void open_good(struct run *r, const char *header)
{
    if (open_csv(r, header, strlen(header)) != LAPSE_OK)
        fail_msg("%s: %s", header, r->error.message);
}

static inline int parse(struct run *r, const char *text, size_t n, int64_t line)
{
    struct lapse_csv_sink sink = { r, take_rows, take_row, take_bad };
    int64_t rows = -1;
    int stopped = lapse_csv_parse(r->csv, &r->work, text, n, line, &sink, &rows);
    assert_false(r->work.failed);
    r->rows += rows;
    return stopped;
}

static inline int order_entries(const void *a, const void *b)
{
    long one = strtol(*(char *const *)a, NULL, 10), two = strtol(*(char *const *)b, NULL, 10);
    return (one > two) - (one < two);
}

/* Each record begins on a line of its own, so lines put good and bad rows into one order. Entries may hold NULs, as
 * rows may; what is behind one is left out then. */
static inline void sort_out(struct run *r)
{
    size_t count = 0;
    char **entries = calloc(r->out.size + 1, sizeof *entries), *sorted = malloc(r->out.size + 1), *to = sorted;
    assert_false(r->out.failed);
    assert_true(entries && sorted);
    for (size_t at = 0; at < r->out.size; at += strlen(r->out.data + at) + 1)
        if (r->out.data[at] >= '0' && r->out.data[at] <= '9')
            entries[count++] = r->out.data + at;
    qsort(entries, count, sizeof *entries, order_entries);
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(entries[i]);
        memcpy(to, entries[i], n);
        to += n;
    }
    r->out.size = 0;
    lapse_buffer_put(&r->out, sorted, (size_t)(to - sorted));
    free(entries);
    free(sorted);
}

static inline void check_out(struct run *r, const char *expected)
{
    sort_out(r);
    lapse_buffer_byte(&r->out, 0);
    assert_false(r->out.failed);
    assert_string_equal(r->out.data, expected);
}

#endif
