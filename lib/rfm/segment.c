/* Names for cells of scores. A segment table is CSV, the default one too; it becomes one lookup by (r, f, m),
 * so that a customer costs one load. What the table leaves out or says in vain is put into notes. */
#include <inttypes.h>
#include <stdio.h>

#include "rfm/rfm.h"

enum {
    FIELDS = 7,
    MAX_ROWS = LAPSE_CELLS_MAX, /* more than there are cells would be in vain */
    MAX_BYTES = 1 << 20,
    MAX_NAME = 255,
    MAX_TOLD = 20 /* cells or rows that one answer tells */
};

enum { SEGMENT, R_MIN }; /* columns; bounds follow each other */

static const char *const columns[FIELDS] = { "segment", "r_min", "r_max", "f_min", "f_max", "m_min", "m_max" };

static const char default_table[] = "segment,r_min,r_max,f_min,f_max,m_min,m_max\n"
                                    "hibernating,1,2,1,2,,\n"
                                    "at risk,1,2,3,4,,\n"
                                    "can't lose,1,2,5,5,,\n"
                                    "about to sleep,3,3,1,2,,\n"
                                    "need attention,3,3,3,3,,\n"
                                    "loyal customers,3,4,4,5,,\n"
                                    "promising,4,4,1,1,,\n"
                                    "new customers,5,5,1,1,,\n"
                                    "potential loyalists,4,5,2,3,,\n"
                                    "champions,5,5,4,5,,\n";

/* ---- rows to cells --------------------------------------------------------------------------------------- */

static const char *check_name(struct lapse_text name)
{
    if (name.size == 0)
        return "a segment has a name";
    if (name.size > MAX_NAME)
        return "a name has at most 255 bytes";
    if (!lapse_utf8_valid(name.data, name.size))
        return "a name is valid UTF-8 without NUL";
    if (lapse_text_is(name, LAPSE_SEGMENT_NONE) || lapse_text_is(name, LAPSE_SEGMENT_ABSENT))
        return "this name stands for customers without a segment";
    return NULL;
}

/* Index of a name; rows of one name are one segment (R17), which stands where its first row does. */
static int16_t name_index(struct lapse_segment_table *t, struct lapse_text name)
{
    int32_t i = 0;
    while (i < t->count && !lapse_text_equal(t->names[i], name))
        i++;
    if (i == t->count) {
        memcpy(t->text + t->text_size, name.data, name.size);
        t->names[t->count++] = (struct lapse_text){ t->text + t->text_size, name.size };
        t->text_size += name.size;
    }
    return (int16_t)i;
}

/* What no row has taken yet: bit m - 1 for each (r, f). A row costs a hundred steps at most. */
struct open_cells {
    uint16_t m[LAPSE_BINS_MAX][LAPSE_BINS_MAX];
};

/* Gives the open cells within the bounds to a segment; true if there were any. */
static bool take_cells(struct lapse_segment_table *t, struct open_cells *open, const int64_t low[3],
                       const int64_t high[3], int16_t segment)
{
    bool any = false;
    for (int64_t r = low[0]; r <= high[0]; r++)
        for (int64_t f = low[1]; f <= high[1]; f++)
            for (int64_t m = low[2]; m <= high[2]; m++) {
                uint16_t *bits = &open->m[r - 1][f - 1];
                uint16_t bit = (uint16_t)(1u << (m - 1));
                if (!*bits)
                    break;
                if (!(*bits & bit))
                    continue;
                *bits = (uint16_t)(*bits & ~bit);
                t->cell[((r - 1) * t->bins[1] + f - 1) * t->bins[2] + m - 1] = segment;
                any = true;
            }
    return any;
}

static lapse_status read_row(struct lapse_segment_table *t, const struct lapse_sheet *in, struct open_cells *open,
                             int *useless, lapse_error *error)
{
    struct lapse_text name = lapse_sheet_text(in, SEGMENT);
    const char *rule = check_name(name);
    if (rule)
        return lapse_sheet_refuse(in, SEGMENT, rule, error);

    int64_t low[3], high[3];
    bool empty = false;
    for (int axis = 0; axis < 3; axis++) {
        low[axis] = 1;
        high[axis] = t->bins[axis];
        for (int side = 0; side < 2; side++) {
            int column = R_MIN + 2 * axis + side;
            struct lapse_text text = lapse_sheet_text(in, column);
            int64_t bound;
            if (text.size == 0)
                continue;
            if (!lapse_int_parse(text.data, text.size, &bound))
                return lapse_sheet_refuse(in, column, "a bound is a whole number or empty", error);
            if (side == 0 && bound > low[axis])
                low[axis] = bound;
            if (side == 1 && bound < high[axis])
                high[axis] = bound;
        }
        empty |= low[axis] > high[axis];
    }

    int16_t segment = name_index(t, name);
    if (!empty && take_cells(t, open, low, high, segment))
        return LAPSE_OK;
    if (++*useless <= MAX_TOLD) {
        char line[400];
        int n = snprintf(line, sizeof line, "segment `%.*s` on line %" PRId64 " can never match: %s",
                         (int)name.size, name.data, in->record.line,
                         empty ? "its bounds hold no score" : "the rows before it take all of its cells");
        lapse_buffer_put(&t->notes, line, (size_t)n + 1);
    }
    return LAPSE_OK;
}

/* `no segment covers 7 of 125 cells (r,f,m): 1,1,*; 1,2,3; 1,2,4`; a star is all scores of m. */
static void note_open_cells(struct lapse_segment_table *t, const struct open_cells *open)
{
    int all = (1 << t->bins[2]) - 1, left = 0, told = 0, told_cells = 0;
    char text[64];
    struct lapse_buffer list;

    lapse_buffer_init(&list, t->mem);
    for (int r = 1; r <= t->bins[0]; r++)
        for (int f = 1; f <= t->bins[1]; f++) {
            int bits = open->m[r - 1][f - 1];
            bool star = bits == all;
            for (int m = 1; m <= (star ? 1 : t->bins[2]); m++) {
                if (!(bits & (1 << (m - 1))))
                    continue;
                int cells = star ? t->bins[2] : 1;
                left += cells;
                if (told == MAX_TOLD)
                    continue;
                snprintf(text, sizeof text, "%s%d,%d,", told++ ? "; " : "", r, f);
                lapse_buffer_text(&list, text);
                snprintf(text, sizeof text, "%d", m);
                lapse_buffer_text(&list, star ? "*" : text);
                told_cells += cells;
            }
        }
    if (left) {
        snprintf(text, sizeof text, "no segment covers %d of %d cells (r,f,m): ", left,
                 t->bins[0] * t->bins[1] * t->bins[2]);
        lapse_buffer_text(&t->notes, text);
        lapse_buffer_put(&t->notes, list.data, list.size);
        if (told_cells < left) {
            snprintf(text, sizeof text, " and %d more", left - told_cells);
            lapse_buffer_text(&t->notes, text);
        }
        lapse_buffer_byte(&t->notes, 0);
    }
    t->notes.failed |= list.failed;
    lapse_buffer_free(&list);
}

static lapse_status read_table(struct lapse_segment_table *t, const char *text, size_t size, lapse_error *error)
{
    struct lapse_sheet in;
    struct open_cells open;
    int rows = 0, useless = 0;

    for (int r = 0; r < LAPSE_BINS_MAX; r++)
        for (int f = 0; f < LAPSE_BINS_MAX; f++)
            open.m[r][f] = (uint16_t)((1 << t->bins[2]) - 1);

    lapse_status status = lapse_sheet_open(&in, "segment table", columns, FIELDS, text, size, t->text + size, error);
    while (status == LAPSE_OK && (status = lapse_sheet_next(&in, error)) == LAPSE_OK)
        status = ++rows > MAX_ROWS ? lapse_sheet_refuse(&in, -1, "a segment table has at most 1000 rows", error)
                                   : read_row(t, &in, &open, &useless, error);
    if (status != LAPSE_DONE)
        return status;
    if (useless > MAX_TOLD) {
        char note[80];
        int n = snprintf(note, sizeof note, "%d more rows of the segment table can never match",
                         useless - MAX_TOLD);
        lapse_buffer_put(&t->notes, note, (size_t)n + 1);
    }
    note_open_cells(t, &open);
    return t->notes.failed ? lapse_fail_memory(error) : LAPSE_OK;
}

lapse_status lapse_segment_table_read(struct lapse_segment_table *t, const lapse_allocator *mem,
                                      const lapse_rfm_options *options, lapse_error *error)
{
    const char *text = options->segments ? options->segments : default_table;
    int64_t size = options->segments ? options->segments_size : (int64_t)sizeof default_table - 1;

    *t = (struct lapse_segment_table){ .mem = mem,
                                       .bins = { options->bins_r, options->bins_f, options->bins_m } };
    lapse_buffer_init(&t->notes, mem);
    if (!options->segments && (options->bins_r != 5 || options->bins_f != 5))
        return lapse_fail(error, LAPSE_BAD_INPUT,
                          "the default segments are for 5 bins on recency and frequency, "
                          "not %d and %d: give a segment table (--segments)",
                          (int)options->bins_r, (int)options->bins_f);
    if (size > MAX_BYTES)
        return lapse_fail(error, LAPSE_BAD_INPUT, "a segment table has at most %d bytes", (int)MAX_BYTES);
    memset(t->cell, -1, sizeof t->cell);
    t->text = lapse_mem_alloc(mem, 2 * (size_t)size + LAPSE_TEXT_SLACK); /* names, then what one record needs */
    t->names = lapse_mem_zero(mem, MAX_ROWS, sizeof *t->names);
    lapse_status status =
        t->text && t->names ? read_table(t, text, (size_t)size, error) : lapse_fail_memory(error);
    if (status != LAPSE_OK)
        lapse_segment_table_free(t);
    return status;
}

void lapse_segment_table_free(struct lapse_segment_table *t)
{
    if (!t->mem)
        return;
    lapse_buffer_free(&t->notes);
    lapse_mem_free(t->mem, t->names);
    lapse_mem_free(t->mem, t->text);
    *t = (struct lapse_segment_table){ .mem = NULL };
}

lapse_status lapse_segment_table_notes(const struct lapse_segment_table *t, lapse_result *result)
{
    for (size_t at = 0; at < t->notes.size;) {
        size_t n = strlen(t->notes.data + at);
        lapse_status status = lapse_result_add_note(result, t->notes.data + at, n);
        if (status != LAPSE_OK)
            return status;
        at += n + 1;
    }
    return LAPSE_OK;
}
