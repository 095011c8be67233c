/* The store at an instant. */
#ifndef LAPSE_VIEW_H
#define LAPSE_VIEW_H

#include <lapse/base.h>
#include <lapse/store.h>
#include <lapse/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What the store held when the view was opened, seen at one instant. Immutable; any number of threads may
 *  ask it at once, and a store may append meanwhile. @since 0.9 */
typedef struct lapse_view lapse_view;

/** Opens a view of all events at or before `as_of` (microseconds since 1970-01-01 UTC; INT64_MAX sees all, which
 *  suits history and events but no answer that counts days). Cheap. Free with lapse_view_close().
 *  Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_view_open(lapse_store *store, int64_t as_of, lapse_view **out,
                                       lapse_error *error);
/** NULL is allowed; results of the view stay usable. @since 0.9 */
LAPSE_API void lapse_view_close(lapse_view *view);
/** The instant. @since 0.9 */
LAPSE_API int64_t lapse_view_as_of(const lapse_view *view);

/** The rights of a customer over the use of data. @since 0.9 */
enum {
    LAPSE_RIGHTS_NONE = 1,     /**< none has been used */
    LAPSE_RIGHTS_OBJECTED = 2, /**< to direct marketing and profiling, until a later grant of profiling */
    LAPSE_RIGHTS_ERASED = 3
};
/** What a clock says, of activity or of purchases. A limit is reached at its instant, not after it. @since 0.9 */
enum {
    LAPSE_CLOCK_NEW = 1,     /**< nothing has started it */
    LAPSE_CLOCK_ACTIVE = 2,
    LAPSE_CLOCK_AT_RISK = 3,
    LAPSE_CLOCK_INACTIVE = 4,
    LAPSE_CLOCK_LOST = 5
};

/** The name as answers spell it, static; NULL for a value that is none. Threads: any. @since 0.9 */
LAPSE_API const char *lapse_rights_name(int32_t rights);
/** @since 0.9 */
LAPSE_API const char *lapse_clock_name(int32_t state);

/** The events of one customer in canonical order: by time, inside one instant by the rank of the kind (placed before
 *  refunded, granted before withdrawn), then by source, event_id and the other columns, so that it does not matter
 *  which came first. All columns of an event file: time (time), amount and price (money), value (double), quantity
 *  (decimal), all others string. Retracted events are shown too. LAPSE_NOT_FOUND: no event of
 *  that customer is visible. @since 0.9 */
LAPSE_API lapse_status lapse_view_history(lapse_view *view, const char *customer, lapse_result **out,
                                          lapse_error *error);
/** All events, ordered by customer id (bytewise) and canonical order, with the columns of an event file that
 *  are not empty everywhere; imported again they make an equal store. @since 0.9 */
LAPSE_API lapse_status lapse_view_events(lapse_view *view, lapse_result **out, lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
