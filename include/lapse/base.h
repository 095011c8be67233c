/* What every room shares: export macro, status, error, allocator, spans of time. */
#ifndef LAPSE_BASE_H
#define LAPSE_BASE_H

#include <stddef.h>
#include <stdint.h>

#include <lapse/version.h>

#if defined(_WIN32) && !defined(LAPSE_STATIC)
#  if defined(LAPSE_BUILDING)
#    define LAPSE_API __declspec(dllexport)
#  else
#    define LAPSE_API __declspec(dllimport)
#  endif
#elif defined(__GNUC__) || defined(__clang__)
#  define LAPSE_API __attribute__((visibility("default")))
#else
#  define LAPSE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** The outcome of a call: one of the LAPSE_ constants below. Values are never reused. @since 0.9 */
typedef int32_t lapse_status;

enum {
    LAPSE_OK = 0,
    LAPSE_DONE = 1,          /**< a stream has no more parts; not an error */
    LAPSE_NO_MEMORY = 2,     /**< an allocation failed; nothing changed */
    LAPSE_INVALID = 3,       /**< an argument breaks a rule of this header; nothing changed */
    LAPSE_BAD_INPUT = 4,     /**< a file, row, id, time, number or setting was refused; nothing changed */
    LAPSE_NOT_FOUND = 5,     /**< no such customer, setting, name or event */
    LAPSE_OVERFLOW = 6,      /**< an exact result does not fit int64_t */
    LAPSE_CANCELLED = 7,     /**< a callback returned non-zero; nothing changed */
    LAPSE_IO = 8,            /**< the operating system refused to read or write */
    LAPSE_DAMAGED = 9,       /**< what is stored does not match its checksum or its format */
    LAPSE_UNSUPPORTED = 10,  /**< the file needs a newer library */
    LAPSE_BUSY = 11,         /**< another writer holds the store, waited for the timeout */
    LAPSE_STALE = 12,        /**< what this view reads was rewritten by another process, or somebody was forgotten since;
                                  open it again */
    LAPSE_FORKED = 13,       /**< the handle was made before fork(2) */
    LAPSE_READ_ONLY = 14,    /**< the store was opened read-only */
    LAPSE_ERASE_PENDING = 15 /**< erased, and stored so; but bytes of it may lie in the write-ahead log still, because a call
                                  of some process that reads old pages is running */
};

/** "ok", "no memory", ...: static English text, never NULL, also for unknown values.
 *  Threads: any. @since 0.9 */
LAPSE_API const char *lapse_status_name(lapse_status status);

/** Why a call failed, for a person and for a program. The optional last argument of every call that can
 *  fail for a reason worth reading. Set `size` to sizeof(lapse_error) before the call; a failing call fills
 *  as much as fits, a succeeding one leaves it alone. Texts end in NUL and are cut at a character boundary.
 *  @since 0.9 */
typedef struct lapse_error {
    uint32_t size;
    lapse_status status;
    int64_t line;        /**< physical line of the input where the row begins, header = 1; 0: none */
    int64_t row;         /**< row of a batch, from 0; -1: none */
    char column[128];    /**< the column as the input names it; "" if none */
    char text[256];      /**< the text found; "" if none */
    char rule[256];      /**< the rule broken; "" if none */
    char message[768];   /**< all of it in one sentence: what, where, which limit */
} lapse_error;

/** Memory hooks. Copied when a handle is made; all memory of that handle and of what is made from it comes
 *  from there (SQLite's own memory aside). `alloc` returns NULL on failure, else memory aligned for any type;
 *  `resize` behaves like realloc(3) for a non-NULL pointer; `release` is never given NULL. All three may be
 *  called from any thread that is inside a call of this library, and from its workers. @since 0.9 */
typedef struct lapse_allocator {
    uint32_t size;       /**< sizeof(lapse_allocator) */
    uint32_t flags;      /**< 0 */
    void *user;          /**< handed back untouched */
    void *(*alloc)(void *user, size_t bytes);
    void *(*resize)(void *user, void *memory, size_t bytes);
    void (*release)(void *user, void *memory);
} lapse_allocator;

/** Units of a span of time. Days and shorter are exact lengths; months and years move the date in the
 *  store's zone, keep the time of day and clamp to the end of the month. @since 0.9 */
enum {
    LAPSE_UNIT_NONE = 0,    /**< no span; for a setting: off */
    LAPSE_UNIT_SECOND = 1,
    LAPSE_UNIT_MINUTE = 2,
    LAPSE_UNIT_HOUR = 3,
    LAPSE_UNIT_DAY = 4,     /**< 86,400 s */
    LAPSE_UNIT_MONTH = 5,
    LAPSE_UNIT_YEAR = 6
};

/** Periods of the calendar in the store's zone. @since 0.9 */
enum {
    LAPSE_EVERY_NONE = 0, /**< one instant, or the span as a whole */
    LAPSE_EVERY_DAY = 1,
    LAPSE_EVERY_WEEK = 2, /**< of ISO 8601: from Monday */
    LAPSE_EVERY_MONTH = 3,
    LAPSE_EVERY_QUARTER = 4,
    LAPSE_EVERY_YEAR = 5
};

/** Told how far a long call is; returns 0 to go on, anything else to cancel (LAPSE_CANCELLED, nothing
 *  changed). Called on the thread that made the call. `total` is -1 when unknown. @since 0.9 */
typedef int32_t (*lapse_progress_fn)(void *user, int64_t done, int64_t total);

/** Takes `size` bytes of output; returns 0, or anything else to stop with LAPSE_CANCELLED.
 *  Called on the thread that made the call. @since 0.9 */
typedef int32_t (*lapse_write_fn)(void *user, const char *bytes, int64_t size);

/** Puts up to `capacity` bytes of input into `buffer`; returns how many, 0 at the end, -1 for a failure
 *  (LAPSE_IO, nothing changed). Called on the thread that made the call. @since 0.9 */
typedef int64_t (*lapse_read_fn)(void *user, char *buffer, int64_t capacity);

/** The version of the running library, in the form of LAPSE_VERSION_NUMBER. Threads: any. @since 0.9 */
LAPSE_API uint32_t lapse_version_number(void);
/** "X.Y.Z"; static. Threads: any. @since 0.9 */
LAPSE_API const char *lapse_version_string(void);

/** Reads a time as event files write it: `2024-03-01`, `2024-03-01T10:15:00.5+01:00`, `@1709288100`
 *  A date alone is the first instant of that day. `text` ends in NUL. Without an offset the
 *  zone of `count` entries is used as in lapse_store_options; count 0 is UTC. A local time that the zone
 *  skips or has twice is refused. Writes microseconds since 1970-01-01 UTC to `*out`.
 *  LAPSE_BAD_INPUT names the rule broken. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_time_parse(const char *text, int32_t count, const int64_t *starts,
                                        const int32_t *offsets, int64_t *out, lapse_error *error);
/** Writes `time` as `2024-03-01T10:15:00Z`, with a fraction only when there is one, and a NUL.
 *  `capacity` of 32 is enough; less than needed is LAPSE_INVALID. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_time_format(int64_t time, char *out, int32_t capacity);

#ifdef __cplusplus
}
#endif

#endif
