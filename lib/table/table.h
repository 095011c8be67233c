/* Private header of lib/table: building tables, and results as streams of them. */
#ifndef LAPSE_LIB_TABLE_H
#define LAPSE_LIB_TABLE_H

#include <stdatomic.h>

#include <lapse/table.h>

#include "base/base.h"

enum { LAPSE_TABLE_ROWS = 65536 }; /* of one part */

/* What a column is before it has values. Names are static or outlive the schema's user. */
struct lapse_column_spec {
    const char *name;
    int32_t type;
    int32_t digits;
};

/* ---- table.c: the layout, for the files of this room; other rooms read tables as <lapse/table.h> says -- */

/* A buffer whose data is aligned to 64 bytes and whose capacity is a multiple of 64. */
struct lapse_slab {
    void *raw;       /* as the allocator gave it */
    uint8_t *data;   /* NULL: nothing yet */
    size_t capacity;
};
/* Room for `bytes`, keeping what is there; what is new is not zeroed. False: none left. */
bool lapse_slab_reserve(const lapse_allocator *mem, struct lapse_slab *slab, size_t bytes);

struct lapse_table_column {
    struct lapse_column_spec spec;    /* its name points into the table's `names` */
    int64_t rows, missing;            /* rows: that of the table, once it is finished */
    struct lapse_slab validity;       /* none while nothing is missing */
    struct lapse_slab offsets, data;  /* offsets: of strings only */
};
struct lapse_table {
    lapse_allocator mem;
    atomic_size_t references;
    int64_t rows;
    int32_t count;
    struct lapse_slab names;
    struct lapse_table_column column[];
};
/* A table without rows, of one reference and with its own copy of the names. NULL: no memory. */
lapse_table *lapse_table_new(const lapse_allocator *mem, const struct lapse_column_spec *columns,
                             int32_t count);
/* The cell that a bitmap of validity has for `row`; NULL stands for all ones. */
static inline bool lapse_bit(const uint8_t *bits, int64_t row)
{
    return !bits || (bits[row >> 3] >> (row & 7) & 1);
}
/* Describes a column as far as `out`, which the caller sized, has room. */
lapse_status lapse_column_write(const lapse_column *column, lapse_column *out);

/* ---- builder.c: a table under construction. Errors stick: put freely, ask once at the end. ----------- */

struct lapse_builder;
/* `rows` is how many are expected (numeric columns are allocated at once). NULL: no memory; every call below
 * takes a NULL builder as one that has failed so, so that finish tells it. */
struct lapse_builder *lapse_builder_new(const lapse_allocator *mem, const struct lapse_column_spec *columns,
                                        int32_t count, int64_t rows);
/* The same, in the memory of a table of like columns if the caller alone owns it, which is empty then and still to be
 * released: memory that a program has not touched before costs more than what is written to it. NULL: there is none. */
struct lapse_builder *lapse_builder_again(const lapse_allocator *mem, const struct lapse_column_spec *columns,
                                          int32_t count, int64_t rows, lapse_table *spare);
void lapse_builder_free(struct lapse_builder *b);
/* Each row puts one value into each column, in any order of columns. */
void lapse_builder_int(struct lapse_builder *b, int32_t column, int64_t value); /* INT64 TIME MONEY DECIMAL */
void lapse_builder_double(struct lapse_builder *b, int32_t column, double value); /* a NaN is missing */
void lapse_builder_text(struct lapse_builder *b, int32_t column, const char *text, size_t n);
void lapse_builder_missing(struct lapse_builder *b, int32_t column);
/* The values of a whole numeric column at once: room for `rows` values to be written by the caller before the
 * builder is finished; none of them is missing. The column must be empty. NULL after a failure. */
int64_t *lapse_builder_column(struct lapse_builder *b, int32_t column, int64_t rows);
/* The same for texts: room for `rows` + 1 offsets, of which the first is 0, and for `bytes` bytes, which may be
 * overrun by LAPSE_TEXT_SLACK. Offsets ascend and stay within `bytes`. False after a failure. */
enum { LAPSE_TEXT_SLACK = 32 };
bool lapse_builder_texts(struct lapse_builder *b, int32_t column, int64_t rows, size_t bytes, int64_t **offsets,
                         char **data);
/* Rows [first, end) of a table whose columns have the builder's types, added to every column. */
void lapse_builder_append(struct lapse_builder *b, const lapse_table *table, int64_t first, int64_t end);
/* Ends and frees the builder in any case. LAPSE_NO_MEMORY, or LAPSE_INVALID for columns of unequal length. */
lapse_status lapse_builder_finish(struct lapse_builder *b, lapse_table **out, lapse_error *error);

/* ---- result.c ----------------------------------------------------------------------------------------- */

/* Where an answer's parts come from, and what frees it, once. Either `next` makes them one after another: LAPSE_OK
 * with a table of at least one row, or LAPSE_DONE. Or all `rows` are there and `range` makes a table of any of them,
 * on any thread and on several at once; then parts are made, and the answer is written, on `threads` threads. `spare` is
 * one that it made before, or NULL, for lapse_builder_again(). */
struct lapse_source {
    void *self;
    lapse_status (*next)(void *self, lapse_table **out, lapse_error *error);
    void (*close)(void *self);
    lapse_status (*range)(void *self, int64_t first, int64_t end, lapse_table *spare, lapse_table **out,
                          lapse_error *error);
    int64_t rows;
    int32_t threads;
};
/* Copies the specs (not the names' text). On failure the source has been closed. */
lapse_status lapse_result_new(const lapse_allocator *mem, const struct lapse_column_spec *columns,
                              int32_t count, struct lapse_source source, lapse_result **out,
                              lapse_error *error);
/* A result of one table, taking over the caller's reference in any case. A table of 0 rows is an empty result,
 * one of more than LAPSE_TABLE_ROWS is given in parts. */
lapse_status lapse_result_of_table(const lapse_allocator *mem, lapse_table *table, lapse_result **out,
                                   lapse_error *error);
const lapse_allocator *lapse_result_memory(const lapse_result *result);
lapse_status lapse_result_add_note(lapse_result *result, const char *text, size_t n);

/* ---- csv_write.c: CSV rows into a buffer; lapse_result_write_csv() hands them on ----------------------- */

enum {
    LAPSE_CSV_CHUNK = 65536,
    LAPSE_CSV_DAYS = 1024, /* days whose text is kept, by their number modulo this */
    LAPSE_CSV_SMALL = 1000 /* integers whose text is kept */
};
struct lapse_csv_small {
    char text[3];
    uint8_t size;
};
struct lapse_csv_day {
    char text[12]; /* 2024-03-01T */
    int32_t day;   /* since 1900; -1: none */
};
/* For one thread at a time. */
struct lapse_csv_writer {
    struct lapse_buffer out;   /* what has been written; the caller takes it away. `failed` sticks */
    struct lapse_buffer slots; /* rows under construction */
    struct lapse_csv_day days[LAPSE_CSV_DAYS];
    struct lapse_csv_small small[LAPSE_CSV_SMALL];
};
void lapse_csv_writer_init(struct lapse_csv_writer *w, const lapse_allocator *mem);
void lapse_csv_writer_free(struct lapse_csv_writer *w);
/* Writes rows from `first` on until `out` holds `enough` bytes or more, or the table ends; returns the row to go
 * on with. Stops at once when the writer has failed. */
int64_t lapse_csv_rows(struct lapse_csv_writer *w, const lapse_table *table, int64_t first, size_t enough);
void lapse_csv_header(struct lapse_buffer *out, const lapse_result *result);
/* A field quoted when it holds a quote, a comma, CR or LF, as it is otherwise. */
void lapse_csv_field(struct lapse_buffer *out, const char *text, size_t n);

#endif
