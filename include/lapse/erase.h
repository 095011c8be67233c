/* Forgetting customers, for good. */
#ifndef LAPSE_ERASE_H
#define LAPSE_ERASE_H

#include <lapse/base.h>
#include <lapse/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How to forget. Fill with lapse_forget_options_init(), then set `at`. Everything stays the caller's and is used during
 *  the call only. @since 0.9 */
typedef struct lapse_forget_options {
    uint32_t size;
    uint32_t flags;                /**< 0 */
    int64_t at;                    /**< the instant of the erasure, by the host's clock; required, 1900 to 2999. Rows of a
                                        forgotten customer dated at or before it are not stored any more, later ones begin
                                        a new customer */
    lapse_progress_fn on_progress; /**< rows gone through; may cancel. NULL: nobody is told */
    void *progress_user;
} lapse_forget_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_forget_options_init(lapse_forget_options *options, uint32_t size);

/** What was forgotten. @since 0.9 */
typedef struct lapse_forgotten {
    uint32_t size;       /**< sizeof(lapse_forgotten), set by the caller */
    uint32_t flags;      /**< 0 */
    int64_t customers;
    int64_t events;      /**< of theirs, removed */
} lapse_forgotten;

/** Removes everything that the store holds of `count` customers, in one transaction: their events, the identities of these,
 *  and what is derived from them; from runs, merges under way, what is deleted already, and the write-ahead log. What stays
 *  is a tombstone for each, a keyed hash with the instant `at`, so that importing old files does not bring them back.
 *  Customer i is bytes offsets[i] .. offsets[i + 1] of `customers`; one named twice is one. All or nothing: LAPSE_NOT_FOUND
 *  names a customer without events (one that is forgotten already has none), and nothing changed; so it is after any other
 *  failure but LAPSE_ERASE_PENDING.
 *  Every view opened before, in any process, becomes LAPSE_STALE: views of this process at once, those of others when they
 *  next read. From then on these customers are in no answer about any instant; lapse_view_permit_one() answers `deny`,
 *  `erased`. LAPSE_ERASE_PENDING: they are forgotten, and `*out` says what went; but a call of some process that reads old
 *  pages (a verification, say) kept the write-ahead log from being emptied for as long as the store's timeout, so bytes of
 *  theirs may lie in it. The next call here empties it, with a count of 0 that is all it does.
 *  Copies that the host made, by lapse_store_backup() or otherwise, are not reached. `out` may be NULL. Memory: a decoded
 *  block a run, 12 bytes for each event with an id. Cost: a look into each run for each customer, and the blocks that hold
 *  them written anew. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_store_forget(lapse_store *store, const char *customers, const int64_t *offsets, int64_t count,
                                          const lapse_forget_options *options, lapse_forgotten *out,
                                          lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
