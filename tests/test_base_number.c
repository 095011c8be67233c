/* lib/base: numbers as text, exact money, doubles, 128-bit quotients and quantiles. Golden values are those of
 * rulings M1 to M4, M17, F30, R5 and R11, or of IEEE 754; the rest against a naive re-computation. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/quick.h"

static uint64_t seed = 1;

/* xorshift64* */
static uint64_t draw(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(0x2545F4914F6CDD1D);
}

static bool money(const char *text, int digits, int64_t *out)
{
    const char *rule = NULL;
    bool ok = lapse_money_parse(text, strlen(text), digits, out, &rule);

    assert_true(ok == (rule == NULL));
    return ok;
}

static void expect_money(const char *text, int digits, int64_t expected)
{
    int64_t x = 77;

    if (!money(text, digits, &x) || x != expected)
        fail_msg("%s with %d digits gave %lld", text, digits, (long long)x);
}

static void expect_no_money(const char *text, size_t n, int digits, const char *word)
{
    const char *rule = "";
    int64_t x = 77;

    if (lapse_money_parse(text, n, digits, &x, &rule))
        fail_msg("%s with %d digits gave %lld", text, digits, (long long)x);
    if (!strstr(rule, word))
        fail_msg("%s: the rule '%s' does not say '%s'", text, rule, word);
    assert_int_equal(x, 77);
}

#define GRAMMAR  "-?digits[.digits]"
#define DECIMALS "more decimals"
#define RANGE    "9223372036854775807"

static void money_follows_the_grammar(void **state)
{
    static const char *const bad[] = { "",
                                       "-",
                                       "--1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1.",
                                       ".5",
                                       "-.5",
                                       "1e3",
                                       "1,5",
                                       "1.5.",
                                       "1.2.3",
                                       "0x10",
                                       "$1",
                                       "1_000",
                                       "1'000",
                                       "NaN",
                                       "inf",
                                       "1-",
                                       "\xef\xbc\x91",
                                       ".",
                                       "-.",
                                       "1.-5",
                                       "12345678901234567890123.",
                                       "1/2",
                                       "00000000000000000000000000x",
                                       "0.00000000000000000000000000x",
                                       "1:2" };
    (void)state;
    expect_money("12", 2, 1200);
    expect_money("12.5", 2, 1250);
    expect_money("-3.00", 2, -300);
    expect_money("0", 2, 0);
    expect_money("-0.00", 2, 0); /* M17 */
    expect_money("-0", 0, 0);
    expect_money("007", 2, 700);
    expect_money("12.500", 2, 1250); /* M2 */
    expect_money("12.000", 0, 12);
    expect_money("0.000000000000000000000000000000000000", 2, 0);
    expect_money("0000000000000000000000000000000000000012.3400000000000000000000000000", 2, 1234);
    expect_money("0.000001", 6, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_no_money(bad[i], strlen(bad[i]), 2, GRAMMAR);
    expect_no_money("1\0005", 3, 2, GRAMMAR);
    expect_no_money("1", 0, 2, GRAMMAR);
    expect_no_money("12.505", 6, 2, DECIMALS);
    expect_no_money("0.001", 5, 2, DECIMALS);
    expect_no_money("12.5", 4, 0, DECIMALS);
    expect_no_money("1.00000000000000000000000001", 28, 2, DECIMALS);
}

static void money_keeps_to_its_range(void **state)
{
    char text[600];

    (void)state;
    expect_money("92233720368547758.07", 2, INT64_MAX);
    expect_money("-92233720368547758.07", 2, -INT64_MAX);
    expect_money("92233720368547758.070", 2, INT64_MAX);
    expect_money("9223372036854775807", 0, INT64_MAX);
    expect_money("9223372036854775807.00", 0, INT64_MAX);
    expect_money("9223372036854.775807", 6, INT64_MAX);
    expect_no_money("92233720368547758.08", 20, 2, RANGE);
    expect_no_money("-92233720368547758.08", 21, 2, RANGE); /* INT64_MIN is no amount: |x| counts */
    expect_no_money("9223372036854775808", 19, 0, RANGE);
    expect_no_money("9223372036854775807", 19, 2, RANGE);
    expect_no_money("18446744073709551616", 20, 0, RANGE);
    expect_no_money("922337203685477580.81", 21, 2, RANGE);
    expect_no_money("99999999999999999999999999", 26, 0, RANGE);
    memset(text, '0', sizeof text);
    text[0] = '1';
    expect_no_money(text, sizeof text, 2, RANGE);
    text[1] = '.';
    expect_money((text[599] = '\0', text), 2, 100);
    text[598] = '1';
    expect_no_money(text, 599, 2, DECIMALS);
}

/* Every amount that decimal_format writes reads back, in both forms. */
static void money_comes_back(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        int64_t x = (int64_t)(draw() >> (draw() % 64)), y = 1;
        char text[64];

        if (draw() & 1)
            x = -x;
        if (i < 4)
            x = i < 2 ? INT64_MAX : -INT64_MAX;
        for (int digits = 0; digits <= 6; digits++) {
            size_t n = lapse_decimal_format(x, digits, i & 1, text);

            text[n] = '\0';
            assert_true(money(text, digits, &y));
            assert_int_equal(x, y);
        }
    }
}

static void expect_text(const char *expected, const char *text, size_t n)
{
    if (n != strlen(expected) || memcmp(text, expected, n) != 0)
        fail_msg("wanted %s, got %.*s", expected, (int)n, text);
}

static void decimals_are_written(void **state)
{
    char t[64];

    (void)state;
    expect_text("12.50", t, lapse_decimal_format(1250, 2, true, t));
    expect_text("12.5", t, lapse_decimal_format(1250, 2, false, t));
    expect_text("12.00", t, lapse_decimal_format(1200, 2, true, t));
    expect_text("12", t, lapse_decimal_format(1200, 2, false, t));
    expect_text("-0.05", t, lapse_decimal_format(-5, 2, true, t));
    expect_text("0.00", t, lapse_decimal_format(0, 2, true, t));
    expect_text("0", t, lapse_decimal_format(0, 2, false, t));
    expect_text("100", t, lapse_decimal_format(100, 0, false, t));
    expect_text("0.000001", t, lapse_decimal_format(1, 6, true, t));
    expect_text("-92233720368547758.08", t, lapse_decimal_format(INT64_MIN, 2, true, t));
    expect_text("-9.223372036854775808", t, lapse_decimal_format(INT64_MIN, 18, false, t));
    expect_text("-9223372036854775808", t, lapse_int_format(INT64_MIN, t));
    expect_text("9223372036854775807", t, lapse_int_format(INT64_MAX, t));
    expect_text("0", t, lapse_int_format(0, t));
}

static void integers_are_read(void **state)
{
    static const char *const bad[] = { "",
                                       "-",
                                       "1.0",
                                       "+1",
                                       " 1",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "99999999999999999999",
                                       "18446744073709551616",
                                       "1a" };
    int64_t x = 5;

    (void)state;
    assert_true(lapse_int_parse("9223372036854775807", 19, &x) && x == INT64_MAX);
    assert_true(lapse_int_parse("-9223372036854775808", 20, &x) && x == INT64_MIN);
    assert_true(lapse_int_parse("-0", 2, &x) && x == 0);
    assert_true(lapse_int_parse("00000000000000000000000007", 26, &x) && x == 7);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(lapse_int_parse(bad[i], strlen(bad[i]), &x));
    assert_int_equal(x, 7);
}

static struct lapse_decimal decimal(const char *text)
{
    struct lapse_decimal d = { 0, 0 };
    const char *rule;

    if (!lapse_decimal_parse(text, strlen(text), &d, &rule))
        fail_msg("%s: %s", text, rule);
    return d;
}

static void decimals_are_read(void **state)
{
    struct lapse_decimal d;
    const char *rule = "";

    (void)state;
    d = decimal("-12.50");
    assert_true(d.mantissa == -1250 && d.scale == 2);
    d = decimal("999999999999999999");
    assert_true(d.mantissa == INT64_C(999999999999999999) && d.scale == 0);
    d = decimal("00000000000000000000.00000000000000000123456789012345678");
    assert_true(d.mantissa == INT64_C(123456789012345678) && d.scale == 35);
    assert_false(lapse_decimal_parse("1000000000000000000", 19, &d, &rule));
    assert_non_null(strstr(rule, "18 digits"));
    assert_false(lapse_decimal_parse("0.1234567890123456789", 21, &d, &rule));
    assert_non_null(strstr(rule, "18 digits"));
    assert_false(lapse_decimal_parse("1,5", 3, &d, &rule));
    assert_non_null(strstr(rule, GRAMMAR));
}

static bool product(const char *a, const char *b, int digits, int64_t *out, const char **rule)
{
    return lapse_money_product(decimal(a), decimal(b), digits, out, rule);
}

static void products_are_exact(void **state)
{
    int64_t x = 0;
    const char *rule = "";

    (void)state;
    assert_true(product("2.55", "6", 2, &x, &rule) && x == 1530);
    assert_true(product("-3", "4.25", 2, &x, &rule) && x == -1275);
    assert_true(product("0.001", "1000", 2, &x, &rule) && x == 100);
    assert_true(product("1.5", "0.1", 2, &x, &rule) && x == 15);
    assert_true(product("2.50", "0.004", 2, &x, &rule) && x == 1); /* 0.01000 */
    assert_true(product("-0.001", "0", 2, &x, &rule) && x == 0);
    assert_true(product("0.001", "1", 3, &x, &rule) && x == 1);
    assert_false(product("0.001", "1", 2, &x, &rule));
    assert_non_null(strstr(rule, DECIMALS));
    assert_false(product("999999999999999999", "10", 2, &x, &rule));
    assert_non_null(strstr(rule, RANGE));
    assert_false(product("999999999999999999", "999999999999999999", 0, &x, &rule));
    assert_non_null(strstr(rule, RANGE));
    assert_true(product("92233720368547758", "100.0", 0, &x, &rule) && x == INT64_C(9223372036854775800));
}

/* A random product against the same in whole numbers of 10^-(scales). */
static void products_equal_whole_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct lapse_decimal a = { (int64_t)(draw() >> 34) - (1 << 29), (int32_t)(draw() % 5) };
        struct lapse_decimal b = { (int64_t)(draw() >> 34) - (1 << 29), (int32_t)(draw() % 5) };
        int64_t exact = a.mantissa * b.mantissa, unit = 1, x = 0;
        const char *rule = NULL;
        bool ok;

        if (i & 1) /* otherwise few end in zeros */
            exact = (a.mantissa = a.mantissa / 100000 * 100) * (b.mantissa = b.mantissa / 100000 * 100);
        for (int k = 2; k < a.scale + b.scale; k++)
            unit *= 10;
        ok = lapse_money_product(a, b, 2, &x, &rule);
        if (a.scale + b.scale >= 2) {
            assert_true(ok == (exact % unit == 0));
            if (ok)
                assert_int_equal(x, exact / unit);
        } else if (ok) {
            lapse_int128 wanted = (lapse_int128)exact * (a.scale + b.scale == 0 ? 100 : 10);

            assert_true(wanted == x);
        }
    }
}

static double value(const char *text)
{
    const char *rule;
    double x = -1;

    if (!lapse_value_parse(text, strlen(text), &x, &rule))
        fail_msg("%s: %s", text, rule);
    return x;
}

static void expect_no_value(const char *text, const char *word)
{
    const char *rule = "";
    double x = 5;

    if (lapse_value_parse(text, strlen(text), &x, &rule))
        fail_msg("%s gave %g", text, x);
    if (!strstr(rule, word))
        fail_msg("%s: the rule '%s' does not say '%s'", text, rule, word);
    assert_true(x == 5);
}

static void values_are_the_nearest_doubles(void **state)
{
    (void)state;
    assert_true(value("5") == 5.0 && value("5.0") == 5.0 && value("-5.000000000000000000000") == -5.0);
    assert_true(value("0.1") == 0.1 && value("-0.3") == -0.3 && value("123456789012345") == 123456789012345.0);
    assert_true(value("0.000000000000000000000000123456789012345") == 1.23456789012345e-25);
    assert_true(value("9999999999999990000000000") == 9.99999999999999e24);
    assert_true(value("0.0000000000000000000000001") == 1e-25);
    assert_true(value("100000000000000000000") == 1e20);
    assert_true(value("-0") == 0 && !signbit(value("-0")) && !signbit(value("-0.00")));
    expect_no_value("10000000000000000000000000", "1e25");
    expect_no_value("0.00000000000000000000000009", "1e-25");
    expect_no_value("1234567890123456", "15 significant");
    expect_no_value("1.000000000000001", "15 significant");
    expect_no_value("1e5", GRAMMAR);
    expect_no_value("nan", GRAMMAR);
    expect_no_value("", GRAMMAR);
    expect_no_value(".5", GRAMMAR);
}

/* Random decimals of up to 15 digits at any allowed place: strtod in the C locale is the reference. */
static void values_agree_with_strtod(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[80], back[400], e[80];
        int64_t m = (int64_t)(draw() % UINT64_C(1000000000000000) >> (draw() % 50)), first, power;
        int digits;
        double x, y;
        size_t n;

        if (m == 0)
            continue;
        digits = snprintf(e, sizeof e, "%lld", (long long)m);
        first = (int64_t)(draw() % 50) - 25;
        power = first - digits + 1;
        snprintf(e, sizeof e, "%llde%lld", (long long)m, (long long)power);
        x = strtod(e, NULL);
        if (power >= 0)
            n = (size_t)snprintf(text, sizeof text, "%lld%.*s", (long long)m, (int)power,
                                 "0000000000000000000000000");
        else if (first >= 0)
            n = (size_t)snprintf(text, sizeof text, "%.*s.%s", (int)first + 1, e,
                                 (e[digits] = 0, e + first + 1));
        else
            n = (size_t)snprintf(text, sizeof text, "0.%.*s%lld", (int)-first - 1, "0000000000000000000000000",
                                 (long long)m);
        if (value(text) != x)
            fail_msg("%s", text);
        assert_true(lapse_value_check(x) && lapse_value_check(-x));
        n = lapse_double_format(x, back); /* what is written can be read */
        back[n] = '\0';
        y = value(back);
        assert_true(x == y);
    }
}

static void values_are_checked(void **state)
{
    (void)state;
    assert_true(lapse_value_check(0.0) && lapse_value_check(0.1) && lapse_value_check(1e24) &&
                lapse_value_check(-1e-25));
    assert_false(lapse_value_check(-0.0));
    assert_false(lapse_value_check(NAN) || lapse_value_check(INFINITY) || lapse_value_check(-INFINITY));
    assert_false(lapse_value_check(1e25) || lapse_value_check(9e-26) || lapse_value_check(DBL_MIN));
    assert_false(lapse_value_check(1.0 / 3) || lapse_value_check(0.1 + 0.2) ||
                 lapse_value_check(1234567890123456.0));
}

static void expect_double(double x, const char *expected)
{
    char text[400];

    expect_text(expected, text, lapse_double_format(x, text));
}

static void doubles_are_written_shortly(void **state)
{
    (void)state;
    expect_double(0, "0");
    expect_double(1, "1");
    expect_double(-2, "-2");
    expect_double(0.5, "0.5");
    expect_double(0.1, "0.1");
    expect_double(1.0 / 3, "0.3333333333333333");
    expect_double(2.0 / 3, "0.6666666666666666");
    expect_double(0.1 + 0.2, "0.30000000000000004");
    expect_double(100, "100");
    expect_double(123.456, "123.456");
    expect_double(9007199254740993.0, "9007199254740992");
    expect_double(1e21, "1000000000000000000000");
    expect_double(1.5e24, "1500000000000000000000000");
    expect_double(1e25, "1e25");
    expect_double(1.5e30, "1.5e30");
    expect_double(-1.5e-30, "-1.5e-30");
    expect_double(1e-25, "0.0000000000000000000000001");
    expect_double(1.25e-7, "0.000000125");
    expect_double(DBL_MAX, "1.7976931348623157e308");
    expect_double(5e-324, "5e-324");
    expect_double(ldexp(1, -44), "0.00000000000005684341886080802"); /* 16 digits, not the nearest 16 */
    expect_double(ldexp(1, 60), "1152921504606847000");
    /* 16 digits above 2^53: dividing them by a power of ten would round twice. */
    expect_double(9.540154407916457, "9.540154407916457");
    expect_double(93.92137986469467, "93.92137986469467");
    expect_double(0.09773393133983875, "0.09773393133983875");
}

static void doubles_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < 40000; i++) {
        uint64_t bits = draw();
        char text[401];
        double x, y;

        if (i & 1) /* of everyday size */
            bits = (bits & ~(UINT64_C(0x7FF) << 52)) | (1023 - 40 + draw() % 80) << 52;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x))
            continue;
        text[lapse_double_format(x, text)] = '\0';
        y = strtod(text, NULL);
        if (memcmp(&x, &y, sizeof x) != 0)
            fail_msg("%.17g became %s", x, text);
    }
}

/* With a decimal comma, if the machine has such a locale, nothing changes. */
static void no_locale_takes_part(void **state)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8", "de_DE" };
    bool found = false;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!setlocale(LC_ALL, names[i]))
            continue;
        found = true;
        values_are_the_nearest_doubles(state);
        values_are_checked(state);
        doubles_are_written_shortly(state);
        setlocale(LC_ALL, "C");
    }
    if (!found)
        skip();
}

static void ratios_are_rounded_once(void **state)
{
    const lapse_int128 most = (((lapse_int128)1 << 126) - 1) * 2 + 1, big = (lapse_int128)1 << 100;

    (void)state;
    assert_true(lapse_int128_ratio(1, 3) == 1.0 / 3);
    assert_true(lapse_int128_ratio(0, 7) == 0 && !signbit(lapse_int128_ratio(0, 7)));
    assert_true(lapse_int128_ratio(-big, 3) == -ldexp(1.0 / 3, 100));
    assert_true(lapse_int128_ratio(big, big) == 1 && lapse_int128_ratio(1, big) == ldexp(1, -100));
    /* Ties go to even; the least remainder breaks them. */
    assert_true(lapse_int128_ratio(((lapse_int128)1 << 53) + 1, 1) == 9007199254740992.0);
    assert_true(lapse_int128_ratio(((lapse_int128)1 << 53) + 3, 1) == 9007199254740996.0);
    assert_true(lapse_int128_ratio((((lapse_int128)1 << 53) + 1) * 1000000007 + 1, 1000000007) ==
                9007199254740994.0);
    assert_true(lapse_int128_ratio((((lapse_int128)1 << 53) + 1) * 1000000007 - 1, 1000000007) ==
                9007199254740992.0);
    /* A carry into the next power of two. */
    assert_true(lapse_int128_ratio(((lapse_int128)1 << 60) - 1, 1) == ldexp(1, 60));
    /* The ends of the range. */
    assert_true(lapse_int128_ratio(most, 1) == ldexp(1, 127));
    assert_true(lapse_int128_ratio(-most - 1, 1) == -ldexp(1, 127));
    assert_true(lapse_int128_ratio(1, most) == ldexp(1, -127));
}

/* The result is the nearest double iff 2 |n 2^k - m d| <= d, m even when equal, where m is its mantissa. */
static void ratios_are_nearest(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        int64_t n = (int64_t)(draw() >> 1 >> draw() % 10), d = (int64_t)((draw() >> 1 >> draw() % 60) | 1);
        double x = lapse_int128_ratio(n, d);
        int power;
        int64_t m = (int64_t)ldexp(frexp(x, &power), 53);
        lapse_int128 left, right, miss;

        power -= 53; /* x = m 2^power, so compare n with m d 2^power */
        if (power > 0 || power < -62) {
            lapse_int128 unit = (lapse_int128)d << (power > 0 ? power : 0);

            if (power < -62)
                continue;
            miss = (lapse_int128)n - m * unit;
            miss = miss < 0 ? -miss : miss;
            assert_true(2 * miss < unit || (2 * miss == unit && m % 2 == 0));
            continue;
        }
        left = (lapse_int128)n << -power; /* may not fit: then skip */
        if (left >> -power != n)
            continue;
        right = (lapse_int128)m * d;
        miss = left > right ? left - right : right - left;
        assert_true(2 * miss < d || (2 * miss == d && m % 2 == 0));
    }
}

static void division_rounds_half_to_even(void **state)
{
    static const int64_t golden[][3] = { { 5, 2, 2 }, { 7, 2, 4 },   { -5, 2, -2 }, { -7, 2, -4 }, { 1, 3, 0 },
                                         { 2, 3, 1 }, { -2, 3, -1 }, { 0, 9, 0 },   { 6, 3, 2 },   { 1, 2, 0 },
                                         { 3, 2, 2 }, { -1, 2, 0 },  { 10, 4, 2 },  { 11, 4, 3 } };
    const lapse_int128 huge = (((lapse_int128)1 << 126) - 1) * 2 + 1;
    int64_t out = 9;

    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++)
        assert_true(lapse_int128_divide_even(golden[i][0], golden[i][1]) == golden[i][2]);
    assert_true(lapse_int128_divide_even(huge, huge) == 1);
    assert_true(lapse_int128_divide_even(huge - 1, huge) == 1);
    assert_true(lapse_int128_divide_even(huge / 2, huge) == 0);
    assert_true(lapse_int128_divide_even(-huge, huge - 1) == -1);
    assert_false(lapse_int128_fits((lapse_int128)INT64_MAX + 1, &out) ||
                 lapse_int128_fits((lapse_int128)INT64_MIN - 1, &out));
    assert_int_equal(out, 9);
    assert_true(lapse_int128_fits(INT64_MIN, &out) && out == INT64_MIN);
}

/* R5: v is above the threshold iff N (v - x_k) > ((n-1) i mod N) (x_k+1 - x_k). The floor must decide the same
 * for every integer v near it (R11). */
static void quantile_floors_decide_as_fractions(void **state)
{
    (void)state;
    for (int round = 0; round < 20000; round++) {
        int64_t bins = (int64_t)(draw() % 10) + 1, i = (int64_t)(draw() % (uint64_t)bins);
        int64_t n = (int64_t)(draw() >> (1 + draw() % 62)) + 1;
        int64_t xk = (int64_t)draw() >> (draw() % 64), xk1;
        uint64_t room = (uint64_t)INT64_MAX - (uint64_t)xk, step = draw() >> (draw() % 64);
        lapse_int128 part = ((lapse_int128)n - 1) * i % bins, k = ((lapse_int128)n - 1) * i / bins;
        int64_t floored;

        xk1 = (int64_t)((uint64_t)xk + (step < room ? step : room));
        floored = lapse_quantile_floor(n, i, bins, xk, xk1);
        assert_true(lapse_quantile_rank(n, i, bins) == k);
        assert_true(floored >= xk && floored <= xk1);
        for (int64_t d = -2; d <= 2; d++) {
            lapse_int128 v = (lapse_int128)floored + d;

            assert_true((bins * (v - xk) > part * ((lapse_int128)xk1 - xk)) == (v > floored));
        }
    }
    assert_int_equal(lapse_quantile_floor(4, 1, 2, -3, -2), -3); /* -2.5 */
    assert_int_equal(lapse_quantile_floor(4, 1, 2, 2, 3), 2);
    assert_int_equal(lapse_quantile_rank(INT64_MAX, 9, 10), INT64_C(8301034833169298225));
}

/* Short texts have a way of their own; zeros in front make them long and change nothing else. */
static void short_numbers_equal_long_ones(void **state)
{
    static const char signs[] = "0123456789..0123456789.-+ e,/:";
    int good = 0;

    (void)state;
    for (int round = 0; round < 400000; round++) {
        char text[40] = "00000000000000000000", any[10];
        const char *rule = "", *rule_long = "";
        int64_t money = 7, money_long = 7, quick = 7;
        struct lapse_decimal d = { 7, 7 }, d_long = { 7, 7 };
        size_t n = 1 + draw() % 9;
        int digits = (int)(draw() % 12);
        for (size_t i = 0; i < n; i++)
            any[i] = draw() % 32 ? signs[draw() % (sizeof signs - 1)] : (char)draw();
        char *exact = malloc(n);
        assert_non_null(exact);
        memcpy(exact, any, n);
        memcpy(text + 20, any, n);
        bool is_money = lapse_money_parse(exact, n, digits, &money, &rule);
        bool is_decimal = lapse_decimal_parse(exact, n, &d, &rule);
        if (exact[0] >= '0' && exact[0] <= '9') {
            assert_int_equal(is_money, lapse_money_parse(text, 20 + n, digits, &money_long, &rule_long));
            assert_int_equal(money, money_long);
            assert_int_equal(is_decimal, lapse_decimal_parse(text, 20 + n, &d_long, &rule_long));
            for (; is_decimal && d.scale > d_long.scale; d.scale--) { /* zeros at the end may be dropped */
                assert_int_equal(d.mantissa % 10, 0);
                d.mantissa /= 10;
            }
            assert_true(d.mantissa == d_long.mantissa && d.scale == d_long.scale);
            good += is_decimal;
        } else if (exact[0] != '-') {
            assert_false(is_money || is_decimal);
        }
        if (lapse_money_quick(exact, n, digits, &quick)) {
            good++;
            assert_true(is_money && quick == money);
        }
        free(exact);
    }
    assert_true(good > 1000);
    int64_t money;
    assert_false(lapse_money_quick("", 0, 2, &money));
    assert_true(lapse_money_quick("99999999", 8, 10, &money) && money == INT64_C(999999990000000000));
    assert_true(lapse_money_quick("0.000001", 8, 6, &money) && money == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(money_follows_the_grammar),
        cmocka_unit_test(money_keeps_to_its_range),
        cmocka_unit_test(money_comes_back),
        cmocka_unit_test(short_numbers_equal_long_ones),
        cmocka_unit_test(decimals_are_written),
        cmocka_unit_test(integers_are_read),
        cmocka_unit_test(decimals_are_read),
        cmocka_unit_test(products_are_exact),
        cmocka_unit_test(products_equal_whole_numbers),
        cmocka_unit_test(values_are_the_nearest_doubles),
        cmocka_unit_test(values_agree_with_strtod),
        cmocka_unit_test(values_are_checked),
        cmocka_unit_test(doubles_are_written_shortly),
        cmocka_unit_test(doubles_come_back),
        cmocka_unit_test(no_locale_takes_part),
        cmocka_unit_test(ratios_are_rounded_once),
        cmocka_unit_test(ratios_are_nearest),
        cmocka_unit_test(division_rounds_half_to_even),
        cmocka_unit_test(quantile_floors_decide_as_fractions),
    };

    return cmocka_run_group_tests_name("base: numbers", tests, NULL, NULL);
}
