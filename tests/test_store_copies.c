/* Copies of a store: whole, stores of their own, not over what is there, cancelled at every question, beside a
 * handle that rewrites what is copied; damage is not copied. */
#define _POSIX_C_SOURCE 200809L

#include "upkeep.h"

#include <sys/stat.h>

static void copying(void **state)
{
    (void)state;
    for (int in_file = 0; in_file < 2; in_file++) {
        lapse_store *store = filled(in_file ? path : NULL, 7, 3000);
        char *before = export_of(store);
        struct host host = { 0 };
        lapse_upkeep_options o = told_by(&host);
        lapse_error error = { .size = sizeof error };
        struct stat info;
        assert_int_equal(lapse_store_backup(store, copy_path, &o, &error), LAPSE_OK);
        assert_true(host.asked > 2);
        assert_false(host.backwards);
        assert_int_equal(host.last, 7 * 3000 + 3 * 3000); /* rows of events and of fingerprints */
        assert_int_equal(stat(copy_path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_int_equal(names_with("copy"), 1);
        check_export_of(copy_path, before);
        check_sound_file(copy_path);
        assert_int_equal(names_with("copy"), 1); /* readers leave nothing beside it */
        /* It is a store like any other: what is in it is known again. */
        lapse_store *copy = opened(copy_path, 0);
        append(copy, 3, 3000, true);
        check_export(copy, before);
        append(copy, 50, 10, false);
        check_sound(copy);
        lapse_store_close(copy);
        /* Not over something that is there, unless asked for. */
        append(store, 8, 10, true);
        char *after = export_of(store);
        assert_int_equal(lapse_store_backup(store, copy_path, NULL, &error), LAPSE_BAD_INPUT);
        assert_non_null(strstr(error.message, "exists"));
        o.flags = LAPSE_BACKUP_REPLACE;
        host = (struct host){ .stop_at = 2 };
        char *kept;
        copy = opened(copy_path, LAPSE_STORE_READ_ONLY);
        kept = export_of(copy);
        lapse_store_close(copy);
        assert_int_equal(lapse_store_backup(store, copy_path, &o, &error), LAPSE_CANCELLED);
        check_export_of(copy_path, kept);
        assert_int_equal(lapse_store_backup(store, copy_path, &(lapse_upkeep_options){ .size = sizeof o, .flags = 1 }, NULL),
                         LAPSE_OK);
        check_export_of(copy_path, after);
        assert_int_equal(names_with("copy"), 1);
        free(before);
        free(after);
        free(kept);
        lapse_store_close(store);
        unlink(copy_path);
    }
    unlink(path);
}

static void names_of_copies(void **state)
{
    (void)state;
    lapse_store *store = filled(path, 2, 10);
    lapse_error error = { .size = sizeof error };
    lapse_upkeep_options replace;
    char name[100];
    lapse_upkeep_options_init(&replace, sizeof replace);
    replace.flags = LAPSE_BACKUP_REPLACE;
    assert_int_equal(lapse_store_backup(store, path, &replace, &error), LAPSE_BAD_INPUT);
    assert_non_null(strstr(error.message, "itself"));
    assert_int_equal(lapse_store_backup(store, copy_path, &(lapse_upkeep_options){ .size = 3 }, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_backup(store, folder, &replace, &error), LAPSE_BAD_INPUT);
    snprintf(name, sizeof name, "%s/no/such", folder);
    assert_int_equal(lapse_store_backup(store, name, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "folder"));
    snprintf(name, sizeof name, "%s/copy", path); /* a file where a folder is to be */
    assert_int_equal(lapse_store_backup(store, name, NULL, &error), LAPSE_IO);
    assert_non_null(strstr(error.message, "there is no such folder"));
    assert_int_equal(symlink(path, copy_path), 0);
    assert_int_equal(lapse_store_backup(store, copy_path, &replace, &error), LAPSE_BAD_INPUT);
    unlink(copy_path);
    static const char *const journals[] = { "-wal", "-journal" };
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s%s", copy_path, journals[i]);
        write_bytes(name, "x", 1);
        assert_int_equal(lapse_store_backup(store, copy_path, NULL, &error), LAPSE_BAD_INPUT);
        assert_non_null(strstr(error.message, journals[i]));
        unlink(name);
    }
    char here[1000];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(lapse_store_backup(store, "file:copy?mode=ro", NULL, &error), LAPSE_OK); /* a name like any other */
    assert_int_equal(unlink("file:copy?mode=ro"), 0);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(names_with("copy"), 0);
    lapse_store_close(store);
    unlink(path);
}

static void cancelled_copying(void **state)
{
    (void)state;
    lapse_store *store = filled(path, 4, 6000);
    lapse_status status = LAPSE_CANCELLED;
    for (long n = 1; status == LAPSE_CANCELLED; n++) {
        struct host host = { .stop_at = n };
        lapse_upkeep_options o = told_by(&host);
        status = lapse_store_backup(store, copy_path, &o, NULL);
        assert_true(n > 3 || status == LAPSE_CANCELLED);
        assert_int_equal(names_with("copy"), status == LAPSE_OK);
    }
    assert_int_equal(status, LAPSE_OK);
    lapse_store_close(store);
    unlink(copy_path);
    unlink(path);
}

/* Another handle, as another process would, takes away what is being copied: a later moment is copied instead, whatever
 * of the one before has been copied already. */
static void copying_what_is_rewritten(void **state)
{
    (void)state;
    long questions = 1;
    for (long at = 0; at <= questions; at++) { /* at first only counted */
        lapse_store *store = filled(path, 6, 3000), *reader = opened(path, LAPSE_STORE_READ_ONLY);
        char *before = export_of(store);
        struct host host = { .other = store, .other_at = at };
        lapse_upkeep_options o = told_by(&host);
        assert_int_equal(lapse_store_backup(reader, copy_path, &o, NULL), LAPSE_OK);
        questions = at ? questions : host.asked;
        assert_true(questions > 3);
        check_export_of(copy_path, before);
        check_sound_file(copy_path);
        assert_int_equal(names_with("copy"), 1);
        free(before);
        lapse_store_close(reader);
        lapse_store_close(store);
        unlink(copy_path);
    }
    unlink(path);
}

static void damage_is_not_copied(void **state)
{
    (void)state;
    static const char *const ways[] = { "UPDATE block SET data = zeroblob(length(data)) WHERE id = (SELECT max(id) FROM block)",
                                        "DELETE FROM block WHERE id = (SELECT max(id) FROM block)",
                                        "UPDATE meta SET value = x'00' WHERE name = 'key'" };
    for (int i = 0; i < 3; i++) {
        lapse_store *store = filled(path, 3, 100);
        lapse_error error = { .size = sizeof error };
        raw(ways[i]);
        assert_int_equal(lapse_store_backup(store, copy_path, NULL, &error), LAPSE_DAMAGED);
        assert_non_null(strstr(error.message, i == 2 ? "key" : "block"));
        assert_int_equal(names_with("copy"), 0);
        lapse_store_close(store);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copying),
        cmocka_unit_test(names_of_copies),
        cmocka_unit_test(cancelled_copying),
        cmocka_unit_test(copying_what_is_rewritten),
        cmocka_unit_test(damage_is_not_copied),
    };
    return cmocka_run_group_tests_name("store_copies", tests, make_folder, remove_folder);
}
