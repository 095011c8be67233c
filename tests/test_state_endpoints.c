/* Endpoints and channels: what bounces, reports and verifications make of an address, which address of many counts,
 * and what the gate says of it. */
#include "state_cases.h"

#include "state/state.h"

/* Of one endpoint of email: what makes it what. */
static void endpoints(void **state)
{
#define B "a,2024-01-02,message.bounced,channel=email,reason="
    static const struct {
        const char *events, *expected, *policy;
    } cases[] = {
        { "", "ok", NULL },
        { B "hard", "hard_bounced", NULL }, { B "soft", "soft_bouncing", NULL }, { B "block", "ok", NULL },
        { B "", "soft_bouncing", NULL }, { B "5.1.1", "hard_bounced", NULL }, { B "5.1.10", "hard_bounced", NULL },
        { B "5.1.", "soft_bouncing", NULL }, { B "5.1", "soft_bouncing", NULL }, { B "15.1.1", "soft_bouncing", NULL },
        { B "5.2.1", "hard_bounced", NULL }, { B "5.2.2", "soft_bouncing", NULL }, { B "4.4.7", "soft_bouncing", NULL },
        { B "5.7.1", "ok", NULL }, { B "5.3.4", "ok", NULL }, { B "5.6.0", "ok", NULL }, { B "5.2.11", "soft_bouncing", NULL },
        { B "hard\na,2024-01-03,message.delivered,channel=email", "hard_bounced", NULL },
        { B "hard\na,2024-01-03,consent.granted,channel=email", "hard_bounced", NULL },
        { B "hard\na,2024-01-03,endpoint.verified,channel=email,endpoint=x@x.x", "ok", NULL },
        { B "hard\na,2024-01-03,endpoint.verified,channel=email,endpoint=y@x.x", "hard_bounced", NULL },
        { B "hard\na,2024-01-03,suppression.removed,channel=email", "ok", NULL },
        { B "hard\na,2024-01-03,suppression.removed,channel=email,endpoint=x@x.x", "ok", NULL },
        { B "hard\na,2024-01-03,suppression.removed,channel=email,endpoint=z@x.x", "hard_bounced", NULL },
        { B "hard\na,2024-01-03,suppression.removed,channel=sms", "hard_bounced", NULL },
        { B "soft\na,2024-01-03,message.delivered,channel=email", "ok", NULL },
        { B "soft\na,2024-01-03,suppression.removed,channel=email", "ok", NULL },
        { B "soft\na,2024-01-03,message.delivered,channel=sms", "soft_bouncing", NULL },
        /* S32: three, and strictly more than fourteen days from first to last since the last delivery */
        { B "soft\na,2024-01-09,message.bounced,channel=email\na,2024-01-16,message.bounced,channel=email",
          "soft_bouncing", NULL },
        { B "soft\na,2024-01-09,message.bounced,channel=email\na,2024-01-16T00:00:00.000001,message.bounced,channel=email",
          "hard_bounced", NULL },
        { B "soft\na,2024-01-20,message.bounced,channel=email", "soft_bouncing", NULL },
        { B "soft\na,2024-01-20,message.bounced,channel=email", "hard_bounced", "bounce.soft=2" },
        { B "soft\na,2024-01-03,message.bounced,channel=email\na,2024-01-05,message.bounced,channel=email",
          "hard_bounced", "bounce.span=2d" },
        { B "soft\na,2024-01-09,message.bounced,channel=email\na,2024-01-10,message.delivered,channel=email\n"
          "a,2024-01-20,message.bounced,channel=email", "soft_bouncing", NULL },
        { B "soft\na,2024-01-09,message.bounced,channel=email,endpoint=x@x.x\na,2024-01-20,message.bounced,channel=email,"
          "endpoint=x@x.x", "hard_bounced", NULL },
        { B "soft\na,2024-01-09,message.bounced,channel=email\na,2024-01-16T12:00:00,message.bounced,channel=email\n"
          "a,2024-01-17,endpoint.verified,channel=email,endpoint=x@x.x\na,2024-01-18,message.bounced,channel=email",
          "soft_bouncing", NULL }, /* lifted: the run is new */
        /* S33: facts that do not touch each other, in this order */
        { B "hard\na,2024-01-03,message.spam_reported,channel=email", "hard_bounced", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email", "spam_reported", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-04,consent.granted,channel=email", "ok", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-03,consent.granted,channel=email", "spam_reported",
          NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-04,consent.granted,channel=email,purpose=profiling",
          "spam_reported", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-04,consent.confirmed,channel=email,ref=t",
          "spam_reported", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-04,consent.requested,channel=email,ref=t\n"
          "a,2024-01-05,consent.confirmed,channel=email,ref=t", "ok", NULL },
        { "a,2024-01-03,suppression.added,channel=email\n" B "hard", "manual_block", NULL },
        { B "hard\na,2024-01-03,suppression.added,channel=email\na,2024-01-04,endpoint.verified,channel=email,"
          "endpoint=x@x.x", "manual_block", NULL },
        { "a,2024-01-03,suppression.added,channel=email\na,2024-01-04,suppression.removed,channel=email,endpoint=x@x.x",
          "ok", NULL },
        { "a,2024-01-03,suppression.added,channel=sms", "ok", NULL },
        { "a,2024-01-03,endpoint.removed,channel=email,endpoint=x@x.x", "no_endpoint", NULL },
        { "a,2024-01-03,endpoint.removed,channel=email,endpoint=y@x.x", "ok", NULL },
        { "a,2024-01-03,endpoint.removed,channel=email", "no_endpoint", NULL },
        { "a,2024-01-03,endpoint.removed,channel=email\na,2024-01-04,endpoint.added,channel=email,endpoint=x@x.x", "ok",
          NULL },
        { B "hard\na,2024-01-03,endpoint.removed,channel=email\na,2024-01-04,endpoint.added,channel=email,endpoint=x@x.x",
          "hard_bounced", NULL }, /* the address is as dead as it was */
        { "a,2024-01-03,app.uninstalled", "ok", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text t = { 0 };
        putf(&t, "a,2024-01-01,endpoint.added,channel=email,endpoint=x@x.x\n%s", cases[i].events);
        lapse_store *store = store_of_lines(t.data);
        char *got = ask(store, CHANNELS, (struct ask){ AT("2024-02-01"), .policy = cases[i].policy }), want[64];
        snprintf(want, sizeof want, ",%s,,,\n", cases[i].expected);
        if (!strstr(got, want))
            fail_msg("%s\nwanted %s, got\n%s", t.data, cases[i].expected, got);
        free(got);
        free(t.data);
        lapse_store_close(store);
    }
#undef B
}

static void channels(void **state)
{
    struct ask at = { AT("2024-02-01") };
    (void)state;
    EXPECT("a,2024-01-01,message.sent,channel=email\na,2024-01-01,consent.granted,channel=sms", CHANNELS, at,
           "a,email,,ok,,,\n"); /* S27 */
    EXPECT("a,2024-01-01,message.bounced,channel=email,reason=hard,endpoint=x@x.x", CHANNELS, at,
           "a,email,,hard_bounced,,,\n");
    EXPECT("a,2024-01-01,app.installed", CHANNELS, at, "a,push,,ok,,,\na,in_app,,ok,,,\n");
    EXPECT("a,2024-01-01,app.installed\na,2024-01-02,app.uninstalled", CHANNELS, at,
           "a,push,,no_endpoint,,,\na,in_app,,no_endpoint,,,\n");
    EXPECT("a,2024-01-01,app.installed\na,2024-01-02,push.token_invalidated", CHANNELS, at,
           "a,push,,no_endpoint,,,\na,in_app,,ok,,,\n");
    EXPECT("a,2024-01-01,app.installed\na,2024-01-02,app.uninstalled\na,2024-01-03,app.installed", CHANNELS, at,
           "a,push,,ok,,,\na,in_app,,ok,,,\n");
    EXPECT("a,2024-01-01,session.started,platform=app", CHANNELS, at, ""); /* S31 */
    /* S35: the new address begins at ok, the old one is gone; hashes in their order */
    lapse_store *store = store_of_lines("a,2024-01-01,endpoint.added,channel=email,endpoint=x@x.x\n"
                                        "a,2024-01-02,message.bounced,channel=email,reason=hard\n"
                                        "a,2024-01-03,endpoint.changed,channel=email,endpoint=y@x.x\n");
    char *got = ask(store, CHANNELS, at);
    char first[17], second[17], deliverable[2][32];
    assert_int_equal(sscanf(strchr(got, '\n') + 1, "a,email,%16[0-9a-f],%31[a-z_],,,\na,email,%16[0-9a-f],%31[a-z_],,,\n", first,
                            deliverable[0], second, deliverable[1]), 4);
    assert_true(strcmp(first, second) < 0);
    bool swapped = strcmp(deliverable[0], "ok") == 0;
    assert_string_equal(deliverable[swapped ? 0 : 1], "ok");
    assert_string_equal(deliverable[swapped ? 1 : 0], "hard_bounced");
    free(got);
    got = ask(store, PERMIT, (struct ask){ .as_of = at.as_of, .channel = 1, .purpose = LAPSE_PURPOSE_SERVICE });
    assert_non_null(strstr(got, "allow"));
    free(got);
    lapse_store_close(store);
}

/* More endpoints than an event without address is told to: those added last are. */
static void many_endpoints(void **state)
{
    struct text t = { 0 };
    (void)state;
    for (int i = 0; i < 200; i++)
        putf(&t, "a,2024-01-01T00:%02d:%02d,endpoint.added,channel=email,endpoint=%d@x.x\n", i / 60, i % 60, i);
    putf(&t, "a,2024-01-02,message.bounced,channel=email,reason=hard\n");
    lapse_store *store = store_of_lines(t.data);
    char *got = ask(store, CHANNELS, (struct ask){ AT("2024-02-01") });
    assert_int_equal(count_lines(got, ",hard_bounced,"), LAPSE_HELD_MAX);
    assert_int_equal(count_lines(got, ",ok,"), 200 - LAPSE_HELD_MAX);
    free(got);
    free(t.data);
    lapse_store_close(store);
}

/* C13, C14: which endpoint decides, of transactional messages, which ask nothing else. */
static void reachable(void **state)
{
    static const struct {
        const char *events;
        int32_t channel;
        const char *yes, *no; /* permit.assume_endpoint 1 and 0: reasons */
    } cases[] = {
        { "a,2024-01-01,visitor.seen", LAPSE_CHANNEL_EMAIL, "", "no_endpoint" },
        { "a,2024-01-01,visitor.seen", LAPSE_CHANNEL_IN_APP, "", "no_endpoint" },
        { "a,2024-01-01,visitor.seen", LAPSE_CHANNEL_ONSITE, "", "" },
        { "a,2024-01-01,visitor.seen", LAPSE_CHANNEL_ADS, "", "" },
        { "a,2024-01-01,session.started,platform=web", LAPSE_CHANNEL_IN_APP, "", "no_endpoint" },
        { "a,2024-01-01,session.started,platform=app", LAPSE_CHANNEL_IN_APP, "", "" },
        { "a,2024-01-01,session.started,platform=app\na,2024-01-02,app.uninstalled", LAPSE_CHANNEL_IN_APP, "no_endpoint",
          "no_endpoint" },
        { "a,2024-01-01,app.uninstalled\na,2024-01-02,session.started,platform=app", LAPSE_CHANNEL_IN_APP, "", "" },
        { "a,2024-01-01,app.uninstalled", LAPSE_CHANNEL_PUSH, "no_endpoint", "no_endpoint" },
        { "a,2024-01-01,app.uninstalled\na,2024-01-02,endpoint.added,channel=push,endpoint=tok", LAPSE_CHANNEL_PUSH, "",
          "" }, /* S38 */
        { "a,2024-01-01,app.uninstalled", LAPSE_CHANNEL_WEB_PUSH, "", "no_endpoint" },
        { "a,2024-01-01,endpoint.verified,channel=sms,endpoint=1", LAPSE_CHANNEL_SMS, "", "" },
        { "a,2024-01-01,message.bounced,channel=email,reason=hard", LAPSE_CHANNEL_EMAIL, "hard_bounced",
          "no_endpoint|hard_bounced" },
        { "a,2024-01-01,suppression.added,channel=ads", LAPSE_CHANNEL_ADS, "manual_block", "manual_block" },
        { "a,2024-01-01,endpoint.added,channel=email,endpoint=x@x\na,2024-01-02,endpoint.added,channel=email,endpoint=y@x\n"
          "a,2024-01-03,message.bounced,channel=email,endpoint=x@x,reason=hard", LAPSE_CHANNEL_EMAIL, "", "" },
        { "a,2024-01-01,endpoint.added,channel=email,endpoint=x@x\na,2024-01-02,endpoint.added,channel=email,endpoint=y@x\n"
          "a,2024-01-03,message.bounced,channel=email,endpoint=y@x,reason=hard", LAPSE_CHANNEL_EMAIL, "", "" },
        { "a,2024-01-01,endpoint.added,channel=email,endpoint=x@x\na,2024-01-02,endpoint.added,channel=email,endpoint=y@x\n"
          "a,2024-01-03,message.bounced,channel=email,endpoint=x@x,reason=hard\n"
          "a,2024-01-04,endpoint.removed,channel=email,endpoint=y@x", LAPSE_CHANNEL_EMAIL, "no_endpoint", "no_endpoint" },
        { "a,2024-01-02,endpoint.added,channel=email,endpoint=x@x\na,2024-01-01,endpoint.added,channel=email,endpoint=y@x\n"
          "a,2024-01-03,message.bounced,channel=email,endpoint=x@x,reason=hard\n"
          "a,2024-01-04,endpoint.removed,channel=email,endpoint=y@x", LAPSE_CHANNEL_EMAIL, "hard_bounced",
          "hard_bounced" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int assume = 0; assume < 2; assume++) {
            const char *reasons = assume ? cases[i].yes : cases[i].no;
            lapse_store *store = store_of_lines(cases[i].events);
            char *got = ask(store, PERMIT, (struct ask){ AT("2024-02-01"), .channel = cases[i].channel,
                                                         .purpose = LAPSE_PURPOSE_TRANSACTIONAL,
                                                         .policy = assume ? NULL : "permit.assume_endpoint=0" });
            char want[128];
            snprintf(want, sizeof want, *reasons ? ",deny,%.*s,%s,\n" : ",allow,,,\n", (int)strcspn(reasons, "|"), reasons,
                     reasons);
            if (!strstr(got, want))
                fail_msg("%s\nassume %d, wanted %s, got\n%s", cases[i].events, assume, want, strchr(got, '\n') + 1);
            free(got);
            lapse_store_close(store);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints),
        cmocka_unit_test(channels),
        cmocka_unit_test(many_endpoints),
        cmocka_unit_test(reachable),
    };
    return cmocka_run_group_tests_name("state_endpoints", tests, NULL, NULL);
}
