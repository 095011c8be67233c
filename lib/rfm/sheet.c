/* Small CSV tables whose columns are known: segments and frozen cuts. Nothing is allocated, and a fault is told with
 * line, column, text and rule. */
#include <stdio.h>

#include "rfm/rfm.h"

enum { HEADER_ROOM = 128 };

/* Field `at` in the order of the file; -1: the row as a whole. */
static lapse_status refuse(const struct lapse_sheet *s, int at, const char *rule, lapse_error *error)
{
    bool known = at >= 0 && at < s->count;
    struct lapse_place place = { s->what, s->record.line, -1, known ? s->names[at] : NULL };
    struct lapse_text text = known ? (struct lapse_text){ s->field[at].data, s->field[at].size } : s->record.raw;
    return lapse_fail_at(error, LAPSE_BAD_INPUT, &place, text.data, text.size, rule);
}

lapse_status lapse_sheet_refuse(const struct lapse_sheet *s, int column, const char *rule, lapse_error *error)
{
    return refuse(s, column >= 0 ? s->place[column] : -1, rule, error);
}

struct lapse_text lapse_sheet_text(const struct lapse_sheet *s, int column)
{
    const struct lapse_csv_piece *field = &s->field[s->place[column]];
    return (struct lapse_text){ field->data, field->size };
}

/* A rule that ends in the names of all columns. */
static const char *header_rule(const struct lapse_sheet *s, const char *rule, char out[2 * HEADER_ROOM])
{
    int n = snprintf(out, HEADER_ROOM, "%s", rule);
    for (int c = 0; c < s->count; c++)
        n += snprintf(out + n, HEADER_ROOM / LAPSE_SHEET_COLUMNS, "%s%s", c ? "," : "", s->columns[c]);
    return out;
}

lapse_status lapse_sheet_next(struct lapse_sheet *s, lapse_error *error)
{
    char rule[2 * HEADER_ROOM];
    do {
        if (!lapse_csv_scan_record(&s->scan, s->field, (size_t)s->count, &s->record))
            return LAPSE_DONE;
    } while (s->record.raw.size == 0);
    if (s->record.fault != LAPSE_CSV_GOOD)
        return refuse(s, s->record.fault_field < (uint32_t)s->count ? (int)s->record.fault_field : -1,
                      lapse_csv_syntax_rule(s->record.fault), error);
    if (s->record.fields != (uint32_t)s->count)
        return refuse(s, -1, header_rule(s, "header and rows have a field for each column: ", rule), error);
    char *spare = s->spare;
    for (int i = 0; i < s->count; i++)
        if (s->field[i].escaped)
            spare = lapse_csv_unescape(&s->field[i], spare);
    return LAPSE_OK;
}

/* As many fields as there are columns, all known and none twice, are all columns. */
lapse_status lapse_sheet_open(struct lapse_sheet *s, const char *what, const char *const *columns, int count,
                              const char *text, size_t size, char *spare, lapse_error *error)
{
    char rule[2 * HEADER_ROOM];
    size_t mark = size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* of byte order */
    *s = (struct lapse_sheet){ .what = what, .columns = columns, .count = count, .spare = spare, .record.line = 1 };
    lapse_csv_scan_init(&s->scan, ',', text + mark, size - mark, 1);
    lapse_status status = lapse_sheet_next(s, error);
    if (status == LAPSE_DONE)
        return lapse_fail(error, LAPSE_BAD_INPUT, "%s: %s", what, header_rule(s, "it begins with its header, ", rule));
    for (int i = 0; i < count && status == LAPSE_OK; i++) {
        struct lapse_text name = { s->field[i].data, s->field[i].size };
        int c = 0;
        while (c < count && !lapse_text_is(name, columns[c]))
            c++;
        if (c == count)
            return refuse(s, i, header_rule(s, "the columns are ", rule), error);
        for (int before = 0; before < i; before++)
            if (s->names[before] == columns[c])
                return refuse(s, i, "a column stands once in a header", error);
        s->names[i] = columns[c];
        s->place[c] = i;
    }
    return status;
}
