/* The commands of a host that wants changes instead of states: advance, ack. */
#include <stdio.h>

#include "command.h"

enum { MODE_PATH = 2 };

/* The store itself, to be written to: an event file has nobody who could confirm anything. */
static int open_store(struct work *work)
{
    const char *path = work->args->operand[0];
    lapse_store_options options;

    lapse_store_options_init(&options, sizeof options);
    options.flags = LAPSE_STORE_MUST_EXIST;
    return work_opens(work, path, options.flags, lapse_store_open(path, &options, &work->store, &work->error));
}

static void tell_deadline(struct work *work)
{
    int64_t time;
    char shown[64];

    if (lapse_store_next_deadline(work->store, &time, NULL) == LAPSE_OK &&
        lapse_time_format(time, shown, sizeof shown) == LAPSE_OK)
        tell("next deadline %s (if no event comes before)", shown);
}

int run_advance(struct work *work)
{
    const struct args *args = work->args;
    lapse_advance_options options;
    int64_t as_of = 0;
    int code = EXIT_DONE;

    if (!args->as_of) {
        tell("advance: --as-of is required: the instant whose states are to be told");
        return EXIT_USAGE;
    }
    if (args->mode == MODE_PATH) {
        tell("--mode path is not in this release; net tells the difference between two calls");
        return EXIT_REFUSED;
    }
    code = open_store(work);
    if (code != EXIT_DONE)
        return code;
    if (work_check(work, lapse_store_time(work->store, args->as_of, &as_of, &work->error)) != EXIT_DONE)
        return EXIT_USAGE;
    lapse_advance_options_init(&options, sizeof options);
    options.flags = (args->baseline ? LAPSE_ADVANCE_BASELINE : 0u) |
                    (args->adopt_policy ? LAPSE_ADVANCE_ADOPT_POLICY : 0u);
    options.policy = work->policy;
    options.limit = args->limit;
    options.on_progress = progress_told;
    progress_begin("looking");
    code = work_check(work, lapse_store_advance(work->store, as_of, &options, &work->result, &work->error));
    progress_end();
    if (code == EXIT_DONE)
        tell_deadline(work);
    return code == EXIT_DONE ? work_print(work) : code;
}

int run_ack(struct work *work)
{
    struct number number = { "acknowledged", 0 };
    const char *end;
    int64_t seq;
    int code;

    if (!whole_number(work->args->operand[1], &seq, &end) || *end != '\0') {
        tell("ack: '%s' is no whole number: the seq of a record is asked for", work->args->operand[1]);
        return EXIT_USAGE;
    }
    code = open_store(work);
    if (code == EXIT_DONE)
        code = work_check(work, lapse_store_acknowledge(work->store, seq, &work->error));
    if (code == EXIT_DONE) /* perhaps more than SEQ, from before */
        code = work_check(work, lapse_store_acknowledged(work->store, &number.value, &work->error));
    return code == EXIT_DONE ? print_numbers(work, &number, 1) : code;
}
