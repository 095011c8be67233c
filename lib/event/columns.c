/* The columns of an event as one table, their printed form, and the canonical order of events. */
#include "event/event.h"

const struct lapse_field_info lapse_fields[LAPSE_FIELDS] = {
    [LAPSE_F_TIME] = { "time", LAPSE_CLASS_NUMBER, NULL, NULL, NULL },
    [LAPSE_F_KIND] = { "kind", LAPSE_CLASS_NAME, lapse_kind_name, lapse_kind_lookup, "the kind is unknown" },
    [LAPSE_F_AMOUNT] = { "amount", LAPSE_CLASS_NUMBER, NULL, NULL, NULL },
    [LAPSE_F_CHANNEL] = { "channel", LAPSE_CLASS_NAME, lapse_channel_name, lapse_channel_lookup,
                          "a channel is one of email, sms, push, web_push, in_app, onsite, postal, phone, social, ads" },
    [LAPSE_F_PURPOSE] = { "purpose", LAPSE_CLASS_NAME, lapse_purpose_name, lapse_purpose_lookup,
                          "a purpose is one of transactional, service, marketing, profiling, tracking, ad_audience, "
                          "survey" },
    [LAPSE_F_TOPIC] = { "topic", LAPSE_CLASS_TEXT, NULL, NULL, NULL },
    [LAPSE_F_PLATFORM] = { "platform", LAPSE_CLASS_NAME, lapse_platform_name, lapse_platform_lookup,
                           "a platform is one of app, web, store" },
    [LAPSE_F_REF] = { "ref", LAPSE_CLASS_TEXT, NULL, NULL, NULL },
    [LAPSE_F_VALUE] = { "value", LAPSE_CLASS_NUMBER, NULL, NULL, NULL },
    [LAPSE_F_REASON] = { "reason", LAPSE_CLASS_TEXT, NULL, NULL, NULL },
    [LAPSE_F_ITEM] = { "item", LAPSE_CLASS_TEXT, NULL, NULL, NULL },
    [LAPSE_F_QUANTITY] = { "quantity", LAPSE_CLASS_NUMBER, NULL, NULL, "a quantity is a decimal with at most 6 digits after the "
                           "point, not larger than 9223372036854.775807" },
    [LAPSE_F_CATEGORY] = { "category", LAPSE_CLASS_TEXT, NULL, NULL, NULL },
    [LAPSE_F_PRICE] = { "price", LAPSE_CLASS_NUMBER, NULL, NULL, NULL },
    [LAPSE_F_ENDPOINT] = { "endpoint", LAPSE_CLASS_TEXT, NULL, NULL, NULL },
    [LAPSE_F_EVIDENCE] = { "evidence", LAPSE_CLASS_TEXT, NULL, NULL, NULL },
    [LAPSE_F_SOURCE] = { "source", LAPSE_CLASS_TEXT, NULL, NULL, NULL },
    [LAPSE_F_EVENT_ID] = { "event_id", LAPSE_CLASS_TEXT, NULL, NULL, NULL },
};

double lapse_value_of_bits(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int64_t lapse_value_to_bits(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static size_t format_number(enum lapse_field field, int64_t number, int digits, char *out)
{
    if (number == LAPSE_MISSING)
        return 0;
    switch (field) {
    case LAPSE_F_TIME:
        return lapse_instant_format(number, out);
    case LAPSE_F_VALUE:
        return lapse_double_format(lapse_value_of_bits(number), out);
    case LAPSE_F_QUANTITY:
        return lapse_decimal_format(number, LAPSE_QUANTITY_DIGITS, false, out);
    default:
        return lapse_decimal_format(number, digits, true, out);
    }
}

static size_t format_endpoint(struct lapse_text hash, char *out)
{
    static const char hex[] = "0123456789abcdef";
    if (hash.size == 0)
        return 0;
    char *p = out;
    memcpy(p, "hash:", 5);
    p += 5;
    for (uint32_t i = 0; i < hash.size && i < LAPSE_ENDPOINT_SIZE; i++) {
        uint8_t byte = (uint8_t)hash.data[i];
        *p++ = hex[byte >> 4];
        *p++ = hex[byte & 15];
    }
    return (size_t)(p - out);
}

static size_t format_text(struct lapse_text text, char *out)
{
    size_t n = text.size < LAPSE_TEXT_MAX ? text.size : LAPSE_TEXT_MAX;
    if (n > 0)
        memcpy(out, text.data, n);
    return n;
}

static size_t format_name(enum lapse_field field, uint8_t value, char *out)
{
    const char *name = lapse_fields[field].name_of(value);
    return name ? format_text((struct lapse_text){ name, (uint32_t)strlen(name) }, out) : 0;
}

size_t lapse_field_format(enum lapse_field field, const struct lapse_row *row, int digits, char *out)
{
    switch (lapse_fields[field].class) {
    case LAPSE_CLASS_NUMBER:
        return format_number(field, row->number[field], digits, out);
    case LAPSE_CLASS_NAME:
        return format_name(field, row->name[field], out);
    default:
        return field == LAPSE_F_ENDPOINT ? format_endpoint(row->text[field], out)
                                         : format_text(row->text[field], out);
    }
}

static int compare_field(enum lapse_field field, const struct lapse_row *a, const struct lapse_row *b,
                         int digits)
{
    if (lapse_fields[field].class == LAPSE_CLASS_TEXT) /* a hash in hexadecimal has the order of its bytes */
        return lapse_text_order(a->text[field], b->text[field]);
    if (lapse_fields[field].class == LAPSE_CLASS_NUMBER ? a->number[field] == b->number[field]
                                                        : a->name[field] == b->name[field])
        return 0;
    char one[400], two[400];
    size_t n = lapse_field_format(field, a, digits, one);
    size_t m = lapse_field_format(field, b, digits, two);
    return lapse_text_compare(one, n, two, m);
}

int lapse_row_compare(const struct lapse_row *a, const struct lapse_row *b, int digits)
{
    if (a->number[LAPSE_F_TIME] != b->number[LAPSE_F_TIME])
        return a->number[LAPSE_F_TIME] < b->number[LAPSE_F_TIME] ? -1 : 1;
    int difference = (int)lapse_row_rank(a) - (int)lapse_row_rank(b);
    if (difference == 0)
        difference = compare_field(LAPSE_F_SOURCE, a, b, digits);
    if (difference == 0)
        difference = compare_field(LAPSE_F_EVENT_ID, a, b, digits);
    for (int f = 0; f < LAPSE_F_SOURCE && difference == 0; f++)
        difference = compare_field((enum lapse_field)f, a, b, digits);
    return difference;
}
