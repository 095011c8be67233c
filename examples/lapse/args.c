/* The parser of command lines, over the tables of commands and options. Options stand before or after operands, as
 * `--name value` or `--name=value`; `--` ends them; of one given twice the last counts, but --set adds up. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

const struct command *command_find(const char *name)
{
    const struct command *command = command_table;

    while (command->name && strcmp(command->name, name) != 0)
        command++;
    return command->name ? command : NULL;
}

const struct command *command_nearly(const char *name)
{
    const struct command *nearest = NULL;
    size_t most = 2;

    for (const struct command *command = command_table; command->name; command++) {
        size_t same = 0;

        while (name[same] && name[same] == command->name[same])
            same++;
        if (same > most) {
            nearest = command;
            most = same;
        }
    }
    return nearest;
}

static const struct option *find(const char *name, size_t size)
{
    const struct option *option = option_table;

    while (option->name && (strlen(option->name) != size || memcmp(option->name, name, size) != 0))
        option++;
    return option->name ? option : NULL;
}

/* The next letter or digit of an option, in lower case. */
static int next_letter(const char **at, const char *end)
{
    while (*at < end && strchr("-_", **at))
        ++*at;
    return *at < end ? tolower((unsigned char)*(*at)++) : 0;
}

/* An option of the command that is spelled so but for its case, dashes and underscores; NULL: there is none. */
static const struct option *find_nearly(const struct args *args, const char *text, size_t size)
{
    for (const struct option *option = option_table; option->name; option++) {
        const char *a = text;
        const char *b = option->name;
        int letter;

        while ((letter = next_letter(&a, text + size)) == next_letter(&b, option->name + strlen(option->name)) && letter)
            ;
        if (!letter && b == option->name + strlen(option->name) && option->group & args->command->groups)
            return option;
    }
    return NULL;
}

/* One option of argv; *next is the argument after it, which may be its value. */
static bool parse_option(struct args *args, const char *text, int argc, char **argv, int *next)
{
    size_t size = strcspn(text, "=");
    const char *value = text[size] == '=' ? text + size + 1 : NULL;
    const struct option *option = size > 2 && text[1] == '-' ? find(text + 2, size - 2) : NULL;

    if (!option || !(option->group & args->command->groups)) {
        const struct option *meant = find_nearly(args, text, size);

        tell(option ? "%s does not take %.*s" : "%s: no option %.*s", args->command->name, (int)size, text);
        if (meant)
            tell("try --%s", meant->name);
        return false;
    }
    if (!option->value && value) {
        tell("--%s takes no value", option->name);
        return false;
    }
    if (option->value && !value) {
        if (*next == argc) {
            tell("--%s needs a value: %s", option->name, option->value);
            return false;
        }
        value = argv[(*next)++];
    }
    if (option->group & (GROUP_CREATE | GROUP_READ))
        args->file_option = option->name;
    return option->take(args, option, value);
}

/* Compares the operands with what the command's row says about them. */
static bool operands_fit(const struct args *args)
{
    const char *at = args->command->operands;
    int least = 0;
    int most = 0;

    while (*at != '\0') {
        size_t n = strcspn(at, " ");

        least += *at != '[';
        most++;
        at += n + (at[n] == ' ');
    }
    if (strstr(args->command->operands, "..."))
        most = INT32_MAX;
    if (args->operands >= least && args->operands <= most)
        return true;
    if (args->operands < least)
        tell("%s: an operand is missing: %s", args->command->name, args->command->operands);
    else
        tell("%s: '%s' is one operand too many", args->command->name, args->operand[most]);
    return false;
}

bool args_parse(struct args *args, const struct command *command, int argc, char **argv)
{
    bool ended = false;
    bool good = true;
    int next = 0;

    memset(args, 0, sizeof *args);
    args->command = command;
    args->delimiter = ',';
    args->digits = -1;
    args->threads = 1;
    args->horizon = -1;
    for (int i = 0; i < 3; i++) {
        args->bins[i] = 5;
        args->weights[i] = -1;
    }
    args->operand = calloc((size_t)argc + 1, sizeof *args->operand);
    args->set = calloc((size_t)argc + 1, sizeof *args->set);
    if (!args->operand || !args->set) {
        tell("no memory");
        return false;
    }
    while (good && next < argc) {
        char *text = argv[next++];

        if (ended || text[0] != '-' || text[1] == '\0')
            args->operand[args->operands++] = text;
        else if (strcmp(text, "--") == 0)
            ended = true;
        else
            good = parse_option(args, text, argc, argv, &next);
    }
    return good && operands_fit(args);
}

void args_free(struct args *args)
{
    free(args->operand);
    free((void *)args->set);
}
