/* Opening and closing the file of a store: making it, waiting for other writers, clearing away what a killed one left. */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/file.h"

enum { APPLICATION_ID = 0x4c415053 }; /* "LAPS" */

/* user_version: in its low half the read version, the oldest format whose library reads the file right; in its high half
 * how many formats later the oldest one is whose library may write to it, 0 where these are the same. */
enum { WRITE_SHIFT = 16, READ_MASK = 0xffff };

/* AUTOINCREMENT: an id is never used again, so that a reader that comes late finds nothing, not something else. */
static const char schema[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE run(id INTEGER PRIMARY KEY AUTOINCREMENT, family INTEGER NOT NULL, directory BLOB NOT NULL);"
    "CREATE TABLE block(id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL);";

/* An empty file that only its owner may read; SQLite gives the files beside it the same mode. */
static lapse_status make_file(const char *path, uint32_t flags, bool *made, lapse_error *error)
{
    *made = false;
    if (!*path)
        return lapse_fail(error, LAPSE_IO, "the name of a store is empty");
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return lapse_fail(error, LAPSE_IO, "cannot open %s: it is a directory", path);
    if (flags & (LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST))
        return LAPSE_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        *made = true;
        return LAPSE_OK;
    }
    if (flags & LAPSE_STORE_MUST_BE_NEW && access(path, F_OK) == 0)
        return lapse_fail(error, LAPSE_BAD_INPUT, "%s exists already", path);
    return LAPSE_OK; /* it exists, or SQLite says why not */
}

int lapse_file_make_schema(struct lapse_file *file)
{
    char text[128];
    snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d;", APPLICATION_ID, LAPSE_FORMAT);
    int code = sqlite3_exec(file->db, text, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_exec(file->db, schema, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        file->format = LAPSE_FORMAT;
    return code;
}

/* SQLite takes a file of one byte for an empty one, which may be filled; to us it is somebody's file. */
static bool is_fragment(const char *path)
{
    struct stat info;
    return path && stat(path, &info) == 0 && info.st_size > 0 && info.st_size < 512;
}

/* Tells a store of ours from other files, and one of ours from one of a newer library. */
static lapse_status check_format(struct lapse_file *file, const char *path, bool *empty, lapse_error *error)
{
    int64_t id = 0, version = 0, tables = 0;
    int code = lapse_file_pragma(file, "SELECT count(*) FROM sqlite_schema", &tables);
    if (code == SQLITE_ROW)
        code = lapse_file_pragma(file, "PRAGMA application_id", &id);
    if (code == SQLITE_ROW)
        code = lapse_file_pragma(file, "PRAGMA user_version", &version);
    if (code != SQLITE_ROW)
        return lapse_file_fail(file, code, error);
    *empty = tables == 0 && id == 0 && version == 0 && !is_fragment(path);
    if (*empty)
        return LAPSE_OK;
    if (id != APPLICATION_ID)
        return lapse_fail(error, LAPSE_DAMAGED, "%s is no store of lapse", path);
    int64_t reads = version & READ_MASK, writes = reads + (version >> WRITE_SHIFT & READ_MASK);
    file->format = reads;
    if (reads == 0)
        return lapse_fail(error, LAPSE_DAMAGED, "%s is a store without a format version", path);
    if (reads > LAPSE_FORMAT)
        return lapse_fail(error, LAPSE_UNSUPPORTED, "%s has format %lld: it is of a newer library than this one, %s, which "
                          "reads formats up to %d", path, (long long)reads, lapse_version_string(), LAPSE_FORMAT);
    if (writes > LAPSE_FORMAT && !file->read_only)
        return lapse_fail(error, LAPSE_UNSUPPORTED, "%s has format %lld: it is of a newer library than this one, %s, which "
                          "can read it, opened read-only, and not write to it", path, (long long)writes,
                          lapse_version_string());
    return LAPSE_OK;
}

/* A name that begins with a colon, or with `file:`, may mean something else to SQLite than a file: ./ goes before. */
int lapse_file_connect(struct lapse_file *file, const char *path, int flags)
{
    if (file->memory || path[0] == '/')
        return sqlite3_open_v2(file->memory ? ":memory:" : path, &file->db, flags, NULL);
    char *name = lapse_mem_alloc(&file->mem, strlen(path) + 3);
    if (!name)
        return SQLITE_NOMEM;
    memcpy(name, "./", 2);
    memcpy(name + 2, path, strlen(path) + 1);
    int code = sqlite3_open_v2(name, &file->db, flags, NULL);
    lapse_mem_free(&file->mem, name);
    return code;
}

/* Of the locks that this takes SQLite waits for some and not for others, so the wait is here alone. */
static int switch_to_wal(struct lapse_file *file, int timeout_ms)
{
    enum { STEP_MS = 10 };
    int code;
    sqlite3_busy_timeout(file->db, 0);
    for (int waited = 0;; waited += STEP_MS) {
        code = sqlite3_exec(file->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if ((code & 0xff) != SQLITE_BUSY || waited >= timeout_ms)
            break;
        sqlite3_sleep(STEP_MS);
    }
    sqlite3_busy_timeout(file->db, timeout_ms);
    return code;
}

/* A writer that was killed leaves what only a writer can clear away; afterwards the file can be read as it is. */
static void recover(struct lapse_file *file, const char *path, int timeout_ms)
{
    struct lapse_file other = { .mem = file->mem };
    if (lapse_file_connect(&other, path, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE) == SQLITE_OK) {
        sqlite3_busy_timeout(other.db, timeout_ms);
        sqlite3_exec(other.db, "SELECT count(*) FROM sqlite_schema; PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    sqlite3_close(other.db);
}

static lapse_status open_to_read(struct lapse_file *file, const char *path, const lapse_store_options *options,
                                 lapse_error *error)
{
    bool empty = false;
    lapse_error why = { .size = sizeof why };
    lapse_status status = check_format(file, path, &empty, &why);
    if (status == LAPSE_READ_ONLY || status == LAPSE_IO) {
        recover(file, path, options->timeout_ms);
        why = (lapse_error){ .size = sizeof why };
        status = check_format(file, path, &empty, &why);
    }
    if (status == LAPSE_OK && empty)
        return lapse_fail(error, LAPSE_DAMAGED, "%s is no store of lapse: it is empty", path);
    if (status == LAPSE_READ_ONLY)
        return lapse_fail(error, LAPSE_IO, "%s needs recovery, and cannot be written", path);
    return status == LAPSE_OK ? LAPSE_OK : lapse_fail_again(error, &why);
}

/* *made: the transaction that makes the store is open, the caller puts its values in and ends it. */
static lapse_status open_to_write(struct lapse_file *file, const char *path, const lapse_store_options *options,
                                  bool *made, lapse_error *error)
{
    static const char *const sync[] = { "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL",
                                        "PRAGMA synchronous = OFF" };
    bool empty = false;
    lapse_status status = check_format(file, path, &empty, error);
    if (status != LAPSE_OK)
        return status;
    int code = sqlite3_exec(file->db, sync[options->sync], NULL, NULL, NULL);
    /* Pages of a file that become free are cleared when something is erased (file_scrub.c). */
    if (code == SQLITE_OK)
        code = sqlite3_exec(file->db, file->memory ? "PRAGMA secure_delete = ON" : "PRAGMA secure_delete = FAST", NULL, NULL,
                            NULL);
    if (code == SQLITE_OK && !file->memory)
        code = switch_to_wal(file, options->timeout_ms);
    /* A merge frees as many pages as it fills: the later they go from the log to the file, the fewer go twice. */
    if (code == SQLITE_OK)
        code = sqlite3_exec(file->db, "PRAGMA wal_autocheckpoint = 4000", NULL, NULL, NULL);
    file->wal = code == SQLITE_OK && !file->memory;
    if (code == SQLITE_OK && empty) {
        status = lapse_file_begin(file, error);
        if (status == LAPSE_OK) /* another process may have made it meanwhile */
            status = check_format(file, path, &empty, error);
        if (status != LAPSE_OK)
            return status;
        *made = empty;
        if (empty)
            code = lapse_file_make_schema(file);
        else
            lapse_file_rollback(file);
    }
    return code == SQLITE_OK ? LAPSE_OK : lapse_file_fail(file, code, error);
}

static lapse_status connect(struct lapse_file *file, const char *path, const lapse_store_options *options, bool *made,
                            lapse_error *error)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    flags |= file->memory ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY
             : file->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    *made = false;
    int code = lapse_file_connect(file, path, flags);
    if (code != SQLITE_OK) {
        lapse_status status = lapse_file_status(code) == LAPSE_NO_MEMORY ? LAPSE_NO_MEMORY : LAPSE_IO;
        return lapse_fail(error, status, "cannot open %s: %s", file->memory ? "a store in memory" : path,
                          sqlite3_errstr(code));
    }
    sqlite3_busy_timeout(file->db, options->timeout_ms);
    return file->read_only ? open_to_read(file, path, options, error)
                           : open_to_write(file, path, options, made, error);
}

lapse_status lapse_file_open(const lapse_allocator *mem, const char *path, const lapse_store_options *options,
                             bool *made, struct lapse_file **out, lapse_error *error)
{
    *out = NULL;
    *made = false;
    if (!sqlite3_threadsafe())
        return lapse_fail(error, LAPSE_IO, "this SQLite was built without threads");
    lapse_status status = path ? make_file(path, options->flags, made, error) : LAPSE_OK;
    if (status != LAPSE_OK)
        return status;
    struct lapse_file *file = lapse_mem_zero(mem, 1, sizeof *file);
    if (!file)
        return lapse_fail_memory(error);
    file->mem = *mem;
    file->memory = !path;
    file->timeout_ms = options->timeout_ms;
    file->process = getpid();
    file->read_only = (options->flags & LAPSE_STORE_READ_ONLY) && path;
    file->lock = lapse_lock_new(mem);
    status = file->lock ? connect(file, path, options, made, error) : lapse_fail_memory(error);
    if (status != LAPSE_OK) {
        lapse_file_close(file);
        return status;
    }
    *out = file;
    return LAPSE_OK;
}

void lapse_file_close(struct lapse_file *file)
{
    if (!file)
        return;
    const bool own = file->process == getpid(); /* a child lets go of memory: locks and log are its parent's */
    for (int s = 0; own && s < LAPSE_FILE_STATEMENTS; s++)
        sqlite3_finalize(file->statements[s]);
    if (own && file->wal) { /* refused, quietly, while another connection is open */
        sqlite3_busy_timeout(file->db, 0);
        sqlite3_exec(file->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    if (own)
        sqlite3_close(file->db);
    lapse_allocator mem = file->mem;
    lapse_lock_free(&mem, file->lock);
    lapse_mem_free(&mem, file);
}
