/* Measurements of a store file, through the public functions of lapse and, for the peer, of SQLite:
 *
 *   store append STORE ORDERS BATCH ROWS THREADS   the first ROWS orders of a file, BATCH a commit, everything kept
 *   store single STORE ORDERS COMMITS      one order a commit, to lapse and to a table of SQLite by turns
 *   store history STORE QUESTIONS          the history of one random customer after the other
 *   store held STORE THREADS               RFM scores of all customers, every part pulled
 *
 * Each prints one line of `name value` pairs; times are seconds, or microseconds where the name ends in _us. Reading
 * the orders is not measured. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lapse.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "store: %s: %s\n", what, why);
    exit(1);
}

static void check(lapse_status status, const lapse_error *error)
{
    if (status != LAPSE_OK)
        die(lapse_status_name(status), error->message);
}

static void *room(size_t bytes)
{
    void *p = malloc(bytes);

    if (!p)
        die("orders", "no memory");
    return p;
}

/* ---- orders, held as the columns that lapse_batch wants -------------------------------------------------- */

struct orders {
    int64_t count;
    char *customers;
    int64_t *offsets, *time, *amount;
};

static struct orders read_orders(const char *path, int64_t most)
{
    FILE *file = fopen(path, "rb");
    struct orders o;
    char line[512];
    size_t used = 0, bytes = (size_t)most * 16 + sizeof line;

    memset(&o, 0, sizeof o);
    o.customers = room(bytes);
    o.offsets = room(((size_t)most + 1) * sizeof *o.offsets);
    o.time = room((size_t)most * sizeof *o.time);
    o.amount = room((size_t)most * sizeof *o.amount);
    o.offsets[0] = 0;
    if (!file || !fgets(line, sizeof line, file))
        die(path, "cannot be read");
    while (o.count < most && fgets(line, sizeof line, file)) {
        char *time = strchr(line, ','), *amount = time ? strchr(time + 1, ',') : NULL, *dot;

        if (!amount)
            die(path, "a line has less than three columns");
        *time++ = *amount++ = 0;
        if (lapse_time_parse(time, 0, NULL, NULL, &o.time[o.count], NULL) != LAPSE_OK)
            die(path, "a time cannot be understood");
        o.amount[o.count] = strtoll(amount, &dot, 10) * 100;
        if (*dot == '.')
            o.amount[o.count] += strtoll(dot + 1, NULL, 10);
        if (used + strlen(line) > bytes)
            die(path, "ids of more than 16 bytes");
        memcpy(o.customers + used, line, strlen(line));
        used += strlen(line);
        o.offsets[++o.count] = (int64_t)used;
    }
    fclose(file);
    return o;
}

static void free_orders(struct orders *o)
{
    free(o->customers);
    free(o->offsets);
    free(o->time);
    free(o->amount);
}

static void append(lapse_store *store, const struct orders *o, int64_t first, int64_t n, int32_t threads)
{
    lapse_batch batch;
    lapse_append_options options;
    lapse_error error = { .size = sizeof error };

    memset(&batch, 0, sizeof batch);
    batch.size = sizeof batch;
    batch.rows = n;
    batch.customer = o->customers;
    batch.customer_offsets = o->offsets + first;
    batch.time = o->time + first;
    batch.amount = o->amount + first;
    lapse_append_options_init(&options, sizeof options);
    options.flags = LAPSE_IMPORT_KEEP_ALL;
    options.threads = threads;
    check(lapse_store_append(store, &batch, &options, NULL, &error), &error);
}

/* ---- what many measurements of one thing are -------------------------------------------------------------- */

static int order_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print_spread(const char *name, double *seconds, int64_t n)
{
    qsort(seconds, (size_t)n, sizeof *seconds, order_doubles);
    printf(" %s_p50_us %.1f %s_p99_us %.1f %s_max_us %.1f", name, seconds[n / 2] * 1e6, name,
           seconds[(int64_t)((double)(n - 1) * 0.99)] * 1e6, name, seconds[n - 1] * 1e6);
}

static double sum(const double *seconds, int64_t n)
{
    double all = 0;

    for (int64_t i = 0; i < n; i++)
        all += seconds[i];
    return all;
}

/* ---- the measurements ---------------------------------------------------------------------------------------- */

static void run_append(const char *path, const char *file, int64_t batch, int64_t rows, int32_t threads)
{
    struct orders o = read_orders(file, rows);
    int64_t commits = (o.count + batch - 1) / batch;
    double *seconds = room((size_t)commits * sizeof *seconds), begin, all;
    lapse_store_options options;
    lapse_store *store;
    lapse_error error = { .size = sizeof error };

    lapse_store_options_init(&options, sizeof options);
    if (batch >= rows)
        options.memory_limit = INT64_C(4) << 30; /* so that all of it becomes one run */
    check(lapse_store_open(path, &options, &store, &error), &error);
    begin = now();
    for (int64_t i = 0; i < commits; i++) {
        double start = now();

        append(store, &o, i * batch, o.count - i * batch < batch ? o.count - i * batch : batch, threads);
        seconds[i] = now() - start;
    }
    all = now() - begin;
    printf("%.6f rows %" PRId64, all, o.count);
    print_spread("commit", seconds, commits);
    printf("\n");
    lapse_store_close(store);
    free(seconds);
    free_orders(&o);
}

struct peer {
    sqlite3 *db;
    sqlite3_stmt *insert;
};

static struct peer open_peer(const char *path)
{
    char name[4096];
    struct peer p;

    snprintf(name, sizeof name, "%s.sqlite", path);
    if (sqlite3_open(name, &p.db) != SQLITE_OK ||
        sqlite3_exec(p.db,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                     "CREATE TABLE IF NOT EXISTS event(customer TEXT NOT NULL, time INTEGER NOT NULL, kind INTEGER "
                     "NOT NULL, amount INTEGER)", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v3(p.db, "INSERT INTO event VALUES(?, ?, ?, ?)", -1, SQLITE_PREPARE_PERSISTENT, &p.insert,
                           NULL) != SQLITE_OK)
        die(name, sqlite3_errmsg(p.db));
    return p;
}

static void append_to_peer(const struct peer *p, const struct orders *o, int64_t i)
{
    sqlite3_bind_text(p->insert, 1, o->customers + o->offsets[i], (int)(o->offsets[i + 1] - o->offsets[i]),
                      SQLITE_STATIC);
    sqlite3_bind_int64(p->insert, 2, o->time[i]);
    sqlite3_bind_int64(p->insert, 3, LAPSE_KIND_ORDER_PLACED);
    sqlite3_bind_int64(p->insert, 4, o->amount[i]);
    if (sqlite3_step(p->insert) != SQLITE_DONE || sqlite3_reset(p->insert) != SQLITE_OK)
        die("SQLite", sqlite3_errmsg(p->db));
}

/* By turns of 100 commits, so that what disturbs the machine meets both. */
static void run_single(const char *path, const char *file, int64_t commits)
{
    struct orders o = read_orders(file, commits);
    double *ours = room((size_t)commits * sizeof *ours), *theirs = room((size_t)commits * sizeof *theirs);
    struct peer peer = open_peer(path);
    lapse_store *store;
    lapse_error error = { .size = sizeof error };

    check(lapse_store_open(path, NULL, &store, &error), &error);
    for (int64_t from = 0; from < o.count; from += 100) {
        int64_t to = from + 100 < o.count ? from + 100 : o.count;

        for (int64_t i = from; i < to; i++) {
            double start = now();

            append(store, &o, i, 1, 1);
            ours[i] = now() - start;
        }
        for (int64_t i = from; i < to; i++) {
            double start = now();

            append_to_peer(&peer, &o, i);
            theirs[i] = now() - start;
        }
    }
    printf("%.6f commits %" PRId64 " rate_of_sqlite %.3f", sum(ours, o.count), o.count,
           sum(theirs, o.count) / sum(ours, o.count));
    print_spread("commit", ours, o.count);
    print_spread("sqlite", theirs, o.count);
    printf("\n");
    lapse_store_close(store);
    sqlite3_finalize(peer.insert);
    sqlite3_close(peer.db);
    free(ours);
    free(theirs);
    free_orders(&o);
}

/* Customers are those of make_orders: C and seven digits. Every answer is read; one customer in some has no events. */
static void run_history(const char *path, int64_t customers, int64_t questions)
{
    double *seconds = room((size_t)questions * sizeof *seconds);
    int64_t events = 0, found = 0, as_of;
    uint64_t random = 1;
    lapse_store_options options;
    lapse_store *store;
    lapse_view *view;
    lapse_error error = { .size = sizeof error };

    lapse_store_options_init(&options, sizeof options);
    options.flags = LAPSE_STORE_READ_ONLY;
    check(lapse_store_open(path, &options, &store, &error), &error);
    check(lapse_store_default_instant(store, &as_of, &error), &error);
    check(lapse_view_open(store, as_of, &view, &error), &error);
    for (int64_t i = -questions; i < questions; i++) { /* the first half warms up */
        char customer[16];
        lapse_result *result;
        lapse_table *table;
        double start = now();
        lapse_status status;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        snprintf(customer, sizeof customer, "C%07u", (unsigned)((int64_t)(random >> 33) % customers));
        status = lapse_view_history(view, customer, &result, &error);
        if (status == LAPSE_OK) {
            while ((status = lapse_result_next(result, &table, &error)) == LAPSE_OK) {
                events += i >= 0 ? lapse_table_rows(table) : 0;
                lapse_table_release(table);
            }
            lapse_result_free(result);
            found += i >= 0;
        }
        if (status != LAPSE_DONE && status != LAPSE_NOT_FOUND)
            check(status, &error);
        if (i >= 0)
            seconds[i] = now() - start;
    }
    printf("%.6f questions %" PRId64 " found %" PRId64 " events %" PRId64, sum(seconds, questions), questions, found,
           events);
    print_spread("history", seconds, questions);
    printf("\n");
    lapse_view_close(view);
    lapse_store_close(store);
    free(seconds);
}

static void run_held(const char *path, int32_t threads)
{
    double begin = now();
    int64_t as_of, rows = 0;
    lapse_rfm_options options;
    lapse_store *store;
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    lapse_status status;
    lapse_error error = { .size = sizeof error };

    check(lapse_store_open(path, NULL, &store, &error), &error);
    check(lapse_store_default_instant(store, &as_of, &error), &error);
    check(lapse_view_open(store, as_of, &view, &error), &error);
    lapse_rfm_options_init(&options, sizeof options);
    options.threads = threads;
    check(lapse_view_rfm(view, &options, &result, &error), &error);
    while ((status = lapse_result_next(result, &table, &error)) == LAPSE_OK) {
        rows += lapse_table_rows(table);
        lapse_table_release(table);
    }
    if (status != LAPSE_DONE)
        check(status, &error);
    printf("%.6f customers %" PRId64 "\n", now() - begin, rows);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store_close(store);
}

int main(int count, char **words)
{
    const char *what = count > 2 ? words[1] : "";

    if (strcmp(what, "append") == 0 && count == 7 && atoll(words[4]) > 0)
        run_append(words[2], words[3], atoll(words[4]), atoll(words[5]), (int32_t)atoll(words[6]));
    else if (strcmp(what, "single") == 0 && count == 5 && atoll(words[4]) > 0)
        run_single(words[2], words[3], atoll(words[4]));
    else if (strcmp(what, "history") == 0 && count == 5 && atoll(words[3]) > 0 && atoll(words[4]) > 0)
        run_history(words[2], atoll(words[3]), atoll(words[4]));
    else if (strcmp(what, "held") == 0 && count == 4)
        run_held(words[2], (int32_t)atoll(words[3]));
    else {
        fputs("usage: store append STORE ORDERS BATCH ROWS THREADS | single STORE ORDERS COMMITS | history STORE CUSTOMERS QUESTIONS | "
              "held STORE THREADS\n", stderr);
        return 2;
    }
    return 0;
}
