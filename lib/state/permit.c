/* The answer `permit`: the gate asked for all customers in one pass, or for one of them without a table. */
#include "state/state.h"

enum { CUSTOMER, CHANNEL, PURPOSE, DECISION, REASON, REASONS, UNTIL, COLUMNS };
static const struct lapse_column_spec columns[COLUMNS] = {
    [CUSTOMER] = { "customer", LAPSE_TYPE_STRING, 0 }, [CHANNEL] = { "channel", LAPSE_TYPE_STRING, 0 },
    [PURPOSE] = { "purpose", LAPSE_TYPE_STRING, 0 },   [DECISION] = { "decision", LAPSE_TYPE_STRING, 0 },
    [REASON] = { "reason", LAPSE_TYPE_STRING, 0 },     [REASONS] = { "reasons", LAPSE_TYPE_STRING, 0 },
    [UNTIL] = { "until", LAPSE_TYPE_TIME, 0 },
};

static void put_name(struct lapse_builder *b, int32_t column, const char *name)
{
    if (name)
        lapse_builder_text(b, column, name, strlen(name));
    else
        lapse_builder_missing(b, column);
}

static void put_reasons(struct lapse_builder *b, uint64_t reasons)
{
    char text[512];
    size_t size = 0;
    for (int32_t r = LAPSE_REASON_NONE; (r = lapse_gate_reason(reasons, r)) != LAPSE_REASON_NONE;) {
        const char *name = lapse_reason_name(r);
        if (size)
            text[size++] = '|';
        memcpy(text + size, name, strlen(name));
        size += strlen(name);
    }
    if (size)
        lapse_builder_text(b, REASONS, text, size);
    else
        lapse_builder_missing(b, REASONS);
}

static void put_decisions(struct lapse_sheet *sheet, const struct lapse_answer *answer,
                          struct lapse_text customer)
{
    struct lapse_question q = { .purpose = answer->purpose,
                                .topic = { answer->topic, (uint32_t)strlen(answer->topic) } };
    for (q.channel = 1; q.channel < LAPSE_CHANNELS; q.channel++) {
        lapse_decision d;
        if (answer->channel && q.channel != answer->channel)
            continue;
        struct lapse_builder *b = lapse_sheet_row(sheet);
        lapse_gate_ask(&sheet->person, &q, &d);
        lapse_builder_text(b, CUSTOMER, customer.data, customer.size);
        put_name(b, CHANNEL, lapse_channel_name(q.channel));
        put_name(b, PURPOSE, lapse_purpose_name(q.purpose));
        put_name(b, DECISION, lapse_decision_name(d.decision));
        put_name(b, REASON, lapse_reason_name(d.reason));
        put_reasons(b, d.reasons);
        lapse_builder_missing(b, UNTIL);
    }
}

static lapse_status check_question(int32_t channel, int32_t purpose, const char *topic, lapse_error *error)
{
    if (channel != 0 && !lapse_channel_name(channel))
        return lapse_fail(error, LAPSE_INVALID, "channel %lld is none", (long long)channel);
    if (!lapse_purpose_name(purpose))
        return lapse_fail(error, LAPSE_INVALID, "purpose %lld is none", (long long)purpose);
    if (topic && strlen(topic) > LAPSE_TEXT_MAX)
        return lapse_fail(error, LAPSE_INVALID, "a topic has at most 255 bytes");
    return LAPSE_OK;
}

/* ---- all customers, as a table ----------------------------------------------------------------------- */

static const lapse_permit_options defaults = { .size = sizeof(lapse_permit_options), .threads = 1 };

/* The struct of 0.9 ended here. */
#define OLDEST (offsetof(lapse_permit_options, progress_user) + sizeof(void *))

lapse_status lapse_permit_options_init(lapse_permit_options *options, uint32_t size)
{
    return lapse_options_write(options, size, &defaults, sizeof defaults, OLDEST);
}

static lapse_status check_options(const lapse_permit_options *o, lapse_error *error)
{
    const struct lapse_option_range ranges[] = {
        { "flags", o->flags, 0, 0 }, { "reserved", o->reserved, 0, 0 }, { "threads", o->threads, 1, LAPSE_THREADS_MOST }
    };
    lapse_status status = lapse_options_check("lapse_permit_options", ranges, sizeof ranges / sizeof *ranges, error);
    return status != LAPSE_OK ? status : check_question(o->channel, o->purpose, o->topic, error);
}

lapse_status lapse_view_permit(lapse_view *view, const lapse_permit_options *options, lapse_result **out,
                               lapse_error *error)
{
    lapse_permit_options ours = defaults;
    lapse_status status = out ? lapse_view_check(view, error) : lapse_fail(error, LAPSE_INVALID, "out is NULL");
    if (out)
        *out = NULL;
    if (status == LAPSE_OK && options)
        status = lapse_options_read(&ours, sizeof ours, options, OLDEST, "lapse_permit_options", error);
    if (status == LAPSE_OK)
        status = check_options(&ours, error);
    if (status != LAPSE_OK)
        return status;
    struct lapse_rules rules;
    lapse_rules_read(&rules, view, ours.policy);
    struct lapse_answer answer = {
        .columns = columns,
        .count = COLUMNS,
        .regions = lapse_gate_regions(&rules, ours.purpose),
        .of_nobody = true,
        .channel = ours.channel,
        .purpose = ours.purpose,
        .put = put_decisions,
    };
    if (answer.channel == 0 && !lapse_gate_sends(ours.purpose))
        answer.channel = LAPSE_CHANNEL_ADS; /* C23 */
    if (ours.topic)
        memcpy(answer.topic, ours.topic, strlen(ours.topic) + 1);
    const lapse_state_options common = { .size = sizeof common,
                                         .policy = ours.policy,
                                         .customer = ours.customer,
                                         .threads = ours.threads,
                                         .on_progress = ours.on_progress,
                                         .progress_user = ours.progress_user };
    return lapse_stream_new(view, &rules, &answer, &common, out, error);
}

/* ---- one customer, as plain numbers ------------------------------------------------------------------ */

#define OLDEST_DECISION (offsetof(lapse_decision, until) + sizeof(int64_t))

/* The gate is asked while the cursor is open: texts end with it. */
static lapse_status ask_one(lapse_view *view, const struct lapse_rules *rules, const struct lapse_one *one,
                            const struct lapse_question *question, lapse_decision *out, lapse_error *error)
{
    struct lapse_person person;
    struct lapse_cursor *cursor;
    struct lapse_crossing *crossing = NULL;
    const struct lapse_history *h = NULL;
    uint32_t regions = lapse_gate_regions(rules, question->purpose);
    lapse_status status =
        lapse_cursor_open(view, lapse_person_fields(regions), &one->from, &one->to, &cursor, error);
    if (status != LAPSE_OK)
        return status;
    lapse_person_begin(&person, rules, regions);
    status = lapse_cursor_next(cursor, &h, error);
    if (status == LAPSE_OK && regions & LAPSE_CROSSED_REGIONS)
        status = lapse_crossing_of_one(view, h, &crossing, error);
    if (status == LAPSE_OK && crossing) { /* once more, with all that decides about order */
        person.crossing = crossing;
        lapse_cursor_close(cursor);
        status = lapse_cursor_open(view, LAPSE_ALL_FIELDS, &one->from, &one->to, &cursor, error);
        if (status == LAPSE_OK)
            status = lapse_cursor_next(cursor, &h, error);
    }
    if (status == LAPSE_DONE)
        status = lapse_view_forgotten(view, one->from, &person.forgotten, error);
    if (status == LAPSE_OK)
        status = lapse_person_fold(&person, h, error);
    if (status == LAPSE_OK)
        lapse_gate_ask(&person, question, out);
    lapse_person_end(&person);
    lapse_cursor_close(cursor);
    lapse_crossing_free(crossing);
    return status;
}

lapse_status lapse_view_permit_one(lapse_view *view, const lapse_policy *policy, const char *customer,
                                   int32_t channel, int32_t purpose, const char *topic, lapse_decision *out,
                                   lapse_error *error)
{
    lapse_decision ours = { .size = sizeof ours };
    struct lapse_rules rules;
    struct lapse_one one;
    lapse_status status = lapse_view_check(view, error);
    if (status == LAPSE_OK && (!customer || !out || out->size < OLDEST_DECISION))
        status = lapse_fail(error, LAPSE_INVALID,
                            "lapse_view_permit_one() was given a NULL pointer or a size that is none");
    if (status == LAPSE_OK && channel == 0)
        status = lapse_fail(error, LAPSE_INVALID, "a channel is required");
    if (status == LAPSE_OK)
        status = check_question(channel, purpose, topic, error);
    if (status == LAPSE_OK)
        status = lapse_one_read(&one, customer, error);
    if (status != LAPSE_OK)
        return status;
    const struct lapse_question question = { channel,
                                             purpose,
                                             { topic ? topic : "", topic ? (uint32_t)strlen(topic) : 0 } };
    lapse_rules_read(&rules, view, policy);
    status = ask_one(view, &rules, &one, &question, &ours, error);
    if (status == LAPSE_OK) {
        uint32_t size = out->size < sizeof ours ? out->size : (uint32_t)sizeof ours;
        ours.size = out->size;
        memcpy(out, &ours, size);
    }
    return status;
}
