/* States of customers: stage, clocks, account and rights, each rule of ruling 5 as a case worked out by hand; and
 * the tables of docs/states.md, which are those of the code. */
#include "state_cases.h"

#include "state/state.h"

/* ---- the stage --------------------------------------------------------------------------------------- */

static void stages(void **state)
{
    static const struct {
        const char *events, *policy, *stage, *highest;
    } cases[] = {
        { "a,2024-01-01,message.sent,channel=email", NULL, "reach", "reach" },
        { "a,2024-01-01,case.opened", NULL, "reach", "reach" },
        { "a,2024-01-01,identity.linked,ref=x", NULL, "reach", "reach" },
        { "a,2024-01-01,membership.started", NULL, "reach", "reach" },
        { "a,2024-01-01,ad.clicked", NULL, "reach", "reach" },
        { "a,2024-01-01,visitor.seen", NULL, "acquisition", "acquisition" },
        { "a,2024-01-01,info.requested", NULL, "acquisition", "acquisition" },
        { "a,2024-01-01,app.installed", NULL, "acquisition", "acquisition" },
        { "a,2024-01-01,customer.registered,reason=newsletter", NULL, "conversion", "conversion" },
        { "a,2024-01-01,order.placed,amount=0.00", NULL, "acquisition", "acquisition" }, /* S3 */
        { "a,2024-01-01,order.placed,amount=0.00", "order.zero_is_valid=1", "retention", "retention" },
        { "a,2024-01-01,order.placed", NULL, "retention", "retention" }, /* X9 */
        { "a,2024-01-01,order.placed,amount=5.00", NULL, "retention", "retention" },
        { "a,2024-01-01,referral.converted", NULL, "reach", "reach" }, /* no advocacy without an order */
        { "a,2024-01-01,referral.converted\na,2024-01-02,order.placed", NULL, "loyalty", "loyalty" },
        { "a,2024-01-01,referral.sent\na,2024-01-02,order.placed", NULL, "retention", "retention" },
        { "a,2024-01-01,order.placed\na,2024-01-02,review.posted,value=5", NULL, "retention", "retention" },
        { "a,2024-01-01,order.placed\na,2024-01-02,review.posted,value=4", "loyalty.rating=4", "loyalty", "loyalty" },
        { "a,2024-01-01,order.placed\na,2024-01-02,review.posted,value=3.9", "loyalty.rating=4", "retention",
          "retention" },
        { "a,2024-01-01,order.placed\na,2024-01-02,review.posted", "loyalty.rating=0", "retention", "retention" },
        /* S5: refunded later leaves the mark, at its own instant does not */
        { "a,2024-01-01,order.placed,ref=1,amount=5.00\na,2024-01-02,order.refunded,ref=1,amount=5.00", NULL,
          "acquisition", "retention" },
        { "a,2024-01-01,order.placed,ref=1,amount=5.00\na,2024-01-01,order.refunded,ref=1,amount=5.00", NULL,
          "acquisition", "acquisition" },
        { "a,2024-01-01,order.refunded,ref=1,amount=5.00\na,2024-01-02,order.placed,ref=1,amount=5.00", NULL,
          "acquisition", "acquisition" }, /* M8 */
        { "a,2024-01-01,order.refunded,ref=1,amount=5.00\na,2024-01-02,order.placed,ref=1,amount=5.01\n"
          "a,2024-01-03,order.cancelled,ref=1", NULL, "acquisition", "retention" },
        { "a,2024-01-01,order.placed,ref=1,amount=5.00\na,2024-01-02,order.cancelled,ref=1\n"
          "a,2024-01-03,order.placed,ref=2", NULL, "retention", "retention" },
        { "a,2024-01-01,customer.registered\na,2024-01-02,order.placed,ref=1,amount=5.00\n"
          "a,2024-01-03,order.cancelled,ref=1", NULL, "conversion", "retention" },
        /* an order without amount that gets an amount of nothing */
        { "a,2024-01-01,order.placed,ref=1\na,2024-01-02,order.placed,ref=1,amount=0.00", NULL, "acquisition",
          "retention" },
        /* advocacy before, at and after the last instant of a valid order */
        { "a,2024-01-01,order.placed,ref=1\na,2024-01-02,referral.converted\na,2024-01-03,order.cancelled,ref=1", NULL,
          "acquisition", "loyalty" },
        { "a,2024-01-01,order.placed,ref=1\na,2024-01-03,referral.converted\na,2024-01-03,order.cancelled,ref=1", NULL,
          "acquisition", "retention" },
        { "a,2024-01-01,order.placed,ref=1\na,2024-01-01,referral.converted\na,2024-01-03,order.cancelled,ref=1", NULL,
          "acquisition", "loyalty" },
        { "a,2024-01-01,order.placed,ref=1\na,2024-01-02,order.placed,ref=2\na,2024-01-03,order.cancelled,ref=1\n"
          "a,2024-01-04,referral.converted\na,2024-01-05,order.cancelled,ref=2", NULL, "acquisition", "loyalty" },
        /* what must not move it */
        { "a,2020-01-01,order.placed\na,2020-01-02,consent.withdrawn\na,2020-01-03,account.closed", NULL, "retention",
          "retention" },
        { "a,2020-01-01,order.placed,source=s\n", NULL, "retention", "retention" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lapse_store *store = store_of_lines(cases[i].events);
        char *got = ask(store, STATES, (struct ask){ AT("2024-02-01"), .policy = cases[i].policy }), want[64];
        snprintf(want, sizeof want, "a,%s,%s,", cases[i].stage, cases[i].highest);
        if (strncmp(strchr(got, '\n') + 1, want, strlen(want)) != 0)
            fail_msg("%s\nwanted %s, got\n%s", cases[i].events, want, strchr(got, '\n') + 1);
        free(got);
        lapse_store_close(store);
    }
}

/* ---- clocks ------------------------------------------------------------------------------------------ */

/* Columns from engagement to last_contact. */
static void clocks(void **state)
{
    static const struct {
        const char *events, *as_of, *policy, *expected;
    } cases[] = {
        /* article 000: bought six months ago, no visit since: inactive, inclusive */
        { "a,2024-01-31,order.placed", "2024-07-31", NULL,
          "inactive,2024-07-31T00:00:00Z,2025-01-31T00:00:00Z,inactive,2024-01-31T00:00:00Z,2024-01-31T00:00:00Z,"
          "2024-01-31T00:00:00Z" },
        { "a,2024-01-31,order.placed", "2024-07-30T23:59:59.999999", NULL,
          "at_risk,2024-04-30T00:00:00Z,2024-07-31T00:00:00Z,at_risk,2024-01-31T00:00:00Z,2024-01-31T00:00:00Z,"
          "2024-01-31T00:00:00Z" },
        { "a,2024-01-31,order.placed", "2025-01-31", NULL,
          "lost,2025-01-31T00:00:00Z,,lost,2024-01-31T00:00:00Z,2024-01-31T00:00:00Z,2024-01-31T00:00:00Z" },
        /* semantics 4.4: months clamp to the end of a month */
        { "a,2024-08-31,visitor.seen", "2025-02-28", NULL,
          "inactive,2025-02-28T00:00:00Z,2025-08-31T00:00:00Z,new,,2024-08-31T00:00:00Z,2024-08-31T00:00:00Z" },
        { "a,2024-08-29,visitor.seen", "2025-02-27T23:59:59", NULL,
          "at_risk,2024-11-27T00:00:00Z,2025-02-28T00:00:00Z,new,,2024-08-29T00:00:00Z,2024-08-29T00:00:00Z" },
        { "a,2023-08-31,visitor.seen", "2024-02-29", NULL,
          "inactive,2024-02-29T00:00:00Z,2024-08-31T00:00:00Z,new,,2023-08-31T00:00:00Z,2023-08-31T00:00:00Z" },
        /* no activity at all: new since the first event */
        { "a,2024-01-01,message.sent,channel=email\na,2024-01-02,message.opened,channel=email\n"
          "a,2024-01-03,message.clicked,channel=email,reason=bot\na,2024-01-04,consent.withdrawn\n"
          "a,2024-01-05,customer.registered", "2024-02-01", NULL,
          "new,2024-01-01T00:00:00Z,,new,,,2024-01-05T00:00:00Z" },
        { "a,2024-01-02,message.opened,channel=email", "2024-02-01", "activity.opens=1",
          "active,2024-01-02T00:00:00Z,2024-04-01T00:00:00Z,new,,2024-01-02T00:00:00Z,2024-01-02T00:00:00Z" },
        { "a,2024-01-03,message.clicked,channel=email", "2024-02-01", NULL,
          "active,2024-01-03T00:00:00Z,2024-04-02T00:00:00Z,new,,2024-01-03T00:00:00Z,2024-01-03T00:00:00Z" },
        { "a,2024-01-03,info.requested", "2024-02-01", NULL, "new,2024-01-03T00:00:00Z,,new,,,2024-01-03T00:00:00Z" },
        /* S7, S8: the run goes on when the activity comes at the deadline, and breaks a microsecond later */
        { "a,2024-01-01,visitor.seen\na,2024-03-31,visitor.seen", "2024-04-01", NULL,
          "active,2024-01-01T00:00:00Z,2024-06-29T00:00:00Z,new,,2024-03-31T00:00:00Z,2024-03-31T00:00:00Z" },
        { "a,2024-01-01,visitor.seen\na,2024-03-31T00:00:00.000001,visitor.seen", "2024-04-01", NULL,
          "active,2024-03-31T00:00:00.000001Z,2024-06-29T00:00:00.000001Z,new,,2024-03-31T00:00:00.000001Z,"
          "2024-03-31T00:00:00.000001Z" },
        /* X7: a refunded order is activity, and no purchase */
        { "a,2024-01-01,order.placed,ref=1,amount=2.00\na,2024-01-02,order.refunded,ref=1", "2024-02-01", NULL,
          "active,2024-01-01T00:00:00Z,2024-03-31T00:00:00Z,new,,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z" },
        { "a,2024-01-01,order.placed,ref=0\na,2024-01-20,order.placed,ref=1,amount=2.00\n"
          "a,2024-01-21,order.refunded,ref=1", "2024-02-01", NULL,
          "active,2024-01-01T00:00:00Z,2024-03-31T00:00:00Z,active,2024-01-01T00:00:00Z,2024-01-20T00:00:00Z,"
          "2024-01-20T00:00:00Z" },
        /* M9: an order of several lines is as old as its first */
        { "a,2024-01-01,order.placed,ref=1\na,2024-01-20,order.placed,ref=1", "2024-02-01", NULL,
          "active,2024-01-01T00:00:00Z,2024-03-31T00:00:00Z,active,2024-01-01T00:00:00Z,2024-01-20T00:00:00Z,"
          "2024-01-20T00:00:00Z" },
        /* limits of their own, and limits out of order by the calendar (S11): the latest that has passed counts */
        { "a,2024-01-01,order.placed", "2024-01-11", "purchase.risk=10d",
          "active,2024-01-01T00:00:00Z,2024-03-31T00:00:00Z,at_risk,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z,"
          "2024-01-01T00:00:00Z" },
        { "a,2024-01-01,visitor.seen", "2024-02-01", "engagement.risk=40d engagement.inactive=1m",
          "inactive,2024-02-01T00:00:00Z,2025-01-01T00:00:00Z,new,,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z" },
        { "a,2024-01-01,visitor.seen\na,2024-02-02,visitor.seen", "2024-02-03", "engagement.risk=40d engagement.inactive=1m",
          "active,2024-02-02T00:00:00Z,2024-03-02T00:00:00Z,new,,2024-02-02T00:00:00Z,2024-02-02T00:00:00Z" },
        { "a,2024-01-01,visitor.seen", "2024-02-05", "engagement.risk=40d engagement.inactive=1m",
          "inactive,2024-02-01T00:00:00Z,2025-01-01T00:00:00Z,new,,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lapse_store *store = store_of_lines(cases[i].events);
        char *got = ask(store, STATES, (struct ask){ .as_of = instant(cases[i].as_of), .policy = cases[i].policy });
        char *row = strchr(got, '\n') + 1;
        for (int comma = 0; comma < 3; row++)
            comma += *row == ',';
        if (strncmp(row, cases[i].expected, strlen(cases[i].expected)) != 0 ||
            strcmp(row + strlen(cases[i].expected), ",,,,,,open,none\n") != 0)
            fail_msg("%s\nat %s wanted\n%s\ngot\n%s", cases[i].events, cases[i].as_of, cases[i].expected, row);
        free(got);
        lapse_store_close(store);
    }
}

static void zones(void **state)
{
    static const int64_t starts[] = { INT64_MIN, INT64_C(1711846800000000), INT64_C(1729990800000000) };
    static const int32_t offsets[] = { 3600, 7200, 3600 }; /* Berlin 2024 */
    lapse_store_options o;
    lapse_store *store;
    (void)state;
    lapse_store_options_init(&o, sizeof o);
    o.zone_count = 3;
    o.zone_starts = starts;
    o.zone_offsets = offsets;
    assert_int_equal(lapse_store_open(NULL, &o, &store, NULL), LAPSE_OK);
    static const char csv[] = "customer,time,kind\na,2024-03-15T12:00:00,visitor.seen\n"; /* 11:00 UTC */
    add_events(store, csv, strlen(csv));
    char *got = ask(store, STATES, (struct ask){ .as_of = instant("2024-09-15T10:00:00") });
    assert_non_null(strstr(got, ",inactive,2024-09-15T10:00:00Z,2025-03-15T11:00:00Z,")); /* noon there, each time (T7) */
    free(got);
    got = ask(store, STATES, (struct ask){ .as_of = instant("2024-09-15T09:59:59.999999") });
    assert_non_null(strstr(got, ",at_risk,2024-06-13T11:00:00Z,2024-09-15T10:00:00Z,")); /* 90 days are 90 x 86400 s */
    free(got);
    lapse_store_close(store);
}

/* ---- account and rights ------------------------------------------------------------------------------ */

static void accounts(void **state)
{
    static const char *const cases[][2] = {
        { "a,2024-01-01,visitor.seen", "open,none" },
        { "a,2024-01-01,account.closed", "closed,none" },
        { "a,2024-01-01,account.closed\na,2024-01-02,customer.registered", "open,none" }, /* S21 */
        { "a,2024-01-01,account.closed\na,2024-01-01,customer.registered", "closed,none" },
        { "a,2024-01-01,account.closed\na,2024-01-02,visitor.seen", "closed,none" },
        { "a,2024-01-01,customer.erased\na,2024-01-02,customer.registered", "erased,erased" },
        { "a,2024-01-01,consent.objected", "open,objected" },
        { "a,2024-01-01,consent.objected\na,2024-01-02,consent.granted,channel=email,purpose=profiling", "open,none" },
        { "a,2024-01-01,consent.objected\na,2024-01-02,consent.granted,channel=email", "open,objected" },
        { "a,2024-01-01,consent.objected\na,2024-01-02,customer.erased", "erased,erased" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lapse_store *store = store_of_lines(cases[i][0]);
        char *got = ask(store, STATES, (struct ask){ AT("2024-02-01") });
        size_t n = strlen(cases[i][1]);
        got[strlen(got) - 1] = 0;
        if (strlen(got) < n || strcmp(got + strlen(got) - n, cases[i][1]) != 0)
            fail_msg("%s\nwanted %s, got\n%s", cases[i][0], cases[i][1], got);
        free(got);
        lapse_store_close(store);
    }
}

/* ---- docs/states.md: its tables are those of the code ------------------------------------------------ */

static char *documented(void)
{
    static const char *const effects[LAPSE_EFFECTS] = { "imported", "requested", "granted", "confirmed", "declined",
                                                        "withdrawn" };
    struct text t = { 0 };
    putf(&t, "| event | none | declined | granted | withdrawn |\n| --- | --- | --- | --- | --- |\n");
    for (int e = 0; e < LAPSE_EFFECTS; e++) {
        putf(&t, "| %s |", effects[e]);
        for (int base = LAPSE_CONSENT_NONE; base <= LAPSE_CONSENT_WITHDRAWN; base++)
            putf(&t, " %s |", lapse_consent_next[e][base] == base ? "." : lapse_consent_name(lapse_consent_next[e][base]));
        putf(&t, "\n");
    }
    putf(&t, "@| region | reads |\n| --- | --- |\n");
    for (int r = 0; r < LAPSE_REGIONS; r++) {
        const struct lapse_region *region = lapse_region_at((enum lapse_region_number)r);
        putf(&t, "| %s |", region->name);
        for (int kind = 1; kind < LAPSE_KINDS; kind++)
            if (lapse_region_reads(region, kind))
                putf(&t, " %s", lapse_kind_name(kind));
        putf(&t, " |\n");
    }
    putf(&t, "@");
    for (int32_t reason = 0; (reason = lapse_gate_reason(UINT64_MAX, reason));)
        putf(&t, "%s%s", lapse_reason_name(reason), lapse_gate_reason(UINT64_MAX, reason) ? " > " : "\n");
    return t.data;
}

static void documentation(void **state)
{
    struct text page = { 0 };
    char bytes[4096];
    size_t n;
    FILE *file = fopen(SOURCE_ROOT "/docs/states.md", "rb");
    (void)state;
    assert_non_null(file);
    while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
        put(&page, bytes, n);
    fclose(file);
    char *wanted = documented();
    for (char *part = strtok(wanted, "@"); part; part = strtok(NULL, "@"))
        if (!strstr(page.data, part)) {
            fputs(part, stderr); /* too long for a message of cmocka */
            fail_msg("docs/states.md does not have the lines above");
        }
    free(wanted);
    free(page.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages),
        cmocka_unit_test(clocks),
        cmocka_unit_test(zones),
        cmocka_unit_test(accounts),
        cmocka_unit_test(documentation),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
