/* Failing allocations of SQLite, whose memory does not come from the store's allocator: each allocation that an
 * operation makes inside SQLite fails once, and from it on for good. SQLite gets over many failures by itself. What is
 * told must be true: LAPSE_OK for the whole, LAPSE_NO_MEMORY for nothing of it; the handle goes on after a failure, and
 * the file holds the same when it is opened again. A program of its own: SQLite's allocator is that of the process. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <lapse.h>

#include "store/store.h"

/* ---- SQLite's allocator ------------------------------------------------------------------------------------- */

static sqlite3_mem_methods system_memory;
static struct {
    long count, fail_at; /* 0: none fails */
    bool for_good, fired;
} hook;

static bool refuse(void)
{
    long n = ++hook.count;
    bool failing = hook.fail_at && (n == hook.fail_at || (hook.for_good && n > hook.fail_at));
    hook.fired |= failing;
    return failing;
}

static void *hook_malloc(int bytes)
{
    return refuse() ? NULL : system_memory.xMalloc(bytes);
}

static void *hook_realloc(void *memory, int bytes)
{
    return refuse() ? NULL : system_memory.xRealloc(memory, bytes);
}

static void fail_from(long n, bool for_good)
{
    hook.fired = false;
    hook.for_good = for_good;
    hook.fail_at = n ? hook.count + n : 0;
}

/* ---- stores --------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64];

static lapse_status open_store(const char *at, lapse_store **out)
{
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.memory_limit = 16 << 20;
    o.sync = LAPSE_SYNC_OFF;
    return lapse_store_open(at, &o, out, NULL);
}

struct text {
    char data[8000];
    size_t size;
};

static int32_t add_bytes(void *user, const char *bytes, int64_t size)
{
    struct text *t = user;
    assert_true(t->size + (size_t)size < sizeof t->data);
    memcpy(t->data + t->size, bytes, (size_t)size);
    t->size += (size_t)size;
    t->data[t->size] = 0;
    return 0;
}

/* All events as CSV. */
static lapse_status export_to(lapse_store *store, struct text *out)
{
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    *out = (struct text){ "", 0 };
    lapse_status status = lapse_view_open(store, INT64_MAX, &view, NULL);
    if (status == LAPSE_OK)
        status = lapse_view_events(view, &result, NULL);
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(result, add_bytes, out, NULL);
    lapse_result_free(result);
    lapse_view_close(view);
    return status;
}

static void check_store(lapse_store *store, const struct text *expected)
{
    static struct text now;
    assert_int_equal(export_to(store, &now), LAPSE_OK);
    assert_string_equal(now.data, expected->data);
}

static int64_t read_text(void *user, char *buffer, int64_t capacity)
{
    const char **at = user;
    size_t n = strlen(*at);
    assert_true((int64_t)n <= capacity);
    memcpy(buffer, *at, n);
    *at += n;
    return (int64_t)n;
}

static lapse_status import_text(lapse_store *store, const char *text)
{
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_store_import_stream(store, read_text, &text, NULL, NULL, &error);
    if (status != LAPSE_OK && status != LAPSE_NO_MEMORY)
        print_error("%s: %s\n", lapse_status_name(status), error.message);
    return status;
}

static const char *const files[] = {
    "customer,time,amount,event_id\nann,2024-01-01,1.50,1\nbob,2024-01-02,2,2\ncat,2024-02-01,3,3\n",
    "customer,time,amount\nann,2024-03-01,4\ndan,2024-01-02,5\n",
    "customer,time,amount,event_id\nann,2024-01-01,1.50,1\neve,2024-01-05,9,4\n",
    "customer,time,kind,ref\nbob,2024-05-01,order.refunded,x\n",
    "customer,time,kind,reason\nbob,2024-05-01,case.opened,why\n",
    "customer,time,kind,reason,event_id\nfay,2024-05-01,case.opened,why,7\n",
    "customer,time\ngil,2024-01-01\n", "customer,time\nhal,2024-01-01\n", "customer,time\nivy,2024-01-01\n",
    "customer,time\njim,2024-01-01\n", "customer,time\nkim,2024-01-01\n",
};
enum { FILES = sizeof files / sizeof files[0] };

/* ---- the loops -------------------------------------------------------------------------------------------------- */

static lapse_store *opened(const char *at)
{
    lapse_store *store;
    assert_int_equal(open_store(at, &store), LAPSE_OK);
    return store;
}

/* Imports one file after the other into one store, each with every failure. */
static void import_all(const char *at, bool for_good)
{
    static struct text before, after;
    lapse_store *store = opened(at);
    for (size_t i = 0; i < FILES; i++) {
        bool fired = true;
        assert_int_equal(export_to(store, &before), LAPSE_OK);
        for (long n = 1; fired; n++) {
            fail_from(n, for_good);
            lapse_status status = import_text(store, files[i]);
            fired = hook.fired;
            fail_from(0, false);
            if (status == LAPSE_OK) {
                assert_int_equal(export_to(store, &after), LAPSE_OK);
                assert_true(after.size > before.size);
                before = after;
                break;
            }
            assert_int_equal(status, LAPSE_NO_MEMORY);
            check_store(store, &before);
            if (at && n % 5 == 0) { /* and what is in the file */
                lapse_store_close(store);
                store = opened(at);
                check_store(store, &before);
            }
        }
        assert_int_equal(import_text(store, files[i]), LAPSE_OK); /* nothing new: all of it is there */
        check_store(store, &before);
    }
    assert_non_null(strstr(before.data, "\nkim,"));
    lapse_store_close(store);
    if (at) {
        store = opened(at);
        check_store(store, &before);
        lapse_store_close(store);
        unlink(at);
    }
}

static void importing(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        import_all(NULL, for_good);
        import_all(path, for_good);
    }
}

/* A commit that folds or merges: what fails in that changes nothing of what it stores, whatever it is. */
static void merging(void **state)
{
    static struct text before, after;
    (void)state;
    for (int way = 0; way < 4; way++) {
        bool fired = true, for_good = way % 2;
        for (long n = 1; fired; n += 3) {
            lapse_store *store = opened(path);
            store->limits.tail_runs = FILES - 1;    /* folds the tail, */
            store->limits.runs = FILES - 2;         /* or merges runs */
            store->limits.small = way < 2 ? 100 : 1;
            for (int i = 0; i < FILES - 1; i++)
                assert_int_equal(import_text(store, files[i]), LAPSE_OK);
            assert_int_equal(export_to(store, &before), LAPSE_OK);
            fail_from(n, for_good);
            lapse_status status = import_text(store, files[FILES - 1]);
            fired = hook.fired;
            fail_from(0, false);
            assert_int_equal(export_to(store, &after), LAPSE_OK);
            assert_int_equal(status, strcmp(after.data, before.data) ? LAPSE_OK : LAPSE_NO_MEMORY);
            assert_int_equal(import_text(store, "customer,time\nzoe,2024-01-01\n"), LAPSE_OK);
            assert_int_equal(export_to(store, &after), LAPSE_OK);
            lapse_store_close(store);
            store = opened(path);
            check_store(store, &after);
            lapse_store_close(store);
            unlink(path);
        }
    }
}

static void opening_and_asking(void **state)
{
    static struct text before, now;
    (void)state;
    lapse_store *store = opened(path);
    for (int i = 0; i < FILES; i++)
        assert_int_equal(import_text(store, files[i]), LAPSE_OK);
    assert_int_equal(export_to(store, &before), LAPSE_OK);
    lapse_store_close(store);
    for (int for_good = 0; for_good < 2; for_good++) {
        bool fired = true;
        for (long n = 1; fired; n++) {
            fail_from(n, for_good);
            lapse_status status = open_store(path, &store);
            if (status == LAPSE_OK)
                status = export_to(store, &now);
            fired = hook.fired;
            lapse_store_close(store); /* while memory is short */
            fail_from(0, false);
            if (status == LAPSE_OK)
                assert_string_equal(now.data, before.data);
            else if (status != LAPSE_NO_MEMORY)
                print_error("allocation %ld: %s\n", n, lapse_status_name(status));
            assert_true(status == LAPSE_OK || status == LAPSE_NO_MEMORY);
        }
    }
    store = opened(path);
    check_store(store, &before);
    lapse_store_close(store);
    unlink(path);
}

/* A new file: what a failed attempt leaves is made a store by the next one. */
static void making(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        bool fired = true;
        for (long n = 1; fired; n++) {
            lapse_store *store;
            fail_from(n, for_good);
            lapse_status status = open_store(path, &store);
            fired = hook.fired;
            lapse_store_close(store);
            fail_from(0, false);
            assert_true(status == LAPSE_OK || status == LAPSE_NO_MEMORY);
            store = opened(path);
            assert_int_equal(import_text(store, files[0]), LAPSE_OK);
            lapse_store_close(store);
            unlink(path);
        }
    }
}

static lapse_status back_up(lapse_store *store)
{
    lapse_status status = lapse_store_backup(store, "copy.lapse", NULL, NULL);
    assert_int_equal(unlink("copy.lapse") == 0, status == LAPSE_OK);
    return status;
}

static lapse_status verify(lapse_store *store)
{
    lapse_result *report;
    lapse_status status = lapse_store_verify(store, NULL, &report, NULL);
    assert_int_equal(report != NULL, status == LAPSE_OK);
    lapse_result_free(report);
    return status;
}

static lapse_status compact(lapse_store *store)
{
    return lapse_store_compact(store, NULL, NULL);
}

/* Copies, verifying and compacting: each failure is told as what it is, and the store holds what it held. */
static void upkeep(void **state)
{
    static struct text before;
    static lapse_status (*const tasks[])(lapse_store *store) = { back_up, verify, compact };
    (void)state;
    for (size_t t = 0; t < sizeof tasks / sizeof tasks[0]; t++)
        for (int for_good = 0; for_good < 2; for_good++) {
            bool fired = true;
            for (long n = 1; fired; n += n < 20 ? 1 : 7) {
                lapse_store *store = opened(path);
                for (int i = 0; i < 4; i++)
                    assert_int_equal(import_text(store, files[i]), LAPSE_OK);
                assert_int_equal(export_to(store, &before), LAPSE_OK);
                fail_from(n, for_good);
                lapse_status status = tasks[t](store);
                fired = hook.fired;
                fail_from(0, false);
                if (status != LAPSE_OK && status != LAPSE_NO_MEMORY)
                    print_error("task %zu, allocation %ld: %s\n", t, n, lapse_status_name(status));
                assert_true(status == LAPSE_OK || (fired && status == LAPSE_NO_MEMORY));
                check_store(store, &before);
                assert_int_equal(compact(store), LAPSE_OK);
                assert_int_equal(verify(store), LAPSE_OK);
                lapse_store_close(store);
                store = opened(path);
                check_store(store, &before);
                lapse_store_close(store);
                unlink(path);
            }
        }
}

/* ---- all of it -------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    sqlite3_mem_methods ours;
    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory) != SQLITE_OK)
        return 1;
    ours = system_memory;
    ours.xMalloc = hook_malloc;
    ours.xRealloc = hook_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK || !mkdtemp(folder) || chdir(folder) != 0)
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(importing),
        cmocka_unit_test(merging),
        cmocka_unit_test(opening_and_asking),
        cmocka_unit_test(making),
        cmocka_unit_test(upkeep),
    };
    return cmocka_run_group_tests_name("memory_sqlite", tests, set_up, tear_down);
}
