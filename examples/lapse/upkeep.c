/* The commands that keep a store in order: backup, compact, forget, verify; and saving what is sound of a damaged one. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"

static void fill_options(lapse_upkeep_options *options, uint32_t flags)
{
    lapse_upkeep_options_init(options, sizeof *options);
    options->flags = flags;
    options->on_progress = progress_told;
}

static int64_t bytes_of(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

int print_numbers(struct work *work, const struct number *numbers, int count)
{
    struct answer answer;
    char line[80];
    int code = answer_open(&answer, work->args, 2);

    if (code != EXIT_DONE)
        return code;
    if (answer.grid)
        grid_look(answer.grid, 1, GRID_RIGHT);
    answer_write(&answer, "name,value\n", 11);
    for (int i = 0; i < count; i++) {
        int n = snprintf(line, sizeof line, "%s,%lld\n", numbers[i].name, (long long)numbers[i].value);

        answer_write(&answer, line, n);
    }
    return answer_close(&answer, EXIT_DONE);
}

int run_backup(struct work *work)
{
    const char *copy = work->args->operand[1];
    lapse_upkeep_options options;
    int code = work_open(work, work->args->operand[0]);

    if (code != EXIT_DONE)
        return code;
    fill_options(&options, work->args->replace ? LAPSE_BACKUP_REPLACE : 0u);
    progress_begin("copying");
    code = work_check(work, lapse_store_backup(work->store, copy, &options, &work->error));
    progress_end();
    return code == EXIT_DONE ? print_numbers(work, &(struct number){ "bytes", bytes_of(copy) }, 1) : code;
}

static int open_to_change(struct work *work, const char *path)
{
    lapse_store_options store;

    lapse_store_options_init(&store, sizeof store);
    store.flags = LAPSE_STORE_MUST_EXIST;
    return work_opens(work, path, store.flags, lapse_store_open(path, &store, &work->store, &work->error));
}

int run_compact(struct work *work)
{
    const char *path = work->args->operand[0];
    struct number numbers[] = { { "bytes_before", 0 }, { "bytes_after", 0 } };
    lapse_upkeep_options options;
    int code = open_to_change(work, path);

    if (code != EXIT_DONE)
        return code;
    fill_options(&options, work->args->upgrade ? LAPSE_COMPACT_UPGRADE : 0u);
    options.threads = (int32_t)work->args->threads;
    numbers[0].value = bytes_of(path);
    progress_begin("compacting");
    code = work_check(work, lapse_store_compact(work->store, &options, &work->error));
    progress_end();
    numbers[1].value = bytes_of(path);
    return code == EXIT_DONE ? print_numbers(work, numbers, 2) : code;
}

/* A result that is there also when something is damaged: its notes say what. */
static int print_in_any_case(struct work *work, lapse_status status)
{
    int code = status == LAPSE_DAMAGED ? EXIT_BROKEN : work_check(work, status);
    int printed;

    if (!work->result)
        return code == EXIT_BROKEN ? work_check(work, status) : code;
    printed = work_print(work);
    return code == EXIT_DONE ? printed : code;
}

/* The operands after the store, end to end. False: no memory. */
static bool join_operands(const struct args *args, char **text, int64_t **offsets)
{
    size_t size = 0;
    int count = args->operands - 1;

    for (int i = 1; i <= count; i++)
        size += strlen(args->operand[i]);
    *text = malloc(size + 1);
    *offsets = calloc((size_t)count + 1, sizeof **offsets);
    for (int i = 0; *text && *offsets && i < count; i++) {
        size_t n = strlen(args->operand[i + 1]);

        memcpy(*text + (*offsets)[i], args->operand[i + 1], n);
        (*offsets)[i + 1] = (*offsets)[i] + (int64_t)n;
    }
    return *text && *offsets;
}

int run_forget(struct work *work)
{
    const struct args *args = work->args;
    lapse_forgotten gone = { .size = sizeof gone };
    lapse_forget_options options;
    lapse_status status;
    char *text = NULL;
    int64_t *offsets = NULL;
    int code = open_to_change(work, args->operand[0]);
    bool nobody = args->operands == 1;

    lapse_forget_options_init(&options, sizeof options);
    options.on_progress = progress_told;
    if (code == EXIT_DONE)
        code = instant_read(work, args->at, &options.at);
    if (code == EXIT_DONE && !join_operands(args, &text, &offsets))
        code = work_check(work, LAPSE_NO_MEMORY);
    if (code == EXIT_DONE) {
        progress_begin("forgetting");
        status = lapse_store_forget(work->store, text, offsets, args->operands - 1, &options, &gone, &work->error);
        progress_end();
        code = work_check(work, status);
        if (status == LAPSE_INVALID) /* an id that none can be */
            code = EXIT_REFUSED;
        if (status == LAPSE_ERASE_PENDING)
            tell("lapse forget %s, without a customer, clears it when nobody is in the way", args->operand[0]);
        else if (status == LAPSE_OK && nobody)
            tell("nobody was named: all that was done is to clear what an earlier erasure may have left");
        if (status == LAPSE_OK || status == LAPSE_ERASE_PENDING) { /* which was told, and is done */
            const struct number numbers[] = { { "customers", gone.customers }, { "events", gone.events } };

            code = print_numbers(work, numbers, 2);
        }
    }
    free(text);
    free(offsets);
    return code;
}

int run_verify(struct work *work)
{
    lapse_upkeep_options options;
    lapse_status status;
    int code = work_open_with(work, work->args->operand[0], LAPSE_STORE_VERIFY);

    if (code != EXIT_DONE)
        return code;
    fill_options(&options, 0);
    progress_begin("verifying");
    status = lapse_store_verify(work->store, &options, &work->result, &work->error);
    progress_end();
    return print_in_any_case(work, status);
}

int run_salvage(struct work *work)
{
    const char *path = work->args->operand[0];
    lapse_upkeep_options options;
    lapse_store_options store;
    lapse_status status;
    struct zone zone;
    int code;

    if (work->args->as_of) {
        tell("--salvage saves all events: --as-of cannot be given with it");
        return EXIT_USAGE;
    }
    code = work_store_options(work, &store, &zone); /* the digits may be lost */
    store.flags = LAPSE_STORE_VERIFY | LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST;
    if (code == EXIT_DONE)
        code = work_opens(work, path, store.flags, lapse_store_open(path, &store, &work->store, &work->error));
    zone_free(&zone);
    if (code != EXIT_DONE)
        return code;
    fill_options(&options, 0);
    progress_begin("salvaging");
    status = lapse_store_salvage(work->store, &options, &work->result, &work->error);
    progress_end();
    return print_in_any_case(work, status);
}
