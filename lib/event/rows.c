/* Rows as columns: borrowed ones (struct lapse_columns) and growing ones (struct lapse_rows). */
#include "event/event.h"

void lapse_columns_row(const struct lapse_columns *c, size_t i, struct lapse_text customer, struct lapse_row *out)
{
    out->customer = customer;
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        switch (lapse_fields[f].class) {
        case LAPSE_CLASS_NUMBER:
            out->number[f] = lapse_columns_number(c, f, i);
            break;
        case LAPSE_CLASS_NAME:
            out->name[f] = lapse_columns_name(c, f, i);
            break;
        case LAPSE_CLASS_TEXT:
            out->text[f] = lapse_columns_text(c, f, i);
            break;
        }
    }
}

void lapse_columns_add(struct lapse_columns *to, const struct lapse_columns *more)
{
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        uint32_t bit = LAPSE_FIELD_BIT(f);
        if (!(more->fields & ~to->fields & bit))
            continue;
        to->fields |= bit;
        to->constant |= more->constant & bit;
        to->narrow |= more->narrow & bit;
        to->number[f] = more->number[f];
        to->name[f] = more->name[f];
        to->text[f] = more->text[f];
    }
}

static uint8_t rank_at(const struct lapse_columns *c, size_t i)
{
    uint8_t kind = lapse_columns_name(c, LAPSE_F_KIND, i);
    if (kind != LAPSE_KIND_SMS_KEYWORD && kind != LAPSE_KIND_PREFERENCE_SET)
        return lapse_kinds[kind].rank;
    struct lapse_row row;
    lapse_columns_row(c, i, (struct lapse_text){ "", 0 }, &row);
    return lapse_row_rank(&row);
}

int lapse_columns_compare(const struct lapse_columns *a, size_t i, const struct lapse_columns *b, size_t j, int digits)
{
    int64_t ta = lapse_columns_number(a, LAPSE_F_TIME, i), tb = lapse_columns_number(b, LAPSE_F_TIME, j);
    if (ta != tb)
        return ta < tb ? -1 : 1;
    if (!a->name[LAPSE_F_KIND] || !b->name[LAPSE_F_KIND])
        return 0; /* not all columns were asked for: the order inside an instant does not matter */
    uint8_t ra = rank_at(a, i), rb = rank_at(b, j);
    if (ra != rb)
        return ra < rb ? -1 : 1;
    struct lapse_row x, y;
    lapse_columns_row(a, i, (struct lapse_text){ "", 0 }, &x);
    lapse_columns_row(b, j, (struct lapse_text){ "", 0 }, &y);
    return lapse_row_compare(&x, &y, digits);
}

void lapse_rows_init(struct lapse_rows *rows, const lapse_allocator *mem)
{
    memset(rows, 0, sizeof *rows);
    rows->mem = mem;
    lapse_buffer_init(&rows->bytes, mem);
}

void lapse_rows_free(struct lapse_rows *rows)
{
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        lapse_mem_free(rows->mem, rows->number[f]);
        lapse_mem_free(rows->mem, rows->name[f]);
        lapse_mem_free(rows->mem, rows->text[f].begin);
        lapse_mem_free(rows->mem, rows->text[f].length);
    }
    lapse_buffer_free(&rows->bytes);
    lapse_rows_init(rows, rows->mem);
}

/* The columns in `bits`, one after the other. */
static int next_column(uint32_t *bits)
{
    int f = (int)lapse_lowest_bit(*bits);
    *bits &= *bits - 1;
    return f;
}

void lapse_rows_clear(struct lapse_rows *rows)
{
    for (uint32_t bits = rows->narrow; bits;)
        rows->room[next_column(&bits)] /= 2; /* it may become wide next time */
    rows->count = 0;
    rows->fields = rows->narrow = 0;
    rows->bytes.size = 0;
}

static bool has_values(const struct lapse_rows *rows, int f)
{
    bool some = false;
    for (size_t i = 0; i < rows->count && !some; i++)
        switch (lapse_column_class(f)) {
        case LAPSE_CLASS_NUMBER:
            some = rows->narrow >> f & 1 || rows->number[f][i] != LAPSE_MISSING;
            break;
        case LAPSE_CLASS_NAME:
            some = rows->name[f][i] != 0;
            break;
        case LAPSE_CLASS_TEXT:
            some = rows->text[f].length[i] != 0;
            break;
        }
    return some;
}

void lapse_rows_trim(struct lapse_rows *rows)
{
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        if ((rows->fields & LAPSE_FIELD_BIT(f)) && !has_values(rows, f))
            rows->fields &= ~LAPSE_FIELD_BIT(f);
}

static bool resize(const lapse_allocator *mem, void *array, size_t count, size_t each)
{
    void *p;
    memcpy(&p, array, sizeof p);
    p = lapse_mem_resize(mem, p, count * each);
    if (!p)
        return false;
    memcpy(array, &p, sizeof p);
    return true;
}

/* Room for `capacity` values of column f. */
static bool column_room(struct lapse_rows *rows, int f, size_t capacity)
{
    bool ok = true;
    if (capacity <= rows->room[f])
        return true;
    switch (lapse_column_class(f)) {
    case LAPSE_CLASS_NUMBER:
        ok = resize(rows->mem, &rows->number[f], capacity, rows->narrow >> f & 1 ? 4 : sizeof *rows->number[f]);
        break;
    case LAPSE_CLASS_NAME:
        ok = resize(rows->mem, &rows->name[f], capacity, 1);
        break;
    case LAPSE_CLASS_TEXT:
        ok = resize(rows->mem, &rows->text[f].begin, capacity, sizeof *rows->text[f].begin) &&
             resize(rows->mem, &rows->text[f].length, capacity, 1);
        break;
    }
    rows->room[f] = ok ? capacity : 0;
    return ok;
}

bool lapse_rows_begin(struct lapse_rows *rows, uint32_t fields, size_t capacity)
{
    lapse_rows_clear(rows);
    rows->fields = fields;
    rows->capacity = capacity;
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        if ((fields & LAPSE_FIELD_BIT(f)) && !column_room(rows, f, capacity))
            return false;
    return true;
}

static bool make_room(struct lapse_rows *rows, size_t need)
{
    if (need <= rows->capacity)
        return true;
    size_t capacity = rows->capacity < 64 ? 64 : rows->capacity + rows->capacity / 2;
    capacity = capacity < need ? need : capacity;
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        if ((rows->fields & LAPSE_FIELD_BIT(f)) && !column_room(rows, f, capacity))
            return false;
    rows->capacity = capacity;
    return true;
}

/* ---- narrow columns ------------------------------------------------------------------------------------------ */

static uint32_t *narrow_of(const struct lapse_rows *rows, int f)
{
    return (uint32_t *)(void *)rows->number[f];
}

/* Of n rows. */
static bool widen(struct lapse_rows *rows, int f, size_t n)
{
    const int64_t unit = lapse_narrow_unit(f);
    int64_t *wide = lapse_mem_alloc(rows->mem, rows->room[f] * sizeof *wide);
    if (!wide)
        return false;
    for (size_t i = 0; i < n; i++)
        wide[i] = narrow_of(rows, f)[i] * unit;
    lapse_mem_free(rows->mem, rows->number[f]);
    rows->number[f] = wide;
    rows->narrow &= ~LAPSE_FIELD_BIT(f);
    return true;
}

/* As many units as `v` is, or something that has more than 32 bits. A second is 2^6 times 15,625 microseconds: times the
 * inverse of that (modulo 2^64), turned by six bits, a whole number of seconds is what it is and all else is large
 * (Granlund and Montgomery, Division by Invariant Integers using Multiplication, 1994, section 9). */
static inline uint64_t units(uint64_t v, bool seconds)
{
    if (!seconds)
        return v;
    v *= UINT64_C(0x790fb65668c26139);
    return v >> 6 | v << 58;
}

static inline uint64_t put_units(uint32_t *to, const int64_t *from, bool seconds, bool constant, const uint32_t *order,
                                 size_t first, size_t n)
{
    uint64_t all = 0, u;
    if (order && !constant)
        for (size_t i = 0; i < n; i++) {
            all |= u = units((uint64_t)from[order[i]], seconds);
            to[i] = (uint32_t)u;
        }
    else
        for (size_t i = 0; i < n; i++) {
            all |= u = units((uint64_t)from[constant ? 0 : first + i], seconds);
            to[i] = (uint32_t)u;
        }
    return all;
}

/* False: they are not narrow, or not all fit. */
static bool put_narrow(struct lapse_rows *rows, int f, size_t at, const struct lapse_columns *from, const uint32_t *order,
                       size_t first, size_t n)
{
    uint32_t *to = narrow_of(rows, f) + at;
    const int64_t *values = from->number[f];
    const bool constant = from->constant >> f & 1;
    if (!(rows->narrow >> f & 1) || from->narrow >> f & 1)
        return false;
    return (f == LAPSE_F_TIME ? put_units(to, values, true, constant, order, first, n)
                              : put_units(to, values, false, constant, order, first, n)) <= UINT32_MAX;
}

/* ---- putting ------------------------------------------------------------------------------------------------- */

static bool put_missing(struct lapse_rows *rows, int f, size_t first, size_t n)
{
    if (rows->narrow >> f & 1 && n && !widen(rows, f, first))
        return false;
    switch (lapse_column_class(f)) {
    case LAPSE_CLASS_NUMBER:
        for (size_t i = 0; i < n; i++)
            rows->number[f][first + i] = LAPSE_MISSING;
        break;
    case LAPSE_CLASS_NAME:
        memset(rows->name[f] + first, 0, n);
        break;
    case LAPSE_CLASS_TEXT:
        memset(rows->text[f].begin + first, 0, n * sizeof *rows->text[f].begin);
        memset(rows->text[f].length + first, 0, n);
        break;
    }
    return true;
}

/* A column gets its first values: the rows before have none. */
static bool begin_column(struct lapse_rows *rows, int f)
{
    if (rows->fields & LAPSE_FIELD_BIT(f))
        return true;
    if (rows->compact && rows->count == 0 && rows->room[f] == 0 && lapse_column_class(f) == LAPSE_CLASS_NUMBER)
        rows->narrow |= LAPSE_FIELD_BIT(f);
    if (rows->capacity && !column_room(rows, f, rows->capacity))
        return false;
    rows->fields |= LAPSE_FIELD_BIT(f);
    return put_missing(rows, f, 0, rows->count);
}

static bool put_texts(struct lapse_rows *rows, int f, size_t at, const struct lapse_columns *from,
                      const uint32_t *order, size_t first, size_t n)
{
    struct lapse_text last = { NULL, 0 };
    const size_t different = from->constant >> f & 1 && n ? 1 : n;
    for (size_t i = 0; i < different; i++) {
        struct lapse_text t = lapse_columns_text(from, f, order ? order[i] : first + i);
        if (last.data && t.data == last.data && t.size == last.size) { /* one code after the other */
            rows->text[f].begin[at + i] = rows->text[f].begin[at + i - 1];
            rows->text[f].length[at + i] = (uint8_t)t.size;
            continue;
        }
        last = t;
        if (rows->bytes.size > UINT32_MAX - t.size) /* one customer with 4 GiB of texts */
            return false;
        rows->text[f].begin[at + i] = (uint32_t)rows->bytes.size;
        rows->text[f].length[at + i] = (uint8_t)t.size;
        lapse_buffer_put(&rows->bytes, t.data, t.size);
    }
    for (size_t i = different; i < n; i++)
        rows->text[f].begin[at + i] = rows->text[f].begin[at];
    if (different < n)
        memset(rows->text[f].length + at + 1, rows->text[f].length[at], n - 1);
    return !rows->bytes.failed;
}

static bool put_numbers(struct lapse_rows *rows, int f, size_t at, const struct lapse_columns *c, const uint32_t *order,
                        size_t first, size_t n)
{
    if (put_narrow(rows, f, at, c, order, first, n))
        return true;
    if (rows->narrow >> f & 1 && !widen(rows, f, at))
        return false;
    int64_t *to = rows->number[f] + at;
    const int64_t *from = c->number[f];
    const bool constant = c->constant >> f & 1;
    if (c->narrow >> f & 1) {
        const uint32_t *small = (const uint32_t *)(const void *)from;
        const int64_t unit = lapse_narrow_unit(f);
        for (size_t i = 0; i < n; i++)
            to[i] = small[order ? order[i] : first + i] * unit; /* such a column is never constant */
        return true;
    }
    if (!constant && !order)
        for (size_t i = 0; i < n; i++)
            to[i] = from[first + i];
    else
        for (size_t i = 0; i < n; i++)
            to[i] = from[constant ? 0 : order[i]];
    return true;
}

static void put_names(uint8_t *to, const uint8_t *from, bool constant, const uint32_t *order, size_t first, size_t n)
{
    if (constant)
        memset(to, from[0], n);
    else if (!order)
        memcpy(to, from + first, n);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = from[order[i]];
}

/* Values of a column that has begun, from row `at` on. */
static bool put_column(struct lapse_rows *rows, int f, size_t at, const struct lapse_columns *from,
                       const uint32_t *order, size_t first, size_t n)
{
    if (!(from->fields & LAPSE_FIELD_BIT(f)))
        return put_missing(rows, f, at, n);
    if (lapse_column_class(f) == LAPSE_CLASS_NUMBER)
        return put_numbers(rows, f, at, from, order, first, n);
    if (lapse_column_class(f) == LAPSE_CLASS_TEXT)
        return put_texts(rows, f, at, from, order, first, n);
    put_names(rows->name[f] + at, from->name[f], from->constant >> f & 1, order, first, n);
    return true;
}

bool lapse_rows_gather(struct lapse_rows *rows, const struct lapse_columns *from, uint32_t fields,
                       const uint32_t *order, size_t first, size_t n)
{
    if (!make_room(rows, rows->count + n))
        return false;
    uint32_t there = from->fields & fields;
    for (uint32_t bits = rows->fields & ~there; bits;)
        if (!put_missing(rows, next_column(&bits), rows->count, n))
            return false;
    for (uint32_t bits = there; bits;) {
        int f = next_column(&bits);
        if (!begin_column(rows, f) || !put_column(rows, f, rows->count, from, order, first, n))
            return false;
    }
    rows->count += n;
    return true;
}

bool lapse_rows_gather_stretches(struct lapse_rows *rows, const struct lapse_stretch *stretches, size_t count,
                                 uint32_t fields, const struct lapse_columns *constants)
{
    static const struct lapse_columns none = { 0 };
    uint32_t there = 0, same = constants ? constants->fields & fields : 0;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        there |= stretches[i].from->fields & fields;
        n += stretches[i].n;
    }
    if (!make_room(rows, rows->count + n))
        return false;
    for (uint32_t bits = rows->fields | there | same; bits;) {
        int f = next_column(&bits);
        size_t at = rows->count;
        if (!begin_column(rows, f))
            return false;
        if (!(there & LAPSE_FIELD_BIT(f))) {
            if (!put_column(rows, f, at, same & LAPSE_FIELD_BIT(f) ? constants : &none, NULL, 0, n))
                return false;
            continue;
        }
        for (size_t i = 0; i < count; at += stretches[i++].n)
            if (!put_column(rows, f, at, stretches[i].from, NULL, stretches[i].first, stretches[i].n))
                return false;
    }
    rows->count += n;
    return true;
}

bool lapse_rows_reserve(struct lapse_rows *rows, size_t capacity)
{
    for (int f = 0; f < LAPSE_COLUMNS && capacity > rows->capacity; f++)
        if ((rows->fields & LAPSE_FIELD_BIT(f)) && !column_room(rows, f, capacity))
            return false;
    rows->capacity = capacity > rows->capacity ? capacity : rows->capacity;
    return true;
}

size_t lapse_rows_bytes(const struct lapse_rows *rows)
{
    static const size_t width[] = { [LAPSE_CLASS_NUMBER] = 8, [LAPSE_CLASS_NAME] = 1, [LAPSE_CLASS_TEXT] = 5 };
    size_t row = 0;
    for (uint32_t bits = rows->fields; bits;) {
        int f = next_column(&bits);
        row += rows->narrow >> f & 1 ? 4 : width[lapse_column_class(f)];
    }
    return rows->count * row + rows->bytes.size;
}

void lapse_rows_columns(const struct lapse_rows *rows, struct lapse_columns *out)
{
    memset(out, 0, sizeof *out);
    out->fields = rows->fields;
    out->narrow = rows->narrow;
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        if (!(rows->fields & LAPSE_FIELD_BIT(f)))
            continue;
        out->number[f] = rows->number[f];
        out->name[f] = rows->name[f];
        out->text[f].data = rows->bytes.data;
        out->text[f].begin = rows->text[f].begin;
        out->text[f].length = rows->text[f].length;
    }
}

void lapse_constants_set(struct lapse_constants *constants, uint8_t kind, struct lapse_text source)
{
    *constants = (struct lapse_constants){ kind, (uint8_t)source.size, 0, source.data };
}

void lapse_constants_add(const struct lapse_constants *constants, struct lapse_columns *out)
{
    if (constants->kind != 0) {
        out->name[LAPSE_F_KIND] = &constants->kind;
        out->fields |= LAPSE_FIELD_BIT(LAPSE_F_KIND);
        out->constant |= LAPSE_FIELD_BIT(LAPSE_F_KIND);
    }
    if (constants->source_size != 0) {
        out->text[LAPSE_F_SOURCE] = (struct lapse_text_column){ .data = constants->source, .begin = &constants->begin,
                                                                .length = &constants->source_size };
        out->fields |= LAPSE_FIELD_BIT(LAPSE_F_SOURCE);
        out->constant |= LAPSE_FIELD_BIT(LAPSE_F_SOURCE);
    }
}

bool lapse_rows_reorder(struct lapse_rows *rows, const uint32_t *order, struct lapse_buffer *scratch)
{
    size_t n = rows->count;
    scratch->size = 0;
    if (!lapse_buffer_room(scratch, n * sizeof(int64_t)))
        return false;
    void *const copy = scratch->data; /* of a column, as it was */
    for (uint32_t bits = rows->fields; bits;) {
        const int f = next_column(&bits);
        const enum lapse_field_class class = lapse_column_class(f);
        const bool narrow = rows->narrow >> f & 1;
        int64_t *eights = class == LAPSE_CLASS_NUMBER && !narrow ? rows->number[f] : NULL;
        uint32_t *fours = class == LAPSE_CLASS_TEXT ? rows->text[f].begin : narrow ? narrow_of(rows, f) : NULL;
        uint8_t *bytes = class == LAPSE_CLASS_TEXT ? rows->text[f].length : class == LAPSE_CLASS_NAME ? rows->name[f] : NULL;
        if (eights) {
            const int64_t *from = memcpy(copy, eights, n * sizeof *eights);
            for (size_t i = 0; i < n; i++)
                eights[i] = from[order[i]];
        }
        if (fours) {
            const uint32_t *from = memcpy(copy, fours, n * sizeof *fours);
            for (size_t i = 0; i < n; i++)
                fours[i] = from[order[i]];
        }
        if (bytes)
            put_names(bytes, memcpy(copy, bytes, n), false, order, 0, n);
    }
    return true;
}

