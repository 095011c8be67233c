/* lib/base: times, formats and spans as text. Golden values: rulings T1 to T3. */
#include "zones.h"

/* ---- Text ---- */

static void expect_refusal(const struct lapse_zone *z, const char *text, size_t n, const char *word)
{
    const char *rule = "";
    int64_t time = 77;

    if (lapse_instant_parse(text, n, z, &time, &rule))
        fail_msg("'%s' was taken", text);
    if (!strstr(rule, word))
        fail_msg("'%s': the rule '%s' does not say '%s'", text, rule, word);
    assert_int_equal(time, 77);
}

static void expect_refused(const char *text, const char *word)
{
    expect_refusal(UTC, text, strlen(text), word);
}

#define GRAMMAR "a time is YYYY-MM-DD"
#define RANGE   "from 1900-01-01 to 2999-12-31"
#define MISSING "missing time"

static void times_are_read(void **state)
{
    (void)state;
    assert_int_equal(at("2024-03-01"), INT64_C(1709251200000000));
    assert_int_equal(at("2024-03-01T10:15:00"), INT64_C(1709288100000000));
    assert_int_equal(at("2024-03-01 10:15"), INT64_C(1709288100000000));
    assert_int_equal(at("2024-03-01T10:15:00Z"), INT64_C(1709288100000000));
    assert_int_equal(at("2024-03-01T10:15:00.5+01:00"), INT64_C(1709284500500000));
    assert_int_equal(at("2024-03-01 10:15-05:30"), INT64_C(1709307900000000));
    assert_int_equal(at("2024-03-01T10:15:00.000001Z"), INT64_C(1709288100000001));
    assert_int_equal(at("2024-03-01T10:15:00.12"), INT64_C(1709288100120000));
    assert_int_equal(at("@1709288100"), INT64_C(1709288100000000));
    assert_int_equal(at("@1709288100.25"), INT64_C(1709288100250000));
    assert_int_equal(at("@-0.000001"), -1);
    assert_int_equal(at("@-86400.5"), -INT64_C(86400500000));
    assert_int_equal(at("@0000000000000000000000000000000001"), LAPSE_SECOND);
    assert_int_equal(at("1969-12-31T23:59:59.999999"), -1);
    assert_int_equal(at("2024-02-29"), at("2024-02-29T00:00-00:00"));
    assert_int_equal(at("2000-02-29T23:59:59+14:00"), at("2000-02-29T09:59:59Z"));
    assert_int_equal(at("2024-01-01T00:00-14:00"), at("2024-01-01T14:00Z"));
}

static void times_follow_the_grammar(void **state)
{
    static const char *const bad[] = { "",
                                       "2",
                                       "2024",
                                       "2024-03",
                                       "2024-3-1",
                                       "24-03-01",
                                       "2024/03/01",
                                       "20240301",
                                       "2024-03-01T",
                                       "2024-03-01T10",
                                       "2024-03-01T10:1",
                                       "2024-03-01T1015",
                                       "2024-03-01t10:15",
                                       "2024-03-01T10:15z",
                                       "2024-03-01T10:15:0",
                                       "2024-03-01T10:15:",
                                       "2024-03-01T10:15:00+01",
                                       "2024-03-01T10:15:00+0100",
                                       "2024-03-01T10:15:00 Z",
                                       "2024-03-01T10:15:00ZZ",
                                       "2024-03-01T10:15:00Z ",
                                       " 2024-03-01",
                                       "2024-03-01 ",
                                       "2024-03-01  10:15",
                                       "2024-03-01T10:15:00,5",
                                       "2024-03-01T10:15.5",
                                       "01.03.2024",
                                       "03/01/2024 10:15",
                                       "1709288100",
                                       "+2024-03-01",
                                       "-2024-03-01",
                                       "12024-03-01",
                                       "2024-W09-5",
                                       "2024-061",
                                       "2024-03-01T10:15:00+01:00:00",
                                       "2024-03-01T10:15:00+1:00",
                                       "now",
                                       "2024-03-01T1a:15",
                                       "2024-03-01T10:15:0x",
                                       "2024-0a-01",
                                       "2024-03-01T10:15:00*01:00",
                                       "2024-03-01T10:15:00+",
                                       "2024-03-01T10:15:00+01:0x",
                                       "20 4-03-01",
                                       "\xef\xbc\x92-24-03-01" };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_refused(bad[i], GRAMMAR);
    expect_refusal(UTC, "2024-03-01\0Z", 12, GRAMMAR);
    expect_refusal(UTC, "2024-03-01", 9, GRAMMAR);
    expect_refused("2024-03-01Z", "a date alone takes no offset");
    expect_refused("2024-03-01+01:00", "a date alone takes no offset");
    expect_refused("2024-03-01T10:15:00.", "1 to 6 digits");
    expect_refused("2024-03-01T10:15:00.Z", "1 to 6 digits");
    expect_refused("2024-03-01T10:15:00.1234567", "1 to 6 digits");
    expect_refused("2024-03-01T24:00:00", "23:59:59");
    expect_refused("2024-03-01T10:60", "23:59:59");
    expect_refused("2016-12-31T23:59:60Z", "23:59:59");
    expect_refused("2024-03-01T10:15+14:01", "14:00");
    expect_refused("2024-03-01T10:15-15:00", "14:00");
    expect_refused("2024-03-01T10:15+01:60", "14:00");
    expect_refused("2023-02-29", "no such date");
    expect_refused("1900-02-29", "no such date");
    expect_refused("2024-04-31", "no such date");
    expect_refused("2024-13-01", "no such date");
    expect_refused("2024-00-01", "no such date");
    expect_refused("2024-01-00", "no such date");
    expect_refused("2024-01-32T10:15", "no such date");
    expect_refused("@", "@ takes");
    expect_refused("@-", "@ takes");
    expect_refused("@+1", "@ takes");
    expect_refused("@1.", "@ takes");
    expect_refused("@1.1234567", "@ takes");
    expect_refused("@1e9", "@ takes");
    expect_refused("@1709288100Z", "@ takes");
    expect_refused("@.5", "@ takes");
}

static void times_keep_to_their_range(void **state)
{
    (void)state;
    assert_int_equal(at("1900-01-01"), LAPSE_TIME_MIN);
    assert_int_equal(at("2999-12-31T23:59:59.999999"), LAPSE_TIME_MAX);
    assert_int_equal(at("3000-01-01T00:30+01:00"), at("2999-12-31T23:30Z")); /* the offset moves it in */
    assert_int_equal(at("1899-12-31T23:30-01:00"), at("1900-01-01T00:30Z"));
    expect_refused("1900-01-01T00:30+01:00", RANGE); /* and out */
    expect_refused("2999-12-31T23:30-01:00", RANGE);
    expect_refused("1899-12-31", RANGE);
    expect_refused("3000-01-01", RANGE);
    expect_refused("0001-01-01", RANGE);
    expect_refused("0000-01-01", RANGE);
    expect_refused("9999-12-31T23:59:59", RANGE);
    expect_refused("@32503680000", RANGE);
    expect_refused("@-2208988800.000001", RANGE);
    expect_refused("@99999999999999999999999999999999999999999999", RANGE);
    expect_refused("@-99999999999999999999999999999999999999999999", RANGE);
    expect_refused("1970-01-01", MISSING);
    expect_refused("1970-01-01T01:00:00+01:00", MISSING);
    expect_refused("@0", MISSING);
    expect_refused("@-0.000", MISSING);
    assert_int_equal(at("1970-01-01T00:00:00.000001Z"), 1);
}

static int64_t in_zone(const struct lapse_zone *z, const char *text)
{
    const char *rule = "";
    int64_t time = 0;

    if (!lapse_instant_parse(text, strlen(text), z, &time, &rule))
        fail_msg("%s: %s", text, rule);
    return time;
}

static void times_without_offset_are_local(void **state)
{
    static const int64_t start[] = { 0 };
    static const int32_t hour[] = { 3600 };
    struct lapse_zone fixed = { 1, start, hour };

    (void)state;
    assert_int_equal(in_zone(&fixed, "2024-03-01"), at("2024-02-29T23:00Z"));
    assert_int_equal(in_zone(&fixed, "2024-03-01T10:15"), at("2024-03-01T09:15Z"));
    assert_int_equal(in_zone(paris, "2024-07-01T12:00"), at("2024-07-01T10:00Z"));
    assert_int_equal(in_zone(paris, "2024-12-01T12:00"), at("2024-12-01T11:00Z"));
    assert_int_equal(in_zone(paris, "2024-10-27T02:30+01:00"),
                     at("2024-10-27T01:30Z")); /* offsets are absolute */
    assert_int_equal(in_zone(paris, "@1709288100"), at("@1709288100"));
    expect_refusal(paris, "2024-10-27T02:30:00", 19, "twice");
    expect_refusal(paris, "2024-03-31T02:30:00", 19, "skipped");
    assert_int_equal(in_zone(paris, "2024-03-31T03:00"), at("2024-03-31T01:00Z"));
    assert_int_equal(in_zone(paris, "2024-10-27T03:00"), at("2024-10-27T02:00Z"));
    /* A date is the first instant of the day, where there is such a day. */
    assert_int_equal(in_zone(cairo, "2024-04-26"), at("2024-04-25T22:00Z"));
    assert_int_equal(in_zone(havana, "2024-11-03"), at("2024-11-03T04:00Z"));
    expect_refusal(cairo, "2024-04-26T00:00", 16, "skipped");
    expect_refusal(samoa, "2011-12-30", 10, "skipped");
    assert_int_equal(in_zone(samoa, "2011-12-31"), at("2011-12-30T10:00Z"));
    /* Range and the mark of a missing time are about the instant. */
    expect_refusal(&fixed, "1970-01-01T01:00", 16, MISSING);
    expect_refusal(&fixed, "1900-01-01", 10, RANGE);
}

static void times_are_written_in_utc(void **state)
{
    static const struct {
        int64_t time;
        const char *text;
    } golden[] = {
        { 0, "1970-01-01T00:00:00Z" },
        { INT64_C(1709288100000000), "2024-03-01T10:15:00Z" },
        { INT64_C(1709288100500000), "2024-03-01T10:15:00.5Z" },
        { INT64_C(1709288100000001), "2024-03-01T10:15:00.000001Z" },
        { -1, "1969-12-31T23:59:59.999999Z" },
        { LAPSE_TIME_MIN, "1900-01-01T00:00:00Z" },
        { LAPSE_TIME_MAX, "2999-12-31T23:59:59.999999Z" },
        { INT64_C(253402300800000000), "10000-01-01T00:00:00Z" },
        { INT64_MAX, "294247-01-10T04:00:54.775807Z" },
        { INT64_MIN, "-290308-12-21T19:59:05.224192Z" },
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        text[lapse_instant_format(golden[i].time, text)] = '\0';
        assert_string_equal(text, golden[i].text);
    }
    for (int64_t t = LAPSE_TIME_MIN; t <= LAPSE_TIME_MAX; t += INT64_C(3456789012345)) {
        text[lapse_instant_format(t, text)] = '\0';
        assert_int_equal(at(text), t);
    }
}

/* ---- --time-format ---- */

static bool formatted(const char *format, const char *text, const struct lapse_zone *z, int64_t *out,
                      const char **rule)
{
    struct lapse_time_format f;

    if (!lapse_time_format_compile(format, &f, rule))
        fail_msg("%s: %s", format, *rule);
    return lapse_time_format_parse(&f, text, strlen(text), z, out, rule);
}

static void formats_are_read(void **state)
{
    static const char *const golden[][3] = {
        { "%m/%d/%Y %H:%M", "3/1/2024 9:05", "2024-03-01T09:05" },
        { "%m/%d/%Y %H:%M", "12/31/2010 23:59", "2010-12-31T23:59" },
        { "%d.%m.%Y", "01.03.2024", "2024-03-01" },
        { "%d.%m.%y", "1.3.68", "2068-03-01" },
        { "%d.%m.%y", "1.3.69", "1969-03-01" },
        { "%Y%m%d", "20240301", "2024-03-01" },
        { "%d-%b-%Y", "01-MAR-2024", "2024-03-01" },
        { "%d %b %Y %H:%M:%S", "1 sEp 2024 1:2:3", "2024-09-01T01:02:03" },
        { "%Y-%m-%dT%H:%M:%S%z", "2024-03-01T10:15:00.25+0130", "2024-03-01T08:45:00.25" },
        { "%Y-%m-%dT%H:%M:%S%z", "2024-03-01T10:15:00-01:30", "2024-03-01T11:45:00" },
        { "%Y-%m-%d %H:%M %z", "2024-03-01 10:15 Z", "2024-03-01T10:15:00" },
        { "%H:%M:%S.%Y-%m-%d", "10:15:00.2024-03-01", "2024-03-01T10:15:00" },
        { "100%% %Y/%m/%d", "100% 2024/3/01", "2024-03-01" },
        { "le %d/%m/%Y \xc3\xa0 %Hh", "le 1/3/2024 \xc3\xa0 10h", "2024-03-01T10:00" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        const char *rule = "";
        int64_t time = 0;

        if (!formatted(golden[i][0], golden[i][1], UTC, &time, &rule))
            fail_msg("%s as %s: %s", golden[i][1], golden[i][0], rule);
        assert_int_equal(time, at(golden[i][2]));
    }
}

static void formats_refuse(void **state)
{
    static const char *const golden[][3] = {
        { "%m/%d/%Y", "13/1/2024", "no such date" },
        { "%m/%d/%Y", "2/30/2024", "no such date" },
        { "%m/%d/%Y", "001/1/2024", "does not match" },
        { "%m/%d/%Y", "1/1/24", "does not match" },
        { "%m/%d/%Y", "1/1/20245", "does not match" },
        { "%m/%d/%Y", "1/1/2024 ", "does not match" },
        { "%m/%d/%Y", " 1/1/2024", "does not match" },
        { "%m/%d/%Y", "1-1-2024", "does not match" },
        { "%m/%d/%Y", "/1/2024", "does not match" },
        { "%m/%d/%Y", "", "does not match" },
        { "%m/%d/%Y %H:%M", "1/1/2024", "does not match" },
        { "%d %b %Y", "1 Maerz 2024", "does not match" },
        { "%d %b %Y", "1 xyz 2024", "does not match" },
        { "%d %b %Y", "1 ma", "does not match" },
        { "%d.%m.%y", "1.3.4", "does not match" },
        { "%Y-%m-%d %H:%M", "2024-03-01 24:00", "23:59:59" },
        { "%Y-%m-%d %H:%M:%S", "2024-03-01 10:15:60", "23:59:59" },
        { "%Y-%m-%d %H:%M:%S", "2024-03-01 10:15:00.", "1 to 6 digits" },
        { "%Y-%m-%d %H:%M:%S", "2024-03-01 10:15:00.1234567", "1 to 6 digits" },
        { "%Y-%m-%d %H:%M%z", "2024-03-01 10:15+1401", "14:00" },
        { "%Y-%m-%d %H:%M%z", "2024-03-01 10:15+01", "does not match" },
        { "%Y-%m-%d %H:%M%z", "2024-03-01 10:15", "does not match" },
        { "%Y/%m/%d", "1970/01/01", MISSING },
        { "%Y/%m/%d", "9999/12/31", RANGE },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        const char *rule = "";
        int64_t time = 0;

        if (formatted(golden[i][0], golden[i][1], UTC, &time, &rule))
            fail_msg("%s as %s was taken", golden[i][1], golden[i][0]);
        if (!strstr(rule, golden[i][2]))
            fail_msg("%s as %s: the rule '%s' does not say '%s'", golden[i][1], golden[i][0], rule,
                     golden[i][2]);
    }
}

static void formats_use_the_zone(void **state)
{
    const char *rule = "";
    int64_t time = 0;

    (void)state;
    assert_true(formatted("%d.%m.%Y", "26.4.2024", cairo, &time, &rule)); /* first instant of the day */
    assert_int_equal(time, at("2024-04-25T22:00Z"));
    assert_false(formatted("%d.%m.%Y %H:%M", "26.4.2024 0:00", cairo, &time, &rule));
    assert_non_null(strstr(rule, "skipped"));
    assert_false(formatted("%d.%m.%Y %H:%M", "27.10.2024 2:30", paris, &time, &rule));
    assert_non_null(strstr(rule, "twice"));
    assert_true(formatted("%d.%m.%Y %H:%M %z", "27.10.2024 2:30 +0100", paris, &time, &rule));
    assert_int_equal(time, at("2024-10-27T01:30Z"));
}

static void formats_are_compiled(void **state)
{
    static const char *const bad[] = {
        "",         "%Y-%m",       "%m/%d",      "%Y %d",       "%Y %y %m %d",    "%Y-%m-%b-%d",
        "%Y%m%d%d", "%Y-%m-%d %I", "%Y-%m-%d %", "%Y-%m-%d %M", "%Y-%m-%d %H:%S", "%Y-%m-%d %z",
        "%D",       "%s",          "%Y-%-m-%d"
    };
    struct lapse_time_format f;
    char text[200];

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        const char *rule = NULL;

        if (lapse_time_format_compile(bad[i], &f, &rule))
            fail_msg("%s was taken", bad[i]);
        assert_non_null(rule);
    }
    for (size_t n = 120; n < 140; n++) {
        const char *rule = NULL;

        memset(text, 'x', n);
        memcpy(text, "%Y%m%d", 6);
        text[n] = '\0';
        assert_true(lapse_time_format_compile(text, &f, &rule) == (n < sizeof f.text));
    }
    assert_true(lapse_time_format_compile("%Y%m%d%H%z", &f, &(const char *){ NULL }) && f.has_zone);
    assert_true(lapse_time_format_compile("%Y%m%d", &f, &(const char *){ NULL }) && !f.has_zone);
}

/* ---- Spans, and the public functions ---- */

static void spans_are_read_and_written(void **state)
{
    static const struct {
        const char *text;
        int64_t n;
        int32_t unit;
    } golden[] = { { "90d", 90, LAPSE_UNIT_DAY },      { "6m", 6, LAPSE_UNIT_MONTH },
                   { "1y", 1, LAPSE_UNIT_YEAR },       { "1h", 1, LAPSE_UNIT_HOUR },
                   { "30min", 30, LAPSE_UNIT_MINUTE }, { "45s", 45, LAPSE_UNIT_SECOND },
                   { "0d", 0, LAPSE_UNIT_DAY },        { "999999d", 999999, LAPSE_UNIT_DAY } };
    static const char *const bad[] = { "",   "d",   "1",     "1w",       "-1d", "+1d", "1 d", "1.5d",
                                       "1D", "1mi", "1mins", "1000000d", "1d ", " 1d", "1dd" };
    char text[40];
    int64_t n;
    int32_t unit;

    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        assert_true(lapse_span_parse(golden[i].text, strlen(golden[i].text), &n, &unit));
        assert_true(n == golden[i].n && unit == golden[i].unit);
        text[lapse_span_format(n, unit, text)] = '\0';
        assert_string_equal(text, golden[i].text);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(lapse_span_parse(bad[i], strlen(bad[i]), &n, &unit));
}

static void public_functions_say_what_is_wrong(void **state)
{
    lapse_error error = { .size = sizeof error };
    int64_t time = 77;
    char text[40];

    (void)state;
    assert_int_equal(lapse_time_parse("2024-03-01T10:15", 0, NULL, NULL, &time, &error), LAPSE_OK);
    assert_int_equal(time, INT64_C(1709288100000000));
    assert_int_equal(lapse_time_parse("2024-07-01", 3, paris->starts, paris->offsets, &time, NULL), LAPSE_OK);
    assert_int_equal(time, at("2024-06-30T22:00Z"));
    time = 77;
    assert_int_equal(lapse_time_parse("1.3.2024", 0, NULL, NULL, &time, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.status, LAPSE_BAD_INPUT);
    assert_string_equal(error.text, "1.3.2024");
    assert_non_null(strstr(error.rule, GRAMMAR));
    assert_non_null(strstr(error.message, "\"1.3.2024\": a time is"));
    assert_int_equal(lapse_time_parse(NULL, 0, NULL, NULL, &time, &error), LAPSE_INVALID);
    assert_int_equal(lapse_time_parse("2024-03-01", 0, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_time_parse("2024-03-01", -1, paris->starts, paris->offsets, &time, NULL),
                     LAPSE_INVALID);
    assert_int_equal(lapse_time_parse("2024-03-01", 1, NULL, NULL, &time, NULL), LAPSE_INVALID);
    assert_int_equal(time, 77);
    assert_int_equal(lapse_time_format(0, text, 21), LAPSE_OK);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    text[0] = 'x';
    assert_int_equal(lapse_time_format(0, text, 20), LAPSE_INVALID);
    assert_int_equal(lapse_time_format(0, text, -1), LAPSE_INVALID);
    assert_int_equal(lapse_time_format(0, NULL, 32), LAPSE_INVALID);
    assert_int_equal(text[0], 'x');
    assert_int_equal(lapse_time_format(INT64_MIN, text, 32), LAPSE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(times_follow_the_grammar),
        cmocka_unit_test(times_keep_to_their_range),
        cmocka_unit_test(times_without_offset_are_local),
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(formats_are_read),
        cmocka_unit_test(formats_refuse),
        cmocka_unit_test(formats_use_the_zone),
        cmocka_unit_test(formats_are_compiled),
        cmocka_unit_test(spans_are_read_and_written),
        cmocka_unit_test(public_functions_say_what_is_wrong),
    };

    make_zones();
    return cmocka_run_group_tests_name("base: time", tests, NULL, NULL);
}
