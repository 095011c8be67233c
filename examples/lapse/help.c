/* `lapse help`, made from the tables of commands and options. */
#include <stdio.h>
#include <string.h>

#include "command.h"

enum { MARGIN = 79, COLUMN = 25 };

/* Text from column `at` on, its lines `indent` deep. A line break in the text is one in print. */
static void wrap(const char *text, int at, int indent)
{
    while (*text != '\0') {
        int n = (int)strcspn(text, " \n");

        if (at > indent && at + 1 + n > MARGIN) {
            putchar('\n');
            at = 0;
        }
        if (at > indent) {
            putchar(' ');
            at++;
        }
        at += at < indent ? printf("%*s", indent - at, "") : 0;
        at += printf("%.*s", n, text);
        text += n;
        if (*text == '\n') {
            putchar('\n');
            at = 0;
        }
        text += *text != '\0';
    }
    putchar('\n');
}

void help_all(void)
{
    puts("lapse: who are my best customers, who is slipping away, who has lapsed?\n\n"
         "Usage: lapse COMMAND STORE [options]\n\n"
         "STORE is a store file, or directly a CSV file of events (- is standard input),\n"
         "which is then read into memory first: lapse rfm orders.csv\n\n"
         "Commands:");
    for (const struct command *command = command_table; command->name; command++)
        wrap(command->summary, printf("  %-11s", command->name), 15);
    puts("\nlapse help COMMAND tells more, lapse help events what event files hold,\n"
         "lapse --version the version.\n"
         "Exit: 0 done, 1 refused because of data or files, 2 usage, 3 no store or a\n"
         "damaged one, 4 busy.");
}

static void help_group(const struct command *command, unsigned group, const char *title)
{
    bool any = false;

    for (const struct option *option = option_table; option->name; option++) {
        char left[64];
        int at;

        if (!(option->group & group & command->groups))
            continue;
        if (!any)
            printf("\n%s:\n", title);
        any = true;
        snprintf(left, sizeof left, "  --%s %s", option->name, option->value ? option->value : "");
        at = printf("%s", left);
        if (at >= COLUMN) {
            putchar('\n');
            at = 0;
        }
        wrap(option->help, at, COLUMN);
    }
}

/* Names of values, as the library has them, until there is none. */
static void help_names(const char *title, const char *(*name)(int32_t))
{
    char text[4096];
    size_t used = 0;
    const char *next;

    for (int32_t i = 1; (next = name(i)) != NULL && used + strlen(next) + 2 < sizeof text; i++)
        used += (size_t)sprintf(text + used, "%s%s", i > 1 ? " " : "", next);
    text[used] = '\0';
    printf("\n%s:\n", title);
    wrap(text, 0, 2);
}

void help_events(void)
{
    static const char *const parts[][2] = {
        { "An event file",
          "CSV (RFC 4180) in UTF-8 with a header row: customer,time,amount is enough. An empty field "
          "is a missing fact." },
        { "Columns", COLUMNS },
        { "Times",
          "2024-03-01, 2024-03-01T10:15:00 with up to 6 fractional digits, a blank in place of T, with Z or "
          "+hh:mm, or @1709288100 seconds. Others: --time-format" },
        { "Amounts and prices", "12, 12.5, -3.00: exact, in major units of the currency" },
        { "Quotes",
          "A field that holds a delimiter, a quote or a line break stands in quotes, and a quote in it is "
          "doubled. A quote that is never closed stops the import even with --on-error skip: nobody knows "
          "where the next row begins." },
    };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        printf("%s%s:\n", i > 0 ? "\n" : "", parts[i][0]);
        wrap(parts[i][1], 0, 2);
    }
    help_names("Kinds of events (default order.placed)", lapse_kind_name);
    help_names("Channels", lapse_channel_name);
    help_names("Purposes", lapse_purpose_name);
    help_names("Platforms", lapse_platform_name);
}

/* In the form of --segments FILE, to begin another table from. Tests hold it against the library's. */
static const char default_segments[] = "segment,r_min,r_max,f_min,f_max,m_min,m_max\n"
                                       "hibernating,1,2,1,2,,\n"
                                       "at risk,1,2,3,4,,\n"
                                       "can't lose,1,2,5,5,,\n"
                                       "about to sleep,3,3,1,2,,\n"
                                       "need attention,3,3,3,3,,\n"
                                       "loyal customers,3,4,4,5,,\n"
                                       "promising,4,4,1,1,,\n"
                                       "new customers,5,5,1,1,,\n"
                                       "potential loyalists,4,5,2,3,,\n"
                                       "champions,5,5,4,5,,\n";

void help_command(const struct command *command)
{
    bool files = (command->groups & GROUP_READ) != 0;
    bool imports = (command->groups & GROUP_IMPORT) != 0;

    printf("Usage: lapse %s %s%s\n\n", command->name, command->operands, command->groups ? " [options]" : "");
    wrap(command->details, 0, 0);
    if (command->groups & GROUP_RFM)
        printf("\nThe segments by default, in the form of --segments FILE:\n\n%s", default_segments);
    help_group(command, (unsigned)~(GROUP_CREATE | GROUP_READ), "Options");
    help_group(command, GROUP_READ, imports || !files ? "How files are read" : "If STORE is an event file");
    help_group(command, GROUP_CREATE, imports || !files ? "Of a new store" : "Also for an event file");
}
