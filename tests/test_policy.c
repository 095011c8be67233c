/* lib/policy, one setting: names and defaults against rulings 10, the grammar of every kind of value, the list of all. */
#include "policies.h"

/* Rulings, section 10, written out by hand: name, default, unit, what the default means, and whether it can be
 * switched off; ordered by name, one for each number of enum lapse_setting. */
static const struct golden {
    const char *name, *text, *unit;
    int64_t n;
    int32_t span;
    bool off;
    enum lapse_setting setting;
} golden[] = {
    { "activity.opens", "0", "flag", 0, 0, false, LAPSE_SET_ACTIVITY_OPENS },
    { "bounce.soft", "3", "count", 3, 0, false, LAPSE_SET_BOUNCE_SOFT },
    { "bounce.span", "14d", "duration", 14, LAPSE_UNIT_DAY, false, LAPSE_SET_BOUNCE_SPAN },
    { "cap.day", "1", "count", 1, 0, false, LAPSE_SET_CAP_DAY },
    { "cap.week", "3", "count", 3, 0, false, LAPSE_SET_CAP_WEEK },
    { "cart.abandon", "1h", "duration", 1, LAPSE_UNIT_HOUR, false, LAPSE_SET_CART_ABANDON },
    { "consent.import_needs_evidence", "1", "flag", 1, 0, false, LAPSE_SET_CONSENT_IMPORT_NEEDS_EVIDENCE },
    { "consent.inapp_implied", "1", "flag", 1, 0, false, LAPSE_SET_CONSENT_INAPP_IMPLIED },
    { "consent.token", "60d", "duration", 60, LAPSE_UNIT_DAY, false, LAPSE_SET_CONSENT_TOKEN },
    { "engagement.inactive", "6m", "duration", 6, LAPSE_UNIT_MONTH, false, LAPSE_SET_ENGAGEMENT_INACTIVE },
    { "engagement.lost", "12m", "duration", 12, LAPSE_UNIT_MONTH, false, LAPSE_SET_ENGAGEMENT_LOST },
    { "engagement.risk", "90d", "duration", 90, LAPSE_UNIT_DAY, false, LAPSE_SET_ENGAGEMENT_RISK },
    { "implied.channels", "email", "channels", 1 << 1, 0, true, LAPSE_SET_IMPLIED_CHANNELS },
    { "implied.inquiry", "off", "duration", 0, LAPSE_UNIT_NONE, true, LAPSE_SET_IMPLIED_INQUIRY },
    { "implied.purchase", "off", "duration", 0, LAPSE_UNIT_NONE, true, LAPSE_SET_IMPLIED_PURCHASE },
    { "import.skew", "5min", "duration", 5, LAPSE_UNIT_MINUTE, false, LAPSE_SET_IMPORT_SKEW },
    { "loyalty.rating", "off", "rating", 0, 0, true, LAPSE_SET_LOYALTY_RATING },
    { "loyalty.tier", "off", "tier", 0, 0, true, LAPSE_SET_LOYALTY_TIER },
    { "order.zero_is_valid", "0", "flag", 0, 0, false, LAPSE_SET_ORDER_ZERO_IS_VALID },
    { "permit.assume_endpoint", "1", "flag", 1, 0, false, LAPSE_SET_PERMIT_ASSUME_ENDPOINT },
    { "purchase.inactive", "6m", "duration", 6, LAPSE_UNIT_MONTH, false, LAPSE_SET_PURCHASE_INACTIVE },
    { "purchase.lost", "12m", "duration", 12, LAPSE_UNIT_MONTH, false, LAPSE_SET_PURCHASE_LOST },
    { "purchase.risk", "90d", "duration", 90, LAPSE_UNIT_DAY, false, LAPSE_SET_PURCHASE_RISK },
    { "quiet.from", "off", "time of day", -1, 0, true, LAPSE_SET_QUIET_FROM },
    { "quiet.to", "off", "time of day", -1, 0, true, LAPSE_SET_QUIET_TO },
    { "response.after", "30d", "duration", 30, LAPSE_UNIT_DAY, false, LAPSE_SET_RESPONSE_AFTER },
    { "response.sends", "5", "count", 5, 0, false, LAPSE_SET_RESPONSE_SENDS },
    { "sunset.after", "180d", "duration", 180, LAPSE_UNIT_DAY, false, LAPSE_SET_SUNSET_AFTER },
    { "sunset.lift", "off", "acts", 0, 0, true, LAPSE_SET_SUNSET_LIFT },
    { "sunset.tries", "1", "count", 1, 0, false, LAPSE_SET_SUNSET_TRIES },
};
enum { COUNT = sizeof golden / sizeof golden[0] };

/* ---- defaults ---------------------------------------------------------------------------------------- */

static void defaults_are_those_of_the_rulings(void **state)
{
    (void)state;
    assert_int_equal(COUNT, LAPSE_SETTINGS);
    lapse_policy *policy = new_policy();
    for (int i = 0; i < COUNT; i++) {
        const struct golden *g = &golden[i];
        assert_int_equal(g->setting, i);
        assert_string_equal(lapse_settings[i].name, g->name);
        assert_int_equal(lapse_setting_find(g->name, strlen(g->name)), i);
        assert_string_equal(lapse_setting_unit(g->setting), g->unit);
        assert_int_equal(lapse_settings[i].may_be_off, g->off);
        assert_true(strlen(lapse_settings[i].origin) > 0);
        for (int k = 0; k < 2; k++) {
            const lapse_policy *p = k ? policy : NULL;
            struct lapse_setting_value v = lapse_policy_value(p, g->setting);
            assert_string_equal(get(p, g->name), g->text);
            assert_true(v.n == g->n && v.unit == g->span && v.number == 0 && !v.text);
        }
        /* The table's text and meaning agree, and the text is in normal form. */
        char normal[LAPSE_SETTING_ROOM];
        struct lapse_setting_value v;
        const char *rule = NULL;
        assert_true(lapse_setting_parse(g->setting, g->text, strlen(g->text), &v, normal, &rule));
        assert_string_equal(normal, g->text);
        assert_true(v.n == g->n && v.unit == g->span);
        /* A default can be set. */
        assert_int_equal(set(policy, g->name, g->text), LAPSE_OK);
    }
    check_unchanged(policy, dump(NULL));
    lapse_policy_free(policy);
}

static void names_are_exact(void **state)
{
    (void)state;
    static const char *const wrong[] = { "",        "a",        "cap", "cap.",          "cap.da",    "cap.dayy",
                                         "Cap.day", "cap.day ", "z",   "sunset.tries2", "quiet.\xff" };
    lapse_policy *policy = new_policy();
    const char *text;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        lapse_error error = { .size = sizeof error };
        assert_int_equal(lapse_setting_find(wrong[i], strlen(wrong[i])), -1);
        assert_int_equal(lapse_policy_get(policy, wrong[i], &text), LAPSE_NOT_FOUND);
        assert_null(text);
        assert_int_equal(lapse_policy_set(policy, wrong[i], "1", &error), LAPSE_NOT_FOUND);
        assert_int_equal(error.status, LAPSE_NOT_FOUND);
        assert_non_null(strstr(error.rule, "no such setting"));
    }
    check_unchanged(policy, dump(NULL));
    lapse_policy_free(policy);
}

/* ---- values ------------------------------------------------------------------------------------------ */

static void values_and_their_normal_form(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *normal;
        int64_t n;
        int32_t unit;
    } good[] = {
        { "cart.abandon", "45s", "45s", 45, LAPSE_UNIT_SECOND },
        { "cart.abandon", "30min", "30min", 30, LAPSE_UNIT_MINUTE },
        { "cart.abandon", "1h", "1h", 1, LAPSE_UNIT_HOUR },
        { "cart.abandon", "090d", "90d", 90, LAPSE_UNIT_DAY },
        { "cart.abandon", "6m", "6m", 6, LAPSE_UNIT_MONTH },
        { "cart.abandon", "12m", "12m", 12, LAPSE_UNIT_MONTH },
        { "cart.abandon", "01y", "1y", 1, LAPSE_UNIT_YEAR },
        { "cart.abandon", "1000y", "1000y", 1000, LAPSE_UNIT_YEAR },
        { "cart.abandon", "12000m", "12000m", 12000, LAPSE_UNIT_MONTH },
        { "cart.abandon", "366000d", "366000d", 366000, LAPSE_UNIT_DAY },
        { "cart.abandon", "999999h", "999999h", 999999, LAPSE_UNIT_HOUR },
        { "import.skew", "0s", "0s", 0, LAPSE_UNIT_SECOND },
        { "bounce.span", "0d", "0d", 0, LAPSE_UNIT_DAY },
        { "response.after", "0d", "0d", 0, LAPSE_UNIT_DAY },
        { "sunset.after", "00d", "0d", 0, LAPSE_UNIT_DAY },
        { "implied.purchase", "24m", "24m", 24, LAPSE_UNIT_MONTH },
        { "implied.inquiry", "6m", "6m", 6, LAPSE_UNIT_MONTH },
        { "implied.inquiry", "off", "off", 0, LAPSE_UNIT_NONE },
        { "cap.day", "0", "0", 0, 0 },
        { "cap.week", "007", "7", 7, 0 },
        { "bounce.soft", "999999", "999999", 999999, 0 },
        { "sunset.tries", "0", "0", 0, 0 },
        { "activity.opens", "1", "1", 1, 0 },
        { "permit.assume_endpoint", "0", "0", 0, 0 },
        { "implied.channels", "off", "off", 0, 0 },
        { "implied.channels", "ads", "ads", 1 << LAPSE_CHANNEL_ADS, 0 },
        { "implied.channels", "sms,email", "email,sms", 1 << LAPSE_CHANNEL_EMAIL | 1 << LAPSE_CHANNEL_SMS, 0 },
        { "implied.channels", " web_push , push ", "push,web_push",
          1 << LAPSE_CHANNEL_PUSH | 1 << LAPSE_CHANNEL_WEB_PUSH, 0 },
        { "implied.channels", "ads,social,phone,postal,onsite,in_app,web_push,push,sms,email",
          "email,sms,push,web_push,in_app,onsite,postal,phone,social,ads", 0x7fe, 0 },
        { "sunset.lift", "purchase", "purchase", LAPSE_LIFT_PURCHASE, 0 },
        { "sunset.lift", "visit, purchase", "purchase,visit", LAPSE_LIFT_PURCHASE | LAPSE_LIFT_VISIT, 0 },
        { "quiet.from", "22:00", "22:00", 79200, 0 },
        { "quiet.to", "00:00", "00:00", 0, 0 },
        { "quiet.to", "07:30:00", "07:30", 27000, 0 },
        { "quiet.to", "23:59:59", "23:59:59", 86399, 0 },
        { "quiet.to", "off", "off", -1, 0 },
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        lapse_policy *policy = new_policy();
        assert_int_equal(set(policy, good[i].name, good[i].value), LAPSE_OK);
        assert_string_equal(get(policy, good[i].name), good[i].normal);
        int setting = lapse_setting_find(good[i].name, strlen(good[i].name));
        struct lapse_setting_value v = lapse_policy_value(policy, (enum lapse_setting)setting);
        assert_true(v.n == good[i].n && v.unit == good[i].unit && !v.text);
        /* The normal form means the same. */
        char *before = dump(policy);
        char normal[LAPSE_SETTING_ROOM];
        memcpy(normal, good[i].normal, strlen(good[i].normal) + 1);
        assert_int_equal(set(policy, good[i].name, normal), LAPSE_OK);
        check_unchanged(policy, before);
        lapse_policy_free(policy);
    }
}

static void ratings_and_tiers(void **state)
{
    (void)state;
    lapse_policy *policy = new_policy();
    static const struct {
        const char *value, *normal;
        double number;
    } ratings[] = {
        { "4", "4", 4 }, { "4.50", "4.5", 4.5 }, { "-10", "-10", -10 }, { "0", "0", 0 }, { "007", "7", 7 }
    };
    for (size_t i = 0; i < sizeof ratings / sizeof ratings[0]; i++) {
        assert_int_equal(set(policy, "loyalty.rating", ratings[i].value), LAPSE_OK);
        struct lapse_setting_value v = lapse_policy_value(policy, LAPSE_SET_LOYALTY_RATING);
        assert_string_equal(v.text, ratings[i].normal);
        assert_true(v.number == ratings[i].number);
    }
    assert_int_equal(set(policy, "loyalty.rating", "off"), LAPSE_OK);
    assert_null(lapse_policy_value(policy, LAPSE_SET_LOYALTY_RATING).text);
    char longest[257];
    memset(longest, 'g', 256);
    longest[255] = '\0';
    static const char *const tiers[] = { "gold", "two words", "a=b", "k\xc3\xb6nig", "0", "office", "OFF" };
    for (size_t i = 0; i <= sizeof tiers / sizeof tiers[0]; i++) {
        const char *tier = i < sizeof tiers / sizeof tiers[0] ? tiers[i] : longest;
        assert_int_equal(set(policy, "loyalty.tier", tier), LAPSE_OK);
        assert_string_equal(get(policy, "loyalty.tier"), tier);
        assert_string_equal(lapse_policy_value(policy, LAPSE_SET_LOYALTY_TIER).text, tier);
    }
    longest[255] = 'g';
    longest[256] = '\0';
    assert_int_equal(set(policy, "loyalty.tier", longest), LAPSE_BAD_INPUT);
    assert_int_equal(set(policy, "loyalty.tier", "off"), LAPSE_OK);
    assert_null(lapse_policy_value(policy, LAPSE_SET_LOYALTY_TIER).text);
    lapse_policy_free(policy);
}

/* Every setting refuses what is not of its kind, says which rule, and stays as it was. */
static void bad_values(void **state)
{
    (void)state;
    static const struct {
        const char *unit, *rule;
        const char *bad[24];
    } kinds[] = {
        { "duration", "span", { "",      " ",      "90",       "d",     "90 d",
                                " 90d",  "90d ",   "-90d",     "+90d",  "1.5d",
                                "90D",   "90days", "1000000d", "1w",    "1h30min",
                                "0x5d",  "1e3d",   "5mi",      "5min5", "99999999999999999999d",
                                "90d\n", "on" } },
        { "flag",
          "0 or 1",
          { "", "2", "00", "01", "-0", "-1", "yes", "true", "on", "off", " 1", "1 ", "1.0" } },
        { "count",
          "whole number",
          { "", "-1", "-0", "+1", "1.0", "1e3", "1000000", "18446744073709551617", "off", " 1", "1 ", "x",
            "0x1" } },
        { "channels",
          "channels",
          { "", " ", ",", "email,", ",email", "email,,sms", "email,email", "e-mail", "Email", "email sms",
            "email;sms", "all", "none", "email,off", "email\t,sms" } },
        { "acts",
          "purchase, visit",
          { "", "1", "on", "order", "purchase,purchase", "purchase,", "visit;purchase" } },
        { "time of day",
          "hh:mm",
          { "", "22", "2200", "24:00", "23:60", "23:59:60", "7:30", "07:30:", "07:30:0", "07:3x", "07.30",
            "-1:00", "07:30Z", "22:00 " } },
        { "rating",
          "number",
          { "", "four", "4,5", "+4", "4.", ".5", "1e1", "nan", "inf", "0x4", " 4", "1234567890123456" } },
        { "tier", "name", { "", " gold", "gold ", "go#ld", "go\nld", "go\tld", "\x7f", "\xff", "\xc3", " " } },
    };
    for (int i = 0; i < COUNT; i++) {
        const char *name = golden[i].name;
        lapse_policy *policy = new_policy();
        int tried = 0;
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            if (strcmp(kinds[k].unit, golden[i].unit) != 0)
                continue;
            for (size_t j = 0; j < 24 && kinds[k].bad[j]; j++, tried++) {
                lapse_error error = { .size = sizeof error };
                assert_int_equal(lapse_policy_set(policy, name, kinds[k].bad[j], &error), LAPSE_BAD_INPUT);
                assert_int_equal(error.status, LAPSE_BAD_INPUT);
                assert_int_equal(error.line, 0);
                assert_int_equal(error.row, -1);
                assert_string_equal(error.column, name);
                if (lapse_utf8_valid(kinds[k].bad[j], strlen(kinds[k].bad[j])))
                    assert_string_equal(error.text, kinds[k].bad[j]);
                assert_true(strlen(error.rule) > 0);
                if (!strchr(kinds[k].bad[j], '6') && kinds[k].unit[0] != 'r')
                    assert_non_null(strstr(error.rule, kinds[k].rule));
                assert_non_null(strstr(error.message, name));
                assert_int_equal(strstr(error.rule, "off") != NULL, golden[i].off && kinds[k].unit[0] != 'r');
            }
        }
        assert_true(tried > 5);
        assert_int_equal(set(policy, name, "off"), golden[i].off ? LAPSE_OK : LAPSE_BAD_INPUT);
        lapse_policy_free(policy);
    }
}

/* What would make a span nothing, or a date that cannot be printed. */
static void spans_have_limits(void **state)
{
    (void)state;
    lapse_policy *policy = new_policy();
    static const char *const may_be_zero[] = { "bounce.span", "import.skew", "response.after", "sunset.after" };
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(golden[i].unit, "duration") != 0)
            continue;
        static const char *const long_ones[] = {
            "1001y", "12001m", "366001d", "999999d", "999999m", "999999y"
        };
        for (size_t k = 0; k < sizeof long_ones / sizeof long_ones[0]; k++) {
            lapse_error error = { .size = sizeof error };
            assert_int_equal(lapse_policy_set(policy, golden[i].name, long_ones[k], &error), LAPSE_BAD_INPUT);
            assert_non_null(strstr(error.rule, "1000 years"));
        }
        bool zero = false;
        for (size_t k = 0; k < sizeof may_be_zero / sizeof may_be_zero[0]; k++)
            zero = zero || strcmp(golden[i].name, may_be_zero[k]) == 0;
        lapse_error error = { .size = sizeof error };
        assert_int_equal(lapse_policy_set(policy, golden[i].name, "0d", &error),
                         zero ? LAPSE_OK : LAPSE_BAD_INPUT);
        if (!zero)
            assert_string_equal(error.rule, "must not be zero");
    }
    assert_int_equal(set(policy, "bounce.soft", "0"), LAPSE_BAD_INPUT);
    assert_int_equal(set(policy, "response.sends", "0"), LAPSE_BAD_INPUT);
    lapse_policy_free(policy);
}

/* A text lives until its own setting is set again. */
static void texts_stay_where_they_are(void **state)
{
    (void)state;
    lapse_policy *policy = new_policy();
    assert_int_equal(set(policy, "cap.day", "4"), LAPSE_OK);
    const char *text = get(policy, "cap.day");
    for (int i = 0; i < COUNT; i++)
        if (golden[i].setting != LAPSE_SET_CAP_DAY)
            assert_int_equal(set(policy, golden[i].name, golden[i].text), LAPSE_OK);
    assert_int_equal(lapse_policy_parse(policy, "cap.week=9\n", 11, NULL), LAPSE_OK);
    assert_string_equal(text, "4");
    assert_ptr_equal(get(policy, "cap.day"), text);
    lapse_policy_free(policy);
}

/* ---- NULL, the list, memory --------------------------------------------------------------------------- */

static void null_is_refused(void **state)
{
    (void)state;
    lapse_policy *policy = new_policy();
    const char *text;
    lapse_result *result;
    assert_int_equal(lapse_policy_new(NULL, NULL), LAPSE_INVALID);
    assert_int_equal(set(NULL, "cap.day", "1"), LAPSE_INVALID);
    assert_int_equal(set(policy, NULL, "1"), LAPSE_INVALID);
    assert_int_equal(set(policy, "cap.day", NULL), LAPSE_INVALID);
    assert_int_equal(lapse_policy_get(policy, NULL, &text), LAPSE_INVALID);
    assert_int_equal(lapse_policy_get(policy, "cap.day", NULL), LAPSE_INVALID);
    assert_int_equal(lapse_policy_parse(NULL, "", 0, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_policy_parse(policy, NULL, 1, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_policy_parse(policy, "", -1, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_policy_list(policy, NULL, NULL), LAPSE_INVALID);
    lapse_policy_free(NULL);
    lapse_allocator bad = { .size = sizeof bad };
    lapse_policy *none = policy;
    assert_int_equal(lapse_policy_new(&bad, &none), LAPSE_INVALID);
    assert_null(none);
    assert_int_equal(lapse_policy_list(NULL, &result, NULL), LAPSE_OK);
    lapse_result_free(result);
    lapse_policy_free(policy);
}

static void check_cell(const lapse_table *table, const char *column, int64_t row, const char *text)
{
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_table_column(table, lapse_table_find(table, column), &c), LAPSE_OK);
    assert_int_equal(c.type, LAPSE_TYPE_STRING);
    assert_int_equal(c.missing, 0);
    assert_int_equal(c.offsets[row + 1] - c.offsets[row], strlen(text));
    assert_memory_equal((const char *)c.data + c.offsets[row], text, strlen(text));
}

static void the_list(void **state)
{
    (void)state;
    static const char *const columns[] = { "name", "value", "default", "unit", "origin" };
    for (int own = 0; own < 2; own++) {
        lapse_policy *policy = own ? new_policy() : NULL;
        if (own) {
            assert_int_equal(set(policy, "cap.day", "08"), LAPSE_OK);
            assert_int_equal(set(policy, "quiet.from", "22:00"), LAPSE_OK);
        }
        lapse_result *result;
        lapse_table *table;
        assert_int_equal(lapse_policy_list(policy, &result, NULL), LAPSE_OK);
        lapse_policy_free(policy); /* the result does not need it */
        assert_int_equal(lapse_result_columns(result), 5);
        assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_OK);
        lapse_result_free(result);
        assert_int_equal(lapse_table_rows(table), COUNT);
        for (int32_t i = 0; i < 5; i++)
            assert_int_equal(lapse_table_find(table, columns[i]), i);
        for (int i = 0; i < COUNT; i++) {
            const char *value = golden[i].text;
            if (own && golden[i].setting == LAPSE_SET_CAP_DAY)
                value = "8";
            if (own && golden[i].setting == LAPSE_SET_QUIET_FROM)
                value = "22:00";
            check_cell(table, "name", i, golden[i].name);
            check_cell(table, "value", i, value);
            check_cell(table, "default", i, golden[i].text);
            check_cell(table, "unit", i, golden[i].unit);
            check_cell(table, "origin", i, lapse_settings[i].origin);
            assert_true(i == 0 || strcmp(golden[i - 1].name, golden[i].name) < 0);
        }
        lapse_table_release(table);
    }
}

static lapse_status use_everything(const lapse_allocator *mem)
{
    lapse_policy *policy;
    lapse_result *result = NULL;
    lapse_table *table = NULL;
    lapse_status status = lapse_policy_new(mem, &policy);
    if (status == LAPSE_OK)
        status = set(policy, "cap.day", "2");
    if (status == LAPSE_OK)
        status = lapse_policy_parse(policy, "cap.week = 5", 12, NULL);
    if (status == LAPSE_OK)
        status = lapse_policy_list(policy, &result, NULL);
    if (status == LAPSE_OK)
        status = lapse_result_collect(result, &table, NULL);
    lapse_result_free(result);
    lapse_policy_free(policy);
    lapse_table_release(table);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);
    fail_each_allocation(&heap, &mem, use_everything, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_rulings),
        cmocka_unit_test(names_are_exact),
        cmocka_unit_test(values_and_their_normal_form),
        cmocka_unit_test(ratings_and_tiers),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(spans_have_limits),
        cmocka_unit_test(texts_stay_where_they_are),
        cmocka_unit_test(null_is_refused),
        cmocka_unit_test(the_list),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
