/* What the tests of changes share: advance as CSV text, and a host that hears each record once. */
#ifndef TESTS_CHANGES_H
#define TESTS_CHANGES_H

#include "states.h"

#include "state/outbox.h"

struct call {
    const char *as_of, *policy;
    uint32_t flags;
    int64_t limit;
};

static inline lapse_status try_advance(lapse_store *store, struct call c, struct text *out, lapse_error *error)
{
    lapse_advance_options options;
    lapse_result *result = NULL;
    lapse_policy *policy = policy_of(c.policy);
    assert_int_equal(lapse_advance_options_init(&options, sizeof options), LAPSE_OK);
    options.flags = c.flags;
    options.limit = c.limit;
    options.policy = policy;
    error->size = sizeof *error;
    lapse_status status = lapse_store_advance(store, instant(c.as_of), &options, &result, error);
    lapse_policy_free(policy);
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(result, put_bytes, out, error);
    lapse_result_free(result);
    return status;
}

/* The records, without the header. */
static inline char *advance_with(lapse_store *store, struct call c)
{
    lapse_error error = { .size = sizeof error };
    struct text out = { 0 };
    if (try_advance(store, c, &out, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    char *rows = strchr(out.data, '\n') + 1;
    memmove(out.data, rows, strlen(rows) + 1);
    return out.data;
}

static inline char *advance_to(lapse_store *store, const char *as_of)
{
    return advance_with(store, (struct call){ .as_of = as_of });
}

static inline void assert_told(lapse_store *store, const char *as_of, const char *expected)
{
    char *got = advance_to(store, as_of);
    assert_string_equal(got, expected);
    free(got);
}

static inline void acknowledge(lapse_store *store, int64_t seq)
{
    lapse_error error = { .size = sizeof error };
    if (lapse_store_acknowledge(store, seq, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
}

#define HEADER "customer,time,kind,amount,channel,purpose,endpoint,reason,ref,source,event_id\n"

static const char small_shop[] = HEADER
    "ann,2024-01-01,order.placed,10,,,,,o1,w,1\n"
    "ann,2024-01-02,consent.granted,,email,marketing,,,,w,2\n"
    "bob,2024-01-03,session.started,,,,,,,w,3\n";

static const char told_first[] =
    "1,ann,stage,,reach,retention,2024-01-01T00:00:00Z,order.placed,0\n"
    "2,ann,engagement,,new,active,2024-01-01T00:00:00Z,order.placed,0\n"
    "3,ann,purchase,,new,active,2024-01-01T00:00:00Z,order.placed,0\n"
    "4,ann,consent,email/marketing/,none,granted,2024-01-02T00:00:00Z,consent.granted,0\n"
    "5,bob,stage,,reach,acquisition,2024-01-03T00:00:00Z,session.started,0\n"
    "6,bob,engagement,,new,active,2024-01-03T00:00:00Z,session.started,0\n";

static inline void add(lapse_store *store, const char *rows)
{
    struct text t = { 0 };
    putf(&t, "%s%s", HEADER, rows);
    add_events(store, t.data, t.size);
    free(t.data);
}

/* ---- a host ---------------------------------------------------------------------------------------------------- */

struct heard {
    char at[300], state[32]; /* customer,region,key */
};
struct host {
    struct heard states[256];
    size_t count;
    int64_t seen; /* seq */
};

/* Field `n` of a line of CSV without quotes, as its begin; *size bytes. */
static inline const char *field_of(const char *line, int n, size_t *size)
{
    while (n-- > 0)
        line = strchr(line, ',') + 1;
    *size = strcspn(line, ",\n");
    return line;
}

static inline void hear(struct host *host, const char *rows)
{
    for (; *rows; rows = strchr(rows, '\n') + 1) {
        size_t n, m;
        int64_t seq = strtoll(rows, NULL, 10);
        if (seq <= host->seen)
            continue;
        host->seen = seq;
        const char *at = field_of(rows, 1, &n), *from = field_of(rows, 4, &m);
        n = (size_t)(from - 1 - at);
        struct heard *h = host->states;
        while (h < host->states + host->count && !(strncmp(h->at, at, n) == 0 && h->at[n] == 0))
            h++;
        assert_true(h < host->states + 256);
        if (h == host->states + host->count) {
            snprintf(h->at, sizeof h->at, "%.*s", (int)n, at);
            snprintf(h->state, sizeof h->state, "%.*s", (int)m, from);
            host->count++;
        }
        if (strlen(h->state) != m || strncmp(h->state, from, m) != 0)
            fail_msg("%s was %s: %.*s", h->at, h->state, (int)strcspn(rows, "\n"), rows);
        const char *to = field_of(rows, 5, &m);
        assert_false(strlen(h->state) == m && strncmp(h->state, to, m) == 0);
        snprintf(h->state, sizeof h->state, "%.*s", (int)m, to);
    }
}

/* What the host of a first call would hold: the states themselves. Every state of `host` must be among them, or as at the
 * beginning. */
static inline void assert_same_states(const struct host *host, const struct host *pure)
{
    static const char initial[] = " reach new open none ok ";
    for (size_t i = 0; i < host->count; i++) {
        const struct heard *h = &host->states[i];
        const char *expected = NULL;
        char word[40];
        for (size_t k = 0; k < pure->count; k++)
            if (strcmp(pure->states[k].at, h->at) == 0)
                expected = pure->states[k].state;
        snprintf(word, sizeof word, " %s ", h->state);
        if (expected ? strcmp(expected, h->state) != 0 : !strstr(initial, word))
            fail_msg("the host has %s for %s, not %s", h->state, h->at, expected ? expected : "the beginning");
    }
    for (size_t k = 0; k < pure->count; k++) {
        bool found = false;
        for (size_t i = 0; i < host->count; i++)
            found |= strcmp(pure->states[k].at, host->states[i].at) == 0;
        if (!found)
            fail_msg("the host has not heard of %s", pure->states[k].at);
    }
}

#endif
