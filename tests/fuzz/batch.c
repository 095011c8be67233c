/* Batches: outcomes add up and tell the truth, a second append adds nothing, order and cutting change nothing, and a
 * batch that breaks the structure is refused whole. Input: four bytes for the whole, then twenty for each row; texts
 * and numbers come from pools of usual and hostile ones. */
#include <float.h>
#include <math.h>

#include "fuzz.h"

enum { MOST = 24, TEXTS = 10, INTS = 4, NAMES = 4 };

/* ---- rows, before they are columns ---------------------------------------------------------------------------------- */

struct row {
    struct piece { const char *data; size_t size; } text[TEXTS];
    int64_t number[INTS]; /* time, amount, quantity, price */
    bool there[INTS];
    bool has_value;
    double value;
    int32_t name[NAMES];  /* kind, channel, purpose, platform */
};

#define TEXT_MEMBER(m) { offsetof(lapse_batch, m), offsetof(lapse_batch, m##_offsets) }
static const struct { size_t data, offsets; } texts[TEXTS] = {
    TEXT_MEMBER(customer), TEXT_MEMBER(event_id), TEXT_MEMBER(source), TEXT_MEMBER(ref), TEXT_MEMBER(endpoint),
    TEXT_MEMBER(topic), TEXT_MEMBER(reason), TEXT_MEMBER(item), TEXT_MEMBER(category), TEXT_MEMBER(evidence),
};
static const struct { size_t data, validity; } ints[INTS] = {
    { offsetof(lapse_batch, time), 0 },
    { offsetof(lapse_batch, amount), offsetof(lapse_batch, amount_validity) },
    { offsetof(lapse_batch, quantity), offsetof(lapse_batch, quantity_validity) },
    { offsetof(lapse_batch, price), offsetof(lapse_batch, price_validity) },
};
static const size_t names[NAMES] = { offsetof(lapse_batch, kind), offsetof(lapse_batch, channel),
                                     offsetof(lapse_batch, purpose), offsetof(lapse_batch, platform) };

static struct piece draw_text(struct fuzz *in)
{
    static char full[256];
    static const struct piece pool[] = {
        { "", 0 }, { "a", 1 }, { "b", 1 }, { "1", 1 }, { "stop", 4 }, { "\xc3\xa9", 2 }, { "\xff", 1 }, { "a\0b", 3 },
        { full, 255 }, { full, 256 }, { " A@x.org ", 9 }, { "hash:", 5 }, { "a,\"\r\n", 5 }, { "\xed\xa0\x80", 3 },
        { "hash:00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF", 69 }, { " ", 1 },
    };
    memset(full, 'x', sizeof full);
    uint8_t b = fuzz_byte(in);
    return pool[b < 128 ? b % 4 : b % (sizeof pool / sizeof pool[0])];
}

static double draw_double(struct fuzz *in)
{
    static const double pool[] = { 0, -0.0, 1, 4.5, -1, 0.1, 1e24, 1e25, 1e-25, 1e-26, NAN, INFINITY, DBL_MIN,
                                   9007199254740993.0, 123456789012345.0, 0.30000000000000004 };
    uint8_t b = fuzz_byte(in);
    double v = pool[b % 16];
    if (b >= 192) {
        uint64_t bits = fuzz_int(in, 8);
        memcpy(&v, &bits, sizeof v);
    }
    return v;
}

static void draw_row(struct fuzz *in, struct row *r)
{
    uint8_t kind = fuzz_byte(in), more = fuzz_byte(in);
    memset(r, 0, sizeof *r);
    for (int t = 0; t < TEXTS; t++)
        r->text[t] = t < 5 || more & 1 ? draw_text(in) : (struct piece){ "", 0 };
    if (r->text[0].size == 0 && more & 128)
        r->text[0] = (struct piece){ "c", 1 };
    r->number[0] = more & 2 ? fuzz_number(in) : INT64_C(1700000000000000) + fuzz_byte(in) % 16 * LAPSE_DAY;
    r->there[0] = true;
    for (int i = 1; i < INTS; i++) {
        r->there[i] = more & 4 << i;
        r->number[i] = r->there[i] ? fuzz_number(in) : 99;
    }
    r->has_value = more & 64;
    r->value = r->has_value ? draw_double(in) : 1;
    r->name[0] = kind < 160 ? 22 + kind % 4 : kind - 160;
    for (int i = 1; i < NAMES; i++) {
        uint8_t b = fuzz_byte(in);
        r->name[i] = b < 128 ? b % 4 : b < 240 ? b % 12 : (int32_t)(b * 0x01010101u);
    }
}

/* ---- columns, each in memory of its exact size ------------------------------------------------------------------------ */

struct columns {
    lapse_batch batch;
    char bytes[sizeof(lapse_batch)]; /* of the batch, under construction by offsets of members */
    void *memory[64];
    int count;
};

static void *room(struct columns *c, size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    CHECK(p && c->count < 64);
    c->memory[c->count++] = p;
    return p;
}

static void put(struct columns *c, size_t member, const void *p)
{
    memcpy(c->bytes + member, &p, sizeof p);
}

/* Rows order[0..n); a bit of `absent` leaves a column out where no row has a value in it. */
static void build(struct columns *c, const struct row *rows, const int *order, int n, uint32_t absent)
{
    memset(c, 0, sizeof *c);
    c->batch.size = sizeof c->batch;
    c->batch.rows = n;
    memcpy(c->bytes, &c->batch, sizeof c->bytes);
    for (int t = 0; t < TEXTS; t++) {
        size_t bytes = absent & 1u << 31 ? 3 : 0, at = bytes; /* the first offset need not be 0 */
        bool any = t == 0;
        for (int i = 0; i < n; i++) {
            bytes += rows[order[i]].text[t].size;
            any = any || rows[order[i]].text[t].size;
        }
        if (!any && absent >> t & 1)
            continue;
        char *data = room(c, bytes);
        int64_t *offsets = room(c, ((size_t)n + 1) * sizeof *offsets);
        for (int i = 0; i < n; i++) {
            offsets[i] = (int64_t)at;
            memcpy(data + at, rows[order[i]].text[t].data, rows[order[i]].text[t].size);
            at += rows[order[i]].text[t].size;
        }
        offsets[n] = (int64_t)at;
        put(c, texts[t].data, data);
        put(c, texts[t].offsets, offsets);
    }
    for (int k = 0; k <= INTS; k++) { /* the last is `value` */
        int64_t *data = room(c, (size_t)n * sizeof *data);
        uint8_t *bits = room(c, ((size_t)n + 7) / 8);
        bool any = k == 0, all = true;
        memset(bits, 0, ((size_t)n + 7) / 8);
        for (int i = 0; i < n; i++) {
            const struct row *r = &rows[order[i]];
            bool there = k < INTS ? r->there[k] : r->has_value;
            memcpy(&data[i], k < INTS ? (const void *)&r->number[k] : &r->value, sizeof data[i]);
            bits[i / 8] |= (uint8_t)(there << i % 8);
            any = any || there;
            all = all && there;
        }
        if (!any && absent >> (10 + k) & 1)
            continue;
        put(c, k < INTS ? ints[k].data : offsetof(lapse_batch, value), data);
        if (k > 0 && !(all && absent >> (15 + k) & 1))
            put(c, k < INTS ? ints[k].validity : offsetof(lapse_batch, value_validity), bits);
    }
    for (int k = 0; k < NAMES; k++) {
        int32_t *data = room(c, (size_t)n * sizeof *data), missing = k == 0 ? LAPSE_KIND_ORDER_PLACED : 0;
        bool any = false;
        for (int i = 0; i < n; i++) {
            data[i] = rows[order[i]].name[k];
            any = any || data[i] != missing;
        }
        if (any || !(absent >> (20 + k) & 1))
            put(c, names[k], data);
    }
    memcpy(&c->batch, c->bytes, sizeof c->batch);
}

static void release(struct columns *c)
{
    while (c->count)
        free(c->memory[--c->count]);
}

/* Breaks the structure in a way that can be seen without reading past anything. */
static void spoil(struct columns *c, uint8_t how, uint8_t where)
{
    lapse_batch *b = &c->batch;
    int64_t *offsets;
    memcpy(&offsets, c->bytes + texts[where % TEXTS].offsets, sizeof offsets);
    if (!offsets)
        offsets = (int64_t *)(uintptr_t)b->customer_offsets;
    switch (how % 8) {
    case 0: b->rows = -1 - (int64_t)where; break;
    case 1: b->size = where; break;
    case 2: b->flags = 1u << where % 32; break;
    case 3: b->time = NULL; break;
    case 4: b->customer_offsets = NULL; break;
    case 5: offsets[0] = INT64_MIN + where; break;
    case 6: offsets[where % b->rows] = offsets[b->rows] + 1 + (where & 1 ? INT64_C(1) << 62 : 0); break;
    default: offsets[b->rows] = -1; break;
    }
}

/* ---- appending ----------------------------------------------------------------------------------------------------- */

struct tally {
    int64_t rejected, conflicts;
};

static int32_t note(void *user, const lapse_reject *r)
{
    struct tally *t = user;
    CHECK(r->line >= 0 && r->line < MOST && r->row_size == 0 && strlen(r->text) <= 255 && r->rule[0]);
    *(r->outcome == LAPSE_ROW_CONFLICT ? &t->conflicts : &t->rejected) += 1;
    return 0;
}

static lapse_status append(lapse_store *store, const lapse_batch *batch, uint32_t flags, lapse_counts *counts,
                           int32_t *outcomes, lapse_error *error)
{
    lapse_append_options o;
    lapse_counts local = { 0 };
    struct tally tally = { 0, 0 };
    CHECK(lapse_append_options_init(&o, sizeof o) == LAPSE_OK);
    o.flags = flags;
    o.outcomes = outcomes;
    o.on_reject = note;
    o.reject_user = &tally;
    o.source = "host";
    counts = counts ? counts : &local;
    counts->size = sizeof *counts;
    *error = (lapse_error){ .size = sizeof *error };
    lapse_status status = lapse_store_append(store, batch, &o, counts, error);
    error_check(status, error);
    if (status == LAPSE_OK) {
        CHECK(counts->read == batch->rows && counts->rejected == tally.rejected && counts->conflict == tally.conflicts);
        CHECK(counts->read == counts->accepted + counts->duplicate + counts->conflict + counts->erased +
                                  counts->rejected);
    }
    return status;
}

static void check_export(lapse_store *store, const struct text *events, const lapse_store_options *options)
{
    lapse_store *copy = store_new(options);
    lapse_import_options import;
    lapse_counts counts = { .size = sizeof counts };
    struct text again = { 0 };
    struct stream stream = { events->data, events->size, 100 };
    CHECK(lapse_import_options_init(&import, sizeof import) == LAPSE_OK);
    import.source = "";
    CHECK(lapse_store_import_stream(copy, stream_read, &stream, &import, &counts, NULL) == LAPSE_OK);
    CHECK(counts.accepted == counts.read);
    CHECK(text_of_store(&again, copy) == LAPSE_OK && text_same(events, &again));
    lapse_store_close(copy);

    lapse_result *info = NULL;
    again.size = 0;
    CHECK(lapse_store_info(store, &info, NULL) == LAPSE_OK && text_of_result(&again, info) == LAPSE_OK);
    char line[64];
    snprintf(line, sizeof line, "\nevents,%lld\n", (long long)counts.read);
    CHECK(strstr(again.data, line));
    text_free(&again);
}

static const char nothing[] = "customer,time,kind\n";

/* All or nothing without skipping; a dry run tells the same and leaves nothing. */
static void check_strict(const struct columns *c, const lapse_store_options *options, const lapse_counts *counts,
                         const int32_t *outcomes, const struct text *events)
{
    struct text again = { 0 };
    lapse_error error;
    lapse_counts dry;
    int32_t outcomes2[MOST];
    int64_t n = c->batch.rows, first_bad = 0;
    while (first_bad < n && outcomes[first_bad] != LAPSE_ROW_REJECTED)
        first_bad++;
    lapse_store *store = store_new(options);
    CHECK(append(store, &c->batch, LAPSE_IMPORT_SKIP_BAD_ROWS | LAPSE_IMPORT_DRY_RUN, &dry, outcomes2, &error) ==
          LAPSE_OK);
    CHECK(memcmp(&dry, counts, sizeof dry) == 0 && memcmp(outcomes, outcomes2, (size_t)n * sizeof outcomes[0]) == 0);
    CHECK(text_of_store(&again, store) == LAPSE_OK && strcmp(again.data, nothing) == 0);
    lapse_status status = append(store, &c->batch, 0, NULL, NULL, &error);
    CHECK(status == (first_bad == n ? LAPSE_OK : LAPSE_BAD_INPUT));
    CHECK(status == LAPSE_OK || error.row == first_bad);
    CHECK(text_of_store(&again, store) == LAPSE_OK);
    CHECK(status == LAPSE_OK ? text_same(events, &again) : strcmp(again.data, nothing) == 0);
    text_free(&again);
    lapse_store_close(store);
}

/* Backwards it is the same, where no event contradicts another. */
static void check_order(const struct row *rows, int n, uint32_t absent, const lapse_store_options *options,
                        const lapse_counts *counts, const struct text *events)
{
    struct columns c;
    struct text again = { 0 };
    lapse_error error;
    lapse_counts backwards;
    int order[MOST];
    for (int i = 0; i < n; i++)
        order[i] = n - 1 - i;
    build(&c, rows, order, n, absent);
    lapse_store *store = store_new(options);
    CHECK(append(store, &c.batch, LAPSE_IMPORT_SKIP_BAD_ROWS, &backwards, NULL, &error) == LAPSE_OK);
    CHECK(memcmp(&backwards, counts, sizeof backwards) == 0);
    CHECK(text_of_store(&again, store) == LAPSE_OK && text_same(events, &again));
    text_free(&again);
    release(&c);
    lapse_store_close(store);
}

/* Cut in two, keeping all, it is the same as whole. */
static void check_cut(const struct row *rows, int n, int border, uint32_t absent, const lapse_store_options *options,
                      int64_t as_of)
{
    const uint32_t keep = LAPSE_IMPORT_SKIP_BAD_ROWS | LAPSE_IMPORT_KEEP_ALL;
    lapse_store *whole = store_new(options), *cut = store_new(options);
    struct text events = { 0 }, again = { 0 };
    struct columns c;
    lapse_error error;
    int order[MOST];
    for (int i = 0; i < n; i++)
        order[i] = i;
    build(&c, rows, order, n, absent);
    CHECK(append(whole, &c.batch, keep, NULL, NULL, &error) == LAPSE_OK);
    release(&c);
    for (int part = 0; part < 2; part++) {
        build(&c, rows, order + (part ? border : 0), part ? n - border : border, absent);
        CHECK(append(cut, &c.batch, keep, NULL, NULL, &error) == LAPSE_OK);
        release(&c);
    }
    CHECK(text_of_store(&events, whole) == LAPSE_OK && text_of_store(&again, cut) == LAPSE_OK);
    CHECK(text_same(&events, &again));
    lapse_rfm_options rfm;
    CHECK(lapse_rfm_options_init(&rfm, sizeof rfm) == LAPSE_OK);
    rfm.flags = (uint32_t)border & 7;
    events.size = again.size = 0;
    answers_check(whole, as_of, &rfm, &events);
    answers_check(cut, as_of, &rfm, &again);
    CHECK(text_same(&events, &again));
    text_free(&events);
    text_free(&again);
    lapse_store_close(whole);
    lapse_store_close(cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz in = { data, size };
    struct row rows[MOST];
    struct columns c;
    struct text events = { 0 }, again = { 0 };
    lapse_store_options options;
    lapse_error error;
    lapse_counts counts, second;
    int order[MOST], n = 0;
    int32_t outcomes[MOST], outcomes2[MOST];
    uint8_t what = fuzz_byte(&in), where = fuzz_byte(&in);
    uint32_t absent = (uint32_t)fuzz_int(&in, 4);
    for (; n < MOST && in.left; n++) {
        draw_row(&in, &rows[n]);
        if (absent & 4) /* all or none: without the column the source is that of the call */
            rows[n].text[2] = (struct piece){ "", 0 };
        order[n] = n;
    }
    CHECK(lapse_store_options_init(&options, sizeof options) == LAPSE_OK);
    options.memory_limit = 16 << 20;
    options.digits = where % 7;
    lapse_store *store = store_new(&options);
    build(&c, rows, order, n, absent);
    if (what >= 224 && n) {
        spoil(&c, what, where);
        CHECK(append(store, &c.batch, LAPSE_IMPORT_SKIP_BAD_ROWS, NULL, NULL, &error) == LAPSE_INVALID);
        CHECK(text_of_store(&events, store) == LAPSE_OK && strcmp(events.data, nothing) == 0);
        goto end;
    }

    /* Outcomes add up; a second append adds nothing. */
    CHECK(append(store, &c.batch, LAPSE_IMPORT_SKIP_BAD_ROWS, &counts, outcomes, &error) == LAPSE_OK);
    CHECK(text_of_store(&events, store) == LAPSE_OK);
    int64_t seen[5] = { 0 };
    for (int i = 0; i < n; i++) {
        CHECK(outcomes[i] >= 0 && outcomes[i] <= LAPSE_ROW_REJECTED);
        seen[outcomes[i]]++;
    }
    CHECK(seen[0] == counts.accepted && seen[1] == counts.duplicate && seen[2] == counts.conflict &&
          seen[3] == counts.erased && seen[4] == counts.rejected);
    CHECK(append(store, &c.batch, LAPSE_IMPORT_SKIP_BAD_ROWS, &second, outcomes2, &error) == LAPSE_OK);
    for (int i = 0; i < n; i++)
        CHECK(outcomes2[i] == (outcomes[i] == LAPSE_ROW_ACCEPTED ? LAPSE_ROW_DUPLICATE : outcomes[i]));
    CHECK(text_of_store(&again, store) == LAPSE_OK && text_same(&events, &again));

    /* One more property an input, for stores take time to make. */
    if (what % 4 == 0)
        check_export(store, &events, &options);
    else if (what % 4 == 1)
        check_strict(&c, &options, &counts, outcomes, &events);
    else if (what % 4 == 2)
        check_cut(rows, n, n ? where % (n + 1) : 0, absent, &options,
                  where & 1 ? INT64_MAX : INT64_C(1700500000000000));
    else if (counts.conflict == 0)
        check_order(rows, n, absent, &options, &counts, &events);
end:
    release(&c);
    text_free(&events);
    text_free(&again);
    lapse_store_close(store);
    return 0;
}
