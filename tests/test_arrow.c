/* Arrow streams as events: types, exact money, zones, names, options, bad rows, threads. Streams that lie:
 * test_arrow_lies.c; answers as streams: test_arrow_out.c. tests/test_python_frames.py compares with other
 * implementations of the format. */
#include "frames.h"

/* ---- import: types ------------------------------------------------------------------------------------------- */

static void plain_rows_are_events(void **state)
{
    (void)state;
    lapse_store *store = store_new();
    struct maker m = three();
    lapse_counts counts = { .size = sizeof counts };
    assert_int_equal(import(store, &m, 0, NULL, &counts, NULL), LAPSE_OK);
    assert_int_equal(counts.read, 3);
    assert_int_equal(counts.accepted, 3);
    assert_string_equal(events(store), "customer,time,kind\na,1970-01-02T00:00:00Z,order.placed\n"
                                       "b,1970-01-03T00:00:00Z,order.placed\nc,1970-01-04T00:00:00Z,order.placed\n");
    assert_int_equal(import(store, &m, 0, NULL, &counts, NULL), LAPSE_OK); /* the same source again */
    assert_int_equal(counts.duplicate, 3);
    lapse_store_close(store);
}

/* What a column of numbers makes of three rows: as printed, empty where there is none, NULL where it is refused. */
static void numbers_are(const char *name, const struct column *column, const char *a, const char *b, const char *c)
{
    lapse_store *store = store_new();
    struct maker m = with(*column);
    struct told told = { .count = 0 };
    char expected[512];
    const char *numbers[] = { a, b, c };
    m.columns[2].name = name;
    bool any = (a && *a) || (b && *b) || (c && *c); /* else there is no column */
    size_t n = (size_t)snprintf(expected, sizeof expected, "customer,time,kind%s%s\n", any ? "," : "", any ? name : "");
    for (int i = 0; i < 3; i++)
        if (numbers[i])
            n += (size_t)snprintf(expected + n, sizeof expected - n, "%c,1970-01-0%dT00:00:00Z,order.placed%s%s\n",
                                  'a' + i, i + 2, any ? "," : "", numbers[i]);
    assert_int_equal(import(store, &m, LAPSE_IMPORT_SKIP_BAD_ROWS, &told, NULL, NULL), LAPSE_OK);
    assert_string_equal(events(store), expected);
    assert_int_equal(told.count, !a + !b + !c);
    for (int i = 0; i < told.count; i++)
        assert_string_equal(told.column[i], name);
    lapse_store_close(store);
}

static void amounts_are(const struct column *column, const char *a, const char *b, const char *c)
{
    numbers_are("amount", column, a, b, c);
}

static void values_are(const struct column *column, const char *a, const char *b, const char *c)
{
    numbers_are("value", column, a, b, c);
}

static void amounts_of_all_types_are_exact(void **state)
{
    (void)state;
    static const int64_t whole[] = { 12, 0, 92233720368547759 };
    static const uint64_t unsigned_whole[] = { 12, 7, UINT64_MAX };
    static const int8_t small[] = { 5, 127, -1 };
    static const double doubles[] = { 19.99, 0.1 + 0.2, 9999999999999.99 };
    static const double more_doubles[] = { 1e15, NAN, INFINITY };
    static const lapse_int128 fine[] = { 12500, 12505, 99000 };
    static const int32_t offsets[] = { 0, 5, 5, 10 };
    static const int64_t cents[] = { 1999, 1, 0 };
    static const uint8_t first_only[] = { 1 };
    amounts_are(&(struct column){ .format = "l", .values = whole }, "12.00", "0.00", NULL);
    amounts_are(&(struct column){ .format = "L", .values = unsigned_whole }, "12.00", "7.00", NULL);
    amounts_are(&(struct column){ .format = "c", .values = small }, "5.00", "127.00", NULL);
    amounts_are(&(struct column){ .format = "g", .values = doubles }, "19.99", NULL, "9999999999999.99");
    amounts_are(&(struct column){ .format = "g", .values = more_doubles }, NULL, "", NULL);
    amounts_are(&(struct column){ .format = "d:19,3", .values = fine }, "12.50", NULL, "99.00");
    amounts_are(&(struct column){ .format = "d:10,-2,128", .values = fine }, "1250000.00", "1250500.00", "9900000.00");
    amounts_are(&(struct column){ .format = "d:18,2,64", .values = cents }, "19.99", "0.01", "0.00");
    amounts_are(&(struct column){ .format = "u", .values = offsets, .more = "12.50x1.00" }, "12.50", "", NULL);
    amounts_are(&(struct column){ .format = "g", .values = doubles, .validity = first_only, .null_count = 2 }, "19.99",
                "", "");
    amounts_are(&(struct column){ .format = "n", .null_count = 3 }, "", "", "");
}

static void values_and_quantities_of_all_types(void **state)
{
    (void)state;
    static const uint8_t bits[] = { 5 };
    static const float floats[] = { 0.5f, NAN, -3 };
    static const double doubles[] = { 0.1, INFINITY, -0.0 };
    static const double finer[] = { 0.1 + 0.2, 1e15, 123456789012345 };
    static const int64_t whole[] = { 12, INT64_MAX, -7 };
    static const lapse_int128 fine[] = { 12500, 12505, 1 };
    static const int32_t offsets[] = { 0, 4, 4, 7 };
    values_are(&(struct column){ .format = "b", .values = bits }, "1", "0", "1");
    values_are(&(struct column){ .format = "f", .values = floats }, "0.5", "", "-3");
    values_are(&(struct column){ .format = "g", .values = doubles }, "0.1", NULL, "0");
    values_are(&(struct column){ .format = "g", .values = finer }, NULL, "1000000000000000", "123456789012345");
    values_are(&(struct column){ .format = "l", .values = whole }, "12", NULL, "-7");
    values_are(&(struct column){ .format = "d:19,3", .values = fine }, "12.5", "12.505", "0.001");
    values_are(&(struct column){ .format = "d:10,-2", .values = fine }, "1250000", "1250500", "100");
    values_are(&(struct column){ .format = "d:38,30", .values = fine }, NULL, NULL, NULL);
    values_are(&(struct column){ .format = "u", .values = offsets, .more = "0.25one" }, "0.25", "", NULL);
    numbers_are("quantity", &(struct column){ .format = "u", .values = offsets, .more = "0.25one" }, "0.25", "", NULL);
    numbers_are("quantity", &(struct column){ .format = "d:19,3", .values = fine }, "12.5", "12.505", "0.001");
    numbers_are("quantity", &(struct column){ .format = "l", .values = whole }, "12", NULL, NULL);
}

/* A double is taken as the decimal that it is the nearest to; every amount of at most 15 digits comes back. */
static void every_amount_survives_a_double(void **state)
{
    (void)state;
    enum { N = 3 };
    uint64_t seed = 1;
    for (int round = 0; round < 300; round++) {
        lapse_store *store = store_new();
        double doubles[N];
        int64_t minor[N];
        char text[N][40];
        for (int i = 0; i < N; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            minor[i] = (int64_t)(seed >> 14) % INT64_C(1000000000000000);
            doubles[i] = (double)minor[i] / 100;
            snprintf(text[i], sizeof text[i], "%lld.%02lld", (long long)minor[i] / 100, (long long)minor[i] % 100);
        }
        amounts_are(&(struct column){ .format = "g", .values = doubles }, text[0], text[1], text[2]);
        lapse_store_close(store);
    }
}

/* The time of the first row as printed, or the rule that it breaks; `time_format` of the import, or NULL. */
static void time_read_is(const char *format, const void *values, const void *bytes, const char *time_format,
                         const char *expected)
{
    lapse_store_options options;
    lapse_store *store = NULL;
    static const int64_t starts[] = { INT64_C(1698541200000000), INT64_C(1711846800000000), INT64_C(1729990800000000) };
    static const int32_t offsets[] = { 3600, 7200, 3600 };
    struct maker m = three();
    struct told told = { .count = 0 };
    lapse_store_options_init(&options, sizeof options);
    options.zone_count = 3;
    options.zone_starts = starts;
    options.zone_offsets = offsets;
    assert_int_equal(lapse_store_open(NULL, &options, &store, NULL), LAPSE_OK);
    m.rows[0] = 1;
    m.columns[1].format = format;
    m.columns[1].values = values;
    m.columns[1].more = bytes;
    struct ArrowArrayStream stream = stream_of(&m);
    lapse_import_options import_options;
    lapse_import_options_init(&import_options, sizeof import_options);
    import_options.flags = LAPSE_IMPORT_SKIP_BAD_ROWS;
    import_options.on_reject = tell;
    import_options.reject_user = &told;
    import_options.time_format = time_format;
    assert_int_equal(lapse_store_import_arrow(store, &stream, &import_options, NULL, NULL), LAPSE_OK);
    if (told.count)
        assert_string_equal(told.rule[0], expected);
    else
        assert_non_null(strstr(events(store), expected));
    lapse_store_close(store);
}

static void time_is(const char *format, const void *values, const char *expected)
{
    time_read_is(format, values, NULL, NULL, expected);
}

static void text_time_is(const char *text, const char *time_format, const char *expected)
{
    time_read_is("u", (const int32_t[]){ 0, (int32_t)strlen(text) }, text, time_format, expected);
}

static void times_of_all_units(void **state)
{
    (void)state;
    const char *skipped = "the zone of the store skips this time; hand in times with a zone";
    const char *twice = "the zone of the store has this time twice; hand in times with a zone";
    const char *range = "a time is from 1900-01-01 to 2999-12-31";
    time_is("tss:UTC", &(int64_t){ 1709288100 }, "a,2024-03-01T10:15:00Z");
    time_is("tsm:Europe/Paris", &(int64_t){ 1709288100500 }, "a,2024-03-01T10:15:00.5Z");
    time_is("tsn:UTC", &(int64_t){ 1709288100000001000 }, "a,2024-03-01T10:15:00.000001Z");
    time_is("tsn:UTC", &(int64_t){ 1709288100000000001 }, "a time has at most 6 digits after the second");
    time_is("tsu:", &(int64_t){ 1709288100000000 }, "a,2024-03-01T09:15:00Z"); /* one hour east */
    time_is("tss:", &(int64_t){ 1711852200 }, skipped); /* 2024-03-31 02:30 */
    time_is("tss:", &(int64_t){ 1729996200 }, twice);   /* 2024-10-27 02:30 */
    time_is("tdD", &(int32_t){ 19783 }, "a,2024-02-29T23:00:00Z");
    time_is("tdm", &(int64_t){ INT64_C(19783) * 86400000 }, "a,2024-02-29T23:00:00Z");
    time_is("tdD", &(int32_t){ INT32_MAX }, range);
    time_is("tdD", &(int32_t){ INT32_MIN }, range);
    time_is("tss:", &(int64_t){ INT64_MAX }, range);
    time_is("tss:UTC", &(int64_t){ INT64_MIN }, range);
    time_is("tsn:UTC", &(int64_t){ INT64_MIN }, "a time has at most 6 digits after the second");
    lapse_store *plain = store_new(); /* whose zone is UTC */
    struct maker m = three();
    m.columns[1].format = "tsu:";
    assert_int_equal(import(plain, &m, 0, NULL, NULL, NULL), LAPSE_OK);
    assert_non_null(strstr(events(plain), "a,1970-01-02T00:00:00Z,order.placed\nb,1970-01-03T00:00:00Z"));
    lapse_store_close(plain);
    time_is("tsu:UTC", &(int64_t){ 0 }, "1970-01-01T00:00:00Z is the usual mark of a missing time and not taken");
}

static void times_as_texts(void **state)
{
    (void)state;
    text_time_is("2024-03-01T10:15:00Z", NULL, "a,2024-03-01T10:15:00Z");
    text_time_is("2024-03-01 10:15", NULL, "a,2024-03-01T09:15:00Z"); /* one hour east */
    text_time_is("1.3.2024 10:15", "%d.%m.%Y %H:%M", "a,2024-03-01T09:15:00Z");
    text_time_is("", NULL, "a time is required");
    text_time_is("", "%d.%m.%Y", "a time is required");
    text_time_is("3000-01-02T00:00:00Z", NULL, "a time is from 1900-01-01 to 2999-12-31");
    text_time_is("2024-03-01", "%d.%m.%Y", "the time does not match --time-format");
}

static void texts_of_all_types(void **state)
{
    (void)state;
    static const int64_t wide[] = { 0, 1, 2, 3 };
    static const int32_t numbers[] = { 17850, -3, 0 };
    static const uint64_t large[] = { UINT64_MAX, 1, 2 };
    static const uint8_t indices[] = { 2, 0, 2 };
    static const int32_t words[] = { 0, 3, 6, 9 };
    static const struct column dictionary = { .format = "u", .values = words, .more = "oneTwoxyz", .length = 3 };
    struct {
        int32_t size;
        char text[12];
    } views[3] = { { 1, "v" }, { 12, "" }, { 16, "" } };
    static const int32_t there[] = { 0, 0, 3 }; /* first four bytes, buffer, offset */
    memcpy(views[1].text, "twelve bytes", 12);
    memcpy(views[2].text, there, sizeof there);
    const struct {
        struct column column;
        const char *expected[3];
    } all[] = {
        { { .format = "U", .values = wide, .more = "xyz" }, { "x", "y", "z" } },
        { { .format = "u", .values = abc, .more = "abc", .offset = 0 }, { "a", "b", "c" } },
        { { .format = "i", .values = numbers }, { "17850", "-3", "0" } },
        { { .format = "L", .values = large }, { "18446744073709551615", "1", "2" } },
        { { .format = "C", .values = indices, .dictionary = &dictionary }, { "xyz", "one", "xyz" } },
        { { .format = "vu", .values = views, .more = "---sixteen letters" },
          { "v", "twelve bytes", "sixteen letters" } },
    };
    views[2].size = 15;
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        lapse_store *store = store_new();
        struct maker m = with(all[k].column);
        char expected[512];
        m.columns[2].name = "ref";
        assert_int_equal(import(store, &m, 0, NULL, NULL, NULL), LAPSE_OK);
        snprintf(expected, sizeof expected, "customer,time,kind,ref\na,1970-01-02T00:00:00Z,order.placed,%s\n"
                 "b,1970-01-03T00:00:00Z,order.placed,%s\nc,1970-01-04T00:00:00Z,order.placed,%s\n",
                 all[k].expected[0], all[k].expected[1], all[k].expected[2]);
        assert_string_equal(events(store), expected);
        lapse_store_close(store);
    }
}

/* Offsets of the table, of the column, and validity that begins inside of a byte. */
static void move(struct ArrowArray *array)
{
    array->offset = 1;
    array->length = 2;
}

static void slices_are_read_where_they_lie(void **state)
{
    (void)state;
    static const int32_t offsets[] = { 0, 1, 2, 3, 4, 5 };
    static const int64_t times[] = { 9, 8, DAY, 2 * DAY, 3 * DAY };
    lapse_store *store = store_new();
    struct maker m = three();
    m.columns[0] =
        (struct column){ .name = "customer", .format = "u", .values = offsets, .more = "__abc", .offset = 2 };
    m.columns[1] = (struct column){ .name = "time", .format = "tsu:UTC", .values = times, .offset = 2 };
    m.columns[2] = (struct column){ .name = "ref", .format = "u", .values = offsets, .more = "__rst", .offset = 2,
                                    .validity = (const uint8_t *)"\x0c", .null_count = 1 };
    m.count = 3;
    m.damage = move;
    assert_int_equal(import(store, &m, 0, NULL, NULL, NULL), LAPSE_OK);
    assert_string_equal(events(store), "customer,time,kind,ref\nb,1970-01-03T00:00:00Z,order.placed,s\n"
                                       "c,1970-01-04T00:00:00Z,order.placed,\n");
    lapse_store_close(store);
}

static void names_kinds_and_refunds(void **state)
{
    (void)state;
    static const int32_t kinds[] = { 0, 0, 14, 27 }, channels[] = { 0, 5, 5, 8 };
    static const double amounts[] = { 10, -3, -1 };
    lapse_store *store = store_new();
    struct told told = { .count = 0 };
    lapse_counts counts = { .size = sizeof counts };
    struct maker m = with((struct column){ .name = "kind", .format = "u", .values = kinds,
                                           .more = "order.refundedsession.nodot" });
    m.columns[m.count++] = (struct column){ .name = "channel", .format = "u", .values = channels, .more = "emailfax" };
    assert_int_equal(import(store, &m, LAPSE_IMPORT_SKIP_BAD_ROWS, &told, &counts, NULL), LAPSE_OK);
    assert_int_equal(counts.accepted, 2);
    assert_int_equal(counts.rejected, 1);
    assert_int_equal(told.line[0], 2);
    assert_string_equal(told.column[0], "kind");
    assert_string_equal(told.text[0], "session.nodot");
    assert_string_equal(told.rule[0], "the kind is unknown");
    lapse_store_close(store);

    store = store_new();
    m = with((struct column){ .name = "amount", .format = "g", .values = amounts });
    assert_int_equal(import(store, &m, 0, NULL, &counts, NULL), LAPSE_BAD_INPUT);
    assert_int_equal(counts.read, 0);
    assert_int_equal(import(store, &m, LAPSE_IMPORT_NEGATIVE_REFUND, NULL, &counts, NULL), LAPSE_OK);
    assert_string_equal(events(store), "customer,time,kind,amount\na,1970-01-02T00:00:00Z,order.placed,10.00\n"
                                       "b,1970-01-03T00:00:00Z,order.refunded,3.00\n"
                                       "c,1970-01-04T00:00:00Z,order.refunded,1.00\n");
    lapse_store_close(store);
}

static void options_rename_and_say_where(void **state)
{
    (void)state;
    lapse_store *store = store_new();
    struct maker m = with((struct column){ .name = "amount", .format = "c", .values = "\1\2\3" });
    struct ArrowArrayStream stream = stream_of(&m);
    lapse_import_options options;
    lapse_error error = { .size = sizeof error };
    m.columns[0].name = "who";
    lapse_import_options_init(&options, sizeof options);
    assert_int_equal(lapse_store_import_arrow(store, &stream, &options, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, "who"));
    assert_int_equal(error.line, 0);
    options.map = "customer=who";
    options.kind = "session.started";
    options.source = "crm";
    stream = stream_of(&m);
    assert_int_equal(lapse_store_import_arrow(store, &stream, &options, NULL, &error), LAPSE_OK);
    assert_non_null(strstr(events(store), "a,1970-01-02T00:00:00Z,session.started,1.00,crm\n"));
    options.map = "customer=who,amount=amount*amount";
    stream = stream_of(&m);
    assert_int_equal(lapse_store_import_arrow(store, &stream, &options, NULL, &error), LAPSE_INVALID);
    assert_non_null(strstr(error.message, "not multiplied"));
    m = three();
    m.columns[1].values = (const int64_t[]){ DAY, 0, DAY };
    assert_int_equal(import(store, &m, 0, NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.row, 1);
    assert_string_equal(error.column, "time");
    assert_string_equal(error.text, "0");
    lapse_store_close(store);
}

/* Of a row: the column that is to blame, also one that the stream does not have. */
static void bad_rows_say_where(void **state)
{
    (void)state;
    static const int32_t nobody[] = { 0, 1, 1, 2 }, kinds[] = { 0, 0, 15, 15 };
    struct told told = { .count = 0 };
    struct maker m = with((struct column){ .name = "kind", .format = "u", .values = kinds, .more = "consent.granted" });
    lapse_store *store = store_new();
    m.columns[0].values = nobody;
    m.columns[0].more = "ac";
    assert_int_equal(import(store, &m, LAPSE_IMPORT_SKIP_BAD_ROWS, &told, NULL, NULL), LAPSE_OK);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.line[0], 1);
    assert_string_equal(told.column[0], "customer");
    assert_string_equal(told.text[0], "");
    m.columns[0].values = abc;
    m.columns[0].more = "abc";
    told.count = 0;
    assert_int_equal(import(store, &m, LAPSE_IMPORT_SKIP_BAD_ROWS, &told, NULL, NULL), LAPSE_OK);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.column[0], "channel");
    assert_string_equal(told.text[0], "");
    assert_string_equal(told.rule[0], "an event of this kind needs a channel");
    lapse_store_close(store);
}

/* ---- many rows ------------------------------------------------------------------------------------------------ */

enum { MANY = 70000 };

static int32_t count_calls(void *user, int64_t done, int64_t total)
{
    int64_t *calls = user;
    assert_int_equal(total, -1);
    assert_true(done >= 0);
    return ++*calls > calls[1];
}

/* Threads and the way the stream is cut change nothing; bad rows come in the order of rows. */
static void threads_and_cuts_change_nothing(void **state)
{
    (void)state;
    int32_t *customers = malloc(sizeof *customers * MANY);
    int64_t *times = malloc(sizeof *times * MANY);
    struct text *answers = calloc(3, sizeof *answers);
    for (int i = 0; i < MANY; i++) {
        customers[i] = i % 500;
        times[i] = i % 9973 == 9000 ? 0 : INT64_C(1700000000000000) + (int64_t)i * 7919 % 1000 * DAY;
    }
    for (int k = 0; k < 3; k++) {
        lapse_store *store = store_new();
        lapse_view *view = NULL;
        lapse_result *result = NULL;
        struct told told = { .count = 0 };
        struct maker m = { .columns = { { .name = "customer", .format = "i", .values = customers },
                                        { .name = "time", .format = "tsu:UTC", .values = times } }, .count = 2 };
        m.arrays = k == 1 ? 2 : 1;
        m.rows[0] = k == 1 ? 0 : MANY;
        m.rows[1] = MANY;
        lapse_import_options options;
        lapse_counts counts = { .size = sizeof counts };
        lapse_import_options_init(&options, sizeof options);
        options.threads = k == 2 ? 4 : 1;
        options.flags = LAPSE_IMPORT_SKIP_BAD_ROWS;
        options.on_reject = tell;
        options.reject_user = &told;
        struct ArrowArrayStream stream = stream_of(&m);
        assert_int_equal(lapse_store_import_arrow(store, &stream, &options, &counts, NULL), LAPSE_OK);
        assert_int_equal(counts.read, MANY);
        assert_int_equal(told.count, 7);
        for (int i = 0; i < told.count; i++)
            assert_int_equal(told.line[i], 9973 * i + 9000);
        assert_int_equal(m.live, 0);
        assert_int_equal(lapse_view_open(store, INT64_C(1800000000000000), &view, NULL), LAPSE_OK);
        assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
        assert_int_equal(lapse_result_write_csv(result, add, &answers[k], NULL), LAPSE_OK);
        assert_string_equal(answers[0].data, answers[k].data);
        lapse_result_free(result);
        lapse_view_close(view);

        int64_t calls[2] = { 0, 1 };
        options.on_reject = NULL;
        options.on_progress = count_calls;
        options.progress_user = calls;
        options.source = "other";
        stream = stream_of(&m);
        assert_int_equal(lapse_store_import_arrow(store, &stream, &options, &counts, NULL), LAPSE_CANCELLED);
        assert_int_equal(counts.read, 0);
        assert_int_equal(m.live, 0);
        lapse_store_close(store);
    }
    free(customers);
    free(times);
    free(answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_rows_are_events),
        cmocka_unit_test(amounts_of_all_types_are_exact),
        cmocka_unit_test(values_and_quantities_of_all_types),
        cmocka_unit_test(every_amount_survives_a_double),
        cmocka_unit_test(times_of_all_units),
        cmocka_unit_test(times_as_texts),
        cmocka_unit_test(texts_of_all_types),
        cmocka_unit_test(slices_are_read_where_they_lie),
        cmocka_unit_test(names_kinds_and_refunds),
        cmocka_unit_test(options_rename_and_say_where),
        cmocka_unit_test(bad_rows_say_where),
        cmocka_unit_test(threads_and_cuts_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
