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
        wrap(command->summary, printf("  %-10s", command->name), 14);
    puts("\nlapse help COMMAND tells more, lapse --version the version.\n"
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

void help_command(const struct command *command)
{
    bool files = (command->groups & GROUP_READ) != 0;
    bool imports = (command->groups & GROUP_IMPORT) != 0;

    printf("Usage: lapse %s %s%s\n\n", command->name, command->operands, command->groups ? " [options]" : "");
    wrap(command->details, 0, 0);
    help_group(command, (unsigned)~(GROUP_CREATE | GROUP_READ), "Options");
    help_group(command, GROUP_READ, imports || !files ? "How files are read" : "If STORE is an event file");
    help_group(command, GROUP_CREATE, imports || !files ? "Of a new store" : "Also for an event file");
}
