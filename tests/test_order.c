/* The valid orders of one customer: every ruling of section 3 as a case worked out by hand, random histories
 * against the most obvious computation, and histories large enough that anything quadratic would be seen. */
#include "help.h"

#include "view/view.h"

#define NO       LAPSE_MISSING
#define EVER     INT64_MIN
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

enum {
    PLACED = LAPSE_KIND_ORDER_PLACED,
    CANCELLED = LAPSE_KIND_ORDER_CANCELLED,
    REFUNDED = LAPSE_KIND_ORDER_REFUNDED
};

struct event {
    int64_t time;
    int kind;
    int64_t amount;
    const char *ref;
};

static lapse_allocator memory;

/* ---- a history made by hand ------------------------------------------------------------------------------ */

struct history {
    struct lapse_history h;
    int64_t *time, *amount;
    uint8_t *kind, *length;
    uint32_t *begin;
    char *data;
};

/* Canonical order: time, then the rank of the kind, which ascends with these three. */
static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->kind - y->kind;
}

static struct history history_of(const struct event *given, int n)
{
    struct history s = { .h = { .customer = { "Ann", 3 }, .count = n } };
    struct event *events = malloc((size_t)n * sizeof *events);
    size_t bytes = 0;
    memcpy(events, given, (size_t)n * sizeof *events);
    qsort(events, (size_t)n, sizeof *events, by_time);
    for (int i = 0; i < n; i++)
        bytes += strlen(events[i].ref);
    s.time = malloc((size_t)n * sizeof *s.time);
    s.amount = malloc((size_t)n * sizeof *s.amount);
    s.kind = malloc((size_t)n);
    s.length = malloc((size_t)n);
    s.begin = malloc((size_t)n * sizeof *s.begin);
    s.data = malloc(bytes + 1);
    bytes = 0;
    for (int i = 0; i < n; i++) {
        s.time[i] = events[i].time;
        s.amount[i] = events[i].amount;
        s.kind[i] = (uint8_t)events[i].kind;
        s.begin[i] = (uint32_t)bytes;
        s.length[i] = (uint8_t)strlen(events[i].ref);
        memcpy(s.data + bytes, events[i].ref, s.length[i]);
        bytes += s.length[i];
    }
    free(events);
    s.h.number[LAPSE_F_TIME] = s.time;
    s.h.number[LAPSE_F_AMOUNT] = s.amount;
    s.h.name[LAPSE_F_KIND] = s.kind;
    lapse_history_note_kinds(&s.h, s.kind, (size_t)n);
    s.h.text[LAPSE_F_REF] = (struct lapse_text_column){ s.data, s.begin, s.length, NULL };
    return s;
}

static void history_free(struct history *s)
{
    free(s->time);
    free(s->amount);
    free(s->kind);
    free(s->length);
    free(s->begin);
    free(s->data);
}

/* ---- cases ----------------------------------------------------------------------------------------------- */

struct expected {
    int count;
    struct lapse_order items[4];
    int64_t unknown;
};

static void check(const struct event *events, int n, int64_t after, bool zero, struct expected e)
{
    struct history s = history_of(events, n);
    struct lapse_orders o = { .mem = &memory };
    assert_int_equal(lapse_orders_net(&o, &s.h, after, zero, NULL), LAPSE_OK);
    assert_int_equal(o.count, e.count);
    for (int i = 0; i < e.count; i++) {
        assert_int_equal(o.items[i].time, e.items[i].time);
        assert_int_equal(o.items[i].net, e.items[i].net);
    }
    assert_true(o.unknown_refunds == e.unknown);
    lapse_orders_free(&o);
    history_free(&s);
}
#define CHECK(events, after, zero, ...)                                                                        \
    check(events, COUNT(events), after, zero, (struct expected){ __VA_ARGS__ })

static void test_lines_and_orders(void **state)
{
    (void)state;
    /* M14: each line without ref is an order of its own, also at one instant. */
    const struct event alone[] = { { 10, PLACED, 500, "" }, { 10, PLACED, 500, "" }, { 30, PLACED, 1, "" } };
    CHECK(alone, EVER, false, 3, { { 10, 500 }, { 10, 500 }, { 30, 1 } }, 0);
    /* M9: an order of several lines has the time of the earliest; other orders may lie between. */
    const struct event lines[] = {
        { 10, PLACED, 100, "A" }, { 12, PLACED, 7, "B" }, { 13, PLACED, 20, "" }, { 14, PLACED, 300, "A" }
    };
    CHECK(lines, EVER, false, 3, { { 10, 400 }, { 12, 7 }, { 13, 20 } }, 0);
    /* M9 in a window: the whole order is out when its first line is. */
    CHECK(lines, 10, false, 2, { { 12, 7 }, { 13, 20 } }, 0);
    CHECK(lines, 9, false, 3, { { 10, 400 }, { 12, 7 }, { 13, 20 } }, 0);
    /* M10: unknown amounts are passed over; missing only when all are. M11: then it counts 0, and is valid. */
    const struct event partly[] = { { 10, PLACED, NO, "A" },
                                    { 11, PLACED, 40, "A" },
                                    { 12, PLACED, NO, "B" },
                                    { 13, PLACED, NO, "B" },
                                    { 14, PLACED, NO, "" } };
    CHECK(partly, EVER, false, 3, { { 10, 40 }, { 12, 0 }, { 14, 0 } }, 0);
    /* Other kinds are not orders (X7 and the like look elsewhere). */
    const struct event others[] = { { 1, LAPSE_KIND_CART_UPDATED, 100, "A" },
                                    { 2, LAPSE_KIND_ORDER_DELIVERED, NO, "A" },
                                    { 3, LAPSE_KIND_POINTS_ADJUSTED, 5, "" } };
    CHECK(others, EVER, false, 0, { { 0, 0 } }, 0);
}

static void test_zero(void **state)
{
    (void)state;
    /* M12: a known 0 is no purchase, unless the setting says so; one refunded to 0 never is. */
    const struct event zero[] = {
        { 10, PLACED, 0, "" }, { 11, PLACED, 0, "A" }, { 12, PLACED, 50, "B" }, { 13, REFUNDED, 50, "B" }
    };
    CHECK(zero, EVER, false, 0, { { 0, 0 } }, 0);
    CHECK(zero, EVER, true, 2, { { 10, 0 }, { 11, 0 } }, 0);
    /* A free order taken back is not valid either way. */
    const struct event back[] = { { 10, PLACED, 0, "A" }, { 11, CANCELLED, NO, "A" },
                                  { 12, PLACED, 0, "B" }, { 13, REFUNDED, NO, "B" },
                                  { 14, PLACED, 0, "C" }, { 15, REFUNDED, 1, "C" } };
    CHECK(back, EVER, true, 0, { { 0, 0 } }, 0);
    /* A known 0 beside a missing line is known (M10). */
    const struct event mixed[] = { { 10, PLACED, 0, "A" }, { 10, PLACED, NO, "A" } };
    CHECK(mixed, EVER, false, 0, { { 0, 0 } }, 0);
    CHECK(mixed, EVER, true, 1, { { 10, 0 } }, 0);
}

static void test_refunds(void **state)
{
    (void)state;
    /* In part, and of one order among others. */
    const struct event part[] = {
        { 10, PLACED, 100, "A" }, { 11, PLACED, 100, "B" }, { 20, REFUNDED, 30, "A" }, { 21, REFUNDED, 30, "A" }
    };
    CHECK(part, EVER, false, 2, { { 10, 40 }, { 11, 100 } }, 0);
    /* M8: a refund before its order, and at its instant, counts against it. */
    const struct event before[] = { { 5, REFUNDED, 30, "A" },
                                    { 10, PLACED, 100, "A" },
                                    { 10, REFUNDED, 30, "A" } };
    CHECK(before, EVER, false, 1, { { 10, 40 } }, 0);
    /* M13: refunded beyond its amount, an order is not valid and lowers nothing. */
    const struct event beyond[] = { { 10, PLACED, 100, "A" },
                                    { 11, REFUNDED, 101, "A" },
                                    { 12, PLACED, 8, "" } };
    CHECK(beyond, EVER, false, 1, { { 12, 8 } }, 0);
    /* M6: without amount the whole order, wherever its lines lie; of an unknown order nothing. */
    const struct event whole[] = { { 10, PLACED, 100, "A" }, { 11, REFUNDED, NO, "A" },
                                   { 12, PLACED, 60, "A" },  { 13, REFUNDED, NO, "X" },
                                   { 14, REFUNDED, NO, "" }, { 15, PLACED, 1, "" } };
    CHECK(whole, EVER, false, 1, { { 15, 1 } }, 0);
    /* M8, M14, M16: of a ref nobody ordered, and without ref, they are refunds of unknown orders. */
    const struct event unknown[] = { { 10, PLACED, 100, "" },
                                     { 11, REFUNDED, 30, "" },
                                     { 12, REFUNDED, 5, "C536379" },
                                     { 13, PLACED, 70, "536379" } };
    CHECK(unknown, EVER, false, 2, { { 10, 100 }, { 13, 70 } }, 35);
    /* M11: an order without amount stands until an amount is refunded on it. */
    const struct event missing[] = { { 10, PLACED, NO, "A" }, { 11, REFUNDED, 1, "A" },
                                     { 12, PLACED, NO, "B" }, { 13, REFUNDED, 0, "B" },
                                     { 14, PLACED, NO, "C" }, { 15, REFUNDED, NO, "C" } };
    CHECK(missing, EVER, false, 1, { { 12, 0 } }, 0);
    /* M15: a discount line arrives as a refund of the same ref; the net is the sum. */
    const struct event discount[] = { { 10, PLACED, 1000, "A" }, { 10, REFUNDED, 250, "A" } };
    CHECK(discount, EVER, false, 1, { { 10, 750 } }, 0);
    /* Refs are compared bytewise and whole. */
    const struct event near[] = {
        { 10, PLACED, 10, "A" }, { 11, PLACED, 20, "a" }, { 12, PLACED, 30, "A " }, { 13, REFUNDED, 1, "a" }
    };
    CHECK(near, EVER, false, 3, { { 10, 10 }, { 11, 19 }, { 12, 30 } }, 0);
}

static void test_cancellations(void **state)
{
    (void)state;
    /* M7: the whole order, also lines that come later; the amount is ignored. */
    const struct event whole[] = {
        { 10, PLACED, 100, "A" }, { 11, CANCELLED, 1, "A" }, { 12, PLACED, 60, "A" }, { 13, PLACED, 5, "B" }
    };
    CHECK(whole, EVER, false, 1, { { 13, 5 } }, 0);
    /* M8: a cancellation before its order. M7: of an unknown order, or without ref, nothing. */
    const struct event before[] = { { 5, CANCELLED, NO, "A" },
                                    { 10, PLACED, 100, "A" },
                                    { 11, CANCELLED, 70, "X" },
                                    { 12, CANCELLED, 70, "" },
                                    { 13, PLACED, 5, "" } };
    CHECK(before, EVER, false, 1, { { 13, 5 } }, 0);
    /* M13: cancelled and refunded, it is not a refund of an unknown order. */
    const struct event both[] = { { 10, PLACED, 100, "A" },
                                  { 11, CANCELLED, NO, "A" },
                                  { 12, REFUNDED, 100, "A" } };
    CHECK(both, EVER, false, 0, { { 0, 0 } }, 0);
}

static void test_window(void **state)
{
    (void)state;
    /* R1, R2: later than `after`. A refund finds its order wherever it lies itself; a refund of an order
     * outside counts for nothing; one of an unknown order counts by its own time. */
    const struct event events[] = {
        { 5, REFUNDED, 10, "in" },     { 8, PLACED, 100, "out" },     { 9, PLACED, 50, "" },
        { 10, PLACED, 40, "" },        { 10, REFUNDED, 3, "nobody" }, { 11, PLACED, 200, "in" },
        { 11, REFUNDED, 4, "nobody" }, { 12, REFUNDED, 60, "out" },   { 12, PLACED, 9, "out" },
    };
    CHECK(events, 10, false, 1, { { 11, 190 } }, 4);
    CHECK(events, 9, false, 2, { { 10, 40 }, { 11, 190 } }, 7);
    CHECK(events, EVER, false, 4, { { 8, 49 }, { 9, 50 }, { 10, 40 }, { 11, 190 } }, 7);
    CHECK(events, INT64_MAX, false, 0, { { 0, 0 } }, 0);
}

static void test_overflow(void **state)
{
    (void)state;
    const int64_t most = INT64_MAX;
    const struct {
        struct event events[4];
        int n;
        lapse_status status;
    } cases[] = {
        { { { 10, PLACED, most, "A" }, { 11, PLACED, 1, "A" } }, 2, LAPSE_OVERFLOW },
        /* M4: gross and net of any order, also one that is cancelled or outside the window */
        { { { 10, PLACED, most, "A" }, { 11, PLACED, 1, "A" }, { 12, CANCELLED, NO, "A" } },
          3,
          LAPSE_OVERFLOW },
        { { { 10, PLACED, most, "A" }, { 11, PLACED, 1, "A" }, { 12, REFUNDED, 1, "A" } }, 3, LAPSE_OVERFLOW },
        { { { 10, PLACED, 0, "A" }, { 11, REFUNDED, most, "A" }, { 12, REFUNDED, 2, "A" } },
          3,
          LAPSE_OVERFLOW },
        /* just inside; and sums across orders are nobody's business here */
        { { { 10, PLACED, 0, "A" }, { 11, REFUNDED, most, "A" }, { 12, REFUNDED, 1, "A" } }, 3, LAPSE_OK },
        { { { 10, PLACED, most, "A" }, { 11, REFUNDED, most, "A" }, { 12, REFUNDED, most, "A" } },
          3,
          LAPSE_OK },
        { { { 10, PLACED, most, "A" },
            { 11, PLACED, most, "B" },
            { 12, PLACED, most, "" },
            { 13, REFUNDED, most, "" } },
          4,
          LAPSE_OK },
    };
    for (int i = 0; i < COUNT(cases); i++)
        for (int after = 0; after < 20; after += 15) {
            struct history s = history_of(cases[i].events, cases[i].n);
            struct lapse_orders o = { .mem = &memory };
            lapse_error error = { .size = sizeof error };
            assert_int_equal(lapse_orders_net(&o, &s.h, after, false, &error), cases[i].status);
            if (cases[i].status == LAPSE_OVERFLOW) {
                assert_int_equal(error.status, LAPSE_OVERFLOW);
                assert_non_null(strstr(error.message, "`Ann`"));
            }
            lapse_orders_free(&o);
            history_free(&s);
        }
}

/* ---- against the most obvious computation ---------------------------------------------------------------- */

static uint64_t seed;

static int draw(int below)
{
    return (int)dice(&seed, (uint32_t)below);
}

/* Looks at each line that opens an order and goes through all events again. */
static void naive(const struct lapse_history *h, int64_t after, bool zero, struct lapse_order *out, int *count,
                  int64_t *unknown)
{
    *count = 0;
    *unknown = 0;
    for (int64_t i = 0; i < h->count; i++) {
        struct lapse_text ref = lapse_history_text(h, LAPSE_F_REF, i);
        int64_t gross = 0, back = 0;
        bool known = false, first = true, gone = false, ordered = false;
        for (int64_t j = 0; j < h->count; j++) {
            struct lapse_text other = lapse_history_text(h, LAPSE_F_REF, j);
            int64_t amount = h->number[LAPSE_F_AMOUNT][j];
            uint8_t kind = h->name[LAPSE_F_KIND][j];
            bool same =
                ref.size ? other.size == ref.size && memcmp(other.data, ref.data, ref.size) == 0 : i == j;
            if (!same || (kind != PLACED && kind != CANCELLED && kind != REFUNDED))
                continue;
            if (kind == PLACED) {
                ordered = true;
                first &= j >= i;
                known |= amount != NO;
                gross += amount != NO ? amount : 0;
            } else if (kind == CANCELLED || amount == NO) {
                gone = true;
            } else {
                back += amount;
            }
        }
        if (h->name[LAPSE_F_KIND][i] == REFUNDED && !ordered && h->number[LAPSE_F_AMOUNT][i] != NO &&
            h->number[LAPSE_F_TIME][i] > after)
            *unknown += h->number[LAPSE_F_AMOUNT][i];
        if (h->name[LAPSE_F_KIND][i] != PLACED || !first || gone || h->number[LAPSE_F_TIME][i] <= after)
            continue;
        if (known ? gross > back || (zero && gross == 0 && back == 0) : back == 0)
            out[(*count)++] = (struct lapse_order){ h->number[LAPSE_F_TIME][i], gross - back };
    }
}

static void test_random(void **state)
{
    (void)state;
    static const char *const refs[] = { "", "", "A", "B", "C", "AA", "order-4711", "D", "E", "F" };
    static const int kinds[] = { PLACED,    PLACED,   PLACED,   PLACED,
                                 CANCELLED, REFUNDED, REFUNDED, LAPSE_KIND_CART_UPDATED };
    struct event events[40];
    struct lapse_order items[40];
    struct lapse_orders o = { .mem = &memory }; /* one scratch for all, as in a fold */
    seed = 3;
    for (int round = 0; round < 20000; round++) {
        int n = 1 + draw(round % 10 ? 8 : COUNT(events)), span = 1 + draw(30), count;
        bool no_refs = round % 4 == 0;
        for (int i = 0; i < n; i++)
            events[i] = (struct event){ draw(span), kinds[draw(COUNT(kinds))], draw(5) ? draw(6) * 50 : NO,
                                        refs[no_refs ? 0 : draw(COUNT(refs))] };
        struct history s = history_of(events, n);
        if (no_refs) /* as where no run has such a column */
            s.h.text[LAPSE_F_REF].begin = NULL;
        int64_t after = draw(3) ? EVER : draw(span), unknown;
        bool zero = draw(2);
        naive(&s.h, after, zero, items, &count, &unknown);
        assert_int_equal(lapse_orders_net(&o, &s.h, after, zero, NULL), LAPSE_OK);
        assert_int_equal(o.count, count);
        assert_true(o.unknown_refunds == unknown);
        for (int i = 0; i < count; i++) {
            assert_int_equal(o.items[i].time, items[i].time);
            assert_int_equal(o.items[i].net, items[i].net);
        }
        lapse_int128 net = -unknown;
        for (int i = 0; i < count; i++)
            net += items[i].net;
        for (int with_items = 0; with_items < 2; with_items++) {
            struct lapse_order_sum sum;
            o.count = 99;
            assert_int_equal(lapse_orders_sum(&o, &s.h, after, zero, with_items, &sum, NULL), LAPSE_OK);
            assert_int_equal(sum.count, count);
            assert_true(sum.net == net);
            assert_true(count == 0 || sum.last == items[count - 1].time);
            assert_true(!with_items || (int)o.count == count);
        }
        history_free(&s);
    }
    lapse_orders_free(&o);
}

/* The bits of kinds, however long the history is and wherever a kind stands in it. */
static void test_kinds(void **state)
{
    (void)state;
    uint8_t kind[40];
    seed = 9;
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)draw(COUNT(kind) + 1);
        int first = 1 + draw(LAPSE_KINDS - 1), others = draw(4);
        struct lapse_history h = { .count = (int64_t)n };
        for (size_t i = 0; i < n; i++)
            kind[i] = (uint8_t)first;
        for (int i = 0; n && i < others; i++)
            kind[draw((int)n)] = (uint8_t)(1 + draw(LAPSE_KINDS - 1));
        lapse_history_note_kinds(&h, kind, n);
        for (int k = 0; k < LAPSE_KINDS; k++)
            assert_int_equal(lapse_history_has(&h, k), n && memchr(kind, k, n) != NULL);
    }
}

/* ---- size and memory ------------------------------------------------------------------------------------- */

static void test_large(void **state)
{
    (void)state;
    enum { N = 300000 };
    struct event *events = calloc(N, sizeof *events);
    char(*refs)[12] = calloc(N, sizeof *refs);
    struct lapse_orders o = { .mem = &memory };
    for (int round = 0; round < 3; round++) { /* all refs differ; none at all; few, each often */
        for (int i = 0; i < N; i++) {
            if (round != 1)
                snprintf(refs[i], sizeof refs[i], "%d", round ? i % 7 : i / 2);
            else
                refs[i][0] = 0;
            events[i] = (struct event){ i, round != 1 && i % 2 ? REFUNDED : PLACED, i % 2 ? 1 : 3, refs[i] };
        }
        struct history s = history_of(events, N);
        assert_int_equal(lapse_orders_net(&o, &s.h, EVER, false, NULL), LAPSE_OK);
        assert_int_equal(o.count, round == 0 ? N / 2 : round == 1 ? N : 7);
        assert_true(o.unknown_refunds == 0);
        int64_t sum = 0;
        for (size_t i = 0; i < o.count; i++) {
            sum += o.items[i].net;
            assert_true(i == 0 || o.items[i - 1].time <= o.items[i].time);
        }
        assert_int_equal(sum, round == 1 ? 2 * N : N);
        history_free(&s);
    }
    lapse_orders_free(&o);
    free(refs);
    free(events);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct heap heap;
    const lapse_allocator scarce = heap_hooks(&heap);
    struct event events[60];
    char refs[60][4];
    for (int i = 0; i < COUNT(events); i++) {
        snprintf(refs[i], sizeof refs[i], "%d", i % 30);
        events[i] = (struct event){ i, PLACED, 100, i % 3 ? refs[i] : "" };
    }
    struct history s = history_of(events, COUNT(events));
    lapse_status status = LAPSE_NO_MEMORY;
    int failures = 0;
    for (int n = 1; status != LAPSE_OK; n++) {
        struct lapse_orders o = { .mem = &scarce };
        heap = (struct heap){ .fail_at = n, .for_good = true };
        status = lapse_orders_net(&o, &s.h, EVER, false, NULL);
        if (status != LAPSE_OK) {
            assert_int_equal(status, LAPSE_NO_MEMORY);
            failures++;
            heap.fail_at = 0; /* the scratch is still good */
            assert_int_equal(lapse_orders_net(&o, &s.h, EVER, false, NULL), LAPSE_OK);
        }
        assert_int_equal(o.count, 20 + 20);
        lapse_orders_free(&o);
        assert_int_equal(heap.live, 0);
    }
    assert_true(failures >= 3);
    history_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_orders), cmocka_unit_test(test_zero),
        cmocka_unit_test(test_refunds),          cmocka_unit_test(test_cancellations),
        cmocka_unit_test(test_window),           cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_kinds),           cmocka_unit_test(test_large),
        cmocka_unit_test(test_no_memory),
    };
    if (lapse_mem_init(&memory, NULL, NULL) != LAPSE_OK)
        return 1;
    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
