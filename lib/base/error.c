/* Errors: filling the caller's lapse_error as far as it reaches, and size-first structs of older and newer
 * callers. What comes from outside is shown so that a terminal cannot be harmed and every text is valid UTF-8:
 * bytes that are no character, and control characters in the message, stand as \xNN. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>

#define OPTIONS_LARGEST 4096

static const char *const status_names[] = {
    [LAPSE_OK] = "ok",
    [LAPSE_DONE] = "done",
    [LAPSE_NO_MEMORY] = "no memory",
    [LAPSE_INVALID] = "invalid argument",
    [LAPSE_BAD_INPUT] = "bad input",
    [LAPSE_NOT_FOUND] = "not found",
    [LAPSE_OVERFLOW] = "overflow",
    [LAPSE_CANCELLED] = "cancelled",
    [LAPSE_IO] = "input or output failed",
    [LAPSE_DAMAGED] = "damaged",
    [LAPSE_UNSUPPORTED] = "made by a newer version",
    [LAPSE_BUSY] = "busy",
    [LAPSE_STALE] = "stale",
    [LAPSE_FORKED] = "used after fork",
    [LAPSE_READ_ONLY] = "read-only",
    [LAPSE_ERASE_PENDING] = "erase pending",
};

const char *lapse_status_name(lapse_status status)
{
    bool known = status >= 0 && (size_t)status < sizeof status_names / sizeof *status_names;

    return known ? status_names[status] : "unknown status";
}

static bool control(const unsigned char *p, size_t size)
{
    return p[0] < 0x20 || p[0] == 0x7F || (size == 2 && p[0] == 0xC2 && p[1] < 0xA0);
}

/* Writes as many whole characters of text as fit in `room` bytes with a NUL (room >= 1); returns the length
 * written and the bytes read in *used. */
static size_t show(char *out, size_t room, const char *text, size_t n, bool controls, size_t *used)
{
    static const char hex[] = "0123456789abcdef";
    size_t i = 0, at = 0;

    while (i < n) {
        const unsigned char *p = (const unsigned char *)text + i;
        size_t step = lapse_utf8_char(text + i, n - i);
        bool as_is = step > 0 && !(controls && control(p, step));
        size_t bytes = step ? step : 1;

        if (room - at <= (as_is ? bytes : 4 * bytes))
            break;
        for (size_t k = 0; k < bytes; k++) {
            if (as_is) {
                out[at++] = (char)p[k];
            } else {
                out[at++] = '\\';
                out[at++] = 'x';
                out[at++] = hex[p[k] >> 4];
                out[at++] = hex[p[k] & 15];
            }
        }
        i += bytes;
    }
    out[at] = '\0';
    if (used)
        *used = i;
    return at;
}

/* The two kinds of field, written only as far as the caller's struct reaches. */
static void put_bytes(lapse_error *error, size_t offset, const void *value, size_t size)
{
    if (error->size >= offset + size)
        memcpy((char *)error + offset, value, size);
}

static void put_text(lapse_error *error, size_t offset, size_t size, const char *text, size_t n, bool controls)
{
    if (error->size <= offset)
        return;
    if (error->size - offset < size)
        size = error->size - offset;
    show((char *)error + offset, size, text, n, controls, NULL);
}

#define PUT_VALUE(error, field, value) put_bytes(error, offsetof(lapse_error, field), &(value), sizeof(value))
#define PUT_TEXT(error, field, text, n, controls)                                                              \
    put_text(error, offsetof(lapse_error, field), sizeof((error)->field), text, n, controls)

/* Fills every field; texts may be NULL with length 0. */
static void fill(lapse_error *error, lapse_status status, const struct lapse_place *place, const char *text,
                 size_t text_size, const char *rule, const char *message, size_t message_size)
{
    const char *column = place->column ? place->column : "";

    PUT_VALUE(error, status, status);
    PUT_VALUE(error, line, place->line);
    PUT_VALUE(error, row, place->row);
    PUT_TEXT(error, column, column, strlen(column), false);
    PUT_TEXT(error, text, text, text_size, false);
    PUT_TEXT(error, rule, rule, strlen(rule), false);
    PUT_TEXT(error, message, message, message_size, true);
}

static const struct lapse_place nowhere = { NULL, 0, -1, NULL };

lapse_status lapse_fail(lapse_error *error, lapse_status status, const char *format, ...)
{
    char message[1024]; /* longer than lapse_error.message, so that a character cut here is cut away there */
    va_list args;
    int n;

    if (!error)
        return status;
    va_start(args, format);
    n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (n < 0) /* never for our formats */
        n = 0;
    if ((size_t)n >= sizeof message)
        n = (int)sizeof message - 1;
    fill(error, status, &nowhere, NULL, 0, "", message, (size_t)n);
    return status;
}

/* A sentence grown from parts, each with a limit of its own so that none crowds out the next. */
struct sentence {
    char text[sizeof((lapse_error *)0)->message];
    size_t size;
};

static void say(struct sentence *s, const char *text)
{
    s->size += show(s->text + s->size, sizeof s->text - s->size, text, strlen(text), false, NULL);
}

static void say_part(struct sentence *s, const char *text, size_t n, size_t limit)
{
    size_t room = sizeof s->text - s->size, used;

    s->size += show(s->text + s->size, room < limit ? room : limit, text, n, true, &used);
    if (used < n)
        say(s, "...");
}

static void say_number(struct sentence *s, const char *name, int64_t value)
{
    char digits[32];

    digits[lapse_int_format(value, digits)] = '\0';
    say(s, s->size ? ", " : "");
    say(s, name);
    say(s, digits);
}

lapse_status lapse_fail_at(lapse_error *error, lapse_status status, const struct lapse_place *place,
                           const char *text, size_t text_size, const char *rule)
{
    struct sentence s = { .size = 0 };

    if (!error)
        return status;
    if (!place)
        place = &nowhere;
    if (!rule)
        rule = "";
    if (place->input)
        say_part(&s, place->input, strlen(place->input), 160);
    if (place->line > 0)
        say_number(&s, "line ", place->line);
    if (place->row >= 0)
        say_number(&s, "row ", place->row);
    if (place->column && *place->column) {
        say(&s, s.size ? ", column " : "column ");
        say_part(&s, place->column, strlen(place->column), 100);
    }
    if (text) {
        say(&s, s.size ? ": \"" : "\"");
        say_part(&s, text, text_size, 160);
        say(&s, "\"");
    }
    say(&s, s.size && *rule ? ": " : "");
    say(&s, rule);
    fill(error, status, place, text, text ? text_size : 0, rule, s.text, s.size);
    return status;
}

lapse_status lapse_fail_again(lapse_error *error, const lapse_error *kept)
{
    struct lapse_place place = { NULL, kept->line, kept->row, kept->column };

    if (error)
        fill(error, kept->status, &place, kept->text, strlen(kept->text), kept->rule, kept->message,
             strlen(kept->message));
    return kept->status;
}

lapse_status lapse_fail_memory(lapse_error *error)
{
    return lapse_fail(error, LAPSE_NO_MEMORY, "there is not enough memory");
}

lapse_status lapse_options_read(void *ours, size_t ours_size, const void *theirs, size_t oldest,
                                const char *what, lapse_error *error)
{
    uint32_t size, own = (uint32_t)ours_size;
    const unsigned char *bytes = theirs;

    if (!theirs)
        return LAPSE_OK;
    memcpy(&size, theirs, sizeof size);
    if (size < oldest || size > OPTIONS_LARGEST)
        return lapse_fail(error, LAPSE_INVALID, "%s: size is %lu, must be sizeof(%s): %lu here", what,
                          (unsigned long)size, what, (unsigned long)ours_size);
    for (size_t i = ours_size; i < size; i++)
        if (bytes[i] != 0)
            return lapse_fail(error, LAPSE_INVALID,
                              "%s: a field at byte %lu is set that this version of the library does not know",
                              what, (unsigned long)i);
    memcpy(ours, theirs, size < ours_size ? size : ours_size);
    memcpy(ours, &own, sizeof own);
    return LAPSE_OK;
}

lapse_status lapse_options_check(const char *what, const struct lapse_option_range *ranges, size_t n, lapse_error *error)
{
    for (size_t i = 0; i < n; i++)
        if (ranges[i].value < ranges[i].least || ranges[i].value > ranges[i].most)
            return lapse_fail(error, LAPSE_INVALID, "%s: %s is %lld, not from %lld to %lld", what, ranges[i].name,
                              (long long)ranges[i].value, (long long)ranges[i].least, (long long)ranges[i].most);
    return LAPSE_OK;
}

lapse_status lapse_options_write(void *theirs, uint32_t size, const void *defaults, size_t defaults_size,
                                 size_t oldest)
{
    if (!theirs || size < oldest || size > OPTIONS_LARGEST)
        return LAPSE_INVALID;
    memset(theirs, 0, size);
    memcpy(theirs, defaults, size < defaults_size ? size : defaults_size);
    memcpy(theirs, &size, sizeof size);
    return LAPSE_OK;
}
