/* kills [KILLS [SEED]]: a process writes to a store and tells what was acknowledged; it is killed at a random moment, also
 * while it opens what the one before it left. Then the store must hold all that was acknowledged, of the deed under way all
 * or nothing, and no damage. The same deeds on a store in memory say what that is. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "deeds.h"

enum { KILLS_A_STORE = 40, DEEDS_A_KILL = 6, LONGEST_US = 8000 };

static char folder[] = "/tmp/lapse-kills-XXXXXX";
static char path[64], copy_path[64];

static _Noreturn void fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "; what is left lies in %s\n", folder);
    exit(1);
}

static uint64_t mix(uint64_t z) /* splitmix64 */
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- deeds: number n of a store is the same each time -------------------------------------------------------------- */

static lapse_status import(lapse_store *store, int n)
{
    return deed_import(store, n, n % 8 ? 1 + n % 400 : 9000);
}

static lapse_status append_one(lapse_store *store, int n)
{
    return deed_append(store, n, 1);
}

static lapse_status append_batch(lapse_store *store, int n)
{
    return deed_append(store, n, 40);
}

static lapse_status compact(lapse_store *store, int n)
{
    return deed_compact(store, n % 2 ? LAPSE_COMPACT_UPGRADE : 0);
}

static lapse_status backup(lapse_store *store, int n)
{
    (void)n;
    return deed_backup(store, copy_path, LAPSE_BACKUP_REPLACE);
}

static const struct deed {
    unsigned of_16;
    lapse_status (*act)(lapse_store *store, int n);
    bool on_copy; /* nothing for the store in memory */
} deeds[] = {
    { 3, import, false },
    { 5, append_one, false },
    { 1, deed_forget, false },
    { 3, append_batch, false },
    { 2, compact, false },
    { 2, backup, true },
};

static const struct deed *deed_of(uint64_t seed, int n)
{
    unsigned at = (unsigned)(mix(seed ^ mix((uint64_t)n)) % 16);
    const struct deed *d = deeds;
    for (; at >= d->of_16; d++)
        at -= d->of_16;
    return d;
}

/* ---- the one that is killed ------------------------------------------------------------------------------------------ */

static lapse_store *open_store(const char *at, uint32_t flags, int32_t sync)
{
    lapse_store *store = NULL;
    lapse_error error = { .size = sizeof error };
    lapse_store_options o;
    lapse_store_options_init(&o, sizeof o);
    o.flags = flags;
    o.sync = sync;
    if (lapse_store_open(at, &o, &store, &error) != LAPSE_OK)
        fail("%s cannot be opened: %s", at ? at : "a store in memory", error.message);
    deeds_hurry(store);
    return store;
}

static _Noreturn void write_on(uint64_t seed, int from, int32_t sync, int tell)
{
    lapse_store *store = open_store(path, 0, sync);
    for (int n = from;; n++) {
        lapse_status status = deed_of(seed, n)->act(store, n);
        if (status != LAPSE_OK)
            fail("deed %d of seed %llu: %s", n, (unsigned long long)seed, lapse_status_name(status));
        if (write(tell, &n, sizeof n) != sizeof n)
            _exit(1);
    }
}

/* Kills a process some moments after some deeds; the last that it acknowledged, or `from` - 1. Counting deeds makes the
 * moments as random on a slow machine as on a fast one. */
static int kill_one(uint64_t seed, int from, uint64_t random)
{
    int ends[2], n, last = from - 1, code = 0;
    if (pipe(ends) != 0)
        fail("no pipe");
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        write_on(seed, from, (int32_t)(random >> 40 & 1 ? LAPSE_SYNC_OFF : LAPSE_SYNC_NORMAL), ends[1]);
    }
    close(ends[1]);
    for (uint64_t left = random % DEEDS_A_KILL; left > 0 && read(ends[0], &n, sizeof n) == sizeof n; left--)
        last = n;
    struct timespec wait = { 0, (long)((random >> 8) % LONGEST_US) * 1000 };
    while (nanosleep(&wait, &wait) != 0 && errno == EINTR)
        continue;
    kill(child, SIGKILL);
    waitpid(child, &code, 0);
    if (!WIFSIGNALED(code))
        fail("the process ended by itself: %d", code);
    while (read(ends[0], &n, sizeof n) == sizeof n)
        last = n;
    close(ends[0]);
    return last;
}

/* ---- what it leaves ---------------------------------------------------------------------------------------------------- */

/* What must be there: the store after the deed acknowledged last, or with the next one, and what the copy may hold. */
struct expected {
    lapse_store *reference; /* has done deeds up to `done` */
    int done;
    struct text text, next, copy; /* copy: of the backup acknowledged last; no data: there is none */
};

static void swap(struct text *a, struct text *b)
{
    struct text t = *a;
    *a = *b;
    *b = t;
}

/* Up to deed `last`, and `next` with the one after it. */
static void follow(struct expected *e, uint64_t seed, int last)
{
    while (e->done <= last) {
        const struct deed *d = deed_of(seed, e->done);
        swap(&e->text, &e->next); /* the deed that was under way is acknowledged */
        if (d->on_copy && e->done > 0) {
            e->copy.size = 0;
            text_add(&e->copy, e->text.data, (int64_t)e->text.size);
        }
        e->done++;
        d = deed_of(seed, e->done);
        if (!d->on_copy && d->act(e->reference, e->done) != LAPSE_OK)
            fail("deed %d fails in memory", e->done);
        if (deeds_export(e->reference, &e->next) != LAPSE_OK)
            fail("no export from memory");
    }
}

static bool same(const struct text *a, const struct text *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static void read_store(const char *at, uint32_t flags, struct text *out)
{
    lapse_error error = { .size = sizeof error };
    lapse_store *store = open_store(at, flags, LAPSE_SYNC_OFF);
    if (deeds_export(store, out) != LAPSE_OK)
        fail("%s cannot be read", at);
    if (deeds_verify(store, &error) != LAPSE_OK)
        fail("%s: %s", at, error.message);
    lapse_store_close(store);
}

static void check(struct expected *e, int last, bool read_only)
{
    struct text now = { 0 };
    for (int again = 0; again < 2 && access(path, F_OK) == 0; again++) {
        read_store(path, again == 0 && read_only && last > 0 ? LAPSE_STORE_READ_ONLY : 0, &now);
        bool next = same(&now, &e->next);
        if (!next && !same(&now, &e->text))
            fail("after deed %d something is lost, or half there", last);
        if (next) { /* it has been seen, so it must stay */
            e->text.size = 0;
            text_add(&e->text, now.data, (int64_t)now.size);
        }
    }
    if (access(path, F_OK) != 0 && last > 0)
        fail("the store is gone");
    bool copied = access(copy_path, F_OK) == 0;
    if (!copied && e->copy.data)
        fail("the copy is gone");
    if (copied) {
        read_store(copy_path, LAPSE_STORE_READ_ONLY, &now);
        if (!(e->copy.data && same(&now, &e->copy)) && !same(&now, &e->text))
            fail("after deed %d the copy holds something else", last);
    }
    free(now.data);
}

static void remove_all(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -f %s/*", folder);
    if (system(command) != 0)
        fail("the folder cannot be emptied");
}

static void free_expected(struct expected *e)
{
    lapse_store_close(e->reference);
    free(e->text.data);
    free(e->next.data);
    free(e->copy.data);
    *e = (struct expected){ .done = 0 };
}

int main(int argc, char **argv)
{
    long kills = argc > 1 ? atol(argv[1]) : 60, deeds_done = 0, idle = 0;
    uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 1, seed = random;
    struct expected e = { .done = 0 };
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/a.lapse", folder);
    snprintf(copy_path, sizeof copy_path, "%s/copy.lapse", folder);
    for (long k = 0, last = 0; k < kills; k++) {
        random = mix(random);
        if (k % KILLS_A_STORE == 0) {
            free_expected(&e);
            remove_all();
            seed = random;
            last = 0;
            e.reference = open_store(NULL, 0, LAPSE_SYNC_OFF);
            if (deeds_export(e.reference, &e.next) != LAPSE_OK)
                return 1;
            follow(&e, seed, 0); /* deed 0 is making the store */
        }
        int now = kill_one(seed, (int)last + 1, random);
        deeds_done += now - last;
        idle += now == last;
        last = now;
        follow(&e, seed, (int)last);
        check(&e, (int)last, random >> 50 & 1);
    }
    free_expected(&e);
    remove_all();
    rmdir(folder);
    printf("%ld kills, %ld deeds acknowledged, %ld processes that came to none\n", kills, deeds_done, idle);
    return deeds_done < kills ? 1 : 0; /* too few to say anything */
}
