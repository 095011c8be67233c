/* Shared by the files of the CSV reader: records as scanned (segment tables are scanned by it too), and the plan
 * by which fields become a row. */
#ifndef LAPSE_LIB_EVENT_CSV_H
#define LAPSE_LIB_EVENT_CSV_H

#include "event/event.h"

/* ---- csv_split.c: text to records and fields --------------------------------------------------------- */

/* A field without its quotes; `escaped` ones still hold doubled quotes. No record is longer than 16 MiB. */
struct lapse_csv_piece {
    const char *data;
    uint32_t size;
    bool escaped;
};

/* The first fault of a record in the way it is written (rulings F18, F19). */
enum lapse_csv_syntax { LAPSE_CSV_GOOD, LAPSE_CSV_QUOTE, LAPSE_CSV_AFTER, LAPSE_CSV_CR, LAPSE_CSV_UNCLOSED };

struct lapse_csv_record {
    struct lapse_text raw; /* without its line end */
    int64_t line;          /* on which it begins */
    uint32_t fields;       /* how many there are; the array has those that fit */
    uint32_t fault_field;  /* it stands in the array as it was written */
    uint8_t fault;         /* an enum lapse_csv_syntax */
    bool escaped;          /* some field is */
};

/* Where a record begins. */
struct lapse_csv_place {
    const char *at;
    int64_t line;
};

/* Delimiters, quotes, CR and LF are found ahead; what is read from the text are these only. */
enum { LAPSE_CSV_MARKS = 512 };
struct lapse_csv_scan {
    const char *at, *end;      /* next record */
    const char *done;          /* marks are known up to here */
    const char *dirty;         /* end of the last piece of the text with a NUL or bytes beyond ASCII */
    size_t next, count;        /* of marks */
    int64_t line;              /* of the next record */
    char delimiter;
    const char *marks[LAPSE_CSV_MARKS + 68]; /* those of a block may be written, and three behind them */
};
void lapse_csv_scan_init(struct lapse_csv_scan *scan, char delimiter, const char *text, size_t n, int64_t line);
/* The next record; false: there is none. */
bool lapse_csv_scan_record(struct lapse_csv_scan *scan, struct lapse_csv_piece *pieces, size_t room,
                           struct lapse_csv_record *out);
/* Up to `room` records as long as they are plain: not empty, of so many columns, ended by an LF, without delimiters,
 * quotes and line ends inside of quotes. What stands where is as lapse_csv_scan_record() finds it; piece i * columns is
 * the first of record i; `escaped` of the pieces is not set, as none is. Returns how many. */
size_t lapse_csv_scan_plain(struct lapse_csv_scan *scan, struct lapse_csv_piece *pieces, size_t columns,
                            struct lapse_csv_place *places, size_t room);
const char *lapse_csv_syntax_rule(enum lapse_csv_syntax fault);
/* Takes doubled quotes out of `piece`, into `out`, which has room for it; returns the end of what it wrote. */
char *lapse_csv_unescape(struct lapse_csv_piece *piece, char *out);

/* ---- csv_header.c: header and options to a plan -------------------------------------------------------- */

enum { LAPSE_CSV_TARGETS = LAPSE_FIELDS + 1 }; /* target 0 is the customer, field f is target f + 1 */

#define LAPSE_CSV_NONE UINT32_MAX /* no column */

/* A block of records on its way into columns. Record i has pieces[i * csv->columns] and those behind it, none of which
 * is without memory, whatever is wrong with the record. It ends before places[i + 1], empty lines aside. */
struct lapse_csv_block {
    const struct lapse_csv *csv;
    struct lapse_rows *rows; /* the block's go behind those that are there */
    struct lapse_flaws *flaws;
    struct lapse_time_reader *times;
    struct lapse_csv_place *places;
    struct lapse_csv_piece *pieces;
    size_t count, room;
    bool *failed; /* no memory */
};

/* One target and the column, or two, that it comes from. */
struct lapse_csv_step {
    /* Fills rows rows->count .. + n of one column from records first .. first + n. False: no memory. */
    bool (*fill)(struct lapse_csv_block *block, const struct lapse_csv_step *step, size_t first, size_t n);
    uint32_t column, factor; /* factor: LAPSE_CSV_NONE, or the second column of a product */
    int field;               /* -1: the customer */
    uint8_t target;
    const char *name;   /* for messages: as in the header, of a product `A*B` */
    char *product_name; /* that one's memory */
};

struct lapse_csv {
    const lapse_allocator *mem;
    const struct lapse_zone *zone;
    const struct lapse_check *check;
    uint32_t flags;
    char delimiter;
    bool has_format;
    struct lapse_time_format format;
    uint8_t kind; /* of rows without one */
    uint32_t fields; /* columns that a file like this fills */
    struct lapse_constants constants;
    struct lapse_kind_index kinds;
    struct lapse_text source;
    size_t columns;
    char **names; /* of the header, each ending in NUL */
    char *names_text;
    struct lapse_csv_step steps[LAPSE_CSV_TARGETS]; /* in the order of columns, the endpoint last */
    int step_count;
    int8_t step_of[LAPSE_CSV_TARGETS]; /* -1: the file has none */
};

/* ---- csv_fields.c: fields of a block to one column ------------------------------------------------------- */

typedef bool lapse_csv_fill_fn(struct lapse_csv_block *block, const struct lapse_csv_step *step, size_t first,
                               size_t n);
/* NULL: the target cannot be a product. */
lapse_csv_fill_fn *lapse_csv_filler(int target, bool product, bool has_format);
/* The column of a product that is no number, LAPSE_CSV_NONE: none of the two. */
uint32_t lapse_csv_bad_factor(const struct lapse_csv_step *step, const struct lapse_csv_piece *record);

#endif
