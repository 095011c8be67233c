/* lib/base: calendar and zones. The calendar is checked against a walk day by day, zones against a search through all
 * instants near by; sums of spans against rulings T7 and T8 and semantics 4.4 (months). */
#include "zones.h"

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
        cmocka_unit_test(plain_days),
    };

    make_zones();
    return cmocka_run_group_tests_name("base: calendar", tests, NULL, NULL);
}
