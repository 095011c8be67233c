/* The answer `rfm`: one row a customer. Values and scores are all there when the result is; tables are made of
 * them one part at a time, as they are pulled, column by column. Of several instants, those of one are there at a
 * time. */
#include "rfm/rfm.h"

enum { AS_OF, CUSTOMER, LAST, RECENCY, FREQUENCY, MONETARY, R, F, M, SCORE, SEGMENT, WEIGHTED, COLUMNS };

/* Rows of one of many tables: few enough that their memory stays in the caches, and is used again by the next. */
enum { STREAM_ROWS = 8192 };

/* What the texts of a row are chosen by: its three scores. */
struct cell {
    struct lapse_text segment; /* LAPSE_TEXT_SLACK bytes behind it can be read */
    char score[8]; /* of score_size bytes */
    uint32_t score_size;
};
struct rows {
    struct lapse_rfm_answer answer;
    const struct lapse_rfm *rfm; /* the answer's */
    int64_t at;                  /* rows of one of several instants that have been given */
    int32_t first, end;          /* columns: with AS_OF and WEIGHTED, or without */
    struct lapse_column_spec specs[COLUMNS];
    struct cell cells[];
};

static void make_cells(struct rows *rows)
{
    static const char none[sizeof LAPSE_SEGMENT_NONE + LAPSE_TEXT_SLACK] = LAPSE_SEGMENT_NONE;
    const lapse_rfm_options *o = &rows->rfm->options;
    bool dashes = o->bins_r == 10 || o->bins_f == 10 || o->bins_m == 10; /* R14 */
    struct cell *cell = rows->cells;
    for (int32_t r = 1; r <= o->bins_r; r++)
        for (int32_t f = 1; f <= o->bins_f; f++)
            for (int32_t m = 1; m <= o->bins_m; m++, cell++) {
                int32_t segment = lapse_segment_of(&rows->rfm->segments, r, f, m), score[3] = { r, f, m };
                cell->segment = segment >= 0 ? rows->rfm->segments.names[segment]
                                             : (struct lapse_text){ none, sizeof LAPSE_SEGMENT_NONE - 1 };
                for (int axis = 0; axis < 3; axis++) {
                    if (axis && dashes)
                        cell->score[cell->score_size++] = '-';
                    if (score[axis] == 10)
                        cell->score[cell->score_size++] = '1';
                    cell->score[cell->score_size++] = (char)('0' + score[axis] % 10);
                }
            }
}

/* A stretch of a part, to be put at row `at` of a table; `cell` has an entry for each row of that. */
struct stretch {
    const struct rows *rows;
    const struct lapse_rfm_part *part;
    int64_t first, n, at;
    uint16_t *cell;
};

/* Which cells the rows are of; the bytes of their segments. */
static size_t find_cells(const struct stretch *s)
{
    const lapse_rfm_options *o = &s->rows->rfm->options;
    const struct cell *cells = s->rows->cells;
    const uint8_t *r = s->part->scores[0] + s->first, *f = s->part->scores[1] + s->first,
                  *m = s->part->scores[2] + s->first;
    const int32_t bins_f = o->bins_f, bins_m = o->bins_m, first = (bins_f + 1) * bins_m + 1; /* of scores 1, 1, 1 */
    uint16_t *cell = s->cell + s->at;
    const int64_t n = s->n;
    size_t bytes = 0;
    for (int64_t i = 0; i < n; i++)
        cell[i] = (uint16_t)((r[i] * bins_f + f[i]) * bins_m + m[i] - first);
    for (int64_t i = 0; i < n; i++)
        bytes += cells[cell[i]].segment.size;
    return bytes;
}

/* Bytes of the ids before customer i of a part. */
static int64_t id_place(const struct lapse_rfm_part *p, int64_t i)
{
    if (i == p->count)
        return (int64_t)p->ids.size;
    int64_t k = i / LAPSE_ID_MARK * LAPSE_ID_MARK, place = p->id_mark[i / LAPSE_ID_MARK];
    while (k < i)
        place += p->id_size[k++];
    return place;
}

static void put_ids(const struct stretch *s, int64_t *offset, char *data)
{
    int64_t begin = id_place(s->part, s->first), end = id_place(s->part, s->first + s->n);
    const uint8_t *size = s->part->id_size + s->first;
    int64_t place = offset[s->at];
    memcpy(data + place, s->part->ids.data + begin, (size_t)(end - begin));
    for (int64_t i = 0; i < s->n; i++)
        offset[s->at + i + 1] = place += size[i];
}

static void put_scores(const struct stretch *s, int64_t *offset, char *data)
{
    const int64_t end = s->at + s->n;
    for (int64_t i = s->at; i < end; i++) {
        const struct cell *cell = &s->rows->cells[s->cell[i]];
        memcpy(data + offset[i], cell->score, sizeof cell->score);
        offset[i + 1] = offset[i] + cell->score_size;
    }
}

static void put_segments(const struct stretch *s, int64_t *offset, char *data)
{
    const int64_t end = s->at + s->n;
    for (int64_t i = s->at; i < end; i++) {
        struct lapse_text name = s->rows->cells[s->cell[i]].segment;
        for (uint32_t k = 0; k < name.size; k += LAPSE_TEXT_SLACK)
            memcpy(data + offset[i] + k, name.data + k, LAPSE_TEXT_SLACK);
        offset[i + 1] = offset[i] + name.size;
    }
}

static const struct {
    void (*put)(const struct stretch *s, int64_t *offset, char *data);
    int32_t column;
} texts[] = { { put_ids, CUSTOMER }, { put_scores, SCORE }, { put_segments, SEGMENT } };

enum { TEXTS = sizeof texts / sizeof *texts };

static void put_numbers(const struct stretch *s, int64_t *const to[COLUMNS])
{
    static const struct {
        int32_t column;
        enum lapse_rfm_value value;
    } copied[] = { { LAST, LAPSE_RFM_LAST_ORDER },
                   { RECENCY, LAPSE_RFM_RECENCY },
                   { FREQUENCY, LAPSE_RFM_FREQUENCY },
                   { MONETARY, LAPSE_RFM_MONETARY } };
    const lapse_rfm_options *o = &s->rows->rfm->options;
    const int64_t weights[] = { o->weight_r, o->weight_f, o->weight_m };
    int64_t *weighted = to[WEIGHTED] ? to[WEIGHTED] + s->at : NULL;
    size_t bytes = (size_t)s->n * sizeof(int64_t);

    for (size_t c = 0; c < sizeof copied / sizeof *copied; c++)
        memcpy(to[copied[c].column] + s->at, s->part->value[copied[c].value] + s->first, bytes);
    for (int64_t i = 0; to[AS_OF] && i < s->n; i++)
        to[AS_OF][s->at + i] = s->rows->rfm->as_of;
    if (weighted)
        memset(weighted, 0, bytes);
    for (int axis = 0; axis < 3; axis++) {
        const uint8_t *scores = s->part->scores[axis] + s->first;
        int64_t *score = to[R + axis] + s->at;
        for (int64_t i = 0; i < s->n; i++)
            score[i] = scores[i];
        for (int64_t i = 0; weighted && i < s->n; i++)
            weighted[i] += weights[axis] * scores[i];
    }
}

/* The stretch with which customer `first` begins, of those below `end`. */
static struct stretch stretch_at(const struct rows *rows, int64_t first, int64_t end, int64_t at, uint16_t *cell)
{
    const struct lapse_rfm_part *p = rows->rfm->part;
    while (first >= p->first + p->count)
        p++;
    int64_t last = p->first + p->count < end ? p->first + p->count : end;
    return (struct stretch){ rows, p, first - p->first, last - first, at, cell };
}

static lapse_status make_rows(void *self, int64_t first, int64_t end, lapse_table *spare, lapse_table **out,
                              lapse_error *error)
{
    const struct rows *rows = self;
    int32_t base = rows->first;
    uint16_t *cell = lapse_mem_alloc(&rows->rfm->mem, (size_t)(end - first) * sizeof *cell);
    if (!cell)
        return lapse_fail_memory(error);
    struct lapse_builder *b =
        lapse_builder_again(&rows->rfm->mem, rows->specs + base, rows->end - base, end - first, spare);
    int64_t *numbers[COLUMNS] = { NULL }, *offsets[TEXTS] = { NULL };
    size_t bytes[TEXTS] = { 0, (size_t)(end - first) * sizeof rows->cells->score, 0 };
    char *data[TEXTS];
    struct stretch s;
    bool ok = true;

    for (int64_t at = first; at < end; at += s.n) {
        s = stretch_at(rows, at, end, at - first, cell);
        bytes[0] += (size_t)(id_place(s.part, s.first + s.n) - id_place(s.part, s.first));
        bytes[2] += find_cells(&s);
    }
    for (int32_t c = base; c < rows->end; c++)
        if (rows->specs[c].type != LAPSE_TYPE_STRING)
            ok = (numbers[c] = lapse_builder_column(b, c - base, end - first)) && ok;
    for (int t = 0; t < TEXTS; t++)
        ok = lapse_builder_texts(b, texts[t].column - base, end - first, bytes[t], &offsets[t], &data[t]) && ok;
    for (int64_t at = first; ok && at < end; at += s.n) {
        s = stretch_at(rows, at, end, at - first, cell);
        put_numbers(&s, numbers);
        for (int t = 0; t < TEXTS; t++)
            texts[t].put(&s, offsets[t], data[t]);
    }
    lapse_mem_free(&rows->rfm->mem, cell);
    return lapse_builder_finish(b, out, error);
}

/* Of several instants: the next rows, of the next instant that has any. */
static lapse_status next_rows(void *self, lapse_table **out, lapse_error *error)
{
    struct rows *rows = self;
    lapse_status status = LAPSE_OK;
    while (rows->at == rows->rfm->count && status == LAPSE_OK) {
        status = lapse_rfm_instants_next(rows->answer.several, error);
        rows->at = 0;
    }
    if (status != LAPSE_OK)
        return status;
    int64_t first = rows->at, left = rows->rfm->count - first;
    rows->at += left < STREAM_ROWS ? left : STREAM_ROWS;
    return make_rows(self, first, rows->at, NULL, out, error);
}

static void close_rows(void *self)
{
    struct rows *rows = self;
    lapse_allocator mem = rows->rfm->mem;
    lapse_rfm_answer_close(&rows->answer);
    lapse_mem_free(&mem, rows);
}

static lapse_status make_result(struct rows *rows, lapse_result **out, lapse_error *error)
{
    const struct lapse_rfm *rfm = rows->rfm;
    const lapse_rfm_options *o = &rfm->options;
    const struct lapse_column_spec specs[COLUMNS] = {
        [AS_OF] = { "as_of", LAPSE_TYPE_TIME, 0 },
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
    struct lapse_source source = { .self = rows, .close = close_rows, .threads = o->threads };
    memcpy(rows->specs, specs, sizeof specs);
    rows->first = rows->answer.several ? AS_OF : CUSTOMER;
    rows->end = o->flags & LAPSE_RFM_WEIGHTED ? COLUMNS : WEIGHTED;
    make_cells(rows);
    if (rows->answer.several) {
        source.next = next_rows;
    } else {
        source.range = make_rows;
        source.rows = rfm->count;
    }
    lapse_allocator mem = rfm->mem;
    return lapse_result_new(&mem, rows->specs + rows->first, rows->end - rows->first, source, out, error);
}

lapse_status lapse_view_rfm(lapse_view *view, const lapse_rfm_options *options, lapse_result **out,
                            lapse_error *error)
{
    struct lapse_rfm_answer answer;
    lapse_result *result;
    if (!out)
        return lapse_fail(error, LAPSE_INVALID, "out is NULL");
    *out = NULL;
    lapse_status status = lapse_rfm_answer_open(view, options, true, false, &answer, error);
    if (status != LAPSE_OK)
        return status;

    const struct lapse_rfm *rfm = answer.rfm;
    size_t cells = (size_t)(rfm->options.bins_r * rfm->options.bins_f * rfm->options.bins_m);
    struct rows *rows = lapse_mem_zero(&rfm->mem, 1, sizeof *rows + cells * sizeof rows->cells[0]);
    if (!rows) {
        lapse_rfm_answer_close(&answer);
        return lapse_fail_memory(error);
    }
    rows->answer = answer;
    rows->rfm = rfm;
    status = make_result(rows, &result, error);
    if (status != LAPSE_OK)
        return status;
    if (lapse_rfm_answer_notes(&answer, result) != LAPSE_OK) {
        lapse_result_free(result);
        return lapse_fail_memory(error);
    }
    *out = result;
    return LAPSE_OK;
}
