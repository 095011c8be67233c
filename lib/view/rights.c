/* Whether a customer may be scored at all (rulings X1, X4, S22).
 *
 * Erased by customer.erased, for good. Objected by consent.objected, until a later consent.granted of purpose profiling,
 * or a consent.confirmed of it that counts (X11 to X13): its token was requested on that channel after everything that
 * voids tokens, before the confirmation and not longer ago than consent.token. Consents of a topic decide about their
 * topic only. Events come in canonical order, so "later" is a later row. Cost: two bits; only customers
 * with an objection are looked at further, and requests are found by binary search. */
#include "view/view.h"

struct seek {
    const struct lapse_history *h;
    const struct lapse_zone *zone;
    struct lapse_setting_value token;
    int64_t objection, end; /* rows: what is looked at lies between them */
    int64_t voided[256];   /* row of the last event that voided the tokens of a channel; names are bytes */
    uint32_t *requests;    /* rows of profiling requests after the objection, by channel, token and row */
    size_t count;
};

static bool same_text(const struct lapse_history *h, enum lapse_field f, int64_t row, const char *text)
{
    struct lapse_text t = lapse_history_text(h, f, row);
    return t.size == strlen(text) && memcmp(t.data, text, t.size) == 0;
}

static bool is_profiling(const struct lapse_history *h, int64_t row)
{
    return h->name[LAPSE_F_PURPOSE][row] == LAPSE_PURPOSE_PROFILING && lapse_history_text(h, LAPSE_F_TOPIC, row).size == 0;
}

static int order_tokens(const void *user, uint32_t a, uint32_t b)
{
    const struct lapse_history *h = user;
    struct lapse_text x = lapse_history_text(h, LAPSE_F_REF, a), y = lapse_history_text(h, LAPSE_F_REF, b);
    int order = (int)h->name[LAPSE_F_CHANNEL][a] - (int)h->name[LAPSE_F_CHANNEL][b];
    order = order ? order : lapse_text_order(x, y);
    return order ? order : (a > b) - (a < b);
}

/* The last request before `row` of the same channel and token, -1: none. */
static int64_t find_request(const struct seek *s, int64_t row)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order_tokens(s->h, s->requests[middle], (uint32_t)row) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return -1;
    uint32_t request = s->requests[low - 1];
    struct lapse_text a = lapse_history_text(s->h, LAPSE_F_REF, request), b = lapse_history_text(s->h, LAPSE_F_REF, row);
    bool same = s->h->name[LAPSE_F_CHANNEL][request] == s->h->name[LAPSE_F_CHANNEL][row] && a.size == b.size &&
                memcmp(a.data, b.data, a.size) == 0;
    return same ? (int64_t)request : -1;
}

static bool counts(const struct seek *s, int64_t row)
{
    int64_t request = find_request(s, row);
    const int64_t *time = s->h->number[LAPSE_F_TIME];
    return request >= 0 && request > s->voided[s->h->name[LAPSE_F_CHANNEL][row]] &&
           time[row] <= lapse_zone_add(s->zone, time[request], s->token.n, s->token.unit);
}

static void void_tokens(struct seek *s, int64_t row, uint8_t channel)
{
    for (int c = 0; c < 256; c++)
        if (channel == 0 || c == channel)
            s->voided[c] = row;
}

/* The one place where an event after the objection acts. True: it lifts the objection. */
static bool lifts(struct seek *s, int64_t row)
{
    const struct lapse_history *h = s->h;
    uint8_t purpose = h->name[LAPSE_F_PURPOSE][row], channel = h->name[LAPSE_F_CHANNEL][row];
    switch (h->name[LAPSE_F_KIND][row]) {
    case LAPSE_KIND_CONSENT_GRANTED:
        return is_profiling(h, row);
    case LAPSE_KIND_CONSENT_CONFIRMED:
        return is_profiling(h, row) && counts(s, row);
    case LAPSE_KIND_CONSENT_DECLINED:
        if (is_profiling(h, row))
            void_tokens(s, row, channel);
        return false;
    case LAPSE_KIND_CONSENT_WITHDRAWN: /* without purpose every one, without channel every one (F2); F4 */
        if ((purpose == 0 || purpose == LAPSE_PURPOSE_PROFILING) && lapse_history_text(h, LAPSE_F_TOPIC, row).size == 0 &&
            !same_text(h, LAPSE_F_REASON, row, "unverified"))
            void_tokens(s, row, channel);
        return false;
    case LAPSE_KIND_ACCOUNT_CLOSED:
        void_tokens(s, row, 0);
        return false;
    default:
        return false;
    }
}

static bool collect_requests(struct seek *s, const lapse_allocator *mem)
{
    const uint8_t *kind = s->h->name[LAPSE_F_KIND];
    size_t n = (size_t)(s->end - s->objection);
    s->requests = lapse_mem_alloc(mem, 2 * n * sizeof *s->requests);
    if (!s->requests)
        return false;
    for (int64_t row = s->objection + 1; row < s->end; row++)
        if (kind[row] == LAPSE_KIND_CONSENT_REQUESTED && is_profiling(s->h, row))
            s->requests[s->count++] = (uint32_t)row;
    lapse_sort_indices(s->requests, s->count, s->requests + n, order_tokens, s->h);
    return true;
}

/* The first row between `objection` and `end` that lifts the objection, -1: none. False: no memory. */
static bool find_lift(const struct lapse_history *h, const struct lapse_zone *zone, struct lapse_setting_value token,
                      const lapse_allocator *mem, int64_t objection, int64_t end, int64_t *lift)
{
    struct seek s = { .h = h, .zone = zone, .token = token, .objection = objection, .end = end };
    void_tokens(&s, s.objection, 0);
    *lift = -1;
    if (!collect_requests(&s, mem))
        return false;
    for (int64_t row = s.objection + 1; row < end && *lift < 0; row++)
        if (lifts(&s, row))
            *lift = row;
    lapse_mem_free(mem, s.requests);
    return true;
}

static int64_t last_of(const struct lapse_history *h, uint8_t kind, int64_t before)
{
    int64_t row = before - 1;
    while (row >= 0 && h->name[LAPSE_F_KIND][row] != kind)
        row--;
    return row;
}

lapse_status lapse_rights_at(const struct lapse_history *h, const struct lapse_zone *zone,
                             struct lapse_setting_value token, const lapse_allocator *mem, int32_t *out,
                             lapse_error *error)
{
    int64_t lift;
    *out = LAPSE_RIGHTS_NONE;
    if (lapse_history_has(h, LAPSE_KIND_CUSTOMER_ERASED)) {
        *out = LAPSE_RIGHTS_ERASED;
        return LAPSE_OK;
    }
    if (!lapse_history_has(h, LAPSE_KIND_CONSENT_OBJECTED))
        return LAPSE_OK;
    if (!find_lift(h, zone, token, mem, last_of(h, LAPSE_KIND_CONSENT_OBJECTED, h->count), h->count, &lift))
        return lapse_fail_memory(error);
    *out = lift < 0 ? LAPSE_RIGHTS_OBJECTED : LAPSE_RIGHTS_NONE;
    return LAPSE_OK;
}

/* An objection goes on through those before it, until one that was lifted at an instant before the next. Each stretch
 * between two of them is looked at once. */
lapse_status lapse_rights_since(const struct lapse_history *h, const struct lapse_zone *zone,
                                struct lapse_setting_value token, const lapse_allocator *mem, int64_t *row,
                                lapse_error *error)
{
    const int64_t *time = h->number[LAPSE_F_TIME];
    int64_t objection = last_of(h, LAPSE_KIND_CONSENT_OBJECTED, h->count), lift, before;
    *row = -1;
    if (lapse_history_has(h, LAPSE_KIND_CUSTOMER_ERASED)) {
        for (*row = 0; h->name[LAPSE_F_KIND][*row] != LAPSE_KIND_CUSTOMER_ERASED; ++*row)
            ;
        return LAPSE_OK;
    }
    if (objection < 0)
        return LAPSE_OK;
    if (!find_lift(h, zone, token, mem, objection, h->count, row))
        return lapse_fail_memory(error);
    for (bool goes_on = *row < 0; goes_on; objection = before) {
        *row = objection;
        before = last_of(h, LAPSE_KIND_CONSENT_OBJECTED, objection);
        if (before >= 0 && !find_lift(h, zone, token, mem, before, objection, &lift))
            return lapse_fail_memory(error);
        goes_on = before >= 0 && (lift < 0 || time[lift] == time[objection]);
    }
    return LAPSE_OK;
}

const char *lapse_rights_name(int32_t rights)
{
    static const char *const names[] = { NULL, "none", "objected", "erased" };
    return rights > 0 && rights < (int32_t)(sizeof names / sizeof names[0]) ? names[rights] : NULL;
}
