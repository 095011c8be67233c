/* lapse_store_append(): the rows of a batch in one commit. */
#include "store/store.h"

static const size_t oldest = offsetof(lapse_append_options, reject_user) + sizeof(void *);

struct append {
    struct lapse_store *store;
    lapse_batch batch;
    lapse_append_options options;
    lapse_counts *counts;
    struct lapse_crew *crew; /* of the commit */
    struct lapse_stage *stage;
    struct lapse_stage_hand hand;
    struct lapse_batch_reader reader;
    lapse_status status;
    lapse_error *error;
};

static int set_outcome(void *user, int64_t line, int outcome)
{
    struct append *a = user;
    if (a->options.outcomes && line >= 0)
        a->options.outcomes[line] = outcome;
    if (outcome != LAPSE_ROW_CONFLICT || !a->options.on_reject)
        return 0;
    lapse_reject reject = { .size = sizeof reject, .outcome = outcome, .line = line, .column = "event_id", .text = "",
                            .rule = "another event is stored under this source and event_id", .row = "" };
    return a->options.on_reject(a->options.reject_user, &reject);
}

static int take_rows(void *user, const struct lapse_columns *rows, size_t n)
{
    struct append *a = user;
    a->status = lapse_stage_put(a->stage, &a->hand, rows, n, a->error);
    if (a->status == LAPSE_OK && lapse_stage_full(a->stage))
        a->status = lapse_stage_flush(a->stage, a->crew, a->error);
    return a->status != LAPSE_OK;
}

static int refuse(void *user, int64_t row, const struct lapse_fault *fault, struct lapse_text text)
{
    struct append *a = user;
    const char *column = fault->field < 0 ? "customer" : lapse_fields[fault->field].name;
    if (!(a->options.flags & LAPSE_IMPORT_SKIP_BAD_ROWS)) {
        struct lapse_place place = { NULL, 0, row, column };
        a->status = lapse_fail_at(a->error, LAPSE_BAD_INPUT, &place, text.data, text.size, fault->rule);
        return 1;
    }
    a->counts->rejected++;
    if (a->options.outcomes)
        a->options.outcomes[row] = LAPSE_ROW_REJECTED;
    if (!a->options.on_reject)
        return 0;
    char copy[256];
    size_t n = text.size < sizeof copy ? text.size : sizeof copy - 1;
    memcpy(copy, text.data ? text.data : "", n);
    copy[n] = 0;
    lapse_reject reject = { .size = sizeof reject, .outcome = LAPSE_ROW_REJECTED, .line = row, .column = column,
                            .text = copy, .rule = fault->rule, .row = "" };
    if (a->options.on_reject(a->options.reject_user, &reject))
        a->status = lapse_fail(a->error, LAPSE_CANCELLED, "cancelled");
    return a->status != LAPSE_OK;
}

static lapse_status fill(void *user, struct lapse_commit *commit, lapse_error *error)
{
    struct append *a = user;
    struct lapse_check check;
    struct lapse_columns constants = { 0 };
    const struct lapse_batch_sink sink = { a, take_rows, refuse };
    lapse_store_check_of(a->store, a->options.received_at, a->options.policy, &check);
    a->crew = commit->crew;
    a->reader.check = &check;
    a->error = error;
    lapse_constants_add(&a->reader.constants, &constants);
    a->status = lapse_stage_new(a->store, &constants, (size_t)a->store->memory_limit / 2, (uint64_t)a->batch.rows,
                                &a->stage, error);
    if (a->status == LAPSE_OK && a->options.outcomes)
        lapse_stage_keep_lines(a->stage);
    if (a->status == LAPSE_OK)
        lapse_batch_read(&a->reader, &sink);
    if (a->reader.failed)
        a->status = lapse_fail_memory(error);
    if (a->status == LAPSE_OK)
        a->status = lapse_stage_flush(a->stage, a->crew, error);
    a->counts->read = a->batch.rows;
    if (a->stage)
        commit->staged_count = lapse_stage_runs(a->stage, &commit->staged);
    return a->status;
}

lapse_status lapse_store_append(lapse_store *store, const lapse_batch *batch, const lapse_append_options *options,
                                lapse_counts *counts, lapse_error *error)
{
    struct append a = { .store = store };
    lapse_counts own = { 0 };
    lapse_status status = lapse_counts_give(counts, &own, error); /* 0 if anything fails */
    if (status == LAPSE_OK)
        status = lapse_store_check(store, error);
    lapse_append_options_init(&a.options, sizeof a.options);
    if (status == LAPSE_OK && options)
        status = lapse_options_read(&a.options, sizeof a.options, options, oldest, "lapse_append_options", error);
    const uint32_t known = LAPSE_IMPORT_SKIP_BAD_ROWS | LAPSE_IMPORT_DRY_RUN | LAPSE_IMPORT_KEEP_ALL;
    if (status == LAPSE_OK && a.options.flags & ~known)
        status = lapse_fail(error, LAPSE_INVALID, "append takes no flags but skip, dry run and keep all");
    if (status == LAPSE_OK && a.options.source && (strlen(a.options.source) > 255 ||
                                                   !lapse_utf8_valid(a.options.source, strlen(a.options.source))))
        status = lapse_fail(error, LAPSE_INVALID, "a source is at most 255 bytes of UTF-8");
    const struct lapse_option_range ranges[] = { { "threads", a.options.threads, 0, LAPSE_THREADS_MOST },
                                                 { "reserved", a.options.reserved, 0, 0 } };
    if (status == LAPSE_OK)
        status = lapse_options_check("lapse_append_options", ranges, sizeof ranges / sizeof *ranges, error);
    a.options.threads += a.options.threads == 0; /* options that were made before there were threads */
    if (status == LAPSE_OK)
        status = lapse_batch_check(batch, &a.batch, error);
    if (status != LAPSE_OK)
        return status;

    a.counts = &own;
    if (!a.options.source)
        a.options.source = "";
    for (int64_t i = 0; a.options.outcomes && i < a.batch.rows; i++)
        a.options.outcomes[i] = LAPSE_ROW_ACCEPTED;
    struct lapse_commit commit = { .store = store, .flags = a.options.flags, .counts = a.counts,
                                   .threads = a.options.threads, .dropped = set_outcome, .user = &a };
    a.reader.batch = &a.batch;
    a.reader.source = a.options.source;
    a.reader.lines = a.batch.event_id_offsets || a.options.outcomes;
    lapse_batch_reader_init(&a.reader, &store->mem);
    lapse_stage_hand_init(&a.hand, &store->mem);
    status = lapse_store_commit(store, &commit, fill, &a, error);
    lapse_stage_free(a.stage);
    lapse_stage_hand_free(&a.hand);
    lapse_batch_reader_free(&a.reader);
    return status == LAPSE_OK ? lapse_counts_give(counts, &own, error) : status;
}
