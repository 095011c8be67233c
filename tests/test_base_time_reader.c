/* lib/base: the reader of many times takes and refuses what the parser of one does, on times near each other, near
 * transitions, and hostile. */
#include "zones.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_times_are_read_as_one),
    };

    make_zones();
    return cmocka_run_group_tests_name("base: reader of times", tests, NULL, NULL);
}
