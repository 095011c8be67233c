/* Kinds, columns, the rules of an event, and batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <math.h>

#include <cmocka.h>

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

/* ---- rows ---------------------------------------------------------------------------------------------- */

static struct lapse_text text(const char *s)
{
    return (struct lapse_text){ s, (uint32_t)strlen(s) };
}

static struct lapse_row row_of(int kind)
{
    struct lapse_row row;
    memset(&row, 0, sizeof row);
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        row.number[f] = LAPSE_MISSING;
        row.text[f] = text("");
    }
    row.customer = text("c");
    row.number[LAPSE_F_TIME] = 1700000000 * LAPSE_SECOND;
    row.name[LAPSE_F_KIND] = (uint8_t)kind;
    return row;
}

static void test_ranks_of_rows(void **state)
{
    (void)state;
    uint8_t withdrawn = lapse_kinds[LAPSE_KIND_CONSENT_WITHDRAWN].rank;
    struct lapse_row row = row_of(LAPSE_KIND_SMS_KEYWORD);
    assert_int_equal(lapse_row_rank(&row), withdrawn);
    row.text[LAPSE_F_REASON] = text("Start");
    assert_int_equal(lapse_row_rank(&row), lapse_kinds[LAPSE_KIND_SMS_KEYWORD].rank);
    row.text[LAPSE_F_REASON] = text("stop");
    assert_int_equal(lapse_row_rank(&row), withdrawn);
    row = row_of(LAPSE_KIND_PREFERENCE_SET);
    row.number[LAPSE_F_VALUE] = lapse_value_to_bits(1);
    assert_int_equal(lapse_row_rank(&row), lapse_kinds[LAPSE_KIND_PREFERENCE_SET].rank);
    row.number[LAPSE_F_VALUE] = lapse_value_to_bits(0);
    assert_int_equal(lapse_row_rank(&row), withdrawn);
    assert_true(lapse_kinds[LAPSE_KIND_SMS_KEYWORD].rank < lapse_kinds[LAPSE_KIND_CONSENT_DECLINED].rank);
}

static void check_printed(const struct lapse_row *row, enum lapse_field field, int digits, const char *expected)
{
    char out[401];
    out[lapse_field_format(field, row, digits, out)] = '\0';
    assert_string_equal(out, expected);
}

static void test_printed_forms(void **state)
{
    (void)state;
    struct lapse_row row = row_of(LAPSE_KIND_ORDER_PLACED);
    for (int f = LAPSE_F_AMOUNT; f < LAPSE_FIELDS; f++)
        check_printed(&row, (enum lapse_field)f, 2, "");
    check_printed(&row, LAPSE_F_TIME, 2, "2023-11-14T22:13:20Z");
    check_printed(&row, LAPSE_F_KIND, 2, "order.placed");
    row.number[LAPSE_F_AMOUNT] = 1250;
    check_printed(&row, LAPSE_F_AMOUNT, 2, "12.50");
    check_printed(&row, LAPSE_F_AMOUNT, 0, "1250");
    row.number[LAPSE_F_QUANTITY] = 1500000;
    check_printed(&row, LAPSE_F_QUANTITY, 0, "1.5");
    row.number[LAPSE_F_PRICE] = 5;
    check_printed(&row, LAPSE_F_PRICE, 3, "0.005");
    row.number[LAPSE_F_VALUE] = lapse_value_to_bits(-0.1);
    check_printed(&row, LAPSE_F_VALUE, 2, "-0.1");
    row.name[LAPSE_F_CHANNEL] = LAPSE_CHANNEL_WEB_PUSH;
    check_printed(&row, LAPSE_F_CHANNEL, 2, "web_push");
    row.text[LAPSE_F_TOPIC] = text("a,b");
    check_printed(&row, LAPSE_F_TOPIC, 2, "a,b");
    char hash[32];
    for (int i = 0; i < 32; i++)
        hash[i] = (char)(i * 8 + 7);
    row.text[LAPSE_F_ENDPOINT] = (struct lapse_text){ hash, 32 };
    check_printed(&row, LAPSE_F_ENDPOINT, 2,
                  "hash:070f171f272f373f474f575f676f777f878f979fa7afb7bfc7cfd7dfe7eff7ff");
}

/* Rulings 9 word by word, slowly. */
static int naive_order(const struct lapse_row *a, const struct lapse_row *b, int digits)
{
    if (a->number[LAPSE_F_TIME] != b->number[LAPSE_F_TIME])
        return a->number[LAPSE_F_TIME] < b->number[LAPSE_F_TIME] ? -1 : 1;
    if (lapse_row_rank(a) != lapse_row_rank(b))
        return lapse_row_rank(a) < lapse_row_rank(b) ? -1 : 1;
    static const int before[] = { LAPSE_F_SOURCE, LAPSE_F_EVENT_ID };
    for (int i = 0; i < LAPSE_FIELDS + 2; i++) {
        enum lapse_field f = (enum lapse_field)(i < 2 ? before[i] : i - 2);
        char x[400], y[400];
        size_t n = lapse_field_format(f, a, digits, x), m = lapse_field_format(f, b, digits, y);
        int c = memcmp(x, y, n < m ? n : m);
        if (c != 0 || n != m)
            return c != 0 ? c : n < m ? -1 : 1;
    }
    return 0;
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static uint32_t dice(uint64_t *seed, uint32_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % n;
}

static void test_order_of_rows(void **state)
{
    (void)state;
    static const int kinds[] = { LAPSE_KIND_ORDER_PLACED, LAPSE_KIND_CONSENT_WITHDRAWN,
                                 LAPSE_KIND_ACCOUNT_CLOSED, LAPSE_KIND_SMS_KEYWORD, LAPSE_KIND_PREFERENCE_SET };
    static const char *const texts[] = { "", "a", "ab", "\xC3\xA9", "start", "B" };
    static const int64_t amounts[] = { LAPSE_MISSING, 0, 5, 105, 1000, 99, 20000 };
    static const double values[] = { 0, 1, 10, 9, 1e-7, 1.5, -2 };
    enum { ROWS = 60 };
    struct lapse_row rows[ROWS];
    char hashes[3][32];
    memset(hashes[0], 0x10, 32);
    memset(hashes[1], 0x9F, 32);
    memset(hashes[2], 0xFA, 32);
    uint64_t seed = 7;
    for (int i = 0; i < ROWS; i++) {
        struct lapse_row *r = &rows[i];
        *r = row_of(kinds[dice(&seed, 5)]);
        r->number[LAPSE_F_TIME] += dice(&seed, 2);
        r->number[LAPSE_F_AMOUNT] = amounts[dice(&seed, 7)];
        r->number[LAPSE_F_QUANTITY] = amounts[dice(&seed, 7)];
        r->number[LAPSE_F_VALUE] = lapse_value_to_bits(values[dice(&seed, 7)]);
        r->name[LAPSE_F_CHANNEL] = (uint8_t)dice(&seed, 4);
        r->text[LAPSE_F_REASON] = text(texts[dice(&seed, 6)]);
        if (dice(&seed, 4) == 0)
            r->text[LAPSE_F_SOURCE] = text(texts[dice(&seed, 6)]);
        if (dice(&seed, 4) == 0)
            r->text[LAPSE_F_EVENT_ID] = text(texts[dice(&seed, 6)]);
        if (dice(&seed, 4) == 0)
            r->text[LAPSE_F_ENDPOINT] = (struct lapse_text){ hashes[dice(&seed, 3)], 32 };
    }
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < ROWS; j++) {
            for (int digits = 0; digits <= 6; digits += 2)
                assert_int_equal(sign(lapse_row_compare(&rows[i], &rows[j], digits)),
                                 sign(naive_order(&rows[i], &rows[j], digits)));
            for (int k = 0; k < ROWS; k++) /* transitive */
                if (lapse_row_compare(&rows[i], &rows[j], 2) <= 0 && lapse_row_compare(&rows[j], &rows[k], 2) <= 0)
                    assert_true(lapse_row_compare(&rows[i], &rows[k], 2) <= 0);
        }
        struct lapse_row other = rows[i]; /* 0 only for equal content */
        assert_int_equal(lapse_row_compare(&rows[i], &other, 2), 0);
        for (int f = 0; f < LAPSE_FIELDS; f++) {
            other = rows[i];
            if (lapse_fields[f].class == LAPSE_CLASS_NUMBER)
                other.number[f] = f == LAPSE_F_VALUE ? lapse_value_to_bits(7) : 777777;
            else if (lapse_fields[f].class == LAPSE_CLASS_NAME)
                other.name[f] = other.name[f] == 1 ? 2 : 1;
            else
                other.text[f] = text("another");
            assert_int_not_equal(lapse_row_compare(&rows[i], &other, 2), 0);
        }
    }
}

/* ---- check --------------------------------------------------------------------------------------------- */

static const struct lapse_check plain = { INT64_MAX, "key", 3, 2 };

/* The first fault of a row that is put into columns as it is; rule NULL: none. */
static struct lapse_fault fault_of(const struct lapse_row *row, const struct lapse_check *check)
{
    static struct lapse_flaws flaws;
    struct lapse_columns c;
    uint32_t begin = 0;
    uint8_t length[LAPSE_COLUMNS];
    memset(&c, 0, sizeof c);
    memset(&flaws, 0, sizeof flaws);
    c.fields = c.constant = LAPSE_ALL_FIELDS | LAPSE_FIELD_BIT(LAPSE_F_CUSTOMER);
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        if (f == LAPSE_F_LINE)
            continue;
        struct lapse_text t = f == LAPSE_F_CUSTOMER ? row->customer : row->text[f];
        length[f] = (uint8_t)t.size;
        c.text[f] = (struct lapse_text_column){ t.data, &begin, &length[f], NULL };
        if (f < LAPSE_FIELDS) {
            c.number[f] = &row->number[f];
            c.name[f] = &row->name[f];
        }
    }
    lapse_columns_check(&c, 7, 1, check, &flaws);
    assert_int_equal(flaws.count, flaws.row[0].rule != NULL);
    return flaws.row[0];
}

static void expect_fault(const struct lapse_row *row, int field, const char *fragment)
{
    struct lapse_fault fault = fault_of(row, &plain);
    assert_non_null(fault.rule);
    assert_int_equal(fault.field, field);
    if (!strstr(fault.rule, fragment))
        fail_msg("\"%s\" is not in \"%s\"", fragment, fault.rule);
}

static void expect_good(const struct lapse_row *row)
{
    struct lapse_fault fault = fault_of(row, &plain);
    if (fault.rule)
        fail_msg("field %d: %s", fault.field, fault.rule);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        int64_t time, latest;
        const char *rule;
    } cases[] = { { LAPSE_TIME_MIN, INT64_MAX, NULL },
                  { LAPSE_TIME_MIN - 1, INT64_MAX, "1900" },
                  { LAPSE_TIME_MAX, INT64_MAX, NULL },
                  { LAPSE_TIME_MAX + 1, INT64_MAX, "2999" },
                  { 0, INT64_MAX, "missing time" },
                  { 1, INT64_MAX, NULL },
                  { -1, INT64_MAX, NULL },
                  { INT64_MIN, INT64_MAX, "required" },
                  { INT64_MAX, INT64_MAX, "2999" },
                  { 1000, 1000, NULL },
                  { 1001, 1000, "import.skew" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lapse_row row = row_of(LAPSE_KIND_ORDER_PLACED);
        struct lapse_check check = plain;
        row.number[LAPSE_F_TIME] = cases[i].time;
        check.latest = cases[i].latest;
        struct lapse_fault fault = fault_of(&row, &check);
        assert_int_equal(fault.rule == NULL, cases[i].rule == NULL);
        if (cases[i].rule) {
            assert_int_equal(fault.field, LAPSE_F_TIME);
            assert_non_null(strstr(fault.rule, cases[i].rule));
        }
    }
}

static void test_texts_and_numbers(void **state)
{
    (void)state;
    char big[256];
    const char *rule = NULL;
    memset(big, 'x', sizeof big);
    assert_true(lapse_text_check(big, 255, &rule));
    assert_true(lapse_text_check(NULL, 0, &rule));
    assert_false(lapse_text_check(big, 256, &rule));
    assert_non_null(strstr(rule, "255"));
    assert_false(lapse_text_check("\xC0\xAF", 2, &rule));
    assert_non_null(strstr(rule, "UTF-8"));
    assert_false(lapse_text_check("a\0b", 3, &rule));
    assert_non_null(strstr(rule, "NUL"));
    struct lapse_row row = row_of(LAPSE_KIND_ORDER_PLACED);
    row.customer.size = 0;
    expect_fault(&row, -1, "required");
    row.customer = text(" ");
    expect_good(&row);
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        row = row_of(LAPSE_KIND_ORDER_PLACED);
        if (f == LAPSE_F_AMOUNT || f == LAPSE_F_PRICE || f == LAPSE_F_QUANTITY) {
            row.number[f] = -1;
            expect_fault(&row, f, "not negative");
            row.number[f] = 0;
            expect_good(&row);
        }
    }
    row = row_of(LAPSE_KIND_MESSAGE_SENT); /* the first of many faults */
    row.number[LAPSE_F_AMOUNT] = row.number[LAPSE_F_PRICE] = -1;
    expect_fault(&row, LAPSE_F_AMOUNT, "not negative");
    row.number[LAPSE_F_TIME] = 0;
    expect_fault(&row, LAPSE_F_TIME, "missing");
    row.customer.size = 0;
    expect_fault(&row, -1, "required");
}

static void test_flaws(void **state)
{
    (void)state;
    static struct lapse_flaws flaws;
    size_t first = 0, n = 0;
    assert_true(lapse_flaws_next_good(&flaws, LAPSE_BLOCK, &first, &n));
    assert_true(first == 0 && n == LAPSE_BLOCK);
    assert_false(lapse_flaws_next_good(&flaws, LAPSE_BLOCK, &first, &n));
    lapse_flaws_add(&flaws, 0, 3, "one");
    lapse_flaws_add(&flaws, 0, 4, "two"); /* the first is kept */
    lapse_flaws_add(&flaws, 3, 5, "three");
    lapse_flaws_add(&flaws, 4, 5, "three");
    assert_int_equal(flaws.count, 3);
    assert_string_equal(flaws.row[0].rule, "one");
    first = n = 0;
    assert_true(lapse_flaws_next_good(&flaws, 6, &first, &n));
    assert_true(first == 1 && n == 2);
    assert_true(lapse_flaws_next_good(&flaws, 6, &first, &n));
    assert_true(first == 5 && n == 1);
    assert_false(lapse_flaws_next_good(&flaws, 6, &first, &n));
    lapse_flaws_clear(&flaws);
    assert_true(flaws.count == 0 && !flaws.row[0].rule && !flaws.row[4].rule);
}

static void test_needed_columns(void **state)
{
    (void)state;
    static const char *const channel[] = { "consent.imported",  "consent.requested", "consent.granted",
                                           "consent.confirmed", "consent.declined",  "message.",
                                           "endpoint.",         "suppression." };
    for (size_t i = 0; i < GOLDEN; i++) {
        bool needs = false;
        for (size_t k = 0; k < sizeof channel / sizeof channel[0]; k++)
            needs |= strncmp(golden[i].name, channel[k], strlen(channel[k])) == 0;
        struct lapse_row row = row_of(golden[i].code);
        if (needs)
            expect_fault(&row, LAPSE_F_CHANNEL, "channel");
        row.name[LAPSE_F_CHANNEL] = LAPSE_CHANNEL_SMS;
        if (golden[i].code == LAPSE_KIND_CONSENT_REQUESTED || golden[i].code == LAPSE_KIND_CONSENT_CONFIRMED)
            expect_fault(&row, LAPSE_F_REF, "ref");
        row.text[LAPSE_F_REF] = text("t");
        if (golden[i].code == LAPSE_KIND_PREFERENCE_SET) {
            expect_fault(&row, LAPSE_F_TOPIC, "topic");
            row.text[LAPSE_F_TOPIC] = text("news");
            expect_fault(&row, LAPSE_F_VALUE, "value");
            row.number[LAPSE_F_VALUE] = lapse_value_to_bits(0.5);
            expect_fault(&row, LAPSE_F_VALUE, "1 (on) or 0 (off)");
            row.number[LAPSE_F_VALUE] = 0;
        }
        expect_good(&row);
    }
}

static void hash_of(int32_t channel, const char *address, uint8_t out[32])
{
    const char *rule;
    assert_true(lapse_endpoint_hash(&plain, channel, address, strlen(address), out, &rule));
}

static void test_endpoints(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    const char *rule;
    hash_of(LAPSE_CHANNEL_EMAIL, " Ann@Example.ORG\t", a);
    lapse_hmac_sha256("key", 3, "ann@example.org", 15, b);
    assert_memory_equal(a, b, 32);
    hash_of(LAPSE_CHANNEL_PUSH, " Token ", a); /* only email loses its case */
    lapse_hmac_sha256("key", 3, "Token", 5, b);
    assert_memory_equal(a, b, 32);
    hash_of(0, " Token", a);
    assert_memory_equal(a, b, 32);
    hash_of(LAPSE_CHANNEL_EMAIL, "\xC3\x89@x", a); /* nothing but ASCII does */
    lapse_hmac_sha256("key", 3, "\xC3\x89@x", 4, b);
    assert_memory_equal(a, b, 32);
    hash_of(LAPSE_CHANNEL_EMAIL, "hash:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F", a);
    for (int i = 0; i < 32; i++)
        assert_int_equal(a[i], i);
    static const char *const bad[] = { "hash:",
                                       "hash:00",
                                       "  ",
                                       "\t",
                                       "hash:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1g",
                                       "hash:000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F0",
                                       "\xFF" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(lapse_endpoint_hash(&plain, LAPSE_CHANNEL_EMAIL, bad[i], strlen(bad[i]), a, &rule));
    char big[256];
    memset(big, 'x', sizeof big);
    assert_true(lapse_endpoint_hash(&plain, LAPSE_CHANNEL_EMAIL, big, 255, a, &rule));
    assert_false(lapse_endpoint_hash(&plain, LAPSE_CHANNEL_EMAIL, big, 256, a, &rule));
    assert_non_null(strstr(rule, "255"));
}

/* ---- batches -------------------------------------------------------------------------------------------- */

static const int64_t two_offsets[] = { 2, 3, 5 };
static const int64_t two_times[] = { 1700000000000000, 1700000001000000 };

static lapse_batch two_rows(void)
{
    lapse_batch batch;
    memset(&batch, 0, sizeof batch);
    batch.size = sizeof batch;
    batch.rows = 2;
    batch.customer = "??abc";
    batch.customer_offsets = two_offsets;
    batch.time = two_times;
    return batch;
}

/* One row of a batch, out of a reading of all of them. */
struct wanted {
    const struct lapse_batch_reader *reader;
    int64_t row;
    struct lapse_row *out;
    struct lapse_fault *fault;
    char *found;
    bool good;
    int64_t seen;
    char texts[LAPSE_COLUMNS][256];
};

static int want_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    struct wanted *w = self;
    struct lapse_columns all = *rows;
    assert_int_equal(rows->constant, 0);
    lapse_constants_add(&w->reader->constants, &all);
    for (size_t i = 0; i < n; i++) {
        w->seen++;
        if (lapse_columns_number(rows, LAPSE_F_LINE, i) != w->row)
            continue;
        w->good = true;
        lapse_columns_row(&all, i, lapse_columns_text(&all, LAPSE_F_CUSTOMER, i), w->out);
        for (int f = 0; f <= LAPSE_FIELDS; f++) { /* they are borrowed */
            struct lapse_text *t = f < LAPSE_FIELDS ? &w->out->text[f] : &w->out->customer;
            if (f < LAPSE_FIELDS && lapse_fields[f].class != LAPSE_CLASS_TEXT)
                continue;
            memcpy(w->texts[f], t->data, t->size);
            t->data = w->texts[f];
        }
    }
    return 0;
}

static int want_bad(void *self, int64_t row, const struct lapse_fault *fault, struct lapse_text what)
{
    struct wanted *w = self;
    w->seen++;
    if (row == w->row) {
        *w->fault = *fault;
        memcpy(w->found, what.data, what.size);
        w->found[what.size] = '\0';
    }
    return 0;
}

static bool read_row(const lapse_batch *batch, int64_t i, const char *source, struct lapse_row *row,
                     struct lapse_fault *fault, char *found)
{
    static struct wanted w;
    lapse_batch ours;
    lapse_allocator mem;
    struct lapse_batch_reader reader = { .batch = &ours, .check = &plain, .source = source, .lines = true };
    struct lapse_batch_sink sink = { &w, want_rows, want_bad };
    w = (struct wanted){ .reader = &reader, .row = i, .out = row, .fault = fault, .found = found };
    assert_int_equal(lapse_mem_init(&mem, NULL, NULL), LAPSE_OK);
    assert_int_equal(lapse_batch_check(batch, &ours, NULL), LAPSE_OK);
    lapse_batch_reader_init(&reader, &mem);
    assert_int_equal(lapse_batch_read(&reader, &sink), 0);
    assert_int_equal(w.seen, batch->rows);
    lapse_batch_reader_free(&reader);
    return w.good;
}

static void test_batch_rows(void **state)
{
    (void)state;
    lapse_batch batch = two_rows();
    struct lapse_row row;
    struct lapse_fault fault;
    char found[300];
    assert_true(read_row(&batch, 1, "shop", &row, &fault, found));
    assert_int_equal(row.customer.size, 2);
    assert_memory_equal(row.customer.data, "bc", 2);
    assert_int_equal(row.number[LAPSE_F_TIME], two_times[1]);
    assert_int_equal(row.name[LAPSE_F_KIND], LAPSE_KIND_ORDER_PLACED);
    assert_true(row.number[LAPSE_F_AMOUNT] == LAPSE_MISSING && row.number[LAPSE_F_VALUE] == LAPSE_MISSING);
    assert_memory_equal(row.text[LAPSE_F_SOURCE].data, "shop", 4);

    static const int64_t amounts[] = { 150, 7 };
    static const double values[] = { 5, -0.0 };
    static const uint8_t second[] = { 2 };
    static const int64_t id_offsets[] = { 0, 0, 2 };
    static const int64_t mail_offsets[] = { 0, 3, 6 };
    static const int32_t email[] = { 0, LAPSE_CHANNEL_EMAIL };
    batch.amount = amounts;
    batch.amount_validity = second;
    batch.value = values;
    batch.event_id = "id";
    batch.event_id_offsets = id_offsets;
    batch.endpoint = "A@BA@B";
    batch.endpoint_offsets = mail_offsets;
    batch.channel = email;
    assert_true(read_row(&batch, 0, "shop", &row, &fault, found));
    assert_true(row.number[LAPSE_F_AMOUNT] == LAPSE_MISSING);
    assert_true(row.number[LAPSE_F_VALUE] == lapse_value_to_bits(5));
    assert_memory_equal(row.text[LAPSE_F_SOURCE].data, "shop", 4);
    assert_true(read_row(&batch, 1, "shop", &row, &fault, found));
    assert_int_equal(row.number[LAPSE_F_AMOUNT], 7);
    assert_true(row.number[LAPSE_F_VALUE] == 0);        /* one zero */
    assert_int_equal(row.text[LAPSE_F_SOURCE].size, 0); /* an id alone has the empty source */
    uint8_t hash[32];
    hash_of(LAPSE_CHANNEL_EMAIL, "a@b", hash);
    assert_int_equal(row.text[LAPSE_F_ENDPOINT].size, 32);
    assert_memory_equal(row.text[LAPSE_F_ENDPOINT].data, hash, 32);

    static const int64_t source_offsets[] = { 0, 0, 3 };
    batch.source = "own";
    batch.source_offsets = source_offsets;
    assert_true(read_row(&batch, 0, "shop", &row, &fault, found));
    assert_int_equal(row.text[LAPSE_F_SOURCE].size, 0); /* there, and empty */
    assert_true(read_row(&batch, 1, "shop", &row, &fault, found));
    assert_memory_equal(row.text[LAPSE_F_SOURCE].data, "own", 3);
}

static void test_bad_batch_rows(void **state)
{
    (void)state;
    struct lapse_row row;
    struct lapse_fault fault;
    char found[300];
    static const int32_t out[] = { 70, -1 }, negative[] = { INT32_MIN, 11 };
    static const int64_t times[] = { 0, INT64_MIN }, amounts[] = { -5, INT64_MIN };
    static const int64_t empty[] = { 0, 0, 1 };
    static const double values[] = { 0, 0 };
    double odd[2] = { (double)NAN, 1.0 / 3 };
    lapse_batch batch;
#define BAD(member, data, i, where, text_found)                                                                \
    do {                                                                                                       \
        batch = two_rows();                                                                                    \
        batch.member = data;                                                                                   \
        assert_false(read_row(&batch, i, NULL, &row, &fault, found));                                          \
        assert_int_equal(fault.field, where);                                                                  \
        assert_true(strlen(fault.rule) > 0);                                                                   \
        const char *wanted = text_found;                                                                       \
        if (wanted)                                                                                            \
            assert_string_equal(found, wanted);                                                                \
    } while (0)
    BAD(kind, out, 0, LAPSE_F_KIND, "70");
    BAD(kind, out, 1, LAPSE_F_KIND, "-1");
    BAD(kind, negative, 0, LAPSE_F_KIND, "-2147483648");
    BAD(channel, negative, 1, LAPSE_F_CHANNEL, "11");
    BAD(purpose, out, 0, LAPSE_F_PURPOSE, "70");
    BAD(platform, out, 1, LAPSE_F_PLATFORM, "-1");
    BAD(time, times, 0, LAPSE_F_TIME, "0");
    BAD(time, times, 1, LAPSE_F_TIME, NULL);
    BAD(amount, amounts, 0, LAPSE_F_AMOUNT, "-5");
    BAD(amount, amounts, 1, LAPSE_F_AMOUNT, NULL);
    BAD(quantity, amounts, 0, LAPSE_F_QUANTITY, "-5");
    BAD(price, amounts, 1, LAPSE_F_PRICE, NULL);
    BAD(value, odd, 0, LAPSE_F_VALUE, NULL);
    BAD(value, odd, 1, LAPSE_F_VALUE, NULL);
    BAD(customer_offsets, empty, 0, -1, "");
    BAD(customer,
        "??\xFF"
        "bc",
        0, -1, "\xFF");
#undef BAD
    batch = two_rows();
    batch.value = values;
    assert_true(read_row(&batch, 0, NULL, &row, &fault, found));
    static const int64_t hash_offsets[] = { 0, 7, 7 };
    batch.endpoint = "hash:00";
    batch.endpoint_offsets = hash_offsets;
    assert_false(read_row(&batch, 0, NULL, &row, &fault, found));
    assert_int_equal(fault.field, LAPSE_F_ENDPOINT);
    assert_string_equal(found, "hash:00");
}

/* ---- batches of many rows ---- */

enum { MANY = 2 * LAPSE_CSV_BATCH + 700 };

struct many {
    int64_t next, bad, batches;
    const struct lapse_batch_reader *reader;
};

/* By number: every fifth is bad, in one way or another; their texts are not to be found again. */
static bool is_bad(int64_t i)
{
    return i % 5 == 0 || (i > 5000 && i < 5600);
}

static int many_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    struct many *m = self;
    m->batches++;
    assert_true(n <= LAPSE_CSV_BATCH);
    assert_false(rows->fields & (LAPSE_FIELD_BIT(LAPSE_F_REF) | LAPSE_FIELD_BIT(LAPSE_F_KIND)));
    for (size_t i = 0; i < n; i++, m->next++) {
        char customer[16];
        while (is_bad(m->next))
            m->next++;
        snprintf(customer, sizeof customer, "g%lld", (long long)m->next);
        struct lapse_text who = lapse_columns_text(rows, LAPSE_F_CUSTOMER, i);
        assert_int_equal(who.size, strlen(customer));
        assert_memory_equal(who.data, customer, who.size);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_LINE, i), m->next);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_TIME, i), m->next * LAPSE_SECOND + 1);
        assert_int_equal(lapse_columns_number(rows, LAPSE_F_AMOUNT, i), m->next % 3 ? m->next : LAPSE_MISSING);
    }
    assert_true(m->reader->rows.bytes.size == 0 || !memchr(m->reader->rows.bytes.data, 'b', m->reader->rows.bytes.size));
    return 0;
}

static int many_bad(void *self, int64_t row, const struct lapse_fault *fault, struct lapse_text found)
{
    struct many *m = self;
    (void)found;
    assert_true(is_bad(row) && fault->rule);
    m->bad++;
    return 0;
}

static int stop_at_once(void *self, int64_t row, const struct lapse_fault *fault, struct lapse_text found)
{
    (void)self;
    (void)fault;
    (void)found;
    return row == 0 ? 99 : 98;
}

static void test_batches_of_many_rows(void **state)
{
    (void)state;
    lapse_batch batch, ours;
    lapse_allocator mem;
    int64_t *times = calloc(MANY, 8), *amounts = calloc(MANY, 8), *offsets = calloc(MANY + 1, 8);
    int64_t *empty = calloc(MANY + 1, 8);
    uint8_t *validity = calloc(MANY / 8 + 1, 1);
    char *texts = malloc(MANY * 16);
    assert_true(times && amounts && offsets && empty && validity && texts);
    assert_int_equal(lapse_mem_init(&mem, NULL, NULL), LAPSE_OK);
    int64_t expected = 0;
    for (int64_t i = 0; i < MANY; i++) {
        bool bad = is_bad(i);
        expected += bad;
        times[i] = bad && i % 3 == 0 ? 0 : i * LAPSE_SECOND + 1;
        amounts[i] = bad && i % 3 == 1 ? -1 : i;
        if (i % 3 || bad)
            validity[i / 8] |= (uint8_t)(1 << i % 8);
        offsets[i + 1] = offsets[i] + (bad && i % 3 == 2 ? snprintf(texts + offsets[i], 16, "b\xFF")
                                                         : snprintf(texts + offsets[i], 16, "%c%lld", bad ? 'b' : 'g', (long long)i));
    }
    memset(&batch, 0, sizeof batch);
    batch.size = sizeof batch;
    batch.rows = MANY;
    batch.customer = texts;
    batch.customer_offsets = offsets;
    batch.time = times;
    batch.amount = amounts;
    batch.amount_validity = validity;
    batch.ref_offsets = empty; /* a column without values is not handed over */
    assert_int_equal(lapse_batch_check(&batch, &ours, NULL), LAPSE_OK);
    struct lapse_batch_reader reader = { .batch = &ours, .check = &plain, .source = "", .lines = true };
    struct many m = { .reader = &reader };
    struct lapse_batch_sink sink = { &m, many_rows, many_bad };
    lapse_batch_reader_init(&reader, &mem);
    assert_int_equal(lapse_batch_read(&reader, &sink), 0);
    assert_int_equal(m.bad, expected);
    assert_int_equal(m.next, MANY);
    assert_int_equal(m.batches, 3);
    sink.bad = stop_at_once;
    assert_int_equal(lapse_batch_read(&reader, &sink), 99);
    lapse_batch_reader_free(&reader);
    free(times);
    free(amounts);
    free(offsets);
    free(empty);
    free(validity);
    free(texts);
}

static void test_batch_structure(void **state)
{
    (void)state;
    static const int64_t descending[] = { 2, 4, 3 }, below[] = { -1, 3, 5 };
    lapse_batch ours, batch;
    lapse_error error;
    error.size = sizeof error;
    assert_int_equal(lapse_batch_check(NULL, &ours, &error), LAPSE_INVALID);
#define REFUSED(change)                                                                                        \
    do {                                                                                                       \
        batch = two_rows();                                                                                    \
        change;                                                                                                \
        assert_int_equal(lapse_batch_check(&batch, &ours, &error), LAPSE_INVALID);                             \
    } while (0)
    REFUSED(batch.size = 8);
    REFUSED(batch.flags = 1);
    REFUSED(batch.rows = -1);
    REFUSED(batch.rows = INT64_MAX);
    REFUSED(batch.customer_offsets = NULL);
    REFUSED(batch.customer = NULL);
    REFUSED(batch.time = NULL);
    REFUSED(batch.customer_offsets = descending);
    REFUSED(batch.customer_offsets = below);
    REFUSED(batch.ref = "x");
    REFUSED(batch.ref_offsets = two_offsets);
    REFUSED((batch.event_id = "abcde", batch.event_id_offsets = descending));
#undef REFUSED
    batch = two_rows();
    assert_int_equal(lapse_batch_check(&batch, &ours, &error), LAPSE_OK);
    memset(&batch, 0, sizeof batch);
    batch.size = sizeof batch;
    assert_int_equal(lapse_batch_check(&batch, &ours, &error), LAPSE_OK); /* no rows need no columns */
}

static void test_option_defaults(void **state)
{
    (void)state;
    lapse_append_options append;
    lapse_import_options import;
    assert_int_equal(lapse_append_options_init(&append, sizeof append), LAPSE_OK);
    assert_int_equal(append.size, sizeof append);
    assert_true(append.received_at == INT64_MAX && append.flags == 0 && !append.source && !append.on_reject);
    assert_int_equal(lapse_import_options_init(&import, sizeof import), LAPSE_OK);
    assert_int_equal(import.size, sizeof import);
    assert_int_equal(import.delimiter, ',');
    assert_int_equal(import.threads, 1);
    assert_true(import.received_at == INT64_MAX && import.flags == 0 && !import.map && !import.kind);
    assert_int_equal(lapse_import_options_init(&import, 4), LAPSE_INVALID);
    assert_int_equal(lapse_append_options_init(NULL, sizeof append), LAPSE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),           cmocka_unit_test(test_names),
        cmocka_unit_test(test_keywords),        cmocka_unit_test(test_ranks_of_rows),
        cmocka_unit_test(test_printed_forms),   cmocka_unit_test(test_order_of_rows),
        cmocka_unit_test(test_times),           cmocka_unit_test(test_texts_and_numbers),
        cmocka_unit_test(test_needed_columns),  cmocka_unit_test(test_flaws),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_batch_rows),      cmocka_unit_test(test_bad_batch_rows),
        cmocka_unit_test(test_batches_of_many_rows),
        cmocka_unit_test(test_batch_structure), cmocka_unit_test(test_option_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
