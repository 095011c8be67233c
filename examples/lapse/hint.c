/* Faults of a file that show at a glance: it is no text in UTF-8, has another delimiter, or names in another case. The
 * library has refused it and said why; this looks at the beginning of the file and says what helps. */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "command.h"

/* Is `name` a column of event files but for its case, and not as it stands? Writes what it would be. */
static bool other_case(const char *name, char *ours, size_t room)
{
    static const char columns[] = COLUMNS;
    size_t size = strlen(name);

    if (size == 0 || size >= room)
        return false;
    for (size_t i = 0; i <= size; i++)
        ours[i] = (char)tolower((unsigned char)name[i]);
    for (const char *at = columns; *at != '\0'; at += strspn(at, ", ")) {
        size_t n = strcspn(at, ",");

        if (n == size && memcmp(at, ours, n) == 0)
            return strcmp(name, ours) != 0;
        at += n;
    }
    return false;
}

static bool hint_at_delimiter(const char *path, const char *line, int delimiter)
{
    static const char others[] = ";\t|,";

    if (strchr(line, delimiter))
        return false;
    for (const char *c = others; *c != '\0'; c++) {
        if (*c != delimiter && strchr(line, *c)) {
            char quoted[] = { '\'', *c, '\'', '\0' };

            tell("%s: the header is one name; try --delimiter %s", path, *c == '\t' ? "tab" : quoted);
            return true;
        }
    }
    return false;
}

/* What spreadsheet programs save instead of CSV. */
static bool hint_at_encoding(const char *path, const char *head, size_t size)
{
    static const struct {
        const char *begin, *what;
    } forms[] = {
        { "PK\x03\x04", "a spreadsheet or an archive" },
        { "\xD0\xCF\x11\xE0", "a spreadsheet" },
        { "\xFF\xFE", "text in UTF-16" },
        { "\xFE\xFF", "text in UTF-16" },
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t n = strlen(forms[i].begin);

        if (size >= n && memcmp(head, forms[i].begin, n) == 0) {
            tell("%s: this is %s: save it as CSV in UTF-8", path, forms[i].what);
            return true;
        }
    }
    return false;
}

void hint_at_header(const struct args *args, const char *path, const char *head, size_t size,
                    const lapse_error *error)
{
    char line[4096], pairs[1024] = "", ours[64], twin[256] = "";
    size_t used = 0;
    bool asked = false; /* is the name that was refused among the pairs? */

    if (hint_at_encoding(path, head, size) || !*error->column)
        return;
    if (size >= 3 && memcmp(head, "\xEF\xBB\xBF", 3) == 0) {
        head += 3;
        size -= 3;
    }
    while (used < size && used + 1 < sizeof line && !strchr("\r\n", head[used])) { /* NUL is found there too */
        line[used] = head[used];
        used++;
    }
    line[used] = '\0';
    if (strchr(line, '"') || hint_at_delimiter(path, line, (int)args->delimiter))
        return;
    for (char *name = line; name;) {
        char *end = strchr(name, (int)args->delimiter);
        bool same;

        if (end)
            *end = '\0';
        same = strcasecmp(name, error->column) == 0;
        if (other_case(name, ours, sizeof ours) &&
            strlen(pairs) + strlen(ours) + strlen(name) + 3 < sizeof pairs) {
            sprintf(pairs + strlen(pairs), "%s%s=%s", *pairs ? "," : "", ours, name);
            asked = asked || same;
        }
        if (same && strcmp(name, error->column) != 0)
            snprintf(twin, sizeof twin, "%s", name);
        name = end ? end + 1 : NULL;
    }
    if (asked && !args->map)
        tell("%s: columns are named in lower case here: try --map %s", path, pairs);
    else if (asked || *twin)
        tell("%s: names of columns are compared with their case: the header has '%s'", path,
             *twin ? twin : error->column);
}
