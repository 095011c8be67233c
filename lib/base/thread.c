/* Threads: tasks shared out by a counter, and a lock that can be waited on. The workers of a crew wait between its runs, since
 * a new thread may have to wait for milliseconds until it is given a processor; they live within one call of the library,
 * which has none when no call is running. */
#define _POSIX_C_SOURCE 200809L
#include "base/base.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct lapse_crew {
    const lapse_allocator *mem;
    int wanted, started;       /* workers, beside the caller's thread */
    pthread_t workers[LAPSE_THREADS_MOST];
    pthread_mutex_t mutex;     /* of what follows but `next` */
    pthread_cond_t begin, end;
    int (*work)(void *user, int64_t task);
    void *user;
    int64_t tasks;
    int64_t runs;              /* so many have begun */
    int working;               /* workers that have not ended this run */
    bool leaving;
    _Atomic int64_t next;
};

static void take_tasks(struct lapse_crew *crew)
{
    int64_t task;

    while ((task = atomic_fetch_add(&crew->next, 1)) < crew->tasks)
        if (crew->work(crew->user, task) != 0)
            atomic_store(&crew->next, crew->tasks);
}

/* All workers are started before the first run, so each has a part in every one. */
static void *worker(void *user)
{
    struct lapse_crew *crew = user;

    pthread_mutex_lock(&crew->mutex);
    for (int64_t run = 1;; run++) {
        while (crew->runs < run && !crew->leaving)
            pthread_cond_wait(&crew->begin, &crew->mutex);
        if (crew->runs < run)
            break;
        pthread_mutex_unlock(&crew->mutex);
        take_tasks(crew);
        pthread_mutex_lock(&crew->mutex);
        if (--crew->working == 0)
            pthread_cond_signal(&crew->end);
    }
    pthread_mutex_unlock(&crew->mutex);
    return NULL;
}

/* False: there is no such thing as a mutex left. */
static bool crew_init(struct lapse_crew *crew, const lapse_allocator *mem, int threads)
{
    crew->mem = mem;
    crew->wanted = threads > LAPSE_THREADS_MOST ? LAPSE_THREADS_MOST - 1 : threads - 1;
    crew->started = 0;
    crew->runs = 0;
    crew->leaving = false;
    if (pthread_mutex_init(&crew->mutex, NULL) != 0)
        return false;
    if (pthread_cond_init(&crew->begin, NULL) == 0) {
        if (pthread_cond_init(&crew->end, NULL) == 0)
            return true;
        pthread_cond_destroy(&crew->begin);
    }
    pthread_mutex_destroy(&crew->mutex);
    return false;
}

/* A worker inherits the mask, so that the host's signals go to the host's threads. */
static void start(struct lapse_crew *crew)
{
    sigset_t all, before;

    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return;
    while (crew->started < crew->wanted &&
           pthread_create(&crew->workers[crew->started], NULL, worker, crew) == 0)
        crew->started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void run_alone(int64_t tasks, int (*work)(void *user, int64_t task), void *user)
{
    for (int64_t task = 0; task < tasks && work(user, task) == 0; task++)
        ;
}

void lapse_crew_run(struct lapse_crew *crew, int64_t tasks, int (*work)(void *user, int64_t task), void *user)
{
    if (crew && crew->runs == 0 && tasks > 1)
        start(crew);
    if (!crew || crew->started == 0 || tasks < 2) {
        run_alone(tasks, work, user);
        return;
    }
    pthread_mutex_lock(&crew->mutex);
    crew->work = work;
    crew->user = user;
    crew->tasks = tasks;
    atomic_store(&crew->next, 1); /* the first is the caller's */
    crew->working = crew->started;
    crew->runs++;
    pthread_cond_broadcast(&crew->begin);
    pthread_mutex_unlock(&crew->mutex);
    if (work(user, 0) == 0)
        take_tasks(crew);
    else
        atomic_store(&crew->next, tasks);
    pthread_mutex_lock(&crew->mutex);
    while (crew->working > 0)
        pthread_cond_wait(&crew->end, &crew->mutex);
    pthread_mutex_unlock(&crew->mutex);
}

static void crew_end(struct lapse_crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    crew->leaving = true;
    pthread_cond_broadcast(&crew->begin);
    pthread_mutex_unlock(&crew->mutex);
    while (crew->started > 0)
        pthread_join(crew->workers[--crew->started], NULL);
    pthread_cond_destroy(&crew->end);
    pthread_cond_destroy(&crew->begin);
    pthread_mutex_destroy(&crew->mutex);
}

bool lapse_crew_new(const lapse_allocator *mem, int threads, struct lapse_crew **out)
{
    struct lapse_crew *crew = threads > 1 ? lapse_mem_alloc(mem, sizeof *crew) : NULL;

    *out = NULL;
    if (threads < 2)
        return true;
    if (!crew || !crew_init(crew, mem, threads)) {
        lapse_mem_free(mem, crew);
        return false;
    }
    *out = crew;
    return true;
}

void lapse_crew_free(struct lapse_crew *crew)
{
    if (!crew)
        return;
    crew_end(crew);
    lapse_mem_free(crew->mem, crew);
}

int lapse_crew_threads(const struct lapse_crew *crew)
{
    return crew ? crew->wanted + 1 : 1;
}

void lapse_parallel(int threads, int64_t tasks, int (*work)(void *user, int64_t task), void *user)
{
    struct lapse_crew crew;
    int most = tasks < LAPSE_THREADS_MOST ? (int)tasks : LAPSE_THREADS_MOST;

    if (threads < 2 || tasks < 2 || !crew_init(&crew, NULL, threads < most ? threads : most)) {
        run_alone(tasks, work, user);
        return;
    }
    lapse_crew_run(&crew, tasks, work, user);
    crew_end(&crew);
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
