/* lib/table, results of rows that are all there: parts and CSV made on threads, in order and whole, in memory of parts that
 * were released; what fails or is cancelled. */
#include <pthread.h>
#include <stdatomic.h>

#include "tables.h"

struct ranges {
    lapse_table *table;
    int64_t fail_at; /* the range that holds this row fails; -1: none */
    int closed;
};

static lapse_status ranges_get(void *self, int64_t first, int64_t end, lapse_table *spare, lapse_table **out,
                               lapse_error *error)
{
    struct ranges *r = self;
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    if (first <= r->fail_at && r->fail_at < end)
        return lapse_fail(error, LAPSE_OVERFLOW, "row %d is too large", (int)r->fail_at);
    struct lapse_builder *b = lapse_builder_again(&mem, all_types, ALL, end - first, spare);
    lapse_builder_append(b, r->table, first, end);
    return lapse_builder_finish(b, out, error);
}

static void ranges_close(void *self)
{
    ((struct ranges *)self)->closed++;
}

static lapse_result *result_of_ranges(const lapse_allocator *mem, struct ranges *ranges, int64_t rows, int32_t threads)
{
    const struct lapse_source source = { .self = ranges, .close = ranges_close, .range = ranges_get, .rows = rows,
                                         .threads = threads };
    lapse_result *result;
    assert_int_equal(lapse_result_new(mem, all_types, ALL, source, &result, NULL), LAPSE_OK);
    return result;
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

/* Whatever the number of threads: the same bytes, on the caller's thread; what failed or was cancelled ends the result,
 * and what came before it is a beginning of the whole. */
static void csv_on_threads(void **state)
{
    (void)state;
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    enum { ROWS = 150000 };
    static const int64_t row_counts[] = { 0, 1, 4096, 4097, ROWS };
    lapse_table *table = rows_between(&mem, 0, ROWS, true);
    size_t size;
    char *whole = csv_of_table(table, &size);
    size_t head = (size_t)(strchr(whole, '\n') + 1 - whole);
    for (int32_t threads = 0; threads <= 5; threads++)
        for (int way = 0; way < 8; way++) {
            struct ranges ranges = { table, way == 5 ? 70000 : way == 6 ? 0 : -1, 0 };
            struct taken taken = { .caller = pthread_self(), .cancel_at = way == 7 ? (int64_t)size / 2 : -1 };
            lapse_error error = { .size = sizeof error };
            lapse_result *result = result_of_ranges(&mem, &ranges, row_counts[way < 5 ? way : 4], threads);
            lapse_table *part;
            lapse_buffer_init(&taken.all, &mem);
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
    free(whole);
    lapse_table_release(table);
}

/* Parts are pulled in order and whole, however many are made at once; those that were not asked for are written, or are
 * gone with the result; and what fails is told in its place, again and again. */
static void parts_on_threads(void **state)
{
    (void)state;
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    enum { ROWS = 4 * LAPSE_TABLE_ROWS + 5, PARTS = 5 };
    lapse_table *table = rows_between(&mem, 0, ROWS, true);
    size_t size;
    char *whole = csv_of_table(table, &size);
    size_t head = (size_t)(strchr(whole, '\n') + 1 - whole);
    for (int32_t threads = 0; threads <= 6; threads += 1 + threads / 2)
        for (int way = 0; way < 3 * PARTS; way++) {
            const int pulled = way % PARTS + 1, fails = way / PARTS == 2 ? pulled - 1 : -1;
            struct ranges ranges = { table, fails < 0 ? -1 : (int64_t)fails * LAPSE_TABLE_ROWS + 3, 0 };
            struct taken taken = { .caller = pthread_self(), .cancel_at = -1 };
            lapse_error error = { .size = sizeof error };
            lapse_result *result = result_of_ranges(&mem, &ranges, ROWS, threads);
            lapse_table *part;
            lapse_buffer_init(&taken.all, &mem);
            for (int i = 0; i < pulled; i++) {
                lapse_status status = lapse_result_next(result, &part, &error);
                assert_int_equal(status, i == fails ? LAPSE_OVERFLOW : LAPSE_OK);
                if (status != LAPSE_OK)
                    break;
                int64_t first = i * (int64_t)LAPSE_TABLE_ROWS, left = ROWS - first;
                lapse_table *same = rows_between(&mem, first, left < LAPSE_TABLE_ROWS ? ROWS : first + LAPSE_TABLE_ROWS, true);
                check_same_tables(part, same);
                lapse_table_release(same);
                lapse_table_release(part);
            }
            if (fails >= 0) {
                assert_non_null(strstr(error.message, "is too large"));
                assert_int_equal(lapse_result_next(result, &part, NULL), LAPSE_OVERFLOW);
                assert_int_equal(lapse_result_write_csv(result, take, &taken, NULL), LAPSE_OVERFLOW);
                assert_int_equal(taken.all.size, 0);
            } else if (way < PARTS) {
                assert_int_equal(lapse_result_write_csv(result, take, &taken, NULL), LAPSE_OK);
                size_t rest = taken.all.size - head;
                assert_memory_equal(taken.all.data + head, whole + size - rest, rest);
                assert_int_equal(rest == 0, pulled == PARTS);
                assert_true(pulled == 1 ? rest > size / 2 : rest < size * 2 / 3);
                assert_int_equal(lapse_result_next(result, &part, NULL), LAPSE_DONE);
            }
            lapse_result_free(result);
            assert_int_equal(ranges.closed, 1);
            lapse_buffer_free(&taken.all);
        }
    free(whole);
    lapse_table_release(table);
}

/* Each of 20 parts is made once; *user counts them. */
static lapse_status count_part(void *user, int64_t first, int64_t end, lapse_table *spare, lapse_table **out,
                               lapse_error *error)
{
    static const struct lapse_column_spec number = { "n", LAPSE_TYPE_INT64, 0 };
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    struct lapse_builder *b = lapse_builder_again(&mem, &number, 1, end - first, spare);
    for (int64_t i = first; i < end; i++)
        lapse_builder_int(b, 0, i);
    atomic_fetch_add((atomic_int *)user, 1);
    return lapse_builder_finish(b, out, error);
}

/* As many parts are made at once as there are threads, at most 16, and none that is not there. */
static void parts_made_at_once(void **state)
{
    (void)state;
    static const int32_t threads[] = { 0, 1, 2, 7, 16, 64 }, at_once[] = { 1, 1, 2, 7, 16, 16 };
    enum { PARTS = 20 };
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    for (size_t k = 0; k < sizeof threads / sizeof *threads; k++) {
        static const struct lapse_column_spec number = { "n", LAPSE_TYPE_INT64, 0 };
        atomic_int made = 0;
        struct lapse_source source = { .self = &made, .range = count_part, .rows = PARTS * (int64_t)LAPSE_TABLE_ROWS,
                                       .threads = threads[k] };
        lapse_result *result;
        lapse_table *part;
        assert_int_equal(lapse_result_new(&mem, &number, 1, source, &result, NULL), LAPSE_OK);
        for (int i = 0; i < PARTS; i++) {
            int expected = (i / at_once[k] + 1) * at_once[k];
            assert_int_equal(lapse_result_next(result, &part, NULL), LAPSE_OK);
            lapse_column c = column_of(part, 0);
            assert_int_equal(int_of(&c, 0), i * LAPSE_TABLE_ROWS);
            assert_int_equal(made, expected < PARTS ? expected : PARTS);
            lapse_table_release(part);
        }
        assert_int_equal(lapse_result_next(result, &part, NULL), LAPSE_DONE);
        lapse_result_free(result);
    }
}

/* Memory of a part that was released serves the next one; a part that is kept stays as it was. */
static void parts_in_memory_of_parts(void **state)
{
    (void)state;
    lapse_allocator mem;
    lapse_mem_init(&mem, NULL, NULL);
    enum { PARTS = 3, ROWS = 2 * LAPSE_TABLE_ROWS + 5 };
    lapse_table *table = rows_between(&mem, 0, ROWS, true), *parts[PARTS] = { NULL };
    for (int keep = -1; keep < PARTS; keep++) {
        struct ranges ranges = { table, -1, 0 };
        const void *before = NULL;
        lapse_result *result = result_of_ranges(&mem, &ranges, ROWS, 0);
        for (int i = 0; i < PARTS; i++) {
            assert_int_equal(lapse_result_next(result, &parts[i], NULL), LAPSE_OK);
            const void *data = column_of(parts[i], 1).data;
            if (i > 0)
                assert_true((data == before) == (i - 1 != keep));
            before = data;
            for (int k = 0; k <= i; k++) {
                if (k < i && k != keep)
                    continue;
                int64_t first = k * (int64_t)LAPSE_TABLE_ROWS;
                lapse_table *same = rows_between(&mem, first, first + lapse_table_rows(parts[k]), true);
                check_same_tables(parts[k], same);
                lapse_table_release(same);
            }
            if (i != keep)
                lapse_table_release(parts[i]);
        }
        lapse_result_free(result);
        if (keep >= 0)
            lapse_table_release(parts[keep]);
    }
    lapse_table_release(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_on_threads),
        cmocka_unit_test(parts_on_threads),
        cmocka_unit_test(parts_made_at_once),
        cmocka_unit_test(parts_in_memory_of_parts),
    };
    return cmocka_run_group_tests_name("table_ranges", tests, NULL, NULL);
}
