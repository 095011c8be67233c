/* Dates of the Gregorian calendar, and zones as lists of transitions. Instants are microseconds since
 * 1970-01-01T00:00:00Z; any int64_t is one, and what would leave int64_t stops at its ends.
 *
 * In a zone, entry i holds from starts[i] to starts[i + 1], the first one from the beginning and the last one
 * for ever. Offsets are less than a day, so a wall clock reading belongs to an instant at most a day away from
 * it: only entries within that day are looked at. */
#include "base/base.h"

static const int64_t utc_starts[] = { INT64_MIN };
static const int32_t utc_offsets[] = { 0 };
const struct lapse_zone lapse_zone_utc = { 1, utc_starts, utc_offsets };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t saturate(lapse_int128 v)
{
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

/* ---- Dates ---- */

/* The year begins in March, so that the leap day is its last; 400 years are 146,097 days. The months from March
 * begin on day (153 m + 2) / 5. */
int64_t lapse_days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void lapse_civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days > INT64_MAX - 719468 ? INT64_MAX : days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t d = z - era * 146097;
    int64_t year_of_era = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    int64_t day_of_year = d - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

int lapse_days_in_month(int64_t year, int month)
{
    if (month == 2)
        return 28 + (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    return 30 + ((month + (month >> 3)) & 1);
}

/* ---- Zones ---- */

bool lapse_zone_valid(const struct lapse_zone *zone)
{
    if (zone->count < 1 || !zone->starts || !zone->offsets)
        return false;
    for (int32_t i = 0; i < zone->count; i++) {
        if (zone->offsets[i] < -LAPSE_OFFSET_MAX || zone->offsets[i] > LAPSE_OFFSET_MAX)
            return false;
        if (i > 0 && zone->starts[i] <= zone->starts[i - 1])
            return false;
    }
    return true;
}

/* The entry that holds at `time`. */
static int32_t entry(const struct lapse_zone *zone, int64_t time)
{
    int32_t low = 0, high = zone->count; /* starts[low] <= time, or low is 0; time < starts[high] */

    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;

        if (zone->starts[middle] <= time)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static lapse_int128 shift(const struct lapse_zone *zone, int32_t i)
{
    return (lapse_int128)zone->offsets[i] * LAPSE_SECOND;
}

int32_t lapse_zone_offset(const struct lapse_zone *zone, int64_t time)
{
    return zone->offsets[entry(zone, time)];
}

/* Day and time of day on the wall clock. */
static int64_t wall(const struct lapse_zone *zone, int64_t time, int64_t *time_of_day)
{
    int64_t day = floor_div(time, LAPSE_DAY);
    int64_t rest = (int64_t)((uint64_t)time - (uint64_t)day * (uint64_t)LAPSE_DAY);
    int64_t more;

    rest += lapse_zone_offset(zone, time) * LAPSE_SECOND;
    more = floor_div(rest, LAPSE_DAY);
    *time_of_day = rest - more * LAPSE_DAY;
    return day + more;
}

int64_t lapse_zone_day(const struct lapse_zone *zone, int64_t time)
{
    int64_t time_of_day;

    return wall(zone, time, &time_of_day);
}

/* The first entry in which the wall clock gets past `local`; *out is then when it shows `local` there, which is
 * before the entry begins when `local` was skipped. */
static int32_t first_past(const struct lapse_zone *zone, lapse_int128 local, lapse_int128 *out)
{
    int32_t i = entry(zone, saturate(local - LAPSE_DAY));

    while (i + 1 < zone->count && local - shift(zone, i) >= zone->starts[i + 1])
        i++;
    *out = local - shift(zone, i);
    return i;
}

static bool begun(const struct lapse_zone *zone, int32_t i, lapse_int128 time)
{
    return i == 0 || time >= zone->starts[i];
}

/* The first instant at which the wall clock shows midnight of that day, or later: where midnight is skipped,
 * the transition; where it comes twice, the first. */
int64_t lapse_zone_day_start(const struct lapse_zone *zone, int64_t day)
{
    lapse_int128 time;
    int32_t i = first_past(zone, (lapse_int128)day * LAPSE_DAY, &time);

    return begun(zone, i, time) ? saturate(time) : zone->starts[i];
}

enum lapse_local lapse_zone_from_local(const struct lapse_zone *zone, int64_t local, int64_t *out)
{
    int64_t latest = saturate((lapse_int128)local + LAPSE_DAY);
    lapse_int128 time;
    int32_t i = first_past(zone, local, &time), before = i - 1;
    bool found = false;

    do {
        if (begun(zone, i, time) && (i + 1 == zone->count || time < zone->starts[i + 1])) {
            if (found)
                return LAPSE_LOCAL_TWICE;
            found = true;
            *out = saturate(time);
        }
        if (++i == zone->count)
            break;
        time = local - shift(zone, i);
    } while (zone->starts[i] <= latest);
    if (found)
        return LAPSE_LOCAL_ONE;
    *out = saturate(local - shift(zone, before));
    return LAPSE_LOCAL_SKIPPED;
}

/* Readings of the wall clock are looked for within a day around them (above), and there is one entry. */
bool lapse_zone_day_is_plain(const struct lapse_zone *zone, int64_t day, int32_t *offset)
{
    int32_t i = entry(zone, saturate(((lapse_int128)day - 1) * LAPSE_DAY));

    *offset = zone->offsets[i];
    return i == entry(zone, saturate(((lapse_int128)day + 2) * LAPSE_DAY));
}

/* ---- Spans of time ---- */

/* No int64_t time is more than 600,000 years from another. */
#define MONTHS_MOST INT64_C(7200000)

static int64_t add_months(const struct lapse_zone *zone, int64_t time, int64_t n)
{
    int64_t time_of_day, days = wall(zone, time, &time_of_day), year, months, out;
    int month, day, last;
    lapse_int128 local;

    if (n > MONTHS_MOST || n < -MONTHS_MOST)
        return n > 0 ? INT64_MAX : INT64_MIN;
    lapse_civil_from_days(days, &year, &month, &day);
    months = year * 12 + month - 1 + n;
    year = floor_div(months, 12);
    month = (int)(months - year * 12) + 1;
    last = lapse_days_in_month(year, month);
    local = (lapse_int128)lapse_days_from_civil(year, month, day < last ? day : last) * LAPSE_DAY + time_of_day;
    if (local > INT64_MAX || local < INT64_MIN)
        return saturate(local);
    lapse_zone_from_local(zone, (int64_t)local, &out);
    return out;
}

int64_t lapse_zone_add(const struct lapse_zone *zone, int64_t time, int64_t n, int32_t unit)
{
    static const int64_t lengths[] = {
        [LAPSE_UNIT_NONE] = 0,
        [LAPSE_UNIT_SECOND] = LAPSE_SECOND,
        [LAPSE_UNIT_MINUTE] = 60 * LAPSE_SECOND,
        [LAPSE_UNIT_HOUR] = 3600 * LAPSE_SECOND,
        [LAPSE_UNIT_DAY] = LAPSE_DAY,
    };

    if (n == 0 || unit < LAPSE_UNIT_NONE || unit > LAPSE_UNIT_YEAR)
        return time;
    if (unit <= LAPSE_UNIT_DAY)
        return saturate((lapse_int128)n * lengths[unit] + time);
    if (unit == LAPSE_UNIT_YEAR)
        n = saturate((lapse_int128)n * 12);
    return add_months(zone, time, n);
}
