/* Output that appears whole or not at all: a file is written under a temporary name beside it and takes its own
 * name at the end. stdout, devices and pipes are written as it comes. A reader that went away (EPIPE) is no
 * failure; the caller sees that writing stopped and ends quietly. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

static bool same_file(const char *a, const char *b)
{
    struct stat one, two;

    return strcmp(a, b) == 0 ||
           (stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino);
}

/* Regular files and new ones get a temporary name, with the mode of the file that they replace. */
static bool open_beside(struct output *out, const char *path, const struct stat *old)
{
    size_t size;

    out->target = old ? realpath(path, NULL) : strdup(path);
    if (!out->target || (old && access(out->target, W_OK) != 0))
        return false;
    size = strlen(out->target) + 32;
    out->temporary = malloc(size);
    if (!out->temporary)
        return false;
    snprintf(out->temporary, size, "%s.%ld.tmp", out->target, (long)getpid());
    out->fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (out->fd < 0)
        return false;
    return !old || fchmod(out->fd, old->st_mode & 0777) == 0;
}

static void forget(struct output *out)
{
    free(out->target);
    free(out->temporary);
    out->target = out->temporary = NULL;
    out->fd = -1;
}

int output_open(struct output *out, const char *path, const struct args *args)
{
    struct stat old;
    bool good, is_old;

    out->name = path ? path : "standard output";
    out->target = out->temporary = NULL;
    out->fd = STDOUT_FILENO;
    out->failed = 0;
    out->used = 0;
    if (!path)
        return EXIT_DONE;
    for (int i = 0; i < args->operands; i++) {
        if (same_file(path, args->operand[i])) {
            tell("%s: would be overwritten by this command's own output", path);
            return EXIT_REFUSED;
        }
    }
    is_old = stat(path, &old) == 0;
    if (is_old && !S_ISREG(old.st_mode)) {
        out->fd = open(path, O_WRONLY | O_CLOEXEC);
        good = out->fd >= 0;
    } else {
        good = open_beside(out, path, is_old ? &old : NULL);
    }
    if (good)
        return EXIT_DONE;
    tell("%s: cannot be written: %s", path, strerror(errno));
    if (out->fd >= 0) {
        close(out->fd);
        if (out->temporary)
            unlink(out->temporary);
    }
    forget(out);
    return EXIT_REFUSED;
}

bool output_flush(struct output *out)
{
    size_t done = 0;

    while (!out->failed && done < out->used) {
        ssize_t n = write(out->fd, out->buffer + done, out->used - done);

        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR || interrupted())
            out->failed = errno;
    }
    out->used = 0;
    return !out->failed;
}

int32_t output_write(void *self, const char *bytes, int64_t size)
{
    struct output *out = self;

    while (size > 0) {
        size_t room = sizeof out->buffer - out->used;
        size_t part = (uint64_t)size < room ? (size_t)size : room;

        memcpy(out->buffer + out->used, bytes, part);
        out->used += part;
        bytes += part;
        size -= (int64_t)part;
        if (out->used == sizeof out->buffer && (!output_flush(out) || interrupted()))
            return 1;
    }
    return out->failed != 0;
}

void output_csv_field(struct output *out, const char *bytes, size_t size, char end)
{
    bool quoted = false;

    for (size_t i = 0; i < size && !quoted; i++)
        quoted = bytes[i] == ',' || bytes[i] == '"' || bytes[i] == '\n' || bytes[i] == '\r';
    if (!quoted) {
        output_write(out, bytes, (int64_t)size);
    } else {
        output_write(out, "\"", 1);
        for (size_t i = 0; i < size; i++) {
            if (bytes[i] == '"')
                output_write(out, "\"", 1);
            output_write(out, bytes + i, 1);
        }
        output_write(out, "\"", 1);
    }
    output_write(out, &end, 1);
}

int output_close(struct output *out, int code)
{
    if (out->fd < 0)
        return code;
    if (!out->temporary || code == EXIT_DONE)
        output_flush(out);
    if (out->fd != STDOUT_FILENO && close(out->fd) != 0 && !out->failed)
        out->failed = errno;
    if (out->temporary && code == EXIT_DONE && !out->failed && rename(out->temporary, out->target) != 0)
        out->failed = errno;
    if (out->temporary && (code != EXIT_DONE || out->failed))
        unlink(out->temporary);
    if (out->failed && out->failed != EPIPE && code == EXIT_DONE) {
        tell("%s: cannot be written: %s", out->name, strerror(out->failed));
        code = EXIT_REFUSED;
    }
    forget(out);
    return code;
}

char *file_read(const char *path, int64_t *size)
{
    enum { LIMIT = 1 << 24 };
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t used = 0;
    size_t room = 0;
    size_t n = 1;

    while (file && n > 0 && used < LIMIT) {
        if (used + 1 >= room) {
            char *more = realloc(bytes, room = room ? 2 * room : 4096);

            if (!more)
                break;
            bytes = more;
        }
        n = fread(bytes + used, 1, room - 1 - used, file);
        used += n;
    }
    if (!file || ferror(file) || n > 0) {
        tell("%s: cannot be read: %s", path, file && !ferror(file) ? "too large" : strerror(errno));
        free(bytes);
        bytes = NULL;
    } else {
        bytes[used] = '\0';
        *size = (int64_t)used;
    }
    if (file)
        fclose(file);
    return bytes;
}
