/* Threads and processes that read, copy and verify a store beside one writer, who commits and compacts: each sees
 * whole commits. */
#define _POSIX_C_SOURCE 200809L

#include "upkeep.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

enum { EACH = 100, COMMITS = 60, READERS = 8, PROCESSES = 3 };

/* Rows that a new view sees: whole commits, or what went wrong. */
static lapse_status count_rows(lapse_store *store, int64_t *rows)
{
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    lapse_table *table;
    *rows = 0;
    lapse_status status = lapse_view_open(store, INT64_MAX, &view, NULL);
    if (status == LAPSE_OK)
        status = lapse_view_events(view, &result, NULL);
    while (status == LAPSE_OK && (status = lapse_result_next(result, &table, NULL)) == LAPSE_OK) {
        *rows += lapse_table_rows(table);
        lapse_table_release(table);
    }
    lapse_result_free(result);
    lapse_view_close(view);
    return status;
}

struct reading {
    lapse_store *store;
    atomic_int *stop;
    int number;
    int64_t views;
    const char *bad;
};

static void *read_on(void *user)
{
    struct reading *r = user;
    int64_t before = 0, rows;
    while (!atomic_load(r->stop) && !r->bad) {
        char name[100];
        lapse_result *report;
        lapse_store *copy;
        if (count_rows(r->store, &rows) != LAPSE_DONE)
            r->bad = "a view cannot be read";
        else if (rows % EACH != 0 || rows < before)
            r->bad = "a view sees less than whole commits";
        before = rows;
        r->views++;
        if (r->number == 0) { /* copies, too */
            snprintf(name, sizeof name, "%s/copy-%d", folder, (int)r->views);
            lapse_status status = lapse_store_backup(r->store, name, NULL, NULL);
            if (status == LAPSE_OK && open_with(name, LAPSE_STORE_READ_ONLY, 5000, &copy, NULL) == LAPSE_OK) {
                if (count_rows(copy, &rows) != LAPSE_DONE || rows % EACH != 0 || rows < before)
                    r->bad = "a copy holds less than whole commits";
                lapse_store_close(copy);
            } else {
                r->bad = "a copy cannot be made and opened";
            }
            unlink(name);
        } else if (r->number == 1 && r->views % 4 == 0) {
            if (lapse_store_verify(r->store, NULL, &report, NULL) != LAPSE_OK)
                r->bad = "verify finds something";
            lapse_result_free(report);
        }
    }
    return NULL;
}

/* One writer, who compacts now and then, and eight reading threads, in memory and in a file. */
static void threads_beside_a_writer(void **state)
{
    (void)state;
    for (int in_file = 0; in_file < 2; in_file++) {
        lapse_store *store = opened(in_file ? path : NULL, 0);
        atomic_int stop;
        pthread_t threads[READERS];
        struct reading reading[READERS];
        lapse_view *view;
        char *held;
        struct text seen;
        atomic_init(&stop, 0);
        append(store, 1000, EACH, true);
        assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
        held = export_of(store);
        for (int i = 0; i < READERS; i++) {
            reading[i] = (struct reading){ store, &stop, i, 0, NULL };
            assert_int_equal(pthread_create(&threads[i], NULL, read_on, &reading[i]), 0);
        }
        for (int c = 0; c < COMMITS; c++) {
            append(store, c, EACH, c % 2);
            if (c % 20 == 10)
                assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
        }
        atomic_store(&stop, 1);
        for (int i = 0; i < READERS; i++) {
            pthread_join(threads[i], NULL);
            if (reading[i].bad)
                print_error("reader %d: %s\n", i, reading[i].bad);
            assert_null(reading[i].bad);
            assert_true(reading[i].views > 0);
        }
        assert_int_equal(write_events(view, &seen), LAPSE_OK); /* through commits, merges and compacting */
        assert_string_equal(seen.data, held);
        free(seen.data);
        free(held);
        lapse_view_close(view);
        check_sound(store);
        lapse_store_close(store);
    }
    unlink(path);
}

/* In a process of its own: opens, reads, keeps a view and reads it again, until the pipe is closed. 0: all was well. */
static int read_elsewhere(int pipe_end)
{
    int64_t before = 0, rows, again;
    struct timespec nap = { 0, 2000000 };
    char byte;
    for (int round = 0; round < 1000; round++) {
        lapse_store *store = NULL;
        lapse_view *view = NULL;
        struct text one, two;
        lapse_status status = open_with(path, LAPSE_STORE_READ_ONLY, 20000, &store, NULL);
        if (status != LAPSE_OK)
            return 10 + status;
        for (int turn = 0; turn < 5; turn++) {
            status = count_rows(store, &rows);
            if (status == LAPSE_DONE && (rows % EACH != 0 || rows < before))
                return 1;
            if (status != LAPSE_DONE && status != LAPSE_STALE)
                return 30 + status;
            if (status == LAPSE_DONE)
                before = rows;
        }
        status = lapse_view_open(store, INT64_MAX, &view, NULL);
        if (status != LAPSE_OK)
            return 50 + status;
        status = write_events(view, &one);
        nanosleep(&nap, NULL);
        lapse_status later = write_events(view, &two);
        if (status == LAPSE_OK && later == LAPSE_OK && strcmp(one.data, two.data) != 0)
            return 2;
        if ((status != LAPSE_OK && status != LAPSE_STALE) || (later != LAPSE_OK && later != LAPSE_STALE))
            return 70 + (status != LAPSE_OK && status != LAPSE_STALE ? status : later);
        free(one.data);
        free(two.data);
        lapse_view_close(view);
        /* After a view was lost a new one is whole, with the handle that there is. */
        do
            status = count_rows(store, &again);
        while (status == LAPSE_STALE);
        if (status != LAPSE_DONE || again % EACH != 0)
            return 3;
        lapse_store_close(store);
        if (read(pipe_end, &byte, 1) == 0)
            return 0;
    }
    return 4;
}

static void processes_beside_a_writer(void **state)
{
    (void)state;
    pid_t children[PROCESSES];
    int ends[2];
    lapse_store *store = filled(path, 1, EACH);
    lapse_store_close(store);
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            close(ends[1]);
            /* One byte a round, so that it neither waits for ever nor runs ahead without end. */
            _exit(read_elsewhere(ends[0]));
        }
    }
    close(ends[0]);
    store = opened(path, 0);
    for (int c = 1; c < COMMITS; c++) {
        append(store, c, EACH, c % 2);
        if (c % 20 == 10)
            assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
        if (c % 15 == 7) { /* also from and to a file that nobody writes to */
            lapse_store_close(store);
            store = opened(path, 0);
        }
        assert_int_equal(write(ends[1], "..", 2), 2);
    }
    close(ends[1]);
    for (int i = 0; i < PROCESSES; i++) {
        int code = -1;
        waitpid(children[i], &code, 0);
        assert_true(WIFEXITED(code));
        assert_int_equal(WEXITSTATUS(code), 0);
    }
    check_sound(store);
    lapse_store_close(store);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_beside_a_writer),
        cmocka_unit_test(processes_beside_a_writer),
    };
    return cmocka_run_group_tests_name("store_upkeep_readers", tests, make_folder, remove_folder);
}
