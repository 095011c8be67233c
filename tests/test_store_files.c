/* Files that are damaged, by values, directories and blocks, with checksums wrong and right; and names and files
 * that are no store's. Files are damaged with SQLite itself. */
#define _POSIX_C_SOURCE 200809L

#include "refusals.h"

/* Puts a value in place of a named one, with a checksum that fits. */
static void set_value(const char *name, const char *value, size_t n)
{
    sqlite3 *db = raw_open();
    sqlite3_stmt *q;
    int64_t sum = (int64_t)lapse_hash(value, n, lapse_hash(name, strlen(name), 0));
    assert_int_equal(sqlite3_prepare_v2(db, "UPDATE meta SET value = ?1, checksum = ?2 WHERE name = ?3", -1, &q, NULL),
                     SQLITE_OK);
    sqlite3_bind_blob(q, 1, value, (int)n, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, sum);
    sqlite3_bind_text(q, 3, name, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(q), SQLITE_DONE);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_finalize(q);
    sqlite3_close(db);
}

static void check_damaged(const char *says)
{
    lapse_store *store = NULL;
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_store_open(path, NULL, &store, &error), LAPSE_DAMAGED);
    assert_null(store);
    if (!strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
}

static void damaged_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } cases[] = {
        { "zone", "" },                 { "zone", "0 0" },        { "zone", "0\n" },      { "zone", "x 0\n" },
        { "zone", "0 x\n" },            { "zone", "0 50401\n" },  { "zone", "0 -50401\n" }, { "zone", "5 0\n5 0\n" },
        { "zone", "5 0\n4 0\n" },       { "zone", " \n" },        { "digits", "" },       { "digits", "7" },
        { "digits", "/" },              { "digits", "22" },       { "currency", "EU" },   { "currency", "EURO" },
        { "key", "" },                  { "key", "0123456789012345678901234567890" },
        { "zone_name", "01234567890123456789012345678901234567890123456789012345678901234" },
    };
    made_store();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sqlite3 *db = raw_open();
        sqlite3_stmt *q;
        char kept[256];
        assert_int_equal(sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE name = ?", -1, &q, NULL), SQLITE_OK);
        sqlite3_bind_text(q, 1, cases[i].name, -1, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(q), SQLITE_ROW);
        int n = sqlite3_column_bytes(q, 0);
        assert_in_range(n, 0, sizeof kept);
        if (n)
            memcpy(kept, sqlite3_column_blob(q, 0), (size_t)n);
        sqlite3_finalize(q);
        sqlite3_close(db);
        set_value(cases[i].name, cases[i].value, strlen(cases[i].value));
        check_damaged(cases[i].name);
        set_value(cases[i].name, kept, (size_t)n);
    }
    static char many[70000 * 2 + 1];
    memset(many, '\n', sizeof many - 1);
    set_value("zone", many, sizeof many - 1);
    check_damaged("zone");
    static const char *const names[] = { "zone", "zone_name", "digits", "currency", "key", "runs" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char sql[100];
        made_store();
        lapse_store_close(opened(path, 0));
        snprintf(sql, sizeof sql, "UPDATE meta SET value = value || x'30' WHERE name = '%s'", names[i]);
        raw(sql);
        check_damaged(strcmp(names[i], "runs") ? names[i] : "list of runs");
        snprintf(sql, sizeof sql, "DELETE FROM meta WHERE name = '%s'", names[i]);
        raw(sql);
        check_damaged(names[i]);
    }
    unlink(path);
}

static void damaged_directories(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "UPDATE run SET directory = x''",
        "UPDATE run SET directory = x'00'",
        "UPDATE run SET directory = substr(directory, 1, length(directory) - 1)",
        "UPDATE run SET directory = directory || x'00'",
        "UPDATE run SET directory = 17",
        "UPDATE run SET family = 2",
        "DELETE FROM run",
        "INSERT INTO run(family, directory) SELECT family, directory FROM run",
    };
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        made_store();
        raw(damages[i]);
        check_damaged("run");
    }
    /* With a checksum that fits: the reader must not go beyond the end. */
    static const uint8_t wild[][24] = {
        { 0 }, { 255, 255, 255, 255 }, { 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0 },
        { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255 },
        { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 200, 'x' },
        { 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 },
    };
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++)
        for (size_t n = 0; n <= 24; n += 4) {
            uint8_t bytes[32];
            sqlite3 *db;
            sqlite3_stmt *q;
            made_store();
            memcpy(bytes, wild[i], n);
            uint64_t sum = lapse_hash(bytes, n, 1);
            for (int b = 0; b < 8; b++)
                bytes[n + (size_t)b] = (uint8_t)(sum >> 8 * b);
            db = raw_open();
            assert_int_equal(sqlite3_prepare_v2(db, "UPDATE run SET directory = ?", -1, &q, NULL), SQLITE_OK);
            sqlite3_bind_blob(q, 1, bytes, (int)n + 8, SQLITE_STATIC);
            assert_int_equal(sqlite3_step(q), SQLITE_DONE);
            sqlite3_finalize(q);
            sqlite3_close(db);
            check_damaged("run");
        }
    unlink(path);
}

/* Names that mean something else to SQLite are names of files here. */
static void names_of_files(void **state)
{
    (void)state;
    lapse_store *store;
    char before[4096];
    assert_int_equal(lapse_store_open("", NULL, &store, NULL), LAPSE_IO);
    assert_null(store);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    const char *const names[] = { ":memory:", "file:a?mode=memory", "file::memory:" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        store = opened(names[i], 0);
        import_good(store, "customer,time\na,2024-01-01\n");
        lapse_store_close(store);
        assert_int_equal(access(names[i], F_OK), 0);
        store = opened(names[i], 0);
        check_export(store, "customer,time,kind,source\na,2024-01-01T00:00:00Z,order.placed,stdin\n");
        lapse_store_close(store);
        unlink(names[i]);
    }
    assert_int_equal(chdir(before), 0);
}

static void foreign_files(void **state)
{
    (void)state;
    unlink(path);
    raw("CREATE TABLE t(x)");
    check_damaged("no store of lapse");
    unlink(path);
    raw("PRAGMA application_id = 5");
    check_damaged("no store of lapse");
    unlink(path);
    raw("PRAGMA user_version = 1");
    check_damaged("no store of lapse");
    made_store();
    raw("DROP TABLE block");
    lapse_store *store = NULL;
    assert_int_not_equal(lapse_store_open(path, NULL, &store, NULL), LAPSE_OK);
    assert_null(store);
    made_store();
    raw("DROP TABLE run");
    assert_int_not_equal(lapse_store_open(path, NULL, &store, NULL), LAPSE_OK);
    assert_null(store);
    unlink(path);
    FILE *f = fopen(path, "w"); /* empty: to be made a store, but not by a reader */
    fclose(f);
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.flags = LAPSE_STORE_READ_ONLY;
    assert_int_equal(open_as(&o, "empty"), LAPSE_DAMAGED);
    o.flags = LAPSE_STORE_MUST_EXIST;
    assert_int_equal(open_as(&o, ""), LAPSE_OK);
    unlink(path);
}

static lapse_status ask_events(lapse_view *view)
{
    struct text out;
    lapse_status status = write_events(view, &out);
    free(out.data);
    return status;
}

static void blocks_that_are_gone(void **state)
{
    (void)state;
    lapse_view *view;
    lapse_result *result;
    made_store();
    lapse_store *store = opened(path, 0);
    import_good(store, "customer,time,event_id\ncat,2024-01-01,1\n");
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(ask_events(view), LAPSE_OK);
    raw("UPDATE block SET data = (SELECT data FROM block ORDER BY id LIMIT 1)"); /* one in place of another */
    assert_int_equal(ask_events(view), LAPSE_DAMAGED);
    raw("UPDATE block SET data = x''");
    assert_int_equal(ask_events(view), LAPSE_DAMAGED);
    raw("DELETE FROM block"); /* while their runs are still listed: nobody rewrote them */
    assert_int_equal(ask_events(view), LAPSE_DAMAGED);
    assert_int_not_equal(lapse_view_history(view, "ann", &result, NULL), LAPSE_OK);
    assert_int_not_equal(lapse_store_info(store, &result, NULL), LAPSE_OK);
    lapse_rfm_options o;
    lapse_rfm_options_init(&o, sizeof o);
    assert_int_not_equal(lapse_view_rfm(view, &o, &result, NULL), LAPSE_OK);
    assert_null(result);
    /* Neither can anything be told apart from what was there. */
    assert_int_not_equal(import_text(store, "customer,time\nann,2024-01-01\n", NULL, NULL, NULL), LAPSE_OK);
    assert_int_not_equal(import_text(store, "customer,time,event_id\ncat,2024-01-01,1\n", NULL, NULL, NULL), LAPSE_OK);
    lapse_view_close(view);
    lapse_store_close(store);
    unlink(path);
}

static lapse_status try_open(const char *at, uint32_t flags, int32_t digits, const char *currency, lapse_error *error)
{
    lapse_store_options options;
    lapse_store *store;
    *error = (lapse_error){ .size = sizeof *error };
    lapse_store_options_init(&options, sizeof options);
    options.flags = flags;
    options.digits = digits;
    options.currency = currency;
    lapse_status status = lapse_store_open(at, &options, &store, error);
    assert_true(status == LAPSE_OK ? store != NULL : store == NULL);
    assert_true(status == LAPSE_OK || strlen(error->message) > 0);
    lapse_store_close(store);
    return status;
}

static void files_that_are_no_store(void **state)
{
    (void)state;
    lapse_error error;
    assert_int_equal(try_open(path, LAPSE_STORE_READ_ONLY, -1, NULL, &error), LAPSE_IO);
    assert_int_equal(try_open(path, LAPSE_STORE_MUST_EXIST, -1, NULL, &error), LAPSE_IO);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing was made */
    assert_int_equal(try_open(folder, 0, -1, NULL, &error), LAPSE_IO);
    write_bytes(path, "customer,time\n", 14);
    assert_int_equal(try_open(path, 0, -1, NULL, &error), LAPSE_DAMAGED);
    assert_int_equal(try_open(path, LAPSE_STORE_MUST_BE_NEW, -1, NULL, &error), LAPSE_BAD_INPUT);
    unlink(path);
    write_bytes(path, "c", 1); /* to SQLite an empty file; it must not be written over */
    assert_int_equal(try_open(path, 0, -1, NULL, &error), LAPSE_DAMAGED);
    assert_int_equal(try_open(path, LAPSE_STORE_READ_ONLY, -1, NULL, &error), LAPSE_DAMAGED);
    unlink(path);

    assert_int_equal(try_open(path, 0, 3, "KWD", &error), LAPSE_OK);
    assert_int_equal(try_open(path, 0, -1, NULL, &error), LAPSE_OK);
    assert_int_equal(try_open(path, 0, 3, "KWD", &error), LAPSE_OK);
    assert_int_equal(try_open(path, 0, 2, NULL, &error), LAPSE_BAD_INPUT);
    assert_int_equal(try_open(path, 0, -1, "EUR", &error), LAPSE_BAD_INPUT);
    assert_int_equal(try_open(path, 0, -1, "eur", &error), LAPSE_INVALID);
    assert_int_equal(try_open(path, 0, 7, NULL, &error), LAPSE_INVALID);
    assert_int_equal(try_open(path, 1u << 20, -1, NULL, &error), LAPSE_INVALID);

    /* user_version stands at byte 60 of the file, big-endian: a newer format */
    FILE *f = fopen(path, "r+");
    fseek(f, 63, SEEK_SET);
    fputc(LAPSE_FORMAT + 1, f);
    fclose(f);
    assert_int_equal(try_open(path, 0, -1, NULL, &error), LAPSE_UNSUPPORTED);
    unlink(path);
}

/* Every byte of a block is covered: an answer refuses and names the block. */
static void damage_is_found(void **state)
{
    (void)state;
    lapse_store *store = opened(path, 0);
    char text[4000] = "customer,time,reason\n";
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), 60, "c%03d,2024-01-01,some-reason-%d\n", i, i * 7919);
    import_good(store, text);
    lapse_store_close(store);
    FILE *f = fopen(path, "r+");
    char bytes[65536];
    size_t n = fread(bytes, 1, sizeof bytes, f), at = 0;
    while (at + 17 < n && memcmp(bytes + at, "some-reason-15838", 17) != 0)
        at++;
    assert_true(at + 17 < n);
    fseek(f, (long)at, SEEK_SET);
    fputc('S', f);
    fclose(f);
    store = opened(path, 0);
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    lapse_status status = lapse_view_events(view, &result, &error);
    if (status == LAPSE_OK) {
        status = lapse_result_collect(result, &table, &error);
        lapse_result_free(result);
    }
    assert_int_equal(status, LAPSE_DAMAGED);
    assert_non_null(strstr(error.message, "block"));
    lapse_view_close(view);
    lapse_store_close(store);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_values),
        cmocka_unit_test(damaged_directories),
        cmocka_unit_test(names_of_files),
        cmocka_unit_test(foreign_files),
        cmocka_unit_test(blocks_that_are_gone),
        cmocka_unit_test(files_that_are_no_store),
        cmocka_unit_test(damage_is_found),
    };
    return cmocka_run_group_tests_name("store_files", tests, make_folder, remove_folder);
}
