/* Kinds of events as one table: name, rank inside one instant, what they mean for the clocks of a customer,
 * and the columns they need. Codes are stable for ever, ranks are not: a new kind may get a rank between. */
#include "event/event.h"

enum {
    VA = LAPSE_KIND_VISIT | LAPSE_KIND_ACTIVITY,
    VC = LAPSE_KIND_VISIT | LAPSE_KIND_CONTACT,
    CHANNEL = LAPSE_KIND_NEEDS_CHANNEL,
    TOKEN = LAPSE_KIND_NEEDS_CHANNEL | LAPSE_KIND_NEEDS_REF,
    ADDRESS = LAPSE_KIND_ADDRESS
};

/* Where consent ends: all that takes it away ranks alike, after all that gives it (rulings 9, S37). */
#define RANK_WITHDRAWN 40

const struct lapse_kind_info lapse_kinds[LAPSE_KINDS] = {
    [0] = { "", 0, 0 },
    [LAPSE_KIND_VISITOR_SEEN] = { "visitor.seen", 1, VA },
    [LAPSE_KIND_IDENTITY_LINKED] = { "identity.linked", 2, 0 },
    [LAPSE_KIND_CUSTOMER_REGISTERED] = { "customer.registered", 3, LAPSE_KIND_CONTACT },
    [LAPSE_KIND_CUSTOMER_MERGED] = { "customer.merged", 4, 0 },
    [LAPSE_KIND_ENDPOINT_ADDED] = { "endpoint.added", 5, CHANNEL | ADDRESS },
    [LAPSE_KIND_ENDPOINT_CHANGED] = { "endpoint.changed", 6, CHANNEL | ADDRESS },
    [LAPSE_KIND_ENDPOINT_VERIFIED] = { "endpoint.verified", 7, CHANNEL | ADDRESS },
    [LAPSE_KIND_ENDPOINT_REMOVED] = { "endpoint.removed", 8, CHANNEL },
    [LAPSE_KIND_APP_INSTALLED] = { "app.installed", 9, LAPSE_KIND_VISIT | ADDRESS },
    [LAPSE_KIND_APP_UNINSTALLED] = { "app.uninstalled", 10, 0 },
    [LAPSE_KIND_PUSH_TOKEN_INVALIDATED] = { "push.token_invalidated", 11, 0 },
    [LAPSE_KIND_AD_IMPRESSED] = { "ad.impressed", 12, 0 },
    [LAPSE_KIND_AD_CLICKED] = { "ad.clicked", 13, 0 },
    [LAPSE_KIND_CONTENT_VIEWED] = { "content.viewed", 14, 0 },
    [LAPSE_KIND_SESSION_STARTED] = { "session.started", 15, VA },
    [LAPSE_KIND_PRODUCT_VIEWED] = { "product.viewed", 16, VA },
    [LAPSE_KIND_CATALOG_DOWNLOADED] = { "catalog.downloaded", 17, VA },
    [LAPSE_KIND_INFO_REQUESTED] = { "info.requested", 18, VC },
    [LAPSE_KIND_EXIT_INTENT] = { "exit.intent", 19, VA },
    [LAPSE_KIND_CART_UPDATED] = { "cart.updated", 20, VA },
    [LAPSE_KIND_CHECKOUT_STARTED] = { "checkout.started", 21, VA },
    [LAPSE_KIND_ORDER_PLACED] = { "order.placed", 22, VA | LAPSE_KIND_ORDER_LINE },
    [LAPSE_KIND_ORDER_DELIVERED] = { "order.delivered", 23, 0 },
    [LAPSE_KIND_ORDER_CANCELLED] = { "order.cancelled", 24, 0 },
    [LAPSE_KIND_ORDER_REFUNDED] = { "order.refunded", 25, LAPSE_KIND_ORDER_LINE },
    [LAPSE_KIND_MESSAGE_SENT] = { "message.sent", 26, CHANNEL },
    [LAPSE_KIND_MESSAGE_DELIVERED] = { "message.delivered", 27, CHANNEL },
    [LAPSE_KIND_MESSAGE_OPENED] = { "message.opened", 28, CHANNEL },
    [LAPSE_KIND_MESSAGE_CLICKED] = { "message.clicked", 29, CHANNEL | LAPSE_KIND_ACTIVITY }, /* but not `bot` */
    [LAPSE_KIND_MESSAGE_CONVERTED] = { "message.converted", 30, CHANNEL },
    [LAPSE_KIND_MESSAGE_BOUNCED] = { "message.bounced", 31, CHANNEL },
    [LAPSE_KIND_SENDER_BLOCKED] = { "sender.blocked", 32, 0 },
    [LAPSE_KIND_CONSENT_IMPORTED] = { "consent.imported", 33, CHANNEL },
    [LAPSE_KIND_CONSENT_REQUESTED] = { "consent.requested", 34, TOKEN },
    [LAPSE_KIND_CONSENT_GRANTED] = { "consent.granted", 35, CHANNEL },
    [LAPSE_KIND_CONSENT_CONFIRMED] = { "consent.confirmed", 36, TOKEN },
    [LAPSE_KIND_PREFERENCE_SET] = { "preference.set", 37, LAPSE_KIND_NEEDS_TOPIC | LAPSE_KIND_NEEDS_VALUE },
    [LAPSE_KIND_SMS_KEYWORD] = { "sms.keyword", 38, ADDRESS },
    [LAPSE_KIND_CONSENT_DECLINED] = { "consent.declined", 39, CHANNEL },
    [LAPSE_KIND_CONSENT_WITHDRAWN] = { "consent.withdrawn", RANK_WITHDRAWN, ADDRESS },
    [LAPSE_KIND_CONSENT_OBJECTED] = { "consent.objected", RANK_WITHDRAWN, 0 },
    [LAPSE_KIND_MESSAGE_SPAM_REPORTED] = { "message.spam_reported", RANK_WITHDRAWN, CHANNEL | ADDRESS },
    [LAPSE_KIND_ACCOUNT_CLOSED] = { "account.closed", RANK_WITHDRAWN, 0 },
    [LAPSE_KIND_MEMBERSHIP_TRIALED] = { "membership.trialed", 41, 0 },
    [LAPSE_KIND_MEMBERSHIP_STARTED] = { "membership.started", 42, 0 },
    [LAPSE_KIND_MEMBERSHIP_RENEWED] = { "membership.renewed", 43, 0 },
    [LAPSE_KIND_MEMBERSHIP_RESUMED] = { "membership.resumed", 44, 0 },
    [LAPSE_KIND_MEMBERSHIP_PAYMENT_FAILED] = { "membership.payment_failed", 45, 0 },
    [LAPSE_KIND_MEMBERSHIP_PAUSED] = { "membership.paused", 46, 0 },
    [LAPSE_KIND_MEMBERSHIP_CANCEL_REQUESTED] = { "membership.cancel_requested", 47, 0 },
    [LAPSE_KIND_MEMBERSHIP_ENDED] = { "membership.ended", 48, 0 },
    [LAPSE_KIND_LOYALTY_ENROLLED] = { "loyalty.enrolled", 49, 0 },
    [LAPSE_KIND_POINTS_ADJUSTED] = { "points.adjusted", 50, 0 },
    [LAPSE_KIND_REFERRAL_SENT] = { "referral.sent", 51, VA },
    [LAPSE_KIND_REFERRAL_CONVERTED] = { "referral.converted", 52, 0 },
    [LAPSE_KIND_REVIEW_POSTED] = { "review.posted", 53, VA },
    [LAPSE_KIND_MILESTONE_REACHED] = { "milestone.reached", 54, 0 },
    [LAPSE_KIND_SURVEY_ANSWERED] = { "survey.answered", 55, LAPSE_KIND_ACTIVITY },
    [LAPSE_KIND_CASE_OPENED] = { "case.opened", 56, LAPSE_KIND_CONTACT },
    [LAPSE_KIND_CASE_REOPENED] = { "case.reopened", 57, LAPSE_KIND_CONTACT },
    [LAPSE_KIND_CASE_ACKNOWLEDGED] = { "case.acknowledged", 58, 0 },
    [LAPSE_KIND_CASE_UPDATED] = { "case.updated", 59, 0 },
    [LAPSE_KIND_CASE_RESOLVED] = { "case.resolved", 60, 0 },
    [LAPSE_KIND_CASE_CLOSED] = { "case.closed", 61, 0 },
    [LAPSE_KIND_DEFECT_REPORTED] = { "defect.reported", 62, LAPSE_KIND_CONTACT },
    [LAPSE_KIND_SUPPRESSION_REMOVED] = { "suppression.removed", 63, CHANNEL },
    [LAPSE_KIND_SUPPRESSION_ADDED] = { "suppression.added", 64, CHANNEL },
    [LAPSE_KIND_CUSTOMER_ERASED] = { "customer.erased", 65, 0 },
    [LAPSE_KIND_EVENT_RETRACTED] = { "event.retracted", 66, 0 },
};

static const char *const channels[] = { "",       "email",  "sms",   "push",   "web_push", "in_app",
                                        "onsite", "postal", "phone", "social", "ads" };
static const char *const purposes[] = { "",          "transactional", "service",     "marketing",
                                        "profiling", "tracking",      "ad_audience", "survey" };
static const char *const platforms[] = { "", "app", "web", "store" };

enum {
    CHANNELS = sizeof channels / sizeof channels[0],
    PURPOSES = sizeof purposes / sizeof purposes[0],
    PLATFORMS = sizeof platforms / sizeof platforms[0]
};

static bool same(const char *name, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (name[i] != text[i] || name[i] == '\0')
            return false;
    return name[n] == '\0';
}

static int32_t find(const char *const *names, int32_t count, const char *text, size_t n)
{
    for (int32_t i = 1; i < count; i++)
        if (same(names[i], text, n))
            return i;
    return 0;
}

int32_t lapse_kind_lookup(const char *text, size_t n)
{
    for (int32_t i = 1; i < LAPSE_KINDS; i++)
        if (same(lapse_kinds[i].name, text, n))
            return i;
    return 0;
}

/* From the last eight bytes, where kinds differ most; none is shorter. */
static uint8_t slot_of(const char *text, size_t n)
{
    uint64_t tail;
    memcpy(&tail, text + n - sizeof tail, sizeof tail);
    return (uint8_t)(((tail ^ n) * UINT64_C(0x9E3779B97F4A7C15)) >> 56);
}

void lapse_kind_index_init(struct lapse_kind_index *index)
{
    memset(index, 0, sizeof *index);
    for (int i = 1; i < LAPSE_KINDS; i++) {
        uint8_t slot = slot_of(lapse_kinds[i].name, strlen(lapse_kinds[i].name));
        while (index->slots[slot] != 0)
            slot++;
        index->slots[slot] = (uint8_t)i;
    }
}

int32_t lapse_kind_index_find(const struct lapse_kind_index *index, const char *text, size_t n)
{
    if (n < sizeof(uint64_t))
        return 0;
    for (uint8_t slot = slot_of(text, n); index->slots[slot] != 0; slot++)
        if (same(lapse_kinds[index->slots[slot]].name, text, n))
            return index->slots[slot];
    return 0;
}

int32_t lapse_channel_lookup(const char *text, size_t n)
{
    return find(channels, CHANNELS, text, n);
}

int32_t lapse_purpose_lookup(const char *text, size_t n)
{
    return find(purposes, PURPOSES, text, n);
}

int32_t lapse_platform_lookup(const char *text, size_t n)
{
    return find(platforms, PLATFORMS, text, n);
}

const char *lapse_kind_name(int32_t kind)
{
    return kind > 0 && kind < LAPSE_KINDS ? lapse_kinds[kind].name : NULL;
}

const char *lapse_channel_name(int32_t channel)
{
    return channel > 0 && channel < CHANNELS ? channels[channel] : NULL;
}

const char *lapse_purpose_name(int32_t purpose)
{
    return purpose > 0 && purpose < PURPOSES ? purposes[purpose] : NULL;
}

const char *lapse_platform_name(int32_t platform)
{
    return platform > 0 && platform < PLATFORMS ? platforms[platform] : NULL;
}

int32_t lapse_kind_find(const char *name)
{
    return name ? lapse_kind_lookup(name, strlen(name)) : 0;
}

int32_t lapse_channel_find(const char *name)
{
    return name ? lapse_channel_lookup(name, strlen(name)) : 0;
}

int32_t lapse_purpose_find(const char *name)
{
    return name ? lapse_purpose_lookup(name, strlen(name)) : 0;
}

int32_t lapse_platform_find(const char *name)
{
    return name ? lapse_platform_lookup(name, strlen(name)) : 0;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

int32_t lapse_keyword(const char *text, size_t n)
{
    static const struct {
        char word[12];
        int8_t effect;
    } words[] = { { "stop", -1 },    { "stopall", -1 }, { "unsubscribe", -1 }, { "cancel", -1 },
                  { "end", -1 },     { "quit", -1 },    { "revoke", -1 },      { "optout", -1 },
                  { "opt-out", -1 }, { "opt out", -1 }, { "remove", -1 },      { "arret", -1 },
                  { "td", -1 },      { "start", 1 },    { "unstop", 1 } };
    while (n > 0 && is_space(text[0])) {
        text++;
        n--;
    }
    while (n > 0 && is_space(text[n - 1]))
        n--;
    char lower[sizeof words[0].word];
    if (n == 0 || n >= sizeof lower)
        return 0;
    for (size_t i = 0; i < n; i++)
        lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (same(words[i].word, lower, n))
            return words[i].effect;
    return 0;
}

uint8_t lapse_row_rank(const struct lapse_row *row)
{
    uint8_t kind = row->name[LAPSE_F_KIND];
    bool ends = false;
    if (kind == LAPSE_KIND_SMS_KEYWORD)
        ends = lapse_keyword(row->text[LAPSE_F_REASON].data, row->text[LAPSE_F_REASON].size) != 1;
    else if (kind == LAPSE_KIND_PREFERENCE_SET)
        ends = row->number[LAPSE_F_VALUE] == 0; /* the bits of 0.0 */
    return ends ? RANK_WITHDRAWN : lapse_kinds[kind].rank;
}

/* A word, or a pattern of an enhanced status code (RFC 3463) in which x is any number. What is not here, and a
 * bounce that says nothing, is soft. */
static const struct {
    const char *text;
    enum lapse_bounce bounce;
} bounces[] = {
    { "hard", LAPSE_BOUNCE_HARD },  { "5.1.x", LAPSE_BOUNCE_HARD }, { "5.2.1", LAPSE_BOUNCE_HARD }, { "block", LAPSE_BOUNCE_NONE },
    { "5.7.x", LAPSE_BOUNCE_NONE }, { "5.3.4", LAPSE_BOUNCE_NONE }, { "5.6.x", LAPSE_BOUNCE_NONE },
};

static bool matches(const char *pattern, struct lapse_text text)
{
    uint32_t at = 0;
    for (; *pattern; pattern++) {
        uint32_t from = at;
        if (*pattern != 'x') {
            if (at == text.size || text.data[at++] != *pattern)
                return false;
            continue;
        }
        while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9')
            at++;
        if (at == from)
            return false;
    }
    return at == text.size;
}

enum lapse_bounce lapse_bounce(struct lapse_text reason)
{
    for (size_t i = 0; i < sizeof bounces / sizeof bounces[0]; i++)
        if (matches(bounces[i].text, reason))
            return bounces[i].bounce;
    return LAPSE_BOUNCE_SOFT;
}
