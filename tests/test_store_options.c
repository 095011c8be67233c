/* Arguments and options of a store: each that is wrong is refused with nothing made; what a store was made with is
 * fixed, and told. */
#define _POSIX_C_SOURCE 200809L

#include "refusals.h"

/* ---- arguments ------------------------------------------------------------------------------------------- */

static void arguments_are_checked(void **state)
{
    (void)state;
    lapse_store *store = opened(NULL, 0);
    lapse_view *view;
    lapse_result *result;
    int64_t when;
    lapse_error error = { .size = sizeof error };
    struct stream s = { "", 0 };
    assert_int_equal(lapse_store_open(NULL, NULL, NULL, &error), LAPSE_INVALID);
    assert_int_equal(error.status, LAPSE_INVALID);
    assert_int_equal(lapse_store_append(NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_append(store, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_import_file(NULL, text_path, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_import_file(store, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_import_stream(NULL, give, &s, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_import_stream(store, NULL, NULL, NULL, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_info(NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_info(store, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_default_instant(NULL, &when, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_default_instant(store, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_default_instant(store, &when, NULL), LAPSE_NOT_FOUND);
    assert_int_equal(lapse_store_time(NULL, "2024-01-01", &when, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_digits(NULL), 0);
    assert_int_equal(lapse_store_digits(store), 2);
    assert_int_equal(lapse_view_open(NULL, 0, &view, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_open(store, 0, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_open(store, 7, &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_as_of(view), 7);
    assert_int_equal(lapse_view_as_of(NULL), 0);
    assert_int_equal(lapse_view_events(NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_events(view, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(NULL, "a", &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, NULL, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, "", &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, "a", NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, "a", &result, &error), LAPSE_NOT_FOUND);
    assert_non_null(strstr(error.message, "\"a\""));
    char longest[257];
    memset(longest, 'a', 256);
    longest[256] = 0;
    assert_int_equal(lapse_view_history(view, longest, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_history(view, longest + 1, &result, NULL), LAPSE_NOT_FOUND);
    lapse_view_close(view);
    lapse_view_close(NULL);
    lapse_store_close(store);
    lapse_store_close(NULL);
}

/* ---- options of a store ---------------------------------------------------------------------------------- */

static void *no_alloc(void *user, size_t bytes)
{
    (void)user;
    (void)bytes;
    return NULL;
}

static void *no_resize(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)memory;
    (void)bytes;
    return NULL;
}

static void no_release(void *user, void *memory)
{
    (void)user;
    (void)memory;
}

static const int64_t starts[] = { INT64_MIN, 0, 1000 }, same_start[] = { 5, 5 };
static const int32_t offsets[] = { 3600, 7200, 3600 }, far[] = { 50401, 0 }, far_west[] = { -50401, 0 };

static void options_are_checked(void **state)
{
    (void)state;
    char long_name[66], bad_name[] = "\xff";
    memset(long_name, 'z', 65);
    long_name[65] = 0;
    static const lapse_allocator good = { sizeof good, 0, NULL, no_alloc, no_resize, no_release };
    lapse_allocator small = good, flagged = good, without[3] = { good, good, good };
    small.size = 8;
    flagged.flags = 1;
    without[0].alloc = NULL;
    without[1].resize = NULL;
    without[2].release = NULL;
    lapse_store_options d;
    assert_int_equal(lapse_store_options_init(&d, sizeof d), LAPSE_OK);
    assert_int_equal(lapse_store_options_init(&d, 8), LAPSE_INVALID);
    assert_int_equal(lapse_store_options_init(NULL, sizeof d), LAPSE_INVALID);
    struct {
        const char *says;
        lapse_store_options o;
    } cases[40];
    size_t n = 0;
#define BAD(text, change) cases[n].says = text, cases[n].o = d, cases[n].o.change, n++
    BAD("flags", flags = 16);
    BAD("new and exist", flags = LAPSE_STORE_MUST_BE_NEW | LAPSE_STORE_MUST_EXIST);
    BAD("new and exist", flags = LAPSE_STORE_MUST_BE_NEW | LAPSE_STORE_READ_ONLY);
    BAD("memory_limit", memory_limit = (16 << 20) - 1);
    BAD("timeout_ms", timeout_ms = -1);
    BAD("sync", sync = -1);
    BAD("sync", sync = 3);
    BAD("digits", digits = -2);
    BAD("digits", digits = 7);
    BAD("currency", currency = "EU");
    BAD("currency", currency = "EURO");
    BAD("currency", currency = "Eur");
    BAD("currency", currency = "E?R");
    BAD("currency", currency = "");
    BAD("zone", zone_count = -1);
    BAD("zone", zone_count = 1);
    BAD("zone", zone_count = (1 << 16) + 1);
    BAD("14 hours", zone_count = 2; cases[n].o.zone_starts = starts; cases[n].o.zone_offsets = far);
    BAD("14 hours", zone_count = 2; cases[n].o.zone_starts = starts; cases[n].o.zone_offsets = far_west);
    BAD("ascend", zone_count = 2; cases[n].o.zone_starts = same_start; cases[n].o.zone_offsets = offsets);
    BAD("zone", zone_count = 2; cases[n].o.zone_starts = starts);
    BAD("name of a zone", zone_name = long_name);
    BAD("name of a zone", zone_name = bad_name);
    BAD("lapse_allocator", allocator = &small);
    BAD("lapse_allocator", allocator = &flagged);
    BAD("lapse_allocator", allocator = &without[0]);
    BAD("lapse_allocator", allocator = &without[1]);
    BAD("lapse_allocator", allocator = &without[2]);
    BAD("lapse_store_options", size = 4);
#undef BAD
    assert_true(n <= sizeof cases / sizeof cases[0]);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(open_as(&cases[i].o, cases[i].says), LAPSE_INVALID);
        assert_int_not_equal(access(path, F_OK), 0); /* nothing was made */
    }
    d.allocator = &good;
    assert_int_equal(open_as(&d, "memory"), LAPSE_NO_MEMORY);
    unlink(path);
}

/* A caller built with a newer header: its larger struct is good while what we do not know is zero. */
static void newer_callers(void **state)
{
    (void)state;
    struct {
        lapse_store_options ours;
        uint64_t more;
    } o;
    memset(&o, 0, sizeof o);
    assert_int_equal(lapse_store_options_init(&o.ours, sizeof o), LAPSE_OK);
    assert_int_equal(o.ours.size, sizeof o);
    assert_int_equal(open_as(&o.ours, ""), LAPSE_OK);
    o.more = 1;
    assert_int_equal(open_as(&o.ours, "lapse_store_options"), LAPSE_INVALID);
    unlink(path);
}

/* What a store was made with is fixed: the same is accepted, anything else refused. */
static void stores_keep_what_they_were_made_with(void **state)
{
    (void)state;
    static const int32_t other[] = { 3600, 7200, 0 };
    static const int64_t later[] = { INT64_MIN, 0, 1001 };
    lapse_store_options d, o;
    lapse_store_options_init(&d, sizeof d);
    d.zone_count = 3;
    d.zone_starts = starts;
    d.zone_offsets = offsets;
    assert_int_equal(open_as(&d, ""), LAPSE_OK);
    assert_int_equal(open_as(&d, ""), LAPSE_OK);
    o = d;
    o.zone_name = "Nowhere"; /* a name is for people and decides nothing */
    assert_int_equal(open_as(&o, ""), LAPSE_OK);
    o = d;
    o.zone_offsets = other;
    assert_int_equal(open_as(&o, "zone is +01:00"), LAPSE_BAD_INPUT);
    o = d;
    o.zone_starts = later;
    assert_int_equal(open_as(&o, "zone"), LAPSE_BAD_INPUT);
    o.zone_count = 2;
    assert_int_equal(open_as(&o, "zone"), LAPSE_BAD_INPUT);
    o = d;
    o.digits = 3;
    assert_int_equal(open_as(&o, "2 digits, not 3"), LAPSE_BAD_INPUT);
    o = d;
    o.currency = "EUR";
    assert_int_equal(open_as(&o, "not named, not EUR"), LAPSE_BAD_INPUT);
    unlink(path);
    d.currency = "CHF";
    assert_int_equal(open_as(&d, ""), LAPSE_OK);
    d.currency = "EUR";
    assert_int_equal(open_as(&d, "CHF, not EUR"), LAPSE_BAD_INPUT);
    unlink(path);
}

/* ---- what a store is ------------------------------------------------------------------------------------- */

static char *info_of(lapse_store *store)
{
    lapse_result *result;
    assert_int_equal(lapse_store_info(store, &result, NULL), LAPSE_OK);
    return csv_of(result);
}

static void stores_tell_of_themselves(void **state)
{
    (void)state;
    lapse_store *store = opened(NULL, 0);
    char *info = info_of(store);
    assert_string_equal(info, "name,value\ncustomers,0\nevents,0\nfirst_time,\nlast_time,\nbytes,\nformat,1\n"
                                   "zone,+00:00\ndigits,2\n");
    lapse_store_close(store);
    free(info);
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    static const int32_t west[] = { -12600 };
    o.zone_count = 1;
    o.zone_starts = starts;
    o.zone_offsets = west;
    o.digits = 0;
    assert_int_equal(lapse_store_open(path, &o, &store, NULL), LAPSE_OK);
    import_good(store, "customer,time,kind\nb,2024-05-01,\na,2024-01-02T03:30:00Z,session.started\nb,2024-01-03,\n");
    info = info_of(store);
    char *bytes = strstr(info, "bytes,");
    assert_non_null(bytes);
    assert_true(atol(bytes + 6) > 0);
    assert_int_equal(atol(bytes + 6) % 512, 0);
    *bytes = 0;
    assert_string_equal(info, "name,value\ncustomers,2\nevents,3\nfirst_time,2024-01-02T03:30:00Z\n"
                                   "last_time,2024-05-01T03:30:00Z\nkind.session.started,1\nkind.order.placed,2\n");
    assert_non_null(strstr(bytes + 1, "zone,-03:30\ndigits,0\n"));
    int64_t when;
    assert_int_equal(lapse_store_default_instant(store, &when, NULL), LAPSE_OK);
    int64_t expected;
    assert_int_equal(lapse_store_time(store, "2024-05-02", &expected, NULL), LAPSE_OK);
    assert_int_equal(when, expected);
    lapse_store_close(store);
    free(info);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(newer_callers),
        cmocka_unit_test(stores_keep_what_they_were_made_with),
        cmocka_unit_test(stores_tell_of_themselves),
    };
    return cmocka_run_group_tests_name("store_options", tests, make_folder, remove_folder);
}
