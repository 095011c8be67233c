/* Cuts that outlive the customers they were made of: read from text, written as CSV (rulings R10, R11), and used for
 * one customer at a time. Thresholds are kept as floors in days, orders and minor units, which decide the same for
 * every possible value. */
#include <stdio.h>

#include "rfm/rfm.h"

enum { AXES = 3, AXIS = 0, BIN = 1, ABOVE = 2, COLUMNS = 3, MAX_BYTES = 4096, DIGITS_MOST = 6 };

static const char *const columns[COLUMNS] = { "axis", "bin", "above" };
static const char axis_names[AXES + 1] = "rfm";
static const char *const axis_words[AXES] = { "recency", "frequency", "monetary" };
static const char *const ascend[AXES] = {
    "thresholds of recency ascend, equal ones allowed",
    "thresholds of frequency ascend, equal ones allowed",
    "thresholds of monetary ascend, equal ones allowed",
};

const char *lapse_cuts_fault(const lapse_cuts *cuts)
{
    if (!cuts || cuts->size < sizeof *cuts)
        return "cuts have their size set";
    if (cuts->digits < 0 || cuts->digits > DIGITS_MOST)
        return "digits are 0 to 6";
    for (int a = 0; a < AXES; a++) {
        if (cuts->bins[a] < LAPSE_BINS_MIN || cuts->bins[a] > LAPSE_BINS_MAX)
            return "an axis has 2 to 10 bins";
        const int64_t *above = &cuts->above[lapse_cuts_place(a)];
        for (int i = 1; i < cuts->bins[a] - 1; i++)
            if (above[i] < above[i - 1])
                return ascend[a];
    }
    return NULL;
}

lapse_status lapse_cuts_score(const lapse_cuts *cuts, int64_t recency_days, int64_t frequency, int64_t monetary,
                              int32_t scores[3])
{
    const int64_t values[AXES] = { recency_days, frequency, monetary };
    if (!scores || lapse_cuts_fault(cuts))
        return LAPSE_INVALID;
    for (int a = 0; a < AXES; a++) {
        int32_t above = 0;
        for (int32_t i = 0; i < cuts->bins[a] - 1; i++)
            above += values[a] > cuts->above[lapse_cuts_place(a) + i];
        scores[a] = a == 0 ? cuts->bins[a] - above : 1 + above;
    }
    return LAPSE_OK;
}

/* ---- text to cuts ---- */

/* The floor of a decimal of any length in units of 10^-digits. NULL, or the rule it breaks. */
static const char *read_floor(struct lapse_text text, int digits, int64_t *out)
{
    const lapse_int128 most = (lapse_int128)1 << 64; /* what is beyond stays beyond */
    const char *at = text.data, *end = text.data + text.size;
    bool negative = at < end && *at == '-', rest = false;
    lapse_int128 value = 0;
    int decimals = -1; /* before the point */
    at += negative;
    for (const char *first = at; at < end; at++) {
        if (*at == '.' && decimals < 0 && at > first && at + 1 < end) {
            decimals = 0;
            continue;
        }
        if (*at < '0' || *at > '9')
            break;
        if (decimals < digits && value <= most)
            value = 10 * value + (*at - '0');
        else
            rest |= *at != '0' || decimals < digits;
        decimals += decimals >= 0;
    }
    if (at < end || text.size == (size_t)negative)
        return "a threshold is -?digits[.digits], such as 30, 2.5 or -10";
    for (decimals = decimals < 0 ? 0 : decimals; decimals < digits && value <= most; decimals++)
        value *= 10;
    return lapse_int128_fits(negative ? -value - rest : value, out) ? NULL
                                                                    : "a threshold is less than 2^63 smallest units";
}

/* The next threshold of an axis. NULL, or the rule it breaks. */
static const char *put_threshold(lapse_cuts *cuts, int axis, struct lapse_text text)
{
    int64_t above;
    int at = cuts->bins[axis] ? cuts->bins[axis] - 1 : 0;
    if (at == LAPSE_BINS_MAX - 1)
        return "an axis has one to nine thresholds";
    const char *rule = read_floor(text, axis == 2 ? cuts->digits : 0, &above);
    if (rule)
        return rule;
    int64_t *kept = &cuts->above[lapse_cuts_place(axis)];
    if (at && above < kept[at - 1])
        return ascend[axis];
    kept[at] = above;
    cuts->bins[axis] = at + 2;
    return NULL;
}

static lapse_status check_call(const void *text, int32_t digits, const lapse_cuts *out, lapse_error *error)
{
    if (!text || !out || out->size < sizeof *out)
        return lapse_fail(error, LAPSE_INVALID, "cuts: no text, or no lapse_cuts whose size is set");
    if (digits < 0 || digits > DIGITS_MOST)
        return lapse_fail(error, LAPSE_INVALID, "cuts: digits are 0 to 6");
    return LAPSE_OK;
}

static void hand_over(const lapse_cuts *cuts, lapse_cuts *out)
{
    lapse_options_write(out, out->size, cuts, sizeof *cuts, sizeof *cuts);
}

lapse_status lapse_cuts_parse(const char *text, int32_t digits, lapse_cuts *out, lapse_error *error)
{
    static const char form[] = "thresholds are those of three axes, days/orders/money, as in "
                               "30,90,180,365/2,3,5,8/10,50,100,500";
    static const struct lapse_place whole = { "cuts", 0, -1, NULL };
    lapse_cuts cuts = { .digits = digits };
    lapse_status status = check_call(text, digits, out, error);
    if (status != LAPSE_OK)
        return status;
    const char *at = text;
    for (int axis = 0; axis < AXES; axis++) {
        struct lapse_place place = { "cuts", 0, 0, axis_words[axis] };
        for (bool more = true; more; place.row++) {
            struct lapse_text number = { .data = at, .size = (uint32_t)strcspn(at, ",/") };
            const char *rule = put_threshold(&cuts, axis, number);
            if (rule)
                return lapse_fail_at(error, LAPSE_BAD_INPUT, &place, number.data, number.size, rule);
            at += number.size;
            more = *at == ',';
            at += more;
        }
        if (*at != (axis < AXES - 1 ? '/' : '\0'))
            return lapse_fail_at(error, LAPSE_BAD_INPUT, &whole, text, strlen(text), form);
        at++;
    }
    hand_over(&cuts, out);
    return LAPSE_OK;
}

/* Rows may be mixed between axes, but the bins of each ascend from 1. */
static lapse_status read_row(const struct lapse_sheet *in, lapse_cuts *cuts, lapse_error *error)
{
    struct lapse_text name = lapse_sheet_text(in, AXIS), bin = lapse_sheet_text(in, BIN);
    const char *axis = name.size == 1 ? memchr(axis_names, name.data[0], AXES) : NULL;
    int64_t number;
    if (!axis)
        return lapse_sheet_refuse(in, AXIS, "an axis is r, f or m", error);
    int a = (int)(axis - axis_names);
    if (!lapse_int_parse(bin.data, bin.size, &number) || number != (cuts->bins[a] ? cuts->bins[a] : 1))
        return lapse_sheet_refuse(in, BIN, "bins of an axis are 1, 2, ... in this order", error);
    const char *rule = put_threshold(cuts, a, lapse_sheet_text(in, ABOVE));
    return rule ? lapse_sheet_refuse(in, ABOVE, rule, error) : LAPSE_OK;
}

lapse_status lapse_cuts_read(const char *csv, int64_t size, int32_t digits, lapse_cuts *out, lapse_error *error)
{
    lapse_cuts cuts = { .digits = digits };
    struct lapse_sheet in;
    char spare[MAX_BYTES];
    lapse_status status = check_call(csv, digits, out, error);
    if (status != LAPSE_OK)
        return status;
    if (size < 0 || size > MAX_BYTES)
        return lapse_fail(error, size < 0 ? LAPSE_INVALID : LAPSE_BAD_INPUT, "a table of cuts has at most %d bytes",
                          (int)MAX_BYTES);
    status = lapse_sheet_open(&in, "table of cuts", columns, COLUMNS, csv, (size_t)size, spare, error);
    while (status == LAPSE_OK && (status = lapse_sheet_next(&in, error)) == LAPSE_OK)
        status = read_row(&in, &cuts, error);
    if (status != LAPSE_DONE)
        return status;
    for (int a = 0; a < AXES; a++)
        if (!cuts.bins[a])
            return lapse_fail(error, LAPSE_BAD_INPUT, "table of cuts: no threshold of axis %c", axis_names[a]);
    hand_over(&cuts, out);
    return LAPSE_OK;
}

/* ---- cuts to text ---- */

lapse_status lapse_cuts_write(const lapse_cuts *cuts, lapse_write_fn write, void *user, lapse_error *error)
{
    char text[MAX_BYTES];
    int n = snprintf(text, sizeof text, "axis,bin,above\n");
    if (!write || lapse_cuts_fault(cuts))
        return lapse_fail(error, LAPSE_INVALID, "lapse_cuts_write() was given no cuts, or no function");
    for (int a = 0; a < AXES; a++)
        for (int i = 0; i < cuts->bins[a] - 1; i++) { /* 27 rows of at most 27 bytes */
            n += snprintf(text + n, 8, "%c,%d,", axis_names[a], i + 1);
            n += (int)lapse_decimal_format(cuts->above[lapse_cuts_place(a) + i], a == 2 ? cuts->digits : 0, true, text + n);
            text[n++] = '\n';
        }
    return write(user, text, n) ? lapse_fail(error, LAPSE_CANCELLED, "cancelled by the function that takes the output")
                                : LAPSE_OK;
}
