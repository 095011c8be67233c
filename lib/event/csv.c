/* Records of an event file to columns, by the plan of csv_header.c. A block of records is cut into fields, then each
 * column is filled for all of them; so a row costs what its columns cost, and each loop has one thing to do. Faults are
 * collected meanwhile, the first of each row. If there are any, they are told and the block is filled again without
 * their rows, which so leave no trace. */
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

/* The fault is in what a step read: one field, or two that make a product, or one of these. */
static void blame_step(struct trouble *t, const struct lapse_csv *csv, const struct lapse_csv_step *step,
                       const struct lapse_csv_piece *pieces)
{
    uint32_t bad = lapse_csv_bad_factor(step, pieces);
    if (bad != LAPSE_CSV_NONE) {
        blame_column(t, csv, pieces, bad);
        return;
    }
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
        blame_step(t, csv, &csv->steps[csv->step_of[target]], pieces);
    else
        t->fault.column =
            target > 0 ? lapse_fields[target - 1].name : "customer"; /* what is needed and not there */
}

/* What is wrong with a record as such: quotes, bytes that are no text, the number of fields. */
static void blame_record(struct trouble *t, const struct lapse_csv *csv, const struct lapse_csv_record *record,
                         const struct lapse_csv_piece *pieces)
{
    if (record->fault != LAPSE_CSV_GOOD) {
        blame_column(t, csv, pieces, record->fault_field);
        say(t, lapse_csv_syntax_rule((enum lapse_csv_syntax)record->fault));
        return;
    }
    if (!lapse_utf8_valid(record->raw.data, record->raw.size)) {
        for (size_t i = 0; i < record->fields && i < csv->columns; i++)
            if (!lapse_utf8_valid(pieces[i].data, pieces[i].size)) {
                blame_column(t, csv, pieces, i);
                break;
            }
        struct lapse_text where = t->fault.text.size ? t->fault.text : record->raw;
        say(t, memchr(where.data, 0, where.size) ? "a NUL byte is not allowed" : "this is not valid UTF-8");
        return;
    }
    t->fault.text = record->raw;
    if (t->fault.text.size > LAPSE_TEXT_MAX)
        t->fault.text.size = LAPSE_TEXT_MAX;
    say(t, "the row has ");
    say_number(t, record->fields);
    say(t, record->fields == 1 ? " field, the header " : " fields, the header ");
    say_number(t, csv->columns);
}

static int no_memory(struct lapse_csv_block *b)
{
    *b->failed = true;
    return LAPSE_NO_MEMORY;
}

/* ---- a block: fields ----------------------------------------------------------------------------------- */

/* Room for a block in work->records: places of records and of their end, then fields. */
static bool make_block(struct lapse_csv_block *b, struct lapse_csv_work *work)
{
    enum { PIECES = 1536 }; /* they are to stay in the cache */
    size_t columns = b->csv->columns;
    b->room = columns <= PIECES / LAPSE_BLOCK ? LAPSE_BLOCK : columns < PIECES ? PIECES / columns : 1;
    work->records.size = 0;
    if (!lapse_buffer_room(&work->records, (b->room + 1) * sizeof *b->places + b->room * columns * sizeof *b->pieces))
        return false;
    b->places = (struct lapse_csv_place *)(void *)work->records.data;
    b->pieces = (struct lapse_csv_piece *)(void *)(b->places + b->room + 1);
    return true;
}

/* Takes doubled quotes out of the fields of a record. The first one of a block makes room for all that may follow it,
 * `most` bytes, so that the texts stay where they are. False: no memory. */
static bool unescape(struct lapse_buffer *texts, struct lapse_csv_piece *pieces, size_t n, size_t most)
{
    if (!lapse_buffer_room(texts, most))
        return false;
    for (size_t i = 0; i < n; i++)
        if (pieces[i].escaped)
            texts->size = (size_t)(lapse_csv_unescape(&pieces[i], texts->data + texts->size) - texts->data);
    return true;
}

/* Are the bytes of n records text? */
static bool is_text(const struct lapse_csv_place *places, size_t n)
{
    return lapse_utf8_valid(places[0].at, (size_t)(places[n].at - places[0].at));
}

#define RECORD_RULE "" /* told later: what is wrong with a record as such comes before any of its fields */

/* The next records, not more than `most`; none at the end. False: no memory. */
static bool read_block(struct lapse_csv_block *b, struct lapse_csv_scan *scan, struct lapse_buffer *texts, size_t most)
{
    const size_t columns = b->csv->columns;
    most = most < b->room ? most : b->room;
    b->count = texts->size = 0;
    for (;;) {
        b->count += lapse_csv_scan_plain(scan, b->pieces + b->count * columns, columns, b->places + b->count,
                                         most - b->count);
        struct lapse_csv_record record;
        struct lapse_csv_piece *pieces = b->pieces + b->count * columns;
        if (b->count == most || !lapse_csv_scan_record(scan, pieces, columns, &record))
            break;
        if (record.raw.size == 0)
            continue;
        if (record.fault != LAPSE_CSV_GOOD || record.fields != columns)
            lapse_flaws_add(b->flaws, b->count, -1, RECORD_RULE);
        for (size_t i = record.fields; i < columns; i++)
            pieces[i] = (struct lapse_csv_piece){ "", 0, false };
        if (record.escaped && !unescape(texts, pieces, columns, (size_t)(scan->end - record.raw.data)))
            return false;
        b->places[b->count++] = (struct lapse_csv_place){ record.raw.data, record.line };
    }
    b->places[b->count].at = scan->at;
    if (b->count > 0 && b->places[0].at < scan->dirty && !is_text(b->places, b->count))
        for (size_t i = 0; i < b->count; i++)
            if (!is_text(b->places + i, 1))
                lapse_flaws_add(b->flaws, i, -1, RECORD_RULE);
    return true;
}

/* Record i as it stands there. */
static struct lapse_csv_record read_again(const struct lapse_csv_block *b, size_t i)
{
    const struct lapse_csv_place *place = &b->places[i];
    struct lapse_csv_scan scan;
    struct lapse_csv_record record = { .line = place->line };
    lapse_csv_scan_init(&scan, b->csv->delimiter, place->at, (size_t)(place[1].at - place->at), place->line);
    lapse_csv_scan_record(&scan, NULL, 0, &record);
    return record;
}

/* ---- a block: columns ---------------------------------------------------------------------------------- */

/* Without a column of its own, the source of a row with an id is empty. */
static bool fill_source(struct lapse_csv_block *b, size_t n)
{
    struct lapse_rows *rows = b->rows;
    if (!lapse_buffer_room(&rows->bytes, n * LAPSE_TEXT_MAX))
        return false;
    for (size_t i = rows->count; i < rows->count + n; i++)
        lapse_rows_set_text(rows, LAPSE_F_SOURCE, i,
                            rows->text[LAPSE_F_EVENT_ID].length[i] ? (struct lapse_text){ "", 0 } : b->csv->source);
    return true;
}

/* Columns of records first .. first + n, and what the rules say of them. False: no memory. */
static bool fill(struct lapse_csv_block *b, size_t first, size_t n)
{
    const struct lapse_csv *csv = b->csv;
    struct lapse_rows *rows = b->rows;
    struct lapse_columns columns;
    if (rows->fields & LAPSE_FIELD_BIT(LAPSE_F_LINE))
        for (size_t i = 0; i < n; i++)
            rows->number[LAPSE_F_LINE][rows->count + i] = b->places[first + i].line;
    if (rows->fields & LAPSE_FIELD_BIT(LAPSE_F_KIND))
        memset(rows->name[LAPSE_F_KIND] + rows->count, csv->kind, n);
    for (int k = 0; k < csv->step_count; k++)
        if (!csv->steps[k].fill(b, &csv->steps[k], first, n))
            return false;
    lapse_rows_settle(rows, n, csv->kind, csv->flags & LAPSE_IMPORT_NEGATIVE_REFUND, b->flaws, first);
    if (csv->step_of[LAPSE_F_EVENT_ID + 1] >= 0 && csv->step_of[LAPSE_F_SOURCE + 1] < 0 && !fill_source(b, n))
        return false;
    lapse_rows_columns(rows, &columns);
    lapse_csv_constants(csv, &columns);
    lapse_columns_check(&columns, rows->count, n, csv->check, b->flaws);
    return true;
}

static int report(const struct lapse_csv_block *b, size_t i, const struct lapse_csv_sink *sink)
{
    const struct lapse_csv *csv = b->csv;
    const struct lapse_fault *fault = &b->flaws->row[i];
    const struct lapse_csv_record record = read_again(b, i);
    const struct lapse_csv_piece *pieces = b->pieces + i * csv->columns;
    struct trouble t = { .fault = { record.line, "", { "", 0 }, record.raw, NULL } };
    if (*fault->rule) {
        blame_target(&t, csv, fault->field + 1, pieces);
        say(&t, fault->rule);
    } else {
        blame_record(&t, csv, &record, pieces);
    }
    if (!(csv->flags & LAPSE_IMPORT_SKIP_BAD_ROWS) && record.fault != LAPSE_CSV_UNCLOSED)
        say(&t, "; --on-error skip leaves bad rows out");
    return sink->bad(sink->self, &t.fault);
}

static int tell_rows(const struct lapse_csv_block *b, size_t first, size_t n, const struct lapse_csv_sink *sink)
{
    struct lapse_columns columns;
    int stopped = 0;
    lapse_rows_columns(b->rows, &columns);
    for (size_t i = 0; i < n && stopped == 0; i++)
        stopped = sink->row(sink->self, b->places[first + i].line, read_again(b, first + i).raw,
                            lapse_columns_text(&columns, LAPSE_F_EVENT_ID, b->rows->count + i));
    return stopped;
}

/* Puts the good records of a block behind the rows, and tells of the bad ones. */
static int take_block(struct lapse_csv_block *b, const struct lapse_csv_sink *sink)
{
    struct lapse_rows *rows = b->rows;
    size_t before = rows->bytes.size, first = 0, n = 0;
    if (!fill(b, 0, b->count))
        return no_memory(b);
    bool again = b->flaws->count > 0;
    for (size_t i = 0; again && i < b->count; i++) {
        int stopped = b->flaws->row[i].rule ? report(b, i, sink) : 0;
        if (stopped)
            return stopped;
    }
    rows->bytes.size = again ? before : rows->bytes.size;
    while (lapse_flaws_next_good(b->flaws, b->count, &first, &n)) {
        if (again && !fill(b, first, n))
            return no_memory(b);
        int stopped = sink->row ? tell_rows(b, first, n, sink) : 0;
        if (stopped)
            return stopped;
        rows->count += n;
    }
    lapse_flaws_clear(b->flaws);
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

static int hand_over(struct lapse_rows *rows, const struct lapse_csv_sink *sink)
{
    struct lapse_columns columns;
    if (rows->count == 0 || !sink->rows)
        return 0;
    lapse_rows_trim(rows);
    lapse_rows_columns(rows, &columns);
    return sink->rows(sink->self, &columns, rows->count);
}

static int parse(struct lapse_csv_block *b, struct lapse_csv_work *work, const char *text, size_t n, int64_t line,
                 const struct lapse_csv_sink *sink, int64_t *count)
{
    struct lapse_csv_scan scan;
    const size_t most = n / 2 + 1 < LAPSE_CSV_BATCH ? n / 2 + 1 : LAPSE_CSV_BATCH; /* a record has two bytes */
    int stopped = 0;
    lapse_csv_scan_init(&scan, b->csv->delimiter, text, n, line);
    do {
        if (!lapse_rows_begin(b->rows, b->csv->fields, most))
            return no_memory(b);
        do {
            if (!read_block(b, &scan, &work->texts, most - b->rows->count))
                return no_memory(b);
            *count += (int64_t)b->count;
            stopped = take_block(b, sink);
        } while (stopped == 0 && b->count > 0 && b->rows->count < most);
        if (stopped == 0)
            stopped = hand_over(b->rows, sink);
    } while (stopped == 0 && b->count > 0);
    return stopped;
}

void lapse_csv_work_init(struct lapse_csv_work *work, const lapse_allocator *mem)
{
    memset(work, 0, sizeof *work);
    lapse_rows_init(&work->rows, mem);
    lapse_buffer_init(&work->records, mem);
    lapse_buffer_init(&work->texts, mem);
}

void lapse_csv_work_free(struct lapse_csv_work *work)
{
    lapse_rows_free(&work->rows);
    lapse_buffer_free(&work->records);
    lapse_buffer_free(&work->texts);
}

int lapse_csv_parse(const struct lapse_csv *csv, struct lapse_csv_work *work, const char *text, size_t n,
                    int64_t line, const struct lapse_csv_sink *sink, int64_t *rows)
{
    struct lapse_csv_block b = { .csv = csv, .rows = &work->rows, .flaws = &work->flaws, .times = &work->times,
                                 .failed = &work->failed };
    *rows = 0;
    lapse_flaws_clear(&work->flaws);
    lapse_time_reader_init(&work->times, csv->zone);
    return make_block(&b, work) ? parse(&b, work, text, n, line, sink, rows) : no_memory(&b);
}
