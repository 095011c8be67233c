/* The commands about who stays and who is lost: churn, cohorts, survival, gaps. */
#include <stdlib.h>

#include "command.h"

enum { METHOD_LINEAR = 2, FREQUENCY_DAYS = 2 };

typedef lapse_status churn_fn(lapse_view *, const lapse_churn_options *, lapse_result **, lapse_error *);

/* Choices of the command line count from 1, in the order of the library's constants. */
static void fill_options(const struct work *work, lapse_churn_options *options)
{
    const struct args *args = work->args;

    lapse_churn_options_init(options, sizeof *options);
    options->flags = (args->hazard ? LAPSE_SURVIVAL_HAZARD : 0u) |
                     (args->summary ? LAPSE_SURVIVAL_SUMMARY : 0u) |
                     (args->frequency == FREQUENCY_DAYS ? LAPSE_GAPS_DAYS : 0u) |
                     (args->method == METHOD_LINEAR ? LAPSE_GAPS_LINEAR : 0u);
    options->policy = work->policy;
    options->threads = (int32_t)args->threads;
    options->basis = args->basis ? (int32_t)args->basis - 1 : LAPSE_CHURN_PURCHASE;
    options->lost = args->lost ? (int32_t)args->lost - 1 : LAPSE_CHURN_LOST;
    options->every = (int32_t)args->every;
    options->horizon = args->horizon;
    options->quantiles = args->quantile_count ? args->quantiles : NULL;
    options->quantile_count = (int32_t)args->quantile_count;
    options->on_progress = progress_told;
}

static int ask(struct work *work, const lapse_churn_options *options, churn_fn *question)
{
    int code;

    progress_begin("counting");
    code = work_check(work, question(work->view, options, &work->result, &work->error));
    progress_end();
    return code == EXIT_DONE ? work_print(work) : code;
}

int run_churn(struct work *work)
{
    lapse_churn_options options;
    int code = work_needs_span(work);

    if (code != EXIT_DONE)
        return code;
    fill_options(work, &options);
    code = work_open(work, work->args->operand[0]);
    if (code == EXIT_DONE)
        code = work_view_span(work, &options.from);
    return code == EXIT_DONE ? ask(work, &options, lapse_view_churn) : code;
}

static int run_at_instant(struct work *work, churn_fn *question)
{
    lapse_churn_options options;
    int code = work_open(work, work->args->operand[0]);

    fill_options(work, &options);
    if (code == EXIT_DONE)
        code = work_view(work, AS_OF_LAST);
    return code == EXIT_DONE ? ask(work, &options, question) : code;
}

int run_cohorts(struct work *work)
{
    return run_at_instant(work, lapse_view_cohorts);
}

int run_survival(struct work *work)
{
    const struct args *args = work->args;

    if (args->summary && args->hazard) {
        tell("--summary and --hazard exclude each other");
        return EXIT_USAGE;
    }
    if (args->horizon >= 0 && !args->summary) {
        tell("--horizon is for --summary");
        return EXIT_USAGE;
    }
    return run_at_instant(work, lapse_view_survival);
}

int run_gaps(struct work *work)
{
    return run_at_instant(work, lapse_view_gaps);
}
