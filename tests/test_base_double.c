/* lib/base: numbers that are rounded: doubles as text, quotients of 128 bits, quantiles. Golden values are those of rulings
 * F30, R5 and R11, or of IEEE 754; the rest against a naive re-computation. */
#include <float.h>
#include <locale.h>
#include <math.h>

#include "help.h"

#include "base/base.h"

#define GRAMMAR "-?digits[.digits]"

static uint64_t seed = 1;

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
        int64_t m = (int64_t)(random64(&seed) % UINT64_C(1000000000000000) >> (random64(&seed) % 50)), first, power;
        int digits;
        double x, y;
        size_t n;

        if (m == 0)
            continue;
        digits = snprintf(e, sizeof e, "%lld", (long long)m);
        first = (int64_t)(random64(&seed) % 50) - 25;
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

    text[lapse_double_format(x, text)] = '\0';
    assert_string_equal(text, expected);
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
        uint64_t bits = random64(&seed);
        char text[401];
        double x, y;

        if (i & 1) /* of everyday size */
            bits = (bits & ~(UINT64_C(0x7FF) << 52)) | (1023 - 40 + random64(&seed) % 80) << 52;
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
        int64_t n = (int64_t)(random64(&seed) >> 1 >> random64(&seed) % 10), d = (int64_t)((random64(&seed) >> 1 >> random64(&seed) % 60) | 1);
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
        int64_t bins = (int64_t)(random64(&seed) % 10) + 1, i = (int64_t)(random64(&seed) % (uint64_t)bins);
        int64_t n = (int64_t)(random64(&seed) >> (1 + random64(&seed) % 62)) + 1;
        int64_t xk = (int64_t)random64(&seed) >> (random64(&seed) % 64), xk1;
        uint64_t room = (uint64_t)INT64_MAX - (uint64_t)xk, step = random64(&seed) >> (random64(&seed) % 64);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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

    return cmocka_run_group_tests_name("base: rounded numbers", tests, NULL, NULL);
}
