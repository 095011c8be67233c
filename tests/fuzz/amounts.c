/* Amounts, decimals, values and products against a slow exact reference: digits in arrays, as one does it by hand.
 * Input: what, the currency's digits, then one line of text or two, or raw numbers. */
#include <float.h>
#include <math.h>

#include "fuzz.h"

/* |x| = 0.d0d1d2... * 10^point, without zeros in front or behind; count 0 is zero. */
enum { MOST = 1200 };
struct exact {
    bool negative;
    int point, count;
    uint8_t digit[MOST];
};

static void normalise(struct exact *x)
{
    int zeros = 0;
    while (x->count && x->digit[x->count - 1] == 0)
        x->count--;
    while (zeros < x->count && x->digit[zeros] == 0)
        zeros++;
    memmove(x->digit, x->digit + zeros, (size_t)(x->count - zeros));
    x->count -= zeros;
    x->point = x->count ? x->point - zeros : 0;
}

/* `-?digits[.digits]`, rulings M1; false: not of that form. */
static bool read_exact(const char *text, size_t n, struct exact *x)
{
    size_t i = 0, whole = 0, rest = 0;
    *x = (struct exact){ .negative = n > 0 && text[0] == '-' };
    i += x->negative;
    for (; i < n && text[i] >= '0' && text[i] <= '9'; i++, whole++)
        x->digit[x->count++] = (uint8_t)(text[i] - '0');
    x->point = x->count;
    if (i < n) {
        if (text[i++] != '.')
            return false;
        for (; i < n && text[i] >= '0' && text[i] <= '9'; i++, rest++)
            x->digit[x->count++] = (uint8_t)(text[i] - '0');
        if (rest == 0)
            return false;
    }
    normalise(x);
    return whole > 0 && i == n;
}

static struct exact from_int(int64_t value, int scale)
{
    char text[32];
    struct exact x;
    snprintf(text, sizeof text, "%lld", (long long)value);
    CHECK(read_exact(text, strlen(text), &x));
    if (x.count)
        x.point -= scale;
    return x;
}

static bool same(const struct exact *a, const struct exact *b)
{
    return a->count == b->count && a->point == b->point && (a->count == 0 || a->negative == b->negative) &&
           memcmp(a->digit, b->digit, (size_t)a->count) == 0;
}

/* As money: false when there are digits beyond the currency's, or too many. */
static bool to_money(const struct exact *x, int digits, int64_t *out)
{
    lapse_int128 v = 0;
    *out = 0;
    if (x->count == 0)
        return true;
    if (x->count - x->point > digits || x->point + digits > 25)
        return false;
    for (int i = 0; i < x->point + digits; i++)
        v = v * 10 + (i < x->count ? x->digit[i] : 0);
    if (v > INT64_MAX)
        return false;
    *out = x->negative ? -(int64_t)v : (int64_t)v;
    return true;
}

static void multiply(const struct exact *a, const struct exact *b, struct exact *out)
{
    uint32_t sum[MOST] = { 0 };
    *out = (struct exact){ .negative = a->negative != b->negative, .point = a->point + b->point,
                           .count = a->count + b->count };
    CHECK(out->count <= MOST);
    for (int i = 0; i < a->count; i++)
        for (int j = 0; j < b->count; j++)
            sum[i + j + 1] += (uint32_t)a->digit[i] * b->digit[j];
    for (int k = out->count - 1; k >= 0; k--) {
        if (k > 0)
            sum[k - 1] += sum[k] / 10;
        out->digit[k] = (uint8_t)(sum[k] % 10);
    }
    normalise(out);
}

/* ---- text in -------------------------------------------------------------------------------------------------- */

static void check_money(const char *text, size_t n, int digits)
{
    struct exact x;
    int64_t want = 0, got = 0;
    const char *rule = NULL;
    bool good = read_exact(text, n, &x) && to_money(&x, digits, &want);
    CHECK(lapse_money_parse(text, n, digits, &got, &rule) == good);
    CHECK(good ? got == want : rule != NULL);
    if (!good)
        return;
    for (int all = 0; all < 2; all++) {
        char out[400];
        int64_t again = 1;
        size_t size = lapse_decimal_format(got, digits, all, out);
        CHECK(size <= 40 && lapse_money_parse(out, size, digits, &again, &rule) && again == got);
        if (all && digits)
            CHECK(size > (size_t)digits + 1 && out[size - 1 - (size_t)digits] == '.');
        if (!all && memchr(out, '.', size))
            CHECK(out[size - 1] != '0');
    }
}

static bool check_decimal(const char *text, size_t n, struct lapse_decimal *got, struct exact *x)
{
    const char *rule = NULL;
    bool form = read_exact(text, n, x), good = lapse_decimal_parse(text, n, got, &rule);
    CHECK(good ? form : rule != NULL);
    if (good) {
        struct exact back = from_int(got->mantissa, got->scale);
        CHECK(got->scale >= 0 && same(&back, x));
        CHECK(got->mantissa > -INT64_C(1000000000000000000) && got->mantissa < INT64_C(1000000000000000000));
    } else if (form) { /* refused for its length only */
        CHECK(x->count - (x->point < 0 ? x->point : 0) > 18 || x->point > 18 || x->count - x->point > 255);
    }
    return good;
}

static void check_product(const char *a, size_t na, const char *b, size_t nb, int digits)
{
    struct exact x, y, z;
    struct lapse_decimal p, q;
    int64_t want = 0, got = 0;
    const char *rule = NULL;
    if (!check_decimal(a, na, &p, &x) || !check_decimal(b, nb, &q, &y))
        return;
    multiply(&x, &y, &z);
    bool good = to_money(&z, digits, &want);
    CHECK(lapse_money_product(p, q, digits, &got, &rule) == good);
    CHECK(good ? got == want : rule != NULL);
}

static void check_value(const char *text, size_t n)
{
    struct exact x;
    double got = -1;
    const char *rule = NULL;
    bool good = read_exact(text, n, &x);
    good = good && (x.count == 0 || (x.count <= 15 && x.point >= -24 && x.point <= 25));
    CHECK(lapse_value_parse(text, n, &got, &rule) == good);
    if (!good) {
        CHECK(rule);
        return;
    }
    char copy[MOST + 2], out[400];
    memcpy(copy, text, n);
    copy[n] = '\0';
    double want = strtod(copy, NULL) + 0.0; /* of the C library: exact, in the locale of C */
    CHECK(x.count == 0 ? got == 0 && !signbit(got) : got == want);
    CHECK(lapse_value_check(got));
    double again = -1;
    size_t size = lapse_double_format(got, out);
    CHECK(lapse_value_parse(out, size, &again, &rule) && again == got);
}

/* ---- numbers in ------------------------------------------------------------------------------------------------- */

static bool reads_back(double v, int digits, char *text)
{
    snprintf(text, 64, "%.*e", digits - 1, v);
    return strtod(text, NULL) == v;
}

static void check_double(double v)
{
    char out[400], text[64];
    size_t n = lapse_double_format(v, out);
    CHECK(n > 0 && n < sizeof out);
    out[n] = '\0';
    if (!isfinite(v)) {
        CHECK(!lapse_value_check(v));
        return;
    }
    CHECK(strtod(out, NULL) == v && signbit(strtod(out, NULL)) == signbit(v));
    /* Short: no text of fewer digits reads back (but integers are written out). */
    int digits = 0, leading = 1;
    for (size_t i = 0; i < n && out[i] != 'e'; i++)
        if (out[i] >= '0' && out[i] <= '9' && !(leading && out[i] == '0')) {
            digits++;
            leading = 0;
        }
    if (digits > 1 && fabs(v) != floor(fabs(v)) && fabs(v) >= DBL_MIN)
        CHECK(!reads_back(v, digits - 1, text));
    bool fits = reads_back(v, 15, text) && v != 0;
    int exponent = fits ? atoi(strchr(text, 'e') + 1) : 0;
    fits = v == 0 ? !signbit(v) : fits && exponent >= -25 && exponent <= 24;
    CHECK(lapse_value_check(v) == fits);
}

static void check_ints(int64_t v, int digits)
{
    char out[400], text[64];
    int64_t again = 0;
    size_t n = lapse_int_format(v, out);
    snprintf(text, sizeof text, "%lld", (long long)v);
    CHECK(n == strlen(text) && memcmp(text, out, n) == 0);
    CHECK(lapse_int_parse(out, n, &again) && again == v);
    n = lapse_decimal_format(v, digits, true, out);
    struct exact x, want = from_int(v, digits);
    CHECK(read_exact(out, n, &x) && same(&x, &want));
}

static void check_wide(lapse_int128 n, lapse_int128 d)
{
    if (d <= 0)
        return;
    if (n > -((lapse_int128)1 << 120) && n < (lapse_int128)1 << 120 && d < (lapse_int128)1 << 120) {
        lapse_int128 q = lapse_int128_divide_even(n, d), rest = n - q * d;
        lapse_int128 twice = 2 * (rest < 0 ? -rest : rest);
        CHECK(twice < d || (twice == d && q % 2 == 0));
    }
    int64_t narrow = 0;
    CHECK(lapse_int128_fits(n, &narrow) == (n >= INT64_MIN && n <= INT64_MAX));
    CHECK(!(n >= INT64_MIN && n <= INT64_MAX) || narrow == n);
}

/* The quotient of two numbers that doubles hold is the machine's own. */
static void check_ratio(int64_t n, int64_t d)
{
    if (d <= 0 || n > INT64_C(1) << 53 || n < -(INT64_C(1) << 53) || d > INT64_C(1) << 53)
        return;
    CHECK(lapse_int128_ratio(n, d) == (double)n / (double)d);
}

/* Values above the threshold are those for which bins * (v - x_k) > ((n - 1) i mod bins) * (x_k+1 - x_k). */
static void check_quantile(int64_t n, int64_t i, int64_t bins, int64_t xk, int64_t xk1, int64_t v)
{
    if (xk > xk1) {
        int64_t t = xk;
        xk = xk1;
        xk1 = t;
    }
    lapse_int128 at = (lapse_int128)(n - 1) * i;
    CHECK(lapse_quantile_rank(n, i, bins) == (int64_t)(at / bins));
    bool above = bins * ((lapse_int128)v - xk) > (at % bins) * ((lapse_int128)xk1 - xk);
    CHECK((v > lapse_quantile_floor(n, i, bins, xk, xk1)) == above);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz in = { data, size < 600 ? size : 600 };
    uint8_t what = fuzz_byte(&in);
    int digits = (int)fuzz_below(&in, 7);
    if (what & 1) {
        struct fuzz a = fuzz_line(&in), b = fuzz_line(&in);
        const char *text = (const char *)a.at, *other = (const char *)b.at;
        struct lapse_decimal decimal;
        struct exact exact;
        int64_t number;
        check_money(text, a.left, digits);
        check_decimal(text, a.left, &decimal, &exact);
        check_value(text, a.left);
        check_product(text, a.left, other, b.left, digits);
        if (lapse_int_parse(text, a.left, &number))
            check_ints(number, digits);
        return 0;
    }
    uint64_t bits = fuzz_int(&in, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    check_double(v);
    int64_t a = fuzz_number(&in), b = fuzz_number(&in), c = fuzz_number(&in);
    check_double((double)a / 1000);
    check_ints(a, digits);
    check_ratio(a, b);
    check_wide((lapse_int128)a * b + c, (lapse_int128)b);
    check_wide((lapse_int128)a * b, (lapse_int128)c * c);
    int64_t bins = 2 + (int64_t)fuzz_below(&in, 9);
    int64_t i = 1 + (int64_t)(fuzz_byte(&in) % (bins - 1));
    check_quantile(1 + (int64_t)fuzz_int(&in, 5), i, bins, a, b, c);
    return 0;
}
