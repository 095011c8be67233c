/* Answers and events as Arrow streams, for programs that hold data frames: the C data and C stream interfaces of the
 * Apache Arrow project (https://arrow.apache.org/docs/format/CDataInterface.html), without its libraries. */
#ifndef LAPSE_ARROW_H
#define LAPSE_ARROW_H

#include <lapse/base.h>
#include <lapse/store.h>
#include <lapse/table.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The structs as that specification lays them down, under the guards by which any number of headers may do so. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

/** The type of a column, or of a table as a struct of columns. @since 0.9 */
struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *schema);
    void *private_data;
};

/** Values of such a type. @since 0.9 */
struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *array);
    void *private_data;
};

#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

/** Arrays of one type, one after another. @since 0.9 */
struct ArrowArrayStream {
    int32_t (*get_schema)(struct ArrowArrayStream *stream, struct ArrowSchema *out);
    int32_t (*get_next)(struct ArrowArrayStream *stream, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *stream);
    void (*release)(struct ArrowArrayStream *stream);
    void *private_data;
};

#endif

/** Flags of the exports. @since 0.9 */
enum {
    LAPSE_ARROW_MONEY_INT64 = 1 /**< money and decimals as int64, in units of 10^-digits as lapse_column tells them, and
                                     so without a copy; else they are decimal128(19, digits), which takes one */
};

/** Turns an answer into a stream of its parts. Columns: int64, double, large_utf8, timestamp of microseconds in UTC,
 *  and money as the flags say; all may be null. Values are not copied, money aside: an array keeps the table that it
 *  was made of until it is released. After LAPSE_OK the result belongs to `*out`, and is freed with it; after a
 *  failure it is still the caller's, and `*out` is zeros. LAPSE_INVALID: a NULL pointer, or a flag that is not known.
 *  The functions of the stream answer 0 or a number of <errno.h>, and tell the message of lapse_error as their last
 *  error. Threads: one at a time, that of the result; schemas and arrays are released on any. @since 0.9 */
LAPSE_API lapse_status lapse_result_export(lapse_result *result, uint32_t flags, struct ArrowArrayStream *out,
                                           lapse_error *error);
/** The schema that the stream of a result would have. The result is as before. Everything else as
 *  lapse_result_export(). @since 0.9 */
LAPSE_API lapse_status lapse_result_schema(const lapse_result *result, uint32_t flags, struct ArrowSchema *out,
                                           lapse_error *error);
/** A table as one array, which is one owner more of it; `schema` or `array` may be NULL, and is then left out.
 *  Everything else as lapse_result_export(). Threads: any. @since 0.9 */
LAPSE_API lapse_status lapse_table_export(lapse_table *table, uint32_t flags, struct ArrowSchema *schema,
                                          struct ArrowArray *array, lapse_error *error);
/** A table as a stream of one array, or of none when it has no rows. Everything else as lapse_table_export().
 *  @since 0.9 */
LAPSE_API lapse_status lapse_table_stream(lapse_table *table, uint32_t flags, struct ArrowArrayStream *out,
                                          lapse_error *error);

/** Imports the rows of a stream of tables as events, in one durable commit. The columns are those of an event file, by
 *  the same names, and `options` mean what they mean there, but for these: `delimiter` means nothing, `map` renames
 *  without products, a `source` of NULL is "" as in lapse_append_options. What a column can be:
 *    customer, texts      strings, whole numbers
 *    time                 timestamps of any unit: with a zone instants, without one in the zone of the store; dates:
 *                         their first instant there; strings as in files
 *    amount, price        in major units: decimals, whole numbers, strings, and doubles that are the nearest to a
 *                         decimal of at most 15 significant digits, of which no more are behind the point than the
 *                         currency has; other doubles are bad rows
 *    quantity             the same with 6 digits
 *    value                numbers, booleans, strings
 *    kind and other names strings
 *  Strings are utf8, large_utf8, utf8_view, or in a dictionary. Null, an empty text and a double that is not a number
 *  are a missing fact; a column of the type null has none. The stream is taken over: it is released on the calling
 *  thread before this returns, whatever that is, and `*stream` is marked so; its functions are called on that thread
 *  only. error->row, and lapse_reject.line, are numbers of rows, from 0 over the whole stream. LAPSE_IO: the stream
 *  failed, with its message. LAPSE_BAD_INPUT: also an array whose structure is damaged, as far as it can be seen: the
 *  format does not say how many bytes are behind the offsets of utf8 and large_utf8. Memory is bounded by the store's
 *  limit, the arrays aside, of which at most two and twice as many as threads are held. on_progress is told rows.
 *  @since 0.9 */
LAPSE_API lapse_status lapse_store_import_arrow(lapse_store *store, struct ArrowArrayStream *stream,
                                                const lapse_import_options *options, lapse_counts *counts,
                                                lapse_error *error);

#ifdef __cplusplus
}
#endif

#endif
