/* The consent of customers: golden vectors of semantics 4.4 and 4.5, the rules of ruling 6 as cases worked out by hand,
 * withdrawals of everything, and consent that is implied. */
#include "state_cases.h"

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

/* Of several requests that are open the first began the waiting, in whatever order they came in; one that was answered or is
 * too old began nothing. */
static void several_requests(void **state)
{
    struct ask at = { AT("2024-03-01") };
    (void)state;
    EXPECT("a,2024-02-05,consent.requested,channel=email,ref=t,source=s\na,2024-02-02,consent.requested,channel=email,ref=u,source=s",
           CONSENT, at, "a,email,marketing,,none,1,,2024-02-02T00:00:00Z,,s\n");
    EXPECT("a,2024-02-02,consent.requested,channel=email,ref=u,source=s\na,2024-02-05,consent.requested,channel=email,ref=t,source=s",
           CONSENT, at, "a,email,marketing,,none,1,,2024-02-02T00:00:00Z,,s\n");
    EXPECT("a,2023-06-02,consent.requested,channel=email,ref=u,source=s\na,2024-02-05,consent.requested,channel=email,ref=t,source=s",
           CONSENT, at, "a,email,marketing,,none,1,,2024-02-05T00:00:00Z,,s\n");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_vectors),
        cmocka_unit_test(cells),
        cmocka_unit_test(wide_withdrawals),
        cmocka_unit_test(several_requests),
        cmocka_unit_test(implied),
    };
    return cmocka_run_group_tests_name("state_consent", tests, NULL, NULL);
}
