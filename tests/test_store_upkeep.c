/* Keeping a store in order: format versions, and compacting; what upkeep refuses. What it may not change is compared
 * as the export's bytes. */
#define _POSIX_C_SOURCE 200809L

#include "upkeep.h"

#include <sys/stat.h>
#include <sys/wait.h>

/* ---- format versions ------------------------------------------------------------------------------------- */

static void formats(void **state)
{
    (void)state;
    lapse_store *store = filled(path, 3, 50);
    char *before = export_of(store), sql[64];
    lapse_store_close(store);
    assert_int_equal(raw_number("PRAGMA user_version"), LAPSE_FORMAT);
    static const struct {
        int64_t version;
        lapse_status reading, writing;
    } cases[] = {
        { LAPSE_FORMAT, LAPSE_OK, LAPSE_OK },
        { LAPSE_FORMAT + 1, LAPSE_UNSUPPORTED, LAPSE_UNSUPPORTED },
        { 0x7fff, LAPSE_UNSUPPORTED, LAPSE_UNSUPPORTED },
        { LAPSE_FORMAT + (1 << 16), LAPSE_OK, LAPSE_UNSUPPORTED }, /* one format later a writer would spoil something */
        { LAPSE_FORMAT + 1 + (1 << 16), LAPSE_UNSUPPORTED, LAPSE_UNSUPPORTED },
        { 0, LAPSE_DAMAGED, LAPSE_DAMAGED },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n, m;
        lapse_error error = { .size = sizeof error };
        snprintf(sql, sizeof sql, "PRAGMA user_version = %lld", (long long)cases[i].version);
        raw(sql);
        char *file = bytes_of(path, &n);
        assert_int_equal(open_with(path, 0, 0, &store, &error), cases[i].writing);
        assert_int_equal(store != NULL, cases[i].writing == LAPSE_OK);
        if (cases[i].writing == LAPSE_UNSUPPORTED)
            assert_non_null(strstr(error.message, "newer library"));
        if (cases[i].writing != cases[i].reading)
            assert_non_null(strstr(error.message, "read-only"));
        lapse_store_close(store);
        assert_int_equal(open_with(path, LAPSE_STORE_READ_ONLY, 0, &store, &error), cases[i].reading);
        if (store) {
            check_export(store, before);
            check_sound(store);
        }
        lapse_store_close(store);
        char *after = bytes_of(path, &m); /* opening never upgrades */
        assert_int_equal(n, m);
        if (cases[i].writing != LAPSE_OK) /* else SQLite counts that it went to WAL and back */
            assert_memory_equal(file, after, n);
        free(file);
        free(after);
        assert_int_equal(raw_number("PRAGMA user_version"), cases[i].version);
    }
    raw("PRAGMA user_version = 1");
    free(before);
    unlink(path);
}

/* Everything is written anew, where compacting alone leaves what is one run already. */
static void upgrading(void **state)
{
    (void)state;
    lapse_store *store = filled(path, 4, 300);
    char *before = export_of(store);
    lapse_upkeep_options o;
    lapse_upkeep_options_init(&o, sizeof o);
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
    int64_t id = raw_number("SELECT max(id) FROM run");
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
    assert_int_equal(raw_number("SELECT max(id) FROM run"), id);
    o.flags = LAPSE_COMPACT_UPGRADE;
    assert_int_equal(lapse_store_compact(store, &o, NULL), LAPSE_OK);
    assert_int_equal(raw_number("SELECT min(id) FROM run"), id + 1);
    assert_int_equal(raw_number("PRAGMA user_version"), LAPSE_FORMAT);
    check_export(store, before);
    check_sound(store);
    lapse_store_close(store);
    free(before);
    unlink(path);
}

/* ---- compacting ------------------------------------------------------------------------------------------ */

static void compacting(void **state)
{
    (void)state;
    lapse_store *store = filled(path, 13, 3000);
    char *before = export_of(store);
    lapse_view *view;
    struct host host = { 0 };
    lapse_upkeep_options o = told_by(&host);
    int64_t runs = raw_number("SELECT count(*) FROM run"), pages = raw_number("PRAGMA page_count");
    assert_true(runs > 2);
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_store_compact(store, &o, NULL), LAPSE_OK);
    assert_true(host.asked > 3);
    assert_false(host.backwards);
    assert_int_equal(raw_number("SELECT count(*) FROM run"), 2);
    check_export(store, before);
    check_sound(store);
    int64_t held = raw_number("SELECT count(*) FROM block"); /* the view's too */
    append(store, 99, 10, true);
    struct text seen;
    assert_int_equal(write_events(view, &seen), LAPSE_OK); /* after a compaction and a commit */
    assert_string_equal(seen.data, before);
    free(seen.data);
    lapse_view_close(view);
    char *more = export_of(store);
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
    assert_true(raw_number("SELECT count(*) FROM block") < held);
    assert_int_equal(raw_number("PRAGMA freelist_count"), 0);
    assert_true(raw_number("PRAGMA page_count") < pages);
    check_export(store, more);
    check_sound(store);
    struct stat info;
    char log[80];
    snprintf(log, sizeof log, "%s-wal", path);
    assert_int_equal(stat(log, &info), 0);
    assert_int_equal(info.st_size, 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, raw_number("PRAGMA page_count") * raw_number("PRAGMA page_size"));
    assert_int_equal(info.st_mode & 0777, 0600);
    lapse_store_close(store);
    check_export_of(path, more);
    free(before);
    free(more);
    unlink(path);
}

static void compacting_in_memory(void **state)
{
    (void)state;
    lapse_store *store = filled(NULL, 5, 100);
    char *before = export_of(store);
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
    check_export(store, before);
    check_sound(store);
    append(store, 7, 10, true);
    check_sound(store);
    free(before);
    lapse_store_close(store);
    store = opened(NULL, 0); /* nothing at all */
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
    check_sound(store);
    lapse_store_close(store);
}

/* Whenever the host says stop, nothing is lost, and the next call does the rest. */
static void cancelled_compacting(void **state)
{
    (void)state;
    lapse_status status = LAPSE_CANCELLED;
    for (long n = 1; status == LAPSE_CANCELLED; n++) {
        lapse_store *store = filled(path, 5, 4000);
        char *before = export_of(store);
        struct host host = { .stop_at = n };
        lapse_upkeep_options o = told_by(&host);
        lapse_error error = { .size = sizeof error };
        status = lapse_store_compact(store, &o, &error);
        assert_true(status == LAPSE_OK || (status == LAPSE_CANCELLED && error.status == status));
        assert_true(n > 4 || status == LAPSE_CANCELLED);
        check_export(store, before);
        check_sound(store);
        assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
        assert_int_equal(raw_number("SELECT count(*) FROM run"), 2);
        check_export(store, before);
        lapse_store_close(store);
        check_export_of(path, before);
        free(before);
    }
    assert_int_equal(status, LAPSE_OK);
    unlink(path);
}

static void what_is_refused(void **state)
{
    (void)state;
    lapse_store *store = filled(path, 3, 10), *reader;
    lapse_result *report;
    lapse_error error = { .size = sizeof error };
    lapse_upkeep_options o;
    assert_int_equal(lapse_upkeep_options_init(&o, 4), LAPSE_INVALID);
    lapse_upkeep_options_init(&o, sizeof o);
    o.flags = 1u << 20;
    assert_int_equal(lapse_store_compact(NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_backup(NULL, copy_path, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_backup(store, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_backup(store, "", NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_verify(NULL, NULL, &report, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_verify(store, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_compact(store, &o, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_backup(store, copy_path, &o, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_verify(store, &o, &report, NULL), LAPSE_INVALID);
    assert_null(report);
    o.flags = LAPSE_BACKUP_REPLACE; /* each flag is of one function */
    assert_int_equal(lapse_store_compact(store, &o, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_verify(store, &o, &report, NULL), LAPSE_INVALID);
    o.flags = LAPSE_COMPACT_UPGRADE;
    assert_int_equal(lapse_store_backup(store, copy_path, &o, NULL), LAPSE_INVALID);
    reader = opened(path, LAPSE_STORE_READ_ONLY);
    assert_int_equal(lapse_store_compact(reader, NULL, NULL), LAPSE_READ_ONLY);
    check_sound(reader);
    lapse_store_close(reader);
    lapse_store_close(store);
    /* Another writer is waited for, no longer than asked for. */
    assert_int_equal(open_with(path, 0, 0, &store, NULL), LAPSE_OK);
    sqlite3 *other = raw_open();
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(lapse_store_compact(store, NULL, &error), LAPSE_BUSY);
    check_sound(store);
    sqlite3_close(other);
    assert_int_equal(lapse_store_compact(store, NULL, &error), LAPSE_OK);
    pid_t child = fork();
    if (child == 0)
        _exit(lapse_store_compact(store, NULL, NULL) == LAPSE_FORKED &&
                      lapse_store_backup(store, copy_path, NULL, NULL) == LAPSE_FORKED &&
                      lapse_store_verify(store, NULL, &report, NULL) == LAPSE_FORKED ? 0 : 1);
    int code = -1;
    waitpid(child, &code, 0);
    assert_int_equal(code, 0);
    lapse_store_close(store);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),
        cmocka_unit_test(upgrading),
        cmocka_unit_test(compacting),
        cmocka_unit_test(compacting_in_memory),
        cmocka_unit_test(cancelled_compacting),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests_name("store_upkeep", tests, make_folder, remove_folder);
}
