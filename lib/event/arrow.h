/* Shared by arrow_plan.c and arrow_read.c only: what the columns of an Arrow stream are. */
#ifndef LAPSE_LIB_EVENT_ARROW_H
#define LAPSE_LIB_EVENT_ARROW_H

#include "event/csv.h"

enum lapse_arrow_kind {
    LAPSE_A_NONE,    /* there is none */
    LAPSE_A_MISSING, /* Arrow's type null */
    LAPSE_A_INT,
    LAPSE_A_FLOAT,   /* of 4 bytes */
    LAPSE_A_DOUBLE,
    LAPSE_A_DECIMAL,
    LAPSE_A_BOOL,
    LAPSE_A_TEXT,    /* offsets of `width` bytes, then bytes */
    LAPSE_A_VIEW,    /* 16 bytes: the text, or where it stands in one of several buffers */
    LAPSE_A_TIME,
    LAPSE_A_DATE     /* days since 1970-01-01 */
};
#define LAPSE_A_BIT(kind) (1u << (kind))

struct lapse_arrow_type {
    uint8_t kind;
    uint8_t width;      /* bytes of a value, or of an offset; 0: bits */
    bool is_signed;     /* of an integer */
    bool zoned;         /* of a time: an instant; else what a clock on the wall shows */
    int32_t scale;      /* of a decimal: digits after the point, perhaps below 0 */
    int64_t per_second; /* of a time */
};

/* By target, see csv.h. */
struct lapse_arrow_column {
    struct lapse_arrow_type type;  /* of values; LAPSE_A_NONE: the stream has no such column */
    struct lapse_arrow_type index; /* of the indices that stand for them in a column with a dictionary, or NONE */
    int64_t child;
};

struct lapse_arrow {
    const lapse_allocator *mem;
    struct lapse_csv *csv; /* names, options and defaults, as of a file */
    struct ArrowSchema schema;
    struct lapse_arrow_column columns[LAPSE_CSV_TARGETS];
};

#endif
