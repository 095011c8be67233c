/* Tables: the Arrow layout, and the references that keep it alive.
 * A finished table never changes, so that any thread may read it; its memory lives in slabs of its own, each
 * aligned to 64 bytes and padded with zeros to a multiple of 64. */
#include "table/table.h"

enum { ALIGN = 64 };

bool lapse_slab_reserve(const lapse_allocator *mem, struct lapse_slab *slab, size_t bytes)
{
    if (slab->data && bytes <= slab->capacity)
        return true;
    size_t capacity = slab->capacity + slab->capacity / 2;
    if (capacity < bytes)
        capacity = bytes;
    if (capacity < ALIGN)
        capacity = ALIGN;
    if (capacity > PTRDIFF_MAX - 2 * (size_t)ALIGN)
        return false;
    capacity = (capacity + ALIGN - 1) / ALIGN * ALIGN;
    size_t before = slab->raw ? (size_t)(slab->data - (uint8_t *)slab->raw) : 0;
    uint8_t *raw = lapse_mem_resize(mem, slab->raw, capacity + ALIGN - 1);
    if (!raw)
        return false;
    /* The new block may lie otherwise on the grid of 64 than the old one did. */
    size_t after = (ALIGN - (uintptr_t)raw % ALIGN) % ALIGN;
    if (slab->capacity && after != before)
        memmove(raw + after, raw + before, slab->capacity);
    slab->raw = raw;
    slab->data = raw + after;
    slab->capacity = capacity;
    return true;
}

/* Names lie in one slab, each at a multiple of 64, so that they are aligned as all pointers of a table are. */
static size_t name_room(const char *name)
{
    return (strlen(name) / ALIGN + 1) * ALIGN;
}

static void table_free(lapse_table *table)
{
    lapse_allocator mem = table->mem;
    for (int32_t i = 0; i < table->count; i++) {
        lapse_mem_free(&mem, table->column[i].validity.raw);
        lapse_mem_free(&mem, table->column[i].offsets.raw);
        lapse_mem_free(&mem, table->column[i].data.raw);
    }
    lapse_mem_free(&mem, table->names.raw);
    lapse_mem_free(&mem, table);
}

lapse_table *lapse_table_new(const lapse_allocator *mem, const struct lapse_column_spec *columns, int32_t count)
{
    size_t n = count > 0 ? (size_t)count : 0;
    if (n > (SIZE_MAX - sizeof(lapse_table)) / sizeof(struct lapse_table_column))
        return NULL;
    lapse_table *table = lapse_mem_zero(mem, 1, sizeof *table + n * sizeof table->column[0]);
    if (!table)
        return NULL;
    table->mem = *mem;
    table->count = (int32_t)n;
    atomic_init(&table->references, 1);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += name_room(columns[i].name);
    if (!lapse_slab_reserve(mem, &table->names, bytes)) {
        table_free(table);
        return NULL;
    }
    memset(table->names.data, 0, table->names.capacity);
    char *at = (char *)table->names.data;
    for (size_t i = 0; i < n; i++) {
        memcpy(at, columns[i].name, strlen(columns[i].name));
        table->column[i].spec = columns[i];
        table->column[i].spec.name = at;
        at += name_room(columns[i].name);
    }
    return table;
}

lapse_status lapse_column_write(const lapse_column *column, lapse_column *out)
{
    return lapse_options_write(out, out->size, column, sizeof *column, offsetof(lapse_column, rows));
}

int64_t lapse_table_rows(const lapse_table *table)
{
    return table ? table->rows : 0;
}

int32_t lapse_table_columns(const lapse_table *table)
{
    return table ? table->count : 0;
}

lapse_status lapse_table_column(const lapse_table *table, int32_t index, lapse_column *out)
{
    if (!table || !out || index < 0 || index >= table->count)
        return LAPSE_INVALID;
    const struct lapse_table_column *c = &table->column[index];
    lapse_column column = {
        .size = sizeof column,
        .type = c->spec.type,
        .name = c->spec.name,
        .rows = c->rows,
        .missing = c->missing,
        .validity = c->validity.data,
        .offsets = (const int64_t *)(const void *)c->offsets.data,
        .data = c->data.data,
        .digits = c->spec.digits,
    };
    return lapse_column_write(&column, out);
}

int32_t lapse_table_find(const lapse_table *table, const char *name)
{
    for (int32_t i = 0; table && name && i < table->count; i++)
        if (strcmp(table->column[i].spec.name, name) == 0)
            return i;
    return -1;
}

void lapse_table_retain(lapse_table *table)
{
    if (table)
        atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
}

void lapse_table_release(lapse_table *table)
{
    /* Whoever frees must see all that the other owners read before they let go. */
    if (table && atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) == 1)
        table_free(table);
}
