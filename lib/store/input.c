/* An input as chunks of whole records, each with the line on which it begins. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/input.h"

enum { LONGEST_RECORD = 16 << 20 };

void lapse_input_init(struct lapse_input *in, const lapse_allocator *mem, const char *name)
{
    memset(in, 0, sizeof *in);
    in->mem = mem;
    in->name = name;
    in->fd = -1;
    in->total = -1;
    in->line = 1;
    lapse_buffer_init(&in->carry, mem);
}

static int64_t read_file(void *user, char *buffer, int64_t capacity)
{
    const struct lapse_input *in = user;
    ssize_t n;
    do
        n = read(in->fd, buffer, (size_t)capacity);
    while (n < 0 && errno == EINTR);
    return n;
}

lapse_status lapse_input_open(struct lapse_input *in, const char *path, lapse_error *error)
{
    struct stat info;
    in->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0 || fstat(in->fd, &info) != 0)
        return lapse_fail(error, LAPSE_IO, "cannot read %s: %s", path,
                          errno == ENOENT ? "there is no such file" : errno == EACCES ? "permission denied"
                                                                                      : "the system refuses");
    if (S_ISDIR(info.st_mode))
        return lapse_fail(error, LAPSE_IO, "cannot read %s: it is a directory", path);
    if (S_ISREG(info.st_mode))
        in->total = info.st_size;
    in->read = read_file;
    in->user = in;
    return LAPSE_OK;
}

void lapse_input_close(struct lapse_input *in)
{
    if (in->fd >= 0)
        close(in->fd);
    lapse_buffer_free(&in->carry);
}

/* Reads until the chunk is full or the input ends. */
static lapse_status fill(struct lapse_input *in, struct lapse_buffer *chunk, size_t size, lapse_error *error)
{
    if (!lapse_buffer_room(chunk, size - chunk->size))
        return lapse_fail_memory(error);
    while (!in->ended && chunk->size < size) {
        int64_t room = (int64_t)(size - chunk->size), n = in->read(in->user, chunk->data + chunk->size, room);
        if (n < 0 || n > room)
            return lapse_fail(error, LAPSE_IO, "%s: cannot be read any further", in->name);
        in->ended = n == 0;
        in->done += n;
        chunk->size += (size_t)n;
    }
    return LAPSE_OK;
}

lapse_status lapse_input_chunk(struct lapse_input *in, int delimiter, struct lapse_buffer *chunk, size_t size,
                               int64_t *line, lapse_error *error)
{
    bool unclosed = false;
    chunk->size = 0;
    *line = in->line;
    lapse_buffer_put(chunk, in->carry.data, in->carry.size);
    in->carry.size = 0;
    size = size > chunk->size ? size : chunk->size + size;
    for (size_t whole = 0;; size *= 2) {
        lapse_status status = chunk->failed ? lapse_fail_memory(error) : fill(in, chunk, size, error);
        if (status != LAPSE_OK)
            return status;
        if (chunk->size == 0)
            return LAPSE_DONE;
        whole = lapse_csv_split(delimiter, chunk->data, chunk->size, in->ended, &unclosed);
        if (whole) {
            lapse_buffer_put(&in->carry, chunk->data + whole, chunk->size - whole);
            chunk->size = whole;
            in->line += lapse_csv_lines(chunk->data, whole);
            return in->carry.failed ? lapse_fail_memory(error) : LAPSE_OK;
        }
        struct lapse_place place = { in->name, *line, -1, NULL };
        if (in->ended && unclosed)
            return lapse_fail_at(error, LAPSE_BAD_INPUT, &place, chunk->data, chunk->size < 40 ? chunk->size : 40,
                                 "a quote is never closed");
        if (chunk->size >= LONGEST_RECORD)
            return lapse_fail_at(error, LAPSE_BAD_INPUT, &place, chunk->data, 40,
                                 unclosed ? "a row is at most 16 MiB long: a quote is never closed"
                                          : "a row is at most 16 MiB long");
    }
}
