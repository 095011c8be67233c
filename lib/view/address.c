/* Which addresses a customer holds on which channel, and which of her events speak for whoever else holds them (rulings
 * C24, semantics 4.6): withdrawals and spam reports. Such an event carries the address it names; one that names none
 * carries those that she holds on its channel at that time, as a bounce without address concerns them all (S30). An
 * address carries for the one channel on which it is held, also when the event is about all of them.
 *
 * Who is forgotten leaves more: also objections and closures, and that an address bounced hard or was blocked, unless a
 * verification or an operator has lifted that since. One pass; cost of an event: a look at its kind, or at the addresses
 * held on its channel, 64 at most. */
#include "view/view.h"

enum { CHANNELS = LAPSE_CHANNEL_ADS + 1 };

/* What a kind does to the addresses of the channels it is about. */
enum act { HOLD = 1, DROP = 2, CARRY = 4, LEAVE = 8, LIFT = 16, EVERY_CHANNEL = 32, UNNAMED = 64 };
static const struct rule {
    uint8_t kind, acts;
    uint16_t channels; /* a set; 0: that of its column */
} rules[] = {
    { LAPSE_KIND_ENDPOINT_ADDED, HOLD, 0 },
    { LAPSE_KIND_ENDPOINT_CHANGED, HOLD | DROP | UNNAMED, 0 }, /* it takes the place of all others (S35) */
    { LAPSE_KIND_ENDPOINT_VERIFIED, HOLD | LIFT, 0 },
    { LAPSE_KIND_ENDPOINT_REMOVED, DROP, 0 },
    { LAPSE_KIND_APP_INSTALLED, HOLD, 1u << LAPSE_CHANNEL_PUSH | 1u << LAPSE_CHANNEL_IN_APP },
    { LAPSE_KIND_APP_UNINSTALLED, DROP | UNNAMED, 1u << LAPSE_CHANNEL_PUSH | 1u << LAPSE_CHANNEL_IN_APP },
    { LAPSE_KIND_PUSH_TOKEN_INVALIDATED, DROP, 1u << LAPSE_CHANNEL_PUSH },
    { LAPSE_KIND_CONSENT_WITHDRAWN, CARRY | EVERY_CHANNEL, 0 },
    { LAPSE_KIND_MESSAGE_SPAM_REPORTED, CARRY, 0 },
    { LAPSE_KIND_SMS_KEYWORD, CARRY, 1u << LAPSE_CHANNEL_SMS },
    { LAPSE_KIND_CONSENT_OBJECTED, LEAVE | EVERY_CHANNEL | UNNAMED, (1u << CHANNELS) - 2 },
    { LAPSE_KIND_ACCOUNT_CLOSED, LEAVE | EVERY_CHANNEL | UNNAMED, (1u << CHANNELS) - 2 },
    { LAPSE_KIND_MESSAGE_BOUNCED, LEAVE, 0 },
    { LAPSE_KIND_SUPPRESSION_ADDED, LEAVE, 0 },
    { LAPSE_KIND_SUPPRESSION_REMOVED, LIFT, 0 },
};

static const struct rule *rule_of(uint8_t kind)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].kind == kind)
            return &rules[i];
    return NULL;
}

/* ---- holding --------------------------------------------------------------------------------------------------- */

/* Ends what is held of the address, of no bytes: of every one. */
static void drop(struct lapse_addresses *a, int channel, struct lapse_text address, int64_t row)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->open_count[channel]; i++) {
        struct lapse_hold *hold = &a->holds[a->open[channel][i]];
        if (address.size && !lapse_text_equal(address, hold->address))
            a->open[channel][kept++] = a->open[channel][i];
        else
            hold->to = row;
    }
    a->open_count[channel] = kept;
}

static bool hold(struct lapse_addresses *a, int channel, struct lapse_text address, int64_t row)
{
    for (uint32_t i = 0; i < a->open_count[channel]; i++)
        if (lapse_text_equal(a->holds[a->open[channel][i]].address, address))
            return true;
    if (!lapse_mem_reserve(a->mem, &a->holds, &a->hold_capacity, a->hold_count + 1, sizeof *a->holds))
        return false;
    if (a->open_count[channel] == LAPSE_HELD_ADDRESSES)
        drop(a, channel, a->holds[a->open[channel][0]].address, row);
    a->open[channel][a->open_count[channel]++] = (uint32_t)a->hold_count;
    a->holds[a->hold_count++] = (struct lapse_hold){ address, row, INT64_MAX, (uint8_t)channel };
    return true;
}

/* ---- carrying --------------------------------------------------------------------------------------------------- */

static bool put(struct lapse_addresses *a, int channel, struct lapse_text address, int64_t row)
{
    if (!lapse_mem_reserve(a->mem, &a->carried, &a->carried_capacity, a->carried_count + 1, sizeof *a->carried))
        return false;
    a->carried[a->carried_count++] = (struct lapse_carried){ address, row, (uint8_t)channel };
    return true;
}

static bool carry_held(struct lapse_addresses *a, int channel, int64_t row)
{
    bool ok = true;
    for (uint32_t i = 0; i < a->open_count[channel] && ok; i++)
        ok = put(a, channel, a->holds[a->open[channel][i]].address, row);
    return ok;
}

/* Does the event say what its kind stands for? */
static bool says_it(const struct lapse_history *h, int64_t row, enum lapse_carrier carrier)
{
    struct lapse_text reason = lapse_history_text(h, LAPSE_F_REASON, row);
    switch (h->name[LAPSE_F_KIND][row]) {
    case LAPSE_KIND_CONSENT_WITHDRAWN: /* what is kept of the forgotten knows no topics, which are free text */
        return !(reason.size == 10 && memcmp(reason.data, "unverified", 10) == 0) &&
               (carrier == LAPSE_CARRIES_TO_HOLDERS || lapse_history_text(h, LAPSE_F_TOPIC, row).size == 0);
    case LAPSE_KIND_SMS_KEYWORD:
        return lapse_keyword(reason.data, reason.size) < 0;
    case LAPSE_KIND_MESSAGE_BOUNCED:
        return lapse_bounce(reason) == LAPSE_BOUNCE_HARD;
    default:
        return true;
    }
}

/* Takes back what was said of an address as such, not of consent. */
static void lift(struct lapse_addresses *a, const struct lapse_history *h, int channel, struct lapse_text address,
                 bool verified)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->carried_count; i++) {
        const struct lapse_carried *c = &a->carried[i];
        uint8_t kind = h->name[LAPSE_F_KIND][c->row];
        bool fact = kind == LAPSE_KIND_MESSAGE_BOUNCED || (kind == LAPSE_KIND_SUPPRESSION_ADDED && !verified);
        if (!fact || c->channel != channel || (address.size && !lapse_text_equal(address, c->address)))
            a->carried[kept++] = *c;
    }
    a->carried_count = kept;
}

static bool apply(struct lapse_addresses *a, const struct lapse_history *h, int64_t row, const struct rule *rule,
                  enum lapse_carrier carrier)
{
    struct lapse_text address = lapse_history_text(h, LAPSE_F_ENDPOINT, row);
    uint8_t own = h->name[LAPSE_F_CHANNEL][row];
    bool named = address.size == LAPSE_ENDPOINT_SIZE, ok = true;
    unsigned channels = rule->channels ? rule->channels : own ? 1u << own : 0;
    bool carries = (rule->acts & CARRY && carrier != LAPSE_CARRIES_NOTHING) ||
                   (rule->acts & LEAVE && carrier == LAPSE_CARRIES_TO_LEDGER);
    carries = carries && says_it(h, row, carrier);
    if (rule->acts & EVERY_CHANNEL && channels == 0)
        channels = (1u << CHANNELS) - 2;
    if (carries && named && !(rule->acts & UNNAMED))
        return put(a, rule->channels ? LAPSE_CHANNEL_SMS : own, address, row); /* a keyword is about sms */
    for (int channel = 1; channel < CHANNELS && ok; channel++) {
        if (!(channels >> channel & 1))
            continue;
        if (rule->acts & LIFT && carrier == LAPSE_CARRIES_TO_LEDGER)
            lift(a, h, channel, address, rule->acts & HOLD);
        if (rule->acts & DROP)
            drop(a, channel, rule->acts & UNNAMED || !named ? (struct lapse_text){ "", 0 } : address, row);
        if (rule->acts & HOLD && named)
            ok = hold(a, channel, address, row);
        if (carries)
            ok = carry_held(a, channel, row);
    }
    return ok;
}

bool lapse_addresses_read(struct lapse_addresses *a, const struct lapse_history *h, enum lapse_carrier carrier)
{
    const struct rule *by_kind[LAPSE_KINDS];
    uint64_t kinds[2] = { 0, 0 };
    bool ok = true;
    a->hold_count = a->carried_count = 0;
    memset(a->open_count, 0, sizeof a->open_count);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        kinds[rules[i].kind >> 6] |= UINT64_C(1) << (rules[i].kind & 63);
    if (!((h->kinds[0] & kinds[0]) | (h->kinds[1] & kinds[1])))
        return true;
    for (int k = 0; k < LAPSE_KINDS; k++)
        by_kind[k] = rule_of((uint8_t)k);
    for (int64_t row = 0; row < h->count && ok; row++) {
        const struct rule *rule = by_kind[h->name[LAPSE_F_KIND][row]];
        if (rule && h->name[LAPSE_F_CHANNEL][row] < CHANNELS)
            ok = apply(a, h, row, rule, carrier);
    }
    return ok;
}

void lapse_addresses_free(struct lapse_addresses *a)
{
    if (!a->mem)
        return;
    lapse_mem_free(a->mem, a->holds);
    lapse_mem_free(a->mem, a->carried);
    *a = (struct lapse_addresses){ .mem = a->mem };
}
