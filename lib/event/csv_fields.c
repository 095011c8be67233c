/* One field of a record to its place in the row. A parser is chosen when the file is opened; an empty field is
 * a missing fact. The parsers trust that texts hold neither NUL nor bad UTF-8: that is checked a record at a
 * time. */
#include "event/csv.h"

bool lapse_csv_same(struct lapse_text a, struct lapse_text b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static bool fail(struct lapse_csv_reader *r, const char *rule)
{
    r->rule = rule;
    return false;
}

static bool parse_customer(struct lapse_csv_reader *r, const struct lapse_csv_step *step,
                           struct lapse_text text)
{
    (void)step;
    r->row.customer = text;
    return text.size <= LAPSE_TEXT_MAX || fail(r, "a customer has at most 255 bytes");
}

static bool parse_text(struct lapse_csv_reader *r, const struct lapse_csv_step *step, struct lapse_text text)
{
    r->row.text[step->field] = text;
    return text.size <= LAPSE_TEXT_MAX || fail(r, "a text has at most 255 bytes");
}

/* Rows that follow each other often hold the same time, and a date is most often alone: it is read once. */
static bool parse_time(struct lapse_csv_reader *r, const struct lapse_csv_step *step, struct lapse_text text)
{
    int64_t *out = &r->row.number[LAPSE_F_TIME];
    (void)step;
    *out = LAPSE_MISSING;
    if (text.size == 0)
        return true;
    bool date = text.size == sizeof r->last_date;
    if (date && memcmp(text.data, r->last_date, sizeof r->last_date) == 0) {
        *out = r->last_time;
        return true;
    }
    if (!lapse_instant_parse(text.data, text.size, r->csv->zone, out, &r->rule))
        return false;
    if (date) {
        memcpy(r->last_date, text.data, sizeof r->last_date);
        r->last_time = *out;
    }
    return true;
}

static bool parse_time_format(struct lapse_csv_reader *r, const struct lapse_csv_step *step,
                              struct lapse_text text)
{
    int64_t *out = &r->row.number[LAPSE_F_TIME];
    (void)step;
    *out = LAPSE_MISSING;
    return text.size == 0 ||
           lapse_time_format_parse(&r->csv->format, text.data, text.size, r->csv->zone, out, &r->rule);
}

static bool parse_kind(struct lapse_csv_reader *r, const struct lapse_csv_step *step, struct lapse_text text)
{
    uint8_t *kind = &r->row.name[LAPSE_F_KIND];
    (void)step;
    *kind =
        text.size == 0 ? r->csv->kind : (uint8_t)lapse_kind_index_find(&r->csv->kinds, text.data, text.size);
    return *kind != 0 || fail(r, "the kind is unknown");
}

static bool parse_name(struct lapse_csv_reader *r, const struct lapse_csv_step *step, struct lapse_text text)
{
    static const char *const rules[LAPSE_FIELDS] = {
        [LAPSE_F_CHANNEL] =
            "a channel is one of email, sms, push, web_push, in_app, onsite, postal, phone, social, ads",
        [LAPSE_F_PURPOSE] = "a purpose is one of transactional, service, marketing, profiling, tracking, "
                            "ad_audience, survey",
        [LAPSE_F_PLATFORM] = "a platform is one of app, web, store",
    };
    uint8_t *name = &r->row.name[step->field];
    *name = 0;
    if (text.size == 0)
        return true;
    *name = (uint8_t)lapse_fields[step->field].find(text.data, text.size);
    return *name != 0 || fail(r, rules[step->field]);
}

static bool parse_money(struct lapse_csv_reader *r, const struct lapse_csv_step *step, struct lapse_text text)
{
    int64_t *out = &r->row.number[step->field];
    *out = LAPSE_MISSING;
    return text.size == 0 || lapse_money_parse(text.data, text.size, r->csv->check->digits, out, &r->rule);
}

static const char quantity_rule[] =
    "a quantity is a decimal with at most 6 digits after the point, not larger than 9223372036854.775807";

static bool parse_quantity(struct lapse_csv_reader *r, const struct lapse_csv_step *step,
                           struct lapse_text text)
{
    int64_t *out = &r->row.number[step->field];
    *out = LAPSE_MISSING;
    return text.size == 0 || lapse_money_parse(text.data, text.size, LAPSE_QUANTITY_DIGITS, out, &r->rule) ||
           fail(r, quantity_rule);
}

static bool parse_value(struct lapse_csv_reader *r, const struct lapse_csv_step *step, struct lapse_text text)
{
    double value;
    r->row.number[step->field] = LAPSE_MISSING;
    if (text.size == 0)
        return true;
    if (!lapse_value_parse(text.data, text.size, &value, &r->rule))
        return false;
    r->row.number[step->field] = lapse_value_to_bits(value);
    return true;
}

static bool parse_endpoint(struct lapse_csv_reader *r, const struct lapse_csv_step *step,
                           struct lapse_text text)
{
    r->row.text[step->field] = (struct lapse_text){ "", 0 };
    if (text.size == 0)
        return true;
    if (!lapse_endpoint_hash(r->csv->check, r->row.name[LAPSE_F_CHANNEL], text.data, text.size, r->endpoint,
                             &r->rule))
        return false;
    r->row.text[step->field] = (struct lapse_text){ (const char *)r->endpoint, LAPSE_ENDPOINT_SIZE };
    return true;
}

/* The exact product as a value: written out, since only reading knows how a value is rounded. */
static bool value_product(struct lapse_decimal a, struct lapse_decimal b, int64_t *bits, const char **rule)
{
    lapse_int128 product = (lapse_int128)a.mantissa * b.mantissa;
    int scale = (int)a.scale + (int)b.scale;
    for (; scale > 0 && product % 10 == 0 && product != 0; scale--)
        product /= 10;
    bool negative = product < 0;
    char text[600]; /* filled from its end; 255 decimals of each factor at most */
    size_t at = sizeof text;
    for (int digit = 0; product != 0 || digit <= scale; digit++) {
        if (digit == scale && scale > 0)
            text[--at] = '.';
        int low = (int)(product % 10);
        text[--at] = (char)('0' + (low < 0 ? -low : low));
        product /= 10;
    }
    if (negative)
        text[--at] = '-';
    double value;
    if (!lapse_value_parse(text + at, sizeof text - at, &value, rule))
        return false;
    *bits = lapse_value_to_bits(value);
    return true;
}

static bool parse_product(struct lapse_csv_reader *r, const struct lapse_csv_step *step, struct lapse_text text)
{
    int64_t *out = &r->row.number[step->field];
    const struct lapse_csv_piece *other = &r->pieces[step->factor];
    struct lapse_decimal a, b;
    *out = LAPSE_MISSING;
    if (text.size == 0 || other->size == 0)
        return true;
    r->blamed = step->column;
    if (!lapse_decimal_parse(text.data, text.size, &a, &r->rule))
        return false;
    r->blamed = step->factor;
    if (!lapse_decimal_parse(other->data, other->size, &b, &r->rule))
        return false;
    r->blamed = LAPSE_CSV_NONE;
    if (step->field == LAPSE_F_VALUE)
        return value_product(a, b, out, &r->rule);
    if (step->field == LAPSE_F_QUANTITY)
        return lapse_money_product(a, b, LAPSE_QUANTITY_DIGITS, out, &r->rule) || fail(r, quantity_rule);
    return lapse_money_product(a, b, r->csv->check->digits, out, &r->rule);
}

lapse_csv_parse_fn *lapse_csv_parser(int target, bool product, bool has_format)
{
    int field = target - 1;
    bool factors = field == LAPSE_F_AMOUNT || field == LAPSE_F_PRICE || field == LAPSE_F_QUANTITY ||
                   field == LAPSE_F_VALUE;
    if (product)
        return factors ? parse_product : NULL;
    if (field < 0)
        return parse_customer;
    if (field == LAPSE_F_TIME)
        return has_format ? parse_time_format : parse_time;
    if (field == LAPSE_F_KIND)
        return parse_kind;
    if (field == LAPSE_F_QUANTITY)
        return parse_quantity;
    if (field == LAPSE_F_VALUE)
        return parse_value;
    if (field == LAPSE_F_ENDPOINT)
        return parse_endpoint;
    switch (lapse_fields[field].class) {
    case LAPSE_CLASS_NUMBER:
        return parse_money;
    case LAPSE_CLASS_NAME:
        return parse_name;
    default:
        return parse_text;
    }
}
