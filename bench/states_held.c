/* One measurement of lapse: states_held STORE QUESTION THREADS
 *
 * QUESTION is `states`, `consent` or `permit` (of marketing by email), of all customers, every part pulled; or `one`:
 * 100,000 times the permit of one random customer, after as many to warm up. Prints the seconds from the open view on and
 * the number of rows. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lapse.h>

#define AS_OF INT64_C(1727395200000000) /* 2024-09-27: 1,000 days after 2022-01-01 */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static lapse_status pull(lapse_result *result, int64_t *rows, lapse_error *error)
{
    lapse_table *table;
    lapse_status status;

    while ((status = lapse_result_next(result, &table, error)) == LAPSE_OK) {
        *rows += lapse_table_rows(table);
        lapse_table_release(table);
    }
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

typedef lapse_status answer_fn(lapse_view *, const lapse_state_options *, lapse_result **, lapse_error *);

static lapse_status all_of(answer_fn *answer, lapse_view *view, int32_t threads, int64_t *rows, lapse_error *error)
{
    lapse_state_options options;
    lapse_result *result = NULL;

    lapse_state_options_init(&options, sizeof options);
    options.threads = threads;
    lapse_status status = answer(view, &options, &result, error);
    if (status == LAPSE_OK)
        status = pull(result, rows, error);
    lapse_result_free(result);
    return status;
}

static lapse_status all_states(lapse_view *view, int32_t threads, int64_t *rows, lapse_error *error)
{
    return all_of(lapse_view_states, view, threads, rows, error);
}

static lapse_status all_consents(lapse_view *view, int32_t threads, int64_t *rows, lapse_error *error)
{
    return all_of(lapse_view_consent, view, threads, rows, error);
}

static lapse_status all_permits(lapse_view *view, int32_t threads, int64_t *rows, lapse_error *error)
{
    lapse_permit_options options;
    lapse_result *result = NULL;

    lapse_permit_options_init(&options, sizeof options);
    options.threads = threads;
    options.purpose = LAPSE_PURPOSE_MARKETING;
    options.channel = LAPSE_CHANNEL_EMAIL;
    lapse_status status = lapse_view_permit(view, &options, &result, error);
    if (status == LAPSE_OK)
        status = pull(result, rows, error);
    lapse_result_free(result);
    return status;
}

/* Customers are numbered from 0, as make_events draws them. */
static lapse_status one_by_one(lapse_view *view, int32_t unused, int64_t *rows, lapse_error *error)
{
    enum { ASKED = 100000 };
    int64_t customers = 0;
    lapse_status status = all_states(view, 1, &customers, error);
    uint64_t seed = 1;
    double begin = 0;

    (void)unused;
    for (int64_t i = 0; i < 2 * ASKED && customers && status == LAPSE_OK; i++) {
        lapse_decision decision = { .size = sizeof decision };
        char id[16];

        if (i == ASKED)
            begin = now();
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        snprintf(id, sizeof id, "C%07" PRIu64, (seed >> 33) % (uint64_t)customers);
        status = lapse_view_permit_one(view, NULL, id, LAPSE_CHANNEL_EMAIL, LAPSE_PURPOSE_MARKETING, NULL, &decision,
                                       error);
        *rows += i >= ASKED;
    }
    printf("%.6f one ", now() - begin);
    return status;
}

static const struct {
    const char *name;
    lapse_status (*ask)(lapse_view *, int32_t, int64_t *, lapse_error *);
} questions[] = { { "states", all_states }, { "consent", all_consents }, { "permit", all_permits }, { "one", one_by_one } };

int main(int count, char **words)
{
    lapse_error error = { .size = sizeof error };
    lapse_store_options options;
    lapse_store *store = NULL;
    lapse_view *view = NULL;
    int32_t threads = count == 4 ? (int32_t)strtol(words[3], NULL, 10) : 0;
    int64_t rows = 0;
    size_t q = 0;

    while (threads > 0 && q < sizeof questions / sizeof *questions && strcmp(questions[q].name, words[2]) != 0)
        q++;
    if (threads < 1 || q == sizeof questions / sizeof *questions) {
        fputs("usage: states_held STORE states|consent|permit|one THREADS\n", stderr);
        return 2;
    }
    lapse_store_options_init(&options, sizeof options);
    options.flags = LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST;
    lapse_status status = lapse_store_open(words[1], &options, &store, &error);
    if (status == LAPSE_OK)
        status = lapse_view_open(store, AS_OF, &view, &error);
    double begin = now();
    if (status == LAPSE_OK)
        status = questions[q].ask(view, threads, &rows, &error);
    if (status != LAPSE_OK)
        fprintf(stderr, "states_held: %s: %s\n", lapse_status_name(status), error.message);
    else if (questions[q].ask == one_by_one)
        printf("rows %" PRId64 "\n", rows);
    else
        printf("%.6f %s rows %" PRId64 "\n", now() - begin, words[2], rows);
    lapse_view_close(view);
    lapse_store_close(store);
    return status != LAPSE_OK;
}
