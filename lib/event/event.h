/* Private header of lib/event: the model of an event, and readers that turn input into rows. */
#ifndef LAPSE_LIB_EVENT_H
#define LAPSE_LIB_EVENT_H

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
};
extern const struct lapse_field_info lapse_fields[LAPSE_FIELDS];

struct lapse_text {
    const char *data;
    uint32_t size;
};
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
/* Borrowed columns. Those in `fields` have values; where a bit of `constant` is set, entry 0 stands for every row. */
struct lapse_columns {
    uint32_t fields;
    const int64_t *number[LAPSE_COLUMNS];
    const uint8_t *name[LAPSE_COLUMNS];
    struct lapse_text_column text[LAPSE_COLUMNS];
    uint32_t constant;
};
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
static inline int64_t lapse_columns_number(const struct lapse_columns *c, int f, size_t i)
{
    return c->number[f] ? c->number[f][c->constant >> f & 1 ? 0 : i] : LAPSE_MISSING;
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
    size_t count, capacity;
    size_t room[LAPSE_COLUMNS]; /* of each column's arrays */
    int64_t *number[LAPSE_COLUMNS];
    uint8_t *name[LAPSE_COLUMNS];
    struct {
        uint32_t *begin;
        uint8_t *length;
    } text[LAPSE_COLUMNS];
    struct lapse_buffer bytes; /* of all text columns */
    int64_t *copy;             /* scratch of lapse_rows_reorder() */
    size_t copy_room;
};
void lapse_rows_init(struct lapse_rows *rows, const lapse_allocator *mem);
void lapse_rows_free(struct lapse_rows *rows);
void lapse_rows_clear(struct lapse_rows *rows);
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
/* Puts the rows into the order given, a permutation of 0 .. count. */
bool lapse_rows_reorder(struct lapse_rows *rows, const uint32_t *order);
void lapse_rows_free_scratch(struct lapse_rows *rows); /* which reordering keeps for the next time */
void lapse_rows_columns(const struct lapse_rows *rows, struct lapse_columns *out);

/* ---- kind.c: what kinds mean, as one table (rulings 9) ------------------------------------------------- */

enum {
    LAPSE_KIND_VISIT = 1,          /* own visit, for the stage */
    LAPSE_KIND_ACTIVITY = 2,       /* moves last_activity (and last_contact) */
    LAPSE_KIND_CONTACT = 4,        /* moves last_contact only */
    LAPSE_KIND_NEEDS_CHANNEL = 8,  /* columns without which a row is bad (rulings F2) */
    LAPSE_KIND_NEEDS_REF = 16,
    LAPSE_KIND_NEEDS_TOPIC = 32,
    LAPSE_KIND_NEEDS_VALUE = 64,
    LAPSE_KIND_ORDER_LINE = 128    /* a negative amount may be a refund */
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
/* Checks a parsed row but for its endpoint: times, lengths, UTF-8, signs, needed columns (F2, F8, F9, T1, T4, M5). */
bool lapse_row_check(const struct lapse_row *row, const struct lapse_check *check, struct lapse_fault *fault);
/* The part of it that is left when names and texts are known to be good, as they are after the CSV reader. */
bool lapse_row_check_facts(const struct lapse_row *row, const struct lapse_check *check, struct lapse_fault *fault);
/* One text: its length and form; an empty one is good. False: *rule. */
bool lapse_text_check(const char *text, size_t n, const char **rule);
/* F8, X15: normalises an address of `channel` and hashes it, or takes `hash:` and 64 hex digits. False: rule. */
bool lapse_endpoint_hash(const struct lapse_check *check, int32_t channel, const char *text, size_t n,
                         uint8_t out[32], const char **rule);

/* ---- batch.c: rows of a lapse_batch --------------------------------------------------------------------- */

/* Structural check of all pointers and offsets that can be checked. */
lapse_status lapse_batch_check(const lapse_batch *theirs, lapse_batch *ours, lapse_error *error);
/* Row i. The 32 bytes of an endpoint hash are put into `endpoint`. False: *fault says what is wrong, and *text
 * what was found (up to 255 bytes, in storage of the batch or static). */
bool lapse_batch_row(const lapse_batch *batch, int64_t i, const char *source, const struct lapse_check *check,
                     struct lapse_row *row, uint8_t endpoint[32], struct lapse_fault *fault,
                     struct lapse_text *text);

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
    /* A good row; its texts point into the chunk or into storage that is good until this call returns. `raw` is
     * the row as it stood, without line end. Non-zero stops. */
    int (*row)(void *self, const struct lapse_row *row, int64_t line, struct lapse_text raw);
    int (*bad)(void *self, const struct lapse_csv_fault *fault); /* non-zero stops */
};
/* Parses whole records in text[0..n), the first of which begins on line `line`. Returns what stopped it, or 0, or
 * LAPSE_NO_MEMORY with scratch->failed. `scratch` is the caller's, one a thread. Texts without doubled quotes
 * point into `text`, which stays the caller's. *rows counts records, bad ones too. A record whose quote is never
 * closed is a bad row too, with a rule that begins "a quote is never closed". */
int lapse_csv_parse(const struct lapse_csv *csv, struct lapse_buffer *scratch, const char *text, size_t n,
                    int64_t line, const struct lapse_csv_sink *sink, int64_t *rows);

#endif
