/* The commands that answer from a store. Each opens what STORE names, asks the library, and prints. */
#define _POSIX_C_SOURCE 200809L
#include "command.h"

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
