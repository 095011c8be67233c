/* RFM of several instants and transitions, through the public interface: each instant as a view at it answers, whatever
 * the threads, whoever has gone meanwhile, and more rows than a part has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lapse.h>

#define DAY INT64_C(86400000000)
#define JANUARY (19723 * DAY) /* 2024-01-01 */
#define JUNE (19875 * DAY)    /* 2024-06-01 */

enum { CUSTOMERS = 70000, ROWS = 3 * CUSTOMERS };

static uint64_t seed = 7;

static int64_t draw(int64_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((seed >> 33) % (uint64_t)below);
}

/* Orders of the first half of 2024 in three batches; the first 60,000 customers have one at its very beginning, so that
 * one instant has more rows than a part of a result. */
static lapse_store *make_store(void)
{
    lapse_store *store;
    char *ids = malloc((size_t)CUSTOMERS * 24);
    int64_t *offsets = malloc((CUSTOMERS + 1) * sizeof *offsets), *times = malloc(CUSTOMERS * sizeof *times),
            *amounts = malloc(CUSTOMERS * sizeof *amounts);
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    for (int batch = 0; batch < 3; batch++) {
        offsets[0] = 0;
        for (int i = 0; i < CUSTOMERS; i++) {
            char id[32];
            /* a few ids are longer than most */
            int n = snprintf(id, sizeof id, i % 97 ? "c%05d" : "c%05d-of-the-long-ones", i);
            memcpy(ids + offsets[i], id, (size_t)n);
            offsets[i + 1] = offsets[i] + n;
            times[i] = JANUARY + (batch || i >= 60000 ? draw(150) * DAY + draw(DAY) : 0);
            amounts[i] = 1 + draw(5000);
        }
        lapse_batch rows = { .size = sizeof rows,
                             .rows = CUSTOMERS,
                             .customer = ids,
                             .customer_offsets = offsets,
                             .time = times,
                             .amount = amounts };
        assert_int_equal(lapse_store_append(store, &rows, NULL, NULL, NULL), LAPSE_OK);
    }
    free(ids);
    free(offsets);
    free(times);
    free(amounts);
    return store;
}

struct text {
    char *data;
    size_t size, capacity;
};

static int32_t put(void *user, const char *bytes, int64_t size)
{
    struct text *t = user;
    if (t->size + (size_t)size + 1 > t->capacity) {
        t->capacity = 2 * (t->size + (size_t)size + 1);
        t->data = realloc(t->data, t->capacity);
    }
    memcpy(t->data + t->size, bytes, (size_t)size);
    t->size += (size_t)size;
    t->data[t->size] = 0;
    return 0;
}

typedef lapse_status answer_fn(lapse_view *, const lapse_rfm_options *, lapse_result **, lapse_error *);

static lapse_rfm_options options_of(int32_t cuts)
{
    lapse_rfm_options o;
    assert_int_equal(lapse_rfm_options_init(&o, sizeof o), LAPSE_OK);
    o.cuts = cuts;
    return o;
}

static struct text ask(lapse_store *store, int64_t as_of, answer_fn *answer, lapse_rfm_options o)
{
    lapse_view *view;
    lapse_result *result;
    struct text text = { NULL, 0, 0 };
    lapse_cuts gone;
    assert_int_equal(lapse_view_open(store, as_of, &view, NULL), LAPSE_OK);
    if (o.fixed) { /* what options point to is used during the call only */
        gone = *o.fixed;
        o.fixed = &gone;
    }
    assert_int_equal(answer(view, &o, &result, NULL), LAPSE_OK);
    lapse_view_close(view);
    memset(&gone, 0x55, sizeof gone);
    assert_int_equal(lapse_result_write_csv(result, put, &text, NULL), LAPSE_OK);
    lapse_result_free(result);
    return text;
}

/* Each line of an answer without its first, behind the instant. */
static void put_lines(struct text *to, const char *instant, const struct text *from)
{
    for (char *line = strchr(from->data, '\n') + 1, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        put(to, instant, (int64_t)strlen(instant));
        put(to, line, end + 1 - line);
    }
}

static void test_every(void **state)
{
    lapse_store *store = *state;
    static const struct {
        int64_t time;
        const char *name;
    } firsts[] = { { 19754 * DAY, "2024-02-01T00:00:00Z," },
                   { 19783 * DAY, "2024-03-01T00:00:00Z," },
                   { 19814 * DAY, "2024-04-01T00:00:00Z," },
                   { 19844 * DAY, "2024-05-01T00:00:00Z," },
                   { JUNE, "2024-06-01T00:00:00Z," } };
    answer_fn *const answers[] = { lapse_view_rfm, lapse_view_segments };
    lapse_cuts cuts = { .size = sizeof cuts };
    assert_int_equal(lapse_cuts_parse("10,20,40,80/1,2,2,2/10.5,50", 2, &cuts, NULL), LAPSE_OK);
    for (int round = 0; round < 6; round++) {
        lapse_rfm_options o = options_of(round % 3 == 2 ? LAPSE_CUTS_FIXED : round % 3);
        o.fixed = round % 3 == 2 ? &cuts : NULL;
        if (round >= 3) {
            o.window = 45;
            o.window_unit = LAPSE_UNIT_DAY;
            o.flags = LAPSE_RFM_FREQUENCY_DAYS | LAPSE_RFM_MONETARY_MEAN;
        }
        for (int a = 0; a < 2; a++) {
            struct text want = { NULL, 0, 0 };
            for (int i = 0; i < 5; i++) {
                struct text one = ask(store, firsts[i].time, answers[a], o);
                if (i == 0) {
                    put(&want, "as_of,", 6);
                    put(&want, one.data, strchr(one.data, '\n') + 1 - one.data);
                }
                put_lines(&want, firsts[i].name, &one);
                free(one.data);
            }
            for (int32_t threads = 1; threads <= 3; threads += 2) {
                lapse_rfm_options many = o;
                many.every = LAPSE_EVERY_MONTH;
                many.from = JANUARY;
                many.threads = threads;
                struct text got = ask(store, JUNE, answers[a], many);
                assert_int_equal(got.size, want.size);
                assert_memory_equal(got.data, want.data, got.size);
                free(got.data);
            }
            free(want.data);
        }
    }
}

/* Sums of transitions are the customers of both instants. */
static void test_transitions(void **state)
{
    lapse_store *store = *state;
    for (int32_t threads = 1; threads <= 2; threads++) {
        lapse_rfm_options o = options_of(LAPSE_CUTS_QUANTILE);
        o.from = JANUARY + DAY / 2;
        o.threads = threads;
        struct text moves = ask(store, JUNE, lapse_view_transitions, o);
        long long left = 0, came = 0, absent = 0, n;
        for (char *line = strchr(moves.data, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
            char from[64], to[64];
            assert_int_equal(sscanf(line, "%63[^,],%63[^,],%lld", from, to, &n), 3);
            left += strcmp(from, "(absent)") ? n : 0;
            came += strcmp(to, "(absent)") ? n : 0;
            absent += strcmp(from, "(absent)") ? 0 : n;
        }
        assert_true(left >= 60000 && left < 65000); /* those of the first day */
        assert_int_equal(came, CUSTOMERS);
        assert_int_equal(absent, CUSTOMERS - left);
        free(moves.data);
    }
}

static void test_bad_calls(void **state)
{
    lapse_store *store = *state;
    lapse_view *view;
    lapse_result *result;
    lapse_cuts made = { .size = sizeof made };
    assert_int_equal(lapse_view_open(store, JUNE, &view, NULL), LAPSE_OK);
    lapse_rfm_options o = options_of(LAPSE_CUTS_QUANTILE);
    assert_int_equal(lapse_view_transitions(view, &o, &result, NULL), LAPSE_INVALID); /* from is not said */
    assert_int_equal(lapse_view_transitions(view, NULL, &result, NULL), LAPSE_INVALID);
    o.every = LAPSE_EVERY_MONTH;
    assert_int_equal(lapse_view_rfm(view, &o, &result, NULL), LAPSE_INVALID);
    o.from = JUNE + 1;
    for (int i = 0; i < 3; i++) {
        answer_fn *const answers[] = { lapse_view_rfm, lapse_view_segments, lapse_view_transitions };
        lapse_error error = { .size = sizeof error };
        assert_int_equal(answers[i](view, &o, &result, &error), LAPSE_BAD_INPUT);
        assert_null(result);
        assert_true(error.message[0] != 0);
        assert_int_equal(answers[i](NULL, &o, &result, NULL), LAPSE_INVALID);
        assert_int_equal(answers[i](view, &o, NULL, NULL), LAPSE_INVALID);
    }
    o.from = JANUARY;
    o.made = &made;
    assert_int_equal(lapse_view_rfm(view, &o, &result, NULL), LAPSE_INVALID);
    o.every = LAPSE_EVERY_NONE;
    assert_int_equal(lapse_view_transitions(view, &o, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_rfm(view, &o, &result, NULL), LAPSE_OK);
    assert_int_equal(made.bins[2], 5);
    lapse_result_free(result);
    o.made = NULL;
    o.every = LAPSE_EVERY_YEAR + 1;
    assert_int_equal(lapse_view_rfm(view, &o, &result, NULL), LAPSE_INVALID);
    o.every = LAPSE_EVERY_DAY;
    o.from = INT64_MIN + 1; /* as long as time goes */
    assert_int_equal(lapse_view_rfm(view, &o, &result, NULL), LAPSE_BAD_INPUT);
    o.from = JUNE; /* no instant, no row */
    assert_int_equal(lapse_view_rfm(view, &o, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_columns(result), 11);
    lapse_table *table = NULL;
    assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_DONE);
    lapse_result_free(result);
    lapse_view_close(view);
}

static int open_store(void **state)
{
    *state = make_store();
    return 0;
}

static int close_store(void **state)
{
    lapse_store_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every),
        cmocka_unit_test(test_transitions),
        cmocka_unit_test(test_bad_calls),
    };
    return cmocka_run_group_tests_name("rfm spans", tests, open_store, close_store);
}
