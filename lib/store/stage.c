/* Rows in any order, collected in memory until they are written as a sorted run. Where they lie is in stage_leaf.c, how
 * they are sorted in stage_sort.c. About 25 ns a row to put, 40 to sort and write. */
#include "store/stage.h"

static void set_first(struct stage_column *c, int f, const struct lapse_row *row, int64_t line)
{
    c->first_number = f == LAPSE_F_LINE ? line : row->number[f];
    if (f == LAPSE_F_LINE)
        return;
    c->first_name = row->name[f];
    if (lapse_column_class(f) != LAPSE_CLASS_TEXT)
        return;
    c->first_length = (uint8_t)row->text[f].size;
    if (c->first_length)
        memcpy(c->first_text, row->text[f].data, c->first_length);
}

static bool is_first(const struct stage_column *c, int f, const struct lapse_row *row, int64_t line)
{
    switch (lapse_column_class(f)) {
    case LAPSE_CLASS_NUMBER:
        return c->first_number == (f == LAPSE_F_LINE ? line : row->number[f]);
    case LAPSE_CLASS_NAME:
        return c->first_name == row->name[f];
    default:
        return c->first_length == row->text[f].size &&
               (c->first_length == 0 || memcmp(c->first_text, row->text[f].data, c->first_length) == 0);
    }
}

/* The column gets a second value: the rows so far have the first. */
static bool begin_varying(struct lapse_stage *s, int f)
{
    struct stage_column *c = &s->columns[f];
    for (size_t i = 0; i < s->leaf_count; i++) {
        struct stage_leaf *leaf = s->leaves[i];
        if (!leaf->capacity)
            continue;
        if (!lapse_stage_column_room(s, leaf, f, 0, leaf->capacity))
            return false;
        for (uint32_t r = 0; leaf->number[f] && r < leaf->rows; r++)
            leaf->number[f][r] = c->first_number;
        if (leaf->name[f])
            memset(leaf->name[f], c->first_name, leaf->rows);
        if (leaf->begin[f]) {
            memset(leaf->begin[f], 0, leaf->rows * sizeof *leaf->begin[f]); /* the first text stands first */
            memset(leaf->length[f], c->first_length, leaf->rows);
            if (!lapse_stage_put_bytes(s, &leaf->bytes[f], c->first_text, c->first_length))
                return false;
        }
    }
    c->varies = true;
    return true;
}

static bool put_value(struct lapse_stage *s, struct stage_leaf *leaf, int f, const struct lapse_row *row, int64_t line)
{
    switch (lapse_column_class(f)) {
    case LAPSE_CLASS_NUMBER:
        leaf->number[f][leaf->rows] = f == LAPSE_F_LINE ? line : row->number[f];
        return true;
    case LAPSE_CLASS_NAME:
        leaf->name[f][leaf->rows] = row->name[f];
        return true;
    default:
        leaf->begin[f][leaf->rows] = (uint32_t)leaf->bytes[f].size;
        leaf->length[f][leaf->rows] = (uint8_t)row->text[f].size;
        return lapse_stage_put_bytes(s, &leaf->bytes[f], row->text[f].data, row->text[f].size);
    }
}

static bool put_row(struct lapse_stage *s, struct stage_leaf *leaf, const struct lapse_row *row, int64_t line)
{
    if (!lapse_stage_room(s, leaf))
        return false;
    for (int i = 0; s->rows == 0 && i < s->field_count; i++)
        set_first(&s->columns[s->fields[i]], s->fields[i], row, line);
    for (int i = 0; i < s->varying_count; i++) {
        int f = s->fields[i];
        struct stage_column *c = &s->columns[f];
        if (!c->varies) {
            if (is_first(c, f, row, line))
                continue;
            if (!begin_varying(s, f))
                return false;
        }
        if (!put_value(s, leaf, f, row, line))
            return false;
    }
    leaf->rows++;
    s->rows++;
    return lapse_stage_put_id(s, leaf, row->customer);
}

lapse_status lapse_stage_put(struct lapse_stage *s, const struct lapse_row *row, int64_t line, lapse_error *error)
{
    if (s->leaf_count == 0 && !lapse_stage_leaves_open(s))
        return lapse_fail_memory(error);
    struct stage_leaf *leaf = lapse_stage_leaf(s, row->customer);
    if (!put_row(s, leaf, row, line) || (leaf->rows >= leaf->split_at && !lapse_stage_split(s, row->customer)))
        return lapse_fail_memory(error);
    return s->used > s->limit ? lapse_stage_flush(s, error) : LAPSE_OK;
}

static void clear(struct lapse_stage *s)
{
    lapse_stage_leaves_free(s);
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        s->columns[f] = (struct stage_column){ .first_number = LAPSE_MISSING };
    s->rows = s->used = 0;
}

lapse_status lapse_stage_flush(struct lapse_stage *s, lapse_error *error)
{
    if (s->rows == 0)
        return LAPSE_OK;
    if (!lapse_mem_reserve(s->mem, &s->runs, &s->run_capacity, s->run_count + 1, sizeof(struct lapse_run *)))
        return lapse_fail_memory(error);
    lapse_status status = lapse_stage_write(s, &s->runs[s->run_count], error);
    if (status == LAPSE_OK) {
        s->run_count++;
        clear(s);
    }
    return status;
}

lapse_status lapse_stage_new(struct lapse_store *store, uint32_t fields, size_t limit, struct lapse_stage **out,
                             lapse_error *error)
{
    struct lapse_stage *s = *out = lapse_mem_zero(&store->mem, 1, sizeof *s);
    if (!s)
        return lapse_fail_memory(error);
    s->store = store;
    s->mem = &store->mem;
    s->limit = limit;
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        if (fields & LAPSE_FIELD_BIT(f))
            s->fields[s->varying_count++] = f;
    s->field_count = s->varying_count;
    for (int f = 0; f < LAPSE_FIELDS; f++)
        if (!(fields & LAPSE_FIELD_BIT(f)))
            s->fields[s->field_count++] = f;
    clear(s);
    return LAPSE_OK;
}

void lapse_stage_keep_lines(struct lapse_stage *s)
{
    s->keep_lines = true;
}

size_t lapse_stage_runs(struct lapse_stage *s, struct lapse_run ***runs)
{
    *runs = s->runs;
    return s->run_count;
}

void lapse_stage_free(struct lapse_stage *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->run_count; i++)
        lapse_run_release(s->runs[i]);
    clear(s);
    lapse_mem_free(s->mem, s->runs);
    lapse_mem_free(s->mem, s);
}
