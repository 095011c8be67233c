/* Exhaustive checks: the consent cell over all histories of up to four events, in all orders of arrival with redelivery, and
 * the gate over all combinations of what it asks. What is expected is worked out from the sentences of semantics 4.5 and
 * 4.8, by search over the history, not by a machine that steps through it. */
#include "states.h"

enum { KINDS = 6, TIMES = 3, SYMBOLS = KINDS * TIMES, MOST = 4 };

/* By rank: a symbol is kind + KINDS * (time - 1), and symbols of one time stand in canonical order. */
enum { IMPORTED, REQUESTED, GRANTED, CONFIRMED, DECLINED, WITHDRAWN };
static const char *const kind_names[KINDS] = { "consent.imported", "consent.requested", "consent.granted",
                                               "consent.confirmed", "consent.declined", "consent.withdrawn" };

struct history {
    int count;
    int symbol[MOST]; /* ascending, so canonical */
};
static int kind_of(const struct history *h, int i)
{
    return h->symbol[i] % KINDS;
}
static int time_of(const struct history *h, int i)
{
    return h->symbol[i] / KINDS + 1;
}

/* ---- the obvious computation ------------------------------------------------------------------------- */

static bool voids(const struct history *h, int i)
{
    return kind_of(h, i) == DECLINED || kind_of(h, i) == WITHDRAWN;
}

static bool confirms(const struct history *h, int i, int limit);

/* Is the (only) token open after event `i`, at `time`? Its latest request counts. */
static bool is_open(const struct history *h, int i, int time, int limit)
{
    int request = i;
    while (request >= 0 && kind_of(h, request) != REQUESTED)
        request--;
    if (request < 0 || time > time_of(h, request) + limit)
        return false;
    for (int k = request + 1; k <= i; k++)
        if (voids(h, k) || confirms(h, k, limit))
            return false;
    return true;
}

static bool confirms(const struct history *h, int i, int limit)
{
    return kind_of(h, i) == CONFIRMED && i > 0 && is_open(h, i - 1, time_of(h, i), limit);
}

/* The base after the first n events. */
static int base_after(const struct history *h, int n, int limit)
{
    bool imported = false;
    for (int i = n - 1; i >= 0; i--) {
        if (kind_of(h, i) == WITHDRAWN)
            return LAPSE_CONSENT_WITHDRAWN;
        if (kind_of(h, i) == GRANTED || confirms(h, i, limit))
            return LAPSE_CONSENT_GRANTED;
        if (kind_of(h, i) == DECLINED) {
            int before = base_after(h, i, limit);
            return before == LAPSE_CONSENT_NONE || before == LAPSE_CONSENT_DECLINED ? LAPSE_CONSENT_DECLINED
                                                                                  : LAPSE_CONSENT_WITHDRAWN;
        }
        imported |= kind_of(h, i) == IMPORTED;
    }
    return imported ? LAPSE_CONSENT_GRANTED : LAPSE_CONSENT_NONE;
}

static int events_until(const struct history *h, int time)
{
    int n = 0;
    while (n < h->count && time_of(h, n) <= time)
        n++;
    return n;
}

struct cell {
    int state, pending, strength, since; /* 0: no row; since in days */
};

static struct cell expected_cell(const struct history *h, int as_of, int limit)
{
    struct cell c = { 0, 0, 0, 0 };
    int n = events_until(h, as_of), base = base_after(h, n, limit);
    c.pending = base != LAPSE_CONSENT_GRANTED && n > 0 && is_open(h, n - 1, as_of, limit);
    if (base == LAPSE_CONSENT_NONE && !c.pending)
        return c;
    c.state = base;
    if (base == LAPSE_CONSENT_NONE) {
        for (int i = 0; i < n; i++)
            if (kind_of(h, i) == REQUESTED)
                c.since = time_of(h, i);
        return c;
    }
    for (c.since = as_of < TIMES ? as_of : TIMES; c.since > 1; c.since--)
        if (base_after(h, events_until(h, c.since - 1), limit) != base)
            break;
    for (int i = events_until(h, c.since - 1); base == LAPSE_CONSENT_GRANTED && i < n; i++) {
        int strength = kind_of(h, i) == IMPORTED    ? LAPSE_STRENGTH_UNKNOWN
                       : kind_of(h, i) == GRANTED   ? LAPSE_STRENGTH_SINGLE
                       : confirms(h, i, limit) ? LAPSE_STRENGTH_DOUBLE
                                                    : 0;
        c.strength = strength > c.strength ? strength : c.strength;
    }
    return c;
}

/* ---- all histories, all orders of arrival ------------------------------------------------------------ */

static struct history *histories;
static int history_count;

static void make_histories(struct history *h, int from)
{
    histories[history_count++] = *h;
    for (int s = from; h->count < MOST && s < SYMBOLS; s++) {
        h->symbol[h->count++] = s;
        make_histories(h, s);
        h->count--;
    }
}

static void put_event(struct text *t, int history, int order, const struct history *h, int i)
{
    putf(t, "%05d-%02d,2024-01-0%d,%s,email,marketing,t,e,s,%05d-%02d-%d\n", history, order, time_of(h, i),
         kind_names[kind_of(h, i)], history, order, i); /* an id is of one customer (F11) */
}

/* Each order of arrival is a customer of its own; the second half of it arrives later, with the first once more. */
static void put_orders(struct text file[2], int number, const struct history *h, int taken, int *order, int *permutation)
{
    int at = __builtin_popcount((unsigned)taken);
    if (at == h->count) {
        for (int i = 0; i < h->count; i++)
            put_event(&file[i >= h->count / 2], number, *permutation, h, order[i]);
        for (int i = 0; i < h->count / 2; i++)
            put_event(&file[1], number, *permutation, h, order[i]);
        ++*permutation;
        return;
    }
    for (int i = 0; i < h->count; i++) {
        /* of equal events only the first that is left, so that no order comes twice */
        if ((taken >> i & 1) || (i > 0 && h->symbol[i] == h->symbol[i - 1] && !(taken >> (i - 1) & 1)))
            continue;
        order[at] = i;
        put_orders(file, number, h, taken | 1 << i, order, permutation);
    }
}

static struct text cell_of(const lapse_table *t, int column, int64_t row)
{
    lapse_column c = { .size = sizeof c };
    assert_int_equal(lapse_table_column(t, column, &c), LAPSE_OK);
    return (struct text){ (char *)(uintptr_t)c.data + c.offsets[row], (size_t)(c.offsets[row + 1] - c.offsets[row]), 0 };
}

static int digits(const char *text, int n)
{
    int value = 0;
    while (n-- > 0)
        value = 10 * value + (*text++ - '0');
    return value;
}

static int number_of(const struct text *t, const char *(*name)(int32_t))
{
    int32_t i = 1;
    while (t->size && name(i) && (strlen(name(i)) != t->size || memcmp(name(i), t->data, t->size) != 0))
        i++;
    return t->size ? i : 0;
}

static void check_cells(lapse_store *store, int as_of, int limit, const int *orders)
{
    lapse_policy *policy = policy_of(limit == 1 ? "consent.token=1d" : "consent.token=60d");
    lapse_state_options o;
    lapse_view *view;
    lapse_result *result;
    lapse_table *t;
    lapse_state_options_init(&o, sizeof o);
    o.policy = policy;
    assert_int_equal(lapse_view_open(store, instant("2024-01-01") + (as_of - 1) * DAY, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_consent(view, &o, &result, NULL), LAPSE_OK);
    int h = 0, order = 0;
    int64_t rows = 0, row = 0;
    t = NULL;
    for (; h < history_count; order = 0, h++)
        for (; order < orders[h]; order++) {
            struct cell want = expected_cell(&histories[h], as_of, limit);
            if (!want.state)
                continue;
            if (row == rows) {
                lapse_table_release(t);
                assert_int_equal(lapse_result_next(result, &t, NULL), LAPSE_OK);
                rows = lapse_table_rows(t);
                row = 0;
            }
            struct text id = cell_of(t, 0, row), state = cell_of(t, 4, row), strength = cell_of(t, 6, row);
            lapse_column pending = { .size = sizeof pending }, since = { .size = sizeof since };
            lapse_table_column(t, 5, &pending);
            lapse_table_column(t, 7, &since);
            struct cell got = { number_of(&state, lapse_consent_name), (int)((const int64_t *)pending.data)[row],
                                number_of(&strength, lapse_strength_name),
                                (int)((((const int64_t *)since.data)[row] - instant("2024-01-01")) / DAY) + 1 };
            if (digits(id.data, 5) != h || digits(id.data + 6, 2) != order || memcmp(&got, &want, sizeof got) != 0) {
                for (int i = 0; i < histories[h].count; i++)
                    print_error("%s@%d ", kind_names[kind_of(&histories[h], i)], time_of(&histories[h], i));
                fail_msg("history %d order %d as of %d limit %d: row of %.8s is %d,%d,%d,%d, wanted %d,%d,%d,%d", h, order,
                         as_of, limit, id.data, got.state, got.pending, got.strength, got.since, want.state, want.pending,
                         want.strength, want.since);
            }
            row++;
        }
    assert_int_equal(row, rows);
    lapse_table_release(t);
    assert_int_equal(lapse_result_next(result, &t, NULL), LAPSE_DONE);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_policy_free(policy);
}

static void consent_cells(void **state)
{
    static const char header[] = "customer,time,kind,channel,purpose,ref,evidence,source,event_id\n";
    struct text file[2] = { { 0 }, { 0 } };
    struct history none = { 0 };
    int total = 0;
    (void)state;
    histories = calloc(8000, sizeof *histories);
    int *orders = calloc(8000, sizeof *orders);
    history_count = 0;
    make_histories(&none, 0);
    assert_int_equal(history_count, 7315);
    for (int f = 0; f < 2; f++)
        put(&file[f], header, strlen(header));
    for (int h = 0; h < history_count; h++) {
        int order[MOST];
        put_orders(file, h, &histories[h], 0, order, &orders[h]);
        total += orders[h];
    }
    assert_int_equal(total, 111151); /* 1 + 18 + 18^2 + 18^3 + 18^4 */
    lapse_store *store = store_of(NULL);
    add_events(store, file[0].data, file[0].size);
    add_events(store, file[1].data, file[1].size);
    for (int as_of = 1; as_of <= TIMES + 1; as_of++) {
        check_cells(store, as_of, 60, orders);
        check_cells(store, as_of, 1, orders);
    }
    lapse_store_close(store);
    free(file[0].data);
    free(file[1].data);
    free(histories);
    free(orders);
}

/* ---- the gate ---------------------------------------------------------------------------------------- */

enum { NO_RIGHTS, OBJECTED_BEFORE, OBJECTED_AFTER, ERASED, RIGHTS };
enum { UNKNOWN, REACHABLE, REMOVED, HARD, BLOCKED, HARD_AND_BLOCKED, ENDPOINTS };
enum { OPEN, CLOSED_BEFORE, CLOSED_AFTER, REOPENED, ACCOUNTS };
enum { NO_SPAM, SPAM_BEFORE, SPAM_AFTER, SPAMS };
enum { NOTHING, C_DECLINED, C_GRANTED, C_REQUESTED, C_WITHDRAWN, C_IMPORTED, C_CONFIRMED, CONSENTS };
enum { NO_TOPIC, TOPIC_OFF, TOPIC_DECLINED, TOPIC_ON, TOPICS };
enum { COMBINATIONS = RIGHTS * ENDPOINTS * ACCOUNTS * SPAMS * CONSENTS * TOPICS };

struct facts {
    int rights, endpoint, account, spam, consent, topic;
};
static struct facts facts_of(int n)
{
    struct facts f;
    f.rights = n % RIGHTS, n /= RIGHTS;
    f.endpoint = n % ENDPOINTS, n /= ENDPOINTS;
    f.account = n % ACCOUNTS, n /= ACCOUNTS;
    f.spam = n % SPAMS, n /= SPAMS;
    f.consent = n % CONSENTS, n /= CONSENTS;
    f.topic = n;
    return f;
}

/* Before: day 5, consent: day 20, after: day 25. */
static void put_facts(struct text *t, int n, const char *channel, const char *purpose)
{
    static const char *const consents[CONSENTS] = { NULL, "declined", "granted", "requested", "withdrawn", "imported",
                                                    "requested" };
    struct facts f = facts_of(n);
#define EVENT(day, kind, channel, purpose, topic, ref, value, reason, evidence)                                            \
    putf(t, "%06d,2024-01-%02d,%s,%s,%s,%s,%s,%s,%s,%s\n", n, day, kind, channel, purpose, topic, ref, value, reason, evidence)
    EVENT(1, "case.opened", "", "", "", "", "", "", "");
    if (f.rights == OBJECTED_BEFORE || f.rights == OBJECTED_AFTER)
        EVENT(f.rights == OBJECTED_BEFORE ? 5 : 25, "consent.objected", "", "", "", "", "", "", "");
    if (f.rights == ERASED)
        EVENT(27, "customer.erased", "", "", "", "", "", "", "");
    if (f.endpoint != UNKNOWN)
        EVENT(2, "endpoint.added", channel, "", "", "", "", "", "");
    if (f.endpoint == REMOVED)
        EVENT(3, "endpoint.removed", channel, "", "", "", "", "", "");
    if (f.endpoint == HARD || f.endpoint == HARD_AND_BLOCKED)
        EVENT(3, "message.bounced", channel, "", "", "", "", "hard", "");
    if (f.endpoint == BLOCKED || f.endpoint == HARD_AND_BLOCKED)
        EVENT(3, "suppression.added", channel, "", "", "", "", "", "");
    if (f.account != OPEN)
        EVENT(f.account == CLOSED_AFTER ? 25 : 5, "account.closed", "", "", "", "", "", "", "");
    if (f.account == REOPENED)
        EVENT(6, "customer.registered", "", "", "", "", "", "", "");
    if (f.spam != NO_SPAM)
        EVENT(f.spam == SPAM_BEFORE ? 5 : 25, "message.spam_reported", channel, "", "", "", "", "", "");
    if (f.consent != NOTHING) {
        char kind[32];
        snprintf(kind, sizeof kind, "consent.%s", consents[f.consent]);
        EVENT(20, kind, channel, purpose, "", "t", "", "", "proof");
    }
    if (f.consent == C_CONFIRMED)
        EVENT(21, "consent.confirmed", channel, purpose, "", "t", "", "", "");
    if (f.topic == TOPIC_DECLINED)
        EVENT(20, "consent.declined", channel, purpose, "x", "", "", "", "");
    else if (f.topic != NO_TOPIC)
        EVENT(20, "preference.set", channel, purpose, "x", "", f.topic == TOPIC_ON ? "1" : "0", "", "");
#undef EVENT
}

/* What the sentences say of a combination. `asked` is the purpose whose cell has the consent. */
static uint64_t expected_reasons(struct facts f, int channel, int purpose, int asked, bool topic, bool assume, bool implied)
{
#define BIT(reason) (UINT64_C(1) << LAPSE_REASON_##reason)
    bool service = purpose == LAPSE_PURPOSE_TRANSACTIONAL || purpose == LAPSE_PURPOSE_SERVICE;
    bool survey = purpose == LAPSE_PURPOSE_SURVEY;
    bool sends = service || survey || purpose == LAPSE_PURPOSE_MARKETING;
    bool none_needed = channel == LAPSE_CHANNEL_ADS || channel == LAPSE_CHANNEL_ONSITE || channel == LAPSE_CHANNEL_SOCIAL;
    uint64_t r = f.rights == ERASED ? BIT(ERASED) : 0;
    if (sends) {
        if (!none_needed && (f.endpoint == REMOVED || (f.endpoint == UNKNOWN && !assume)))
            r |= BIT(NO_ENDPOINT);
        if (f.endpoint == HARD || f.endpoint == HARD_AND_BLOCKED)
            r |= BIT(HARD_BOUNCED);
        if (f.endpoint == BLOCKED || f.endpoint == HARD_AND_BLOCKED)
            r |= BIT(MANUAL_BLOCK);
    }
    if (service)
        return r;
    int cell = survey ? LAPSE_PURPOSE_MARKETING : purpose;
    bool promotion = cell == LAPSE_PURPOSE_MARKETING || cell == LAPSE_PURPOSE_PROFILING || cell == LAPSE_PURPOSE_AD_AUDIENCE;
    bool mine = cell == asked;                                      /* the consent event is of this cell */
    bool granted = mine && (f.consent == C_GRANTED || f.consent == C_CONFIRMED);
    bool closed = f.account == CLOSED_BEFORE || f.account == CLOSED_AFTER;
    if (closed && f.rights != ERASED)
        r |= BIT(ACCOUNT_CLOSED);
    if (f.rights == OBJECTED_AFTER || (f.rights == OBJECTED_BEFORE && !granted))
        r |= BIT(OBJECTED);
    bool lifted = asked == LAPSE_PURPOSE_MARKETING && (f.consent == C_GRANTED || f.consent == C_CONFIRMED);
    if (sends && (f.spam == SPAM_AFTER || (f.spam == SPAM_BEFORE && !lifted)))
        r |= BIT(SPAM_REPORTED);
    bool before = (promotion && (f.rights == OBJECTED_BEFORE || f.account == CLOSED_BEFORE || f.account == REOPENED)) ||
                  (cell == LAPSE_PURPOSE_MARKETING && f.spam == SPAM_BEFORE);
    bool after = (promotion && (f.rights == OBJECTED_AFTER || f.account == CLOSED_AFTER)) ||
                 (cell == LAPSE_PURPOSE_MARKETING && f.spam == SPAM_AFTER);
    bool requested = mine && f.consent == C_REQUESTED && !after;
    bool shown = implied && cell == LAPSE_PURPOSE_MARKETING &&
                 (channel == LAPSE_CHANNEL_IN_APP || channel == LAPSE_CHANNEL_ONSITE);
    if (after || (before && !granted) || (mine && f.consent == C_WITHDRAWN))
        r |= BIT(CONSENT_WITHDRAWN);
    else if (mine && f.consent == C_DECLINED)
        r |= BIT(CONSENT_DECLINED);
    else if (!granted && !(mine && f.consent == C_IMPORTED) && !shown)
        r |= requested ? BIT(CONSENT_PENDING) : BIT(CONSENT_NONE);
    if (survey) { /* its own cell only refuses */
        bool wide = f.rights == OBJECTED_AFTER || f.account == CLOSED_AFTER || f.rights == OBJECTED_BEFORE ||
                    f.account == CLOSED_BEFORE || f.account == REOPENED;
        bool own = asked == LAPSE_PURPOSE_SURVEY;
        bool again = own && (f.consent == C_GRANTED || f.consent == C_CONFIRMED) && f.rights != OBJECTED_AFTER &&
                     f.account != CLOSED_AFTER;
        if ((wide && !again) || (own && f.consent == C_WITHDRAWN))
            r |= BIT(CONSENT_WITHDRAWN);
        else if (own && f.consent == C_DECLINED)
            r |= BIT(CONSENT_DECLINED);
    }
    if (topic && (cell == asked || purpose == asked) && (f.topic == TOPIC_OFF || f.topic == TOPIC_DECLINED))
        r |= BIT(TOPIC_OFF);
    return r;
#undef BIT
}

static uint64_t reasons_of(const struct text *t, const char *first, size_t first_size)
{
    uint64_t set = 0;
    int32_t last = 0;
    for (size_t at = 0; at < t->size;) {
        size_t n = 0;
        while (at + n < t->size && t->data[at + n] != '|')
            n++;
        struct text one = { t->data + at, n, 0 };
        int32_t reason = number_of(&one, lapse_reason_name);
        assert_true(reason > last); /* in the order of the gate, which so far is that of the numbers */
        if (at == 0)
            assert_true(n == first_size && memcmp(first, one.data, n) == 0);
        set |= UINT64_C(1) << reason;
        last = reason;
        at += n + 1;
    }
    return set;
}

static void check_gate(lapse_view *view, int channel, int purpose, int asked, bool topic, bool assume, bool implied)
{
    lapse_policy *policy = NULL;
    lapse_permit_options p;
    lapse_result *result;
    lapse_table *t;
    int n = 0;
    if (!assume || !implied) {
        assert_int_equal(lapse_policy_new(NULL, &policy), LAPSE_OK);
        lapse_policy_set(policy, "permit.assume_endpoint", assume ? "1" : "0", NULL);
        lapse_policy_set(policy, "consent.inapp_implied", implied ? "1" : "0", NULL);
    }
    lapse_permit_options_init(&p, sizeof p);
    p.channel = channel;
    p.purpose = purpose;
    p.topic = topic ? "x" : NULL;
    p.policy = policy;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_OK);
    while (lapse_result_next(result, &t, NULL) == LAPSE_OK) {
        for (int64_t row = 0; row < lapse_table_rows(t); row++, n++) {
            struct facts f = facts_of(n);
            uint64_t want = expected_reasons(f, channel, purpose, asked, topic, assume, implied);
            struct text id = cell_of(t, 0, row), decision = cell_of(t, 3, row), first = cell_of(t, 4, row),
                        reasons = cell_of(t, 5, row);
            uint64_t got = reasons_of(&reasons, first.data, first.size);
            int32_t decided = number_of(&decision, lapse_decision_name);
            if (digits(id.data, 6) != n || got != want || decided != (want ? LAPSE_DECISION_DENY : LAPSE_DECISION_ALLOW))
                fail_msg("rights %d endpoint %d account %d spam %d consent %d (of %s) topic %d, asked for %s by %s%s: got %.*s "
                         "(%llx), wanted %llx", f.rights, f.endpoint, f.account, f.spam, f.consent,
                         lapse_purpose_name(asked), f.topic, lapse_purpose_name(purpose), lapse_channel_name(channel),
                         topic ? ", topic" : "", (int)reasons.size, reasons.data, (unsigned long long)got,
                         (unsigned long long)want);
            if (n % 97 == 0) { /* the same answer without a table */
                lapse_decision d = { .size = sizeof d };
                char name[16];
                snprintf(name, sizeof name, "%06d", n);
                assert_int_equal(lapse_view_permit_one(view, policy, name, channel, purpose, topic ? "x" : NULL, &d, NULL),
                                 LAPSE_OK);
                assert_true(d.reasons == want && d.decision == decided && d.until == INT64_MIN && d.size == sizeof d);
                assert_int_equal(d.reason, number_of(&first, lapse_reason_name));
            }
        }
        lapse_table_release(t);
    }
    assert_int_equal(n, COMBINATIONS);
    lapse_result_free(result);
    lapse_policy_free(policy);
}

static void gate(void **state)
{
    static const int channels[] = { LAPSE_CHANNEL_EMAIL, LAPSE_CHANNEL_ONSITE, LAPSE_CHANNEL_ADS };
    (void)state;
    for (size_t c = 0; c < sizeof channels / sizeof channels[0]; c++)
        for (int asked = LAPSE_PURPOSE_MARKETING; asked <= LAPSE_PURPOSE_SURVEY; asked++) {
            struct text t = { 0 };
            lapse_view *view;
            if (asked == LAPSE_PURPOSE_AD_AUDIENCE && channels[c] != LAPSE_CHANNEL_ADS)
                continue; /* as profiling is */
            putf(&t, "customer,time,kind,channel,purpose,topic,ref,value,reason,evidence\n");
            for (int n = 0; n < COMBINATIONS; n++)
                put_facts(&t, n, lapse_channel_name(channels[c]), lapse_purpose_name(asked));
            lapse_store *store = store_of(t.data);
            free(t.data);
            assert_int_equal(lapse_view_open(store, instant("2024-02-01"), &view, NULL), LAPSE_OK);
            for (int purpose = 1; purpose <= LAPSE_PURPOSE_SURVEY; purpose++)
                check_gate(view, channels[c], purpose, asked, purpose != LAPSE_PURPOSE_PROFILING, purpose % 2, asked % 2);
            check_gate(view, channels[c], asked, asked, false, true, true);
            check_gate(view, channels[c], LAPSE_PURPOSE_MARKETING, asked, true, false, false);
            lapse_view_close(view);
            lapse_store_close(store);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(consent_cells), cmocka_unit_test(gate) };
    return cmocka_run_group_tests_name("state_all", tests, NULL, NULL);
}
