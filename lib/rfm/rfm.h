/* Private header of lib/rfm: three values a customer, their scores, and the segments that scores fall into. */
#ifndef LAPSE_LIB_RFM_H
#define LAPSE_LIB_RFM_H

#include <lapse/rfm.h>

#include "base/base.h"
#include "table/table.h"
#include "view/view.h"

enum { LAPSE_BINS_MIN = 2, LAPSE_BINS_MAX = 10, LAPSE_CELLS_MAX = 1000 };

/* ---- options.c ------------------------------------------------------------------------------------------- */

/* *ours becomes what the caller wants (NULL: defaults), every number in range. */
lapse_status lapse_rfm_options_read(lapse_rfm_options *ours, const lapse_rfm_options *theirs,
                                    lapse_error *error);

/* ---- cuts.c: values to scores, on plain arrays; knows no customer ---------------------------------------- */

/* The thresholds of one axis. All are integers that decide as the exact rationals do: a value is above bin i
 * iff it is greater than above[i - 1] (rulings R11). A rule for cutting is a way to fill this. */
struct lapse_cuts {
    int32_t bins;
    bool low_is_best; /* the lowest bin gets the highest score: recency */
    int64_t above[LAPSE_BINS_MAX - 1];
};
/* Type-7 quantiles at i/bins of the values of all spans. Sets bins and above. False: no memory. */
bool lapse_cuts_quantile(const lapse_allocator *mem, const struct lapse_span *spans, int32_t span_count, int32_t bins,
                         struct lapse_cuts *out);
static inline uint8_t lapse_cuts_score(const struct lapse_cuts *cuts, int64_t value)
{
    int32_t above = 0;
    for (int32_t i = 0; i < cuts->bins - 1; i++)
        above += value > cuts->above[i];
    return (uint8_t)(cuts->low_is_best ? cuts->bins - above : 1 + above);
}

/* Values of one axis, in parts, to be cut as a whole, or within each of `groups` groups. */
struct lapse_axis_part {
    struct lapse_span values;
    const uint8_t *group; /* of each value; NULL when there is one group */
    uint8_t *scores;
};
struct lapse_axis {
    const struct lapse_axis_part *parts; /* at most LAPSE_FOLD_PARTS */
    int32_t part_count, groups, bins;
    bool low_is_best;
};
/* The cuts of each group. False: no memory. */
bool lapse_axis_cut(const lapse_allocator *mem, const struct lapse_axis *axis, struct lapse_cuts *cuts);
/* Scores of one part by these cuts. */
void lapse_axis_score(const struct lapse_axis *axis, const struct lapse_cuts *cuts, int32_t part);

/* ---- segment.c: names for cells of scores ---------------------------------------------------------------- */

struct lapse_segment_table {
    const lapse_allocator *mem;
    int32_t bins[3]; /* of r, f, m */
    int32_t count;   /* names, in the order of their first rows */
    struct lapse_text *names;
    char *text; /* where the names lie */
    size_t text_size;
    struct lapse_buffer notes;     /* each ending in NUL */
    int16_t cell[LAPSE_CELLS_MAX]; /* index of the name, -1: none */
};
/* Reads the table of `options` (the default one if it has none) for its bins. On success free with
 * lapse_segment_table_free(), on failure nothing is left. `mem` outlives the table. */
lapse_status lapse_segment_table_read(struct lapse_segment_table *table, const lapse_allocator *mem,
                                      const lapse_rfm_options *options, lapse_error *error);
void lapse_segment_table_free(struct lapse_segment_table *table);
/* Rows that can never match, and cells without a segment, as notes of a result. */
lapse_status lapse_segment_table_notes(const struct lapse_segment_table *table, lapse_result *result);
static inline int32_t lapse_segment_of(const struct lapse_segment_table *table, int32_t r, int32_t f, int32_t m)
{
    return table->cell[((r - 1) * table->bins[1] + f - 1) * table->bins[2] + m - 1];
}
#define LAPSE_SEGMENT_NONE "(none)"

/* ---- customers.c: one fold of a view to values, which scores.c scores --------------------------------------- */

enum { LAPSE_ID_MARK = 4096 }; /* customers between places of ids that are known */
enum lapse_rfm_value {
    LAPSE_RFM_LAST_ORDER,
    LAPSE_RFM_RECENCY,
    LAPSE_RFM_FREQUENCY,
    LAPSE_RFM_MONETARY,
    LAPSE_RFM_ORDERS, /* where frequency is not their number and they are asked for */
    LAPSE_RFM_VALUES
};
/* Customers with a valid order, ascending by id; entry i of each array is of customer first + i. */
struct lapse_rfm_part {
    int64_t first, count;
    int64_t *value[LAPSE_RFM_VALUES]; /* NULL: not kept */
    uint8_t *scores[3];               /* r, f, m */
    uint8_t *id_size;                 /* NULL: ids are not kept */
    int64_t *id_mark;                 /* where the ids of customers 0, LAPSE_ID_MARK, ... of the part begin */
    struct lapse_buffer ids;          /* one after the other */
};
/* The customers in the parts in which the fold found them, so that none is copied. */
struct lapse_rfm {
    lapse_allocator mem;
    lapse_rfm_options options; /* its pointers are those of the call and not to be used after it */
    int digits;
    int64_t count;
    int64_t left_out, without_order; /* customers that are not among them: by their rights, or no valid order */
    int32_t part_count;
    struct lapse_rfm_part part[LAPSE_FOLD_PARTS];
    struct lapse_segment_table segments;
};
/* Options, segment table, fold, cuts. `with_ids`: collect ids; `with_orders`: collect orders beside days. */
lapse_status lapse_rfm_new(lapse_view *view, const lapse_rfm_options *options, bool with_ids, bool with_orders,
                           struct lapse_rfm **out, lapse_error *error);
/* Who is not among the rows, and the notes of the segment table. */
lapse_status lapse_rfm_notes(const struct lapse_rfm *rfm, lapse_result *result);
void lapse_rfm_free(struct lapse_rfm *rfm);

/* ---- scores.c ---------------------------------------------------------------------------------------------- */

/* Scores all customers on the three axes. False: no memory; what is there is freed with the rest. */
bool lapse_rfm_score(struct lapse_rfm *rfm);

#endif
