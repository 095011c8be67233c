/* Tables as CSV: RFC 4180 with LF, quotes only where a field needs them, values as they are.
 * Cost: about 10 ns a field. Each field has room before it is written; the days of times are kept as text,
 * since the same day is printed again and again. */
#include "table/table.h"

enum {
    FIELD_ROOM = 401, /* a number or a time, and the comma or LF after it */
    DAYS = 64         /* days whose text is kept, by their number modulo this */
};

/* What is being written, and what has been worked out for earlier rows. */
struct writer {
    struct lapse_buffer *out;
    size_t row_room; /* what the fixed part of a row takes at most */
    struct day {
        int64_t day;
        char text[11]; /* 2024-03-01T */
    } days[DAYS];
};

static bool must_quote(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        /* The four that count lie below '-', and letters do not. */
        if (c < '-' && (c == ',' || c == '"' || c == '\r' || c == '\n'))
            return true;
    }
    return false;
}

/* Puts a field where room for it, quoted, is known to be. */
static char *put_field(char *at, const char *text, size_t n)
{
    if (!must_quote(text, n)) {
        if (n > 0)
            memcpy(at, text, n);
        return at + n;
    }
    *at++ = '"';
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"')
            *at++ = '"';
        *at++ = text[i];
    }
    *at++ = '"';
    return at;
}

/* Room for a field of n bytes, quoted, and `more` after it. */
static bool field_room(struct lapse_buffer *out, size_t n, size_t more)
{
    if (n > (PTRDIFF_MAX - more - 2) / 2) {
        out->failed = true;
        return false;
    }
    return lapse_buffer_room(out, 2 * n + 2 + more);
}

void lapse_csv_field(struct lapse_buffer *out, const char *text, size_t n)
{
    if (field_room(out, n, 0))
        out->size = (size_t)(put_field(out->data + out->size, text, n) - out->data);
}

void lapse_csv_header(struct lapse_buffer *out, const lapse_result *result)
{
    int32_t count = lapse_result_columns(result);
    for (int32_t i = 0; i < count; i++) {
        lapse_column column = { .size = sizeof column };
        lapse_result_column(result, i, &column);
        lapse_csv_field(out, column.name, strlen(column.name));
        lapse_buffer_byte(out, i + 1 < count ? ',' : '\n');
    }
}

static int64_t int_at(const struct lapse_table_column *c, int64_t row)
{
    return ((const int64_t *)(const void *)c->data.data)[row];
}

/* One field of a row at `at`, where there are FIELD_ROOM bytes for each field still to come in this row.
 * Returns its end, NULL when there is no memory for it. */
typedef char *put_fn(struct writer *w, const struct lapse_table_column *c, int64_t row, char *at);

static char *put_int(struct writer *w, const struct lapse_table_column *c, int64_t row, char *at)
{
    (void)w;
    return at + lapse_int_format(int_at(c, row), at);
}

static char *put_double(struct writer *w, const struct lapse_table_column *c, int64_t row, char *at)
{
    (void)w;
    double value;
    memcpy(&value, c->data.data + (size_t)row * 8, 8);
    return at + lapse_double_format(value, at);
}

static char *put_money(struct writer *w, const struct lapse_table_column *c, int64_t row, char *at)
{
    (void)w;
    return at + lapse_decimal_format(int_at(c, row), c->spec.digits, true, at);
}

static char *put_decimal(struct writer *w, const struct lapse_table_column *c, int64_t row, char *at)
{
    (void)w;
    return at + lapse_decimal_format(int_at(c, row), c->spec.digits, false, at);
}

static char *put_text(struct writer *w, const struct lapse_table_column *c, int64_t row, char *at)
{
    const int64_t *offsets = (const int64_t *)(const void *)c->offsets.data + row;
    size_t n = (size_t)(offsets[1] - offsets[0]);
    w->out->size = (size_t)(at - w->out->data);
    if (!field_room(w->out, n, w->row_room))
        return NULL;
    return put_field(w->out->data + w->out->size, (const char *)c->data.data + offsets[0], n);
}

static char *put_two(char *at, int64_t value, char end)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
    at[2] = end;
    return at + 3;
}

/* As lapse_instant_format() does, with its text of the day kept. */
static char *put_time(struct writer *w, const struct lapse_table_column *c, int64_t row, char *at)
{
    int64_t time = int_at(c, row);
    if (time < LAPSE_TIME_MIN || time > LAPSE_TIME_MAX)
        return at + lapse_instant_format(time, at);
    int64_t since = time - LAPSE_TIME_MIN; /* which is the start of a day */
    int64_t day = since / LAPSE_DAY, left = since % LAPSE_DAY;
    struct day *kept = &w->days[day % DAYS];
    if (kept->day != day) {
        int64_t year;
        int month, day_of_month;
        lapse_civil_from_days(day + LAPSE_TIME_MIN / LAPSE_DAY, &year, &month, &day_of_month);
        put_two(kept->text, year / 100, ' ');
        put_two(kept->text + 2, year % 100, '-');
        put_two(kept->text + 5, month, '-');
        put_two(kept->text + 8, day_of_month, 'T');
        kept->day = day;
    }
    memcpy(at, kept->text, sizeof kept->text);
    at += sizeof kept->text;
    int64_t second = left / LAPSE_SECOND, fraction = left % LAPSE_SECOND;
    at = put_two(at, second / 3600, ':');
    at = put_two(at, second / 60 % 60, ':');
    at = put_two(at, second % 60, '.');
    int64_t unit = LAPSE_SECOND / 10;
    for (; fraction > 0; fraction %= unit, unit /= 10)
        *at++ = (char)('0' + fraction / unit);
    /* The Z takes the place of a point that nothing follows. */
    at -= unit == LAPSE_SECOND / 10;
    *at++ = 'Z';
    return at;
}

static put_fn *const put_of_type[] = {
    [LAPSE_TYPE_INT64] = put_int, [LAPSE_TYPE_DOUBLE] = put_double, [LAPSE_TYPE_STRING] = put_text,
    [LAPSE_TYPE_TIME] = put_time, [LAPSE_TYPE_MONEY] = put_money,   [LAPSE_TYPE_DECIMAL] = put_decimal,
};

static bool put_row(struct writer *w, const lapse_table *table, int64_t row)
{
    struct lapse_buffer *out = w->out;
    if (!lapse_buffer_room(out, w->row_room))
        return false;
    char *at = out->data + out->size;
    for (int32_t i = 0; i < table->count; i++) {
        const struct lapse_table_column *c = &table->column[i];
        if (lapse_bit(c->validity.data, row))
            at = put_of_type[c->spec.type](w, c, row, at);
        if (!at)
            return false;
        *at++ = ',';
    }
    if (table->count > 0)
        at[-1] = '\n';
    out->size = (size_t)(at - out->data);
    return true;
}

int64_t lapse_csv_rows(struct lapse_buffer *out, const lapse_table *table, int64_t first)
{
    struct writer w;
    w.out = out;
    w.row_room = (size_t)table->count * FIELD_ROOM;
    for (int i = 0; i < DAYS; i++)
        w.days[i].day = -1;
    int64_t row = first;
    while (row < table->rows && out->size < LAPSE_CSV_CHUNK && put_row(&w, table, row))
        row++;
    return row;
}
