/* lib/table, results: parts and what collects them, ends and failures that are kept, notes; and every allocation of
 * all this fails once. */
#include "tables.h"

static void collecting_joins_all_parts(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
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

static lapse_status pull_somehow(int how, lapse_result *result, lapse_error *error)
{
    lapse_table *table = NULL;
    struct text csv = { 0 };
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
        status = lapse_result_write_csv(result, put_bytes, &csv, error);
        free(csv.data);
        return status;
    }
}

static void failing_sources(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    lapse_allocator mem = shifted_hooks(&heap);
    lapse_result *result;
    lapse_table *table;
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_result_of_table(&mem, rows_between(&mem, 0, 1, false), &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_next(NULL, &table, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_next(result, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_collect(NULL, &table, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_collect(result, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_result_write_csv(NULL, put_bytes, NULL, NULL), LAPSE_INVALID);
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

/* ---- no memory ------------------------------------------------------------------------------------------- */

/* All that a result can do, on tables that have to grow; the first failure is returned. */
static lapse_status use_everything(const lapse_allocator *mem)
{
    struct parts parts = { mem, 0, 900, 300, -1, 0, 0, true };
    lapse_result *result = NULL;
    lapse_table *whole = NULL, *part = NULL;
    struct text csv = { 0 };
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
        status = lapse_result_write_csv(result, put_bytes, &csv, NULL);
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
    free(csv.data);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = shifted_hooks(&heap);
    fail_each_allocation(&heap, &mem, use_everything, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collecting_joins_all_parts),
        cmocka_unit_test(collecting_takes_what_is_left),
        cmocka_unit_test(large_tables_come_in_parts),
        cmocka_unit_test(an_end_is_kept),
        cmocka_unit_test(failing_sources),
        cmocka_unit_test(notes),
        cmocka_unit_test(null_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("table_results", tests, NULL, NULL);
}
