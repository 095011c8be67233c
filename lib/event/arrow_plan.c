/* The schema of an Arrow stream to a plan, and the structure of its arrays. Which column fills which field is decided
 * as for the header of a file (csv_header.c); here it is seen whether the types can. Of an array all that can be
 * checked without reading values is checked once; what its values point to, when they are read (arrow_read.c). */
#include "event/arrow.h"

/* ---- types ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *format;
    struct lapse_arrow_type type;
} simple[] = {
    { "n", { .kind = LAPSE_A_MISSING } },
    { "b", { .kind = LAPSE_A_BOOL } },
    { "c", { .kind = LAPSE_A_INT, .width = 1, .is_signed = true } },
    { "C", { .kind = LAPSE_A_INT, .width = 1 } },
    { "s", { .kind = LAPSE_A_INT, .width = 2, .is_signed = true } },
    { "S", { .kind = LAPSE_A_INT, .width = 2 } },
    { "i", { .kind = LAPSE_A_INT, .width = 4, .is_signed = true } },
    { "I", { .kind = LAPSE_A_INT, .width = 4 } },
    { "l", { .kind = LAPSE_A_INT, .width = 8, .is_signed = true } },
    { "L", { .kind = LAPSE_A_INT, .width = 8 } },
    { "f", { .kind = LAPSE_A_FLOAT, .width = 4 } },
    { "g", { .kind = LAPSE_A_DOUBLE, .width = 8 } },
    { "u", { .kind = LAPSE_A_TEXT, .width = 4 } },
    { "U", { .kind = LAPSE_A_TEXT, .width = 8 } },
    { "vu", { .kind = LAPSE_A_VIEW, .width = 16 } },
    { "tdD", { .kind = LAPSE_A_DATE, .width = 4 } },
    { "tdm", { .kind = LAPSE_A_TIME, .width = 8, .per_second = 1000 } },
};

/* `d:PRECISION,SCALE` or `d:PRECISION,SCALE,BITS`. */
static bool read_decimal(const char *format, struct lapse_arrow_type *out)
{
    int64_t number[3] = { 0, 0, 128 };
    const char *at = format + 2;
    for (int i = 0; i < 3 && *at; i++) {
        size_t n = strcspn(at, ",");
        if (n > 6 || !lapse_int_parse(at, n, &number[i]))
            return false;
        at += n + (at[n] == ',');
    }
    if (*at || number[1] < -38 || number[1] > 38 || (number[2] != 32 && number[2] != 64 && number[2] != 128))
        return false;
    *out = (struct lapse_arrow_type){ .kind = LAPSE_A_DECIMAL, .width = (uint8_t)(number[2] / 8),
                                      .scale = (int32_t)number[1] };
    return true;
}

static bool read_type(const char *format, struct lapse_arrow_type *out)
{
    static const char units[] = "smun";
    static const int64_t per_second[] = { 1, 1000, 1000000, 1000000000 };
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
        if (strcmp(simple[i].format, format) == 0) {
            *out = simple[i].type;
            return true;
        }
    if (strncmp(format, "d:", 2) == 0)
        return read_decimal(format, out);
    const char *unit = strncmp(format, "ts", 2) == 0 && format[2] && format[3] == ':' ? strchr(units, format[2]) : NULL;
    if (!unit)
        return false;
    *out = (struct lapse_arrow_type){ .kind = LAPSE_A_TIME, .width = 8, .zoned = format[4] != '\0',
                                      .per_second = per_second[unit - units] };
    return true;
}

/* Which kinds can become a field, and what to say of others. */
enum { ANY_TEXT = LAPSE_A_BIT(LAPSE_A_TEXT) | LAPSE_A_BIT(LAPSE_A_VIEW) };
static const struct target_rule {
    uint32_t kinds;
    const char *rule;
} for_text = { ANY_TEXT | LAPSE_A_BIT(LAPSE_A_INT),
               "this field is read from a column of strings or of whole numbers" },
  for_name = { ANY_TEXT, "this field is read from a column of strings" },
  for_time = { ANY_TEXT | LAPSE_A_BIT(LAPSE_A_TIME) | LAPSE_A_BIT(LAPSE_A_DATE),
               "a time is read from a column of timestamps, dates or strings" },
  for_money = { ANY_TEXT | LAPSE_A_BIT(LAPSE_A_INT) | LAPSE_A_BIT(LAPSE_A_DECIMAL) | LAPSE_A_BIT(LAPSE_A_DOUBLE),
                "money and quantities are read from a column of decimals, whole numbers, doubles or strings; a float of "
                "4 bytes cannot hold cents" },
  for_value = { ANY_TEXT | LAPSE_A_BIT(LAPSE_A_INT) | LAPSE_A_BIT(LAPSE_A_DECIMAL) | LAPSE_A_BIT(LAPSE_A_DOUBLE) |
                    LAPSE_A_BIT(LAPSE_A_FLOAT) | LAPSE_A_BIT(LAPSE_A_BOOL),
                "a value is read from a column of numbers, booleans or strings" };

static const char *type_rule(int field, uint8_t kind)
{
    const struct target_rule *rule = &for_text;
    if (field >= 0 && lapse_fields[field].class == LAPSE_CLASS_NAME)
        rule = &for_name;
    else if (field >= 0 && lapse_fields[field].class == LAPSE_CLASS_NUMBER)
        rule = field == LAPSE_F_TIME ? &for_time : field == LAPSE_F_VALUE ? &for_value : &for_money;
    return kind == LAPSE_A_MISSING || rule->kinds >> kind & 1 ? NULL : rule->rule;
}

/* ---- the plan -------------------------------------------------------------------------------------------- */

static lapse_status fail_column(const struct lapse_csv_setup *setup, const char *column, const char *found,
                                const char *rule, lapse_error *error)
{
    struct lapse_place place = { setup->input, 0, -1, column };
    return lapse_fail_at(error, LAPSE_BAD_INPUT, &place, found, strlen(found), rule);
}

static lapse_status plan_column(struct lapse_arrow *a, const struct lapse_csv_setup *setup,
                                const struct lapse_csv_step *step, lapse_error *error)
{
    struct lapse_arrow_column *column = &a->columns[step->target];
    const struct ArrowSchema *child = a->schema.children[step->column], *values = child;
    if (step->factor != LAPSE_CSV_NONE)
        return lapse_fail(error, LAPSE_INVALID, "map: columns of a stream are not multiplied: %s", step->name);
    if (child->dictionary) {
        values = child->dictionary;
        if (!child->format || !read_type(child->format, &column->index) || column->index.kind != LAPSE_A_INT)
            return fail_column(setup, step->name, "", "the indices of a dictionary are integers", error);
        if (values->dictionary)
            return fail_column(setup, step->name, "", "a dictionary has no dictionary of its own", error);
    }
    const char *format = values->format ? values->format : "", *rule;
    if (!read_type(format, &column->type)) {
        column->type.kind = LAPSE_A_NONE;
        return fail_column(setup, step->name, format, "a column of this Arrow format cannot be read", error);
    }
    column->child = step->column;
    rule = type_rule(step->field, column->type.kind);
    return rule ? fail_column(setup, step->name, format, rule, error) : LAPSE_OK;
}

/* The names of the columns, of a schema that is what a stream of tables has. */
static lapse_status read_names(const struct ArrowSchema *schema, const struct lapse_csv_setup *setup,
                               const char ***names, lapse_error *error)
{
    *names = NULL;
    if (!schema->format || strcmp(schema->format, "+s") != 0 || schema->dictionary)
        return fail_column(setup, "", schema->format ? schema->format : "", "the stream is not one of tables", error);
    if (schema->n_children < 0 || schema->n_children > 65535 || (schema->n_children > 0 && !schema->children))
        return fail_column(setup, "", "", "the stream's schema is damaged: its number of columns", error);
    *names = lapse_mem_zero(setup->mem, (size_t)schema->n_children, sizeof **names);
    if (!*names)
        return lapse_fail_memory(error);
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (!schema->children[i] || !schema->children[i]->release)
            return fail_column(setup, "", "", "the stream's schema is damaged: a column is not there", error);
        (*names)[i] = schema->children[i]->name ? schema->children[i]->name : "";
    }
    return LAPSE_OK;
}

lapse_status lapse_arrow_open(const struct lapse_csv_setup *setup, struct ArrowSchema *schema, struct lapse_arrow **out,
                              lapse_error *error)
{
    struct lapse_arrow *a = *out = lapse_mem_zero(setup->mem, 1, sizeof *a);
    const char **names = NULL;
    if (!a) {
        schema->release(schema);
        return lapse_fail_memory(error);
    }
    a->mem = setup->mem;
    a->schema = *schema;
    schema->release = NULL;
    lapse_status status = read_names(&a->schema, setup, &names, error);
    if (status == LAPSE_OK)
        status = lapse_csv_open_names(setup, names, (size_t)a->schema.n_children, &a->csv, error);
    for (int i = 0; status == LAPSE_OK && i < a->csv->step_count; i++)
        status = plan_column(a, setup, &a->csv->steps[i], error);
    lapse_mem_free(setup->mem, names);
    if (status != LAPSE_OK) {
        lapse_arrow_close(a);
        *out = NULL;
    }
    return status;
}

void lapse_arrow_close(struct lapse_arrow *a)
{
    if (!a)
        return;
    lapse_csv_close(a->csv);
    if (a->schema.release)
        a->schema.release(&a->schema);
    lapse_mem_free(a->mem, a);
}

const struct lapse_csv *lapse_arrow_plan(const struct lapse_arrow *a)
{
    return a->csv;
}

/* ---- arrays ---------------------------------------------------------------------------------------------- */

/* Lengths and missing values of any array that is to have `need` of them. NULL: they are well. */
static const char *length_rule(const struct ArrowArray *array, int64_t need)
{
    if (!array || !array->release)
        return "it is not there, or was released before";
    if (array->length < 0 || array->offset < 0 || array->length > INT64_MAX / 32 - array->offset)
        return "its length or offset is negative, or too large";
    if (array->length < need)
        return "it is shorter than the table";
    if (array->n_buffers < 0 || (array->n_buffers > 0 && !array->buffers))
        return "its buffers are not there";
    if (array->null_count < -1 || array->null_count > array->length)
        return "its number of missing values is more than its length";
    return NULL;
}

static const char *values_rule(const struct ArrowArray *array, const struct lapse_arrow_type *type, int64_t need)
{
    const char *rule = length_rule(array, need);
    if (rule || type->kind == LAPSE_A_MISSING)
        return rule;
    int64_t least = type->kind == LAPSE_A_TEXT || type->kind == LAPSE_A_VIEW ? 3 : 2;
    if (array->n_buffers < least || (array->n_buffers > least && type->kind != LAPSE_A_VIEW))
        return "it has not as many buffers as its type asks for";
    if (array->null_count > 0 && !array->buffers[0])
        return "it has missing values, and does not say which";
    if (array->length > 0 && !array->buffers[1])
        return "its values are not there";
    for (int64_t i = 2; type->kind == LAPSE_A_VIEW && array->n_buffers > 3 && i < array->n_buffers; i++)
        if (!array->buffers[i] && i + 1 == array->n_buffers)
            return "the sizes of its buffers are not there";
    return NULL;
}

static const char *column_rule(const struct ArrowArray *array, const struct lapse_arrow_column *column, int64_t need)
{
    bool indexed = column->index.kind != LAPSE_A_NONE;
    const char *rule = values_rule(array, indexed ? &column->index : &column->type, need);
    if (rule || !indexed)
        return rule;
    return array->dictionary ? values_rule(array->dictionary, &column->type, 0) : "its dictionary is not there";
}

lapse_status lapse_arrow_check(const struct lapse_arrow *a, const struct ArrowArray *array, const char *input,
                               lapse_error *error)
{
    struct lapse_place place = { input, 0, -1, "" };
    const char *rule = length_rule(array, 0);
    if (!rule && (array->n_children != a->schema.n_children || (array->n_children > 0 && !array->children)))
        rule = "it has not as many columns as the schema";
    if (!rule && array->null_count != 0 && array->n_buffers > 0 && array->buffers[0])
        rule = "rows of it are missing as a whole";
    for (int i = 0; !rule && i < a->csv->step_count; i++) {
        const struct lapse_arrow_column *column = &a->columns[a->csv->steps[i].target];
        rule = column_rule(array->children[column->child], column, array->offset + array->length);
        place.column = rule ? a->csv->steps[i].name : "";
    }
    char text_of_rule[160] = "the array is damaged: ";
    if (!rule)
        return LAPSE_OK;
    strncat(text_of_rule, rule, sizeof text_of_rule - strlen(text_of_rule) - 1);
    return lapse_fail_at(error, LAPSE_BAD_INPUT, &place, NULL, 0, text_of_rule);
}
