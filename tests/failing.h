/* What the suites of failing allocations share: a store whose allocator fails where it is told, what is imported into it and
 * asked of it, and the loop. Each allocation of an operation fails once, and from it on for good, until the operation meets
 * no failure any more. Each failure must be told as LAPSE_NO_MEMORY, leave the store as it was and usable, and nothing
 * allocated in the end. A suite defines _POSIX_C_SOURCE 200809L before this. */
#ifndef TESTS_FAILING_H
#define TESTS_FAILING_H

#include "help.h"

#include <unistd.h>

/* ---- what is done with a store -------------------------------------------------------------------------------- */

static struct heap heap;
static const lapse_allocator hooks = { sizeof hooks, 0, &heap, heap_alloc, heap_resize, heap_release };

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char store_path[64], text_path[64];

static const int64_t zone_starts[] = { INT64_MIN, INT64_C(1711846800000000), INT64_C(1729990800000000) };
static const int32_t zone_offsets[] = { 3600, 7200, 3600 };

static inline lapse_status open_store(const char *path, uint32_t flags, lapse_store **out, lapse_error *error)
{
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.flags = flags;
    o.allocator = &hooks;
    o.memory_limit = 16 << 20;
    o.sync = LAPSE_SYNC_OFF;
    o.zone_count = 3;
    o.zone_starts = zone_starts;
    o.zone_offsets = zone_offsets;
    o.zone_name = "Europe/Berlin";
    o.currency = "EUR";
    return lapse_store_open(path, &o, out, error);
}

struct file {
    const char *text, *map, *source;
    uint32_t flags;
    int32_t threads;
    bool stream;
    size_t size, given; /* of a stream; 0: all of `text`, 100 bytes at a time */
    int rejects;
    struct text told;
};

static inline int64_t read_text(void *user, char *buffer, int64_t capacity)
{
    struct file *f = user;
    size_t n = (f->size ? f->size : strlen(f->text)) - f->given, most = f->size ? (size_t)capacity : 100;
    n = n < most ? n : most;
    memcpy(buffer, f->text + f->given, n);
    f->given += n;
    return (int64_t)n;
}

static inline int32_t note_reject(void *user, const lapse_reject *r)
{
    struct file *f = user;
    f->rejects++;
    putf(&f->told, "%d %lld %s|%s|%s|%.*s\n", (int)r->outcome, (long long)r->line, r->column, r->text, r->rule,
         (int)r->row_size, r->row);
    return 0;
}

static inline lapse_status import_file(lapse_store *store, void *user, lapse_error *error)
{
    struct file *f = user;
    lapse_import_options o;
    lapse_counts counts = { .size = sizeof counts };
    lapse_import_options_init(&o, sizeof o);
    o.flags = f->flags;
    o.threads = f->threads;
    o.map = f->map;
    o.source = f->source ? f->source : "shop";
    o.on_reject = note_reject;
    o.reject_user = f;
    free(f->told.data);
    f->told = (struct text){ 0 };
    f->given = 0;
    f->rejects = 0;
    if (f->stream)
        return lapse_store_import_stream(store, read_text, f, &o, &counts, error);
    FILE *out = fopen(text_path, "w");
    assert_non_null(out);
    fputs(f->text, out);
    assert_int_equal(fclose(out), 0);
    return lapse_store_import_file(store, text_path, &o, &counts, error);
}

/* What is asked of a view, told as CSV. */
struct question {
    int64_t as_of;
    lapse_status (*ask)(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error);
    int how; /* write, collect, or pull part by part */
    const char *expected; /* NULL: not known yet */
    struct text answer;
};
enum { WRITE, COLLECT, PULL };

/* Enough of a table to see that nothing of it is missing. */
static inline void add_table(struct text *t, const lapse_table *table)
{
    putf(t, "%lld\n", (long long)lapse_table_rows(table));
    for (int32_t i = 0; i < lapse_table_columns(table); i++) {
        lapse_column c = { .size = sizeof c };
        assert_int_equal(lapse_table_column(table, i, &c), LAPSE_OK);
        put(t, c.name, strlen(c.name));
        putf(t, "%lld\n", (long long)c.missing);
        if (c.type == LAPSE_TYPE_STRING)
            put(t, c.data, (size_t)c.offsets[c.rows]);
        else
            for (int64_t r = 0; r < c.rows; r++)
                putf(t, "%lld\n", (long long)((const int64_t *)c.data)[r]);
    }
}

static inline lapse_status take_answer(struct question *q, lapse_result *result, lapse_error *error)
{
    lapse_table *table;
    lapse_status status = LAPSE_OK;
    for (int32_t i = 0; i < lapse_result_notes(result); i++)
        put(&q->answer, lapse_result_note(result, i), strlen(lapse_result_note(result, i)));
    if (q->how == WRITE)
        return lapse_result_write_csv(result, put_bytes, &q->answer, error);
    while (status == LAPSE_OK) {
        status = q->how == COLLECT ? lapse_result_collect(result, &table, error)
                                   : lapse_result_next(result, &table, error);
        assert_true((status == LAPSE_OK) == (table != NULL));
        if (status != LAPSE_OK)
            break;
        add_table(&q->answer, table);
        lapse_table_release(table);
        if (q->how == COLLECT)
            return LAPSE_OK;
    }
    if (status == LAPSE_DONE)
        return LAPSE_OK;
    assert_int_equal(lapse_result_next(result, &table, NULL), status); /* what ended it is told again */
    return status;
}

static inline lapse_status answer(lapse_store *store, void *user, lapse_error *error)
{
    struct question *q = user;
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    free(q->answer.data);
    q->answer = (struct text){ 0 };
    lapse_status status = lapse_view_open(store, q->as_of, &view, error);
    if (status != LAPSE_OK)
        assert_null(view);
    if (status == LAPSE_OK) {
        status = q->ask(store, view, &result, error);
        assert_true((status == LAPSE_OK) == (result != NULL));
    }
    lapse_view_close(view); /* before its result */
    if (status == LAPSE_OK)
        status = take_answer(q, result, error);
    if (status == LAPSE_OK && q->expected)
        assert_string_equal(q->answer.data, q->expected);
    lapse_result_free(result);
    return status;
}

static inline lapse_status ask_events(lapse_store *store, lapse_view *view, lapse_result **out, lapse_error *error)
{
    (void)store;
    return lapse_view_events(view, out, error);
}

static inline char *export_of(lapse_store *store)
{
    struct question q = { .as_of = INT64_MAX, .ask = ask_events };
    assert_int_equal(answer(store, &q, NULL), LAPSE_OK);
    return q.answer.data;
}

/* ---- the loop ------------------------------------------------------------------------------------------------ */

typedef lapse_status step_fn(lapse_store *store, void *user, lapse_error *error);

/* Lets each allocation of `step` fail, on one and the same store, until none is left and the step is done. A step may
 * also get over a failure, when nothing is lost by it: the memory was for merging after the commit, or for a part of an
 * answer that turned out to be empty. Then a step that commits is done; an answer is compared by the step itself. */
static inline void fail_each(lapse_store *store, step_fn *step, void *user, bool for_good, bool commits)
{
    char *before = export_of(store);
    for (long n = 1;; n++) {
        lapse_error error = { .size = sizeof error };
        heap_fail(&heap, n, for_good);
        lapse_status status = step(store, user, &error);
        bool fired = heap_stop_failing(&heap);
        if (fired && status == LAPSE_OK && !commits)
            continue;
        if (fired && status != LAPSE_OK) {
            if (status != LAPSE_NO_MEMORY)
                print_error("allocation %ld: %s, %s\n", n, lapse_status_name(status), error.message);
            assert_int_equal(status, LAPSE_NO_MEMORY);
            assert_int_equal(error.status, LAPSE_NO_MEMORY);
            char *after = export_of(store);
            assert_string_equal(after, before);
            free(after);
            continue;
        }
        if (status != LAPSE_OK)
            print_error("%s\n", error.message);
        assert_int_equal(status, LAPSE_OK);
        assert_true(n > 1); /* it does allocate */
        break;
    }
    free(before);
}

static inline lapse_store *memory_store(void)
{
    lapse_store *store;
    heap_stop_failing(&heap);
    assert_int_equal(open_store(NULL, 0, &store, NULL), LAPSE_OK);
    return store;
}

/* Closing needs no memory, and gives all back. */
static inline void close_store(lapse_store *store)
{
    heap_fail(&heap, 1, true);
    lapse_store_close(store);
    assert_false(heap_stop_failing(&heap));
    assert_int_equal(heap.live, 0);
}
/* ---- files, and the folder they are in ------------------------------------------------------------------------ */

static const char first_file[] =
    "customer,time,kind,amount,channel,ref,reason,event_id,source\n"
    "ann,2024-01-01,order.placed,10.50,email,o1,,1,shop\n"
    "ann,2024-02-01,order.placed,,,o2,late,2,shop\n"
    "bob,2024-03-31T01:30:00Z,order.placed,7,,,,3,shop\n"
    "bob,2024-04-01,order.refunded,1.25,,o3,broken,,web\n"
    "cat,2024-05-01,session.started,,,,,,web\n"
    "dan,2024-01-15,order.placed,99,,,,4,shop\n"
    "dan,2024-01-16,event.retracted,,,4,,5,shop\n"
    "dan,2024-01-17,order.placed,5,,,,6,shop\n";

static const char second_file[] =
    "customer,time,kind,amount,channel,ref,reason,value,item,quantity,category,price,endpoint,evidence,event_id,"
    "source\n"
    "ann,2024-01-01,order.placed,10.51,email,o1,,,,,,,,,1,shop\n" /* differs: conflict */
    "\"eve, \"\"the\"\" first\",2024-06-01,order.placed,3.99,,o9,\"a \"\"reason\"\"\",2.5,i1,0.5,c,1,,,20,shop\n"
    "bob,2024-06-02,order.placed,-1,,,,,,,,,,,21,shop\n" /* bad: negative */
    "bob,2024-06-02,order.placed,1,,\"two\nlines\",,,,,,,,,22,shop\n"
    "bob,2024-06-02,order.placed,x\"y,,,,,,,,,,,23,shop\n" /* bad: quote */
    "bob,2024-06-02,order.placed,2,,,,,,,,,,,22,shop\n" /* conflict in itself */
    "fay,2024-06-03,endpoint.added,,email,,,,,,,,fay@example.org,\"he said \"\"yes\"\"\",24,shop\n"
    "fay,2024-06-03,no.such,,email,,,,,,,,,,,shop\n" /* bad: kind */
    "gil,2024-06-04,order.placed,4,,,,,,,,,,,,shop\n";

static const char third_file[] =
    "customer,time,n,each,who\n"
    "a,2024-01-01,2,1.50,x\nb,2024-01-02,-1,2.00,x\nc,2024-01-03,3,1.00,y\na,2024-01-04,1,1.00,x\n";

static inline int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return 1;
    snprintf(store_path, sizeof store_path, "%s/a.lapse", folder);
    snprintf(text_path, sizeof text_path, "%s/a.csv", folder);
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    unlink(store_path);
    unlink(text_path);
    return rmdir(folder);
}

#endif
