/* Event files: any bytes are imported or refused, whole; how they arrive changes nothing; what was taken in comes out
 * again as an event file that makes an equal store. Input: eight bytes of options, a line of `map` and one of
 * `time_format` where those ask for it, then the file. */
#define _POSIX_C_SOURCE 200809L

#include <unistd.h>

#include "fuzz.h"

#include "event/event.h"

/* ---- options ------------------------------------------------------------------------------------------------------ */

static const int64_t paris_starts[] = { 1698541200000000, 1711846800000000, 1729990800000000, 1743296400000000 };
static const int32_t paris_offsets[] = { 3600, 7200, 3600, 7200 };

struct plan {
    lapse_store_options store;
    lapse_import_options import;
    char *map, *format;
};

static void make_plan(struct plan *p, struct fuzz *in)
{
    static const char delimiters[] = { ',', ',', ';', '\t', '|', ' ', '1', '\x01' };
    static const char *const maps[] = { NULL, NULL, "customer=id,time=when", "amount=quantity*price",
                                        "customer=CustomerID,time=InvoiceDate,ref=InvoiceNo,amount=Quantity*UnitPrice" };
    static const char *const formats[] = { NULL, NULL, NULL, "%m/%d/%Y %H:%M", "%d.%m.%y" };
    static const char *const kinds[] = { NULL, NULL, "order.refunded", "consent.granted", "preference.set" };
    memset(p, 0, sizeof *p);
    CHECK(lapse_store_options_init(&p->store, sizeof p->store) == LAPSE_OK);
    CHECK(lapse_import_options_init(&p->import, sizeof p->import) == LAPSE_OK);
    p->import.flags = fuzz_byte(in) & (LAPSE_IMPORT_SKIP_BAD_ROWS | LAPSE_IMPORT_IGNORE_UNKNOWN |
                                       LAPSE_IMPORT_NEGATIVE_REFUND | LAPSE_IMPORT_KEEP_ALL);
    p->import.delimiter = delimiters[fuzz_below(in, sizeof delimiters)];
    uint8_t map = fuzz_byte(in), format = fuzz_byte(in), more = fuzz_byte(in), zone = fuzz_byte(in);
    if (map >= 200)
        p->import.map = p->map = fuzz_text(fuzz_line(in));
    else
        p->import.map = maps[map % 5];
    if (format >= 200)
        p->import.time_format = p->format = fuzz_text(fuzz_line(in));
    else
        p->import.time_format = formats[format % 5];
    p->import.kind = kinds[more % 5];
    p->import.source = more & 8 ? "shop" : "";
    p->import.name = "file";
    p->import.received_at = more & 16 ? INT64_C(1709288100000000) : INT64_MAX;
    p->store.memory_limit = 16 << 20;
    p->store.digits = (int32_t)(zone >> 4) % 7;
    if (zone & 1) {
        p->store.zone_count = zone & 2 ? 4 : 1;
        p->store.zone_starts = paris_starts;
        p->store.zone_offsets = paris_offsets + (zone >> 2 & 1);
        if (zone & 2)
            p->store.zone_offsets = paris_offsets;
    }
}

/* ---- whole imports -------------------------------------------------------------------------------------------------- */

struct outcome {
    lapse_status status;
    lapse_error error;
    lapse_counts counts;
    struct text rejects;
    int64_t rejected, conflicts;
    struct fuzz file;
};

/* A row is told as it stands in the file, from the line on which it begins. */
static void check_row(struct fuzz file, const lapse_reject *r)
{
    for (int64_t line = 1; line < r->line; line++)
        fuzz_line(&file);
    CHECK((size_t)r->row_size <= file.left && (r->row_size == 0 || memcmp(file.at, r->row, (size_t)r->row_size) == 0));
}

static int32_t note(void *user, const lapse_reject *r)
{
    struct outcome *o = user;
    char place[64];
    CHECK(r->size == sizeof *r && r->line >= 1 && r->row_size >= 0);
    CHECK(r->outcome == LAPSE_ROW_REJECTED || r->outcome == LAPSE_ROW_CONFLICT);
    bool rejected = r->outcome == LAPSE_ROW_REJECTED;
    CHECK(!rejected || o->conflicts == 0); /* bad rows first */
    check_row(o->file, r);
    o->rejected += rejected;
    o->conflicts += !rejected;
    snprintf(place, sizeof place, "%d,%lld,", (int)r->outcome, (long long)r->line);
    text_put(&o->rejects, place, strlen(place));
    text_put(&o->rejects, r->column, strlen(r->column) + 1);
    text_put(&o->rejects, r->rule, strlen(r->rule) + 1);
    if (rejected) { /* a stream cannot be read again for the rows of conflicts */
        text_put(&o->rejects, r->text, strlen(r->text) + 1);
        text_put(&o->rejects, r->row, (size_t)r->row_size);
    }
    return 0;
}

static void finish(struct outcome *o)
{
    const lapse_counts *c = &o->counts;
    error_check(o->status, &o->error);
    if (o->status != LAPSE_OK) {
        CHECK(o->status == LAPSE_BAD_INPUT || o->status == LAPSE_INVALID);
        CHECK(c->read == 0 && c->accepted == 0);
        return;
    }
    CHECK(c->read == c->accepted + c->duplicate + c->conflict + c->erased + c->rejected);
    CHECK(c->rejected == o->rejected && c->conflict == o->conflicts && c->erased == 0);
}

static void import(lapse_store *store, const struct plan *plan, const char *file, size_t n, int32_t threads,
                   size_t piece, uint32_t flags, struct outcome *o)
{
    lapse_import_options options = plan->import;
    struct stream stream = { file, n, piece };
    options.threads = threads;
    options.flags |= flags;
    options.on_reject = note;
    options.reject_user = o;
    *o = (struct outcome){ .error.size = sizeof o->error, .counts.size = sizeof o->counts,
                           .file = { (const uint8_t *)file, n } };
    o->status = lapse_store_import_stream(store, stream_read, &stream, &options, &o->counts, &o->error);
    finish(o);
}

static char path[] = "/tmp/lapse-fuzz-XXXXXX";

static void remove_file(void)
{
    unlink(path);
}

/* The same from a real file. */
static void import_file(lapse_store *store, const struct plan *plan, const char *file, size_t n, struct outcome *o)
{
    static int fd = -1;
    lapse_import_options options = plan->import;
    if (fd < 0) {
        fd = mkstemp(path);
        atexit(remove_file);
    }
    CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, file, n, 0) == (ssize_t)n);
    options.threads = 2;
    options.on_reject = note;
    options.reject_user = o;
    *o = (struct outcome){ .error.size = sizeof o->error, .counts.size = sizeof o->counts,
                           .file = { (const uint8_t *)file, n } };
    o->status = lapse_store_import_file(store, path, &options, &o->counts, &o->error);
    finish(o);
}

static void same_outcome(const struct outcome *a, const struct outcome *b)
{
    CHECK(a->status == b->status && strcmp(a->error.message, b->error.message) == 0);
    CHECK(a->error.line == b->error.line && memcmp(&a->counts, &b->counts, sizeof a->counts) == 0);
    CHECK(text_same(&a->rejects, &b->rejects));
}

/* The export makes an equal store, to which neither it nor the first file adds anything. */
static void export_again(const struct plan *plan, const char *file, size_t n, const struct outcome *first,
                         const struct text *events)
{
    struct outcome other;
    struct text again = { 0 };
    struct plan plain = *plan;
    CHECK(lapse_import_options_init(&plain.import, sizeof plain.import) == LAPSE_OK);
    plain.import.source = "";
    lapse_store *copy = store_new(&plan->store);
    import(copy, &plain, events->data, events->size, 1, events->size, 0, &other);
    CHECK(other.status == LAPSE_OK && other.counts.accepted == other.counts.read);
    CHECK(other.counts.accepted == (first->status == LAPSE_OK ? first->counts.accepted : 0));
    CHECK(text_of_store(&again, copy) == LAPSE_OK && text_same(events, &again));
    text_free(&other.rejects);
    import(copy, &plain, events->data, events->size, 1, events->size, 0, &other);
    CHECK(other.status == LAPSE_OK && other.counts.duplicate == other.counts.read);
    text_free(&other.rejects);
    if (first->status == LAPSE_OK && !(plan->import.flags & LAPSE_IMPORT_KEEP_ALL)) {
        import(copy, plan, file, n, 1, n + 1, 0, &other);
        CHECK(other.status == LAPSE_OK && other.counts.accepted == 0);
        CHECK(other.counts.conflict == first->counts.conflict);
        text_free(&other.rejects);
    }
    CHECK(text_of_store(&again, copy) == LAPSE_OK && text_same(events, &again));
    text_free(&again);
    lapse_store_close(copy);
}

static void whole(struct plan *plan, const char *file, size_t n, size_t piece)
{
    struct outcome first, other;
    struct text events = { 0 }, again = { 0 };
    lapse_store *store = store_new(&plan->store);
    import(store, plan, file, n, 1, n + 1, 0, &first);
    CHECK(text_of_store(&events, store) == LAPSE_OK);

    /* In pieces, from a file, on two threads: all the same. A dry run tells the same and leaves nothing. One of them
     * for an input, for stores take time to make. */
    lapse_store *twin = store_new(&plan->store);
    bool dry = piece % 4 == 0;
    if (dry)
        import(twin, plan, file, n, 1, n + 1, LAPSE_IMPORT_DRY_RUN, &other);
    else if (piece % 4 == 1)
        import_file(twin, plan, file, n, &other);
    else
        import(twin, plan, file, n, 2, piece, 0, &other);
    same_outcome(&first, &other);
    text_free(&other.rejects);
    CHECK(text_of_store(&again, twin) == LAPSE_OK);
    CHECK(dry ? strcmp(again.data, "customer,time,kind\n") == 0 : text_same(&events, &again));
    lapse_store_close(twin);

    if (first.counts.accepted || piece % 4 == 2)
        export_again(plan, file, n, &first, &events);
    lapse_rfm_options rfm;
    CHECK(lapse_rfm_options_init(&rfm, sizeof rfm) == LAPSE_OK);
    answers_check(store, INT64_C(1709288100000000), &rfm, NULL);
    text_free(&first.rejects);
    text_free(&events);
    text_free(&again);
    lapse_store_close(store);
}

/* ---- the reader alone, for chunks of an import are too long for an input to have two ------------------------------- */

/* Good rows as columns, good rows as they stood, bad ones: each of them in the order of lines. */
struct log {
    const struct lapse_csv *csv;
    int digits;
    struct text rows, raw, bad;
};

static int log_rows(void *self, const struct lapse_columns *rows, size_t n)
{
    struct log *log = self;
    char out[512];
    struct lapse_columns all = *rows;
    CHECK(n > 0 && n <= LAPSE_CSV_BATCH && rows->constant == 0);
    lapse_csv_constants(log->csv, &all);
    for (size_t i = 0; i < n; i++) {
        struct lapse_row row;
        lapse_columns_row(&all, i, lapse_columns_text(&all, LAPSE_F_CUSTOMER, i), &row);
        CHECK(row.customer.size > 0);
        snprintf(out, sizeof out, "%lld:", (long long)lapse_columns_number(&all, LAPSE_F_LINE, i));
        text_put(&log->rows, out, strlen(out));
        text_put(&log->rows, row.customer.data, row.customer.size);
        for (int f = 0; f < LAPSE_FIELDS; f++) {
            text_put(&log->rows, "|", 1);
            text_put(&log->rows, out, lapse_field_format((enum lapse_field)f, &row, log->digits, out));
        }
    }
    return 0;
}

static int log_row(void *self, int64_t line, struct lapse_text raw, struct lapse_text event_id)
{
    struct log *log = self;
    char out[64];
    snprintf(out, sizeof out, "%lld:", (long long)line);
    text_put(&log->raw, out, strlen(out));
    text_put(&log->raw, raw.data, raw.size);
    text_put(&log->raw, event_id.data, event_id.size);
    return 0;
}

static int log_bad(void *self, const struct lapse_csv_fault *fault)
{
    struct log *log = self;
    char out[64];
    snprintf(out, sizeof out, "!%lld:", (long long)fault->line);
    text_put(&log->bad, out, strlen(out));
    text_put(&log->bad, fault->column, strlen(fault->column));
    text_put(&log->bad, fault->text.data, fault->text.size);
    text_put(&log->bad, fault->row.data, fault->row.size);
    text_put(&log->bad, fault->rule, strlen(fault->rule));
    return 0;
}

static int64_t parse(const struct lapse_csv *csv, const char *text, size_t n, int64_t line, struct log *log)
{
    struct lapse_csv_sink sink = { log, log_rows, log_row, log_bad };
    struct lapse_csv_work work;
    lapse_allocator mem;
    int64_t rows = 0;
    CHECK(lapse_mem_init(&mem, NULL, NULL) == LAPSE_OK);
    lapse_csv_work_init(&work, &mem);
    char *exact = malloc(n ? n : 1); /* so that a byte too many is seen */
    CHECK(exact);
    if (n)
        memcpy(exact, text, n);
    CHECK(lapse_csv_parse(csv, &work, exact, n, line, &sink, &rows) == 0 && !work.failed);
    free(exact);
    lapse_csv_work_free(&work);
    return rows;
}

static void in_chunks(const struct plan *plan, const char *file, size_t n, size_t piece)
{
    lapse_allocator mem;
    struct lapse_csv *csv = NULL;
    struct lapse_check check = { .latest = plan->import.received_at, .key = "key", .key_size = 3,
                                 .digits = plan->store.digits };
    struct lapse_zone zone = { plan->store.zone_count, plan->store.zone_starts, plan->store.zone_offsets };
    const char *lf = memchr(file, '\n', n);
    size_t head = lf ? (size_t)(lf - file) : n;
    CHECK(lapse_mem_init(&mem, NULL, NULL) == LAPSE_OK);
    struct lapse_csv_setup setup = { &mem, &plan->import, "file", plan->import.source,
                                     zone.count ? &zone : &lapse_zone_utc, &check };
    if (lapse_csv_open(&setup, file, head, &csv, NULL) != LAPSE_OK)
        return;
    file += lf ? head + 1 : head;
    n -= lf ? head + 1 : head;
    struct log all = { csv, check.digits, { 0 }, { 0 }, { 0 } }, parts = all;
    int64_t rows = parse(csv, file, n, 2, &all), line = 2;
    for (size_t at = 0, end; at < n; at = end) {
        bool unclosed = false;
        size_t whole = 0;
        for (size_t size = piece; whole == 0; size *= 2) {
            end = n - at < size ? n : at + size;
            whole = lapse_csv_split(plan->import.delimiter, file + at, end - at, end == n, &unclosed);
            CHECK(whole <= end - at);
            if (end == n)
                break;
        }
        end = whole ? at + whole : n;
        CHECK(whole || unclosed); /* at the end of input only an open quote is no record */
        rows -= parse(csv, file + at, end - at, line, &parts);
        line += lapse_csv_lines(file + at, end - at);
    }
    CHECK(rows == 0 && text_same(&all.rows, &parts.rows) && text_same(&all.raw, &parts.raw));
    CHECK(text_same(&all.bad, &parts.bad));
    struct text *texts[] = { &all.rows, &all.raw, &all.bad, &parts.rows, &parts.raw, &parts.bad };
    for (int i = 0; i < 6; i++)
        text_free(texts[i]);
    lapse_csv_close(csv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz in = { data, size < 8192 ? size : 8192 };
    struct plan plan;
    size_t piece = 1 + fuzz_below(&in, 64);
    bool private = fuzz_byte(&in) & 1;
    make_plan(&plan, &in);
    const char *file = in.left ? (const char *)in.at : "";
    if (private)
        in_chunks(&plan, file, in.left, piece);
    else
        whole(&plan, file, in.left, piece);
    free(plan.map);
    free(plan.format);
    return 0;
}
