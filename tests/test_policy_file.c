/* lib/policy, settings that depend on each other: limits in order, and policy files that are taken whole or not at all. */
#include "policies.h"

/* ---- limits in order (rulings S11) ------------------------------------------------------------------- */

static void limits_stay_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *risk, *inactive, *lost; /* set in this order on the defaults 90d, 6m, 12m; "" leaves one */
        int bad;                            /* which of them is refused, 0: none */
    } cases[] = {
        { "90d", "90d", "90d", 0 },    { "6m", "6m", "6m", 0 },
        { "7m", "", "", 1 },           { "1y", "", "", 1 }, /* 12 months against 6 */
        { "", "13m", "", 2 },          { "", "2y", "", 2 },
        { "", "12m", "", 0 },          { "", "1y", "12m", 0 }, /* equal lengths in unequal units */
        { "", "", "5m", 3 },           { "", "", "1y", 0 },
        { "", "80d", "", 2 },                                  /* against the 90 days of risk */
        { "", "2159h", "", 2 },        { "", "2160h", "", 0 }, /* 90 days */
        { "", "", "89d", 3 }, /* the middle one has other units, the outer ones compare */
        { "", "", "90d", 0 },          { "999d", "", "", 0 }, /* days against months: not checked */
        { "2160h", "90d", "", 0 },     { "30min", "1800s", "", 0 },
        { "24h", "1440min", "1d", 0 }, { "1801s", "30min", "", 2 },
    };
    static const char *const clocks[] = { "engagement", "purchase" };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int c = 0; c < 2; c++) {
            lapse_policy *policy = new_policy();
            char names[3][40], other[40];
            const char *values[3] = { cases[i].risk, cases[i].inactive, cases[i].lost };
            static const char *const parts[] = { "risk", "inactive", "lost" };
            int refused = 0;
            for (int k = 0; k < 3 && !refused; k++) {
                lapse_error error = { .size = sizeof error };
                snprintf(names[k], sizeof names[k], "%s.%s", clocks[c], parts[k]);
                if (!values[k][0])
                    continue;
                char *before = dump(policy);
                lapse_status status = lapse_policy_set(policy, names[k], values[k], &error);
                if (status == LAPSE_OK) {
                    free(before);
                    continue;
                }
                assert_int_equal(status, LAPSE_BAD_INPUT);
                assert_string_equal(error.column, names[k]);
                assert_string_equal(error.text, values[k]);
                assert_non_null(strstr(error.rule, "must not be longer than"));
                check_unchanged(policy, before);
                refused = k + 1;
            }
            assert_int_equal(refused, cases[i].bad);
            /* The two clocks do not touch each other. */
            snprintf(other, sizeof other, "%s.risk", clocks[1 - c]);
            assert_string_equal(get(policy, other), "90d");
            lapse_policy_free(policy);
        }
    }
}

static void a_file_moves_limits_together(void **state)
{
    (void)state;
    static const char *const lines[] = { "engagement.risk = 2y\n", "engagement.inactive = 3y\n",
                                         "engagement.lost = 4y\n" };
    static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                      { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    for (int i = 0; i < 6; i++) {
        lapse_policy *policy = new_policy();
        char text[200];
        int n = snprintf(text, sizeof text, "%s%s%s", lines[orders[i][0]], lines[orders[i][1]],
                         lines[orders[i][2]]);
        assert_int_equal(lapse_policy_parse(policy, text, n, NULL), LAPSE_OK);
        assert_string_equal(get(policy, "engagement.lost"), "4y");
        /* All three fell together, but the end is out of order: the later line is to blame. */
        char *before = dump(policy);
        lapse_error error = { .size = sizeof error };
        static const char bad[] =
            "cap.day = 2\nengagement.lost = 5m\n\n\nengagement.inactive = 6m\ncap.week = 2\n"
            "engagement.risk=1m";
        assert_int_equal(lapse_policy_parse(policy, bad, sizeof bad - 1, &error), LAPSE_BAD_INPUT);
        assert_int_equal(error.line, 5);
        assert_string_equal(error.column, "engagement.inactive");
        assert_string_equal(error.text, "6m");
        assert_string_equal(error.rule,
                            "engagement.inactive (6m) must not be longer than engagement.lost (5m)");
        check_unchanged(policy, before);
        lapse_policy_free(policy);
    }
}

/* ---- policy files ------------------------------------------------------------------------------------ */

static void files_that_are_read(void **state)
{
    (void)state;
    lapse_policy *policy = new_policy();
    static const char text[] = "\xEF\xBB\xBF# a shop of our own\r\n"
                               "\r\n"
                               "cap.day = 2   # more than that is too much\r\n"
                               "\tcap.week=4\n"
                               "   \t \n"
                               "#cap.week = 5\n"
                               "loyalty.tier = two = words \n"
                               "implied.channels = sms, email#x\n"
                               "quiet.from\t=\t22:00\n"
                               "cart.abandon = 0030min";
    assert_int_equal(lapse_policy_parse(policy, text, sizeof text - 1, NULL), LAPSE_OK);
    assert_string_equal(get(policy, "cap.day"), "2");
    assert_string_equal(get(policy, "cap.week"), "4");
    assert_string_equal(get(policy, "loyalty.tier"), "two = words");
    assert_string_equal(get(policy, "implied.channels"), "email,sms");
    assert_string_equal(get(policy, "quiet.from"), "22:00");
    assert_string_equal(get(policy, "cart.abandon"), "30min");
    assert_string_equal(get(policy, "quiet.to"), "off");
    /* A second file adds to the first; files of nothing change nothing. */
    char *before = dump(policy);
    static const char *const nothing[] = { "", "\n", "\r\n\r\n", "# only this", "\xEF\xBB\xBF", "#\r\n  " };
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
        assert_int_equal(lapse_policy_parse(policy, nothing[i], (int64_t)strlen(nothing[i]), NULL), LAPSE_OK);
    assert_int_equal(lapse_policy_parse(policy, NULL, 0, NULL), LAPSE_OK);
    check_unchanged(policy, before);
    /* Only `size` bytes are read. */
    assert_int_equal(lapse_policy_parse(policy, "cap.day = 345", 12, NULL), LAPSE_OK);
    assert_string_equal(get(policy, "cap.day"), "34");
    lapse_policy_free(policy);
}

static void files_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t line;
        const char *column, *found, *rule;
    } bad[] = {
        { "cap.day = 2\ncap.moon = 1\n", 2, "cap.moon", "cap.moon", "no such setting" },
        { "cap.day = 2\n\n# x\ncap.day = 2", 4, "cap.day", "2", "is set already in line 1" },
        { "cap.day = x\ncap.moon = 1\n", 1, "cap.day", "x", "must be a whole number from 0 to 999999" },
        { "\r\ncap.day 2\r\n", 2, "", "cap.day 2", "must be `name = value`" },
        { "cap.week = 1\ncap.day\n", 2, "", "cap.day", "must be `name = value`" },
        { "cap.week = 1\n= 3\n", 2, "", "", "no such setting" },
        { "cap.week = 1\ncap.day =\n", 2, "cap.day", "", "must be a whole number from 0 to 999999" },
        { "cap.week = 1\ncap.day = # 2\n", 2, "cap.day", "", "must be a whole number from 0 to 999999" },
        { "cap.week = 1\rcap.day = 2\n", 1, "cap.week", "1\rcap.day = 2",
          "must be a whole number from 0 to 999999" },
        { "cap.week = 1\nCap.Day = 2\n", 2, "Cap.Day", "Cap.Day", "no such setting" },
        { "cap.week = 1\n\xEF\xBB\xBF"
          "cap.day = 2\n",
          2,
          "\xEF\xBB\xBF"
          "cap.day",
          NULL, "no such setting" },
        { "cap.week = 1\n# \xff\ncap.day = 2\n", 2, "", NULL, "must be UTF-8 without NUL" },
        { "cap.week = 1\nquiet.from = 25:00\n", 2, "quiet.from", "25:00",
          "must be hh:mm or hh:mm:ss, from 00:00 to 23:59:59, or off" },
        { "engagement.risk = 7m", 1, "engagement.risk", "7m",
          "engagement.risk (7m) must not be longer than engagement.inactive (6m)" },
    };
    lapse_policy *policy = new_policy();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        lapse_error error = { .size = sizeof error };
        assert_int_equal(lapse_policy_parse(policy, bad[i].text, (int64_t)strlen(bad[i].text), &error),
                         LAPSE_BAD_INPUT);
        assert_int_equal(error.status, LAPSE_BAD_INPUT);
        assert_int_equal(error.line, bad[i].line);
        assert_int_equal(error.row, -1);
        assert_string_equal(error.column, bad[i].column);
        if (bad[i].found)
            assert_string_equal(error.text, bad[i].found);
        assert_string_equal(error.rule, bad[i].rule);
        assert_int_equal(lapse_policy_parse(policy, bad[i].text, (int64_t)strlen(bad[i].text), NULL),
                         LAPSE_BAD_INPUT);
    }
    static const char nul[] = "cap.day = 2\0\n";
    assert_int_equal(lapse_policy_parse(policy, nul, sizeof nul - 1, NULL), LAPSE_BAD_INPUT);
    check_unchanged(policy, dump(NULL));
    lapse_policy_free(policy);
}

/* Good files with one byte changed, put in, or taken away: read, or refused without a change. */
static void any_bytes(void **state)
{
    (void)state;
    static const char base[] =
        "# x\r\ncap.day = 2\nengagement.risk = 30d\nloyalty.tier = k\xc3\xb6nig\nquiet.to = 07:00\n"
        "implied.channels = sms,email\nloyalty.rating = 4.5\n";
    static const char bytes[] = "\0\n\r#= ,:.0a\xff\xc3-";
    lapse_policy *policy = new_policy();
    int taken = 0;
    for (size_t at = 0; at < sizeof base - 1; at++) {
        for (size_t k = 0; k < 3 * (sizeof bytes - 1); k++) {
            char *text = malloc(sizeof base); /* exactly as long as it is said to be */
            size_t tail = k % 3 == 0 ? at : at + 1, n = at;
            memcpy(text, base, at);
            if (k % 3 != 2)
                text[n++] = bytes[k / 3];
            memcpy(text + n, base + tail, sizeof base - 1 - tail);
            n += sizeof base - 1 - tail;
            char *exact = malloc(n);
            memcpy(exact, text, n);
            char *before = dump(policy);
            lapse_error error = { .size = sizeof error };
            if (lapse_policy_parse(policy, exact, (int64_t)n, &error) == LAPSE_OK) {
                taken++;
                free(before);
            } else {
                assert_true(error.line >= 1 && error.line <= 8);
                check_unchanged(policy, before);
            }
            free(exact);
            free(text);
        }
    }
    assert_true(taken > 100);
    lapse_policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_stay_in_order),
        cmocka_unit_test(a_file_moves_limits_together),
        cmocka_unit_test(files_that_are_read),
        cmocka_unit_test(files_that_are_refused),
        cmocka_unit_test(any_bytes),
    };
    return cmocka_run_group_tests_name("policy: files", tests, NULL, NULL);
}
