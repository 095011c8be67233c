/* A stage becomes a run: leaf by leaf, rows are put together by customer, customers sorted by id, each one's rows
 * sorted canonically, all in the cache, and written. */
#include "store/stage.h"

/* Scratch for one leaf after the other. */
struct sorter {
    const lapse_allocator *mem;
    size_t rows;                 /* room of all but slots */
    uint32_t *customer, *order, *scratch; /* of rows */
    uint32_t *id_at, *start;     /* of customers: where the id is, where the rows begin in `order` */
    uint32_t *rank;              /* of customers: their place by id */
    struct lapse_sort_key *keys; /* two for each customer */
    uint32_t customers;
    uint32_t *slots;             /* customer + 1; 0: free */
    uint32_t *hash;              /* of customers */
    size_t slot_count;
};

static bool sorter_room(struct sorter *w, size_t rows)
{
    if (rows <= w->rows)
        return true;
    size_t room = rows + rows / 4, slots = 64;
    while (slots < 2 * room)
        slots *= 2;
    const struct {
        void *array;
        size_t bytes;
    } arrays[] = { { &w->customer, room * 4 }, { &w->order, room * 4 },          { &w->scratch, room * 4 },
                   { &w->id_at, room * 4 },    { &w->start, (room + 2) * 4 },    { &w->rank, room * 4 },
                   { &w->hash, room * 4 },     { &w->keys, room * 2 * sizeof *w->keys }, { &w->slots, slots * 4 } };
    w->rows = 0;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        void *p;
        memcpy(&p, arrays[i].array, sizeof p);
        lapse_mem_free(w->mem, p);
        p = lapse_mem_alloc(w->mem, arrays[i].bytes);
        memcpy(arrays[i].array, &p, sizeof p);
        if (!p)
            return false;
    }
    w->rows = room;
    w->slot_count = slots;
    return true;
}

static void sorter_free(struct sorter *w)
{
    void *arrays[] = { w->customer, w->order, w->scratch, w->id_at, w->start, w->rank, w->hash, w->keys, w->slots };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        lapse_mem_free(w->mem, arrays[i]);
}

/* Customers in the order they come: w->customer of each row, id_at and hash of each customer. */
static void number_customers(struct sorter *w, const struct stage_leaf *leaf, uint64_t seed)
{
    size_t slots = 64;
    uint32_t at = 0;
    while (slots < 2 * (size_t)leaf->rows)
        slots *= 2;
    memset(w->slots, 0, slots * sizeof *w->slots);
    w->customers = 0;
    for (uint32_t r = 0; r < leaf->rows; r++) {
        struct lapse_text id = stage_id(leaf, at);
        uint32_t hash = (uint32_t)lapse_hash(id.data, id.size, seed);
        size_t i = hash & (slots - 1);
        for (; w->slots[i]; i = (i + 1) & (slots - 1)) {
            uint32_t c = w->slots[i] - 1;
            struct lapse_text known = stage_id(leaf, w->id_at[c]);
            if (w->hash[c] == hash && known.size == id.size && memcmp(known.data, id.data, id.size) == 0)
                break;
        }
        if (!w->slots[i]) {
            w->hash[w->customers] = hash;
            w->id_at[w->customers] = at;
            w->slots[i] = ++w->customers;
        }
        w->customer[r] = w->slots[i] - 1;
        at += 1 + id.size;
    }
}

static size_t common_prefix(const struct sorter *w, const struct stage_leaf *leaf)
{
    struct lapse_text first = stage_id(leaf, w->id_at[0]);
    size_t n = first.size;
    for (uint32_t c = 1; c < w->customers && n; c++) {
        struct lapse_text id = stage_id(leaf, w->id_at[c]);
        size_t k = 0;
        n = id.size < n ? id.size : n;
        while (k < n && id.data[k] == first.data[k])
            k++;
        n = k;
    }
    return n;
}

struct id_order {
    const struct stage_leaf *leaf;
    const uint32_t *id_at;
};

static int order_ids(const void *user, uint32_t a, uint32_t b)
{
    const struct id_order *o = user;
    struct lapse_text x = stage_id(o->leaf, o->id_at[a]), y = stage_id(o->leaf, o->id_at[b]);
    return lapse_text_compare(x.data, x.size, y.data, y.size);
}

/* Customers by id, as the numbers in the returned keys. */
static const struct lapse_sort_key *sort_customers(struct sorter *w, const struct stage_leaf *leaf)
{
    struct id_order ids = { leaf, w->id_at };
    size_t skip = common_prefix(w, leaf);
    for (uint32_t c = 0; c < w->customers; c++)
        w->keys[c] = (struct lapse_sort_key){ stage_key(stage_id(leaf, w->id_at[c]), skip), c };
    struct lapse_sort_key *sorted = lapse_sort_keys(w->keys, w->keys + w->customers, w->customers);
    for (uint32_t i = 0, j; i < w->customers; i = j) { /* equal keys are settled by whole ids */
        for (j = i + 1; j < w->customers && sorted[j].key == sorted[i].key; j++)
            ;
        if (j - i == 1)
            continue;
        for (uint32_t k = i; k < j; k++)
            w->rank[k - i] = sorted[k].index;
        lapse_sort_indices(w->rank, j - i, w->scratch, order_ids, &ids);
        for (uint32_t k = i; k < j; k++)
            sorted[k].index = w->rank[k - i];
    }
    return sorted;
}

struct row_order {
    const struct lapse_columns *columns;
    const int64_t *time; /* NULL: the same everywhere */
    int digits;
};

static int order_rows(const void *user, uint32_t a, uint32_t b)
{
    const struct row_order *o = user;
    if (o->time && o->time[a] != o->time[b])
        return o->time[a] < o->time[b] ? -1 : 1;
    return lapse_columns_compare(o->columns, a, o->columns, b, o->digits);
}

/* w->order: rows by the rank of their customer, each one's canonically; w->start of each rank. */
static void order_leaf(const struct lapse_stage *s, struct sorter *w, const struct stage_leaf *leaf,
                       const struct lapse_columns *columns, const struct lapse_sort_key *sorted)
{
    struct row_order rows = { columns, s->columns[LAPSE_F_TIME].varies ? columns->number[LAPSE_F_TIME] : NULL,
                              s->store->digits };
    for (uint32_t r = 0; r < w->customers; r++)
        w->rank[sorted[r].index] = r;
    /* start[k + 2] counts the rows of rank k; summed up, start[k + 1] is where its next row goes, so that in the end
     * start[k] is where they begin */
    memset(w->start, 0, (w->customers + 2) * sizeof *w->start);
    for (uint32_t r = 0; r < leaf->rows; r++)
        w->start[w->rank[w->customer[r]] + 2]++;
    for (uint32_t k = 0; k < w->customers; k++)
        w->start[k + 2] += w->start[k + 1];
    for (uint32_t r = 0; r < leaf->rows; r++)
        w->order[w->start[w->rank[w->customer[r]] + 1]++] = r;
    for (uint32_t k = 0; k < w->customers; k++)
        lapse_sort_indices(w->order + w->start[k], w->start[k + 1] - w->start[k], w->scratch, order_rows, &rows);
}

void lapse_stage_borrow(const struct lapse_stage *s, const struct stage_leaf *leaf, struct lapse_columns *out)
{
    static const uint32_t first_begin = 0;
    memset(out, 0, sizeof *out);
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        const struct stage_column *c = &s->columns[f];
        enum lapse_field_class class = lapse_column_class(f);
        bool empty = class == LAPSE_CLASS_TEXT   ? c->first_length == 0
                     : class == LAPSE_CLASS_NAME ? c->first_name == 0
                                                 : c->first_number == LAPSE_MISSING;
        if (!c->varies && empty)
            continue;
        out->fields |= LAPSE_FIELD_BIT(f);
        if (!c->varies)
            out->constant |= LAPSE_FIELD_BIT(f);
        if (class == LAPSE_CLASS_NUMBER)
            out->number[f] = c->varies ? leaf->number[f] : &c->first_number;
        else if (class == LAPSE_CLASS_NAME)
            out->name[f] = c->varies ? leaf->name[f] : &c->first_name;
        else if (c->varies)
            out->text[f] = (struct lapse_text_column){ leaf->bytes[f].data, leaf->begin[f], leaf->length[f], NULL };
        else
            out->text[f] = (struct lapse_text_column){ c->first_text, &first_begin, &c->first_length, NULL };
    }
}

static lapse_status write_leaf(struct lapse_stage *s, struct sorter *w, const struct stage_leaf *leaf, uint64_t seed,
                               struct lapse_run_writer *writer, lapse_error *error)
{
    struct lapse_columns columns;
    if (!sorter_room(w, leaf->rows))
        return lapse_fail_memory(error);
    number_customers(w, leaf, seed);
    const struct lapse_sort_key *sorted = sort_customers(w, leaf);
    lapse_stage_borrow(s, leaf, &columns);
    order_leaf(s, w, leaf, &columns, sorted);
    lapse_status status = LAPSE_OK;
    size_t given = 0; /* rows handed over */
    for (uint32_t k = 0; k < w->customers && status == LAPSE_OK; k++) {
        struct lapse_text id = stage_id(leaf, w->id_at[sorted[k].index]);
        for (size_t left = w->start[k + 1] - w->start[k], fit; left && status == LAPSE_OK; left -= fit) {
            status = lapse_run_writer_key(writer, id, left, &fit, error);
            if (status == LAPSE_OK && fit < left) { /* the block is full */
                status = lapse_run_writer_rows(writer, &columns, UINT32_MAX, w->order + given, 0, error);
                given = w->start[k + 1] - left + fit;
            }
        }
    }
    return status == LAPSE_OK ? lapse_run_writer_rows(writer, &columns, UINT32_MAX, w->order + given, 0, error)
                              : status;
}

lapse_status lapse_stage_write(struct lapse_stage *s, struct lapse_run **out, lapse_error *error)
{
    struct sorter w = { .mem = s->mem };
    struct lapse_run_writer writer;
    uint64_t seed; /* decides no answer; drawn so that nobody can prepare ids that meet in one slot */
    if (!lapse_random(&seed, sizeof seed))
        seed = (uint64_t)(uintptr_t)s;
    lapse_status status = lapse_run_writer_open(&writer, s->store, LAPSE_RUN_STAGED, error);
    if (status != LAPSE_OK)
        return status;
    writer.keep_lines = s->keep_lines;
    lapse_run_writer_expect(&writer, (int64_t)s->rows);
    for (size_t i = 0; i < s->leaf_count && status == LAPSE_OK; i++)
        if (s->leaves[i]->rows)
            status = write_leaf(s, &w, s->leaves[i], seed, &writer, error);
    sorter_free(&w);
    if (status == LAPSE_OK)
        return lapse_run_writer_finish(&writer, out, error);
    lapse_run_writer_abort(&writer);
    return status;
}
