/* Rows of a lapse_batch, and the defaults of the options with which events are handed in.
 * The columns of a batch are found by table, so that a column is named in one place. */
#include "event/event.h"

static const lapse_append_options append_defaults = { .size = sizeof(lapse_append_options),
                                                      .received_at = INT64_MAX, .threads = 1 };
static const size_t append_oldest = offsetof(lapse_append_options, reject_user) + sizeof(void *);
static const lapse_import_options import_defaults = {
    .size = sizeof(lapse_import_options), .threads = 1, .delimiter = ',', .received_at = INT64_MAX
};

lapse_status lapse_append_options_init(lapse_append_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &append_defaults, sizeof append_defaults, append_oldest);
}

lapse_status lapse_import_options_init(lapse_import_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &import_defaults, sizeof import_defaults, sizeof import_defaults);
}

/* A column of a batch. `data` and `extra` (offsets or validity) are offsets of members; 0 is none. */
#define MEMBER(name) offsetof(lapse_batch, name)
static const struct place {
    size_t data, extra;
} places[LAPSE_FIELDS] = {
    [LAPSE_F_TIME] = { MEMBER(time), 0 },
    [LAPSE_F_KIND] = { MEMBER(kind), 0 },
    [LAPSE_F_AMOUNT] = { MEMBER(amount), MEMBER(amount_validity) },
    [LAPSE_F_CHANNEL] = { MEMBER(channel), 0 },
    [LAPSE_F_PURPOSE] = { MEMBER(purpose), 0 },
    [LAPSE_F_TOPIC] = { MEMBER(topic), MEMBER(topic_offsets) },
    [LAPSE_F_PLATFORM] = { MEMBER(platform), 0 },
    [LAPSE_F_REF] = { MEMBER(ref), MEMBER(ref_offsets) },
    [LAPSE_F_VALUE] = { MEMBER(value), MEMBER(value_validity) },
    [LAPSE_F_REASON] = { MEMBER(reason), MEMBER(reason_offsets) },
    [LAPSE_F_ITEM] = { MEMBER(item), MEMBER(item_offsets) },
    [LAPSE_F_QUANTITY] = { MEMBER(quantity), MEMBER(quantity_validity) },
    [LAPSE_F_CATEGORY] = { MEMBER(category), MEMBER(category_offsets) },
    [LAPSE_F_PRICE] = { MEMBER(price), MEMBER(price_validity) },
    [LAPSE_F_ENDPOINT] = { MEMBER(endpoint), MEMBER(endpoint_offsets) },
    [LAPSE_F_EVIDENCE] = { MEMBER(evidence), MEMBER(evidence_offsets) },
    [LAPSE_F_SOURCE] = { MEMBER(source), MEMBER(source_offsets) },
    [LAPSE_F_EVENT_ID] = { MEMBER(event_id), MEMBER(event_id_offsets) },
};
static const struct place customer_place = { MEMBER(customer), MEMBER(customer_offsets) };

static const void *member(const lapse_batch *batch, size_t offset)
{
    const void *p;
    memcpy(&p, (const char *)batch + offset, sizeof p);
    return p;
}

void lapse_batch_set(lapse_batch *batch, int f, const void *data, const void *extra)
{
    const struct place *place = f == LAPSE_F_CUSTOMER ? &customer_place : &places[f];
    memcpy((char *)batch + place->data, &data, sizeof data);
    if (place->extra)
        memcpy((char *)batch + place->extra, &extra, sizeof extra);
}

static bool has_text(const lapse_batch *batch, const struct place *place)
{
    return member(batch, place->extra) != NULL;
}

/* Text i of a column whose offsets were checked. */
static struct lapse_text text_at(const lapse_batch *batch, const struct place *place, int64_t i)
{
    const char *data = member(batch, place->data);
    const int64_t *offsets = member(batch, place->extra);
    if (!offsets || offsets[i] == offsets[i + 1])
        return (struct lapse_text){ "", 0 };
    int64_t n = offsets[i + 1] - offsets[i];
    return (struct lapse_text){ data + offsets[i], n > UINT32_MAX ? UINT32_MAX : (uint32_t)n };
}

/* False: row i has no number. */
static bool number_at(const lapse_batch *batch, int field, int64_t i, int64_t *number)
{
    const char *data = member(batch, places[field].data);
    const uint8_t *validity = places[field].extra ? member(batch, places[field].extra) : NULL;
    if (!data || (validity && !(validity[i / 8] >> (i % 8) & 1)))
        return false;
    memcpy(number, data + (size_t)i * sizeof *number, sizeof *number); /* `value` holds doubles */
    if (field == LAPSE_F_VALUE && *number == INT64_MIN)
        *number = 0; /* -0.0 is 0 */
    return true;
}

static lapse_status check_text(const lapse_batch *batch, const char *name, const struct place *place,
                               lapse_error *error)
{
    const char *data = member(batch, place->data);
    const int64_t *offsets = member(batch, place->extra);
    if (!offsets)
        return data ? lapse_fail(error, LAPSE_INVALID, "batch: %s has texts but no offsets", name) : LAPSE_OK;
    if (offsets[0] < 0)
        return lapse_fail(error, LAPSE_INVALID, "batch: the first offset of %s is negative", name);
    for (int64_t i = 0; i < batch->rows; i++)
        if (offsets[i + 1] < offsets[i])
            return lapse_fail(error, LAPSE_INVALID, "batch: the offsets of %s descend at row %lld", name,
                              (long long)i);
    if (!data && offsets[batch->rows] > offsets[0])
        return lapse_fail(error, LAPSE_INVALID, "batch: %s has offsets but no texts", name);
    return LAPSE_OK;
}

lapse_status lapse_batch_check(const lapse_batch *theirs, lapse_batch *ours, lapse_error *error)
{
    memset(ours, 0, sizeof *ours);
    ours->size = sizeof *ours;
    if (!theirs)
        return lapse_fail(error, LAPSE_INVALID, "batch: a batch is required");
    lapse_status status = lapse_options_read(ours, sizeof *ours, theirs, sizeof *ours, "batch", error);
    if (status != LAPSE_OK)
        return status;
    if (ours->flags != 0)
        return lapse_fail(error, LAPSE_INVALID, "batch: flags are 0");
    if (ours->rows < 0 || ours->rows == INT64_MAX)
        return lapse_fail(error, LAPSE_INVALID, "batch: rows is %lld", (long long)ours->rows);
    if (ours->rows == 0)
        return LAPSE_OK;
    if (!ours->customer_offsets)
        return lapse_fail(error, LAPSE_INVALID, "batch: customer is required");
    if (!ours->time)
        return lapse_fail(error, LAPSE_INVALID, "batch: time is required");
    status = check_text(ours, "customer", &customer_place, error);
    for (int f = 0; f < LAPSE_FIELDS && status == LAPSE_OK; f++)
        if (lapse_fields[f].class == LAPSE_CLASS_TEXT)
            status = check_text(ours, lapse_fields[f].name, &places[f], error);
    return status;
}

/* What stands in a bad field: a text as it is, a number written into `room` if it fits there. */
static struct lapse_text found(const lapse_batch *batch, int64_t i, int field, uint8_t room[32])
{
    char text[400];
    size_t n = 0;
    const struct place *place = field < 0 ? &customer_place : &places[field];
    if (field < 0 || lapse_fields[field].class == LAPSE_CLASS_TEXT) {
        struct lapse_text all = text_at(batch, place, i);
        return (struct lapse_text){ all.data, all.size < LAPSE_TEXT_MAX ? all.size : LAPSE_TEXT_MAX };
    }
    if (lapse_fields[field].class == LAPSE_CLASS_NAME) {
        const int32_t *data = member(batch, place->data);
        n = data ? lapse_int_format(data[i], text) : 0;
    } else {
        int64_t number;
        if (number_at(batch, field, i, &number))
            n = field == LAPSE_F_VALUE ? lapse_double_format(lapse_value_of_bits(number), text)
                                       : lapse_int_format(number, text);
    }
    if (n > LAPSE_ENDPOINT_SIZE)
        n = 0;
    memcpy(room, text, n);
    return (struct lapse_text){ (const char *)room, (uint32_t)n };
}

/* ---- a block of rows, column by column ----------------------------------------------------------------- */

static bool fill_name(struct lapse_batch_reader *r, int f, int64_t first, size_t n)
{
    const int32_t *data = (const int32_t *)member(r->batch, places[f].data) + first;
    uint8_t *out = r->rows.name[f] + r->rows.count;
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)data[i];
        if ((data[i] != 0 || f == LAPSE_F_KIND) && !lapse_fields[f].name_of(data[i])) {
            out[i] = 0;
            lapse_flaws_add(&r->flaws, i, f, "this is no LAPSE_ constant of the column");
        }
    }
    return true;
}

static bool fill_number(struct lapse_batch_reader *r, int f, int64_t first, size_t n)
{
    const char *data = member(r->batch, places[f].data);
    const uint8_t *validity = places[f].extra ? member(r->batch, places[f].extra) : NULL;
    int64_t *out = r->rows.number[f] + r->rows.count;
    memcpy(out, data + (size_t)first * sizeof *out, n * sizeof *out); /* `value` holds doubles */
    for (size_t i = 0; i < n; i++) {
        int64_t at = first + (int64_t)i;
        if (validity && !(validity[at / 8] >> (at % 8) & 1))
            out[i] = LAPSE_MISSING;
        else if (out[i] == INT64_MIN && f == LAPSE_F_VALUE)
            out[i] = 0; /* -0.0 is 0 */
        else if (out[i] == LAPSE_MISSING) /* a number, but the one that means none */
            lapse_flaws_add(&r->flaws, i, f, "the number is out of range");
    }
    return true;
}

/* f is LAPSE_F_CUSTOMER or a field. An empty text is good here. */
static bool fill_text(struct lapse_batch_reader *r, int f, int64_t first, size_t n)
{
    const struct place *place = f == LAPSE_F_CUSTOMER ? &customer_place : &places[f];
    if (!lapse_buffer_room(&r->rows.bytes, n * LAPSE_TEXT_MAX))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct lapse_text text = text_at(r->batch, place, first + (int64_t)i);
        const char *rule;
        if (!lapse_text_check(text.data, text.size, &rule)) {
            lapse_flaws_add(&r->flaws, i, f == LAPSE_F_CUSTOMER ? -1 : f, rule);
            text.size = 0;
        }
        lapse_rows_set_text(&r->rows, f, r->rows.count + i, text);
    }
    return true;
}

/* Without a column of its own, the source of a row with an id is empty. */
static bool fill_source(struct lapse_batch_reader *r, size_t n)
{
    const struct lapse_text none = { "", 0 }, own = { r->source, (uint32_t)strlen(r->source) };
    if (!lapse_buffer_room(&r->rows.bytes, n * LAPSE_TEXT_MAX))
        return false;
    for (size_t i = r->rows.count; i < r->rows.count + n; i++)
        lapse_rows_set_text(&r->rows, LAPSE_F_SOURCE, i, r->rows.text[LAPSE_F_EVENT_ID].length[i] ? none : own);
    return true;
}

static bool fill_endpoint(struct lapse_batch_reader *r, int64_t first, size_t n)
{
    if (!lapse_buffer_room(&r->rows.bytes, n * LAPSE_ENDPOINT_SIZE))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct lapse_text text = text_at(r->batch, &places[LAPSE_F_ENDPOINT], first + (int64_t)i);
        uint8_t hash[LAPSE_ENDPOINT_SIZE] = { 0 };
        const uint8_t *channel = r->rows.fields & LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) ? r->rows.name[LAPSE_F_CHANNEL]
                                                                                   : NULL;
        const char *rule;
        if (text.size > 0) {
            if (!lapse_endpoint_hash(r->check, channel ? channel[r->rows.count + i] : 0, text.data, text.size, hash,
                                     &rule))
                lapse_flaws_add(&r->flaws, i, LAPSE_F_ENDPOINT, rule);
            text = (struct lapse_text){ (const char *)hash, LAPSE_ENDPOINT_SIZE };
        }
        lapse_rows_set_text(&r->rows, LAPSE_F_ENDPOINT, r->rows.count + i, text);
    }
    return true;
}

static void check_values(struct lapse_batch_reader *r, size_t n)
{
    const int64_t *value = r->rows.number[LAPSE_F_VALUE] + r->rows.count;
    for (size_t i = 0; i < n; i++)
        if (value[i] != LAPSE_MISSING && !lapse_value_check(lapse_value_of_bits(value[i])))
            lapse_flaws_add(&r->flaws, i, LAPSE_F_VALUE, "a value is a decimal of at most 15 significant digits");
}

static bool has(const struct lapse_batch_reader *r, int f)
{
    return r->rows.fields & LAPSE_FIELD_BIT(f);
}

/* Does the batch itself have the field? */
static bool has_own(const struct lapse_batch_reader *r, int f)
{
    return lapse_fields[f].class == LAPSE_CLASS_TEXT ? has_text(r->batch, &places[f])
                                                     : member(r->batch, places[f].data) != NULL;
}

/* Columns of rows first .. first + n of the batch, and what is wrong with them: names, numbers, texts, what the rules
 * say of them together, endpoints. False: no memory. */
static bool fill(struct lapse_batch_reader *r, int64_t first, size_t n)
{
    static bool (*const fill_class[])(struct lapse_batch_reader *, int, int64_t, size_t) = {
        [LAPSE_CLASS_NUMBER] = fill_number, [LAPSE_CLASS_NAME] = fill_name, [LAPSE_CLASS_TEXT] = fill_text
    };
    static const enum lapse_field_class order[] = { LAPSE_CLASS_NAME, LAPSE_CLASS_NUMBER, LAPSE_CLASS_TEXT };
    struct lapse_columns columns;
    for (size_t i = 0; has(r, LAPSE_F_LINE) && i < n; i++)
        r->rows.number[LAPSE_F_LINE][r->rows.count + i] = r->base + first + (int64_t)i;
    if (has(r, LAPSE_F_KIND))
        memset(r->rows.name[LAPSE_F_KIND] + r->rows.count, r->kind, n);
    for (int k = 0; k < 3; k++) {
        if (order[k] == LAPSE_CLASS_TEXT && !fill_text(r, LAPSE_F_CUSTOMER, first, n))
            return false;
        for (int f = 0; f < LAPSE_FIELDS; f++)
            if (has_own(r, f) && lapse_fields[f].class == order[k] && f != LAPSE_F_ENDPOINT &&
                !fill_class[order[k]](r, f, first, n))
                return false;
    }
    if (r->refund)
        lapse_rows_settle(&r->rows, n, r->kind, true, &r->flaws, 0);
    if (has(r, LAPSE_F_SOURCE) && !has_own(r, LAPSE_F_SOURCE) && !fill_source(r, n))
        return false;
    if (has(r, LAPSE_F_VALUE))
        check_values(r, n);
    lapse_rows_columns(&r->rows, &columns);
    lapse_constants_add(&r->constants, &columns);
    lapse_columns_check(&columns, r->rows.count, n, r->check, &r->flaws);
    return !has(r, LAPSE_F_ENDPOINT) || fill_endpoint(r, first, n);
}

/* ---- all rows ------------------------------------------------------------------------------------------- */

static int no_memory(struct lapse_batch_reader *r)
{
    r->failed = true;
    return LAPSE_NO_MEMORY;
}

static int report(const struct lapse_batch_reader *r, int64_t row, const struct lapse_fault *fault,
                  const struct lapse_batch_sink *sink)
{
    uint8_t room[LAPSE_ENDPOINT_SIZE];
    return sink->bad(sink->self, r->base + row, fault, found(r->batch, row, fault->field, room));
}

/* Puts the good ones of rows first .. first + count behind the rows, and tells of the bad ones. If there are any, the
 * columns are filled again without them, so that they leave no trace. */
static int take_block(struct lapse_batch_reader *r, int64_t first, size_t count, const struct lapse_batch_sink *sink)
{
    size_t before = r->rows.bytes.size, good = 0, n = 0;
    for (size_t i = 0; r->given && i < count; i++)
        if (r->given[(size_t)first + i].rule)
            lapse_flaws_add(&r->flaws, i, r->given[(size_t)first + i].field, r->given[(size_t)first + i].rule);
    if (!fill(r, first, count))
        return no_memory(r);
    if (r->flaws.count == 0) {
        r->rows.count += count;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        int stopped = r->flaws.row[i].rule ? report(r, first + (int64_t)i, &r->flaws.row[i], sink) : 0;
        if (stopped)
            return stopped;
    }
    r->rows.bytes.size = before;
    for (; lapse_flaws_next_good(&r->flaws, count, &good, &n); r->rows.count += n)
        if (!fill(r, first + (int64_t)good, n))
            return no_memory(r);
    lapse_flaws_clear(&r->flaws);
    return 0;
}

static int hand_over(struct lapse_batch_reader *r, const struct lapse_batch_sink *sink)
{
    struct lapse_columns columns;
    if (r->rows.count == 0)
        return 0;
    lapse_rows_trim(&r->rows);
    lapse_rows_columns(&r->rows, &columns);
    return sink->rows(sink->self, &columns, r->rows.count);
}

/* The columns that the batch has, and a source where it depends on ids. */
static uint32_t fields_of(const struct lapse_batch_reader *r)
{
    uint32_t fields = LAPSE_FIELD_BIT(LAPSE_F_CUSTOMER) | (r->lines ? LAPSE_FIELD_BIT(LAPSE_F_LINE) : 0);
    if (r->refund)
        fields |= LAPSE_FIELD_BIT(LAPSE_F_KIND);
    for (int f = 0; f < LAPSE_FIELDS; f++)
        if (has_own(r, f))
            fields |= LAPSE_FIELD_BIT(f);
    return fields & LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID) && r->source ? fields | LAPSE_FIELD_BIT(LAPSE_F_SOURCE) : fields;
}

void lapse_batch_reader_init(struct lapse_batch_reader *r, const lapse_allocator *mem)
{
    struct lapse_text source = { r->source, r->source ? (uint32_t)strlen(r->source) : 0 };
    uint32_t fields = fields_of(r);
    r->kind = r->kind ? r->kind : LAPSE_KIND_ORDER_PLACED;
    r->failed = false;
    memset(&r->flaws, 0, sizeof r->flaws);
    lapse_rows_init(&r->rows, mem);
    if (fields & LAPSE_FIELD_BIT(LAPSE_F_SOURCE))
        source.size = 0;
    lapse_constants_set(&r->constants, fields & LAPSE_FIELD_BIT(LAPSE_F_KIND) ? 0 : r->kind, source);
}

void lapse_batch_reader_free(struct lapse_batch_reader *r)
{
    lapse_rows_free(&r->rows);
}

int lapse_batch_read(struct lapse_batch_reader *r, const struct lapse_batch_sink *sink)
{
    const int64_t rows = r->batch->rows;
    int stopped = 0;
    for (int64_t first = 0; stopped == 0 && first < rows;) {
        int64_t end = rows - first < LAPSE_CSV_BATCH ? rows : first + LAPSE_CSV_BATCH;
        if (!lapse_rows_begin(&r->rows, fields_of(r), (size_t)(end - first)))
            return no_memory(r);
        for (; stopped == 0 && first < end; first += LAPSE_BLOCK)
            stopped = take_block(r, first, (size_t)(end - first < LAPSE_BLOCK ? end - first : LAPSE_BLOCK), sink);
        first = end;
        if (stopped == 0)
            stopped = hand_over(r, sink);
    }
    return stopped;
}
