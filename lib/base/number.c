/* Text to exact numbers and back. No locale takes part: a decimal point is never given to, nor taken from, the
 * C library, which only sees `digits` or `digitse-digits`. */
#include "base/quick.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define POWERS 19

const uint64_t lapse_power10[POWERS + 1] = {
    UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000), UINT64_C(10000), UINT64_C(100000),
    UINT64_C(1000000), UINT64_C(10000000), UINT64_C(100000000), UINT64_C(1000000000),
    UINT64_C(10000000000), UINT64_C(100000000000), UINT64_C(1000000000000), UINT64_C(10000000000000),
    UINT64_C(100000000000000), UINT64_C(1000000000000000), UINT64_C(10000000000000000),
    UINT64_C(100000000000000000), UINT64_C(1000000000000000000), UINT64_C(10000000000000000000),
};

/* INT64_MAX / 10^k: what a mantissa may be before k zeros are put behind it. */
static const uint64_t most_before[POWERS + 1] = {
    UINT64_C(9223372036854775807), UINT64_C(922337203685477580), UINT64_C(92233720368547758),
    UINT64_C(9223372036854775), UINT64_C(922337203685477), UINT64_C(92233720368547), UINT64_C(9223372036854),
    UINT64_C(922337203685), UINT64_C(92233720368), UINT64_C(9223372036), UINT64_C(922337203),
    UINT64_C(92233720), UINT64_C(9223372), UINT64_C(922337), UINT64_C(92233), UINT64_C(9223), UINT64_C(922),
    UINT64_C(92), UINT64_C(9), UINT64_C(0),
};

static const double exact_power10[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
#define EXACT_POWERS 22

static const char rule_amount[] = "an amount is -?digits[.digits], such as 12, 12.5 or -3.00";
static const char rule_decimal[] = "a number is -?digits[.digits]";
static const char rule_digits[] =
    "a number has at most 18 digits, zeros in front not counted, and at most 255 after the point";
static const char rule_decimals[] = "more decimals than the currency has (--digits, of a new store)";
static const char rule_range[] = "an amount is at most 9223372036854775807 of the currency's smallest unit";
static const char rule_value[] = "a value is at least 1e-25 and less than 1e25, or 0";
static const char rule_value_digits[] = "a value has at most 15 significant digits";

/* ---- Reading ---- */

/* A number as scanned: mantissa * 10^-scale, mantissa < 10^19, scale <= FRACTION_MOST. */
struct number {
    uint64_t mantissa;
    int32_t scale;
    bool negative;
};

#define FRACTION_MOST 255

/* LONG: of the number only the scale is known, at most FRACTION_MOST + 1. */
enum scanned { SCAN_OK, SCAN_GRAMMAR, SCAN_LONG };

/* The parts of `-?digits[.digits]`, without zeros in front of the first and behind the last. `zeros` of the
 * fraction come before the number's first other digit. */
struct parts {
    bool negative;
    const char *whole, *fraction;
    size_t whole_size, fraction_size, zeros;
};

static bool split(const char *text, size_t n, struct parts *out)
{
    size_t i = n > 0 && text[0] == '-', start = i, point;

    *out = (struct parts){ .negative = start > 0 };
    while (i < n && lapse_digit(text[i]) <= 9)
        i++;
    point = i;
    if (i == start)
        return false;
    if (i < n) {
        if (text[i++] != '.' || i == n)
            return false;
        while (i < n && lapse_digit(text[i]) <= 9)
            i++;
        if (i < n)
            return false;
        while (n > point + 1 && text[n - 1] == '0')
            n--;
        out->fraction = text + point + 1;
        out->fraction_size = n - point - 1;
    }
    while (start < point && text[start] == '0')
        start++;
    out->whole = text + start;
    out->whole_size = point - start;
    if (out->whole_size == 0)
        while (out->zeros < out->fraction_size && out->fraction[out->zeros] == '0')
            out->zeros++;
    return true;
}

static size_t significant_digits(const struct parts *p)
{
    return p->whole_size + p->fraction_size - p->zeros;
}

/* At most 19 significant digits. */
static uint64_t mantissa(const struct parts *p)
{
    uint64_t m = 0;

    for (size_t i = 0; i < p->whole_size; i++)
        m = m * 10 + lapse_digit(p->whole[i]);
    for (size_t i = p->zeros; i < p->fraction_size; i++)
        m = m * 10 + lapse_digit(p->fraction[i]);
    return m;
}

/* Numbers too long for scan() to read in one go: zeros that mean nothing are dropped first. */
static enum scanned scan_long(const char *text, size_t n, struct number *out)
{
    struct parts p;

    if (!split(text, n, &p))
        return SCAN_GRAMMAR;
    out->scale = p.fraction_size > FRACTION_MOST ? FRACTION_MOST + 1 : (int32_t)p.fraction_size;
    if (out->scale > FRACTION_MOST || p.whole_size > 19 || significant_digits(&p) > 19)
        return SCAN_LONG;
    out->mantissa = mantissa(&p);
    out->negative = p.negative;
    return SCAN_OK;
}

static enum scanned scan_any(const char *text, size_t n, struct number *out)
{
    size_t i = n > 0 && text[0] == '-', start = i;
    uint64_t m = 0;
    unsigned d;

    if (n > 19) /* 19 digits fit uint64_t */
        return scan_long(text, n, out);
    out->negative = i > 0;
    out->scale = 0;
    for (; i < n && (d = lapse_digit(text[i])) <= 9; i++)
        m = m * 10 + d;
    if (i == start)
        return SCAN_GRAMMAR;
    if (i < n) {
        if (text[i++] != '.' || i == n)
            return SCAN_GRAMMAR;
        out->scale = (int32_t)(n - i);
        for (; i < n && (d = lapse_digit(text[i])) <= 9; i++)
            m = m * 10 + d;
        if (i < n)
            return SCAN_GRAMMAR;
    }
    out->mantissa = m;
    return SCAN_OK;
}

static inline enum scanned scan(const char *text, size_t n, struct number *out)
{
    out->negative = false;
    unsigned scale;
    if (!lapse_decimal_quick(text, n, &out->mantissa, &scale))
        return scan_any(text, n, out);
    out->scale = (int32_t)scale;
    return SCAN_OK;
}

bool lapse_decimal_parse(const char *text, size_t n, struct lapse_decimal *out, const char **rule)
{
    struct number x;
    enum scanned s = scan(text, n, &x);

    if (s != SCAN_OK || x.mantissa >= lapse_power10[18]) {
        *rule = s == SCAN_GRAMMAR ? rule_decimal : rule_digits;
        return false;
    }
    out->mantissa = x.negative ? -(int64_t)x.mantissa : (int64_t)x.mantissa;
    out->scale = x.scale;
    return true;
}

bool lapse_money_parse(const char *text, size_t n, int digits, int64_t *out, const char **rule)
{
    struct number x;
    enum scanned s = scan(text, n, &x);
    int up;

    if (s != SCAN_OK) {
        *rule = s == SCAN_GRAMMAR ? rule_amount : x.scale > digits ? rule_decimals : rule_range;
        return false;
    }
    for (; x.scale > digits && x.mantissa % 10 == 0; x.scale--) {
        if (x.mantissa == 0) {
            x.scale = digits;
            break;
        }
        x.mantissa /= 10;
    }
    up = digits - x.scale;
    if (up < 0) {
        *rule = rule_decimals;
        return false;
    }
    if (x.mantissa > most_before[up]) {
        *rule = rule_range;
        return false;
    }
    x.mantissa *= lapse_power10[up];
    *out = x.negative ? -(int64_t)x.mantissa : (int64_t)x.mantissa;
    return true;
}

/* Two mantissas of 18 digits make 36, which 128 bits hold. */
bool lapse_money_product(struct lapse_decimal a, struct lapse_decimal b, int digits, int64_t *out,
                         const char **rule)
{
    lapse_int128 product = (lapse_int128)a.mantissa * b.mantissa;
    int64_t scale = (int64_t)a.scale + b.scale;

    while (scale > digits && product % 10 == 0 && product != 0) {
        product /= 10;
        scale--;
    }
    if (product == 0)
        scale = digits;
    if (scale > digits) {
        *rule = rule_decimals;
        return false;
    }
    for (; scale < digits && product <= INT64_MAX && product >= -INT64_MAX; scale++)
        product *= 10;
    if (product > INT64_MAX || product < -INT64_MAX) {
        *rule = rule_range;
        return false;
    }
    *out = (int64_t)product;
    return true;
}

/* m * 10^exponent as the nearest double. The C library rounds correctly; it sees no decimal point. */
static double nearest(uint64_t m, int exponent)
{
    char text[32];

    if (m <= UINT64_C(1) << 53 && exponent >= -EXACT_POWERS && exponent <= EXACT_POWERS)
        return exponent < 0 ? (double)m / exact_power10[-exponent] : (double)m * exact_power10[exponent];
    text[lapse_int_format((int64_t)m, text)] = '\0';
    snprintf(text + strlen(text), 8, "e%d", exponent);
    return strtod(text, NULL);
}

bool lapse_value_parse(const char *text, size_t n, double *out, const char **rule)
{
    struct parts p;
    int64_t exponent;

    if (!split(text, n, &p)) {
        *rule = rule_decimal;
        return false;
    }
    if (p.whole_size + p.fraction_size == 0) {
        *out = 0.0;
        return true;
    }
    /* The first digit that is not 0 stands for 10^-25 to 10^24. */
    if (p.whole_size > 25 || p.zeros > 24) {
        *rule = rule_value;
        return false;
    }
    exponent = -(int64_t)p.fraction_size;
    if (p.fraction_size == 0)
        while (p.whole[p.whole_size - 1] == '0') {
            p.whole_size--;
            exponent++;
        }
    if (significant_digits(&p) > 15) {
        *rule = rule_value_digits;
        return false;
    }
    *out = nearest(mantissa(&p), (int)exponent);
    if (p.negative)
        *out = -*out;
    return true;
}

bool lapse_int_parse(const char *text, size_t n, int64_t *out)
{
    size_t i = n > 0 && text[0] == '-', start = i;
    uint64_t m = 0, most = (uint64_t)INT64_MAX + (i > 0);

    for (; i < n; i++) {
        unsigned d = lapse_digit(text[i]);

        if (d > 9 || m > most / 10 || m * 10 > most - d)
            return false;
        m = m * 10 + d;
    }
    if (i == start)
        return false;
    *out = (int64_t)(start ? 0 - m : m);
    return true;
}

/* ---- Writing ---- */

/* The digits of m, at least `least` of them. */
static size_t put_digits(uint64_t m, size_t least, char *out)
{
    char backwards[24];
    size_t n = 0, i = 0;

    for (; m > 0 || n < least; m /= 10)
        backwards[n++] = (char)('0' + m % 10);
    while (n > 0)
        out[i++] = backwards[--n];
    return i;
}

size_t lapse_int_format(int64_t value, char *out)
{
    size_t n = 0;

    if (value < 0)
        out[n++] = '-';
    return n + put_digits(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1, out + n);
}

size_t lapse_decimal_format(int64_t value, int digits, bool all_digits, char *out)
{
    uint64_t m = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t unit = lapse_power10[digits];
    size_t n = 0, keep;

    if (value < 0)
        out[n++] = '-';
    n += put_digits(m / unit, 1, out + n);
    m %= unit;
    if (digits == 0 || (!all_digits && m == 0))
        return n;
    out[n++] = '.';
    keep = n + put_digits(m, (size_t)digits, out + n);
    while (!all_digits && out[keep - 1] == '0')
        keep--;
    return keep;
}

/* The `digits` significant digits of |x|, x finite and not 0, as mantissa * 10^*exponent. printf writes one
 * digit, a decimal point of the locale, the others, `e`, the exponent; only digits are taken from it. */
static uint64_t significant(double x, int digits, int *exponent)
{
    char text[64];
    char *e;
    uint64_t m;

    snprintf(text, sizeof text, "%.*e", digits - 1, fabs(x));
    e = strchr(text, 'e');
    m = lapse_digit(text[0]);
    for (int i = digits - 1; i > 0; i--)
        m = m * 10 + lapse_digit(e[-i]);
    *exponent = (int)strtol(e + 1, NULL, 10) - (digits - 1);
    return m;
}

bool lapse_value_check(double value)
{
    int exponent, first;
    uint64_t m;

    if (value == 0.0)
        return !signbit(value);
    if (!isfinite(value))
        return false;
    m = significant(value, 15, &exponent);
    first = exponent + 14;
    return first >= -25 && first <= 24 && nearest(m, exponent) == fabs(value);
}

/* 15 digits are exact for every decimal that has no more, subnormal numbers aside; 17 always read back. At a
 * power of two the nearest decimal of 16 digits can lie on the narrow side and miss where its upper neighbour
 * reads back. */
size_t lapse_double_format(double value, char *out)
{
    double size = fabs(value);
    int exponent = 0, first, digits = size < DBL_MIN ? 1 : 15;
    uint64_t m = 0;
    size_t n = 0, count;
    char text[24];

    if (isnan(value)) {
        memcpy(out, "nan", 3);
        return 3;
    }
    if (signbit(value))
        out[n++] = '-';
    if (isinf(value)) {
        memcpy(out + n, "inf", 3);
        return n + 3;
    }
    if (size < 9007199254740992.0 && size == (double)(uint64_t)size)
        return n + put_digits((uint64_t)size, 1, out + n);
    for (; digits <= 17; digits++) {
        m = significant(size, digits, &exponent);
        if (nearest(m, exponent) == size)
            break;
        if (digits == 16 && nearest(m + 1, exponent) == size) {
            m++;
            break;
        }
    }
    for (; m % 10 == 0; m /= 10)
        exponent++;
    count = put_digits(m, 1, text);
    first = exponent + (int)count - 1; /* the power of ten of the first digit */
    if (first < -25 || first > 24) {
        out[n++] = text[0];
        if (count > 1)
            out[n++] = '.';
        memcpy(out + n, text + 1, count - 1);
        n += count - 1;
        out[n++] = 'e';
        return n + lapse_int_format(first, out + n);
    }
    for (int place = first > 0 ? first : 0; place >= (exponent < 0 ? exponent : 0); place--) {
        if (place == -1)
            out[n++] = '.';
        out[n++] = place <= first && place >= exponent ? text[first - place] : '0';
    }
    return n;
}
