/* Private header of lib/event: the model of an event, and readers that turn input into rows. */
#ifndef LAPSE_LIB_EVENT_H
#define LAPSE_LIB_EVENT_H

#include <lapse/arrow.h>
#include <lapse/event.h>
#include <lapse/store.h>

#include "base/base.h"
#include "policy/policy.h"

/* ---- columns.c: the columns of an event beside its customer, in the order of contract.md 1 ------------- */

enum lapse_field {
    LAPSE_F_TIME, LAPSE_F_KIND, LAPSE_F_AMOUNT, LAPSE_F_CHANNEL, LAPSE_F_PURPOSE, LAPSE_F_TOPIC, LAPSE_F_PLATFORM,
    LAPSE_F_REF, LAPSE_F_VALUE, LAPSE_F_REASON, LAPSE_F_ITEM, LAPSE_F_QUANTITY, LAPSE_F_CATEGORY, LAPSE_F_PRICE,
    LAPSE_F_ENDPOINT, LAPSE_F_EVIDENCE, LAPSE_F_SOURCE, LAPSE_F_EVENT_ID, LAPSE_FIELDS
};
enum lapse_field_class {
    LAPSE_CLASS_NUMBER, /* int64_t, LAPSE_MISSING where there is none; `value` holds the bits of its double */
    LAPSE_CLASS_NAME,   /* uint8_t: a LAPSE_KIND_, _CHANNEL_, _PURPOSE_ or _PLATFORM_, 0 where there is none */
    LAPSE_CLASS_TEXT    /* at most 255 bytes, empty where there is none (an empty source is a name of its own) */
};
#define LAPSE_MISSING INT64_MIN /* no time, amount, price, quantity, or bits of a valid value */
enum {
    LAPSE_TEXT_MAX = 255,      /* bytes of a text (rulings F9) */
    LAPSE_QUANTITY_DIGITS = 6, /* rulings F29 */
    LAPSE_ENDPOINT_SIZE = 32
};

struct lapse_field_info {
    const char *name;
    enum lapse_field_class class;
    const char *(*name_of)(int32_t);     /* of CLASS_NAME */
    int32_t (*find)(const char *, size_t); /* of CLASS_NAME: the value of a name, 0: none */
    const char *rule;                      /* of CLASS_NAME and a quantity: what it is */
};
extern const struct lapse_field_info lapse_fields[LAPSE_FIELDS];

struct lapse_text {
    const char *data;
    uint32_t size;
};
static inline int lapse_text_order(struct lapse_text a, struct lapse_text b) /* bytewise */
{
    return lapse_text_compare(a.data, a.size, b.data, b.size);
}
static inline bool lapse_text_equal(struct lapse_text a, struct lapse_text b)
{
    const uint32_t n = a.size; /* those that differ do so most often in their last bytes */
    return n == b.size && (n == 0 || (a.data[n - 1] == b.data[n - 1] && memcmp(a.data, b.data, n) == 0));
}
/* The first of ascending texts from `low` on and before `high` that is not below `text`; `high`: there is none. */
static inline size_t lapse_texts_find(const struct lapse_text *texts, size_t low, size_t high, struct lapse_text text)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lapse_text_order(texts[middle], text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
/* Most texts are short; their two words may overlap. */
static inline void lapse_text_copy(char *to, struct lapse_text text)
{
    if (text.size >= 8 && text.size <= 16) {
        memcpy(to, text.data, 8);
        memcpy(to + text.size - 8, text.data + text.size - 8, 8);
    } else if (text.size >= 4 && text.size < 8) {
        memcpy(to, text.data, 4);
        memcpy(to + text.size - 4, text.data + text.size - 4, 4);
    } else if (text.size > 0) {
        memcpy(to, text.data, text.size);
    }
}
/* Eight bytes from `skip` on, zeros behind the end, as a number that sorts like them. */
static inline uint64_t lapse_text_eight(struct lapse_text t, size_t skip)
{
    uint8_t b[8] = { 0 };
    uint64_t v = 0;
    size_t n = t.size > skip ? t.size - skip : 0, from = skip;
    if (n && t.size >= 8) { /* where fewer than eight are left, the last eight, without those skipped */
        from = n < 8 ? t.size - 8 : skip;
        memcpy(b, t.data + from, 8);
    } else {
        for (size_t i = 0; i < n; i++)
            b[i] = (uint8_t)t.data[skip + i];
    }
    for (int i = 0; i < 8; i++)
        v = v << 8 | b[i];
    return v << 8 * (skip - from);
}
/* One event. An endpoint is already its 32 hash bytes. */
struct lapse_row {
    struct lapse_text customer;
    int64_t number[LAPSE_FIELDS];          /* of fields of CLASS_NUMBER */
    uint8_t name[LAPSE_FIELDS];            /* of fields of CLASS_NAME */
    struct lapse_text text[LAPSE_FIELDS];  /* of fields of CLASS_TEXT */
};
/* The printed form of a field, as event files hold it (endpoint as `hash:`...); out has 400 bytes or more.
 * `digits` are the currency's. */
size_t lapse_field_format(enum lapse_field field, const struct lapse_row *row, int digits, char *out);
double lapse_value_of_bits(int64_t bits); /* number[LAPSE_F_VALUE] and back */
int64_t lapse_value_to_bits(double value);
/* Canonical order of two events of one customer: time, rank, source, event_id, then the other fields in their
 * order, bytewise on their printed form (rulings 9), for which money needs the digits. 0: the same content. */
int lapse_row_compare(const struct lapse_row *a, const struct lapse_row *b, int digits);

/* ---- rows.c: many events as columns, wherever they come from ------------------------------------------- */

/* Two columns that no event has once it is published: the place of a row in its input, and its customer. */
#define LAPSE_F_LINE LAPSE_FIELDS
#define LAPSE_F_CUSTOMER (LAPSE_FIELDS + 1)
#define LAPSE_COLUMNS (LAPSE_FIELDS + 2)
#define LAPSE_FIELD_BIT(f) (UINT32_C(1) << (f))
#define LAPSE_ALL_FIELDS (LAPSE_FIELD_BIT(LAPSE_FIELDS) - 1)

static inline enum lapse_field_class lapse_column_class(int f)
{
    return f == LAPSE_F_LINE ? LAPSE_CLASS_NUMBER : f == LAPSE_F_CUSTOMER ? LAPSE_CLASS_TEXT : lapse_fields[f].class;
}

/* Text i has length[s] bytes at data + begin[s], where s is code ? code[i] : i. begin NULL: all are empty. */
struct lapse_text_column {
    const char *data;
    const uint32_t *begin;
    const uint8_t *length;
    const uint32_t *code;
};
/* Readers hand over this many rows at once, at most. */
enum { LAPSE_CSV_BATCH = 16384 };
/* Borrowed columns. Those in `fields` have values; where a bit of `constant` is set, entry 0 stands for every row. */
struct lapse_columns {
    uint32_t fields;
    const int64_t *number[LAPSE_COLUMNS];
    const uint8_t *name[LAPSE_COLUMNS];
    struct lapse_text_column text[LAPSE_COLUMNS];
    uint32_t constant;
    uint32_t narrow; /* of these, `number` is of uint32_t, in units of lapse_narrow_unit() (rows that are collected) */
};
/* Most numbers need half of their 64 bits: times in whole seconds, others as they are. */
static inline int64_t lapse_narrow_unit(int f)
{
    return f == LAPSE_F_TIME ? LAPSE_SECOND : 1;
}
static inline struct lapse_text lapse_columns_text(const struct lapse_columns *c, int f, size_t i)
{
    const struct lapse_text_column *t = &c->text[f];
    if (!t->begin || !t->data)
        return (struct lapse_text){ "", 0 };
    if (c->constant >> f & 1)
        i = 0;
    size_t slot = t->code ? t->code[i] : i;
    return (struct lapse_text){ t->data + t->begin[slot], t->length[slot] };
}
/* The same for loops over many: whether text i is simply text i, as in most columns, is asked once. */
static inline bool lapse_columns_plain(const struct lapse_columns *c, int f)
{
    return c->text[f].begin && c->text[f].data && !c->text[f].code && !(c->constant >> f & 1);
}
static inline struct lapse_text lapse_columns_text_of(const struct lapse_columns *c, int f, size_t i, bool plain)
{
    const struct lapse_text_column *t = &c->text[f];
    return plain ? (struct lapse_text){ t->data + t->begin[i], t->length[i] } : lapse_columns_text(c, f, i);
}
static inline int64_t lapse_columns_number(const struct lapse_columns *c, int f, size_t i)
{
    if (!c->number[f])
        return LAPSE_MISSING;
    i = c->constant >> f & 1 ? 0 : i;
    return c->narrow >> f & 1 ? ((const uint32_t *)(const void *)c->number[f])[i] * lapse_narrow_unit(f) : c->number[f][i];
}
static inline uint8_t lapse_columns_name(const struct lapse_columns *c, int f, size_t i)
{
    return c->name[f] ? c->name[f][c->constant >> f & 1 ? 0 : i] : 0;
}
/* Adds the columns of `more` that `to` has not. */
void lapse_columns_add(struct lapse_columns *to, const struct lapse_columns *more);
void lapse_columns_row(const struct lapse_columns *c, size_t i, struct lapse_text customer, struct lapse_row *out);
/* Canonical order of row i of `a` and row j of `b`, both of one customer. 0: the same content. Times and ranks
 * decide nearly always; the rest, where printed forms depend on the currency's digits, only when they are equal. */
int lapse_columns_compare(const struct lapse_columns *a, size_t i, const struct lapse_columns *b, size_t j, int digits);

/* Rows being collected: a block under construction, or a customer's rows from several runs. */
struct lapse_rows {
    const lapse_allocator *mem;
    uint32_t fields;      /* columns that hold values */
    uint32_t narrow;      /* as in struct lapse_columns */
    bool compact;         /* columns of numbers begin narrow, for as long as all their values allow it */
    size_t count, capacity;
    size_t room[LAPSE_COLUMNS]; /* of each column's arrays */
    int64_t *number[LAPSE_COLUMNS];
    uint8_t *name[LAPSE_COLUMNS];
    struct {
        uint32_t *begin;
        uint8_t *length;
    } text[LAPSE_COLUMNS];
    struct lapse_buffer bytes; /* of all text columns */
};
void lapse_rows_init(struct lapse_rows *rows, const lapse_allocator *mem);
void lapse_rows_free(struct lapse_rows *rows);
void lapse_rows_clear(struct lapse_rows *rows);
/* Makes it empty, with room for `capacity` rows in each of `fields`: who calls writes the arrays from `count` on. */
bool lapse_rows_begin(struct lapse_rows *rows, uint32_t fields, size_t capacity);
/* A text of row i, which begin() made room for; the bytes come from lapse_buffer_room(&rows->bytes). */
static inline void lapse_rows_set_text(struct lapse_rows *rows, int f, size_t i, struct lapse_text text)
{
    char *to = rows->bytes.data + rows->bytes.size;
    rows->text[f].begin[i] = (uint32_t)rows->bytes.size;
    rows->text[f].length[i] = (uint8_t)text.size;
    rows->bytes.size += text.size;
    lapse_text_copy(to, text);
}
/* Appends rows order[0..n) of `from`, or rows first .. first + n when order is NULL; only columns in `fields`. */
bool lapse_rows_gather(struct lapse_rows *rows, const struct lapse_columns *from, uint32_t fields,
                       const uint32_t *order, size_t first, size_t n);
/* Appends the rows of several stretches, which may come from different columns; those of `constants`, unless NULL,
 * are the same for all. */
struct lapse_stretch {
    const struct lapse_columns *from;
    size_t first, n;
};
bool lapse_rows_gather_stretches(struct lapse_rows *rows, const struct lapse_stretch *stretches, size_t count,
                                 uint32_t fields, const struct lapse_columns *constants);
bool lapse_rows_reserve(struct lapse_rows *rows, size_t capacity); /* room for so many in all */
size_t lapse_rows_bytes(const struct lapse_rows *rows);            /* of memory that hold something */
void lapse_rows_trim(struct lapse_rows *rows); /* forgets columns without values */
/* Puts the rows into the order given, a permutation of 0 .. count. `scratch` gets room for one column. */
bool lapse_rows_reorder(struct lapse_rows *rows, const uint32_t *order, struct lapse_buffer *scratch);
void lapse_rows_columns(const struct lapse_rows *rows, struct lapse_columns *out);
/* What all rows of an input have that do not say it: kind 0 and an empty source are none. */
struct lapse_constants {
    uint8_t kind, source_size;
    uint32_t begin; /* 0, where the text column of the source begins */
    const char *source;
};
void lapse_constants_set(struct lapse_constants *constants, uint8_t kind, struct lapse_text source);
/* Adds them to `out` as constant columns, which live as long as `constants`. */
void lapse_constants_add(const struct lapse_constants *constants, struct lapse_columns *out);

/* ---- kind.c: what kinds mean, as one table (rulings 9) ------------------------------------------------- */

enum {
    LAPSE_KIND_VISIT = 1,          /* own visit, for the stage */
    LAPSE_KIND_ACTIVITY = 2,       /* moves last_activity (and last_contact) */
    LAPSE_KIND_CONTACT = 4,        /* moves last_contact only */
    LAPSE_KIND_NEEDS_CHANNEL = 8,  /* columns without which a row is bad (rulings F2) */
    LAPSE_KIND_NEEDS_REF = 16,
    LAPSE_KIND_NEEDS_TOPIC = 32,
    LAPSE_KIND_NEEDS_VALUE = 64,
    LAPSE_KIND_ORDER_LINE = 128,   /* a negative amount may be a refund */
    LAPSE_KIND_ADDRESS = 256       /* an address that it names is held by the customer, or withdraws for all who hold it */
};
struct lapse_kind_info {
    const char *name;
    uint8_t rank;    /* order inside one instant; equal where rulings 9 writes `=` */
    uint16_t flags;
};
extern const struct lapse_kind_info lapse_kinds[]; /* by LAPSE_KIND_; [0] is empty */
enum { LAPSE_KINDS = LAPSE_KIND_EVENT_RETRACTED + 1 };
/* Rank of one event: that of its kind, but sms.keyword and preference.set depend on what they say. */
uint8_t lapse_row_rank(const struct lapse_row *row);
int32_t lapse_keyword(const char *text, size_t n); /* rulings F3: 1 start, -1 stop, 0 neither */
/* What a bounce says about the address, by its reason (rulings F1, semantics 4.6). */
enum lapse_bounce { LAPSE_BOUNCE_SOFT, LAPSE_BOUNCE_HARD, LAPSE_BOUNCE_NONE };
enum lapse_bounce lapse_bounce(struct lapse_text reason);
int32_t lapse_kind_lookup(const char *text, size_t n); /* the public lapse_kind_find() for a text without NUL */
/* The same by a hash table, for readers of many rows; filled by _init, then only read. */
struct lapse_kind_index {
    uint8_t slots[256];
};
void lapse_kind_index_init(struct lapse_kind_index *index);
int32_t lapse_kind_index_find(const struct lapse_kind_index *index, const char *text, size_t n);
int32_t lapse_channel_lookup(const char *text, size_t n);
int32_t lapse_purpose_lookup(const char *text, size_t n);
int32_t lapse_platform_lookup(const char *text, size_t n);

/* ---- check.c: the rules every event keeps, whichever door it comes through ------------------------------ */

struct lapse_check {
    int64_t latest;          /* received_at + import.skew; INT64_MAX: no limit */
    const void *key;         /* of endpoint hashes */
    size_t key_size;
    int digits;
};
/* What is wrong with a row: the field (-1: customer), and a static rule. */
struct lapse_fault {
    int field;
    const char *rule;
};
/* Rows are read and checked so many at a time, column by column. Of each row that has faults the first that was told
 * is kept; so passes over columns are in the order in which faults are to be told. */
enum { LAPSE_BLOCK = 512 };
struct lapse_flaws {
    size_t count; /* rows with a fault */
    struct lapse_fault row[LAPSE_BLOCK]; /* rule NULL: none */
};
void lapse_flaws_clear(struct lapse_flaws *flaws);
void lapse_flaws_add(struct lapse_flaws *flaws, size_t row, int field, const char *rule);
/* The next run of rows without faults, from *first + *n on, before `end`. Begin with 0 and 0. False: no more. */
bool lapse_flaws_next_good(const struct lapse_flaws *flaws, size_t end, size_t *first, size_t *n);
/* Checks rows first .. first + n, flaws->row[0] being that of `first`: what is required, times, signs, columns that
 * kinds need (F2, F9, T1, T4, M5). Customer and time are columns without `code`. That names and texts are well-formed
 * was checked when they were put into columns. */
void lapse_columns_check(const struct lapse_columns *c, size_t first, size_t n, const struct lapse_check *check,
                         struct lapse_flaws *flaws);
/* Negative amounts and quantities of order lines (rulings M5, M15, F29) in rows rows->count .. + n, flaws->row[first]
 * being that of the first: refunds, for which there must be a column of kinds, or faults. `kind` is that of all rows
 * when there is no column. */
void lapse_rows_settle(struct lapse_rows *rows, size_t n, uint8_t kind, bool refund, struct lapse_flaws *flaws,
                       size_t first);
/* One text: its length and form; an empty one is good. False: *rule. */
bool lapse_text_check(const char *text, size_t n, const char **rule);
/* F8, X15: normalises an address of `channel` and hashes it, or takes `hash:` and 64 hex digits. False: rule. */
bool lapse_endpoint_hash(const struct lapse_check *check, int32_t channel, const char *text, size_t n,
                         uint8_t out[32], const char **rule);

/* ---- batch.c: rows of a lapse_batch --------------------------------------------------------------------- */

/* Structural check of all pointers and offsets that can be checked. */
lapse_status lapse_batch_check(const lapse_batch *theirs, lapse_batch *ours, lapse_error *error);
/* Reads the rows of a checked batch. The first members are the caller's to set, before lapse_batch_reader_init(). */
struct lapse_batch_reader {
    const lapse_batch *batch;
    const struct lapse_check *check;
    const char *source;  /* of rows without event_id if there is no source column; NULL is empty */
    bool lines;          /* are LAPSE_F_LINE, places in the batch, wanted? */
    bool refund;         /* is a negative order line a refund? */
    uint8_t kind;        /* of all rows if there is no column; 0 is order.placed */
    int64_t base;        /* number of its first row */
    const struct lapse_fault *given; /* NULL, or what is already known to be wrong: of each row, rule NULL for none */
    struct lapse_rows rows;
    struct lapse_flaws flaws;
    struct lapse_constants constants;
    bool failed;
};
struct lapse_batch_sink {
    void *self;
    /* Good rows, at most LAPSE_CSV_BATCH, in the order of the batch; LAPSE_F_CUSTOMER among them, but no column of
     * lapse_batch_reader.constants. They live until the call returns. Non-zero stops. */
    int (*rows)(void *self, const struct lapse_columns *rows, size_t n);
    /* A bad row, and what was found in the field (up to 255 bytes). Non-zero stops. */
    int (*bad)(void *self, int64_t row, const struct lapse_fault *fault, struct lapse_text text);
};
void lapse_batch_reader_init(struct lapse_batch_reader *reader, const lapse_allocator *mem);
void lapse_batch_reader_free(struct lapse_batch_reader *reader);
/* Puts a column into a batch: f is a field or LAPSE_F_CUSTOMER; `extra` are offsets or validity. */
void lapse_batch_set(lapse_batch *batch, int f, const void *data, const void *extra);
/* What stopped it, or 0; LAPSE_NO_MEMORY with reader->failed. Bad rows are told in order, but a good row may be
 * handed over after bad ones behind it. */
int lapse_batch_read(struct lapse_batch_reader *reader, const struct lapse_batch_sink *sink);

/* ---- csv.c and its helpers: rows of an event file --------------------------------------------------------- */

/* How a file is read; made once from options and header, then only read, from any thread. */
struct lapse_csv;
struct lapse_csv_setup {
    const lapse_allocator *mem;
    const lapse_import_options *options;  /* already checked in size */
    const char *input;                    /* for messages */
    const char *source;                   /* of rows without event_id if there is no source column */
    const struct lapse_zone *zone;
    const struct lapse_check *check;
};
/* `header` is the first record without its line end (BOM taken off). Fails on the rules of F20, F27, T3 and on
 * unknown columns. */
lapse_status lapse_csv_open(const struct lapse_csv_setup *setup, const char *header, size_t n,
                            struct lapse_csv **out, lapse_error *error);
/* The same for names that are none of a file; lapse_csv_parse() is not for such a plan. */
lapse_status lapse_csv_open_names(const struct lapse_csv_setup *setup, const char *const *names, size_t count,
                                  struct lapse_csv **out, lapse_error *error);
void lapse_csv_close(struct lapse_csv *csv);
bool lapse_csv_has(const struct lapse_csv *csv, enum lapse_field field); /* can the field be other than constant? */

/* Bytes of the longest prefix of text[0..n) that consists of whole records, 0 if there is none. At the end of
 * input (`last`) a record needs no LF. *unclosed is set when a quote is open at the end of `text`; the record it
 * stands in is not whole, at the end of input either. `text` begins where a record does. */
size_t lapse_csv_split(int delimiter, const char *text, size_t n, bool last, bool *unclosed);
int64_t lapse_csv_lines(const char *text, size_t n); /* LFs in it */

/* A bad row. Texts live during the call. */
struct lapse_csv_fault {
    int64_t line;
    const char *column;        /* as the header names it, or "" */
    struct lapse_text text, row;
    const char *rule;
};
struct lapse_csv_sink {
    void *self;
    /* NULL, or takes good rows as columns: at most LAPSE_CSV_BATCH, in the order of the input; LAPSE_F_CUSTOMER among
     * them, LAPSE_F_LINE where the file has ids. Columns that the file lacks, or that are empty in all of these rows,
     * are not among them, see lapse_csv_constants(). They live until the call returns. Non-zero stops. */
    int (*rows)(void *self, const struct lapse_columns *rows, size_t n);
    /* NULL, or is told of each good row too: its line, the row as it stood, without line end, and its event_id. They
     * live during the call. Non-zero stops. */
    int (*row)(void *self, int64_t line, struct lapse_text raw, struct lapse_text event_id);
    int (*bad)(void *self, const struct lapse_csv_fault *fault); /* non-zero stops */
};
/* Adds to `out`, as constant columns, what the file lacks and all of its rows have: kind and source. They live as long
 * as csv. */
void lapse_csv_constants(const struct lapse_csv *csv, struct lapse_columns *out);

/* Scratch of one thread, kept from chunk to chunk. `failed`: there was no memory. */
struct lapse_csv_work {
    struct lapse_rows rows;
    struct lapse_buffer records; /* of a block, and their fields */
    struct lapse_buffer texts;   /* fields without doubled quotes */
    struct lapse_flaws flaws;
    struct lapse_time_reader times;
    bool failed;
};
void lapse_csv_work_init(struct lapse_csv_work *work, const lapse_allocator *mem);
void lapse_csv_work_free(struct lapse_csv_work *work);
/* Parses whole records in text[0..n), the first of which begins on line `line`. Returns what stopped it, or 0, or
 * LAPSE_NO_MEMORY with work->failed. *rows counts records, bad ones too. Bad rows are told in the order of lines, and
 * so are good ones, but a good row may be handed over after bad ones behind it, and not at all when those stop it. A
 * record whose quote is never closed is a bad row too, with a rule that begins "a quote is never closed". */
int lapse_csv_parse(const struct lapse_csv *csv, struct lapse_csv_work *work, const char *text, size_t n,
                    int64_t line, const struct lapse_csv_sink *sink, int64_t *rows);

/* ---- arrow_plan.c, arrow_read.c: rows of Arrow arrays ------------------------------------------------------ */

struct lapse_arrow;
/* Reads a schema, which it takes over in any case. */
lapse_status lapse_arrow_open(const struct lapse_csv_setup *setup, struct ArrowSchema *schema, struct lapse_arrow **out,
                              lapse_error *error);
void lapse_arrow_close(struct lapse_arrow *arrow);
const struct lapse_csv *lapse_arrow_plan(const struct lapse_arrow *arrow); /* for lapse_csv_has(), _constants() */
/* The structure of an array that has not been released, as far as it can be seen without its values. */
lapse_status lapse_arrow_check(const struct lapse_arrow *arrow, const struct ArrowArray *array, const char *input,
                               lapse_error *error);
/* Of one thread; begins as zeros. */
struct lapse_arrow_work {
    const lapse_allocator *mem;
    struct lapse_buffer data[LAPSE_FIELDS + 1], extra[LAPSE_FIELDS + 1]; /* columns of `batch`, by target */
    struct lapse_fault *given;
    bool faulty;                   /* something is in `given` */
    bool ready;                    /* the reader is */
    struct lapse_time_reader times;
    lapse_batch batch;
    struct lapse_batch_reader reader;
    bool failed;                   /* no memory */
    const char *broken;            /* the column whose values point to where nothing can be */
};
void lapse_arrow_work_init(struct lapse_arrow_work *work, const lapse_allocator *mem);
void lapse_arrow_work_free(struct lapse_arrow_work *work);
/* Rows first .. first + n, at most LAPSE_CSV_BATCH, of a checked array; `row` is the number of the first of them in
 * the stream, which stands for a line. Returns what stopped it, or 0, or LAPSE_NO_MEMORY with work->failed or
 * ->broken. */
int lapse_arrow_read(const struct lapse_arrow *arrow, struct lapse_arrow_work *work, const struct ArrowArray *array,
                     int64_t first, int64_t n, int64_t row, const struct lapse_csv_sink *sink);

#endif
