/* lib/store as callers see it: identity of events, conflicts, order and batches that change nothing, views that keep
 * their moment, two handles; outcomes of appends; what is refused. */
#define _POSIX_C_SOURCE 200809L

#include "stores.h"

#include <sys/stat.h>
#include <sys/wait.h>

/* With no options at all, as a caller begins. */
static lapse_store *open_store(const char *at)
{
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_store_open(at, NULL, &store, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    return store;
}

static lapse_counts import_text(lapse_store *store, const char *text, const char *source, uint32_t flags, int threads)
{
    lapse_import_options options;
    lapse_counts counts = { .size = sizeof counts };
    lapse_error error = { .size = sizeof error };
    write_bytes(text_path, text, strlen(text));
    lapse_import_options_init(&options, sizeof options);
    options.source = source;
    options.flags = flags;
    options.threads = threads;
    lapse_status status = lapse_store_import_file(store, text_path, &options, &counts, &error);
    if (status != LAPSE_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, LAPSE_OK);
    assert_int_equal(counts.read, counts.accepted + counts.duplicate + counts.conflict + counts.erased +
                                      counts.rejected);
    return counts;
}

static void check_counts(lapse_counts c, int64_t accepted, int64_t duplicate, int64_t conflict)
{
    assert_int_equal(c.accepted, accepted);
    assert_int_equal(c.duplicate, duplicate);
    assert_int_equal(c.conflict, conflict);
}

/* Many chunks, and threads that wait for each other: all rows come in, whoever reads and whoever parses. */
static void chunks_and_threads(void **state)
{
    enum { ROWS = 150000 };
    (void)state;
    struct lapse_buffer text;
    char line[64], *first = NULL;
    lapse_buffer_init(&text, &mem);
    lapse_buffer_text(&text, "customer,time,amount\n");
    for (int i = 0; i < ROWS; i++) {
        snprintf(line, sizeof line, "c%05d,@%d,%d.%02d\n", i * 7919 % 30011, 1700000000 + i / 3, i % 90, i % 100);
        lapse_buffer_text(&text, line);
    }
    lapse_buffer_byte(&text, 0);
    for (int threads = 1; threads <= 5; threads++)
        for (int again = 0; again < 3; again++) {
            lapse_store *store = open_store(NULL);
            check_counts(import_text(store, text.data, "x", 0, threads), ROWS, 0, 0);
            if (again == 0) {
                char *all = export_of(store);
                first = first ? first : all;
                assert_string_equal(all, first);
                if (all != first)
                    free(all);
            }
            lapse_store_close(store);
        }
    free(first);
    lapse_buffer_free(&text);
}

/* Rulings F11 to F14, X5, X6. */
static void identity_of_events(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    const char *rows = "customer,time,amount\na,2024-01-01,1\na,2024-01-01,1.00\na,2024-01-01T00:00:00Z,2\n";
    check_counts(import_text(store, rows, "x", 0, 1), 3, 0, 0);
    check_counts(import_text(store, rows, "x", 0, 1), 0, 3, 0);
    check_counts(import_text(store, rows, "y", 0, 1), 3, 0, 0);
    check_counts(import_text(store, "customer,time,amount\na,2024-01-01,1\n", "x", 0, 1), 0, 1, 0);
    check_counts(import_text(store, "customer,time,amount\na,2024-01-01,1\na,2024-01-01,1\na,2024-01-01,1\n", "x", 0,
                             1), 1, 2, 0);
    check_counts(import_text(store, "customer,time,amount\na,2024-01-01,1\n", "x", LAPSE_IMPORT_KEEP_ALL, 1), 1, 0, 0);
    /* With ids: one name space across customers, the first stays. */
    const char *ids = "customer,time,amount,event_id\na,2024-01-01,1,e1\na,2024-01-01,1,e1\nb,2024-01-01,1,e1\n"
                      "a,2024-01-01,1,e2\n";
    check_counts(import_text(store, ids, "x", 0, 1), 2, 1, 1);
    check_counts(import_text(store, ids, "z", 0, 1), 0, 3, 1);
    check_counts(import_text(store, "customer,time,amount,event_id,source\na,2024-01-01,1,e1,other\n", NULL, 0, 1), 1,
                 0, 0);
    lapse_store_close(store);
}

struct seen {
    int count;
    int64_t line;
    char row[100];
};

static int32_t see_reject(void *user, const lapse_reject *reject)
{
    struct seen *seen = user;
    seen->count++;
    seen->line = reject->line;
    snprintf(seen->row, sizeof seen->row, "%s", reject->row);
    return 0;
}

static void conflicts_are_told_with_their_rows(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    lapse_import_options options;
    struct seen seen = { 0 };
    lapse_counts counts = { .size = sizeof counts };
    FILE *f = fopen(text_path, "w");
    fputs("customer,time,reason,event_id\na,2024-01-01,x,1\nb,2024-01-01,\"two\nlines\",2\nc,2024-01-01,y,1\n", f);
    fclose(f);
    lapse_import_options_init(&options, sizeof options);
    options.on_reject = see_reject;
    options.reject_user = &seen;
    assert_int_equal(lapse_store_import_file(store, text_path, &options, &counts, NULL), LAPSE_OK);
    check_counts(counts, 2, 0, 1);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.line, 5);
    assert_string_equal(seen.row, "c,2024-01-01,y,1");
    lapse_store_close(store);
}

/* However events come in, the store that they make is the same (laws 1 and 2). */
static void order_and_batches_change_nothing(void **state)
{
    (void)state;
    enum { ROWS = 3000 };
    static char lines[ROWS][80], text[ROWS * 80 + 100];
    const char *header = "customer,time,kind,amount,ref,reason\n";
    for (int i = 0; i < ROWS; i++)
        snprintf(lines[i], sizeof lines[i], "c%u,2024-0%u-1%u,%s,%u,r%u,%u\n", (unsigned)draw(200),
                 (unsigned)(1 + draw(9)), (unsigned)draw(9), draw(4) ? "order.placed" : "order.refunded",
                 (unsigned)(1 + draw(50)), (unsigned)draw(20), (unsigned)(i % 7));
    char *expected = NULL;
    for (int way = 0; way < 4; way++) {
        lapse_store *store = open_store(way == 3 ? path : NULL);
        int step = way == 1 ? 100 : way == 2 ? 37 : ROWS;
        for (int i = 0; i < ROWS; i++) { /* shuffle */
            char swap[80];
            int j = i + (int)draw((uint64_t)(ROWS - i));
            memcpy(swap, lines[i], 80);
            memcpy(lines[i], lines[j], 80);
            memcpy(lines[j], swap, 80);
        }
        for (int first = 0; first < ROWS; first += step) {
            strcpy(text, header);
            for (int i = first; i < first + step && i < ROWS; i++)
                strcat(text + strlen(text), lines[i]);
            import_text(store, text, "shop", way == 0 || way == 3 ? 0 : LAPSE_IMPORT_KEEP_ALL, 1 + way);
        }
        if (way == 0 || way == 3)
            check_counts(import_text(store, text, "shop", 0, 2), 0, ROWS, 0);
        char *got = export_of(store);
        if (expected)
            assert_string_equal(got, expected);
        else
            expected = got;
        if (got != expected)
            free(got);
        lapse_store_close(store);
        if (way == 3) { /* and after it was closed and opened */
            store = open_store(path);
            got = export_of(store);
            assert_string_equal(got, expected);
            free(got);
            lapse_store_close(store);
            unlink(path);
        }
    }
    free(expected);
}

/* Rows of one customer that fill many blocks, and staged runs that a small limit cuts. */
static void long_histories_and_small_memory(void **state)
{
    (void)state;
    enum { ROWS = 120000 };
    lapse_store_options options;
    lapse_store *store;
    static int64_t time[ROWS], offsets[ROWS + 1], refs[ROWS + 1];
    static char ids[ROWS * 2], ref[ROWS * 8];
    lapse_store_options_init(&options, sizeof options);
    options.memory_limit = 16 << 20;
    assert_int_equal(lapse_store_open(NULL, &options, &store, NULL), LAPSE_OK);
    for (int i = 0; i < ROWS; i++) {
        time[i] = (1 + (int64_t)draw(1000000)) * LAPSE_SECOND;
        ids[2 * i] = 'a';
        ids[2 * i + 1] = draw(3) ? 'a' : 'b';
        offsets[i + 1] = 2 * (i + 1);
        snprintf(ref + 7 * i, 8, "%07u", (unsigned)i % 10000000u);
        refs[i + 1] = 7 * (i + 1);
    }
    lapse_batch batch = { .size = sizeof batch, .rows = ROWS, .customer = ids, .customer_offsets = offsets,
                          .time = time, .ref = ref, .ref_offsets = refs };
    lapse_counts counts = { .size = sizeof counts };
    assert_int_equal(lapse_store_append(store, &batch, NULL, &counts, NULL), LAPSE_OK);
    check_counts(counts, ROWS, 0, 0);
    assert_int_equal(lapse_store_append(store, &batch, NULL, &counts, NULL), LAPSE_OK);
    check_counts(counts, 0, ROWS, 0);

    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    int64_t rows = 0, last = 0;
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_history(view, "aa", &result, NULL), LAPSE_OK);
    while (lapse_result_next(result, &table, NULL) == LAPSE_OK) {
        lapse_column column = { .size = sizeof column };
        assert_int_equal(lapse_table_column(table, 1, &column), LAPSE_OK);
        assert_in_range(column.rows, 1, 65536);
        for (int64_t i = 0; i < column.rows; i++) {
            assert_true(((const int64_t *)column.data)[i] >= last);
            last = ((const int64_t *)column.data)[i];
        }
        rows += column.rows;
        lapse_table_release(table);
    }
    int64_t expected = 0;
    for (int i = 0; i < ROWS; i++)
        expected += ids[2 * i + 1] == 'a';
    assert_int_equal(rows, expected);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void views_keep_their_moment(void **state)
{
    (void)state;
    for (int in_file = 0; in_file < 2; in_file++) {
        lapse_store *store = open_store(in_file ? path : NULL);
        lapse_view *views[40];
        char text[100];
        for (int i = 0; i < 40; i++) { /* enough commits for merges */
            snprintf(text, sizeof text, "customer,time\nc%02d,2024-01-01\n", i);
            import_text(store, text, NULL, 0, 1);
            assert_int_equal(lapse_view_open(store, INT64_MAX, &views[i], NULL), LAPSE_OK);
        }
        lapse_store_close(store); /* views stay usable */
        for (int i = 0; i < 40; i++) {
            lapse_result *result;
            lapse_table *table;
            assert_int_equal(lapse_view_events(views[i], &result, NULL), LAPSE_OK);
            assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
            assert_int_equal(lapse_table_rows(table), i + 1);
            lapse_table_release(table);
            lapse_result_free(result);
            lapse_view_close(views[i]);
        }
    }
    /* The last to leave takes nothing along, and leaves nothing beside the file. */
    lapse_store *store = open_store(path);
    char *all = export_of(store);
    assert_int_equal(strlen(all), strlen("customer,time,kind,source\n") +
                                      40 * strlen("c00,2024-01-01T00:00:00Z,order.placed,a.csv\n"));
    free(all);
    lapse_store_close(store);
    char beside[80];
    snprintf(beside, sizeof beside, "%s-wal", path);
    assert_int_not_equal(access(beside, F_OK), 0);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    unlink(path);
}

static void two_handles_see_each_other(void **state)
{
    (void)state;
    lapse_store *a = open_store(path), *b = open_store(path);
    import_text(a, "customer,time\na,2024-01-01\n", NULL, 0, 1);
    import_text(b, "customer,time\nb,2024-01-01\n", NULL, 0, 1);
    import_text(a, "customer,time\nc,2024-01-01\n", NULL, 0, 1);
    char *x = export_of(a), *y = export_of(b);
    assert_string_equal(x, y);
    assert_non_null(strstr(x, "\nc,"));
    free(x);
    free(y);
    lapse_store_close(a);
    lapse_store_close(b);
    unlink(path);
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static void read_only_stores(void **state)
{
    (void)state;
    lapse_store *store = open_store(path);
    import_text(store, "customer,time\na,2024-01-01\n", NULL, 0, 1);
    char *before = export_of(store), beside[80];
    lapse_store_close(store);
    lapse_store_options options;
    lapse_store_options_init(&options, sizeof options);
    options.flags = LAPSE_STORE_READ_ONLY;
    assert_int_equal(lapse_store_open(path, &options, &store, NULL), LAPSE_OK);
    int64_t time = LAPSE_DAY, offsets[] = { 0, 1 };
    lapse_batch batch = { .size = sizeof batch, .rows = 1, .customer = "x", .customer_offsets = offsets,
                          .time = &time };
    assert_int_equal(lapse_store_append(store, &batch, NULL, NULL, NULL), LAPSE_READ_ONLY);
    char *after = export_of(store);
    assert_string_equal(before, after);
    free(before);
    free(after);
    lapse_store_close(store);
    snprintf(beside, sizeof beside, "%s-shm", path);
    assert_int_not_equal(access(beside, F_OK), 0);
    unlink(path);
}

static lapse_status append_one(lapse_store *store, const char *customer, int64_t time, uint32_t flags, int32_t *outcome,
                               lapse_error *error)
{
    lapse_append_options options;
    int64_t offsets[] = { 0, (int64_t)strlen(customer) };
    lapse_append_options_init(&options, sizeof options);
    options.flags = flags;
    options.outcomes = outcome;
    options.received_at = 100 * LAPSE_DAY;
    lapse_batch batch = { .size = sizeof batch, .rows = 1, .customer = customer, .customer_offsets = offsets,
                          .time = &time };
    return lapse_store_append(store, &batch, &options, NULL, error);
}

static void appends_tell_their_outcome(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    lapse_error error = { .size = sizeof error };
    int32_t outcome = -1;
    assert_int_equal(append_one(store, "a", LAPSE_DAY, 0, &outcome, &error), LAPSE_OK);
    assert_int_equal(outcome, LAPSE_ROW_ACCEPTED);
    assert_int_equal(append_one(store, "a", LAPSE_DAY, 0, &outcome, &error), LAPSE_OK);
    assert_int_equal(outcome, LAPSE_ROW_DUPLICATE);
    assert_int_equal(append_one(store, "a", LAPSE_DAY, LAPSE_IMPORT_KEEP_ALL, &outcome, &error), LAPSE_OK);
    assert_int_equal(outcome, LAPSE_ROW_ACCEPTED);
    /* Rulings T1 and T4: no time 0, none later than the host's clock and five minutes. */
    assert_int_equal(append_one(store, "a", 0, 0, &outcome, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.row, 0);
    assert_string_equal(error.column, "time");
    int64_t latest = 100 * LAPSE_DAY + 300 * LAPSE_SECOND;
    assert_int_equal(append_one(store, "a", latest, 0, &outcome, &error), LAPSE_OK);
    assert_int_equal(append_one(store, "a", latest + 1, 0, &outcome, &error), LAPSE_BAD_INPUT);
    assert_int_equal(append_one(store, "a", latest + 1, LAPSE_IMPORT_SKIP_BAD_ROWS, &outcome, &error), LAPSE_OK);
    assert_int_equal(outcome, LAPSE_ROW_REJECTED);
    assert_int_equal(append_one(store, "b", LAPSE_DAY, LAPSE_IMPORT_DRY_RUN, &outcome, &error), LAPSE_OK);
    char *all = export_of(store);
    assert_null(strstr(all, "\nb,"));
    free(all);
    lapse_store_close(store);
}

static int32_t stop(void *user, int64_t done, int64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return 1;
}

static void cancelled_imports_leave_nothing(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    lapse_import_options options;
    lapse_import_options_init(&options, sizeof options);
    options.on_progress = stop;
    write_bytes(text_path, "customer,time\na,2024-01-01\n", 27);
    assert_int_equal(lapse_store_import_file(store, text_path, &options, NULL, NULL), LAPSE_CANCELLED);
    char *all = export_of(store);
    assert_string_equal(all, "customer,time,kind\n");
    free(all);
    lapse_store_close(store);
}

static void handles_do_not_survive_fork(void **state)
{
    (void)state;
    lapse_store *store = open_store(NULL);
    pid_t child = fork();
    if (child == 0) {
        int64_t when;
        _exit(lapse_store_default_instant(store, &when, NULL) == LAPSE_FORKED ? 0 : 1);
    }
    int code = -1;
    waitpid(child, &code, 0);
    assert_int_equal(code, 0);
    lapse_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_and_threads),
        cmocka_unit_test(identity_of_events),
        cmocka_unit_test(conflicts_are_told_with_their_rows),
        cmocka_unit_test(order_and_batches_change_nothing),
        cmocka_unit_test(long_histories_and_small_memory),
        cmocka_unit_test(views_keep_their_moment),
        cmocka_unit_test(two_handles_see_each_other),
        cmocka_unit_test(read_only_stores),
        cmocka_unit_test(appends_tell_their_outcome),
        cmocka_unit_test(cancelled_imports_leave_nothing),
        cmocka_unit_test(handles_do_not_survive_fork),
    };
    return cmocka_run_group_tests_name("store", tests, make_folder, remove_folder);
}
