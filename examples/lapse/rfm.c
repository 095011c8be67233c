/* The commands about recency, frequency and monetary value: rfm, segments, transitions. */
#include <stdlib.h>
#include <string.h>

#include "command.h"

enum { FREQUENCY_DAYS = 2, MONETARY_MEAN = 2 };

typedef lapse_status rfm_fn(lapse_view *, const lapse_rfm_options *, lapse_result **, lapse_error *);

/* What the options of a run point to. */
struct given {
    lapse_rfm_options options;
    lapse_cuts fixed, made;
    char *table, *cuts; /* texts of files */
    int64_t cuts_size;
};

static void fill_options(const struct work *work, lapse_rfm_options *options)
{
    const struct args *args = work->args;

    lapse_rfm_options_init(options, sizeof *options);
    options->flags = (args->frequency == FREQUENCY_DAYS ? LAPSE_RFM_FREQUENCY_DAYS : 0u) |
                     (args->monetary == MONETARY_MEAN ? LAPSE_RFM_MONETARY_MEAN : 0u) |
                     (args->nested ? LAPSE_RFM_NESTED : 0u) | (args->weights[0] >= 0 ? LAPSE_RFM_WEIGHTED : 0u);
    options->policy = work->policy;
    options->threads = (int32_t)args->threads;
    options->cuts = (int32_t)args->cuts;
    options->bins_r = (int32_t)args->bins[0];
    options->bins_f = (int32_t)args->bins[1];
    options->bins_m = (int32_t)args->bins[2];
    options->every = (int32_t)args->every;
    options->window = args->window;
    options->window_unit = args->window_unit;
    if (args->weights[0] >= 0) {
        options->weight_r = args->weights[0];
        options->weight_f = args->weights[1];
        options->weight_m = args->weights[2];
    }
    options->on_progress = progress_told;
}

/* Options that exclude each other. `span`: the command always has one. */
static int check_options(const struct args *args, bool span)
{
    bool fixed = args->cuts == LAPSE_CUTS_FIXED;
    const char *why = NULL;

    if (fixed && args->bins_given)
        why = "--bins: fixed cuts have one bin more than thresholds";
    else if (fixed && args->nested)
        why = "--nested: fixed cuts are the same for all";
    else if (args->save_cuts && (args->nested || args->cuts == LAPSE_CUTS_NTILE))
        why = "--save-cuts: ntile and nested cuts are no thresholds that could be saved";
    else if (args->save_cuts && args->every)
        why = "--save-cuts: each instant has cuts of its own; save those of one by rfm";
    else if (!span && !args->every && (args->from || args->to))
        why = "--from and --to are for --every";
    else if (args->every && args->as_of)
        why = "--as-of and --every exclude each other: the span is --from and --to";
    else if (args->save_cuts && args->output && strcmp(args->save_cuts, args->output) == 0)
        why = "--save-cuts and --output name one file";
    if (why)
        tell("%s", why);
    return why ? EXIT_USAGE : EXIT_DONE;
}

void tell_cuts(const char *fixed, const lapse_error *error)
{
    if (error->row >= 0)
        tell("--cuts fixed:%s: %s, threshold %lld: '%s': %s", fixed, error->column, (long long)error->row + 1, error->text,
             error->rule);
    else
        tell("--cuts fixed:%s: %s", fixed, error->line > 0 || !*error->rule ? error->message : error->rule);
}

/* The thresholds of --cuts fixed:..., money with so many digits. */
static int read_cuts(struct work *work, struct given *given, int32_t digits)
{
    const struct args *args = work->args;
    lapse_status status;

    given->fixed.size = sizeof given->fixed;
    if (!args->fixed_is_file)
        status = lapse_cuts_parse(args->fixed, digits, &given->fixed, &work->error);
    else
        status = lapse_cuts_read(given->cuts, given->cuts_size, digits, &given->fixed, &work->error);
    given->options.fixed = &given->fixed;
    if (status != LAPSE_OK)
        tell_cuts(args->fixed, &work->error);
    return status == LAPSE_OK ? EXIT_DONE : args->fixed_is_file ? EXIT_REFUSED : EXIT_USAGE;
}

/* All that can be known before the store is open. */
static int begin(struct work *work, struct given *given, bool span)
{
    const struct args *args = work->args;
    int code = check_options(args, span);
    int64_t r = args->bins[0];
    int64_t f = args->bins[1];

    if (code == EXIT_DONE && args->fixed_is_file) {
        given->cuts = file_read(args->fixed, &given->cuts_size);
        code = given->cuts ? EXIT_DONE : EXIT_REFUSED;
        if (code != EXIT_DONE)
            tell("--cuts fixed: takes such a file, or thresholds as in fixed:30,90,180,365/2,3,5,8/10,50,100,500");
    }
    if (code == EXIT_DONE && args->cuts == LAPSE_CUTS_FIXED) {
        code = read_cuts(work, given, 0);
        r = given->fixed.bins[0];
        f = given->fixed.bins[1];
    }
    if (code != EXIT_DONE)
        return code;
    if (!args->segments && (r != 5 || f != 5)) {
        tell("%s: the default segments need 5 bins on recency and frequency, name others by --segments FILE",
             args->cuts == LAPSE_CUTS_FIXED ? "--cuts" : "--bins");
        return EXIT_USAGE;
    }
    if (args->segments) {
        given->options.segments = given->table = file_read(args->segments, &given->options.segments_size);
        if (!given->table)
            return EXIT_REFUSED;
    }
    if (args->save_cuts) {
        given->made.size = sizeof given->made;
        given->options.made = &given->made;
    }
    return EXIT_DONE;
}

static int save_cuts(struct work *work, const lapse_cuts *cuts)
{
    struct output out;
    int code;

    if (work->empty || cuts->bins[0] == 0) {
        tell("--save-cuts: no customer has a valid order, so there are no cuts");
        return EXIT_REFUSED;
    }
    code = output_open(&out, work->args->save_cuts, work->args);
    if (code != EXIT_DONE)
        return code;
    lapse_cuts_write(cuts, output_write, &out, NULL); /* what cannot be written is told on closing */
    return output_close(&out, EXIT_DONE);
}

static int run_scores(struct work *work, rfm_fn *ask, bool span)
{
    struct given given = { .table = NULL };
    int code;

    fill_options(work, &given.options);
    code = begin(work, &given, span);
    span = span || given.options.every;
    if (code == EXIT_DONE && span)
        code = work_needs_span(work);
    if (code == EXIT_DONE)
        code = work_open(work, work->args->operand[0]);
    if (code == EXIT_DONE && given.options.fixed)
        code = read_cuts(work, &given, lapse_store_digits(work->store));
    if (code == EXIT_DONE)
        code = span ? work_view_span(work, &given.options.from) : work_view(work, AS_OF_LAST);
    if (code == EXIT_DONE) {
        progress_begin("scoring");
        code = work_check(work, ask(work->view, &given.options, &work->result, &work->error));
        progress_end();
    }
    if (code == EXIT_DONE && work->args->save_cuts)
        code = save_cuts(work, &given.made);
    if (code == EXIT_DONE)
        code = work_print(work);
    free(given.table);
    free(given.cuts);
    return code;
}

int run_rfm(struct work *work)
{
    return run_scores(work, lapse_view_rfm, false);
}

int run_segments(struct work *work)
{
    return run_scores(work, lapse_view_segments, false);
}

int run_transitions(struct work *work)
{
    return run_scores(work, lapse_view_transitions, true);
}
