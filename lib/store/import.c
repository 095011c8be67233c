/* Importing an event file: options, the commit, and what is told of it. Reading is in intake.c. */
#include "store/import.h"

static const size_t oldest = offsetof(lapse_import_options, progress_user) + sizeof(void *);

static lapse_status fill(void *user, struct lapse_commit *commit, lapse_error *error)
{
    struct import *im = user;
    im->crew = commit->crew;
    lapse_store_keep_blocks(im->store, false);
    lapse_status status = lapse_import_read(im, error);
    lapse_store_keep_blocks(im->store, true);
    if (status != LAPSE_OK)
        return status;
    commit->staged_count = lapse_stage_runs(im->stage, &commit->staged);
    return LAPSE_OK;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static lapse_status check_options(struct import *im, const lapse_import_options *options, lapse_error *error)
{
    lapse_import_options *o = &im->options;
    const uint32_t known = LAPSE_IMPORT_SKIP_BAD_ROWS | LAPSE_IMPORT_IGNORE_UNKNOWN | LAPSE_IMPORT_NEGATIVE_REFUND |
                           LAPSE_IMPORT_DRY_RUN | LAPSE_IMPORT_KEEP_ALL;
    lapse_import_options_init(o, sizeof *o);
    lapse_status status = options ? lapse_options_read(o, sizeof *o, options, oldest, "lapse_import_options", error)
                                  : LAPSE_OK;
    if (status != LAPSE_OK)
        return status;
    if (o->flags & ~known)
        return lapse_fail(error, LAPSE_INVALID, "lapse_import_options has flags that this library does not know");
    const struct lapse_option_range threads = { "threads", o->threads, 1, LAPSE_THREADS_MOST };
    status = lapse_options_check("lapse_import_options", &threads, 1, error);
    if (status != LAPSE_OK)
        return status;
    if (o->delimiter < 1 || o->delimiter > 127 || o->delimiter == '"' || o->delimiter == '\r' || o->delimiter == '\n')
        return lapse_fail(error, LAPSE_INVALID, "a delimiter is one ASCII character, no quote and no line end");
    im->threads = o->threads;
    im->source = o->source ? o->source : im->path ? base_name(im->path) : im->frames ? "" : "stdin";
    if (strlen(im->source) > 255 || !lapse_utf8_valid(im->source, strlen(im->source)))
        return lapse_fail(error, LAPSE_INVALID, "a source is at most 255 bytes of UTF-8");
    return LAPSE_OK;
}

/* *counts is 0 if anything fails. */
lapse_status lapse_import_prepare(struct import *im, const lapse_import_options *options, lapse_counts *counts,
                                  lapse_error *error)
{
    const lapse_counts none = { 0 };
    lapse_status status = lapse_counts_give(counts, &none, error);
    if (status == LAPSE_OK)
        status = lapse_store_check(im->store, error);
    return status == LAPSE_OK ? check_options(im, options, error) : status;
}

lapse_status lapse_import_run(struct import *im, lapse_counts *counts, lapse_error *error)
{
    struct lapse_store *store = im->store;
    lapse_counts own = { 0 };
    struct lapse_commit commit = { .store = store, .flags = im->options.flags, .counts = &own,
                                   .threads = im->threads, .dropped = lapse_import_note_conflict, .stop = lapse_import_told_to_stop,
                                   .resolved = lapse_import_tell_conflicts, .user = im };
    im->counts = &own;
    lapse_store_check_of(store, im->options.received_at, im->options.policy, &im->check);
    lapse_status status = lapse_import_workers_open(im) ? lapse_store_commit(store, &commit, fill, im, error)
                                                        : lapse_fail_memory(error);
    if (status == LAPSE_CANCELLED && im->stopped)
        status = lapse_import_say_stopped(im, error);
    lapse_import_workers_close(im);
    lapse_stage_free(im->stage);
    lapse_csv_close(im->csv);
    lapse_mem_free(&store->mem, im->conflicts);
    return status == LAPSE_OK ? lapse_counts_give(counts, &own, error) : status;
}

lapse_status lapse_store_import_file(lapse_store *store, const char *path, const lapse_import_options *options,
                                     lapse_counts *counts, lapse_error *error)
{
    struct import im = { .store = store, .path = path, .reading = &lapse_import_reading_csv };
    lapse_status status = lapse_import_prepare(&im, options, counts, error);
    if (status == LAPSE_OK && !path)
        status = lapse_fail(error, LAPSE_INVALID, "path is NULL");
    if (status != LAPSE_OK)
        return status;
    lapse_input_init(&im.input, &store->mem, im.options.name ? im.options.name : path);
    status = lapse_input_open(&im.input, path, error);
    if (status == LAPSE_OK)
        status = lapse_import_run(&im, counts, error);
    lapse_input_close(&im.input);
    return status;
}

lapse_status lapse_store_import_stream(lapse_store *store, lapse_read_fn read, void *user,
                                       const lapse_import_options *options, lapse_counts *counts, lapse_error *error)
{
    struct import im = { .store = store, .reading = &lapse_import_reading_csv };
    lapse_status status = lapse_import_prepare(&im, options, counts, error);
    if (status == LAPSE_OK && !read)
        status = lapse_fail(error, LAPSE_INVALID, "read is NULL");
    if (status != LAPSE_OK)
        return status;
    lapse_input_init(&im.input, &store->mem, im.options.name ? im.options.name : "input");
    im.input.read = read;
    im.input.user = user;
    status = lapse_import_run(&im, counts, error);
    lapse_input_close(&im.input);
    return status;
}
