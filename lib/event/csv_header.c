/* Header and options to a plan: which column fills which field of a row (rulings F20, F27, M3, T3). */
#include "event/csv.h"

#define COLUMNS_MAX 65535 /* a header beyond that is no header, and would cost memory without bound */

static const char *target_name(int target)
{
    return target > 0 ? lapse_fields[target - 1].name : "customer";
}

/* Where a target comes from; `b` is empty unless it is a product. */
struct origin {
    bool mapped;
    struct lapse_text a, b;
};

/* What is known while a plan is being made. */
struct maker {
    struct lapse_csv *csv;
    const struct lapse_csv_setup *setup;
    int64_t line; /* of the header; 0: the names are none of a file */
    struct origin origins[LAPSE_CSV_TARGETS];
    lapse_error *error;
};

static struct lapse_text text_of(const char *s)
{
    return (struct lapse_text){ s, (uint32_t)strlen(s) };
}

/* ---- --map ------------------------------------------------------------------------------------------- */

/* The part of *rest before the first `stop`, which is taken off too; all of it if there is none. */
static struct lapse_text cut(struct lapse_text *rest, char stop)
{
    const char *end = rest->size > 0 ? memchr(rest->data, stop, rest->size) : NULL;
    struct lapse_text part = *rest;
    if (end) {
        part.size = (uint32_t)(end - rest->data);
        rest->size -= part.size + 1;
        rest->data = end + 1;
    } else {
        rest->data += rest->size;
        rest->size = 0;
    }
    return part;
}

static bool holds(struct lapse_text text, char c)
{
    return text.size > 0 && memchr(text.data, c, text.size) != NULL;
}

static int find_target(struct lapse_text name)
{
    for (int t = 0; t < LAPSE_CSV_TARGETS; t++)
        if (lapse_text_equal(name, text_of(target_name(t))))
            return t;
    return -1;
}

static lapse_status map_fail(const struct maker *m, struct lapse_text text, const char *rule)
{
    struct lapse_place place = { NULL, 0, -1, "--map" };
    return lapse_fail_at(m->error, LAPSE_INVALID, &place, text.data, text.size, rule);
}

static lapse_status read_map(struct maker *m, const char *map)
{
    size_t n = strlen(map);
    if (n > UINT32_MAX)
        return map_fail(m, (struct lapse_text){ "", 0 }, "the mapping is too long");
    struct lapse_text rest = { map, (uint32_t)n };
    bool more;
    do {
        more = holds(rest, ',');
        struct lapse_text entry = cut(&rest, ','), right = entry;
        struct lapse_text left = cut(&right, '=');
        bool product = holds(right, '*');
        struct lapse_text a = cut(&right, '*');
        if (left.size == 0 || a.size == 0 || (product && right.size == 0) || holds(a, '=') ||
            holds(right, '=') || holds(right, '*'))
            return map_fail(m, entry, "a mapping is FIELD=COLUMN or FIELD=COLUMN*COLUMN, with commas between");
        int t = find_target(left);
        if (t < 0)
            return map_fail(m, left, "an event has no such field; left of = stands one of its fields, right of it the "
                                     "name in the file");
        if (m->origins[t].mapped)
            return map_fail(m, left, "the field is mapped twice");
        if (product && !lapse_csv_filler(t, true, false))
            return map_fail(m, entry, "only amount, price, quantity and value can be a product");
        m->origins[t] = (struct origin){ true, a, right };
    } while (more);
    return LAPSE_OK;
}

/* Columns named by --map lose the name they have (rulings F27). */
static bool is_map_source(const struct maker *m, struct lapse_text name)
{
    for (int t = 0; t < LAPSE_CSV_TARGETS; t++)
        if (m->origins[t].mapped &&
            (lapse_text_equal(m->origins[t].a, name) || lapse_text_equal(m->origins[t].b, name)))
            return true;
    return false;
}

/* ---- options ------------------------------------------------------------------------------------------ */

static lapse_status read_options(struct maker *m)
{
    const lapse_import_options *options = m->setup->options;
    struct lapse_csv *csv = m->csv;
    const char *rule;

    if (options->delimiter < 1 || options->delimiter > 127 || strchr("\"\r\n", options->delimiter))
        return lapse_fail(m->error, LAPSE_INVALID,
                          "the delimiter is one ASCII character, no quote and no line end");
    csv->delimiter = (char)options->delimiter;
    csv->flags = options->flags;
    csv->kind = LAPSE_KIND_ORDER_PLACED;
    if (options->kind) {
        struct lapse_place place = { NULL, 0, -1, "--kind" };
        csv->kind = (uint8_t)lapse_kind_find(options->kind);
        if (csv->kind == 0)
            return lapse_fail_at(m->error, LAPSE_INVALID, &place, options->kind, strlen(options->kind),
                                 "no kind of event has this name");
    }
    csv->has_format = options->time_format != NULL;
    if (csv->has_format && !lapse_time_format_compile(options->time_format, &csv->format, &rule)) {
        struct lapse_place place = { NULL, 0, -1, "--time-format" };
        return lapse_fail_at(m->error, LAPSE_INVALID, &place, options->time_format,
                             strlen(options->time_format), rule);
    }
    const char *source = m->setup->source ? m->setup->source : "";
    if (!lapse_text_check(source, strlen(source), &rule)) {
        struct lapse_place place = { m->setup->input, 0, -1, "source" };
        return lapse_fail_at(m->error, LAPSE_BAD_INPUT, &place, source, strlen(source),
                             "a source is UTF-8 of at most 255 bytes; --source gives another");
    }
    csv->source = text_of(source);
    return options->map ? read_map(m, options->map) : LAPSE_OK;
}

/* ---- header ------------------------------------------------------------------------------------------- */

static lapse_status header_fail(const struct maker *m, const char *column, const char *rule)
{
    struct lapse_place place = { m->setup->input, m->line, -1, column };
    return lapse_fail_at(m->error, LAPSE_BAD_INPUT, &place, NULL, 0, rule);
}

static lapse_status header_fail_at(const struct maker *m, size_t column, const char *what)
{
    char rule[80];
    static const char before[] = "field ";
    memcpy(rule, before, sizeof before);
    size_t n = sizeof before - 1;
    n += lapse_int_format((int64_t)column + 1, rule + n);
    memcpy(rule + n, what, strlen(what) + 1);
    return header_fail(m, "", rule);
}

/* The names as C strings, in one run of memory. */
static lapse_status keep_names(struct maker *m, const struct lapse_csv_piece *pieces, size_t n)
{
    struct lapse_csv *csv = m->csv;
    csv->names = lapse_mem_zero(csv->mem, csv->columns, sizeof *csv->names);
    csv->names_text = lapse_mem_alloc(csv->mem, n + csv->columns + 1);
    if (!csv->names || !csv->names_text)
        return lapse_fail_memory(m->error);
    char *out = csv->names_text;
    for (size_t i = 0; i < csv->columns; i++) {
        struct lapse_csv_piece piece = pieces[i];
        csv->names[i] = out;
        out = lapse_csv_unescape(&piece, out);
        *out++ = '\0';
    }
    return LAPSE_OK;
}

static void sift(char **names, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && strcmp(names[child], names[child + 1]) < 0)
            child++;
        if (strcmp(names[at], names[child]) >= 0)
            return;
        char *name = names[at];
        names[at] = names[child];
        names[child] = name;
    }
}

/* A name that is there twice, NULL: none. Heap sort of a copy: O(n log n) for hostile headers too. */
static lapse_status find_twice(struct maker *m, const char **twice)
{
    size_t n = m->csv->columns;
    char **names = lapse_mem_zero(m->csv->mem, n, sizeof *names);
    if (!names)
        return lapse_fail_memory(m->error);
    memcpy(names, m->csv->names, n * sizeof *names);
    for (size_t i = n / 2; i-- > 0;)
        sift(names, i, n);
    for (size_t i = n; i-- > 1;) {
        char *name = names[0];
        names[0] = names[i];
        names[i] = name;
        sift(names, 0, i);
    }
    for (size_t i = 1; i < n && !*twice; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            *twice = names[i];
    lapse_mem_free(m->csv->mem, names);
    return LAPSE_OK;
}

static lapse_status check_names(struct maker *m)
{
    for (size_t i = 0; i < m->csv->columns; i++)
        if (m->csv->names[i][0] == '\0')
            return header_fail_at(m, i, " of the header has an empty name");
    const char *twice = NULL;
    lapse_status status = find_twice(m, &twice);
    if (status == LAPSE_OK && twice)
        return header_fail(m, twice, "the header has this name twice");
    return status;
}

static lapse_status read_header(struct maker *m, const char *header, size_t n)
{
    struct lapse_csv *csv = m->csv;
    struct lapse_csv_scan scan;
    struct lapse_csv_record record;

    lapse_csv_scan_init(&scan, csv->delimiter, header, n, 1);
    if (n == 0 || !lapse_csv_scan_record(&scan, NULL, 0, &record))
        return header_fail(m, "", "there is no header: the first line names the columns");
    if (record.fault != LAPSE_CSV_GOOD)
        return header_fail_at(m, record.fault_field,
                              record.fault == LAPSE_CSV_UNCLOSED
                                  ? " of the header: a quote is never closed"
                                  : " of the header has a stray quote or carriage return");
    if (scan.at != scan.end)
        return header_fail(m, "", "the header is more than one line");
    if (!lapse_utf8_valid(header, n))
        return header_fail(m, "",
                           memchr(header, 0, n) ? "a NUL byte is not allowed" : "this is not valid UTF-8");
    if (record.fields > COLUMNS_MAX)
        return header_fail(m, "", "a header has at most 65535 columns");
    csv->columns = record.fields;
    struct lapse_csv_piece *pieces = lapse_mem_zero(csv->mem, csv->columns, sizeof *pieces);
    if (!pieces)
        return lapse_fail_memory(m->error);
    lapse_csv_scan_init(&scan, csv->delimiter, header, n, 1);
    lapse_csv_scan_record(&scan, pieces, csv->columns, &record);
    lapse_status status = keep_names(m, pieces, n);
    lapse_mem_free(csv->mem, pieces);
    return status == LAPSE_OK ? check_names(m) : status;
}

/* ---- plan --------------------------------------------------------------------------------------------- */

static uint32_t find_column(const struct lapse_csv *csv, struct lapse_text name)
{
    for (size_t i = 0; i < csv->columns; i++)
        if (lapse_text_equal(name, text_of(csv->names[i])))
            return (uint32_t)i;
    return LAPSE_CSV_NONE;
}

static lapse_status lacks(const struct maker *m, struct lapse_text name)
{
    char column[sizeof((lapse_error *)0)->column];
    size_t n = name.size < sizeof column ? name.size : sizeof column - 1;
    memcpy(column, name.data, n);
    column[n] = '\0';
    return header_fail(m, column, "--map asks for this column, and the header has no such name");
}

static bool join_names(const struct lapse_csv *csv, struct lapse_csv_step *step)
{
    const char *a = csv->names[step->column], *b = csv->names[step->factor];
    size_t n = strlen(a), k = strlen(b);
    step->product_name = lapse_mem_alloc(csv->mem, n + k + 2);
    if (!step->product_name)
        return false;
    memcpy(step->product_name, a, n);
    step->product_name[n] = '*';
    memcpy(step->product_name + n + 1, b, k + 1);
    step->name = step->product_name;
    return true;
}

/* Steps stand in the order of columns, so that the leftmost fault of a row is told; the endpoint comes last
 * because it is hashed as its channel asks. */
static void insert_step(struct lapse_csv *csv, const struct lapse_csv_step *step)
{
    int at = csv->step_count++;
    uint32_t key = step->field == LAPSE_F_ENDPOINT ? LAPSE_CSV_NONE : step->column;
    for (; at > 0; at--) {
        const struct lapse_csv_step *before = &csv->steps[at - 1];
        if ((before->field == LAPSE_F_ENDPOINT ? LAPSE_CSV_NONE : before->column) <= key)
            break;
        csv->steps[at] = *before;
    }
    csv->steps[at] = *step;
}

static lapse_status add_step(struct maker *m, int target)
{
    const struct origin *origin = &m->origins[target];
    struct lapse_csv *csv = m->csv;
    bool product = origin->b.size > 0;
    struct lapse_text own = text_of(target_name(target));
    if (!origin->mapped && is_map_source(m, own))
        return LAPSE_OK;
    struct lapse_csv_step step = { .column = find_column(csv, origin->mapped ? origin->a : own),
                                   .factor = product ? find_column(csv, origin->b) : LAPSE_CSV_NONE,
                                   .field = target - 1,
                                   .target = (uint8_t)target,
                                   .fill = lapse_csv_filler(target, product, csv->has_format) };
    if (step.column == LAPSE_CSV_NONE)
        return origin->mapped ? lacks(m, origin->a) : LAPSE_OK;
    step.name = csv->names[step.column];
    if (product) {
        if (step.factor == LAPSE_CSV_NONE)
            return lacks(m, origin->b);
        if (!join_names(csv, &step))
            return lapse_fail_memory(m->error);
    }
    insert_step(csv, &step);
    return LAPSE_OK;
}

static bool is_used(const struct lapse_csv *csv, size_t column)
{
    for (int i = 0; i < csv->step_count; i++)
        if (csv->steps[i].column == column || csv->steps[i].factor == column)
            return true;
    return false;
}

/* Names every column that is none of ours, as far as they fit. */
static lapse_status refuse_unknown(const struct maker *m)
{
    const struct lapse_csv *csv = m->csv;
    const char *first = NULL;
    char names[LAPSE_TEXT_MAX];
    size_t n = 0, count = 0;
    for (size_t i = 0; i < csv->columns; i++) {
        if (is_used(csv, i))
            continue;
        size_t size = strlen(csv->names[i]);
        first = first ? first : csv->names[i];
        if (n + 2 + size > sizeof names)
            break;
        if (count++) {
            memcpy(names + n, ", ", 2);
            n += 2;
        }
        memcpy(names + n, csv->names[i], size);
        n += size;
    }
    if (!first)
        return LAPSE_OK;
    if (count > 1) {
        struct lapse_place place = { m->setup->input, m->line, -1, first };
        return lapse_fail_at(m->error, LAPSE_BAD_INPUT, &place, names, n,
                             "these columns are unknown; --ignore-unknown leaves them out, --map gives them a meaning");
    }
    return header_fail(m, first,
                       find_target(text_of(first)) >= 0
                           ? "--map reads this field from another column, so it is there twice; "
                             "--ignore-unknown leaves this column out"
                           : "the column is unknown; --ignore-unknown leaves it out, --map gives it a meaning");
}

static lapse_status make_plan(struct maker *m)
{
    struct lapse_csv *csv = m->csv;
    for (int t = 0; t < LAPSE_CSV_TARGETS; t++) {
        lapse_status status = add_step(m, t);
        if (status != LAPSE_OK)
            return status;
    }
    memset(csv->step_of, -1, sizeof csv->step_of);
    for (int i = 0; i < csv->step_count; i++)
        csv->step_of[csv->steps[i].target] = (int8_t)i;
    if (!(csv->flags & LAPSE_IMPORT_IGNORE_UNKNOWN)) {
        lapse_status status = refuse_unknown(m);
        if (status != LAPSE_OK)
            return status;
    }
    csv->fields = lapse_csv_has(csv, LAPSE_F_EVENT_ID) ? LAPSE_FIELD_BIT(LAPSE_F_LINE) : 0;
    csv->fields |= LAPSE_FIELD_BIT(LAPSE_F_CUSTOMER);
    for (int f = 0; f < LAPSE_FIELDS; f++)
        csv->fields |= lapse_csv_has(csv, (enum lapse_field)f) ? LAPSE_FIELD_BIT(f) : 0;
    lapse_constants_set(&csv->constants, lapse_csv_has(csv, LAPSE_F_KIND) ? 0 : csv->kind,
                        lapse_csv_has(csv, LAPSE_F_SOURCE) ? text_of("") : csv->source);
    if (csv->step_of[0] < 0)
        return header_fail(m, "customer",
                           "the column is missing and required; --map customer=COLUMN reads another");
    if (csv->step_of[LAPSE_F_TIME + 1] < 0)
        return header_fail(m, "time", "the column is missing and required; --map time=COLUMN reads another");
    return LAPSE_OK;
}

static lapse_status begin(struct maker *m)
{
    m->csv = lapse_mem_zero(m->setup->mem, 1, sizeof *m->csv);
    if (!m->csv)
        return lapse_fail_memory(m->error);
    m->csv->mem = m->setup->mem;
    m->csv->zone = m->setup->zone;
    m->csv->check = m->setup->check;
    lapse_kind_index_init(&m->csv->kinds);
    return read_options(m);
}

/* With the names known, or a failure so far. */
static lapse_status end(struct maker *m, lapse_status status, struct lapse_csv **out)
{
    if (status == LAPSE_OK)
        status = make_plan(m);
    if (status != LAPSE_OK)
        lapse_csv_close(m->csv);
    *out = status == LAPSE_OK ? m->csv : NULL;
    return status;
}

lapse_status lapse_csv_open(const struct lapse_csv_setup *setup, const char *header, size_t n,
                            struct lapse_csv **out, lapse_error *error)
{
    struct maker m = { .setup = setup, .line = 1, .error = error };
    lapse_status status = begin(&m);
    if (status == LAPSE_OK)
        status = read_header(&m, header, n);
    return end(&m, status, out);
}

lapse_status lapse_csv_open_names(const struct lapse_csv_setup *setup, const char *const *names, size_t count,
                                  struct lapse_csv **out, lapse_error *error)
{
    struct maker m = { .setup = setup, .error = error };
    lapse_status status = begin(&m);
    struct lapse_csv_piece *pieces = NULL;
    size_t bytes = 0;
    if (status == LAPSE_OK && (count == 0 || count > COLUMNS_MAX))
        status = header_fail(&m, "", count ? "there are at most 65535 columns" : "there are no columns");
    if (status == LAPSE_OK && !(pieces = lapse_mem_zero(setup->mem, count, sizeof *pieces)))
        status = lapse_fail_memory(error);
    for (size_t i = 0; status == LAPSE_OK && i < count; i++) {
        size_t n = strlen(names[i]);
        pieces[i] = (struct lapse_csv_piece){ names[i], (uint32_t)n, false };
        if (n > COLUMNS_MAX || !lapse_utf8_valid(names[i], n))
            status = header_fail_at(&m, i, " has a name that is too long or not valid UTF-8");
        bytes += n;
    }
    if (status == LAPSE_OK) {
        m.csv->columns = count;
        status = keep_names(&m, pieces, bytes);
    }
    lapse_mem_free(setup->mem, pieces);
    return end(&m, status == LAPSE_OK ? check_names(&m) : status, out);
}

void lapse_csv_close(struct lapse_csv *csv)
{
    if (!csv)
        return;
    const lapse_allocator *mem = csv->mem;
    for (int i = 0; i < csv->step_count; i++)
        lapse_mem_free(mem, csv->steps[i].product_name);
    lapse_mem_free(mem, csv->names);
    lapse_mem_free(mem, csv->names_text);
    lapse_mem_free(mem, csv);
}

bool lapse_csv_has(const struct lapse_csv *csv, enum lapse_field field)
{
    if (csv->step_of[field + 1] >= 0)
        return true;
    if (field == LAPSE_F_KIND) /* a refund among orders */
        return (csv->flags & LAPSE_IMPORT_NEGATIVE_REFUND) &&
               (lapse_kinds[csv->kind].flags & LAPSE_KIND_ORDER_LINE);
    return field == LAPSE_F_SOURCE && csv->step_of[LAPSE_F_EVENT_ID + 1] >= 0;
}

void lapse_csv_constants(const struct lapse_csv *csv, struct lapse_columns *out)
{
    lapse_constants_add(&csv->constants, out);
}
