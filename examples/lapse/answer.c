/* Where the answer of a command goes: stdout or --output, as a table or as CSV. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

enum { FORMAT_TABLE = 1 };

bool answer_is_table(const struct args *args)
{
    return args->format ? args->format == FORMAT_TABLE : !args->output && isatty(STDOUT_FILENO) == 1;
}

int answer_open(struct answer *answer, const struct args *args, int columns)
{
    int code = output_open(&answer->out, args->output, args);

    answer->grid = NULL;
    if (code != EXIT_DONE || !answer_is_table(args))
        return code;
    answer->grid = grid_new(&answer->out, columns);
    if (answer->grid)
        return EXIT_DONE;
    tell("no memory");
    return output_close(&answer->out, EXIT_REFUSED);
}

int32_t answer_write(void *self, const char *csv, int64_t size)
{
    struct answer *answer = self;

    progress_end();
    return answer->grid ? grid_write(answer->grid, csv, size) : output_write(&answer->out, csv, size);
}

int answer_close(struct answer *answer, int code)
{
    if (answer->grid)
        grid_end(answer->grid);
    grid_free(answer->grid);
    answer->grid = NULL;
    return output_close(&answer->out, code);
}

static unsigned look_of(const struct work *work, const lapse_column *column, int index)
{
    bool hidden = index < 64 && (work->hidden >> index & 1);
    bool text = column->type == LAPSE_TYPE_STRING || column->type == LAPSE_TYPE_TIME;

    return (text ? 0u : GRID_RIGHT) | (hidden ? GRID_HIDDEN : 0u);
}

/* An answer without an instant to ask about: its columns, and no rows (rulings T6). */
static void write_names(struct answer *answer, const lapse_result *result, int columns)
{
    lapse_column column = { .size = sizeof column };

    for (int i = 0; i < columns; i++) {
        lapse_result_column(result, i, &column);
        answer_write(answer, column.name, (int64_t)strlen(column.name));
        answer_write(answer, i + 1 < columns ? "," : "\n", 1);
    }
}

int work_print(struct work *work)
{
    struct answer answer;
    int columns = lapse_result_columns(work->result);
    int code = answer_open(&answer, work->args, columns);
    bool written;

    if (code != EXIT_DONE)
        return code;
    for (int i = 0; answer.grid && i < columns; i++) {
        lapse_column column = { .size = sizeof column };

        lapse_result_column(work->result, i, &column);
        grid_look(answer.grid, i, look_of(work, &column, i));
    }
    if (work->empty) {
        write_names(&answer, work->result, columns);
    } else {
        lapse_status status = lapse_result_write_csv(work->result, answer_write, &answer, &work->error);

        if (!answer.out.failed) /* otherwise closing tells, or nobody reads any more */
            code = work_check(work, status);
    }
    code = answer_close(&answer, code);
    written = code == EXIT_DONE && !answer.out.failed;
    for (int i = 0; written && i < lapse_result_notes(work->result); i++)
        tell("%s", lapse_result_note(work->result, i));
    return code;
}
