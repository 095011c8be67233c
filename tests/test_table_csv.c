/* lib/table, CSV: golden values, all strings of characters that matter, times and numbers against their formatters,
 * chunks; and on threads the same bytes. */
#include <pthread.h>
#include <stdatomic.h>

#include "tables.h"

static void csv_golden(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = shifted_hooks(&heap);
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
    char *csv = csv_of_table(table, NULL);
    assert_string_equal(csv, expected);
    free(csv);
    lapse_table_release(table);
    /* An empty answer is its header. */
    b = lapse_builder_new(&mem, columns, 7, 0);
    assert_int_equal(lapse_builder_finish(b, &table, NULL), LAPSE_OK);
    csv = csv_of_table(table, NULL);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    char *csv = csv_of_table(table, &size), *field = malloc(size);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    char *csv = csv_of_table(table, NULL), field[64], expected[64];
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
    lapse_allocator mem = shifted_hooks(&heap);
    lapse_table *table = rows_between(&mem, 0, 70000, true);
    size_t size;
    char *whole = csv_of_table(table, &size);
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
    lapse_allocator mem = shifted_hooks(&heap);
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
    char *csv = csv_of_table(table, NULL), field[1300], expected[64];
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

/* ---- rows that are all there ----------------------------------------------------------------------------- */

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
        cmocka_unit_test(csv_golden),
        cmocka_unit_test(csv_round_trip),
        cmocka_unit_test(csv_times),
        cmocka_unit_test(csv_comes_in_chunks),
        cmocka_unit_test(csv_lengths),
        cmocka_unit_test(csv_on_threads),
        cmocka_unit_test(parts_on_threads),
        cmocka_unit_test(parts_made_at_once),
        cmocka_unit_test(parts_in_memory_of_parts),
    };
    return cmocka_run_group_tests_name("table_csv", tests, NULL, NULL);
}
