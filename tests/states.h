/* What the tests of lib/state share: each of its answers as CSV text. */
#ifndef TESTS_STATES_H
#define TESTS_STATES_H

#include "help.h"

#define DAY INT64_C(86400000000)

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
    return csv_of(result);
}

#endif
