/* SQLite under the functions that keep a store in order: a file for a copy, a connection that sees one moment, its own
 * check of pages, and giving free pages back.
 *
 * VACUUM is the one way by which SQLite gives pages back without a price on every page written before (auto_vacuum keeps
 * a map of pages for that). It writes the file anew into a temporary one and from there, as one transaction, over the old:
 * a crash leaves either. What was deleted before is zeros by then (secure_delete), so nothing of it is left behind. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/file.h"
#include "store/upkeep.h"

enum {
    ASKED_EVERY = 1000,  /* instructions of SQLite's machine, between two questions whether to go on */
    LEAST_FREE = 64,     /* of so many pages one must be free, or giving back is not worth it */
    MOST_LINES = 1000000 /* of the integrity check */
};

/* ---- copies ------------------------------------------------------------------------------------------------- */

lapse_status lapse_file_make_copy(const lapse_allocator *mem, const char *path, struct lapse_file **out,
                                  lapse_error *error)
{
    *out = NULL;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return lapse_fail(error, LAPSE_IO, "cannot make %s: %s", path,
                          errno == EACCES   ? "permission denied"
                          : errno == ENOENT ? "there is no such folder"
                          : errno == ENOTDIR ? "there is no such folder" : "the system refuses");
    close(fd);
    struct lapse_file *file = lapse_mem_zero(mem, 1, sizeof *file);
    struct lapse_lock *lock = lapse_lock_new(mem);
    if (!file || !lock) {
        lapse_mem_free(mem, file);
        lapse_lock_free(mem, lock);
        unlink(path);
        return lapse_fail_memory(error);
    }
    file->mem = *mem;
    file->lock = lock;
    file->process = getpid();
    int code = lapse_file_connect(file, path, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_READWRITE);
    if (code == SQLITE_OK)
        code = sqlite3_exec(file->db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON;"
                                      "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = lapse_file_make_schema(file);
    if (code == SQLITE_OK) {
        *out = file;
        return LAPSE_OK;
    }
    lapse_status status = lapse_file_fail(file, code, error);
    lapse_file_close(file);
    unlink(path);
    return status;
}

const char *lapse_file_name(struct lapse_file *file)
{
    return file->memory ? NULL : sqlite3_db_filename(file->db, "main");
}

lapse_status lapse_file_upgrade(struct lapse_file *file, lapse_error *error)
{
    char text[64];
    snprintf(text, sizeof text, "PRAGMA user_version = %d", LAPSE_FORMAT);
    lapse_lock_take(file->lock);
    int code = sqlite3_exec(file->db, text, NULL, NULL, NULL);
    lapse_status status = code == SQLITE_OK ? LAPSE_OK : lapse_file_fail(file, code, error);
    if (status == LAPSE_OK)
        file->format = LAPSE_FORMAT;
    lapse_lock_give(file->lock);
    return status;
}

/* ---- one moment ----------------------------------------------------------------------------------------------- */

lapse_status lapse_file_open_snapshot(struct lapse_file *file, struct lapse_file **out, lapse_error *error)
{
    lapse_store_options options;
    bool made;
    lapse_store_options_init(&options, sizeof options);
    options.flags = LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST;
    options.timeout_ms = file->timeout_ms;
    lapse_status status = lapse_file_open(&file->mem, lapse_file_name(file), &options, &made, out, error);
    if (status != LAPSE_OK)
        return status;
    /* The transaction begins with what is read first. */
    int code = sqlite3_exec((*out)->db, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return LAPSE_OK;
    status = lapse_file_fail(*out, code, error);
    lapse_file_close(*out);
    *out = NULL;
    return status;
}

lapse_status lapse_file_check_pages(struct lapse_file *file,
                                    lapse_status (*each)(void *user, const char *text, lapse_error *error), void *user,
                                    lapse_error *error)
{
    char text[64];
    sqlite3_stmt *q = NULL;
    lapse_status told = LAPSE_OK;
    snprintf(text, sizeof text, "PRAGMA integrity_check(%d)", MOST_LINES);
    lapse_lock_take(file->lock);
    int code = sqlite3_prepare_v2(file->db, text, -1, &q, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(q);
        const char *line = code == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : "ok";
        if (!line)
            code = SQLITE_NOMEM;
        else if (strcmp(line, "ok") != 0 && (told = each(user, line, error)) != LAPSE_OK)
            break;
    }
    lapse_status status = told == LAPSE_OK && code != SQLITE_DONE ? lapse_file_fail(file, code, error) : told;
    sqlite3_finalize(q);
    lapse_lock_give(file->lock);
    return status;
}

lapse_status lapse_file_ids(struct lapse_file *file, bool runs, int64_t *used, int64_t *given, lapse_error *error)
{
    *used = *given = 0;
    lapse_lock_take(file->lock);
    int code = lapse_file_pragma(file, runs ? "SELECT max(id) FROM run" : "SELECT max(id) FROM block", used);
    if (code == SQLITE_ROW)
        code = lapse_file_pragma(file, runs ? "SELECT seq FROM sqlite_sequence WHERE name = 'run'"
                                            : "SELECT seq FROM sqlite_sequence WHERE name = 'block'", given);
    lapse_status status = code == SQLITE_ROW || code == SQLITE_DONE ? LAPSE_OK : lapse_file_fail(file, code, error);
    lapse_lock_give(file->lock);
    return status;
}

/* ---- free pages -------------------------------------------------------------------------------------------------- */

static int stop(void *user)
{
    return lapse_upkeep_go_on(user, 0, NULL) != LAPSE_OK;
}

lapse_status lapse_file_empty_log(struct lapse_file *file, lapse_error *error)
{
    enum { STEP_MS = 10 };
    int64_t busy = 0;
    int code = SQLITE_ROW;
    if (!file->wal)
        return LAPSE_OK;
    for (int32_t waited = 0;; waited += STEP_MS) {
        lapse_lock_take(file->lock); /* not while waiting: readers of this process go on */
        sqlite3_busy_timeout(file->db, 0);
        code = lapse_file_pragma(file, "PRAGMA wal_checkpoint(TRUNCATE)", &busy);
        sqlite3_busy_timeout(file->db, file->timeout_ms);
        lapse_lock_give(file->lock);
        if (((code & 0xff) != SQLITE_BUSY && !(code == SQLITE_ROW && busy)) || waited >= file->timeout_ms)
            break;
        sqlite3_sleep(STEP_MS);
    }
    if (code == SQLITE_ROW && !busy)
        return LAPSE_OK;
    bool read = code == SQLITE_ROW || (code & 0xff) == SQLITE_BUSY;
    return lapse_fail(error, LAPSE_ERASE_PENDING, "%s: what was erased may still lie in the write-ahead log",
                      read ? "a reader is in the way" : sqlite3_errstr(code));
}

static bool worth_it(struct lapse_file *file)
{
    int64_t pages = 0, unused = 0;
    lapse_lock_take(file->lock);
    lapse_file_pragma(file, "PRAGMA page_count", &pages);
    lapse_file_pragma(file, "PRAGMA freelist_count", &unused);
    lapse_lock_give(file->lock);
    return unused * LEAST_FREE > pages;
}

lapse_status lapse_file_shrink(struct lapse_file *file, struct lapse_upkeep *u, lapse_error *error)
{
    static const char *const syncs[] = { "PRAGMA synchronous = OFF", "PRAGMA synchronous = NORMAL",
                                         "PRAGMA synchronous = FULL" };
    struct lapse_file other = { .mem = file->mem };
    const char *name = lapse_file_name(file);
    int64_t sync = 2;
    if (!name)
        return LAPSE_OK;
    lapse_lock_take(file->lock);
    lapse_file_pragma(file, "PRAGMA synchronous", &sync);
    lapse_lock_give(file->lock);
    int code = lapse_file_connect(&other, name, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_READWRITE);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(other.db, file->timeout_ms);
        sqlite3_exec(other.db, syncs[sync < 0 || sync > 2 ? 2 : sync], NULL, NULL, NULL);
        sqlite3_progress_handler(other.db, ASKED_EVERY, stop, u);
        if (worth_it(file))
            code = sqlite3_exec(other.db, "VACUUM", NULL, NULL, NULL);
        sqlite3_progress_handler(other.db, 0, NULL, NULL);
    }
    lapse_status status = LAPSE_OK;
    if ((code & 0xff) == SQLITE_INTERRUPT && u->stopped)
        status = lapse_fail(error, LAPSE_CANCELLED, "cancelled");
    else if (code != SQLITE_OK)
        status = lapse_file_fail(&other, code, error);
    else /* where a reader is in the way, the log is emptied another time */
        lapse_file_pragma(&other, "PRAGMA wal_checkpoint(TRUNCATE)", NULL);
    sqlite3_close(other.db);
    return status;
}
