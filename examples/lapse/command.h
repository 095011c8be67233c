/* What the files of the `lapse` command share. The command is a table of options (options.c) and a table of
 * commands (main.c): parsing, help and usage errors all come from these, and a new option or command is one row
 * and one function. It uses the public header, libc and POSIX only, like any program that uses the library. */
#ifndef LAPSE_COMMAND_H
#define LAPSE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lapse.h>

/* Exit codes. Scripts rely on them. */
enum {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* understood, and refused because of data, files or values */
    EXIT_USAGE = 2,   /* the command line cannot be understood */
    EXIT_BROKEN = 3,  /* the store is damaged or cannot be opened */
    EXIT_BUSY = 4     /* another writer held the store for too long */
};

/* Groups of options; a command names those that it takes. */
enum {
    GROUP_OUTPUT = 1 << 0,
    GROUP_CREATE = 1 << 1,   /* what is fixed when a store is made, or for one run on an event file */
    GROUP_READ = 1 << 2,     /* how event files are read */
    GROUP_IMPORT = 1 << 3,   /* of `import` alone */
    GROUP_POLICY = 1 << 4,
    GROUP_AS_OF = 1 << 5,
    GROUP_RFM = 1 << 6,
    GROUP_THREADS = 1 << 7,
    GROUP_BACKUP = 1 << 8,
    GROUP_COMPACT = 1 << 9,
    GROUP_SPAN = 1 << 10,
    GROUP_CLOCK = 1 << 11,     /* which clock loses customers */
    GROUP_PERIODS = 1 << 12,
    GROUP_SURVIVAL = 1 << 13,
    GROUP_GAPS = 1 << 14,
    GROUP_STATES = 1 << 15,
    GROUP_PERMIT = 1 << 16,
    GROUP_EXPORT = 1 << 17,
    GROUP_CUTS = 1 << 18,    /* of one instant */
    GROUP_ADVANCE = 1 << 19,
    GROUP_FORGET = 1 << 20,
    /* what every command takes whose STORE may be an event file */
    GROUPS_STORE = GROUP_OUTPUT | GROUP_CREATE | GROUP_READ | GROUP_POLICY | GROUP_THREADS
};

enum { QUANTILES_MOST = 100 };

/* A command line, understood. Zeroes are "not given" but where args_parse() sets a default. */
struct args {
    const struct command *command;
    char **operand;
    int operands;
    const char *file_option;  /* the last one given of GROUP_CREATE or GROUP_READ */
    int64_t format;           /* choices count from 1, in the order of the table's text */
    const char *output;
    const char *zone, *currency, *key;
    int64_t digits;           /* -1 */
    int64_t delimiter;
    int64_t ignore_unknown;
    const char *map, *time_format, *kind;
    int64_t negative;
    int64_t on_error;
    const char *rejects, *received_at, *source;
    int64_t dry_run;
    int64_t sync;
    const char *policy;
    const char **set;         /* `name=value`, in their order */
    int sets;
    const char *as_of;
    int64_t threads;
    int64_t cuts;             /* LAPSE_CUTS_ */
    const char *fixed;        /* of LAPSE_CUTS_FIXED: thresholds, or a file */
    bool fixed_is_file;
    const char *save_cuts;
    int64_t bins[3];          /* 5, 5, 5 */
    bool bins_given;
    int64_t window;           /* in units of window_unit */
    int32_t window_unit;
    int64_t frequency, monetary, nested;
    int64_t weights[3];       /* -1: none given */
    const char *segments;
    int64_t replace, upgrade, salvage;
    const char *from, *to;
    int64_t basis, lost, every, method;
    int64_t hazard, summary;
    int64_t horizon;          /* days; -1: none given */
    int32_t quantiles[QUANTILES_MOST]; /* millionths */
    int64_t quantile_count;
    int64_t channels;
    int64_t channel, purpose; /* LAPSE_CHANNEL_, LAPSE_PURPOSE_ */
    const char *customer, *topic;
    int64_t baseline, adopt_policy, limit, mode;
    const char *at;
};

struct option {
    const char *name;
    const char *value;        /* what stands for its value in help; NULL: a flag */
    unsigned group;
    bool (*take)(struct args *args, const struct option *option, const char *value); /* false: told why */
    size_t at;                /* where in struct args it goes */
    int64_t low, high;        /* of numbers */
    const char *help;
};
/* options.c */
extern const struct option option_table[]; /* ends with a NULL name */
/* Digits only, so no sign and no blanks; *end is the first byte after them. */
bool whole_number(const char *text, int64_t *out, const char **end);

/* The columns of event files, in their order. */
#define COLUMNS                                                                                              \
    "customer, time, kind, amount, channel, purpose, topic, platform, ref, value, reason, item, quantity, "  \
    "category, price, endpoint, evidence, source, event_id"

struct work;
struct command {
    const char *name;
    const char *operands;     /* `STORE FILE...`, `[STORE]`: also says how many there must be */
    int (*run)(struct work *work);
    unsigned groups;
    const char *summary;
    const char *details;
};
extern const struct command command_table[]; /* ends with a NULL name */

/* args.c */
const struct command *command_find(const char *name); /* NULL: there is none */
const struct command *command_nearly(const char *name); /* that begins with as many of the same letters as any, and three; NULL: none */
/* Understands argv, all but the command's name; false: told why. Free with args_free() either way. */
bool args_parse(struct args *args, const struct command *command, int argc, char **argv);
void args_free(struct args *args);

/* help.c */
void help_all(void);
void help_events(void);
void help_command(const struct command *command);

/* tell.c: what goes to stderr, and signals */
void tell(const char *format, ...)
#if defined(__GNUC__) || defined(__clang__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;
/* Copies text for a terminal: control characters as `\n`, `\x1b`. Room of 4 * n is enough; `out` may be NULL.
 * Returns the bytes written; *width gets the characters. */
size_t visible(const char *text, size_t n, char *out, size_t *width);
bool interrupted(void);         /* has somebody pressed Ctrl-C? */
int interrupts_fd(void);        /* can be read once that is so: to be waited for beside input */
void interrupts_watch(void);
void progress_begin(const char *what);
int32_t progress_told(void *unused, int64_t done, int64_t total); /* a lapse_progress_fn; may cancel */
void progress_end(void);

/* input.c: what is read, and may keep us waiting */
struct reader {
    int fd;
    bool is_stdin, ended;
    char head[4096];            /* the first bytes */
    size_t size, used;          /* of `head`: how many there are, how many were handed on */
};
bool reader_open(struct reader *reader, const char *path); /* `-` is standard input; false: errno says why */
void reader_close(struct reader *reader);
bool reader_begin(struct reader *reader, size_t least);    /* reads so much of the head, if it is there */
int64_t reader_read(void *reader, char *buffer, int64_t capacity); /* a lapse_read_fn */

/* output.c: files that appear whole or not at all */
struct output {
    const char *name;           /* for messages */
    char *target, *temporary;   /* NULL: written as it comes */
    int fd;
    int failed;                 /* errno of the first write that failed */
    size_t used;
    char buffer[65536];
};
/* `path` NULL is stdout. Refuses a path that is also an operand of `args`. An exit code; if it is not
 * EXIT_DONE, why has been told and nothing is open. */
int output_open(struct output *out, const char *path, const struct args *args);
int32_t output_write(void *out, const char *bytes, int64_t size); /* a lapse_write_fn */
/* Returns `code`, or what is worse. With EXIT_DONE the file takes its name, otherwise it is removed. */
bool output_flush(struct output *out); /* false: it cannot be written */
int output_close(struct output *out, int code);
void output_csv_field(struct output *out, const char *bytes, size_t size, char end);
/* All bytes of a small file, ending in NUL; NULL: told why. Free with free(). */
char *file_read(const char *path, int64_t *size);

/* grid.c: the table format */
struct grid;
struct grid *grid_new(struct output *out, int columns); /* NULL: no memory */
enum { GRID_RIGHT = 1, GRID_HIDDEN = 2 }; /* how a column looks */
void grid_look(struct grid *grid, int column, unsigned look);
int32_t grid_write(void *grid, const char *csv, int64_t size); /* a lapse_write_fn that takes CSV */
int32_t grid_end(struct grid *grid);
void grid_free(struct grid *grid);

/* answer.c: where the answer goes, in the format asked for */
struct answer {
    struct output out;
    struct grid *grid;          /* NULL: CSV */
};
bool answer_is_table(const struct args *args);
int answer_open(struct answer *answer, const struct args *args, int columns);
int32_t answer_write(void *answer, const char *csv, int64_t size); /* a lapse_write_fn */
int answer_close(struct answer *answer, int code);                 /* as output_close() */

/* zone.c: zones and currencies by name */
struct zone {
    int64_t *starts;
    int32_t *offsets;
    int32_t count;
    const char *name;           /* NULL: an offset */
};
bool zone_find(const char *text, struct zone *zone); /* false: told why; free with zone_free() */
void zone_free(struct zone *zone);
int currency_digits(const char *code);               /* -1: no such currency */

/* work.c: what a command holds while it runs */
struct work {
    const struct args *args;
    lapse_policy *policy;
    lapse_store *store;
    lapse_view *view;
    lapse_result *result;
    bool empty;                 /* no event and no --as-of: there is no instant to ask about */
    uint64_t hidden;            /* columns, from bit 0, that a table leaves out */
    uint8_t key[LAPSE_KEY_SIZE]; /* of --key */
    struct output *rejects;     /* NULL: not asked for */
    lapse_error error;
};
int work_begin(struct work *work, const struct args *args); /* reads the policy */
int work_end(struct work *work, int code);                  /* frees all, returns `code` or what is worse */
int work_exit(lapse_status status);                         /* the exit code that a status stands for */
/* Tells why a call failed and returns the exit code; EXIT_DONE and silence for LAPSE_OK. */
int work_check(struct work *work, lapse_status status);
/* The same, of opening STORE at `path` with LAPSE_STORE_ flags. */
int work_opens(struct work *work, const char *path, uint32_t flags, lapse_status status);
/* Fills what zone, currency, digits and key say. The zone is to be freed after the store is open. */
int work_store_options(struct work *work, lapse_store_options *store, struct zone *zone);
/* A store, or an event file read into memory. `flags` are added to those of opening a store to read. */
int work_open_with(struct work *work, const char *path, uint32_t flags);
int work_open(struct work *work, const char *path);
enum { AS_OF_LAST, AS_OF_ALL };                             /* the default instant */
int work_view(struct work *work, int default_instant);
/* A question about a span looks from its end: --from and --to must be given, and the view is that of --to. */
int work_needs_span(const struct work *work);
int work_view_span(struct work *work, int64_t *from);
int work_print(struct work *work);                          /* the result, and its notes */

/* upkeep.c: an answer of `name,value` rows of numbers */
struct number {
    const char *name;
    int64_t value;
};
int print_numbers(struct work *work, const struct number *numbers, int count);

/* import.c */
/* An instant that --received-at or --at names, NULL: the clock of now. */
int instant_read(struct work *work, const char *text, int64_t *out);
/* Reads one event file into the store; `reader` NULL: by its path. */
int import_events(struct work *work, const char *path, struct reader *reader, lapse_counts *counts);
int import_rejects_open(struct work *work);

/* rfm.c: what is wrong in the thresholds of --cuts fixed:... */
void tell_cuts(const char *fixed, const lapse_error *error);

/* hint.c: what a refused header would need, read from the first bytes of the file */
void hint_at_header(const struct args *args, const char *path, const char *head, size_t size,
                    const lapse_error *error);

/* The commands: import.c, answers.c, rfm.c, states.c, churn.c, changes.c, upkeep.c */
int run_create(struct work *work);
int run_import(struct work *work);
int run_info(struct work *work);
int run_history(struct work *work);
int run_rfm(struct work *work);
int run_segments(struct work *work);
int run_transitions(struct work *work);
int run_churn(struct work *work);
int run_cohorts(struct work *work);
int run_survival(struct work *work);
int run_gaps(struct work *work);
int run_states(struct work *work);
int run_consent(struct work *work);
int run_permit(struct work *work);
int run_export(struct work *work);
int run_advance(struct work *work);
int run_ack(struct work *work);
int run_backup(struct work *work);
int run_compact(struct work *work);
int run_verify(struct work *work);
int run_salvage(struct work *work);                        /* `export --salvage` */
int run_forget(struct work *work);
int run_policy(struct work *work);

#endif
