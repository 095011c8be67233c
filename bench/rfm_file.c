/* One measurement of lapse, through its public functions:
 *
 *   rfm_file file FILE THREADS OUTPUT    orders file -> store in memory -> RFM scores -> CSV file OUTPUT
 *   rfm_file held STORE THREADS -        store file -> RFM scores, every part pulled and looked at
 *
 * Prints the seconds it took in all, then those of its steps. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lapse.h>

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

static lapse_status read_orders(lapse_store *store, const char *path, int32_t threads, lapse_error *error)
{
    lapse_import_options options;

    lapse_import_options_init(&options, sizeof options);
    options.threads = threads;
    return lapse_store_import_file(store, path, &options, NULL, error);
}

static lapse_status score(lapse_store *store, int32_t threads, lapse_result **out, lapse_error *error)
{
    lapse_rfm_options options;
    lapse_view *view = NULL;
    int64_t as_of = 0;
    lapse_status status = lapse_store_default_instant(store, &as_of, error);

    if (status == LAPSE_OK)
        status = lapse_view_open(store, as_of, &view, error);
    lapse_rfm_options_init(&options, sizeof options);
    options.threads = threads;
    if (status == LAPSE_OK)
        status = lapse_view_rfm(view, &options, out, error);
    lapse_view_close(view);
    return status;
}

static lapse_status write_scores(lapse_result *result, const char *path, lapse_error *error)
{
    FILE *file = fopen(path, "wb");
    lapse_status status = file ? lapse_result_write_csv(result, write_file, file, error) : LAPSE_IO;

    if (file && fclose(file) != 0 && status == LAPSE_OK)
        status = LAPSE_IO;
    return status;
}

static lapse_status pull_scores(lapse_result *result, int64_t *rows, lapse_error *error)
{
    lapse_table *table;
    lapse_status status;

    *rows = 0;
    while ((status = lapse_result_next(result, &table, error)) == LAPSE_OK) {
        *rows += lapse_table_rows(table);
        lapse_table_release(table);
    }
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

int main(int count, char **words)
{
    lapse_error error = { .size = sizeof error };
    lapse_store *store = NULL;
    lapse_result *result = NULL;
    int64_t rows = 0;
    int held = count == 5 && strcmp(words[1], "held") == 0;
    int32_t threads = count == 5 ? (int32_t)strtol(words[3], NULL, 10) : 0;
    double begin = now(), opened, scored, ended;
    lapse_status status;

    if (threads < 1 || (!held && strcmp(words[1], "file") != 0)) {
        fputs("usage: rfm_file file FILE THREADS OUTPUT | rfm_file held STORE THREADS -\n", stderr);
        return 2;
    }
    status = lapse_store_open(held ? words[2] : NULL, NULL, &store, &error);
    if (status == LAPSE_OK && !held)
        status = read_orders(store, words[2], threads, &error);
    opened = now();
    if (status == LAPSE_OK)
        status = score(store, threads, &result, &error);
    scored = now();
    if (status == LAPSE_OK)
        status = held ? pull_scores(result, &rows, &error) : write_scores(result, words[4], &error);
    ended = now();
    if (status != LAPSE_OK)
        fprintf(stderr, "rfm_file: %s: %s\n", lapse_status_name(status), error.message);
    else
        printf("%.6f open %.3f score %.3f out %.3f\n", ended - begin, opened - begin, scored - opened,
               ended - scored);
    lapse_result_free(result);
    lapse_store_close(store);
    return status != LAPSE_OK || (held && rows == 0);
}
