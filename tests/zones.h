/* Zones whose clocks do what clocks do, with the transitions of the IANA time zone database; each main() makes them. */
#ifndef TESTS_ZONES_H
#define TESTS_ZONES_H

#include "help.h"

#include "base/quick.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define UTC      (&lapse_zone_utc)

/* An instant, from text that the test writes in UTC. */
static inline int64_t at(const char *text)
{
    const char *rule = "";
    int64_t time = 0;

    if (!lapse_instant_parse(text, strlen(text), UTC, &time, &rule))
        fail_msg("%s: %s", text, rule);
    return time;
}

/* Made of (instant, seconds east); filled by make_zones(), because instants are parsed. */
struct any_zone {
    int64_t starts[8];
    int32_t offsets[8];
    struct lapse_zone zone;
};

static inline struct lapse_zone *make(struct any_zone *z, int32_t count, const char *const *starts,
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

static inline void make_zones(void)
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

#endif
