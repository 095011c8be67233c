/* Policies: a file is taken over whole or not at all, and what is told of a setting sets it again. Input: a policy
 * file; before it, when the first byte is odd, a file that is parsed first, up to a NUL. */
#include "fuzz.h"

#include "policy/policy.h"

static lapse_policy *new_policy(void)
{
    lapse_policy *policy = NULL;
    CHECK(lapse_policy_new(NULL, &policy) == LAPSE_OK);
    return policy;
}

/* Every setting's text, each with its NUL. */
static void list(struct text *out, const lapse_policy *policy)
{
    for (int i = 0; i < LAPSE_SETTINGS; i++) {
        const char *text = NULL;
        CHECK(lapse_policy_get(policy, lapse_settings[i].name, &text) == LAPSE_OK);
        text_put(out, text, strlen(text) + 1);
    }
}

/* lapse_policy_list() tells the same. */
static void check_list(const lapse_policy *policy)
{
    lapse_result *result = NULL;
    lapse_table *table = NULL;
    lapse_column value = { .size = sizeof value };
    struct text all = { 0 };
    CHECK(lapse_policy_list(policy, &result, NULL) == LAPSE_OK);
    CHECK(lapse_result_collect(result, &table, NULL) == LAPSE_OK && lapse_table_rows(table) == LAPSE_SETTINGS);
    CHECK(lapse_table_column(table, lapse_table_find(table, "value"), &value) == LAPSE_OK);
    list(&all, policy);
    const char *at = all.data;
    for (int64_t i = 0; i < value.rows; i++) {
        size_t n = (size_t)(value.offsets[i + 1] - value.offsets[i]);
        CHECK(n == strlen(at) && memcmp(at, (const char *)value.data + value.offsets[i], n) == 0);
        at += n + 1;
    }
    text_free(&all);
    lapse_table_release(table);
    lapse_result_free(result);
}

static void parse(lapse_policy *policy, const char *text, size_t n)
{
    struct text before = { 0 }, after = { 0 };
    lapse_error error = { .size = sizeof error };
    list(&before, policy);
    lapse_status status = lapse_policy_parse(policy, text, (int64_t)n, &error);
    CHECK(status == LAPSE_OK || status == LAPSE_BAD_INPUT || status == LAPSE_NOT_FOUND);
    error_check(status, &error);
    list(&after, policy);
    if (status != LAPSE_OK)
        CHECK(text_same(&before, &after) && error.line > 0);
    text_free(&before);
    text_free(&after);
}

/* Each line once more by lapse_policy_set(), which answers for one setting what the file does for all. */
static void set_each(lapse_policy *policy, struct fuzz in)
{
    while (in.left) {
        struct fuzz line = fuzz_line(&in);
        char *name = fuzz_text(line), *value = strchr(name, '=');
        struct text before = { 0 }, after = { 0 };
        lapse_error error = { .size = sizeof error };
        const char *text = NULL;
        if (value) {
            *value++ = '\0';
            list(&before, policy);
            lapse_status status = lapse_policy_set(policy, name, value, &error);
            error_check(status, &error);
            lapse_status known = lapse_policy_get(policy, name, &text);
            CHECK((status == LAPSE_NOT_FOUND) == (known == LAPSE_NOT_FOUND));
            if (status == LAPSE_OK) { /* the normal form is a fixed point */
                char *normal = fuzz_text((struct fuzz){ (const uint8_t *)text, strlen(text) });
                CHECK(lapse_policy_set(policy, name, normal, NULL) == LAPSE_OK);
                CHECK(lapse_policy_get(policy, name, &text) == LAPSE_OK && strcmp(text, normal) == 0);
                free(normal);
            } else {
                list(&after, policy);
                CHECK(text_same(&before, &after));
            }
        }
        text_free(&before);
        text_free(&after);
        free(name);
    }
}

/* All settings as a policy file make an equal policy. */
static void round_trip(const lapse_policy *policy)
{
    lapse_policy *again = new_policy();
    struct text file = { 0 }, before = { 0 }, after = { 0 };
    for (int i = 0; i < LAPSE_SETTINGS; i++) {
        const char *text = NULL;
        CHECK(lapse_policy_get(policy, lapse_settings[i].name, &text) == LAPSE_OK);
        text_put(&file, lapse_settings[i].name, strlen(lapse_settings[i].name));
        text_put(&file, " = ", 3);
        text_put(&file, text, strlen(text));
        text_put(&file, "\r\n", 2);
        struct lapse_setting_value v = lapse_policy_value(policy, (enum lapse_setting)i);
        CHECK(v.unit >= LAPSE_UNIT_NONE && v.unit <= LAPSE_UNIT_YEAR && v.n >= -1);
    }
    CHECK(lapse_policy_parse(again, file.data, (int64_t)file.size, NULL) == LAPSE_OK);
    list(&before, policy);
    list(&after, again);
    CHECK(text_same(&before, &after));
    for (int i = 0; i < LAPSE_SETTINGS; i++) {
        struct lapse_setting_value a = lapse_policy_value(policy, (enum lapse_setting)i);
        struct lapse_setting_value b = lapse_policy_value(again, (enum lapse_setting)i);
        CHECK(a.n == b.n && a.unit == b.unit && a.number == b.number && !a.text == !b.text);
    }
    text_free(&file);
    text_free(&before);
    text_free(&after);
    lapse_policy_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz in = { data, size < 4096 ? size : 4096 };
    lapse_policy *policy = new_policy();
    uint8_t what = fuzz_byte(&in);
    if (what & 1 && in.left) {
        const uint8_t *nul = memchr(in.at, '\0', in.left);
        size_t n = nul ? (size_t)(nul - in.at) : in.left;
        parse(policy, (const char *)in.at, n);
        in.at += n;
        in.left -= n;
        fuzz_byte(&in);
    }
    parse(policy, (const char *)in.at, in.left);
    round_trip(policy);
    if (what & 2)
        set_each(policy, in);
    round_trip(policy);
    check_list(policy);
    lapse_policy_free(policy);
    return 0;
}
