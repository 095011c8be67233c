/* Keeping a store in order: copies, compacting, verifying, format versions; each beside readers and writers, stopped at
 * any moment, and of damaged files. What it may not change is compared as the export's bytes. */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include <lapse.h>

#include "store/store.h"

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64], copy_path[64];
static lapse_allocator mem;

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || lapse_mem_init(&mem, NULL, NULL) != LAPSE_OK)
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    snprintf(copy_path, sizeof copy_path, "%s/copy.lapse", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(copy_path);
    return rmdir(folder); /* and nothing else is left in it */
}

/* Names in the folder that hold `part`. */
static int names_with(const char *part)
{
    DIR *dir = opendir(folder);
    int n = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.' && strstr(entry->d_name, part);
    closedir(dir);
    return n;
}

static lapse_status open_with(const char *at, uint32_t flags, int32_t timeout, lapse_store **out, lapse_error *error)
{
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.sync = LAPSE_SYNC_OFF; /* nobody pulls the plug here */
    o.flags = flags;
    o.timeout_ms = timeout;
    return lapse_store_open(at, &o, out, error);
}

static lapse_store *opened(const char *at, uint32_t flags)
{
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    lapse_status status = open_with(at, flags, 5000, &store, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    return store;
}

static int32_t add_bytes(void *user, const char *bytes, int64_t size)
{
    lapse_buffer_put(user, bytes, (size_t)size);
    return 0;
}

static lapse_status write_view(lapse_view *view, struct lapse_buffer *out)
{
    lapse_result *result = NULL;
    lapse_buffer_init(out, &mem);
    lapse_status status = lapse_view_events(view, &result, NULL);
    if (status == LAPSE_OK)
        status = lapse_result_write_csv(result, add_bytes, out, NULL);
    lapse_buffer_byte(out, 0);
    lapse_result_free(result);
    return status;
}

static lapse_status export_to(lapse_store *store, struct lapse_buffer *out)
{
    lapse_view *view = NULL;
    lapse_status status = lapse_view_open(store, INT64_MAX, &view, NULL);
    lapse_buffer_init(out, &mem);
    if (status == LAPSE_OK)
        status = write_view(view, out);
    lapse_view_close(view);
    return status;
}

static char *export_of(lapse_store *store)
{
    struct lapse_buffer out;
    assert_int_equal(export_to(store, &out), LAPSE_OK);
    return out.data;
}

static void check_export(lapse_store *store, const char *expected)
{
    char *now = export_of(store);
    assert_string_equal(now, expected);
    free(now);
}

static void check_export_of(const char *at, const char *expected)
{
    lapse_store *store = opened(at, LAPSE_STORE_READ_ONLY);
    check_export(store, expected);
    lapse_store_close(store);
}

/* `rows` orders of customers that come again and again, in one commit, with ids where asked for. */
static void append(lapse_store *store, int commit, int rows, bool with_ids)
{
    int64_t *offsets = malloc(((size_t)rows + 1) * 3 * sizeof *offsets), *times = offsets + rows + 1;
    int64_t *id_offsets = times + rows;
    char *customers = malloc((size_t)rows * 8 + 1), *ids = malloc((size_t)rows * 12 + 1);
    for (int i = 0; i < rows; i++) {
        sprintf(customers + 7 * i, "c%06d", (commit * 31 + i * 7) % 3000);
        sprintf(ids + 11 * i, "%05d-%05d", commit % 100000, i % 100000);
        offsets[i] = 7 * i;
        id_offsets[i] = 11 * i;
        times[i] = (1 + commit) * LAPSE_DAY + i;
    }
    offsets[rows] = 7 * rows;
    id_offsets[rows] = 11 * rows;
    lapse_batch batch = { .size = sizeof batch, .rows = rows, .customer = customers, .customer_offsets = offsets,
                          .time = times };
    if (with_ids) {
        batch.event_id = ids;
        batch.event_id_offsets = id_offsets;
    }
    assert_int_equal(lapse_store_append(store, &batch, NULL, NULL, NULL), LAPSE_OK);
    free(offsets);
    free(customers);
    free(ids);
}

/* A store of several runs, in blocks of several families. */
static lapse_store *filled(const char *at, int commits, int rows)
{
    if (at)
        unlink(at);
    lapse_store *store = opened(at, 0);
    for (int i = 0; i < commits; i++)
        append(store, i, rows, i % 2);
    return store;
}

static sqlite3 *raw_open(void)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
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

static char *bytes_of(const char *at, size_t *n)
{
    FILE *f = fopen(at, "r");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*n);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static void put_bytes(const char *at, const char *bytes, size_t n)
{
    FILE *f = fopen(at, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* ---- a host that counts the questions, stops at one, or dies at it ------------------------------------------------ */

struct host {
    long asked, stop_at, die_at;
    int64_t last;
    lapse_store *other; /* compacted at the first question */
    bool backwards;
};

static int32_t asked(void *user, int64_t done, int64_t total)
{
    struct host *h = user;
    h->asked++;
    h->backwards |= done < h->last || done > total;
    h->last = done;
    if (h->asked == h->die_at)
        raise(SIGKILL);
    if (h->other && h->asked == 1)
        assert_int_equal(lapse_store_compact(h->other, NULL, NULL), LAPSE_OK);
    return h->asked == h->stop_at;
}

static lapse_upkeep_options told_by(struct host *h)
{
    lapse_upkeep_options o;
    assert_int_equal(lapse_upkeep_options_init(&o, sizeof o), LAPSE_OK);
    o.on_progress = asked;
    o.progress_user = h;
    return o;
}

static lapse_status verify(lapse_store *store, char *rows, size_t size, lapse_result **out, lapse_error *error)
{
    struct lapse_buffer text;
    lapse_status status = lapse_store_verify(store, NULL, out, error);
    assert_true((status == LAPSE_OK || status == LAPSE_DAMAGED) == (*out != NULL));
    if (!*out)
        return status;
    lapse_buffer_init(&text, &mem);
    assert_int_equal(lapse_result_write_csv(*out, add_bytes, &text, NULL), LAPSE_OK);
    lapse_buffer_byte(&text, 0);
    snprintf(rows, size, "%s", text.data);
    lapse_buffer_free(&text);
    assert_int_equal(lapse_result_notes(*out) > 0, status == LAPSE_DAMAGED);
    assert_int_equal(strstr(rows, "ok,1\n") != NULL, status == LAPSE_OK);
    return status;
}

static void check_sound(lapse_store *store)
{
    char rows[200];
    lapse_result *report;
    lapse_error error = { .size = sizeof error };
    if (verify(store, rows, sizeof rows, &report, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    lapse_result_free(report);
}

static void check_sound_file(const char *at)
{
    lapse_store *store = opened(at, LAPSE_STORE_VERIFY);
    check_sound(store);
    lapse_store_close(store);
}

/* ---- format versions ------------------------------------------------------------------------------------------------- */

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

/* ---- compacting --------------------------------------------------------------------------------------------------------- */

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
    struct lapse_buffer seen;
    assert_int_equal(write_view(view, &seen), LAPSE_OK); /* after a compaction and a commit */
    assert_string_equal(seen.data, before);
    lapse_buffer_free(&seen);
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

/* ---- copies -------------------------------------------------------------------------------------------------------------- */

static void copying(void **state)
{
    (void)state;
    for (int in_file = 0; in_file < 2; in_file++) {
        lapse_store *store = filled(in_file ? path : NULL, 7, 3000);
        char *before = export_of(store);
        struct host host = { 0 };
        lapse_upkeep_options o = told_by(&host);
        lapse_error error = { .size = sizeof error };
        struct stat info;
        assert_int_equal(lapse_store_backup(store, copy_path, &o, &error), LAPSE_OK);
        assert_true(host.asked > 2);
        assert_false(host.backwards);
        assert_int_equal(host.last, 7 * 3000 + 3 * 3000); /* rows of events and of fingerprints */
        assert_int_equal(stat(copy_path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_int_equal(names_with("copy"), 1);
        check_export_of(copy_path, before);
        check_sound_file(copy_path);
        assert_int_equal(names_with("copy"), 1); /* readers leave nothing beside it */
        /* It is a store like any other: what is in it is known again. */
        lapse_store *copy = opened(copy_path, 0);
        append(copy, 3, 3000, true);
        check_export(copy, before);
        append(copy, 50, 10, false);
        check_sound(copy);
        lapse_store_close(copy);
        /* Not over something that is there, unless asked for. */
        append(store, 8, 10, true);
        char *after = export_of(store);
        assert_int_equal(lapse_store_backup(store, copy_path, NULL, &error), LAPSE_BAD_INPUT);
        assert_non_null(strstr(error.message, "exists"));
        o.flags = LAPSE_BACKUP_REPLACE;
        host = (struct host){ .stop_at = 2 };
        char *kept;
        copy = opened(copy_path, LAPSE_STORE_READ_ONLY);
        kept = export_of(copy);
        lapse_store_close(copy);
        assert_int_equal(lapse_store_backup(store, copy_path, &o, &error), LAPSE_CANCELLED);
        check_export_of(copy_path, kept);
        assert_int_equal(lapse_store_backup(store, copy_path, &(lapse_upkeep_options){ .size = sizeof o, .flags = 1 }, NULL),
                         LAPSE_OK);
        check_export_of(copy_path, after);
        assert_int_equal(names_with("copy"), 1);
        free(before);
        free(after);
        free(kept);
        lapse_store_close(store);
        unlink(copy_path);
    }
    unlink(path);
}

static void names_of_copies(void **state)
{
    (void)state;
    lapse_store *store = filled(path, 2, 10);
    lapse_error error = { .size = sizeof error };
    lapse_upkeep_options replace;
    char name[100];
    lapse_upkeep_options_init(&replace, sizeof replace);
    replace.flags = LAPSE_BACKUP_REPLACE;
    assert_int_equal(lapse_store_backup(store, path, &replace, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, "itself"));
    assert_int_equal(lapse_store_backup(store, folder, &replace, &error), LAPSE_BAD_INPUT);
    snprintf(name, sizeof name, "%s/no/such", folder);
    assert_int_equal(lapse_store_backup(store, name, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "folder"));
    assert_int_equal(symlink(path, copy_path), 0);
    assert_int_equal(lapse_store_backup(store, copy_path, &replace, &error), LAPSE_BAD_INPUT);
    unlink(copy_path);
    static const char *const journals[] = { "-wal", "-journal" };
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", copy_path, journals[i]);
        put_bytes(name, "x", 1);
        assert_int_equal(lapse_store_backup(store, copy_path, NULL, &error), LAPSE_BAD_INPUT);
        assert_non_null(strstr(error.message, journals[i]));
        unlink(name);
    }
    char here[1000];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(lapse_store_backup(store, "file:copy?mode=ro", NULL, &error), LAPSE_OK); /* a name like any other */
    assert_int_equal(unlink("file:copy?mode=ro"), 0);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(names_with("copy"), 0);
    lapse_store_close(store);
    unlink(path);
}

static void cancelled_copying(void **state)
{
    (void)state;
    lapse_store *store = filled(path, 4, 6000);
    lapse_status status = LAPSE_CANCELLED;
    for (long n = 1; status == LAPSE_CANCELLED; n++) {
        struct host host = { .stop_at = n };
        lapse_upkeep_options o = told_by(&host);
        status = lapse_store_backup(store, copy_path, &o, NULL);
        assert_true(n > 3 || status == LAPSE_CANCELLED);
        assert_int_equal(names_with("copy"), status == LAPSE_OK);
    }
    assert_int_equal(status, LAPSE_OK);
    lapse_store_close(store);
    unlink(copy_path);
    unlink(path);
}

/* Another handle, as another process would, takes away what is being copied: a later moment is copied instead. */
static void copying_what_is_rewritten(void **state)
{
    (void)state;
    lapse_store *store = filled(path, 6, 3000), *reader = opened(path, LAPSE_STORE_READ_ONLY);
    char *before = export_of(store);
    struct host host = { .other = store };
    lapse_upkeep_options o = told_by(&host);
    assert_int_equal(lapse_store_backup(reader, copy_path, &o, NULL), LAPSE_OK);
    check_export_of(copy_path, before);
    check_sound_file(copy_path);
    free(before);
    lapse_store_close(reader);
    lapse_store_close(store);
    unlink(copy_path);
    unlink(path);
}

static void damage_is_not_copied(void **state)
{
    (void)state;
    static const char *const ways[] = { "UPDATE block SET data = zeroblob(length(data)) WHERE id = (SELECT max(id) FROM block)",
                                        "DELETE FROM block WHERE id = (SELECT max(id) FROM block)",
                                        "UPDATE meta SET value = x'00' WHERE name = 'key'" };
    for (int i = 0; i < 3; i++) {
        lapse_store *store = filled(path, 3, 100);
        lapse_error error = { .size = sizeof error };
        raw(ways[i]);
        assert_int_equal(lapse_store_backup(store, copy_path, NULL, &error), LAPSE_DAMAGED);
        assert_non_null(strstr(error.message, i == 2 ? "key" : "block"));
        assert_int_equal(names_with("copy"), 0);
        lapse_store_close(store);
    }
    unlink(path);
}

/* ---- verifying --------------------------------------------------------------------------------------------------------------- */

static void verifying(void **state)
{
    (void)state;
    char rows[200];
    lapse_result *report;
    size_t n, m;
    lapse_store *store = filled(path, 13, 3000);
    struct host host = { 0 };
    lapse_upkeep_options o = told_by(&host);
    assert_int_equal(lapse_store_verify(store, &o, &report, NULL), LAPSE_OK);
    lapse_result_free(report);
    assert_true(host.asked > 3);
    assert_false(host.backwards);
    lapse_status status = LAPSE_CANCELLED;
    for (host = (struct host){ .stop_at = 1 }; status == LAPSE_CANCELLED; host = (struct host){ .stop_at = host.stop_at + 1 }) {
        status = lapse_store_verify(store, &o, &report, NULL);
        assert_int_equal(status == LAPSE_OK, report != NULL);
        lapse_result_free(report);
    }
    assert_int_equal(status, LAPSE_OK);
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
    assert_int_equal(verify(store, rows, sizeof rows, &report, NULL), LAPSE_OK);
    assert_string_equal(rows, "name,value\nblocks,8\nevents,39000\ncustomers,3000\nok,1\n");
    lapse_result_free(report);
    lapse_store_close(store);
    char *before = bytes_of(path, &n);
    check_sound_file(path);
    char *after = bytes_of(path, &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n);
    assert_int_equal(names_with("a.lapse"), 1);
    free(before);
    free(after);
    /* What a crash leaves is no damage. */
    raw("INSERT INTO block(data) VALUES(x'00')");
    check_sound_file(path);
    assert_int_equal(chmod(path, 0400), 0);
    check_sound_file(path);
    unlink(path);
    store = opened(path, 0);
    assert_int_equal(verify(store, rows, sizeof rows, &report, NULL), LAPSE_OK);
    assert_string_equal(rows, "name,value\nblocks,0\nevents,0\ncustomers,0\nok,1\n");
    lapse_result_free(report);
    lapse_store_close(store);
    unlink(path);
}

/* Every note of a file, each with LF. */
static char *notes_of(const char *at)
{
    lapse_store *store = opened(at, LAPSE_STORE_VERIFY);
    struct lapse_buffer text;
    lapse_result *report;
    lapse_error error = { .size = sizeof error };
    char rows[200];
    lapse_buffer_init(&text, &mem);
    verify(store, rows, sizeof rows, &report, &error);
    assert_non_null(report);
    for (int i = 0; i < lapse_result_notes(report); i++) {
        if (i == 0) /* the message is the first note, as far as it has room */
            assert_memory_equal(error.message, lapse_result_note(report, i), 20);
        lapse_buffer_text(&text, lapse_result_note(report, i));
        lapse_buffer_byte(&text, '\n');
    }
    lapse_buffer_byte(&text, 0);
    lapse_result_free(report);
    lapse_store_close(store);
    return text.data;
}

static void check_notes(const char *const *expected)
{
    char *notes = notes_of(path);
    int n = 0;
    for (const char *p = notes; *p; p++)
        n += *p == '\n';
    for (; *expected; expected++, n--)
        if (!strstr(notes, *expected))
            fail_msg("\"%s\" is not among:\n%s", *expected, notes);
    if (n != 0)
        fail_msg("other notes than expected:\n%s", notes);
    free(notes);
}

/* All damage is named, not only the first. */
static void damage_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *notes[4];
    } cases[] = {
        { "UPDATE block SET data = zeroblob(length(data)) WHERE id = 1; DELETE FROM block WHERE id = 3;",
          { "run 1, block 1, customers \"c000000\" to \"c002999\": its checksum is another",
            "run 3, block 3, fingerprints 0", NULL } },
        { "UPDATE block SET data = x'' WHERE id = 2", { "run 2, block 2, customers", NULL } },
        { "UPDATE block SET data = (SELECT data FROM block WHERE id = 1) WHERE id = 2", { "run 2, block 2", NULL } },
        { "UPDATE meta SET value = x'30' WHERE name = 'zone'; UPDATE meta SET value = '3' WHERE name = 'digits';",
          { "value named zone", "value named digits", NULL } },
        { "DELETE FROM meta WHERE name = 'currency'", { "no value named currency", NULL } },
        { "UPDATE run SET directory = zeroblob(20) WHERE id = 1; UPDATE block SET data = x'' WHERE id = 2;",
          { "the directory of run 1 is damaged", "run 2, block 2", NULL } },
        { "DELETE FROM run WHERE id = 3", { "list of runs is damaged", NULL } },
        { "INSERT INTO run(family, directory) SELECT family, directory FROM run WHERE id = 1",
          { "list of runs", "block 1 is listed twice", NULL } },
        { "UPDATE run SET family = 9 WHERE id = 2", { "run 2", NULL } },
        { "DELETE FROM meta WHERE name = 'runs'", { "no value named runs", NULL } },
        { "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'block'", { "ids of blocks would be given", NULL } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lapse_store *store = filled(path, 2, 3000);
        lapse_store_close(store);
        raw(cases[i].sql);
        check_notes(cases[i].notes);
    }
    /* Nothing but verify takes a store that is damaged as a whole. */
    lapse_store *store = filled(path, 2, 10);
    lapse_view *view;
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    int64_t when;
    lapse_store_close(store);
    raw("UPDATE meta SET value = x'30' WHERE name = 'zone'");
    assert_int_equal(open_with(path, 0, 0, &store, &error), LAPSE_DAMAGED);
    assert_int_equal(open_with(path, LAPSE_STORE_READ_ONLY, 0, &store, &error), LAPSE_DAMAGED);
    store = opened(path, LAPSE_STORE_VERIFY);
    assert_int_equal(lapse_view_open(store, 1, &view, &error), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_info(store, &result, NULL), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_default_instant(store, &when, NULL), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_time(store, "2024-01-01", &when, NULL), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_backup(store, copy_path, NULL, NULL), LAPSE_DAMAGED);
    lapse_store_close(store);
    unlink(path);
}

/* Runs made by hand, whose checksums are right and whose rows are not. */
struct hand {
    int64_t times[4], values[4];
    const char *keys[4], *ids[4];
    int kinds[4];
    int family, rows;
    bool lists_nothing; /* its directory forgets sources and columns */
    const char *note;   /* NULL: none */
};

static lapse_status add_by_hand(lapse_store *store, const struct hand *h)
{
    struct lapse_run_writer w;
    struct lapse_run *run = NULL;
    struct lapse_manifest *m = NULL;
    lapse_status status = lapse_run_writer_open(&w, store, h->family, NULL);
    for (int i = 0; i < h->rows && status == LAPSE_OK; i++) {
        struct lapse_text key = { h->keys[i], (uint32_t)strlen(h->keys[i]) };
        uint8_t kind = (uint8_t)h->kinds[i], size = h->ids[i] ? (uint8_t)strlen(h->ids[i]) : 0;
        uint32_t at = 0;
        struct lapse_columns c = { 0 };
        if (h->family == LAPSE_RUN_FINGERPRINTS) {
            c.fields = LAPSE_FIELD_BIT(LAPSE_F_VALUE);
            c.number[LAPSE_F_VALUE] = &h->values[i];
        } else {
            c.fields = LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND) | LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID);
            c.number[LAPSE_F_TIME] = &h->times[i];
            c.name[LAPSE_F_KIND] = &kind;
            c.text[LAPSE_F_EVENT_ID] = (struct lapse_text_column){ h->ids[i] ? h->ids[i] : "", &at, &size, NULL };
        }
        status = lapse_run_writer_put(&w, key, &c, UINT32_MAX, 0, 1, NULL);
    }
    if (status == LAPSE_OK)
        status = lapse_file_begin(store->file, NULL);
    if (status == LAPSE_OK)
        status = lapse_store_manifest(store, &m, NULL);
    if (status == LAPSE_OK)
        status = lapse_run_writer_finish(&w, &run, NULL);
    if (run && h->lists_nothing)
        run->nameless_source = false;
    if (status == LAPSE_OK)
        status = lapse_store_publish(store, m, &run, 1, NULL, 0, NULL);
    lapse_run_writer_abort(&w);
    lapse_manifest_release(m);
    lapse_run_release(run);
    return status;
}

static void rows_are_checked(void **state)
{
    (void)state;
    enum { EVENTS = LAPSE_RUN_EVENTS, PRINTS = LAPSE_RUN_FINGERPRINTS, ORDER = LAPSE_KIND_ORDER_PLACED };
    static const struct hand cases[] = {
        { { 5, 6, 7 }, { 0 }, { "a", "a", "b" }, { NULL }, { ORDER, ORDER, ORDER }, EVENTS, 3, false, NULL },
        { { 6, 5 }, { 0 }, { "a", "a" }, { NULL }, { ORDER, ORDER }, EVENTS, 2, false, "not in order" },
        { { 0 }, { 0 }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, false, "1970-01-01" },
        { { INT64_MAX }, { 0 }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, false, "1900-01-01 to 2999" },
        { { 5 }, { 0 }, { "a" }, { NULL }, { LAPSE_KIND_CONSENT_GRANTED }, EVENTS, 1, false, "needs a channel" },
        { { 5 }, { 0 }, { "\xff" }, { NULL }, { ORDER }, EVENTS, 1, false, "customers ff to ff: this is not valid UTF-8" },
        { { 5 }, { 0 }, { "a" }, { "\xff" }, { ORDER }, EVENTS, 1, false, "not valid UTF-8" },
        { { 5 }, { 0 }, { "a" }, { "1" }, { ORDER }, EVENTS, 1, false, "fingerprints that begin with" },
        { { 5 }, { 0 }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, true, "events without a source" },
        { { 0 }, { 7, 7 }, { "0123456789ab", "0123456789ac" }, { NULL }, { 0 }, PRINTS, 2, false,
          "fingerprints that begin with 30: there are 2" },
        { { 0 }, { 7, 7 }, { "0123456789ab", "0123456789ab" }, { NULL }, { 0 }, PRINTS, 2, false, "there twice" },
        { { 0 }, { 7 }, { "01234" }, { NULL }, { 0 }, PRINTS, 1, false, "fingerprints 3031323334 to 3031323334" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unlink(path);
        lapse_store *store = opened(path, 0);
        assert_int_equal(add_by_hand(store, &cases[i]), LAPSE_OK);
        lapse_store_close(store);
        const char *expected[] = { cases[i].note, NULL };
        check_notes(expected);
    }
    unlink(path);
}

/* A sample of the bytes of a store (all of them, in some minutes, with LAPSE_TEST_EVERY_BYTE): another value there is found,
 * or it changes no answer. */
static void any_byte(void **state)
{
    enum { STEP = 13 };
    (void)state;
    lapse_store *store = filled(path, 3, 200);
    append(store, 1, 1, true);
    char *before = export_of(store);
    size_t n, found = 0, tried = 0;
    lapse_store_close(store);
    char *file = bytes_of(path, &n);
    long first = getenv("LAPSE_TEST_EVERY_BYTE") ? 0 : 5, step = first ? STEP : 1;
    for (size_t i = (size_t)first; i < n; i += (size_t)step, tried++) {
        char *damaged = malloc(n);
        memcpy(damaged, file, n);
        damaged[i] = (char)(damaged[i] ^ (1 << i % 8));
        put_bytes(path, damaged, n);
        free(damaged);
        lapse_result *report = NULL;
        lapse_error error = { .size = sizeof error };
        lapse_status status = open_with(path, LAPSE_STORE_VERIFY, 0, &store, &error);
        if (status == LAPSE_OK)
            status = lapse_store_verify(store, NULL, &report, &error);
        if (status != LAPSE_OK) {
            found++;
            if (status != LAPSE_DAMAGED && status != LAPSE_UNSUPPORTED && status != LAPSE_IO)
                print_error("byte %zu: %s\n", i, lapse_status_name(status));
            assert_true(status == LAPSE_DAMAGED || status == LAPSE_UNSUPPORTED || status == LAPSE_IO);
            assert_true(error.message[0]);
        } else {
            struct lapse_buffer now;
            if (export_to(store, &now) != LAPSE_OK || strcmp(now.data, before) != 0)
                fail_msg("byte %zu of %zu is not found", i, n);
            lapse_buffer_free(&now);
        }
        lapse_result_free(report);
        lapse_store_close(store);
        char beside[80]; /* a header that speaks of WAL makes SQLite look for one */
        snprintf(beside, sizeof beside, "%s-wal", path);
        unlink(beside);
        snprintf(beside, sizeof beside, "%s-shm", path);
        unlink(beside);
    }
    assert_true(found > tried / 8); /* much of a small file is empty */
    free(file);
    free(before);
    unlink(path);
}

/* ---- killed ------------------------------------------------------------------------------------------------------------------- */

typedef lapse_status task(lapse_store *store, const lapse_upkeep_options *options);

static lapse_status backup(lapse_store *store, const lapse_upkeep_options *options)
{
    return lapse_store_backup(store, copy_path, options, NULL);
}

static lapse_status compact(lapse_store *store, const lapse_upkeep_options *options)
{
    return lapse_store_compact(store, options, NULL);
}

/* Kills a process that does `what`, at each question that it asks its host. */
static void kill_at_each(task *what)
{
    bool killed = true;
    long deaths = 0;
    lapse_store *store = filled(path, 5, 3000);
    char *before = export_of(store);
    size_t n;
    lapse_store_close(store);
    char *file = bytes_of(path, &n);
    for (long at = 1; killed; at += at < 12 ? 1 : 7) {
        put_bytes(path, file, n);
        pid_t child = fork();
        if (child == 0) {
            struct host host = { .die_at = at };
            lapse_upkeep_options o;
            lapse_upkeep_options_init(&o, sizeof o);
            o.on_progress = asked;
            o.progress_user = &host;
            _exit(open_with(path, 0, 5000, &store, NULL) != LAPSE_OK || what(store, &o) != LAPSE_OK);
        }
        int code = -1;
        waitpid(child, &code, 0);
        killed = WIFSIGNALED(code);
        deaths += killed;
        assert_true(killed || code == 0);
        if (what == backup && killed) {
            assert_int_not_equal(access(copy_path, F_OK), 0);
            assert_int_equal(names_with(".tmp"), 1);
            char command[100];
            snprintf(command, sizeof command, "rm -f %s/copy*.tmp*", folder);
            assert_int_equal(system(command), 0);
        }
        if (what == backup && !killed)
            check_export_of(copy_path, before);
        check_export_of(path, before);
        check_sound_file(path);
        store = opened(path, 0);
        check_export(store, before);
        assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
        check_export(store, before);
        assert_int_equal(raw_number("PRAGMA freelist_count"), 0);
        lapse_store_close(store);
        check_sound_file(path);
    }
    assert_true(deaths > 3);
    free(before);
    free(file);
    unlink(copy_path);
    unlink(path);
}

static void killed_while_copying(void **state)
{
    (void)state;
    kill_at_each(backup);
}

static void killed_while_compacting(void **state)
{
    (void)state;
    kill_at_each(compact);
}

/* A disk that is full at one moment or another, as files that may not grow beyond a limit. */
static void full_disks(void **state)
{
    static task *const tasks[] = { backup, compact };
    (void)state;
    for (int t = 0; t < 2; t++) {
        int failed = 0;
        lapse_store *store = filled(path, 5, 3000);
        char *before = export_of(store);
        struct stat info;
        lapse_store_close(store);
        assert_int_equal(stat(path, &info), 0);
        for (int64_t limit = 4096; limit < 4 * info.st_size; limit += info.st_size / 8) {
            pid_t child = fork();
            if (child == 0) {
                struct rlimit most = { (rlim_t)limit, (rlim_t)limit };
                signal(SIGXFSZ, SIG_IGN);
                if (open_with(path, 0, 5000, &store, NULL) != LAPSE_OK || setrlimit(RLIMIT_FSIZE, &most) != 0)
                    _exit(100);
                _exit(tasks[t](store, NULL));
            }
            int code = -1;
            waitpid(child, &code, 0);
            assert_true(WIFEXITED(code));
            if (WEXITSTATUS(code) != LAPSE_OK && WEXITSTATUS(code) != LAPSE_IO)
                print_error("%s\n", lapse_status_name(WEXITSTATUS(code)));
            assert_true(WEXITSTATUS(code) == LAPSE_OK || WEXITSTATUS(code) == LAPSE_IO);
            failed += WEXITSTATUS(code) == LAPSE_IO;
            assert_int_equal(names_with("copy"), t == 0 && WEXITSTATUS(code) == LAPSE_OK);
            unlink(copy_path);
            check_export_of(path, before);
            check_sound_file(path);
        }
        assert_true(failed > 0);
        check_export_of(path, before);
        free(before);
    }
    unlink(path);
}

/* ---- beside others ---------------------------------------------------------------------------------------------------------------- */

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
        struct lapse_buffer seen;
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
        assert_int_equal(write_view(view, &seen), LAPSE_OK); /* through commits, merges and compacting */
        assert_string_equal(seen.data, held);
        lapse_buffer_free(&seen);
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
        struct lapse_buffer one, two;
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
        status = write_view(view, &one);
        nanosleep(&nap, NULL);
        lapse_status later = write_view(view, &two);
        if (status == LAPSE_OK && later == LAPSE_OK && strcmp(one.data, two.data) != 0)
            return 2;
        if ((status != LAPSE_OK && status != LAPSE_STALE) || (later != LAPSE_OK && later != LAPSE_STALE))
            return 70 + (status != LAPSE_OK && status != LAPSE_STALE ? status : later);
        lapse_buffer_free(&one);
        lapse_buffer_free(&two);
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
        cmocka_unit_test(formats),
        cmocka_unit_test(upgrading),
        cmocka_unit_test(compacting),
        cmocka_unit_test(compacting_in_memory),
        cmocka_unit_test(cancelled_compacting),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(copying),
        cmocka_unit_test(names_of_copies),
        cmocka_unit_test(cancelled_copying),
        cmocka_unit_test(copying_what_is_rewritten),
        cmocka_unit_test(damage_is_not_copied),
        cmocka_unit_test(verifying),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(rows_are_checked),
        cmocka_unit_test(any_byte),
        cmocka_unit_test(killed_while_copying),
        cmocka_unit_test(killed_while_compacting),
        cmocka_unit_test(full_disks),
        cmocka_unit_test(threads_beside_a_writer),
        cmocka_unit_test(processes_beside_a_writer),
    };
    return cmocka_run_group_tests_name("store_upkeep", tests, make_folder, remove_folder);
}
