/* Rows in any order, collected in memory and sorted into runs.
 *
 * Rows lie in columns; a column that has had one value so far costs a comparison. Customers get numbers (ids.c). A
 * flush sorts the ids, places rows by counting, sorts each customer's few rows canonically, and writes the run. */
#include "store/store.h"

struct stage_column {
    bool varies;                 /* otherwise every row has the value in `first` */
    bool touched;                /* `first` is set */
    int64_t *number;
    uint8_t *name;
    uint32_t *begin;
    uint8_t *length;
    struct lapse_buffer bytes;   /* of texts */
    uint32_t first_begin;
    uint8_t first_name, first_length;
    int64_t first_number;
};

struct lapse_stage {
    struct lapse_store *store;
    const lapse_allocator *mem;
    size_t limit;
    int fields[LAPSE_COLUMNS];              /* those that can vary, then those that only a first row is asked for */
    int varying_count, field_count;
    struct stage_column columns[LAPSE_COLUMNS];
    size_t rows, capacity;
    uint32_t *customer;                     /* of each row; those that wait have none yet */
    struct lapse_ids ids;                   /* of customers */
    struct lapse_run **runs;
    size_t run_count, run_capacity;
};

/* ---- columns ------------------------------------------------------------------------------------------- */

static bool column_room(struct lapse_stage *s, int f, size_t capacity)
{
    struct stage_column *c = &s->columns[f];
    void *p;
    switch (lapse_column_class(f)) {
    case LAPSE_CLASS_NUMBER:
        p = lapse_mem_resize(s->mem, c->number, capacity * sizeof *c->number);
        c->number = p ? p : c->number;
        return p != NULL;
    case LAPSE_CLASS_NAME:
        p = lapse_mem_resize(s->mem, c->name, capacity);
        c->name = p ? p : c->name;
        return p != NULL;
    default:
        p = lapse_mem_resize(s->mem, c->begin, capacity * sizeof *c->begin);
        c->begin = p ? p : c->begin;
        if (!p)
            return false;
        p = lapse_mem_resize(s->mem, c->length, capacity);
        c->length = p ? p : c->length;
        return p != NULL;
    }
}

static bool make_room(struct lapse_stage *s)
{
    size_t capacity = s->capacity ? s->capacity + s->capacity / 2 : 256;
    for (int f = 0; f < LAPSE_COLUMNS; f++)
        if (s->columns[f].varies && !column_room(s, f, capacity))
            return false;
    void *p = lapse_mem_resize(s->mem, s->customer, capacity * sizeof *s->customer);
    if (!p)
        return false;
    s->customer = p;
    s->capacity = capacity;
    return true;
}

/* The column gets a second value: the rows so far have the first. */
static bool begin_varying(struct lapse_stage *s, int f)
{
    struct stage_column *c = &s->columns[f];
    if (!column_room(s, f, s->capacity))
        return false;
    c->varies = true;
    for (size_t i = 0; i < s->rows && c->number; i++)
        c->number[i] = c->first_number;
    if (c->name)
        memset(c->name, c->first_name, s->rows);
    for (size_t i = 0; i < s->rows && c->begin; i++)
        c->begin[i] = c->first_begin;
    if (c->length)
        memset(c->length, c->first_length, s->rows);
    return true;
}

static bool put_number(struct lapse_stage *s, int f, int64_t v)
{
    struct stage_column *c = &s->columns[f];
    if (!c->varies) {
        if (!c->touched) {
            c->touched = true;
            c->first_number = v;
        }
        if (v == c->first_number)
            return true;
        if (!begin_varying(s, f))
            return false;
    }
    c->number[s->rows] = v;
    return true;
}

static bool put_name(struct lapse_stage *s, int f, uint8_t v)
{
    struct stage_column *c = &s->columns[f];
    if (!c->varies) {
        if (!c->touched) {
            c->touched = true;
            c->first_name = v;
        }
        if (v == c->first_name)
            return true;
        if (!begin_varying(s, f))
            return false;
    }
    c->name[s->rows] = v;
    return true;
}

static bool put_text(struct lapse_stage *s, int f, struct lapse_text t)
{
    struct stage_column *c = &s->columns[f];
    if (!c->varies) {
        if (!c->touched) {
            c->touched = true;
            c->first_begin = (uint32_t)c->bytes.size;
            c->first_length = (uint8_t)t.size;
            lapse_buffer_put(&c->bytes, t.data, t.size);
            return !c->bytes.failed;
        }
        if (t.size == c->first_length &&
            (t.size == 0 || memcmp(t.data, c->bytes.data + c->first_begin, t.size) == 0))
            return true;
        if (!begin_varying(s, f))
            return false;
    }
    c->begin[s->rows] = (uint32_t)c->bytes.size;
    c->length[s->rows] = (uint8_t)t.size;
    lapse_buffer_put(&c->bytes, t.data, t.size);
    return !c->bytes.failed;
}

/* ---- rows --------------------------------------------------------------------------------------------------- */

/* Gives the waiting rows, the last of all, their customers. */
static bool resolve(struct lapse_stage *s)
{
    return lapse_ids_take(&s->ids, s->customer + (s->rows - s->ids.waiting));
}

static size_t memory_used(const struct lapse_stage *s)
{
    size_t used = s->rows * 2 * sizeof(uint32_t) + lapse_ids_memory(&s->ids); /* customer and order of each row */
    for (int i = 0; i < s->field_count; i++) {
        const struct stage_column *c = &s->columns[s->fields[i]];
        size_t each = c->number ? 8 : c->name ? 1 : 5;
        used += (c->varies ? s->rows * each : 0) + c->bytes.size;
    }
    return used;
}

lapse_status lapse_stage_put(struct lapse_stage *s, const struct lapse_row *row, int64_t line, lapse_error *error)
{
    if (s->rows == s->capacity && !make_room(s))
        return lapse_fail_memory(error);
    bool ok = true;
    int count = s->rows ? s->varying_count : s->field_count;
    for (int i = 0; i < count && ok; i++) {
        int f = s->fields[i];
        switch (lapse_column_class(f)) {
        case LAPSE_CLASS_NUMBER:
            ok = put_number(s, f, f == LAPSE_F_LINE ? line : row->number[f]);
            break;
        case LAPSE_CLASS_NAME:
            ok = put_name(s, f, row->name[f]);
            break;
        case LAPSE_CLASS_TEXT:
            ok = put_text(s, f, row->text[f]);
            break;
        }
    }
    ok = ok && lapse_ids_put(&s->ids, row->customer);
    s->rows++;
    if (!ok || (s->ids.waiting == LAPSE_IDS_WAITING && !resolve(s)))
        return lapse_fail_memory(error);
    if (s->ids.waiting == 0 && (s->rows >= UINT32_MAX / 2 || memory_used(s) > s->limit))
        return lapse_stage_flush(s, error);
    return LAPSE_OK;
}

/* ---- sorting and writing ------------------------------------------------------------------------------------- */

static void borrow(const struct lapse_stage *s, struct lapse_columns *out)
{
    memset(out, 0, sizeof *out);
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        const struct stage_column *c = &s->columns[f];
        bool text = lapse_column_class(f) == LAPSE_CLASS_TEXT, name = lapse_column_class(f) == LAPSE_CLASS_NAME;
        bool empty = text ? c->first_length == 0 : name ? c->first_name == 0 : c->first_number == LAPSE_MISSING;
        if (!c->varies && (!c->touched || empty))
            continue;
        if (!c->varies)
            out->constant |= LAPSE_FIELD_BIT(f);
        out->text[f].data = c->bytes.data;
        out->text[f].begin = text ? (c->varies ? c->begin : &c->first_begin) : NULL;
        out->text[f].length = c->varies ? c->length : &c->first_length;
        out->name[f] = name ? (c->varies ? c->name : &c->first_name) : NULL;
        out->number[f] = text || name ? NULL : c->varies ? c->number : &c->first_number;
    }
}

struct sorting {
    const struct lapse_columns *columns;
    const int64_t *time; /* NULL: the same everywhere */
    int digits;
};

static int order_rows(const void *user, uint32_t a, uint32_t b)
{
    const struct sorting *s = user;
    if (s->time && s->time[a] != s->time[b])
        return s->time[a] < s->time[b] ? -1 : 1;
    return lapse_columns_compare(s->columns, a, s->columns, b, s->digits);
}

static lapse_status write_run(struct lapse_stage *s, const struct lapse_columns *c, const uint32_t *places,
                              const uint32_t *start, const uint32_t *order, lapse_error *error)
{
    struct lapse_run_writer w;
    lapse_status status = lapse_run_writer_open(&w, s->store, LAPSE_RUN_STAGED, error);
    if (status != LAPSE_OK)
        return status;
    size_t given = 0; /* rows handed over */
    for (size_t r = 0; r < s->ids.count && status == LAPSE_OK; r++) {
        struct lapse_text id = lapse_ids_text_ahead(&s->ids, places, r, s->ids.count);
        size_t left = start[r + 1] - start[r], fit;
        while (left && status == LAPSE_OK) {
            status = lapse_run_writer_key(&w, id, left, &fit, error);
            left -= fit;
            if (status == LAPSE_OK && left) {
                status = lapse_run_writer_rows(&w, c, UINT32_MAX, order + given, 0, error);
                given = start[r + 1] - left;
            }
        }
    }
    if (status == LAPSE_OK)
        status = lapse_run_writer_rows(&w, c, UINT32_MAX, order + given, 0, error);
    if (status != LAPSE_OK) {
        lapse_run_writer_abort(&w);
        return status;
    }
    if (!lapse_mem_reserve(s->mem, &s->runs, &s->run_capacity, s->run_count + 1, sizeof(struct lapse_run *))) {
        lapse_run_writer_abort(&w);
        return lapse_fail_memory(error);
    }
    status = lapse_run_writer_finish(&w, &s->runs[s->run_count], error);
    if (status == LAPSE_OK)
        s->run_count++;
    return status;
}

static void empty(struct lapse_stage *s)
{
    s->rows = 0;
    lapse_ids_clear(&s->ids);
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        struct stage_column *c = &s->columns[f];
        c->varies = c->touched = false;
        c->bytes.size = 0;
    }
}

lapse_status lapse_stage_flush(struct lapse_stage *s, lapse_error *error)
{
    if (s->rows == 0)
        return LAPSE_OK;
    if (!resolve(s))
        return lapse_fail_memory(error);
    struct lapse_columns c;
    borrow(s, &c);
    size_t n = s->ids.count;
    uint32_t *sorted = lapse_mem_alloc(s->mem, n * sizeof *sorted);
    uint32_t *rank = lapse_mem_alloc(s->mem, n * sizeof *rank);
    uint32_t *start = lapse_mem_zero(s->mem, n + 2, sizeof *start);
    uint32_t *order = lapse_mem_alloc(s->mem, s->rows * sizeof *order);
    lapse_status status = LAPSE_OK;
    if (!sorted || !rank || !start || !order || !lapse_ids_sort(&s->ids, sorted))
        status = lapse_fail_memory(error);
    if (status == LAPSE_OK) {
        for (size_t r = 0; r < n; r++)
            rank[sorted[r]] = (uint32_t)r;
        /* start[r + 2] counts, then start[r + 1] is where rank r places its next row, and in the end start[r] is
         * where its rows begin */
        for (size_t i = 0; i < s->rows; i++)
            start[rank[s->customer[i]] + 2]++;
        for (size_t r = 0; r < n; r++)
            start[r + 2] += start[r + 1];
        for (size_t i = 0; i < s->rows; i++)
            order[start[rank[s->customer[i]] + 1]++] = (uint32_t)i;
        uint32_t most = 0;
        for (size_t r = 0; r < n; r++)
            most = start[r + 1] - start[r] > most ? start[r + 1] - start[r] : most;
        uint32_t *scratch = lapse_mem_alloc(s->mem, most * sizeof *scratch);
        struct sorting sorting = { &c, s->columns[LAPSE_F_TIME].varies ? c.number[LAPSE_F_TIME] : NULL,
                                   s->store->digits };
        for (size_t r = 0; scratch && r < n; r++)
            lapse_sort_indices(order + start[r], start[r + 1] - start[r], scratch, order_rows, &sorting);
        lapse_ids_places(&s->ids, sorted, n, rank); /* ranks are not needed any more */
        status = scratch ? write_run(s, &c, rank, start, order, error) : lapse_fail_memory(error);
        lapse_mem_free(s->mem, scratch);
    }
    lapse_mem_free(s->mem, sorted);
    lapse_mem_free(s->mem, rank);
    lapse_mem_free(s->mem, start);
    lapse_mem_free(s->mem, order);
    if (status == LAPSE_OK)
        empty(s);
    return status;
}

/* ---- making and ending ---------------------------------------------------------------------------------------------- */

lapse_status lapse_stage_new(struct lapse_store *store, uint32_t fields, size_t limit, struct lapse_stage **out,
                             lapse_error *error)
{
    struct lapse_stage *s = *out = lapse_mem_zero(&store->mem, 1, sizeof *s);
    if (!s)
        return lapse_fail_memory(error);
    s->store = store;
    s->mem = &store->mem;
    s->limit = limit < UINT32_MAX / 2 ? limit : UINT32_MAX / 2; /* texts are found by 32 bits */
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        lapse_buffer_init(&s->columns[f].bytes, s->mem);
        if (fields & LAPSE_FIELD_BIT(f))
            s->fields[s->varying_count++] = f;
    }
    s->field_count = s->varying_count;
    for (int f = 0; f < LAPSE_FIELDS; f++)
        if (!(fields & LAPSE_FIELD_BIT(f)))
            s->fields[s->field_count++] = f;
    if (lapse_ids_init(&s->ids, s->mem))
        return LAPSE_OK;
    lapse_stage_free(s);
    *out = NULL;
    return lapse_fail_memory(error);
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
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        struct stage_column *c = &s->columns[f];
        lapse_mem_free(s->mem, c->number);
        lapse_mem_free(s->mem, c->name);
        lapse_mem_free(s->mem, c->begin);
        lapse_mem_free(s->mem, c->length);
        lapse_buffer_free(&c->bytes);
    }
    lapse_ids_free(&s->ids);
    lapse_mem_free(s->mem, s->runs);
    lapse_mem_free(s->mem, s->customer);
    lapse_mem_free(s->mem, s);
}
