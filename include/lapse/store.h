/* The store: events, kept in memory or in one file. */
#ifndef LAPSE_STORE_H
#define LAPSE_STORE_H

#include <lapse/base.h>
#include <lapse/event.h>
#include <lapse/policy.h>
#include <lapse/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A store of events. Closed with lapse_store_close(). Any number of threads may open views of it and read while one
 *  thread appends or imports; a second writer of this process waits, one of another process waits up to the timeout and
 *  then gets LAPSE_BUSY. Not to be used on a network file system. @since 0.9 */
typedef struct lapse_store lapse_store;

/** Flags of lapse_store_options. @since 0.9 */
enum {
    LAPSE_STORE_READ_ONLY = 1,  /**< never write, neither to the file nor beside it */
    LAPSE_STORE_MUST_EXIST = 2, /**< do not make a missing file; LAPSE_IO */
    LAPSE_STORE_MUST_BE_NEW = 4, /**< refuse a file that exists; LAPSE_BAD_INPUT */
    LAPSE_STORE_VERIFY = 8      /**< read-only; what opening finds damaged is left to lapse_store_verify() to tell, and
                                     every other call with such a handle is LAPSE_DAMAGED. In memory it means nothing */
};

/** What a commit waits for. @since 0.9 */
enum {
    LAPSE_SYNC_FULL = 0,   /**< the disk, at each commit: survives a power cut */
    LAPSE_SYNC_NORMAL = 1, /**< a power cut may lose the last commits, never the order of them */
    LAPSE_SYNC_OFF = 2     /**< nothing: only a crash of the process is survived */
};

/** How to open a store. Fill with lapse_store_options_init(), then change what you need. Nothing of it is
 *  kept after the call. Zone, digits, currency and key are those of a new store; an existing one must agree where
 *  they are given, else LAPSE_BAD_INPUT. @since 0.9 */
typedef struct lapse_store_options {
    uint32_t size;
    uint32_t flags;                   /**< LAPSE_STORE_... */
    const lapse_allocator *allocator; /**< NULL: malloc and free */
    int64_t memory_limit;             /**< bytes for work; at least 16 MiB; default 256 MiB. Half of it may hold what
                                           questions about one customer have read, until a file is imported */
    int32_t timeout_ms;               /**< how long to wait for another writer; default 5000 */
    int32_t sync;                     /**< LAPSE_SYNC_... */
    int32_t digits;                   /**< of the currency, 0 to 6; -1 (default): 2 when new, as it is otherwise */
    int32_t zone_count;               /**< entries of the next two; 0 (default): UTC when new, as it is otherwise */
    const int64_t *zone_starts;       /**< instants at which an offset begins, ascending; the first offset also
                                           holds before its instant */
    const int32_t *zone_offsets;      /**< seconds east of UTC, -50400 to 50400 */
    const char *zone_name;            /**< for people, at most 64 bytes; NULL: made from the first offset */
    const char *currency;             /**< three capital letters (ISO 4217), for people; NULL: none */
    const uint8_t *key;               /**< 32 bytes, of the hashes of addresses, of ids of events and of the forgotten; it is
                                           kept in the file. Stores of one key exchange hashed addresses. NULL: drawn
                                           when a file is made, zeros in memory */
} lapse_store_options;

/** Bytes of a key. @since 0.9 */
enum { LAPSE_KEY_SIZE = 32 };

/** Writes the defaults into the first `size` bytes; `size` is sizeof(lapse_store_options) as the caller
 *  knows it, and at least that of 0.9. @since 0.9 */
LAPSE_API lapse_status lapse_store_options_init(lapse_store_options *options, uint32_t size);

/** Opens the store in file `path` (UTF-8), or one in memory when `path` is NULL, making it when it is not
 *  there. A new file can be read by its owner alone. `options` may be NULL. LAPSE_IO: not to be opened;
 *  LAPSE_DAMAGED: not a store, or a broken one; LAPSE_UNSUPPORTED: of a newer library (some of these can
 *  still be read, which is said). A file keeps the format that it has. `*out` is NULL on failure. @since 0.9 */
LAPSE_API lapse_status lapse_store_open(const char *path, const lapse_store_options *options,
                                        lapse_store **out, lapse_error *error);
/** Gives the handle up. Views and results of it stay usable until they are freed too. NULL is allowed. In a child after
 *  fork(2), where every other use of handles, views and results is LAPSE_FORKED, it lets go of memory and leaves the file to
 *  the parent. @since 0.9 */
LAPSE_API void lapse_store_close(lapse_store *store);

/** What became of the rows of one call; read = accepted + duplicate + conflict + erased + rejected.
 *  @since 0.9 */
typedef struct lapse_counts {
    uint32_t size;      /**< sizeof(lapse_counts), set by the caller */
    uint32_t flags;     /**< 0 */
    int64_t read;       /**< rows handed in */
    int64_t accepted;   /**< stored */
    int64_t duplicate;  /**< were there already */
    int64_t conflict;   /**< another event under an identity that is taken; the first stays */
    int64_t erased;     /**< of a customer who was forgotten */
    int64_t rejected;   /**< break a rule (only where bad rows are skipped) */
} lapse_counts;

/** What became of one row. @since 0.9 */
enum {
    LAPSE_ROW_ACCEPTED = 0,
    LAPSE_ROW_DUPLICATE = 1,
    LAPSE_ROW_CONFLICT = 2,
    LAPSE_ROW_ERASED = 3,
    LAPSE_ROW_REJECTED = 4
};

/** A row that was not stored, for the host to keep. All texts end in NUL and live during the call of the
 *  callback. @since 0.9 */
typedef struct lapse_reject {
    uint32_t size;
    int32_t outcome;    /**< LAPSE_ROW_REJECTED or LAPSE_ROW_CONFLICT */
    int64_t line;       /**< physical line where the row begins, header = 1; of a batch the row, from 0 */
    const char *column; /**< as the input names it; "" if none */
    const char *text;   /**< the text found; of a conflict in anything but a file "" */
    const char *rule;   /**< the rule broken */
    const char *row;    /**< the row as it stood, without its line end; "" of a batch, and of a conflict as `text` */
    int64_t row_size;   /**< bytes of `row`, which may hold NUL */
} lapse_reject;

/** Returns 0 to go on, anything else to cancel. Bad rows come in the order of their lines, then conflicts: of an import in
 *  that order too, of lapse_store_append() in the order of customers. @since 0.9 */
typedef int32_t (*lapse_reject_fn)(void *user, const lapse_reject *reject);

/** Flags of lapse_append_options and lapse_import_options. @since 0.9 */
enum {
    LAPSE_IMPORT_SKIP_BAD_ROWS = 1,    /**< store the good rows, hand the bad ones to `on_reject` */
    LAPSE_IMPORT_IGNORE_UNKNOWN = 2,   /**< leave out columns that are none of ours (files only) */
    LAPSE_IMPORT_NEGATIVE_REFUND = 4,  /**< a negative order line is a refund (files only) */
    LAPSE_IMPORT_DRY_RUN = 8,          /**< do all but store */
    LAPSE_IMPORT_KEEP_ALL = 16         /**< keep every row that has no event_id, also one that is already there */
};

/** How to store a batch. Fill with lapse_append_options_init(): zeros would refuse all events after 1970. All pointers stay
 *  the caller's and are used during the call only. @since 0.9 */
typedef struct lapse_append_options {
    uint32_t size;
    uint32_t flags;            /**< LAPSE_IMPORT_SKIP_BAD_ROWS, _DRY_RUN, _KEEP_ALL */
    int64_t received_at;       /**< the host's clock: events later than this plus `import.skew` are bad rows.
                                    Default INT64_MAX: no limit, for hosts that check themselves */
    const char *source;        /**< of rows without event_id when the batch has no source; NULL: "" */
    const lapse_policy *policy;/**< NULL: defaults */
    int32_t *outcomes;         /**< NULL, or room for `rows` LAPSE_ROW_ values */
    lapse_reject_fn on_reject; /**< NULL: nobody is told */
    void *reject_user;
    int32_t threads;           /**< 1 (default) or 0: none beside the caller's; at most 64. For the share of merging that is
                                    done after the commit, and for batches of 32,768 rows or more */
    int32_t reserved;          /**< 0 */
} lapse_append_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_append_options_init(lapse_append_options *options, uint32_t size);

/** Appends the rows of `batch` in one durable commit: when it returns LAPSE_OK they survive what the sync
 *  level promises; otherwise nothing of them is stored. Identity of an event: `source` and `event_id`;
 *  without an id its whole content within its source: two equal rows of one call are two events, and the same two in
 *  a later call of that source are duplicates. `options` and `counts` may be NULL. LAPSE_BAD_INPUT: error->row, column,
 *  text and rule say which. @since 0.9 */
LAPSE_API lapse_status lapse_store_append(lapse_store *store, const lapse_batch *batch,
                                          const lapse_append_options *options, lapse_counts *counts,
                                          lapse_error *error);

/** How to read an event file. Fill with lapse_import_options_init(). All pointers stay the caller's and are
 *  used during the call only. @since 0.9 */
typedef struct lapse_import_options {
    uint32_t size;
    uint32_t flags;            /**< LAPSE_IMPORT_... */
    int32_t threads;           /**< 1 (default): none beside the caller's; at most 64 */
    int32_t delimiter;         /**< one ASCII byte that is no quote, CR, LF; default ',' */
    int64_t received_at;       /**< the host's clock, see lapse_append_options; default INT64_MAX */
    const char *name;          /**< of the input, for messages; NULL: its path, or "input" */
    const char *source;        /**< of rows without event_id where the file has no source column;
                                    NULL: base name of the path, "stdin" for a stream */
    const char *kind;          /**< of rows without one; NULL: order.placed */
    const char *map;           /**< `customer=CustomerID,amount=Quantity*UnitPrice`; NULL: none */
    const char *time_format;   /**< `%m/%d/%Y %H:%M`; NULL: the forms of lapse_time_parse() */
    const lapse_policy *policy;/**< NULL: defaults */
    lapse_reject_fn on_reject; /**< NULL: nobody is told */
    void *reject_user;
    lapse_progress_fn on_progress; /**< bytes read; NULL: nobody is told */
    void *progress_user;
} lapse_import_options;

/** As lapse_store_options_init(). @since 0.9 */
LAPSE_API lapse_status lapse_import_options_init(lapse_import_options *options, uint32_t size);

/** Imports the CSV file `path` in one durable commit; identity as in lapse_store_append(). Without
 *  LAPSE_IMPORT_SKIP_BAD_ROWS the first bad row stops it: LAPSE_BAD_INPUT, error->line, column, text and rule
 *  say which, and nothing is stored. LAPSE_INVALID: `map`, `kind` or `time_format` cannot be understood.
 *  Memory is bounded by the store's limit, whatever the size of the file. @since 0.9 */
LAPSE_API lapse_status lapse_store_import_file(lapse_store *store, const char *path,
                                               const lapse_import_options *options, lapse_counts *counts,
                                               lapse_error *error);
/** The same from a stream. @since 0.9 */
LAPSE_API lapse_status lapse_store_import_stream(lapse_store *store, lapse_read_fn read, void *user,
                                                 const lapse_import_options *options, lapse_counts *counts,
                                                 lapse_error *error);

/** `name,value`, both strings: customers, events, first_time, last_time, kind.NAME for each kind present in
 *  the order of LAPSE_KIND_, bytes (of the file; empty in memory), format, zone, digits. Cost: a pass over the
 *  store. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_store_info(lapse_store *store, lapse_result **out, lapse_error *error);
/** Decimal digits of the store's currency. Threads: any. @since 0.9 */
LAPSE_API int32_t lapse_store_digits(const lapse_store *store);
/** Reads a time as lapse_time_parse() does, in the zone of the store. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_store_time(const lapse_store *store, const char *text, int64_t *out,
                                        lapse_error *error);
/** The instant to ask about when none is named: the first instant of the day after the last event, in the
 *  store's zone. LAPSE_NOT_FOUND: there are no events. Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_store_default_instant(lapse_store *store, int64_t *out, lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
