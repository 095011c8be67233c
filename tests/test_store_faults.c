/* Scripted runs on a disk that fails (faultfs.h): every call of every step fails, writes are cut short, the disk fills, the
 * power goes; once and for good; again while that is being recovered from; and with syncs that lie. Whatever is told: what
 * was acknowledged is there, nothing is half there, and verify has nothing to say. A sample of the calls, all of them with
 * LAPSE_TEST_LONG in some minutes. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "deeds.h"
#include "faultfs.h"

static char folder[] = "/tmp/lapse-test-XXXXXX";
static char path[64], copy_path[64];

/* ---- a store, step by step ---------------------------------------------------------------------------------------- */

struct world {
    lapse_store *store; /* NULL: not open */
    int32_t sync;
    int copied;         /* the step whose backup was acknowledged last; 0: none */
};

static lapse_status open_store_saying(struct world *w, lapse_error *error)
{
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.memory_limit = 16 << 20;
    o.timeout_ms = 0;
    o.sync = w->sync;
    lapse_status status = lapse_store_open(path, &o, &w->store, error);
    if (status == LAPSE_OK)
        deeds_hurry(w->store);
    return status;
}

static lapse_status open_store(struct world *w, int unused)
{
    (void)unused;
    return open_store_saying(w, NULL);
}

static lapse_status close_store(struct world *w, int unused)
{
    (void)unused;
    lapse_store_close(w->store);
    w->store = NULL;
    return LAPSE_OK;
}

static lapse_status reopen(struct world *w, int unused)
{
    close_store(w, 0);
    return open_store(w, unused);
}

static lapse_status import(struct world *w, int number)
{
    return deed_import(w->store, number, number < 100 ? 6 + 3 * (number % 5) : number);
}

static lapse_status append_one(struct world *w, int number)
{
    return deed_append(w->store, number, 1);
}

static lapse_status append_batch(struct world *w, int number)
{
    return deed_append(w->store, number, 40);
}

static lapse_status compact(struct world *w, int flags)
{
    return deed_compact(w->store, (uint32_t)flags);
}

static lapse_status forget(struct world *w, int number)
{
    return deed_forget(w->store, number);
}

static lapse_status backup(struct world *w, int flags)
{
    return deed_backup(w->store, copy_path, (uint32_t)flags);
}

/* A step is done again when it failed: what it does twice is done once. */
struct step {
    const char *name;
    lapse_status (*act)(struct world *w, int number);
    int number;
};
enum { STEPS = 40 };
struct script {
    const char *name;
    struct step steps[STEPS]; /* the first opens the store */
};
static const struct script scripts[] = {
    { "all", {
        { "open", open_store, 0 },
        { "import", import, 1 },
        { "append", append_one, 1 },
        { "append", append_one, 2 },
        { "append", append_one, 3 },
        { "append", append_one, 4 }, /* folds */
        { "batch", append_batch, 5 },
        { "import", import, 2 },
        { "backup", backup, 0 },
        { "batch", append_batch, 6 },
        { "import", import, 4 },
        { "batch", append_batch, 7 }, /* merges */
        { "batch", append_batch, 8 },
        { "forget", forget, 5 },
        { "reopen", reopen, 0 },
        { "compact", compact, 0 },
        { "append", append_one, 9 },
        { "backup", backup, LAPSE_BACKUP_REPLACE },
        { "batch", append_batch, 10 },
        { "upgrade", compact, LAPSE_COMPACT_UPGRADE },
        { "append", append_one, 11 },
        { "close", close_store, 0 },
    } },
    { "blocks", { /* more than one block a run, and a log that goes to the file in between */
        { "open", open_store, 0 },
        { "import", import, 9000 },
        { "import", import, 17001 },
        { "append", append_one, 1 },
        { "import", import, 20 },
        { "forget", forget, 8 },
        { "compact", compact, 0 },
        { "import", import, 9002 },
        { "close", close_store, 0 },
    } },
};

static int steps_of(const struct script *script)
{
    int n = 0;
    while (script->steps[n].act)
        n++;
    return n;
}

/* ---- what is there ------------------------------------------------------------------------------------------------------ */

static char *texts[STEPS + 1]; /* the export before each step of the script, and after the last */
static struct text now;

static void free_texts(void)
{
    for (int i = 0; i <= STEPS; i++) {
        free(texts[i]);
        texts[i] = NULL;
    }
}

/* The script on a disk that works. */
static void make_texts(const struct script *script)
{
    struct world w = { .sync = LAPSE_SYNC_FULL };
    faultfs_clear();
    texts[0] = strdup("customer,time,kind\n");
    for (int i = 0; i < steps_of(script); i++) {
        assert_int_equal(script->steps[i].act(&w, script->steps[i].number), LAPSE_OK);
        if (w.store)
            assert_int_equal(deeds_export(w.store, &now), LAPSE_OK);
        texts[i + 1] = strdup(now.data);
    }
    lapse_store_close(w.store);
}

/* What must be there: all that was acknowledged; an earlier whole commit; or that, or damage that is named. */
enum promise { KEPT, EARLIER, NAMED };

/* What went wrong where, so that it can be played again. */
struct trial {
    const struct script *script;
    struct faultfs_plan plan, second; /* second: while the first is being recovered from */
    uint64_t seed;
    int32_t sync;
    enum promise promise;
};

static void blame(const struct trial *t, int step, const char *what)
{
    static const char *const names[] = { "none", "error", "short", "full", "cut" };
    fail_msg("script %s, step %d (%s), %s at %ld%s%s, then %s at %ld%s, seed %llu, sync %d: %s", t->script->name, step,
             t->script->steps[step].act ? t->script->steps[step].name : "end", names[t->plan.what], t->plan.at,
             t->plan.for_good ? " for good" : "", t->plan.lying ? ", lying" : "", names[t->second.what], t->second.at,
             t->second.for_good ? " for good" : "", (unsigned long long)t->seed, (int)t->sync, what);
}

static void check_sound(const struct trial *t, int step, lapse_store *store)
{
    lapse_error error = { .size = sizeof error };
    if (deeds_verify(store, &error) != LAPSE_OK)
        blame(t, step, error.message);
}

/* The export is that before one of the steps first .. last. */
static int which(int first, int last)
{
    for (int i = last; i >= first; i--)
        if (strcmp(now.data, texts[i]) == 0)
            return i;
    return -1;
}

/* A copy has its name when it is whole, and keeps it when that was acknowledged, unless the disk lies. */
static void check_copy(const struct trial *t, const struct world *w, int done)
{
    lapse_store_options o;
    lapse_store *copy = NULL;
    lapse_store_options_init(&o, sizeof o);
    o.flags = LAPSE_STORE_READ_ONLY;
    bool there = access(copy_path, F_OK) == 0, lies = t->plan.lying;
    if (!there && w->copied && !lies)
        blame(t, done, "the copy is gone");
    if (!there)
        return;
    bool whole = lapse_store_open(copy_path, &o, &copy, NULL) == LAPSE_OK && deeds_export(copy, &now) == LAPSE_OK;
    if (!whole && !lies)
        blame(t, done, "the copy is not whole");
    if (whole && which(lies ? 0 : w->copied, done) < 0)
        blame(t, done, "the copy holds something else");
    if (whole && !lies)
        check_sound(t, done, copy);
    lapse_store_close(copy);
}

static bool clear_failure(lapse_status status)
{
    return status == LAPSE_IO || status == LAPSE_BUSY || status == LAPSE_READ_ONLY;
}

/* ---- one trial -------------------------------------------------------------------------------------------------------------- */

/* The step under way may have been done, and the fault have hidden it. */
static int most(const struct trial *t, int done)
{
    return done < steps_of(t->script) ? done + 1 : done;
}

/* What is left of the first `done` steps, and perhaps of the next. A disk that lies may leave an earlier state, or what is
 * damaged; then that is told. False: it cannot be gone on with. */
static bool take_stock(const struct trial *t, struct world *w, int done, const char *when)
{
    const int least = t->promise == KEPT ? done : 0;
    lapse_error error = { .size = sizeof error };
    lapse_status status = open_store_saying(w, &error);
    if (status == LAPSE_OK)
        status = deeds_export(w->store, &now);
    if (status == LAPSE_OK) {
        if (which(least, most(t, done)) < 0)
            blame(t, done, when);
        if (t->promise != NAMED)
            check_sound(t, done, w->store);
        return t->promise == KEPT;
    }
    if (t->promise != NAMED || (status != LAPSE_DAMAGED && status != LAPSE_IO))
        blame(t, done, error.message[0] ? error.message : lapse_status_name(status));
    return false;
}

/* Opens what the fault left, with the second fault. */
static bool recover(const struct trial *t, struct world *w, int done)
{
    lapse_error error = { .size = sizeof error };
    faultfs_arm(&t->second);
    lapse_status status = open_store_saying(w, &error);
    if (status == LAPSE_OK)
        status = deeds_export(w->store, &now);
    if (status == LAPSE_OK && which(done, most(t, done)) < 0)
        blame(t, done, "while recovering the events are others");
    if (status != LAPSE_OK && !clear_failure(status))
        blame(t, done, error.message);
    close_store(w, 0);
    bool struck = faultfs_fired();
    faultfs_arm(NULL);
    if (faultfs_is_cut())
        faultfs_restore(t->seed + 1);
    return struck;
}

/* The steps that are left, without faults. */
static void finish(const struct trial *t, struct world *w, int done)
{
    const int steps = steps_of(t->script);
    for (int i = done; i < steps; i++) {
        const struct step *step = &t->script->steps[i];
        if (step->act == open_store)
            continue;
        if (step->act == backup)
            unlink(copy_path);
        if (step->act(w, step->number) != LAPSE_OK)
            blame(t, i, "it does not go on after the fault");
    }
    if (!w->store && open_store(w, 0) != LAPSE_OK)
        blame(t, steps, "it cannot be opened");
    if (deeds_export(w->store, &now) != LAPSE_OK || which(steps, steps) < 0)
        blame(t, steps, "the end is another");
    check_sound(t, steps, w->store);
}

/* Does steps until the fault has struck for good; how many are done. */
static int run(const struct trial *t, struct world *w)
{
    const bool lasting = t->plan.for_good || t->plan.what == FAULTFS_CUT;
    int done = 0;
    while (done < steps_of(t->script)) {
        const struct step *step = &t->script->steps[done];
        lapse_status status = step->act(w, step->number);
        if (status != LAPSE_OK && !clear_failure(status))
            blame(t, done, lapse_status_name(status));
        if (faultfs_is_cut() || (status != LAPSE_OK && lasting)) /* without power nothing is acknowledged */
            break;
        if (status == LAPSE_OK) {
            done++;
            w->copied = step->act == backup ? done : w->copied;
        }
        /* Nothing of it for this handle, and once again it goes well. */
        if (status != LAPSE_OK && w->store && (deeds_export(w->store, &now) != LAPSE_OK || which(done, done) < 0))
            blame(t, done, "a step that failed has changed something");
    }
    return done;
}

/* Runs the script with the fault, and once it has struck to the end without. False: a fault never struck. */
static bool try(const struct trial *t)
{
    struct world w = { .sync = t->sync };
    faultfs_clear();
    faultfs_arm(&t->plan);
    int done = run(t, &w);
    close_store(&w, 0); /* while it goes on */
    bool cut = faultfs_is_cut(), struck = faultfs_fired();
    faultfs_arm(NULL);
    if (cut)
        faultfs_restore(t->seed);
    if (struck && t->second.what)
        struck = recover(t, &w, done);
    if (struck) {
        bool on = take_stock(t, &w, done, "acknowledged events are lost, or others half there");
        check_copy(t, &w, done);
        if (on)
            finish(t, &w, done);
    }
    close_store(&w, 0);
    return struck;
}

static bool is_long(void)
{
    return getenv("LAPSE_TEST_LONG") != NULL;
}

/* Calls 1, 2, 3 ... of a sort fail, of `few` one in the short form. Returns how many trials there were. */
static long try_all(struct trial t, long few)
{
    const long step = is_long() ? 1 : few;
    struct faultfs_plan *plan = t.second.what ? &t.second : &t.plan;
    long n = 0;
    for (plan->at = 1 + step / 2;; plan->at += step, n++) {
        t.seed = (uint64_t)(t.plan.at * 1000003 + plan->at) * 8 + plan->what;
        if (!try(&t))
            return n;
    }
}

static void each_script(struct trial t, long all, long blocks)
{
    for (size_t s = 0; s < sizeof scripts / sizeof scripts[0]; s++) {
        t.script = &scripts[s];
        make_texts(t.script);
        long n = try_all(t, s == 0 ? all : blocks);
        if (is_long())
            print_message("script %s, fault %d, for good %d, lying %d, sync %d: %ld trials\n", t.script->name,
                          (int)t.plan.what, t.plan.for_good, t.plan.lying, (int)t.sync, n);
        assert_true(n > 10);
        free_texts();
    }
}

/* ---- the tests ----------------------------------------------------------------------------------------------------------------- */

static void once_and_for_good(void **state)
{
    static const struct {
        enum faultfs_what what;
        long all, blocks;
    } faults[] = { { FAULTFS_ERROR, 31, 131 }, { FAULTFS_SHORT, 19, 67 }, { FAULTFS_FULL, 19, 67 } };
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        for (int for_good = 0; for_good < 2; for_good++)
            each_script((struct trial){ .plan = { .what = faults[i].what, .for_good = for_good } }, faults[i].all,
                        faults[i].blocks);
}

static void power_cuts(void **state)
{
    (void)state;
    each_script((struct trial){ .plan = { .what = FAULTFS_CUT } }, 9, 47);
}

/* LAPSE_SYNC_NORMAL: commits may be lost, from the last on. LAPSE_SYNC_OFF: anything, but it is told. */
static void power_cuts_at_less(void **state)
{
    (void)state;
    each_script((struct trial){ .plan = { .what = FAULTFS_CUT }, .sync = LAPSE_SYNC_NORMAL, .promise = EARLIER }, 13, 53);
    each_script((struct trial){ .plan = { .what = FAULTFS_CUT }, .sync = LAPSE_SYNC_OFF, .promise = NAMED }, 13, 53);
}

static void lying_syncs(void **state)
{
    (void)state;
    each_script((struct trial){ .plan = { .what = FAULTFS_CUT, .lying = true }, .promise = NAMED }, 9, 47);
}

/* What a cut leaves is opened with each fault in turn. */
static void faults_while_recovering(void **state)
{
    static const enum faultfs_what whats[] = { FAULTFS_ERROR, FAULTFS_FULL, FAULTFS_CUT };
    (void)state;
    struct trial t = { .script = &scripts[0], .plan = { .what = FAULTFS_CUT } };
    long n = 0;
    make_texts(t.script);
    for (t.plan.at = 20;; t.plan.at += is_long() ? 7 : 127) {
        long tried = 0;
        for (size_t i = 0; i < sizeof whats / sizeof whats[0]; i++)
            for (int for_good = 0; for_good < 2; for_good++) {
                t.second = (struct faultfs_plan){ .what = whats[i], .for_good = for_good };
                tried += try_all(t, 17);
            }
        if (tried == 0) /* the cut is beyond the end */
            break;
        n += tried;
    }
    if (is_long())
        print_message("while recovering: %ld trials\n", n);
    assert_true(n > 50);
    free_texts();
}

/* SQLite must not be called with a connection from before fork: its locks and its log are the parent's. */
static void closed_after_fork(void **state)
{
    (void)state;
    struct world w = { .sync = LAPSE_SYNC_FULL };
    faultfs_clear();
    assert_int_equal(open_store(&w, 0), LAPSE_OK);
    assert_int_equal(append_one(&w, 1), LAPSE_OK);
    pid_t child = fork();
    if (child == 0) {
        faultfs_arm(&(struct faultfs_plan){ .what = FAULTFS_ERROR, .at = 1, .for_good = true });
        lapse_store_close(w.store);
        _exit(faultfs_fired());
    }
    int code = -1;
    waitpid(child, &code, 0);
    assert_int_equal(code, 0);
    assert_int_equal(append_one(&w, 2), LAPSE_OK);
    close_store(&w, 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder) || !faultfs_begin(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    snprintf(copy_path, sizeof copy_path, "%s/copy.lapse", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    free(now.data);
    faultfs_clear();
    return rmdir(folder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_and_for_good),
        cmocka_unit_test(power_cuts),
        cmocka_unit_test(power_cuts_at_less),
        cmocka_unit_test(lying_syncs),
        cmocka_unit_test(faults_while_recovering),
        cmocka_unit_test(closed_after_fork),
    };
    if (argc > 1) /* a name, where all of them would take too long */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("store_faults", tests, make_folder, remove_folder);
}
