/* lib/base, work on many values: selection against sorting, and tasks shared out to threads. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "help.h"

#include "base/base.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t seed = 1;

/* ---- Selection ---- */

static int by_number(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void expect_selection(const int64_t *v, int64_t n, int m)
{
    struct heap h = { 0 };
    lapse_allocator mem = heap_hooks(&h);
    int64_t *sorted = malloc((size_t)n * sizeof *sorted), *ranks = malloc((size_t)m * sizeof *ranks);
    int64_t *out = malloc((size_t)m * sizeof *out);

    assert_true(sorted && ranks && out);
    memcpy(sorted, v, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_number);
    for (int i = 0; i < m; i++) /* in any order, some twice, with the ends */
        ranks[i] = i == 0 ? n - 1 : i == 1 ? 0 : i == 2 ? ranks[0] : (int64_t)(random64(&seed) % (uint64_t)n);
    for (int parts = 1; parts <= 3; parts++) { /* wherever the values lie */
        struct lapse_span spans[3] = { { v, n }, { v, 0 }, { v, 0 } };
        if (parts > 1) {
            spans[0].n = (int64_t)(random64(&seed) % (uint64_t)n);
            spans[parts - 1] = (struct lapse_span){ v + spans[0].n, n - spans[0].n };
        }
        assert_true(lapse_select(&mem, spans, parts, ranks, m, out));
        for (int i = 0; i < m; i++)
            assert_true(out[i] == sorted[ranks[i]]);
    }
    assert_int_equal(h.live, 0);
    free(sorted);
    free(ranks);
    free(out);
}

static int64_t value_of(int shape, int64_t i)
{
    switch (shape) {
    case 0:
        return 7; /* all equal */
    case 1:
        return (int64_t)(random64(&seed) % 10) - 5; /* many ties */
    case 2:
        return (int64_t)random64(&seed); /* the whole range */
    case 3:
        return i % 3 == 0 ? INT64_MIN : i % 3 == 1 ? INT64_MAX : 0; /* its ends */
    case 4:
        return i == 0 ? INT64_MAX : (int64_t)(random64(&seed) % 1000); /* an outlier far off */
    case 5:
        return (int64_t)(UINT64_C(1) << random64(&seed) % 63); /* each level finds most in one bucket */
    case 6:
        return -i;
    default:
        return (int64_t)(random64(&seed) >> random64(&seed) % 64) * (random64(&seed) & 1 ? 1 : -1);
    }
}

static void selection_equals_sorting(void **state)
{
    static const int64_t sizes[] = { 1, 2, 3, 47, 48, 49, 100, 1000, 5000, 150000 };

    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (int shape = 0; shape < 8; shape++) {
            int64_t *v = malloc((size_t)sizes[s] * sizeof *v);

            assert_non_null(v);
            for (int64_t i = 0; i < sizes[s]; i++)
                v[i] = value_of(shape, i);
            expect_selection(v, sizes[s], 1);
            expect_selection(v, sizes[s], 8);
            expect_selection(v, sizes[s], 1000);
            free(v);
        }
    assert_true(lapse_select(NULL, NULL, 0, NULL, 0, NULL));
}

static void selection_survives_lack_of_memory(void **state)
{
    enum { N = 3000 };
    static int64_t v[N];
    static const int64_t ranks[] = { 5, 1500, 1501, 2999 };
    struct heap h = { 0 };
    lapse_allocator mem = heap_hooks(&h);
    int64_t out[4], calls;

    (void)state;
    for (int64_t i = 0; i < N; i++)
        v[i] = value_of(5, i);
    const struct lapse_span all = { v, N };
    assert_true(lapse_select(&mem, &all, 1, ranks, 4, out));
    calls = h.calls;
    assert_true(calls > 4);
    for (int64_t k = 1; k <= calls; k++) {
        h.calls = 0;
        h.fail_at = k;
        assert_false(lapse_select(&mem, &all, 1, ranks, 4, out));
        assert_int_equal(h.live, 0);
    }
}

/* ---- Threads ---- */

struct crew {
    struct lapse_lock *lock;
    int64_t done[1000], sum, stop_at;
    _Atomic int64_t begun, exposed; /* exposed: tasks run by a worker that would take a signal */
    pthread_t caller;
};

static int work(void *user, int64_t task)
{
    struct crew *c = user;
    sigset_t mask;

    atomic_fetch_add(&c->begun, 1);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (!sigismember(&mask, SIGUSR1) && !pthread_equal(pthread_self(), c->caller))
        atomic_fetch_add(&c->exposed, 1);
    c->done[task]++;
    lapse_lock_take(c->lock);
    c->sum += task; /* a plain sum: only the lock keeps it right */
    lapse_lock_give(c->lock);
    return task == c->stop_at;
}

static void tasks_are_done_once(void **state)
{
    static const int threads[] = { -5, 0, 1, 2, 3, 8, 100000, INT32_MAX, INT32_MIN };
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);

    (void)state;
    for (size_t t = 0; t < COUNT(threads); t++)
        for (int64_t tasks = 0; tasks <= 1000; tasks += 250) {
            struct crew c = { .lock = lapse_lock_new(&mem), .stop_at = -1, .caller = pthread_self() };

            assert_non_null(c.lock);
            lapse_parallel(threads[t], tasks, work, &c);
            assert_int_equal(c.begun, tasks);
            assert_int_equal(c.exposed, 0);
            assert_int_equal(c.sum, tasks * (tasks - 1) / 2);
            for (int64_t i = 0; i < 1000; i++)
                assert_int_equal(c.done[i], i < tasks);
            lapse_lock_free(&mem, c.lock);
        }
    lapse_lock_free(&mem, NULL);
}

static void a_failed_task_is_the_last_to_begin(void **state)
{
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);

    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        struct crew c = { .lock = lapse_lock_new(&mem), .stop_at = 10, .caller = pthread_self() };

        lapse_parallel(threads, 1000, work, &c);
        assert_int_equal(c.done[10], 1);
        if (threads == 1) {
            assert_int_equal(c.begun, 11);
            assert_int_equal(c.sum, 55);
        }
        lapse_lock_free(&mem, c.lock);
    }
    assert_int_equal(heap.live, 0);
}

static void a_crew_runs_again_and_again(void **state)
{
    static const int threads[] = { INT32_MIN, 0, 1, 2, 5, INT32_MAX };
    struct heap heap = { 0 };
    lapse_allocator mem = heap_hooks(&heap);

    (void)state;
    for (size_t t = 0; t < COUNT(threads); t++) {
        struct lapse_crew *crew;

        assert_true(lapse_crew_new(&mem, threads[t], &crew));
        assert_int_equal(crew != NULL, threads[t] > 1);
        assert_int_equal(lapse_crew_threads(crew), threads[t] < 1 ? 1 : threads[t] > 64 ? 64 : threads[t]);
        for (int64_t run = 0; run < 300; run++) {
            struct crew c = { .lock = lapse_lock_new(&mem), .stop_at = -1, .caller = pthread_self() };
            const int64_t tasks = run * 7 % 11;

            lapse_crew_run(crew, tasks, work, &c);
            assert_int_equal(c.begun, tasks);
            assert_int_equal(c.exposed, 0);
            assert_int_equal(c.sum, tasks * (tasks - 1) / 2);
            lapse_lock_free(&mem, c.lock);
        }
        lapse_crew_free(crew);
    }
    struct lapse_crew *idle;
    assert_true(lapse_crew_new(&mem, 4, &idle));
    lapse_crew_free(idle); /* which never ran */
    heap_fail(&heap, 1, false);
    assert_false(lapse_crew_new(&mem, 4, &idle));
    assert_null(idle);
    assert_int_equal(heap.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection_equals_sorting),
        cmocka_unit_test(selection_survives_lack_of_memory),
        cmocka_unit_test(tasks_are_done_once),
        cmocka_unit_test(a_failed_task_is_the_last_to_begin),
        cmocka_unit_test(a_crew_runs_again_and_again),
    };

    return cmocka_run_group_tests_name("base: selection, threads", tests, NULL, NULL);
}
