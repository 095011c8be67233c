/* Damage of all sorts to the file of a store, and to the log that a writer left: it is found and named, or changes no
 * answer; and what is sound is saved (lapse_store_salvage()). A sample of random damage, ten times as much of it and more
 * with LAPSE_TEST_LONG. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "deeds.h"

enum { PAGE = 4096 };
static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64], log_path[72];

static void remove_store(void)
{
    static const char *const beside[] = { "", "-wal", "-shm", "-journal" };
    char name[80];
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, beside[i]);
        unlink(name);
    }
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    snprintf(log_path, sizeof log_path, "%s-wal", path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    remove_store();
    return rmdir(folder);
}

/* ---- files --------------------------------------------------------------------------------------------------------- */

static struct text read_file(const char *name)
{
    struct text t = { 0 };
    char buffer[PAGE];
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        text_add(&t, buffer, (int64_t)n);
    fclose(f);
    return t;
}

static void write_file(const char *name, const struct text *t)
{
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(t->data, 1, t->size, f), t->size);
    assert_int_equal(fclose(f), 0);
}

static struct text copy(const struct text *t)
{
    struct text c = { 0 };
    text_add(&c, t->data, (int64_t)t->size);
    return c;
}

static uint64_t chance_state;
static size_t chance(size_t below) /* splitmix64 */
{
    uint64_t z = chance_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (size_t)((z ^ z >> 31) % below);
}

/* Half of the time a bit or a byte, else what disks and copying do to files. */
static void damage(struct text *t)
{
    const size_t at = chance(t->size), sector = at / 512 * 512;
    switch (chance(12)) {
    default:
        t->data[at] = (char)(t->data[at] ^ 1 << chance(8));
        break;
    case 5:
        t->data[at] = (char)(t->data[at] + 1 + (int)chance(255));
        break;
    case 6: /* the head of a page */
        t->data[at / PAGE * PAGE + chance(12) < t->size ? at / PAGE * PAGE + chance(12) : at] = (char)chance(256);
        break;
    case 7:
        memset(t->data + sector, (int)(chance(2) * chance(256)), t->size - sector < 512 ? t->size - sector : 512);
        break;
    case 8:
        for (size_t i = at, n = 1 + chance(40); i < at + n && i < t->size; i++)
            t->data[i] = (char)chance(256);
        break;
    case 9:
        t->size = at;
        break;
    case 10:
        t->size = at / PAGE * PAGE;
        break;
    case 11: /* a page in the place of another */
        memmove(t->data + at / PAGE * PAGE, t->data + chance(t->size / PAGE) * PAGE,
                t->size - at / PAGE * PAGE < PAGE ? t->size - at / PAGE * PAGE : PAGE);
        break;
    }
}

/* ---- stores --------------------------------------------------------------------------------------------------------- */

static lapse_status open_with(uint32_t flags, int32_t digits, lapse_store **out, lapse_error *error)
{
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.flags = flags;
    o.digits = digits;
    o.timeout_ms = 0;
    o.sync = LAPSE_SYNC_OFF;
    return lapse_store_open(path, &o, out, error);
}

static lapse_store *opened(uint32_t flags)
{
    lapse_store *store;
    lapse_error error = { .size = sizeof error };
    if (open_with(flags, -1, &store, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    return store;
}

/* Row i of all; its ref names it. */
static int row(char *line, size_t room, int i)
{
    return snprintf(line, room, "c%03d,%lld,%d.50,r%d", i * 7 % 97, 1700000000LL + i * 61LL, i, i);
}

static void import(lapse_store *store, int first, int rows, bool ids)
{
    char line[120];
    struct text file = { 0 };
    text_add(&file, "customer,time,amount,ref,reason,event_id\n", 41);
    for (int i = first; i < first + rows; i++) {
        int n = row(line, sizeof line, i);
        char *time = strchr(line, ',') + 1;
        memmove(time + 1, time, strlen(time) + 1);
        *time = '@';
        n++;
        n += snprintf(line + n, sizeof line - (size_t)n, ids ? ",why%d,e%d\n" : ",why%d,\n", i % 5, i);
        text_add(&file, line, n);
    }
    struct text left = file;
    lapse_error error = { .size = sizeof error };
    if (lapse_store_import_stream(store, text_read, &left, NULL, NULL, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    free(file.data);
}

/* Three commits of `rows`, closed. Returns the export. */
static struct text make_store(int rows)
{
    struct text export = { 0 };
    remove_store();
    lapse_store *store = opened(0);
    import(store, 1, rows, true);
    import(store, 1 + rows, rows, false);
    import(store, 1 + 2 * rows, rows / 4, true);
    assert_int_equal(deeds_export(store, &export), LAPSE_OK);
    lapse_store_close(store);
    return export;
}

static bool names_damage(lapse_status status, const lapse_error *error)
{
    return (status == LAPSE_DAMAGED || status == LAPSE_UNSUPPORTED || status == LAPSE_IO) && error->message[0];
}

/* Every row is one of ours, and comes once. Returns how many there are. */
static int check_rows(const struct text *csv, int most)
{
    static const char header[] = "customer,time,";
    char *seen = calloc(1, (size_t)most + 1), *at = csv->data, expected[120];
    int n = 0, amount = -1, ref = -1, columns = 0;
    assert_memory_equal(at, header, sizeof header - 1);
    const char *end = strchr(at, '\n');
    for (const char *c = at; c < end; c += strcspn(c, ",\n") + 1, columns++) {
        amount = strncmp(c, "amount,", 7) == 0 ? columns : amount;
        ref = strncmp(c, "ref,", 4) == 0 ? columns : ref;
    }
    for (at = strchr(at, '\n') + 1; *at; at = strchr(at, '\n') + 1, n++) {
        const char *cell[20] = { NULL };
        int c = 0;
        for (const char *p = at; c < columns; p += strcspn(p, ",\n") + 1)
            cell[c++] = p;
        int i = ref < 0 ? 0 : atoi(cell[ref] + 1);
        assert_true(i > 0 && i <= most && !seen[i]);
        seen[i] = 1;
        int64_t time;
        char shown[40];
        row(expected, sizeof expected, i);
        assert_int_equal(strncmp(at, expected, 5), 0);
        snprintf(shown, sizeof shown, "%.*s", (int)strcspn(cell[1], ","), cell[1]);
        assert_int_equal(lapse_time_parse(shown, 0, NULL, NULL, &time, NULL), LAPSE_OK);
        assert_int_equal(time, (1700000000 + i * INT64_C(61)) * 1000000);
        snprintf(expected, sizeof expected, "%d.50,", i);
        assert_int_equal(strncmp(cell[amount], expected, strlen(expected)), 0);
    }
    free(seen);
    return n;
}

/* What can be saved: rows of ours, all of them unless something is named. -1: nothing, and why is named. */
static int salvage(int32_t digits, int most, int *notes)
{
    lapse_store *store = NULL;
    lapse_result *result = NULL;
    struct text csv = { 0 };
    lapse_error error = { .size = sizeof error };
    int rows = -1;
    lapse_status status = open_with(LAPSE_STORE_VERIFY, digits, &store, &error);
    if (status == LAPSE_OK)
        status = lapse_store_salvage(store, NULL, &result, &error);
    assert_true(status == LAPSE_OK || names_damage(status, &error));
    lapse_store_close(store); /* the result lives on */
    *notes = lapse_result_notes(result);
    if (result) {
        assert_int_equal(status == LAPSE_OK, *notes == 0);
        assert_true(status == LAPSE_OK || strcmp(lapse_result_note(result, 0), error.message) == 0);
        status = lapse_result_write_csv(result, text_add, &csv, NULL);
        assert_int_equal(status, LAPSE_OK);
        rows = check_rows(&csv, most);
        assert_true(rows == most || *notes > 0);
    }
    lapse_result_free(result);
    free(csv.data);
    return rows;
}

/* ---- any damage ----------------------------------------------------------------------------------------------------------- */

enum { CLEAN, NAMED, LOST }; /* what became of a damaged store */

/* Opened with `flags` and asked: one of the exports, or the damage is named. Verify must find it where the export is not the
 * last. */
static int ask(uint32_t flags, struct text *const exports, int count, uint64_t seed)
{
    lapse_store *store = NULL;
    struct text now = { 0 };
    lapse_error error = { .size = sizeof error };
    int outcome = NAMED;
    lapse_status status = open_with(flags, -1, &store, &error);
    assert_int_equal(error.status, status); /* also where opening had to recover first */
    assert_int_equal(error.message[0] == 0, status == LAPSE_OK);
    if (status == LAPSE_OK && (status = deeds_export(store, &now)) == LAPSE_OK) {
        int i = count - 1;
        while (i >= 0 && strcmp(now.data, exports[i].data) != 0)
            i--;
        if (i < 0)
            fail_msg("seed %llu: another answer, and no word", (unsigned long long)seed);
        outcome = i < count - 1 ? LOST : CLEAN;
    } else if (!store && !names_damage(status, &error) && status != LAPSE_READ_ONLY) {
        fail_msg("seed %llu: %s %s", (unsigned long long)seed, lapse_status_name(status), error.message);
    }
    lapse_store_close(store);
    free(now.data);
    return outcome;
}

static bool verified(uint64_t seed)
{
    lapse_store *store = NULL;
    lapse_error error = { .size = sizeof error };
    lapse_status status = open_with(LAPSE_STORE_VERIFY, -1, &store, &error);
    if (status == LAPSE_OK)
        status = deeds_verify(store, &error);
    lapse_store_close(store);
    if (status != LAPSE_OK && !names_damage(status, &error))
        fail_msg("seed %llu: verify: %s", (unsigned long long)seed, lapse_status_name(status));
    return status == LAPSE_OK;
}

static void random_damage(void **state)
{
    static const struct {
        int rows, quick, all;
    } sizes[] = { { 60, 900, 10000 }, { 9000, 40, 1000 } };
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct text export = make_store(sizes[s].rows), image = read_file(path);
        const int most = sizes[s].rows * 2 + sizes[s].rows / 4;
        const int trials = getenv("LAPSE_TEST_LONG") ? sizes[s].all : sizes[s].quick;
        int found = 0, saved = 0, notes;
        for (int i = 0; i < trials; i++) {
            uint64_t seed = chance_state = (uint64_t)i * 7919 + s;
            struct text t = copy(&image);
            do
                damage(&t);
            while (chance(8) == 0 && t.size >= PAGE);
            if (t.size == 0) /* that is a new store to whoever writes, and none to others */
                t.size = 1;
            remove_store();
            write_file(path, &t);
            bool clean = verified(seed);
            int outcome = ask(LAPSE_STORE_READ_ONLY, &export, 1, seed);
            if (clean && outcome != CLEAN)
                fail_msg("seed %llu: verify did not find what reading found", (unsigned long long)seed);
            int rows = salvage(-1, most, &notes);
            if (clean && (rows != most || notes))
                fail_msg("seed %llu: nothing is lost, and not all is saved", (unsigned long long)seed);
            saved += rows > 0 && !clean;
            found += !clean;
            if (i % 4 == 0)
                ask(0, &export, 1, seed);
            free(t.data);
        }
        print_message("%d damages: %d found, of %d some events are saved\n", trials, found, saved);
        assert_true(found > trials / 4 && saved > found / 8);
        free(export.data);
        free(image.data);
    }
}

/* The file and the log of a writer that was killed, one of them or both damaged: an earlier whole commit, or it is named. */
static void left_over_log(void **state)
{
    enum { COMMITS = 6 };
    struct text exports[COMMITS + 1] = { { 0 } };
    (void)state;
    remove_store();
    lapse_store *store = opened(0);
    assert_int_equal(deeds_export(store, &exports[0]), LAPSE_OK);
    for (int i = 0; i < COMMITS; i++) {
        if (i == 2) { /* what is there goes to the file, and the log begins anew */
            lapse_store_close(store);
            store = opened(0);
        }
        import(store, 1 + 50 * i, 50, i % 2);
        assert_int_equal(deeds_export(store, &exports[i + 1]), LAPSE_OK);
    }
    struct text image = read_file(path), log = read_file(log_path);
    lapse_store_close(store);
    const int trials = getenv("LAPSE_TEST_LONG") ? 5000 : 500;
    int outcomes[2][3] = { { 0 } };
    for (int i = 0; i < trials; i++) {
        uint64_t seed = chance_state = (uint64_t)i * 104729 + 5;
        struct text t = copy(&image), l = copy(&log);
        bool file_too = chance(3) == 0;
        if (file_too)
            damage(&t);
        if (!file_too || chance(2))
            damage(&l);
        t.size += t.size == 0;
        for (int writing = 0; writing < 2; writing++) {
            remove_store();
            write_file(path, &t);
            write_file(log_path, &l);
            outcomes[file_too][ask(writing ? 0 : LAPSE_STORE_READ_ONLY, exports, COMMITS + 1, seed)]++;
        }
        free(t.data);
        free(l.data);
    }
    print_message("of the log: %d harmless, %d earlier commits, %d named; of the file too: %d, %d, %d\n", outcomes[0][CLEAN],
                  outcomes[0][LOST], outcomes[0][NAMED], outcomes[1][CLEAN], outcomes[1][LOST], outcomes[1][NAMED]);
    assert_true(outcomes[0][LOST] > trials / 2 && outcomes[1][NAMED] > 0);
    for (int i = 0; i <= COMMITS; i++)
        free(exports[i].data);
    free(image.data);
    free(log.data);
}

/* ---- saving ---------------------------------------------------------------------------------------------------------------- */

/* The number that a statement gives, if it gives one. */
static int64_t raw(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    int64_t n = sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    assert_int_equal(sqlite3_finalize(q), SQLITE_OK);
    sqlite3_close(db);
    return n;
}

static void what_is_saved(void **state)
{
    enum { ROWS = 9000, MOST = ROWS * 2 + ROWS / 4, BLOCK = 2048 };
    int notes;
    (void)state;
    struct text export = make_store(ROWS), image = read_file(path);
    assert_int_equal(salvage(-1, MOST, &notes), MOST);
    assert_int_equal(notes, 0);
    raw("UPDATE block SET data = zeroblob(length(data)) WHERE id = 1");
    assert_int_equal(salvage(-1, MOST, &notes), MOST - BLOCK);
    assert_int_equal(notes, 1);
    raw("DELETE FROM block WHERE id BETWEEN 2 AND 5");
    assert_int_equal(salvage(-1, MOST, &notes), MOST - ROWS);
    assert_int_equal(notes, 5);
    /* Digits are what an amount is; who knows them saves all. */
    write_file(path, &image);
    raw("UPDATE meta SET value = '3' WHERE name = 'digits'");
    assert_int_equal(salvage(-1, MOST, &notes), -1);
    assert_int_equal(salvage(2, MOST, &notes), MOST);
    assert_int_equal(notes, 1);
    raw("DELETE FROM meta");
    assert_int_equal(salvage(2, MOST, &notes), MOST);
    /* A list of runs that is short of one: the others. */
    write_file(path, &image);
    raw("DELETE FROM run WHERE id = 1");
    assert_int_equal(salvage(-1, MOST, &notes), MOST - ROWS);
    assert_int_equal(notes, 1);
    raw("DELETE FROM run");
    assert_int_equal(salvage(-1, MOST, &notes), 0);
    /* A run that lists the blocks of another: these once. */
    write_file(path, &image);
    raw("UPDATE run SET directory = (SELECT directory FROM run WHERE id = 1) WHERE family = 1 AND id > 1");
    assert_int_equal(salvage(-1, MOST, &notes), ROWS);
    assert_int_equal(notes, 1 + 2 * ((ROWS - 1) / BLOCK + 1)); /* of the list, and of each block in each of two runs */
    /* Fingerprints are no events: nothing is lost that could be exported. */
    write_file(path, &image);
    raw("UPDATE run SET directory = zeroblob(90) WHERE family = 2");
    assert_int_equal(salvage(-1, MOST, &notes), MOST);
    assert_true(notes > 0);
    free(export.data);
    free(image.data);
}

/* A directory is all that leads to the blocks of its run; one byte of it that is wrong costs one of them at most. */
static void damaged_directories(void **state)
{
    enum { ROWS = 20000, MOST = ROWS * 2 + ROWS / 4, BLOCK = 2048 };
    int notes, whole = 0;
    (void)state;
    struct text export = make_store(ROWS);
    lapse_store *store = opened(0);
    assert_int_equal(deed_compact(store, 0), LAPSE_OK);
    lapse_store_close(store);
    struct text image = read_file(path);
    int64_t size = raw("SELECT length(directory) FROM run WHERE family = 1");
    const int64_t step = getenv("LAPSE_TEST_LONG") ? 1 : 7;
    for (int64_t at = 1; at <= size; at += step) {
        char sql[200];
        write_file(path, &image);
        snprintf(sql, sizeof sql, "UPDATE run SET directory = CAST(substr(directory, 1, %lld) || x'5a' || substr(directory, %lld) "
                 "AS BLOB) WHERE family = 1", (long long)at - 1, (long long)at + 1);
        raw(sql);
        int rows = salvage(-1, MOST, &notes);
        assert_true(rows >= MOST - BLOCK);
        assert_true(notes == 2 || (notes == 0 && rows == MOST)); /* that byte was 5a */
        whole += rows == MOST;
    }
    assert_true(whole > size / step / 2);
    free(export.data);
    free(image.data);
}

static void what_is_refused(void **state)
{
    lapse_store *store;
    lapse_result *result;
    lapse_upkeep_options o;
    (void)state;
    assert_int_equal(lapse_store_salvage(NULL, NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    import(store, 1, 10, true);
    assert_int_equal(lapse_store_salvage(store, NULL, NULL, NULL), LAPSE_INVALID);
    lapse_upkeep_options_init(&o, sizeof o);
    o.flags = LAPSE_BACKUP_REPLACE;
    assert_int_equal(lapse_store_salvage(store, &o, &result, NULL), LAPSE_INVALID);
    assert_null(result);
    struct text csv = { 0 };
    assert_int_equal(lapse_store_salvage(store, NULL, &result, NULL), LAPSE_OK);
    lapse_store_close(store);
    assert_int_equal(lapse_result_write_csv(result, text_add, &csv, NULL), LAPSE_OK);
    assert_int_equal(check_rows(&csv, 10), 10);
    lapse_result_free(result);
    free(csv.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_damage),
        cmocka_unit_test(left_over_log),
        cmocka_unit_test(what_is_saved),
        cmocka_unit_test(damaged_directories),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests_name("damage", tests, make_folder, remove_folder);
}
