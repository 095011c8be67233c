/* Who is left out of scores (rulings X1, X11 to X13, S22, F2, F4): one order, some events of consent, in or out. */
#include "help.h"

#define OBJECTED "x,2024-02-01,consent.objected,,,,,\n"
#define ASKED "x,2024-02-02,consent.requested,email,profiling,t1,,\n"
#define CONFIRMED "x,2024-02-20,consent.confirmed,email,profiling,t1,,\n"

static const struct {
    const char *events; /* customer,time,kind,channel,purpose,ref,topic,reason */
    bool in;
} cases[] = {
    { "", true },
    { OBJECTED, false },
    { "x,2024-01-15,consent.granted,email,profiling,,,\n" OBJECTED, false },         /* before it */
    { OBJECTED "x,2024-02-03,consent.granted,email,profiling,,,\n", true },
    { OBJECTED "x,2024-02-03,consent.granted,email,profiling,,,\nx,2024-02-04,consent.objected,,,,,\n", false },
    { OBJECTED "x,2024-02-03,consent.granted,email,marketing,,,\n", false },
    { OBJECTED "x,2024-02-03,consent.granted,email,,,,\n", false },                  /* without purpose: marketing */
    { OBJECTED "x,2024-02-03,consent.granted,email,profiling,,news,\n", false },     /* its topic only */
    { OBJECTED "x,2024-02-03,consent.imported,email,profiling,,,\n", false },
    /* confirmations */
    { OBJECTED CONFIRMED, false },
    { OBJECTED ASKED CONFIRMED, true },
    { OBJECTED ASKED CONFIRMED "x,2024-03-01,consent.objected,,,,,\n", false },
    { "x,2024-01-31,consent.requested,email,profiling,t1,,\n" OBJECTED CONFIRMED, false }, /* the objection voids it */
    { OBJECTED "x,2024-02-02,consent.requested,sms,profiling,t1,,\n" CONFIRMED, false },   /* another channel */
    { OBJECTED "x,2024-02-02,consent.requested,email,profiling,t2,,\n" CONFIRMED, false }, /* another token */
    { OBJECTED "x,2024-02-02,consent.requested,email,profiling,t11,,\n" CONFIRMED, false },
    { OBJECTED "x,2024-02-02,consent.requested,email,profiling,t,,\n" CONFIRMED, false },
    { OBJECTED "x,2024-02-02,consent.requested,email,profiling,t0,,\n" CONFIRMED, false },
    { OBJECTED ASKED "x,2024-02-20,consent.confirmed,sms,profiling,t1,,\n", false },
    { OBJECTED "x,2024-02-02,consent.requested,email,marketing,t1,,\n" CONFIRMED, false },
    { OBJECTED "x,2024-02-02,consent.requested,email,profiling,t1,news,\n" CONFIRMED, false },
    { OBJECTED ASKED "x,2024-02-20,consent.confirmed,email,marketing,t1,,\n", false },
    { OBJECTED ASKED "x,2024-02-20,consent.confirmed,email,profiling,t1,news,\n", false },
    { OBJECTED "x,2024-02-20,consent.requested,email,profiling,t1,,\n" CONFIRMED, true },  /* one instant: asked first */
    { OBJECTED "x,2024-02-21,consent.requested,email,profiling,t1,,\n" CONFIRMED, false },
    /* the limit of 60 days, to the instant */
    { OBJECTED ASKED "x,2024-04-02,consent.confirmed,email,profiling,t1,,\n", true },
    { OBJECTED ASKED "x,2024-04-02T00:00:00.000001Z,consent.confirmed,email,profiling,t1,,\n", false },
    { OBJECTED ASKED "x,2024-03-01,consent.requested,email,profiling,t1,,\n"
      "x,2024-04-02T00:00:00.000001Z,consent.confirmed,email,profiling,t1,,\n", true },
    /* what voids a token between request and confirmation */
    { OBJECTED ASKED "x,2024-02-10,consent.declined,email,profiling,,,\n" CONFIRMED, false },
    { OBJECTED ASKED "x,2024-02-10,consent.declined,sms,profiling,,,\n" CONFIRMED, true },
    { OBJECTED ASKED "x,2024-02-10,consent.declined,email,marketing,,,\n" CONFIRMED, true },
    { OBJECTED ASKED "x,2024-02-10,consent.declined,email,profiling,,news,\n" CONFIRMED, true },
    { OBJECTED ASKED "x,2024-02-10,consent.withdrawn,email,profiling,,,\n" CONFIRMED, false },
    { OBJECTED ASKED "x,2024-02-10,consent.withdrawn,,,,,\n" CONFIRMED, false },           /* every one */
    { OBJECTED ASKED "x,2024-02-10,consent.withdrawn,email,,,,\n" CONFIRMED, false },
    { OBJECTED ASKED "x,2024-02-10,consent.withdrawn,,profiling,,,\n" CONFIRMED, false },
    { OBJECTED ASKED "x,2024-02-10,consent.withdrawn,sms,,,,\n" CONFIRMED, true },
    { OBJECTED ASKED "x,2024-02-10,consent.withdrawn,email,marketing,,,\n" CONFIRMED, true },
    { OBJECTED ASKED "x,2024-02-10,consent.withdrawn,email,profiling,,news,\n" CONFIRMED, true },
    { OBJECTED ASKED "x,2024-02-10,consent.withdrawn,email,profiling,,,unverified\n" CONFIRMED, true },
    { OBJECTED ASKED "x,2024-02-10,consent.withdrawn,email,profiling,,,unverifiee\n" CONFIRMED, false },
    { OBJECTED ASKED "x,2024-02-10,account.closed,,,,,\n" CONFIRMED, false },
    { OBJECTED ASKED "x,2024-02-10,account.closed,,,,,\nx,2024-02-11,consent.requested,email,profiling,t1,,\n" CONFIRMED,
      true },
    { OBJECTED ASKED "x,2024-02-20,consent.withdrawn,,,,,\n" CONFIRMED, true },            /* one instant: withdrawn last */
    /* erased */
    { "x,2024-02-01,customer.erased,,,,,\n", false },
    { "x,2024-02-01,customer.erased,,,,,\nx,2024-02-03,consent.granted,email,profiling,,,\n", false },
};

static void customers_left_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1000];
        lapse_view *view;
        lapse_result *result;
        lapse_table *table;
        snprintf(text, sizeof text, "customer,time,kind,channel,purpose,ref,topic,reason\nx,2024-01-01,,,,,,\n"
                 "y,2024-01-01,,,,,,\n%s", cases[i].events);
        lapse_store *store = store_of(text);
        assert_int_equal(lapse_view_open(store, INT64_MAX, &view, NULL), LAPSE_OK);
        assert_int_equal(lapse_view_rfm(view, NULL, &result, NULL), LAPSE_OK);
        assert_int_equal(lapse_result_collect(result, &table, NULL), LAPSE_OK);
        if (lapse_table_rows(table) != 1 + cases[i].in)
            fail_msg("x should be %s:\n%s", cases[i].in ? "in" : "out", cases[i].events);
        bool told = false;
        for (int32_t n = 0; n < lapse_result_notes(result); n++)
            told |= strncmp(lapse_result_note(result, n), "1 customer ", 11) == 0;
        assert_int_equal(told, !cases[i].in);
        lapse_table_release(table);
        lapse_result_free(result);
        lapse_view_close(view);
        lapse_store_close(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(customers_left_out),
    };
    return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
