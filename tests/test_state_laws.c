/* Invariants of semantics 4.9, as rulings X19 mends them, on random histories of all kinds: what arrival, repetition, the
 * future, an import, a further request, a bounce, silence may and may not change. Each law compares whole answers. */
#include "histories.h"

enum { ROUNDS = 3, ROOM = 60000 };

static const char policies[][100] = { "cap.day=1",
                                      "implied.purchase=24m implied.inquiry=6m implied.channels=email,sms",
                                      "consent.token=5d permit.assume_endpoint=0 consent.inapp_implied=0" };

/* All answers, one after the other. */
static char *all(lapse_store *store, int64_t as_of, int threads, const char *policy)
{
    struct text t = { 0 };
    for (int which = STATES; which <= PERMIT; which++)
        for (int purpose = 1; purpose <= (which == PERMIT ? LAPSE_PURPOSE_SURVEY : 1); purpose++) {
            char *got = ask(store, (enum which)which,
                            (struct ask){ .as_of = as_of, .threads = threads, .policy = policy, .purpose = purpose,
                                          .topic = purpose % 2 ? "news" : NULL });
            put(&t, got, strlen(got));
            free(got);
        }
    return t.data;
}

static void same(const char *law, const char *a, const char *b)
{
    if (strcmp(a, b) == 0)
        return;
    size_t at = 0, line = 0;
    for (; a[at] == b[at]; at++)
        line = a[at] == '\n' ? at + 1 : line;
    fail_msg("%s:\n%.*s\n%.*s", law, (int)strcspn(a + line, "\n"), a + line, (int)strcspn(b + line, "\n"), b + line);
}

static int64_t some_instant(int round)
{
    return instant("2022-09-01") + round * 200 * DAY;
}

/* ---- I3, I4, I13, threads: only the set of events up to the instant counts --------------------------- */

static int64_t until;
static bool before_instant(const struct event *e)
{
    return e->time <= until;
}

static void arrival(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        draw_events((uint64_t)round + 1);
        until = some_instant(round);
        lapse_store *store = store_with(NULL, NULL, 0);
        char *plain = all(store, until, 1, policies[round]), *other = all(store, until, 3, policies[round]);
        same("threads", plain, other);
        free(other);
        lapse_store_close(store);

        store = store_with(before_instant, NULL, 0); /* I13 */
        other = all(store, until, 1, policies[round]);
        same("the future", plain, other);
        free(other);
        lapse_store_close(store);

        store = store_of(NULL); /* shuffled, in pieces, each third event once more */
        int *order = calloc((size_t)count, sizeof *order);
        for (int i = 0; i < count; i++) {
            int j = draw(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        for (int i = 0; i < count;) {
            struct text t = { 0 };
            put(&t, header, strlen(header));
            for (int piece = draw(2000) + 1; piece > 0 && i < count; piece--, i++) {
                put_event(&t, &events[order[i]]);
                if (i % 3 == 0)
                    put_event(&t, &events[order[draw(i + 1)]]);
            }
            add_events(store, t.data, t.size);
            free(t.data);
        }
        other = all(store, until, 2, policies[round]);
        same("arrival", plain, other);
        free(other);
        free(order);
        free(plain);
        lapse_store_close(store);
    }
}

/* ---- I5 to I7: what one event more may do ------------------------------------------------------------- */

/* The decisions of `a` and of `b`, row by row: what b allows and a does not. */
static int newly_allowed(const char *law, lapse_store *a, lapse_store *b, int64_t as_of, int purpose, bool *fewer)
{
    static struct row x[ROOM], y[ROOM];
    struct ask q = { .as_of = as_of, .purpose = purpose, .policy = policies[1] };
    char *left = ask(a, PERMIT, q), *right = ask(b, PERMIT, q);
    int n = rows_of(left, x, ROOM), m = rows_of(right, y, ROOM), more = 0;
    for (int i = 0, k = 0; i < n; i++) {
        while (k < m && (strcmp(x[i].field[0], y[k].field[0]) || strcmp(x[i].field[1], y[k].field[1])))
            k++;
        if (k == m)
            fail_msg("%s: no row of %s", law, x[i].field[0]);
        bool before = strcmp(x[i].field[3], "allow") == 0, after = strcmp(y[k].field[3], "allow") == 0;
        more += after && !before;
        *fewer |= before && !after;
    }
    free(left);
    free(right);
    return more;
}

/* One more event for each customer, of a kind. */
static struct event *further(int kind)
{
    struct event *more = calloc(CUSTOMERS, sizeof *more);
    for (int c = 0; c < CUSTOMERS; c++)
        more[c] = draw_event(c, kind, 1000000 + c);
    return more;
}

static void one_way(void **state)
{
    static const struct {
        const char *law;
        int kind;
        bool takes; /* may it take something away? */
    } laws[] = { { "I5: a withdrawal never allows", LAPSE_KIND_CONSENT_WITHDRAWN, true },
                 { "I5: an objection never allows", LAPSE_KIND_CONSENT_OBJECTED, true },
                 { "I5: a spam report never allows", LAPSE_KIND_MESSAGE_SPAM_REPORTED, true },
                 { "I7: a request changes nothing", LAPSE_KIND_CONSENT_REQUESTED, false },
                 { "opens change nothing", LAPSE_KIND_MESSAGE_OPENED, false },
                 { "a sent message changes nothing", LAPSE_KIND_MESSAGE_SENT, false } };
    (void)state;
    for (size_t l = 0; l < sizeof laws / sizeof laws[0]; l++) {
        bool fewer = false;
        for (int round = 0; round < ROUNDS; round++) {
            draw_events((uint64_t)round + 10);
            struct event *more = further(laws[l].kind);
            if (laws[l].kind == LAPSE_KIND_CONSENT_REQUESTED)
                for (int c = 0; c < CUSTOMERS; c++) { /* a token of its own, which nothing confirms */
                    char *ref = more[c].rest;
                    for (int column = 0; column < 4; column++)
                        ref = strchr(ref, ',') + 1;
                    memcpy(ref, "n9", 2);
                }
            lapse_store *a = store_with(NULL, NULL, 0), *b = store_with(NULL, more, CUSTOMERS);
            for (int purpose = 1; purpose <= LAPSE_PURPOSE_SURVEY; purpose++) {
                int n = newly_allowed(laws[l].law, a, b, instant("2025-01-01"), purpose, &fewer);
                if (n)
                    fail_msg("%s: %d rows for %s", laws[l].law, n, lapse_purpose_name(purpose));
            }
            lapse_store_close(a);
            lapse_store_close(b);
            free(more);
        }
        if (fewer != laws[l].takes)
            fail_msg("%s: it %s", laws[l].law, fewer ? "denies" : "never denies anything");
    }
}

/* I6: wherever a cell is declined or withdrawn, an import leaves it so. */
static void imports(void **state)
{
    static struct row x[ROOM], y[ROOM];
    (void)state;
    draw_events(20);
    struct event *more = further(LAPSE_KIND_CONSENT_IMPORTED);
    lapse_store *a = store_with(NULL, NULL, 0), *b = store_with(NULL, more, CUSTOMERS);
    char *left = ask(a, CONSENT, (struct ask){ .as_of = instant("2025-01-01") }), *right = ask(b, CONSENT, (struct ask){ .as_of = instant("2025-01-01") });
    int n = rows_of(left, x, ROOM), m = rows_of(right, y, ROOM), refused = 0;
    for (int i = 0, k = 0; i < n; i++) {
        while (k < m && (strcmp(x[i].field[0], y[k].field[0]) || strcmp(x[i].field[1], y[k].field[1]) ||
                         strcmp(x[i].field[2], y[k].field[2]) || strcmp(x[i].field[3], y[k].field[3])))
            k++;
        assert_true(k < m);
        if (strcmp(x[i].field[4], "withdrawn") == 0 || strcmp(x[i].field[4], "declined") == 0) {
            assert_true(strcmp(y[k].field[4], "withdrawn") == 0 || strcmp(y[k].field[4], "declined") == 0);
            refused++;
        }
    }
    assert_true(refused > 1000);
    assert_true(m > n); /* some cells of none were granted by it */
    free(left);
    free(right);
    free(more);
    lapse_store_close(a);
    lapse_store_close(b);
}

/* ---- I2, I10: no region moves another ---------------------------------------------------------------- */

static bool no_consent(const struct event *e)
{
    return !is_consent(e->kind);
}

static bool no_silence_breaker(const struct event *e) /* sessions and views, which only engagement and stage read */
{
    return e->kind != LAPSE_KIND_SESSION_STARTED && e->kind != LAPSE_KIND_PRODUCT_VIEWED &&
           e->kind != LAPSE_KIND_VISITOR_SEEN && e->kind != LAPSE_KIND_SURVEY_ANSWERED;
}

static bool no_bounce(const struct event *e)
{
    return e->kind != LAPSE_KIND_MESSAGE_BOUNCED;
}

/* Columns of states that are not account or rights, of customers in both. */
static void same_columns(lapse_store *a, lapse_store *b, int columns)
{
    static struct row x[ROOM], y[ROOM];
    char *left = ask(a, STATES, (struct ask){ .as_of = instant("2025-01-01") }), *right = ask(b, STATES, (struct ask){ .as_of = instant("2025-01-01") });
    int n = rows_of(left, x, ROOM), m = rows_of(right, y, ROOM), both = 0;
    for (int i = 0, k = 0; i < n && k < m;) {
        int order = strcmp(x[i].field[0], y[k].field[0]);
        for (int f = 1; order == 0 && f < columns; f++)
            if (f != 4 || strcmp(x[i].field[3], "new") != 0) /* new since the first event, of whatever kind */
                assert_string_equal(x[i].field[f], y[k].field[f]);
        both += order == 0;
        i += order <= 0;
        k += order >= 0;
    }
    assert_true(both > CUSTOMERS / 2);
    free(left);
    free(right);
}

static void apart(void **state)
{
    (void)state;
    draw_events(30);
    lapse_store *a = store_with(NULL, NULL, 0), *b = store_with(no_consent, NULL, 0);
    same_columns(a, b, 15);
    lapse_store_close(b);
    b = store_with(no_silence_breaker, NULL, 0);
    char *left = ask(a, CONSENT, (struct ask){ .as_of = instant("2025-01-01") }), *right = ask(b, CONSENT, (struct ask){ .as_of = instant("2025-01-01") });
    same("I2: activity and consent", left, right);
    free(right);
    lapse_store_close(b);
    b = store_with(no_bounce, NULL, 0);
    right = ask(b, CONSENT, (struct ask){ .as_of = instant("2025-01-01") });
    same("I10: a bounce changes no consent", left, right);
    free(left);
    free(right);
    same_columns(a, b, 17);
    lapse_store_close(a);
    lapse_store_close(b);
}

/* I2: all four combinations of inactive and unsubscribed occur. */
static void four_combinations(void **state)
{
    static struct row x[ROOM], y[ROOM];
    bool seen[2][2] = { { false, false }, { false, false } };
    (void)state;
    draw_events(31);
    lapse_store *a = store_with(NULL, NULL, 0);
    struct ask q = { .as_of = instant("2024-07-01"), .channel = LAPSE_CHANNEL_EMAIL };
    char *states = ask(a, STATES, q), *cells = ask(a, CONSENT, q);
    int n = rows_of(states, x, ROOM), m = rows_of(cells, y, ROOM);
    for (int i = 0, k = 0; i < n; i++) {
        bool gone = false;
        for (; k < m && strcmp(y[k].field[0], x[i].field[0]) <= 0; k++)
            gone |= strcmp(y[k].field[0], x[i].field[0]) == 0 && strcmp(y[k].field[1], "email") == 0 &&
                    strcmp(y[k].field[2], "marketing") == 0 && !*y[k].field[3] && strcmp(y[k].field[4], "withdrawn") == 0;
        seen[strcmp(x[i].field[3], "active") != 0][gone] = true;
    }
    assert_true(seen[0][0] && seen[0][1] && seen[1][0] && seen[1][1]);
    free(states);
    free(cells);
    lapse_store_close(a);
}

/* ---- I1, I9, I15: the gate against the regions ------------------------------------------------------- */

static const char *state_in(const struct row *rows, int n, int *from, const char *customer, const char *channel,
                            const char *purpose)
{
    while (*from < n && strcmp(rows[*from].field[0], customer) < 0)
        ++*from;
    for (int i = *from; i < n && strcmp(rows[i].field[0], customer) == 0; i++)
        if (strcmp(rows[i].field[1], channel) == 0 && strcmp(rows[i].field[2], purpose) == 0 && !*rows[i].field[3])
            return rows[i].field[4];
    return "none";
}

static void gate_and_regions(void **state)
{
    static struct row decisions[ROOM], cells[ROOM], states[ROOM], service[ROOM];
    int allowed = 0;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        draw_events((uint64_t)round + 40);
        lapse_store *store = store_with(NULL, NULL, 0);
        struct ask q = { .as_of = some_instant(round), .policy = policies[round] };
        char *text[4] = { ask(store, PERMIT, q), ask(store, CONSENT, q), ask(store, STATES, q), NULL };
        q.purpose = LAPSE_PURPOSE_TRANSACTIONAL;
        text[3] = ask(store, PERMIT, q);
        int n = rows_of(text[0], decisions, ROOM), m = rows_of(text[1], cells, ROOM), k = rows_of(text[2], states, ROOM);
        int from = 0, at = 0;
        assert_int_equal(rows_of(text[3], service, ROOM), n);
        for (int i = 0; i < n; i++) {
            char **d = decisions[i].field;
            const char *cell = state_in(cells, m, &from, d[0], d[1], "marketing");
            bool shown = (strcmp(d[1], "in_app") == 0 || strcmp(d[1], "onsite") == 0) && round < 2;
            while (strcmp(states[at].field[0], d[0]) != 0)
                assert_true(++at < k);
            if (strcmp(d[3], "allow") == 0) { /* I1, and erased */
                assert_true(strcmp(cell, "granted") == 0 || strcmp(cell, "implied") == 0 ||
                            (shown && (strcmp(cell, "none") == 0 || strcmp(cell, "expired") == 0)));
                assert_string_equal(states[at].field[15], "open");
                assert_string_equal(service[i].field[3], "allow"); /* what stops service stops all */
                allowed++;
            } else {
                assert_true(*d[4] && strncmp(d[5], d[4], strlen(d[4])) == 0);
            }
            char *s = service[i].field[5]; /* I9 */
            assert_true(!*s || strspn(s, "abcdefghijklmnopqrstuvwxyz_|") == strlen(s));
            assert_null(strstr(s, "consent"));
            assert_null(strstr(s, "spam"));
            assert_null(strstr(s, "objected"));
            assert_null(strstr(s, "closed"));
            if (strcmp(states[at].field[16], "erased") == 0)
                assert_string_equal(d[4], "erased");
        }
        assert_int_equal(at, k - 1);
        for (int i = 0; i < 4; i++)
            free(text[i]);
        lapse_store_close(store);
    }
    assert_true(allowed > 500);
}

/* I15, and that rights are the same for states and for scores: exactly those of rights none with a valid order have one. */
static void scores(void **state)
{
    static struct row x[ROOM], y[ROOM];
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        lapse_view *view;
        lapse_result *result;
        int left_out = 0;
        draw_events((uint64_t)round + 50);
        lapse_store *store = store_with(NULL, NULL, 0);
        char *states = ask(store, STATES, (struct ask){ .as_of = some_instant(round) });
        assert_int_equal(lapse_view_open(store, some_instant(round), &view, NULL), LAPSE_OK);
        assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
        char *rfm = csv_of(result);
        int n = rows_of(states, x, ROOM), m = rows_of(rfm, y, ROOM), k = 0;
        for (int i = 0; i < n; i++) {
            bool scored = k < m && strcmp(y[k].field[0], x[i].field[0]) == 0;
            bool buys = strcmp(x[i].field[1], "retention") == 0 || strcmp(x[i].field[1], "loyalty") == 0;
            bool free_to = strcmp(x[i].field[16], "none") == 0;
            assert_int_equal(scored, buys && free_to);
            assert_int_equal(buys, strcmp(x[i].field[6], "new") != 0);
            if (scored)
                assert_string_equal(x[i].field[7], y[k].field[1]); /* last purchase is the last order */
            left_out += buys && !free_to;
            k += scored;
        }
        assert_int_equal(k, m);
        assert_true(left_out > 0);
        free(states);
        free(rfm);
        lapse_view_close(view);
        lapse_store_close(store);
    }
}

/* S5 and S9 by looking at every instant: the highest stage, and nothing changes before the deadline. */
static void instants(void **state)
{
    static const char *const stages[] = { "reach", "acquisition", "conversion", "retention", "loyalty" };
    static struct row x[ROOM];
    static int highest[CUSTOMERS];
    int64_t times[500];
    int n = 0;
    (void)state;
    draw_events(60);
    lapse_store *store = store_with(NULL, NULL, 0);
    memset(highest, 0, sizeof highest);
    for (int64_t t = instant("2022-01-01"); n < 334; n++, t += 3 * DAY)
        times[n] = t;
    for (int i = 0; i < n; i++) {
        char *csv = ask(store, STATES, (struct ask){ .as_of = times[i] });
        int rows = rows_of(csv, x, ROOM);
        for (int r = 0; r < rows; r++) {
            int c = atoi(x[r].field[0] + 1), stage = 0, most = 0;
            while (strcmp(stages[stage], x[r].field[1]) != 0)
                stage++;
            while (strcmp(stages[most], x[r].field[2]) != 0)
                most++;
            highest[c] = stage > highest[c] ? stage : highest[c];
            assert_true(most >= highest[c]); /* and equal below, where every instant is looked at */
        }
        free(csv);
    }
    for (int c = 0; c < 60; c++) {
        char name[16], row[600] = "";
        int best = 0;
        snprintf(name, sizeof name, "c%03d", c);
        int64_t at[2 * MOST + 1];
        int k = 0;
        for (int i = 0; i < count; i++)
            if (events[i].customer == c)
                at[k++] = events[i].time;
        for (int i = 1; i < k; i++)
            for (int j = i; j > 0 && at[j - 1] > at[j]; j--) {
                int64_t swap = at[j];
                at[j] = at[j - 1];
                at[j - 1] = swap;
            }
        for (int i = 0; i < k; i++) {
            struct ask q = { .as_of = at[i], .customer = name };
            char *csv = ask(store, STATES, q);
            int rows = rows_of(csv, x, ROOM);
            if (rows) {
                int stage = 0, most = 0;
                while (strcmp(stages[stage], x[0].field[1]) != 0)
                    stage++;
                while (strcmp(stages[most], x[0].field[2]) != 0)
                    most++;
                best = stage > best ? stage : best;
                assert_int_equal(most, best);
                if (*x[0].field[5] && (i + 1 == k || instant(x[0].field[5]) < at[i + 1])) {
                    int64_t deadline = instant(x[0].field[5]);
                    snprintf(row, sizeof row, "%s,%s,%s", x[0].field[3], x[0].field[4], x[0].field[6]);
                    for (int step = -1; step <= 0; step++) {
                        q.as_of = deadline + step;
                        char *next = ask(store, STATES, q), now[600];
                        rows_of(next, x, ROOM);
                        snprintf(now, sizeof now, "%s,%s,%s", x[0].field[3], x[0].field[4], x[0].field[6]);
                        assert_int_equal(strcmp(now, row) == 0, step < 0);
                        free(next);
                    }
                }
            }
            free(csv);
        }
    }
    lapse_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrival),          cmocka_unit_test(one_way), cmocka_unit_test(imports), cmocka_unit_test(apart),
        cmocka_unit_test(four_combinations), cmocka_unit_test(gate_and_regions), cmocka_unit_test(scores),
        cmocka_unit_test(instants),
    };
    return cmocka_run_group_tests_name("state_laws", tests, NULL, NULL);
}
