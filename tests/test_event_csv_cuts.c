/* Event files: where they are cut changes no record, any bytes are harmless, and each allocation may fail. */
#include "csv_run.h"

/* ---- where records end ------------------------------------------------------------------------------------- */

static size_t random_text(uint64_t *seed, char *out, size_t most)
{
    static const char *const parts[] = { "\"",
                                         "\"",
                                         "\n",
                                         "\n",
                                         ",",
                                         ",",
                                         "\r\n",
                                         "\r",
                                         "a",
                                         "b,2024-03-01\n",
                                         "\"\"",
                                         "\"c\nd\",2024-03-01\n",
                                         ",\"",
                                         "\",",
                                         "2024-03-01",
                                         "\"\n",
                                         "a long field without anything special in it, and more",
                                         "\xC3\xA9" };
    size_t n = 0, want = dice(seed, (uint32_t)most);
    while (n < want) {
        const char *part = parts[dice(seed, sizeof parts / sizeof parts[0])];
        size_t size = strlen(part);
        if (n + size > most)
            break;
        memcpy(out + n, part, size);
        n += size;
    }
    return n;
}

/* Ends of records, byte by byte: a quote opens as the first byte of a field only. */
static size_t naive_split(const char *text, size_t n, bool last, bool *unclosed)
{
    size_t whole = 0;
    bool quoted = false, first = true;
    for (size_t i = 0; i < n; i++) {
        bool was_first = first;
        first = false;
        if (quoted) {
            if (text[i] == '"' && i + 1 < n && text[i + 1] == '"')
                i++;
            else if (text[i] == '"')
                quoted = false;
        } else if (text[i] == '"' && was_first) {
            quoted = true;
        } else if (text[i] == '\n') {
            whole = i + 1;
            first = true;
        } else {
            first = text[i] == ',';
        }
    }
    *unclosed = quoted;
    return last && !quoted ? n : whole;
}

static void test_line_feeds_are_counted(void **state)
{
    (void)state;
    char text[9000];
    memset(text, '\n', sizeof text);
    for (size_t n = 0; n < sizeof text; n += 37)
        assert_int_equal(lapse_csv_lines(text + n % 5, n - n % 5), n - n % 5);
}

static void test_cuts_never_change_records(void **state)
{
    (void)state;
    uint64_t seed = 20240301;
    for (int round = 0; round < 3000; round++) {
        char text[700];
        struct run whole, parts;
        bool open, naive_open;
        size_t n = random_text(&seed, text, sizeof text);
        for (int last = 0; last <= 1; last++) {
            assert_int_equal(lapse_csv_split(',', text, n, last, &open),
                             naive_split(text, n, last, &naive_open));
            assert_int_equal(open, naive_open);
        }
        int64_t lines = 0;
        for (size_t i = 0; i < n; i++)
            lines += text[i] == '\n';
        assert_int_equal(lapse_csv_lines(text, n), lines);

        begin(&whole);
        open_good(&whole, "customer,time");
        assert_int_equal(parse(&whole, text, n, 2), 0);
        begin(&parts);
        open_good(&parts, "customer,time");
        size_t at = 0, size = 1 + dice(&seed, 100);
        int64_t line = 2;
        while (at < n) { /* as a reader does: a part that holds no whole record grows */
            size_t part = size < n - at ? size : n - at;
            char *copy = malloc(part); /* its own memory, so that reading beyond it is found */
            assert_non_null(copy);
            memcpy(copy, text + at, part);
            size_t take = lapse_csv_split(',', copy, part, at + part == n, &open);
            if (take == 0 && at + part == n)
                take = part; /* a quote that is never closed */
            assert_int_equal(parse(&parts, copy, take, line), 0);
            line += lapse_csv_lines(copy, take);
            free(copy);
            at += take;
            size = take > 0 ? 1 + dice(&seed, 100) : size * 2;
        }
        assert_int_equal(whole.rows, parts.rows);
        assert_int_equal(whole.rows, whole.good + whole.bad);
        sort_out(&whole);
        sort_out(&parts);
        assert_int_equal(whole.out.size, parts.out.size);
        if (whole.out.size > 0)
            assert_memory_equal(whole.out.data, parts.out.data, whole.out.size);
        assert_string_equal(whole.rule, parts.rule);
        end(&whole);
        end(&parts);
    }
}

static void test_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = 99;
    for (int round = 0; round < 2000; round++) {
        char text[300];
        size_t n = dice(&seed, sizeof text);
        for (size_t i = 0; i < n; i++)
            text[i] = dice(&seed, 3) ? "\",\n\r"[dice(&seed, 4)] : (char)dice(&seed, 256);
        struct run r;
        begin(&r);
        open_good(&r, "customer,time");
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_int_equal(parse(&r, copy, n, 2), 0);
        assert_int_equal(r.rows, r.good + r.bad);
        lapse_csv_close(r.csv);
        if (open_csv(&r, copy, n) == LAPSE_OK) /* as a header it is hardly ever good, but never harmful */
            assert_non_null(r.csv);
        free(copy);
        end(&r);
    }
}

/* ---- no memory ---------------------------------------------------------------------------------------------- */

static void test_no_memory(void **state)
{
    (void)state;
    static const char header[] = "customer,time,q,p", text[] = "\"a\"\"b\",2024-03-01,2,3\n";
    bool passed = false;
    for (int fail_at = 1; fail_at <= 50 && !passed; fail_at++) {
        struct heap heap = { .fail_at = fail_at, .for_good = true };
        struct run r;
        begin(&r);
        r.mem = heap_hooks(&heap);
        r.options.map = "amount=q*p";
        lapse_status status = open_csv(&r, header, strlen(header));
        if (status == LAPSE_OK) {
            struct lapse_csv_sink sink = { &r, take_rows, take_row, take_bad };
            struct lapse_allocator plain;
            assert_int_equal(lapse_mem_init(&plain, NULL, NULL), LAPSE_OK);
            r.out.mem = r.lines.mem = &plain;
            int64_t rows;
            int stopped = lapse_csv_parse(r.csv, &r.work, text, strlen(text), 2, &sink, &rows);
            assert_true(stopped == 0 || (stopped == LAPSE_NO_MEMORY && r.work.failed));
            passed = stopped == 0;
            lapse_buffer_free(&r.out);
            lapse_buffer_free(&r.lines);
        } else {
            assert_int_equal(status, LAPSE_NO_MEMORY);
            assert_null(r.csv);
        }
        end(&r);
        assert_int_equal(heap.live, 0);
    }
    assert_true(passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_feeds_are_counted),
        cmocka_unit_test(test_cuts_never_change_records),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("event files: cuts", tests, NULL, NULL);
}
