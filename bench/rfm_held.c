/* Measurements of lapse for rfm.py; each prints seconds first.
 *
 *   rfm_held draw COUNT FILE                  values of COUNT customers: three arrays of int64_t, end to end
 *   rfm_held arrays FILE THREADS RULE [OUT]   all of them scored, RULE quantile, ntile or rfm-r; scores to OUT, a byte each
 *   rfm_held one FILE                         one after another scored by cuts that were saved
 *   rfm_held stream STORE THREADS             open store -> RFM of the day after the last event, every part pulled
 *   rfm_held month STORE THREADS              the same as of 2024-01-01, a past month end
 *   rfm_held months STORE THREADS             the same as of 24 month ends, 2023-02-01 to 2025-01-01 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lapse.h>

#define FROM INT64_C(1672531200000000) /* 2023-01-01 */
#define PAST INT64_C(1704067200000000) /* 2024-01-01 */
#define TO   INT64_C(1735689600000000) /* 2025-01-01 */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t draw(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 24;
}

/* Few orders are many, amounts have a long tail. */
static int run_draw(int64_t count, const char *path)
{
    FILE *file = fopen(path, "wb");
    uint64_t seed = 1;
    int failed = !file;

    for (int axis = 0; axis < 3 && !failed; axis++) {
        for (int64_t i = 0; i < count && !failed; i++) {
            uint64_t n = draw(&seed);
            int64_t value = (int64_t)(n % 1000);

            if (axis == 1)
                for (value = 1; n & 1; n >>= 1)
                    value++;
            if (axis == 2)
                value = (int64_t)(draw(&seed) % (UINT64_C(1) << (8 + n % 16)));
            failed = fwrite(&value, sizeof value, 1, file) != 1;
        }
    }
    return (file && fclose(file) != 0) || failed;
}

static int64_t *read_arrays(const char *path, lapse_rfm_values *values)
{
    FILE *file = fopen(path, "rb");
    int64_t *all = NULL;
    long size = 0;

    if (file && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 && (all = malloc((size_t)size)) != NULL) {
        rewind(file);
        if (fread(all, 1, (size_t)size, file) != (size_t)size) {
            free(all);
            all = NULL;
        }
    }
    if (file)
        fclose(file);
    values->size = sizeof *values;
    values->digits = 2;
    values->count = (int64_t)size / 24;
    values->recency = all;
    values->frequency = all ? all + values->count : NULL;
    values->monetary = all ? all + 2 * values->count : NULL;
    return all;
}

static lapse_status score_arrays(const char *path, int32_t threads, const char *rule, const char *target,
                                 lapse_error *error)
{
    lapse_rfm_values values;
    int64_t *all = read_arrays(path, &values);
    uint8_t *scores = all ? calloc((size_t)values.count, 3) : NULL;
    lapse_rfm_options options;
    lapse_status status = LAPSE_NO_MEMORY;
    double begin;

    lapse_rfm_options_init(&options, sizeof options);
    options.threads = threads;
    options.cuts = strcmp(rule, "ntile") == 0   ? LAPSE_CUTS_NTILE
                   : strcmp(rule, "rfm-r") == 0 ? LAPSE_CUTS_RFM_R
                                                : LAPSE_CUTS_QUANTILE;
    begin = now();
    if (scores)
        status = lapse_rfm_score(&values, &options, NULL, scores, scores + values.count, scores + 2 * values.count, error);
    if (status == LAPSE_OK) {
        double seconds = now() - begin;
        FILE *file = target ? fopen(target, "wb") : NULL;

        printf("%.6f %.1f ns a customer\n", seconds, seconds * 1e9 / (double)values.count);
        if (target && (!file || fwrite(scores, 3, (size_t)values.count, file) != (size_t)values.count))
            status = LAPSE_IO;
        if (file && fclose(file) != 0)
            status = LAPSE_IO;
    }
    free(scores);
    free(all);
    return status;
}

static lapse_status score_one_by_one(const char *path, lapse_error *error)
{
    lapse_rfm_values values;
    int64_t *all = read_arrays(path, &values);
    uint8_t *scores = all ? calloc((size_t)values.count, 3) : NULL;
    lapse_cuts cuts = { .size = sizeof cuts };
    lapse_rfm_options options;
    lapse_status status = LAPSE_NO_MEMORY;
    int64_t differ = 0;
    double begin, seconds;

    lapse_rfm_options_init(&options, sizeof options);
    options.made = &cuts;
    if (scores)
        status = lapse_rfm_score(&values, &options, NULL, scores, scores + values.count, scores + 2 * values.count, error);
    begin = now();
    for (int64_t i = 0; i < values.count && status == LAPSE_OK; i++) {
        int32_t s[3];

        status = lapse_cuts_score(&cuts, values.recency[i], values.frequency[i], values.monetary[i], s);
        differ += s[0] != scores[i] || s[1] != scores[values.count + i] || s[2] != scores[2 * values.count + i];
    }
    seconds = now() - begin;
    if (status == LAPSE_OK)
        printf("%.6f %.1f ns a customer\n", seconds, seconds * 1e9 / (double)values.count);
    if (differ)
        status = LAPSE_DAMAGED;
    free(scores);
    free(all);
    return status;
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

static lapse_status ask_store(const char *mode, const char *path, int32_t threads, lapse_error *error)
{
    lapse_rfm_options options;
    lapse_store *store = NULL;
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    int64_t as_of = strcmp(mode, "month") == 0 ? PAST : TO, rows = 0;
    lapse_status status = lapse_store_open(path, NULL, &store, error);
    double begin = now();

    lapse_rfm_options_init(&options, sizeof options);
    options.threads = threads;
    if (strcmp(mode, "months") == 0) {
        options.every = LAPSE_EVERY_MONTH;
        options.from = FROM;
    }
    if (status == LAPSE_OK && strcmp(mode, "stream") == 0)
        status = lapse_store_default_instant(store, &as_of, error);
    if (status == LAPSE_OK)
        status = lapse_view_open(store, as_of, &view, error);
    if (status == LAPSE_OK)
        status = lapse_view_rfm(view, &options, &result, error);
    if (status == LAPSE_OK)
        status = pull(result, &rows, error);
    if (status == LAPSE_OK)
        printf("%.6f %lld rows\n", now() - begin, (long long)rows);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store_close(store);
    return status;
}

int main(int count, char **words)
{
    lapse_error error = { .size = sizeof error };
    const char *mode = count > 2 ? words[1] : "";
    int32_t threads = count > 3 ? (int32_t)strtol(words[3], NULL, 10) : 1;
    lapse_status status;

    if (strcmp(mode, "draw") == 0 && count == 4)
        return run_draw(strtoll(words[2], NULL, 10), words[3]);
    if (strcmp(mode, "arrays") == 0 && count > 4)
        status = score_arrays(words[2], threads, words[4], count > 5 ? words[5] : NULL, &error);
    else if (strcmp(mode, "one") == 0)
        status = score_one_by_one(words[2], &error);
    else if (count == 4 && (strcmp(mode, "stream") == 0 || strncmp(mode, "month", 5) == 0))
        status = ask_store(mode, words[2], threads, &error);
    else {
        fputs("usage: see the beginning of bench/rfm_held.c\n", stderr);
        return 2;
    }
    if (status != LAPSE_OK)
        fprintf(stderr, "rfm_held: %s: %s\n", lapse_status_name(status), error.message);
    return status != LAPSE_OK;
}
