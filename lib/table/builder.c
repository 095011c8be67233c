/* A table under construction: values come in row by row or column by column, and the first failure sticks.
 * Cost: amortised O(1) a value; a column gets its bitmap only with its first missing value. */
#include "table/table.h"

struct lapse_builder {
    lapse_table *table;
    lapse_status status;
};

static bool is_text(const struct lapse_table_column *c)
{
    return c->spec.type == LAPSE_TYPE_STRING;
}

static int64_t *offsets_of(const struct lapse_table_column *c)
{
    return (int64_t *)(void *)c->offsets.data;
}

static bool fail(struct lapse_builder *b, lapse_status status)
{
    b->status = status;
    return false;
}

static bool reserve(struct lapse_builder *b, struct lapse_slab *slab, size_t bytes)
{
    return lapse_slab_reserve(&b->table->mem, slab, bytes) || fail(b, LAPSE_NO_MEMORY);
}

/* Room in all buffers of a column for `rows` rows in all; the bytes of strings apart. */
static bool room_for_rows(struct lapse_builder *b, struct lapse_table_column *c, int64_t rows)
{
    if (rows < 0 || (uint64_t)rows > PTRDIFF_MAX / 16)
        return fail(b, LAPSE_NO_MEMORY);
    size_t n = (size_t)rows;
    if (c->validity.data && !reserve(b, &c->validity, n / 8 + 1))
        return false;
    return is_text(c) ? reserve(b, &c->offsets, (n + 1) * sizeof(int64_t))
                      : reserve(b, &c->data, n * sizeof(int64_t));
}

/* The bits of new rows; a byte is cleared when its first bit is set, so that fresh memory needs no zeroing. */
static void put_bit(struct lapse_table_column *c, int64_t row, bool valid)
{
    uint8_t *byte = &c->validity.data[row >> 3];
    uint8_t bit = (uint8_t)(1u << (row & 7));
    uint8_t before = row & 7 ? *byte : 0;
    *byte = (uint8_t)(valid ? before | bit : before);
}

/* Gives a column without missing values its bitmap: ones for the rows that are there. */
static bool begin_bitmap(struct lapse_builder *b, struct lapse_table_column *c)
{
    if (!reserve(b, &c->validity, (size_t)c->rows / 8 + 1))
        return false;
    memset(c->validity.data, 0xff, (size_t)c->rows / 8 + 1);
    c->validity.data[c->rows >> 3] = (uint8_t)((1u << (c->rows & 7)) - 1);
    return true;
}

static struct lapse_table_column *column_at(struct lapse_builder *b, int32_t column)
{
    if (!b || b->status != LAPSE_OK)
        return NULL;
    if (column < 0 || column >= b->table->count) {
        fail(b, LAPSE_INVALID);
        return NULL;
    }
    return &b->table->column[column];
}

/* The column, with room for one more row. NULL after a failure. */
static struct lapse_table_column *next_row(struct lapse_builder *b, int32_t column)
{
    struct lapse_table_column *c = column_at(b, column);
    return c && room_for_rows(b, c, c->rows + 1) ? c : NULL;
}

struct lapse_builder *lapse_builder_new(const lapse_allocator *mem, const struct lapse_column_spec *columns,
                                        int32_t count, int64_t rows)
{
    return lapse_builder_again(mem, columns, count, rows, NULL);
}

struct lapse_builder *lapse_builder_again(const lapse_allocator *mem, const struct lapse_column_spec *columns,
                                          int32_t count, int64_t rows, lapse_table *spare)
{
    struct lapse_builder *b = lapse_mem_zero(mem, 1, sizeof *b);
    lapse_table *table = b ? lapse_table_new(mem, columns, count) : NULL;
    if (!table) {
        lapse_mem_free(mem, b);
        return NULL;
    }
    b->table = table;
    /* Whoever let go of it last has read all that was read. */
    bool take = spare && spare->count == table->count &&
                atomic_load_explicit(&spare->references, memory_order_acquire) == 1;
    for (int32_t i = 0; i < table->count && b->status == LAPSE_OK; i++) {
        struct lapse_table_column *c = &table->column[i];
        if (take) {
            c->offsets = spare->column[i].offsets;
            c->data = spare->column[i].data;
            spare->column[i].offsets = spare->column[i].data = (struct lapse_slab){ 0 };
        }
        /* Also a column without a value gets its buffers: a pointer of a table is never NULL for that. */
        if (!room_for_rows(b, c, rows > 0 ? rows : 0))
            break;
        if (is_text(c) && reserve(b, &c->data, 0))
            offsets_of(c)[0] = 0;
    }
    if (b->status != LAPSE_OK) {
        lapse_builder_free(b);
        return NULL;
    }
    return b;
}

void lapse_builder_free(struct lapse_builder *b)
{
    if (!b)
        return;
    lapse_allocator mem = b->table->mem;
    lapse_table_release(b->table);
    lapse_mem_free(&mem, b);
}

/* One value of 8 bytes, of a type that `allowed` has the bit of. */
static void put_number(struct lapse_builder *b, int32_t column, unsigned allowed, const void *value)
{
    struct lapse_table_column *c = next_row(b, column);
    if (!c)
        return;
    if (!(allowed >> c->spec.type & 1)) {
        fail(b, LAPSE_INVALID);
        return;
    }
    if (c->validity.data)
        put_bit(c, c->rows, true);
    memcpy(c->data.data + (size_t)c->rows * 8, value, 8);
    c->rows++;
}

void lapse_builder_int(struct lapse_builder *b, int32_t column, int64_t value)
{
    put_number(b, column,
               1u << LAPSE_TYPE_INT64 | 1u << LAPSE_TYPE_TIME | 1u << LAPSE_TYPE_MONEY |
                   1u << LAPSE_TYPE_DECIMAL,
               &value);
}

void lapse_builder_double(struct lapse_builder *b, int32_t column, double value)
{
    if (value != value)
        lapse_builder_missing(b, column);
    else
        put_number(b, column, 1u << LAPSE_TYPE_DOUBLE, &value);
}

/* Adds the bytes of one or of many strings. */
static bool put_bytes(struct lapse_builder *b, struct lapse_table_column *c, const void *bytes, size_t n)
{
    size_t size = (size_t)offsets_of(c)[c->rows];
    if (n > PTRDIFF_MAX - size)
        return fail(b, LAPSE_NO_MEMORY);
    if (!reserve(b, &c->data, size + n))
        return false;
    if (n > 0)
        memcpy(c->data.data + size, bytes, n);
    return true;
}

void lapse_builder_text(struct lapse_builder *b, int32_t column, const char *text, size_t n)
{
    struct lapse_table_column *c = next_row(b, column);
    if (!c)
        return;
    if (!is_text(c)) {
        fail(b, LAPSE_INVALID);
        return;
    }
    if (!put_bytes(b, c, text, n))
        return;
    if (c->validity.data)
        put_bit(c, c->rows, true);
    int64_t *offsets = offsets_of(c) + c->rows++;
    offsets[1] = offsets[0] + (int64_t)n;
}

void lapse_builder_missing(struct lapse_builder *b, int32_t column)
{
    struct lapse_table_column *c = next_row(b, column);
    if (!c || (!c->validity.data && !begin_bitmap(b, c)))
        return;
    put_bit(c, c->rows, false);
    if (is_text(c))
        offsets_of(c)[c->rows + 1] = offsets_of(c)[c->rows];
    else
        memset(c->data.data + (size_t)c->rows * 8, 0, 8);
    c->missing++;
    c->rows++;
}

int64_t *lapse_builder_column(struct lapse_builder *b, int32_t column, int64_t rows)
{
    struct lapse_table_column *c = column_at(b, column);
    if (!c)
        return NULL;
    if (is_text(c) || c->rows > 0 || rows < 0) {
        fail(b, LAPSE_INVALID);
        return NULL;
    }
    if (!room_for_rows(b, c, rows))
        return NULL;
    c->rows = rows;
    return (int64_t *)(void *)c->data.data;
}

bool lapse_builder_texts(struct lapse_builder *b, int32_t column, int64_t rows, size_t bytes, int64_t **offsets,
                         char **data)
{
    struct lapse_table_column *c = column_at(b, column);
    if (!c)
        return false;
    if (!is_text(c) || c->rows > 0 || rows < 0)
        return fail(b, LAPSE_INVALID);
    if (bytes > PTRDIFF_MAX - LAPSE_TEXT_SLACK)
        return fail(b, LAPSE_NO_MEMORY);
    if (!room_for_rows(b, c, rows) || !reserve(b, &c->data, bytes + LAPSE_TEXT_SLACK))
        return false;
    c->rows = rows;
    *offsets = offsets_of(c);
    *data = (char *)c->data.data;
    return true;
}

/* Rows [first, end) of column `from`. */
static void append_column(struct lapse_builder *b, struct lapse_table_column *c,
                          const struct lapse_table_column *from, int64_t first, int64_t end)
{
    size_t n = (size_t)(end - first);
    if (!room_for_rows(b, c, c->rows + (end - first)))
        return;
    if (is_text(c)) {
        const int64_t *theirs = offsets_of(from) + first;
        if (!put_bytes(b, c, from->data.data + theirs[0], (size_t)(theirs[n] - theirs[0])))
            return;
        int64_t *ours = offsets_of(c) + c->rows;
        for (size_t i = 1; i <= n; i++)
            ours[i] = ours[0] + (theirs[i] - theirs[0]);
    } else {
        memcpy(c->data.data + (size_t)c->rows * 8, from->data.data + (size_t)first * 8, n * 8);
    }
    if (from->missing > 0 && !c->validity.data &&
        (!begin_bitmap(b, c) || !room_for_rows(b, c, c->rows + (end - first))))
        return;
    for (int64_t row = first; c->validity.data && row < end; row++) {
        bool valid = lapse_bit(from->validity.data, row);
        put_bit(c, c->rows + (row - first), valid);
        c->missing += !valid;
    }
    c->rows += end - first;
}

void lapse_builder_append(struct lapse_builder *b, const lapse_table *table, int64_t first, int64_t end)
{
    if (!b || b->status != LAPSE_OK)
        return;
    if (table->count != b->table->count || first < 0 || first > end || end > table->rows) {
        fail(b, LAPSE_INVALID);
        return;
    }
    for (int32_t i = 0; i < table->count && b->status == LAPSE_OK; i++) {
        if (table->column[i].spec.type != b->table->column[i].spec.type)
            fail(b, LAPSE_INVALID);
        else
            append_column(b, &b->table->column[i], &table->column[i], first, end);
    }
}

/* Zeros from the end of what is used to the next multiple of 64. */
static void pad(struct lapse_slab *slab, size_t used)
{
    if (slab->data)
        memset(slab->data + used, 0, (64 - used % 64) % 64);
}

lapse_status lapse_builder_finish(struct lapse_builder *b, lapse_table **out, lapse_error *error)
{
    *out = NULL;
    lapse_status status = b ? b->status : LAPSE_NO_MEMORY;
    for (int32_t i = 0; status == LAPSE_OK && i < b->table->count; i++) {
        struct lapse_table_column *c = &b->table->column[i];
        if (c->rows != b->table->column[0].rows)
            status = LAPSE_INVALID;
        /* A column of which only complete rows were appended may have a bitmap that says nothing. */
        if (c->missing == 0) {
            lapse_mem_free(&b->table->mem, c->validity.raw);
            c->validity = (struct lapse_slab){ 0 };
        }
        size_t rows = (size_t)c->rows;
        pad(&c->validity, (rows + 7) / 8);
        pad(&c->offsets, (rows + 1) * sizeof(int64_t));
        pad(&c->data, is_text(c) ? (size_t)offsets_of(c)[rows] : rows * 8);
        b->table->rows = c->rows;
    }
    if (status != LAPSE_OK) {
        lapse_builder_free(b);
        return status == LAPSE_NO_MEMORY ? lapse_fail_memory(error)
                                         : lapse_fail(error, status, "a table under construction was misused");
    }
    *out = b->table;
    lapse_allocator mem = b->table->mem;
    lapse_mem_free(&mem, b);
    return LAPSE_OK;
}
