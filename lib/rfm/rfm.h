/* Private header of lib/rfm: three values a customer, their scores, and the segments that scores fall into. */
#ifndef LAPSE_LIB_RFM_H
#define LAPSE_LIB_RFM_H

#include <lapse/rfm.h>

#include "base/base.h"
#include "event/csv.h"
#include "table/table.h"
#include "view/view.h"

enum { LAPSE_BINS_MIN = 2, LAPSE_BINS_MAX = 10, LAPSE_CELLS_MAX = 1000 };

/* ---- options.c ------------------------------------------------------------------------------------------- */

/* *ours becomes what the caller wants (NULL: defaults), every number in range, for amounts of so many digits. */
lapse_status lapse_rfm_options_read(lapse_rfm_options *ours, const lapse_rfm_options *theirs, int digits,
                                    lapse_error *error);

/* ---- cuts.c: values to scores, on plain arrays; knows no customer ---------------------------------------- */

/* The thresholds of one axis. All are integers that decide as the exact rationals do: a value is above bin i
 * iff it is greater than above[i - 1] (rulings R11). A rule for cutting is a way to fill this. */
struct lapse_axis_cuts {
    int32_t bins;
    bool low_is_best; /* the lowest bin gets the highest score: recency */
    bool splits_ties; /* NTILE: then `above` are keys, and of those equal to one as many as are `left` stay below */
    int64_t above[LAPSE_BINS_MAX - 1];
    int64_t left[LAPSE_BINS_MAX - 1]; /* counts down as values are scored, in their order */
};
/* Values so that the greatest is best. */
static inline int64_t lapse_cuts_key(const struct lapse_axis_cuts *cuts, int64_t value)
{
    return cuts->low_is_best ? ~value : value;
}
static inline uint8_t lapse_axis_score_one(const struct lapse_axis_cuts *cuts, int64_t value)
{
    int32_t above = 0;
    for (int32_t i = 0; i < cuts->bins - 1; i++)
        above += value > cuts->above[i];
    return (uint8_t)(cuts->low_is_best ? cuts->bins - above : 1 + above);
}

/* Values of one axis, in parts, to be cut as a whole, or within each of `groups` groups. */
struct lapse_axis_part {
    const int64_t *values;
    int64_t n;
    const uint8_t *group; /* of each value; NULL when there is one group */
    uint8_t *scores;
};
struct lapse_axis {
    const struct lapse_axis_part *parts; /* at most LAPSE_FOLD_PARTS */
    int32_t part_count, groups, bins;
    int32_t rule;         /* LAPSE_CUTS_ */
    int64_t unit;         /* of LAPSE_CUTS_RFM_R: what a quantile is raised by; 0 otherwise */
    const int64_t *fixed; /* of LAPSE_CUTS_FIXED: nine thresholds */
    bool low_is_best;
};
/* The cuts of each group; of a group without values they are not to be used. False: no memory. */
bool lapse_axis_cut(const lapse_allocator *mem, const struct lapse_axis *axis, struct lapse_axis_cuts *cuts);
/* Scores of one part by these cuts. Where ties are split, parts come in their order and one at a time. */
void lapse_axis_score(const struct lapse_axis *axis, struct lapse_axis_cuts *cuts, int32_t part);

/* ---- scores.c: the three axes ------------------------------------------------------------------------------ */

/* Customers in up to LAPSE_FOLD_PARTS parts, in the order that splits ties: three values of each in, three scores
 * out. */
struct lapse_score_part {
    const int64_t *value[3]; /* r, f, m */
    uint8_t *scores[3];
    int64_t count;
};
/* Scores all on the three axes, as `options`, which were read and checked, say; `digits` are those of money. Fills
 * options->made. False: no memory. */
bool lapse_scores_make(const lapse_allocator *mem, const lapse_rfm_options *options, int digits,
                       const struct lapse_score_part *parts, int32_t part_count);

/* ---- frozen.c: cuts that outlive what they were made of ------------------------------------------------------ */

/* Where the thresholds of an axis begin. */
static inline int lapse_cuts_place(int axis)
{
    return (LAPSE_BINS_MAX - 1) * axis;
}
/* The rule that cuts of a caller, NULL allowed, break; NULL: none. */
const char *lapse_cuts_fault(const lapse_cuts *cuts);

/* ---- sheet.c: small CSV tables of known columns ---------------------------------------------------------------- */

enum { LAPSE_SHEET_COLUMNS = 7 };
/* By the splitter of event files and its rules (F16 to F20). Columns may come in any order, and all of them must. */
struct lapse_sheet {
    const char *what;             /* for messages */
    const char *const *columns;
    int count;
    int place[LAPSE_SHEET_COLUMNS];         /* where each column stands in a row */
    const char *names[LAPSE_SHEET_COLUMNS]; /* columns in the order of the header, once it is read */
    struct lapse_csv_scan scan;
    struct lapse_csv_record record;
    struct lapse_csv_piece field[LAPSE_SHEET_COLUMNS];
    char *spare;                  /* as large as the text: for fields with doubled quotes */
};
/* Reads the header. Text and spare are borrowed. */
lapse_status lapse_sheet_open(struct lapse_sheet *sheet, const char *what, const char *const *columns, int count,
                              const char *text, size_t size, char *spare, lapse_error *error);
/* The next row that is not an empty line; LAPSE_DONE at the end. */
lapse_status lapse_sheet_next(struct lapse_sheet *sheet, lapse_error *error);
struct lapse_text lapse_sheet_text(const struct lapse_sheet *sheet, int column);
/* Names line, column (-1: the row as a whole) and rule. */
lapse_status lapse_sheet_refuse(const struct lapse_sheet *sheet, int column, const char *rule, lapse_error *error);
static inline bool lapse_text_is(struct lapse_text text, const char *name)
{
    return text.size == strlen(name) && memcmp(text.data, name, text.size) == 0;
}

/* ---- segment.c: names for cells of scores ---------------------------------------------------------------- */

struct lapse_segment_table {
    const lapse_allocator *mem;
    int32_t bins[3]; /* of r, f, m */
    int32_t count;   /* names, in the order of their first rows */
    struct lapse_text *names; /* behind each LAPSE_TEXT_SLACK bytes can be read */
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
#define LAPSE_SEGMENT_NONE "(none)"     /* no segment matches */
#define LAPSE_SEGMENT_ABSENT "(absent)" /* no row at that instant (X14) */

/* ---- customers.c: one fold of a view to values, which scores.c scores --------------------------------------- */

enum { LAPSE_ID_MARK = 4096 }; /* customers between places of ids that are known */
enum lapse_rfm_value {
    LAPSE_RFM_LAST_ORDER,
    LAPSE_RFM_RECENCY,
    LAPSE_RFM_FREQUENCY,
    LAPSE_RFM_MONETARY,
    LAPSE_RFM_ORDERS, /* the last one: where frequency is not their number and they are asked for */
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
    int64_t as_of, count;
    int64_t left_out, without_order; /* customers that are not among them: by their rights, or no valid order */
    int32_t part_count;
    struct lapse_rfm_part part[LAPSE_FOLD_PARTS];
    struct lapse_segment_table segments;
};
/* What of a view and of options says how a history is read. */
struct lapse_rfm_reader {
    const lapse_allocator *mem;
    const struct lapse_zone *zone;
    const lapse_rfm_options *options;
    struct lapse_setting_value token;
    bool zero_is_valid;
};
enum lapse_rfm_found { LAPSE_RFM_FOUND, LAPSE_RFM_LEFT_OUT, LAPSE_RFM_WITHOUT_ORDER };
void lapse_rfm_reader_init(struct lapse_rfm_reader *reader, const struct lapse_rfm *rfm, lapse_view *view);
/* Where the window of an instant begins; INT64_MIN without a window. */
int64_t lapse_rfm_window(const struct lapse_rfm_reader *reader, int64_t as_of);
/* The values of a customer; those not FOUND have none. RECENCY is the day of the last order, which
 * lapse_rfm_days_since() turns into days. */
lapse_status lapse_rfm_read(const struct lapse_rfm_reader *reader, struct lapse_orders *orders,
                            const struct lapse_history *history, int64_t after, int64_t value[LAPSE_RFM_VALUES],
                            enum lapse_rfm_found *found, lapse_error *error);
/* Never below 0 (R21), not even where the clock went back to yesterday between the two. */
static inline int64_t lapse_rfm_days_since(int64_t today, int64_t day)
{
    return day < today ? today - day : 0;
}
/* Options and segment table; no customers yet. */
lapse_status lapse_rfm_begin(lapse_view *view, const lapse_rfm_options *options, struct lapse_rfm **out,
                             lapse_error *error);
/* That, the fold and the scores. `with_ids`: collect ids; `with_orders`: collect orders beside days. */
lapse_status lapse_rfm_new(lapse_view *view, const lapse_rfm_options *options, bool with_ids, bool with_orders,
                           struct lapse_rfm **out, lapse_error *error);
/* Scores of all parts, which have none or those of before. False: no memory. */
bool lapse_rfm_score_parts(struct lapse_rfm *rfm);
/* Gives an array that `array` is the address of room for n items. */
bool lapse_rfm_resize(const lapse_allocator *mem, void *array, size_t n, size_t each);
void lapse_rfm_part_free(const lapse_allocator *mem, struct lapse_rfm_part *part);
/* Who is not among the rows; `at_instant` names it. */
lapse_status lapse_rfm_notes(const struct lapse_rfm *rfm, bool at_instant, lapse_result *result);
void lapse_rfm_free(struct lapse_rfm *rfm);

/* ---- instants.c: the same of several instants, from one fold ------------------------------------------------- */

/* A customer at the instant under work. */
struct lapse_rfm_now {
    int64_t last, day, monetary;
    uint32_t frequency, orders; /* frequency 0: has no row */
};
struct lapse_rfm_instants;
/* The instants are taken over in any case; they ascend and are at or before the view's. */
lapse_status lapse_rfm_instants_new(lapse_view *view, const lapse_rfm_options *options, bool with_ids,
                                    int64_t *instants, int32_t count, struct lapse_rfm_instants **out,
                                    lapse_error *error);
/* The customers of the instant under work: none before the first step. */
const struct lapse_rfm *lapse_rfm_instant(const struct lapse_rfm_instants *instants);
/* On to the next instant; LAPSE_DONE: there is none. Rows of the one before are gone. */
lapse_status lapse_rfm_instants_next(struct lapse_rfm_instants *instants, lapse_error *error);
/* All customers of part p that have a row at some instant; those with one now are the rows of that part. */
int32_t lapse_rfm_instants_parts(const struct lapse_rfm_instants *instants);
const struct lapse_rfm_now *lapse_rfm_instants_part(const struct lapse_rfm_instants *instants, int32_t p,
                                                    int64_t *count);
/* Notes of the last instant. */
lapse_status lapse_rfm_instants_notes(const struct lapse_rfm_instants *instants, lapse_result *result);
void lapse_rfm_instants_free(struct lapse_rfm_instants *instants);

/* ---- every.c: one instant or many, for answers that need not know --------------------------------------------- */

struct lapse_rfm_answer {
    const struct lapse_rfm *rfm; /* the customers now; of several instants none before the first step */
    struct lapse_rfm *one;
    struct lapse_rfm_instants *several; /* NULL: one instant */
};
/* On failure there is nothing to be closed. */
lapse_status lapse_rfm_answer_open(lapse_view *view, const lapse_rfm_options *options, bool with_ids, bool with_orders,
                                   struct lapse_rfm_answer *out, lapse_error *error);
/* Who is not among the rows, and what is to be said of the segment table. */
lapse_status lapse_rfm_answer_notes(const struct lapse_rfm_answer *answer, lapse_result *result);
void lapse_rfm_answer_close(struct lapse_rfm_answer *answer);

#endif
