/* The table of settings: name, kind, default, and where the default comes from; and how each kind of value is
 * written. Nothing of this sort is a constant anywhere else in the library. */
#include "policy/policy.h"

#include <lapse/event.h>

/* clang-format off */
#define SPAN(count, of) { .n = (count), .unit = LAPSE_UNIT_##of }
#define NUMBER(count) { .n = (count) }
#define OFF { .n = 0 }
#define EMAIL { .n = 1 << LAPSE_CHANNEL_EMAIL }

/* Ordered by name, as enum lapse_setting is. */
const struct lapse_setting_info lapse_settings[LAPSE_SETTINGS] = {
    { "activity.opens", LAPSE_SETTING_FLAG, false, 0, "0", NUMBER(0),
      "ours: mail programs open messages ahead of people" },
    { "bounce.soft", LAPSE_SETTING_COUNT, false, 1, "3", NUMBER(3), "ours, after Salesforce Marketing Cloud" },
    { "bounce.span", LAPSE_SETTING_SPAN, false, 0, "14d", SPAN(14, DAY),
      "ours, after Salesforce Marketing Cloud" },
    { "cap.day", LAPSE_SETTING_COUNT, false, 0, "1", NUMBER(1), "ours: each channel; 0 is no cap" },
    { "cap.week", LAPSE_SETTING_COUNT, false, 0, "3", NUMBER(3), "ours: all channels; 0 is no cap" },
    { "cart.abandon", LAPSE_SETTING_SPAN, false, 1, "1h", SPAN(1, HOUR), "ours" },
    { "consent.import_needs_evidence", LAPSE_SETTING_FLAG, false, 0, "1", NUMBER(1),
      "ours: the sender has to prove consent" },
    { "consent.inapp_implied", LAPSE_SETTING_FLAG, false, 0, "1", NUMBER(1),
      "article 004: in-app where other channels fail" },
    { "consent.token", LAPSE_SETTING_SPAN, false, 1, "60d", SPAN(60, DAY), "ours, after Mailchimp" },
    { "engagement.inactive", LAPSE_SETTING_SPAN, false, 1, "6m", SPAN(6, MONTH), "article 000: six months" },
    { "engagement.lost", LAPSE_SETTING_SPAN, false, 1, "12m", SPAN(12, MONTH), "ours" },
    { "engagement.risk", LAPSE_SETTING_SPAN, false, 1, "90d", SPAN(90, DAY), "ours" },
    { "implied.channels", LAPSE_SETTING_CHANNELS, true, 0, "email", EMAIL, "ours" },
    { "implied.inquiry", LAPSE_SETTING_SPAN, true, 1, "off", OFF, "ours; CASL: 6 months" },
    { "implied.purchase", LAPSE_SETTING_SPAN, true, 1, "off", OFF, "ours; CASL: 24 months" },
    { "import.skew", LAPSE_SETTING_SPAN, false, 0, "5min", SPAN(5, MINUTE), "ours" },
    { "loyalty.rating", LAPSE_SETTING_RATING, true, 0, "off", OFF, "ours" },
    { "loyalty.tier", LAPSE_SETTING_TIER, true, 0, "off", OFF, "ours" },
    { "order.zero_is_valid", LAPSE_SETTING_FLAG, false, 0, "0", NUMBER(0), "ours: free goods are no purchase" },
    { "permit.assume_endpoint", LAPSE_SETTING_FLAG, false, 0, "1", NUMBER(1),
      "ours: hosts that send no endpoint events" },
    { "purchase.inactive", LAPSE_SETTING_SPAN, false, 1, "6m", SPAN(6, MONTH), "article 000: six months" },
    { "purchase.lost", LAPSE_SETTING_SPAN, false, 1, "12m", SPAN(12, MONTH), "ours" },
    { "purchase.risk", LAPSE_SETTING_SPAN, false, 1, "90d", SPAN(90, DAY), "ours" },
    { "quiet.from", LAPSE_SETTING_CLOCK, true, 0, "off", NUMBER(-1), "ours" },
    { "quiet.to", LAPSE_SETTING_CLOCK, true, 0, "off", NUMBER(-1), "ours" },
    { "response.after", LAPSE_SETTING_SPAN, false, 0, "30d", SPAN(30, DAY), "ours" },
    { "response.sends", LAPSE_SETTING_COUNT, false, 1, "5", NUMBER(5), "ours" },
    { "sunset.after", LAPSE_SETTING_SPAN, false, 0, "180d", SPAN(180, DAY), "ours" },
    { "sunset.lift", LAPSE_SETTING_ACTS, true, 0, "off", OFF, "ours" },
    { "sunset.tries", LAPSE_SETTING_COUNT, false, 0, "1", NUMBER(1), "ours, after practice: one last try" },
};
/* clang-format on */

/* Limits that no use needs to pass: a deadline stays a date that can be printed. */
enum { MOST_YEARS = 1000, MOST_COUNT = 999999 };

static const char *const not_zero = "must not be zero";
static const char *const too_long = "must not be longer than 1000 years";

int64_t lapse_setting_length(int64_t n, int32_t unit, bool *calendar)
{
    static const int64_t lengths[] = {
        [LAPSE_UNIT_SECOND] = 1,  [LAPSE_UNIT_MINUTE] = 60, [LAPSE_UNIT_HOUR] = 3600,
        [LAPSE_UNIT_DAY] = 86400, [LAPSE_UNIT_MONTH] = 1,   [LAPSE_UNIT_YEAR] = 12
    };
    *calendar = unit == LAPSE_UNIT_MONTH || unit == LAPSE_UNIT_YEAR;
    return n * lengths[unit];
}

/* The readers below put the normal form with its NUL; *rule stays where the rule of the kind will do. */

static bool read_span(const struct lapse_setting_info *s, const char *text, size_t n,
                      struct lapse_setting_value *value, char *normal, const char **rule)
{
    if (!lapse_span_parse(text, n, &value->n, &value->unit))
        return false;
    bool calendar;
    int64_t length = lapse_setting_length(value->n, value->unit, &calendar);
    if (value->n < s->least || length > (calendar ? INT64_C(12) : INT64_C(366) * 86400) * MOST_YEARS) {
        *rule = value->n < s->least ? not_zero : too_long;
        return false;
    }
    normal[lapse_span_format(value->n, value->unit, normal)] = '\0';
    return true;
}

static bool read_count(const struct lapse_setting_info *s, const char *text, size_t n,
                       struct lapse_setting_value *value, char *normal, const char **rule)
{
    if (n == 0 || text[0] == '-' || !lapse_int_parse(text, n, &value->n) || value->n > MOST_COUNT)
        return false;
    if (value->n < s->least) {
        *rule = not_zero;
        return false;
    }
    normal[lapse_int_format(value->n, normal)] = '\0';
    return true;
}

static bool read_flag(const struct lapse_setting_info *s, const char *text, size_t n,
                      struct lapse_setting_value *value, char *normal, const char **rule)
{
    return n == 1 && (text[0] == '0' || text[0] == '1') && read_count(s, text, n, value, normal, rule);
}

/* A set of names with commas between, blanks allowed beside them; normal form: in the order of `names`, without
 * blanks. Name i of the list, from 1, is bit i. */
static bool read_set(const char *const *names, const char *text, size_t n, struct lapse_setting_value *value,
                     char *normal)
{
    value->n = 0;
    for (size_t at = 0; at <= n; at++) {
        size_t end = at;
        while (end < n && text[end] != ',')
            end++;
        size_t from = at, to = end;
        while (from < to && text[from] == ' ')
            from++;
        while (to > from && text[to - 1] == ' ')
            to--;
        int i = 1;
        while (names[i] && lapse_text_compare(names[i], strlen(names[i]), text + from, to - from) != 0)
            i++;
        if (!names[i] || (value->n >> i & 1))
            return false;
        value->n |= INT64_C(1) << i;
        at = end;
    }
    for (int i = 1; names[i]; i++) {
        if (!(value->n >> i & 1))
            continue;
        memcpy(normal, names[i], strlen(names[i]));
        normal += strlen(names[i]);
        *normal++ = ',';
    }
    normal[-1] = '\0';
    return true;
}

static bool read_channels(const struct lapse_setting_info *s, const char *text, size_t n,
                          struct lapse_setting_value *value, char *normal, const char **rule)
{
    static const char *const names[] = {
        "",
        [LAPSE_CHANNEL_EMAIL] = "email",
        [LAPSE_CHANNEL_SMS] = "sms",
        [LAPSE_CHANNEL_PUSH] = "push",
        [LAPSE_CHANNEL_WEB_PUSH] = "web_push",
        [LAPSE_CHANNEL_IN_APP] = "in_app",
        [LAPSE_CHANNEL_ONSITE] = "onsite",
        [LAPSE_CHANNEL_POSTAL] = "postal",
        [LAPSE_CHANNEL_PHONE] = "phone",
        [LAPSE_CHANNEL_SOCIAL] = "social",
        [LAPSE_CHANNEL_ADS] = "ads",
        NULL,
    };
    (void)s;
    (void)rule;
    return read_set(names, text, n, value, normal);
}

static bool read_acts(const struct lapse_setting_info *s, const char *text, size_t n,
                      struct lapse_setting_value *value, char *normal, const char **rule)
{
    static const char *const names[] = { "", "purchase", "visit", NULL }; /* LAPSE_LIFT_... */
    (void)s;
    (void)rule;
    return read_set(names, text, n, value, normal);
}

/* hh:mm or hh:mm:ss; seconds of zero are left out. */
static bool read_clock(const struct lapse_setting_info *s, const char *text, size_t n,
                       struct lapse_setting_value *value, char *normal, const char **rule)
{
    (void)s;
    (void)rule;
    static const char pattern[] = "hh:mm:ss";
    if (n != 5 && n != 8)
        return false;
    int64_t part[3] = { 0, 0, 0 };
    for (size_t i = 0; i < n; i++) {
        if (pattern[i] == ':' ? text[i] != ':' : text[i] < '0' || text[i] > '9')
            return false;
        if (pattern[i] != ':')
            part[i / 3] = part[i / 3] * 10 + (text[i] - '0');
    }
    if (part[0] > 23 || part[1] > 59 || part[2] > 59)
        return false;
    value->n = part[0] * 3600 + part[1] * 60 + part[2];
    n = part[2] == 0 ? 5 : 8;
    memcpy(normal, text, n);
    normal[n] = '\0';
    return true;
}

static bool read_rating(const struct lapse_setting_info *s, const char *text, size_t n,
                        struct lapse_setting_value *value, char *normal, const char **rule)
{
    (void)s;
    char out[400];
    if (!lapse_value_parse(text, n, &value->number, rule))
        return false;
    size_t size = lapse_double_format(value->number, out);
    if (size >= LAPSE_SETTING_ROOM)
        return false;
    memcpy(normal, out, size);
    normal[size] = '\0';
    return true;
}

/* The name of a tier must also survive a policy file, where `#` begins a comment and outer blanks go. */
static bool read_tier(const struct lapse_setting_info *s, const char *text, size_t n,
                      struct lapse_setting_value *value, char *normal, const char **rule)
{
    (void)s;
    (void)value;
    (void)rule;
    if (n == 0 || n >= LAPSE_SETTING_ROOM || !lapse_utf8_valid(text, n) || text[0] == ' ' || text[n - 1] == ' ')
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f || text[i] == '#')
            return false;
    memcpy(normal, text, n);
    normal[n] = '\0';
    return true;
}

/* clang-format off */
#define RULE(text) { text, text ", or off" }
static const struct {
    const char *unit;
    const char *rule[2]; /* without off, and with it */
    bool (*read)(const struct lapse_setting_info *, const char *, size_t, struct lapse_setting_value *, char *,
                 const char **);
} kinds[] = {
    [LAPSE_SETTING_SPAN] = { "duration", RULE("must be a span such as 90d, 6m, 1y, 1h, 30min, 45s"),
                             read_span },
    [LAPSE_SETTING_FLAG] = { "flag", RULE("must be 0 or 1"), read_flag },
    [LAPSE_SETTING_COUNT] = { "count", RULE("must be a whole number from 0 to 999999"), read_count },
    [LAPSE_SETTING_CHANNELS] = { "channels",
                                 RULE("must be channels with commas between, each once: email, sms, push, "
                                      "web_push, in_app, onsite, postal, phone, social, ads"), read_channels },
    [LAPSE_SETTING_ACTS] = { "acts", RULE("must be purchase, visit, or both with a comma between"), read_acts },
    [LAPSE_SETTING_CLOCK] = { "time of day", RULE("must be hh:mm or hh:mm:ss, from 00:00 to 23:59:59"),
                              read_clock },
    [LAPSE_SETTING_RATING] = { "rating", RULE("must be a number such as 4 or 4.5, of at most 15 digits"),
                               read_rating },
    [LAPSE_SETTING_TIER] = { "tier", RULE("must be a name of 1 to 255 bytes of UTF-8 without control "
                                          "characters, '#' or outer blanks"), read_tier },
};
/* clang-format on */

int lapse_setting_find(const char *name, size_t n)
{
    int low = 0, high = LAPSE_SETTINGS;
    while (low < high) {
        int middle = (low + high) / 2;
        const char *here = lapse_settings[middle].name;
        int order = lapse_text_compare(name, n, here, strlen(here));
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

const char *lapse_setting_unit(enum lapse_setting setting)
{
    return kinds[lapse_settings[setting].kind].unit;
}

bool lapse_setting_parse(enum lapse_setting setting, const char *text, size_t n,
                         struct lapse_setting_value *value, char normal[LAPSE_SETTING_ROOM], const char **rule)
{
    const struct lapse_setting_info *s = &lapse_settings[setting];
    *value = (struct lapse_setting_value){ .n = 0 };
    if (s->may_be_off && n == 3 && memcmp(text, "off", 3) == 0) {
        value->n = s->kind == LAPSE_SETTING_CLOCK ? -1 : 0;
        memcpy(normal, "off", 4);
        return true;
    }
    const char *ours = kinds[s->kind].rule[s->may_be_off];
    const char *rest = ours;
    bool good = kinds[s->kind].read(s, text, n, value, normal, &rest);
    *rule = rest;
    return good;
}
