/* Copying and compacting in a process that is killed at each question it asks its host, and on a disk that is full
 * at one moment or another: the store is as it was, and the next call does the rest. */
#define _POSIX_C_SOURCE 200809L

#include "upkeep.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef lapse_status task(lapse_store *store, const lapse_upkeep_options *options);

static lapse_status backup(lapse_store *store, const lapse_upkeep_options *options)
{
    return lapse_store_backup(store, copy_path, options, NULL);
}

static lapse_status compact(lapse_store *store, const lapse_upkeep_options *options)
{
    return lapse_store_compact(store, options, NULL);
}

/* Kills a process that does `what`, at each question that it asks its host. */
static void kill_at_each(task *what)
{
    bool killed = true;
    long deaths = 0;
    lapse_store *store = filled(path, 5, 3000);
    char *before = export_of(store);
    size_t n;
    lapse_store_close(store);
    char *file = bytes_of(path, &n);
    for (long at = 1; killed; at += at < 12 ? 1 : 7) {
        write_bytes(path, file, n);
        pid_t child = fork();
        if (child == 0) {
            struct host host = { .die_at = at };
            lapse_upkeep_options o;
            lapse_upkeep_options_init(&o, sizeof o);
            o.on_progress = asked;
            o.progress_user = &host;
            _exit(open_with(path, 0, 5000, &store, NULL) != LAPSE_OK || what(store, &o) != LAPSE_OK);
        }
        int code = -1;
        waitpid(child, &code, 0);
        killed = WIFSIGNALED(code);
        deaths += killed;
        assert_true(killed || code == 0);
        if (what == backup && killed) {
            assert_int_not_equal(access(copy_path, F_OK), 0);
            assert_int_equal(names_with(".tmp"), 1);
            char command[100];
            snprintf(command, sizeof command, "rm -f %s/copy*.tmp*", folder);
            assert_int_equal(system(command), 0);
        }
        if (what == backup && !killed)
            check_export_of(copy_path, before);
        check_export_of(path, before);
        check_sound_file(path);
        store = opened(path, 0);
        check_export(store, before);
        assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
        check_export(store, before);
        assert_int_equal(raw_number("PRAGMA freelist_count"), 0);
        lapse_store_close(store);
        check_sound_file(path);
    }
    assert_true(deaths > 3);
    free(before);
    free(file);
    unlink(copy_path);
    unlink(path);
}

static void killed_while_copying(void **state)
{
    (void)state;
    kill_at_each(backup);
}

static void killed_while_compacting(void **state)
{
    (void)state;
    kill_at_each(compact);
}

/* A disk that is full at one moment or another, as files that may not grow beyond a limit. */
static void full_disks(void **state)
{
    static task *const tasks[] = { backup, compact };
    (void)state;
    for (int t = 0; t < 2; t++) {
        int failed = 0;
        lapse_store *store = filled(path, 5, 3000);
        char *before = export_of(store);
        struct stat info;
        lapse_store_close(store);
        assert_int_equal(stat(path, &info), 0);
        for (int64_t limit = 4096; limit < 4 * info.st_size; limit += info.st_size / 8) {
            pid_t child = fork();
            if (child == 0) {
                struct rlimit most = { (rlim_t)limit, (rlim_t)limit };
                signal(SIGXFSZ, SIG_IGN);
                if (open_with(path, 0, 5000, &store, NULL) != LAPSE_OK || setrlimit(RLIMIT_FSIZE, &most) != 0)
                    _exit(100);
                _exit(tasks[t](store, NULL));
            }
            int code = -1;
            waitpid(child, &code, 0);
            assert_true(WIFEXITED(code));
            if (WEXITSTATUS(code) != LAPSE_OK && WEXITSTATUS(code) != LAPSE_IO)
                print_error("%s\n", lapse_status_name(WEXITSTATUS(code)));
            assert_true(WEXITSTATUS(code) == LAPSE_OK || WEXITSTATUS(code) == LAPSE_IO);
            failed += WEXITSTATUS(code) == LAPSE_IO;
            assert_int_equal(names_with("copy"), t == 0 && WEXITSTATUS(code) == LAPSE_OK);
            unlink(copy_path);
            check_export_of(path, before);
            check_sound_file(path);
        }
        assert_true(failed > 0);
        check_export_of(path, before);
        lapse_store_close(opened(path, 0)); /* takes away the log that the last process left */
        free(before);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_copying),
        cmocka_unit_test(killed_while_compacting),
        cmocka_unit_test(full_disks),
    };
    return cmocka_run_group_tests_name("store_upkeep_kills", tests, make_folder, remove_folder);
}
