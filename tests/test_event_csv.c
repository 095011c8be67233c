/* Event files: header and mapping, records, fields, and where they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/event.h"

/* ---- one run of the reader, written down --------------------------------------------------------------- */

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

static void begin(struct run *r)
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

static void end(struct run *r)
{
    lapse_csv_close(r->csv);
    lapse_csv_work_free(&r->work);
    lapse_buffer_free(&r->out);
    lapse_buffer_free(&r->lines);
}

static void put_number(struct run *r, int64_t n)
{
    char text[400];
    lapse_buffer_put(&r->out, text, lapse_int_format(n, text));
}

static void put_row(struct run *r, const struct lapse_row *row, int64_t line)
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
static int take_row(void *self, int64_t line, struct lapse_text raw, struct lapse_text event_id)
{
    struct run *r = self;
    assert_true(raw.size > 0 && event_id.size <= 255);
    r->good++;
    lapse_buffer_put(&r->lines, &line, sizeof line);
    return r->stop_after > 0 && r->good + r->bad >= r->stop_after ? 77 : 0;
}

static int take_rows(void *self, const struct lapse_columns *rows, size_t n)
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

static void keep(char *out, size_t room, const char *data, size_t n)
{
    n = n < room - 1 ? n : room - 1;
    if (n > 0)
        memcpy(out, data, n);
    out[n] = '\0';
}

static int take_bad(void *self, const struct lapse_csv_fault *fault)
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

static lapse_status open_csv(struct run *r, const char *header, size_t n)
{
    struct lapse_csv_setup setup = { &r->mem, &r->options, "in.csv", r->source, r->zone, &r->check };
    return lapse_csv_open(&setup, header, n, &r->csv, &r->error);
}

static void open_good(struct run *r, const char *header)
{
    if (open_csv(r, header, strlen(header)) != LAPSE_OK)
        fail_msg("%s: %s", header, r->error.message);
}

static int parse(struct run *r, const char *text, size_t n, int64_t line)
{
    struct lapse_csv_sink sink = { r, take_rows, take_row, take_bad };
    int64_t rows = -1;
    int stopped = lapse_csv_parse(r->csv, &r->work, text, n, line, &sink, &rows);
    assert_false(r->work.failed);
    r->rows += rows;
    return stopped;
}

static int order_entries(const void *a, const void *b)
{
    long one = strtol(*(char *const *)a, NULL, 10), two = strtol(*(char *const *)b, NULL, 10);
    return (one > two) - (one < two);
}

/* Each record begins on a line of its own, so lines put good and bad rows into one order. Entries may hold NULs, as
 * rows may; what is behind one is left out then. */
static void sort_out(struct run *r)
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

static void check_out(struct run *r, const char *expected)
{
    sort_out(r);
    lapse_buffer_byte(&r->out, 0);
    assert_false(r->out.failed);
    assert_string_equal(r->out.data, expected);
}

/* ---- good files ------------------------------------------------------------------------------------------ */

struct good_case {
    const char *header, *text, *expected;
    const char *map, *format, *kind;
    uint32_t flags;
    int delimiter, digits;
};

#define REFUND LAPSE_IMPORT_NEGATIVE_REFUND
#define IGNORE LAPSE_IMPORT_IGNORE_UNKNOWN

/* clang-format off */
static const struct good_case good_cases[] = {
    { .header = "customer,time,amount", /* the last line needs no LF */
      .text = "a,2024-03-01,12\nb,2024-03-01T10:15:00.5+01:00,12.5",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|amount=12.00\n"
                  "3 b|2024-03-01T09:15:00.5Z|kind=order.placed|amount=12.50\n" },
    { .header = "amount,time,customer", /* any order; empty is missing; LF and CRLF; empty lines count as lines */
      .text = "\n,@1709288100,x\r\n\r\n\n1.500,2024-03-01 10:15, \n",
      .expected = "3 x|2024-03-01T10:15:00Z|kind=order.placed\n"
                  "6  |2024-03-01T10:15:00Z|kind=order.placed|amount=1.50\n" },
    { .header = "customer,time,topic", /* quotes, doubled quotes, line breaks and CR in quotes */
      .text = "\"a\",\"2024-03-01\",\"x,\"\"y\"\"\"\n\"b\nc\",2024-03-01,\"\r\n\r\"\r\n\"\"\"\",2024-03-01,\"\"\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|topic=x,\"y\"\n"
                  "3 b\nc|2024-03-01T00:00:00Z|kind=order.placed|topic=\r\n\r\n"
                  "6 \"|2024-03-01T00:00:00Z|kind=order.placed\n" },
    { .header = "\"customer\",\"ti\"\"me\",time",
      .flags = IGNORE,
      .text = "a,junk,2024-03-01\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed\n" },
    { .header = "customer;time;amount", .delimiter = ';', .text = "a,b;2024-03-01;1\n",
      .expected = "2 a,b|2024-03-01T00:00:00Z|kind=order.placed|amount=1.00\n" },
    { .header = "customer\ttime", .delimiter = '\t', .text = "a\t2024-03-01\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed\n" },
    { .header = "customer,time,kind,channel,purpose,platform", /* an empty kind is the default */
      .kind = "session.started",
      .text = "a,2024-03-01,,,,app\na,2024-03-01,message.sent,email,marketing,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=session.started|platform=app\n"
                  "3 a|2024-03-01T00:00:00Z|kind=message.sent|channel=email|purpose=marketing\n" },
    { .header = "customer,time,value,quantity,price,item,category,reason,evidence",
      .text = "a,2024-03-01,5.0,1.5,0.10,i,c,r,e\na,2024-03-01,-0,-0.0,-0.00,,,,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|value=5|reason=r|item=i|quantity=1.5|category=c|"
                  "price=0.10|evidence=e\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed|value=0|quantity=0|price=0.00\n" },
    { .header = "customer,time,amount", .text = "a,2024-03-01,-0.00\n", /* M17: not negative */
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|amount=0.00\n" },
    { .header = "customer,time,kind,amount,quantity,ref", .flags = REFUND, /* M5, M15, F29 */
      .text = "a,2024-03-01,,-3.00,-2,o1\na,2024-03-01,,3,-2,o1\na,2024-03-01,order.refunded,-1,,o1\n"
              "a,2024-03-01,,1,,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.refunded|amount=3.00|ref=o1|quantity=2\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed|amount=3.00|ref=o1|quantity=2\n"
                  "4 a|2024-03-01T00:00:00Z|kind=order.refunded|amount=1.00|ref=o1\n"
                  "5 a|2024-03-01T00:00:00Z|kind=order.placed|amount=1.00\n" },
    { .header = "customer,time,amount", .flags = REFUND, /* without a kind column the next row is an order again */
      .text = "a,2024-03-01,-3.00\na,2024-03-01,1\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.refunded|amount=3.00\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed|amount=1.00\n" },
    { .header = "CustomerID,InvoiceDate,InvoiceNo,Quantity,UnitPrice",
      .map = "customer=CustomerID,time=InvoiceDate,ref=InvoiceNo,amount=Quantity*UnitPrice",
      .format = "%m/%d/%Y %H:%M",
      .text = "17850,12/1/2010 8:26,536365,6,2.55\n17850,12/1/2010 8:26,536365,,2.55\n"
              "17850,12/1/2010 8:26,536365,6,\n17850,12/1/2010 8:26,536365,0.5,0.04\n",
      .expected = "2 17850|2010-12-01T08:26:00Z|kind=order.placed|amount=15.30|ref=536365\n"
                  "3 17850|2010-12-01T08:26:00Z|kind=order.placed|ref=536365\n"
                  "4 17850|2010-12-01T08:26:00Z|kind=order.placed|ref=536365\n"
                  "5 17850|2010-12-01T08:26:00Z|kind=order.placed|amount=0.02|ref=536365\n" },
    { .header = "customer,time,a,b", .map = "amount=a*b", .digits = 3, .text = "c,2024-03-01,0.001,1\n",
      .expected = "2 c|2024-03-01T00:00:00Z|kind=order.placed|amount=0.001\n" },
    { .header = "customer,time,a,b", .map = "value=a*b,quantity=b*b,price=a*a,amount=b", /* many from one column */
      .text = "c,2024-03-01,-0.5,3\nc,2024-03-01,-0.0,5\nc,2024-03-01,-20,0.05\n",
      .expected = "2 c|2024-03-01T00:00:00Z|kind=order.placed|amount=3.00|value=-1.5|quantity=9|price=0.25\n"
                  "3 c|2024-03-01T00:00:00Z|kind=order.placed|amount=5.00|value=0|quantity=25|price=0.00\n"
                  "4 c|2024-03-01T00:00:00Z|kind=order.placed|amount=0.05|value=-1|quantity=0.0025|price=400.00\n" },
    { .header = "customer,time,ref", .map = "customer=ref,ref=customer", /* exchanged */
      .text = "a,2024-03-01,b\n",
      .expected = "2 b|2024-03-01T00:00:00Z|kind=order.placed|ref=a\n" },
    { .header = "customer,time,price,quantity", .map = "amount=price*quantity", /* named in --map: own name lost */
      .text = "a,2024-03-01,2,3\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|amount=6.00\n" },
    { .header = "customer,time,amount,paid", .map = "amount=paid", .flags = IGNORE, /* the mapping wins */
      .text = "a,2024-03-01,x,3\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|amount=3.00\n" },
    { .header = "customer,time,event_id", /* F10: an id alone has the empty source */
      .text = "a,2024-03-01,e1\na,2024-03-01,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|event_id=e1|nosource\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed\n" },
    { .header = "customer,time,source,event_id",
      .text = "a,2024-03-01,s,e1\na,2024-03-01,,e1\na,2024-03-01,s,\na,2024-03-01,,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|source=s|event_id=e1\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed|event_id=e1|nosource\n"
                  "4 a|2024-03-01T00:00:00Z|kind=order.placed|source=s\n"
                  "5 a|2024-03-01T00:00:00Z|kind=order.placed|nosource\n" },
    { .header = "endpoint,customer,time,kind,channel", /* the channel may stand behind its endpoint */
      .text = "A@B,c,2024-03-01,endpoint.added,email\n"
              "hash:000102030405060708090A0b0c0d0e0f101112131415161718191a1b1c1d1e1f,c,2024-03-01,endpoint.added,sms\n",
      .expected = "2 c|2024-03-01T00:00:00Z|kind=endpoint.added|channel=email|"
                  "endpoint=hash:85a0be1cfa9b2af7882b9c6c1803347119e1704cf5ed16026d62e149b531bb4b\n"
                  "3 c|2024-03-01T00:00:00Z|kind=endpoint.added|channel=sms|"
                  "endpoint=hash:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n" },
    { .header = "customer,time", .format = "%d %b %y %H:%M:%S%z",
      .text = "a,1 mar 24 9:05:07.25+0100\na,01 MAR 69 09:05:07Z\n",
      .expected = "2 a|2024-03-01T08:05:07.25Z|kind=order.placed\n3 a|1969-03-01T09:05:07Z|kind=order.placed\n" },
    { .header = "customer,time,kind,topic,value", .text = "a,2024-03-01,preference.set,news,1.0\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=preference.set|topic=news|value=1\n" },
    { .header = "customer,time", .text = "", .expected = "" }, /* F23: a header alone is a good file */
    { .header = "customer,time", .text = "\xC3\xA9\x01,2024-03-01\n", /* controls are kept */
      .expected = "2 \xC3\xA9\x01|2024-03-01T00:00:00Z|kind=order.placed\n" },
};
/* clang-format on */

static void test_good_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_cases / sizeof good_cases[0]; i++) {
        const struct good_case *c = &good_cases[i];
        struct run r;
        begin(&r);
        r.options.map = c->map;
        r.options.time_format = c->format;
        r.options.kind = c->kind;
        r.options.flags = c->flags;
        r.options.delimiter = c->delimiter ? c->delimiter : ',';
        r.check.digits = c->digits ? c->digits : 2;
        open_good(&r, c->header);
        assert_int_equal(parse(&r, c->text, strlen(c->text), 2), 0);
        if (r.bad)
            fail_msg("%s: line %d: %s", c->header, (int)r.line, r.rule);
        assert_int_equal(r.rows, r.good);
        check_out(&r, c->expected);
        end(&r);
    }
}

/* ---- bad rows --------------------------------------------------------------------------------------------- */

/* The first bad row of a text, of which all other rows are good. */
/* clang-format off */
static const struct bad_case {
    const char *header, *text;
    size_t size; /* 0: up to NUL */
    int line;
    const char *column, *found, *rule;
    const char *map, *format;
    uint32_t flags;
} bad_cases[] = {
    { .header = "customer,time", "a\n", 0, 2, "", "a", "1 field, the header 2" },
    { .header = "customer,time", "a,2024-03-01,\n", 0, 2, "", "a,2024-03-01,", "3 fields, the header 2" },
    { .header = "customer,time", "a,2024-03-01\n \n", 0, 3, "", " ", "1 field," },
    { .header = "customer,time", "\"\"\n", 0, 2, "", "\"\"", "1 field," },
    { .header = "customer,time", "\"a\nb\",2024-03-01\n\n\"c\nd\",x\n", 0, 5, "time", "x", "a time is" },
    { .header = "customer,time", "a\"b,2024-03-01\n", 0, 2, "customer", "a\"b", "quote stands inside" },
    { .header = "customer,time", "a, \"2024-03-01\"\n", 0, 2, "time", " \"2024-03-01\"", "quote stands inside" },
    { .header = "customer,time", "\"a\"b,2024-03-01\n", 0, 2, "customer", "\"a\"b", "after a closing quote" },
    { .header = "customer,time", "\"a\"b\"\"c\",2024-03-01\nx,2024-03-01\n", 0, 2, "customer", "\"a\"b\"\"c\"", "after" },
    { .header = "customer,time", "\"a\" ,2024-03-01\n", 0, 2, "customer", "\"a\" ", "after a closing quote" },
    { .header = "customer,time", "\"a\"b\r\n", 0, 2, "customer", "\"a\"b", "after a closing quote" },
    { .header = "customer,time", "a\rb,2024-03-01\n", 0, 2, "customer", "a\rb", "carriage return" },
    { .header = "customer,time", "a,2024-03-01\r\r\n", 0, 2, "time", "2024-03-01\r", "carriage return" },
    { .header = "customer,time", "a,2024-03-01\r", 0, 2, "time", "2024-03-01\r", "carriage return" },
    { .header = "customer,time", "\"a\"\r,2024-03-01\n", 0, 2, "customer", "\"a\"\r", "carriage return" },
    { .header = "customer,time", "a,2024-03-01\n\"b,2024-03-01\nc,2024-03-01\n", 0, 3, "customer", "\"b,2024-03-01\nc,2024-03-01\n",
      "a quote is never closed" },
    { .header = "customer,time,note", "a,2024-03-01,\xFF\n", 0, 2, "note", "\xFF", "UTF-8", NULL, NULL, IGNORE },
    { .header = "customer,time", "a\0b,2024-03-01\n", 15, 2, "customer", NULL, "NUL" },
    { .header = "customer,time", "\"\xC0\xAF\",2024-03-01\n", 0, 2, "customer", "\xC0\xAF", "UTF-8" },
    { .header = "customer,time", "a,2024-03-01\nb\xED\xA0\x80,2024-03-01\nc,2024-03-01\n", 0, 3, "customer", NULL, "UTF-8" },
    { .header = "customer,time", ",2024-03-01\n", 0, 2, "customer", "", "a customer is required" },
    { .header = "customer,time", "\"\",2024-03-01\n", 0, 2, "customer", "", "a customer is required" },
    { .header = "customer,time", "a,\n", 0, 2, "time", "", "a time is required" },
    { .header = "id,when", "a,\n", 0, 2, "when", "", "a time is required", "customer=id,time=when" },
    { .header = "customer,time", "a,03/01/2024\n", 0, 2, "time", "03/01/2024", "--time-format" },
    { .header = "customer,time", "a,2024-03-01\n", 0, 2, "time", "2024-03-01", "--time-format", NULL, "%m/%d/%Y" },
    { .header = "customer,time", "a,1970-01-01\n", 0, 2, "time", "1970-01-01", "missing time" },
    { .header = "customer,time", "a,1899-12-31\n", 0, 2, "time", "1899-12-31", "1900" },
    { .header = "customer,time", "a,2099-01-01\n", 0, 2, "time", "2099-01-01", "import.skew" },
    { .header = "customer,time,amount", "a,2024-03-01,1.005\n", 0, 2, "amount", "1.005", "decimals" },
    { .header = "customer,time,amount", "a,2024-03-01, 1\n", 0, 2, "amount", " 1", "an amount is" },
    { .header = "customer,time,paid", "a,2024-03-01,x\n", 0, 2, "paid", "x", "an amount is", "amount=paid" },
    { .header = "customer,time,amount", "a,2024-03-01,-1\n", 0, 2, "amount", "-1", "--negative refund" },
    { .header = "customer,time,kind,amount", "a,2024-03-01,order.refunded,-1\n", 0, 2, "amount", "-1", "--negative refund" },
    { .header = "customer,time,kind,amount", "a,2024-03-01,points.adjusted,-1\n", 0, 2, "amount", "-1", "not negative", NULL,
      NULL, REFUND },
    { .header = "customer,time,quantity", "a,2024-03-01,-1\n", 0, 2, "quantity", "-1", "--negative refund" },
    { .header = "customer,time,kind,quantity", "a,2024-03-01,product.viewed,-1\n", 0, 2, "quantity", "-1", "not negative", NULL,
      NULL, REFUND },
    { .header = "customer,time,price", "a,2024-03-01,-1\n", 0, 2, "price", "-1", "a price is not negative", NULL, NULL, REFUND },
    { .header = "customer,time,quantity", "a,2024-03-01,0.0000001\n", 0, 2, "quantity", "0.0000001", "at most 6 digits" },
    { .header = "customer,time,value", "a,2024-03-01,1234567890.123456\n", 0, 2, "value", NULL, "15" },
    { .header = "customer,time,q,p", "a,2024-03-01,0.001,1\n", 0, 2, "q*p", "0.001*1", "decimals", "amount=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,-1,1\n", 0, 2, "q*p", "-1*1", "--negative refund", "amount=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,x,1\n", 0, 2, "q", "x", "a number is", "amount=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,1,1e3\n", 0, 2, "p", "1e3", "a number is", "amount=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,0.00000001,1234567891234567\n", 0, 2, "q*p", NULL, "15", "value=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,0.001,0.0001\n", 0, 2, "q*p", NULL, "6 digits", "quantity=q*p" },
    { .header = "customer,time,kind", "a,2024-03-01,Order.placed\n", 0, 2, "kind", "Order.placed", "kind is unknown" },
    { .header = "customer,time,channel", "a,2024-03-01,mail\n", 0, 2, "channel", "mail", "email, sms" },
    { .header = "customer,time,purpose", "a,2024-03-01,x\n", 0, 2, "purpose", "x", "transactional" },
    { .header = "customer,time,platform", "a,2024-03-01,ios\n", 0, 2, "platform", "ios", "app, web, store" },
    { .header = "customer,time,kind", "a,2024-03-01,message.sent\n", 0, 2, "channel", "", "needs a channel" },
    { .header = "customer,time,kind,by", "a,2024-03-01,message.sent,\n", 0, 2, "by", "", "needs a channel", "channel=by" },
    { .header = "customer,time,kind,channel", "a,2024-03-01,consent.requested,sms\n", 0, 2, "ref", "", "needs a ref" },
    { .header = "customer,time,kind,value", "a,2024-03-01,preference.set,1\n", 0, 2, "topic", "", "needs a topic" },
    { .header = "customer,time,kind,topic", "a,2024-03-01,preference.set,n\n", 0, 2, "value", "", "needs a value" },
    { .header = "customer,time,kind,topic,value", "a,2024-03-01,preference.set,n,2\n", 0, 2, "value", "2", "1 (on)" },
    { .header = "customer,time,endpoint", "a,2024-03-01,hash:12\n", 0, 2, "endpoint", "hash:12", "64 hexadecimal" },
    { .header = "amount,time,customer", "x,y,\n", 0, 2, "amount", "x", "an amount is" }, /* the leftmost is told */
};
/* clang-format on */

static void test_bad_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        const struct bad_case *c = &bad_cases[i];
        for (int skip = 0; skip <= 1; skip++) {
            struct run r;
            begin(&r);
            r.options.map = c->map;
            r.options.time_format = c->format;
            r.options.flags = c->flags | (skip ? LAPSE_IMPORT_SKIP_BAD_ROWS : 0);
            r.check.latest = INT64_C(1800000000) * LAPSE_SECOND;
            open_good(&r, c->header);
            assert_int_equal(parse(&r, c->text, c->size ? c->size : strlen(c->text), 2), 0);
            assert_int_equal(r.bad, 1);
            assert_int_equal(r.rows, r.good + r.bad);
            if (r.line != c->line || strcmp(r.column, c->column) != 0 || !strstr(r.rule, c->rule))
                fail_msg("%s / %s: line %d, column %s: %s", c->header, c->text, (int)r.line, r.column, r.rule);
            if (c->found)
                assert_string_equal(r.text, c->found);
            bool never = strstr(c->rule, "never closed") != NULL; /* which cannot be skipped */
            assert_int_equal(strstr(r.rule, "--on-error skip") != NULL, !skip && !never);
            end(&r);
        }
    }
}

static void test_long_texts(void **state)
{
    (void)state;
    for (int f = -1; f < LAPSE_FIELDS; f++) {
        if (f >= 0 && lapse_fields[f].class != LAPSE_CLASS_TEXT)
            continue;
        for (int over = 0; over <= 1; over++) {
            struct run r;
            char header[100], text[600];
            begin(&r);
            if (f < 0)
                snprintf(header, sizeof header, "customer,time");
            else
                snprintf(header, sizeof header, "%s,customer,time", lapse_fields[f].name);
            memset(text, 'x', 255 + (size_t)over);
            snprintf(text + 255 + over, 100, f < 0 ? ",2024-03-01\n" : ",c,2024-03-01\n");
            open_good(&r, header);
            assert_int_equal(parse(&r, text, strlen(text), 2), 0);
            assert_int_equal(r.bad, over);
            if (over) {
                assert_string_equal(r.column, f < 0 ? "customer" : lapse_fields[f].name);
                assert_non_null(strstr(r.rule, "255"));
            }
            end(&r);
        }
    }
}

static void test_rows_as_they_stood(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    open_good(&r, "customer,time");
    static const char text[] = "a,2024-03-01\n\"b\n\"\"c\",nope\r\nd,2024-03-01\n";
    assert_int_equal(parse(&r, text, strlen(text), 10), 0);
    assert_string_equal(r.row, "\"b\n\"\"c\",nope");
    assert_int_equal(r.line, 11);
    check_out(&r, "10 a|2024-03-01T00:00:00Z|kind=order.placed\n11 bad \"b\n\"\"c\",nope\n"
                  "13 d|2024-03-01T00:00:00Z|kind=order.placed\n");
    end(&r);
    for (int stop = 1; stop <= 2; stop++) { /* a row, and a bad row, can stop it */
        begin(&r);
        r.stop_after = stop;
        open_good(&r, "customer,time");
        assert_int_equal(parse(&r, text, strlen(text), 2), 77);
        assert_true(r.good + r.bad == stop || (r.good == 0 && r.bad == 1)); /* bad rows are told before good ones */
        end(&r);
    }
}

static void test_zone(void **state)
{
    (void)state;
    static const int64_t starts[] = { INT64_MIN, INT64_C(1711846800000000), INT64_C(1729990800000000) };
    static const int32_t offsets[] = { 3600, 7200, 3600 }; /* Paris in 2024 */
    struct lapse_zone paris = { 3, starts, offsets };
    struct run r;
    begin(&r);
    r.zone = &paris;
    open_good(&r, "customer,time");
    static const char text[] = "a,2024-07-01\na,2024-07-01T00:00Z\na,2024-03-31T02:30\na,2024-10-27 02:30\n";
    assert_int_equal(parse(&r, text, strlen(text), 2), 0);
    check_out(&r, "2 a|2024-06-30T22:00:00Z|kind=order.placed\n3 a|2024-07-01T00:00:00Z|kind=order.placed\n"
                  "4 bad a,2024-03-31T02:30\n5 bad a,2024-10-27 02:30\n");
    end(&r);
}

/* ---- headers and options ---------------------------------------------------------------------------------- */

/* clang-format off */
static const struct header_case {
    const char *header;
    size_t size;
    lapse_status status;
    const char *column, *rule;
    const char *map, *kind, *format;
    uint32_t flags;
    int delimiter;
} header_cases[] = {
    { .header = "", 0, LAPSE_BAD_INPUT, "", "no header" },
    { .header = "customer", 0, LAPSE_BAD_INPUT, "time", "--map time=" },
    { .header = "time,amount", 0, LAPSE_BAD_INPUT, "customer", "--map customer=" },
    { .header = "customer,time,customer", 0, LAPSE_BAD_INPUT, "customer", "twice" },
    { .header = "customer,time,x,y,x", 0, LAPSE_BAD_INPUT, "x", "twice", NULL, NULL, NULL, IGNORE },
    { .header = "customer,,time", 0, LAPSE_BAD_INPUT, "", "field 2" },
    { .header = "customer,time,", 0, LAPSE_BAD_INPUT, "", "empty name" },
    { .header = "customer,time,\"\"", 0, LAPSE_BAD_INPUT, "", "empty name" },
    { .header = "customer,time,Amount", 0, LAPSE_BAD_INPUT, "Amount", "--ignore-unknown" },
    { .header = "customer, time", 0, LAPSE_BAD_INPUT, " time", "--ignore-unknown" },
    { .header = "customer, time", 0, LAPSE_BAD_INPUT, "time", "required", NULL, NULL, NULL, IGNORE },
    { .header = "customer;time", 0, LAPSE_BAD_INPUT, "customer;time", "unknown" },
    { .header = "customer,time\r", 0, LAPSE_BAD_INPUT, "", "carriage return" },
    { .header = "customer,\"time", 0, LAPSE_BAD_INPUT, "", "never closed" },
    { .header = "customer,ti\"me", 0, LAPSE_BAD_INPUT, "", "quote" },
    { .header = "customer,time,\xFF", 0, LAPSE_BAD_INPUT, "", "UTF-8", NULL, NULL, NULL, IGNORE },
    { .header = "customer,time,\0", 15, LAPSE_BAD_INPUT, "", "NUL", NULL, NULL, NULL, IGNORE },
    { .header = "customer,time\na,b", 0, LAPSE_BAD_INPUT, "", "one line" },
    { .header = "customer,time", 0, LAPSE_BAD_INPUT, "Paid", "--map", "amount=Paid" },
    { .header = "customer,time,q", 0, LAPSE_BAD_INPUT, "p", "--map", "amount=q*p" },
    { .header = "customer,time,amount,x", 0, LAPSE_BAD_INPUT, "amount", "--ignore-unknown", "amount=x" },
    { .header = "customer,time,x", 0, LAPSE_BAD_INPUT, "customer", "required", "ref=customer", NULL, NULL, IGNORE },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "=a" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a*" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=*a" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a*b*c" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a=b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a*b=c" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a," },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", ",amount=a" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "no such field", "Amount=a" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "no such field", "amount=a, ref=b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "twice", "amount=a,amount=b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "product", "time=a*b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "product", "customer=a*b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--kind", "kind", NULL, "order" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--time-format", "", NULL, NULL, "%m/%d" },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, '"' },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, '\n' },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, '\r' },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, 200 },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, -1 },
};
/* clang-format on */

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof header_cases / sizeof header_cases[0]; i++) {
        const struct header_case *c = &header_cases[i];
        struct run r;
        begin(&r);
        r.options.map = c->map;
        r.options.kind = c->kind;
        r.options.time_format = c->format;
        r.options.flags = c->flags;
        r.options.delimiter = c->delimiter ? c->delimiter : ',';
        lapse_status status = open_csv(&r, c->header, c->size ? c->size : strlen(c->header));
        if (status != c->status || strcmp(r.error.column, c->column) != 0 || !strstr(r.error.rule, c->rule))
            fail_msg("case %d, %s: %d: %s", (int)i, c->header, (int)status, r.error.message);
        assert_null(r.csv);
        assert_int_equal(r.error.line, status == LAPSE_BAD_INPUT ? 1 : 0);
        end(&r);
    }
    struct run r;
    begin(&r);
    char big[300];
    memset(big, 's', sizeof big);
    big[256] = '\0';
    r.source = big;
    assert_int_equal(open_csv(&r, "customer,time", 13), LAPSE_BAD_INPUT);
    assert_non_null(strstr(r.error.rule, "--source"));
    end(&r);
}

static void test_wide_headers(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        struct run r;
        begin(&r);
        r.options.flags = IGNORE;
        lapse_buffer_text(&r.out, "customer,time");
        for (int i = 0; i < 65533 + over; i++) {
            lapse_buffer_text(&r.out, ",c");
            put_number(&r, (int64_t)i * 7919 % 65537);
        }
        assert_int_equal(open_csv(&r, r.out.data, r.out.size), over ? LAPSE_BAD_INPUT : LAPSE_OK);
        if (over)
            assert_non_null(strstr(r.error.rule, "65535"));
        end(&r);
    }
}

static void test_fields_of_a_file(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    r.options.map = "amount=q*p";
    open_good(&r, "customer,time,q,p");
    assert_true(lapse_csv_has(r.csv, LAPSE_F_TIME) && lapse_csv_has(r.csv, LAPSE_F_AMOUNT));
    assert_false(lapse_csv_has(r.csv, LAPSE_F_KIND) || lapse_csv_has(r.csv, LAPSE_F_SOURCE));
    end(&r);
    begin(&r);
    r.options.flags = REFUND;
    open_good(&r, "customer,time,event_id");
    assert_true(lapse_csv_has(r.csv, LAPSE_F_KIND) && lapse_csv_has(r.csv, LAPSE_F_SOURCE));
    end(&r);
}

/* ---- where records end ------------------------------------------------------------------------------------- */

static uint32_t dice(uint64_t *seed, uint32_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % n;
}

static size_t random_text(uint64_t *seed, char *out, size_t most)
{
    static const char *const parts[] = { "\"",
                                         "\"",
                                         "\n",
                                         "\n",
                                         ",",
                                         ",",
                                         "\r\n",
                                         "\r",
                                         "a",
                                         "b,2024-03-01\n",
                                         "\"\"",
                                         "\"c\nd\",2024-03-01\n",
                                         ",\"",
                                         "\",",
                                         "2024-03-01",
                                         "\"\n",
                                         "a long field without anything special in it, and more",
                                         "\xC3\xA9" };
    size_t n = 0, want = dice(seed, (uint32_t)most);
    while (n < want) {
        const char *part = parts[dice(seed, sizeof parts / sizeof parts[0])];
        size_t size = strlen(part);
        if (n + size > most)
            break;
        memcpy(out + n, part, size);
        n += size;
    }
    return n;
}

/* Ends of records, byte by byte: a quote opens as the first byte of a field only. */
static size_t naive_split(const char *text, size_t n, bool last, bool *unclosed)
{
    size_t whole = 0;
    bool quoted = false, first = true;
    for (size_t i = 0; i < n; i++) {
        bool was_first = first;
        first = false;
        if (quoted) {
            if (text[i] == '"' && i + 1 < n && text[i + 1] == '"')
                i++;
            else if (text[i] == '"')
                quoted = false;
        } else if (text[i] == '"' && was_first) {
            quoted = true;
        } else if (text[i] == '\n') {
            whole = i + 1;
            first = true;
        } else {
            first = text[i] == ',';
        }
    }
    *unclosed = quoted;
    return last && !quoted ? n : whole;
}

static void test_cuts_never_change_records(void **state)
{
    (void)state;
    uint64_t seed = 20240301;
    for (int round = 0; round < 3000; round++) {
        char text[700];
        struct run whole, parts;
        bool open, naive_open;
        size_t n = random_text(&seed, text, sizeof text);
        for (int last = 0; last <= 1; last++) {
            assert_int_equal(lapse_csv_split(',', text, n, last, &open),
                             naive_split(text, n, last, &naive_open));
            assert_int_equal(open, naive_open);
        }
        int64_t lines = 0;
        for (size_t i = 0; i < n; i++)
            lines += text[i] == '\n';
        assert_int_equal(lapse_csv_lines(text, n), lines);

        begin(&whole);
        open_good(&whole, "customer,time");
        assert_int_equal(parse(&whole, text, n, 2), 0);
        begin(&parts);
        open_good(&parts, "customer,time");
        size_t at = 0, size = 1 + dice(&seed, 100);
        int64_t line = 2;
        while (at < n) { /* as a reader does: a part that holds no whole record grows */
            size_t part = size < n - at ? size : n - at;
            char *copy = malloc(part); /* its own memory, so that reading beyond it is found */
            assert_non_null(copy);
            memcpy(copy, text + at, part);
            size_t take = lapse_csv_split(',', copy, part, at + part == n, &open);
            if (take == 0 && at + part == n)
                take = part; /* a quote that is never closed */
            assert_int_equal(parse(&parts, copy, take, line), 0);
            line += lapse_csv_lines(copy, take);
            free(copy);
            at += take;
            size = take > 0 ? 1 + dice(&seed, 100) : size * 2;
        }
        assert_int_equal(whole.rows, parts.rows);
        assert_int_equal(whole.rows, whole.good + whole.bad);
        sort_out(&whole);
        sort_out(&parts);
        assert_int_equal(whole.out.size, parts.out.size);
        if (whole.out.size > 0)
            assert_memory_equal(whole.out.data, parts.out.data, whole.out.size);
        assert_string_equal(whole.rule, parts.rule);
        end(&whole);
        end(&parts);
    }
}

static void test_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = 99;
    for (int round = 0; round < 2000; round++) {
        char text[300];
        size_t n = dice(&seed, sizeof text);
        for (size_t i = 0; i < n; i++)
            text[i] = dice(&seed, 3) ? "\",\n\r"[dice(&seed, 4)] : (char)dice(&seed, 256);
        struct run r;
        begin(&r);
        open_good(&r, "customer,time");
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_int_equal(parse(&r, copy, n, 2), 0);
        assert_int_equal(r.rows, r.good + r.bad);
        lapse_csv_close(r.csv);
        if (open_csv(&r, copy, n) == LAPSE_OK) /* as a header it is hardly ever good, but never harmful */
            assert_non_null(r.csv);
        free(copy);
        end(&r);
    }
}

/* ---- many rows ------------------------------------------------------------------------------------------------ */

/* What is expected of rows i = 0 .. n: row_of() writes them in forms that alternate by chance. */
struct many {
    struct lapse_csv *csv;
    struct lapse_csv_work *work;
    int64_t next, bad, batches, told;
    int64_t bad_every; /* rows whose number this divides are bad */
    bool last_batch;
};

static int64_t good_after(const struct many *m, int64_t i)
{
    return m->bad_every && i % m->bad_every == 0 ? good_after(m, i + 1) : i;
}

static int many_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    struct many *m = self;
    assert_false(m->last_batch);
    m->batches++;
    m->last_batch = n < LAPSE_CSV_BATCH;
    assert_true(n <= LAPSE_CSV_BATCH);
    for (size_t i = 0; i < n; i++) {
        char customer[32];
        int64_t row = m->next = good_after(m, m->next);
        struct lapse_text id = lapse_columns_text(rows, LAPSE_F_EVENT_ID, i);
        struct lapse_text who = lapse_columns_text(rows, LAPSE_F_CUSTOMER, i);
        size_t size = (size_t)snprintf(customer, sizeof customer, row % 5 == 0 ? "\"%lld\xC3\xA9,x" : "c%lld", (long long)row);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_TIME, i), INT64_C(1704067200000000) + row * 86400 * LAPSE_SECOND / 7);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_AMOUNT, i), row % 3 ? row * 5 : LAPSE_MISSING);
        assert_int_equal(who.size, size);
        assert_memory_equal(who.data, customer, size);
        assert_int_equal(id.size, row % 2);
        struct lapse_text source = lapse_columns_text(rows, LAPSE_F_SOURCE, i);
        assert_int_equal(source.size, row % 2 ? 0 : 8);
        m->next++;
    }
    const struct lapse_buffer *bytes = &m->work->rows.bytes; /* a bad row leaves no trace */
    bool trace = false;
    for (size_t i = 0; i + 5 <= bytes->size; i++)
        trace |= memcmp(bytes->data + i, "TRACE", 5) == 0;
    assert_false(trace);
    return 0;
}

static int many_told(void *self, int64_t line, struct lapse_text raw, struct lapse_text event_id)
{
    struct many *m = self;
    m->told++;
    assert_true(line >= 2 && raw.size > 20 && event_id.size <= 1);
    return 0;
}

static int many_bad(void *self, const struct lapse_csv_fault *fault)
{
    struct many *m = self;
    (void)fault;
    m->bad++;
    return 0;
}

static void put_many(struct lapse_buffer *out, int64_t row, int64_t bad_every, int columns, uint64_t *seed)
{
    char text[400], time[40];
    static const char *const bad[] = { "TRACE,nope,1,x", "TRACE,2024-01-01,1.234,x", "\"TRACE\"x,2024-01-01,,", "TRACE",
                                       "TRACE,2024-01-01,1,\xFF", ",2024-01-01,1,TRACE", "TRACE,2024-01-01,-1,x" };
    time[lapse_instant_format(INT64_C(1704067200000000) + row * 86400 * LAPSE_SECOND / 7, time)] = '\0';
    bool quoted = dice(seed, 4) == 0;
    const char *q = quoted ? "\"" : "";
    int n;
    if (bad_every && row % bad_every == 0)
        n = snprintf(text, sizeof text, "%s", bad[dice(seed, 7)]);
    else if (row % 3)
        n = snprintf(text, sizeof text, row % 5 ? "%sc%lld%s,%s,%s%lld.%02d%s,%s" : "\"\"\"%s%lld%s\xC3\xA9,x\",%s,%s%lld.%02d%s,%s",
                     row % 5 ? q : "", (long long)row, row % 5 ? q : "", time, q, (long long)(row * 5 / 100),
                     (int)(row * 5 % 100), q, row % 2 ? "i" : "");
    else
        n = snprintf(text, sizeof text, row % 5 ? "%sc%lld%s,%s,,%s" : "\"\"\"%s%lld%s\xC3\xA9,x\",%s,,%s",
                     row % 5 ? q : "", (long long)row, row % 5 ? q : "", time, row % 2 ? "i" : "");
    lapse_buffer_put(out, text, (size_t)n);
    for (int i = 4; i < columns; i++)
        lapse_buffer_text(out, ",");
    lapse_buffer_text(out, dice(seed, 9) ? "\n" : dice(seed, 2) ? "\r\n" : "\r\n\r\n\n");
}

static void test_many_rows(void **state)
{
    (void)state;
    static const struct {
        int64_t rows, bad_every;
        int columns;
    } cases[] = { { 3 * LAPSE_CSV_BATCH, 0, 4 }, { 40000, 0, 4 },  { 40000, 7, 4 },  { 2000, 2, 4 },
                  { LAPSE_CSV_BATCH, 0, 4 },     { 300, 1, 4 },    { 3000, 11, 50 }, { 50, 3, 700 },
                  { 20, 4, 3000 },               { 1, 0, 4 },      { 0, 0, 4 },      { LAPSE_BLOCK + 1, LAPSE_BLOCK, 4 } };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        uint64_t seed = k + 1;
        struct run r;
        begin(&r);
        r.options.flags = IGNORE;
        lapse_buffer_text(&r.out, "customer,time,amount,event_id");
        for (int i = 4; i < cases[k].columns; i++) {
            lapse_buffer_text(&r.out, ",c");
            put_number(&r, i);
        }
        assert_int_equal(open_csv(&r, r.out.data, r.out.size), LAPSE_OK);
        r.out.size = 0;
        for (int64_t i = 0; i < cases[k].rows; i++)
            put_many(&r.out, i, cases[k].bad_every, cases[k].columns, &seed);
        assert_false(r.out.failed);
        struct many m = { .csv = r.csv, .work = &r.work, .bad_every = cases[k].bad_every };
        struct lapse_csv_sink sink = { &m, many_rows, many_told, many_bad };
        int64_t rows = -1;
        assert_int_equal(lapse_csv_parse(r.csv, &r.work, r.out.data ? r.out.data : "", r.out.size, 2, &sink, &rows), 0);
        int64_t bad = m.bad_every ? (cases[k].rows + m.bad_every - 1) / m.bad_every : 0, good = cases[k].rows - bad;
        assert_int_equal(rows, cases[k].rows);
        assert_int_equal(m.bad, bad);
        assert_int_equal(m.told, good);
        assert_int_equal(m.batches, (good + LAPSE_CSV_BATCH - 1) / LAPSE_CSV_BATCH);
        if (good)
            assert_int_equal(m.next, good_after(&m, cases[k].rows - 1 - (m.bad_every && (cases[k].rows - 1) % m.bad_every == 0)) + 1);
        end(&r);
    }
}

/* ---- round trip --------------------------------------------------------------------------------------------- */

static int same_row(void *self, const struct lapse_columns *rows, size_t n)
{
    struct lapse_row row;
    assert_int_equal(n, 1);
    lapse_columns_row(rows, 0, lapse_columns_text(rows, LAPSE_F_CUSTOMER, 0), &row);
    assert_int_equal(lapse_row_compare(self, &row, 2), 0);
    return 0;
}

static int no_bad(void *self, const struct lapse_csv_fault *fault)
{
    (void)self;
    fail_msg("column %s: %s", fault->column, fault->rule);
    return 1;
}

static void put_field(struct lapse_buffer *out, const char *text, size_t n)
{
    lapse_buffer_byte(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"')
            lapse_buffer_byte(out, '"');
        lapse_buffer_byte(out, (uint8_t)text[i]);
    }
    lapse_buffer_byte(out, '"');
}

static void test_printed_rows_read_back(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "x", "a,\"b\"\r\n", "\xE2\x82\xAC", " ", "order" };
    static const double values[] = { 0.1, -123456.789, 1e24, 1e-25, 999999999999999.0, 5, 1e15, -7e-10 };
    uint64_t seed = 5;
    struct run r;
    begin(&r);
    lapse_buffer_text(&r.out, "customer");
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        lapse_buffer_text(&r.out, ",");
        lapse_buffer_text(&r.out, lapse_fields[f].name);
    }
    assert_int_equal(open_csv(&r, r.out.data, r.out.size), LAPSE_OK);
    for (int round = 0; round < 2000; round++) {
        struct lapse_row row;
        char hash[32], text[400];
        memset(&row, 0, sizeof row);
        for (size_t i = 0; i < sizeof hash; i++)
            hash[i] = (char)dice(&seed, 256);
        for (int f = 0; f < LAPSE_FIELDS; f++) {
            uint32_t size = (uint32_t)dice(&seed, 3) ? 1000 : 2000000000;
            row.number[f] = dice(&seed, 2) ? (int64_t)dice(&seed, size) : LAPSE_MISSING;
            row.text[f].data = texts[dice(&seed, 6)];
            row.text[f].size = (uint32_t)strlen(row.text[f].data);
        }
        row.number[LAPSE_F_TIME] = INT64_C(1600000000123456) + (int64_t)dice(&seed, 2000000000) * 1000;
        row.number[LAPSE_F_VALUE] = lapse_value_to_bits(values[dice(&seed, 8)]);
        row.number[LAPSE_F_AMOUNT] = round % 7 ? row.number[LAPSE_F_AMOUNT] : INT64_MAX;
        row.number[LAPSE_F_QUANTITY] = round % 11 ? row.number[LAPSE_F_QUANTITY] : INT64_MAX;
        row.name[LAPSE_F_KIND] = (uint8_t)(1 + dice(&seed, LAPSE_KINDS - 1));
        row.name[LAPSE_F_CHANNEL] = (uint8_t)(1 + dice(&seed, 10));
        row.name[LAPSE_F_PURPOSE] = (uint8_t)dice(&seed, 8);
        row.name[LAPSE_F_PLATFORM] = (uint8_t)dice(&seed, 4);
        row.text[LAPSE_F_ENDPOINT] = (struct lapse_text){ hash, dice(&seed, 2) ? 32 : 0 };
        if (row.text[LAPSE_F_REF].size == 0)
            row.text[LAPSE_F_REF] = row.text[LAPSE_F_TOPIC] = (struct lapse_text){ "t", 1 };
        if (row.name[LAPSE_F_KIND] == LAPSE_KIND_PREFERENCE_SET) {
            row.number[LAPSE_F_VALUE] = lapse_value_to_bits(dice(&seed, 2));
            row.text[LAPSE_F_TOPIC] = (struct lapse_text){ "t", 1 };
        }
        r.out.size = 0;
        put_field(&r.out, "c", 1);
        for (int f = 0; f < LAPSE_FIELDS; f++) {
            lapse_buffer_byte(&r.out, ',');
            put_field(&r.out, text, lapse_field_format((enum lapse_field)f, &row, 2, text));
        }
        struct lapse_csv_sink sink = { &row, same_row, NULL, no_bad };
        int64_t rows;
        assert_int_equal(lapse_csv_parse(r.csv, &r.work, r.out.data, r.out.size, 2, &sink, &rows), 0);
        assert_int_equal(rows, 1);
    }
    end(&r);
}

/* ---- no memory ---------------------------------------------------------------------------------------------- */

struct failing {
    int left;
    int held;
};

static void *fail_alloc(void *user, size_t bytes)
{
    struct failing *f = user;
    if (f->left-- <= 0)
        return NULL;
    f->held++;
    return malloc(bytes);
}

static void *fail_resize(void *user, void *memory, size_t bytes)
{
    struct failing *f = user;
    return f->left-- <= 0 ? NULL : realloc(memory, bytes);
}

static void fail_release(void *user, void *memory)
{
    struct failing *f = user;
    f->held--;
    free(memory);
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char header[] = "customer,time,q,p", text[] = "\"a\"\"b\",2024-03-01,2,3\n";
    bool passed = false;
    for (int left = 0; left < 50 && !passed; left++) {
        struct failing failing = { 1000, 0 };
        lapse_allocator hook = { sizeof hook, 0, &failing, fail_alloc, fail_resize, fail_release };
        struct run r;
        begin(&r);
        r.mem = hook;
        r.options.map = "amount=q*p";
        failing.left = left;
        lapse_status status = open_csv(&r, header, strlen(header));
        if (status == LAPSE_OK) {
            struct lapse_csv_sink sink = { &r, take_rows, take_row, take_bad };
            struct lapse_allocator plain;
            assert_int_equal(lapse_mem_init(&plain, NULL, NULL), LAPSE_OK);
            r.out.mem = r.lines.mem = &plain;
            int64_t rows;
            int stopped = lapse_csv_parse(r.csv, &r.work, text, strlen(text), 2, &sink, &rows);
            assert_true(stopped == 0 || (stopped == LAPSE_NO_MEMORY && r.work.failed));
            passed = stopped == 0;
            lapse_buffer_free(&r.out);
            lapse_buffer_free(&r.lines);
        } else {
            assert_int_equal(status, LAPSE_NO_MEMORY);
            assert_null(r.csv);
        }
        end(&r);
        assert_int_equal(failing.held, 0);
    }
    assert_true(passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_rows_as_they_stood),
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_wide_headers),
        cmocka_unit_test(test_fields_of_a_file),
        cmocka_unit_test(test_cuts_never_change_records),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_printed_rows_read_back),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
