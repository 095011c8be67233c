/* Forgetting: all or nothing, what is refused, cancelling; old files do not bring the forgotten back, their
 * addresses stay suppressed, and keys are those of the host. */
#define _POSIX_C_SOURCE 200809L

#include "erasing.h"

/* ---- what is refused ---------------------------------------------------------------------------------------------------- */

static void all_or_nothing(void **state)
{
    (void)state;
    lapse_store *store = fresh(path);
    import(store, few, "f");
    char *before = answer(store, INT64_MAX, ask_events);
    const char *some[] = { "ann", "zoe", "bob" }, *two[] = { "cat", "ann", "cat" };
    lapse_forgotten gone = { 0 };
    assert_int_equal(forget(store, some, 3, &gone), LAPSE_NOT_FOUND);
    assert_int_equal(gone.customers, 0);
    assert_int_equal(forget_one(store, ""), LAPSE_INVALID);
    assert_int_equal(forget_one(store, "a\xff"), LAPSE_INVALID);
    char *after = answer(store, INT64_MAX, ask_events);
    assert_string_equal(before, after);
    free(after);

    lapse_forget_options o;
    const int64_t offsets[] = { 0, 3 };
    lapse_forget_options_init(&o, sizeof o);
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, NULL, NULL, NULL), LAPSE_INVALID); /* no instant */
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &o, NULL, NULL), LAPSE_INVALID);
    o.at = LAPSE_DAY;
    assert_int_equal(lapse_store_forget(store, NULL, offsets, 1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(store, "ann", NULL, 1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(store, "ann", offsets, -1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(NULL, "ann", offsets, 1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(store, "ann", (const int64_t[]){ -1, 2 }, 1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &o, &(lapse_forgotten){ .size = 8 }, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &o, &(lapse_forgotten){ .size = 5000 }, NULL), LAPSE_INVALID);
    o.at = LAPSE_TIME_MAX + 1;
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &o, NULL, NULL), LAPSE_INVALID);
    o.flags = 1;
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &o, NULL, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_store_forget(store, "ann", offsets, 1, &(lapse_forget_options){ .size = 3 }, NULL, NULL),
                     LAPSE_INVALID);

    assert_int_equal(forget(store, two, 3, &gone), LAPSE_OK);
    assert_int_equal(gone.customers, 2);
    assert_int_equal(gone.events, 3);
    assert_int_equal(forget_one(store, "ann"), LAPSE_NOT_FOUND); /* already */
    assert_int_equal(forget(store, NULL, 0, &gone), LAPSE_OK);
    assert_int_equal(gone.customers, 0);
    lapse_store_close(store);
    store = opened(path, LAPSE_STORE_READ_ONLY);
    assert_int_equal(forget_one(store, "bob"), LAPSE_READ_ONLY);
    lapse_store_close(store);
    free(before);
}

static int32_t stop_at(void *user, int64_t done, int64_t total)
{
    int *left = user;
    assert_true(done <= total);
    return --*left == 0;
}

static void cancelling_changes_nothing(void **state)
{
    (void)state;
    const int64_t offsets[] = { 0, 3, 6 };
    lapse_store *store = fresh(path);
    import(store, few, "f");
    char *before = answer(store, INT64_MAX, ask_events);
    lapse_forget_options o;
    lapse_forget_options_init(&o, sizeof o);
    o.at = LAPSE_DAY;
    o.on_progress = stop_at;
    for (int n = 1;; n++) {
        int left = n;
        o.progress_user = &left;
        lapse_status status = lapse_store_forget(store, "anncat", offsets, 2, &o, NULL, NULL);
        if (left > 0) {
            assert_int_equal(status, LAPSE_OK);
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, LAPSE_CANCELLED);
        char *after = answer(store, INT64_MAX, ask_events);
        assert_string_equal(before, after);
        free(after);
    }
    check_sound(store);
    free(before);
    lapse_store_close(store);
}

/* ---- coming back ---------------------------------------------------------------------------------------------------------- */

static void old_files_bring_nobody_back(void **state)
{
    (void)state;
    for (int in_file = 0; in_file < 2; in_file++) {
        lapse_store *store = fresh(in_file ? path : NULL), *without = fresh(NULL);
        uint64_t reasons;
        import(store, few, "f");
        import(without, "customer,time,amount,event_id,source\nbob,1971-01-01,7,e2,s\ncat,1971-01-01,8,,s\n", "f");
        assert_int_equal(permit(store, INT64_MAX, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_NONE);
        assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
        lapse_counts c = import(store, few, "f");
        assert_int_equal(c.erased, 2);
        assert_int_equal(c.duplicate, 2);
        assert_int_equal(c.read, c.accepted + c.duplicate + c.conflict + c.erased + c.rejected);
        check_same(store, without);

        int32_t outcomes[2] = { 9, 9 };
        const int64_t offsets[] = { 0, 3, 6 }, times[] = { AT * LAPSE_DAY, AT * LAPSE_DAY + 1 };
        lapse_batch batch = { .size = sizeof batch, .rows = 2, .customer = "annann", .customer_offsets = offsets,
                              .time = times };
        lapse_append_options o;
        lapse_append_options_init(&o, sizeof o);
        o.outcomes = outcomes;
        o.flags = LAPSE_IMPORT_DRY_RUN;
        assert_int_equal(permit(store, INT64_MAX, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_ERASED);
        assert_int_equal(permit(store, 0, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_ERASED);
        assert_int_equal(permit(store, 0, "zoe", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_NONE);
        for (int dry = 1; dry >= 0; dry--, o.flags = 0) { /* to the instant is erased, later is a new customer */
            assert_int_equal(lapse_store_append(store, &batch, &o, NULL, NULL), LAPSE_OK);
            assert_int_equal(outcomes[0], LAPSE_ROW_ERASED);
            assert_int_equal(outcomes[1], LAPSE_ROW_ACCEPTED);
        }
        assert_int_equal(permit(store, INT64_MAX, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_NONE);
        assert_int_equal(permit(store, AT * LAPSE_DAY, "ann", LAPSE_PURPOSE_SERVICE, &reasons), LAPSE_REASON_ERASED);
        assert_int_equal(forget_one(store, "ann"), LAPSE_OK); /* and once more */
        check_same(store, without);
        if (in_file) { /* compacting and copies keep who was forgotten */
            assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
            unlink(copy_path);
            assert_int_equal(lapse_store_backup(store, copy_path, NULL, NULL), LAPSE_OK);
            lapse_store *copy = keyed(copy_path);
            assert_int_equal(import(copy, few, "f").erased, 2);
            check_sound(copy);
            lapse_store_close(copy);
        }
        assert_int_equal(import(store, few, "f").erased, 2);
        check_sound(store);
        lapse_store_close(store);
        lapse_store_close(without);
    }
}

/* An identity is free again: another customer may have it, and rows of the forgotten neither take nor contest it. */
static void identities_are_free_again(void **state)
{
    (void)state;
    lapse_store *store = fresh(path);
    static const char taken[] = "customer,time,amount,event_id,source\ncat,1971-01-01,8,e1,s\n";
    import(store, few, "f");
    assert_int_equal(import(store, taken, "g").conflict, 1);
    assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
    lapse_counts c = import(store, "customer,time,amount,event_id,source\nann,1971-01-01,5,e1,s\ncat,1971-01-01,8,e1,s\n", "g");
    assert_int_equal(c.erased, 1);
    assert_int_equal(c.accepted, 1);
    assert_int_equal(import(store, few, "f").erased, 2);
    check_sound(store);
    lapse_store_close(store);
}

static void many_are_forgotten_one_by_one(void **state)
{
    (void)state;
    char text[64], id[16];
    lapse_store *store = fresh(path);
    store->limits.tail_runs = 4;
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "customer,time\nc%d,1971-01-01\n", i);
        import(store, text, "f");
    }
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "c%d", i);
        assert_int_equal(forget_one(store, id), LAPSE_OK);
        assert_true(store->manifest->count < 60);
        assert_int_equal(store->manifest->erased, i + 1);
    }
    size_t tombs = 0;
    for (size_t i = 0; i < store->manifest->count; i++)
        tombs += store->manifest->runs[i]->family == LAPSE_RUN_TOMBSTONES;
    assert_in_range(tombs, 1, 5);
    assert_int_equal(import(store, "customer,time\nc7,1971-01-01\nnew,1971-01-01\n", "g").erased, 1);
    check_sound(store);
    lapse_store_close(store);
}

/* ---- addresses ----------------------------------------------------------------------------------------------------------- */

static uint64_t marketing(lapse_store *store, const char *id)
{
    uint64_t reasons;
    permit(store, INT64_MAX, id, LAPSE_PURPOSE_MARKETING, &reasons);
    return reasons;
}

#define BIT(reason) (UINT64_C(1) << LAPSE_REASON_##reason)

/* What was said by an address holds for whoever comes to hold it, until they say otherwise (I14). */
static void addresses_of_the_forgotten_stay_suppressed(void **state)
{
    static const struct {
        const char *said;
        uint64_t reasons;
    } cases[] = {
        { "consent.withdrawn,email,,,", BIT(CONSENT_WITHDRAWN) },
        { "consent.withdrawn,,,,", BIT(CONSENT_WITHDRAWN) },
        { "consent.withdrawn,email,a@b.c,,", BIT(CONSENT_WITHDRAWN) },
        { "consent.withdrawn,email,,,profiling", 0 },
        { "consent.withdrawn,email,,unverified,", 0 },
        { "consent.withdrawn,sms,,,", 0 },
        { "message.spam_reported,email,a@b.c,,", BIT(SPAM_REPORTED) | BIT(CONSENT_WITHDRAWN) },
        { "consent.objected,,,,", BIT(CONSENT_WITHDRAWN) },
        { "account.closed,,,,", BIT(CONSENT_WITHDRAWN) },
        { "message.bounced,email,a@b.c,hard,", BIT(HARD_BOUNCED) },
        { "message.bounced,email,,5.1.1,", BIT(HARD_BOUNCED) },
        { "message.bounced,email,,soft,", 0 },
        { "suppression.added,email,,,", BIT(MANUAL_BLOCK) },
    };
    static const char columns[] = "customer,time,kind,channel,endpoint,reason,purpose,evidence\n";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int compacted = 0; compacted < 2; compacted++) {
            char text[600];
            lapse_store *store = fresh(compacted ? path : NULL);
            snprintf(text, sizeof text, "%sann,1971-01-01,endpoint.added,email,a@b.c,,,\nann,1971-01-02,%s,\n"
                     "bob,1971-01-01,order.placed,,,,,\n", columns, cases[i].said);
            import(store, text, "f");
            assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
            if (compacted)
                assert_int_equal(lapse_store_compact(store, NULL, NULL), LAPSE_OK);
            /* ann again, who takes what she had, and a stranger: an import lifts nothing */
            snprintf(text, sizeof text, "%sann,1975-01-01,endpoint.added,email,A@b.c,,,\nann,1975-01-01,consent.imported,email,,,,x\n"
                     "cat,1971-01-05,endpoint.added,email,a@b.c,,,\ncat,1971-01-05,consent.imported,email,,,,x\n"
                     "dan,1971-01-05,endpoint.added,email,d@b.c,,,\ndan,1971-01-05,consent.imported,email,,,,x\n", columns);
            assert_int_equal(import(store, text, "g").erased, 0);
            assert_int_equal(marketing(store, "ann"), cases[i].reasons);
            assert_int_equal(marketing(store, "cat"), cases[i].reasons);
            assert_int_equal(marketing(store, "dan"), 0);
            char *all = answer(store, INT64_MAX, ask_consent); /* a pass says the same */
            assert_int_equal(strstr(all, "cat,email,marketing,,withdrawn") != NULL,
                             (cases[i].reasons & BIT(CONSENT_WITHDRAWN)) != 0);
            free(all);
            snprintf(text, sizeof text, "%scat,1975-02-01,consent.granted,email,,,,\ncat,1975-02-01,suppression.removed,email,,,,\n",
                     columns);
            import(store, text, "h");
            assert_int_equal(marketing(store, "cat"), 0); /* by her own word, or an operator's */
            check_sound(store);
            lapse_store_close(store);
        }
}

/* Of one address several things may have been said, by several of the forgotten: each is kept, the latest of a kind. */
static void all_that_was_said_of_an_address_is_kept(void **state)
{
    static const struct {
        const char *said, *gone; /* customer,time,kind,channel,reason,purpose,evidence; who is forgotten then */
        uint64_t reasons;
    } cases[] = {
        { "ann,1971-01-02,message.bounced,email,hard,,\nann,1971-01-02,suppression.added,email,,,\n"
          "ann,1971-01-02,message.spam_reported,email,,,\n", "a",
          BIT(HARD_BOUNCED) | BIT(MANUAL_BLOCK) | BIT(SPAM_REPORTED) | BIT(CONSENT_WITHDRAWN) },
        { "ann,1971-01-02,message.bounced,email,hard,,\nbob,1971-01-02,message.bounced,email,hard,,\n"
          "bob,1971-01-03,suppression.added,email,,,\n", "ab", BIT(HARD_BOUNCED) | BIT(MANUAL_BLOCK) },
        { "ann,1971-01-02,consent.withdrawn,email,,profiling,\nann,1971-01-02,consent.withdrawn,email,,marketing,\n"
          "ann,1971-01-02,consent.withdrawn,email,,tracking,\n", "a", BIT(CONSENT_WITHDRAWN) },
        { "ann,1971-01-02,consent.withdrawn,sms,,,\nann,1971-01-02,consent.withdrawn,email,,,\n", "a", BIT(CONSENT_WITHDRAWN) },
        { "ann,1971-01-02,consent.withdrawn,sms,,,\nann,1971-01-02,consent.withdrawn,push,,,\n", "a", 0 },
        { "ann,1971-01-02,message.bounced,sms,hard,,\nann,1971-01-02,message.bounced,email,hard,,\n", "a", BIT(HARD_BOUNCED) },
        { "ann,1971-01-02,sms.keyword,,stop,,\n", "a", 0 },
    };
    static const char columns[] = "customer,time,kind,channel,reason,purpose,evidence,endpoint\n";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1200];
        lapse_store *store = fresh(NULL);
        size_t n = (size_t)snprintf(text, sizeof text, "%s", columns);
        for (const char *who = "ann\0bob\0"; *who; who += 4) {
            static const char *const channels[] = { "email", "sms", "push" };
            for (int c = 0; c < 3; c++)
                n += (size_t)snprintf(text + n, sizeof text - n, "%s,1971-01-01,endpoint.added,%s,,,,a@b.c\n", who, channels[c]);
        }
        for (const char *line = cases[i].said; *line; line = strchr(line, '\n') + 1)
            n += (size_t)snprintf(text + n, sizeof text - n, "%.*s,\n", (int)strcspn(line, "\n"), line);
        import(store, text, "f");
        const char *gone[] = { "ann", "bob" };
        assert_int_equal(forget(store, gone, (int)strlen(cases[i].gone), NULL), LAPSE_OK);
        snprintf(text, sizeof text, "%scat,1975-01-01,endpoint.added,email,,,,a@b.c\ncat,1975-01-01,endpoint.added,sms,,,,a@b.c\n"
                 "cat,1975-01-01,consent.imported,email,,,x,\n", columns);
        import(store, text, "g");
        if (marketing(store, "cat") != cases[i].reasons)
            fail_msg("case %zu: %llx", i, (unsigned long long)marketing(store, "cat"));
        if (strstr(cases[i].said, "stop")) { /* a keyword is about sms */
            char *all = answer(store, INT64_MAX, ask_consent);
            assert_non_null(strstr(all, "cat,sms,marketing,,withdrawn"));
            free(all);
        }
        check_sound(store);
        lapse_store_close(store);
    }
}

/* Of very many addresses held at once, an event that names none is about the 64 added last. */
static void of_many_addresses_the_last_are_meant(void **state)
{
    enum { HELD = 70, LAST = 64 };
    (void)state;
    char text[30000];
    lapse_store *store = fresh(NULL);
    size_t n = (size_t)snprintf(text, sizeof text, "customer,time,kind,channel,endpoint\n");
    for (int i = 0; i < HELD; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "ann,1971-01-01T00:00:%02d.%dZ,endpoint.added,email,a%02d@b.c\n",
                              i / 2, i % 2, i);
        n += (size_t)snprintf(text + n, sizeof text - n, "c%02d,1971-01-01,endpoint.added,email,a%02d@b.c\n", i, i);
        n += (size_t)snprintf(text + n, sizeof text - n, "c%02d,1971-01-01,consent.granted,email,\n", i);
    }
    snprintf(text + n, sizeof text - n, "ann,1971-01-02,consent.withdrawn,email,\n");
    import(store, text, "f");
    for (int gone = 0; gone < 2; gone++) { /* also of the ledger, when she is forgotten */
        for (int i = 0; i < HELD; i++) {
            char id[8];
            snprintf(id, sizeof id, "c%02d", i);
            if ((marketing(store, id) != 0) != (i >= HELD - LAST))
                fail_msg("%s, %d: %llx", id, gone, (unsigned long long)marketing(store, id));
        }
        if (!gone)
            assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
    }
    lapse_store_close(store);
}

/* What somebody else took back, or what the forgotten lifted themselves, is not kept. */
static void what_was_lifted_is_not_kept(void **state)
{
    (void)state;
    lapse_store *store = fresh(NULL);
    import(store, "customer,time,kind,channel,endpoint,reason\nann,1971-01-01,endpoint.added,email,a@b.c,\n"
           "ann,1971-01-02,message.bounced,email,a@b.c,hard\nann,1971-01-03,endpoint.verified,email,a@b.c,\n"
           "ann,1971-01-02,suppression.added,email,,\nann,1971-01-03,suppression.removed,email,,\n", "f");
    assert_int_equal(forget_one(store, "ann"), LAPSE_OK);
    import(store, "customer,time,kind,channel,endpoint\ncat,1971-01-05,endpoint.added,email,a@b.c\n"
           "cat,1971-01-05,consent.granted,email,\n", "g");
    assert_int_equal(marketing(store, "cat"), 0);
    lapse_store_close(store);
}

/* ---- the key ------------------------------------------------------------------------------------------------------------------ */

static void keys_are_those_of_the_host(void **state)
{
    (void)state;
    static const char addresses[] = "customer,time,kind,channel,endpoint\nann,1971-01-01,endpoint.added,email,Ann@Example.com\n";
    lapse_store_options o;
    lapse_store *a = fresh(path), *b, *c;
    unlink(copy_path);
    b = keyed(copy_path);
    import(a, addresses, "f");
    char *file = answer(a, INT64_MAX, ask_events);
    import(b, file, "other"); /* hash:..., and of the one key */
    assert_int_equal(import(b, addresses, "f").duplicate, 1);
    check_same(a, b);
    lapse_store_close(b);
    lapse_store_options_init(&o, sizeof o);
    o.key = (const uint8_t *)"another key of thirty-two bytes!";
    assert_int_equal(lapse_store_open(copy_path, &o, &b, NULL), LAPSE_BAD_INPUT);
    assert_int_equal(lapse_store_open(NULL, &o, &c, NULL), LAPSE_OK);
    import(c, addresses, "f");
    char *foreign = answer(c, INT64_MAX, ask_events);
    assert_string_not_equal(file, foreign);
    free(file);
    free(foreign);
    lapse_store_close(a);
    lapse_store_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_or_nothing),
        cmocka_unit_test(cancelling_changes_nothing),
        cmocka_unit_test(old_files_bring_nobody_back),
        cmocka_unit_test(identities_are_free_again),
        cmocka_unit_test(many_are_forgotten_one_by_one),
        cmocka_unit_test(addresses_of_the_forgotten_stay_suppressed),
        cmocka_unit_test(all_that_was_said_of_an_address_is_kept),
        cmocka_unit_test(of_many_addresses_the_last_are_meant),
        cmocka_unit_test(what_was_lifted_is_not_kept),
        cmocka_unit_test(keys_are_those_of_the_host),
    };
    return cmocka_run_group_tests_name("erase", tests, make_folder, remove_folder);
}
