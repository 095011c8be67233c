/* Names for cells of scores. A segment table is CSV, the default one too; it becomes one lookup by (r, f, m),
 * so that a customer costs one load. What the table leaves out or says in vain is put into notes. */
#include <inttypes.h>
#include <stdio.h>

#include "event/csv.h"
#include "rfm/rfm.h"

enum {
    FIELDS = 7,
    MAX_ROWS = LAPSE_CELLS_MAX, /* more than there are cells would be in vain */
    MAX_BYTES = 1 << 20,
    MAX_NAME = 255,
    MAX_TOLD = 20 /* cells or rows that one answer tells */
};

static const char *const columns[FIELDS] = { "segment", "r_min", "r_max", "f_min", "f_max", "m_min", "m_max" };

#define HEADER "segment,r_min,r_max,f_min,f_max,m_min,m_max"

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

/* ---- records, by the splitter of event files (rulings F16 to F20) ---------------------------------------- */

struct reader {
    struct lapse_csv_scan scan;
    struct lapse_csv_record record;
    struct lapse_csv_piece field[FIELDS];
    const char *names[FIELDS]; /* columns in the order of the header, once it is read */
    char *spare;               /* room for fields with doubled quotes */
};

static struct lapse_text field_text(const struct reader *in, int field)
{
    return (struct lapse_text){ in->field[field].data, in->field[field].size };
}

/* field -1: the row as a whole. */
static lapse_status refuse(const struct reader *in, int field, const char *rule, lapse_error *error)
{
    bool known = field >= 0 && field < FIELDS;
    struct lapse_place place = { "segment table", in->record.line, -1, known ? in->names[field] : NULL };
    struct lapse_text text = known ? field_text(in, field) : in->record.raw;
    return lapse_fail_at(error, LAPSE_BAD_INPUT, &place, text.data, text.size, rule);
}

/* The next record that is not an empty line; LAPSE_DONE at the end. */
static lapse_status read_record(struct reader *in, lapse_error *error)
{
    do {
        if (!lapse_csv_scan_record(&in->scan, in->field, FIELDS, &in->record))
            return LAPSE_DONE;
    } while (in->record.raw.size == 0);
    if (in->record.fault != LAPSE_CSV_GOOD)
        return refuse(in, in->record.fault_field < FIELDS ? (int)in->record.fault_field : -1,
                      lapse_csv_syntax_rule(in->record.fault), error);
    if (in->record.fields != FIELDS)
        return refuse(in, -1, "header and rows of a segment table have seven fields: " HEADER, error);
    char *spare = in->spare;
    for (int i = 0; i < FIELDS; i++)
        if (in->field[i].escaped)
            spare = lapse_csv_unescape(&in->field[i], spare);
    return LAPSE_OK;
}

static bool text_is(struct lapse_text text, const char *name)
{
    return text.size == strlen(name) && memcmp(text.data, name, text.size) == 0;
}

/* Where each of our columns stands in a row. Seven fields, all known and none twice, are all columns. */
static lapse_status read_header(struct reader *in, int place[FIELDS], lapse_error *error)
{
    lapse_status status = read_record(in, error);
    if (status == LAPSE_DONE)
        return lapse_fail(error, LAPSE_BAD_INPUT, "a segment table begins with its header, " HEADER);
    for (int i = 0; i < FIELDS && status == LAPSE_OK; i++) {
        int c = 0;
        while (c < FIELDS && !text_is(field_text(in, i), columns[c]))
            c++;
        if (c == FIELDS)
            return refuse(in, i, "the columns of a segment table are " HEADER, error);
        for (int before = 0; before < i; before++)
            if (in->names[before] == columns[c])
                return refuse(in, i, "a column stands once in a header", error);
        in->names[i] = columns[c];
        place[c] = i;
    }
    return status;
}

/* ---- rows to cells --------------------------------------------------------------------------------------- */

static const char *check_name(struct lapse_text name)
{
    if (name.size == 0)
        return "a segment has a name";
    if (name.size > MAX_NAME)
        return "a name has at most 255 bytes";
    if (!lapse_utf8_valid(name.data, name.size))
        return "a name is valid UTF-8 without NUL";
    if (text_is(name, LAPSE_SEGMENT_NONE) || text_is(name, "(absent)"))
        return "this name stands for customers without a segment";
    return NULL;
}

/* Index of a name; rows of one name are one segment (R17), which stands where its first row does. */
static int16_t name_index(struct lapse_segment_table *t, struct lapse_text name)
{
    int32_t i = 0;
    while (i < t->count && lapse_text_compare(t->names[i].data, t->names[i].size, name.data, name.size) != 0)
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

static lapse_status read_row(struct lapse_segment_table *t, const struct reader *in, const int place[FIELDS],
                             struct open_cells *open, int *useless, lapse_error *error)
{
    struct lapse_text name = field_text(in, place[0]);
    const char *rule = check_name(name);
    if (rule)
        return refuse(in, place[0], rule, error);

    int64_t low[3], high[3];
    bool empty = false;
    for (int axis = 0; axis < 3; axis++) {
        low[axis] = 1;
        high[axis] = t->bins[axis];
        for (int side = 0; side < 2; side++) {
            int field = place[1 + 2 * axis + side];
            struct lapse_text text = field_text(in, field);
            int64_t bound;
            if (text.size == 0)
                continue;
            if (!lapse_int_parse(text.data, text.size, &bound))
                return refuse(in, field, "a bound is a whole number or empty", error);
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
    struct reader in = { .record.line = 1, .spare = t->text + size };
    struct open_cells open;
    int place[FIELDS], rows = 0, useless = 0;
    size_t mark = size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* of byte order */

    lapse_csv_scan_init(&in.scan, ',', text + mark, size - mark, 1);
    for (int r = 0; r < LAPSE_BINS_MAX; r++)
        for (int f = 0; f < LAPSE_BINS_MAX; f++)
            open.m[r][f] = (uint16_t)((1 << t->bins[2]) - 1);

    lapse_status status = read_header(&in, place, error);
    while (status == LAPSE_OK && (status = read_record(&in, error)) == LAPSE_OK)
        status = ++rows > MAX_ROWS ? refuse(&in, -1, "a segment table has at most 1000 rows", error)
                                   : read_row(t, &in, place, &open, &useless, error);
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
    t->text = lapse_mem_alloc(mem, 2 * (size_t)size); /* names, then what one record needs */
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
