/* Many times of one zone, which are most often near each other: keeps the last date as it was written, with its instant,
 * and the offsets of a thousand days. Only the usual forms are read here; what is none of them, breaks a rule, or lies
 * where an offset changes goes to time.c, so that there is one grammar and one text of each rule. A time on the day of
 * the one before takes no calendar and no look at the zone. */
#include "base/quick.h"

#define NO_SECONDS (UINT64_C(0x30303A) << 40) /* as bytes 5 to 7 of a word */

/* The offset all that day, INT32_MAX: there is no such thing. */
static int32_t offset_of_day(struct lapse_time_reader *r, int64_t day)
{
    size_t slot = (size_t)(day & (LAPSE_READER_DAYS - 1));
    int32_t found;

    if (r->zone->count == 1)
        return r->zone->offsets[0];
    if (r->days[slot].day != day) {
        r->days[slot].day = (int32_t)day;
        r->days[slot].offset = lapse_zone_day_is_plain(r->zone, day, &found) ? found : INT32_MAX;
    }
    return r->days[slot].offset;
}

static void keep_date(struct lapse_time_reader *r, const char *text, int64_t day)
{
    int32_t shift = offset_of_day(r, day);

    r->month = lapse_load8(text);
    r->day = lapse_load2(text + 8);
    r->midnight = day * LAPSE_DAY;
    r->known = shift != INT32_MAX;
    r->start = r->known ? r->midnight - shift * LAPSE_SECOND : 0;
    r->plain = r->known && r->start > LAPSE_TIME_MIN && r->start < LAPSE_TIME_MAX - LAPSE_DAY &&
               (r->start > 0 || r->start < -LAPSE_DAY);
}

void lapse_time_reader_init(struct lapse_time_reader *r, const struct lapse_zone *zone)
{
    r->zone = zone;
    for (int i = 0; zone->count > 1 && i < LAPSE_READER_DAYS; i++)
        r->days[i].day = INT32_MAX;
    keep_date(r, "1970-01-01", 0);
}

static bool read_date(struct lapse_time_reader *r, const char *text)
{
    uint64_t tens;
    int day = lapse_pair(text + 8), year, month;

    if (lapse_form_read(lapse_load8(text), LAPSE_FORM_DATE, LAPSE_FORM_DATE_ROOM, &tens) & LAPSE_HIGHS)
        return false;
    year = (int)(tens & 0xFF) * 100 + (int)(tens >> 16 & 0xFF);
    month = (int)(tens >> 40 & 0xFF);
    if (month < 1 || month > 12 || day < 1 || (day > 28 && day > lapse_days_in_month(year, month)))
        return false;
    keep_date(r, text, lapse_days_from_civil(year, month, day));
    return true;
}

/* What is written most often: a date, `T` or a blank, hh:mm[:ss[.f]], and perhaps a Z. False: it is something else, or
 * not valid, or the zone's offset changes near that day. */
static bool read_usual(struct lapse_time_reader *r, const char *text, size_t n, int64_t *out)
{
    int64_t clock = 0, time;
    int32_t micro = 0;
    size_t at = n >= 19 ? 19 : 16;
    bool utc = false;

    if (n < 10)
        return false;
    if ((lapse_load8(text) != r->month || lapse_load2(text + 8) != r->day) && !read_date(r, text))
        return false;
    if (n > 10) {
        if (n < 16 || (text[10] != 'T' && text[10] != ' ') ||
            !lapse_clock_read(n >= 19 ? lapse_load8(text + 11) : lapse_load8(text + 8) >> 24 | NO_SECONDS, &clock))
            return false;
        if (n > 19 && text[19] == '.') {
            at = 20;
            if (!lapse_fraction_read(text, n, &at, &micro))
                return false;
        }
        utc = at < n && text[at] == 'Z';
        if (at + utc != n)
            return false;
    }
    time = (utc ? r->midnight : r->start) + clock + micro;
    if ((!utc && !r->known) || !lapse_time_fits(time))
        return false;
    *out = time;
    return true;
}

bool lapse_time_reader_parse(struct lapse_time_reader *r, const char *text, size_t n, int64_t *out,
                             const char **rule)
{
    return read_usual(r, text, n, out) || lapse_instant_parse(text, n, r->zone, out, rule);
}
