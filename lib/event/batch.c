/* Rows of a lapse_batch, and the defaults of the options with which events are handed in.
 * The columns of a batch are found by table, so that a column is named in one place. */
#include "event/event.h"

static const lapse_append_options append_defaults = { .size = sizeof(lapse_append_options),
                                                      .received_at = INT64_MAX };
static const lapse_import_options import_defaults = {
    .size = sizeof(lapse_import_options), .threads = 1, .delimiter = ',', .received_at = INT64_MAX
};

lapse_status lapse_append_options_init(lapse_append_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &append_defaults, sizeof append_defaults, sizeof append_defaults);
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

static bool fill_names(const lapse_batch *batch, int64_t i, struct lapse_row *row, struct lapse_fault *fault)
{
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        if (lapse_fields[f].class != LAPSE_CLASS_NAME)
            continue;
        const int32_t *data = member(batch, places[f].data);
        int32_t code = data ? data[i] : f == LAPSE_F_KIND ? LAPSE_KIND_ORDER_PLACED : 0;
        if ((code != 0 || f == LAPSE_F_KIND) && !lapse_fields[f].name_of(code)) {
            *fault = (struct lapse_fault){ f, "this is no LAPSE_ constant of the column" };
            return false;
        }
        row->name[f] = (uint8_t)code;
    }
    return true;
}

static bool fill_numbers(const lapse_batch *batch, int64_t i, struct lapse_row *row, struct lapse_fault *fault)
{
    for (int f = 0; f < LAPSE_FIELDS; f++) {
        if (lapse_fields[f].class != LAPSE_CLASS_NUMBER)
            continue;
        if (!number_at(batch, f, i, &row->number[f]))
            row->number[f] = LAPSE_MISSING;
        else if (row->number[f] == LAPSE_MISSING) { /* a number, but the one that means none */
            *fault = (struct lapse_fault){ f, "the number is out of range" };
            return false;
        }
    }
    return true;
}

static bool fill(const lapse_batch *batch, int64_t i, const char *source, const struct lapse_check *check,
                 struct lapse_row *row, uint8_t endpoint[32], struct lapse_fault *fault)
{
    row->customer = text_at(batch, &customer_place, i);
    if (!fill_names(batch, i, row, fault) || !fill_numbers(batch, i, row, fault))
        return false;
    for (int f = 0; f < LAPSE_FIELDS; f++)
        if (lapse_fields[f].class == LAPSE_CLASS_TEXT)
            row->text[f] = text_at(batch, &places[f], i);
    if (row->text[LAPSE_F_EVENT_ID].size == 0 && !has_text(batch, &places[LAPSE_F_SOURCE]) && source)
        row->text[LAPSE_F_SOURCE] = (struct lapse_text){ source, (uint32_t)strlen(source) };
    struct lapse_text address = row->text[LAPSE_F_ENDPOINT];
    row->text[LAPSE_F_ENDPOINT] = (struct lapse_text){ "", 0 };
    if (!lapse_row_check(row, check, fault))
        return false;
    if (address.size > 0) {
        fault->field = LAPSE_F_ENDPOINT;
        if (!lapse_endpoint_hash(check, row->name[LAPSE_F_CHANNEL], address.data, address.size, endpoint,
                                 &fault->rule))
            return false;
        row->text[LAPSE_F_ENDPOINT] = (struct lapse_text){ (const char *)endpoint, LAPSE_ENDPOINT_SIZE };
    }
    return true;
}

bool lapse_batch_row(const lapse_batch *batch, int64_t i, const char *source, const struct lapse_check *check,
                     struct lapse_row *row, uint8_t endpoint[32], struct lapse_fault *fault,
                     struct lapse_text *text)
{
    memset(row, 0, sizeof *row);
    if (fill(batch, i, source, check, row, endpoint, fault))
        return true;
    *text = found(batch, i, fault->field, endpoint);
    return false;
}
