/* The rules that every event keeps, whichever door it comes through. */
#include "event/event.h"

static bool fail(struct lapse_fault *fault, int field, const char *rule)
{
    fault->field = field;
    fault->rule = rule;
    return false;
}

bool lapse_text_check(const char *text, size_t n, const char **rule)
{
    if (n > LAPSE_TEXT_MAX) {
        *rule = "a text has at most 255 bytes";
        return false;
    }
    if (n > 0 && !lapse_utf8_valid(text, n)) {
        *rule = memchr(text, 0, n) ? "a NUL byte is not allowed" : "this is not valid UTF-8";
        return false;
    }
    return true;
}

/* Columns that some kinds cannot do without (rulings F2). */
static const struct {
    uint16_t flag;
    enum lapse_field field;
    const char *rule;
} needs[] = {
    { LAPSE_KIND_NEEDS_CHANNEL, LAPSE_F_CHANNEL, "an event of this kind needs a channel" },
    { LAPSE_KIND_NEEDS_REF, LAPSE_F_REF, "an event of this kind needs a ref, the token" },
    { LAPSE_KIND_NEEDS_TOPIC, LAPSE_F_TOPIC, "an event of this kind needs a topic" },
    { LAPSE_KIND_NEEDS_VALUE, LAPSE_F_VALUE, "an event of this kind needs a value, 1 (on) or 0 (off)" },
};

enum {
    NEEDS = LAPSE_KIND_NEEDS_CHANNEL | LAPSE_KIND_NEEDS_REF | LAPSE_KIND_NEEDS_TOPIC | LAPSE_KIND_NEEDS_VALUE
};

static bool is_missing(const struct lapse_row *row, enum lapse_field field)
{
    switch (lapse_fields[field].class) {
    case LAPSE_CLASS_NUMBER:
        return row->number[field] == LAPSE_MISSING;
    case LAPSE_CLASS_NAME:
        return row->name[field] == 0;
    default:
        return row->text[field].size == 0;
    }
}

static bool check_needs(const struct lapse_row *row, uint16_t flags, struct lapse_fault *fault)
{
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if ((flags & needs[i].flag) && is_missing(row, needs[i].field))
            return fail(fault, (int)needs[i].field, needs[i].rule);
    if (flags & LAPSE_KIND_NEEDS_VALUE) {
        double value = lapse_value_of_bits(row->number[LAPSE_F_VALUE]);
        if (!(value >= 0 && value <= 0) && !(value >= 1 && value <= 1))
            return fail(fault, LAPSE_F_VALUE, "the value of a preference is 1 (on) or 0 (off)");
    }
    return true;
}

static bool check_time(int64_t time, int64_t latest, struct lapse_fault *fault)
{
    if (time == LAPSE_MISSING)
        return fail(fault, LAPSE_F_TIME, "a time is required");
    if (time < LAPSE_TIME_MIN || time > LAPSE_TIME_MAX)
        return fail(fault, LAPSE_F_TIME, "a time is from 1900-01-01 to 2999-12-31");
    if (time == 0)
        return fail(fault, LAPSE_F_TIME,
                    "1970-01-01T00:00:00Z is the usual mark of a missing time and not taken");
    if (time > latest)
        return fail(fault, LAPSE_F_TIME, "a time is not later than the time of receipt plus import.skew");
    return true;
}

static bool is_negative(int64_t number)
{
    return number < 0 && number != LAPSE_MISSING;
}

bool lapse_row_check_facts(const struct lapse_row *row, const struct lapse_check *check,
                           struct lapse_fault *fault)
{
    if (row->customer.size == 0)
        return fail(fault, -1, "a customer is required");
    if (!check_time(row->number[LAPSE_F_TIME], check->latest, fault))
        return false;
    if (is_negative(row->number[LAPSE_F_AMOUNT]))
        return fail(fault, LAPSE_F_AMOUNT, "an amount is not negative");
    if (is_negative(row->number[LAPSE_F_QUANTITY]))
        return fail(fault, LAPSE_F_QUANTITY, "a quantity is not negative");
    if (is_negative(row->number[LAPSE_F_PRICE]))
        return fail(fault, LAPSE_F_PRICE, "a price is not negative");
    uint16_t flags = lapse_kinds[row->name[LAPSE_F_KIND]].flags;
    return !(flags & NEEDS) || check_needs(row, flags, fault);
}

bool lapse_row_check(const struct lapse_row *row, const struct lapse_check *check, struct lapse_fault *fault)
{
    if (!lapse_text_check(row->customer.data, row->customer.size, &fault->rule))
        return fail(fault, -1, fault->rule);
    if (row->name[LAPSE_F_KIND] == 0)
        return fail(fault, LAPSE_F_KIND, "a kind is required");
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        const struct lapse_field_info *info = &lapse_fields[f];
        if (info->class == LAPSE_CLASS_NAME && row->name[f] != 0 && !info->name_of(row->name[f]))
            return fail(fault, f, "this is no name of the list");
        if (info->class == LAPSE_CLASS_TEXT && f != LAPSE_F_ENDPOINT &&
            !lapse_text_check(row->text[f].data, row->text[f].size, &fault->rule))
            return fail(fault, f, fault->rule);
    }
    int64_t value = row->number[LAPSE_F_VALUE];
    if (value != LAPSE_MISSING && !lapse_value_check(lapse_value_of_bits(value)))
        return fail(fault, LAPSE_F_VALUE, "a value is a decimal of at most 15 significant digits");
    return lapse_row_check_facts(row, check, fault);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool read_hash(const char *text, size_t n, uint8_t out[LAPSE_ENDPOINT_SIZE], const char **rule)
{
    *rule = "`hash:` is followed by 64 hexadecimal digits";
    if (n != 2 * LAPSE_ENDPOINT_SIZE)
        return false;
    for (size_t i = 0; i < LAPSE_ENDPOINT_SIZE; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool lapse_endpoint_hash(const struct lapse_check *check, int32_t channel, const char *text, size_t n,
                         uint8_t out[32], const char **rule)
{
    if (!lapse_text_check(text, n, rule))
        return false;
    while (n > 0 && is_blank(text[0])) {
        text++;
        n--;
    }
    while (n > 0 && is_blank(text[n - 1]))
        n--;
    if (n == 0) {
        *rule = "an endpoint is not made of blanks alone";
        return false;
    }
    if (n >= 5 && memcmp(text, "hash:", 5) == 0)
        return read_hash(text + 5, n - 5, out, rule);
    char address[LAPSE_TEXT_MAX];
    memcpy(address, text, n);
    for (size_t i = 0; i < n && channel == LAPSE_CHANNEL_EMAIL; i++)
        if (address[i] >= 'A' && address[i] <= 'Z')
            address[i] = (char)(address[i] + ('a' - 'A'));
    lapse_hmac_sha256(check->key, check->key_size, address, n, out);
    return true;
}
