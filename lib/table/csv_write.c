/* Tables as CSV: RFC 4180 with LF, quotes only where a field needs them, values as they are.
 *
 * Some hundred rows at a time are written column by column, each row into a slot of its own that has room for the
 * longest it can become, so that what a column is gets decided once and no field asks for room; then the rows are
 * moved together. Numbers below 10^8 become digits without a loop; the days of times are kept as text, since the
 * same ones come again and again. Cost: 3 to 8 ns a field. */
#include "base/quick.h"
#include "table/table.h"

enum {
    BATCH_ROWS = 256,
    BATCH_BYTES = 32768, /* of slots, which stay in the nearest cache; a longer row is a batch of its own */
    OVER = 32            /* bytes after a row that may be overwritten, so that short copies have a fixed size */
};

/* Rows being written: at[i] is where row first + i goes on. */
struct batch {
    const lapse_table *table;
    struct lapse_csv_writer *writer;
    int64_t first, rows;
    char *at[BATCH_ROWS];
};

static inline uint8_t lesser(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* Does a text need quotes? Without a branch, so that compilers make it a loop over many bytes at once. */
static bool has_special(const char *text, size_t n)
{
    uint8_t least = UINT8_MAX; /* 0 once there is such a byte */
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)text[i];
        least = lesser(least, lesser(lesser(c ^ ',', c ^ '"'), lesser(c ^ '\r', c ^ '\n')));
    }
    return least == 0;
}

static char *put_quoted(char *at, const char *text, size_t n)
{
    *at++ = '"';
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"')
            *at++ = '"';
        *at++ = text[i];
    }
    *at++ = '"';
    return at;
}

void lapse_csv_field(struct lapse_buffer *out, const char *text, size_t n)
{
    if (!has_special(text, n)) {
        lapse_buffer_put(out, text, n);
        return;
    }
    if (n > PTRDIFF_MAX / 2 - 2)
        out->failed = true;
    else if (lapse_buffer_room(out, 2 * n + 2))
        out->size = (size_t)(put_quoted(out->data + out->size, text, n) - out->data);
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

/* ---- numbers --------------------------------------------------------------------------------------------- */

#define EIGHT_DIGITS UINT64_C(100000000)

/* The decimal digits of v < 10^8, the first in the lowest byte: halves, then pairs, then digits, each step on all
 * parts at once (division by multiplication with a rounded-up reciprocal, exact in these ranges). */
static uint64_t eight_digits(uint64_t v)
{
    uint64_t high = v / 10000, m = high | (v - 10000 * high) << 32;
    uint64_t tens = m * 10486 >> 20 & UINT64_C(0x0000007f0000007f);
    m = tens | (m - 100 * tens) << 16;
    tens = m * 103 >> 10 & UINT64_C(0x000f000f000f000f);
    return tens | (m - 10 * tens) << 8;
}

/* v / 10^digits with all its digits; at most 7 of them, v < 10^8. Writes up to 17 bytes. */
static inline char *put_small(char *at, uint64_t v, int digits)
{
    uint64_t figures = eight_digits(v), text = figures | UINT64_C(0x3030303030303030);
    int whole = 8 - digits; /* places before the point, of which the last is always printed */
    int zeros = __builtin_ctzll(figures | UINT64_C(1) << 8 * (whole - 1)) & ~7; /* bits */
    lapse_store8(at, text >> zeros);
    at += whole - zeros / 8;
    if (digits == 0)
        return at;
    *at++ = '.';
    lapse_store8(at, text >> 8 * whole);
    return at + digits;
}

static const int64_t *ints(const struct lapse_table_column *c, int64_t first)
{
    return (const int64_t *)(const void *)c->data.data + first;
}

/* A column of the batch, each field followed by `end`. */
typedef void put_fn(struct batch *b, const struct lapse_table_column *c, char end);

/* Inlined with the number of digits where that is known. */
static inline void put_scaled(struct batch *b, const struct lapse_table_column *c, char end, int digits)
{
    const int64_t *v = ints(c, b->first);
    const uint8_t *valid = c->validity.data;
    const int64_t rows = b->rows, first = b->first; /* kept apart from the bytes written */
    const uint64_t small = digits < 8 ? EIGHT_DIGITS : 0;
    for (int64_t i = 0; i < rows; i++) {
        int64_t value = v[i];
        char *at = b->at[i];
        if (!valid || lapse_bit(valid, first + i))
            at = (uint64_t)value < small ? put_small(at, (uint64_t)value, digits)
                                         : at + lapse_decimal_format(value, digits, true, at);
        *at++ = end;
        b->at[i] = at;
    }
}

/* Most integers are small: their texts are kept. */
static void put_integers(struct batch *b, const struct lapse_table_column *c, char end)
{
    const int64_t *v = ints(c, b->first), rows = b->rows;
    const struct lapse_csv_small *kept = b->writer->small;
    if (c->validity.data) {
        put_scaled(b, c, end, 0);
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        int64_t value = v[i];
        char *at = b->at[i];
        if ((uint64_t)value < LAPSE_CSV_SMALL) {
            memcpy(at, &kept[value], sizeof *kept);
            at += kept[value].size;
        } else {
            at = (uint64_t)value < EIGHT_DIGITS ? put_small(at, (uint64_t)value, 0) : at + lapse_int_format(value, at);
        }
        *at++ = end;
        b->at[i] = at;
    }
}

static void put_money(struct batch *b, const struct lapse_table_column *c, char end)
{
    if (c->spec.digits == 2)
        put_scaled(b, c, end, 2);
    else
        put_scaled(b, c, end, c->spec.digits);
}

static void put_decimals(struct batch *b, const struct lapse_table_column *c, char end)
{
    const int64_t *v = ints(c, b->first);
    for (int64_t i = 0; i < b->rows; i++) {
        if (lapse_bit(c->validity.data, b->first + i))
            b->at[i] += lapse_decimal_format(v[i], c->spec.digits, false, b->at[i]);
        *b->at[i]++ = end;
    }
}

static void put_doubles(struct batch *b, const struct lapse_table_column *c, char end)
{
    for (int64_t i = 0; i < b->rows; i++) {
        double value;
        memcpy(&value, c->data.data + (size_t)(b->first + i) * 8, 8);
        if (lapse_bit(c->validity.data, b->first + i))
            b->at[i] += lapse_double_format(value, b->at[i]);
        *b->at[i]++ = end;
    }
}

/* ---- times ----------------------------------------------------------------------------------------------- */

static char *put_two(char *at, unsigned value)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
    return at + 2;
}

static void make_day(struct lapse_csv_day *kept, int64_t day)
{
    int64_t year;
    int month, date;
    lapse_civil_from_days(day + LAPSE_TIME_MIN / LAPSE_DAY, &year, &month, &date);
    char *at = put_two(put_two(kept->text, (unsigned)(year / 100)), (unsigned)(year % 100));
    *at++ = '-';
    at = put_two(at, (unsigned)month);
    *at++ = '-';
    at = put_two(at, (unsigned)date);
    *at = 'T';
    kept->day = (int32_t)day;
}

/* As lapse_instant_format() does, for times of the years 1900 to 2999. */
static char *put_time(char *at, int64_t time, struct lapse_csv_day *days)
{
    uint64_t since = (uint64_t)(time - LAPSE_TIME_MIN); /* which is the start of a day */
    uint64_t day = since / (uint64_t)LAPSE_DAY, left = since % (uint64_t)LAPSE_DAY;
    struct lapse_csv_day *kept = &days[day % LAPSE_CSV_DAYS];
    if (kept->day != (int32_t)day)
        make_day(kept, (int64_t)day);
    memcpy(at, kept, sizeof *kept);
    uint64_t second = left / (uint64_t)LAPSE_SECOND, minute = second / 60, hour = second / 3600;
    unsigned fraction = (unsigned)(left % (uint64_t)LAPSE_SECOND);
    /* As digits hh0mm0ss: second % 60 + 1000 * (minute % 60) + 1000000 * hour. */
    lapse_store8(at + 11, eight_digits(second + 940 * minute + 940000 * hour) + LAPSE_FORM_CLOCK);
    at += 19;
    if (fraction)
        *at++ = '.';
    for (unsigned unit = 100000; fraction > 0; fraction %= unit, unit /= 10)
        *at++ = (char)('0' + fraction / unit);
    *at++ = 'Z';
    return at;
}

static void put_times(struct batch *b, const struct lapse_table_column *c, char end)
{
    const int64_t *v = ints(c, b->first);
    for (int64_t i = 0; i < b->rows; i++) {
        char *at = b->at[i];
        if (lapse_bit(c->validity.data, b->first + i))
            at = v[i] >= LAPSE_TIME_MIN && v[i] <= LAPSE_TIME_MAX ? put_time(at, v[i], b->writer->days)
                                                                  : at + lapse_instant_format(v[i], at);
        *at++ = end;
        b->at[i] = at;
    }
}

/* ---- texts ----------------------------------------------------------------------------------------------- */

static const int64_t *offsets_of(const struct lapse_table_column *c, int64_t first)
{
    return (const int64_t *)(const void *)c->offsets.data + first;
}

static void put_texts(struct batch *b, const struct lapse_table_column *c, char end)
{
    const int64_t *offset = offsets_of(c, b->first);
    const char *data = (const char *)c->data.data;
    bool special = has_special(data + offset[0], (size_t)(offset[b->rows] - offset[0]));
    bool plain = !special && (size_t)offset[b->rows] + OVER <= c->data.capacity;
    for (int64_t i = 0; i < b->rows; i++) {
        const char *text = data + offset[i];
        size_t n = (size_t)(offset[i + 1] - offset[i]);
        char *at = b->at[i];
        if (plain && n <= OVER) {
            memcpy(at, text, OVER);
            at += n;
        } else if (special && has_special(text, n)) {
            at = put_quoted(at, text, n);
        } else {
            memcpy(at, text, n);
            at += n;
        }
        *at++ = end;
        b->at[i] = at;
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* `room` is what a field takes at most, and what may be written after it; of a text it depends on the rows. */
static const struct {
    put_fn *put;
    size_t room;
} types[] = {
    [LAPSE_TYPE_INT64] = { put_integers, 24 },    [LAPSE_TYPE_DOUBLE] = { put_doubles, 400 },
    [LAPSE_TYPE_STRING] = { put_texts, 0 },    [LAPSE_TYPE_TIME] = { put_times, 32 },
    [LAPSE_TYPE_MONEY] = { put_money, 48 },    [LAPSE_TYPE_DECIMAL] = { put_decimals, 48 },
};

/* What a slot takes; 0: more than can be asked for. */
static size_t slot_size(const struct batch *b)
{
    size_t size = OVER;
    for (int32_t i = 0; i < b->table->count; i++) {
        const struct lapse_table_column *c = &b->table->column[i];
        size_t room = types[c->spec.type].room;
        if (c->spec.type == LAPSE_TYPE_STRING) {
            const int64_t *offset = offsets_of(c, b->first), rows = b->rows;
            int64_t longest = 0; /* or up to twice as long, but without a comparison */
            for (int64_t k = 0; k < rows; k++)
                longest |= offset[k + 1] - offset[k];
            if ((size_t)longest > PTRDIFF_MAX / 4)
                return 0;
            room = 2 * (size_t)longest + 2;
        }
        if (room + 1 > PTRDIFF_MAX - size)
            return 0;
        size += room + 1;
    }
    return size;
}

/* Moves the rows together, to the end of what has been written. */
static void join(struct batch *b, const char *slots, size_t size)
{
    struct lapse_buffer *out = &b->writer->out;
    size_t all = OVER;
    for (int64_t i = 0; i < b->rows; i++)
        all += (size_t)(b->at[i] - (slots + (size_t)i * size));
    if (!lapse_buffer_room(out, all))
        return;
    char *to = out->data + out->size;
    for (int64_t i = 0; i < b->rows; i++) {
        const char *row = slots + (size_t)i * size;
        size_t n = (size_t)(b->at[i] - row);
        if (n > 256)
            memcpy(to, row, n);
        else
            for (size_t k = 0; k < n; k += OVER)
                memcpy(to + k, row + k, OVER);
        to += n;
    }
    out->size = (size_t)(to - out->data);
}

void lapse_csv_writer_init(struct lapse_csv_writer *w, const lapse_allocator *mem)
{
    lapse_buffer_init(&w->out, mem);
    lapse_buffer_init(&w->slots, mem);
    for (int i = 0; i < LAPSE_CSV_DAYS; i++)
        w->days[i].day = -1;
    for (int i = 0; i < LAPSE_CSV_SMALL; i++) {
        char text[32] = "";
        w->small[i].size = (uint8_t)lapse_int_format(i, text);
        memcpy(w->small[i].text, text, sizeof w->small[i].text);
    }
}

void lapse_csv_writer_free(struct lapse_csv_writer *w)
{
    lapse_buffer_free(&w->out);
    lapse_buffer_free(&w->slots);
}

int64_t lapse_csv_rows(struct lapse_csv_writer *w, const lapse_table *table, int64_t first, size_t enough)
{
    struct batch b;
    size_t size = 0;
    int64_t sized = first; /* rows before it have slots of `size` */
    b.table = table;
    b.writer = w;
    b.first = first;
    while (b.first < table->rows && w->out.size < enough && !w->out.failed) {
        if (b.first == sized) {
            b.rows = table->rows - b.first < BATCH_ROWS ? table->rows - b.first : BATCH_ROWS;
            size = slot_size(&b);
            sized += b.rows;
        }
        b.rows = sized - b.first;
        if (size > BATCH_BYTES / (size_t)b.rows)
            b.rows = size < BATCH_BYTES ? (int64_t)(BATCH_BYTES / size) : 1;
        if (size == 0 || !lapse_buffer_room(&w->slots, size * (size_t)b.rows)) {
            w->out.failed = true;
            break;
        }
        for (int64_t i = 0; i < b.rows; i++)
            b.at[i] = w->slots.data + (size_t)i * size;
        for (int32_t i = 0; i < table->count; i++) {
            const struct lapse_table_column *c = &table->column[i];
            types[c->spec.type].put(&b, c, i + 1 < table->count ? ',' : '\n');
        }
        join(&b, w->slots.data, size);
        b.first += b.rows;
    }
    return b.first;
}
