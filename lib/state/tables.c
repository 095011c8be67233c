/* The answers `states`, `states --channels` and `consent`: columns, and the rows of one customer. */
#include "state/state.h"

#define REGION(name) (UINT32_C(1) << LAPSE_REGION_##name)

static void put_name(struct lapse_builder *b, int32_t column, const char *name)
{
    if (name)
        lapse_builder_text(b, column, name, strlen(name));
    else
        lapse_builder_missing(b, column);
}

static void put_text(struct lapse_builder *b, int32_t column, struct lapse_text text)
{
    if (text.size)
        lapse_builder_text(b, column, text.data, text.size);
    else
        lapse_builder_missing(b, column);
}

static void put_time(struct lapse_builder *b, int32_t column, bool there, int64_t time)
{
    if (there)
        lapse_builder_int(b, column, time);
    else
        lapse_builder_missing(b, column);
}

/* ---- states ------------------------------------------------------------------------------------------ */

enum {
    CUSTOMER,
    STAGE,
    STAGE_MAX,
    ENGAGEMENT,
    ENGAGEMENT_SINCE,
    NEXT_DEADLINE,
    PURCHASE_CLOCK,
    LAST_PURCHASE,
    LAST_ACTIVITY,
    LAST_CONTACT,
    MEMBERSHIP,
    CASE,
    IDENTITY,
    TIER,
    CART,
    ACCOUNT,
    RIGHTS,
    STATE_COLUMNS
};
static const struct lapse_column_spec state_columns[STATE_COLUMNS] = {
    [CUSTOMER] = { "customer", LAPSE_TYPE_STRING, 0 },
    [STAGE] = { "stage", LAPSE_TYPE_STRING, 0 },
    [STAGE_MAX] = { "stage_max", LAPSE_TYPE_STRING, 0 },
    [ENGAGEMENT] = { "engagement", LAPSE_TYPE_STRING, 0 },
    [ENGAGEMENT_SINCE] = { "engagement_since", LAPSE_TYPE_TIME, 0 },
    [NEXT_DEADLINE] = { "next_deadline", LAPSE_TYPE_TIME, 0 },
    [PURCHASE_CLOCK] = { "purchase_clock", LAPSE_TYPE_STRING, 0 },
    [LAST_PURCHASE] = { "last_purchase", LAPSE_TYPE_TIME, 0 },
    [LAST_ACTIVITY] = { "last_activity", LAPSE_TYPE_TIME, 0 },
    [LAST_CONTACT] = { "last_contact", LAPSE_TYPE_TIME, 0 },
    [MEMBERSHIP] = { "membership", LAPSE_TYPE_STRING, 0 },
    [CASE] = { "case", LAPSE_TYPE_STRING, 0 },
    [IDENTITY] = { "identity", LAPSE_TYPE_STRING, 0 },
    [TIER] = { "tier", LAPSE_TYPE_STRING, 0 },
    [CART] = { "cart", LAPSE_TYPE_STRING, 0 },
    [ACCOUNT] = { "account", LAPSE_TYPE_STRING, 0 },
    [RIGHTS] = { "rights", LAPSE_TYPE_STRING, 0 },
};

static void put_states(struct lapse_sheet *sheet, const struct lapse_answer *answer, struct lapse_text customer)
{
    const struct lapse_person *p = &sheet->person;
    const struct lapse_rules *rules = p->rules;
    struct lapse_builder *b = lapse_sheet_row(sheet);
    int32_t highest, stage = lapse_person_stage(p, &highest);
    int64_t since = p->history->number[LAPSE_F_TIME][0], unused; /* new since the first event */
    int32_t engagement = lapse_touches_state(&p->engagement.touches, &rules->engagement, rules->as_of, &since);
    int64_t deadline = lapse_person_deadline(p);
    (void)answer;
    lapse_builder_text(b, CUSTOMER, customer.data, customer.size);
    put_name(b, STAGE, lapse_stage_name(stage));
    put_name(b, STAGE_MAX, lapse_stage_name(highest));
    put_name(b, ENGAGEMENT, lapse_clock_name(engagement));
    lapse_builder_int(b, ENGAGEMENT_SINCE, since);
    put_time(b, NEXT_DEADLINE, deadline != LAPSE_NEVER, deadline);
    put_name(b, PURCHASE_CLOCK,
             lapse_clock_name(lapse_touches_state(&p->purchases.touches, &rules->purchase, rules->as_of, &unused)));
    put_time(b, LAST_PURCHASE, p->purchases.touches.started, p->purchases.touches.last);
    put_time(b, LAST_ACTIVITY, p->engagement.touches.started, p->engagement.touches.last);
    put_time(b, LAST_CONTACT, p->engagement.contacted, p->engagement.last_contact);
    for (int32_t c = MEMBERSHIP; c <= CART; c++)
        lapse_builder_missing(b, c);
    put_name(b, ACCOUNT, lapse_account_name(lapse_person_account(p)));
    put_name(b, RIGHTS, lapse_rights_name(p->rights.state));
}

static const struct lapse_answer states = {
    .columns = state_columns,
    .count = STATE_COLUMNS,
    .regions = REGION(STAGE) | REGION(ENGAGEMENT) | REGION(PURCHASE) | REGION(ACCOUNT) | REGION(RIGHTS),
    .put = put_states,
};

/* ---- channels ---------------------------------------------------------------------------------------- */

enum { CHANNEL = 1, ENDPOINT, DELIVERABILITY, RESPONSIVENESS, LAST_ENGAGED, SENDS_SINCE, CHANNEL_COLUMNS };
static const struct lapse_column_spec channel_columns[CHANNEL_COLUMNS] = {
    [CUSTOMER] = { "customer", LAPSE_TYPE_STRING, 0 },
    [CHANNEL] = { "channel", LAPSE_TYPE_STRING, 0 },
    [ENDPOINT] = { "endpoint", LAPSE_TYPE_STRING, 0 },
    [DELIVERABILITY] = { "deliverability", LAPSE_TYPE_STRING, 0 },
    [RESPONSIVENESS] = { "responsiveness", LAPSE_TYPE_STRING, 0 },
    [LAST_ENGAGED] = { "last_engaged", LAPSE_TYPE_TIME, 0 },
    [SENDS_SINCE] = { "sends_since", LAPSE_TYPE_INT64, 0 },
};

/* The first fact that holds (S33). */
static int32_t deliverability(const struct lapse_person *p, const struct lapse_endpoint *item)
{
    unsigned facts = lapse_endpoint_facts(&p->endpoints, item);
    if (facts & LAPSE_FACT_BLOCKED)
        return LAPSE_DELIVERABILITY_MANUAL_BLOCK;
    if (facts & LAPSE_FACT_HARD)
        return LAPSE_DELIVERABILITY_HARD_BOUNCED;
    if (facts & LAPSE_FACT_REMOVED)
        return LAPSE_DELIVERABILITY_NO_ENDPOINT;
    if (lapse_person_spam(p, item->channel))
        return LAPSE_DELIVERABILITY_SPAM_REPORTED;
    return facts & LAPSE_FACT_SOFT ? LAPSE_DELIVERABILITY_SOFT_BOUNCING : LAPSE_DELIVERABILITY_OK;
}

static void put_endpoint(struct lapse_sheet *sheet, struct lapse_text customer,
                         const struct lapse_endpoint *item)
{
    enum { SHOWN = 8 };
    static const char hex[] = "0123456789abcdef";
    struct lapse_builder *b = lapse_sheet_row(sheet);
    char text[2 * SHOWN];
    uint32_t n = item->hash.size < SHOWN ? item->hash.size : SHOWN;
    for (uint32_t i = 0; i < n; i++) {
        text[2 * i] = hex[(uint8_t)item->hash.data[i] >> 4];
        text[2 * i + 1] = hex[item->hash.data[i] & 15];
    }
    lapse_builder_text(b, CUSTOMER, customer.data, customer.size);
    put_name(b, CHANNEL, lapse_channel_name(item->channel));
    put_text(b, ENDPOINT, (struct lapse_text){ text, 2 * n });
    put_name(b, DELIVERABILITY, lapse_deliverability_name(deliverability(&sheet->person, item)));
    for (int32_t c = RESPONSIVENESS; c <= SENDS_SINCE; c++)
        lapse_builder_missing(b, c);
}

static int order_endpoints(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_endpoint *items = user, *x = &items[a], *y = &items[b];
    int order = (int)x->channel - (int)y->channel;
    return order ? order : lapse_text_order(x->hash, y->hash);
}

/* Indices of those of `count` items that `shown` takes, sorted, in the scratch of the sheet; how many there
 * are. */
static size_t sort_some(struct lapse_sheet *sheet, const void *items, size_t count,
                        bool (*shown)(const void *items, size_t i), lapse_order_fn order)
{
    size_t kept = 0;
    if (!lapse_mem_reserve(sheet->person.rules->mem, &sheet->order, &sheet->order_capacity, 2 * count,
                           sizeof *sheet->order)) {
        lapse_sheet_fail(sheet);
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        if (shown(items, i))
            sheet->order[kept++] = (uint32_t)i;
    if (kept > 1)
        lapse_sort_indices(sheet->order, kept, sheet->order + count, order, items);
    return kept;
}

static bool known_endpoint(const void *items, size_t i)
{
    return ((const struct lapse_endpoint *)items)[i].known;
}

static void put_channels(struct lapse_sheet *sheet, const struct lapse_answer *answer,
                         struct lapse_text customer)
{
    const struct lapse_endpoints *e = &sheet->person.endpoints;
    size_t count = sort_some(sheet, e->items, e->names.count, known_endpoint, order_endpoints), at = 0;
    const uint32_t *sorted = sheet->order;
    (void)answer;
    for (int32_t channel = 1; channel < LAPSE_CHANNELS; channel++) {
        size_t first = at;
        for (; at < count && e->items[sorted[at]].channel == channel; at++)
            put_endpoint(sheet, customer, &e->items[sorted[at]]);
        if (at == first && (e->touched >> channel & 1) && e->reach[channel].messages) {
            struct lapse_endpoint nobody = {
                .channel = (uint8_t)channel, .held = -1, .removed = -1, .hard = -1, .lifted = -1
            };
            const struct lapse_endpoint *item = lapse_endpoint_nameless(e, channel);
            put_endpoint(sheet, customer, item ? item : &nobody);
        }
    }
}

static const struct lapse_answer channels = {
    .columns = channel_columns,
    .count = CHANNEL_COLUMNS,
    .regions = REGION(ENDPOINT) | REGION(CONSENT), /* a later grant lifts a spam report */
    .put = put_channels,
};

/* ---- consent ----------------------------------------------------------------------------------------- */

enum { PURPOSE = 2, TOPIC, STATE, PENDING, STRENGTH, SINCE, REASON, SOURCE, CONSENT_COLUMNS };
static const struct lapse_column_spec consent_columns[CONSENT_COLUMNS] = {
    [CUSTOMER] = { "customer", LAPSE_TYPE_STRING, 0 }, [CHANNEL] = { "channel", LAPSE_TYPE_STRING, 0 },
    [PURPOSE] = { "purpose", LAPSE_TYPE_STRING, 0 },   [TOPIC] = { "topic", LAPSE_TYPE_STRING, 0 },
    [STATE] = { "state", LAPSE_TYPE_STRING, 0 },       [PENDING] = { "pending", LAPSE_TYPE_INT64, 0 },
    [STRENGTH] = { "strength", LAPSE_TYPE_STRING, 0 }, [SINCE] = { "since", LAPSE_TYPE_TIME, 0 },
    [REASON] = { "reason", LAPSE_TYPE_STRING, 0 },     [SOURCE] = { "source", LAPSE_TYPE_STRING, 0 },
};

static int order_cells(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_cell *cells = user, *x = &cells[a], *y = &cells[b];
    int order = (int)x->channel - (int)y->channel;
    order = order ? order : (int)x->purpose - (int)y->purpose;
    return order ? order : lapse_text_order(x->topic, y->topic);
}

static void put_cell(struct lapse_sheet *sheet, struct lapse_text customer, const struct lapse_cell *cell)
{
    struct lapse_cause cause = cell->asked;
    int32_t state =
        lapse_person_consent(&sheet->person, cell->channel, cell->purpose, cell->topic, cell, &cause);
    if (state == LAPSE_CONSENT_NONE && !cell->pending)
        return;
    struct lapse_builder *b = lapse_sheet_row(sheet);
    lapse_builder_text(b, CUSTOMER, customer.data, customer.size);
    put_name(b, CHANNEL, lapse_channel_name(cell->channel));
    put_name(b, PURPOSE, lapse_purpose_name(cell->purpose));
    put_text(b, TOPIC, cell->topic);
    put_name(b, STATE, lapse_consent_name(state));
    lapse_builder_int(b, PENDING, cell->pending);
    put_name(b, STRENGTH, lapse_strength_name(cell->strength));
    lapse_builder_int(b, SINCE, cause.since);
    put_text(b, REASON, cause.reason);
    put_text(b, SOURCE, cause.source);
}

static bool every_cell(const void *items, size_t i)
{
    (void)items;
    (void)i;
    return true;
}

/* Cells that anything ever concerned, and between them those that implied consent alone makes. */
static void put_consent(struct lapse_sheet *sheet, const struct lapse_answer *answer,
                        struct lapse_text customer)
{
    const struct lapse_person *p = &sheet->person;
    const struct lapse_consents *c = &p->consents;
    size_t count = sort_some(sheet, c->cells, c->cell_names.count, every_cell, order_cells), at = 0;
    const uint32_t *sorted = sheet->order;
    (void)answer;
    for (int32_t channel = 1; channel < LAPSE_CHANNELS; channel++) {
        struct lapse_cell bare = { .channel = (uint8_t)channel,
                                   .purpose = LAPSE_PURPOSE_MARKETING,
                                   .base = LAPSE_CONSENT_NONE };
        bool has = lapse_consents_cell(c, channel, LAPSE_PURPOSE_MARKETING, (struct lapse_text){ "", 0 });
        for (; at < count && c->cells[sorted[at]].channel == channel; at++) {
            const struct lapse_cell *cell = &c->cells[sorted[at]];
            if (!has && cell->purpose >= LAPSE_PURPOSE_MARKETING) {
                put_cell(sheet, customer, &bare);
                has = true;
            }
            put_cell(sheet, customer, cell);
        }
        if (!has)
            put_cell(sheet, customer, &bare);
    }
}

/* ---- the public functions ---------------------------------------------------------------------------- */

static const lapse_state_options defaults = { .size = sizeof(lapse_state_options), .threads = 1 };

/* The struct of 0.9 ended here. */
#define OLDEST (offsetof(lapse_state_options, progress_user) + sizeof(void *))

lapse_status lapse_state_options_init(lapse_state_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &defaults, sizeof defaults, OLDEST);
}

static lapse_status read_options(lapse_view *view, lapse_state_options *ours, const lapse_state_options *theirs,
                                 struct lapse_rules *rules, lapse_result **out, lapse_error *error)
{
    lapse_status status = out ? lapse_view_check(view, error) : lapse_fail(error, LAPSE_INVALID, "out is NULL");
    if (out)
        *out = NULL;
    *ours = defaults;
    if (status == LAPSE_OK && theirs)
        status = lapse_options_read(ours, sizeof *ours, theirs, OLDEST, "lapse_state_options", error);
    const struct lapse_option_range ranges[] = {
        { "flags", ours->flags, 0, 0 }, { "reserved", ours->reserved, 0, 0 },
        { "threads", ours->threads, 1, LAPSE_THREADS_MOST }
    };
    if (status == LAPSE_OK)
        status = lapse_options_check("lapse_state_options", ranges, sizeof ranges / sizeof *ranges, error);
    if (status == LAPSE_OK)
        lapse_rules_read(rules, view, ours->policy);
    return status;
}

static lapse_status answer(lapse_view *view, const struct lapse_answer *which,
                           const lapse_state_options *options, lapse_result **out, lapse_error *error)
{
    lapse_state_options ours;
    struct lapse_rules rules;
    lapse_status status = read_options(view, &ours, options, &rules, out, error);
    return status == LAPSE_OK ? lapse_stream_new(view, &rules, which, &ours, out, error) : status;
}

lapse_status lapse_view_states(lapse_view *view, const lapse_state_options *options, lapse_result **out,
                               lapse_error *error)
{
    return answer(view, &states, options, out, error);
}

lapse_status lapse_view_channels(lapse_view *view, const lapse_state_options *options, lapse_result **out,
                                 lapse_error *error)
{
    return answer(view, &channels, options, out, error);
}

lapse_status lapse_view_consent(lapse_view *view, const lapse_state_options *options, lapse_result **out,
                                lapse_error *error)
{
    lapse_state_options ours;
    struct lapse_rules rules;
    lapse_status status = read_options(view, &ours, options, &rules, out, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_answer consent = {
        .columns = consent_columns,
        .count = CONSENT_COLUMNS,
        .regions = REGION(CONSENT),
        .fields = LAPSE_FIELD_BIT(LAPSE_F_SOURCE),
        .put = put_consent,
    };
    if (rules.implied_purchase.unit != LAPSE_UNIT_NONE)
        consent.regions |= REGION(PURCHASE);
    return lapse_stream_new(view, &rules, &consent, &ours, out, error);
}
