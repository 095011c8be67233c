/* Verifying: all damage is named, rows are checked that a run's checksums say nothing about, and no byte of a file
 * can be another without being found or being harmless. */
#define _POSIX_C_SOURCE 200809L

#include "upkeep.h"

#include <sys/stat.h>

static void verifying(void **state)
{
    (void)state;
    char rows[200];
    lapse_result *report;
    size_t n, m;
    lapse_store *store = filled(path, 13, 3000);
    struct host host = { 0 };
    lapse_upkeep_options o = told_by(&host);
    assert_int_equal(lapse_store_verify(store, &o, &report, NULL), LAPSE_OK);
    lapse_result_free(report);
    assert_true(host.asked > 3);
    assert_false(host.backwards);
    lapse_status status = LAPSE_CANCELLED;
    for (host = (struct host){ .stop_at = 1 }; status == LAPSE_CANCELLED; host = (struct host){ .stop_at = host.stop_at + 1 }) {
        status = lapse_store_verify(store, &o, &report, NULL);
        assert_int_equal(status == LAPSE_OK, report != NULL);
        lapse_result_free(report);
    }
    assert_int_equal(status, LAPSE_OK);
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
    assert_int_equal(verify(store, rows, sizeof rows, &report, NULL), LAPSE_OK);
    assert_string_equal(rows, "name,value\nblocks,23\nevents,39000\ncustomers,3000\nok,1\n");
    lapse_result_free(report);
    lapse_store_close(store);
    char *before = bytes_of(path, &n);
    check_sound_file(path);
    char *after = bytes_of(path, &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n);
    assert_int_equal(names_with("a.lapse"), 1);
    free(before);
    free(after);
    /* What a crash leaves is no damage. */
    raw("INSERT INTO block(data) VALUES(x'00')");
    check_sound_file(path);
    assert_int_equal(chmod(path, 0400), 0);
    check_sound_file(path);
    unlink(path);
    store = opened(path, 0);
    assert_int_equal(verify(store, rows, sizeof rows, &report, NULL), LAPSE_OK);
    assert_string_equal(rows, "name,value\nblocks,0\nevents,0\ncustomers,0\nok,1\n");
    lapse_result_free(report);
    lapse_store_close(store);
    unlink(path);
}

/* Every note of a file, each with LF. */
static char *notes_of(const char *at)
{
    lapse_store *store = opened(at, LAPSE_STORE_VERIFY);
    struct lapse_buffer text;
    lapse_result *report;
    lapse_error error = { .size = sizeof error };
    char rows[200];
    lapse_buffer_init(&text, &mem);
    verify(store, rows, sizeof rows, &report, &error);
    assert_non_null(report);
    for (int i = 0; i < lapse_result_notes(report); i++) {
        if (i == 0) /* the message is the first note, as far as it has room */
            assert_memory_equal(error.message, lapse_result_note(report, i), 20);
        lapse_buffer_text(&text, lapse_result_note(report, i));
        lapse_buffer_byte(&text, '\n');
    }
    lapse_buffer_byte(&text, 0);
    lapse_result_free(report);
    lapse_store_close(store);
    return text.data;
}

static void check_notes(const char *const *expected)
{
    char *notes = notes_of(path);
    int n = 0;
    for (const char *p = notes; *p; p++)
        n += *p == '\n';
    for (; *expected; expected++, n--)
        if (!strstr(notes, *expected))
            fail_msg("\"%s\" is not among:\n%s", *expected, notes);
    if (n != 0)
        fail_msg("other notes than expected:\n%s", notes);
    free(notes);
}

/* All damage is named, not only the first. */
static void damage_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        const char *notes[4];
    } cases[] = {
        { "UPDATE block SET data = zeroblob(length(data)) WHERE id = 1; DELETE FROM block WHERE id = 3;",
          { "run 1, block 1, customers \"c000000\" to \"c002999\": its checksum is another",
            "run 3, block 3, fingerprints 0", NULL } },
        { "UPDATE block SET data = x'' WHERE id = 2", { "run 2, block 2, customers", NULL } },
        { "UPDATE block SET data = (SELECT data FROM block WHERE id = 1) WHERE id = 2", { "run 2, block 2", NULL } },
        { "UPDATE meta SET value = x'30' WHERE name = 'zone'; UPDATE meta SET value = '3' WHERE name = 'digits';",
          { "value named zone", "value named digits", NULL } },
        { "DELETE FROM meta WHERE name = 'currency'", { "no value named currency", NULL } },
        { "UPDATE run SET directory = zeroblob(20) WHERE id = 1; UPDATE block SET data = x'' WHERE id = 2;",
          { "the directory of run 1 is damaged", "run 2, block 2", NULL } },
        { "DELETE FROM run WHERE id = 3", { "list of runs is damaged", NULL } },
        { "INSERT INTO run(family, directory) SELECT family, directory FROM run WHERE id = 1",
          { "list of runs", "block 1 is listed twice", NULL } },
        { "UPDATE run SET family = 9 WHERE id = 2", { "run 2", NULL } },
        { "UPDATE run SET family = 0 WHERE id = 2", { "run 2 is of a family that there is not", NULL } },
        { "UPDATE run SET family = 3 WHERE id = 2", { "run 2 is of a family that there is not", NULL } }, /* never published */
        { "UPDATE run SET family = 99 WHERE id = 2", { "run 2 is of a family that there is not", NULL } },
        { "DELETE FROM meta WHERE name = 'runs'", { "no value named runs", NULL } },
        { "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'block'", { "ids of blocks would be given", NULL } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lapse_store *store = filled(path, 2, 2000);
        lapse_store_close(store);
        raw(cases[i].sql);
        check_notes(cases[i].notes);
    }
    /* Nothing but verify takes a store that is damaged as a whole. */
    lapse_store *store = filled(path, 2, 10);
    lapse_view *view;
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    int64_t when;
    lapse_store_close(store);
    raw("UPDATE meta SET value = x'30' WHERE name = 'zone'");
    assert_int_equal(open_with(path, 0, 0, &store, &error), LAPSE_DAMAGED);
    assert_int_equal(open_with(path, LAPSE_STORE_READ_ONLY, 0, &store, &error), LAPSE_DAMAGED);
    store = opened(path, LAPSE_STORE_VERIFY);
    assert_int_equal(lapse_view_open(store, 1, &view, &error), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_info(store, &result, NULL), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_default_instant(store, &when, NULL), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_time(store, "2024-01-01", &when, NULL), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_DAMAGED);
    assert_int_equal(lapse_store_backup(store, copy_path, NULL, NULL), LAPSE_DAMAGED);
    lapse_store_close(store);
    unlink(path);
}

/* Runs made by hand, whose checksums are right and whose rows are not. */
struct hand {
    int64_t times[4], values[4];
    const char *keys[4], *ids[4];
    int kinds[4];
    int family, rows;
    void (*change)(struct lapse_run *run); /* of its directory, before that is stored; NULL: it is right */
    const char *note;                      /* NULL: none */
    const char *source, *endpoint;         /* of each row */
};

static void put_text(struct lapse_columns *c, int field, const char *text, uint8_t *size)
{
    static const uint32_t at = 0;
    if (!text)
        return;
    *size = (uint8_t)strlen(text);
    c->fields |= LAPSE_FIELD_BIT(field);
    c->text[field] = (struct lapse_text_column){ text, &at, size, NULL };
}

static lapse_status add_by_hand(lapse_store *store, const struct hand *h)
{
    struct lapse_run_writer w;
    struct lapse_run *run = NULL;
    struct lapse_manifest *m = NULL;
    lapse_status status = lapse_run_writer_open(&w, store, h->family, NULL);
    for (int i = 0; i < h->rows && status == LAPSE_OK; i++) {
        struct lapse_text key = { h->keys[i], (uint32_t)strlen(h->keys[i]) };
        uint8_t kind = (uint8_t)h->kinds[i], sizes[3];
        struct lapse_columns c = { 0 };
        if (h->family == LAPSE_RUN_FINGERPRINTS || h->values[i]) {
            c.fields |= LAPSE_FIELD_BIT(LAPSE_F_VALUE);
            c.number[LAPSE_F_VALUE] = &h->values[i];
        }
        if (h->family != LAPSE_RUN_FINGERPRINTS) {
            c.fields |= LAPSE_FIELD_BIT(LAPSE_F_TIME) | LAPSE_FIELD_BIT(LAPSE_F_KIND);
            c.number[LAPSE_F_TIME] = &h->times[i];
            c.name[LAPSE_F_KIND] = &kind;
        }
        put_text(&c, LAPSE_F_EVENT_ID, h->ids[i], &sizes[0]);
        put_text(&c, LAPSE_F_SOURCE, h->source, &sizes[1]);
        put_text(&c, LAPSE_F_ENDPOINT, h->endpoint, &sizes[2]);
        status = lapse_run_writer_put(&w, key, &c, UINT32_MAX, 0, 1, NULL);
    }
    if (status == LAPSE_OK)
        status = lapse_file_begin(store->file, NULL);
    if (status == LAPSE_OK)
        status = lapse_store_manifest(store, &m, NULL);
    if (status == LAPSE_OK)
        status = lapse_run_writer_finish(&w, &run, NULL);
    if (run && h->change)
        h->change(run);
    if (status == LAPSE_OK)
        status = lapse_store_publish(store, m, &run, 1, NULL, 0, NULL);
    lapse_run_writer_abort(&w);
    lapse_manifest_release(m);
    lapse_run_release(run);
    return status;
}

static void no_nameless(struct lapse_run *run) { run->nameless_source = false; }
static void another_source(struct lapse_run *run) { *(char *)(uintptr_t)run->sources[0].data = 'X'; }
static void more_keys(struct lapse_run *run) { run->blocks[0].keys++; }
static void more_rows(struct lapse_run *run) { run->blocks[0].rows++; }
static void later_first(struct lapse_run *run) { run->blocks[0].first_time++; }
static void later_last(struct lapse_run *run) { run->blocks[0].last_time++; }
static void no_ids(struct lapse_run *run) { run->fields &= ~LAPSE_FIELD_BIT(LAPSE_F_EVENT_ID); }
static void another_family(struct lapse_run *run) { run->family = LAPSE_RUN_TOUCHED; }
static void first_key(struct lapse_run *run) { *(char *)(uintptr_t)run->blocks[0].first_key.data = 'A'; }
static void last_key(struct lapse_run *run) { *(char *)(uintptr_t)run->blocks[0].last_key.data = 'z'; }

static void rows_are_checked(void **state)
{
    (void)state;
    enum { EVENTS = LAPSE_RUN_EVENTS, PRINTS = LAPSE_RUN_FINGERPRINTS, LEDGER = LAPSE_RUN_LEDGER,
           ORDER = LAPSE_KIND_ORDER_PLACED };
    static const char counts[] = "its directory counts other rows or keys", names[] = "its directory names other keys";
    static const char spans[] = "its directory names other times", address[] = "an address of thirty-two letters";
    static const struct hand cases[] = {
        { { 5, 6, 7 }, { 0 }, { "a", "a", "b" }, { NULL }, { ORDER, ORDER, ORDER }, EVENTS, 3, .note = NULL },
        { { 6, 5 }, { 0 }, { "a", "a" }, { NULL }, { ORDER, ORDER }, EVENTS, 2, .note = "not in order" },
        { { 0 }, { 0 }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, .note = "1970-01-01" },
        { { INT64_MAX }, { 0 }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, .note = "1900-01-01 to 2999" },
        { { 5 }, { 0 }, { "a" }, { NULL }, { LAPSE_KIND_CONSENT_GRANTED }, EVENTS, 1, .note = "needs a channel" },
        { { 5 }, { 0 }, { "\xff" }, { NULL }, { ORDER }, EVENTS, 1, .note = "customers ff to ff: this is not valid UTF-8" },
        { { 5 }, { 0 }, { "a" }, { "\xff" }, { ORDER }, EVENTS, 1, .note = "not valid UTF-8" },
        { { 5 }, { 0 }, { "a" }, { "1" }, { ORDER }, EVENTS, 1, .note = "fingerprints that begin with" },
        { { 5 }, { 0 }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, .change = no_nameless, .note = "events without a source" },
        { { 0 }, { 7, 7 }, { "0123456789ab", "0123456789ac" }, { NULL }, { 0 }, PRINTS, 2,
          .note = "fingerprints that begin with 30: there are 2" },
        { { 0 }, { 7, 7 }, { "0123456789ab", "0123456789ab" }, { NULL }, { 0 }, PRINTS, 2, .note = "there twice" },
        { { 0 }, { 7 }, { "01234" }, { NULL }, { 0 }, PRINTS, 1, .note = "fingerprints 3031323334 to 3031323334" },
        { { 5, 6 }, { 0 }, { "a", "b" }, { NULL }, { ORDER, ORDER }, EVENTS, 2, .change = more_keys, .note = counts },
        { { 5, 6 }, { 0 }, { "a", "b" }, { NULL }, { ORDER, ORDER }, EVENTS, 2, .change = more_rows, .note = counts },
        { { 5, 6 }, { 0 }, { "a", "b" }, { NULL }, { ORDER, ORDER }, EVENTS, 2, .change = later_first, .note = spans },
        { { 5, 6 }, { 0 }, { "a", "b" }, { NULL }, { ORDER, ORDER }, EVENTS, 2, .change = later_last, .note = spans },
        { { 5, 6 }, { 0 }, { "a", "b" }, { NULL }, { ORDER, ORDER }, EVENTS, 2, .change = first_key, .note = names },
        { { 5, 6 }, { 0 }, { "a", "b" }, { NULL }, { ORDER, ORDER }, EVENTS, 2, .change = last_key, .note = names },
        { { 5 }, { 0 }, { "a" }, { "1" }, { ORDER }, EVENTS, 1, .change = no_ids,
          .note = "columns that its directory does not know" },
        { { 5 }, { 0 }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, .change = another_family,
          .note = "not the columns of its family" },
        { { 5 }, { 0 }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, .change = another_source, .source = "shop",
          .note = "does not list the source of one" },
        { { 5 }, { 0 }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, .endpoint = "a@b.c", .note = "an endpoint is no hash" },
        { { 5 }, { INT64_C(0x7ff0000000000000) }, { "a" }, { NULL }, { ORDER }, EVENTS, 1, .note = "at most 15 significant" },
        { { 6, 5 }, { 0 }, { address, address }, { NULL }, { LAPSE_KIND_MESSAGE_BOUNCED, LAPSE_KIND_MESSAGE_BOUNCED }, LEDGER, 2,
          .note = "its rows are not in order" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unlink(path);
        lapse_store *store = opened(path, 0);
        assert_int_equal(add_by_hand(store, &cases[i]), LAPSE_OK);
        lapse_store_close(store);
        const char *expected[] = { cases[i].note, NULL };
        check_notes(expected);
    }
    unlink(path);
}

/* A sample of the bytes of a store (all of them, in some minutes, with LAPSE_TEST_EVERY_BYTE): another value there is found,
 * or it changes no answer. */
static void any_byte(void **state)
{
    enum { STEP = 13 };
    (void)state;
    lapse_store *store = filled(path, 3, 200);
    append(store, 1, 1, true);
    char *before = export_of(store);
    size_t n, found = 0, tried = 0;
    lapse_store_close(store);
    char *file = bytes_of(path, &n);
    long first = getenv("LAPSE_TEST_EVERY_BYTE") ? 0 : 5, step = first ? STEP : 1;
    for (size_t i = (size_t)first; i < n; i += (size_t)step, tried++) {
        char *damaged = malloc(n);
        memcpy(damaged, file, n);
        damaged[i] = (char)(damaged[i] ^ (1 << i % 8));
        write_bytes(path, damaged, n);
        free(damaged);
        lapse_result *report = NULL;
        lapse_error error = { .size = sizeof error };
        lapse_status status = open_with(path, LAPSE_STORE_VERIFY, 0, &store, &error);
        if (status == LAPSE_OK)
            status = lapse_store_verify(store, NULL, &report, &error);
        if (status != LAPSE_OK) {
            found++;
            if (status != LAPSE_DAMAGED && status != LAPSE_UNSUPPORTED && status != LAPSE_IO)
                print_error("byte %zu: %s\n", i, lapse_status_name(status));
            assert_true(status == LAPSE_DAMAGED || status == LAPSE_UNSUPPORTED || status == LAPSE_IO);
            assert_true(error.message[0]);
        } else {
            struct text now;
            if (export_to(store, &now) != LAPSE_OK || strcmp(now.data, before) != 0)
                fail_msg("byte %zu of %zu is not found", i, n);
            free(now.data);
        }
        lapse_result_free(report);
        lapse_store_close(store);
        char beside[80]; /* a header that speaks of WAL makes SQLite look for one */
        snprintf(beside, sizeof beside, "%s-wal", path);
        unlink(beside);
        snprintf(beside, sizeof beside, "%s-shm", path);
        unlink(beside);
    }
    assert_true(found > tried / 8); /* much of a small file is empty */
    free(file);
    free(before);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifying),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(rows_are_checked),
        cmocka_unit_test(any_byte),
    };
    return cmocka_run_group_tests_name("store_verify", tests, make_folder, remove_folder);
}
