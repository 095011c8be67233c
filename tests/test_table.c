/* lib/table: the Arrow layout, results as streams, CSV. Golden values are written out; the rest is checked
 * against naive re-computation. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "table/table.h"

/* ---- an allocator that counts, fails on request, and gives blocks that lie anywhere on the grid of 64  */

struct heap {
    int64_t live, calls, fail_at; /* the call that fails, from 1; 0: none */
};

static void *heap_alloc(void *user, size_t bytes)
{
    struct heap *h = user;
    if (++h->calls == h->fail_at)
        return NULL;
    size_t shift = 16 * (size_t)(1 + h->calls % 4);
    char *raw = malloc(shift + bytes);
    assert_non_null(raw);
    char *p = raw + shift;
    memset(p, 0xa5, bytes);
    memcpy(p - 16, &raw, sizeof raw);
    memcpy(p - 8, &bytes, sizeof bytes);
    h->live++;
    return p;
}

static void heap_release(void *user, void *memory)
{
    struct heap *h = user;
    char *raw;
    memcpy(&raw, (char *)memory - 16, sizeof raw);
    h->live--;
    free(raw);
}

static void *heap_resize(void *user, void *memory, size_t bytes)
{
    size_t before;
    memcpy(&before, (char *)memory - 8, sizeof before);
    void *p = heap_alloc(user, bytes);
    if (!p)
        return NULL;
    memcpy(p, memory, before < bytes ? before : bytes);
    heap_release(user, memory);
    return p;
}

static lapse_allocator heap_hooks(struct heap *h)
{
    return (lapse_allocator){ sizeof(lapse_allocator), 0, h, heap_alloc, heap_resize, heap_release };
}

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % below;
}

/* ---- looking at tables ------------------------------------------------------------------------------- */

static lapse_column column_of(const lapse_table *table, int32_t index)
{
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_table_column(table, index, &c), LAPSE_OK);
    return c;
}

static bool is_missing(const lapse_column *c, int64_t row)
{
    return c->validity && !(c->validity[row / 8] >> (row % 8) & 1);
}

static int64_t int_of(const lapse_column *c, int64_t row)
{
    return ((const int64_t *)c->data)[row];
}

/* Zeros from `used` to the next multiple of 64, aligned. */
static void check_buffer(const void *data, size_t used)
{
    assert_non_null(data);
    assert_int_equal((uintptr_t)data % 64, 0);
    const uint8_t *bytes = data;
    for (size_t i = used; i % 64 != 0; i++)
        assert_int_equal(bytes[i], 0);
}

/* What the Arrow layout asks of every column. */
static void check_layout(const lapse_table *table)
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

static void check_same_tables(const lapse_table *a, const lapse_table *b)
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

/* ---- all types --------------------------------------------------------------------------------------- */

static const struct lapse_column_spec all_types[] = {
    { "id", LAPSE_TYPE_STRING, 0 }, { "n", LAPSE_TYPE_INT64, 0 },   { "ratio", LAPSE_TYPE_DOUBLE, 0 },
    { "when", LAPSE_TYPE_TIME, 0 }, { "sum", LAPSE_TYPE_MONEY, 2 }, { "size", LAPSE_TYPE_DECIMAL, 3 },
};
enum { ALL = sizeof all_types / sizeof all_types[0] };

/* One row of values drawn from `row`; about one in eight missing when `holes`. */
static void put_row(struct lapse_builder *b, int64_t row, bool holes)
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

static lapse_table *rows_between(const lapse_allocator *mem, int64_t first, int64_t end, bool holes)
{
    struct lapse_builder *b = lapse_builder_new(mem, all_types, ALL, end - first);
    for (int64_t row = first; row < end; row++)
        put_row(b, row, holes);
    lapse_table *table;
    return lapse_builder_finish(b, &table, NULL) == LAPSE_OK ? table : NULL;
}

static void every_type_has_its_layout(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    struct lapse_builder *b = lapse_builder_new(&mem, all_types, ALL, 2);
    lapse_builder_text(b, 0, "anna", 4);
    lapse_builder_int(b, 1, INT64_MIN);
    lapse_builder_double(b, 2, 0.25);
    lapse_builder_int(b, 3, INT64_C(1709288100000000));
    lapse_builder_int(b, 4, -1250);
    lapse_builder_int(b, 5, 1500);
    lapse_builder_int(b, 5, INT64_MAX);
    lapse_builder_missing(b, 4);
    lapse_builder_missing(b, 3);
    lapse_builder_double(b, 2, (double)NAN); /* undefined is missing */
    lapse_builder_int(b, 1, 7);
    lapse_builder_text(b, 0, "", 0);
    lapse_table *table;
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    check_layout(table);
    assert_int_equal(lapse_table_rows(table), 2);
    assert_int_equal(lapse_table_columns(table), ALL);
    for (int32_t i = 0; i < ALL; i++) {
        lapse_column c = column_of(table, i);
        assert_string_equal(c.name, all_types[i].name);
        assert_int_equal(c.type, all_types[i].type);
        assert_int_equal(c.digits, all_types[i].digits);
        assert_int_equal(lapse_table_find(table, all_types[i].name), i);
        assert_int_equal(c.missing, i >= 2 && i <= 4);
        if (c.validity)
            assert_int_equal(c.validity[0], 1); /* least significant bit first */
    }
    assert_int_equal(lapse_table_find(table, "i"), -1);
    assert_int_equal(lapse_table_find(table, NULL), -1);
    assert_int_equal(lapse_table_find(NULL, "i"), -1);
    lapse_table_retain(NULL);
    lapse_column id = column_of(table, 0), n = column_of(table, 1), ratio = column_of(table, 2),
                 when = column_of(table, 3), sum = column_of(table, 4), size = column_of(table, 5);
    const int64_t offsets[] = { 0, 4, 4 };
    assert_memory_equal(id.offsets, offsets, sizeof offsets);
    assert_memory_equal(id.data, "anna", 4);
    assert_null(id.validity); /* an empty string is a value */
    assert_true(int_of(&n, 0) == INT64_MIN && int_of(&n, 1) == 7);
    assert_true(((const double *)ratio.data)[0] == 0.25);
    assert_true(int_of(&when, 0) == INT64_C(1709288100000000));
    assert_true(int_of(&sum, 0) == -1250 && int_of(&sum, 1) == 0);
    assert_true(int_of(&size, 0) == 1500 && int_of(&size, 1) == INT64_MAX);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

/* Bitmaps against a naive array of flags, of all lengths around 8 and 64; the first hole may come late. */
static void missing_values_are_bits(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    static const struct lapse_column_spec columns[] = { { "n", LAPSE_TYPE_INT64, 0 },
                                                        { "s", LAPSE_TYPE_STRING, 0 } };
    for (int rows = 0; rows < 140; rows++) {
        for (int first_hole = 0; first_hole <= rows; first_hole += 1 + first_hole / 3) {
            bool hole[140] = { false };
            seed = (uint64_t)(rows * 1000 + first_hole);
            struct lapse_builder *b = lapse_builder_new(&mem, columns, 2, draw(2) ? rows : 0);
            for (int row = 0; row < rows; row++) {
                hole[row] = row == first_hole || (row > first_hole && draw(3) == 0);
                if (hole[row]) {
                    lapse_builder_missing(b, 0);
                    lapse_builder_missing(b, 1);
                } else {
                    lapse_builder_int(b, 0, row + 1);
                    lapse_builder_text(b, 1, "xyz", (size_t)row % 4);
                }
            }
            lapse_table *table;
            assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
            check_layout(table);
            lapse_column n = column_of(table, 0), s = column_of(table, 1);
            for (int row = 0; row < rows; row++) {
                assert_int_equal(is_missing(&n, row), hole[row]);
                assert_int_equal(is_missing(&s, row), hole[row]);
                assert_int_equal(int_of(&n, row), hole[row] ? 0 : row + 1);
                assert_int_equal(s.offsets[row + 1] - s.offsets[row], hole[row] ? 0 : row % 4);
            }
            lapse_table_release(table);
        }
    }
    assert_int_equal(heap.live, 0);
}

static void a_whole_column_at_once(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    static const struct lapse_column_spec columns[] = { { "a", LAPSE_TYPE_INT64, 0 },
                                                        { "b", LAPSE_TYPE_DOUBLE, 0 } };
    struct lapse_builder *b = lapse_builder_new(&mem, columns, 2, 0);
    int64_t *a = lapse_builder_column(b, 0, 1000);
    double *d = (double *)(void *)lapse_builder_column(b, 1, 1000);
    assert_non_null(a);
    assert_non_null(d);
    for (int i = 0; i < 1000; i++) {
        a[i] = i * i;
        d[i] = i / 2.0;
    }
    lapse_table *table;
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    check_layout(table);
    lapse_column ca = column_of(table, 0), cb = column_of(table, 1);
    assert_int_equal(int_of(&ca, 999), 998001);
    assert_true(((const double *)cb.data)[999] == 499.5);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

/* Misuse sticks and is told once, at the end. */
static char *csv_of(lapse_table *table, size_t *size);

static void texts_at_once(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    static const struct lapse_column_spec columns[] = { { "t", LAPSE_TYPE_STRING, 0 }, { "n", LAPSE_TYPE_INT64, 0 } };
    int64_t *offsets;
    char *data;
    lapse_table *table;
    struct lapse_builder *b = lapse_builder_new(&mem, columns, 2, 0);
    assert_true(lapse_builder_texts(b, 0, 3, 5, &offsets, &data));
    assert_int_equal(offsets[0], 0);
    memset(data, '#', 5 + LAPSE_TEXT_SLACK);
    memcpy(data, "annbo", 5);
    offsets[1] = 3;
    offsets[2] = 3;
    offsets[3] = 5;
    for (int i = 0; i < 3; i++)
        lapse_builder_int(b, 1, i);
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    check_layout(table);
    char *csv = csv_of(table, NULL);
    assert_string_equal(csv, "t,n\nann,0\n,1\nbo,2\n");
    free(csv);
    lapse_table_release(table);
    /* Misuse: a column of numbers, one that has values, no column, more than can be had. */
    for (int way = 0; way < 5; way++) {
        b = lapse_builder_new(&mem, columns, 2, 0);
        if (way == 1)
            lapse_builder_text(b, 0, "x", 1);
        assert_false(lapse_builder_texts(b, way == 0 ? 1 : way == 2 ? 2 : 0, way == 3 ? -1 : 1, way == 4 ? SIZE_MAX : 1,
                                         &offsets, &data));
        assert_int_equal(lapse_builder_finish(b, &table, NULL), way == 4 ? LAPSE_NO_MEMORY : LAPSE_INVALID);
    }
    assert_false(lapse_builder_texts(NULL, 0, 1, 1, &offsets, &data));
    assert_int_equal(heap.live, 0);
}

static void errors_stick(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    static const struct lapse_column_spec columns[] = { { "n", LAPSE_TYPE_INT64, 0 },
                                                        { "s", LAPSE_TYPE_STRING, 0 },
                                                        { "d", LAPSE_TYPE_DOUBLE, 0 } };
    for (int misuse = 0; misuse < 10; misuse++) {
        struct lapse_builder *b = lapse_builder_new(&mem, columns, 3, 1);
        switch (misuse) {
        case 0:
            lapse_builder_int(b, 0, 1);
            break; /* columns of unequal length */
        case 1:
            lapse_builder_int(b, 1, 1);
            break;
        case 2:
            lapse_builder_int(b, 2, 1);
            break;
        case 3:
            lapse_builder_double(b, 0, 1);
            break;
        case 4:
            lapse_builder_text(b, 0, "x", 1);
            break;
        case 5:
            lapse_builder_missing(b, 3);
            break;
        case 6:
            lapse_builder_missing(b, -1);
            break;
        case 7:
            assert_null(lapse_builder_column(b, 1, 1));
            break;
        case 8:
            assert_null(lapse_builder_column(b, 0, -1));
            break;
        default:
            lapse_builder_missing(b, 0);
            assert_null(lapse_builder_column(b, 0, 1));
            break;
        }
        if (misuse > 0) {
            /* Whole rows after it do not heal it. */
            lapse_builder_int(b, 0, 1);
            lapse_builder_text(b, 1, "x", 1);
            lapse_builder_double(b, 2, 1);
        }
        lapse_table *table = (lapse_table *)&heap;
        lapse_error error = { .size = sizeof error };
        assert_int_equal(lapse_builder_finish(b, &table, &error), LAPSE_INVALID);
        assert_null(table);
        assert_int_equal(error.status, LAPSE_INVALID);
        assert_int_equal(heap.live, 0);
    }
    /* More than there can be is no memory, not an overflow. */
    assert_null(lapse_builder_new(&mem, columns, 3, INT64_MAX));
    struct lapse_builder *b = lapse_builder_new(&mem, columns, 3, 1);
    assert_null(lapse_builder_column(b, 0, INT64_MAX / 8));
    lapse_table *table;
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_NO_MEMORY);
    /* A builder that could not be made takes values and tells it at the end. */
    lapse_builder_int(NULL, 0, 1);
    lapse_builder_text(NULL, 0, "x", 1);
    lapse_builder_missing(NULL, 0);
    assert_null(lapse_builder_column(NULL, 0, 1));
    assert_int_equal(lapse_builder_finish(NULL, &table, NULL), LAPSE_NO_MEMORY);
    lapse_builder_free(NULL);
    assert_int_equal(heap.live, 0);
}

static void a_table_keeps_its_names(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    char long_name[200], short_name[] = "short";
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[199] = '\0';
    struct lapse_column_spec columns[] = { { long_name, LAPSE_TYPE_INT64, 0 },
                                           { short_name, LAPSE_TYPE_INT64, 0 } };
    struct lapse_builder *b = lapse_builder_new(&mem, columns, 2, 0);
    memset(short_name, 'x', 5);
    lapse_table *table;
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    check_layout(table);
    assert_int_equal(lapse_table_find(table, "short"), 1);
    assert_int_equal(lapse_table_find(table, long_name), 0);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

static void columns_of_other_versions(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    lapse_table *table = rows_between(&mem, 0, 9, true);
    lapse_result *result;
    lapse_table_retain(table);
    assert_int_equal(lapse_result_of_table(&mem, table, &result, NULL), LAPSE_OK);
    lapse_column whole = column_of(table, 0);
    union {
        lapse_column column;
        uint8_t bytes[256];
    } u, expected;
    for (uint32_t size = 0; size <= 256; size++) {
        for (int of_result = 0; of_result < 2; of_result++) {
            memset(&u, 0xee, sizeof u);
            u.column.size = size;
            lapse_status status =
                of_result ? lapse_result_column(result, 0, &u.column) : lapse_table_column(table, 0, &u.column);
            assert_int_equal(status, size < offsetof(lapse_column, rows) ? LAPSE_INVALID : LAPSE_OK);
            for (uint32_t i = size > 4 ? size : 4; i < 256; i++)
                assert_int_equal(u.bytes[i], 0xee); /* nothing past the caller's struct */
            if (status != LAPSE_OK || of_result)
                continue;
            memset(&expected, 0, sizeof expected);
            expected.column = whole;
            expected.column.size = size;
            assert_memory_equal(&u, &expected, size);
        }
    }
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_result_column(result, 4, &c), LAPSE_OK);
    assert_string_equal(c.name, "sum");
    assert_int_equal(c.type, LAPSE_TYPE_MONEY);
    assert_int_equal(c.digits, 2);
    assert_true(c.rows == 0 && c.missing == 0 && !c.validity && !c.offsets && !c.data);
    assert_int_equal(lapse_result_columns(result), ALL);
    assert_int_equal(lapse_result_column(result, ALL, &c), LAPSE_INVALID);
    assert_int_equal(lapse_result_column(result, -1, &c), LAPSE_INVALID);
    assert_int_equal(lapse_table_column(table, ALL, &c), LAPSE_INVALID);
    assert_int_equal(lapse_table_column(table, -1, &c), LAPSE_INVALID);
    lapse_result_free(result);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

static int hold_and_let_go(void *user, int64_t task)
{
    (void)task;
    for (int i = 0; i < 2000; i++) {
        lapse_table_retain(user);
        lapse_table_release(user);
    }
    lapse_table_release(user);
    return 0;
}

static void references_are_counted(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    lapse_table *table = rows_between(&mem, 0, 10, false);
    int64_t held = heap.live;
    lapse_table_retain(table);
    lapse_table_release(table);
    assert_int_equal(heap.live, held);
    for (int i = 0; i < 32; i++)
        lapse_table_retain(table);
    lapse_parallel(4, 32, hold_and_let_go, table);
    assert_int_equal(heap.live, held);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
    /* A table outlives the result it was pulled from. */
    lapse_result *result;
    assert_int_equal(lapse_result_of_table(&mem, rows_between(&mem, 0, 10, true), &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_OK);
    lapse_result_free(result);
    check_layout(table);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

/* ---- streams ----------------------------------------------------------------------------------------- */

/* A source of parts of drawn sizes that may fail after some of them. */
struct parts {
    const lapse_allocator *mem;
    int64_t row, rows, most, fail_at;
    int calls, closed;
    bool holes;
};

static lapse_status parts_next(void *self, lapse_table **out, lapse_error *error)
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

static void parts_close(void *self)
{
    ((struct parts *)self)->closed++;
}

static lapse_status result_of_parts(struct parts *parts, lapse_result **out)
{
    struct lapse_source source = { .self = parts, .next = parts_next, .close = parts_close };
    return lapse_result_new(parts->mem, all_types, ALL, source, out, NULL);
}

static void collecting_joins_all_parts(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    static const int64_t counts[] = { 0, 1, 7, 8, 9, 63, 64, 65, 500, 3000 };
    static const int64_t sizes[] = { 1, 2, 9, 130, 5000 };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (size_t k = 0; k < 2 * sizeof sizes / sizeof sizes[0]; k++) {
            struct parts parts = { &mem, 0, counts[i], sizes[k / 2], -1, 0, 0, k % 2 == 1 };
            /* The same rows as the parts have, put into one table. */
            struct lapse_builder *b = lapse_builder_new(&mem, all_types, ALL, 0);
            while (parts.row < parts.rows) {
                lapse_table *part = NULL;
                assert_int_equal(parts_next(&parts, &part, NULL), LAPSE_OK);
                for (int64_t row = 0; row < part->rows; row++)
                    put_row(b, parts.row - part->rows + row, parts.holes && part->rows % 3 != 0);
                lapse_table_release(part);
            }
            lapse_table *expected, *table;
            assert_int_equal(lapse_builder_finish(b, &expected, NULL), LAPSE_OK);
            parts.row = 0;
            lapse_result *result;
            assert_int_equal(result_of_parts(&parts, &result), LAPSE_OK);
            assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
            check_layout(table);
            check_same_tables(table, expected);
            lapse_table_release(table);
            /* What is left after all has been pulled is a table of no rows. */
            assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
            assert_int_equal(lapse_table_rows(table), 0);
            check_layout(table);
            lapse_table_release(table);
            lapse_result_free(result);
            assert_int_equal(parts.closed, 1);
            lapse_table_release(expected);
        }
    }
    assert_int_equal(heap.live, 0);
}

/* Collecting begins where pulling has stopped. */
static void collecting_takes_what_is_left(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    struct parts parts = { &mem, 0, 300, 40, -1, 0, 0, true };
    lapse_result *result;
    lapse_table *part, *rest;
    assert_int_equal(result_of_parts(&parts, &result), LAPSE_OK);
    assert_int_equal(lapse_result_next(result, &part, NULL), LAPSE_OK);
    int64_t first = lapse_table_rows(part);
    assert_int_equal(lapse_result_collect(result, &rest, NULL), LAPSE_OK);
    assert_int_equal(first + lapse_table_rows(rest), 300);
    lapse_table_release(part);
    lapse_table_release(rest);
    lapse_result_free(result);
    assert_int_equal(heap.live, 0);
}

static void large_tables_come_in_parts(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    static const int64_t counts[] = { 65535, 65536, 65537, 200000 };
    for (int i = 0; i < 4; i++) {
        lapse_table *table = rows_between(&mem, 0, counts[i], i != 0), *part, *again;
        lapse_result *result;
        struct lapse_builder *b = lapse_builder_new(&mem, all_types, ALL, 0);
        lapse_table_retain(table);
        assert_int_equal(lapse_result_of_table(&mem, table, &result, NULL), LAPSE_OK);
        int64_t rows = 0;
        while (lapse_result_next(result, &part, NULL) == LAPSE_OK) {
            assert_true(lapse_table_rows(part) >= 1 && lapse_table_rows(part) <= 65536);
            rows += lapse_table_rows(part);
            if (i > 1)
                check_layout(part);
            lapse_builder_append(b, part, 0, part->rows);
            lapse_table_release(part);
        }
        assert_null(part);
        assert_int_equal(rows, counts[i]);
        assert_int_equal(lapse_builder_finish(b, &again, NULL), LAPSE_OK);
        check_same_tables(table, again);
        lapse_table_release(again);
        lapse_table_release(table);
        lapse_result_free(result);
    }
    assert_int_equal(heap.live, 0);
}

static void an_end_is_kept(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    struct parts parts = { &mem, 0, 10, 100, -1, 0, 0, false };
    lapse_result *result;
    lapse_table *table;
    assert_int_equal(result_of_parts(&parts, &result), LAPSE_OK);
    while (lapse_result_next(result, &table, NULL) == LAPSE_OK)
        lapse_table_release(table);
    int calls = parts.calls;
    lapse_error error;
    memset(&error, 0x77, sizeof error);
    error.size = sizeof error;
    for (int i = 0; i < 3; i++) {
        table = (lapse_table *)&heap;
        assert_int_equal(lapse_result_next(result, &table, &error), LAPSE_DONE);
        assert_null(table);
    }
    assert_int_equal(parts.calls, calls);
    assert_int_equal(error.message[0], 0x77); /* DONE is no error */
    lapse_result_free(result);
    assert_int_equal(parts.closed, 1);
    lapse_result_free(NULL);
    assert_int_equal(heap.live, 0);
}

static int32_t keep(void *user, const char *bytes, int64_t size)
{
    lapse_buffer_put(user, bytes, (size_t)size);
    return 0;
}

static lapse_status pull_somehow(int how, lapse_result *result, lapse_error *error)
{
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    lapse_table *table = NULL;
    struct lapse_buffer buffer;
    lapse_status status;
    switch (how) {
    case 0:
        while ((status = lapse_result_next(result, &table, error)) == LAPSE_OK)
            lapse_table_release(table);
        return status;
    case 1:
        status = lapse_result_collect(result, &table, error);
        assert_null(table);
        return status;
    default:
        lapse_buffer_init(&buffer, &mem);
        status = lapse_result_write_csv(result, keep, &buffer, error);
        lapse_buffer_free(&buffer);
        return status;
    }
}

static void failing_sources(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    for (int way = 0; way < 9; way++) {
        for (int64_t fail_at = 0; fail_at <= 100; fail_at += 50) {
            struct parts parts = { &mem, 0, 100, 20, fail_at, 0, 0, true };
            lapse_result *result;
            assert_int_equal(result_of_parts(&parts, &result), LAPSE_OK);
            lapse_error error = { .size = sizeof error };
            /* Also when nobody listened the first time, and to a caller whose struct is cut inside a text. */
            assert_int_equal(pull_somehow(way % 3, result, way & 1 ? NULL : &error), LAPSE_OVERFLOW);
            int calls = parts.calls;
            assert_int_equal(pull_somehow(way / 3, result, &error), LAPSE_OVERFLOW);
            assert_int_equal(parts.calls, calls);
            assert_int_equal(error.status, LAPSE_OVERFLOW);
            assert_int_equal(error.line, 7);
            assert_int_equal(error.row, -1);
            assert_string_equal(error.column, "amount");
            assert_string_equal(error.text, "9e9");
            assert_string_equal(error.rule, "does not fit");
            assert_non_null(strstr(error.message, "orders.csv"));
            lapse_error small;
            memset(&small, 0xee, sizeof small);
            small.size = offsetof(lapse_error, column) + 4;
            assert_int_equal(pull_somehow(way / 3, result, &small), LAPSE_OVERFLOW);
            assert_memory_equal(small.column, "amo\0\xee", 5);
            lapse_result_free(result);
            assert_int_equal(parts.closed, 1);
            assert_int_equal(heap.live, 0);
        }
    }
}

static void notes(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    lapse_result *result;
    assert_int_equal(lapse_result_of_table(&mem, rows_between(&mem, 0, 1, false), &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_notes(result), 0);
    assert_null(lapse_result_note(result, 0));
    assert_int_equal(lapse_result_add_note(result, "first, and more", 5), LAPSE_OK);
    const char *first = lapse_result_note(result, 0);
    for (int i = 1; i < 30; i++)
        assert_int_equal(lapse_result_add_note(result, "next", 4), LAPSE_OK);
    assert_int_equal(lapse_result_notes(result), 30);
    assert_ptr_equal(lapse_result_note(result, 0), first); /* lives as long as the result */
    assert_string_equal(first, "first");
    assert_string_equal(lapse_result_note(result, 29), "next");
    assert_null(lapse_result_note(result, 30));
    assert_null(lapse_result_note(result, -1));
    lapse_result_free(result);
    assert_int_equal(heap.live, 0);
}

static void null_is_refused(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    lapse_result *result;
    lapse_table *table;
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_result_of_table(&mem, rows_between(&mem, 0, 1, false), &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_next(NULL, &table, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_next(result, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_collect(NULL, &table, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_collect(result, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_write_csv(NULL, keep, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_write_csv(result, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_columns(NULL), 0);
    assert_int_equal(lapse_result_column(NULL, 0, &c), LAPSE_INVALID);
    assert_int_equal(lapse_result_column(result, 0, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_notes(NULL), 0);
    assert_null(lapse_result_note(NULL, 0));
    assert_int_equal(lapse_table_rows(NULL), 0);
    assert_int_equal(lapse_table_columns(NULL), 0);
    assert_int_equal(lapse_table_column(NULL, 0, &c), LAPSE_INVALID);
    assert_int_equal(lapse_table_find(NULL, "id"), -1);
    lapse_table_release(NULL);
    /* Refusals have not ended the stream. */
    assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_OK);
    lapse_table_release(table);
    lapse_result_free(result);
    assert_int_equal(heap.live, 0);
}

/* ---- CSV --------------------------------------------------------------------------------------------- */

static char *csv_of(lapse_table *table, size_t *size)
{
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    lapse_result *result;
    struct lapse_buffer buffer;
    lapse_buffer_init(&buffer, &mem);
    lapse_table_retain(table);
    assert_int_equal(lapse_result_of_table(&mem, table, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_write_csv(result, keep, &buffer, NULL), LAPSE_OK);
    lapse_result_free(result);
    if (size)
        *size = buffer.size;
    lapse_buffer_byte(&buffer, 0);
    return buffer.data;
}

static void csv_golden(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    static const struct lapse_column_spec columns[] = {
        { "id", LAPSE_TYPE_STRING, 0 },          { "n", LAPSE_TYPE_INT64, 0 },
        { "a \"ratio\"", LAPSE_TYPE_DOUBLE, 0 }, { "when", LAPSE_TYPE_TIME, 0 },
        { "sum", LAPSE_TYPE_MONEY, 2 },          { "yen,all", LAPSE_TYPE_MONEY, 0 },
        { "size", LAPSE_TYPE_DECIMAL, 3 },
    };
    static const struct {
        const char *id;
        int64_t n;
        double ratio;
        int64_t when, sum, yen, size;
    } rows[] = {
        { "plain", 0, 0.1, INT64_C(1709288100000000), 1250, 7, 12500 },
        { "a,b", -1, -0.25, INT64_C(1709288100500000), -5, -7, -1 },
        { "say \"hi\"", INT64_MAX, 100.0, INT64_C(-1), 0, 0, 0 },
        { "two\nlines", INT64_MIN, 1.0 / 3.0, INT64_C(0), INT64_MIN, 1, INT64_MAX },
        { "cr\r", 10, 1e21, INT64_C(-2208988800000000), 100, 1, 1000 },
        { "=1+1", 99, 0.0, INT64_C(32503679999999999), 99, 1, 1001 },
        { " blanks ", 1, 2.5, INT64_C(1709288099000001), 1, 1, 10 },
        { "k\xc3\xb6ln; 'x' (y)", 1, 3.0, INT64_C(1709251200000000), 1, 1, 100 },
        { "", 1, 4.0, INT64_C(1709251199999999), 1, 1, 101 },
    };
    /* Worked out by hand: times as rulings T2 and T8 have them, money with its digits, trailing zeros of
     * decimals away, quotes as RFC 4180 has them. */
    static const char expected[] =
        "id,n,\"a \"\"ratio\"\"\",when,sum,\"yen,all\",size\n"
        "plain,0,0.1,2024-03-01T10:15:00Z,12.50,7,12.5\n"
        "\"a,b\",-1,-0.25,2024-03-01T10:15:00.5Z,-0.05,-7,-0.001\n"
        "\"say \"\"hi\"\"\",9223372036854775807,100,1969-12-31T23:59:59.999999Z,0.00,0,0\n"
        "\"two\nlines\",-9223372036854775808,0.3333333333333333,1970-01-01T00:00:00Z,-92233720368547758.08,1,"
        "9223372036854775.807\n"
        "\"cr\r\",10,1000000000000000000000,1900-01-01T00:00:00Z,1.00,1,1\n"
        "=1+1,99,0,2999-12-31T23:59:59.999999Z,0.99,1,1.001\n"
        " blanks ,1,2.5,2024-03-01T10:14:59.000001Z,0.01,1,0.01\n"
        "k\xc3\xb6ln; 'x' (y),1,3,2024-03-01T00:00:00Z,0.01,1,0.1\n"
        ",1,4,2024-02-29T23:59:59.999999Z,0.01,1,0.101\n"
        ",,,,,,\n";
    struct lapse_builder *b = lapse_builder_new(&mem, columns, 7, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lapse_builder_text(b, 0, rows[i].id, strlen(rows[i].id));
        lapse_builder_int(b, 1, rows[i].n);
        lapse_builder_double(b, 2, rows[i].ratio);
        lapse_builder_int(b, 3, rows[i].when);
        lapse_builder_int(b, 4, rows[i].sum);
        lapse_builder_int(b, 5, rows[i].yen);
        lapse_builder_int(b, 6, rows[i].size);
    }
    for (int32_t i = 0; i < 7; i++)
        lapse_builder_missing(b, i);
    lapse_table *table;
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    char *csv = csv_of(table, NULL);
    assert_string_equal(csv, expected);
    free(csv);
    lapse_table_release(table);
    /* An empty answer is its header. */
    b = lapse_builder_new(&mem, columns, 7, 0);
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    csv = csv_of(table, NULL);
    assert_string_equal(csv, "id,n,\"a \"\"ratio\"\"\",when,sum,\"yen,all\",size\n");
    free(csv);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

/* The next field, unquoted; returns what follows its end: ',' or '\n'. */
static char read_field(const char **at, char *out, size_t *n)
{
    const char *p = *at;
    *n = 0;
    if (*p == '"') {
        for (p++; *p != '"' || p[1] == '"'; p++) {
            p += *p == '"';
            out[(*n)++] = *p;
        }
        p++;
    } else {
        while (*p != ',' && *p != '\n')
            out[(*n)++] = *p++;
    }
    *at = p + 1;
    return *p;
}

/* Every string of four characters of those that matter, and long ones, come back as they were. */
static void csv_round_trip(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    static const char letters[] = "a\",\n\r +z";
    static const struct lapse_column_spec columns[] = { { "a", LAPSE_TYPE_STRING, 0 },
                                                        { "b", LAPSE_TYPE_STRING, 0 } };
    enum { ROWS = 4096 + 50 };
    struct lapse_builder *b = lapse_builder_new(&mem, columns, 2, 0);
    for (int i = 0; i < ROWS; i++) {
        char text[5000];
        size_t n = i < 4096 ? 4 : 5000;
        seed = (uint64_t)i;
        for (size_t k = 0; k < n; k++)
            text[k] = letters[n == 4 ? (unsigned)i >> 3 * k & 7 : (unsigned)draw(8)];
        lapse_builder_text(b, 0, text, n);
        lapse_builder_text(b, 1, text, n / 2);
    }
    lapse_table *table;
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    size_t size, n;
    char *csv = csv_of(table, &size), *field = malloc(size);
    const char *at = csv;
    assert_memory_equal(at, "a,b\n", 4);
    at += 4;
    for (int64_t row = 0; row < ROWS; row++) {
        for (int32_t i = 0; i < 2; i++) {
            lapse_column c = column_of(table, i);
            assert_int_equal(read_field(&at, field, &n), i == 0 ? ',' : '\n');
            assert_int_equal(n, c.offsets[row + 1] - c.offsets[row]);
            assert_memory_equal(field, (const char *)c.data + c.offsets[row], n);
        }
    }
    assert_ptr_equal(at, csv + size);
    free(field);
    free(csv);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

/* The writer's own way with times against lapse_instant_format(), with days that come again or collide. */
static void csv_times(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    static const struct lapse_column_spec column = { "t", LAPSE_TYPE_TIME, 0 };
    enum { ROWS = 20000 };
    struct lapse_builder *b = lapse_builder_new(&mem, &column, 1, ROWS);
    int64_t *times = lapse_builder_column(b, 0, ROWS);
    static const int64_t edges[] = {
        INT64_MIN, INT64_MAX, LAPSE_TIME_MIN, LAPSE_TIME_MIN - 1, LAPSE_TIME_MAX, LAPSE_TIME_MAX + 1, 0,
        -1,        1,         LAPSE_DAY,      -LAPSE_DAY,         LAPSE_DAY - 1
    };
    seed = 5;
    for (int i = 0; i < ROWS; i++) {
        static const int64_t rounds[] = { 1, 10, 1000, 1000000, 60000000, INT64_C(3600000000) };
        int64_t day = i % 3 == 0 ? (int64_t)draw(400000) : 45000 + (int64_t)draw(3) * 64;
        int64_t left = (int64_t)(draw(86400) * 1000000 + draw(1000000));
        int64_t round = rounds[draw(6)];
        times[i] = (size_t)i < sizeof edges / sizeof edges[0]
                       ? edges[i]
                       : LAPSE_TIME_MIN + day * LAPSE_DAY + left / round * round;
    }
    lapse_table *table;
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    lapse_column c = column_of(table, 0);
    size_t n;
    char *csv = csv_of(table, NULL), field[64], expected[64];
    const char *at = csv + 2;
    for (int64_t row = 0; row < ROWS; row++) {
        assert_int_equal(read_field(&at, field, &n), '\n');
        assert_int_equal(n, lapse_instant_format(int_of(&c, row), expected));
        assert_memory_equal(field, expected, n);
    }
    free(csv);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

struct chunks {
    struct lapse_buffer all;
    int64_t count, smallest, largest, last, cancel_at;
};

static int32_t take_chunk(void *user, const char *bytes, int64_t size)
{
    struct chunks *c = user;
    assert_true(size > 0);
    if (c->count++ == c->cancel_at)
        return -1;
    if (c->count > 1 && c->last < c->smallest)
        c->smallest = c->last; /* of all but the last */
    if (size > c->largest)
        c->largest = size;
    c->last = size;
    lapse_buffer_put(&c->all, bytes, (size_t)size);
    return 0;
}

static void csv_comes_in_chunks(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    lapse_table *table = rows_between(&mem, 0, 70000, true);
    size_t size;
    char *whole = csv_of(table, &size);
    for (int64_t cancel_at = -1; cancel_at < 3; cancel_at++) {
        /* Parts of about 100 rows: chunks go over their ends. */
        struct parts parts = { &mem, 0, 70000, 200, -1, 0, 0, true };
        struct chunks chunks = { .smallest = INT64_MAX, .cancel_at = cancel_at };
        lapse_buffer_init(&chunks.all, &mem);
        lapse_result *result;
        lapse_error error = { .size = sizeof error };
        if (cancel_at == 2) {
            lapse_table_retain(table);
            assert_int_equal(lapse_result_of_table(&mem, table, &result, NULL), LAPSE_OK);
            chunks.cancel_at = -1;
        } else {
            assert_int_equal(result_of_parts(&parts, &result), LAPSE_OK);
        }
        lapse_status status = lapse_result_write_csv(result, take_chunk, &chunks, &error);
        if (chunks.cancel_at < 0) {
            assert_int_equal(status, LAPSE_OK);
            assert_true(chunks.count > 10);
            assert_true(chunks.largest < 8 * 65536 && (cancel_at == 2 || chunks.smallest >= 65536));
            if (cancel_at == 2) {
                assert_int_equal(chunks.all.size, size);
                assert_memory_equal(chunks.all.data, whole, size);
            }
            /* Nothing is left but the header. */
            chunks.all.size = 0;
            assert_int_equal(lapse_result_write_csv(result, take_chunk, &chunks, &error), LAPSE_OK);
            assert_int_equal(chunks.all.size, strlen("id,n,ratio,when,sum,size\n"));
        } else {
            assert_int_equal(status, LAPSE_CANCELLED);
            assert_int_equal(error.status, LAPSE_CANCELLED);
            assert_int_equal(chunks.count, cancel_at + 1);
            lapse_table *none;
            assert_int_equal(lapse_result_next(result, &none, NULL), LAPSE_CANCELLED);
        }
        lapse_buffer_free(&chunks.all);
        lapse_result_free(result);
    }
    free(whole);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

/* Numbers of every length, and texts at the lengths where the writer changes its way, against the formatters. */
static void csv_lengths(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    enum { ROWS = 30000, NUMBERS = 21 };
    struct lapse_column_spec columns[NUMBERS + 1] = { { "text", LAPSE_TYPE_STRING, 0 } };
    for (int i = 1; i <= NUMBERS; i++)
        columns[i] = (struct lapse_column_spec){ "n", i == NUMBERS ? LAPSE_TYPE_INT64 : LAPSE_TYPE_MONEY, (i - 1) % 19 };
    columns[NUMBERS].digits = 0;
    struct lapse_builder *b = lapse_builder_new(&mem, columns, NUMBERS + 1, 0);
    seed = 17;
    for (int row = 0; row < ROWS; row++) {
        char text[600];
        size_t n = (size_t)(row % 100 == 0 ? draw(600) : draw(40));
        memset(text, 'x', sizeof text);
        if (n && row % 3 == 0)
            text[draw(n)] = ",\"\r\n-+ '"[draw(8)];
        lapse_builder_text(b, 0, text, n);
        for (int i = 1; i <= NUMBERS; i++) {
            int64_t value = (int64_t)(draw(UINT64_C(1) << 31) << 32 | draw(UINT64_C(1) << 31)) >> draw(64);
            int64_t edge = 1;
            for (uint64_t k = draw(19); k > 0; k--)
                edge *= 10;
            value = row % 5 == 0 ? edge - (int64_t)draw(2) : row % 7 == 0 ? -value : value;
            lapse_builder_int(b, i, value);
        }
    }
    lapse_table *table;
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    char *csv = csv_of(table, NULL), field[1300], expected[64];
    const char *at = strchr(csv, '\n') + 1;
    size_t n;
    for (int64_t row = 0; row < ROWS; row++)
        for (int32_t i = 0; i <= NUMBERS; i++) {
            lapse_column c = column_of(table, i);
            assert_int_equal(read_field(&at, field, &n), i < NUMBERS ? ',' : '\n');
            if (i == 0) {
                assert_int_equal(n, c.offsets[row + 1] - c.offsets[row]);
                assert_memory_equal(field, (const char *)c.data + c.offsets[row], n);
            } else {
                assert_int_equal(n, lapse_decimal_format(int_of(&c, row), c.digits, true, expected));
                assert_memory_equal(field, expected, n);
            }
        }
    free(csv);
    lapse_table_release(table);
    assert_int_equal(heap.live, 0);
}

/* ---- rows that are all there ---------------------------------------------------------------------------- */

struct ranges {
    lapse_table *table;
    int64_t fail_at; /* the range that holds this row fails; -1: none */
    int closed;
};

static lapse_status ranges_get(void *self, int64_t first, int64_t end, lapse_table **out, lapse_error *error)
{
    struct ranges *r = self;
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    if (first <= r->fail_at && r->fail_at < end)
        return lapse_fail(error, LAPSE_OVERFLOW, "row %d is too large", (int)r->fail_at);
    struct lapse_builder *b = lapse_builder_new(&mem, all_types, ALL, end - first);
    lapse_builder_append(b, r->table, first, end);
    return lapse_builder_finish(b, out, error);
}

static void ranges_close(void *self)
{
    ((struct ranges *)self)->closed++;
}

struct taken {
    struct lapse_buffer all;
    pthread_t caller;
    int64_t cancel_at; /* bytes; -1: never */
};

static int32_t take(void *user, const char *bytes, int64_t size)
{
    struct taken *t = user;
    assert_true(pthread_equal(t->caller, pthread_self()));
    lapse_buffer_put(&t->all, bytes, (size_t)size);
    return t->cancel_at >= 0 && (int64_t)t->all.size > t->cancel_at;
}

/* Whatever the number of threads, and after parts that were pulled before: the same bytes, on the caller's thread;
 * what failed or was cancelled ends the result, and what came before it is a beginning of the whole. */
static void csv_on_threads(void **state)
{
    (void)state;
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    enum { ROWS = 150000 };
    static const int64_t row_counts[] = { 0, 1, 4096, 4097, ROWS };
    lapse_table *table = rows_between(&mem, 0, ROWS, true);
    size_t size;
    char *whole = csv_of(table, &size);
    size_t head = (size_t)(strchr(whole, '\n') + 1 - whole);
    for (int32_t threads = 0; threads <= 5; threads++)
        for (int way = 0; way < 8; way++) {
            struct ranges ranges = { table, way == 5 ? 70000 : way == 6 ? 0 : -1, 0 };
            struct lapse_source source = { .self = &ranges, .close = ranges_close, .range = ranges_get,
                                           .rows = row_counts[way < 5 ? way : 4], .threads = threads };
            struct taken taken = { .caller = pthread_self(), .cancel_at = way == 7 ? (int64_t)size / 2 : -1 };
            lapse_error error = { .size = sizeof error };
            lapse_result *result;
            lapse_table *part;
            lapse_buffer_init(&taken.all, &mem);
            assert_int_equal(lapse_result_new(&mem, all_types, ALL, source, &result, NULL), LAPSE_OK);
            lapse_status status = lapse_result_write_csv(result, take, &taken, &error);
            assert_int_equal(status, way == 7 ? LAPSE_CANCELLED : way > 4 ? LAPSE_OVERFLOW : LAPSE_OK);
            assert_true(taken.all.size >= (way == 6 ? 0 : head) && taken.all.size <= size);
            assert_memory_equal(taken.all.data, whole, taken.all.size);
            if (way == 4)
                assert_int_equal(taken.all.size, size);
            if (way == 5)
                assert_string_equal(error.message, "row 70000 is too large");
            assert_int_equal(lapse_result_next(result, &part, NULL), status == LAPSE_OK ? LAPSE_DONE : status);
            /* Once more: the header alone, or the same failure. */
            taken.all.size = 0;
            assert_int_equal(lapse_result_write_csv(result, take, &taken, NULL), status);
            assert_int_equal(taken.all.size, status == LAPSE_OK ? head : 0);
            lapse_result_free(result);
            assert_int_equal(ranges.closed, 1);
            lapse_buffer_free(&taken.all);
        }
    /* Parts are pulled in order and whole; the rest is written. */
    struct ranges ranges = { table, -1, 0 };
    struct lapse_source source = { .self = &ranges, .close = ranges_close, .range = ranges_get, .rows = ROWS, .threads = 2 };
    struct taken taken = { .caller = pthread_self(), .cancel_at = -1 };
    lapse_result *result;
    lapse_table *part;
    lapse_buffer_init(&taken.all, &mem);
    assert_int_equal(lapse_result_new(&mem, all_types, ALL, source, &result, NULL), LAPSE_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lapse_result_next(result, &part, NULL), LAPSE_OK);
        assert_int_equal(lapse_table_rows(part), LAPSE_TABLE_ROWS);
        lapse_table_release(part);
    }
    assert_int_equal(lapse_result_write_csv(result, take, &taken, NULL), LAPSE_OK);
    size_t rest = taken.all.size - head;
    assert_true(rest > 0 && rest < size / 4);
    assert_memory_equal(taken.all.data + head, whole + size - rest, rest);
    lapse_result_free(result);
    lapse_buffer_free(&taken.all);
    free(whole);
    lapse_table_release(table);
}

/* ---- no memory --------------------------------------------------------------------------------------- */

/* All that a result can do, on tables that have to grow; the first failure is returned. */
static lapse_status use_everything(const lapse_allocator *mem)
{
    lapse_allocator plain;
    lapse_mem_init(&plain, NULL, NULL);
    struct parts parts = { mem, 0, 900, 300, -1, 0, 0, true };
    lapse_result *result = NULL;
    lapse_table *whole = NULL, *part = NULL;
    struct lapse_buffer buffer;
    lapse_buffer_init(&buffer, &plain);
    lapse_status status = result_of_parts(&parts, &result);
    if (status == LAPSE_OK)
        status = lapse_result_add_note(result, "note", 4);
    if (status == LAPSE_OK)
        status = lapse_result_collect(result, &whole, NULL);
    if (status != LAPSE_OK && result)
        assert_true(!whole);
    lapse_result_free(result);
    assert_int_equal(parts.closed, 1);
    result = NULL;
    if (status == LAPSE_OK) {
        lapse_table_retain(whole);
        status = lapse_result_of_table(mem, whole, &result, NULL);
    }
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(result, keep, &buffer, NULL);
    lapse_result_free(result);
    result = NULL;
    if (status == LAPSE_OK) {
        /* More rows than a part has, so that parts are made on the way. */
        static const struct lapse_column_spec column = { "n", LAPSE_TYPE_INT64, 0 };
        struct lapse_builder *b = lapse_builder_new(mem, &column, 1, 0);
        int64_t *n = lapse_builder_column(b, 0, 70000);
        if (n)
            memset(n, 0, 70000 * sizeof *n);
        lapse_table *large;
        status = lapse_builder_finish(b, &large, NULL);
        if (status == LAPSE_OK)
            status = lapse_result_of_table(mem, large, &result, NULL);
    }
    while (status == LAPSE_OK && (status = lapse_result_next(result, &part, NULL)) == LAPSE_OK)
        lapse_table_release(part);
    lapse_result_free(result);
    lapse_table_release(whole);
    lapse_buffer_free(&buffer);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    assert_int_equal(use_everything(&mem), LAPSE_OK);
    assert_int_equal(heap.live, 0);
    int64_t calls = heap.calls;
    assert_true(calls > 50);
    for (int64_t i = 1; i <= calls; i++) {
        heap = (struct heap){ .fail_at = i };
        assert_int_equal(use_everything(&mem), LAPSE_NO_MEMORY);
        assert_int_equal(heap.live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_layout),
        cmocka_unit_test(missing_values_are_bits),
        cmocka_unit_test(a_whole_column_at_once),
        cmocka_unit_test(texts_at_once),
        cmocka_unit_test(errors_stick),
        cmocka_unit_test(a_table_keeps_its_names),
        cmocka_unit_test(columns_of_other_versions),
        cmocka_unit_test(references_are_counted),
        cmocka_unit_test(collecting_joins_all_parts),
        cmocka_unit_test(collecting_takes_what_is_left),
        cmocka_unit_test(large_tables_come_in_parts),
        cmocka_unit_test(an_end_is_kept),
        cmocka_unit_test(failing_sources),
        cmocka_unit_test(notes),
        cmocka_unit_test(null_is_refused),
        cmocka_unit_test(csv_golden),
        cmocka_unit_test(csv_round_trip),
        cmocka_unit_test(csv_times),
        cmocka_unit_test(csv_comes_in_chunks),
        cmocka_unit_test(csv_lengths),
        cmocka_unit_test(csv_on_threads),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
