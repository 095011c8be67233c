/* What a command holds while it runs: policy, store, view, result. A step returns EXIT_DONE, or the exit code
 * after it has told why; work_end() frees whatever there is. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

int work_exit(lapse_status status)
{
    switch (status) {
    case LAPSE_OK:
    case LAPSE_DONE:
        return EXIT_DONE;
    case LAPSE_INVALID:
        return EXIT_USAGE;
    case LAPSE_DAMAGED:
    case LAPSE_UNSUPPORTED:
        return EXIT_BROKEN;
    case LAPSE_BUSY:
        return EXIT_BUSY;
    default:
        return EXIT_REFUSED;
    }
}

int work_check(struct work *work, lapse_status status)
{
    if (work_exit(status) == EXIT_DONE)
        return EXIT_DONE;
    if (interrupted())
        status = LAPSE_CANCELLED;
    if (status == LAPSE_CANCELLED)
        tell("interrupted, nothing changed");
    else if (strncmp(work->error.message, "column --", 9) == 0) /* the library's word for where a fault is */
        tell("%s", work->error.message + 7);
    else
        tell("%s", work->error.message[0] ? work->error.message : lapse_status_name(status));
    return work_exit(status);
}

static const char store_magic[16] = "SQLite format 3";

/* Is it a file that does not begin as a store? */
static bool is_no_store(const char *path)
{
    struct reader reader;
    struct stat info;
    bool other = false;

    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode) || !reader_open(&reader, path))
        return false;
    if (reader_begin(&reader, sizeof store_magic))
        other = reader.size < sizeof store_magic || memcmp(reader.head, store_magic, sizeof store_magic) != 0;
    reader_close(&reader);
    return other;
}

/* Why a store at `path` cannot be opened, as far as the system tells: an errno, or 0. */
static int why_not(const char *path, bool to_write, bool to_make)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    struct stat info;

    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return EISDIR;
        return access(path, to_write ? R_OK | W_OK : R_OK) == 0 ? 0 : errno;
    }
    if (errno != ENOENT || !to_make || (size_t)(slash ? slash - path : 0) >= sizeof folder)
        return errno;
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + (slash == path) : 1,
             slash ? path : ".");
    return access(folder, W_OK | X_OK) == 0 ? 0 : errno;
}

int work_opens(struct work *work, const char *path, uint32_t flags, lapse_status status)
{
    int code = work_exit(status);
    bool to_write = !(flags & LAPSE_STORE_READ_ONLY), to_make = to_write && !(flags & LAPSE_STORE_MUST_EXIST);
    int why = path && status == LAPSE_IO ? why_not(path, to_write, to_make) : 0;

    if (why)
        tell("%s: cannot be opened: %s", path, strerror(why));
    else if (code == EXIT_DONE || !path || strstr(work->error.message, path))
        work_check(work, status);
    else
        tell("%s: %s", path, work->error.message[0] ? work->error.message : lapse_status_name(status));
    if (path && code == EXIT_BROKEN && is_no_store(path))
        tell("%s is no store: usage is lapse %s %s, and lapse import STORE FILE makes a store of an event file", path,
             work->args->command->name, work->args->command->operands);
    return status == LAPSE_IO || status == LAPSE_READ_ONLY ? EXIT_BROKEN : code;
}

/* ---- policy ----------------------------------------------------------------------------------------- */

static void tell_where_settings_are(void)
{
    tell("lapse policy lists all settings, their values and units");
}

/* The library speaks of columns; here they are settings. */
static void tell_setting(const char *where, const lapse_error *error)
{
    char line[32] = "";

    if (error->line > 0)
        snprintf(line, sizeof line, ", line %lld", (long long)error->line);
    tell("%s%s%s%s: %s%s%s%s", where, line, *error->column ? ", setting " : "", error->column,
         *error->text ? "\"" : "", error->text, *error->text ? "\": " : "",
         *error->rule ? error->rule : error->message);
    tell_where_settings_are();
}

static int read_policy(struct work *work, const char *path)
{
    int64_t size;
    char *text = file_read(path, &size);
    lapse_status status;

    if (!text)
        return EXIT_REFUSED;
    status = lapse_policy_parse(work->policy, text, size, &work->error);
    free(text);
    if (status != LAPSE_OK)
        tell_setting(path, &work->error);
    return work_exit(status) == EXIT_DONE ? EXIT_DONE : EXIT_REFUSED;
}

static lapse_status set_one(struct work *work, const char *text)
{
    size_t size = strcspn(text, "=");
    char *name = malloc(size + 1);
    lapse_status status = LAPSE_NO_MEMORY;

    if (name) {
        memcpy(name, text, size);
        name[size] = '\0';
        status = lapse_policy_set(work->policy, name, text + size + 1, &work->error);
    }
    free(name);
    return status;
}

/* Is the name of setting `i` named again later? The later one counts. */
static bool set_again(const struct args *args, int i)
{
    size_t size = strcspn(args->set[i], "=") + 1;

    for (int k = i + 1; k < args->sets; k++) {
        if (strncmp(args->set[k], args->set[i], size) == 0)
            return true;
    }
    return false;
}

/* Limits must be in order at each step, so `risk=7m` may have to wait for `inactive=9m`, whichever is named
 * first: what is refused is tried again as long as another one of the rest is taken. */
static int set_all(struct work *work)
{
    const struct args *args = work->args;
    bool *done = calloc((size_t)args->sets + 1, sizeof *done);
    lapse_status status = done ? LAPSE_OK : LAPSE_NO_MEMORY;
    int refused = 0;
    bool moved = done != NULL;

    while (moved) {
        moved = false;
        status = LAPSE_OK;
        for (int i = args->sets - 1; i >= 0; i--) {
            lapse_status one = done[i] || set_again(args, i) ? LAPSE_OK : set_one(work, args->set[i]);

            moved = moved || (one == LAPSE_OK && !done[i]);
            done[i] = one == LAPSE_OK;
            if (one != LAPSE_OK) {
                status = one;
                refused = i;
            }
        }
        moved = moved && status != LAPSE_OK;
    }
    free(done);
    if (status != LAPSE_OK && status != LAPSE_NO_MEMORY) {
        tell("--set %s: %s", args->set[refused], *work->error.rule ? work->error.rule : work->error.message);
        tell_where_settings_are();
    } else {
        work_check(work, status);
    }
    return status == LAPSE_OK ? EXIT_DONE : EXIT_REFUSED; /* as a line of --policy */
}

int work_begin(struct work *work, const struct args *args)
{
    int code;

    memset(work, 0, sizeof *work);
    work->args = args;
    work->error.size = sizeof work->error;
    if (!(args->command->groups & GROUP_POLICY))
        return EXIT_DONE;
    code = work_check(work, lapse_policy_new(NULL, &work->policy));
    if (code == EXIT_DONE && args->policy)
        code = read_policy(work, args->policy);
    if (code == EXIT_DONE)
        code = set_all(work);
    return code;
}

int work_end(struct work *work, int code)
{
    if (work->rejects) {
        bool worth = code == EXIT_DONE || code == EXIT_REFUSED;
        int kept = output_close(work->rejects, worth ? EXIT_DONE : code);

        code = code == EXIT_DONE ? kept : code;
        free(work->rejects);
    }
    progress_end();
    lapse_result_free(work->result);
    lapse_view_close(work->view);
    lapse_store_close(work->store);
    lapse_policy_free(work->policy);
    return code;
}

/* ---- store and view --------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* 64 hexadecimal digits, a line end after them perhaps. */
static int read_key(struct work *work, const char *path)
{
    int64_t size;
    char *text = file_read(path, &size);
    bool good = text != NULL;

    if (!text)
        return EXIT_REFUSED;
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    good = size == 2 * LAPSE_KEY_SIZE;
    for (int i = 0; i < LAPSE_KEY_SIZE && good; i++) {
        good = digit_of(text[2 * i]) >= 0 && digit_of(text[2 * i + 1]) >= 0;
        work->key[i] = (uint8_t)(good ? digit_of(text[2 * i]) * 16 + digit_of(text[2 * i + 1]) : 0);
    }
    free(text);
    if (!good)
        tell("%s: a key is %d hexadecimal digits", path, 2 * LAPSE_KEY_SIZE);
    return good ? EXIT_DONE : EXIT_REFUSED;
}

int work_store_options(struct work *work, lapse_store_options *store, struct zone *zone)
{
    static const int32_t syncs[] = { LAPSE_SYNC_FULL, LAPSE_SYNC_FULL, LAPSE_SYNC_NORMAL, LAPSE_SYNC_OFF };
    const struct args *args = work->args;

    memset(zone, 0, sizeof *zone);
    lapse_store_options_init(store, sizeof *store);
    if (args->key && read_key(work, args->key) != EXIT_DONE)
        return EXIT_REFUSED;
    store->key = args->key ? work->key : NULL;
    if (args->zone && !zone_find(args->zone, zone))
        return EXIT_USAGE;
    store->zone_count = zone->count;
    store->zone_starts = zone->starts;
    store->zone_offsets = zone->offsets;
    store->zone_name = zone->name;
    store->currency = args->currency;
    store->digits =
        (int32_t)(args->digits < 0 && args->currency ? currency_digits(args->currency) : args->digits);
    store->sync = syncs[args->sync];
    return EXIT_DONE;
}

/* Reads an event file, of which `reader` has seen the first bytes, into memory. */
static int open_events(struct work *work, const char *path, struct reader *reader)
{
    lapse_counts counts = { .size = sizeof counts };
    lapse_store_options options;
    struct zone zone;
    int code = work_store_options(work, &options, &zone);

    if (code == EXIT_DONE)
        code = work_check(work, lapse_store_open(NULL, &options, &work->store, &work->error));
    zone_free(&zone);
    if (code == EXIT_DONE)
        code = import_rejects_open(work);
    if (code == EXIT_DONE)
        code = import_events(work, path, reader, &counts);
    if (code == EXIT_DONE && counts.accepted != counts.read)
        tell("%s: %lld rows read, %lld accepted, %lld duplicate, %lld conflict, %lld rejected", path,
             (long long)counts.read, (long long)counts.accepted, (long long)counts.duplicate,
             (long long)counts.conflict, (long long)counts.rejected);
    return code;
}

static int open_store(struct work *work, const char *path, uint32_t flags)
{
    lapse_store_options options;

    if (work->args->file_option) {
        tell("%s: --%s is for event files, this is a store", path, work->args->file_option);
        return EXIT_USAGE;
    }
    lapse_store_options_init(&options, sizeof options);
    options.flags = LAPSE_STORE_READ_ONLY | LAPSE_STORE_MUST_EXIST | flags;
    return work_opens(work, path, options.flags, lapse_store_open(path, &options, &work->store, &work->error));
}

int work_open_with(struct work *work, const char *path, uint32_t flags)
{
    struct reader reader;
    struct stat info;
    int code = EXIT_BROKEN;
    bool good = reader_open(&reader, path) && fstat(reader.fd, &info) == 0;

    if (good && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        good = false;
    }
    if (!good || !reader_begin(&reader, sizeof store_magic)) {
        if (interrupted())
            code = work_check(work, LAPSE_CANCELLED);
        else
            tell("%s: cannot be opened: %s", path, strerror(errno));
    } else if (reader.size < sizeof store_magic || memcmp(reader.head, store_magic, sizeof store_magic) != 0) {
        code = EXIT_DONE;
        if (work->args->command->groups & GROUP_READ)
            code = open_events(work, path, S_ISREG(info.st_mode) && !reader.is_stdin ? NULL : &reader);
    } else if (reader.is_stdin) {
        tell("a store cannot be read from standard input");
    } else {
        reader_close(&reader); /* before SQLite locks it: closing any descriptor of a file drops its locks */
        return open_store(work, path, flags);
    }
    reader_close(&reader);
    return code;
}

int work_open(struct work *work, const char *path)
{
    return work_open_with(work, path, 0);
}

int work_view(struct work *work, int default_instant)
{
    const char *text = work->args->as_of;
    int64_t as_of = INT64_MAX;
    char shown[64];

    if (text) {
        if (work_check(work, lapse_store_time(work->store, text, &as_of, &work->error)) != EXIT_DONE)
            return EXIT_USAGE;
    } else if (default_instant == AS_OF_LAST) {
        lapse_status status = lapse_store_default_instant(work->store, &as_of, &work->error);

        work->empty = status == LAPSE_NOT_FOUND;
        if (work->empty)
            as_of = INT64_MAX;
        else if (work_check(work, status) != EXIT_DONE)
            return work_exit(status);
        else if (lapse_time_format(as_of, shown, sizeof shown) == LAPSE_OK)
            tell("as of %s (the first instant of the day after the last event)", shown);
    }
    return work_check(work, lapse_view_open(work->store, as_of, &work->view, &work->error));
}

int work_needs_span(const struct work *work)
{
    if (work->args->from && work->args->to)
        return EXIT_DONE;
    tell("%s needs --from T0 and --to T1", work->args->command->name);
    return EXIT_USAGE;
}

/* The instant that an option names, in the store's zone. */
static int find_instant(struct work *work, const char *text, int64_t *out)
{
    return work_check(work, lapse_store_time(work->store, text, out, &work->error)) == EXIT_DONE ? EXIT_DONE
                                                                                                 : EXIT_USAGE;
}

int work_view_span(struct work *work, int64_t *from)
{
    int64_t to = 0;
    int code = find_instant(work, work->args->from, from);

    if (code == EXIT_DONE)
        code = find_instant(work, work->args->to, &to);
    if (code == EXIT_DONE && *from > to) {
        tell("--from %s is later than --to %s: a span begins before it ends", work->args->from, work->args->to);
        code = EXIT_REFUSED;
    }
    return code == EXIT_DONE ? work_check(work, lapse_view_open(work->store, to, &work->view, &work->error)) : code;
}
