/* The lists of the event format: kinds with their columns and ranks, names, words of text messages. */
#include "help.h"

#include "event/event.h"

/* ---- kinds: the list of rulings 9, written out -------------------------------------------------------- */

#define V LAPSE_KIND_VISIT
#define A LAPSE_KIND_ACTIVITY
#define C LAPSE_KIND_CONTACT

/* In the order of the ruling; `same` marks a kind that ranks with the one before. */
static const struct {
    const char *name;
    int code, clocks, same;
} golden[] = {
    { "visitor.seen", LAPSE_KIND_VISITOR_SEEN, V | A, 0 },
    { "identity.linked", LAPSE_KIND_IDENTITY_LINKED, 0, 0 },
    { "customer.registered", LAPSE_KIND_CUSTOMER_REGISTERED, C, 0 },
    { "customer.merged", LAPSE_KIND_CUSTOMER_MERGED, 0, 0 },
    { "endpoint.added", LAPSE_KIND_ENDPOINT_ADDED, 0, 0 },
    { "endpoint.changed", LAPSE_KIND_ENDPOINT_CHANGED, 0, 0 },
    { "endpoint.verified", LAPSE_KIND_ENDPOINT_VERIFIED, 0, 0 },
    { "endpoint.removed", LAPSE_KIND_ENDPOINT_REMOVED, 0, 0 },
    { "app.installed", LAPSE_KIND_APP_INSTALLED, V, 0 },
    { "app.uninstalled", LAPSE_KIND_APP_UNINSTALLED, 0, 0 },
    { "push.token_invalidated", LAPSE_KIND_PUSH_TOKEN_INVALIDATED, 0, 0 },
    { "ad.impressed", LAPSE_KIND_AD_IMPRESSED, 0, 0 },
    { "ad.clicked", LAPSE_KIND_AD_CLICKED, 0, 0 },
    { "content.viewed", LAPSE_KIND_CONTENT_VIEWED, 0, 0 },
    { "session.started", LAPSE_KIND_SESSION_STARTED, V | A, 0 },
    { "product.viewed", LAPSE_KIND_PRODUCT_VIEWED, V | A, 0 },
    { "catalog.downloaded", LAPSE_KIND_CATALOG_DOWNLOADED, V | A, 0 },
    { "info.requested", LAPSE_KIND_INFO_REQUESTED, V | C, 0 },
    { "exit.intent", LAPSE_KIND_EXIT_INTENT, V | A, 0 },
    { "cart.updated", LAPSE_KIND_CART_UPDATED, V | A, 0 },
    { "checkout.started", LAPSE_KIND_CHECKOUT_STARTED, V | A, 0 },
    { "order.placed", LAPSE_KIND_ORDER_PLACED, V | A, 0 },
    { "order.delivered", LAPSE_KIND_ORDER_DELIVERED, 0, 0 },
    { "order.cancelled", LAPSE_KIND_ORDER_CANCELLED, 0, 0 },
    { "order.refunded", LAPSE_KIND_ORDER_REFUNDED, 0, 0 },
    { "message.sent", LAPSE_KIND_MESSAGE_SENT, 0, 0 },
    { "message.delivered", LAPSE_KIND_MESSAGE_DELIVERED, 0, 0 },
    { "message.opened", LAPSE_KIND_MESSAGE_OPENED, 0, 0 },
    { "message.clicked", LAPSE_KIND_MESSAGE_CLICKED, A, 0 },
    { "message.converted", LAPSE_KIND_MESSAGE_CONVERTED, 0, 0 },
    { "message.bounced", LAPSE_KIND_MESSAGE_BOUNCED, 0, 0 },
    { "sender.blocked", LAPSE_KIND_SENDER_BLOCKED, 0, 0 },
    { "consent.imported", LAPSE_KIND_CONSENT_IMPORTED, 0, 0 },
    { "consent.requested", LAPSE_KIND_CONSENT_REQUESTED, 0, 0 },
    { "consent.granted", LAPSE_KIND_CONSENT_GRANTED, 0, 0 },
    { "consent.confirmed", LAPSE_KIND_CONSENT_CONFIRMED, 0, 0 },
    { "preference.set", LAPSE_KIND_PREFERENCE_SET, 0, 0 },
    { "sms.keyword", LAPSE_KIND_SMS_KEYWORD, 0, 0 },
    { "consent.declined", LAPSE_KIND_CONSENT_DECLINED, 0, 0 },
    { "consent.withdrawn", LAPSE_KIND_CONSENT_WITHDRAWN, 0, 0 },
    { "consent.objected", LAPSE_KIND_CONSENT_OBJECTED, 0, 1 },
    { "message.spam_reported", LAPSE_KIND_MESSAGE_SPAM_REPORTED, 0, 1 },
    { "account.closed", LAPSE_KIND_ACCOUNT_CLOSED, 0, 1 },
    { "membership.trialed", LAPSE_KIND_MEMBERSHIP_TRIALED, 0, 0 },
    { "membership.started", LAPSE_KIND_MEMBERSHIP_STARTED, 0, 0 },
    { "membership.renewed", LAPSE_KIND_MEMBERSHIP_RENEWED, 0, 0 },
    { "membership.resumed", LAPSE_KIND_MEMBERSHIP_RESUMED, 0, 0 },
    { "membership.payment_failed", LAPSE_KIND_MEMBERSHIP_PAYMENT_FAILED, 0, 0 },
    { "membership.paused", LAPSE_KIND_MEMBERSHIP_PAUSED, 0, 0 },
    { "membership.cancel_requested", LAPSE_KIND_MEMBERSHIP_CANCEL_REQUESTED, 0, 0 },
    { "membership.ended", LAPSE_KIND_MEMBERSHIP_ENDED, 0, 0 },
    { "loyalty.enrolled", LAPSE_KIND_LOYALTY_ENROLLED, 0, 0 },
    { "points.adjusted", LAPSE_KIND_POINTS_ADJUSTED, 0, 0 },
    { "referral.sent", LAPSE_KIND_REFERRAL_SENT, V | A, 0 },
    { "referral.converted", LAPSE_KIND_REFERRAL_CONVERTED, 0, 0 },
    { "review.posted", LAPSE_KIND_REVIEW_POSTED, V | A, 0 },
    { "milestone.reached", LAPSE_KIND_MILESTONE_REACHED, 0, 0 },
    { "survey.answered", LAPSE_KIND_SURVEY_ANSWERED, A, 0 },
    { "case.opened", LAPSE_KIND_CASE_OPENED, C, 0 },
    { "case.reopened", LAPSE_KIND_CASE_REOPENED, C, 0 },
    { "case.acknowledged", LAPSE_KIND_CASE_ACKNOWLEDGED, 0, 0 },
    { "case.updated", LAPSE_KIND_CASE_UPDATED, 0, 0 },
    { "case.resolved", LAPSE_KIND_CASE_RESOLVED, 0, 0 },
    { "case.closed", LAPSE_KIND_CASE_CLOSED, 0, 0 },
    { "defect.reported", LAPSE_KIND_DEFECT_REPORTED, C, 0 },
    { "suppression.removed", LAPSE_KIND_SUPPRESSION_REMOVED, 0, 0 },
    { "suppression.added", LAPSE_KIND_SUPPRESSION_ADDED, 0, 0 },
    { "customer.erased", LAPSE_KIND_CUSTOMER_ERASED, 0, 0 },
    { "event.retracted", LAPSE_KIND_EVENT_RETRACTED, 0, 0 },
};
#define GOLDEN (sizeof golden / sizeof golden[0])

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(GOLDEN, LAPSE_KINDS - 1);
    uint8_t rank = 0;
    struct lapse_kind_index index;
    lapse_kind_index_init(&index);
    for (size_t i = 0; i < GOLDEN; i++) {
        const struct lapse_kind_info *info = &lapse_kinds[golden[i].code];
        assert_string_equal(info->name, golden[i].name);
        assert_int_equal(info->flags & (V | A | C), golden[i].clocks);
        assert_true(golden[i].same ? info->rank == rank : info->rank > rank);
        rank = info->rank;
        assert_string_equal(lapse_kind_name(golden[i].code), golden[i].name);
        assert_int_equal(lapse_kind_find(golden[i].name), golden[i].code);
        size_t n = strlen(golden[i].name);
        assert_int_equal(lapse_kind_lookup(golden[i].name, n - 1), 0);
        assert_int_equal(lapse_kind_index_find(&index, golden[i].name, n), golden[i].code);
        assert_int_equal(lapse_kind_index_find(&index, golden[i].name, n - 1), 0);
        assert_int_equal(lapse_kind_index_find(&index, golden[i].name + 1, n - 1), 0);
    }
    assert_int_equal(lapse_kind_lookup("order.placed,", 12), LAPSE_KIND_ORDER_PLACED);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *(*name)(int32_t);
        int32_t (*find)(const char *);
        const char *names[11];
    } sets[] = {
        { lapse_channel_name,
          lapse_channel_find,
          { "email", "sms", "push", "web_push", "in_app", "onsite", "postal", "phone", "social", "ads" } },
        { lapse_purpose_name,
          lapse_purpose_find,
          { "transactional", "service", "marketing", "profiling", "tracking", "ad_audience", "survey" } },
        { lapse_platform_name, lapse_platform_find, { "app", "web", "store" } },
    };
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
        int32_t i = 0;
        for (; sets[s].names[i]; i++) {
            assert_string_equal(sets[s].name(i + 1), sets[s].names[i]);
            assert_int_equal(sets[s].find(sets[s].names[i]), i + 1);
        }
        assert_null(sets[s].name(0));
        assert_null(sets[s].name(-1));
        assert_null(sets[s].name(INT32_MIN));
        assert_null(sets[s].name(INT32_MAX));
        assert_null(sets[s].name(i + 1));
        assert_int_equal(sets[s].find(""), 0);
        assert_int_equal(sets[s].find(NULL), 0);
        assert_int_equal(sets[s].find("Email"), 0);
        assert_int_equal(sets[s].find("app "), 0);
    }
    assert_null(lapse_kind_name(0));
    assert_null(lapse_kind_name(LAPSE_KINDS));
    assert_int_equal(lapse_kind_find("Order.placed"), 0);
    assert_int_equal(lapse_kind_find(NULL), 0);
    assert_int_equal(lapse_platform_lookup("app\0x", 5), 0);
}

static void test_keywords(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int effect;
    } cases[] = { { "STOP", -1 },        { "stopall", -1 },
                  { "Unsubscribe", -1 }, { "cancel", -1 },
                  { "end", -1 },         { "quit", -1 },
                  { "revoke", -1 },      { "optout", -1 },
                  { "opt-out", -1 },     { "OPT OUT", -1 },
                  { "remove", -1 },      { "arret", -1 },
                  { " TD\n", -1 },       { "\tstart ", 1 },
                  { "UNSTOP", 1 },       { "", 0 },
                  { "   ", 0 },          { "stop it", 0 },
                  { "opt  out", 0 },     { "restart", 0 },
                  { "unsubscribed", 0 }, { "unsubscribe now please", 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(lapse_keyword(cases[i].text, strlen(cases[i].text)), cases[i].effect);
    assert_int_equal(lapse_keyword(NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_keywords),
    };
    return cmocka_run_group_tests_name("events: kinds", tests, NULL, NULL);
}
