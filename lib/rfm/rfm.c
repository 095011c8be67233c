/* The answer `rfm`: one row a customer. Values and scores are all there when the result is; tables are made of
 * them one part at a time, as they are pulled. */
#include "rfm/rfm.h"

enum { CUSTOMER, LAST, RECENCY, FREQUENCY, MONETARY, R, F, M, SCORE, SEGMENT, WEIGHTED, COLUMNS };

struct rows {
    struct lapse_rfm *rfm;
    int64_t at;   /* next customer */
    int32_t part; /* its id is at ids[part].data + place */
    size_t place;
    int32_t columns;
    struct lapse_column_spec specs[COLUMNS];
};

static struct lapse_text next_id(struct rows *rows)
{
    while (rows->place == rows->rfm->ids[rows->part].size) {
        rows->part++;
        rows->place = 0;
    }
    const char *id = rows->rfm->ids[rows->part].data + rows->place;
    struct lapse_text text = { id + 1, (uint8_t)*id };
    rows->place += 1 + (size_t)text.size;
    return text;
}

static size_t score_text(const int score[3], bool dashes, char *out)
{
    size_t n = 0;
    for (int axis = 0; axis < 3; axis++) {
        if (axis && dashes)
            out[n++] = '-';
        if (score[axis] == 10)
            out[n++] = '1';
        out[n++] = (char)('0' + score[axis] % 10);
    }
    return n;
}

/* The texts of a row; its numbers are copied column by column. */
static void put_texts(struct rows *rows, struct lapse_builder *b, int64_t i)
{
    const struct lapse_rfm *rfm = rows->rfm;
    const lapse_rfm_options *o = &rfm->options;
    bool dashes = o->bins_r == 10 || o->bins_f == 10 || o->bins_m == 10; /* R14 */
    int score[3] = { rfm->scores[0][i], rfm->scores[1][i], rfm->scores[2][i] };
    int32_t segment = lapse_segment_of(&rfm->segments, score[0], score[1], score[2]);
    struct lapse_text id = next_id(rows), name = { LAPSE_SEGMENT_NONE, sizeof LAPSE_SEGMENT_NONE - 1 };
    char text[8];

    if (segment >= 0)
        name = rfm->segments.names[segment];
    lapse_builder_text(b, CUSTOMER, id.data, id.size);
    lapse_builder_text(b, SCORE, text, score_text(score, dashes, text));
    lapse_builder_text(b, SEGMENT, name.data, name.size);
}

static void put_numbers(const struct rows *rows, struct lapse_builder *b, int64_t n)
{
    const struct lapse_rfm *rfm = rows->rfm;
    const int64_t *values[] = { rfm->last_order, rfm->recency, rfm->frequency, rfm->monetary };
    const int64_t weights[] = { rfm->options.weight_r, rfm->options.weight_f, rfm->options.weight_m };
    int64_t *weighted = rows->columns > WEIGHTED ? lapse_builder_column(b, WEIGHTED, n) : NULL;

    for (int c = LAST; c <= MONETARY; c++) {
        int64_t *to = lapse_builder_column(b, c, n);
        if (to)
            memcpy(to, values[c - LAST] + rows->at, (size_t)n * sizeof *to);
    }
    if (weighted)
        memset(weighted, 0, (size_t)n * sizeof *weighted);
    for (int axis = 0; axis < 3; axis++) {
        const uint8_t *scores = rfm->scores[axis] + rows->at;
        int64_t *to = lapse_builder_column(b, R + axis, n);
        for (int64_t i = 0; to && i < n; i++)
            to[i] = scores[i];
        for (int64_t i = 0; weighted && i < n; i++)
            weighted[i] += weights[axis] * scores[i];
    }
}

static lapse_status next_rows(void *self, lapse_table **out, lapse_error *error)
{
    struct rows *rows = self;
    int64_t n = rows->rfm->count - rows->at;
    if (n == 0)
        return LAPSE_DONE;
    if (n > LAPSE_TABLE_ROWS)
        n = LAPSE_TABLE_ROWS;
    struct lapse_builder *b = lapse_builder_new(&rows->rfm->mem, rows->specs, rows->columns, n);
    if (!b)
        return lapse_fail_memory(error);
    put_numbers(rows, b, n);
    for (int64_t i = 0; i < n; i++)
        put_texts(rows, b, rows->at + i);
    rows->at += n;
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
    struct rows *rows = lapse_mem_zero(&mem, 1, sizeof *rows);
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
    struct lapse_source source = { rows, next_rows, close_rows };
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
