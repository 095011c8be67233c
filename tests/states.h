/* What the tests of lib/state share: a store from CSV text, and answers as CSV text. */
#ifndef TESTS_STATES_H
#define TESTS_STATES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lapse.h>

#define DAY INT64_C(86400000000)

struct text {
    char *data;
    size_t size, room;
};

static inline void put(struct text *t, const char *bytes, size_t n)
{
    if (t->size + n + 1 > t->room) {
        t->room = 2 * (t->size + n + 1);
        t->data = realloc(t->data, t->room);
        assert_non_null(t->data);
    }
    memcpy(t->data + t->size, bytes, n);
    t->size += n;
    t->data[t->size] = 0;
}

static inline int32_t put_bytes(void *user, const char *bytes, int64_t size)
{
    put(user, bytes, (size_t)size);
    return 0;
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static inline void putf(struct text *t, const char *format, ...)
{
    char line[1024];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    assert_true(n >= 0 && (size_t)n < sizeof line);
    put(t, line, (size_t)n);
}

struct stream {
    const char *data;
    size_t left;
};

static inline int64_t give(void *user, char *buffer, int64_t capacity)
{
    struct stream *s = user;
    size_t n = s->left < (size_t)capacity ? s->left : (size_t)capacity;
    memcpy(buffer, s->data, n);
    s->data += n;
    s->left -= n;
    return (int64_t)n;
}

static inline void add_events(lapse_store *store, const char *csv, size_t size)
{
    struct stream s = { csv, size };
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_store_import_stream(store, give, &s, NULL, NULL, &error);
    if (status != LAPSE_OK)
        fail_msg("%s", error.message);
}

static inline lapse_store *store_of(const char *csv)
{
    lapse_store *store;
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    if (csv)
        add_events(store, csv, strlen(csv));
    return store;
}

static inline int64_t instant(const char *text)
{
    int64_t time;
    assert_int_equal(lapse_time_parse(text, 0, NULL, NULL, &time, NULL), LAPSE_OK);
    return time;
}

/* Settings as `name=value`, with blanks between. */
static inline lapse_policy *policy_of(const char *settings)
{
    lapse_policy *policy;
    char text[256];
    lapse_error error = { .size = sizeof error };
    if (!settings)
        return NULL;
    snprintf(text, sizeof text, "%s", settings);
    for (char *c = text; *c; c++)
        if (*c == ' ')
            *c = '\n';
    assert_int_equal(lapse_policy_new(NULL, &policy), LAPSE_OK);
    if (lapse_policy_parse(policy, text, (int64_t)strlen(text), &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    return policy;
}

enum which { STATES, CHANNELS, CONSENT, PERMIT };

struct ask {
    int64_t as_of;
    const char *policy, *customer, *topic;
    int32_t threads, channel, purpose;
};

static inline char *ask(lapse_store *store, enum which which, struct ask a)
{
    lapse_view *view;
    lapse_result *result = NULL;
    lapse_error error = { .size = sizeof error };
    lapse_policy *policy = policy_of(a.policy);
    lapse_state_options o;
    lapse_permit_options p;
    lapse_status status;
    struct text out = { 0 };
    assert_int_equal(lapse_view_open(store, a.as_of, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_state_options_init(&o, sizeof o), LAPSE_OK);
    assert_int_equal(lapse_permit_options_init(&p, sizeof p), LAPSE_OK);
    o.policy = p.policy = policy;
    o.customer = p.customer = a.customer;
    o.threads = p.threads = a.threads ? a.threads : 1;
    p.topic = a.topic;
    p.channel = a.channel;
    p.purpose = a.purpose ? a.purpose : LAPSE_PURPOSE_MARKETING;
    if (which == PERMIT)
        status = lapse_view_permit(view, &p, &result, &error);
    else
        status = (which == STATES ? lapse_view_states : which == CHANNELS ? lapse_view_channels
                                                                          : lapse_view_consent)(view, &o, &result, &error);
    if (status != LAPSE_OK)
        fail_msg("%s", error.message);
    lapse_policy_free(policy); /* is not used after the call, and nor is the view */
    lapse_view_close(view);
    if (lapse_result_write_csv(result, put_bytes, &out, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    lapse_result_free(result);
    return out.data;
}

#endif
