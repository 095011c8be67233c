/* Changes to tell the host, each exactly once: what a back end does instead of reading all states again and again. */
#ifndef LAPSE_CHANGES_H
#define LAPSE_CHANGES_H

#include <lapse/base.h>
#include <lapse/policy.h>
#include <lapse/store.h>
#include <lapse/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Flags of lapse_advance_options. @since 0.9 */
enum {
    LAPSE_ADVANCE_BASELINE = 1,    /**< take the states at as_of as told, and tell nothing */
    LAPSE_ADVANCE_ADOPT_POLICY = 2 /**< the policy may be another one than that of the call before: what it changes is
                                        told with the cause `policy` */
};

/** What is told of several changes of one state between two calls. @since 0.9 */
enum {
    LAPSE_ADVANCE_NET = 1, /**< the difference; nothing where there is none in the end */
    LAPSE_ADVANCE_PATH = 2 /**< each; not in this release (LAPSE_UNSUPPORTED) */
};

/** Options of lapse_store_advance(); fill with lapse_advance_options_init(). All of it is used during the call only.
 *  @since 0.9 */
typedef struct lapse_advance_options {
    uint32_t size;
    uint32_t flags;             /**< LAPSE_ADVANCE_... */
    const lapse_policy *policy; /**< NULL: defaults */
    int64_t limit;              /**< so many records at most, the first ones; 0 (default): all */
    int32_t mode;               /**< LAPSE_ADVANCE_NET (default) */
    int32_t reserved;           /**< 0 */
    lapse_progress_fn on_progress; /**< customers looked at; NULL: nobody is told. Cancelled, nothing has changed */
    void *progress_user;
} lapse_advance_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_advance_options_init(lapse_advance_options *options, uint32_t size);

/** Compares the states at `as_of` with what the host was told, and keeps a record of each difference in the store, in one
 *  transaction, before any is returned. The result has all records that are not confirmed yet, old and new: seq (int64,
 *  from 1, never used again), customer, region, key, from, to (strings), effective_time (time: since when the state is
 *  so), cause (string: the kind of the event that began it, `timer`, or `policy`), corrected (int64, 1: the time is not
 *  after the as_of of the call before, so that what was told then has turned out wrong). Ordered by seq; those of one
 *  call by effective_time, customer, region and key. The first call tells whatever is not the state of a customer of
 *  whom nothing is known.
 *
 *  Which records come depends on the events that are there at each call, and on nothing else. Cost: that of the customers
 *  that events or deadlines have touched since the last call; of a first call, and of one that adopts a policy, that of
 *  all customers. LAPSE_BAD_INPUT: as_of is before that of the last call, or the policy is another one and is not to be
 *  adopted. LAPSE_OVERFLOW: the amount of an order leaves int64_t. LAPSE_BUSY, LAPSE_READ_ONLY: as any writer. A
 *  result keeps what it reads; another process may make it LAPSE_STALE: call again. Threads: a writer. @since 0.9 */
LAPSE_API lapse_status lapse_store_advance(lapse_store *store, int64_t as_of, const lapse_advance_options *options,
                                           lapse_result **out, lapse_error *error);

/** Confirms all records up to `seq`: they are not told again. One that is confirmed already, or 0, changes nothing.
 *  LAPSE_BAD_INPUT: no such record was ever told. Durable when it returns. @since 0.9 */
LAPSE_API lapse_status lapse_store_acknowledge(lapse_store *store, int64_t seq, lapse_error *error);

/** The seq of the last record that is confirmed; 0: none is. Changes nothing. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_store_acknowledged(lapse_store *store, int64_t *out, lapse_error *error);

/** The first instant after the as_of of the last call at which time alone changes what was told then. Events since that
 *  call are not looked at. LAPSE_NOT_FOUND: there is none, or nothing was ever told. @since 0.9 */
LAPSE_API lapse_status lapse_store_next_deadline(lapse_store *store, int64_t *out, lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
