/* SQLite as the file: a few named values, the directories of published runs, and blocks as blobs.
 *
 * All of it is under checksums, for SQLite has none: of each value in its row, of each directory at its end, of each
 * block in its directory. The value `runs` is the digest of the list of runs, so that a run that is lost is missed.
 *
 * One connection, one statement at a time under a lock that is held for the statement only, so that readers go on
 * while a commit is being filled. Nothing reads inside a transaction of its own: what a view reads are blocks that
 * never change. While a writer has the file open it is in WAL mode; the last writer to close leaves it in rollback
 * mode, so that a reader needs nothing beside it, not even a writable directory. */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"

enum { APPLICATION_ID = 0x4c415053 }; /* "LAPS" */

enum statement { BEGIN, COMMIT, ROLLBACK, PUT_BLOCK, GET_BLOCK, DROP_BLOCK, PUT_RUN, DROP_RUN, RUNS, SET, GET, VERSION,
                 IDS, HAS_RUN, STATEMENTS };
static const char *const sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT_BLOCK] = "INSERT INTO block(data) VALUES(?)",
    [GET_BLOCK] = "SELECT data FROM block WHERE id = ?",
    [DROP_BLOCK] = "DELETE FROM block WHERE id = ?",
    [PUT_RUN] = "INSERT INTO run(family, directory) VALUES(?, ?)",
    [DROP_RUN] = "DELETE FROM run WHERE id = ?",
    [RUNS] = "SELECT value, id, family, directory FROM meta LEFT JOIN run WHERE name = 'runs' ORDER BY id",
    [SET] = "INSERT OR REPLACE INTO meta(name, value, checksum) VALUES(?, ?, ?)",
    [GET] = "SELECT value, checksum FROM meta WHERE name = ?",
    [VERSION] = "PRAGMA data_version",
    [IDS] = "SELECT id FROM block ORDER BY id",
    [HAS_RUN] = "SELECT 1 FROM run WHERE id = ?",
};

/* AUTOINCREMENT: an id is never used again, so that a reader that comes late finds nothing, not something else. */
static const char schema[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE run(id INTEGER PRIMARY KEY AUTOINCREMENT, family INTEGER NOT NULL, directory BLOB NOT NULL);"
    "CREATE TABLE block(id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL);";

struct lapse_file {
    lapse_allocator mem;
    struct lapse_lock *lock;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    bool memory, read_only, wal;
};

static lapse_status status_of(int code)
{
    if (code == SQLITE_IOERR_NOMEM)
        return LAPSE_NO_MEMORY;
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return LAPSE_OK;
    case SQLITE_NOMEM:
        return LAPSE_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return LAPSE_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return LAPSE_DAMAGED;
    case SQLITE_READONLY:
        return LAPSE_READ_ONLY;
    default:
        return LAPSE_IO;
    }
}

static lapse_status fail(struct lapse_file *file, int code, lapse_error *error)
{
    lapse_status status = status_of(code);
    if (status == LAPSE_NO_MEMORY)
        return lapse_fail_memory(error);
    if (status == LAPSE_BUSY)
        return lapse_fail(error, status, "the store is busy: another writer holds it");
    return lapse_fail(error, status, "the store's file: %s", file->db ? sqlite3_errmsg(file->db) : sqlite3_errstr(code));
}

/* A prepared statement, with the lock held; end it with done(). */
static sqlite3_stmt *take(struct lapse_file *file, enum statement s)
{
    lapse_lock_take(file->lock);
    if (!file->statements[s])
        sqlite3_prepare_v3(file->db, sql[s], -1, SQLITE_PREPARE_PERSISTENT, &file->statements[s], NULL);
    return file->statements[s];
}

static lapse_status done(struct lapse_file *file, enum statement s, int code, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    if (!file->statements[s])
        code = sqlite3_extended_errcode(file->db);
    if (status_of(code) != LAPSE_OK)
        status = fail(file, code, error);
    if (file->statements[s]) {
        sqlite3_reset(file->statements[s]);
        sqlite3_clear_bindings(file->statements[s]);
    }
    lapse_lock_give(file->lock);
    return status;
}

static lapse_status simple(struct lapse_file *file, enum statement s, lapse_error *error)
{
    sqlite3_stmt *q = take(file, s);
    return done(file, s, q ? sqlite3_step(q) : SQLITE_ERROR, error);
}

lapse_status lapse_file_begin(struct lapse_file *file, lapse_error *error)
{
    if (file->read_only)
        return lapse_fail(error, LAPSE_READ_ONLY, "the store was opened read-only");
    lapse_file_rollback(file); /* what may be left of one that failed; and it is prepared before it is needed */
    lapse_status status = simple(file, BEGIN, error);
    if (status != LAPSE_OK)
        lapse_file_rollback(file);
    return status;
}

lapse_status lapse_file_commit(struct lapse_file *file, lapse_error *error)
{
    return simple(file, COMMIT, error);
}

void lapse_file_rollback(struct lapse_file *file)
{
    sqlite3_stmt *q = take(file, ROLLBACK);
    if (q && !sqlite3_get_autocommit(file->db)) /* a failed commit may have rolled back already */
        sqlite3_step(q);
    done(file, ROLLBACK, SQLITE_OK, NULL);
}

lapse_status lapse_file_put_block(struct lapse_file *file, const void *data, size_t n, int64_t *id, lapse_error *error)
{
    sqlite3_stmt *q = take(file, PUT_BLOCK);
    int code = SQLITE_ERROR;
    if (q) {
        sqlite3_bind_blob64(q, 1, data, n, SQLITE_STATIC);
        code = sqlite3_step(q);
        *id = sqlite3_last_insert_rowid(file->db);
    }
    return done(file, PUT_BLOCK, code, error);
}

static bool read_blob(sqlite3_stmt *q, int column, struct lapse_buffer *out)
{
    const void *data = sqlite3_column_blob(q, column); /* NULL: empty, or no memory to convert what is no blob */
    out->size = 0;
    lapse_buffer_put(out, data, data ? (size_t)sqlite3_column_bytes(q, column) : 0);
    return !out->failed;
}

lapse_status lapse_file_get_block(struct lapse_file *file, int64_t id, struct lapse_buffer *out, lapse_error *error)
{
    sqlite3_stmt *q = take(file, GET_BLOCK);
    int code = SQLITE_ERROR;
    bool found = false, copied = true;
    if (q) {
        sqlite3_bind_int64(q, 1, id);
        code = sqlite3_step(q);
        found = code == SQLITE_ROW;
        if (found)
            copied = read_blob(q, 0, out);
    }
    lapse_status status = done(file, GET_BLOCK, code, error);
    if (status != LAPSE_OK)
        return status;
    if (!copied)
        return lapse_fail_memory(error);
    return found ? LAPSE_OK : lapse_fail(error, LAPSE_STALE, "block %lld is gone: another process rewrote the store",
                                         (long long)id);
}

lapse_status lapse_file_drop_blocks(struct lapse_file *file, const int64_t *ids, size_t n, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < n && status == LAPSE_OK; i++) {
        sqlite3_stmt *q = take(file, DROP_BLOCK);
        if (q)
            sqlite3_bind_int64(q, 1, ids[i]);
        status = done(file, DROP_BLOCK, q ? sqlite3_step(q) : SQLITE_ERROR, error);
    }
    return status;
}

lapse_status lapse_file_other_blocks(struct lapse_file *file, const int64_t *ids, size_t n, int64_t **others,
                                     size_t *count, lapse_error *error)
{
    size_t capacity = 0, i = 0;
    bool room = true;
    sqlite3_stmt *q = take(file, IDS);
    int code = SQLITE_ERROR;
    *others = NULL;
    *count = 0;
    while (q && room && (code = sqlite3_step(q)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(q, 0);
        while (i < n && ids[i] < id)
            i++;
        if (i < n && ids[i] == id)
            continue;
        room = lapse_mem_reserve(&file->mem, others, &capacity, *count + 1, sizeof **others);
        if (room)
            (*others)[(*count)++] = id;
    }
    lapse_status status = done(file, IDS, room ? code : SQLITE_OK, error);
    return status == LAPSE_OK && !room ? lapse_fail_memory(error) : status;
}

lapse_status lapse_file_put_run(struct lapse_file *file, int family, const void *data, size_t n, int64_t *id,
                                lapse_error *error)
{
    sqlite3_stmt *q = take(file, PUT_RUN);
    int code = SQLITE_ERROR;
    if (q) {
        sqlite3_bind_int(q, 1, family);
        sqlite3_bind_blob64(q, 2, data, n, SQLITE_STATIC);
        code = sqlite3_step(q);
        *id = sqlite3_last_insert_rowid(file->db);
    }
    return done(file, PUT_RUN, code, error);
}

lapse_status lapse_file_drop_run(struct lapse_file *file, int64_t id, lapse_error *error)
{
    sqlite3_stmt *q = take(file, DROP_RUN);
    if (q)
        sqlite3_bind_int64(q, 1, id);
    return done(file, DROP_RUN, q ? sqlite3_step(q) : SQLITE_ERROR, error);
}

bool lapse_file_has_run(struct lapse_file *file, int64_t id)
{
    sqlite3_stmt *q = take(file, HAS_RUN);
    if (q)
        sqlite3_bind_int64(q, 1, id);
    int code = q ? sqlite3_step(q) : SQLITE_ERROR;
    return done(file, HAS_RUN, code, NULL) == LAPSE_OK && code == SQLITE_ROW;
}

lapse_status lapse_file_runs(struct lapse_file *file,
                             lapse_status (*each)(void *user, int64_t id, int family, const void *data, size_t n,
                                                  lapse_error *error),
                             void *user, uint64_t *digest, lapse_error *error)
{
    lapse_status told = LAPSE_OK;
    sqlite3_stmt *q = take(file, RUNS);
    int code = SQLITE_ERROR;
    bool listed = false;
    *digest = 0;
    /* One statement, so that list and digest are of one moment; of no runs there is one row without any. */
    while (q && told == LAPSE_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
        const uint8_t *value = sqlite3_column_blob(q, 0);
        if (!listed && value && sqlite3_column_bytes(q, 0) == 8)
            for (int i = 0; i < 8; i++)
                *digest |= (uint64_t)value[i] << 8 * i;
        listed = true;
        if (sqlite3_column_type(q, 1) != SQLITE_NULL)
            told = each(user, sqlite3_column_int64(q, 1), sqlite3_column_int(q, 2), sqlite3_column_blob(q, 3),
                        (size_t)sqlite3_column_bytes(q, 3), error);
    }
    lapse_status status = done(file, RUNS, told == LAPSE_OK ? code : SQLITE_OK, error);
    if (told != LAPSE_OK || status != LAPSE_OK)
        return told != LAPSE_OK ? told : status;
    return listed ? LAPSE_OK : lapse_fail(error, LAPSE_DAMAGED, "the store has no value named runs");
}

lapse_status lapse_file_set_digest(struct lapse_file *file, uint64_t digest, lapse_error *error)
{
    uint8_t value[8];
    for (int i = 0; i < 8; i++)
        value[i] = (uint8_t)(digest >> 8 * i);
    return lapse_file_set(file, "runs", value, sizeof value, error);
}

/* Seeded by the name: a value in the place of another is found too. */
static int64_t checksum(const char *name, const void *data, size_t n)
{
    return (int64_t)lapse_hash(data, n, lapse_hash(name, strlen(name), 0));
}

lapse_status lapse_file_set(struct lapse_file *file, const char *name, const void *data, size_t n, lapse_error *error)
{
    sqlite3_stmt *q = take(file, SET);
    if (q) {
        sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_blob64(q, 2, n ? data : "", n, SQLITE_STATIC);
        sqlite3_bind_int64(q, 3, checksum(name, n ? data : "", n));
    }
    return done(file, SET, q ? sqlite3_step(q) : SQLITE_ERROR, error);
}

lapse_status lapse_file_get(struct lapse_file *file, const char *name, struct lapse_buffer *out, lapse_error *error)
{
    sqlite3_stmt *q = take(file, GET);
    int code = SQLITE_ERROR;
    bool found = false, copied = true, sound = true;
    if (q) {
        sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
        code = sqlite3_step(q);
        found = code == SQLITE_ROW;
        if (found)
            copied = read_blob(q, 0, out);
        if (found && copied)
            sound = sqlite3_column_int64(q, 1) == checksum(name, out->size ? out->data : "", out->size);
    }
    lapse_status status = done(file, GET, code, error);
    if (status == LAPSE_OK && !copied)
        return lapse_fail_memory(error);
    if (status == LAPSE_OK && !found)
        return lapse_fail(error, LAPSE_DAMAGED, "the store has no value named %s", name);
    if (status == LAPSE_OK && !sound)
        return lapse_fail(error, LAPSE_DAMAGED, "the store's value named %s is damaged", name);
    return status;
}

lapse_status lapse_file_version(struct lapse_file *file, int64_t *out, lapse_error *error)
{
    sqlite3_stmt *q = take(file, VERSION);
    int code = q ? sqlite3_step(q) : SQLITE_ERROR;
    *out = code == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    return done(file, VERSION, code, error);
}

/* One number of a PRAGMA, with the lock held or not needed yet. */
static int pragma(struct lapse_file *file, const char *text, int64_t *out)
{
    sqlite3_stmt *q = NULL;
    int code = sqlite3_prepare_v2(file->db, text, -1, &q, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(q);
        if (code == SQLITE_ROW && out)
            *out = sqlite3_column_int64(q, 0);
        int end = sqlite3_finalize(q);
        code = end == SQLITE_OK ? code : end;
    }
    return code;
}

int64_t lapse_file_bytes(struct lapse_file *file)
{
    int64_t pages = 0, size = 0;
    if (file->memory)
        return -1;
    lapse_lock_take(file->lock);
    pragma(file, "PRAGMA page_count", &pages);
    pragma(file, "PRAGMA page_size", &size);
    lapse_lock_give(file->lock);
    return pages * size;
}

bool lapse_file_read_only(const struct lapse_file *file)
{
    return file->read_only;
}

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

static int make_schema(struct lapse_file *file)
{
    char text[128];
    snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d;", APPLICATION_ID, LAPSE_FORMAT);
    int code = sqlite3_exec(file->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? sqlite3_exec(file->db, schema, NULL, NULL, NULL) : code;
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
    int code = pragma(file, "SELECT count(*) FROM sqlite_schema", &tables);
    if (code == SQLITE_ROW)
        code = pragma(file, "PRAGMA application_id", &id);
    if (code == SQLITE_ROW)
        code = pragma(file, "PRAGMA user_version", &version);
    if (code != SQLITE_ROW)
        return fail(file, code, error);
    *empty = tables == 0 && id == 0 && version == 0 && !is_fragment(path);
    if (*empty)
        return LAPSE_OK;
    if (id != APPLICATION_ID)
        return lapse_fail(error, LAPSE_DAMAGED, "%s is no store of lapse", path);
    if (version != LAPSE_FORMAT)
        return lapse_fail(error, LAPSE_UNSUPPORTED, "%s has format %lld, this library reads format %d", path,
                          (long long)version, LAPSE_FORMAT);
    return LAPSE_OK;
}

/* A name that begins with a colon, or with `file:`, may mean something else to SQLite than a file: ./ goes before. */
static int open_database(struct lapse_file *file, const char *path, int flags)
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

/* SQLite does not wait for the lock that this takes, so the wait is here. */
static int switch_to_wal(struct lapse_file *file, int timeout_ms)
{
    enum { STEP_MS = 10 };
    int code;
    for (int waited = 0;; waited += STEP_MS) {
        code = sqlite3_exec(file->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if ((code & 0xff) != SQLITE_BUSY || waited >= timeout_ms)
            return code;
        sqlite3_sleep(STEP_MS);
    }
}

/* A writer that was killed leaves what only a writer can clear away; afterwards the file can be read as it is. */
static void recover(struct lapse_file *file, const char *path, int timeout_ms)
{
    struct lapse_file other = { .mem = file->mem };
    if (open_database(&other, path, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE) == SQLITE_OK) {
        sqlite3_busy_timeout(other.db, timeout_ms);
        sqlite3_exec(other.db, "SELECT count(*) FROM sqlite_schema; PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    sqlite3_close(other.db);
}

static lapse_status open_to_read(struct lapse_file *file, const char *path, const lapse_store_options *options,
                                 lapse_error *error)
{
    bool empty = false;
    lapse_status status = check_format(file, path, &empty, error);
    if (status == LAPSE_READ_ONLY || status == LAPSE_IO) {
        recover(file, path, options->timeout_ms);
        status = check_format(file, path, &empty, error);
    }
    if (status == LAPSE_OK && empty)
        return lapse_fail(error, LAPSE_DAMAGED, "%s is no store of lapse: it is empty", path);
    return status == LAPSE_READ_ONLY ? lapse_fail(error, LAPSE_IO, "%s needs recovery, and cannot be written", path)
                                     : status;
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
    if (code == SQLITE_OK)
        code = sqlite3_exec(file->db, "PRAGMA secure_delete = ON", NULL, NULL, NULL);
    if (code == SQLITE_OK && !file->memory)
        code = switch_to_wal(file, options->timeout_ms);
    file->wal = code == SQLITE_OK && !file->memory;
    if (code == SQLITE_OK && empty) {
        status = lapse_file_begin(file, error);
        if (status == LAPSE_OK) /* another process may have made it meanwhile */
            status = check_format(file, path, &empty, error);
        if (status != LAPSE_OK)
            return status;
        *made = empty;
        if (empty)
            code = make_schema(file);
        else
            lapse_file_rollback(file);
    }
    return code == SQLITE_OK ? LAPSE_OK : fail(file, code, error);
}

static lapse_status connect(struct lapse_file *file, const char *path, const lapse_store_options *options, bool *made,
                            lapse_error *error)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    flags |= file->memory ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY
             : file->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    *made = false;
    int code = open_database(file, path, flags);
    if (code != SQLITE_OK) {
        lapse_status status = status_of(code) == LAPSE_NO_MEMORY ? LAPSE_NO_MEMORY : LAPSE_IO;
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
    for (int s = 0; s < STATEMENTS; s++)
        sqlite3_finalize(file->statements[s]);
    if (file->wal) { /* refused, quietly, while another connection is open */
        sqlite3_busy_timeout(file->db, 0);
        sqlite3_exec(file->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    sqlite3_close(file->db);
    lapse_allocator mem = file->mem;
    lapse_lock_free(&mem, file->lock);
    lapse_mem_free(&mem, file);
}
