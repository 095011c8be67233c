/* Reading event files: the options, what is told of rows that were left out, and the commands create and
 * import. A store that this command made does not stay behind when nothing was put into it. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "command.h"

enum { NEGATIVE_REFUND = 2, ON_ERROR_SKIP = 2, NAMED = 10 };

/* ---- one file --------------------------------------------------------------------------------------- */

/* What is said of rows while a file is read: the first few by name, all of them to --rejects. */
struct teller {
    const char *path;
    struct output *rejects;
    int64_t named[LAPSE_ROW_REJECTED + 1];
};

static int32_t on_reject(void *self, const lapse_reject *reject)
{
    struct teller *teller = self;
    struct output *out = teller->rejects;
    bool conflict = reject->outcome == LAPSE_ROW_CONFLICT;
    char line[32];

    if ((conflict || !out) && teller->named[reject->outcome]++ < NAMED)
        tell("%s, line %lld%s%s: %s%s%s%s", teller->path, (long long)reject->line,
             *reject->column ? ", column " : "", reject->column, *reject->text ? "\"" : "", reject->text,
             *reject->text ? "\": " : "", reject->rule);
    if (out) {
        int n = snprintf(line, sizeof line, "%lld", (long long)reject->line);

        output_csv_field(out, line, (size_t)n, ',');
        output_csv_field(out, reject->column, strlen(reject->column), ',');
        output_csv_field(out, reject->text, strlen(reject->text), ',');
        output_csv_field(out, reject->rule, strlen(reject->rule), ',');
        output_csv_field(out, reject->row, (size_t)reject->row_size, '\n');
        if (out->failed)
            return 1;
    }
    return interrupted();
}

/* Also asked before the commit: rejects that cannot be kept stop the import while nothing is stored. */
static int32_t on_progress(void *self, int64_t done, int64_t total)
{
    struct work *work = self;

    if (work->rejects && !output_flush(work->rejects))
        return 1;
    return progress_told(NULL, done, total);
}

int import_rejects_open(struct work *work)
{
    static const char header[] = "line,column,text,rule,row\n";
    int code;

    if (!work->args->rejects)
        return EXIT_DONE;
    work->rejects = malloc(sizeof *work->rejects);
    if (!work->rejects) {
        tell("no memory");
        return EXIT_REFUSED;
    }
    code = output_open(work->rejects, work->args->rejects, work->args);
    if (code == EXIT_DONE)
        output_write(work->rejects, header, (int64_t)sizeof header - 1);
    return code;
}

int instant_read(struct work *work, const char *text, int64_t *out)
{
    struct timespec now;

    if (text)
        return work_check(work, lapse_store_time(work->store, text, out, &work->error)) == EXIT_DONE ? EXIT_DONE : EXIT_USAGE;
    if (clock_gettime(CLOCK_REALTIME, &now) == 0)
        *out = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    return EXIT_DONE;
}

static int fill_options(struct work *work, lapse_import_options *options)
{
    const struct args *args = work->args;

    lapse_import_options_init(options, sizeof *options);
    options->flags = (args->on_error == ON_ERROR_SKIP ? LAPSE_IMPORT_SKIP_BAD_ROWS : 0u) |
                     (args->ignore_unknown ? LAPSE_IMPORT_IGNORE_UNKNOWN : 0u) |
                     (args->negative == NEGATIVE_REFUND ? LAPSE_IMPORT_NEGATIVE_REFUND : 0u) |
                     (args->dry_run ? LAPSE_IMPORT_DRY_RUN : 0u);
    options->threads = (int32_t)args->threads;
    options->delimiter = (int32_t)args->delimiter;
    options->source = args->source;
    options->kind = args->kind;
    options->map = args->map;
    options->time_format = args->time_format;
    options->policy = work->policy;
    options->on_reject = on_reject;
    options->on_progress = on_progress;
    options->progress_user = work;
    return instant_read(work, args->received_at, &options->received_at);
}

/* After a header was refused. */
static void hint(const struct work *work, const char *path, struct reader *reader)
{
    struct reader again;

    if (!reader && reader_open(&again, path)) {
        if (reader_begin(&again, sizeof again.head))
            hint_at_header(work->args, path, again.head, again.size, &work->error);
        reader_close(&again);
    } else if (reader) {
        hint_at_header(work->args, path, reader->head, reader->size, &work->error);
    }
}

int import_events(struct work *work, const char *path, struct reader *reader, lapse_counts *counts)
{
    struct teller teller = { .path = path, .rejects = work->rejects };
    bool is_stdin = strcmp(path, "-") == 0;
    const char *base = strrchr(path, '/');
    lapse_import_options options;
    lapse_status status;
    int64_t unnamed;
    int code = fill_options(work, &options);

    if (code != EXIT_DONE)
        return code;
    options.reject_user = &teller;
    progress_begin(path);
    if (reader) {
        options.name = is_stdin ? "stdin" : path;
        if (!options.source)
            options.source = is_stdin ? "stdin" : base ? base + 1 : path;
        status = lapse_store_import_stream(work->store, reader_read, reader, &options, counts, &work->error);
    } else {
        status = lapse_store_import_file(work->store, path, &options, counts, &work->error);
    }
    progress_end();
    if (status == LAPSE_CANCELLED && work->rejects && work->rejects->failed)
        tell("%s: cannot be written: %s", work->rejects->name, strerror(work->rejects->failed));
    else
        work_check(work, status);
    if (status == LAPSE_BAD_INPUT && work->error.line == 1)
        hint(work, path, reader);
    else if (status == LAPSE_BAD_INPUT && strcmp(work->error.column, "kind") == 0)
        tell("lapse help events lists the kinds of events");
    if (status != LAPSE_OK)
        return work_exit(status);
    unnamed = counts->conflict - NAMED;
    if (unnamed > 0)
        tell("%s: %lld more conflicts", path, (long long)unnamed);
    unnamed = counts->rejected - NAMED;
    if (unnamed > 0 && !work->rejects)
        tell("%s: %lld more rows rejected; --rejects FILE keeps them", path, (long long)unnamed);
    return EXIT_DONE;
}

/* ---- the commands ----------------------------------------------------------------------------------- */

/* Opens STORE for writing; `flags` says whether it may or must be there. NULL: in memory. */
static int open_to_write(struct work *work, const char *path, uint32_t flags)
{
    lapse_store_options options;
    struct zone zone;
    int code = work_store_options(work, &options, &zone);

    options.flags = flags;
    if (code == EXIT_DONE)
        code = work_opens(work, path, flags, lapse_store_open(path, &options, &work->store, &work->error));
    zone_free(&zone);
    return code;
}

static bool names_stdin(const char *path)
{
    if (strcmp(path, "-") != 0)
        return false;
    tell("a store is a file, not standard input");
    return true;
}

int run_create(struct work *work)
{
    const char *path = work->args->operand[0];

    return names_stdin(path) ? EXIT_USAGE : open_to_write(work, path, LAPSE_STORE_MUST_BE_NEW);
}

/* Takes back what open_to_write() made. */
static void remove_store(struct work *work, const char *path)
{
    static const char *const beside[] = { "", "-wal", "-shm", "-journal" };
    size_t size = strlen(path) + 16;
    char *name = malloc(size);

    lapse_store_close(work->store);
    work->store = NULL;
    for (size_t i = 0; name && i < sizeof beside / sizeof *beside; i++) {
        snprintf(name, size, "%s%s", path, beside[i]);
        unlink(name);
    }
    free(name);
}

static void print_counts(struct answer *answer, const lapse_counts *counts)
{
    char text[200];
    int n = snprintf(text, sizeof text, "%lld,%lld,%lld,%lld,%lld,%lld\n", (long long)counts->read,
                     (long long)counts->accepted, (long long)counts->duplicate, (long long)counts->conflict,
                     (long long)counts->erased, (long long)counts->rejected);

    answer_write(answer, text, n);
}

/* Standard input, pipes and the like are read here, where Ctrl-C is seen; files by the library. */
static bool open_stream(const char *path, struct reader *reader)
{
    struct stat info;

    if (strcmp(path, "-") != 0 && (stat(path, &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)))
        return false;
    if (!reader_open(reader, path))
        return false;
    reader_begin(reader, 1); /* a header to look at; what fails here fails again when it is read on */
    return true;
}

/* Every file until one fails; *done counts them. */
static int import_files(struct work *work, struct answer *answer, int *done)
{
    static const char header[] = "read,accepted,duplicate,conflict,erased,rejected\n";
    const struct args *args = work->args;
    int code = EXIT_DONE;

    for (int i = 1; i < args->operands && code == EXIT_DONE; i++) {
        lapse_counts counts = { .size = sizeof counts };
        struct reader reader;
        bool streams = open_stream(args->operand[i], &reader);

        code = import_events(work, args->operand[i], streams ? &reader : NULL, &counts);
        if (streams)
            reader_close(&reader);
        if (code != EXIT_DONE)
            break;
        if ((*done)++ == 0)
            answer_write(answer, header, (int64_t)sizeof header - 1);
        print_counts(answer, &counts);
    }
    return code;
}

int run_import(struct work *work)
{
    const struct args *args = work->args;
    const char *path = args->operand[0];
    struct answer answer;
    struct stat info;
    bool missing = stat(path, &info) != 0 && errno == ENOENT;
    bool made = missing && !args->dry_run;
    int done = 0;
    int code;
    int shown;

    if (names_stdin(path))
        return EXIT_USAGE;
    code = open_to_write(work, missing && args->dry_run ? NULL : path,
                         missing ? LAPSE_STORE_MUST_BE_NEW : LAPSE_STORE_MUST_EXIST);
    if (code == EXIT_REFUSED && missing && access(path, F_OK) == 0) { /* another process has made it meanwhile */
        made = false;
        code = open_to_write(work, path, LAPSE_STORE_MUST_EXIST);
    }
    if (code != EXIT_DONE)
        return code;
    code = answer_open(&answer, args, 6);
    if (code == EXIT_DONE) {
        for (int i = 0; answer.grid && i < 6; i++)
            grid_look(answer.grid, i, GRID_RIGHT);
        code = import_rejects_open(work);
        if (code == EXIT_DONE)
            code = import_files(work, &answer, &done);
        shown = answer_close(&answer, done > 0 ? EXIT_DONE : code); /* what is done is told, come what may */
        code = code == EXIT_DONE ? shown : code;
    }
    if (made && done == 0)
        remove_store(work, path);
    return code;
}
