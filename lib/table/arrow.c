/* Tables and results as what the Arrow C data and C stream interfaces ask for.
 * Whoever gets a schema or array may move its children out and release them apart, so each has an owner of its own:
 * each array of a column keeps the table. Cost: a few allocations a column; 16 bytes a value of money as decimals. */
#include <errno.h>
#include <stdio.h>

#include <lapse/arrow.h>

#include "table/table.h"

enum { ARROW_PRECISION = 19 }; /* decimal digits of an int64_t */

/* ---- schemas --------------------------------------------------------------------------------------------- */

struct schema_owner {
    lapse_allocator mem;
    struct ArrowSchema **pointers; /* of a struct: with the children themselves behind them */
    char format[16];
    char name[];
};

static void release_schema(struct ArrowSchema *schema)
{
    if (!schema || !schema->release)
        return;
    struct schema_owner *own = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (schema->children[i]->release)
            schema->children[i]->release(schema->children[i]);
    lapse_allocator mem = own->mem;
    lapse_mem_free(&mem, own->pointers);
    lapse_mem_free(&mem, own);
    memset(schema, 0, sizeof *schema);
}

static void format_of(const struct lapse_column_spec *spec, uint32_t flags, char out[16])
{
    static const char *const formats[] = {
        [LAPSE_TYPE_INT64] = "l", [LAPSE_TYPE_DOUBLE] = "g", [LAPSE_TYPE_STRING] = "U", [LAPSE_TYPE_TIME] = "tsu:UTC",
        [LAPSE_TYPE_MONEY] = "l", [LAPSE_TYPE_DECIMAL] = "l"
    };
    bool decimal = spec->type == LAPSE_TYPE_MONEY || spec->type == LAPSE_TYPE_DECIMAL;
    if (decimal && !(flags & LAPSE_ARROW_MONEY_INT64))
        snprintf(out, 16, "d:%d,%d", ARROW_PRECISION, (int)spec->digits);
    else
        memcpy(out, formats[spec->type], strlen(formats[spec->type]) + 1);
}

static bool make_schema(const lapse_allocator *mem, const char *name, struct ArrowSchema *out)
{
    size_t n = strlen(name);
    struct schema_owner *own = lapse_mem_zero(mem, 1, sizeof *own + n + 1);
    if (!own)
        return false;
    own->mem = *mem;
    memcpy(own->name, name, n);
    *out = (struct ArrowSchema){ .format = own->format, .name = own->name, .flags = ARROW_FLAG_NULLABLE,
                                 .release = release_schema, .private_data = own };
    return true;
}

/* The schema of a struct of such columns. False, and *out zeros: no memory. */
static bool make_schemas(const lapse_allocator *mem, const struct lapse_column_spec *specs, int32_t count,
                         uint32_t flags, struct ArrowSchema *out)
{
    memset(out, 0, sizeof *out);
    if (!make_schema(mem, "", out))
        return false;
    struct schema_owner *own = out->private_data;
    out->flags = 0;
    memcpy(own->format, "+s", 3);
    own->pointers = lapse_mem_zero(mem, (size_t)count + 1, sizeof *own->pointers + sizeof **own->pointers);
    bool good = own->pointers != NULL;
    struct ArrowSchema *children = good ? (struct ArrowSchema *)(void *)(own->pointers + count + 1) : NULL;
    out->children = own->pointers;
    for (int32_t i = 0; good && i < count; i++) {
        own->pointers[i] = &children[i];
        good = make_schema(mem, specs[i].name, &children[i]);
        out->n_children = i + 1;
        if (good)
            format_of(&specs[i], flags, ((struct schema_owner *)children[i].private_data)->format);
    }
    if (!good)
        release_schema(out);
    return good;
}

/* ---- arrays ---------------------------------------------------------------------------------------------- */

struct array_owner {
    lapse_allocator mem;
    lapse_table *table;           /* of a column */
    struct lapse_slab wide;       /* its money as decimals */
    struct ArrowArray **pointers; /* of a struct: with the children themselves behind them */
    const void *buffers[3];
};

static void release_array(struct ArrowArray *array)
{
    if (!array || !array->release)
        return;
    struct array_owner *own = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release)
            array->children[i]->release(array->children[i]);
    lapse_allocator mem = own->mem;
    lapse_table_release(own->table);
    lapse_mem_free(&mem, own->wide.raw);
    lapse_mem_free(&mem, own->pointers);
    lapse_mem_free(&mem, own);
    memset(array, 0, sizeof *array);
}

static struct array_owner *make_array(const lapse_allocator *mem, int64_t rows, int64_t buffers, struct ArrowArray *out)
{
    struct array_owner *own = lapse_mem_zero(mem, 1, sizeof *own);
    if (!own)
        return NULL;
    own->mem = *mem;
    *out = (struct ArrowArray){ .length = rows, .n_buffers = buffers, .buffers = own->buffers,
                                .release = release_array, .private_data = own };
    return own;
}

/* 128-bit integers in the order of bytes of this machine. */
static bool widen(struct array_owner *own, const int64_t *values, int64_t rows)
{
    if (!lapse_slab_reserve(&own->mem, &own->wide, (size_t)rows * sizeof(lapse_int128)))
        return false;
    lapse_int128 *wide = (lapse_int128 *)(void *)own->wide.data;
    for (int64_t i = 0; i < rows; i++)
        wide[i] = values[i];
    own->buffers[1] = wide;
    return true;
}

static bool make_column(lapse_table *table, int32_t index, uint32_t flags, struct ArrowArray *out)
{
    const struct lapse_table_column *c = &table->column[index];
    bool text = c->spec.type == LAPSE_TYPE_STRING;
    bool decimal = c->spec.type == LAPSE_TYPE_MONEY || c->spec.type == LAPSE_TYPE_DECIMAL;
    struct array_owner *own = make_array(&table->mem, table->rows, text ? 3 : 2, out);
    if (!own)
        return false;
    out->null_count = c->missing;
    own->buffers[0] = c->validity.data;
    own->buffers[1] = text ? c->offsets.data : c->data.data;
    own->buffers[2] = text ? c->data.data : NULL;
    lapse_table_retain(table);
    own->table = table;
    return !decimal || flags & LAPSE_ARROW_MONEY_INT64 ||
           widen(own, (const int64_t *)(const void *)c->data.data, table->rows);
}

/* False, and *out zeros: no memory. */
static bool make_arrays(lapse_table *table, uint32_t flags, struct ArrowArray *out)
{
    memset(out, 0, sizeof *out);
    struct array_owner *own = make_array(&table->mem, table->rows, 1, out);
    if (!own)
        return false;
    size_t count = (size_t)table->count;
    own->pointers = lapse_mem_zero(&own->mem, count + 1, sizeof *own->pointers + sizeof **own->pointers);
    bool good = own->pointers != NULL;
    struct ArrowArray *children = good ? (struct ArrowArray *)(void *)(own->pointers + count + 1) : NULL;
    out->children = own->pointers;
    for (int32_t i = 0; good && i < table->count; i++) {
        own->pointers[i] = &children[i];
        good = make_column(table, i, flags, &children[i]);
        out->n_children = i + 1;
    }
    if (!good)
        release_array(out);
    return good;
}

static lapse_status check_flags(const void *from, uint32_t flags, const void *out, lapse_error *error)
{
    if (!from || !out)
        return lapse_fail(error, LAPSE_INVALID, "an export to Arrow was given a NULL pointer");
    if (flags & ~(uint32_t)LAPSE_ARROW_MONEY_INT64)
        return lapse_fail(error, LAPSE_INVALID, "an export to Arrow has flags that this library does not know");
    return LAPSE_OK;
}

/* ---- streams --------------------------------------------------------------------------------------------- */

struct stream_owner {
    lapse_allocator mem;
    uint32_t flags;
    lapse_result *result; /* or */
    lapse_table *table;   /* until it has been given */
    lapse_table *names;   /* a table that keeps those of `specs`; else `result` does */
    struct lapse_column_spec *specs;
    int32_t count;
    lapse_error error;
};

static int32_t number_of(lapse_status status)
{
    static const struct {
        lapse_status status;
        int32_t number;
    } numbers[] = { { LAPSE_OK, 0 },           { LAPSE_NO_MEMORY, ENOMEM }, { LAPSE_INVALID, EINVAL },
                    { LAPSE_BAD_INPUT, EINVAL }, { LAPSE_CANCELLED, EINTR },  { LAPSE_OVERFLOW, ERANGE } };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].status == status)
            return numbers[i].number;
    return EIO;
}

static int32_t get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct stream_owner *own = stream->private_data;
    bool good = make_schemas(&own->mem, own->specs, own->count, own->flags, out);
    return number_of(good ? LAPSE_OK : lapse_fail_memory(&own->error));
}

/* The next table, the caller's to release; NULL: there is none. */
static lapse_status next_table(struct stream_owner *own, lapse_table **table)
{
    lapse_status status = LAPSE_OK;
    *table = own->table;
    own->table = NULL;
    if (own->result)
        status = lapse_result_next(own->result, table, &own->error);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static int32_t get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct stream_owner *own = stream->private_data;
    lapse_table *table;
    memset(out, 0, sizeof *out);
    lapse_status status = next_table(own, &table);
    if (status == LAPSE_OK && table && !make_arrays(table, own->flags, out))
        status = lapse_fail_memory(&own->error);
    lapse_table_release(table);
    return number_of(status);
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    const struct stream_owner *own = stream->private_data;
    return own->error.message[0] ? own->error.message : NULL;
}

static void release_stream(struct ArrowArrayStream *stream)
{
    if (!stream || !stream->release)
        return;
    struct stream_owner *own = stream->private_data;
    lapse_allocator mem = own->mem;
    lapse_result_free(own->result);
    lapse_table_release(own->table);
    lapse_table_release(own->names);
    lapse_mem_free(&mem, own->specs);
    lapse_mem_free(&mem, own);
    memset(stream, 0, sizeof *stream);
}

/* The columns of a result or table; NULL: no memory. Names live with what they were taken from. */
static struct lapse_column_spec *result_specs(const lapse_result *result, int32_t count)
{
    struct lapse_column_spec *specs = lapse_mem_zero(lapse_result_memory(result), (size_t)count + 1, sizeof *specs);
    for (int32_t i = 0; specs && i < count; i++) {
        lapse_column column = { .size = sizeof column };
        lapse_result_column(result, i, &column);
        specs[i] = (struct lapse_column_spec){ column.name, column.type, column.digits };
    }
    return specs;
}

static struct lapse_column_spec *table_specs(const lapse_table *table)
{
    struct lapse_column_spec *specs = lapse_mem_zero(&table->mem, (size_t)table->count + 1, sizeof *specs);
    for (int32_t i = 0; specs && i < table->count; i++)
        specs[i] = table->column[i].spec;
    return specs;
}

/* Takes over `specs`, which may be NULL. NULL: no memory. */
static struct stream_owner *make_stream(const lapse_allocator *mem, struct lapse_column_spec *specs, int32_t count,
                                        uint32_t flags, struct ArrowArrayStream *out)
{
    struct stream_owner *own = specs ? lapse_mem_zero(mem, 1, sizeof *own) : NULL;
    if (!own) {
        lapse_mem_free(mem, specs);
        return NULL;
    }
    own->mem = *mem;
    own->flags = flags;
    own->specs = specs;
    own->count = count;
    own->error.size = sizeof own->error;
    *out = (struct ArrowArrayStream){ get_schema, get_next, get_last_error, release_stream, own };
    return own;
}

lapse_status lapse_result_export(lapse_result *result, uint32_t flags, struct ArrowArrayStream *out, lapse_error *error)
{
    if (out)
        memset(out, 0, sizeof *out);
    lapse_status status = check_flags(result, flags, out, error);
    if (status != LAPSE_OK)
        return status;
    int32_t count = lapse_result_columns(result);
    struct stream_owner *own = make_stream(lapse_result_memory(result), result_specs(result, count), count, flags, out);
    if (!own)
        return lapse_fail_memory(error);
    own->result = result;
    return LAPSE_OK;
}

lapse_status lapse_result_schema(const lapse_result *result, uint32_t flags, struct ArrowSchema *out,
                                 lapse_error *error)
{
    if (out)
        memset(out, 0, sizeof *out);
    lapse_status status = check_flags(result, flags, out, error);
    if (status != LAPSE_OK)
        return status;
    const lapse_allocator *mem = lapse_result_memory(result);
    int32_t count = lapse_result_columns(result);
    struct lapse_column_spec *specs = result_specs(result, count);
    bool good = specs && make_schemas(mem, specs, count, flags, out);
    lapse_mem_free(mem, specs);
    return good ? LAPSE_OK : lapse_fail_memory(error);
}

lapse_status lapse_table_export(lapse_table *table, uint32_t flags, struct ArrowSchema *schema,
                                struct ArrowArray *array, lapse_error *error)
{
    if (schema)
        memset(schema, 0, sizeof *schema);
    if (array)
        memset(array, 0, sizeof *array);
    lapse_status status = check_flags(table, flags, table, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_column_spec *specs = table_specs(table);
    bool good = specs && (!schema || make_schemas(&table->mem, specs, table->count, flags, schema));
    lapse_mem_free(&table->mem, specs);
    if (good && array && !make_arrays(table, flags, array)) {
        release_schema(schema);
        good = false;
    }
    return good ? LAPSE_OK : lapse_fail_memory(error);
}

lapse_status lapse_table_stream(lapse_table *table, uint32_t flags, struct ArrowArrayStream *out, lapse_error *error)
{
    if (out)
        memset(out, 0, sizeof *out);
    lapse_status status = check_flags(table, flags, out, error);
    if (status != LAPSE_OK)
        return status;
    struct stream_owner *own = make_stream(&table->mem, table_specs(table), table->count, flags, out);
    if (!own)
        return lapse_fail_memory(error);
    lapse_table_retain(table);
    own->names = table;
    if (table->rows > 0) {
        lapse_table_retain(table);
        own->table = table;
    }
    return LAPSE_OK;
}
