/* The commands about states of customers: states, consent, permit. */
#include <stddef.h>

#include "command.h"

typedef lapse_status state_fn(lapse_view *, const lapse_state_options *, lapse_result **, lapse_error *);

/* Rows are worked out as they are printed, and the bar goes when the first are there. */
static int print(struct work *work, int code)
{
    if (code == EXIT_DONE) {
        progress_begin("working out");
        code = work_print(work);
        progress_end();
    }
    return code;
}

static int run_state(struct work *work, state_fn *ask)
{
    lapse_state_options options;
    int code = work_open(work, work->args->operand[0]);

    lapse_state_options_init(&options, sizeof options);
    options.policy = work->policy;
    options.threads = (int32_t)work->args->threads;
    options.on_progress = progress_told;
    if (code == EXIT_DONE)
        code = work_view(work, AS_OF_LAST);
    if (code == EXIT_DONE)
        code = work_check(work, ask(work->view, &options, &work->result, &work->error));
    return print(work, code);
}

int run_states(struct work *work)
{
    return run_state(work, work->args->channels ? lapse_view_channels : lapse_view_states);
}

int run_consent(struct work *work)
{
    return run_state(work, lapse_view_consent);
}

int run_permit(struct work *work)
{
    const struct args *args = work->args;
    lapse_permit_options options;
    int code;

    if (!args->purpose) {
        tell("permit: --purpose is missing: what is the contact for?");
        return EXIT_USAGE;
    }
    lapse_permit_options_init(&options, sizeof options);
    options.policy = work->policy;
    options.threads = (int32_t)args->threads;
    options.on_progress = progress_told;
    options.channel = (int32_t)args->channel;
    options.purpose = (int32_t)args->purpose;
    options.customer = args->customer;
    options.topic = args->topic;
    code = work_open(work, args->operand[0]);
    if (code == EXIT_DONE)
        code = work_view(work, AS_OF_LAST);
    if (code == EXIT_DONE)
        code = work_check(work, lapse_view_permit(work->view, &options, &work->result, &work->error));
    if (args->customer)
        work->empty = false; /* what missing facts decide, they decide at any instant */
    return print(work, code);
}
