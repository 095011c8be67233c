/* lib/base: calendar, zones, times as text. Golden values: rulings T1 to T3, T7 and T8, semantics 4.4 (months),
 * the IANA time zone database for the transitions quoted. The calendar is checked against a walk day by day,
 * zones against a search through all instants near by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/quick.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define UTC      (&lapse_zone_utc)

/* An instant, from text that the test writes in UTC. */
static int64_t at(const char *text)
{
    const char *rule = "";
    int64_t time = 0;

    if (!lapse_instant_parse(text, strlen(text), UTC, &time, &rule))
        fail_msg("%s: %s", text, rule);
    return time;
}

/* Zones are made of (instant, seconds east); filled in main(), because instants are parsed. */
struct any_zone {
    int64_t starts[8];
    int32_t offsets[8];
    struct lapse_zone zone;
};

static struct lapse_zone *make(struct any_zone *z, int32_t count, const char *const *starts,
                               const int32_t *offsets)
{
    for (int32_t i = 0; i < count; i++) {
        z->starts[i] = i ? at(starts[i]) : INT64_MIN;
        z->offsets[i] = offsets[i];
    }
    z->zone = (struct lapse_zone){ count, z->starts, z->offsets };
    assert_true(lapse_zone_valid(&z->zone));
    return &z->zone;
}

static struct any_zone paris_data, samoa_data, cairo_data, havana_data, newfoundland_data;
static struct lapse_zone *paris, *samoa, *cairo, *havana, *newfoundland;

static void make_zones(void)
{
    /* Europe/Paris, 2024: 02:00 -> 03:00 on 31 March, 03:00 -> 02:00 on 27 October. */
    paris = make(&paris_data, 3, (const char *const[]){ NULL, "2024-03-31T01:00Z", "2024-10-27T01:00Z" },
                 (const int32_t[]){ 3600, 7200, 3600 });
    /* Pacific/Apia: at the end of 29 December 2011 from -10:00 to +14:00; there was no 30 December. */
    samoa = make(&samoa_data, 2, (const char *const[]){ NULL, "2011-12-30T10:00Z" },
                 (const int32_t[]){ -36000, 50400 });
    /* Africa/Cairo, 2024: 00:00 -> 01:00 on 26 April; 00:00 on 1 November -> 23:00 on 31 October. */
    cairo = make(&cairo_data, 3, (const char *const[]){ NULL, "2024-04-25T22:00Z", "2024-10-31T21:00Z" },
                 (const int32_t[]){ 7200, 10800, 7200 });
    /* America/Havana, 2024: 00:00 -> 01:00 on 10 March, 01:00 -> 00:00 on 3 November: midnight twice. */
    havana = make(&havana_data, 3, (const char *const[]){ NULL, "2024-03-10T05:00Z", "2024-11-03T05:00Z" },
                  (const int32_t[]){ -18000, -14400, -18000 });
    /* America/St_Johns, 2010: 00:01 on 7 November -> 23:01 on 6 November: the day began, and went back. */
    newfoundland = make(&newfoundland_data, 2, (const char *const[]){ NULL, "2010-11-07T02:31Z" },
                        (const int32_t[]){ -9000, -12600 });
}

/* ---- Calendar ---- */

static void calendar_equals_a_walk(void **state)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t days = -171499; /* 1500-06-15, proleptic */
    int year = 1500, month = 6, day = 15;

    (void)state;
    for (; year < 3100; days++) {
        int last = lengths[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
        int64_t y;
        int m, d;

        assert_true(lapse_days_from_civil(year, month, day) == days);
        lapse_civil_from_days(days, &y, &m, &d);
        assert_true(y == year && m == month && d == day);
        assert_true(lapse_days_in_month(year, month) == last);
        if (++day > last) {
            day = 1;
            if (++month > 12) {
                month = 1;
                year++;
            }
        }
    }
}

static void calendar_knows_these_days(void **state)
{
    int64_t y;
    int m, d;

    (void)state;
    assert_int_equal(lapse_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(lapse_days_from_civil(2000, 2, 29), 11016);
    assert_int_equal(lapse_days_from_civil(1900, 1, 1), LAPSE_TIME_MIN / LAPSE_DAY);
    assert_int_equal(lapse_days_from_civil(3000, 1, 1), (LAPSE_TIME_MAX + 1) / LAPSE_DAY);
    assert_int_equal(lapse_days_from_civil(1858, 11, 17), -40587); /* day 0 of the modified Julian date */
    assert_int_equal(lapse_days_from_civil(0, 3, 1), -719468);
    lapse_civil_from_days(-719469, &y, &m, &d);
    assert_true(y == 0 && m == 2 && d == 29);
    for (int64_t days = -INT64_C(106751992); days <= 106751991; days += 99991) { /* all that int64_t holds */
        lapse_civil_from_days(days, &y, &m, &d);
        assert_true(lapse_days_from_civil(y, m, d) == days);
    }
}

/* ---- Zones ---- */

static int64_t wall_clock(const struct lapse_zone *z, int64_t time)
{
    return time + lapse_zone_offset(z, time) * LAPSE_SECOND;
}

static void offsets_hold_from_their_start(void **state)
{
    (void)state;
    assert_int_equal(lapse_zone_offset(paris, INT64_MIN), 3600);
    assert_int_equal(lapse_zone_offset(paris, at("2024-03-31T00:59:59.999999Z")), 3600);
    assert_int_equal(lapse_zone_offset(paris, at("2024-03-31T01:00:00Z")), 7200);
    assert_int_equal(lapse_zone_offset(paris, at("2024-10-27T00:59:59.999999Z")), 7200);
    assert_int_equal(lapse_zone_offset(paris, at("2024-10-27T01:00:00Z")), 3600);
    assert_int_equal(lapse_zone_offset(paris, INT64_MAX), 3600);
}

/* Every quarter of an hour in the days about a transition, against a search through the instants near by. */
static void zones_equal_a_search(const struct lapse_zone *z, const char *about)
{
    const int64_t step = 60 * LAPSE_SECOND, quarter = 15 * step;
    int64_t centre = at(about);

    for (int64_t local = centre - 2 * LAPSE_DAY; local <= centre + 2 * LAPSE_DAY; local += quarter) {
        int64_t first = 0, past = INT64_MAX, out = 0, gap;
        int found = 0;
        enum lapse_local kind = lapse_zone_from_local(z, local, &out);

        for (int64_t t = local - LAPSE_DAY; t <= local + LAPSE_DAY; t += step) {
            if (wall_clock(z, t) == local && found++ == 0)
                first = t;
            if (wall_clock(z, t) > local && past == INT64_MAX)
                past = t;
        }
        assert_true(kind == (found == 0   ? LAPSE_LOCAL_SKIPPED
                             : found == 1 ? LAPSE_LOCAL_ONE
                                          : LAPSE_LOCAL_TWICE));
        if (found) {
            assert_true(out == first);
        } else { /* exact on by the gap, whose end is the first instant past it */
            gap = wall_clock(z, past) - wall_clock(z, past - 1) - 1;
            assert_true(wall_clock(z, out) == local + gap);
        }
        if (local % LAPSE_DAY == 0) {
            int64_t day = local / LAPSE_DAY, start = lapse_zone_day_start(z, day), t = local - LAPSE_DAY;

            while (wall_clock(z, t) < local)
                t += step;
            assert_true(start == t);
        }
    }
    for (int64_t t = centre - 2 * LAPSE_DAY; t <= centre + 2 * LAPSE_DAY; t += quarter)
        assert_true(lapse_zone_day(z, t) * LAPSE_DAY <= wall_clock(z, t) &&
                    wall_clock(z, t) < (lapse_zone_day(z, t) + 1) * LAPSE_DAY);
}

static void zones_are_searched(void **state)
{
    (void)state;
    zones_equal_a_search(paris, "2024-03-31");
    zones_equal_a_search(paris, "2024-10-27");
    zones_equal_a_search(samoa, "2011-12-30");
    zones_equal_a_search(cairo, "2024-04-26");
    zones_equal_a_search(cairo, "2024-11-01");
    zones_equal_a_search(havana, "2024-03-10");
    zones_equal_a_search(havana, "2024-11-03");
    zones_equal_a_search(newfoundland, "2010-11-07");
    zones_equal_a_search(UTC, "2024-01-01");
}

static void several_transitions_in_a_day(void **state)
{
    struct any_zone z;

    (void)state;
    zones_equal_a_search(make(&z, 5,
                              (const char *const[]){ NULL, "2024-01-01T03:00Z", "2024-01-01T03:30Z",
                                                     "2024-01-01T12:00Z", "2024-01-02T00:15Z" },
                              (const int32_t[]){ 0, 7200, -7200, 50400, -50400 }),
                         "2024-01-01");
}

static int64_t day_start(const struct lapse_zone *z, int64_t y, int m, int d)
{
    return lapse_zone_day_start(z, lapse_days_from_civil(y, m, d));
}

static void days_begin_at_their_first_instant(void **state)
{
    (void)state;
    assert_int_equal(day_start(paris, 2024, 3, 31), at("2024-03-30T23:00Z"));
    assert_int_equal(day_start(paris, 2024, 4, 1), at("2024-03-31T22:00Z"));
    assert_int_equal(day_start(cairo, 2024, 4, 26), at("2024-04-25T22:00Z")); /* 01:00 on the wall */
    assert_int_equal(day_start(cairo, 2024, 11, 1),
                     at("2024-10-31T22:00Z")); /* the clock only touched midnight */
    assert_int_equal(day_start(havana, 2024, 11, 3), at("2024-11-03T04:00Z")); /* the first of two midnights */
    assert_int_equal(day_start(newfoundland, 2010, 11, 7), at("2010-11-07T02:30Z"));
    assert_int_equal(day_start(samoa, 2011, 12, 29), at("2011-12-29T10:00Z"));
    assert_int_equal(day_start(samoa, 2011, 12, 31), at("2011-12-30T10:00Z"));
    assert_int_equal(day_start(samoa, 2011, 12, 30),
                     at("2011-12-30T10:00Z")); /* no such day: where it would be */
}

static void extreme_times_do_not_overflow(void **state)
{
    static const int64_t starts[] = { INT64_MIN, 0 };
    static const int32_t offsets[] = { 50400, -50400 };
    static const int64_t times[] = { INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX };
    static const int64_t counts[] = { INT64_MIN, -1, 0, 1, 14, INT64_MAX };
    struct lapse_zone z = { 2, starts, offsets }, west = { 1, starts, offsets + 1 },
                      east = { 1, starts, offsets };
    const struct lapse_zone *const zones[] = { &z, &west, &east, UTC };

    (void)state;
    assert_int_equal(lapse_zone_day(UTC, INT64_MAX), 106751991);
    assert_int_equal(lapse_zone_day(UTC, INT64_MIN), -106751992);
    assert_int_equal(lapse_zone_day_start(UTC, 106751991), INT64_C(9223372022400000000));
    assert_int_equal(lapse_zone_day_start(UTC, -106751992), INT64_MIN);
    assert_int_equal(lapse_zone_day_start(UTC, INT64_MAX), INT64_MAX);
    for (size_t k = 0; k < COUNT(zones); k++)
        for (size_t i = 0; i < COUNT(times); i++) {
            int64_t out;

            assert_true(lapse_zone_day_start(zones[k], lapse_zone_day(zones[k], times[i])) <= times[i]);
            lapse_zone_from_local(zones[k], times[i], &out);
            for (int32_t unit = LAPSE_UNIT_SECOND; unit <= LAPSE_UNIT_YEAR; unit++)
                for (size_t j = 0; j < COUNT(counts); j++) {
                    int64_t sum = lapse_zone_add(zones[k], times[i], counts[j], unit);

                    assert_true(counts[j] > 0   ? sum >= times[i]
                                : counts[j] < 0 ? sum <= times[i]
                                                : sum == times[i]);
                    if (counts[j] == INT64_MAX)
                        assert_int_equal(sum, INT64_MAX);
                    if (counts[j] == INT64_MIN)
                        assert_int_equal(sum, INT64_MIN);
                }
        }
}

static void expect_sum(const struct lapse_zone *z, const char *from, int64_t n, int32_t unit,
                       const char *expected)
{
    int64_t sum = lapse_zone_add(z, at(from), n, unit);
    char text[40];

    text[lapse_instant_format(sum, text)] = '\0';
    if (sum != at(expected))
        fail_msg("%s + %lld gave %s, not %s", from, (long long)n, text, expected);
}

static void months_clamp_and_keep_the_time_of_day(void **state)
{
    (void)state;
    expect_sum(UTC, "2024-08-31", 6, LAPSE_UNIT_MONTH, "2025-02-28"); /* semantics 4.4 */
    expect_sum(UTC, "2024-08-29", 6, LAPSE_UNIT_MONTH, "2025-02-28");
    expect_sum(UTC, "2023-08-31", 6, LAPSE_UNIT_MONTH, "2024-02-29");
    expect_sum(UTC, "2024-02-29", 1, LAPSE_UNIT_YEAR, "2025-02-28");
    expect_sum(UTC, "2024-02-29", 4, LAPSE_UNIT_YEAR, "2028-02-29");
    expect_sum(UTC, "2024-03-31T10:15:00.5", -1, LAPSE_UNIT_MONTH, "2024-02-29T10:15:00.5");
    expect_sum(UTC, "2024-01-15", -1, LAPSE_UNIT_MONTH, "2023-12-15");
    expect_sum(UTC, "2024-01-15", -13, LAPSE_UNIT_MONTH, "2022-12-15");
    expect_sum(UTC, "1970-01-31", 1, LAPSE_UNIT_MONTH, "1970-02-28");
    expect_sum(UTC, "1969-12-31T23:59:59.999999", 2, LAPSE_UNIT_MONTH, "1970-02-28T23:59:59.999999");
    expect_sum(UTC, "2024-01-31", 1, LAPSE_UNIT_MONTH, "2024-02-29");
    expect_sum(UTC, "2024-01-31", 2, LAPSE_UNIT_MONTH, "2024-03-31"); /* one step, not month by month */
}

static void spans_in_zones(void **state)
{
    (void)state;
    /* Days are lengths, months move the date: 25 hours passed on 27 October. */
    expect_sum(paris, "2024-10-26T12:00:00+02:00", 1, LAPSE_UNIT_DAY, "2024-10-27T11:00:00+01:00");
    expect_sum(paris, "2024-09-27T12:00:00+02:00", 1, LAPSE_UNIT_MONTH, "2024-10-27T12:00:00+01:00");
    /* The date in the zone counts: 31 January in Paris, still 30 in UTC. */
    expect_sum(paris, "2024-01-31T00:30:00+01:00", 1, LAPSE_UNIT_MONTH, "2024-02-29T00:30:00+01:00");
    /* A skipped time moves on by the gap, one that is there twice is the earlier. */
    expect_sum(paris, "2024-02-29T02:30:00+01:00", 1, LAPSE_UNIT_MONTH, "2024-03-29T02:30:00+01:00");
    expect_sum(paris, "2023-03-31T02:30:00+01:00", 1, LAPSE_UNIT_YEAR, "2024-03-31T03:30:00+02:00");
    expect_sum(paris, "2024-09-27T02:30:00+02:00", 1, LAPSE_UNIT_MONTH, "2024-10-27T02:30:00+02:00");
    expect_sum(samoa, "2011-11-30T08:00:00-10:00", 1, LAPSE_UNIT_MONTH, "2011-12-31T08:00:00+14:00");
    expect_sum(UTC, "2024-01-01", 90, LAPSE_UNIT_MINUTE, "2024-01-01T01:30");
    expect_sum(UTC, "2024-01-01", -2, LAPSE_UNIT_HOUR, "2023-12-31T22:00");
    expect_sum(UTC, "2024-01-01", 45, LAPSE_UNIT_SECOND, "2024-01-01T00:00:45");
}

static void zones_are_checked(void **state)
{
    static const int64_t starts[] = { 0, 10, 10 };
    static const int32_t offsets[] = { 0, 50400, 50401 };

    (void)state;
    assert_true(lapse_zone_valid(UTC));
    assert_true(lapse_zone_valid(&(struct lapse_zone){ 2, starts, offsets }));
    assert_false(lapse_zone_valid(&(struct lapse_zone){ 0, starts, offsets }));
    assert_false(lapse_zone_valid(&(struct lapse_zone){ -1, starts, offsets }));
    assert_false(lapse_zone_valid(&(struct lapse_zone){ 1, NULL, offsets }));
    assert_false(lapse_zone_valid(&(struct lapse_zone){ 1, starts, NULL }));
    assert_false(lapse_zone_valid(&(struct lapse_zone){ 3, starts, (const int32_t[]){ 0, 0, 0 } }));
    assert_false(lapse_zone_valid(&(struct lapse_zone){ 1, starts, offsets + 2 }));
    assert_false(lapse_zone_valid(&(struct lapse_zone){ 1, starts, (const int32_t[]){ -50401 } }));
}

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

/* ---- many times ---- */

static uint32_t dice(uint64_t *seed, uint32_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % n;
}

/* What the reader of many times says, and its inline part if that says anything, is what the parser of one says. */
static void same_as_parser(struct lapse_time_reader *r, const char *text, size_t n)
{
    const char *rule = NULL, *other = NULL;
    int64_t one = 77, many = 77, quick = 77;
    char *exact = malloc(n ? n : 1); /* so that a byte too many is seen */
    assert_non_null(exact);
    memcpy(exact, text, n);
    bool good = lapse_instant_parse(exact, n, r->zone, &one, &rule);
    bool before = lapse_time_quick(r, exact, n, &quick);
    if (lapse_time_reader_parse(r, exact, n, &many, &other) != good || (good ? many != one : other != rule) ||
        (before && (!good || quick != one)))
        fail_msg("%.*s", (int)n, text);
    if (lapse_time_quick(r, exact, n, &quick))
        assert_true(good && quick == one);
    free(exact);
}

static void readers_agree(const struct lapse_zone *zone, const char *const *days, size_t day_count)
{
    static const char *const tails[] = { "", "", "T%02d:%02d:%02d", "T%02d:%02d:%02d", " %02d:%02d:%02d", "T%02d:%02d",
                                         "T%02d:%02d:%02dZ", "T%02d:%02dZ", "T%02d:%02d:%02d.5", " %02d:%02d:%02d.000001Z",
                                         "T%02d:%02d:%02d.1234567", "T%02d:%02d:%02d+01:00", "T%02d:%02d:%02d-14:00",
                                         "t%02d:%02d:%02d", "T%02d:%02d:%02dz", "T%02d.%02d:%02d", "T%02d:%02d:%02d ", "Z" };
    struct lapse_time_reader r;
    uint64_t seed = 3;
    lapse_time_reader_init(&r, zone);
    for (int round = 0; round < 60000; round++) {
        char text[64];
        size_t n = 10;
        if (dice(&seed, 2)) {
            memcpy(text, days[dice(&seed, (uint32_t)day_count)], 10);
        } else {
            int year = dice(&seed, 20) ? 1895 + (int)dice(&seed, 1120) : (int)dice(&seed, 10000);
            n = (size_t)snprintf(text, sizeof text, "%04d-%02d-%02d", year, (int)dice(&seed, 14), (int)dice(&seed, 33));
        }
        int again = 1 + (int)dice(&seed, 3); /* the same day, so that it is known */
        for (int k = 0; k < again; k++) {
            size_t all = n + (size_t)snprintf(text + n, sizeof text - n, tails[dice(&seed, COUNT(tails))],
                                              (int)dice(&seed, 25), (int)dice(&seed, 61), (int)dice(&seed, 61));
            for (int odd = dice(&seed, 4) ? 0 : 1; odd > 0; odd--) { /* hostile */
                size_t place = dice(&seed, (uint32_t)all + 1);
                if (place == all)
                    all = dice(&seed, (uint32_t)all + 1);
                else
                    text[place] = dice(&seed, 2) ? "0123456789-:.TZ /;+@"[dice(&seed, 20)] : (char)dice(&seed, 256);
            }
            same_as_parser(&r, text, all);
        }
    }
}

static void many_times_are_read_as_one(void **state)
{
    static const char *const days[] = { "2024-03-30", "2024-03-31", "2024-04-01", "2024-10-26", "2024-10-27", "2024-10-28",
                                        "2011-12-29", "2011-12-30", "2011-12-31", "2024-04-26", "2024-11-01", "2024-03-10",
                                        "2010-11-07", "2010-11-06", "1970-01-01", "1969-12-31", "1970-01-02", "1899-12-31",
                                        "1900-01-01", "1900-01-02", "2999-12-30", "2999-12-31", "3000-01-01", "2024-02-29",
                                        "2023-02-29", "1900-02-29", "2000-02-29", "0000-01-01", "9999-12-31" };
    static const int64_t starts[] = { INT64_MIN };
    static const int32_t east[] = { LAPSE_OFFSET_MAX }, west[] = { -LAPSE_OFFSET_MAX };
    static const struct lapse_zone far_east = { 1, starts, east }, far_west = { 1, starts, west };
    const struct lapse_zone *zones[] = { UTC, paris, samoa, cairo, havana, newfoundland, &far_east, &far_west };

    (void)state;
    for (size_t i = 0; i < COUNT(zones); i++)
        readers_agree(zones[i], days, COUNT(days));
    struct lapse_time_reader r; /* the first date is not one of zeros */
    lapse_time_reader_init(&r, UTC);
    same_as_parser(&r, "\0\0\0\0\0\0\0\0\0\0", 10);
    same_as_parser(&r, "1970-01-01", 10);
    same_as_parser(&r, "1970-01-01T00:00:01", 19);
}

/* Days of two offsets, and their neighbours, are not plain; of the others the offset is right. */
static void plain_days(void **state)
{
    static const struct {
        const char *day;
        bool plain;
        int32_t offset;
    } cases[] = { { "2024-03-28", true, 3600 },  { "2024-03-30", false, 0 }, { "2024-03-31", false, 0 },
                  { "2024-04-01", false, 0 },    { "2024-04-03", true, 7200 }, { "2024-10-27", false, 0 },
                  { "1900-01-01", true, 3600 } };
    int32_t offset;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t day = at(cases[i].day) / LAPSE_DAY;
        assert_int_equal(lapse_zone_day_is_plain(paris, day, &offset), cases[i].plain);
        if (cases[i].plain)
            assert_int_equal(offset, cases[i].offset);
    }
    assert_true(lapse_zone_day_is_plain(UTC, INT64_MAX, &offset) && offset == 0);
    assert_true(lapse_zone_day_is_plain(UTC, INT64_MIN, &offset) && offset == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calendar_equals_a_walk),
        cmocka_unit_test(calendar_knows_these_days),
        cmocka_unit_test(offsets_hold_from_their_start),
        cmocka_unit_test(zones_are_searched),
        cmocka_unit_test(several_transitions_in_a_day),
        cmocka_unit_test(days_begin_at_their_first_instant),
        cmocka_unit_test(extreme_times_do_not_overflow),
        cmocka_unit_test(months_clamp_and_keep_the_time_of_day),
        cmocka_unit_test(spans_in_zones),
        cmocka_unit_test(zones_are_checked),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(times_follow_the_grammar),
        cmocka_unit_test(times_keep_to_their_range),
        cmocka_unit_test(times_without_offset_are_local),
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(many_times_are_read_as_one),
        cmocka_unit_test(plain_days),
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
