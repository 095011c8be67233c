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
/* Type-7 quantiles at i/bins of values[0..n). Sets bins and above. False: no memory. */
bool lapse_cuts_quantile(const lapse_allocator *mem, const int64_t *values, int64_t n, int32_t bins,
                         struct lapse_cuts *out);
static inline uint8_t lapse_cuts_score(const struct lapse_cuts *cuts, int64_t value)
{
    int32_t above = 0;
    for (int32_t i = 0; i < cuts->bins - 1; i++)
        above += value > cuts->above[i];
    return (uint8_t)(cuts->low_is_best ? cuts->bins - above : 1 + above);
}

/* Values of one axis to be cut as a whole, or within each of `groups` groups (group[i] is that of value i). */
struct lapse_axis {
    const int64_t *values;
    int64_t count;
    const uint8_t *group; /* NULL: one group */
    int32_t groups;
    int32_t bins;
    bool low_is_best;
};
/* Scores of all values. False: no memory. */
bool lapse_axis_score(const lapse_allocator *mem, const struct lapse_axis *axis, uint8_t *scores);

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

/* ---- customers.c: one fold of a view to values, and values to scores ------------------------------------- */

enum { LAPSE_ID_MARK = 4096 }; /* customers between places of ids that are known */

/* Customers with a valid order, ascending by id; entry i of each array is of customer i. */
struct lapse_rfm {
    lapse_allocator mem;
    lapse_rfm_options options; /* its pointers are those of the call and not to be used after it */
    int digits;
    int64_t count;
    int64_t left_out, without_order; /* customers that are not among them: by their rights, or no valid order */
    int64_t *last_order, *frequency, *monetary;
    int64_t *orders; /* valid orders; NULL: frequency has them */
    int64_t *recency;
    uint8_t *scores[3]; /* r, f, m */
    char *ids;          /* one after the other; NULL: not asked for, as the two below */
    uint8_t *id_size;
    int64_t *id_mark;   /* where the ids of customers 0, LAPSE_ID_MARK, ... begin */
    struct lapse_segment_table segments;
};
/* Options, segment table, fold, cuts. `with_ids`: collect ids; `with_orders`: collect orders beside days. */
lapse_status lapse_rfm_new(lapse_view *view, const lapse_rfm_options *options, bool with_ids, bool with_orders,
                           struct lapse_rfm **out, lapse_error *error);
/* Who is not among the rows, and the notes of the segment table. */
lapse_status lapse_rfm_notes(const struct lapse_rfm *rfm, lapse_result *result);
void lapse_rfm_free(struct lapse_rfm *rfm);

#endif
