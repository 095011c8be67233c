/* The rules that every event keeps, whichever door it comes through: each one a pass over a column, in the order in
 * which they are told. Most columns have no faults: that is found without a branch for each row. */
#include "event/event.h"

void lapse_flaws_clear(struct lapse_flaws *flaws)
{
    if (flaws->count > 0)
        memset(flaws, 0, sizeof *flaws);
}

void lapse_flaws_add(struct lapse_flaws *flaws, size_t row, int field, const char *rule)
{
    struct lapse_fault *fault = &flaws->row[row];
    if (fault->rule)
        return;
    *fault = (struct lapse_fault){ field, rule };
    flaws->count++;
}

bool lapse_flaws_next_good(const struct lapse_flaws *flaws, size_t end, size_t *first, size_t *n)
{
    size_t i = *first + *n;
    if (flaws->count == 0) {
        *first = i;
        *n = end - i;
        return *n > 0;
    }
    while (i < end && flaws->row[i].rule)
        i++;
    *first = i;
    while (i < end && !flaws->row[i].rule)
        i++;
    *n = i - *first;
    return *n > 0;
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

/* Some rows of columns, and where their faults go. */
struct pass {
    const struct lapse_columns *c;
    size_t first, n;
    struct lapse_flaws *flaws;
};

static bool is_missing(const struct lapse_columns *c, int field, size_t i)
{
    switch (lapse_fields[field].class) {
    case LAPSE_CLASS_NUMBER:
        return lapse_columns_number(c, field, i) == LAPSE_MISSING;
    case LAPSE_CLASS_NAME:
        return lapse_columns_name(c, field, i) == 0;
    default:
        return lapse_columns_text(c, field, i).size == 0;
    }
}

/* NULL: row i has what its kind needs. */
static const char *needs_rule(const struct lapse_columns *c, size_t i, uint16_t flags, int *field)
{
    for (size_t k = 0; k < sizeof needs / sizeof needs[0]; k++)
        if ((flags & needs[k].flag) && is_missing(c, (int)needs[k].field, i)) {
            *field = (int)needs[k].field;
            return needs[k].rule;
        }
    double value = lapse_value_of_bits(lapse_columns_number(c, LAPSE_F_VALUE, i));
    *field = LAPSE_F_VALUE;
    if ((flags & LAPSE_KIND_NEEDS_VALUE) && !(value >= 0 && value <= 0) && !(value >= 1 && value <= 1))
        return "the value of a preference is 1 (on) or 0 (off)";
    return NULL;
}

static void check_needs(const struct pass *p)
{
    for (size_t i = 0; i < p->n; i++) {
        uint16_t flags = lapse_kinds[lapse_columns_name(p->c, LAPSE_F_KIND, p->first + i)].flags;
        int field = 0;
        const char *rule = flags & NEEDS ? needs_rule(p->c, p->first + i, flags, &field) : NULL;
        if (rule)
            lapse_flaws_add(p->flaws, i, field, rule);
    }
}

/* Can a rule of times be broken? Where one is, a sign bit gets set. */
static bool has_odd_time(const int64_t *time, size_t n, int64_t latest)
{
    const uint64_t least = (uint64_t)LAPSE_TIME_MIN;
    const uint64_t most = (uint64_t)(latest < LAPSE_TIME_MAX ? latest : LAPSE_TIME_MAX);
    uint64_t odd = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t t = (uint64_t)time[i];
        odd |= (t - least) | (most - t) | ((t - 1) & ~t);
    }
    return latest < LAPSE_TIME_MIN || odd >> 63;
}

static bool has_negative(const int64_t *number, size_t n) /* or missing */
{
    int64_t all = 0;
    for (size_t i = 0; i < n; i++)
        all |= number[i];
    return all < 0;
}

static inline const char *time_rule(int64_t time, int64_t latest)
{
    if (time < LAPSE_TIME_MIN || time > LAPSE_TIME_MAX)
        return time == LAPSE_MISSING ? "a time is required" : "a time is from 1900-01-01 to 2999-12-31";
    if (time == 0)
        return "1970-01-01T00:00:00Z is the usual mark of a missing time and not taken";
    return time > latest ? "a time is not later than the time of receipt plus import.skew" : NULL;
}

/* Row i of the pass is at i * step of a column: a constant has one entry. */
static size_t step_of(const struct pass *p, int f)
{
    return p->c->constant >> f & 1 ? 0 : 1;
}

static void check_times(const struct pass *p, int64_t latest)
{
    const size_t step = step_of(p, LAPSE_F_TIME);
    const int64_t *time = p->c->number[LAPSE_F_TIME] + p->first * step;
    if (!has_odd_time(time, step ? p->n : 1, latest))
        return;
    for (size_t i = 0; i < p->n; i++, time += step) {
        const char *rule = time_rule(*time, latest);
        if (rule)
            lapse_flaws_add(p->flaws, i, LAPSE_F_TIME, rule);
    }
}

static void check_customers(const struct pass *p)
{
    const size_t step = step_of(p, LAPSE_F_CUSTOMER);
    const uint8_t *length = p->c->text[LAPSE_F_CUSTOMER].length + p->first * step;
    if (!memchr(length, 0, step ? p->n : 1))
        return;
    for (size_t i = 0; i < p->n; i++, length += step)
        if (*length == 0)
            lapse_flaws_add(p->flaws, i, -1, "a customer is required");
}

static void check_sign(const struct pass *p, enum lapse_field field, const char *rule)
{
    const size_t step = step_of(p, (int)field);
    const int64_t *number = p->c->number[field];
    if (!number)
        return;
    number += p->first * step;
    if (!has_negative(number, step ? p->n : 1))
        return;
    for (size_t i = 0; i < p->n; i++, number += step)
        if (*number < 0 && *number != LAPSE_MISSING)
            lapse_flaws_add(p->flaws, i, (int)field, rule);
}

void lapse_columns_check(const struct lapse_columns *c, size_t first, size_t n, const struct lapse_check *check,
                         struct lapse_flaws *flaws)
{
    const struct pass p = { c, first, n, flaws };
    check_customers(&p);
    check_times(&p, check->latest);
    check_sign(&p, LAPSE_F_AMOUNT, "an amount is not negative");
    check_sign(&p, LAPSE_F_QUANTITY, "a quantity is not negative");
    check_sign(&p, LAPSE_F_PRICE, "a price is not negative");
    if (!(c->constant & LAPSE_FIELD_BIT(LAPSE_F_KIND)) ||
        (lapse_kinds[lapse_columns_name(c, LAPSE_F_KIND, 0)].flags & NEEDS))
        check_needs(&p);
}

static bool is_negative(int64_t number)
{
    return number < 0 && number != LAPSE_MISSING;
}

/* A negative amount or quantity, which an order line may have if it is a refund. NULL: it is settled. */
static const char *settle(struct lapse_rows *rows, size_t at, int64_t *number, int field, bool refund)
{
    if (!refund)
        return field == LAPSE_F_AMOUNT
                   ? "an amount is not negative; --negative refund reads such an order line as a refund"
                   : "a quantity is not negative; --negative refund reads such an order line as a refund";
    *number = -*number;
    if (field == LAPSE_F_AMOUNT)
        rows->name[LAPSE_F_KIND][at] = LAPSE_KIND_ORDER_REFUNDED;
    return NULL;
}

void lapse_rows_settle(struct lapse_rows *rows, size_t n, uint8_t kind, bool refund, struct lapse_flaws *flaws,
                       size_t first)
{
    static const int fields[] = { LAPSE_F_AMOUNT, LAPSE_F_QUANTITY };
    const uint8_t *kinds = rows->fields & LAPSE_FIELD_BIT(LAPSE_F_KIND) ? rows->name[LAPSE_F_KIND] : NULL;
    for (int k = 0; k < 2; k++) {
        if (!(rows->fields & LAPSE_FIELD_BIT(fields[k])))
            continue;
        int64_t *number = rows->number[fields[k]] + rows->count;
        if (!has_negative(number, n))
            continue;
        for (size_t i = 0; i < n; i++) {
            uint8_t own = kinds ? kinds[rows->count + i] : kind;
            if (!is_negative(number[i]) || !(lapse_kinds[own].flags & LAPSE_KIND_ORDER_LINE))
                continue; /* the rules for all events refuse it */
            const char *rule = settle(rows, rows->count + i, &number[i], fields[k], refund);
            if (rule)
                lapse_flaws_add(flaws, first + i, fields[k], rule);
        }
    }
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
