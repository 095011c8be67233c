/* Shared by backup.c, compact.c, verify*.c, upkeep.c and file_upkeep.c only. */
#ifndef LAPSE_LIB_STORE_UPKEEP_H
#define LAPSE_LIB_STORE_UPKEEP_H

#include <lapse/upkeep.h>

#include "store/store.h"

/* ---- upkeep.c: options, and telling how far it is ---------------------------------------------------------- */

struct lapse_upkeep {
    lapse_upkeep_options options;
    int64_t done, total, told; /* rows */
    bool stopped;              /* the host has said so */
};
/* Checks and copies the options; `known` are the flags of this function. */
lapse_status lapse_upkeep_begin(struct lapse_upkeep *u, const lapse_upkeep_options *options, uint32_t known,
                                lapse_error *error);
/* `rows` more are done. LAPSE_CANCELLED when the host says stop. */
lapse_status lapse_upkeep_go_on(struct lapse_upkeep *u, int64_t rows, lapse_error *error);

/* ---- file_upkeep.c ------------------------------------------------------------------------------------------- */

/* A new file at `path`, which must not exist, with the tables of a store and a transaction open. It has neither journal
 * nor syncs: nobody knows it yet. */
lapse_status lapse_file_make_copy(const lapse_allocator *mem, const char *path, struct lapse_file **out,
                                  lapse_error *error);
/* A second connection to the file, read-only, that sees one moment until it is closed. Not of a file in memory. */
lapse_status lapse_file_open_snapshot(struct lapse_file *file, struct lapse_file **out, lapse_error *error);
/* The name of the file, absolute; NULL in memory. */
const char *lapse_file_name(struct lapse_file *file);
/* SQLite's integrity check: calls `each` for every line it has to say. */
lapse_status lapse_file_check_pages(struct lapse_file *file,
                                    lapse_status (*each)(void *user, const char *text, lapse_error *error), void *user,
                                    lapse_error *error);
/* The greatest id in use, and the greatest ever given, of blocks or of runs. */
lapse_status lapse_file_ids(struct lapse_file *file, bool runs, int64_t *used, int64_t *given, lapse_error *error);
/* Puts the latest format into the file. In a transaction. */
lapse_status lapse_file_upgrade(struct lapse_file *file, lapse_error *error);
/* Gives free pages back, and makes the log empty, through a connection of its own, so that readers go on. */
lapse_status lapse_file_shrink(struct lapse_file *file, struct lapse_upkeep *u, lapse_error *error);

#endif
