/* Failing allocations of upkeep: copies, verifying, compacting, salvaging, forgetting, and what a store in which somebody
 * was forgotten does afterwards. */
#define _POSIX_C_SOURCE 200809L

#include "failing.h"

#include "store/store.h"

static lapse_status back_up(lapse_store *store, void *user, lapse_error *error)
{
    (void)user;
    lapse_status status = lapse_store_backup(store, "copy.lapse", NULL, error);
    assert_int_equal(unlink("copy.lapse") == 0, status == LAPSE_OK);
    return status;
}

static lapse_status verify(lapse_store *store, void *user, lapse_error *error)
{
    lapse_result *report;
    (void)user;
    lapse_status status = lapse_store_verify(store, NULL, &report, error);
    assert_int_equal(report != NULL, status == LAPSE_OK);
    lapse_result_free(report);
    return status;
}

static lapse_store *with_runs(const char *path)
{
    struct file files[] = {
        { .text = first_file, .threads = 1 },
        { .text = second_file, .threads = 1, .flags = LAPSE_IMPORT_SKIP_BAD_ROWS },
        { .text = third_file, .threads = 1, .flags = LAPSE_IMPORT_NEGATIVE_REFUND, .map = "amount=n*each,source=who" },
    };
    lapse_store *store;
    assert_int_equal(open_store(path, 0, &store, NULL), LAPSE_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_int_equal(import_file(store, &files[i], NULL), LAPSE_OK);
        free(files[i].told.data);
    }
    return store;
}

/* Copies and verifying change nothing; nothing of a copy that failed is left, and remove_folder() sees to that too. */
static void copying_and_verifying(void **state)
{
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++)
        for (int in_file = 0; in_file < 2; in_file++) {
            lapse_store *store = with_runs(in_file ? store_path : NULL);
            fail_each(store, back_up, NULL, for_good, false);
            fail_each(store, verify, NULL, for_good, false);
            close_store(store);
            unlink(store_path);
        }
}

static void compacting(void **state)
{
    (void)state;
    lapse_upkeep_options o;
    lapse_upkeep_options_init(&o, sizeof o);
    for (int for_good = 0; for_good < 2; for_good++)
        for (int way = 0; way < 4; way++) { /* in memory and in a file; on one thread and on three */
            const char *in_file = way % 2 ? store_path : NULL;
            bool fired = true;
            o.threads = way < 2 ? 1 : 3;
            for (long n = 1; fired; n++) {
                lapse_store *store = with_runs(in_file);
                char *before = export_of(store), *after;
                lapse_error error = { .size = sizeof error };
                store->limits.range = 1;
                heap_fail(&heap, n, for_good);
                lapse_status status = lapse_store_compact(store, &o, &error);
                fired = heap_stop_failing(&heap);
                /* a bound is looked for in a block, which the cache then keeps if it can */
                assert_true(status == LAPSE_NO_MEMORY ? fired : status == LAPSE_OK && (!fired || o.threads > 1));
                assert_true(n > 1 || fired);
                after = export_of(store);
                assert_string_equal(after, before);
                free(after);
                assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
                assert_int_equal(verify(store, NULL, NULL), LAPSE_OK);
                after = export_of(store);
                assert_string_equal(after, before);
                free(after);
                free(before);
                close_store(store);
                unlink(store_path);
            }
        }
}

/* A store with a block lost, and a directory that is damaged but proves another. The same is saved each time there is memory. */
static void salvaging(void **state)
{
    (void)state;
    lapse_store *store = with_runs(store_path);
    struct lapse_buffer block;
    int64_t proof[8] = { 0 };
    lapse_buffer_init(&block, &store->mem);
    assert_int_equal(lapse_file_begin(store->file, NULL), LAPSE_OK);
    int64_t ids[] = { store->manifest->runs[0]->blocks[0].id };
    assert_int_equal(lapse_file_get_block(store->file, ids[0], &block, NULL), LAPSE_OK);
    assert_int_equal(lapse_file_put_block(store->file, block.data, block.size, &proof[2], NULL), LAPSE_OK);
    proof[3] = (int64_t)lapse_hash(block.data, block.size, (uint64_t)proof[2]);
    assert_int_equal(lapse_file_put_run(store->file, LAPSE_RUN_EVENTS, proof, sizeof proof, &proof[0], NULL), LAPSE_OK);
    assert_int_equal(lapse_file_drop_blocks(store->file, ids, 1, NULL), LAPSE_OK);
    assert_int_equal(lapse_file_commit(store->file, NULL), LAPSE_OK);
    lapse_buffer_free(&block);
    close_store(store);
    struct text saved = { 0 };
    for (int for_good = 0; for_good < 2; for_good++) {
        bool fired = true;
        for (long n = 0; fired || n == 1; n++) { /* 0: none fails */
            lapse_result *result = NULL;
            struct text now = { 0 };
            lapse_error error = { .size = sizeof error };
            heap_fail(&heap, n, for_good);
            lapse_status status = open_store(store_path, LAPSE_STORE_VERIFY, &store, &error);
            if (status == LAPSE_OK)
                status = lapse_store_salvage(store, NULL, &result, &error);
            bool damaged = status == LAPSE_DAMAGED && result;
            if (damaged)
                status = lapse_result_write_csv(result, put_bytes, &now, &error);
            fired = heap_stop_failing(&heap);
            assert_int_equal(status, damaged && now.data && status == LAPSE_OK ? LAPSE_OK : LAPSE_NO_MEMORY);
            assert_true(status == LAPSE_OK || fired);
            if (status == LAPSE_OK && !saved.data)
                saved = now;
            else if (status == LAPSE_OK)
                assert_string_equal(now.data, saved.data);
            if (now.data != saved.data)
                free(now.data);
            lapse_result_free(result);
            close_store(store);
            fired |= n == 0;
        }
    }
    assert_non_null(strstr(saved.data, "\n"));
    free(saved.data);
    unlink(store_path);
}

/* Beside these: addresses that two customers share with a third, what was said of them, and what was told of all three. */
static lapse_store *with_addresses(const char *path)
{
    struct file file = { .threads = 1, .text =
        "customer,time,kind,channel,endpoint,reason\n"
        "dan,2024-01-01,endpoint.added,email,a@b.c,\ndan,2024-01-01,endpoint.added,sms,a@b.c,\n"
        "dan,2024-02-01,message.bounced,email,a@b.c,hard\ndan,2024-02-02,suppression.added,email,,\n"
        "cat,2024-01-01,endpoint.added,email,a@b.c,\ncat,2024-01-01,endpoint.added,email,b@b.c,\n"
        "cat,2024-02-03,message.bounced,email,a@b.c,hard\ncat,2024-02-03,consent.withdrawn,,,\n"
        "fay,2024-01-01,endpoint.added,email,a@b.c,\nfay,2024-01-01,consent.granted,email,,\n" };
    lapse_store *store = with_runs(path);
    lapse_result *told;
    assert_int_equal(import_file(store, &file, NULL), LAPSE_OK);
    free(file.told.data);
    assert_int_equal(lapse_store_advance(store, 20000 * LAPSE_DAY, NULL, &told, NULL), LAPSE_OK);
    lapse_result_free(told);
    return store;
}

static int64_t rows_of(lapse_store *store, int family)
{
    struct lapse_manifest *m;
    int64_t rows = 0;
    assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
    for (size_t i = 0; i < m->count; i++)
        rows += m->runs[i]->family == family ? m->runs[i]->rows : 0;
    lapse_manifest_release(m);
    return rows;
}

/* Whoever is forgotten is forgotten altogether or not at all: what is kept of their addresses, and who is to be looked at
 * because of it, is there then and only then. What fails after the commit, clearing the file, is pending. */
static void forgetting(void **state)
{
    static const int64_t offsets[] = { 0, 3, 6 };
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++)
        for (int in_file = 0; in_file < 2; in_file++) {
            bool fired = true;
            for (long n = 1; fired; n++) {
                lapse_store *store = with_addresses(in_file ? store_path : NULL);
                char *before = export_of(store), *after;
                lapse_error error = { .size = sizeof error };
                lapse_forget_options o;
                lapse_forget_options_init(&o, sizeof o);
                o.at = 20000 * LAPSE_DAY;
                heap_fail(&heap, n, for_good);
                lapse_status status = lapse_store_forget(store, "dancat", offsets, 2, &o, NULL, &error);
                fired = heap_stop_failing(&heap);
                after = export_of(store);
                assert_true(status == LAPSE_OK || (fired && status == LAPSE_ERASE_PENDING) ||
                            (fired && status == LAPSE_NO_MEMORY));
                assert_true(n > 1 || fired);
                assert_int_equal(strcmp(before, after) == 0, status == LAPSE_NO_MEMORY);
                assert_int_equal(strstr(after, "dan,") != NULL, status == LAPSE_NO_MEMORY);
                /* of the one address a bounce, a block and a withdrawal, of the other the withdrawal */
                assert_int_equal(rows_of(store, LAPSE_RUN_LEDGER), status == LAPSE_NO_MEMORY ? 0 : 4);
                assert_int_equal(rows_of(store, LAPSE_RUN_TOUCHED), status != LAPSE_NO_MEMORY); /* fay */
                assert_int_equal(lapse_store_forget(store, NULL, NULL, 0, NULL, NULL, NULL), LAPSE_OK);
                assert_int_equal(verify(store, NULL, NULL), LAPSE_OK);
                free(after);
                free(before);
                close_store(store);
                unlink(store_path);
            }
        }
}

/* A store in which somebody was forgotten takes rows, theirs and those of others. */
static lapse_status import_again(lapse_store *store, void *user, lapse_error *error)
{
    (void)user;
    struct file file = { .text = first_file, .threads = 1 };
    lapse_status status = import_file(store, &file, error);
    free(file.told.data);
    return status;
}

static void knowing_the_forgotten(void **state)
{
    static const int64_t offsets[] = { 0, 3 };
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_forget_options o;
        lapse_forget_options_init(&o, sizeof o);
        o.at = 20000 * LAPSE_DAY;
        lapse_store *store = with_runs(NULL);
        assert_int_equal(lapse_store_forget(store, "dan", offsets, 1, &o, NULL, NULL), LAPSE_OK);
        fail_each(store, import_again, NULL, for_good, true);
        close_store(store);
    }
}

/* Answers about customers who share an address with others, living and forgotten. */
static lapse_status ask_crossing(lapse_store *store, void *user, lapse_error *error)
{
    lapse_view *view;
    lapse_result *result = NULL;
    lapse_decision d = { .size = sizeof d };
    lapse_status status = lapse_view_open(store, INT64_MAX, &view, error);
    if (status == LAPSE_OK)
        status = lapse_view_permit_one(view, NULL, "ann", LAPSE_CHANNEL_EMAIL, LAPSE_PURPOSE_MARKETING, NULL, &d, error);
    assert_true(status != LAPSE_OK || d.reasons == (UINT64_C(1) << LAPSE_REASON_CONSENT_WITHDRAWN |
                                                    UINT64_C(1) << LAPSE_REASON_SPAM_REPORTED));
    if (status == LAPSE_OK)
        status = lapse_view_consent(view, user, &result, error);
    lapse_table *table = NULL;
    while (status == LAPSE_OK && (status = lapse_result_next(result, &table, error)) == LAPSE_OK)
        lapse_table_release(table);
    lapse_result_free(result);
    lapse_view_close(view);
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

static void crossing(void **state)
{
    static const int64_t offsets[] = { 0, 3 };
    struct file file = { .threads = 1, .text =
        "customer,time,kind,channel,endpoint\n"
        "ann,2024-01-01,endpoint.added,email,a@b.c\nann,2024-01-01,consent.granted,email,\n"
        "bob,2024-01-01,endpoint.added,email,a@b.c\nbob,2024-02-01,consent.withdrawn,email,\n"
        "cat,2024-01-01,endpoint.added,email,a@b.c\ncat,2024-02-01,message.spam_reported,email,a@b.c\n" };
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        lapse_store *store = memory_store();
        lapse_forget_options o;
        lapse_forget_options_init(&o, sizeof o);
        o.at = 20000 * LAPSE_DAY;
        assert_int_equal(import_file(store, &file, NULL), LAPSE_OK);
        free(file.told.data);
        assert_int_equal(lapse_store_forget(store, "cat", offsets, 1, &o, NULL, NULL), LAPSE_OK);
        fail_each(store, ask_crossing, NULL, for_good, false);
        lapse_state_options one;
        lapse_state_options_init(&one, sizeof one);
        one.customer = "ann";
        fail_each(store, ask_crossing, &one, for_good, false);
        close_store(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copying_and_verifying),
        cmocka_unit_test(salvaging),
        cmocka_unit_test(compacting),
        cmocka_unit_test(forgetting),
        cmocka_unit_test(knowing_the_forgotten),
        cmocka_unit_test(crossing),
    };
    return cmocka_run_group_tests_name("memory_upkeep", tests, make_folder, remove_folder);
}
