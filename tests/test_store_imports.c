/* What imports and appends refuse, and where they have their limits: options, inputs that cannot be read, giant
 * rows, callbacks that cancel; many sources, runs and ids. */
#define _POSIX_C_SOURCE 200809L

#include "refusals.h"

static void import_options_are_checked(void **state)
{
    (void)state;
    char long_source[257];
    memset(long_source, 's', 256);
    long_source[256] = 0;
    lapse_store *store = opened(NULL, 0);
    lapse_import_options d, o;
    lapse_error error = { .size = sizeof error };
    lapse_counts counts = { .size = 4 };
    const char *text = "customer,time\na,2024-01-01\n";
    assert_int_equal(lapse_import_options_init(&d, sizeof d), LAPSE_OK);
    assert_int_equal(lapse_import_options_init(&d, 4), LAPSE_INVALID);
    struct {
        const char *says;
        lapse_import_options o;
    } cases[24];
    size_t n = 0;
#define BAD(text, change) cases[n].says = text, cases[n].o = d, cases[n].o.change, n++
    BAD("flags", flags = 32);
    BAD("threads", threads = 0);
    BAD("threads", threads = 65);
    BAD("delimiter", delimiter = 0);
    BAD("delimiter", delimiter = 128);
    BAD("delimiter", delimiter = '"');
    BAD("delimiter", delimiter = '\r');
    BAD("delimiter", delimiter = '\n');
    BAD("source", source = long_source);
    BAD("source", source = "\xff");
    BAD("lapse_import_options", size = 4);
    BAD("kind", kind = "no.such");
    BAD("map", map = "no such");
    BAD("", time_format = "%Q");
#undef BAD
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(import_text(store, text, &cases[i].o, NULL, &error), LAPSE_INVALID);
        if (!strstr(error.message, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].says);
        check_export(store, nothing);
    }
    assert_int_equal(import_text(store, text, NULL, &counts, NULL), LAPSE_INVALID);
    counts.size = 5000;
    assert_int_equal(import_text(store, text, NULL, &counts, NULL), LAPSE_INVALID);
    check_export(store, nothing); /* before anything is done */
    o = d;
    o.source = long_source + 1;
    o.threads = 64;
    struct {
        lapse_counts ours;
        int64_t more;
    } newer = { .ours = { .size = sizeof newer }, .more = 7 };
    assert_int_equal(import_text(store, text, &o, &newer.ours, NULL), LAPSE_OK);
    assert_int_equal(newer.ours.accepted, 1);
    assert_int_equal(newer.ours.size, sizeof newer);
    assert_int_equal(newer.more, 0); /* what we do not know of is 0 */
    lapse_store_close(store);
}

/* A stream that ends otherwise: -1 is a failure, above 0 more than there is room for. */
struct wrong_end {
    struct stream stream;
    int ending;
};

static int64_t give_and_end(void *user, char *buffer, int64_t capacity)
{
    struct wrong_end *w = user;
    if (w->stream.left == 0)
        return w->ending > 0 ? capacity + w->ending : w->ending;
    return give(&w->stream, buffer, capacity);
}

static void inputs_that_cannot_be_read(void **state)
{
    (void)state;
    lapse_store *store = opened(NULL, 0);
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_store_import_file(store, "/no/such/file.csv", NULL, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "no such file"));
    assert_int_equal(lapse_store_import_file(store, folder, NULL, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "directory"));
    assert_int_equal(lapse_store_import_file(store, "/dev/null/x", NULL, NULL, &error), LAPSE_IO);
    assert_int_equal(lapse_store_import_file(store, "/dev/null", NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, "no header"));
    static const char *const headless[] = { "", "\n", "\r\n", "\xef\xbb\xbf", "\xef\xbb\xbf\n", "\ncustomer,time\n" };
    for (size_t i = 0; i < sizeof headless / sizeof *headless; i++) {
        assert_int_equal(import_text(store, headless[i], NULL, NULL, &error), LAPSE_BAD_INPUT);
        assert_non_null(strstr(error.message, "no header"));
    }
    const char good[] = "customer,time\na,2024-01-01\n";
    struct wrong_end fails = { { good, sizeof good - 1 }, -1 }, wild = { { good, sizeof good - 1 }, 1 };
    assert_int_equal(lapse_store_import_stream(store, give_and_end, &fails, NULL, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "input"));
    assert_int_equal(lapse_store_import_stream(store, give_and_end, &wild, NULL, NULL, NULL), LAPSE_IO);
    assert_int_equal(import_text(store, "", NULL, NULL, NULL), LAPSE_BAD_INPUT);
    assert_int_equal(import_text(store, "\xef\xbb\xbf", NULL, NULL, NULL), LAPSE_BAD_INPUT);
    assert_int_equal(import_text(store, "customer,time\na,\"2024-01-01\n", NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.rule, "never closed"));
    assert_int_equal(error.line, 2);
    assert_int_equal(import_text(store, "\"customer,time\n", NULL, NULL, &error), LAPSE_BAD_INPUT);
    check_export(store, nothing);
    /* What was found is told as it stands, and the input by the name it was given. */
    lapse_import_options named;
    lapse_import_options_init(&named, sizeof named);
    named.name = "the \xc2\xa3 file";
    FILE *f = fopen(text_path, "w");
    fputs("customer,time,amount\na,2024-01-01,\xc2\xa3" "5\n", f);
    fclose(f);
    assert_int_equal(lapse_store_import_file(store, text_path, &named, NULL, &error), LAPSE_BAD_INPUT);
    assert_string_equal(error.text, "\xc2\xa3" "5");
    assert_non_null(strstr(error.message, "the \xc2\xa3 file"));
    assert_int_equal(lapse_store_import_file(store, text_path, NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, text_path));
    check_export(store, nothing);
    /* A header over two lines, after a byte-order mark. */
    lapse_import_options o;
    lapse_import_options_init(&o, sizeof o);
    o.flags = LAPSE_IMPORT_IGNORE_UNKNOWN;
    assert_int_equal(import_text(store, "\xef\xbb\xbf" "customer,\"odd\nname\",time\r\na,\"x\ny\",2024-01-01\r\nb,2,3\r\n",
                                 &o, NULL, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.line, 5);
    assert_int_equal(import_text(store, "\xef\xbb\xbf" "customer,\"odd\nname\",time\r\na,\"x\ny\",2024-01-01\r\n", &o, NULL,
                                 NULL), LAPSE_OK);
    lapse_store_close(store);
}

/* Rows longer than a chunk: up to 16 MiB they are rows like others. */
static void giant_rows(void **state)
{
    (void)state;
    enum { MOST = 17 << 20 };
    const char head[] = "customer,time,more\na,2024-01-01,";
    lapse_store *store = opened(NULL, 0);
    lapse_error error = { .size = sizeof error };
    lapse_import_options o;
    lapse_import_options_init(&o, sizeof o);
    o.flags = LAPSE_IMPORT_IGNORE_UNKNOWN;
    char *text = malloc(MOST + 1);
    assert_non_null(text);
    memset(text, 'x', MOST);
    text[MOST] = 0;
    memcpy(text, head, sizeof head - 1);
    assert_int_equal(import_text(store, text, &o, NULL, &error), LAPSE_BAD_INPUT);
    assert_string_equal(error.rule, "a row is at most 16 MiB long");
    assert_int_equal(error.line, 2);
    text[sizeof head - 1] = '"';
    assert_int_equal(import_text(store, text, &o, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.rule, "never closed"));
    check_export(store, nothing);
    text[6 << 20] = 0;
    strcpy(text + (5 << 20), "\"\nb,2024-01-02,\n");
    lapse_counts counts = { .size = sizeof counts };
    assert_int_equal(import_text(store, text, &o, &counts, NULL), LAPSE_OK);
    assert_int_equal(counts.accepted, 2);
    /* What is left over from one giant is more than a chunk of the next. */
    memset(text, 'x', MOST);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + (5 << 20), "\nb,2024-01-02,", 14);
    strcpy(text + (10 << 20), "\nc,2024-01-03,\n");
    assert_int_equal(import_text(store, text, &o, &counts, NULL), LAPSE_OK);
    assert_int_equal(counts.accepted, 1);
    assert_int_equal(counts.duplicate, 2);
    free(text);
    lapse_store_close(store);
}

struct rejects {
    int seen, stop_at;
    int32_t last_outcome;
    int64_t last_line, last_size;
};

static int32_t see(void *user, const lapse_reject *r)
{
    struct rejects *j = user;
    j->last_outcome = r->outcome;
    j->last_line = r->line;
    j->last_size = r->row_size;
    return ++j->seen == j->stop_at;
}

/* A callback that cancels, at each of its calls: two bad rows, then three conflicts. */
static void rejects_may_cancel(void **state)
{
    (void)state;
    const char *text = "customer,time,amount,event_id\na,2024-01-01,1,1\nb,2024-01-01,2,1\nc,bad,3,2\nd,2024-01-01,-4,3\n"
                       "e,2024-01-01,5,1\nf,2024-01-01,6,1\n";
    for (int from_file = 0; from_file < 2; from_file++) {
        FILE *f = fopen(text_path, "w");
        fputs(text, f);
        fclose(f);
        lapse_store *store = opened(NULL, 0);
        for (int stop_at = 1; stop_at <= 6; stop_at++) {
            struct rejects j = { .stop_at = stop_at };
            lapse_import_options o;
            lapse_counts counts = { .size = sizeof counts };
            lapse_import_options_init(&o, sizeof o);
            o.flags = LAPSE_IMPORT_SKIP_BAD_ROWS;
            o.source = "x";
            o.on_reject = see;
            o.reject_user = &j;
            lapse_status status = from_file ? lapse_store_import_file(store, text_path, &o, &counts, NULL)
                                            : import_text(store, text, &o, &counts, NULL);
            if (stop_at <= 5) {
                assert_int_equal(status, LAPSE_CANCELLED);
                assert_int_equal(j.seen, stop_at);
                assert_int_equal(counts.accepted, 0);
                check_export(store, nothing);
                continue;
            }
            assert_int_equal(status, LAPSE_OK);
            assert_int_equal(j.seen, 5);
            assert_int_equal(j.last_outcome, LAPSE_ROW_CONFLICT);
            assert_int_equal(j.last_line, 7);
            assert_int_equal(j.last_size, from_file ? strlen("f,2024-01-01,6,1") : 0); /* a stream is read once */
            assert_int_equal(counts.accepted, 1);
            assert_int_equal(counts.conflict, 3);
            assert_int_equal(counts.rejected, 2);
        }
        lapse_store_close(store);
    }
}

static void appends_are_checked(void **state)
{
    (void)state;
    static const int64_t offsets_of[] = { 0, 1, 2, 3 };
    static const int64_t times[] = { 1000000, 1000000, 0 };
    char long_source[257];
    memset(long_source, 's', 256);
    long_source[256] = 0;
    lapse_store *store = opened(NULL, 0);
    lapse_append_options d, o;
    lapse_error error = { .size = sizeof error };
    lapse_batch b = { .size = sizeof b, .rows = 2, .customer = "abc", .customer_offsets = offsets_of, .time = times,
                      .event_id = "112", .event_id_offsets = offsets_of };
    assert_int_equal(lapse_append_options_init(&d, sizeof d), LAPSE_OK);
    assert_int_equal(lapse_append_options_init(&d, 4), LAPSE_INVALID);
    o = d;
    o.flags = LAPSE_IMPORT_IGNORE_UNKNOWN;
    assert_int_equal(lapse_store_append(store, &b, &o, NULL, NULL), LAPSE_INVALID);
    o = d;
    o.source = long_source;
    assert_int_equal(lapse_store_append(store, &b, &o, NULL, &error), LAPSE_INVALID);
    assert_non_null(strstr(error.message, "source"));
    o.source = "\xc0\x80";
    assert_int_equal(lapse_store_append(store, &b, &o, NULL, NULL), LAPSE_INVALID);
    o = d;
    o.size = 4;
    assert_int_equal(lapse_store_append(store, &b, &o, NULL, NULL), LAPSE_INVALID);
    lapse_counts counts = { .size = 4 };
    assert_int_equal(lapse_store_append(store, &b, NULL, &counts, NULL), LAPSE_INVALID);
    check_export(store, nothing);
    b.rows = 0;
    assert_int_equal(lapse_store_append(store, &b, NULL, NULL, NULL), LAPSE_OK);
    check_export(store, nothing);
    b.rows = 3; /* a good row, a conflict, a bad one */
    assert_int_equal(lapse_store_append(store, &b, NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.row, 2);
    assert_string_equal(error.column, "time");
    check_export(store, nothing);
    for (int stop_at = 1; stop_at <= 3; stop_at++) {
        struct rejects j = { .stop_at = stop_at };
        int32_t outcomes[3];
        o = d;
        o.flags = LAPSE_IMPORT_SKIP_BAD_ROWS;
        o.source = long_source + 1;
        o.on_reject = see;
        o.reject_user = &j;
        o.outcomes = stop_at == 1 ? NULL : outcomes;
        counts.size = sizeof counts;
        lapse_status status = lapse_store_append(store, &b, &o, &counts, NULL);
        assert_int_equal(j.seen, stop_at < 3 ? stop_at : 2);
        if (stop_at < 3) {
            assert_int_equal(status, LAPSE_CANCELLED);
            assert_int_equal(counts.read, 0);
            check_export(store, nothing);
            continue;
        }
        assert_int_equal(status, LAPSE_OK);
        assert_int_equal(j.last_outcome, LAPSE_ROW_CONFLICT);
        assert_int_equal(j.last_line, 1);
        const int32_t expected[] = { LAPSE_ROW_ACCEPTED, LAPSE_ROW_CONFLICT, LAPSE_ROW_REJECTED };
        assert_memory_equal(outcomes, expected, sizeof expected);
        assert_int_equal(counts.accepted, 1);
    }
    lapse_store_close(store);
}

/* More sources than a run lists: content is looked for all the same. */
static void many_sources(void **state)
{
    (void)state;
    char text[8000] = "customer,time,source\n";
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), 60, "c%d,2024-01-01,source%d\n", i % 7, i);
    lapse_store *store = opened(NULL, 0);
    lapse_counts counts = { .size = sizeof counts };
    for (int round = 0; round < 3; round++) {
        assert_int_equal(import_text(store, text, NULL, &counts, NULL), LAPSE_OK);
        assert_int_equal(counts.accepted, round ? 0 : 100);
        assert_int_equal(counts.duplicate, round ? 100 : 0);
    }
    assert_int_equal(import_text(store, "customer,time,source\nc1,2024-01-01,source99\nc1,2024-01-01,other\n", NULL,
                                 &counts, NULL), LAPSE_OK);
    assert_int_equal(counts.duplicate, 1 - (99 % 7 != 1));
    lapse_store_close(store);
}

/* As little memory as may be, with as many threads and with one, so that it is used up again and again in the midst of the
 * input: many small runs, which make the store that one run makes. */
static void many_runs(void **state)
{
    enum { ROWS = 310000 };
    struct text exports[3];
    char *text = malloc((size_t)ROWS * 140 + 100);
    assert_non_null(text);
    size_t n = (size_t)sprintf(text, "customer,time,amount,ref\n");
    (void)state;
    for (int i = 0; i < ROWS; i++)
        n += (size_t)sprintf(text + n, "c%03d,@%d,%d,%0100d\n", i % 997 * 7919 % 997, 1000 + i % 65537 * 31 % 65537, i % 100, i);
    for (int way = 0; way < 3; way++) {
        lapse_store *store;
        lapse_store_options so;
        lapse_import_options o;
        lapse_counts counts = { .size = sizeof counts };
        lapse_store_options_init(&so, sizeof so);
        lapse_import_options_init(&o, sizeof o);
        so.memory_limit = way ? 16 << 20 : 1 << 30;
        o.threads = way == 1 ? 64 : 1;
        assert_int_equal(lapse_store_open(NULL, &so, &store, NULL), LAPSE_OK);
        for (int round = 0; round < 2; round++) { /* the second time nothing is new */
            assert_int_equal(import_text(store, text, &o, &counts, NULL), LAPSE_OK);
            assert_int_equal(counts.accepted, round ? 0 : ROWS);
        }
        assert_int_equal(export_to(store, &exports[way]), LAPSE_OK);
        lapse_store_close(store);
    }
    assert_true(exports[0].size > (size_t)ROWS * 130);
    for (int way = 1; way < 3; way++)
        assert_true(exports[0].size == exports[way].size && memcmp(exports[0].data, exports[way].data, exports[0].size) == 0);
    for (int way = 0; way < 3; way++)
        free(exports[way].data);
    free(text);
}

/* More customers in one stage than it first had room for: each is one, has her rows, and nobody else's. */
static void many_customers(void **state)
{
    (void)state;
    enum { ROWS = 31000, CUSTOMERS = 29000 }; /* few enough rows for a stage of one part */
    char *customers = malloc(ROWS * 8 + 1);
    int64_t *offsets = malloc((ROWS + 1) * sizeof *offsets), *times = malloc(ROWS * sizeof *times);
    struct text out = { 0 };
    lapse_view *view;
    lapse_result *result;
    lapse_store *store = opened(NULL, 0);
    for (int i = 0; i < ROWS; i++) {
        sprintf(customers + 6 * i, "c%05d", (int)((int64_t)i % CUSTOMERS * 7919 % CUSTOMERS));
        offsets[i] = 6 * i;
        times[i] = (1 + i / CUSTOMERS) * LAPSE_DAY;
    }
    offsets[ROWS] = 6 * ROWS;
    lapse_batch batch = { .size = sizeof batch, .rows = ROWS, .customer = customers, .customer_offsets = offsets,
                          .time = times };
    assert_int_equal(lapse_store_append(store, &batch, NULL, NULL, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_write_csv(result, put_bytes, &out, NULL), LAPSE_OK);
    bool again[CUSTOMERS] = { false };
    for (int i = CUSTOMERS; i < ROWS; i++)
        again[atoi(customers + 6 * i + 1)] = true;
    const char *line = strchr(out.data, '\n') + 1;
    for (int c = 0; c < CUSTOMERS; c++)
        for (int day = 2; day <= 2 + again[c]; day++, line = strchr(line, '\n') + 1) {
            char expected[60];
            int n = snprintf(expected, sizeof expected, "c%05d,1970-01-%02dT00:00:00Z,order.placed", c, day);
            if (strncmp(line, expected, (size_t)n) != 0)
                fail_msg("%.60s is not %s", line, expected);
        }
    assert_int_equal(*line, 0);
    free(out.data);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store_close(store);
    free(customers);
    free(offsets);
    free(times);
}

/* So many ids that their fingerprints are judged in slices. */
static void many_ids(void **state)
{
    enum { ROWS = 200000 };
    static char text[ROWS * 40 + 100];
    lapse_store *store;
    lapse_store_options so;
    lapse_store_options_init(&so, sizeof so);
    so.memory_limit = 16 << 20;
    assert_int_equal(lapse_store_open(NULL, &so, &store, NULL), LAPSE_OK);
    (void)state;
    for (int round = 0; round < 3; round++) { /* new; the same; one in seven otherwise, and one in eight new */
        lapse_counts counts = { .size = sizeof counts };
        size_t n = (size_t)sprintf(text, "customer,time,amount,event_id\n");
        int64_t other = 0, fresh = 0;
        for (int i = 0; i < ROWS; i++) {
            bool differs = round == 2 && i % 7 == 0, is_new = round == 2 && i % 8 == 0;
            n += (size_t)sprintf(text + n, "c%d,2024-01-01,%d,%s%d\n", i % 1000, i % 100 + differs, is_new ? "n" : "", i);
            fresh += is_new;
            other += differs && !is_new;
        }
        assert_int_equal(import_text(store, text, NULL, &counts, NULL), LAPSE_OK);
        assert_int_equal(counts.accepted, round == 0 ? ROWS : fresh);
        assert_int_equal(counts.conflict, other);
        assert_int_equal(counts.duplicate, round == 0 ? 0 : ROWS - fresh - other);
    }
    lapse_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(import_options_are_checked),
        cmocka_unit_test(inputs_that_cannot_be_read),
        cmocka_unit_test(giant_rows),
        cmocka_unit_test(rejects_may_cancel),
        cmocka_unit_test(appends_are_checked),
        cmocka_unit_test(many_sources),
        cmocka_unit_test(many_runs),
        cmocka_unit_test(many_customers),
        cmocka_unit_test(many_ids),
    };
    return cmocka_run_group_tests_name("store_imports", tests, make_folder, remove_folder);
}
