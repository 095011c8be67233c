/* lib/base: numbers that are exact as text: money, decimals, whole numbers, products. Golden values are those of rulings M1 to
 * M4 and M17; the rest against a naive re-computation. */
#include "help.h"

#include "base/quick.h"

static uint64_t seed = 1;

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
        int64_t x = (int64_t)(random64(&seed) >> (random64(&seed) % 64)), y = 1;
        char text[64];

        if (random64(&seed) & 1)
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
        struct lapse_decimal a = { (int64_t)(random64(&seed) >> 34) - (1 << 29), (int32_t)(random64(&seed) % 5) };
        struct lapse_decimal b = { (int64_t)(random64(&seed) >> 34) - (1 << 29), (int32_t)(random64(&seed) % 5) };
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
        size_t n = 1 + random64(&seed) % 9;
        int digits = (int)(random64(&seed) % 12);
        for (size_t i = 0; i < n; i++)
            any[i] = random64(&seed) % 32 ? signs[random64(&seed) % (sizeof signs - 1)] : (char)random64(&seed);
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
    };

    return cmocka_run_group_tests_name("base: numbers", tests, NULL, NULL);
}
