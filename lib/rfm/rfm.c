/* The answer `rfm`: one row a customer. Values and scores are all there when the result is; tables are made of
 * them one part at a time, as they are pulled, column by column. */
#include "rfm/rfm.h"

enum { CUSTOMER, LAST, RECENCY, FREQUENCY, MONETARY, R, F, M, SCORE, SEGMENT, WEIGHTED, COLUMNS };

/* What the texts of a row are chosen by: its three scores. */
struct cell {
    struct lapse_text segment;
    char score[8]; /* of score_size bytes */
    uint32_t score_size;
};
struct rows {
    struct lapse_rfm *rfm;
    int32_t columns;
    struct lapse_column_spec specs[COLUMNS];
    struct cell cells[];
};

static void make_cells(struct rows *rows)
{
    const lapse_rfm_options *o = &rows->rfm->options;
    bool dashes = o->bins_r == 10 || o->bins_f == 10 || o->bins_m == 10; /* R14 */
    struct cell *cell = rows->cells;
    for (int32_t r = 1; r <= o->bins_r; r++)
        for (int32_t f = 1; f <= o->bins_f; f++)
            for (int32_t m = 1; m <= o->bins_m; m++, cell++) {
                int32_t segment = lapse_segment_of(&rows->rfm->segments, r, f, m), score[3] = { r, f, m };
                cell->segment = segment >= 0 ? rows->rfm->segments.names[segment]
                                             : (struct lapse_text){ LAPSE_SEGMENT_NONE, sizeof LAPSE_SEGMENT_NONE - 1 };
                for (int axis = 0; axis < 3; axis++) {
                    if (axis && dashes)
                        cell->score[cell->score_size++] = '-';
                    if (score[axis] == 10)
                        cell->score[cell->score_size++] = '1';
                    cell->score[cell->score_size++] = (char)('0' + score[axis] % 10);
                }
            }
}

static const struct cell *cell_of(const struct rows *rows, int64_t i)
{
    const struct lapse_rfm *rfm = rows->rfm;
    int32_t r = rfm->scores[0][i] - 1, f = rfm->scores[1][i] - 1, m = rfm->scores[2][i] - 1;
    return &rows->cells[(r * rfm->options.bins_f + f) * rfm->options.bins_m + m];
}

static void put_ids(const struct rows *rows, struct lapse_builder *b, int64_t first, int64_t n)
{
    const struct lapse_rfm *rfm = rows->rfm;
    const char *id = rfm->ids + rfm->id_mark[first / LAPSE_ID_MARK];
    int64_t bytes = 0, *offsets;
    char *data;
    for (int64_t i = first / LAPSE_ID_MARK * LAPSE_ID_MARK; i < first; i++)
        id += rfm->id_size[i];
    for (int64_t i = first; i < first + n; i++)
        bytes += rfm->id_size[i];
    if (!lapse_builder_texts(b, CUSTOMER, n, (size_t)bytes, &offsets, &data))
        return;
    memcpy(data, id, (size_t)bytes);
    for (int64_t i = 0; i < n; i++)
        offsets[i + 1] = offsets[i] + rfm->id_size[first + i];
}

static void put_cells(const struct rows *rows, struct lapse_builder *b, int64_t first, int64_t n)
{
    int64_t *score_at, *segment_at;
    char *scores, *segments;
    size_t bytes = 0;
    for (int64_t i = 0; i < n; i++)
        bytes += cell_of(rows, first + i)->segment.size;
    if (!lapse_builder_texts(b, SCORE, n, (size_t)n * sizeof rows->cells->score, &score_at, &scores) ||
        !lapse_builder_texts(b, SEGMENT, n, bytes, &segment_at, &segments))
        return;
    for (int64_t i = 0; i < n; i++) {
        const struct cell *cell = cell_of(rows, first + i);
        memcpy(scores + score_at[i], cell->score, sizeof cell->score);
        score_at[i + 1] = score_at[i] + cell->score_size;
        memcpy(segments + segment_at[i], cell->segment.data, cell->segment.size);
        segment_at[i + 1] = segment_at[i] + cell->segment.size;
    }
}

static void put_numbers(const struct rows *rows, struct lapse_builder *b, int64_t first, int64_t n)
{
    const struct lapse_rfm *rfm = rows->rfm;
    const int64_t *values[] = { rfm->last_order, rfm->recency, rfm->frequency, rfm->monetary };
    const int64_t weights[] = { rfm->options.weight_r, rfm->options.weight_f, rfm->options.weight_m };
    int64_t *weighted = rows->columns > WEIGHTED ? lapse_builder_column(b, WEIGHTED, n) : NULL;

    for (int c = LAST; c <= MONETARY; c++) {
        int64_t *to = lapse_builder_column(b, c, n);
        if (to)
            memcpy(to, values[c - LAST] + first, (size_t)n * sizeof *to);
    }
    if (weighted)
        memset(weighted, 0, (size_t)n * sizeof *weighted);
    for (int axis = 0; axis < 3; axis++) {
        const uint8_t *scores = rfm->scores[axis] + first;
        int64_t *to = lapse_builder_column(b, R + axis, n);
        for (int64_t i = 0; to && i < n; i++)
            to[i] = scores[i];
        for (int64_t i = 0; weighted && i < n; i++)
            weighted[i] += weights[axis] * scores[i];
    }
}

static lapse_status make_rows(void *self, int64_t first, int64_t end, lapse_table **out, lapse_error *error)
{
    const struct rows *rows = self;
    struct lapse_builder *b = lapse_builder_new(&rows->rfm->mem, rows->specs, rows->columns, end - first);
    put_ids(rows, b, first, end - first);
    put_numbers(rows, b, first, end - first);
    put_cells(rows, b, first, end - first);
    return lapse_builder_finish(b, out, error);
}

static void close_rows(void *self)
{
    struct rows *rows = self;
    lapse_allocator mem = rows->rfm->mem;
    lapse_rfm_free(rows->rfm);
    lapse_mem_free(&mem, rows);
}

lapse_status lapse_view_rfm(lapse_view *view, const lapse_rfm_options *options, lapse_result **out,
                            lapse_error *error)
{
    struct lapse_rfm *rfm;
    if (!out)
        return lapse_fail(error, LAPSE_INVALID, "out is NULL");
    *out = NULL;
    lapse_status status = lapse_rfm_new(view, options, true, false, &rfm, error);
    if (status != LAPSE_OK)
        return status;

    lapse_allocator mem = rfm->mem;
    size_t cells = (size_t)(rfm->options.bins_r * rfm->options.bins_f * rfm->options.bins_m);
    struct rows *rows = lapse_mem_zero(&mem, 1, sizeof *rows + cells * sizeof rows->cells[0]);
    if (!rows) {
        lapse_rfm_free(rfm);
        return lapse_fail_memory(error);
    }
    const struct lapse_column_spec specs[COLUMNS] = {
        [CUSTOMER] = { "customer", LAPSE_TYPE_STRING, 0 },
        [LAST] = { "last_order", LAPSE_TYPE_TIME, 0 },
        [RECENCY] = { "recency_days", LAPSE_TYPE_INT64, 0 },
        [FREQUENCY] = { "frequency", LAPSE_TYPE_INT64, 0 },
        [MONETARY] = { "monetary", LAPSE_TYPE_MONEY, rfm->digits },
        [R] = { "r", LAPSE_TYPE_INT64, 0 },
        [F] = { "f", LAPSE_TYPE_INT64, 0 },
        [M] = { "m", LAPSE_TYPE_INT64, 0 },
        [SCORE] = { "score", LAPSE_TYPE_STRING, 0 },
        [SEGMENT] = { "segment", LAPSE_TYPE_STRING, 0 },
        [WEIGHTED] = { "weighted", LAPSE_TYPE_INT64, 0 },
    };
    memcpy(rows->specs, specs, sizeof specs);
    rows->rfm = rfm;
    rows->columns = rfm->options.flags & LAPSE_RFM_WEIGHTED ? COLUMNS : WEIGHTED;
    make_cells(rows);
    struct lapse_source source = { .self = rows, .close = close_rows, .range = make_rows,
                                   .rows = rfm->count, .threads = rfm->options.threads };
    lapse_result *result;
    status = lapse_result_new(&mem, rows->specs, rows->columns, source, &result, error);
    if (status != LAPSE_OK)
        return status;
    status = lapse_rfm_notes(rfm, result);
    if (status != LAPSE_OK) {
        lapse_result_free(result);
        return lapse_fail_memory(error);
    }
    *out = result;
    return LAPSE_OK;
}
