/* Other writers: one that holds the store, and ones that were killed in the middle, in either journal mode. What was
 * committed is there, and nothing else. */
#define _POSIX_C_SOURCE 200809L

#include "refusals.h"

#include <sys/wait.h>

static void busy_stores(void **state)
{
    (void)state;
    lapse_store_options o;
    lapse_store *store;
    lapse_store_options_init(&o, sizeof o);
    o.timeout_ms = 0;
    made_store();
    raw("INSERT INTO block(data) VALUES(x'00')"); /* what a crash leaves */
    int64_t blocks = raw_number("SELECT count(*) FROM block");
    assert_int_equal(lapse_store_open(path, &o, &store, NULL), LAPSE_OK);
    assert_int_equal(raw_number("SELECT count(*) FROM block"), blocks - 1);
    struct text before;
    assert_int_equal(export_to(store, &before), LAPSE_OK);
    raw("INSERT INTO block(data) VALUES(x'00')");
    sqlite3 *other = raw_open();
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    lapse_error error = { .size = sizeof error };
    assert_int_equal(import_text(store, "customer,time\nzoe,2024-01-01\n", NULL, NULL, &error), LAPSE_BUSY);
    assert_non_null(strstr(error.message, "busy"));
    check_export(store, before.data); /* readers go on */
    lapse_store *second;
    assert_int_equal(lapse_store_open(path, &o, &second, NULL), LAPSE_OK); /* sweeping waits for another time */
    check_export(second, before.data);
    lapse_store_close(second);
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(other);
    import_good(store, "customer,time\nzoe,2024-01-01\n");
    lapse_store_close(store);
    free(before.data);
    unlink(path);
}

/* A process that dies in the middle of an import: what it committed before is there, for readers at once, and what it
 * had begun is not. */
static int64_t read_and_die(void *user, char *buffer, int64_t capacity)
{
    struct stream *s = user;
    if (s->left == 0)
        _exit(0);
    return give(user, buffer, capacity);
}

static void killed_writers(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) { /* a writer comes next; a reader does; one does, and what SQLite shares is lost */
        made_store();
        pid_t child = fork();
        if (child == 0) {
            static char text[3 << 20] = "customer,time\n"; /* more than a chunk: some of it is staged */
            size_t n = strlen(text);
            lapse_store *store;
            lapse_store_options o;
            lapse_store_options_init(&o, sizeof o);
            o.memory_limit = 16 << 20;
            if (lapse_store_open(path, &o, &store, NULL) != LAPSE_OK ||
                import_text(store, "customer,time\nzoe,2024-01-01\n", NULL, NULL, NULL) != LAPSE_OK)
                _exit(1);
            for (int i = 0; n < sizeof text - 40; i++)
                n += (size_t)sprintf(text + n, "c%06d,2024-01-01\n", i);
            struct stream s = { text, n };
            lapse_store_import_stream(store, read_and_die, &s, NULL, NULL, NULL);
            _exit(2);
        }
        int code = -1;
        waitpid(child, &code, 0);
        assert_int_equal(code, 0);
        const char *all = "customer,time,kind,amount,source\nann,2024-01-01T00:00:00Z,order.placed,1.00,stdin\n"
                          "bob,2024-01-02T00:00:00Z,order.placed,2.00,stdin\n"
                          "zoe,2024-01-01T00:00:00Z,order.placed,,stdin\n";
        char shared[80];
        snprintf(shared, sizeof shared, "%s-shm", path);
        if (way == 2)
            assert_int_equal(unlink(shared), 0);
        if (way > 0) {
            lapse_store *store;
            lapse_store_options o;
            lapse_store_options_init(&o, sizeof o);
            o.flags = LAPSE_STORE_READ_ONLY;
            assert_int_equal(lapse_store_open(path, &o, &store, NULL), LAPSE_OK);
            check_export(store, all);
            lapse_store_close(store);
        }
        lapse_store *store = opened(path, 0);
        check_export(store, all);
        import_good(store, "customer,time\nzoe,2024-01-01\n"); /* it was there */
        check_export(store, all);
        lapse_store_close(store);
    }
    unlink(path);
}

/* The same with a rollback journal, which a process may leave that dies while it leaves WAL mode. */
static void killed_in_rollback_mode(void **state)
{
    struct text before;
    lapse_store *store;
    (void)state;
    made_store();
    store = opened(path, 0);
    assert_int_equal(export_to(store, &before), LAPSE_OK);
    lapse_store_close(store);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *db;
        bool ok = sqlite3_open(path, &db) == SQLITE_OK &&
                  sqlite3_exec(db, "PRAGMA cache_size = 5; BEGIN IMMEDIATE; DELETE FROM block; DELETE FROM run;"
                                   "INSERT INTO block(data) VALUES(randomblob(400000)), (randomblob(400000))", NULL, NULL,
                               NULL) == SQLITE_OK;
        _exit(ok ? 0 : 1);
    }
    int code = -1;
    char journal[80];
    waitpid(child, &code, 0);
    assert_int_equal(code, 0);
    snprintf(journal, sizeof journal, "%s-journal", path);
    assert_int_equal(access(journal, F_OK), 0);
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.flags = LAPSE_STORE_READ_ONLY;
    assert_int_equal(lapse_store_open(path, &o, &store, NULL), LAPSE_OK);
    check_export(store, before.data);
    lapse_store_close(store);
    assert_int_not_equal(access(journal, F_OK), 0);
    free(before.data);
    unlink(path);
}

/* A reader that stays sees each commit of writers that come and go, whatever the journal is when it looks. */
static void readers_see_each_commit(void **state)
{
    (void)state;
    made_store();
    lapse_store_options o;
    lapse_store *reader, *writer;
    lapse_view *view;
    struct text seen[4];
    lapse_store_options_init(&o, sizeof o);
    o.flags = LAPSE_STORE_READ_ONLY;
    for (int beside = 0; beside < 2; beside++) {
        assert_int_equal(lapse_store_open(path, &o, &reader, NULL), LAPSE_OK);
        assert_int_equal(export_to(reader, &seen[0]), LAPSE_OK);
        for (int i = 1; i < 4; i++) {
            char row[80];
            snprintf(row, sizeof row, "customer,time\nzoe%d-%d,2024-01-01\n", beside, i);
            writer = opened(path, 0);
            if (beside) /* looks while there is a write-ahead log, which then stays as long as the reader does */
                check_export(reader, seen[i - 1].data);
            import_good(writer, row);
            if (!beside)
                lapse_store_close(writer);
            assert_int_equal(export_to(reader, &seen[i]), LAPSE_OK);
            assert_true(seen[i].size > seen[i - 1].size);
            check_export(reader, seen[i].data);
            if (beside)
                lapse_store_close(writer);
        }
        for (int i = 0; i < 4; i++)
            free(seen[i].data);
        if (!beside) {
            raw("UPDATE meta SET value = x'00' WHERE name = 'runs'"); /* a commit with a rollback journal */
            assert_int_equal(lapse_view_open(reader, INT64_MAX, &view, NULL), LAPSE_DAMAGED);
            made_store();
        }
        lapse_store_close(reader);
    }
    lapse_store_close(opened(path, 0)); /* the last one takes the log away */
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy_stores),
        cmocka_unit_test(killed_writers),
        cmocka_unit_test(killed_in_rollback_mode),
        cmocka_unit_test(readers_see_each_commit),
    };
    return cmocka_run_group_tests_name("store_writers", tests, make_folder, remove_folder);
}
