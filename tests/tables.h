/* What the suites of lib/table share: a heap that gives blocks anywhere, tables of all types made from the numbers
 * of their rows, what the Arrow layout asks of them, and results that come in parts. */
#ifndef TESTS_TABLES_H
#define TESTS_TABLES_H

#include "help.h"

#include "table/table.h"

/* ---- a heap whose blocks lie anywhere on the grid of 16, so that nobody may take them for aligned to 64 -- */

static inline void *shifted_alloc(void *user, size_t bytes)
{
    struct heap *h = user;
    size_t shift = 16 * (size_t)(1 + h->calls % 4);
    char *raw = heap_alloc(h, shift + bytes), *p = raw ? raw + shift : NULL;
    if (!p)
        return NULL;
    memcpy(p - 16, &raw, sizeof raw);
    memcpy(p - 8, &bytes, sizeof bytes);
    return p;
}

static inline void shifted_release(void *user, void *memory)
{
    char *raw;
    memcpy(&raw, (char *)memory - 16, sizeof raw);
    heap_release(user, raw);
}

static inline void *shifted_resize(void *user, void *memory, size_t bytes)
{
    size_t before;
    memcpy(&before, (char *)memory - 8, sizeof before);
    void *p = shifted_alloc(user, bytes);
    if (!p)
        return NULL;
    memcpy(p, memory, before < bytes ? before : bytes);
    shifted_release(user, memory);
    return p;
}

static inline lapse_allocator shifted_hooks(struct heap *h)
{
    return (lapse_allocator){ sizeof(lapse_allocator), 0, h, shifted_alloc, shifted_resize, shifted_release };
}

/* ---- looking at tables ----------------------------------------------------------------------------------- */

static inline lapse_column column_of(const lapse_table *table, int32_t index)
{
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_table_column(table, index, &c), LAPSE_OK);
    return c;
}

static inline bool is_missing(const lapse_column *c, int64_t row)
{
    return c->validity && !(c->validity[row / 8] >> (row % 8) & 1);
}

static inline int64_t int_of(const lapse_column *c, int64_t row)
{
    return ((const int64_t *)c->data)[row];
}

/* Zeros from `used` to the next multiple of 64, aligned. */
static inline void check_buffer(const void *data, size_t used)
{
    assert_non_null(data);
    assert_int_equal((uintptr_t)data % 64, 0);
    const uint8_t *bytes = data;
    for (size_t i = used; i % 64 != 0; i++)
        assert_int_equal(bytes[i], 0);
}

/* What the Arrow layout asks of every column. */
static inline void check_layout(const lapse_table *table)
{
    int64_t rows = lapse_table_rows(table);
    for (int32_t i = 0; i < lapse_table_columns(table); i++) {
        lapse_column c = column_of(table, i);
        int64_t missing = 0;
        assert_int_equal((uintptr_t)c.name % 64, 0);
        assert_int_equal(c.rows, rows);
        assert_int_equal(c.reserved, 0);
        for (int64_t row = 0; row < rows; row++)
            missing += is_missing(&c, row);
        assert_int_equal(c.missing, missing);
        if (missing == 0)
            assert_null(c.validity);
        else
            check_buffer(c.validity, (size_t)(rows + 7) / 8);
        if (c.type == LAPSE_TYPE_STRING) {
            check_buffer(c.offsets, (size_t)(rows + 1) * 8);
            assert_int_equal(c.offsets[0], 0);
            for (int64_t row = 0; row < rows; row++) {
                assert_true(c.offsets[row] <= c.offsets[row + 1]);
                if (is_missing(&c, row))
                    assert_int_equal(c.offsets[row], c.offsets[row + 1]);
            }
            check_buffer(c.data, (size_t)c.offsets[rows]);
        } else {
            assert_null(c.offsets);
            check_buffer(c.data, (size_t)rows * 8);
        }
        for (int64_t row = rows; missing > 0 && row % 8 != 0; row++)
            assert_true(is_missing(&c, row)); /* bits past the end are 0 */
    }
}

static inline void check_same_tables(const lapse_table *a, const lapse_table *b)
{
    assert_int_equal(lapse_table_rows(a), lapse_table_rows(b));
    assert_int_equal(lapse_table_columns(a), lapse_table_columns(b));
    int64_t rows = lapse_table_rows(a);
    for (int32_t i = 0; i < lapse_table_columns(a); i++) {
        lapse_column x = column_of(a, i), y = column_of(b, i);
        assert_string_equal(x.name, y.name);
        assert_int_equal(x.type, y.type);
        assert_int_equal(x.digits, y.digits);
        assert_int_equal(x.missing, y.missing);
        assert_int_equal(x.validity == NULL, y.validity == NULL);
        if (x.validity)
            assert_memory_equal(x.validity, y.validity, (size_t)(rows + 7) / 8);
        size_t bytes = (size_t)rows * 8;
        if (x.type == LAPSE_TYPE_STRING) {
            assert_memory_equal(x.offsets, y.offsets, bytes + 8);
            bytes = (size_t)x.offsets[rows];
        }
        assert_memory_equal(x.data, y.data, bytes);
    }
}

/* Freed by the caller; texts may hold any byte, so the size is told where it is asked for. */
static inline char *csv_of_table(lapse_table *table, size_t *size)
{
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    lapse_result *result;
    struct text out = { 0 };
    lapse_table_retain(table);
    assert_int_equal(lapse_result_of_table(&mem, table, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_write_csv(result, put_bytes, &out, NULL), LAPSE_OK);
    lapse_result_free(result);
    if (size)
        *size = out.size;
    return out.data;
}

/* ---- tables of all types --------------------------------------------------------------------------------- */

static uint64_t seed;
static inline uint64_t draw(uint64_t below)
{
    return random64(&seed) % below;
}

static const struct lapse_column_spec all_types[] = {
    { "id", LAPSE_TYPE_STRING, 0 }, { "n", LAPSE_TYPE_INT64, 0 },   { "ratio", LAPSE_TYPE_DOUBLE, 0 },
    { "when", LAPSE_TYPE_TIME, 0 }, { "sum", LAPSE_TYPE_MONEY, 2 }, { "size", LAPSE_TYPE_DECIMAL, 3 },
};
enum { ALL = sizeof all_types / sizeof all_types[0] };

/* One row of values drawn from `row`; about one in eight missing when `holes`. */
static inline void put_row(struct lapse_builder *b, int64_t row, bool holes)
{
    static const char *const words[] = { "",           "anna",        "comma, here", "say \"hi\"",
                                         "two\nlines", "k\xc3\xb6ln", "=1+1" };
    for (int32_t i = 0; i < ALL; i++) {
        seed = (uint64_t)(row * ALL + i) * 2654435761u + 1;
        draw(2);
        int64_t value = (int64_t)(draw(1u << 30) << 20) - (INT64_C(1) << 48);
        if (holes && draw(8) == 0)
            lapse_builder_missing(b, i);
        else if (all_types[i].type == LAPSE_TYPE_STRING)
            lapse_builder_text(b, i, words[row % 7], strlen(words[row % 7]));
        else if (all_types[i].type == LAPSE_TYPE_DOUBLE)
            lapse_builder_double(b, i, (double)value / 7.0);
        else
            lapse_builder_int(b, i, value);
    }
}

static inline lapse_table *rows_between(const lapse_allocator *mem, int64_t first, int64_t end, bool holes)
{
    struct lapse_builder *b = lapse_builder_new(mem, all_types, ALL, end - first);
    for (int64_t row = first; row < end; row++)
        put_row(b, row, holes);
    lapse_table *table;
    return lapse_builder_finish(b, &table, NULL) == LAPSE_OK ? table : NULL;
}

/* ---- results in parts ------------------------------------------------------------------------------------ */

/* A source of parts of drawn sizes that may fail after some of them. */
struct parts {
    const lapse_allocator *mem;
    int64_t row, rows, most, fail_at;
    int calls, closed;
    bool holes;
};

static inline lapse_status parts_next(void *self, lapse_table **out, lapse_error *error)
{
    struct parts *p = self;
    static const struct lapse_place place = { "orders.csv", 7, -1, "amount" };
    p->calls++;
    if (p->fail_at >= 0 && p->row >= p->fail_at)
        return lapse_fail_at(error, LAPSE_OVERFLOW, &place, "9e9", 3, "does not fit");
    if (p->row == p->rows)
        return LAPSE_DONE;
    seed = (uint64_t)p->row;
    int64_t n = 1 + (int64_t)draw((uint64_t)p->most);
    if (n > p->rows - p->row)
        n = p->rows - p->row;
    *out = rows_between(p->mem, p->row, p->row + n, p->holes && n % 3 != 0);
    p->row += n;
    return *out ? LAPSE_OK : lapse_fail_memory(error);
}

static inline void parts_close(void *self)
{
    ((struct parts *)self)->closed++;
}

static inline lapse_status result_of_parts(struct parts *parts, lapse_result **out)
{
    struct lapse_source source = { .self = parts, .next = parts_next, .close = parts_close };
    return lapse_result_new(parts->mem, all_types, ALL, source, out, NULL);
}

#endif
