/* lib/store, identity: random commits against a naive reference, with fingerprints that are nearly equal;
 * retractions; two processes. */
#define _POSIX_C_SOURCE 200809L

#include "identities.h"

#include <sys/wait.h>

/* ---- commits against a naive reference ------------------------------------------------------------------- */

/* In the place of the library's: with `similar` the first eight bytes take three values only. */
static bool similar;
void lapse_print_bytes(const uint8_t key[16], struct lapse_text source, struct lapse_text id,
                       uint8_t out[LAPSE_PRINT_SIZE])
{
    uint8_t text[1 + 255 + 255], whole[16];
    text[0] = (uint8_t)source.size;
    memcpy(text + 1, source.data, source.size);
    memcpy(text + 1 + source.size, id.data, id.size);
    lapse_siphash(key, text, 1 + source.size + id.size, whole);
    memcpy(out, whole, LAPSE_PRINT_SIZE);
    if (similar)
        memset(out, 0, 7);
    if (similar)
        out[7] %= 3;
}

static void random_commits(const struct world *w, int commits, int64_t most, bool in_time)
{
    struct model m;
    remove(path);
    lapse_store *store = open_store(path, 16 << 20);
    struct event *events = malloc((size_t)most * sizeof *events);
    open_model(&m, w);
    for (int c = 0; c < commits; c++) {
        int64_t n = 1 + (int64_t)draw((uint64_t)most), span = in_time ? w->times / 8 : w->times;
        int64_t from = in_time && draw(8) ? (w->times - span) * c / commits : (int64_t)draw((uint64_t)(w->times - span + 1));
        for (int64_t i = 0; i < n; i++)
            events[i] = draw_event(w, from, span);
        check_append(store, &m, events, n, draw(10) == 0 ? LAPSE_IMPORT_KEEP_ALL : 0);
        if (draw(4) == 0)
            check_append(store, &m, events, n - (int64_t)draw((uint64_t)n), 0); /* an overlapping extract */
        if (draw(10) == 0) { /* a dry run changes nothing */
            for (int64_t i = 0; i < n; i++)
                events[i] = draw_event(w, from, span);
            append(store, w, events, n, LAPSE_IMPORT_DRY_RUN, NULL);
        }
        if (draw(6) == 0) {
            lapse_store_close(store);
            store = open_store(path, 16 << 20);
        }
    }
    check_store(store, &m);
    lapse_store_close(store);
    close_model(&m);
    free(events);
}

static void commits_against_a_reference(void **state)
{
    (void)state;
    const struct world small = { 5, 40, 3, 60, 50 }, contents_only = { 20, 64, 2, 0, 0 }, ids_only = { 10, 40, 2, 400, 100 };
    for (int round = 0; round < 6; round++) {
        random_commits(&small, 30, 40, round % 2);
        random_commits(&contents_only, 30, 100, round % 2);
        random_commits(&ids_only, 20, 100, round % 2);
    }
    const struct world wide = { 500, 80, 3, 20000, 40 };
    random_commits(&wide, 12, 6000, true);
    random_commits(&wide, 6, 12000, false);
}

/* The first eight bytes of fingerprints tell little then, the rest decides. */
static void similar_fingerprints(void **state)
{
    (void)state;
    const struct world w = { 5, 40, 3, 90, 80 };
    similar = true;
    random_commits(&w, 30, 60, false);
    similar = false;
}

/* More fingerprints than memory: they are put aside, in more than one staged run. */
static void fingerprints_put_aside(void **state)
{
    (void)state;
    const struct world w = { 1000, 40, 5, 120000, 90 };
    struct model m;
    const int64_t n = 200000;
    struct event *events = malloc((size_t)n * sizeof *events);
    remove(path);
    lapse_store *store = open_store(path, 16 << 20);
    open_model(&m, &w);
    for (int64_t i = 0; i < n; i++)
        events[i] = draw_event(&w, 0, w.times);
    check_append(store, &m, events, n, 0);
    check_append(store, &m, events, n, 0);
    check_store(store, &m);
    lapse_store_close(store);
    store = open_store(path, 16 << 20); /* what was put aside is not in the file any more */
    struct lapse_manifest *manifest;
    assert_int_equal(lapse_store_manifest(store, &manifest, NULL), LAPSE_OK);
    int64_t *others = NULL, *ids = malloc(1000000), *ordered = malloc(1000000);
    size_t count = 0, k = 0;
    for (size_t i = 0; i < manifest->count; i++)
        k += lapse_run_ids(manifest->runs[i], ids + k);
    qsort(ids, k, sizeof *ids, order_keys);
    assert_int_equal(lapse_file_other_blocks(store->file, ids, k, &others, &count, NULL), LAPSE_OK);
    assert_int_equal(count, 0);
    lapse_manifest_release(manifest);
    lapse_store_close(store);
    close_model(&m);
    free(ids);
    free(ordered);
    free(events);
}

/* ---- retractions, processes ------------------------------------------------------------------------------ */

static int64_t append_one(lapse_store *store, const char *customer, int64_t day, int32_t kind, const char *ref,
                          const char *id)
{
    const int64_t customer_at[] = { 0, (int64_t)strlen(customer) }, ref_at[] = { 0, (int64_t)strlen(ref) };
    const int64_t id_at[] = { 0, (int64_t)strlen(id) }, source_at[] = { 0, 4 }, time = day * LAPSE_DAY;
    lapse_batch batch = { .size = sizeof batch, .rows = 1, .customer = customer, .customer_offsets = customer_at,
                          .time = &time, .kind = &kind, .ref = ref, .ref_offsets = ref_at, .event_id = id,
                          .event_id_offsets = id_at, .source = "shop", .source_offsets = source_at };
    lapse_counts counts = { .size = sizeof counts };
    assert_int_equal(lapse_store_append(store, &batch, NULL, &counts, NULL), LAPSE_OK);
    return counts.accepted;
}

static int64_t orders_of(lapse_store *store)
{
    lapse_view *view;
    lapse_result *result;
    assert_int_equal(lapse_view_open(store, 100 * LAPSE_DAY, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
    return count_rows(view, result);
}

/* An event taken back acts no more, whichever came first, and importing it again does not bring it back. */
static void retracted_events_stay_so(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        lapse_store *store = open_store(NULL, 16 << 20);
        for (int step = 0; step < 2; step++) {
            if ((step == 0) == (first == 0)) {
                assert_int_equal(append_one(store, "ann", 10, LAPSE_KIND_ORDER_PLACED, "o1", "e1"), 1);
                assert_int_equal(orders_of(store), step == 0);
            } else {
                assert_int_equal(append_one(store, "ann", 20, LAPSE_KIND_EVENT_RETRACTED, "e1", "r1"), 1);
            }
        }
        assert_int_equal(orders_of(store), 0);
        assert_int_equal(append_one(store, "ann", 10, LAPSE_KIND_ORDER_PLACED, "o1", "e1"), 0);
        assert_int_equal(append_one(store, "ann", 30, LAPSE_KIND_ORDER_PLACED, "o1", "e1"), 0); /* a conflict */
        assert_int_equal(orders_of(store), 0);
        assert_int_equal(append_one(store, "ann", 30, LAPSE_KIND_ORDER_PLACED, "o1", "e2"), 1);
        assert_int_equal(orders_of(store), 1);
        lapse_store_close(store);
    }
}

/* Two processes append the same events, batch by batch at once: each event is taken by one of them. */
static void two_processes(void **state)
{
    (void)state;
    const struct world w = { 200, 300, 100, 1000000, 50 };
    enum { BATCHES = 30, ROWS = 500 };
    static struct event events[BATCHES * ROWS];
    static bool seen[2][20000000];
    int ends[2];
    int64_t theirs = 0, ours = 0, different = 0;
    for (int64_t i = 0; i < BATCHES * ROWS; i++) {
        events[i] = draw_event(&w, i * w.times / (BATCHES * ROWS), 1);
        events[i].source = 0;
        bool *s = &seen[events[i].id >= 0][events[i].id >= 0 ? events[i].id : events[i].content];
        different += !*s;
        if (*s)
            i--; /* so that each is one event, whoever takes it */
        else
            *s = true;
    }
    remove(path);
    lapse_store_close(open_store(path, 16 << 20));
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    lapse_store *store = open_store(path, 16 << 20);
    for (int b = 0; b < BATCHES; b++)
        ours += append(store, &w, events + b * ROWS, ROWS, 0, NULL).accepted;
    lapse_store_close(store);
    if (child == 0) {
        ssize_t written = write(ends[1], &ours, sizeof ours);
        _exit(written == sizeof ours ? 0 : 1);
    }
    int status;
    assert_int_equal(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(ours + theirs, different);
    store = open_store(path, 16 << 20);
    assert_int_equal(rows_in(store, LAPSE_RUN_EVENTS), different);
    lapse_store_close(store);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_against_a_reference),
        cmocka_unit_test(similar_fingerprints),
        cmocka_unit_test(fingerprints_put_aside),
        cmocka_unit_test(retracted_events_stay_so),
        cmocka_unit_test(two_processes),
    };
    return cmocka_run_group_tests_name("identity", tests, make_folder, remove_folder);
}
