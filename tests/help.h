/* What suites share: random numbers that are the same on every machine, a heap that counts and fails where it is told, and
 * stores and answers as CSV text. A suite includes what it tests after this. */
#ifndef TESTS_HELP_H
#define TESTS_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <lapse.h>

/* ---- chance ---------------------------------------------------------------------------------------------- */

/* SplitMix64 (Steele, Lea, Flood 2014): every seed is a good one. */
static inline uint64_t random64(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* One of 0 to n - 1. */
static inline uint32_t dice(uint64_t *seed, uint32_t n)
{
    return (uint32_t)(random64(seed) % n);
}

/* ---- memory: a heap that counts, and fails at the call told ------------------------------------------------ */

struct heap {
    _Atomic int64_t live, calls; /* several threads may allocate */
    int64_t fail_at;             /* 0: never */
    bool for_good;               /* from then on at each call */
};

static inline bool heap_fails(struct heap *h)
{
    int64_t call = ++h->calls;
    return h->fail_at > 0 && (call == h->fail_at || (h->for_good && call > h->fail_at));
}

/* The nth call from now on fails, and all after it when `for_good`; 0: none. */
static inline void heap_fail(struct heap *h, int64_t n, bool for_good)
{
    h->for_good = for_good;
    h->fail_at = n ? h->calls + n : 0;
}

/* No call fails any more; has one failed since heap_fail()? */
static inline bool heap_stop_failing(struct heap *h)
{
    bool failed = h->fail_at > 0 && h->calls >= h->fail_at;
    h->fail_at = 0;
    return failed;
}

static inline void *heap_alloc(void *user, size_t bytes)
{
    struct heap *h = user;
    if (heap_fails(h))
        return NULL;
    void *p = malloc(bytes);
    assert_non_null(p);
    memset(p, 0xA5, bytes); /* nobody may take it for zeros */
    h->live++;
    return p;
}

static inline void *heap_resize(void *user, void *memory, size_t bytes)
{
    assert_non_null(memory);
    return heap_fails(user) ? NULL : realloc(memory, bytes);
}

static inline void heap_release(void *user, void *memory)
{
    assert_non_null(memory);
    ((struct heap *)user)->live--;
    free(memory);
}

static inline lapse_allocator heap_hooks(struct heap *h)
{
    return (lapse_allocator){ sizeof(lapse_allocator), 0, h, heap_alloc, heap_resize, heap_release };
}

/* Lets each allocation of a use fail once, through hooks that count in *heap: each is told, and nothing is left. */
static inline void fail_each_allocation(struct heap *heap, const lapse_allocator *mem,
                                        lapse_status (*use)(const lapse_allocator *mem), int64_t least)
{
    assert_int_equal(use(mem), LAPSE_OK);
    assert_int_equal(heap->live, 0);
    int64_t calls = heap->calls;
    assert_true(calls > least);
    for (int64_t n = 1; n <= calls; n++) {
        heap_fail(heap, n, false);
        assert_int_equal(use(mem), LAPSE_NO_MEMORY);
        assert_int_equal(heap->live, 0);
    }
}

/* ---- texts, stores and answers ------------------------------------------------------------------------------ */

/* A text that grows. */
struct text {
    char *data;
    size_t size, room;
};

static inline void put(struct text *t, const char *bytes, size_t n)
{
    if (t->size + n + 1 > t->room) {
        t->room = 2 * (t->size + n + 1);
        t->data = realloc(t->data, t->room);
        assert_non_null(t->data);
    }
    memcpy(t->data + t->size, bytes, n);
    t->size += n;
    t->data[t->size] = 0;
}

static inline int32_t put_bytes(void *user, const char *bytes, int64_t size)
{
    put(user, bytes, (size_t)size);
    return 0;
}

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static inline void putf(struct text *t, const char *format, ...)
{
    char line[1024];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    assert_true(n >= 0 && (size_t)n < sizeof line);
    put(t, line, (size_t)n);
}

/* A text that is read. */
struct stream {
    const char *data;
    size_t left;
};

static inline int64_t give(void *user, char *buffer, int64_t capacity)
{
    struct stream *s = user;
    size_t n = s->left < (size_t)capacity ? s->left : (size_t)capacity;
    memcpy(buffer, s->data, n);
    s->data += n;
    s->left -= n;
    return (int64_t)n;
}

static inline void add_events(lapse_store *store, const char *csv, size_t size)
{
    struct stream s = { csv, size };
    lapse_error error = { .size = sizeof error };
    lapse_status status = lapse_store_import_stream(store, give, &s, NULL, NULL, &error);
    if (status != LAPSE_OK)
        fail_msg("%s", error.message);
}

static inline lapse_store *store_of(const char *csv)
{
    lapse_store *store;
    assert_int_equal(lapse_store_open(NULL, NULL, &store, NULL), LAPSE_OK);
    if (csv)
        add_events(store, csv, strlen(csv));
    return store;
}

/* What is known of these events at an instant; to be closed. */
static inline lapse_view *view_of(const char *csv, const char *as_of)
{
    lapse_store *store = store_of(csv);
    lapse_view *view;
    int64_t time;
    assert_int_equal(lapse_store_time(store, as_of, &time, NULL), LAPSE_OK);
    assert_int_equal(lapse_view_open(store, time, &view, NULL), LAPSE_OK);
    lapse_store_close(store);
    return view;
}

/* All of an answer, which is freed here; the text by the caller. */
static inline char *csv_of(lapse_result *result)
{
    struct text out = { 0 };
    lapse_error error = { .size = sizeof error };
    if (lapse_result_write_csv(result, put_bytes, &out, &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    lapse_result_free(result);
    return out.data;
}

static inline int64_t instant(const char *text)
{
    int64_t time;
    assert_int_equal(lapse_time_parse(text, 0, NULL, NULL, &time, NULL), LAPSE_OK);
    return time;
}

/* Settings as `name=value`, with blanks between. */
static inline lapse_policy *policy_of(const char *settings)
{
    lapse_policy *policy;
    char text[256];
    lapse_error error = { .size = sizeof error };
    if (!settings)
        return NULL;
    snprintf(text, sizeof text, "%s", settings);
    for (char *c = text; *c; c++)
        if (*c == ' ')
            *c = '\n';
    assert_int_equal(lapse_policy_new(NULL, &policy), LAPSE_OK);
    if (lapse_policy_parse(policy, text, (int64_t)strlen(text), &error) != LAPSE_OK)
        fail_msg("%s", error.message);
    return policy;
}

#endif
