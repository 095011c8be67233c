/* Keeping a store in order: copies while it is in use, a smaller file, and a check of all that is in it. */
#ifndef LAPSE_UPKEEP_H
#define LAPSE_UPKEEP_H

#include <lapse/base.h>
#include <lapse/store.h>
#include <lapse/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Flags of lapse_upkeep_options, each of one function. @since 0.9 */
enum {
    LAPSE_BACKUP_REPLACE = 1,  /**< lapse_store_backup(): the file may exist, and is replaced by the whole copy */
    LAPSE_COMPACT_UPGRADE = 2  /**< lapse_store_compact(): write all of it anew, in the latest format of this library */
};

/** How the functions here go about it. Fill with lapse_upkeep_options_init(). Everything stays the caller's and is used
 *  during the call only. @since 0.9 */
typedef struct lapse_upkeep_options {
    uint32_t size;
    uint32_t flags;                /**< those of the function that is called */
    lapse_progress_fn on_progress; /**< rows gone through; may cancel. NULL: nobody is told */
    void *progress_user;
    int32_t threads;               /**< of lapse_store_compact(): 1 (default) or 0: none beside the caller's; at most 64 */
    int32_t reserved;              /**< 0 */
} lapse_upkeep_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_upkeep_options_init(lapse_upkeep_options *options, uint32_t size);

/** Copies what the store holds at one moment into a new store in file `path`, while any thread and process goes on reading
 *  and writing: no lock and no transaction is held meanwhile. A store in memory can be copied into a file too; the key that
 *  its endpoints are hashed with, zeros, goes along. Every checksum is looked at on the way: LAPSE_DAMAGED names what cannot
 *  be copied. The copy is made under a name of its own beside `path`, `PATH.XXXXXXXXXXXXXXXX.tmp`, and gets its name when
 *  it is whole and on the disk: a crash leaves nothing under that name. Its owner alone can read it; it holds no free
 *  pages. LAPSE_BAD_INPUT: there is a file of that name (see LAPSE_BACKUP_REPLACE), or the store itself has it, or a
 *  journal lies beside it, so that somebody uses a store of that name or one crashed; LAPSE_STALE: another process removes
 *  what is being read again and again; LAPSE_CANCELLED and any other failure: no file is made or changed. `options` may be
 *  NULL. Memory: that of one block. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_store_backup(lapse_store *store, const char *path, const lapse_upkeep_options *options,
                                          lapse_error *error);

/** Merges all runs of each family into one, so that every question is answered at its best speed, drops what nobody needs
 *  any more, and gives the pages that are free then back to the file system. Answers do not change, and views opened before
 *  stay usable: what they read stays in the file until they are closed and the store is compacted again. Other processes
 *  read on, a view of theirs may become LAPSE_STALE; other writers wait or get LAPSE_BUSY. Each step is one transaction:
 *  a crash at any moment leaves the store whole. After LAPSE_CANCELLED, LAPSE_BUSY or LAPSE_IO (no room on the disk, say)
 *  the runs may be merged already and the file larger than before; nothing is lost, and calling again goes on from there.
 *  Needs on the disk, for a time, about three times what the store holds: beside the file, and once that in the folder for
 *  temporary files that SQLite chooses. Memory: a decoded block a run and thread. In memory only the merging is
 *  done. `options` may be NULL. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_store_compact(lapse_store *store, const lapse_upkeep_options *options, lapse_error *error);

/** Reads everything that the store holds, as it is at one moment, and checks it: the pages of the file (SQLite's own check),
 *  every checksum and count, that rows are such as could be stored and in their order, that directories agree with
 *  blocks, fingerprints with events, and the list of runs with its digest. Never writes. `*out` is `name,value`, both
 *  strings: blocks, events, customers (empty when they cannot be counted), ok (1 or 0); with one note for each thing that
 *  is damaged, which names run, block and customers as far as it is known. Blocks without a run, which a crash or a view
 *  that is still open leaves and the next writer removes, are no damage. LAPSE_OK: all is well. LAPSE_DAMAGED: something
 *  is not; `*out` is there then too, and the caller's to free, and the message is the first note. NULL after any other
 *  failure. A store so damaged that it cannot be opened is opened with LAPSE_STORE_VERIFY. While nobody has the store open
 *  for writing, a process that opens it for that meanwhile waits, and may get LAPSE_BUSY. `options` may be NULL. Memory: two
 *  decoded blocks, then one a run. Cost: two passes. Threads: any; writers of this handle wait if it is in memory.
 *  @since 0.9 */
LAPSE_API lapse_status lapse_store_verify(lapse_store *store, const lapse_upkeep_options *options, lapse_result **out,
                                          lapse_error *error);

/** All events that are sound in a damaged store, as lapse_view_events() gives them with INT64_MAX; for a store that every
 *  other call refuses, opened with LAPSE_STORE_VERIFY. An event is sound when all of its block is, as lapse_store_verify()
 *  sees it. With one note for each thing that is damaged, which names run, block and customers as far as it is known; of
 *  a run whose directory is damaged, how many of its blocks are found all the same. Never writes. LAPSE_OK: nothing is
 *  lost. LAPSE_DAMAGED: something is; `*out` is there then too, holds what is sound, and is the caller's to free, and the
 *  message is the first note. NULL after any other failure, and with LAPSE_DAMAGED when SQLite cannot read the file at
 *  all or the digits of amounts are lost: those may be given in lapse_store_options then. What a run that is listed too
 *  much held, or one too old, may be among the events: a note on the list of runs says so. The result keeps a read
 *  transaction until it is freed, so the log of a store that is written to meanwhile grows. `options` may be NULL.
 *  Cost: two passes. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_store_salvage(lapse_store *store, const lapse_upkeep_options *options, lapse_result **out,
                                           lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
