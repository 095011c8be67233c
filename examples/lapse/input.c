/* Input that Ctrl-C can end at any moment: a pipe or a terminal is waited for together with the signals, so
 * that none can slip in between looking for one and reading. The first bytes are kept, to tell a store from an
 * event file, and to look at a header that was refused. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

bool reader_open(struct reader *reader, const char *path)
{
    memset(reader, 0, sizeof *reader);
    reader->is_stdin = strcmp(path, "-") == 0;
    /* A named pipe opens at once then, and is waited for where signals are seen. */
    reader->fd = reader->is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return reader->fd >= 0;
}

void reader_close(struct reader *reader)
{
    if (reader->fd >= 0 && !reader->is_stdin)
        close(reader->fd);
    reader->fd = -1;
}

/* As read(2), but -1 with EINTR only when somebody asked to stop. */
static ssize_t read_some(int fd, void *buffer, size_t size)
{
    struct pollfd wait[2] = { { .fd = fd, .events = POLLIN }, { .fd = interrupts_fd(), .events = POLLIN } };

    for (;;) {
        int ready = poll(wait, 2, -1);
        ssize_t n;

        if (interrupted()) {
            errno = EINTR;
            return -1;
        }
        if (ready < 0 && errno != EINTR)
            return -1;
        if (ready < 0 || wait[0].revents == 0)
            continue;
        n = read(fd, buffer, size);
        if (n >= 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK))
            return n;
    }
}

bool reader_begin(struct reader *reader, size_t least)
{
    ssize_t n = 1;

    while (n > 0 && reader->size < least) {
        n = read_some(reader->fd, reader->head + reader->size, sizeof reader->head - reader->size);
        reader->size += n > 0 ? (size_t)n : 0;
        reader->ended = n == 0;
    }
    return n >= 0;
}

int64_t reader_read(void *self, char *buffer, int64_t capacity)
{
    struct reader *reader = self;
    size_t n = reader->size - reader->used;

    if (n == 0 && reader->ended) /* a terminal would be asked twice */
        return 0;
    if (n == 0)
        return read_some(reader->fd, buffer, (size_t)capacity);
    n = n < (size_t)capacity ? n : (size_t)capacity;
    memcpy(buffer, reader->head + reader->used, n);
    reader->used += n;
    return (int64_t)n;
}
