/* One field of a block of records to its column. What fills it is chosen when the file is opened; an empty field is a
 * missing fact. Texts are trusted to hold neither NUL nor bad UTF-8: that is checked a record at a time, and a record
 * that breaks it has that fault already. */
#include "base/quick.h"
#include "event/csv.h"

static inline struct lapse_text text_of(const struct lapse_csv_piece *piece)
{
    return (struct lapse_text){ piece->data, piece->size };
}

static const struct lapse_csv_piece *record_at(const struct lapse_csv_block *b, size_t i)
{
    return b->pieces + i * b->csv->columns;
}

/* ---- numbers ---- */

/* The number of a record whose field, `text`, is not empty. False: *rule. */
typedef bool number_fn(struct lapse_csv_block *b, const struct lapse_csv_step *step,
                       const struct lapse_csv_piece *record, struct lapse_text text, int64_t *out,
                       const char **rule);

/* Inline, so that each parser has a loop of its own. `i` is the record's place in the block. */
static inline void fill_number(struct lapse_csv_block *b, const struct lapse_csv_step *step, size_t i,
                               const struct lapse_csv_piece *record, int64_t *out, number_fn *parse)
{
    const char *rule = NULL;
    struct lapse_text text = text_of(&record[step->column]);
    *out = LAPSE_MISSING;
    if (text.size == 0 || parse(b, step, record, text, out, &rule))
        return;
    *out = LAPSE_MISSING;
    lapse_flaws_add(b->flaws, i, step->field, rule);
}

static inline bool fill_numbers(struct lapse_csv_block *b, const struct lapse_csv_step *step, size_t first, size_t n,
                                number_fn *parse)
{
    const struct lapse_csv_piece *record = record_at(b, first);
    int64_t *out = b->rows->number[step->field] + b->rows->count;
    for (size_t i = 0; i < n; i++, record += b->csv->columns)
        fill_number(b, step, first + i, record, &out[i], parse);
    return true;
}

static inline bool parse_time(struct lapse_csv_block *b, const struct lapse_csv_step *step,
                              const struct lapse_csv_piece *record, struct lapse_text text, int64_t *out,
                              const char **rule)
{
    (void)step;
    (void)record;
    return lapse_time_reader_parse(b->times, text.data, text.size, out, rule);
}

static inline bool parse_time_format(struct lapse_csv_block *b, const struct lapse_csv_step *step,
                                     const struct lapse_csv_piece *record, struct lapse_text text, int64_t *out,
                                     const char **rule)
{
    (void)step;
    (void)record;
    return lapse_time_format_parse(&b->csv->format, text.data, text.size, b->csv->zone, out, rule);
}

static inline bool parse_money(struct lapse_csv_block *b, const struct lapse_csv_step *step,
                               const struct lapse_csv_piece *record, struct lapse_text text, int64_t *out,
                               const char **rule)
{
    (void)step;
    (void)record;
    return lapse_money_parse(text.data, text.size, b->csv->check->digits, out, rule);
}

static inline bool parse_quantity(struct lapse_csv_block *b, const struct lapse_csv_step *step,
                                  const struct lapse_csv_piece *record, struct lapse_text text, int64_t *out,
                                  const char **rule)
{
    (void)b;
    (void)step;
    (void)record;
    if (lapse_money_parse(text.data, text.size, LAPSE_QUANTITY_DIGITS, out, rule))
        return true;
    *rule = lapse_fields[LAPSE_F_QUANTITY].rule;
    return false;
}

static inline bool parse_value(struct lapse_csv_block *b, const struct lapse_csv_step *step,
                               const struct lapse_csv_piece *record, struct lapse_text text, int64_t *out,
                               const char **rule)
{
    double value;
    (void)b;
    (void)step;
    (void)record;
    if (!lapse_value_parse(text.data, text.size, &value, rule))
        return false;
    *out = lapse_value_to_bits(value);
    return true;
}

/* The exact product as a value: written out, since only reading knows how a value is rounded. */
static bool value_product(struct lapse_decimal a, struct lapse_decimal b, int64_t *bits, const char **rule)
{
    lapse_int128 product = (lapse_int128)a.mantissa * b.mantissa;
    int scale = (int)a.scale + (int)b.scale;
    for (; scale > 0 && product % 10 == 0 && product != 0; scale--)
        product /= 10;
    bool negative = product < 0;
    char text[600]; /* filled from its end; 255 decimals of each factor at most */
    size_t at = sizeof text;
    for (int digit = 0; product != 0 || digit <= scale; digit++) {
        if (digit == scale && scale > 0)
            text[--at] = '.';
        int low = (int)(product % 10);
        text[--at] = (char)('0' + (low < 0 ? -low : low));
        product /= 10;
    }
    if (negative)
        text[--at] = '-';
    double value;
    if (!lapse_value_parse(text + at, sizeof text - at, &value, rule))
        return false;
    *bits = lapse_value_to_bits(value);
    return true;
}

static bool parse_product(struct lapse_csv_block *block, const struct lapse_csv_step *step,
                          const struct lapse_csv_piece *record, struct lapse_text text, int64_t *out,
                          const char **rule)
{
    struct lapse_text other = text_of(&record[step->factor]);
    struct lapse_decimal a, b;
    if (other.size == 0)
        return true;
    if (!lapse_decimal_parse(text.data, text.size, &a, rule) ||
        !lapse_decimal_parse(other.data, other.size, &b, rule))
        return false;
    if (step->field == LAPSE_F_VALUE)
        return value_product(a, b, out, rule);
    if (step->field != LAPSE_F_QUANTITY)
        return lapse_money_product(a, b, block->csv->check->digits, out, rule);
    if (lapse_money_product(a, b, LAPSE_QUANTITY_DIGITS, out, rule))
        return true;
    *rule = lapse_fields[LAPSE_F_QUANTITY].rule;
    return false;
}

uint32_t lapse_csv_bad_factor(const struct lapse_csv_step *step, const struct lapse_csv_piece *record)
{
    const uint32_t columns[] = { step->column, step->factor };
    if (step->factor == LAPSE_CSV_NONE || record[step->column].size == 0 || record[step->factor].size == 0)
        return LAPSE_CSV_NONE;
    for (int i = 0; i < 2; i++) {
        struct lapse_decimal number;
        const char *rule;
        if (!lapse_decimal_parse(record[columns[i]].data, record[columns[i]].size, &number, &rule))
            return columns[i];
    }
    return LAPSE_CSV_NONE;
}

#define NUMBERS(name)                                                                                                  \
    static bool fill_##name(struct lapse_csv_block *b, const struct lapse_csv_step *step, size_t first, size_t n)      \
    {                                                                                                                  \
        return fill_numbers(b, step, first, n, parse_##name);                                                          \
    }
NUMBERS(time_format)
NUMBERS(quantity)
NUMBERS(value)
NUMBERS(product)
#undef NUMBERS

static bool fill_time(struct lapse_csv_block *b, const struct lapse_csv_step *step, size_t first, size_t n)
{
    const struct lapse_time_reader *times = b->times;
    const struct lapse_csv_piece *field = record_at(b, first) + step->column;
    const size_t columns = b->csv->columns;
    int64_t *out = b->rows->number[LAPSE_F_TIME] + b->rows->count;
    for (size_t i = 0; i < n; i++, field += columns)
        if (!lapse_time_quick(times, field->data, field->size, &out[i]))
            fill_number(b, step, first + i, field - step->column, &out[i], parse_time);
    return true;
}

static bool fill_money(struct lapse_csv_block *b, const struct lapse_csv_step *step, size_t first, size_t n)
{
    const struct lapse_csv_piece *field = record_at(b, first) + step->column;
    const size_t columns = b->csv->columns;
    const int digits = b->csv->check->digits;
    int64_t *out = b->rows->number[step->field] + b->rows->count;
    for (size_t i = 0; i < n; i++, field += columns)
        if (!lapse_money_quick(field->data, field->size, digits, &out[i]))
            fill_number(b, step, first + i, field - step->column, &out[i], parse_money);
    return true;
}

/* ---- names ---- */

static bool fill_kind(struct lapse_csv_block *b, const struct lapse_csv_step *step, size_t first, size_t n)
{
    uint8_t *out = b->rows->name[LAPSE_F_KIND] + b->rows->count;
    for (size_t i = 0; i < n; i++) {
        struct lapse_text text = text_of(record_at(b, first + i) + step->column);
        out[i] = text.size == 0 ? b->csv->kind
                                : (uint8_t)lapse_kind_index_find(&b->csv->kinds, text.data, text.size);
        if (out[i] == 0)
            lapse_flaws_add(b->flaws, first + i, LAPSE_F_KIND, lapse_fields[LAPSE_F_KIND].rule);
    }
    return true;
}

static bool fill_name(struct lapse_csv_block *b, const struct lapse_csv_step *step, size_t first, size_t n)
{
    uint8_t *out = b->rows->name[step->field] + b->rows->count;
    for (size_t i = 0; i < n; i++) {
        struct lapse_text text = text_of(record_at(b, first + i) + step->column);
        out[i] = text.size == 0 ? 0 : (uint8_t)lapse_fields[step->field].find(text.data, text.size);
        if (out[i] == 0 && text.size > 0)
            lapse_flaws_add(b->flaws, first + i, step->field, lapse_fields[step->field].rule);
    }
    return true;
}

/* ---- texts ---- */

static bool fill_text(struct lapse_csv_block *b, const struct lapse_csv_step *step, size_t first, size_t n)
{
    struct lapse_rows *rows = b->rows;
    const int f = step->field < 0 ? LAPSE_F_CUSTOMER : step->field;
    const struct lapse_csv_piece *field = record_at(b, first) + step->column;
    const size_t columns = b->csv->columns;
    if (!lapse_buffer_room(&rows->bytes, n * LAPSE_TEXT_MAX))
        return false;
    uint32_t *begin = rows->text[f].begin + rows->count;
    uint8_t *length = rows->text[f].length + rows->count;
    size_t at = rows->bytes.size;
    for (size_t i = 0; i < n; i++, field += columns) {
        struct lapse_text text = text_of(field);
        if (text.size > LAPSE_TEXT_MAX) {
            lapse_flaws_add(b->flaws, first + i, step->field,
                            step->field < 0 ? "a customer has at most 255 bytes" : "a text has at most 255 bytes");
            text.size = 0;
        }
        begin[i] = (uint32_t)at;
        length[i] = (uint8_t)text.size;
        lapse_text_copy(rows->bytes.data + at, text);
        at += text.size;
    }
    rows->bytes.size = at;
    return true;
}

static bool fill_endpoint(struct lapse_csv_block *b, const struct lapse_csv_step *step, size_t first, size_t n)
{
    struct lapse_rows *rows = b->rows;
    if (!lapse_buffer_room(&rows->bytes, n * LAPSE_ENDPOINT_SIZE))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct lapse_text text = text_of(record_at(b, first + i) + step->column);
        uint8_t channel = rows->fields & LAPSE_FIELD_BIT(LAPSE_F_CHANNEL) ? rows->name[LAPSE_F_CHANNEL][rows->count + i]
                                                                          : 0;
        uint8_t hash[LAPSE_ENDPOINT_SIZE] = { 0 };
        const char *rule;
        if (text.size > 0) {
            if (!lapse_endpoint_hash(b->csv->check, channel, text.data, text.size, hash, &rule))
                lapse_flaws_add(b->flaws, first + i, step->field, rule);
            text = (struct lapse_text){ (const char *)hash, LAPSE_ENDPOINT_SIZE };
        }
        lapse_rows_set_text(rows, step->field, rows->count + i, text);
    }
    return true;
}

lapse_csv_fill_fn *lapse_csv_filler(int target, bool product, bool has_format)
{
    static const struct {
        int field;
        lapse_csv_fill_fn *fill;
    } own[] = { { LAPSE_F_KIND, fill_kind },
                { LAPSE_F_QUANTITY, fill_quantity },
                { LAPSE_F_VALUE, fill_value },
                { LAPSE_F_ENDPOINT, fill_endpoint } };
    static lapse_csv_fill_fn *const by_class[] = {
        [LAPSE_CLASS_NUMBER] = fill_money, [LAPSE_CLASS_NAME] = fill_name, [LAPSE_CLASS_TEXT] = fill_text
    };
    int field = target - 1;
    if (product)
        return field == LAPSE_F_AMOUNT || field == LAPSE_F_PRICE || field == LAPSE_F_QUANTITY ||
                       field == LAPSE_F_VALUE
                   ? fill_product
                   : NULL;
    if (field == LAPSE_F_TIME)
        return has_format ? fill_time_format : fill_time;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i].field == field)
            return own[i].fill;
    return by_class[field < 0 ? LAPSE_CLASS_TEXT : lapse_fields[field].class];
}
