/* What the suites of erasure share: stores whose key is told, so that two of them know the same people by the same
 * hashes; imports, forgetting, and all that two stores answer. */
#ifndef TESTS_ERASING_H
#define TESTS_ERASING_H

#include "stores.h"

static const uint8_t key[LAPSE_KEY_SIZE] = "thirty-two bytes, the same twice";

static inline lapse_store *keyed(const char *at)
{
    lapse_store *store;
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.sync = LAPSE_SYNC_OFF;
    o.key = key;
    assert_int_equal(lapse_store_open(at, &o, &store, NULL), LAPSE_OK);
    return store;
}

static inline lapse_store *fresh(const char *at)
{
    if (at)
        unlink(at);
    return keyed(at);
}

/* Of customers `ann`, `bob` and `cat`. */
static const char few[] = "customer,time,amount,event_id,source\n"
                          "ann,1971-01-01,5,e1,s\nann,1971-02-01,6,,s\nbob,1971-01-01,7,e2,s\ncat,1971-01-01,8,,s\n";

static inline lapse_counts import(lapse_store *store, const char *text, const char *source)
{
    lapse_import_options o;
    lapse_error error = { .size = sizeof error };
    lapse_counts counts = { .size = sizeof counts };
    struct stream in = { text, strlen(text) };
    lapse_import_options_init(&o, sizeof o);
    o.source = source;
    if (lapse_store_import_stream(store, give, &in, &o, &counts, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    return counts;
}

enum { AT = 1000 }; /* days: the instant of erasures here */

static inline lapse_status forget(lapse_store *store, const char *const *ids, int count, lapse_forgotten *out)
{
    char text[20000];
    int64_t offsets[500] = { 0 };
    lapse_forget_options o;
    lapse_forget_options_init(&o, sizeof o);
    o.at = AT * LAPSE_DAY;
    for (int i = 0; i < count; i++) {
        memcpy(text + offsets[i], ids[i], strlen(ids[i]));
        offsets[i + 1] = offsets[i] + (int64_t)strlen(ids[i]);
    }
    if (out)
        out->size = sizeof *out;
    return lapse_store_forget(store, text, offsets, count, &o, out, NULL);
}

static inline lapse_status forget_one(lapse_store *store, const char *id)
{
    return forget(store, &id, 1, NULL);
}

typedef lapse_status ask_fn(lapse_view *view, lapse_result **out);

static inline lapse_status ask_events(lapse_view *view, lapse_result **out)
{
    return lapse_view_events(view, out, NULL);
}

static inline lapse_status ask_rfm(lapse_view *view, lapse_result **out)
{
    return lapse_view_rfm(view, NULL, out, NULL);
}

static inline lapse_status ask_states(lapse_view *view, lapse_result **out)
{
    return lapse_view_states(view, NULL, out, NULL);
}

static inline lapse_status ask_consent(lapse_view *view, lapse_result **out)
{
    return lapse_view_consent(view, NULL, out, NULL);
}

static inline char *answer(lapse_store *store, int64_t as_of, ask_fn *ask)
{
    lapse_view *view;
    lapse_result *result;
    assert_int_equal(lapse_view_open(store, as_of, &view, NULL), LAPSE_OK);
    assert_int_equal(ask(view, &result), LAPSE_OK);
    char *csv = csv_of(result);
    lapse_view_close(view);
    return csv;
}

static inline void check_same(lapse_store *a, lapse_store *b)
{
    static ask_fn *const asks[] = { ask_events, ask_rfm, ask_states, ask_consent };
    static const int64_t instants[] = { INT64_MAX, 60 * LAPSE_DAY };
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 2; k++) {
            char *x = answer(a, instants[k], asks[i]), *y = answer(b, instants[k], asks[i]);
            assert_string_equal(x, y);
            free(x);
            free(y);
        }
}

static inline int32_t permit(lapse_store *store, int64_t as_of, const char *id, int32_t purpose, uint64_t *reasons)
{
    lapse_view *view;
    lapse_decision d = { .size = sizeof d };
    assert_int_equal(lapse_view_open(store, as_of, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_permit_one(view, NULL, id, LAPSE_CHANNEL_EMAIL, purpose, NULL, &d, NULL), LAPSE_OK);
    lapse_view_close(view);
    *reasons = d.reasons;
    return d.reason;
}

#endif
