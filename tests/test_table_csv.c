/* lib/table, CSV: golden values, all strings of characters that matter, times and numbers against their formatters,
 * chunks. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_golden),
        cmocka_unit_test(csv_round_trip),
        cmocka_unit_test(csv_times),
        cmocka_unit_test(csv_comes_in_chunks),
        cmocka_unit_test(csv_lengths),
    };
    return cmocka_run_group_tests_name("table_csv", tests, NULL, NULL);
}
