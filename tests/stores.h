/* What the suites of stores in files share: a folder, which each suite leaves empty; stores that do not wait for the
 * disk; what they hold, as CSV text; and the file as SQLite sees it. A suite defines _POSIX_C_SOURCE 200809L before
 * this. */
#ifndef TESTS_STORES_H
#define TESTS_STORES_H

#include "help.h"

#include <unistd.h>

#include <sqlite3.h>

#include "store/store.h"

static lapse_allocator mem;

static uint64_t seed = 1;
static inline uint64_t draw(uint64_t below)
{
    return random64(&seed) % below;
}

/* ---- files ------------------------------------------------------------------------------------------------ */

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64], copy_path[64], text_path[64];

static inline int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || lapse_mem_init(&mem, NULL, NULL) != LAPSE_OK)
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    snprintf(copy_path, sizeof copy_path, "%s/copy.lapse", folder);
    snprintf(text_path, sizeof text_path, "%s/a.csv", folder);
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(copy_path);
    unlink(text_path);
    return rmdir(folder); /* and nothing else is left in it */
}

static inline void write_bytes(const char *at, const char *bytes, size_t n)
{
    FILE *f = fopen(at, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static inline lapse_status open_with(const char *at, uint32_t flags, int32_t timeout, lapse_store **out, lapse_error *error)
{
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.sync = LAPSE_SYNC_OFF; /* nobody pulls the plug here */
    o.flags = flags;
    o.timeout_ms = timeout;
    return lapse_store_open(at, &o, out, error);
}

static inline lapse_store *opened(const char *at, uint32_t flags)
{
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    lapse_status status = open_with(at, flags, 5000, &store, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    return store;
}

/* ---- what is in a store ----------------------------------------------------------------------------------- */

/* From the beginning of `out`, whose text is freed by the caller. */
static inline lapse_status write_events(lapse_view *view, struct text *out)
{
    lapse_result *result = NULL;
    *out = (struct text){ 0 };
    lapse_status status = lapse_view_events(view, &result, NULL);
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(result, put_bytes, out, NULL);
    lapse_result_free(result);
    return status;
}

static inline lapse_status export_to(lapse_store *store, struct text *out)
{
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    *out = (struct text){ 0 };
    lapse_status status = lapse_view_open(store, INT64_MAX, &view, NULL);
    if (status == LAPSE_OK)
        status = lapse_view_events(view, &result, NULL);
    lapse_view_close(view); /* before its result */
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(result, put_bytes, out, NULL);
    lapse_result_free(result);
    return status;
}

static inline char *export_of(lapse_store *store)
{
    struct text out;
    assert_int_equal(export_to(store, &out), LAPSE_OK);
    return out.data;
}

static inline void check_export(lapse_store *store, const char *expected)
{
    char *now = export_of(store);
    assert_string_equal(now, expected);
    free(now);
}

static inline void check_export_of(const char *at, const char *expected)
{
    lapse_store *store = opened(at, LAPSE_STORE_READ_ONLY);
    check_export(store, expected);
    lapse_store_close(store);
}

static inline lapse_status verify(lapse_store *store, char *rows, size_t size, lapse_result **out, lapse_error *error)
{
    struct text text = { 0 };
    lapse_status status = lapse_store_verify(store, NULL, out, error);
    assert_true((status == LAPSE_OK || status == LAPSE_DAMAGED) == (*out != NULL));
    if (!*out)
        return status;
    assert_int_equal(lapse_result_write_csv(*out, put_bytes, &text, NULL), LAPSE_OK);
    snprintf(rows, size, "%s", text.data);
    free(text.data);
    assert_int_equal(lapse_result_notes(*out) > 0, status == LAPSE_DAMAGED);
    assert_int_equal(strstr(rows, "ok,1\n") != NULL, status == LAPSE_OK);
    return status;
}

static inline void check_sound(lapse_store *store)
{
    char rows[200];
    lapse_result *report;
    lapse_error error = { .size = sizeof error };
    if (verify(store, rows, sizeof rows, &report, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    lapse_result_free(report);
}

/* ---- the file as SQLite sees it ------------------------------------------------------------------------- */

static inline sqlite3 *raw_open(void)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    return db;
}

static inline void raw(const char *sql)
{
    sqlite3 *db = raw_open();
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

static inline int64_t raw_number(const char *sql)
{
    sqlite3 *db = raw_open();
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return n;
}

#endif
