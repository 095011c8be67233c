/* Several processes at one store, each of them real: a writer that is waited for, handles that went through fork, runs that
 * another process took away, writers that are killed while others read. Pipes decide what comes after what. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "deeds.h"
#include "store/store.h"

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64], copy_path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    snprintf(copy_path, sizeof copy_path, "%s/copy.lapse", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* each test leaves nothing, no log either */
}

static lapse_status open_with(uint32_t flags, int32_t timeout, lapse_store **out)
{
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.flags = flags;
    o.timeout_ms = timeout;
    o.sync = LAPSE_SYNC_OFF; /* nobody pulls the plug here */
    return lapse_store_open(path, &o, out, NULL);
}

static lapse_store *opened(uint32_t flags)
{
    lapse_store *store;
    assert_int_equal(open_with(flags, 5000, &store), LAPSE_OK);
    return store;
}

/* How many rows the store shows; -1: it cannot. */
static int rows_of(lapse_store *store)
{
    struct text t = { 0 };
    int n = deeds_export(store, &t) == LAPSE_OK ? -1 : -2;
    for (size_t i = 0; n > -2 && i < t.size; i++)
        n += t.data[i] == '\n';
    free(t.data);
    return n < -1 ? -1 : n;
}

static void check_sound(lapse_store *store)
{
    lapse_error error = { .size = sizeof error };
    if (deeds_verify(store, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
}

/* ---- processes ---------------------------------------------------------------------------------------------------- */

struct child {
    pid_t pid;
    int tell, hear; /* of this process; the child has the other ends */
};

static void say(int fd)
{
    if (write(fd, "x", 1) != 1)
        _exit(99);
}

static void wait_for(int fd)
{
    char c;
    if (read(fd, &c, 1) != 1)
        _exit(98);
}

/* Runs `what` in a child, which ends with what that returns: 0 is good. */
static struct child start(int (*what)(int hear, int tell))
{
    int down[2], up[2];
    assert_int_equal(pipe(down), 0);
    assert_int_equal(pipe(up), 0);
    struct child c = { fork(), down[1], up[0] };
    if (c.pid == 0) {
        close(down[1]);
        close(up[0]);
        _exit(what(down[0], up[1]));
    }
    close(down[0]);
    close(up[1]);
    return c;
}

static void end(struct child *c, int expected) /* -1: killed */
{
    int code = 0;
    assert_int_equal(waitpid(c->pid, &code, 0), c->pid);
    if (expected < 0)
        assert_true(WIFSIGNALED(code));
    else
        assert_int_equal(code, expected << 8);
    close(c->tell);
    close(c->hear);
}

/* ---- a writer that takes its time: its transaction is open while it reads ------------------------------------------- */

struct slow {
    int hear, tell, ms, part;
};

/* One row, then a wait until somebody speaks, or for `ms`, then another row. */
static int64_t read_slowly(void *user, char *buffer, int64_t capacity)
{
    static const char *const parts[] = { "customer,time,event_id\nslow,2024-01-01,1\n", "slow,2024-01-02,2\n", "" };
    struct slow *s = user;
    (void)capacity;
    if (s->part == 1) {
        say(s->tell);
        if (s->ms) {
            struct timespec wait = { 0, s->ms * 1000000L };
            nanosleep(&wait, NULL);
        } else {
            wait_for(s->hear);
        }
    }
    const char *part = parts[s->part < 2 ? s->part++ : 2];
    memcpy(buffer, part, strlen(part));
    return (int64_t)strlen(part);
}

static int import_slowly(int hear, int tell, int ms)
{
    lapse_store *store;
    struct slow slow = { hear, tell, ms, 0 };
    lapse_status status = open_with(0, 5000, &store);
    say(tell);
    wait_for(hear);
    if (status == LAPSE_OK)
        status = lapse_store_import_stream(store, read_slowly, &slow, NULL, NULL, NULL);
    lapse_store_close(store);
    return (int)status;
}

static int import_when_told(int hear, int tell)
{
    return import_slowly(hear, tell, 0);
}

static int import_soon(int hear, int tell)
{
    return import_slowly(hear, tell, 300);
}

/* The child has opened the store, does `between` happen, and then is in its transaction. */
static struct child start_import(int (*what)(int hear, int tell), lapse_store *between)
{
    struct child c = start(what);
    wait_for(c.hear);
    if (between) { /* a block without a run, as a crash leaves it: who opens next wants to remove it */
        int64_t id;
        assert_int_equal(lapse_file_begin(between->file, NULL), LAPSE_OK);
        assert_int_equal(lapse_file_put_block(between->file, "left", 4, &id, NULL), LAPSE_OK);
        assert_int_equal(lapse_file_commit(between->file, NULL), LAPSE_OK);
    }
    say(c.tell);
    wait_for(c.hear);
    return c;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A second writer gets LAPSE_BUSY when it has waited as long as it wanted, and nothing of it is there; readers go on. */
static void busy(void **state)
{
    static const int32_t timeouts[] = { 0, 150 };
    (void)state;
    lapse_store *store = opened(0);
    assert_int_equal(deed_append(store, 1, 10), LAPSE_OK);
    struct child c = start_import(import_when_told, store);
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        lapse_store *other;
        lapse_store_options o;
        lapse_error error = { .size = sizeof error };
        lapse_store_options_init(&o, sizeof o);
        o.timeout_ms = timeouts[i];
        double before = seconds();
        assert_int_equal(lapse_store_open(path, &o, &other, &error), LAPSE_OK); /* what is left is removed another time */
        assert_int_equal(error.status, LAPSE_OK);
        assert_int_equal(error.message[0], 0);
        assert_int_equal(deed_append(other, 2, 10), LAPSE_BUSY);
        assert_int_equal(deed_import(other, 2, 10), LAPSE_BUSY);
        assert_int_equal(deed_compact(other, 0), LAPSE_BUSY);
        assert_true(seconds() - before >= 3 * timeouts[i] / 1000.0 * 0.9);
        assert_int_equal(rows_of(other), 10);
        assert_int_equal(deed_backup(other, copy_path, LAPSE_BACKUP_REPLACE), LAPSE_OK);
        check_sound(other);
        lapse_store_close(other);
    }
    say(c.tell);
    end(&c, 0);
    assert_int_equal(rows_of(store), 12);
    assert_int_equal(deed_append(store, 2, 10), LAPSE_OK);
    assert_int_equal(rows_of(store), 22);
    lapse_store_close(store);
    unlink(copy_path);
    unlink(path);
}

static void waiting(void **state)
{
    (void)state;
    lapse_store *store = opened(0);
    struct child c = start_import(import_soon, NULL);
    assert_int_equal(deed_append(store, 1, 10), LAPSE_OK); /* within the five seconds of opened() */
    end(&c, 0);
    assert_int_equal(rows_of(store), 12);
    check_sound(store);
    lapse_store_close(store);
    unlink(path);
}

/* ---- fork ------------------------------------------------------------------------------------------------------------ */

static lapse_store *inherited;
static lapse_view *inherited_view;
static lapse_result *inherited_result;

/* Everything that is asked of a handle from before fork; the number of the first answer that is not LAPSE_FORKED. */
static int use_inherited(int hear, int tell)
{
    int64_t when;
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    lapse_table *table = NULL;
    lapse_error error = { .size = sizeof error };
    (void)hear;
    (void)tell;
    const lapse_status answers[] = {
        deed_append(inherited, 7, 3),
        deed_import(inherited, 7, 3),
        deed_compact(inherited, 0),
        deed_backup(inherited, copy_path, 0),
        deeds_verify(inherited, NULL),
        lapse_store_info(inherited, &result, NULL),
        lapse_store_default_instant(inherited, &when, NULL),
        lapse_view_open(inherited, INT64_MAX, &view, NULL),
        lapse_view_events(inherited_view, &result, NULL),
        lapse_view_history(inherited_view, "c1", &result, NULL),
        lapse_view_rfm(inherited_view, NULL, &result, NULL),
        lapse_result_next(inherited_result, &table, &error),
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (answers[i] != LAPSE_FORKED)
            return (int)i + 1;
    if (!strstr(error.message, "fork"))
        return 50;
    /* What is freed here stays as it is for the parent. */
    lapse_result_free(inherited_result);
    lapse_view_close(inherited_view);
    lapse_store_close(inherited);
    lapse_store *store;
    if (open_with(0, 5000, &store) != LAPSE_OK || deed_append(store, 8, 4) != LAPSE_OK)
        return 51;
    lapse_store_close(store);
    return 0;
}

static void forked(void **state)
{
    (void)state;
    inherited = opened(0);
    assert_int_equal(deed_import(inherited, 1, 30), LAPSE_OK);
    assert_int_equal(lapse_view_open(inherited, INT64_MAX, &inherited_view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_events(inherited_view, &inherited_result, NULL), LAPSE_OK);
    struct child c = start(use_inherited);
    end(&c, 0);
    struct text t = { 0 };
    assert_int_equal(lapse_result_write_csv(inherited_result, text_add, &t, NULL), LAPSE_OK);
    free(t.data);
    lapse_result_free(inherited_result);
    lapse_view_close(inherited_view);
    assert_int_equal(deed_append(inherited, 9, 5), LAPSE_OK);
    assert_int_equal(rows_of(inherited), 39);
    check_sound(inherited);
    lapse_store_close(inherited);
    unlink(path);
}

/* ---- runs that are gone ------------------------------------------------------------------------------------------------ */

static lapse_status pull(lapse_view *view)
{
    lapse_result *result = NULL;
    struct text t = { 0 };
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_view_events(view, &result, &error);
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(result, text_add, &t, &error);
    lapse_result_free(result);
    free(t.data);
    return status == error.status ? status : LAPSE_INVALID;
}

/* Holds a view while another process rewrites what it reads; then it is stale, says so each time, and a new one is not. */
static int read_stale(int hear, int tell)
{
    lapse_store *store;
    lapse_view *view;
    lapse_result *result;
    if (open_with(LAPSE_STORE_READ_ONLY, 0, &store) != LAPSE_OK || rows_of(store) != 40 ||
        lapse_view_open(store, INT64_MAX, &view, NULL) != LAPSE_OK)
        return 1;
    say(tell);
    wait_for(hear);
    if (pull(view) != LAPSE_STALE || lapse_view_history(view, "c5", &result, NULL) != LAPSE_STALE ||
        pull(view) != LAPSE_STALE)
        return 2;
    lapse_view_close(view);
    if (rows_of(store) != 45 || lapse_view_open(store, INT64_MAX, &view, NULL) != LAPSE_OK || pull(view) != LAPSE_OK)
        return 3;
    lapse_view_close(view);
    lapse_store_close(store);
    return 0;
}

static void stale(void **state)
{
    (void)state;
    lapse_store *store = opened(0);
    assert_int_equal(deed_append(store, 1, 20), LAPSE_OK);
    assert_int_equal(deed_append(store, 2, 20), LAPSE_OK);
    struct child c = start(read_stale);
    wait_for(c.hear);
    assert_int_equal(deed_compact(store, 0), LAPSE_OK);
    assert_int_equal(deed_append(store, 3, 5), LAPSE_OK);
    say(c.tell);
    end(&c, 0);
    lapse_store_close(store);
    unlink(path);
}

/* ---- killed writers beside readers ---------------------------------------------------------------------------------------- */

/* The view of before the writer, whatever becomes of it; then what the next writer adds. */
static int read_on(int hear, int tell)
{
    lapse_store *store;
    lapse_view *view;
    if (open_with(LAPSE_STORE_READ_ONLY, 0, &store) != LAPSE_OK || lapse_view_open(store, INT64_MAX, &view, NULL) != LAPSE_OK)
        return 1;
    for (int i = 0; i < 2; i++) {
        say(tell);
        wait_for(hear);
        if (pull(view) != LAPSE_OK || rows_of(store) != (i == 0 ? 20 : 25))
            return 2 + i;
    }
    lapse_view_close(view);
    lapse_store_close(store);
    return 0;
}

static int32_t stop_here(void *user, int64_t done, int64_t total)
{
    const int *ends = user;
    (void)total;
    if (done > 0) {
        say(ends[1]);
        wait_for(ends[0]);
    }
    return 0;
}

static int compact_until_killed(int hear, int tell)
{
    lapse_store *store;
    int ends[] = { hear, tell };
    lapse_upkeep_options o;
    lapse_upkeep_options_init(&o, sizeof o);
    o.on_progress = stop_here;
    o.progress_user = ends;
    o.flags = LAPSE_COMPACT_UPGRADE;
    lapse_status status = open_with(0, 5000, &store);
    say(tell);
    wait_for(hear);
    return status != LAPSE_OK || lapse_store_compact(store, &o, NULL) != LAPSE_OK;
}

static void killed_beside_readers(void **state)
{
    static int (*const writers[])(int hear, int tell) = { import_when_told, compact_until_killed };
    (void)state;
    for (size_t w = 0; w < sizeof writers / sizeof writers[0]; w++)
        for (int held = 0; held < 2; held++) { /* with this process writing too, or the reader alone beside */
            lapse_store *store = opened(0);
            assert_int_equal(deed_append(store, 1, 20), LAPSE_OK);
            if (!held)
                lapse_store_close(store);
            struct child reader = start(read_on);
            wait_for(reader.hear);
            struct child writer = start_import(writers[w], NULL);
            kill(writer.pid, SIGKILL);
            end(&writer, -1);
            say(reader.tell);
            wait_for(reader.hear);
            if (!held)
                store = opened(0);
            assert_int_equal(rows_of(store), 20);
            assert_int_equal(deed_append(store, 2, 5), LAPSE_OK);
            check_sound(store);
            say(reader.tell);
            end(&reader, 0);
            lapse_store_close(store);
            store = opened(0); /* the last writer clears the log away; readers are gone now */
            assert_int_equal(rows_of(store), 25);
            check_sound(store);
            lapse_store_close(store);
            unlink(path);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy),
        cmocka_unit_test(waiting),
        cmocka_unit_test(forked),
        cmocka_unit_test(stale),
        cmocka_unit_test(killed_beside_readers),
    };
    return cmocka_run_group_tests_name("store_processes", tests, make_folder, remove_folder);
}
