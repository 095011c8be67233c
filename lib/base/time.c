/* Times and spans of time as text (rulings T1 to T3). One scanner of digits serves the fixed grammar and the
 * compiled --time-format; both end in finish(), where zone, range and the mark of a missing time are dealt
 * with. */
#include "base/quick.h"

#include <stdio.h>

static const char rule_time[] =
    "a time is YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.f]] with Z or an offset, or @seconds; "
    "other forms need --time-format";
static const char rule_seconds[] = "@ takes -?digits[.digits], seconds with at most 6 digits after the point";
static const char rule_fraction[] = "a second has 1 to 6 digits after the point";
static const char rule_date[] = "there is no such date; another order of day and month needs --time-format";
static const char rule_clock[] = "a time of day is from 00:00:00 to 23:59:59";
static const char rule_offset[] = "an offset is from -14:00 to +14:00";
static const char rule_date_offset[] = "a date alone takes no offset";
static const char rule_range[] = "a time is from 1900-01-01 to 2999-12-31";
static const char rule_missing[] = "1970-01-01T00:00:00Z is the usual mark of a missing time";
static const char rule_twice[] = "this local time occurs twice in the zone: add an offset";
static const char rule_skipped[] = "this local time is skipped in the zone: add an offset";
static const char rule_match[] = "the time does not match --time-format";

/* A date and time of day as written. */
struct fields {
    int year, month, day;
    bool has_clock, has_offset;
    int hour, minute, second;
    int32_t micro;
    int offset; /* minutes east */
};

static bool accept(int64_t time, int64_t *out, const char **rule)
{
    if (!lapse_time_fits(time)) {
        *rule = time == 0 ? rule_missing : rule_range;
        return false;
    }
    *out = time;
    return true;
}

/* The instant of fields that are digits in the right places and nothing more. Inline, because a reader of rows
 * spends most of its time here. */
static inline bool finish(const struct fields *f, const struct lapse_zone *zone, int64_t *out,
                          const char **rule)
{
    int64_t days, local, time;

    if (f->month < 1 || f->month > 12 || f->day < 1 ||
        (f->day > 28 && f->day > lapse_days_in_month(f->year, f->month))) {
        *rule = rule_date;
        return false;
    }
    if (f->hour > 23 || f->minute > 59 || f->second > 59) {
        *rule = rule_clock;
        return false;
    }
    days = lapse_days_from_civil(f->year, f->month, f->day);
    local = days * LAPSE_DAY + (f->hour * 3600 + f->minute * 60 + f->second) * LAPSE_SECOND + f->micro;
    if (f->has_offset) {
        time = local - f->offset * 60 * LAPSE_SECOND;
    } else if (zone->count == 1) {
        time = local - zone->offsets[0] * LAPSE_SECOND;
    } else if (!f->has_clock) {
        time = lapse_zone_day_start(zone, days);
        if (lapse_zone_day(zone, time) != days) {
            *rule = rule_skipped;
            return false;
        }
    } else {
        enum lapse_local kind = lapse_zone_from_local(zone, local, &time);

        if (kind != LAPSE_LOCAL_ONE) {
            *rule = kind == LAPSE_LOCAL_TWICE ? rule_twice : rule_skipped;
            return false;
        }
    }
    return accept(time, out, rule);
}

bool lapse_fraction_read(const char *text, size_t n, size_t *at, int32_t *micro)
{
    int32_t value = 0;
    int count = 0;

    for (; *at < n && lapse_digit(text[*at]) <= 9; ++*at)
        if (++count <= 6)
            value = value * 10 + (int32_t)lapse_digit(text[*at]);
    if (count < 1 || count > 6)
        return false;
    for (; count < 6; count++)
        value *= 10;
    *micro = value;
    return true;
}

/* `Z` or `+hh:mm`, and `+hhmm` when allowed; moves *at past it. False with *rule unchanged: not an offset. */
static bool offset(const char *text, size_t n, size_t *at, bool short_form, struct fields *f, const char **rule)
{
    const char *p = text + *at;
    size_t left = n - *at, size;
    int hours, minutes;

    f->has_offset = true;
    if (left >= 1 && p[0] == 'Z') {
        ++*at;
        f->offset = 0;
        return true;
    }
    if (left < 5 || (p[0] != '+' && p[0] != '-'))
        return false;
    size = p[3] == ':' ? 6 : 5;
    if (left < size || (size == 5 && !short_form))
        return false;
    hours = lapse_pair(p + 1);
    minutes = lapse_pair(p + size - 2);
    if (hours > 99 || minutes > 99)
        return false;
    f->offset = hours * 60 + minutes;
    if (minutes > 59 || f->offset > LAPSE_OFFSET_MAX / 60) {
        *rule = rule_offset;
        return false;
    }
    if (p[0] == '-')
        f->offset = -f->offset;
    *at += size;
    return true;
}

/* `-?digits[.f{1,6}]` after the @. */
static bool epoch(const char *text, size_t n, int64_t *out, const char **rule)
{
    size_t at = n > 0 && text[0] == '-', start = at;
    bool negative = at > 0;
    int64_t seconds = 0;
    int32_t micro = 0;

    for (; at < n && lapse_digit(text[at]) <= 9; at++)
        if (seconds < INT64_C(100000000000)) /* already far out of range */
            seconds = seconds * 10 + (int64_t)lapse_digit(text[at]);
    *rule = rule_seconds;
    if (at == start)
        return false;
    if (at < n && (text[at++] != '.' || !lapse_fraction_read(text, n, &at, &micro)))
        return false;
    if (at < n)
        return false;
    seconds = seconds * LAPSE_SECOND + micro;
    return accept(negative ? -seconds : seconds, out, rule);
}

bool lapse_instant_parse(const char *text, size_t n, const struct lapse_zone *zone, int64_t *out,
                         const char **rule)
{
    struct fields f = { .year = 0 };
    int century, year;
    size_t at;

    if (n > 0 && text[0] == '@')
        return epoch(text + 1, n - 1, out, rule);
    *rule = rule_time;
    if (n < 10)
        return false;
    century = lapse_pair(text);
    year = lapse_pair(text + 2);
    f.month = lapse_pair(text + 5);
    f.day = lapse_pair(text + 8);
    if ((century > 99) | (year > 99) | (f.month > 99) | (f.day > 99) | (text[4] != '-') | (text[7] != '-'))
        return false;
    f.year = century * 100 + year;
    if (n == 10)
        return finish(&f, zone, out, rule);
    if (n < 16 || (text[10] != 'T' && text[10] != ' ')) {
        if (text[10] == 'Z' || text[10] == '+' || text[10] == '-')
            *rule = rule_date_offset;
        return false;
    }
    f.has_clock = true;
    f.hour = lapse_pair(text + 11);
    f.minute = lapse_pair(text + 14);
    if ((f.hour > 99) | (f.minute > 99) | (text[13] != ':'))
        return false;
    at = 16;
    if (n >= 19 && text[16] == ':') {
        f.second = lapse_pair(text + 17);
        if (f.second > 99)
            return false;
        at = 19;
        if (n > 19 && text[19] == '.') {
            at = 20;
            if (!lapse_fraction_read(text, n, &at, &f.micro)) {
                *rule = rule_fraction;
                return false;
            }
        }
    }
    if (at < n && (!offset(text, n, &at, false, &f, rule) || at < n))
        return false;
    return finish(&f, zone, out, rule);
}

size_t lapse_instant_format(int64_t time, char *out)
{
    int64_t day = lapse_zone_day(&lapse_zone_utc, time), year;
    int64_t rest = (int64_t)((uint64_t)time - (uint64_t)day * (uint64_t)LAPSE_DAY);
    int second = (int)(rest / LAPSE_SECOND), micro = (int)(rest % LAPSE_SECOND), month, date;
    char text[64];
    int n;

    lapse_civil_from_days(day, &year, &month, &date);
    n = snprintf(text, sizeof text, "%s%04d-%02d-%02dT%02d:%02d:%02d.%06d", year < 0 ? "-" : "",
                 (int)(year < 0 ? -year : year), month, date, second / 3600, second / 60 % 60, second % 60,
                 micro);
    while (text[n - 1] == '0' && micro)
        n--;
    if (!micro)
        n -= 7;
    text[n++] = 'Z';
    memcpy(out, text, (size_t)n);
    return (size_t)n;
}

/* ---- --time-format ---- */

/* What a letter after % reads: where in `fields`, and how many digits. */
struct specifier {
    char letter;
    unsigned field; /* a bit, so that a field given twice is seen: %Y and %y are one field, %m and %b too */
    int least, most;
    size_t offset;
};

enum { YEAR = 1, MONTH = 2, DAY = 4, HOUR = 8, MINUTE = 16, SECOND = 32, ZONE = 64 };

static const struct specifier specifiers[] = {
    { 'Y', YEAR, 4, 4, offsetof(struct fields, year) },
    { 'y', YEAR, 2, 2, offsetof(struct fields, year) },
    { 'm', MONTH, 1, 2, offsetof(struct fields, month) },
    { 'b', MONTH, 0, 0, offsetof(struct fields, month) },
    { 'd', DAY, 1, 2, offsetof(struct fields, day) },
    { 'H', HOUR, 1, 2, offsetof(struct fields, hour) },
    { 'M', MINUTE, 1, 2, offsetof(struct fields, minute) },
    { 'S', SECOND, 1, 2, offsetof(struct fields, second) },
    { 'z', ZONE, 0, 0, 0 },
};

static const struct specifier *find_specifier(char letter)
{
    for (size_t i = 0; i < sizeof specifiers / sizeof *specifiers; i++)
        if (specifiers[i].letter == letter)
            return &specifiers[i];
    return NULL;
}

bool lapse_time_format_compile(const char *format, struct lapse_time_format *out, const char **rule)
{
    unsigned seen = 0;
    char *at = out->text;

    if (strlen(format) >= sizeof out->text) {
        *rule = "a time format is at most 127 bytes";
        return false;
    }
    for (const char *p = format; *p; p++) {
        const struct specifier *s;

        *at++ = *p;
        if (*p != '%')
            continue;
        if (*++p == '%') {
            *at++ = '%';
            continue;
        }
        s = find_specifier(*p);
        if (!s) {
            *rule = "a time format knows %Y %y %m %b %d %H %M %S %z and %%";
            return false;
        }
        if (seen & s->field) {
            *rule =
                "a time format names each of year, month, day, hour, minute, second and offset at most once";
            return false;
        }
        seen |= s->field;
        *at++ = (char)('0' + (s - specifiers));
    }
    if ((seen & (YEAR | MONTH | DAY)) != (YEAR | MONTH | DAY)) {
        *rule = "a time format needs a day (%d), a month (%m or %b) and a year (%Y or %y)";
        return false;
    }
    if ((seen & (MINUTE | ZONE) && !(seen & HOUR)) || (seen & SECOND && !(seen & MINUTE))) {
        *rule = "in a time format %S needs %M, and %M and %z need %H";
        return false;
    }
    *at = '\0';
    out->has_zone = (seen & ZONE) != 0;
    return true;
}

/* 1 to 12 for the English three letters in any case, else 0. */
static int month_name(const char *p)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    for (int m = 0; m < 12; m++) {
        const char *name = names + 3 * m;

        if ((p[0] | 32) == name[0] && (p[1] | 32) == name[1] && (p[2] | 32) == name[2])
            return m + 1;
    }
    return 0;
}

/* Reads what one specifier stands for, moves *at past it. */
static bool read_field(const struct specifier *s, const char *text, size_t n, size_t *at, struct fields *f,
                       const char **rule)
{
    int value = 0, count = 0;

    if (s->field == ZONE)
        return offset(text, n, at, true, f, rule);
    if (s->letter == 'b') {
        if (n - *at < 3)
            return false;
        value = month_name(text + *at);
        *at += 3;
        if (value == 0)
            return false;
    } else {
        for (; count < s->most && *at < n && lapse_digit(text[*at]) <= 9; count++)
            value = value * 10 + (int)lapse_digit(text[(*at)++]);
        if (count < s->least)
            return false;
        if (s->letter == 'y')
            value += value >= 69 ? 1900 : 2000;
    }
    memcpy((char *)f + s->offset, &value, sizeof value);
    if (s->field == HOUR)
        f->has_clock = true;
    return true;
}

bool lapse_time_format_parse(const struct lapse_time_format *format, const char *text, size_t n,
                             const struct lapse_zone *zone, int64_t *out, const char **rule)
{
    struct fields f = { .year = 0 };
    size_t at = 0;

    *rule = rule_match;
    for (const char *p = format->text; *p; p++) {
        const struct specifier *s = *p == '%' && p[1] != '%' ? &specifiers[p[1] - '0'] : NULL;

        if (!s) {
            p += *p == '%';
            if (at == n || text[at++] != *p)
                return false;
            continue;
        }
        p++;
        if (!read_field(s, text, n, &at, &f, rule))
            return false;
        /* A fraction may follow the seconds, unless the format has a point of its own there. */
        if (s->field == SECOND && p[1] != '.' && at < n && text[at] == '.') {
            at++;
            if (!lapse_fraction_read(text, n, &at, &f.micro)) {
                *rule = rule_fraction;
                return false;
            }
        }
    }
    if (at < n)
        return false;
    return finish(&f, zone, out, rule);
}

/* ---- Spans ---- */

/* By unit, LAPSE_UNIT_SECOND first. */
static const char *const suffixes[] = { "s", "min", "h", "d", "m", "y" };

bool lapse_span_parse(const char *text, size_t n, int64_t *out, int32_t *unit)
{
    int64_t value = 0;
    size_t digits = 0;

    while (digits < n && digits < 6 && lapse_digit(text[digits]) <= 9)
        value = value * 10 + (int64_t)lapse_digit(text[digits++]);
    if (digits == 0)
        return false;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (n - digits == strlen(suffixes[i]) && memcmp(text + digits, suffixes[i], n - digits) == 0) {
            *out = value;
            *unit = (int32_t)i + LAPSE_UNIT_SECOND;
            return true;
        }
    }
    return false;
}

size_t lapse_span_format(int64_t n, int32_t unit, char *out)
{
    size_t size = lapse_int_format(n, out), more = 0;

    if (unit >= LAPSE_UNIT_SECOND && unit <= LAPSE_UNIT_YEAR) {
        more = strlen(suffixes[unit - LAPSE_UNIT_SECOND]);
        memcpy(out + size, suffixes[unit - LAPSE_UNIT_SECOND], more);
    }
    return size + more;
}

/* ---- Public ---- */

lapse_status lapse_time_parse(const char *text, int32_t count, const int64_t *starts, const int32_t *offsets,
                              int64_t *out, lapse_error *error)
{
    struct lapse_zone zone = count ? (struct lapse_zone){ count, starts, offsets } : lapse_zone_utc;
    const char *rule = "";

    if (!text || !out)
        return lapse_fail(error, LAPSE_INVALID, "lapse_time_parse: text and out must not be NULL");
    if (!lapse_zone_valid(&zone))
        return lapse_fail(
            error, LAPSE_INVALID,
            "lapse_time_parse: a zone has ascending starts and offsets from -50400 to 50400 seconds");
    if (!lapse_instant_parse(text, strlen(text), &zone, out, &rule))
        return lapse_fail_at(error, LAPSE_BAD_INPUT, NULL, text, strlen(text), rule);
    return LAPSE_OK;
}

lapse_status lapse_time_format(int64_t time, char *out, int32_t capacity)
{
    char text[32];
    size_t n = lapse_instant_format(time, text);

    if (!out || capacity < 0 || (size_t)capacity <= n)
        return LAPSE_INVALID;
    memcpy(out, text, n);
    out[n] = '\0';
    return LAPSE_OK;
}
