/* The commands that answer from a store. Each opens what STORE names, asks the library, and prints. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>

#include "command.h"

enum { FREQUENCY_DAYS = 2, MONETARY_MEAN = 2 };

int run_info(struct work *work)
{
    int code = work_open(work, work->args->operand[0]);

    if (code == EXIT_DONE)
        code = work_check(work, lapse_store_info(work->store, &work->result, &work->error));
    return code == EXIT_DONE ? work_print(work) : code;
}

/* Asks for the history once before it is printed: which columns hold nothing at all? */
static lapse_status find_empty_columns(struct work *work, const char *customer)
{
    lapse_result *result = NULL;
    lapse_table *part = NULL;
    lapse_status status = lapse_view_history(work->view, customer, &result, &work->error);

    work->hidden = UINT64_MAX;
    while (status == LAPSE_OK && (status = lapse_result_next(result, &part, &work->error)) == LAPSE_OK) {
        for (int i = 0; i < lapse_table_columns(part) && i < 64; i++) {
            lapse_column column = { .size = sizeof column };

            lapse_table_column(part, i, &column);
            if (column.missing < column.rows)
                work->hidden &= ~(UINT64_C(1) << i);
        }
        lapse_table_release(part);
    }
    lapse_result_free(result);
    return status;
}

int run_history(struct work *work)
{
    const char *customer = work->args->operand[1];
    int code = work_open(work, work->args->operand[0]);

    if (code == EXIT_DONE)
        code = work_view(work, AS_OF_ALL);
    if (code == EXIT_DONE && answer_is_table(work->args))
        code = work_check(work, find_empty_columns(work, customer));
    if (code == EXIT_DONE)
        code = work_check(work, lapse_view_history(work->view, customer, &work->result, &work->error));
    return code == EXIT_DONE ? work_print(work) : code;
}

int run_export(struct work *work)
{
    int code;

    if (work->args->salvage)
        return run_salvage(work);
    code = work_open(work, work->args->operand[0]);
    if (code == EXIT_DONE)
        code = work_view(work, AS_OF_ALL);
    if (code == EXIT_DONE)
        code = work_check(work, lapse_view_events(work->view, &work->result, &work->error));
    return code == EXIT_DONE ? work_print(work) : code;
}

int run_policy(struct work *work)
{
    int code = EXIT_DONE;

    if (work->args->operands > 0) /* a store holds no settings, but a wrong name should not pass */
        code = work_open(work, work->args->operand[0]);
    if (code == EXIT_DONE)
        code = work_check(work, lapse_policy_list(work->policy, &work->result, &work->error));
    return code == EXIT_DONE ? work_print(work) : code;
}

/* ---- recency, frequency, monetary ------------------------------------------------------------------- */

typedef lapse_status rfm_fn(lapse_view *, const lapse_rfm_options *, lapse_result **, lapse_error *);

static void fill_options(const struct work *work, lapse_rfm_options *options)
{
    const struct args *args = work->args;

    lapse_rfm_options_init(options, sizeof *options);
    options->flags = (args->frequency == FREQUENCY_DAYS ? LAPSE_RFM_FREQUENCY_DAYS : 0u) |
                     (args->monetary == MONETARY_MEAN ? LAPSE_RFM_MONETARY_MEAN : 0u) |
                     (args->nested ? LAPSE_RFM_NESTED : 0u) | (args->weights[0] >= 0 ? LAPSE_RFM_WEIGHTED : 0u);
    options->policy = work->policy;
    options->threads = (int32_t)args->threads;
    options->cuts = LAPSE_CUTS_QUANTILE;
    options->bins_r = (int32_t)args->bins[0];
    options->bins_f = (int32_t)args->bins[1];
    options->bins_m = (int32_t)args->bins[2];
    options->window = args->window;
    options->window_unit = args->window_unit;
    if (args->weights[0] >= 0) {
        options->weight_r = args->weights[0];
        options->weight_f = args->weights[1];
        options->weight_m = args->weights[2];
    }
    options->on_progress = progress_told;
}

static int run_scores(struct work *work, rfm_fn *ask)
{
    const struct args *args = work->args;
    lapse_rfm_options options;
    char *table = NULL;
    int code;

    fill_options(work, &options);
    if (!args->segments && (args->bins[0] != 5 || args->bins[1] != 5)) {
        tell("--bins: the default segments need 5 bins on recency and frequency, name others by --segments "
             "FILE");
        return EXIT_USAGE;
    }
    if (args->segments) {
        options.segments = table = file_read(args->segments, &options.segments_size);
        if (!table)
            return EXIT_REFUSED;
    }
    code = work_open(work, args->operand[0]);
    if (code == EXIT_DONE)
        code = work_view(work, AS_OF_LAST);
    if (code == EXIT_DONE) {
        progress_begin("scoring");
        code = work_check(work, ask(work->view, &options, &work->result, &work->error));
        progress_end();
    }
    if (code == EXIT_DONE)
        code = work_print(work);
    free(table);
    return code;
}

int run_rfm(struct work *work)
{
    return run_scores(work, lapse_view_rfm);
}

int run_segments(struct work *work)
{
    return run_scores(work, lapse_view_segments);
}
