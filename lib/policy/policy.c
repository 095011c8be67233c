/* A policy: the values of all settings. A change is made in a copy, checked as a whole, and only then taken
 * over, so that a refused one leaves nothing behind. Once the policy is made only the list needs memory. */
#include "policy/policy.h"

#include <inttypes.h>
#include <stdio.h>

#include "table/table.h"

struct lapse_policy {
    lapse_allocator mem;
    struct {
        struct lapse_setting_value value; /* but its text, which is below */
        char text[LAPSE_SETTING_ROOM];
    } at[LAPSE_SETTINGS];
};

/* Limits that must stand in order (rulings S11): the first no longer than the second. */
static const enum lapse_setting in_order[][2] = {
    { LAPSE_SET_ENGAGEMENT_RISK, LAPSE_SET_ENGAGEMENT_INACTIVE },
    { LAPSE_SET_ENGAGEMENT_INACTIVE, LAPSE_SET_ENGAGEMENT_LOST },
    { LAPSE_SET_ENGAGEMENT_RISK, LAPSE_SET_ENGAGEMENT_LOST },
    { LAPSE_SET_PURCHASE_RISK, LAPSE_SET_PURCHASE_INACTIVE },
    { LAPSE_SET_PURCHASE_INACTIVE, LAPSE_SET_PURCHASE_LOST },
    { LAPSE_SET_PURCHASE_RISK, LAPSE_SET_PURCHASE_LOST },
};

lapse_status lapse_policy_new(const lapse_allocator *allocator, lapse_policy **out)
{
    if (!out)
        return LAPSE_INVALID;
    *out = NULL;
    lapse_allocator mem;
    lapse_status status = lapse_mem_init(&mem, allocator, NULL);
    if (status != LAPSE_OK)
        return status;
    lapse_policy *policy = lapse_mem_zero(&mem, 1, sizeof *policy);
    if (!policy)
        return LAPSE_NO_MEMORY;
    policy->mem = mem;
    for (int i = 0; i < LAPSE_SETTINGS; i++) {
        policy->at[i].value = lapse_settings[i].value;
        memcpy(policy->at[i].text, lapse_settings[i].text, strlen(lapse_settings[i].text) + 1);
    }
    *out = policy;
    return LAPSE_OK;
}

void lapse_policy_free(lapse_policy *policy)
{
    if (!policy)
        return;
    lapse_allocator mem = policy->mem;
    lapse_mem_free(&mem, policy);
}

static const char *text_of(const lapse_policy *policy, enum lapse_setting setting)
{
    return policy ? policy->at[setting].text : lapse_settings[setting].text;
}

struct lapse_setting_value lapse_policy_value(const lapse_policy *policy, enum lapse_setting setting)
{
    struct lapse_setting_value value = policy ? policy->at[setting].value : lapse_settings[setting].value;
    enum lapse_setting_kind kind = lapse_settings[setting].kind;
    const char *text = text_of(policy, setting);
    if ((kind == LAPSE_SETTING_RATING || kind == LAPSE_SETTING_TIER) && strcmp(text, "off") != 0)
        value.text = text;
    return value;
}

lapse_status lapse_policy_get(const lapse_policy *policy, const char *name, const char **out)
{
    if (!name || !out)
        return LAPSE_INVALID;
    int setting = lapse_setting_find(name, strlen(name));
    *out = setting < 0 ? NULL : text_of(policy, (enum lapse_setting)setting);
    return setting < 0 ? LAPSE_NOT_FOUND : LAPSE_OK;
}

static lapse_status refuse(lapse_error *error, lapse_status status, int64_t line, const char *name,
                           const char *text, size_t n, const char *rule)
{
    struct lapse_place place = { .line = line, .row = -1, .column = name };
    return lapse_fail_at(error, status, &place, text, n, rule);
}

static lapse_status assign(lapse_policy *policy, int setting, const char *text, size_t n, int64_t line,
                           lapse_error *error)
{
    const char *rule;
    if (lapse_setting_parse((enum lapse_setting)setting, text, n, &policy->at[setting].value,
                            policy->at[setting].text, &rule))
        return LAPSE_OK;
    return refuse(error, LAPSE_BAD_INPUT, line, lapse_settings[setting].name, text, n, rule);
}

/* Limits in order? `lines` says where each setting was set, 0 elsewhere; the later of the two is to blame. */
static lapse_status check_order(const lapse_policy *policy, const int64_t *lines, int blame, lapse_error *error)
{
    for (size_t i = 0; i < sizeof in_order / sizeof in_order[0]; i++) {
        enum lapse_setting first = in_order[i][0], second = in_order[i][1];
        const struct lapse_setting_value *a = &policy->at[first].value, *b = &policy->at[second].value;
        bool a_calendar, b_calendar;
        int64_t a_length = lapse_setting_length(a->n, a->unit, &a_calendar);
        int64_t b_length = lapse_setting_length(b->n, b->unit, &b_calendar);
        if (a_calendar != b_calendar || a_length <= b_length)
            continue;
        int named = blame;
        if (lines)
            named = lines[first] > lines[second] ? (int)first : (int)second;
        char rule[256];
        snprintf(rule, sizeof rule, "%s (%s) must not be longer than %s (%s)", lapse_settings[first].name,
                 policy->at[first].text, lapse_settings[second].name, policy->at[second].text);
        return refuse(error, LAPSE_BAD_INPUT, lines ? lines[named] : 0, lapse_settings[named].name,
                      policy->at[named].text, strlen(policy->at[named].text), rule);
    }
    return LAPSE_OK;
}

lapse_status lapse_policy_set(lapse_policy *policy, const char *name, const char *value, lapse_error *error)
{
    if (!policy || !name || !value)
        return lapse_fail(error, LAPSE_INVALID, "lapse_policy_set() was given a NULL pointer");
    int setting = lapse_setting_find(name, strlen(name));
    if (setting < 0)
        return refuse(error, LAPSE_NOT_FOUND, 0, name, name, strlen(name), "no such setting");
    lapse_policy changed = *policy;
    lapse_status status = assign(&changed, setting, value, strlen(value), 0, error);
    if (status == LAPSE_OK)
        status = check_order(&changed, NULL, setting, error);
    if (status == LAPSE_OK)
        *policy = changed;
    return status;
}

/* ---- policy files ------------------------------------------------------------------------------------ */

struct span {
    const char *text;
    size_t n;
};

static struct span trim(const char *text, size_t n)
{
    while (n > 0 && (text[0] == ' ' || text[0] == '\t')) {
        text++;
        n--;
    }
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    return (struct span){ text, n };
}

/* One line without its end. */
static lapse_status parse_line(lapse_policy *policy, const char *text, size_t n, int64_t line,
                               int64_t lines[LAPSE_SETTINGS], lapse_error *error)
{
    if (!lapse_utf8_valid(text, n))
        return refuse(error, LAPSE_BAD_INPUT, line, NULL, text, n, "must be UTF-8 without NUL");
    const char *comment = n > 0 ? memchr(text, '#', n) : NULL;
    struct span all = trim(text, comment ? (size_t)(comment - text) : n);
    if (all.n == 0)
        return LAPSE_OK;
    const char *equals = memchr(all.text, '=', all.n);
    if (!equals)
        return refuse(error, LAPSE_BAD_INPUT, line, NULL, all.text, all.n, "must be `name = value`");
    struct span name = trim(all.text, (size_t)(equals - all.text));
    struct span value = trim(equals + 1, all.n - (size_t)(equals + 1 - all.text));
    int setting = lapse_setting_find(name.text, name.n);
    if (setting < 0) {
        char column[256];
        size_t size = name.n < sizeof column ? name.n : sizeof column - 1;
        memcpy(column, name.text, size);
        column[size] = '\0';
        return refuse(error, LAPSE_BAD_INPUT, line, column, name.text, name.n, "no such setting");
    }
    if (lines[setting] > 0) {
        char rule[64];
        snprintf(rule, sizeof rule, "is set already in line %" PRId64, lines[setting]);
        return refuse(error, LAPSE_BAD_INPUT, line, lapse_settings[setting].name, value.text, value.n, rule);
    }
    lines[setting] = line;
    return assign(policy, setting, value.text, value.n, line, error);
}

lapse_status lapse_policy_parse(lapse_policy *policy, const char *text, int64_t size, lapse_error *error)
{
    if (!policy || size < 0 || (!text && size > 0))
        return lapse_fail(error, LAPSE_INVALID,
                          "lapse_policy_parse() was given a NULL pointer or a negative size");
    lapse_policy changed = *policy;
    int64_t lines[LAPSE_SETTINGS] = { 0 };
    lapse_status status = LAPSE_OK;
    size_t n = (size_t)size, at = n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (int64_t line = 1; status == LAPSE_OK && at < n; line++) {
        const char *lf = memchr(text + at, '\n', n - at);
        size_t end = lf ? (size_t)(lf - text) : n;
        size_t length = end - at;
        if (lf && length > 0 && text[end - 1] == '\r')
            length--;
        status = parse_line(&changed, text + at, length, line, lines, error);
        at = end + 1;
    }
    if (status == LAPSE_OK)
        status = check_order(&changed, lines, 0, error);
    if (status == LAPSE_OK)
        *policy = changed;
    return status;
}

/* ---- the list ---------------------------------------------------------------------------------------- */

lapse_status lapse_policy_list(const lapse_policy *policy, lapse_result **out, lapse_error *error)
{
    enum { COLUMNS = 5 };
    static const struct lapse_column_spec columns[COLUMNS] = {
        { "name", LAPSE_TYPE_STRING, 0 },    { "value", LAPSE_TYPE_STRING, 0 },
        { "default", LAPSE_TYPE_STRING, 0 }, { "unit", LAPSE_TYPE_STRING, 0 },
        { "origin", LAPSE_TYPE_STRING, 0 },
    };
    if (!out)
        return lapse_fail(error, LAPSE_INVALID, "lapse_policy_list() was given a NULL pointer");
    *out = NULL;
    lapse_allocator mem;
    lapse_status status = lapse_mem_init(&mem, policy ? &policy->mem : NULL, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_builder *b = lapse_builder_new(&mem, columns, COLUMNS, LAPSE_SETTINGS);
    for (int i = 0; i < LAPSE_SETTINGS; i++) {
        const char *cells[COLUMNS] = { lapse_settings[i].name, text_of(policy, (enum lapse_setting)i),
                                       lapse_settings[i].text, lapse_setting_unit((enum lapse_setting)i),
                                       lapse_settings[i].origin };
        for (int32_t column = 0; column < COLUMNS; column++)
            lapse_builder_text(b, column, cells[column], strlen(cells[column]));
    }
    lapse_table *table;
    status = lapse_builder_finish(b, &table, error);
    return status == LAPSE_OK ? lapse_result_of_table(&mem, table, out, error) : status;
}
