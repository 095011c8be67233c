/* Consent, one cell for each channel, purpose and topic that anything ever concerned (semantics 4.5, rulings
 * 6).
 *
 * What kinds mean and where bases lead are two tables. A token is open from its request until it is used,
 * voided by whatever takes consent away in its cell, or consent.token later (X12, X13). Imports never lift
 * anything. Cost: a look-up in a hash table for each cell that an event concerns, which is one but for
 * withdrawals of everything. */
#include "state/state.h"

#define MARKETING (1u << LAPSE_PURPOSE_MARKETING)
#define PROMOTION                                                                                              \
    (MARKETING | 1u << LAPSE_PURPOSE_PROFILING | 1u << LAPSE_PURPOSE_AD_AUDIENCE |                             \
     1u << LAPSE_PURPOSE_SURVEY)                                   /* C7 */
#define ALL_BUT_SERVICE (PROMOTION | 1u << LAPSE_PURPOSE_TRACKING) /* F2 */
#define ALL_CHANNELS    ((1u << LAPSE_CHANNELS) - 2)

/* clang-format off */
const uint8_t lapse_consent_next[LAPSE_EFFECTS][LAPSE_CONSENT_WITHDRAWN + 1] = {
#define ROW(none, declined, granted, withdrawn)                                                                            \
    { 0, LAPSE_CONSENT_##none, LAPSE_CONSENT_##declined, LAPSE_CONSENT_##granted, LAPSE_CONSENT_##withdrawn }
    /* from                           none       declined   granted    withdrawn */
    [LAPSE_EFFECT_IMPORTED]  = ROW(GRANTED,   DECLINED,  GRANTED,   WITHDRAWN),
    [LAPSE_EFFECT_REQUESTED] = ROW(NONE,      DECLINED,  GRANTED,   WITHDRAWN),
    [LAPSE_EFFECT_GRANTED]   = ROW(GRANTED,   GRANTED,   GRANTED,   GRANTED),
    [LAPSE_EFFECT_CONFIRMED] = ROW(GRANTED,   GRANTED,   GRANTED,   GRANTED),
    [LAPSE_EFFECT_DECLINED]  = ROW(DECLINED,  DECLINED,  WITHDRAWN, WITHDRAWN),
    [LAPSE_EFFECT_WITHDRAWN] = ROW(WITHDRAWN, WITHDRAWN, WITHDRAWN, WITHDRAWN),
};

/* Which cells an event concerns: its own channel, purpose and topic where the kind minds them, and these sets
 * where the column is empty or not minded. */
enum { CHANNEL = 1, PURPOSE = 2, TOPIC = 4, ALL_COLUMNS = 7 };
static const struct meaning {
    uint8_t kind, effect, minds;
    uint16_t channels, purposes;
} meanings[] = {
    { LAPSE_KIND_CONSENT_IMPORTED,      LAPSE_EFFECT_IMPORTED,  ALL_COLUMNS, 0, MARKETING },
    { LAPSE_KIND_CONSENT_REQUESTED,     LAPSE_EFFECT_REQUESTED, ALL_COLUMNS, 0, MARKETING },
    { LAPSE_KIND_CONSENT_GRANTED,       LAPSE_EFFECT_GRANTED,   ALL_COLUMNS, 0, MARKETING },
    { LAPSE_KIND_CONSENT_CONFIRMED,     LAPSE_EFFECT_CONFIRMED, ALL_COLUMNS, 0, MARKETING },
    { LAPSE_KIND_CONSENT_DECLINED,      LAPSE_EFFECT_DECLINED,  ALL_COLUMNS, 0, MARKETING },
    { LAPSE_KIND_CONSENT_WITHDRAWN,     LAPSE_EFFECT_WITHDRAWN, ALL_COLUMNS, ALL_CHANNELS, ALL_BUT_SERVICE },
    { LAPSE_KIND_PREFERENCE_SET,        LAPSE_EFFECT_GRANTED,   ALL_COLUMNS, ALL_CHANNELS, MARKETING },
    { LAPSE_KIND_SMS_KEYWORD,           LAPSE_EFFECT_GRANTED,   0, 1u << LAPSE_CHANNEL_SMS, MARKETING },
    { LAPSE_KIND_MESSAGE_SPAM_REPORTED, LAPSE_EFFECT_WITHDRAWN, CHANNEL, 0, MARKETING },
    { LAPSE_KIND_CONSENT_OBJECTED,      LAPSE_EFFECT_WITHDRAWN, 0, ALL_CHANNELS, PROMOTION },
    { LAPSE_KIND_ACCOUNT_CLOSED,        LAPSE_EFFECT_WITHDRAWN, 0, ALL_CHANNELS, PROMOTION },
};
/* clang-format on */
static const uint8_t kinds[] = { LAPSE_KIND_CONSENT_IMPORTED,
                                 LAPSE_KIND_CONSENT_REQUESTED,
                                 LAPSE_KIND_CONSENT_GRANTED,
                                 LAPSE_KIND_CONSENT_CONFIRMED,
                                 LAPSE_KIND_CONSENT_DECLINED,
                                 LAPSE_KIND_CONSENT_WITHDRAWN,
                                 LAPSE_KIND_PREFERENCE_SET,
                                 LAPSE_KIND_SMS_KEYWORD,
                                 LAPSE_KIND_CONSENT_OBJECTED,
                                 LAPSE_KIND_MESSAGE_SPAM_REPORTED,
                                 LAPSE_KIND_ACCOUNT_CLOSED,
                                 LAPSE_KIND_INFO_REQUESTED,
                                 0 };

static struct lapse_cause cause_of(const struct lapse_event *e)
{
    return (struct lapse_cause){ e->time, e->kind, lapse_event_text(e, LAPSE_F_REASON),
                                 lapse_event_text(e, LAPSE_F_SOURCE) };
}

/* ---- one cell ---------------------------------------------------------------------------------------- */

static uint32_t cell_key(int32_t channel, int32_t purpose)
{
    return (uint32_t)(channel * LAPSE_PURPOSES + purpose);
}

static void change_base(struct lapse_cell *cell, uint8_t base, const struct lapse_event *e)
{
    struct lapse_cause before = cell->cause;
    bool back = cell->left == base && cell->left_at == e->time;
    if (cell->left_at !=
        e->time) { /* the base that this instant began with is the one that can be taken up again */
        cell->left = cell->base;
        cell->left_at = e->time;
        cell->left_cause = before;
    }
    cell->cause = back ? cell->left_cause : cause_of(e);
    cell->base = base;
    cell->strength = 0;
}

/* The token of the event, opened by a request; NULL: none was ever requested, or no memory and *ok is false. */
static struct lapse_token *find_token(struct lapse_consents *c, uint32_t cell, const struct lapse_event *e,
                                      bool request, bool *ok)
{
    struct lapse_text ref = lapse_event_text(e, LAPSE_F_REF);
    if (!request) {
        uint32_t number = lapse_names_find(&c->token_names, cell, ref);
        return number == LAPSE_NO_NAME ? NULL : &c->tokens[number];
    }
    bool fresh;
    uint32_t number = lapse_names_put(&c->token_names, cell, ref, &fresh);
    *ok = number != LAPSE_NO_NAME &&
          (number < c->token_capacity || lapse_mem_reserve(c->token_names.mem, &c->tokens, &c->token_capacity,
                                                           (size_t)number + 1, sizeof *c->tokens));
    return *ok ? &c->tokens[number] : NULL;
}

static bool is_open(const struct lapse_token *t, const struct lapse_cell *cell, const struct lapse_rules *rules,
                    int64_t time)
{
    return !t->used && t->order > cell->voided && time <= lapse_rules_add(rules, t->cause.since, rules->token);
}

static bool apply(struct lapse_consents *c, const struct lapse_rules *rules, uint32_t number, uint8_t effect,
                  const struct lapse_event *e)
{
    static const uint8_t strengths[LAPSE_EFFECTS] = { [LAPSE_EFFECT_IMPORTED] = LAPSE_STRENGTH_UNKNOWN,
                                                      [LAPSE_EFFECT_GRANTED] = LAPSE_STRENGTH_SINGLE,
                                                      [LAPSE_EFFECT_CONFIRMED] = LAPSE_STRENGTH_DOUBLE };
    struct lapse_cell *cell = &c->cells[number];
    bool ok = true;
    if (effect == LAPSE_EFFECT_REQUESTED) {
        struct lapse_token *t = find_token(c, number, e, true, &ok);
        if (ok)
            *t = (struct lapse_token){ .cell = number, .order = e->order, .cause = cause_of(e) };
        return ok;
    }
    if (effect == LAPSE_EFFECT_CONFIRMED) {
        struct lapse_token *t = find_token(c, number, e, false, &ok);
        if (!t || !is_open(t, cell, rules, e->time))
            return true; /* in any state (X11) */
        t->used = true;
    }
    uint8_t base = lapse_consent_next[effect][cell->base];
    if (base != cell->base)
        change_base(cell, base, e);
    if (base == LAPSE_CONSENT_GRANTED && strengths[effect] > cell->strength)
        cell->strength = strengths[effect];
    if (effect == LAPSE_EFFECT_GRANTED || effect == LAPSE_EFFECT_CONFIRMED) {
        cell->granted = e->order;
        lapse_spell_note(&cell->spam, 0, e);
    }
    if (e->kind == LAPSE_KIND_MESSAGE_SPAM_REPORTED)
        lapse_spell_note(&cell->spam, 1, e);
    if (effect == LAPSE_EFFECT_DECLINED || effect == LAPSE_EFFECT_WITHDRAWN)
        cell->voided = e->order;
    return true;
}

/* The cell's number; LAPSE_NO_NAME: no memory. */
static uint32_t put_cell(struct lapse_consents *c, int32_t channel, int32_t purpose, struct lapse_text topic)
{
    bool fresh;
    uint32_t number = lapse_names_put(&c->cell_names, cell_key(channel, purpose), topic, &fresh);
    if (number == LAPSE_NO_NAME || !fresh)
        return number;
    if (number >= c->cell_capacity && !lapse_mem_reserve(c->cell_names.mem, &c->cells, &c->cell_capacity,
                                                         (size_t)number + 1, sizeof *c->cells))
        return LAPSE_NO_NAME;
    c->cells[number] = (struct lapse_cell){ .channel = (uint8_t)channel,
                                            .purpose = (uint8_t)purpose,
                                            .base = LAPSE_CONSENT_NONE,
                                            .topic = topic,
                                            .left_at = INT64_MIN,
                                            .granted = -1,
                                            .voided = -1 };
    return number;
}

const struct lapse_cell *lapse_consents_cell(const struct lapse_consents *c, int32_t channel, int32_t purpose,
                                             struct lapse_text topic)
{
    uint32_t number = lapse_names_find(&c->cell_names, cell_key(channel, purpose), topic);
    return number == LAPSE_NO_NAME ? NULL : &c->cells[number];
}

/* ---- the region -------------------------------------------------------------------------------------- */

static const struct meaning *meaning_of(uint8_t kind)
{
    size_t i = 0;
    while (meanings[i].kind != kind)
        i++;
    return &meanings[i];
}

/* What this event does, which for some kinds depends on what it says; LAPSE_EFFECTS: nothing. */
static uint8_t effect_of(const struct meaning *m, const struct lapse_rules *rules, const struct lapse_event *e)
{
    struct lapse_text reason = lapse_event_text(e, LAPSE_F_REASON);
    int32_t word;
    switch (e->kind) {
    case LAPSE_KIND_CONSENT_IMPORTED:
        return rules->needs_evidence && lapse_event_text(e, LAPSE_F_EVIDENCE).size == 0 ? LAPSE_EFFECTS
                                                                                        : m->effect;
    case LAPSE_KIND_CONSENT_WITHDRAWN: /* a link that software may have followed (F4) */
        return lapse_event_says(e, LAPSE_F_REASON, "unverified") ? LAPSE_EFFECTS : m->effect;
    case LAPSE_KIND_PREFERENCE_SET:
        return e->history->number[LAPSE_F_VALUE][e->row] == lapse_value_to_bits(0) ? LAPSE_EFFECT_WITHDRAWN
                                                                                   : m->effect;
    case LAPSE_KIND_SMS_KEYWORD:
        word = lapse_keyword(reason.data, reason.size);
        return word < 0 ? LAPSE_EFFECT_WITHDRAWN : word > 0 ? m->effect : LAPSE_EFFECTS;
    default:
        return m->effect;
    }
}

static unsigned set_of(uint8_t value, bool minded, unsigned otherwise, int count)
{
    if (!minded || value == 0)
        return otherwise;
    return value < count ? 1u << value : 0;
}

static bool fold(void *state, const struct lapse_rules *rules, const struct lapse_event *e)
{
    struct lapse_consents *c = state;
    if (e->kind == LAPSE_KIND_INFO_REQUESTED) {
        c->inquired = true;
        c->inquiry = cause_of(e);
        return true;
    }
    if (e->kind == LAPSE_KIND_CONSENT_OBJECTED)
        c->objection = e->order;
    const struct meaning *m = meaning_of(e->kind);
    uint8_t effect = effect_of(m, rules, e);
    if (effect == LAPSE_EFFECTS)
        return true;
    unsigned channels =
        set_of(lapse_event_name(e, LAPSE_F_CHANNEL), m->minds & CHANNEL, m->channels, LAPSE_CHANNELS);
    unsigned purposes =
        set_of(lapse_event_name(e, LAPSE_F_PURPOSE), m->minds & PURPOSE, m->purposes, LAPSE_PURPOSES);
    struct lapse_text topic =
        m->minds & TOPIC ? lapse_event_text(e, LAPSE_F_TOPIC) : (struct lapse_text){ "", 0 };
    for (int32_t channel = 1; channels >> channel; channel++)
        for (int32_t purpose = 1; (channels >> channel & 1) && purposes >> purpose; purpose++) {
            if (!(purposes >> purpose & 1))
                continue;
            uint32_t number = put_cell(c, channel, purpose, topic);
            if (number == LAPSE_NO_NAME || !apply(c, rules, number, effect, e))
                return false;
        }
    return true;
}

/* Which cells are pending: of several open tokens the one asked first began it. */
static lapse_status settle(void *state, const struct lapse_rules *rules, const struct lapse_history *history,
                           lapse_error *error)
{
    struct lapse_consents *c = state;
    (void)history;
    (void)error;
    for (size_t i = 0; i < c->token_names.count; i++) {
        const struct lapse_token *t = &c->tokens[i];
        struct lapse_cell *cell = &c->cells[t->cell];
        if (cell->base == LAPSE_CONSENT_GRANTED || !is_open(t, cell, rules, rules->as_of))
            continue;
        if (!cell->pending || t->cause.since < cell->asked.since)
            cell->asked = t->cause;
        cell->pending = true;
    }
    return LAPSE_OK;
}

static void begin(void *state, const struct lapse_rules *rules)
{
    struct lapse_consents *c = state;
    c->cell_names.mem = c->token_names.mem = rules->mem;
    c->cell_names.seed = c->token_names.seed = rules->seed;
}

static void clear(void *state)
{
    struct lapse_consents *c = state;
    lapse_names_clear(&c->cell_names);
    lapse_names_clear(&c->token_names);
    c->objection = -1;
    c->inquired = false;
}

static void end(void *state)
{
    struct lapse_consents *c = state;
    if (!c->cell_names.mem)
        return;
    lapse_mem_free(c->cell_names.mem, c->cells);
    lapse_mem_free(c->cell_names.mem, c->tokens);
    lapse_names_free(&c->cell_names);
    lapse_names_free(&c->token_names);
}

const struct lapse_region lapse_region_consent = {
    .name = "consent",
    .at = offsetof(struct lapse_person, consents),
    .size = sizeof(struct lapse_consents),
    .fields = LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) | LAPSE_FIELD_BIT(LAPSE_F_PURPOSE) |
              LAPSE_FIELD_BIT(LAPSE_F_TOPIC) | LAPSE_FIELD_BIT(LAPSE_F_REF) | LAPSE_FIELD_BIT(LAPSE_F_VALUE) |
              LAPSE_FIELD_BIT(LAPSE_F_REASON) | LAPSE_FIELD_BIT(LAPSE_F_EVIDENCE),
    .kinds = kinds,
    .begin = begin,
    .clear = clear,
    .fold = fold,
    .settle = settle,
    .end = end,
};
