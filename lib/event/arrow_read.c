/* Rows of an Arrow array to events: a slice of each column becomes a column of a lapse_batch, and the rest is that of
 * any batch (batch.c). What an array points to is looked at before it is followed, as far as it says how much there
 * is: texts of the types with offsets have no length but these. Cost: 3 to 10 ns a value. */
#include <math.h>

#include "event/arrow.h"

/* What became of a cell. */
enum cell { CELL_EMPTY, CELL_GOOD, CELL_BAD, CELL_BROKEN };

struct values {
    const struct lapse_arrow_type *type;
    const struct ArrowArray *array;
    const uint8_t *validity, *data;
    int64_t at; /* where row 0 of the slice stands */
};
struct cells {
    struct values values, index;
    bool indexed;
};

static struct values values_of(const struct ArrowArray *array, const struct lapse_arrow_type *type, int64_t at)
{
    struct values v = { .type = type, .array = array, .at = array->offset + at };
    if (type->kind != LAPSE_A_MISSING) {
        v.validity = array->null_count == 0 ? NULL : array->buffers[0];
        v.data = array->buffers[1];
    }
    return v;
}

/* The cells of a target, from row `first` of the array on. */
static struct cells cells_of(const struct lapse_arrow *a, const struct ArrowArray *table, int target, int64_t first)
{
    const struct lapse_arrow_column *column = &a->columns[target];
    const struct ArrowArray *array = table->children[column->child];
    struct cells c = { .indexed = column->index.kind != LAPSE_A_NONE };
    first += table->offset;
    if (c.indexed)
        c.index = values_of(array, &column->index, first);
    c.values = c.indexed ? values_of(array->dictionary, &column->type, 0) : values_of(array, &column->type, first);
    return c;
}

static bool bit_of(const uint8_t *bits, int64_t at)
{
    return bits[at >> 3] >> (at & 7) & 1;
}

static int64_t load_signed(const uint8_t *p, int width)
{
    int8_t v1;
    int16_t v2;
    int32_t v4;
    int64_t v8;
    switch (width) {
    case 1: memcpy(&v1, p, 1); return v1;
    case 2: memcpy(&v2, p, 2); return v2;
    case 4: memcpy(&v4, p, 4); return v4;
    default: memcpy(&v8, p, 8); return v8;
    }
}

static uint64_t load_unsigned(const uint8_t *p, int width)
{
    uint64_t v = (uint64_t)load_signed(p, width);
    return width == 8 ? v : v & ((UINT64_C(1) << 8 * width) - 1);
}

/* Integers and decimals. */
static lapse_int128 load_whole(const struct values *v, int64_t at)
{
    const int width = v->type->width;
    const uint8_t *p = v->data + at * width;
    lapse_int128 whole;
    if (width == 16) {
        memcpy(&whole, p, sizeof whole);
        return whole;
    }
    return v->type->is_signed || v->type->kind == LAPSE_A_DECIMAL ? (lapse_int128)load_signed(p, width)
                                                                  : (lapse_int128)load_unsigned(p, width);
}

/* The place of cell i among the values. */
static inline enum cell find(const struct cells *c, int64_t i, int64_t *at)
{
    const struct values *v = &c->values;
    *at = v->at + i;
    if (c->indexed) {
        if (c->index.validity && !bit_of(c->index.validity, c->index.at + i))
            return CELL_EMPTY;
        lapse_int128 index = load_whole(&c->index, c->index.at + i);
        if (index < 0 || index >= v->array->length)
            return CELL_BROKEN;
        *at = v->at + (int64_t)index;
    }
    if (v->type->kind == LAPSE_A_MISSING || (v->validity && !bit_of(v->validity, *at)))
        return CELL_EMPTY;
    return CELL_GOOD;
}

/* ---- texts ----------------------------------------------------------------------------------------------- */

static enum cell view_at(const struct values *v, int64_t at, struct lapse_text *out)
{
    const uint8_t *p = v->data + at * 16;
    const int64_t count = v->array->n_buffers - 3, size = load_signed(p, 4);
    const int64_t buffer = load_signed(p + 8, 4), begin = load_signed(p + 12, 4);
    if (size < 0)
        return CELL_BROKEN;
    *out = (struct lapse_text){ (const char *)p + 4, (uint32_t)size };
    if (size <= 12)
        return CELL_GOOD;
    if (buffer < 0 || buffer >= count || begin < 0 || !v->array->buffers[2 + buffer])
        return CELL_BROKEN;
    int64_t room = load_signed((const uint8_t *)v->array->buffers[2 + count] + 8 * buffer, 8);
    out->data = (const char *)v->array->buffers[2 + buffer] + begin;
    return begin <= room && size <= room - begin ? CELL_GOOD : CELL_BROKEN;
}

/* A string, or a whole number written into `room`. */
static inline enum cell text_at(const struct values *v, int64_t at, char room[32], struct lapse_text *out)
{
    const int width = v->type->width;
    if (v->type->kind == LAPSE_A_VIEW)
        return view_at(v, at, out);
    if (v->type->kind == LAPSE_A_INT) {
        uint64_t whole = load_unsigned(v->data + at * width, width);
        bool large = !v->type->is_signed && whole > INT64_MAX; /* its last digit apart */
        size_t n = lapse_int_format(large ? (int64_t)(whole / 10) : (int64_t)load_whole(v, at), room);
        if (large)
            room[n++] = (char)('0' + whole % 10);
        *out = (struct lapse_text){ room, (uint32_t)n };
        return CELL_GOOD;
    }
    const int64_t begin = load_signed(v->data + at * width, width);
    const int64_t end = load_signed(v->data + (at + 1) * width, width);
    const char *text = v->array->buffers[2];
    if (begin < 0 || end < begin || (end > begin && !text))
        return CELL_BROKEN;
    *out = (struct lapse_text){ end > begin ? text + begin : "", end - begin > UINT32_MAX ? UINT32_MAX
                                                                                         : (uint32_t)(end - begin) };
    return CELL_GOOD;
}

/* The text of cell i, empty when it has none. False: broken. */
static inline bool read_text(const struct cells *c, int64_t i, char room[32], struct lapse_text *out)
{
    int64_t at;
    enum cell cell = find(c, i, &at);
    *out = (struct lapse_text){ "", 0 };
    return cell == CELL_EMPTY || (cell == CELL_GOOD && text_at(&c->values, at, room, out) == CELL_GOOD);
}

/* ---- numbers --------------------------------------------------------------------------------------------- */

static bool is_text(const struct values *v)
{
    return v->type->kind == LAPSE_A_TEXT || v->type->kind == LAPSE_A_VIEW;
}

static const char too_large[] = "the number is too large";
static const char too_fine[] = "the number has more digits after the point than there are";
enum { EXACT_DIGITS = 15 }; /* every decimal of so many digits has a double of its own */
static const double powers[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

static double double_at(const struct values *v, int64_t at)
{
    float narrow;
    double wide;
    if (v->type->width == 4) {
        memcpy(&narrow, v->data + at * 4, sizeof narrow);
        return (double)narrow;
    }
    memcpy(&wide, v->data + at * 8, sizeof wide);
    return wide;
}

/* whole * 10^-scale in units of 10^-digits. */
static const char *rescale(lapse_int128 whole, int scale, int digits, int64_t *out)
{
    for (; scale > digits; scale--) {
        if (whole % 10 != 0)
            return too_fine;
        whole /= 10;
    }
    for (; scale < digits && whole >= INT64_MIN && whole <= INT64_MAX; scale++)
        whole *= 10;
    return lapse_int128_fits(whole, out) ? NULL : too_large;
}

/* The decimal that `number` is the nearest double to, if it has at most so many digits. */
static const char *of_double(double number, int digits, int64_t *out)
{
    const double scaled = number * powers[digits];
    if (!(fabs(scaled) < powers[EXACT_DIGITS]))
        return "a double holds amounts of at most 15 significant digits; hand in decimals";
    *out = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    if ((double)*out / powers[digits] < number || (double)*out / powers[digits] > number)
        return "this double is no decimal with the digits of the column; round it to them, or hand in decimals";
    return NULL;
}

static enum cell read_money(const struct values *v, int64_t at, int digits, int64_t *out, const char **rule)
{
    char room[32];
    struct lapse_text text;
    if (is_text(v)) {
        if (text_at(v, at, room, &text) == CELL_BROKEN)
            return CELL_BROKEN;
        if (text.size == 0)
            return CELL_EMPTY;
        return lapse_money_parse(text.data, text.size, digits, out, rule) ? CELL_GOOD : CELL_BAD;
    }
    if (v->type->kind == LAPSE_A_DOUBLE) {
        double number = double_at(v, at);
        if (isnan(number))
            return CELL_EMPTY;
        *rule = of_double(number, digits, out);
    } else {
        *rule = rescale(load_whole(v, at), v->type->scale, digits, out);
    }
    return *rule ? CELL_BAD : CELL_GOOD;
}

static enum cell read_value(const struct values *v, int64_t at, int64_t *out, const char **rule)
{
    char room[32];
    struct lapse_text text;
    double number = 0;
    if (is_text(v)) {
        if (text_at(v, at, room, &text) == CELL_BROKEN)
            return CELL_BROKEN;
        if (text.size == 0)
            return CELL_EMPTY;
        if (!lapse_value_parse(text.data, text.size, &number, rule))
            return CELL_BAD;
    } else if (v->type->kind == LAPSE_A_BOOL) {
        number = bit_of(v->data, at);
    } else if (v->type->kind == LAPSE_A_DOUBLE || v->type->kind == LAPSE_A_FLOAT) {
        number = double_at(v, at);
        if (isnan(number))
            return CELL_EMPTY;
    } else {
        lapse_int128 whole = load_whole(v, at);
        int scale = v->type->scale;
        for (; scale < 0 && whole < INT64_MAX && whole > INT64_MIN; scale++)
            whole *= 10;
        for (; scale > 0 && whole % 10 == 0; scale--)
            whole /= 10;
        *rule = "a value is a decimal of at most 15 significant digits";
        if (scale < 0 || scale > 22 || whole > (int64_t)powers[EXACT_DIGITS] || whole < -(int64_t)powers[EXACT_DIGITS])
            return CELL_BAD;
        number = (double)(int64_t)whole / powers[scale];
    }
    *out = lapse_value_to_bits(number);
    return CELL_GOOD;
}

/* ---- times ----------------------------------------------------------------------------------------------- */

static const char when_rule[] = "a time is from 1900-01-01 to 2999-12-31";

static enum cell from_local(const struct lapse_zone *zone, int64_t local, int64_t *out, const char **rule)
{
    if (zone->count == 1) {
        *out = local - zone->offsets[0] * LAPSE_SECOND;
        return CELL_GOOD;
    }
    enum lapse_local found = lapse_zone_from_local(zone, local, out);
    if (found != LAPSE_LOCAL_ONE)
        *rule = found == LAPSE_LOCAL_TWICE ? "the zone of the store has this time twice; hand in times with a zone"
                                           : "the zone of the store skips this time; hand in times with a zone";
    return found == LAPSE_LOCAL_ONE ? CELL_GOOD : CELL_BAD;
}

static enum cell read_instant(const struct lapse_csv *csv, const struct values *v, int64_t at, int64_t *out,
                              const char **rule)
{
    const int64_t per_second = v->type->per_second;
    int64_t time = load_signed(v->data + at * 8, 8);
    if (per_second <= LAPSE_SECOND) {
        const int64_t each = LAPSE_SECOND / per_second;
        if (time > (LAPSE_TIME_MAX + LAPSE_DAY) / each || time < (LAPSE_TIME_MIN - LAPSE_DAY) / each) {
            *rule = when_rule;
            return CELL_BAD;
        }
        time *= each;
    } else {
        if (time % (per_second / LAPSE_SECOND) != 0) {
            *rule = "a time has at most 6 digits after the second";
            return CELL_BAD;
        }
        time /= per_second / LAPSE_SECOND;
    }
    *out = time;
    return v->type->zoned ? CELL_GOOD : from_local(csv->zone, time, out, rule);
}

static enum cell read_time(struct lapse_arrow_work *w, const struct lapse_csv *csv, const struct values *v, int64_t at,
                           int64_t *out, const char **rule)
{
    char room[32];
    struct lapse_text text;
    if (v->type->kind == LAPSE_A_TIME)
        return read_instant(csv, v, at, out, rule);
    if (v->type->kind == LAPSE_A_DATE) {
        int64_t day = load_signed(v->data + at * 4, 4);
        *rule = when_rule;
        if (day < LAPSE_TIME_MIN / LAPSE_DAY || day > LAPSE_TIME_MAX / LAPSE_DAY)
            return CELL_BAD;
        *out = lapse_zone_day_start(csv->zone, day);
        return CELL_GOOD;
    }
    if (text_at(v, at, room, &text) == CELL_BROKEN)
        return CELL_BROKEN;
    if (text.size == 0)
        return CELL_EMPTY;
    bool good = csv->has_format ? lapse_time_format_parse(&csv->format, text.data, text.size, csv->zone, out, rule)
                                : lapse_time_reader_parse(&w->times, text.data, text.size, out, rule);
    return good ? CELL_GOOD : CELL_BAD;
}

/* ---- columns of a slice ---------------------------------------------------------------------------------- */

/* False: no memory. */
static bool add_fault(struct lapse_arrow_work *w, int64_t i, int field, const char *rule)
{
    w->faulty = true;
    if (!w->given)
        w->given = lapse_mem_zero(w->mem, LAPSE_CSV_BATCH, sizeof *w->given);
    if (!w->given)
        return false;
    if (!w->given[i].rule)
        w->given[i] = (struct lapse_fault){ field, rule };
    return true;
}

/* Room for so many bytes at the beginning of a buffer that is then full. */
static void *fresh(struct lapse_buffer *buffer, size_t bytes)
{
    buffer->size = 0;
    return lapse_buffer_room(buffer, bytes) ? buffer->data : NULL;
}

/* The three below: false: no memory, or w->broken. */
static bool fill_numbers(struct lapse_arrow_work *w, const struct lapse_csv *csv, const struct cells *c, int target,
                         int64_t n)
{
    const int field = target - 1, digits = field == LAPSE_F_QUANTITY ? LAPSE_QUANTITY_DIGITS : csv->check->digits;
    int64_t *out = fresh(&w->data[target], (size_t)n * sizeof *out);
    uint8_t *bits = fresh(&w->extra[target], (size_t)n / 8 + 1);
    if (!out || !bits)
        return false;
    memset(bits, 0, (size_t)n / 8 + 1);
    for (int64_t i = 0, at; i < n; i++) {
        const char *rule = "a time is required";
        enum cell cell = find(c, i, &at);
        out[i] = 0;
        if (cell == CELL_GOOD)
            cell = field == LAPSE_F_TIME    ? read_time(w, csv, &c->values, at, &out[i], &rule)
                   : field == LAPSE_F_VALUE ? read_value(&c->values, at, &out[i], &rule)
                                            : read_money(&c->values, at, digits, &out[i], &rule);
        if (cell == CELL_GOOD)
            bits[i >> 3] |= (uint8_t)(1u << (i & 7));
        else if (cell == CELL_BROKEN)
            return false;
        else if (cell == CELL_BAD || field == LAPSE_F_TIME) {
            out[i] = 0;
            if (!add_fault(w, i, field, field == LAPSE_F_QUANTITY ? lapse_fields[field].rule : rule))
                return false;
        }
    }
    lapse_batch_set(&w->batch, field, out, bits);
    return true;
}

static bool fill_names(struct lapse_arrow_work *w, const struct lapse_csv *csv, const struct cells *c, int target,
                       int64_t n)
{
    const int field = target - 1;
    int32_t *out = fresh(&w->data[target], (size_t)n * sizeof *out);
    if (!out)
        return false;
    for (int64_t i = 0; i < n; i++) {
        char room[32];
        struct lapse_text text;
        if (!read_text(c, i, room, &text))
            return false;
        out[i] = field == LAPSE_F_KIND ? csv->kind : 0;
        if (text.size == 0)
            continue;
        int32_t found = field == LAPSE_F_KIND ? lapse_kind_index_find(&csv->kinds, text.data, text.size)
                                              : lapse_fields[field].find(text.data, text.size);
        if (found != 0)
            out[i] = found;
        else if (!add_fault(w, i, field, lapse_fields[field].rule))
            return false;
    }
    lapse_batch_set(&w->batch, field, out, NULL);
    return true;
}

static bool fill_texts(struct lapse_arrow_work *w, const struct cells *c, int target, int64_t n)
{
    enum { MOST = LAPSE_TEXT_MAX + 1 }; /* enough to see that it is too long */
    struct lapse_buffer *bytes = &w->data[target];
    int64_t *offsets = fresh(&w->extra[target], ((size_t)n + 1) * sizeof *offsets);
    if (!offsets || !fresh(bytes, (size_t)n * MOST))
        return false;
    offsets[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        char room[32];
        struct lapse_text text;
        if (!read_text(c, i, room, &text))
            return false;
        if (text.size > MOST)
            text.size = MOST;
        lapse_text_copy(bytes->data + offsets[i], text);
        offsets[i + 1] = offsets[i] + text.size;
    }
    lapse_batch_set(&w->batch, target == 0 ? LAPSE_F_CUSTOMER : target - 1, bytes->data, offsets);
    return true;
}

/* ---- a slice --------------------------------------------------------------------------------------------- */

struct slice {
    const struct lapse_arrow *arrow;
    const struct ArrowArray *array;
    const struct lapse_csv_sink *sink;
    int64_t first, row; /* the array's, and the stream's, number of its first row */
};

static int take_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    const struct slice *s = self;
    return s->sink->rows ? s->sink->rows(s->sink->self, rows, n) : 0;
}

/* What stands in a cell, for a person: up to 255 bytes. */
static struct lapse_text cell_text(const struct slice *s, int target, int64_t i, char room[400])
{
    struct cells c = cells_of(s->arrow, s->array, target, s->first);
    const struct values *v = &c.values;
    struct lapse_text text = { "", 0 };
    int64_t at, number;
    if (find(&c, i, &at) != CELL_GOOD)
        return text;
    if (v->type->kind == LAPSE_A_DOUBLE || v->type->kind == LAPSE_A_FLOAT) {
        double wide = double_at(v, at);
        text = isinf(wide) ? (struct lapse_text){ wide > 0 ? "inf" : "-inf", wide > 0 ? 3 : 4 }
                           : (struct lapse_text){ room, (uint32_t)lapse_double_format(wide, room) };
    } else if (v->type->kind == LAPSE_A_DECIMAL) {
        if (v->type->scale >= 0 && v->type->scale <= 18 && lapse_int128_fits(load_whole(v, at), &number))
            text = (struct lapse_text){ room, (uint32_t)lapse_decimal_format(number, v->type->scale, true, room) };
    } else if (v->type->kind == LAPSE_A_TIME || v->type->kind == LAPSE_A_DATE) {
        number = load_signed(v->data + at * v->type->width, v->type->width);
        text = (struct lapse_text){ room, (uint32_t)lapse_int_format(number, room) };
    } else if (v->type->kind != LAPSE_A_BOOL && text_at(v, at, room, &text) != CELL_GOOD) {
        text.size = 0;
    }
    if (text.size > LAPSE_TEXT_MAX)
        text.size = LAPSE_TEXT_MAX;
    return text;
}

static int refuse(void *self, int64_t row, const struct lapse_fault *fault, struct lapse_text found)
{
    const struct slice *s = self;
    const struct lapse_csv *csv = s->arrow->csv;
    const int step = csv->step_of[fault->field + 1];
    char room[400];
    struct lapse_csv_fault told = { row, fault->field < 0 ? "customer" : lapse_fields[fault->field].name, found,
                                    { "", 0 }, fault->rule };
    if (step >= 0) {
        told.column = csv->steps[step].name;
        told.text = cell_text(s, fault->field + 1, row - s->row, room);
    }
    return s->sink->bad(s->sink->self, &told);
}

void lapse_arrow_work_init(struct lapse_arrow_work *w, const lapse_allocator *mem)
{
    memset(w, 0, sizeof *w);
    w->mem = mem;
    w->batch.size = sizeof w->batch;
    for (int t = 0; t < LAPSE_CSV_TARGETS; t++) {
        lapse_buffer_init(&w->data[t], mem);
        lapse_buffer_init(&w->extra[t], mem);
    }
}

void lapse_arrow_work_free(struct lapse_arrow_work *w)
{
    for (int t = 0; t < LAPSE_CSV_TARGETS; t++) {
        lapse_buffer_free(&w->data[t]);
        lapse_buffer_free(&w->extra[t]);
    }
    lapse_mem_free(w->mem, w->given);
    if (w->ready)
        lapse_batch_reader_free(&w->reader);
}

/* Once the columns of the batch are known. */
static void make_ready(struct lapse_arrow_work *w, const struct lapse_csv *csv)
{
    w->reader = (struct lapse_batch_reader){
        .batch = &w->batch, .check = csv->check, .source = csv->source.data, .kind = csv->kind,
        .lines = lapse_csv_has(csv, LAPSE_F_EVENT_ID),
        .refund = (csv->flags & LAPSE_IMPORT_NEGATIVE_REFUND) && lapse_csv_has(csv, LAPSE_F_KIND),
    };
    lapse_batch_reader_init(&w->reader, w->mem);
    w->ready = true;
}

static bool fill_columns(struct lapse_arrow_work *w, const struct slice *s, int64_t n)
{
    const struct lapse_csv *csv = s->arrow->csv;
    for (int k = 0; k < csv->step_count; k++) {
        const int target = csv->steps[k].target, field = csv->steps[k].field;
        struct cells cells = cells_of(s->arrow, s->array, target, s->first);
        enum lapse_field_class class = field < 0 ? LAPSE_CLASS_TEXT : lapse_fields[field].class;
        bool good = class == LAPSE_CLASS_NUMBER ? fill_numbers(w, csv, &cells, target, n)
                    : class == LAPSE_CLASS_NAME ? fill_names(w, csv, &cells, target, n)
                                                : fill_texts(w, &cells, target, n);
        if (good)
            continue;
        bool memory = w->data[target].failed || w->extra[target].failed || (w->faulty && !w->given);
        w->failed = memory;
        w->broken = memory ? NULL : csv->steps[k].name;
        return false;
    }
    return true;
}

int lapse_arrow_read(const struct lapse_arrow *a, struct lapse_arrow_work *w, const struct ArrowArray *array,
                     int64_t first, int64_t n, int64_t row, const struct lapse_csv_sink *sink)
{
    struct slice slice = { a, array, sink, first, row };
    const struct lapse_batch_sink rows = { &slice, take_rows, refuse };
    if (w->times.zone != a->csv->zone)
        lapse_time_reader_init(&w->times, a->csv->zone);
    w->batch.rows = n;
    if (!fill_columns(w, &slice, n))
        return LAPSE_NO_MEMORY;
    if (!w->ready)
        make_ready(w, a->csv);
    w->reader.base = row;
    w->reader.given = w->faulty ? w->given : NULL;
    int stopped = lapse_batch_read(&w->reader, &rows);
    w->failed |= w->reader.failed;
    if (w->faulty)
        memset(w->given, 0, LAPSE_CSV_BATCH * sizeof *w->given);
    w->faulty = false;
    return stopped;
}
