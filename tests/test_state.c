/* States of customers: every rule of rulings 5 and 6 as a case worked out by hand, golden vectors of semantics 4.4 and 4.5,
 * and what the headers promise about calls. */
#include "states.h"

#include "state/state.h"

#define HEADER "customer,time,kind,channel,purpose,topic,platform,ref,value,reason,endpoint,evidence,source,amount\n"

/* A line of events: customer, time, kind, then `column=value` with commas between. */
static void put_line(struct text *t, const char *line, size_t n)
{
    static const char *const columns[] = { "channel", "purpose", "topic", "platform", "ref", "value", "reason", "endpoint",
                                           "evidence", "source", "amount" };
    char copy[512], *at = copy, *field[3];
    snprintf(copy, sizeof copy, "%.*s", (int)n, line);
    for (int i = 0; i < 3; i++) {
        field[i] = at;
        at += strcspn(at, ",");
        if (*at)
            *at++ = 0;
    }
    putf(t, "%s,%s,%s", field[0], field[1], field[2]);
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++) {
        char name[32];
        int size = snprintf(name, sizeof name, "%s=", columns[c]);
        const char *found = at;
        while (*found && strncmp(found, name, (size_t)size) != 0) {
            found += strcspn(found, ",");
            found += *found == ',';
        }
        putf(t, ",%.*s", *found ? (int)strcspn(found + size, ",") : 0, *found ? found + size : "");
    }
    put(t, "\n", 1);
}

static lapse_store *store_of_lines(const char *lines)
{
    struct text t = { 0 };
    put(&t, HEADER, strlen(HEADER));
    for (const char *at = lines; *at;) {
        size_t n = strcspn(at, "\n");
        if (n)
            put_line(&t, at, n);
        at += n + (at[n] == '\n');
    }
    lapse_store *store = store_of(t.data);
    free(t.data);
    return store;
}

/* The rows without the header, and without `drop` first columns. */
static void expect(int line, const char *lines, enum which which, struct ask a, const char *expected)
{
    lapse_store *store = store_of_lines(lines);
    char *got = ask(store, which, a);
    const char *rows = strchr(got, '\n') + 1;
    if (strcmp(rows, expected) != 0)
        fail_msg("line %d, events:\n%s\nwanted:\n%s\ngot:\n%s", line, lines, expected, rows);
    free(got);
    lapse_store_close(store);
}
#define EXPECT(...) expect(__LINE__, __VA_ARGS__)
#define AT(text) .as_of = instant(text)

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

/* ---- consent ----------------------------------------------------------------------------------------- */

/* Semantics 4.5 under strict tokens (X12): the vectors, as letters with their times, in order of arrival. */
static void golden_vectors(void **state)
{
    static const struct {
        const char *events, *expected; /* state, pending */
    } cases[] = {
        { "", "" }, { "G1", "granted,0" }, { "I1", "granted,0" }, { "G1 W2", "withdrawn,0" }, { "W2 G1", "withdrawn,0" },
        { "G1 W1", "withdrawn,0" }, { "W1 I2", "withdrawn,0" }, { "I2 W3", "withdrawn,0" }, { "D1 I2", "declined,0" },
        { "I1 D2", "withdrawn,0" }, { "D1 G2", "granted,0" }, { "W1 G2", "granted,0" }, { "A1", "none,1" },
        { "A1 C2", "granted,0" }, { "C1", "" }, { "A1 W2 C3", "withdrawn,0" }, { "W1 A2", "withdrawn,1" },
        { "W1 A2 C3", "granted,0" }, { "G1 A2", "granted,0" }, { "G1 D2", "withdrawn,0" },
        { "W1 G2 W3 I4", "withdrawn,0" },
        /* and what X11, X12, X13, C25 add */
        { "G1 C2", "granted,0" }, { "A1 D2 C3", "declined,0" }, { "A1 C2 W3 C4", "withdrawn,0" },
        { "A1 C2 W3 A4 C5", "granted,0" }, { "A1 C1", "granted,0" }, { "A1 W1", "withdrawn,0" }, { "A1 O2 C3", "withdrawn,0" },
        { "A1 S2 C3", "withdrawn,0" }, { "A1 X2 C3", "withdrawn,0" }, { "D1 A2", "declined,1" }, { "D1 A2 C3", "granted,0" },
        { "A1 A2 C3", "granted,0" }, { "D1 D2", "declined,0" }, { "W1 D2", "withdrawn,0" }, { "G2 W1 G1", "granted,0" },
    };
    static const struct {
        char letter;
        const char *kind;
    } kinds[] = { { 'G', "consent.granted,,,,,form" },     { 'I', "consent.imported,email,,,proof," },
                  { 'W', "consent.withdrawn,,,,," },       { 'D', "consent.declined,email,,,," },
                  { 'A', "consent.requested,email,,t,," }, { 'C', "consent.confirmed,email,,t,," },
                  { 'O', "consent.objected,,,,," },        { 'S', "message.spam_reported,email,,,," },
                  { 'X', "account.closed,,,,," } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lapse_store *store = store_of(NULL);
        for (const char *at = cases[i].events; *at; at += at[2] ? 3 : 2) {
            struct text t = { 0 };
            putf(&t, "customer,time,kind,channel,purpose,ref,evidence,reason\n");
            for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
                if (kinds[k].letter == *at && *at == 'G')
                    putf(&t, "a,2024-01-0%c,consent.granted,email,marketing,,,form\n", at[1]);
                else if (kinds[k].letter == *at)
                    putf(&t, "a,2024-01-0%c,%s\n", at[1], kinds[k].kind);
            add_events(store, t.data, t.size);
            free(t.data);
        }
        char *got = ask(store, CONSENT, (struct ask){ AT("2024-01-10") });
        const char *row = strstr(got, "a,email,marketing,,");
        size_t n = strlen(cases[i].expected);
        if (!*cases[i].expected ? row != NULL : !row || strncmp(row + 19, cases[i].expected, n) != 0)
            fail_msg("%s: wanted %s, got\n%s", cases[i].events, cases[i].expected, got);
        free(got);
        lapse_store_close(store);
    }
}

static void cells(void **state)
{
    struct ask at = { AT("2024-03-01") };
    (void)state;
    /* C3, C4, C5: since, reason and source of the event that began the state; the strongest */
    EXPECT("a,2024-01-01,consent.imported,channel=email,evidence=e,reason=list,source=s1\n"
           "a,2024-01-02,consent.granted,channel=email,reason=form,source=s2", CONSENT, at,
           "a,email,marketing,,granted,0,single,2024-01-01T00:00:00Z,list,s1\n");
    EXPECT("a,2024-01-01,consent.granted,channel=email,source=s\na,2024-01-02,consent.imported,channel=email,evidence=e,"
           "source=s", CONSENT, at, "a,email,marketing,,granted,0,single,2024-01-01T00:00:00Z,,s\n");
    EXPECT("a,2024-01-01,consent.granted,channel=email,source=s\na,2024-01-02,consent.requested,channel=email,ref=t,"
           "source=s\na,2024-01-03,consent.confirmed,channel=email,ref=t,source=s\n"
           "a,2024-01-04,consent.granted,channel=email,source=s", CONSENT, at,
           "a,email,marketing,,granted,0,double,2024-01-01T00:00:00Z,,s\n");
    EXPECT("a,2024-01-01,consent.imported,channel=email,source=s,evidence=e", CONSENT, at,
           "a,email,marketing,,granted,0,unknown,2024-01-01T00:00:00Z,,s\n");
    /* a state left and taken up again inside one instant was never interrupted */
    EXPECT("a,2024-01-01,consent.withdrawn,channel=sms,purpose=survey,reason=first,source=s\n"
           "a,2024-01-05,consent.granted,channel=sms,purpose=survey,source=s\n"
           "a,2024-01-05,consent.withdrawn,channel=sms,purpose=survey,reason=again,source=s", CONSENT, at,
           "a,sms,survey,,withdrawn,0,,2024-01-01T00:00:00Z,first,s\n");
    /* C6 and its policy */
    EXPECT("a,2024-01-01,consent.imported,channel=email", CONSENT, at, "");
    EXPECT("a,2024-01-01,consent.imported,channel=email,source=s", CONSENT,
           ((struct ask){ AT("2024-03-01"), .policy = "consent.import_needs_evidence=0" }),
           "a,email,marketing,,granted,0,unknown,2024-01-01T00:00:00Z,,s\n");
    /* F4 */
    EXPECT("a,2024-01-01,consent.granted,channel=email,source=s\na,2024-01-02,consent.withdrawn,channel=email,"
           "reason=unverified", CONSENT, at, "a,email,marketing,,granted,0,single,2024-01-01T00:00:00Z,,s\n");
    /* C9: topics apart from channels */
    EXPECT("a,2024-01-01,preference.set,channel=email,topic=news,value=0,source=s\n"
           "a,2024-01-02,consent.granted,channel=email,source=s", CONSENT, at,
           "a,email,marketing,,granted,0,single,2024-01-02T00:00:00Z,,s\n"
           "a,email,marketing,news,withdrawn,0,,2024-01-01T00:00:00Z,,s\n");
    EXPECT("a,2024-01-01,preference.set,channel=email,topic=b,value=1,source=s\n"
           "a,2024-01-01,preference.set,channel=email,topic=a,value=1,source=s\n"
           "a,2024-01-02,consent.withdrawn,channel=email,purpose=marketing,source=s", CONSENT, at,
           "a,email,marketing,,withdrawn,0,,2024-01-02T00:00:00Z,,s\n"
           "a,email,marketing,a,granted,0,single,2024-01-01T00:00:00Z,,s\n"
           "a,email,marketing,b,granted,0,single,2024-01-01T00:00:00Z,,s\n");
    /* S37: off wins inside one instant */
    EXPECT("a,2024-01-01,preference.set,channel=email,topic=b,value=0,source=s\n"
           "a,2024-01-01,preference.set,channel=email,topic=b,value=1,source=s", CONSENT, at,
           "a,email,marketing,b,withdrawn,0,,2024-01-01T00:00:00Z,,s\n");
    /* F3 */
    EXPECT("a,2024-01-01,sms.keyword,reason= Start ,source=s", CONSENT, at,
           "a,sms,marketing,,granted,0,single,2024-01-01T00:00:00Z, Start ,s\n");
    EXPECT("a,2024-01-01,sms.keyword,reason=STOP,source=s\na,2024-01-02,sms.keyword,reason=hello", CONSENT, at,
           "a,sms,marketing,,withdrawn,0,,2024-01-01T00:00:00Z,STOP,s\n");
    /* C8 */
    EXPECT("a,2024-01-01,message.spam_reported,channel=email,purpose=service,topic=x,source=s", CONSENT, at,
           "a,email,marketing,,withdrawn,0,,2024-01-01T00:00:00Z,,s\n");
    /* C12: a token is open until its limit, inclusive, and counts from its latest request */
    EXPECT("a,2024-01-01,consent.requested,channel=email,ref=t,reason=r,source=s", CONSENT, at,
           "a,email,marketing,,none,1,,2024-01-01T00:00:00Z,r,s\n");
    EXPECT("a,2024-01-01,consent.requested,channel=email,ref=t,source=s", CONSENT,
           ((struct ask){ AT("2024-03-01T00:00:00.000001") }), "");
    EXPECT("a,2024-01-01,consent.requested,channel=email,ref=t\na,2024-03-01,consent.confirmed,channel=email,ref=t,"
           "source=s", CONSENT, ((struct ask){ AT("2024-04-01") }),
           "a,email,marketing,,granted,0,double,2024-03-01T00:00:00Z,,s\n");
    EXPECT("a,2024-01-01,consent.requested,channel=email,ref=t\n"
           "a,2024-03-01T00:00:00.000001,consent.confirmed,channel=email,ref=t", CONSENT,
           ((struct ask){ AT("2024-04-01") }), "");
    EXPECT("a,2024-01-01,consent.requested,channel=email,ref=t\na,2024-01-02,consent.confirmed,channel=email,ref=u\n"
           "a,2024-01-02,consent.confirmed,channel=sms,ref=t\n"
           "a,2024-01-02,consent.confirmed,channel=email,purpose=survey,ref=t\n"
           "a,2024-01-02,consent.confirmed,channel=email,topic=x,ref=t", CONSENT,
           ((struct ask){ AT("2024-04-01") }), ""); /* of its own cell only */
    /* X12: a token that was used confirms nothing. Where consent was taken away it is void anyway; but an objection leaves
     * the cell of tracking as it is, and stops it until a later grant or confirmation that counts (C17). */
    EXPECT("a,2024-01-01,consent.requested,channel=ads,purpose=tracking,ref=t\n"
           "a,2024-01-02,consent.confirmed,channel=ads,purpose=tracking,ref=t\na,2024-01-03,consent.objected\n"
           "a,2024-01-04,consent.confirmed,channel=ads,purpose=tracking,ref=t", PERMIT,
           ((struct ask){ AT("2024-02-01"), .purpose = LAPSE_PURPOSE_TRACKING }), "a,ads,tracking,deny,objected,objected,\n");
    EXPECT("a,2024-01-01,consent.objected\na,2024-01-02,consent.requested,channel=ads,purpose=tracking,ref=t\n"
           "a,2024-01-03,consent.confirmed,channel=ads,purpose=tracking,ref=t", PERMIT,
           ((struct ask){ AT("2024-02-01"), .purpose = LAPSE_PURPOSE_TRACKING }), "a,ads,tracking,allow,,,\n");
}

static int count_lines(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        n++;
    return n;
}

/* Withdrawals of everything: which cells (C7, F2). */
static void wide_withdrawals(void **state)
{
    static const struct {
        const char *event;
        int cells, tracking, transactional;
    } cases[] = { { "a,2024-01-01,consent.objected,channel=email,purpose=tracking", 40, 0, 0 },
                  { "a,2024-01-01,account.closed", 40, 0, 0 },
                  { "a,2024-01-01,consent.withdrawn", 50, 10, 0 },
                  { "a,2024-01-01,consent.withdrawn,channel=sms", 5, 1, 0 },
                  { "a,2024-01-01,consent.withdrawn,purpose=transactional", 10, 0, 10 },
                  { "a,2024-01-01,preference.set,topic=x,value=0", 10, 0, 0 } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lapse_store *store = store_of_lines(cases[i].event);
        char *got = ask(store, CONSENT, (struct ask){ AT("2024-03-01") });
        assert_int_equal(count_lines(got, ",withdrawn,0,"), cases[i].cells);
        assert_int_equal(count_lines(got, ",tracking,"), cases[i].tracking);
        assert_int_equal(count_lines(got, ",transactional,"), cases[i].transactional);
        free(got);
        lapse_store_close(store);
    }
}

static void implied(void **state)
{
    static const char casl[] = "implied.purchase=24m implied.inquiry=6m";
    struct ask in = { AT("2025-12-31T23:59:59"), .policy = casl }, out = { AT("2026-01-01"), .policy = casl };
    (void)state;
    EXPECT("a,2024-01-01,order.placed,reason=r,source=s", CONSENT, in,
           "a,email,marketing,,implied,0,,2024-01-01T00:00:00Z,r,s\n");
    EXPECT("a,2024-01-01,order.placed,reason=r,source=s", CONSENT, out,
           "a,email,marketing,,expired,0,,2026-01-01T00:00:00Z,,\n");
    EXPECT("a,2024-01-01,order.placed", CONSENT, ((struct ask){ AT("2024-02-01") }), ""); /* off by default */
    EXPECT("a,2024-01-01,order.placed,ref=1,amount=1\na,2024-01-02,order.refunded,ref=1", CONSENT, in, "");
    EXPECT("a,2024-01-01,order.placed,source=s\na,2024-01-02,consent.declined,channel=email,source=s", CONSENT, in,
           "a,email,marketing,,declined,0,,2024-01-02T00:00:00Z,,s\n");
    EXPECT("a,2025-10-01,info.requested,source=s,reason=q\na,2024-01-01,order.placed", CONSENT, in,
           "a,email,marketing,,implied,0,,2025-10-01T00:00:00Z,q,s\n"); /* of two windows the one that ends last */
    EXPECT("a,2024-01-01,order.placed,source=s\na,2025-12-01,consent.requested,channel=email,ref=t\n"
           "a,2025-12-02,preference.set,channel=email,topic=x,value=1,source=s\n"
           "a,2025-12-02,consent.granted,channel=email,purpose=service,source=s", CONSENT, in,
           "a,email,service,,granted,0,single,2025-12-02T00:00:00Z,,s\n"
           "a,email,marketing,,implied,1,,2024-01-01T00:00:00Z,,s\n"
           "a,email,marketing,x,granted,0,single,2025-12-02T00:00:00Z,,s\n");
    EXPECT("a,2024-01-01,order.placed,source=s", CONSENT,
           ((struct ask){ AT("2024-02-01"), .policy = "implied.purchase=24m implied.channels=sms,push" }),
           "a,sms,marketing,,implied,0,,2024-01-01T00:00:00Z,,s\na,push,marketing,,implied,0,,2024-01-01T00:00:00Z,,s\n");
    EXPECT("a,2024-01-01,order.placed", PERMIT, ((struct ask){ .as_of = in.as_of, .policy = casl, .channel = 1 }),
           "a,email,marketing,allow,,,\n");
    EXPECT("a,2024-01-01,order.placed", PERMIT,
           ((struct ask){ .as_of = out.as_of, .policy = "implied.purchase=24m implied.channels=in_app",
                          .channel = LAPSE_CHANNEL_IN_APP }),
           "a,in_app,marketing,allow,,,\n"); /* a base of none, there, whatever has expired */
    EXPECT("a,2024-01-01,order.placed", PERMIT, ((struct ask){ .as_of = out.as_of, .policy = casl, .channel = 1 }),
           "a,email,marketing,deny,consent_expired,consent_expired,\n");
}

/* ---- endpoints --------------------------------------------------------------------------------------- */

/* Of one endpoint of email: what makes it what. */
static void endpoints(void **state)
{
#define B "a,2024-01-02,message.bounced,channel=email,reason="
    static const struct {
        const char *events, *expected, *policy;
    } cases[] = {
        { "", "ok", NULL },
        { B "hard", "hard_bounced", NULL }, { B "soft", "soft_bouncing", NULL }, { B "block", "ok", NULL },
        { B "", "soft_bouncing", NULL }, { B "5.1.1", "hard_bounced", NULL }, { B "5.1.10", "hard_bounced", NULL },
        { B "5.1.", "soft_bouncing", NULL }, { B "5.1", "soft_bouncing", NULL }, { B "15.1.1", "soft_bouncing", NULL },
        { B "5.2.1", "hard_bounced", NULL }, { B "5.2.2", "soft_bouncing", NULL }, { B "4.4.7", "soft_bouncing", NULL },
        { B "5.7.1", "ok", NULL }, { B "5.3.4", "ok", NULL }, { B "5.6.0", "ok", NULL }, { B "5.2.11", "soft_bouncing", NULL },
        { B "hard\na,2024-01-03,message.delivered,channel=email", "hard_bounced", NULL },
        { B "hard\na,2024-01-03,consent.granted,channel=email", "hard_bounced", NULL },
        { B "hard\na,2024-01-03,endpoint.verified,channel=email,endpoint=x@x.x", "ok", NULL },
        { B "hard\na,2024-01-03,endpoint.verified,channel=email,endpoint=y@x.x", "hard_bounced", NULL },
        { B "hard\na,2024-01-03,suppression.removed,channel=email", "ok", NULL },
        { B "hard\na,2024-01-03,suppression.removed,channel=email,endpoint=x@x.x", "ok", NULL },
        { B "hard\na,2024-01-03,suppression.removed,channel=email,endpoint=z@x.x", "hard_bounced", NULL },
        { B "hard\na,2024-01-03,suppression.removed,channel=sms", "hard_bounced", NULL },
        { B "soft\na,2024-01-03,message.delivered,channel=email", "ok", NULL },
        { B "soft\na,2024-01-03,suppression.removed,channel=email", "ok", NULL },
        { B "soft\na,2024-01-03,message.delivered,channel=sms", "soft_bouncing", NULL },
        /* S32: three, and strictly more than fourteen days from first to last since the last delivery */
        { B "soft\na,2024-01-09,message.bounced,channel=email\na,2024-01-16,message.bounced,channel=email",
          "soft_bouncing", NULL },
        { B "soft\na,2024-01-09,message.bounced,channel=email\na,2024-01-16T00:00:00.000001,message.bounced,channel=email",
          "hard_bounced", NULL },
        { B "soft\na,2024-01-20,message.bounced,channel=email", "soft_bouncing", NULL },
        { B "soft\na,2024-01-20,message.bounced,channel=email", "hard_bounced", "bounce.soft=2" },
        { B "soft\na,2024-01-03,message.bounced,channel=email\na,2024-01-05,message.bounced,channel=email",
          "hard_bounced", "bounce.span=2d" },
        { B "soft\na,2024-01-09,message.bounced,channel=email\na,2024-01-10,message.delivered,channel=email\n"
          "a,2024-01-20,message.bounced,channel=email", "soft_bouncing", NULL },
        { B "soft\na,2024-01-09,message.bounced,channel=email,endpoint=x@x.x\na,2024-01-20,message.bounced,channel=email,"
          "endpoint=x@x.x", "hard_bounced", NULL },
        { B "soft\na,2024-01-09,message.bounced,channel=email\na,2024-01-16T12:00:00,message.bounced,channel=email\n"
          "a,2024-01-17,endpoint.verified,channel=email,endpoint=x@x.x\na,2024-01-18,message.bounced,channel=email",
          "soft_bouncing", NULL }, /* lifted: the run is new */
        /* S33: facts that do not touch each other, in this order */
        { B "hard\na,2024-01-03,message.spam_reported,channel=email", "hard_bounced", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email", "spam_reported", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-04,consent.granted,channel=email", "ok", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-03,consent.granted,channel=email", "spam_reported",
          NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-04,consent.granted,channel=email,purpose=profiling",
          "spam_reported", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-04,consent.confirmed,channel=email,ref=t",
          "spam_reported", NULL },
        { "a,2024-01-03,message.spam_reported,channel=email\na,2024-01-04,consent.requested,channel=email,ref=t\n"
          "a,2024-01-05,consent.confirmed,channel=email,ref=t", "ok", NULL },
        { "a,2024-01-03,suppression.added,channel=email\n" B "hard", "manual_block", NULL },
        { B "hard\na,2024-01-03,suppression.added,channel=email\na,2024-01-04,endpoint.verified,channel=email,"
          "endpoint=x@x.x", "manual_block", NULL },
        { "a,2024-01-03,suppression.added,channel=email\na,2024-01-04,suppression.removed,channel=email,endpoint=x@x.x",
          "ok", NULL },
        { "a,2024-01-03,suppression.added,channel=sms", "ok", NULL },
        { "a,2024-01-03,endpoint.removed,channel=email,endpoint=x@x.x", "no_endpoint", NULL },
        { "a,2024-01-03,endpoint.removed,channel=email,endpoint=y@x.x", "ok", NULL },
        { "a,2024-01-03,endpoint.removed,channel=email", "no_endpoint", NULL },
        { "a,2024-01-03,endpoint.removed,channel=email\na,2024-01-04,endpoint.added,channel=email,endpoint=x@x.x", "ok",
          NULL },
        { B "hard\na,2024-01-03,endpoint.removed,channel=email\na,2024-01-04,endpoint.added,channel=email,endpoint=x@x.x",
          "hard_bounced", NULL }, /* the address is as dead as it was */
        { "a,2024-01-03,app.uninstalled", "ok", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text t = { 0 };
        putf(&t, "a,2024-01-01,endpoint.added,channel=email,endpoint=x@x.x\n%s", cases[i].events);
        lapse_store *store = store_of_lines(t.data);
        char *got = ask(store, CHANNELS, (struct ask){ AT("2024-02-01"), .policy = cases[i].policy }), want[64];
        snprintf(want, sizeof want, ",%s,,,\n", cases[i].expected);
        if (!strstr(got, want))
            fail_msg("%s\nwanted %s, got\n%s", t.data, cases[i].expected, got);
        free(got);
        free(t.data);
        lapse_store_close(store);
    }
#undef B
}

static void channels(void **state)
{
    struct ask at = { AT("2024-02-01") };
    (void)state;
    EXPECT("a,2024-01-01,message.sent,channel=email\na,2024-01-01,consent.granted,channel=sms", CHANNELS, at,
           "a,email,,ok,,,\n"); /* S27 */
    EXPECT("a,2024-01-01,message.bounced,channel=email,reason=hard,endpoint=x@x.x", CHANNELS, at,
           "a,email,,hard_bounced,,,\n");
    EXPECT("a,2024-01-01,app.installed", CHANNELS, at, "a,push,,ok,,,\na,in_app,,ok,,,\n");
    EXPECT("a,2024-01-01,app.installed\na,2024-01-02,app.uninstalled", CHANNELS, at,
           "a,push,,no_endpoint,,,\na,in_app,,no_endpoint,,,\n");
    EXPECT("a,2024-01-01,app.installed\na,2024-01-02,push.token_invalidated", CHANNELS, at,
           "a,push,,no_endpoint,,,\na,in_app,,ok,,,\n");
    EXPECT("a,2024-01-01,app.installed\na,2024-01-02,app.uninstalled\na,2024-01-03,app.installed", CHANNELS, at,
           "a,push,,ok,,,\na,in_app,,ok,,,\n");
    EXPECT("a,2024-01-01,session.started,platform=app", CHANNELS, at, ""); /* S31 */
    /* S35: the new address begins at ok, the old one is gone; hashes in their order */
    lapse_store *store = store_of_lines("a,2024-01-01,endpoint.added,channel=email,endpoint=x@x.x\n"
                                        "a,2024-01-02,message.bounced,channel=email,reason=hard\n"
                                        "a,2024-01-03,endpoint.changed,channel=email,endpoint=y@x.x\n");
    char *got = ask(store, CHANNELS, at);
    char first[17], second[17], deliverable[2][32];
    assert_int_equal(sscanf(strchr(got, '\n') + 1, "a,email,%16[0-9a-f],%31[a-z_],,,\na,email,%16[0-9a-f],%31[a-z_],,,\n", first,
                            deliverable[0], second, deliverable[1]), 4);
    assert_true(strcmp(first, second) < 0);
    bool swapped = strcmp(deliverable[0], "ok") == 0;
    assert_string_equal(deliverable[swapped ? 0 : 1], "ok");
    assert_string_equal(deliverable[swapped ? 1 : 0], "hard_bounced");
    free(got);
    got = ask(store, PERMIT, (struct ask){ .as_of = at.as_of, .channel = 1, .purpose = LAPSE_PURPOSE_SERVICE });
    assert_non_null(strstr(got, "allow"));
    free(got);
    lapse_store_close(store);
}

/* More endpoints than an event without address is told to: those added last are. */
static void many_endpoints(void **state)
{
    struct text t = { 0 };
    (void)state;
    for (int i = 0; i < 200; i++)
        putf(&t, "a,2024-01-01T00:%02d:%02d,endpoint.added,channel=email,endpoint=%d@x.x\n", i / 60, i % 60, i);
    putf(&t, "a,2024-01-02,message.bounced,channel=email,reason=hard\n");
    lapse_store *store = store_of_lines(t.data);
    char *got = ask(store, CHANNELS, (struct ask){ AT("2024-02-01") });
    assert_int_equal(count_lines(got, ",hard_bounced,"), LAPSE_HELD_MAX);
    assert_int_equal(count_lines(got, ",ok,"), 200 - LAPSE_HELD_MAX);
    free(got);
    free(t.data);
    lapse_store_close(store);
}

/* C13, C14: which endpoint decides, of transactional messages, which ask nothing else. */
static void reachable(void **state)
{
    static const struct {
        const char *events;
        int32_t channel;
        const char *yes, *no; /* permit.assume_endpoint 1 and 0: reasons */
    } cases[] = {
        { "a,2024-01-01,visitor.seen", LAPSE_CHANNEL_EMAIL, "", "no_endpoint" },
        { "a,2024-01-01,visitor.seen", LAPSE_CHANNEL_IN_APP, "", "no_endpoint" },
        { "a,2024-01-01,visitor.seen", LAPSE_CHANNEL_ONSITE, "", "" },
        { "a,2024-01-01,visitor.seen", LAPSE_CHANNEL_ADS, "", "" },
        { "a,2024-01-01,session.started,platform=web", LAPSE_CHANNEL_IN_APP, "", "no_endpoint" },
        { "a,2024-01-01,session.started,platform=app", LAPSE_CHANNEL_IN_APP, "", "" },
        { "a,2024-01-01,session.started,platform=app\na,2024-01-02,app.uninstalled", LAPSE_CHANNEL_IN_APP, "no_endpoint",
          "no_endpoint" },
        { "a,2024-01-01,app.uninstalled\na,2024-01-02,session.started,platform=app", LAPSE_CHANNEL_IN_APP, "", "" },
        { "a,2024-01-01,app.uninstalled", LAPSE_CHANNEL_PUSH, "no_endpoint", "no_endpoint" },
        { "a,2024-01-01,app.uninstalled\na,2024-01-02,endpoint.added,channel=push,endpoint=tok", LAPSE_CHANNEL_PUSH, "",
          "" }, /* S38 */
        { "a,2024-01-01,app.uninstalled", LAPSE_CHANNEL_WEB_PUSH, "", "no_endpoint" },
        { "a,2024-01-01,endpoint.verified,channel=sms,endpoint=1", LAPSE_CHANNEL_SMS, "", "" },
        { "a,2024-01-01,message.bounced,channel=email,reason=hard", LAPSE_CHANNEL_EMAIL, "hard_bounced",
          "no_endpoint|hard_bounced" },
        { "a,2024-01-01,suppression.added,channel=ads", LAPSE_CHANNEL_ADS, "manual_block", "manual_block" },
        { "a,2024-01-01,endpoint.added,channel=email,endpoint=x@x\na,2024-01-02,endpoint.added,channel=email,endpoint=y@x\n"
          "a,2024-01-03,message.bounced,channel=email,endpoint=x@x,reason=hard", LAPSE_CHANNEL_EMAIL, "", "" },
        { "a,2024-01-01,endpoint.added,channel=email,endpoint=x@x\na,2024-01-02,endpoint.added,channel=email,endpoint=y@x\n"
          "a,2024-01-03,message.bounced,channel=email,endpoint=y@x,reason=hard", LAPSE_CHANNEL_EMAIL, "", "" },
        { "a,2024-01-01,endpoint.added,channel=email,endpoint=x@x\na,2024-01-02,endpoint.added,channel=email,endpoint=y@x\n"
          "a,2024-01-03,message.bounced,channel=email,endpoint=x@x,reason=hard\n"
          "a,2024-01-04,endpoint.removed,channel=email,endpoint=y@x", LAPSE_CHANNEL_EMAIL, "no_endpoint", "no_endpoint" },
        { "a,2024-01-02,endpoint.added,channel=email,endpoint=x@x\na,2024-01-01,endpoint.added,channel=email,endpoint=y@x\n"
          "a,2024-01-03,message.bounced,channel=email,endpoint=x@x,reason=hard\n"
          "a,2024-01-04,endpoint.removed,channel=email,endpoint=y@x", LAPSE_CHANNEL_EMAIL, "hard_bounced",
          "hard_bounced" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int assume = 0; assume < 2; assume++) {
            const char *reasons = assume ? cases[i].yes : cases[i].no;
            lapse_store *store = store_of_lines(cases[i].events);
            char *got = ask(store, PERMIT, (struct ask){ AT("2024-02-01"), .channel = cases[i].channel,
                                                         .purpose = LAPSE_PURPOSE_TRANSACTIONAL,
                                                         .policy = assume ? NULL : "permit.assume_endpoint=0" });
            char want[128];
            snprintf(want, sizeof want, *reasons ? ",deny,%.*s,%s,\n" : ",allow,,,\n", (int)strcspn(reasons, "|"), reasons,
                     reasons);
            if (!strstr(got, want))
                fail_msg("%s\nassume %d, wanted %s, got\n%s", cases[i].events, assume, want, strchr(got, '\n') + 1);
            free(got);
            lapse_store_close(store);
        }
}

/* ---- the calls --------------------------------------------------------------------------------------- */

static void nobody(void **state)
{
    lapse_store *store = store_of(NULL);
    (void)state;
    for (int i = STATES; i <= PERMIT; i++) {
        char *got = ask(store, (enum which)i, (struct ask){ AT("2024-01-01") });
        assert_int_equal(count_lines(got, "\n"), 1);
        free(got);
        got = ask(store, (enum which)i, (struct ask){ AT("2024-01-01"), .customer = "x" });
        assert_int_equal(count_lines(got, "\n"), i == PERMIT ? 11 : 1); /* K15 */
        free(got);
    }
    lapse_store_close(store);
}

static void one_customer(void **state)
{
    lapse_store *store = store_of_lines("a,2024-01-01,order.placed\naa,2024-01-01,consent.granted,channel=email\n"
                                        "ab,2024-01-01,visitor.seen\nab,2024-03-01,visitor.seen\n");
    (void)state;
    char *got = ask(store, PERMIT, (struct ask){ AT("2024-02-01"), .customer = "aa", .channel = 1 });
    assert_string_equal(strchr(got, '\n') + 1, "aa,email,marketing,allow,,,\n");
    free(got);
    got = ask(store, STATES, (struct ask){ AT("2024-02-01"), .customer = "ab" });
    assert_non_null(strstr(got, "\nab,acquisition,acquisition,active,2024-01-01T00:00:00Z,2024-03-31T00:00:00Z,new,,"
                                "2024-01-01T00:00:00Z,"));
    assert_int_equal(count_lines(got, "\n"), 2);
    free(got);
    got = ask(store, STATES, (struct ask){ AT("2023-02-01"), .customer = "ab" }); /* not yet */
    assert_int_equal(count_lines(got, "\n"), 1);
    free(got);
    lapse_store_close(store);
}

static int32_t cancel(void *user, int64_t done, int64_t total)
{
    assert_true(done <= total);
    return ++*(int *)user;
}

static void refusals(void **state)
{
    lapse_store *store = store_of_lines("a,2024-01-01,order.placed\n");
    lapse_view *view;
    lapse_result *result = (lapse_result *)&store;
    lapse_state_options o;
    lapse_permit_options p;
    lapse_decision d = { .size = sizeof d };
    lapse_table *table;
    char longer[300];
    int calls = 0;
    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[256] = 0;
    assert_int_equal(lapse_view_open(store, instant("2024-02-01"), &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_states(NULL, NULL, &result, NULL), LAPSE_INVALID);
    assert_null(result);
    assert_int_equal(lapse_view_states(view, NULL, NULL, NULL), LAPSE_INVALID);
    lapse_state_options_init(&o, sizeof o);
    o.threads = 65;
    assert_int_equal(lapse_view_channels(view, &o, &result, NULL), LAPSE_INVALID);
    o.threads = 0;
    assert_int_equal(lapse_view_consent(view, &o, &result, NULL), LAPSE_INVALID);
    o.threads = 1;
    o.flags = 1;
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_INVALID);
    o.flags = 0;
    o.reserved = 1;
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_INVALID);
    o.reserved = 0;
    o.customer = "";
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_INVALID);
    o.customer = longer;
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_INVALID);
    assert_null(result);
    o.customer = NULL;
    o.on_progress = cancel;
    o.progress_user = &calls;
    assert_int_equal(lapse_view_states(view, &o, &result, NULL), LAPSE_OK);
    assert_int_equal(calls, 0); /* tables are worked out as they are pulled */
    assert_int_equal(lapse_result_next(result, &table, NULL), LAPSE_CANCELLED);
    assert_int_equal(calls, 1);
    lapse_result_free(result);
    lapse_permit_options_init(&p, sizeof p);
    assert_int_equal(lapse_view_permit(view, NULL, &result, NULL), LAPSE_INVALID); /* no purpose */
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.purpose = LAPSE_PURPOSE_SURVEY + 1;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.purpose = LAPSE_PURPOSE_SURVEY;
    p.channel = LAPSE_CHANNEL_ADS + 1;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.channel = -1;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.channel = 0;
    p.topic = longer;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.topic = NULL;
    p.threads = 65;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    p.threads = 1;
    p.flags = 2;
    assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(NULL, NULL, "a", 1, 1, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, NULL, 1, 1, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "", 1, 1, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 0, 1, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 1, 0, NULL, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 1, 1, longer, &d, NULL), LAPSE_INVALID);
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 1, 1, NULL, NULL, NULL), LAPSE_INVALID);
    d.size = 8;
    assert_int_equal(lapse_view_permit_one(view, NULL, "a", 1, 1, NULL, &d, NULL), LAPSE_INVALID);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void overflows(void **state)
{
    lapse_store *store = store_of_lines("a,2024-01-01,order.placed,ref=1,amount=92233720368547758.07\n"
                                        "a,2024-01-02,order.placed,ref=1,amount=92233720368547758.07\n");
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    lapse_error error = { .size = sizeof error };
    (void)state;
    assert_int_equal(lapse_view_open(store, instant("2024-02-01"), &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_states(view, NULL, &result, NULL), LAPSE_OK);
    assert_int_equal(lapse_result_next(result, &table, &error), LAPSE_OVERFLOW);
    assert_non_null(strstr(error.message, "customer `a`"));
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store_close(store);
}

static void names_of_states(void **state)
{
    static const struct {
        const char *(*name)(int32_t);
        int32_t last;
        const char *text;
    } all[] = { { lapse_stage_name, LAPSE_STAGE_LOYALTY, "loyalty" },
                { lapse_clock_name, LAPSE_CLOCK_LOST, "lost" },
                { lapse_consent_name, LAPSE_CONSENT_EXPIRED, "expired" },
                { lapse_strength_name, LAPSE_STRENGTH_DOUBLE, "double" },
                { lapse_deliverability_name, LAPSE_DELIVERABILITY_MANUAL_BLOCK, "manual_block" },
                { lapse_account_name, LAPSE_ACCOUNT_ERASED, "erased" },
                { lapse_decision_name, LAPSE_DECISION_DEFER, "defer" },
                { lapse_reason_name, LAPSE_REASON_TOPIC_OFF, "topic_off" },
                { lapse_rights_name, LAPSE_RIGHTS_ERASED, "erased" } };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_string_equal(all[i].name(all[i].last), all[i].text);
        assert_null(all[i].name(0));
        assert_null(all[i].name(-1));
        assert_null(all[i].name(all[i].last + 1));
        for (int32_t v = 1; v <= all[i].last; v++)
            assert_non_null(all[i].name(v));
    }
}

/* One customer with more cells than a table has rows. */
static void many_cells(void **state)
{
    enum { TOPICS = 70000 };
    struct text t = { 0 };
    lapse_view *view;
    lapse_result *result;
    lapse_table *table;
    int64_t rows = 0;
    (void)state;
    putf(&t, "customer,time,kind,channel,topic,value\n");
    for (int i = 0; i < TOPICS; i++)
        putf(&t, "a,2024-01-01,preference.set,email,t%05d,1\n", i);
    lapse_store *store = store_of(t.data);
    assert_int_equal(lapse_view_open(store, instant("2024-02-01"), &view, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_consent(view, NULL, &result, NULL), LAPSE_OK);
    while (lapse_result_next(result, &table, NULL) == LAPSE_OK) {
        assert_true(lapse_table_rows(table) <= 65536);
        rows += lapse_table_rows(table);
        lapse_table_release(table);
    }
    assert_int_equal(rows, TOPICS);
    lapse_result_free(result);
    lapse_view_close(view);
    lapse_store_close(store);
    free(t.data);
}

/* More rows than are worked out at once, in more than one slice: the same tables by any number of threads. */
static void many_rows(void **state)
{
    enum { MANY = 30000, EVENTS = 10 };
    struct text t = { 0 };
    char *first = NULL;
    (void)state;
    putf(&t, "customer,time,kind,channel\n");
    for (int c = 0; c < MANY; c++)
        for (int e = 0; e < EVENTS; e++)
            putf(&t, "c%05d,2024-01-%02d,%s,email\n", c, e + 1, c % 3 ? "consent.granted" : "message.sent");
    lapse_store *store = store_of(t.data);
    free(t.data);
    for (int threads = 1; threads <= 4; threads++) {
        lapse_view *view;
        lapse_result *result;
        lapse_table *table;
        lapse_permit_options p;
        int64_t rows = 0, parts = 0;
        char *got = ask(store, PERMIT, (struct ask){ AT("2024-02-01"), .threads = threads });
        assert_int_equal(count_lines(got, "\n"), 10 * MANY + 1);
        if (first)
            assert_true(strcmp(first, got) == 0);
        if (first)
            free(got);
        else
            first = got;
        /* given up after any number of tables, nothing is lost */
        lapse_permit_options_init(&p, sizeof p);
        p.purpose = LAPSE_PURPOSE_MARKETING;
        p.threads = threads;
        assert_int_equal(lapse_view_open(store, instant("2024-02-01"), &view, NULL), LAPSE_OK);
        assert_int_equal(lapse_view_permit(view, &p, &result, NULL), LAPSE_OK);
        lapse_view_close(view);
        while (parts < threads && lapse_result_next(result, &table, NULL) == LAPSE_OK) {
            rows += lapse_table_rows(table);
            lapse_table_release(table);
            parts++;
        }
        assert_true(parts == threads && rows <= parts * 65536);
        lapse_result_free(result);
    }
    for (char *at = strchr(first, '\n') + 1, last[8] = ""; *at; at = strchr(at, '\n') + 1) {
        assert_true(strncmp(last, at, 6) <= 0);
        memcpy(last, at, 6);
    }
    free(first);
    lapse_store_close(store);
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
        cmocka_unit_test(stages),          cmocka_unit_test(clocks),
        cmocka_unit_test(zones),           cmocka_unit_test(accounts),
        cmocka_unit_test(golden_vectors),  cmocka_unit_test(cells),
        cmocka_unit_test(wide_withdrawals), cmocka_unit_test(implied),
        cmocka_unit_test(endpoints),       cmocka_unit_test(channels),
        cmocka_unit_test(many_endpoints),  cmocka_unit_test(reachable),
        cmocka_unit_test(nobody),          cmocka_unit_test(one_customer),
        cmocka_unit_test(refusals),        cmocka_unit_test(overflows),
        cmocka_unit_test(names_of_states), cmocka_unit_test(many_cells),
        cmocka_unit_test(many_rows),       cmocka_unit_test(documentation),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
