/* Records of an event file to rows, by the plan of csv_header.c. One row is filled again and again: fields that
 * the file does not have keep what they were given at the start, so a row costs what its columns cost. */
#include "event/csv.h"

/* A fault on its way out; its texts may be put together here. */
struct trouble {
    struct lapse_csv_fault fault;
    char text[2 * LAPSE_TEXT_MAX + 2], rule[400];
    size_t rule_size;
};

static void say(struct trouble *t, const char *text)
{
    size_t n = strlen(text), room = sizeof t->rule - 1 - t->rule_size;
    n = n < room ? n : room;
    memcpy(t->rule + t->rule_size, text, n);
    t->rule_size += n;
    t->rule[t->rule_size] = '\0';
    t->fault.rule = t->rule;
}

static void say_number(struct trouble *t, size_t number)
{
    char digits[24];
    digits[lapse_int_format((int64_t)number, digits)] = '\0';
    say(t, digits);
}

static struct lapse_text piece_text(const struct lapse_csv_piece *piece)
{
    return (struct lapse_text){ piece->data, piece->size };
}

/* The fault is in column i, of a record that has so many fields. */
static void blame_column(struct trouble *t, const struct lapse_csv *csv, const struct lapse_csv_piece *pieces,
                         size_t i)
{
    if (i < csv->columns) {
        t->fault.column = csv->names[i];
        t->fault.text = piece_text(&pieces[i]);
    }
}

/* The fault is in what a step read: one field, or two that make a product. */
static void blame_step(struct trouble *t, const struct lapse_csv_step *step,
                       const struct lapse_csv_piece *pieces)
{
    t->fault.column = step->name;
    t->fault.text = piece_text(&pieces[step->column]);
    if (step->factor == LAPSE_CSV_NONE)
        return;
    size_t n = 0;
    const struct lapse_csv_piece *factors[] = { &pieces[step->column], &pieces[step->factor] };
    for (int i = 0; i < 2; i++) {
        size_t size = factors[i]->size < LAPSE_TEXT_MAX ? factors[i]->size : LAPSE_TEXT_MAX;
        if (i > 0)
            t->text[n++] = '*';
        if (size > 0)
            memcpy(t->text + n, factors[i]->data, size);
        n += size;
    }
    t->fault.text = (struct lapse_text){ t->text, (uint32_t)n };
}

static void blame_target(struct trouble *t, const struct lapse_csv *csv, int target,
                         const struct lapse_csv_piece *pieces)
{
    if (csv->step_of[target] >= 0)
        blame_step(t, &csv->steps[csv->step_of[target]], pieces);
    else
        t->fault.column =
            target > 0 ? lapse_fields[target - 1].name : "customer"; /* what is needed and not there */
}

/* Faults of a record as such: quotes, number of fields, bytes that are no text. */
static bool check_record(const struct lapse_csv *csv, const struct lapse_csv_record *record,
                         const struct lapse_csv_piece *pieces, struct trouble *t)
{
    if (record->fault != LAPSE_CSV_GOOD) {
        blame_column(t, csv, pieces, record->fault_field);
        say(t, lapse_csv_syntax_rule(record->fault));
        return false;
    }
    if (record->dirty && !lapse_utf8_valid(record->raw.data, record->raw.size)) {
        for (size_t i = 0; i < record->fields && i < csv->columns; i++)
            if (!lapse_utf8_valid(pieces[i].data, pieces[i].size)) {
                blame_column(t, csv, pieces, i);
                break;
            }
        bool nul = memchr(t->fault.text.size ? t->fault.text.data : record->raw.data, 0,
                          t->fault.text.size ? t->fault.text.size : record->raw.size) != NULL;
        say(t, nul ? "a NUL byte is not allowed" : "this is not valid UTF-8");
        return false;
    }
    if (record->fields != csv->columns) {
        t->fault.text = record->raw;
        if (t->fault.text.size > LAPSE_TEXT_MAX)
            t->fault.text.size = LAPSE_TEXT_MAX;
        say(t, "the row has ");
        say_number(t, record->fields);
        say(t, record->fields == 1 ? " field, the header " : " fields, the header ");
        say_number(t, csv->columns);
        return false;
    }
    return true;
}

static bool is_negative(int64_t number)
{
    return number < 0 && number != LAPSE_MISSING;
}

/* A negative amount or quantity, which an order line may have if it is a refund (rulings M5, M15, F29). */
static bool settle_negative(struct lapse_csv_reader *r, struct lapse_fault *fault)
{
    int64_t *amount = &r->row.number[LAPSE_F_AMOUNT], *quantity = &r->row.number[LAPSE_F_QUANTITY];
    uint8_t *kind = &r->row.name[LAPSE_F_KIND];
    if (!(lapse_kinds[*kind].flags & LAPSE_KIND_ORDER_LINE))
        return true; /* the rules for all events refuse it */
    if (!(r->csv->flags & LAPSE_IMPORT_NEGATIVE_REFUND)) {
        r->hint = "--negative refund reads such an order line as a refund";
        *fault = is_negative(*amount) ? (struct lapse_fault){ LAPSE_F_AMOUNT, "an amount is not negative" }
                                      : (struct lapse_fault){ LAPSE_F_QUANTITY, "a quantity is not negative" };
        return false;
    }
    if (is_negative(*amount)) {
        *amount = -*amount;
        *kind = LAPSE_KIND_ORDER_REFUNDED;
    }
    if (is_negative(*quantity))
        *quantity = -*quantity;
    return true;
}

/* The rules that look at a row as a whole. */
static bool finish(struct lapse_csv_reader *r, struct lapse_fault *fault)
{
    const struct lapse_csv *csv = r->csv;
    struct lapse_row *row = &r->row;
    if ((is_negative(row->number[LAPSE_F_AMOUNT]) || is_negative(row->number[LAPSE_F_QUANTITY])) &&
        !settle_negative(r, fault))
        return false;
    if (csv->step_of[LAPSE_F_EVENT_ID + 1] >= 0 && csv->step_of[LAPSE_F_SOURCE + 1] < 0)
        row->text[LAPSE_F_SOURCE] =
            row->text[LAPSE_F_EVENT_ID].size > 0 ? (struct lapse_text){ "", 0 } : csv->source;
    return lapse_row_check_facts(row, csv->check, fault);
}

static bool fill(struct lapse_csv_reader *r, const struct lapse_csv_record *record, struct trouble *t)
{
    const struct lapse_csv *csv = r->csv;
    struct lapse_fault fault;
    if ((record->fault != LAPSE_CSV_GOOD || record->dirty || record->fields != csv->columns) &&
        !check_record(csv, record, r->pieces, t))
        return false;
    r->row.name[LAPSE_F_KIND] = csv->kind; /* the row before may have become a refund */
    for (const struct lapse_csv_step *step = csv->steps, *end = step + csv->step_count; step < end; step++) {
        const struct lapse_csv_piece *piece = &r->pieces[step->column];
        if (step->parse(r, step, (struct lapse_text){ piece->data, piece->size }))
            continue;
        if (r->blamed != LAPSE_CSV_NONE)
            blame_column(t, csv, r->pieces, r->blamed);
        else
            blame_step(t, step, r->pieces);
        say(t, r->rule);
        return false;
    }
    if (finish(r, &fault))
        return true;
    blame_target(t, csv, fault.field + 1, r->pieces);
    say(t, fault.rule);
    return false;
}

static void start(struct lapse_csv_reader *r, const struct lapse_csv *csv)
{
    memset(r, 0, sizeof *r);
    r->csv = csv;
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        r->row.number[f] = LAPSE_MISSING;
        r->row.text[f] = (struct lapse_text){ "", 0 };
    }
    r->row.customer = (struct lapse_text){ "", 0 };
    r->row.text[LAPSE_F_SOURCE] = csv->source;
}

/* No trouble so far. */
static void clear(struct lapse_csv_reader *r, struct trouble *t)
{
    t->fault = (struct lapse_csv_fault){ .column = "", .text = { "", 0 } };
    t->rule_size = 0;
    r->hint = NULL;
    r->blamed = LAPSE_CSV_NONE;
}

static int report(const struct lapse_csv_reader *r, struct trouble *t, const struct lapse_csv_record *record,
                  int64_t line, const struct lapse_csv_sink *sink)
{
    t->fault.line = line;
    t->fault.row = record->raw;
    if (r->hint) {
        say(t, "; ");
        say(t, r->hint);
    }
    if (!(r->csv->flags & LAPSE_IMPORT_SKIP_BAD_ROWS) && record->fault != LAPSE_CSV_UNCLOSED)
        say(t, "; --on-error skip leaves bad rows out");
    return sink->bad(sink->self, &t->fault);
}

/* Room for `more` bytes behind the pieces, which stand at the start of `scratch`. NULL: no memory. */
static struct lapse_csv_piece *make_room(struct lapse_buffer *scratch, size_t more)
{
    return lapse_buffer_room(scratch, more) ? (struct lapse_csv_piece *)(void *)scratch->data : NULL;
}

/* Takes doubled quotes out of fields. False: no memory. */
static bool unescape(struct lapse_buffer *scratch, const struct lapse_csv_record *record, size_t columns)
{
    struct lapse_csv_piece *pieces = make_room(scratch, record->raw.size);
    if (!pieces)
        return false;
    char *out = (char *)(pieces + columns);
    for (size_t i = 0; i < record->fields && i < columns; i++)
        if (pieces[i].escaped)
            out = lapse_csv_unescape(&pieces[i], out);
    return true;
}

int lapse_csv_parse(const struct lapse_csv *csv, struct lapse_buffer *scratch, const char *text, size_t n,
                    int64_t line, const struct lapse_csv_sink *sink, int64_t *rows)
{
    struct lapse_csv_reader r;
    struct lapse_csv_scan scan;
    struct lapse_csv_record record;
    struct trouble t;
    int stopped = 0;

    *rows = 0;
    start(&r, csv);
    clear(&r, &t);
    scratch->size = 0;
    if (!make_room(scratch, csv->columns * sizeof *r.pieces))
        return LAPSE_NO_MEMORY;
    scratch->size = csv->columns * sizeof *r.pieces;
    lapse_csv_scan_init(&scan, csv->delimiter, text, n);
    for (; stopped == 0; line += record.lines) {
        struct lapse_csv_piece *pieces = (struct lapse_csv_piece *)(void *)scratch->data;
        if (!lapse_csv_scan_record(&scan, pieces, csv->columns, &record))
            break;
        if (record.raw.size == 0)
            continue;
        ++*rows;
        if (record.escaped && !unescape(scratch, &record, csv->columns))
            return LAPSE_NO_MEMORY;
        r.pieces = (struct lapse_csv_piece *)(void *)scratch->data;
        if (fill(&r, &record, &t)) {
            stopped = sink->row(sink->self, &r.row, line, record.raw);
        } else {
            stopped = report(&r, &t, &record, line, sink);
            clear(&r, &t);
        }
    }
    return stopped;
}
