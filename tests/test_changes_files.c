/* Changes told out of a file: hosts that are killed at any moment, several handles and processes, damage.
 * LAPSE_TEST_KILLS=1000 kills so many hosts instead of 60. */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "changes.h"

static char folder[64], file[96], journal[96];

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/lapse-changes-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    snprintf(file, sizeof file, "%s/s.lapse", folder);
    snprintf(journal, sizeof journal, "%s/host", folder);
    return 0;
}

static int end(void **state)
{
    static const char *const names[] = { "%s/s.lapse", "%s/s.lapse-wal", "%s/s.lapse-shm", "%s/s.lapse-journal", "%s/host",
                                         "%s/copy" };
    char name[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, names[i], folder);
        unlink(name);
    }
    return rmdir(folder);
}

static lapse_store *open_file(uint32_t flags, int32_t timeout)
{
    lapse_store *store;
    lapse_store_options o;
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_store_options_init(&o, sizeof o), LAPSE_OK);
    o.flags = flags;
    o.timeout_ms = timeout;
    o.sync = LAPSE_SYNC_OFF; /* processes are killed, not machines */
    if (lapse_store_open(file, &o, &store, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    return store;
}

/* ---- killed ------------------------------------------------------------------------------------------------------------ */

/* What a host has to do on day `n`: some events, a call, to write down what it was told, to confirm. It begins wherever the
 * one before it was killed: appending again changes nothing. */
static void work(int day)
{
    lapse_store *store = open_file(0, 5000);
    for (;; day++) {
        char rows[512], as_of[32];
        time_t seconds = (time_t)(19723 + day) * 86400;
        struct tm t;
        gmtime_r(&seconds, &t);
        strftime(as_of, sizeof as_of, "%Y-%m-%d", &t);
        snprintf(rows, sizeof rows, "customer,time,kind,channel,amount,source,event_id\nc%d,%s,order.placed,,5,w,a%d\n"
                 "c%d,%s,%s,email,,w,b%d\n", day % 7, as_of, day, day % 11, as_of,
                 day % 2 ? "consent.granted" : "consent.withdrawn", day);
        add_events(store, rows, strlen(rows));
        char *told = advance_to(store, as_of);
        int out = open(journal, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (write(out, told, strlen(told)) != (ssize_t)strlen(told)) /* one write: it is there, or it is not */
            abort();
        close(out);
        const char *last = told;
        for (const char *at = told; *at; at = strchr(at, '\n') + 1)
            last = at;
        if (*last)
            acknowledge(store, strtoll(last, NULL, 10));
        free(told);
    }
}

static char *read_journal(void)
{
    static char text[1 << 22];
    FILE *in = fopen(journal, "r");
    size_t n = in ? fread(text, 1, sizeof text - 1, in) : 0;
    if (in)
        fclose(in);
    text[n] = 0;
    return text;
}

static void hosts_are_killed(void **state)
{
    const char *wanted = getenv("LAPSE_TEST_KILLS");
    int kills = wanted ? atoi(wanted) : 60, day = 0;
    struct host host = { .seen = 0 }, pure = { .seen = 0 };
    unsigned seed = 7;
    (void)state;
    lapse_store_close(open_file(0, 5000));
    for (int i = 0; i < kills; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            work(day > 2 ? day - 2 : 0);
            _exit(0);
        }
        seed = seed * 1103515245 + 12345;
        const struct timespec wait = { 0, (long)(seed / 65536 % 16 < 2 ? 0 : (seed / 65536) % 40000) * 1000 };
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        int code;
        assert_int_equal(waitpid(child, &code, 0), child);
        assert_true(WIFSIGNALED(code));
        /* How far it has come: the next one goes on from there. */
        lapse_store *store = open_file(0, 5000);
        struct lapse_manifest *m;
        struct lapse_call call;
        bool before;
        assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
        assert_int_equal(lapse_call_read(store, m, &call, &before, NULL), LAPSE_OK);
        lapse_manifest_release(m);
        day = before ? (int)(call.as_of / DAY) - 19723 : 0;
        day = day < 0 ? 0 : day + 2;
        lapse_store_close(store);
    }
    lapse_store *store = open_file(0, 5000);
    lapse_result *result;
    lapse_error error = { .size = sizeof error };
    char *rest = advance_to(store, "2099-01-01"), *all;
    hear(&host, read_journal());
    hear(&host, rest);
    if (lapse_store_verify(store, NULL, &result, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    lapse_result_free(result);
    /* The same events in one piece. */
    lapse_view *view;
    struct text events = { 0 };
    assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_events(view, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_write_csv(result, put_bytes, &events, NULL), LAPSE_OK);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store *copy = store_of(events.data);
    all = advance_to(copy, "2099-01-01");
    hear(&pure, all);
    assert_same_states(&host, &pure);
    assert_true(host.seen > 3);
    free(events.data);
    free(rest);
    free(all);
    lapse_store_close(copy);
    lapse_store_close(store);
}

/* ---- several ---------------------------------------------------------------------------------------------------------------- */

static const char shop[] = "customer,time,kind,source,event_id\nann,2024-01-01,session.started,w,1\n"
                           "bob,2024-01-02,customer.registered,w,2\n";

static const char more[] = "customer,time,kind,source,event_id\nbob,2024-01-03,session.started,w,3\n";

/* Two handles take turns: each sees what the other was told and confirmed. */
static void handles_take_turns(void **state)
{
    lapse_store *one = open_file(0, 5000), *two = open_file(0, 5000);
    (void)state;
    add_events(one, shop, strlen(shop));
    assert_told(two, "2024-02-01", "1,ann,stage,,reach,acquisition,2024-01-01T00:00:00Z,session.started,0\n"
                                   "2,ann,engagement,,new,active,2024-01-01T00:00:00Z,session.started,0\n"
                                   "3,bob,stage,,reach,conversion,2024-01-02T00:00:00Z,customer.registered,0\n");
    acknowledge(one, 2);
    assert_told(two, "2024-02-01", "3,bob,stage,,reach,conversion,2024-01-02T00:00:00Z,customer.registered,0\n");
    acknowledge(two, 3);
    add_events(one, more, strlen(more));
    assert_told(two, "2024-02-01", "4,bob,engagement,,new,active,2024-01-03T00:00:00Z,session.started,1\n");
    assert_told(one, "2024-02-01", "4,bob,engagement,,new,active,2024-01-03T00:00:00Z,session.started,1\n");
    lapse_store_close(one);
    lapse_store_close(two);
}

static void another_writer_and_no_writer(void **state)
{
    struct text out = { 0 };
    lapse_error error;
    int64_t time;
    lapse_store *store = open_file(0, 5000), *other = open_file(0, 0), *reader;
    struct lapse_telling t;
    (void)state;
    add_events(store, shop, strlen(shop));
    assert_int_equal(lapse_telling_begin(&t, store, NULL), LAPSE_OK);
    assert_int_equal(try_advance(other, (struct call){ .as_of = "2024-02-01" }, &out, &error), LAPSE_BUSY);
    assert_int_equal(lapse_store_acknowledge(other, 0, &error), LAPSE_BUSY);
    lapse_telling_abort(&t);
    free(advance_to(other, "2024-02-01"));
    reader = open_file(LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST, 0);
    assert_int_equal(try_advance(reader, (struct call){ .as_of = "2024-02-01" }, &out, &error), LAPSE_READ_ONLY);
    assert_int_equal(lapse_store_acknowledge(reader, 1, &error), LAPSE_READ_ONLY);
    assert_int_equal(lapse_store_next_deadline(reader, &time, &error), LAPSE_OK);
    assert_int_equal(time, instant("2024-03-31"));
    assert_int_equal(lapse_store_acknowledged(reader, &time, &error), LAPSE_OK);
    assert_int_equal(time, 0);
    lapse_store_close(reader);
    pid_t child = fork();
    if (child == 0)
        _exit(try_advance(store, (struct call){ .as_of = "2024-02-01" }, &out, &error) == LAPSE_FORKED &&
                      lapse_store_next_deadline(store, &time, &error) == LAPSE_FORKED &&
                      lapse_store_acknowledged(store, &time, &error) == LAPSE_FORKED
                  ? 0 : 1);
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    lapse_store_close(store);
    lapse_store_close(other);
}

/* A copy of a store in use goes on where it stood. */
static void a_copy_goes_on(void **state)
{
    char copy[128];
    lapse_store *store = open_file(0, 5000), *other;
    (void)state;
    add_events(store, shop, strlen(shop));
    free(advance_to(store, "2024-02-01"));
    acknowledge(store, 1);
    snprintf(copy, sizeof copy, "%s/copy", folder);
    assert_int_equal(lapse_store_backup(store, copy, NULL, NULL), LAPSE_OK);
    char *one = advance_to(store, "2024-06-01"), *two;
    assert_int_equal(lapse_store_open(copy, NULL, &other, NULL), LAPSE_OK);
    two = advance_to(other, "2024-06-01");
    assert_string_equal(one, two);
    assert_int_equal(strncmp(one, "2,ann,engagement,", 17), 0);
    free(one);
    free(two);
    lapse_store_close(store);
    lapse_store_close(other);
}

/* ---- damaged ----------------------------------------------------------------------------------------------------------------- */

static void change_file(const char *sql)
{
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s", message);
    sqlite3_close(db);
}

static lapse_status verify(char *message)
{
    lapse_store *store = open_file(LAPSE_STORE_VERIFY | LAPSE_STORE_MUST_EXIST, 0);
    lapse_error error = { .size = sizeof error };
    lapse_result *result = NULL;
    lapse_status status = lapse_store_verify(store, NULL, &result, &error);
    lapse_result_free(result);
    lapse_store_close(store);
    strcpy(message, status == LAPSE_OK ? "" : error.message);
    return status;
}

/* A byte of each block of the families, one by one: it is named, and nothing is told out of it. */
static void a_damaged_block_is_named(void **state)
{
    static const struct {
        int family;
        const char *keys;
    } families[] = { { LAPSE_RUN_TOLD, "told customers" }, { LAPSE_RUN_DEADLINES, "deadlines" },
                     { LAPSE_RUN_OUTBOX, "records" }, { LAPSE_RUN_CALLS, "calls" }, { LAPSE_RUN_TOUCHED, "touched customers" } };
    char message[1024], sql[256];
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        lapse_store *store = open_file(0, 5000);
        struct lapse_manifest *m;
        struct text out = { 0 };
        lapse_error error;
        int64_t id = 0;
        add_events(store, shop, strlen(shop));
        free(advance_to(store, "2024-02-01"));
        add_events(store, more, strlen(more));
        assert_int_equal(lapse_store_manifest(store, &m, NULL), LAPSE_OK);
        for (size_t r = 0; r < m->count; r++)
            id = m->runs[r]->family == families[i].family ? m->runs[r]->blocks[0].id : id;
        lapse_manifest_release(m);
        lapse_store_close(store);
        assert_int_not_equal(id, 0);
        assert_int_equal(verify(message), LAPSE_OK);
        snprintf(sql, sizeof sql, "UPDATE block SET data = substr(data, 1, 20) || x'ff' || substr(data, 22) WHERE id = %lld",
                 (long long)id);
        change_file(sql);
        assert_int_equal(verify(message), LAPSE_DAMAGED);
        assert_non_null(strstr(message, families[i].keys));
        store = open_file(0, 5000);
        assert_int_equal(try_advance(store, (struct call){ .as_of = "2024-06-01" }, &out, &error), LAPSE_DAMAGED);
        assert_true(!out.data || strchr(out.data, '\n') == out.data + out.size - 1); /* no record */
        lapse_store_close(store);
        free(out.data);
        unlink(file);
    }
}

/* Rows made by hand, their checksums right: what does not belong together is found. */
static void what_does_not_belong_together_is_found(void **state)
{
    static const struct {
        int64_t seq;       /* of a record put beside */
        int64_t next;      /* the call's next number */
        const char *found;
    } cases[] = { { 1, 9, "record 1 is there twice" }, { 50, 9, "of a later call than the last one" },
                  { 0, 9, "has no number" } };
    char message[1024];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lapse_store *store = open_file(0, 5000);
        struct lapse_telling t;
        struct lapse_sorter s;
        struct lapse_run *run;
        struct lapse_numbered key;
        struct lapse_cells cells = { .begin = 0 };
        add_events(store, shop, strlen(shop));
        free(advance_to(store, "2024-02-01"));
        assert_int_equal(lapse_telling_begin(&t, store, NULL), LAPSE_OK);
        lapse_numbered_set(&key, cases[i].seq, (struct lapse_text){ "ann", 3 });
        lapse_cells_number(&cells, LAPSE_F_TIME, instant("2024-01-01"));
        lapse_cells_key(&cells, &(struct lapse_told_key){ .region = LAPSE_TOLD_STAGE });
        lapse_cells_number(&cells, LAPSE_T_FROM, LAPSE_STAGE_REACH);
        lapse_cells_number(&cells, LAPSE_T_TO, LAPSE_STAGE_LOYALTY);
        lapse_cells_number(&cells, LAPSE_T_CAUSE, 0);
        lapse_sorter_init(&s, store, LAPSE_RUN_OUTBOX);
        assert_int_equal(lapse_sorter_put(&s, key.key, &cells, NULL), LAPSE_OK);
        assert_int_equal(lapse_sorter_finish(&s, &run, NULL), LAPSE_OK);
        t.call.seq = cases[i].next;
        assert_int_equal(lapse_telling_end(&t, &run, 1, NULL, 0, NULL), LAPSE_OK);
        lapse_run_release(run);
        lapse_sorter_free(&s);
        lapse_store_close(store);
        assert_int_equal(verify(message), LAPSE_DAMAGED);
        if (!strstr(message, cases[i].found))
            fail_msg("%s", message);
        unlink(file);
    }
}

int main(void)
{
#define FRESH(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        FRESH(hosts_are_killed),
        FRESH(handles_take_turns),
        FRESH(another_writer_and_no_writer),
        FRESH(a_copy_goes_on),
        FRESH(a_damaged_block_is_named),
        FRESH(what_does_not_belong_together_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
