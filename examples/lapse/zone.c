/* Zones and currencies by name. The library reads no zone files, hosts do: a name is looked up on this machine,
 * and its offsets from 1900 to 2999 are found by asking localtime_r(3) for every day, far ahead for every week,
 * and halving the spans in which the offset changes. About 0.1 s for a named zone, nothing for an offset. */
#define _DEFAULT_SOURCE /* tm_gmtoff */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"

enum { DAY = 86400, WEEK = 7 * DAY, LONGEST_OFFSET = 14 * 3600 };
static const int64_t first = INT64_C(-2208988800) - DAY; /* 1900-01-01 less a day */
static const int64_t by_rule = INT64_C(4102444800); /* 2100: then two changes a year at most, months apart */
static const int64_t last = INT64_C(32503680000) + DAY; /* 3000-01-01 and a day */

static bool add(struct zone *zone, size_t *room, int64_t second, int32_t offset)
{
    size_t count = (size_t)zone->count;

    if (count == *room) {
        size_t more = *room ? 2 * *room : 64;
        int64_t *starts = realloc(zone->starts, more * sizeof *starts);
        int32_t *offsets = NULL;

        if (starts) {
            zone->starts = starts;
            offsets = realloc(zone->offsets, more * sizeof *offsets);
        }
        if (!offsets)
            return false;
        zone->offsets = offsets;
        *room = more;
    }
    zone->starts[count] = second * 1000000;
    zone->offsets[count] = offset;
    zone->count++;
    return true;
}

/* `+01:00`, `-05:30`, `Z`, `UTC`: true if `text` has that form, whatever its value. */
static bool fixed_offset(const char *text, int32_t *offset, bool *good)
{
    static const char digits[] = "0123456789";

    *offset = 0;
    *good = true;
    if (strcmp(text, "Z") == 0 || strcmp(text, "UTC") == 0)
        return true;
    if (*text != '+' && *text != '-')
        return false;
    *good =
        strlen(text) == 6 && text[3] == ':' && strspn(text + 1, digits) == 2 && strspn(text + 4, digits) == 2;
    if (*good) {
        int hours = (text[1] - '0') * 10 + (text[2] - '0');
        int minutes = (text[4] - '0') * 10 + (text[5] - '0');

        *offset = (hours * 60 + minutes) * 60;
        *good = minutes < 60 && *offset <= LONGEST_OFFSET;
        *offset = *text == '-' ? -*offset : *offset;
    }
    return true;
}

/* A name that cannot leave the folder of zones, and a file there that is a zone file. */
static bool is_zone_file(const char *name, const char *path)
{
    char magic[4];
    int fd;
    bool good;

    if (*name == '\0' || *name == '/' || strstr(name, ".."))
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    good = read(fd, magic, sizeof magic) == (ssize_t)sizeof magic && memcmp(magic, "TZif", sizeof magic) == 0;
    close(fd);
    return good;
}

static int32_t offset_at(int64_t second)
{
    time_t t = (time_t)second;
    struct tm local;

    return localtime_r(&t, &local) ? (int32_t)local.tm_gmtoff : 0;
}

static bool walk(struct zone *zone)
{
    size_t room = 0;
    int32_t before = offset_at(first);
    bool good = add(zone, &room, first, before);

    for (int64_t at = first, step; good && at < last; at += step) {
        int64_t from = at;
        int32_t after;

        step = at < by_rule ? DAY : WEEK;
        after = offset_at(at + step);
        while (good && before != after) { /* usually one change, but there may be more */
            int64_t low = from;
            int64_t high = at + step;

            while (high - low > 1) {
                int64_t middle = low + (high - low) / 2;

                if (offset_at(middle) == before)
                    low = middle;
                else
                    high = middle;
            }
            before = offset_at(high);
            good = add(zone, &room, high, before);
            from = high;
        }
    }
    return good;
}

bool zone_find(const char *text, struct zone *zone)
{
    const char *folder = getenv("TZDIR");
    char path[4096];
    size_t room = 0;
    int32_t offset;
    bool good;
    int n;

    memset(zone, 0, sizeof *zone);
    if (fixed_offset(text, &offset, &good)) {
        if (!good)
            tell("--zone: '%s' is no offset: +hh:mm or -hh:mm, at most 14:00", text);
        else if (!(good = add(zone, &room, first, offset)))
            tell("no memory");
        return good;
    }
    folder = folder && *folder ? folder : "/usr/share/zoneinfo";
    n = snprintf(path, sizeof path, ":%s/%s", folder, text);
    if (n < 0 || (size_t)n >= sizeof path || !is_zone_file(text, path + 1)) {
        tell("--zone: no zone '%s' in %s; zones are +hh:mm, -hh:mm, Z, or names such as Europe/Paris", text,
             folder);
        return false;
    }
    if (setenv("TZ", path, 1) != 0) {
        tell("no memory");
        return false;
    }
    tzset();
    zone->name = text;
    good = walk(zone);
    if (!good) {
        tell("no memory");
        zone_free(zone);
    }
    return good;
}

void zone_free(struct zone *zone)
{
    free(zone->starts);
    free(zone->offsets);
    memset(zone, 0, sizeof *zone);
}

/* ISO 4217, by digits. Units without digits (gold, special drawing rights, tests) are no currency of a shop. */
int currency_digits(const char *code)
{
    static const struct {
        int digits;
        const char *codes;
    } table[] = {
        { 0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF" },
        { 2, "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD "
             "CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS "
             "GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL "
             "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK "
             "PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS "
             "TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG ZWL" },
        { 3, "BHD IQD JOD KWD LYD OMR TND" },
        { 4, "CLF UYW" },
    };
    size_t size = strlen(code);

    for (size_t i = 0; size == 3 && i < sizeof table / sizeof *table; i++) {
        for (const char *at = table[i].codes; *at != '\0'; at += at[3] == '\0' ? 3 : 4) {
            if (memcmp(at, code, 3) == 0)
                return table[i].digits;
        }
    }
    return -1;
}
