/* What goes to stderr: messages, one a line, and a progress bar when somebody is watching. Texts from files and
 * from the command line may hold anything, so control characters are shown and never sent to a terminal. Also
 * the signals that ask to stop: they only leave a mark and a byte in a pipe; the next progress call, write or
 * wait for input takes notice. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"

static volatile sig_atomic_t stop;
static int wake[2] = { -1, -1 }; /* a pipe that holds a byte once it is time to stop */
static struct {
    const char *what;
    bool watched, shown;
    struct timespec last;
} bar;

size_t visible(const char *text, size_t n, char *out, size_t *width)
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;
    size_t wide = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        unsigned char next = i + 1 < n ? (unsigned char)text[i + 1] : 0;
        char escape[4] = { '\\', 'x', 0, 0 };
        size_t size = 4;

        if (c == '\n' || c == '\r' || c == '\t') {
            escape[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
            size = 2;
        } else if (c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0)) {
            c = c == 0xc2 ? next : c; /* U+0080 to U+009F: terminals obey these too */
            i += c >= 0x80;
            escape[2] = hex[c >> 4];
            escape[3] = hex[c & 15];
        } else {
            escape[0] = (char)c;
            size = 1;
        }
        if (out)
            memcpy(out + used, escape, size);
        used += size;
        wide += size > 1 ? size : (c & 0xc0) != 0x80;
    }
    if (width)
        *width = wide;
    return used;
}

void tell(const char *format, ...)
{
    char text[4096];
    char line[4 * sizeof text + 1];
    va_list list;
    size_t size;
    int n;

    va_start(list, format);
    n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (n < 0)
        return;
    progress_end();
    size = visible(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1, line, NULL);
    line[size] = '\0';
    fprintf(stderr, "lapse: %s\n", line);
}

static void on_signal(int number)
{
    int before = errno;
    ssize_t unused;

    (void)number;
    stop = 1;
    unused = write(wake[1], "", 1); /* fails only when there is something to read already */
    (void)unused;
    errno = before;
}

bool interrupted(void)
{
    return stop != 0;
}

int interrupts_fd(void)
{
    return wake[0];
}

void interrupts_watch(void)
{
    static const int asked[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action, old;

    if (pipe(wake) == 0) { /* otherwise the fd is -1, which is never ready: no worse than without */
        for (int i = 0; i < 2; i++) {
            fcntl(wake[i], F_SETFD, FD_CLOEXEC);
            fcntl(wake[i], F_SETFL, O_NONBLOCK);
        }
    }
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL); /* a write then says EPIPE */
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND; /* asked twice, it stops at once */
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        if (sigaction(asked[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(asked[i], &action, NULL);
    }
}

void progress_begin(const char *what)
{
    bar.what = what;
    bar.watched = isatty(STDERR_FILENO) == 1;
    clock_gettime(CLOCK_MONOTONIC, &bar.last);
}

int32_t progress_told(void *unused, int64_t done, int64_t total)
{
    enum { STEPS = 30 };
    static const char full[] = "##############################";
    static const char none[] = "..............................";
    struct timespec now;
    double part;
    int steps;

    (void)unused;
    if (!bar.watched || clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return interrupted();
    if ((now.tv_sec - bar.last.tv_sec) * 1000 + (now.tv_nsec - bar.last.tv_nsec) / 1000000 < 200)
        return interrupted();
    bar.last = now;
    bar.shown = true;
    if (total > 0) {
        part = (double)done / (double)total;
        steps = part < 1 ? (int)(part * STEPS) : STEPS;
        fprintf(stderr, "\r\033[K[%.*s%.*s] %3d %%  %s", steps, full, STEPS - steps, none, (int)(part * 100),
                bar.what);
    } else {
        fprintf(stderr, "\r\033[K%.1f million  %s", (double)done / 1e6, bar.what);
    }
    return interrupted();
}

void progress_end(void)
{
    if (bar.shown)
        fputs("\r\033[K", stderr);
    bar.shown = false;
}
