/* Times, time formats and zones against slow references. Input: a zone of up to nine entries, then what to do with it:
 * arithmetic with raw numbers, a text to read, or a time format and a text. */
#include "fuzz.h"

#include "base/quick.h"

enum { ENTRIES = 9 };

/* ---- references: every entry is looked at, all in 128 bits ------------------------------------------------------ */

static int32_t ref_entry(const struct lapse_zone *z, lapse_int128 time)
{
    int32_t i = 0;
    while (i + 1 < z->count && z->starts[i + 1] <= time)
        i++;
    return i;
}

static lapse_int128 ref_wall(const struct lapse_zone *z, lapse_int128 time)
{
    return time + (lapse_int128)z->offsets[ref_entry(z, time)] * LAPSE_SECOND;
}

static lapse_int128 ref_floor(lapse_int128 a, lapse_int128 b)
{
    return a / b - (a % b < 0);
}

static int64_t ref_clamp(lapse_int128 v)
{
    return v > INT64_MAX ? INT64_MAX : v < INT64_MIN ? INT64_MIN : (int64_t)v;
}

/* All instants at which the wall clock shows `local`; returns how many, the earliest in *out. Of a skipped one
 * *out is when the clock before the gap would have shown it. */
static int ref_local(const struct lapse_zone *z, lapse_int128 local, lapse_int128 *out)
{
    int found = 0;
    for (int32_t i = 0; i < z->count; i++) {
        lapse_int128 time = local - (lapse_int128)z->offsets[i] * LAPSE_SECOND;
        if (ref_entry(z, time) == i && found++ == 0)
            *out = time;
    }
    /* The gap is at the first transition that takes the clock past `local`. */
    for (int32_t i = 0; i + 1 < z->count && !found; i++)
        if (z->starts[i + 1] + (lapse_int128)z->offsets[i + 1] * LAPSE_SECOND > local) {
            *out = local - (lapse_int128)z->offsets[i] * LAPSE_SECOND;
            break;
        }
    return found;
}

static bool leap(int64_t y)
{
    return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

/* Days since 1970-01-01 by counting: 400 years are 146,097 days, what is left of them year by year, month by month. */
static int64_t ref_days(int64_t year, int month, int day)
{
    static const int length[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t eras = (int64_t)ref_floor(year - 1970, 400), days = eras * 146097 + day - 1;
    for (int64_t y = 1970 + eras * 400; y < year; y++)
        days += 365 + leap(y);
    for (int m = 1; m < month; m++)
        days += length[m - 1] + (m == 2 && leap(year));
    return days;
}

static int64_t ref_add_months(const struct lapse_zone *z, int64_t time, lapse_int128 n)
{
    lapse_int128 wall = ref_wall(z, time), day = ref_floor(wall, LAPSE_DAY), out = 0;
    int64_t year;
    int month, date;
    lapse_civil_from_days((int64_t)day, &year, &month, &date);
    CHECK(ref_days(year, month, date) == (int64_t)day);
    lapse_int128 months = (lapse_int128)year * 12 + month - 1 + n;
    lapse_int128 y = ref_floor(months, 12);
    if (y > 400000 || y < -400000)
        return n > 0 ? INT64_MAX : INT64_MIN;
    int64_t at = (int64_t)y;
    int m = (int)(months - y * 12) + 1;
    int last = (int)(ref_days(m == 12 ? at + 1 : at, m == 12 ? 1 : m + 1, 1) - ref_days(at, m, 1));
    lapse_int128 local = (lapse_int128)ref_days(at, m, date < last ? date : last) * LAPSE_DAY + wall - day * LAPSE_DAY;
    ref_local(z, local, &out);
    return ref_clamp(out);
}

/* ---- properties -------------------------------------------------------------------------------------------------- */

static void check_instant(const struct lapse_zone *z, int64_t time)
{
    lapse_int128 wall = ref_wall(z, time);
    int64_t day = lapse_zone_day(z, time);
    CHECK(day == (int64_t)ref_floor(wall, LAPSE_DAY));
    CHECK(lapse_zone_offset(z, time) == z->offsets[ref_entry(z, time)]);

    /* The first instant at which the clock shows that day or a later one. */
    int64_t start = lapse_zone_day_start(z, day);
    lapse_int128 midnight = (lapse_int128)day * LAPSE_DAY;
    CHECK(start <= time);
    if (start != INT64_MIN) {
        CHECK(ref_wall(z, start) >= midnight);
        CHECK(ref_wall(z, (lapse_int128)start - 1) < midnight);
        for (int32_t i = 1; i < z->count && z->starts[i] <= start; i++)
            CHECK(ref_wall(z, (lapse_int128)z->starts[i] - 1) < midnight);
    }

    /* A clock reading leads back to its instant, or to an earlier one with the same reading. */
    if (wall <= INT64_MAX && wall >= INT64_MIN) {
        int64_t back;
        enum lapse_local kind = lapse_zone_from_local(z, (int64_t)wall, &back);
        CHECK(kind != LAPSE_LOCAL_SKIPPED && back <= time);
        CHECK(ref_wall(z, back) == wall || back == INT64_MIN); /* the first entry has no beginning, int64_t has */
        CHECK(kind == LAPSE_LOCAL_TWICE || back == time);
    }
}

static void check_local(const struct lapse_zone *z, int64_t local)
{
    lapse_int128 want = 0;
    int64_t got = 0;
    int count = ref_local(z, local, &want);
    enum lapse_local kind = lapse_zone_from_local(z, local, &got);
    CHECK(kind == (count == 0 ? LAPSE_LOCAL_SKIPPED : count == 1 ? LAPSE_LOCAL_ONE : LAPSE_LOCAL_TWICE));
    CHECK(got == ref_clamp(want));
}

static void check_add(const struct lapse_zone *z, int64_t time, int64_t n, int32_t unit)
{
    static const int64_t seconds[] = { 0, 1, 60, 3600, 86400 };
    int64_t got = lapse_zone_add(z, time, n, unit);
    if (n == 0 || unit == LAPSE_UNIT_NONE)
        CHECK(got == time);
    else if (unit <= LAPSE_UNIT_DAY)
        CHECK(got == ref_clamp((lapse_int128)n * seconds[unit] * LAPSE_SECOND + time));
    else
        CHECK(got == ref_add_months(z, time, (lapse_int128)n * (unit == LAPSE_UNIT_YEAR ? 12 : 1)));
}

static bool in_range(int64_t time)
{
    return time >= LAPSE_TIME_MIN && time <= LAPSE_TIME_MAX && time != 0;
}

static void check_format(int64_t time)
{
    char out[32];
    const char *rule;
    int64_t again = 0;
    size_t n = lapse_instant_format(time, out);
    CHECK(n > 0 && n < 32 && out[n - 1] == 'Z' && !memchr(out, '\0', n));
    CHECK(lapse_instant_parse(out, n, &lapse_zone_utc, &again, &rule) == in_range(time));
    CHECK(!in_range(time) || again == time);
    char public[33];
    CHECK(lapse_time_format(time, public, 32) == LAPSE_OK && strlen(public) == n && memcmp(public, out, n) == 0);
    CHECK(lapse_time_format(time, public, (int32_t)n) == LAPSE_INVALID);
}

/* The reader of many times says the same, whether it knows the day or not; so does its inline part if it says anything. */
static void check_reader(const struct lapse_zone *z, struct fuzz text, bool good, int64_t got, const char *rule)
{
    struct lapse_time_reader reader;
    const char *p = (const char *)text.at, *other;
    int64_t day, again, quick;
    lapse_time_reader_init(&reader, z);
    for (int i = 0; i < 3; i++) {
        other = NULL;
        again = 0;
        if (i == 1 && text.left >= 10) /* its day */
            lapse_time_reader_parse(&reader, p, 10, &day, &other);
        if (lapse_time_quick(&reader, p, text.left, &quick))
            CHECK(good && quick == got);
        CHECK(lapse_time_reader_parse(&reader, p, text.left, &again, &other) == good);
        CHECK(good ? again == got : other == rule);
    }
}

static void check_text(const struct lapse_zone *z, struct fuzz text)
{
    const char *p = (const char *)text.at, *rule = NULL;
    int64_t got = 0, n;
    int32_t unit;
    bool good = lapse_instant_parse(p, text.left, z, &got, &rule);
    CHECK(good ? in_range(got) : rule != NULL);
    if (good)
        check_format(got);
    check_reader(z, text, good, got, rule);
    if (text.left == 0 || !memchr(p, '\0', text.left)) {
        char *copy = fuzz_text(text);
        lapse_error error = { .size = sizeof error };
        int64_t again = 0;
        lapse_status status = lapse_time_parse(copy, z->count, z->starts, z->offsets, &again, &error);
        error_check(status, &error);
        CHECK(status == (good ? LAPSE_OK : LAPSE_BAD_INPUT) && (!good || again == got));
        free(copy);
    }
    if (lapse_span_parse(p, text.left, &n, &unit)) {
        char out[400];
        int64_t m = -1;
        int32_t same = -1;
        size_t size = lapse_span_format(n, unit, out);
        CHECK(n >= 0 && n <= 999999 && lapse_span_parse(out, size, &m, &same) && m == n && same == unit);
    }
}

static void check_time_format(const struct lapse_zone *z, struct fuzz format, struct fuzz text)
{
    struct lapse_time_format compiled;
    const char *rule = NULL;
    char *source = fuzz_text(format);
    int64_t got = 0, again = 0;
    if (!lapse_time_format_compile(source, &compiled, &rule)) {
        CHECK(rule);
    } else {
        rule = NULL;
        bool good = lapse_time_format_parse(&compiled, (const char *)text.at, text.left, z, &got, &rule);
        CHECK(good ? in_range(got) : rule != NULL);
        CHECK(!good || (lapse_time_format_parse(&compiled, (const char *)text.at, text.left, z, &again, &rule) &&
                        again == got));
    }
    free(source);
}

/* What the fixed grammar reads, the same written as a format reads too. */
static void check_same_as_format(const struct lapse_zone *z, int64_t time)
{
    struct lapse_time_format compiled;
    const char *rule;
    char out[64];
    int64_t by_format = 0, by_grammar = 0;
    if (!in_range(time) || !lapse_time_format_compile("%Y-%m-%dT%H:%M:%S", &compiled, &rule))
        return;
    size_t n = lapse_instant_format(time, out) - 1; /* without the Z: on the wall clock */
    bool a = lapse_time_format_parse(&compiled, out, n, z, &by_format, &rule);
    bool b = lapse_instant_parse(out, n, z, &by_grammar, &rule);
    CHECK(a == b && by_format == by_grammar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz in = { data, size < 512 ? size : 512 };
    int64_t starts[ENTRIES];
    int32_t offsets[ENTRIES];
    struct lapse_zone zone = { 1 + (int32_t)fuzz_below(&in, ENTRIES), starts, offsets };
    for (int32_t i = 0; i < zone.count; i++) {
        uint8_t how = fuzz_byte(&in);
        starts[i] = how < 64 || i == 0 ? fuzz_number(&in)
                                       : ref_clamp((lapse_int128)starts[i - 1] + (lapse_int128)fuzz_int(&in, 5) + 1);
        offsets[i] = how & 1 ? (int32_t)(fuzz_int(&in, 4) % 110000) - 55000 : ((int)(how % 29) - 14) * 3600;
    }
    if (!lapse_zone_valid(&zone)) {
        int64_t out;
        CHECK(lapse_time_parse("2024-03-01", zone.count, starts, offsets, &out, NULL) == LAPSE_INVALID);
        zone.count = 1;
        if (!lapse_zone_valid(&zone))
            return 0;
    }
    while (in.left) {
        uint8_t what = fuzz_byte(&in);
        if (what % 4 == 0) {
            check_text(&zone, fuzz_line(&in));
        } else if (what % 4 == 1) {
            struct fuzz format = fuzz_line(&in), text = fuzz_line(&in);
            check_time_format(&zone, format, text);
        } else {
            int64_t base = starts[fuzz_below(&in, (size_t)zone.count)];
            int64_t time = what & 4 ? fuzz_number(&in) : ref_clamp((lapse_int128)base + (int32_t)fuzz_int(&in, 4) *
                                                                                             INT64_C(100));
            check_instant(&zone, time);
            check_local(&zone, time);
            check_format(time);
            check_same_as_format(&zone, time);
            check_add(&zone, time, fuzz_number(&in), (what >> 3) % 7);
            check_add(&zone, time, (int8_t)fuzz_byte(&in), LAPSE_UNIT_MONTH);
        }
    }
    return 0;
}
