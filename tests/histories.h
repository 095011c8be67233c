/* Random histories of all kinds of events, the same from the same number: drawn, put into a store in whole or in part, and
 * answers about them cut into rows. */
#ifndef TESTS_HISTORIES_H
#define TESTS_HISTORIES_H

#include "states.h"

enum { CUSTOMERS = 400, MOST = 24 };

struct event {
    int customer, kind;
    int64_t time;
    char rest[160]; /* channel ... event_id */
};
static struct event events[CUSTOMERS * MOST];
static int count;
static uint64_t seed;

static const char header[] = "customer,time,kind,channel,purpose,topic,platform,ref,value,reason,endpoint,evidence,amount,"
                             "event_id,source\n";

static inline int draw(int n)
{
    return (int)dice(&seed, (uint32_t)n);
}

static inline const char *one_of(const char *const *names, int n)
{
    return names[draw(n)];
}

static inline bool is_consent(int kind)
{
    return (kind >= LAPSE_KIND_CONSENT_IMPORTED && kind <= LAPSE_KIND_MESSAGE_SPAM_REPORTED);
}

static inline struct event draw_event(int customer, int kind, int number)
{
    static const char *const channels[] = { "email", "email", "email", "sms", "push", "in_app" };
    static const char *const purposes[] = { "", "", "marketing", "profiling", "tracking", "survey", "ad_audience" };
    static const char *const reasons[] = { "", "", "soft", "hard", "5.1.1", "4.2.2", "bot", "unverified", "stop", "START" };
    static const char *const refs[] = { "t1", "t2", "t3" };
    static const char *const hashes[] = { "", "", "x@x.x", "y@y.y" };
    static const char *const topics[] = { "", "", "", "news" };
    struct event e = { .customer = customer, .kind = kind };
    /* three years by days, so that instants are shared; a tenth at any microsecond */
    e.time = instant("2022-01-01") + draw(1000) * DAY + (draw(10) ? 0 : draw(1000000000));
    const char *topic = kind == LAPSE_KIND_PREFERENCE_SET ? "news" : is_consent(kind) ? one_of(topics, 4) : "";
    snprintf(e.rest, sizeof e.rest, "%s,%s,%s,%s,%s,%d,%s,%s,%s,%s,e%d,%s", one_of(channels, 6), one_of(purposes, 7), topic,
             draw(2) ? "app" : "", one_of(refs, 3), draw(2), one_of(reasons, 10), one_of(hashes, 4), draw(2) ? "proof" : "",
             draw(3) ? "10.00" : "", number, draw(2) ? "a" : "b");
    return e;
}

static inline void draw_events(uint64_t with)
{
    seed = with;
    count = 0;
    for (int c = 0; c < CUSTOMERS; c++)
        for (int n = draw(MOST) + 1; n > 0; n--) {
            int kind = 1 + draw(LAPSE_KIND_SUPPRESSION_ADDED); /* erasure below: it ends everything */
            if (draw(3) == 0)
                kind = LAPSE_KIND_CONSENT_IMPORTED + draw(LAPSE_KIND_ACCOUNT_CLOSED + 1 - LAPSE_KIND_CONSENT_IMPORTED);
            if (kind == LAPSE_KIND_CUSTOMER_MERGED)
                kind = LAPSE_KIND_ORDER_PLACED;
            if (c % 40 == 7 && n == 1)
                kind = LAPSE_KIND_CUSTOMER_ERASED;
            events[count] = draw_event(c, kind, count);
            count++;
        }
}

static inline void put_event(struct text *t, const struct event *e)
{
    putf(t, "c%03d,@%lld.%06d,%s,%s\n", e->customer, (long long)(e->time / 1000000), (int)(e->time % 1000000),
         lapse_kind_name(e->kind), e->rest);
}

typedef bool keep_fn(const struct event *e);

static inline lapse_store *store_with(keep_fn *keep, const struct event *more, int extra)
{
    struct text t = { 0 };
    put(&t, header, strlen(header));
    for (int i = 0; i < count; i++)
        if (!keep || keep(&events[i]))
            put_event(&t, &events[i]);
    for (int i = 0; i < extra; i++)
        put_event(&t, &more[i]);
    lapse_store *store = store_of(t.data);
    free(t.data);
    return store;
}

struct row {
    char *field[20];
};
/* Cuts CSV (without quotes) into rows; the text is changed. */
static inline int rows_of(char *csv, struct row *rows, int room)
{
    int n = 0;
    for (char *at = strchr(csv, '\n') + 1; *at; n++) {
        assert_true(n < room);
        char *end = strchr(at, '\n');
        *end = 0;
        for (int f = 0; f < 20; f++) {
            rows[n].field[f] = at;
            at += strcspn(at, ",");
            if (*at)
                *at++ = 0;
        }
        at = end + 1;
    }
    return n;
}

#endif
