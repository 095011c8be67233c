/* Shared by the files file*.c only. */
#ifndef LAPSE_LIB_STORE_FILE_H
#define LAPSE_LIB_STORE_FILE_H

#include <sqlite3.h>

#include "store/store.h"

enum { LAPSE_FILE_STATEMENTS = 24 }; /* room for those of file.c */

struct lapse_file {
    lapse_allocator mem;
    struct lapse_lock *lock;
    sqlite3 *db;
    sqlite3_stmt *statements[LAPSE_FILE_STATEMENTS];
    bool memory, read_only, wal;
    int32_t timeout_ms;
    int64_t process; /* that made the connection: SQLite must not be called with it in another */
    int64_t format; /* the read version of the file; 0 until it has one */
    uint8_t head[10]; /* what was in the file when `version` was asked for; begins with 0 until then (file.c) */
    int64_t version;
};

lapse_status lapse_file_status(int code); /* of a result code of SQLite */
lapse_status lapse_file_fail(struct lapse_file *file, int code, lapse_error *error);
int lapse_file_connect(struct lapse_file *file, const char *path, int flags); /* opens the database */
int lapse_file_make_schema(struct lapse_file *file); /* of an empty file, in this library's format */
/* One number of a PRAGMA or a query, with the lock held or not needed yet; SQLITE_ROW when there is one. */
int lapse_file_pragma(struct lapse_file *file, const char *text, int64_t *out);

#endif
