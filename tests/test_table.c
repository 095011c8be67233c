/* lib/table, tables: the Arrow layout of every type, missing values, whole columns at once, misuse, columns of other
 * versions, and references. Golden values are written out; the rest is checked against naive re-computation. */
#include <math.h>

#include "tables.h"

static void every_type_has_its_layout(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
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

static void texts_at_once(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = shifted_hooks(&heap);
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
    char *csv = csv_of_table(table, NULL);
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

/* Misuse sticks and is told once, at the end. */
static void errors_stick(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
