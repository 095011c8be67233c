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

#include <assert.h>
#include <unistd.h>

#include "store/file.h"

enum statement { BEGIN, COMMIT, ROLLBACK, PUT_BLOCK, GET_BLOCK, GET_AHEAD, DROP_BLOCK, PUT_RUN, DROP_RUN, RUNS, RUNS_ALONE, SET, GET,
                 VERSION, IDS, HAS_RUN, PUT_BLOCK_AS, PUT_RUN_AS, VALUES, STATEMENTS };
static_assert((int)STATEMENTS <= (int)LAPSE_FILE_STATEMENTS, "there is room for all statements");
static const char *const sql[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [PUT_BLOCK] = "INSERT INTO block(data) VALUES(?)",
    [GET_BLOCK] = "SELECT data FROM block WHERE id = ?",
    [GET_AHEAD] = "SELECT data FROM block WHERE id = ?",
    [DROP_BLOCK] = "DELETE FROM block WHERE id = ?",
    [PUT_RUN] = "INSERT INTO run(family, directory) VALUES(?, ?)",
    [DROP_RUN] = "DELETE FROM run WHERE id = ?",
    [RUNS] = "SELECT value, id, family, directory FROM meta LEFT JOIN run WHERE name = 'runs' ORDER BY id",
    [RUNS_ALONE] = "SELECT NULL, id, family, directory FROM run ORDER BY id",
    [SET] = "INSERT OR REPLACE INTO meta(name, value, checksum) VALUES(?, ?, ?)",
    [GET] = "SELECT value, checksum FROM meta WHERE name = ?",
    [VERSION] = "PRAGMA data_version",
    [IDS] = "SELECT id FROM block ORDER BY id",
    [HAS_RUN] = "SELECT 1 FROM run WHERE id = ?",
    [PUT_BLOCK_AS] = "INSERT INTO block(id, data) VALUES(?, ?)",
    [PUT_RUN_AS] = "INSERT INTO run(id, family, directory) VALUES(?, ?, ?)",
    [VALUES] = "SELECT name, value, checksum FROM meta ORDER BY name",
};

lapse_status lapse_file_status(int code)
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
    case SQLITE_ERROR: /* the statements are right, so the tables are not */
        return LAPSE_DAMAGED;
    case SQLITE_READONLY:
        return LAPSE_READ_ONLY;
    default:
        return LAPSE_IO;
    }
}

lapse_status lapse_file_fail(struct lapse_file *file, int code, lapse_error *error)
{
    lapse_status status = lapse_file_status(code);
    if (status == LAPSE_NO_MEMORY)
        return lapse_fail_memory(error);
    if (status == LAPSE_BUSY)
        return lapse_fail(error, status, "the store is busy: another writer holds it");
    return lapse_fail(error, status, "the store's file: %s", file->db ? sqlite3_errmsg(file->db) : sqlite3_errstr(code));
}

/* With the lock held. */
static sqlite3_stmt *prepared(struct lapse_file *file, enum statement s)
{
    if (!file->statements[s])
        sqlite3_prepare_v3(file->db, sql[s], -1, SQLITE_PREPARE_PERSISTENT, &file->statements[s], NULL);
    return file->statements[s];
}

/* A prepared statement, with the lock held; end it with done(). */
static sqlite3_stmt *take(struct lapse_file *file, enum statement s)
{
    lapse_lock_take(file->lock);
    return prepared(file, s);
}

static lapse_status done(struct lapse_file *file, enum statement s, int code, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    if (!file->statements[s])
        code = sqlite3_extended_errcode(file->db);
    if (lapse_file_status(code) != LAPSE_OK)
        status = lapse_file_fail(file, code, error);
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

bool lapse_file_in_transaction(struct lapse_file *file)
{
    lapse_lock_take(file->lock);
    bool yes = !sqlite3_get_autocommit(file->db);
    lapse_lock_give(file->lock);
    return yes;
}

/* With the lock held, which is given back. */
static lapse_status put_block(struct lapse_file *file, const void *data, size_t n, int64_t *id, lapse_error *error)
{
    sqlite3_stmt *q = prepared(file, PUT_BLOCK);
    int code = SQLITE_ERROR;
    if (q) {
        sqlite3_bind_blob64(q, 1, data, n, SQLITE_STATIC);
        code = sqlite3_step(q);
        *id = code == SQLITE_DONE ? sqlite3_last_insert_rowid(file->db) : 0; /* else of what went in before */
    }
    return done(file, PUT_BLOCK, code, error);
}

lapse_status lapse_file_put_block(struct lapse_file *file, const void *data, size_t n, int64_t *id, lapse_error *error)
{
    lapse_lock_take(file->lock);
    return put_block(file, data, n, id, error);
}

lapse_status lapse_file_offer_block(struct lapse_file *file, const void *data, size_t n, int64_t *id, lapse_error *error)
{
    return lapse_lock_try(file->lock) ? put_block(file, data, n, id, error) : LAPSE_DONE;
}

static bool read_blob(sqlite3_stmt *q, int column, struct lapse_buffer *out)
{
    const void *data = sqlite3_column_blob(q, column); /* NULL: empty, or no memory to convert what is no blob */
    out->size = 0;
    lapse_buffer_put(out, data, data ? (size_t)sqlite3_column_bytes(q, column) : 0);
    return !out->failed;
}

lapse_status lapse_file_check_process(const struct lapse_file *file, lapse_error *error)
{
    if (file->process != getpid())
        return lapse_fail(error, LAPSE_FORKED, "this answer was asked for before fork: open the store again");
    return LAPSE_OK;
}

/* The block into *out; SQLITE_ROW when it is there. The statement stays active, and so SQLite's lock of the file held. */
static int step_block(sqlite3_stmt *q, int64_t id, struct lapse_buffer *out, bool *copied)
{
    sqlite3_reset(q);
    sqlite3_bind_int64(q, 1, id);
    int code = sqlite3_step(q);
    if (code == SQLITE_ROW)
        *copied = read_blob(q, 0, out);
    return code;
}

lapse_status lapse_file_get_blocks(struct lapse_file *file, const int64_t *ids, size_t n, struct lapse_buffer *const *out,
                                   size_t *got, lapse_error *error)
{
    sqlite3_stmt *q = take(file, GET_BLOCK), *others = n > 1 ? prepared(file, GET_AHEAD) : NULL;
    bool copied = true;
    int code = q ? step_block(q, ids[0], out[0], &copied) : SQLITE_ERROR;
    bool found = code == SQLITE_ROW;
    *got = found;
    /* What goes wrong with another one is told when it is asked for by itself. */
    while (found && copied && others && *got < n && step_block(others, ids[*got], out[*got], &copied) == SQLITE_ROW)
        ++*got;
    if (others)
        sqlite3_reset(others);
    lapse_status status = done(file, GET_BLOCK, code, error);
    if (status != LAPSE_OK)
        return status;
    if (!copied)
        return lapse_fail_memory(error);
    return found ? LAPSE_OK : lapse_fail(error, LAPSE_STALE, "block %lld is gone: another process rewrote the store",
                                         (long long)ids[0]);
}

lapse_status lapse_file_get_block(struct lapse_file *file, int64_t id, struct lapse_buffer *out, lapse_error *error)
{
    size_t got;
    return lapse_file_get_blocks(file, &id, 1, &out, &got, error);
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
        *id = code == SQLITE_DONE ? sqlite3_last_insert_rowid(file->db) : 0; /* else of what went in before */
    }
    return done(file, PUT_RUN, code, error);
}

lapse_status lapse_file_put_block_as(struct lapse_file *file, int64_t id, const void *data, size_t n, lapse_error *error)
{
    sqlite3_stmt *q = take(file, PUT_BLOCK_AS);
    if (q) {
        sqlite3_bind_int64(q, 1, id);
        sqlite3_bind_blob64(q, 2, data, n, SQLITE_STATIC);
    }
    return done(file, PUT_BLOCK_AS, q ? sqlite3_step(q) : SQLITE_ERROR, error);
}

lapse_status lapse_file_put_run_as(struct lapse_file *file, int64_t id, int family, const void *data, size_t n,
                                   lapse_error *error)
{
    sqlite3_stmt *q = take(file, PUT_RUN_AS);
    if (q) {
        sqlite3_bind_int64(q, 1, id);
        sqlite3_bind_int(q, 2, family);
        sqlite3_bind_blob64(q, 3, data, n, SQLITE_STATIC);
    }
    return done(file, PUT_RUN_AS, q ? sqlite3_step(q) : SQLITE_ERROR, error);
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

static lapse_status each_run(struct lapse_file *file, enum statement s, lapse_file_known_fn known, lapse_file_run_fn each,
                             void *user, uint64_t *digest, bool *listed, lapse_error *error)
{
    lapse_status told = LAPSE_OK;
    sqlite3_stmt *q = take(file, s);
    int code = SQLITE_ERROR;
    *listed = false;
    *digest = 0;
    /* One statement, so that list and digest are of one moment; of no runs there is one row without any. */
    while (q && told == LAPSE_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
        const uint8_t *value = sqlite3_column_blob(q, 0);
        if (!*listed && value && sqlite3_column_bytes(q, 0) == 8)
            for (int i = 0; i < 8; i++)
                *digest |= (uint64_t)value[i] << 8 * i;
        *listed = true;
        /* A directory of many pages is read from the file only when it is looked at. */
        if (sqlite3_column_type(q, 1) != SQLITE_NULL && !(known && known(user, sqlite3_column_int64(q, 1))))
            told = each(user, sqlite3_column_int64(q, 1), sqlite3_column_int(q, 2), sqlite3_column_blob(q, 3),
                        (size_t)sqlite3_column_bytes(q, 3), error);
    }
    lapse_status status = done(file, s, told == LAPSE_OK ? code : SQLITE_OK, error);
    return told != LAPSE_OK ? told : status;
}

lapse_status lapse_file_runs(struct lapse_file *file, lapse_file_known_fn known, lapse_file_run_fn each, void *user,
                             uint64_t *digest, lapse_error *error)
{
    bool listed, any;
    lapse_status status = each_run(file, RUNS, known, each, user, digest, &listed, error);
    if (status != LAPSE_OK || listed)
        return status;
    /* The runs themselves may be sound, for who wants to save them. */
    status = each_run(file, RUNS_ALONE, known, each, user, digest, &any, error);
    return status == LAPSE_OK ? lapse_fail(error, LAPSE_DAMAGED, "the store has no value named runs") : status;
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

lapse_status lapse_file_values(struct lapse_file *file,
                               lapse_status (*each)(void *user, const char *name, const void *data, size_t n, bool sound,
                                                    lapse_error *error),
                               void *user, lapse_error *error)
{
    lapse_status told = LAPSE_OK;
    sqlite3_stmt *q = take(file, VALUES);
    int code = SQLITE_ERROR;
    while (q && told == LAPSE_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
        bool nameless = sqlite3_column_type(q, 0) == SQLITE_NULL;
        const char *name = nameless ? "" : (const char *)sqlite3_column_text(q, 0);
        const void *data = sqlite3_column_blob(q, 1);
        size_t n = data ? (size_t)sqlite3_column_bytes(q, 1) : 0;
        data = n ? data : "";
        told = name ? each(user, name, data, n, !nameless && sqlite3_column_int64(q, 2) == checksum(name, data, n), error)
                    : lapse_fail_memory(error);
    }
    lapse_status status = done(file, VALUES, told == LAPSE_OK ? code : SQLITE_OK, error);
    return told != LAPSE_OK ? told : status;
}

/* Bytes 18 to 27 of a database: how it is written and read (1: with a rollback journal), and how often it was changed. A
 * commit with a rollback journal changes the last four, as going over to a write-ahead log does; so while they are the
 * same nothing was committed. Reading them is one call of the system, and asking SQLite is eight. Source: SQLite, "Database
 * File Format", 1.3. False: it must be asked. With the lock held. */
static bool read_head(struct lapse_file *file, uint8_t head[sizeof file->head])
{
    sqlite3_file *f = NULL;
    return file->read_only && sqlite3_file_control(file->db, "main", SQLITE_FCNTL_FILE_POINTER, &f) == SQLITE_OK &&
           f && f->pMethods && f->pMethods->xRead(f, head, sizeof file->head, 18) == SQLITE_OK && head[0] == 1 &&
           head[1] == 1;
}

lapse_status lapse_file_version(struct lapse_file *file, int64_t *out, lapse_error *error)
{
    uint8_t head[sizeof file->head];
    sqlite3_stmt *q = take(file, VERSION);
    bool known = read_head(file, head);
    if (known && memcmp(head, file->head, sizeof head) == 0) {
        *out = file->version;
        return done(file, VERSION, SQLITE_ROW, error);
    }
    int code = q ? sqlite3_step(q) : SQLITE_ERROR;
    *out = code == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    file->head[0] = 0;
    if (known && code == SQLITE_ROW) { /* read before it was asked: what was committed between the two is asked again */
        memcpy(file->head, head, sizeof head);
        file->version = *out;
    }
    return done(file, VERSION, code, error);
}

int lapse_file_pragma(struct lapse_file *file, const char *text, int64_t *out)
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
    lapse_file_pragma(file, "PRAGMA page_count", &pages);
    lapse_file_pragma(file, "PRAGMA page_size", &size);
    lapse_lock_give(file->lock);
    return pages * size;
}

int64_t lapse_file_format(const struct lapse_file *file)
{
    return file->format;
}

bool lapse_file_read_only(const struct lapse_file *file)
{
    return file->read_only;
}
