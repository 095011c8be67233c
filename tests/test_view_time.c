/* lib/view, clock.c and track.c: states by deadlines at every microsecond around them, and the last thing that counted, as it
 * changes from instant to instant. */
#include "help.h"

#include "view/view.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static lapse_allocator memory;

static lapse_policy *limits(const char *basis, const char *risk, const char *inactive, const char *lost)
{
    char text[200];
    snprintf(text, sizeof text, "%s.risk=%s %s.inactive=%s %s.lost=%s", basis, risk, basis, inactive, basis, lost);
    return policy_of(text);
}

/* The quick ways say what the deadlines say, at every microsecond around them; S11 where limits pass each other. */
static void test_clock(void **state)
{
    (void)state;
    static const char *const spans[][3] = { { "90d", "6m", "12m" }, { "1m", "31d", "1y" },
                                            { "5d", "2m", "59d" },  { "1s", "1m", "2m" },
                                            { "1m", "1m", "1m" },   { "31d", "1m", "32d" } };
    const int64_t day = LAPSE_DAY, hour = 3600 * LAPSE_SECOND;
    const int64_t starts[] = { INT64_MIN, 19800 * day + hour, 19900 * day };
    const int32_t offsets[] = { 14 * 3600, -12 * 3600, 13 * 3600 };
    const struct lapse_zone zone = { 3, starts, offsets };
    for (int i = 0; i < COUNT(spans); i++)
        for (int basis = 0; basis < 2; basis++) {
            lapse_policy *policy =
                limits(basis ? "engagement" : "purchase", spans[i][0], spans[i][1], spans[i][2]);
            struct lapse_clock clock;
            lapse_clock_init(&clock, &zone, policy, basis ? LAPSE_BASIS_ACTIVITY : LAPSE_BASIS_PURCHASE);
            for (int64_t last = 19700 * day; last < 20100 * day; last += 7 * hour + 11) {
                int64_t before = last;
                assert_int_equal(lapse_clock_state(&clock, last, last - 1), LAPSE_CLOCK_NEW);
                for (int32_t s = LAPSE_CLOCK_AT_RISK; s <= LAPSE_CLOCK_LOST; s++) {
                    int64_t deadline = lapse_clock_deadline(&clock, s, last),
                            own = lapse_zone_add(&zone, last, clock.limit[s].n, clock.limit[s].unit);
                    assert_true(deadline >= before && deadline <= own && deadline > last);
                    assert_true(s < LAPSE_CLOCK_LOST || deadline == own);
                    assert_true(lapse_clock_passed(&clock, s, last, deadline));
                    assert_false(lapse_clock_passed(&clock, s, last, deadline - 1));
                    assert_true(lapse_clock_state(&clock, last, deadline) >= s);
                    assert_true(lapse_clock_state(&clock, last, deadline - 1) < s);
                    before = deadline;
                }
            }
            assert_int_equal(lapse_clock_state(&clock, LAPSE_MISSING, 0), LAPSE_CLOCK_NEW);
            assert_false(lapse_clock_passed(&clock, LAPSE_CLOCK_LOST, LAPSE_MISSING, INT64_MAX));
            assert_true(lapse_clock_passed(&clock, LAPSE_CLOCK_LOST, LAPSE_TIME_MIN, INT64_MAX));
            lapse_policy_free(policy);
        }
}

static const char *steps_of(const char *csv, const struct lapse_activity *activity)
{
    static char out[1000];
    lapse_view *view = view_of(csv, "2999-01-01");
    struct lapse_cursor *cursor;
    const struct lapse_history *history;
    struct lapse_track track = { .mem = &memory };
    *out = 0;
    uint32_t fields = lapse_track_fields(view, activity ? LAPSE_BASIS_ACTIVITY : LAPSE_BASIS_PURCHASE);
    assert_int_equal(lapse_cursor_open(view, fields, NULL, NULL, &cursor, NULL), LAPSE_OK);
    while (lapse_cursor_next(cursor, &history, NULL) == LAPSE_OK) {
        assert_int_equal(lapse_track_read(&track, history, activity, false, NULL), LAPSE_OK);
        for (size_t i = 0; i < track.count; i++) {
            sprintf(out + strlen(out), " %lld", (long long)(track.steps[i].since / LAPSE_SECOND));
            if (track.steps[i].last == LAPSE_MISSING)
                strcat(out, "-");
            else if (track.steps[i].last != track.steps[i].since)
                sprintf(out + strlen(out), ":%lld", (long long)(track.steps[i].last / LAPSE_SECOND));
        }
    }
    lapse_cursor_close(cursor);
    lapse_track_free(&track);
    lapse_view_close(view);
    return out;
}

/* `9:4` is: from 9 on the last one is that of 4; `9-`: none. */
static void test_track(void **state)
{
    (void)state;
#define EVENTS "customer,time,kind,ref,amount,source,event_id\n"
    static const char *const cases[][2] = {
        { "x,@1,,,5,,\nx,@1,,,5,,\nx,@3,,,0,,\nx,@4,,,,,\n", " 1 4" }, /* ties; free goods; no amount */
        { "x,@1,,a,5,,\nx,@3,,a,5,,\nx,@5,,b,5,,\n", " 1 5" },         /* lines of one order (M9) */
        { "x,@1,,a,0,,\nx,@3,,a,5,,\n", " 3:1" },                      /* valid from its second line on */
        { "x,@1,,a,5,,\nx,@4,,b,5,,\nx,@9,order.refunded,b,,,\n", " 1 4 9:1" },
        { "x,@1,,a,5,,\nx,@9,order.cancelled,a,,,\n", " 1 9-" },
        { "x,@1,order.refunded,a,3,,\nx,@4,,a,5,,\nx,@6,order.refunded,a,2,,\n",
          " 4 6-" }, /* dated before it (M8) */
        { "x,@1,order.cancelled,a,,,\nx,@4,,a,5,,\n", "" },
        { "x,@4,,a,5,,\nx,@4,order.refunded,a,5,,\n", "" }, /* seen after all of the instant */
        { "x,@1,,a,5,,\nx,@2,order.refunded,a,5,,\nx,@3,,a,5,,\nx,@4,order.refunded,a,5,,\nx,@5,,a,1,,\n",
          " 1 2- 3:1 4- 5:1" },
        { "x,@1,,a,5,s,1\nx,@9,event.retracted,1,,s,\n", " 1 9-" },
        { "x,@1,,a,5,s,1\nx,@3,,a,5,s,2\nx,@9,event.retracted,1,,s,\n", " 1 9:3" }, /* its earliest line goes */
        { "x,@1,,a,5,s,1\nx,@1,event.retracted,1,,s,\n", "" },
        { "x,@1,event.retracted,1,,s,\nx,@3,,a,5,s,1\nx,@4,,,5,s,2\n", " 4" }, /* never seen */
        { "x,@1,,a,5,s,1\nx,@9,event.retracted,1,,t,\n", " 1" },               /* of another source */
        { "x,@1,,a,5,s,1\nx,@3,order.refunded,a,5,s,2\nx,@9,event.retracted,2,,s,\n",
          " 1 3- 9:1" }, /* a refund goes */
        { "x,@1,,a,5,s,1\nx,@7,event.retracted,1,,s,\nx,@9,event.retracted,1,,s,\n", " 1 7-" },
    };
    char csv[400];
    for (int i = 0; i < COUNT(cases); i++) {
        snprintf(csv, sizeof csv, "%s%s", EVENTS, cases[i][0]);
        assert_string_equal(steps_of(csv, NULL), cases[i][1]);
    }
    /* activity: a refunded order stays one (X7); no clicks of bots, opens by the policy */
    struct lapse_activity activity;
    const char *acts =
        "customer,time,kind,channel,reason,source,event_id,ref\nx,@1,order.placed,,,,,a\n"
        "x,@2,order.refunded,,,,,a\nx,@3,message.clicked,email,bot,,,\nx,@4,message.clicked,email,,s,1,\n"
        "x,@5,message.opened,email,,,,\nx,@6,info.requested,,,,,\nx,@8,event.retracted,,,s,,1\n";
    lapse_activity_init(&activity, NULL);
    assert_string_equal(steps_of(acts, &activity), " 1 4 8:1");
    lapse_policy *policy = policy_of("activity.opens=1");
    lapse_activity_init(&activity, policy);
    assert_string_equal(steps_of(acts, &activity), " 1 4 5");
    lapse_policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_track),
    };
    if (lapse_mem_init(&memory, NULL, NULL) != LAPSE_OK)
        return 1;
    return cmocka_run_group_tests_name("view: time", tests, NULL, NULL);
}
