/* Event files: many rows, good and bad, in whole batches; and rows printed as a file and read back. */
#include "csv_run.h"

/* ---- many rows ------------------------------------------------------------------------------------------------ */

/* What is expected of rows i = 0 .. n: row_of() writes them in forms that alternate by chance. */
struct many {
    struct lapse_csv *csv;
    struct lapse_csv_work *work;
    int64_t next, bad, batches, told;
    int64_t bad_every; /* rows whose number this divides are bad */
    bool last_batch;
};

static int64_t good_after(const struct many *m, int64_t i)
{
    return m->bad_every && i % m->bad_every == 0 ? good_after(m, i + 1) : i;
}

static int many_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    struct many *m = self;
    assert_false(m->last_batch);
    m->batches++;
    m->last_batch = n < LAPSE_CSV_BATCH;
    assert_true(n <= LAPSE_CSV_BATCH);
    for (size_t i = 0; i < n; i++) {
        char customer[32];
        int64_t row = m->next = good_after(m, m->next);
        struct lapse_text id = lapse_columns_text(rows, LAPSE_F_EVENT_ID, i);
        struct lapse_text who = lapse_columns_text(rows, LAPSE_F_CUSTOMER, i);
        size_t size = (size_t)snprintf(customer, sizeof customer, row % 5 == 0 ? "\"%lld\xC3\xA9,x" : "c%lld", (long long)row);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_TIME, i), INT64_C(1704067200000000) + row * 86400 * LAPSE_SECOND / 7);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_AMOUNT, i), row % 3 ? row * 5 : LAPSE_MISSING);
        assert_int_equal(who.size, size);
        assert_memory_equal(who.data, customer, size);
        assert_int_equal(id.size, row % 2);
        struct lapse_text source = lapse_columns_text(rows, LAPSE_F_SOURCE, i);
        assert_int_equal(source.size, row % 2 ? 0 : 8);
        m->next++;
    }
    const struct lapse_buffer *bytes = &m->work->rows.bytes; /* a bad row leaves no trace */
    bool trace = false;
    for (size_t i = 0; i + 5 <= bytes->size; i++)
        trace |= memcmp(bytes->data + i, "TRACE", 5) == 0;
    assert_false(trace);
    return 0;
}

static int many_told(void *self, int64_t line, struct lapse_text raw, struct lapse_text event_id)
{
    struct many *m = self;
    m->told++;
    assert_true(line >= 2 && raw.size > 20 && event_id.size <= 1);
    return 0;
}

static int many_bad(void *self, const struct lapse_csv_fault *fault)
{
    struct many *m = self;
    (void)fault;
    m->bad++;
    return 0;
}

static void put_many(struct lapse_buffer *out, int64_t row, int64_t bad_every, int columns, uint64_t *seed)
{
    char text[400], time[40];
    static const char *const bad[] = { "TRACE,nope,1,x", "TRACE,2024-01-01,1.234,x", "\"TRACE\"x,2024-01-01,,", "TRACE",
                                       "TRACE,2024-01-01,1,\xFF", ",2024-01-01,1,TRACE", "TRACE,2024-01-01,-1,x" };
    time[lapse_instant_format(INT64_C(1704067200000000) + row * 86400 * LAPSE_SECOND / 7, time)] = '\0';
    bool quoted = dice(seed, 4) == 0;
    const char *q = quoted ? "\"" : "";
    int n;
    if (bad_every && row % bad_every == 0)
        n = snprintf(text, sizeof text, "%s", bad[dice(seed, 7)]);
    else if (row % 3)
        n = snprintf(text, sizeof text, row % 5 ? "%sc%lld%s,%s,%s%lld.%02d%s,%s" : "\"\"\"%s%lld%s\xC3\xA9,x\",%s,%s%lld.%02d%s,%s",
                     row % 5 ? q : "", (long long)row, row % 5 ? q : "", time, q, (long long)(row * 5 / 100),
                     (int)(row * 5 % 100), q, row % 2 ? "i" : "");
    else
        n = snprintf(text, sizeof text, row % 5 ? "%sc%lld%s,%s,,%s" : "\"\"\"%s%lld%s\xC3\xA9,x\",%s,,%s",
                     row % 5 ? q : "", (long long)row, row % 5 ? q : "", time, row % 2 ? "i" : "");
    lapse_buffer_put(out, text, (size_t)n);
    for (int i = 4; i < columns; i++)
        lapse_buffer_text(out, ",");
    lapse_buffer_text(out, dice(seed, 9) ? "\n" : dice(seed, 2) ? "\r\n" : "\r\n\r\n\n");
}

static void test_many_rows(void **state)
{
    (void)state;
    static const struct {
        int64_t rows, bad_every;
        int columns;
    } cases[] = { { 3 * LAPSE_CSV_BATCH, 0, 4 }, { 40000, 0, 4 },  { 40000, 7, 4 },  { 2000, 2, 4 },
                  { LAPSE_CSV_BATCH, 0, 4 },     { 300, 1, 4 },    { 3000, 11, 50 }, { 50, 3, 700 },
                  { 20, 4, 3000 },               { 1, 0, 4 },      { 0, 0, 4 },      { LAPSE_BLOCK + 1, LAPSE_BLOCK, 4 } };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        uint64_t seed = k + 1;
        struct run r;
        begin(&r);
        r.options.flags = IGNORE;
        lapse_buffer_text(&r.out, "customer,time,amount,event_id");
        for (int i = 4; i < cases[k].columns; i++) {
            lapse_buffer_text(&r.out, ",c");
            put_number(&r, i);
        }
        assert_int_equal(open_csv(&r, r.out.data, r.out.size), LAPSE_OK);
        r.out.size = 0;
        for (int64_t i = 0; i < cases[k].rows; i++)
            put_many(&r.out, i, cases[k].bad_every, cases[k].columns, &seed);
        assert_false(r.out.failed);
        struct many m = { .csv = r.csv, .work = &r.work, .bad_every = cases[k].bad_every };
        struct lapse_csv_sink sink = { &m, many_rows, many_told, many_bad };
        int64_t rows = -1;
        assert_int_equal(lapse_csv_parse(r.csv, &r.work, r.out.data ? r.out.data : "", r.out.size, 2, &sink, &rows), 0);
        int64_t bad = m.bad_every ? (cases[k].rows + m.bad_every - 1) / m.bad_every : 0, good = cases[k].rows - bad;
        assert_int_equal(rows, cases[k].rows);
        assert_int_equal(m.bad, bad);
        assert_int_equal(m.told, good);
        assert_int_equal(m.batches, (good + LAPSE_CSV_BATCH - 1) / LAPSE_CSV_BATCH);
        if (good)
            assert_int_equal(m.next, good_after(&m, cases[k].rows - 1 - (m.bad_every && (cases[k].rows - 1) % m.bad_every == 0)) + 1);
        end(&r);
    }
}

/* ---- round trip --------------------------------------------------------------------------------------------- */

static int same_row(void *self, const struct lapse_columns *rows, size_t n)
{
    struct lapse_row row;
    assert_int_equal(n, 1);
    lapse_columns_row(rows, 0, lapse_columns_text(rows, LAPSE_F_CUSTOMER, 0), &row);
    assert_int_equal(lapse_row_compare(self, &row, 2), 0);
    return 0;
}

static int no_bad(void *self, const struct lapse_csv_fault *fault)
{
    (void)self;
    fail_msg("column %s: %s", fault->column, fault->rule);
    return 1;
}

static void put_field(struct lapse_buffer *out, const char *text, size_t n)
{
    lapse_buffer_byte(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"')
            lapse_buffer_byte(out, '"');
        lapse_buffer_byte(out, (uint8_t)text[i]);
    }
    lapse_buffer_byte(out, '"');
}

static void test_printed_rows_read_back(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "x", "a,\"b\"\r\n", "\xE2\x82\xAC", " ", "order" };
    static const double values[] = { 0.1, -123456.789, 1e24, 1e-25, 999999999999999.0, 5, 1e15, -7e-10 };
    uint64_t seed = 5;
    struct run r;
    begin(&r);
    lapse_buffer_text(&r.out, "customer");
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        lapse_buffer_text(&r.out, ",");
        lapse_buffer_text(&r.out, lapse_fields[f].name);
    }
    assert_int_equal(open_csv(&r, r.out.data, r.out.size), LAPSE_OK);
    for (int round = 0; round < 2000; round++) {
        struct lapse_row row;
        char hash[32], text[400];
        memset(&row, 0, sizeof row);
        for (size_t i = 0; i < sizeof hash; i++)
            hash[i] = (char)dice(&seed, 256);
        for (int f = 0; f < LAPSE_FIELDS; f++) {
            uint32_t size = (uint32_t)dice(&seed, 3) ? 1000 : 2000000000;
            row.number[f] = dice(&seed, 2) ? (int64_t)dice(&seed, size) : LAPSE_MISSING;
            row.text[f].data = texts[dice(&seed, 6)];
            row.text[f].size = (uint32_t)strlen(row.text[f].data);
        }
        row.number[LAPSE_F_TIME] = INT64_C(1600000000123456) + (int64_t)dice(&seed, 2000000000) * 1000;
        row.number[LAPSE_F_VALUE] = lapse_value_to_bits(values[dice(&seed, 8)]);
        row.number[LAPSE_F_AMOUNT] = round % 7 ? row.number[LAPSE_F_AMOUNT] : INT64_MAX;
        row.number[LAPSE_F_QUANTITY] = round % 11 ? row.number[LAPSE_F_QUANTITY] : INT64_MAX;
        row.name[LAPSE_F_KIND] = (uint8_t)(1 + dice(&seed, LAPSE_KINDS - 1));
        row.name[LAPSE_F_CHANNEL] = (uint8_t)(1 + dice(&seed, 10));
        row.name[LAPSE_F_PURPOSE] = (uint8_t)dice(&seed, 8);
        row.name[LAPSE_F_PLATFORM] = (uint8_t)dice(&seed, 4);
        row.text[LAPSE_F_ENDPOINT] = (struct lapse_text){ hash, dice(&seed, 2) ? 32 : 0 };
        if (row.text[LAPSE_F_REF].size == 0)
            row.text[LAPSE_F_REF] = row.text[LAPSE_F_TOPIC] = (struct lapse_text){ "t", 1 };
        if (row.name[LAPSE_F_KIND] == LAPSE_KIND_PREFERENCE_SET) {
            row.number[LAPSE_F_VALUE] = lapse_value_to_bits(dice(&seed, 2));
            row.text[LAPSE_F_TOPIC] = (struct lapse_text){ "t", 1 };
        }
        r.out.size = 0;
        put_field(&r.out, "c", 1);
        for (int f = 0; f < LAPSE_FIELDS; f++) {
            lapse_buffer_byte(&r.out, ',');
            put_field(&r.out, text, lapse_field_format((enum lapse_field)f, &row, 2, text));
        }
        struct lapse_csv_sink sink = { &row, same_row, NULL, no_bad };
        int64_t rows;
        assert_int_equal(lapse_csv_parse(r.csv, &r.work, r.out.data, r.out.size, 2, &sink, &rows), 0);
        assert_int_equal(rows, 1);
    }
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_printed_rows_read_back),
    };
    return cmocka_run_group_tests_name("event files: rows", tests, NULL, NULL);
}
