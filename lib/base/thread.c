/* Threads: tasks shared out by a counter, and a lock that can be waited on. Workers live only inside lapse_parallel(), so the library
 * has none when no call is running. */
#define _POSIX_C_SOURCE 200809L
#include "base/base.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct crew {
    int (*work)(void *user, int64_t task);
    void *user;
    int64_t tasks;
    _Atomic int64_t next;
};

static void take_tasks(struct crew *crew)
{
    int64_t task;

    while ((task = atomic_fetch_add(&crew->next, 1)) < crew->tasks)
        if (crew->work(crew->user, task) != 0)
            atomic_store(&crew->next, crew->tasks);
}

static void *worker(void *crew)
{
    take_tasks(crew);
    return NULL;
}

void lapse_parallel(int threads, int64_t tasks, int (*work)(void *user, int64_t task), void *user)
{
    struct crew crew = { work, user, tasks, 1 }; /* the first is the caller's */
    pthread_t workers[LAPSE_THREADS_MOST];
    int started = 0, wanted = threads > 1 ? threads - 1 : 0;
    sigset_t all, before;

    if (wanted > LAPSE_THREADS_MOST)
        wanted = LAPSE_THREADS_MOST;
    if (wanted > tasks - 1)
        wanted = (int)(tasks - 1);
    if (wanted > 0) {
        /* A worker inherits the mask, so that the host's signals go to the host's threads. */
        sigfillset(&all);
        if (pthread_sigmask(SIG_SETMASK, &all, &before) == 0) {
            while (started < wanted && pthread_create(&workers[started], NULL, worker, &crew) == 0)
                started++;
            pthread_sigmask(SIG_SETMASK, &before, NULL);
        }
    }
    if (tasks > 0 && work(user, 0) == 0)
        take_tasks(&crew);
    else
        atomic_store(&crew.next, tasks);
    while (started > 0)
        pthread_join(workers[--started], NULL);
}

const void *lapse_thread_mark(void)
{
    static _Thread_local char mark;
    return &mark;
}

struct lapse_lock {
    pthread_mutex_t mutex;
    pthread_cond_t change;
};

struct lapse_lock *lapse_lock_new(const lapse_allocator *mem)
{
    struct lapse_lock *lock = lapse_mem_alloc(mem, sizeof *lock);

    if (!lock)
        return NULL;
    if (pthread_mutex_init(&lock->mutex, NULL) == 0) {
        if (pthread_cond_init(&lock->change, NULL) == 0)
            return lock;
        pthread_mutex_destroy(&lock->mutex);
    }
    lapse_mem_free(mem, lock);
    return NULL;
}

void lapse_lock_free(const lapse_allocator *mem, struct lapse_lock *lock)
{
    if (!lock)
        return;
    pthread_cond_destroy(&lock->change);
    pthread_mutex_destroy(&lock->mutex);
    lapse_mem_free(mem, lock);
}

void lapse_lock_take(struct lapse_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}

bool lapse_lock_try(struct lapse_lock *lock)
{
    return pthread_mutex_trylock(&lock->mutex) == 0;
}

void lapse_lock_give(struct lapse_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}

void lapse_lock_wait(struct lapse_lock *lock)
{
    pthread_cond_wait(&lock->change, &lock->mutex);
}

void lapse_lock_wake(struct lapse_lock *lock)
{
    pthread_cond_broadcast(&lock->change);
}
