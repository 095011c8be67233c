/* What a store refuses and where it has its limits: arguments, options, damaged values and directories, inputs that fail, callbacks that cancel,
 * other writers. Each with its status, and with nothing changed. Files are damaged with SQLite itself. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <lapse.h>

#include "base/base.h"

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64], text_path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    snprintf(text_path, sizeof text_path, "%s/a.csv", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(text_path);
    return rmdir(folder);
}

static lapse_store *opened(const char *at)
{
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.sync = LAPSE_SYNC_OFF; /* nobody pulls the plug here */
    lapse_status status = lapse_store_open(at, &o, &store, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    return store;
}

struct text {
    char *data;
    size_t size;
};

static int32_t add_bytes(void *user, const char *bytes, int64_t size)
{
    struct text *t = user;
    t->data = realloc(t->data, t->size + (size_t)size + 1);
    assert_non_null(t->data);
    memcpy(t->data + t->size, bytes, (size_t)size);
    t->size += (size_t)size;
    t->data[t->size] = 0;
    return 0;
}

static lapse_status write_events(lapse_view *view, struct text *out)
{
    lapse_result *result = NULL;
    lapse_status status = lapse_view_events(view, &result, NULL);
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(result, add_bytes, out, NULL);
    lapse_result_free(result);
    return status;
}

static void write_info(lapse_store *store, struct text *out)
{
    lapse_result *result;
    *out = (struct text){ NULL, 0 };
    assert_int_equal(lapse_store_info(store, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_write_csv(result, add_bytes, out, NULL), LAPSE_OK);
    lapse_result_free(result);
}

static lapse_status export_to(lapse_store *store, struct text *out)
{
    lapse_view *view = NULL;
    lapse_status status = lapse_view_open(store, INT64_MAX, &view, NULL);
    if (status == LAPSE_OK)
        status = write_events(view, out);
    lapse_view_close(view);
    return status;
}

static void check_export(lapse_store *store, const char *expected)
{
    struct text now = { NULL, 0 };
    assert_int_equal(export_to(store, &now), LAPSE_OK);
    assert_string_equal(now.data, expected);
    free(now.data);
}

static const char nothing[] = "customer,time,kind\n";

/* A stream of `text`, then `ending`: 0 the end, -1 a failure, above: more than there is room for. */
struct stream {
    const char *text;
    size_t size, given;
    int ending;
};

static int64_t read_stream(void *user, char *buffer, int64_t capacity)
{
    struct stream *s = user;
    size_t n = s->size - s->given;
    if (n == 0)
        return s->ending > 0 ? capacity + s->ending : s->ending;
    n = n < (size_t)capacity ? n : (size_t)capacity;
    memcpy(buffer, s->text + s->given, n);
    s->given += n;
    return (int64_t)n;
}

static lapse_status import_text(lapse_store *store, const char *text, const lapse_import_options *options,
                                lapse_counts *counts, lapse_error *error)
{
    struct stream s = { text, strlen(text), 0, 0 };
    return lapse_store_import_stream(store, read_stream, &s, options, counts, error);
}

static void import_good(lapse_store *store, const char *text)
{
    assert_int_equal(import_text(store, text, NULL, NULL, NULL), LAPSE_OK);
}

/* ---- arguments ------------------------------------------------------------------------------------------------ */

static void arguments_are_checked(void **state)
{
    (void)state;
    lapse_store *store = opened(NULL);
    lapse_view *view;
    lapse_result *result;
    int64_t when;
    lapse_error error = { .size = sizeof error };
    struct stream s = { "", 0, 0, 0 };
    assert_int_equal(lapse_store_open(NULL, NULL, NULL, &error), LAPSE_INVALID);
    assert_int_equal(error.status, LAPSE_INVALID);
    assert_int_equal(lapse_store_append(NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_append(store, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_import_file(NULL, text_path, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_import_file(store, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_import_stream(NULL, read_stream, &s, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_import_stream(store, NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_info(NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_info(store, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_default_instant(NULL, &when, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_default_instant(store, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_default_instant(store, &when, NULL), LAPSE_NOT_FOUND);
    assert_int_equal(lapse_store_time(NULL, "2024-01-01", &when, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_digits(NULL), 0);
    assert_int_equal(lapse_store_digits(store), 2);
    assert_int_equal(lapse_view_open(NULL, 0, &view, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_open(store, 0, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_open(store, 7, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_as_of(view), 7);
    assert_int_equal(lapse_view_as_of(NULL), 0);
    assert_int_equal(lapse_view_events(NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_events(view, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(NULL, "a", &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, "", &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, "a", NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, "a", &result, &error), LAPSE_NOT_FOUND);
    assert_non_null(strstr(error.message, "\"a\""));
    char longest[257];
    memset(longest, 'a', 256);
    longest[256] = 0;
    assert_int_equal(lapse_view_history(view, longest, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, longest + 1, &result, NULL), LAPSE_NOT_FOUND);
    lapse_view_close(view);
    lapse_view_close(NULL);
    lapse_store_close(store);
    lapse_store_close(NULL);
}

/* ---- options of a store ------------------------------------------------------------------------------------------ */

static void *no_alloc(void *user, size_t bytes)
{
    (void)user;
    (void)bytes;
    return NULL;
}

static void *no_resize(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)memory;
    (void)bytes;
    return NULL;
}

static void no_release(void *user, void *memory)
{
    (void)user;
    (void)memory;
}

static const int64_t starts[] = { INT64_MIN, 0, 1000 }, same_start[] = { 5, 5 };
static const int32_t offsets[] = { 3600, 7200, 3600 }, far[] = { 50401, 0 }, far_west[] = { -50401, 0 };

static lapse_status open_with(const lapse_store_options *o, const char *says)
{
    lapse_store *store = NULL;
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_store_open(path, o, &store, &error);
    assert_true((status == LAPSE_OK) == (store != NULL));
    if (status != LAPSE_OK && !strstr(error.message, says))
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
    lapse_store_close(store);
    return status;
}

static void options_are_checked(void **state)
{
    (void)state;
    char long_name[66], bad_name[] = "\xff";
    memset(long_name, 'z', 65);
    long_name[65] = 0;
    static const lapse_allocator good = { sizeof good, 0, NULL, no_alloc, no_resize, no_release };
    lapse_allocator small = good, flagged = good, without[3] = { good, good, good };
    small.size = 8;
    flagged.flags = 1;
    without[0].alloc = NULL;
    without[1].resize = NULL;
    without[2].release = NULL;
    lapse_store_options d;
    assert_int_equal(lapse_store_options_init(&d, sizeof d), LAPSE_OK);
    assert_int_equal(lapse_store_options_init(&d, 8), LAPSE_INVALID);
    assert_int_equal(lapse_store_options_init(NULL, sizeof d), LAPSE_INVALID);
    struct {
        const char *says;
        lapse_store_options o;
    } cases[40];
    size_t n = 0;
#define BAD(text, change) cases[n].says = text, cases[n].o = d, cases[n].o.change, n++
    BAD("flags", flags = 16);
    BAD("new and exist", flags = LAPSE_STORE_MUST_BE_NEW | LAPSE_STORE_MUST_EXIST);
    BAD("new and exist", flags = LAPSE_STORE_MUST_BE_NEW | LAPSE_STORE_READ_ONLY);
    BAD("memory_limit", memory_limit = (16 << 20) - 1);
    BAD("timeout_ms", timeout_ms = -1);
    BAD("sync", sync = -1);
    BAD("sync", sync = 3);
    BAD("digits", digits = -2);
    BAD("digits", digits = 7);
    BAD("currency", currency = "EU");
    BAD("currency", currency = "EURO");
    BAD("currency", currency = "Eur");
    BAD("currency", currency = "E?R");
    BAD("currency", currency = "");
    BAD("zone", zone_count = -1);
    BAD("zone", zone_count = 1);
    BAD("zone", zone_count = (1 << 16) + 1);
    BAD("14 hours", zone_count = 2; cases[n].o.zone_starts = starts; cases[n].o.zone_offsets = far);
    BAD("14 hours", zone_count = 2; cases[n].o.zone_starts = starts; cases[n].o.zone_offsets = far_west);
    BAD("ascend", zone_count = 2; cases[n].o.zone_starts = same_start; cases[n].o.zone_offsets = offsets);
    BAD("zone", zone_count = 2; cases[n].o.zone_starts = starts);
    BAD("name of a zone", zone_name = long_name);
    BAD("name of a zone", zone_name = bad_name);
    BAD("lapse_allocator", allocator = &small);
    BAD("lapse_allocator", allocator = &flagged);
    BAD("lapse_allocator", allocator = &without[0]);
    BAD("lapse_allocator", allocator = &without[1]);
    BAD("lapse_allocator", allocator = &without[2]);
    BAD("lapse_store_options", size = 4);
#undef BAD
    assert_true(n <= sizeof cases / sizeof cases[0]);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(open_with(&cases[i].o, cases[i].says), LAPSE_INVALID);
        assert_int_not_equal(access(path, F_OK), 0); /* nothing was made */
    }
    d.allocator = &good;
    assert_int_equal(open_with(&d, "memory"), LAPSE_NO_MEMORY);
    unlink(path);
}

/* A caller built with a newer header: its larger struct is good while what we do not know is zero. */
static void newer_callers(void **state)
{
    (void)state;
    struct {
        lapse_store_options ours;
        uint64_t more;
    } o;
    memset(&o, 0, sizeof o);
    assert_int_equal(lapse_store_options_init(&o.ours, sizeof o), LAPSE_OK);
    assert_int_equal(o.ours.size, sizeof o);
    assert_int_equal(open_with(&o.ours, ""), LAPSE_OK);
    o.more = 1;
    assert_int_equal(open_with(&o.ours, "lapse_store_options"), LAPSE_INVALID);
    unlink(path);
}

/* What a store was made with is fixed: the same is accepted, anything else refused. */
static void stores_keep_what_they_were_made_with(void **state)
{
    (void)state;
    static const int32_t other[] = { 3600, 7200, 0 };
    static const int64_t later[] = { INT64_MIN, 0, 1001 };
    lapse_store_options d, o;
    lapse_store_options_init(&d, sizeof d);
    d.zone_count = 3;
    d.zone_starts = starts;
    d.zone_offsets = offsets;
    assert_int_equal(open_with(&d, ""), LAPSE_OK);
    assert_int_equal(open_with(&d, ""), LAPSE_OK);
    o = d;
    o.zone_name = "Nowhere"; /* a name is for people and decides nothing */
    assert_int_equal(open_with(&o, ""), LAPSE_OK);
    o = d;
    o.zone_offsets = other;
    assert_int_equal(open_with(&o, "zone is +01:00"), LAPSE_BAD_INPUT);
    o = d;
    o.zone_starts = later;
    assert_int_equal(open_with(&o, "zone"), LAPSE_BAD_INPUT);
    o.zone_count = 2;
    assert_int_equal(open_with(&o, "zone"), LAPSE_BAD_INPUT);
    o = d;
    o.digits = 3;
    assert_int_equal(open_with(&o, "2 digits, not 3"), LAPSE_BAD_INPUT);
    o = d;
    o.currency = "EUR";
    assert_int_equal(open_with(&o, "not named, not EUR"), LAPSE_BAD_INPUT);
    unlink(path);
    d.currency = "CHF";
    assert_int_equal(open_with(&d, ""), LAPSE_OK);
    d.currency = "EUR";
    assert_int_equal(open_with(&d, "CHF, not EUR"), LAPSE_BAD_INPUT);
    unlink(path);
}

/* ---- damaged files ------------------------------------------------------------------------------------------------- */

static sqlite3 *raw_open(void)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
    return db;
}

static void raw(const char *sql)
{
    sqlite3 *db = raw_open();
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

static int64_t raw_number(const char *sql)
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

/* Makes a store, lets it be damaged, and finds it damaged. */
static void made_store(void)
{
    unlink(path);
    lapse_store *store = opened(path);
    import_good(store, "customer,time,amount\nann,2024-01-01,1\nbob,2024-01-02,2\n");
    lapse_store_close(store);
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
        lapse_store_close(opened(path));
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
        store = opened(names[i]);
        import_good(store, "customer,time\na,2024-01-01\n");
        lapse_store_close(store);
        assert_int_equal(access(names[i], F_OK), 0);
        store = opened(names[i]);
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
    assert_int_equal(open_with(&o, "empty"), LAPSE_DAMAGED);
    o.flags = LAPSE_STORE_MUST_EXIST;
    assert_int_equal(open_with(&o, ""), LAPSE_OK);
    unlink(path);
}

/* ---- other writers ------------------------------------------------------------------------------------------------------ */

static lapse_status ask_events(lapse_view *view)
{
    struct text out = { NULL, 0 };
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
    lapse_store *store = opened(path);
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
    struct text before = { NULL, 0 };
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
    if (s->given == s->size)
        _exit(0);
    return read_stream(user, buffer, capacity);
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
            struct stream s = { text, n, 0, 0 };
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
        lapse_store *store = opened(path);
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
    struct text before = { NULL, 0 };
    lapse_store *store;
    (void)state;
    made_store();
    store = opened(path);
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

/* ---- imports --------------------------------------------------------------------------------------------------------------- */

static void import_options_are_checked(void **state)
{
    (void)state;
    char long_source[257];
    memset(long_source, 's', 256);
    long_source[256] = 0;
    lapse_store *store = opened(NULL);
    lapse_import_options d, o;
    lapse_error error = { .size = sizeof error };
    lapse_counts counts = { .size = 4 };
    const char *text = "customer,time\na,2024-01-01\n";
    assert_int_equal(lapse_import_options_init(&d, sizeof d), LAPSE_OK);
    assert_int_equal(lapse_import_options_init(&d, 4), LAPSE_INVALID);
    struct {
        const char *says;
        lapse_import_options o;
    } cases[24];
    size_t n = 0;
#define BAD(text, change) cases[n].says = text, cases[n].o = d, cases[n].o.change, n++
    BAD("flags", flags = 32);
    BAD("threads", threads = 0);
    BAD("threads", threads = 65);
    BAD("delimiter", delimiter = 0);
    BAD("delimiter", delimiter = 128);
    BAD("delimiter", delimiter = '"');
    BAD("delimiter", delimiter = '\r');
    BAD("delimiter", delimiter = '\n');
    BAD("source", source = long_source);
    BAD("source", source = "\xff");
    BAD("lapse_import_options", size = 4);
    BAD("kind", kind = "no.such");
    BAD("map", map = "no such");
    BAD("", time_format = "%Q");
#undef BAD
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(import_text(store, text, &cases[i].o, NULL, &error), LAPSE_INVALID);
        if (!strstr(error.message, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].says);
        check_export(store, nothing);
    }
    assert_int_equal(import_text(store, text, NULL, &counts, NULL), LAPSE_INVALID);
    counts.size = 5000;
    assert_int_equal(import_text(store, text, NULL, &counts, NULL), LAPSE_INVALID);
    check_export(store, nothing); /* before anything is done */
    o = d;
    o.source = long_source + 1;
    o.threads = 64;
    struct {
        lapse_counts ours;
        int64_t more;
    } newer = { .ours = { .size = sizeof newer }, .more = 7 };
    assert_int_equal(import_text(store, text, &o, &newer.ours, NULL), LAPSE_OK);
    assert_int_equal(newer.ours.accepted, 1);
    assert_int_equal(newer.ours.size, sizeof newer);
    assert_int_equal(newer.more, 0); /* what we do not know of is 0 */
    lapse_store_close(store);
}

static void inputs_that_cannot_be_read(void **state)
{
    (void)state;
    lapse_store *store = opened(NULL);
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_store_import_file(store, "/no/such/file.csv", NULL, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "no such file"));
    assert_int_equal(lapse_store_import_file(store, folder, NULL, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "directory"));
    assert_int_equal(lapse_store_import_file(store, "/dev/null/x", NULL, NULL, &error), LAPSE_IO);
    assert_int_equal(lapse_store_import_file(store, "/dev/null", NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, "no header"));
    const char good[] = "customer,time\na,2024-01-01\n";
    struct stream fails = { good, sizeof good - 1, 0, -1 }, wild = { good, sizeof good - 1, 0, 1 };
    assert_int_equal(lapse_store_import_stream(store, read_stream, &fails, NULL, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "input"));
    assert_int_equal(lapse_store_import_stream(store, read_stream, &wild, NULL, NULL, NULL), LAPSE_IO);
    assert_int_equal(import_text(store, "", NULL, NULL, NULL), LAPSE_BAD_INPUT);
    assert_int_equal(import_text(store, "\xef\xbb\xbf", NULL, NULL, NULL), LAPSE_BAD_INPUT);
    assert_int_equal(import_text(store, "customer,time\na,\"2024-01-01\n", NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.rule, "never closed"));
    assert_int_equal(error.line, 2);
    assert_int_equal(import_text(store, "\"customer,time\n", NULL, NULL, &error), LAPSE_BAD_INPUT);
    check_export(store, nothing);
    /* What was found is told as it stands, and the input by the name it was given. */
    lapse_import_options named;
    lapse_import_options_init(&named, sizeof named);
    named.name = "the \xc2\xa3 file";
    FILE *f = fopen(text_path, "w");
    fputs("customer,time,amount\na,2024-01-01,\xc2\xa3" "5\n", f);
    fclose(f);
    assert_int_equal(lapse_store_import_file(store, text_path, &named, NULL, &error), LAPSE_BAD_INPUT);
    assert_string_equal(error.text, "\xc2\xa3" "5");
    assert_non_null(strstr(error.message, "the \xc2\xa3 file"));
    assert_int_equal(lapse_store_import_file(store, text_path, NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, text_path));
    check_export(store, nothing);
    /* A header over two lines, after a byte-order mark. */
    lapse_import_options o;
    lapse_import_options_init(&o, sizeof o);
    o.flags = LAPSE_IMPORT_IGNORE_UNKNOWN;
    assert_int_equal(import_text(store, "\xef\xbb\xbf" "customer,\"odd\nname\",time\r\na,\"x\ny\",2024-01-01\r\nb,2,3\r\n",
                                 &o, NULL, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.line, 5);
    assert_int_equal(import_text(store, "\xef\xbb\xbf" "customer,\"odd\nname\",time\r\na,\"x\ny\",2024-01-01\r\n", &o, NULL,
                                 NULL), LAPSE_OK);
    lapse_store_close(store);
}

/* Rows longer than a chunk: up to 16 MiB they are rows like others. */
static void giant_rows(void **state)
{
    (void)state;
    enum { MOST = 17 << 20 };
    const char head[] = "customer,time,more\na,2024-01-01,";
    lapse_store *store = opened(NULL);
    lapse_error error = { .size = sizeof error };
    lapse_import_options o;
    lapse_import_options_init(&o, sizeof o);
    o.flags = LAPSE_IMPORT_IGNORE_UNKNOWN;
    char *text = malloc(MOST + 1);
    assert_non_null(text);
    memset(text, 'x', MOST);
    text[MOST] = 0;
    memcpy(text, head, sizeof head - 1);
    assert_int_equal(import_text(store, text, &o, NULL, &error), LAPSE_BAD_INPUT);
    assert_string_equal(error.rule, "a row is at most 16 MiB long");
    assert_int_equal(error.line, 2);
    text[sizeof head - 1] = '"';
    assert_int_equal(import_text(store, text, &o, NULL, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.rule, "never closed"));
    check_export(store, nothing);
    text[6 << 20] = 0;
    strcpy(text + (5 << 20), "\"\nb,2024-01-02,\n");
    lapse_counts counts = { .size = sizeof counts };
    assert_int_equal(import_text(store, text, &o, &counts, NULL), LAPSE_OK);
    assert_int_equal(counts.accepted, 2);
    /* What is left over from one giant is more than a chunk of the next. */
    memset(text, 'x', MOST);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + (5 << 20), "\nb,2024-01-02,", 14);
    strcpy(text + (10 << 20), "\nc,2024-01-03,\n");
    assert_int_equal(import_text(store, text, &o, &counts, NULL), LAPSE_OK);
    assert_int_equal(counts.accepted, 1);
    assert_int_equal(counts.duplicate, 2);
    free(text);
    lapse_store_close(store);
}

struct rejects {
    int seen, stop_at;
    int32_t last_outcome;
    int64_t last_line, last_size;
};

static int32_t see(void *user, const lapse_reject *r)
{
    struct rejects *j = user;
    j->last_outcome = r->outcome;
    j->last_line = r->line;
    j->last_size = r->row_size;
    return ++j->seen == j->stop_at;
}

/* A callback that cancels, at each of its calls: two bad rows, then three conflicts. */
static void rejects_may_cancel(void **state)
{
    (void)state;
    const char *text = "customer,time,amount,event_id\na,2024-01-01,1,1\nb,2024-01-01,2,1\nc,bad,3,2\nd,2024-01-01,-4,3\n"
                       "e,2024-01-01,5,1\nf,2024-01-01,6,1\n";
    for (int from_file = 0; from_file < 2; from_file++) {
        FILE *f = fopen(text_path, "w");
        fputs(text, f);
        fclose(f);
        lapse_store *store = opened(NULL);
        for (int stop_at = 1; stop_at <= 6; stop_at++) {
            struct rejects j = { .stop_at = stop_at };
            lapse_import_options o;
            lapse_counts counts = { .size = sizeof counts };
            lapse_import_options_init(&o, sizeof o);
            o.flags = LAPSE_IMPORT_SKIP_BAD_ROWS;
            o.source = "x";
            o.on_reject = see;
            o.reject_user = &j;
            lapse_status status = from_file ? lapse_store_import_file(store, text_path, &o, &counts, NULL)
                                            : import_text(store, text, &o, &counts, NULL);
            if (stop_at <= 5) {
                assert_int_equal(status, LAPSE_CANCELLED);
                assert_int_equal(j.seen, stop_at);
                assert_int_equal(counts.accepted, 0);
                check_export(store, nothing);
                continue;
            }
            assert_int_equal(status, LAPSE_OK);
            assert_int_equal(j.seen, 5);
            assert_int_equal(j.last_outcome, LAPSE_ROW_CONFLICT);
            assert_int_equal(j.last_line, 7);
            assert_int_equal(j.last_size, from_file ? strlen("f,2024-01-01,6,1") : 0); /* a stream is read once */
            assert_int_equal(counts.accepted, 1);
            assert_int_equal(counts.conflict, 3);
            assert_int_equal(counts.rejected, 2);
        }
        lapse_store_close(store);
    }
}

static void appends_are_checked(void **state)
{
    (void)state;
    static const int64_t offsets_of[] = { 0, 1, 2, 3 };
    static const int64_t times[] = { 1000000, 1000000, 0 };
    char long_source[257];
    memset(long_source, 's', 256);
    long_source[256] = 0;
    lapse_store *store = opened(NULL);
    lapse_append_options d, o;
    lapse_error error = { .size = sizeof error };
    lapse_batch b = { .size = sizeof b, .rows = 2, .customer = "abc", .customer_offsets = offsets_of, .time = times,
                      .event_id = "112", .event_id_offsets = offsets_of };
    assert_int_equal(lapse_append_options_init(&d, sizeof d), LAPSE_OK);
    assert_int_equal(lapse_append_options_init(&d, 4), LAPSE_INVALID);
    o = d;
    o.flags = LAPSE_IMPORT_IGNORE_UNKNOWN;
    assert_int_equal(lapse_store_append(store, &b, &o, NULL, NULL), LAPSE_INVALID);
    o = d;
    o.source = long_source;
    assert_int_equal(lapse_store_append(store, &b, &o, NULL, &error), LAPSE_INVALID);
    assert_non_null(strstr(error.message, "source"));
    o.source = "\xc0\x80";
    assert_int_equal(lapse_store_append(store, &b, &o, NULL, NULL), LAPSE_INVALID);
    o = d;
    o.size = 4;
    assert_int_equal(lapse_store_append(store, &b, &o, NULL, NULL), LAPSE_INVALID);
    lapse_counts counts = { .size = 4 };
    assert_int_equal(lapse_store_append(store, &b, NULL, &counts, NULL), LAPSE_INVALID);
    check_export(store, nothing);
    b.rows = 0;
    assert_int_equal(lapse_store_append(store, &b, NULL, NULL, NULL), LAPSE_OK);
    check_export(store, nothing);
    b.rows = 3; /* a good row, a conflict, a bad one */
    assert_int_equal(lapse_store_append(store, &b, NULL, NULL, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.row, 2);
    assert_string_equal(error.column, "time");
    check_export(store, nothing);
    for (int stop_at = 1; stop_at <= 3; stop_at++) {
        struct rejects j = { .stop_at = stop_at };
        int32_t outcomes[3];
        o = d;
        o.flags = LAPSE_IMPORT_SKIP_BAD_ROWS;
        o.source = long_source + 1;
        o.on_reject = see;
        o.reject_user = &j;
        o.outcomes = stop_at == 1 ? NULL : outcomes;
        counts.size = sizeof counts;
        lapse_status status = lapse_store_append(store, &b, &o, &counts, NULL);
        assert_int_equal(j.seen, stop_at < 3 ? stop_at : 2);
        if (stop_at < 3) {
            assert_int_equal(status, LAPSE_CANCELLED);
            assert_int_equal(counts.read, 0);
            check_export(store, nothing);
            continue;
        }
        assert_int_equal(status, LAPSE_OK);
        assert_int_equal(j.last_outcome, LAPSE_ROW_CONFLICT);
        assert_int_equal(j.last_line, 1);
        const int32_t expected[] = { LAPSE_ROW_ACCEPTED, LAPSE_ROW_CONFLICT, LAPSE_ROW_REJECTED };
        assert_memory_equal(outcomes, expected, sizeof expected);
        assert_int_equal(counts.accepted, 1);
    }
    lapse_store_close(store);
}

/* More sources than a run lists: content is looked for all the same. */
static void many_sources(void **state)
{
    (void)state;
    char text[8000] = "customer,time,source\n";
    for (int i = 0; i < 100; i++)
        snprintf(text + strlen(text), 60, "c%d,2024-01-01,source%d\n", i % 7, i);
    lapse_store *store = opened(NULL);
    lapse_counts counts = { .size = sizeof counts };
    for (int round = 0; round < 3; round++) {
        assert_int_equal(import_text(store, text, NULL, &counts, NULL), LAPSE_OK);
        assert_int_equal(counts.accepted, round ? 0 : 100);
        assert_int_equal(counts.duplicate, round ? 100 : 0);
    }
    assert_int_equal(import_text(store, "customer,time,source\nc1,2024-01-01,source99\nc1,2024-01-01,other\n", NULL,
                                 &counts, NULL), LAPSE_OK);
    assert_int_equal(counts.duplicate, 1 - (99 % 7 != 1));
    lapse_store_close(store);
}

/* As many threads and as little memory as may be: a great many small runs, which make the store that one run makes. */
static void many_runs(void **state)
{
    enum { ROWS = 310000 };
    struct text exports[2] = { { NULL, 0 }, { NULL, 0 } };
    char *text = malloc(ROWS * 40 + 100);
    assert_non_null(text);
    size_t n = (size_t)sprintf(text, "customer,time,amount,ref\n");
    (void)state;
    for (int i = 0; i < ROWS; i++)
        n += (size_t)sprintf(text + n, "c%03d,@%d,%d,r%d\n", i % 997 * 7919 % 997, 1000 + i % 65537 * 31 % 65537, i % 100, i);
    for (int way = 0; way < 2; way++) {
        lapse_store *store;
        lapse_store_options so;
        lapse_import_options o;
        lapse_counts counts = { .size = sizeof counts };
        lapse_store_options_init(&so, sizeof so);
        lapse_import_options_init(&o, sizeof o);
        so.memory_limit = way ? 16 << 20 : 1 << 30;
        o.threads = way ? 64 : 1;
        assert_int_equal(lapse_store_open(NULL, &so, &store, NULL), LAPSE_OK);
        for (int round = 0; round < 2; round++) { /* the second time nothing is new */
            assert_int_equal(import_text(store, text, &o, &counts, NULL), LAPSE_OK);
            assert_int_equal(counts.accepted, round ? 0 : ROWS);
        }
        assert_int_equal(export_to(store, &exports[way]), LAPSE_OK);
        lapse_store_close(store);
    }
    assert_true(exports[0].size > (size_t)ROWS * 30);
    assert_true(exports[0].size == exports[1].size && memcmp(exports[0].data, exports[1].data, exports[0].size) == 0);
    free(exports[0].data);
    free(exports[1].data);
    free(text);
}

/* So many ids that their fingerprints are judged in slices. */
static void many_ids(void **state)
{
    enum { ROWS = 200000 };
    static char text[ROWS * 40 + 100];
    lapse_store *store;
    lapse_store_options so;
    lapse_store_options_init(&so, sizeof so);
    so.memory_limit = 16 << 20;
    assert_int_equal(lapse_store_open(NULL, &so, &store, NULL), LAPSE_OK);
    (void)state;
    for (int round = 0; round < 3; round++) { /* new; the same; one in seven otherwise, and one in eight new */
        lapse_counts counts = { .size = sizeof counts };
        size_t n = (size_t)sprintf(text, "customer,time,amount,event_id\n");
        int64_t other = 0, fresh = 0;
        for (int i = 0; i < ROWS; i++) {
            bool differs = round == 2 && i % 7 == 0, is_new = round == 2 && i % 8 == 0;
            n += (size_t)sprintf(text + n, "c%d,2024-01-01,%d,%s%d\n", i % 1000, i % 100 + differs, is_new ? "n" : "", i);
            fresh += is_new;
            other += differs && !is_new;
        }
        assert_int_equal(import_text(store, text, NULL, &counts, NULL), LAPSE_OK);
        assert_int_equal(counts.accepted, round == 0 ? ROWS : fresh);
        assert_int_equal(counts.conflict, other);
        assert_int_equal(counts.duplicate, round == 0 ? 0 : ROWS - fresh - other);
    }
    lapse_store_close(store);
}

/* ---- what a store is ----------------------------------------------------------------------------------------------------------- */

static void stores_tell_of_themselves(void **state)
{
    (void)state;
    struct text info = { NULL, 0 };
    lapse_store *store = opened(NULL);
    write_info(store, &info);
    assert_string_equal(info.data, "name,value\ncustomers,0\nevents,0\nfirst_time,\nlast_time,\nbytes,\nformat,1\n"
                                   "zone,+00:00\ndigits,2\n");
    lapse_store_close(store);
    free(info.data);
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    static const int32_t west[] = { -12600 };
    o.zone_count = 1;
    o.zone_starts = starts;
    o.zone_offsets = west;
    o.digits = 0;
    assert_int_equal(lapse_store_open(path, &o, &store, NULL), LAPSE_OK);
    import_good(store, "customer,time,kind\nb,2024-05-01,\na,2024-01-02T03:30:00Z,session.started\nb,2024-01-03,\n");
    write_info(store, &info);
    char *bytes = strstr(info.data, "bytes,");
    assert_non_null(bytes);
    assert_true(atol(bytes + 6) > 0);
    assert_int_equal(atol(bytes + 6) % 512, 0);
    *bytes = 0;
    assert_string_equal(info.data, "name,value\ncustomers,2\nevents,3\nfirst_time,2024-01-02T03:30:00Z\n"
                                   "last_time,2024-05-01T03:30:00Z\nkind.session.started,1\nkind.order.placed,2\n");
    assert_non_null(strstr(bytes + 1, "zone,-03:30\ndigits,0\n"));
    int64_t when;
    assert_int_equal(lapse_store_default_instant(store, &when, NULL), LAPSE_OK);
    int64_t expected;
    assert_int_equal(lapse_store_time(store, "2024-05-02", &expected, NULL), LAPSE_OK);
    assert_int_equal(when, expected);
    lapse_store_close(store);
    free(info.data);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(newer_callers),
        cmocka_unit_test(stores_keep_what_they_were_made_with),
        cmocka_unit_test(damaged_values),
        cmocka_unit_test(damaged_directories),
        cmocka_unit_test(names_of_files),
        cmocka_unit_test(foreign_files),
        cmocka_unit_test(blocks_that_are_gone),
        cmocka_unit_test(busy_stores),
        cmocka_unit_test(killed_writers),
        cmocka_unit_test(killed_in_rollback_mode),
        cmocka_unit_test(import_options_are_checked),
        cmocka_unit_test(inputs_that_cannot_be_read),
        cmocka_unit_test(giant_rows),
        cmocka_unit_test(rejects_may_cancel),
        cmocka_unit_test(appends_are_checked),
        cmocka_unit_test(many_sources),
        cmocka_unit_test(many_runs),
        cmocka_unit_test(many_ids),
        cmocka_unit_test(stores_tell_of_themselves),
    };
    return cmocka_run_group_tests_name("store_errors", tests, make_folder, remove_folder);
}
