/* One measurement of lapse: churn_held STORE THREADS [FILE]
 *
 * Opens the store, then asks for 24 months of churn from 2023-01-01 on and for all monthly cohorts, and looks at every
 * part of both answers. Prints the seconds from the open store on, then those of its steps. With FILE both answers are
 * written there as CSV, one after the other. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lapse.h>

#define FROM INT64_C(1672531200000000) /* 2023-01-01 */
#define TO   INT64_C(1735689600000000) /* 2025-01-01 */

typedef lapse_status answer_fn(lapse_view *, const lapse_churn_options *, lapse_result **, lapse_error *);

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int32_t write_file(void *user, const char *bytes, int64_t size)
{
    return fwrite(bytes, 1, (size_t)size, user) != (size_t)size;
}

static lapse_status pull(lapse_result *result, lapse_error *error)
{
    lapse_table *table;
    lapse_status status;

    while ((status = lapse_result_next(result, &table, error)) == LAPSE_OK)
        lapse_table_release(table);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static lapse_status ask(lapse_view *view, answer_fn *answer, int32_t threads, FILE *file, lapse_error *error)
{
    lapse_churn_options options;
    lapse_result *result = NULL;
    lapse_status status;

    lapse_churn_options_init(&options, sizeof options);
    options.threads = threads;
    options.every = LAPSE_EVERY_MONTH;
    options.from = FROM;
    status = answer(view, &options, &result, error);
    if (status == LAPSE_OK)
        status = file ? lapse_result_write_csv(result, write_file, file, error) : pull(result, error);
    lapse_result_free(result);
    return status;
}

int main(int count, char **words)
{
    lapse_error error = { .size = sizeof error };
    lapse_store_options options;
    lapse_store *store = NULL;
    lapse_view *view = NULL;
    int32_t threads = count >= 3 ? (int32_t)strtol(words[2], NULL, 10) : 0;
    FILE *file = count == 4 ? fopen(words[3], "wb") : NULL;
    double opened, churned, ended;
    lapse_status status;

    if (threads < 1 || count > 4 || (count == 4 && !file)) {
        fputs("usage: churn_held STORE THREADS [FILE]\n", stderr);
        return 2;
    }
    lapse_store_options_init(&options, sizeof options);
    options.flags = LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST;
    status = lapse_store_open(words[1], &options, &store, &error);
    opened = now();
    if (status == LAPSE_OK)
        status = lapse_view_open(store, TO, &view, &error);
    if (status == LAPSE_OK)
        status = ask(view, lapse_view_churn, threads, file, &error);
    churned = now();
    if (status == LAPSE_OK)
        status = ask(view, lapse_view_cohorts, threads, file, &error);
    ended = now();
    if (status != LAPSE_OK)
        fprintf(stderr, "churn_held: %s: %s\n", lapse_status_name(status), error.message);
    else
        printf("%.6f churn %.3f cohorts %.3f\n", ended - opened, churned - opened, ended - churned);
    lapse_view_close(view);
    lapse_store_close(store);
    if (file && fclose(file) != 0)
        status = LAPSE_IO;
    return status != LAPSE_OK;
}
