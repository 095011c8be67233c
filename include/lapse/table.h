/* Answers: a result is a stream of tables; a table is named, typed columns of equal length. */
#ifndef LAPSE_TABLE_H
#define LAPSE_TABLE_H

#include <lapse/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One part of an answer, or the whole. Released with lapse_table_release(). Immutable; reference counted; any number of
 *  threads may read it. @since 0.9 */
typedef struct lapse_table lapse_table;

/** An answer: tables of at most 65,536 rows, pulled in order. Freed with lapse_result_free(). One thread at a
 *  time. @since 0.9 */
typedef struct lapse_result lapse_result;

/** Types of a column. The layout is that of the Arrow columnar format with 64-bit offsets. @since 0.9 */
enum {
    LAPSE_TYPE_INT64 = 1,   /**< int64_t */
    LAPSE_TYPE_DOUBLE = 2,  /**< double; a ratio or a mean, never a NaN: what is undefined is missing */
    LAPSE_TYPE_STRING = 3,  /**< UTF-8 bytes between consecutive int64_t offsets, not NUL-terminated */
    LAPSE_TYPE_TIME = 4,    /**< int64_t microseconds since 1970-01-01 UTC */
    LAPSE_TYPE_MONEY = 5,   /**< int64_t minor units; `digits` decimal digits, all printed */
    LAPSE_TYPE_DECIMAL = 6  /**< int64_t scaled by 10^digits; trailing zeros are not printed */
};

/** A column as it lies in memory. Every pointer is aligned to 64 bytes and belongs to the table.
 *  @since 0.9 */
typedef struct lapse_column {
    uint32_t size;           /**< sizeof(lapse_column), set by the caller */
    int32_t type;            /**< LAPSE_TYPE_... */
    const char *name;        /**< NUL-terminated */
    int64_t rows;
    int64_t missing;         /**< how many values are missing */
    const uint8_t *validity; /**< bit i (least significant first) is 1 when row i has a value; NULL: all have */
    const int64_t *offsets;  /**< rows + 1 offsets into `data` for a string column, else NULL */
    const void *data;        /**< the values; for strings the bytes */
    int32_t digits;          /**< of LAPSE_TYPE_MONEY and LAPSE_TYPE_DECIMAL, else 0 */
    int32_t reserved;        /**< 0 */
} lapse_column;

/** Pulls the next part. LAPSE_OK: `*out` is a table of 1 to 65,536 rows, the caller's to release.
 *  LAPSE_DONE: no part is left and `*out` is NULL. Any other status ends the stream. @since 0.9 */
LAPSE_API lapse_status lapse_result_next(lapse_result *result, lapse_table **out, lapse_error *error);
/** Pulls all parts that are left into one table (of 0 rows if none is), the caller's to release. Memory is
 *  that of the whole answer. @since 0.9 */
LAPSE_API lapse_status lapse_result_collect(lapse_result *result, lapse_table **out, lapse_error *error);
/** Pulls all parts that are left and writes them as CSV (RFC 4180, LF, one header row): times as
 *  `2024-03-01T10:15:00Z`, money with its digits, missing values empty, doubles in the shortest form that
 *  reads back. Values are never changed. @since 0.9 */
LAPSE_API lapse_status lapse_result_write_csv(lapse_result *result, lapse_write_fn write, void *user,
                                              lapse_error *error);
/** Number of columns of every part; known before the first is pulled. @since 0.9 */
LAPSE_API int32_t lapse_result_columns(const lapse_result *result);
/** Describes column `index` of every part: name, type, digits; `rows` 0 and no data.
 *  LAPSE_INVALID: no such column. The name lives as long as the result. @since 0.9 */
LAPSE_API lapse_status lapse_result_column(const lapse_result *result, int32_t index, lapse_column *out);
/** How many notes there are: what a person should be told beside the rows (cells that no segment covers, customers
 *  left out ...). Known before the first part is pulled. @since 0.9 */
LAPSE_API int32_t lapse_result_notes(const lapse_result *result);
/** Note `index`, NUL-terminated, living as long as the result; NULL when there is no such note. @since 0.9 */
LAPSE_API const char *lapse_result_note(const lapse_result *result, int32_t index);
/** Frees the stream; tables pulled from it live on. NULL is allowed. @since 0.9 */
LAPSE_API void lapse_result_free(lapse_result *result);

/** Threads: any, for all functions on tables. @since 0.9 */
LAPSE_API int64_t lapse_table_rows(const lapse_table *table);
/** @since 0.9 */
LAPSE_API int32_t lapse_table_columns(const lapse_table *table);
/** Fills `*out`, whose `size` the caller has set. LAPSE_INVALID: no such column. @since 0.9 */
LAPSE_API lapse_status lapse_table_column(const lapse_table *table, int32_t index, lapse_column *out);
/** Index of the column of that name, -1 if there is none. @since 0.9 */
LAPSE_API int32_t lapse_table_find(const lapse_table *table, const char *name);
/** One more owner. @since 0.9 */
LAPSE_API void lapse_table_retain(lapse_table *table);
/** One owner less; the last frees. NULL is allowed. @since 0.9 */
LAPSE_API void lapse_table_release(lapse_table *table);

#ifdef __cplusplus
}
#endif

#endif
