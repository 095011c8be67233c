/* What the tests of lib/policy share: settings by name, and all of a policy as text, to see that nothing has changed. */
#ifndef TESTS_POLICIES_H
#define TESTS_POLICIES_H

#include "help.h"

#include "policy/policy.h"

static inline lapse_policy *new_policy(void)
{
    lapse_policy *policy;
    assert_int_equal(lapse_policy_new(NULL, &policy), LAPSE_OK);
    return policy;
}

static inline const char *get(const lapse_policy *policy, const char *name)
{
    const char *text = NULL;
    assert_int_equal(lapse_policy_get(policy, name, &text), LAPSE_OK);
    return text;
}

static inline lapse_status set(lapse_policy *policy, const char *name, const char *value)
{
    return lapse_policy_set(policy, name, value, NULL);
}

/* All texts and meanings in one string. */
static inline char *dump(const lapse_policy *policy)
{
    char *out = calloc(LAPSE_SETTINGS, 512);
    size_t n = 0;
    assert_non_null(out);
    for (int i = 0; i < LAPSE_SETTINGS; i++) {
        struct lapse_setting_value v = lapse_policy_value(policy, (enum lapse_setting)i);
        const char *name = lapse_settings[i].name;
        n += (size_t)snprintf(out + n, 512, "%s=%s %lld %d %g %s\n", name, get(policy, name), (long long)v.n, (int)v.unit,
                              v.number, v.text ? v.text : "");
    }
    return out;
}

/* Frees `before`. */
static inline void check_unchanged(const lapse_policy *policy, char *before)
{
    char *after = dump(policy);
    assert_string_equal(after, before);
    free(after);
    free(before);
}

#endif
