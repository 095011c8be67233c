/* Blocks that somebody looked for again, as they are stored, checked: whoever asks about one customer after the other
 * reads and checks a block twice and not once a customer. A block is kept when it is looked for a second time, since
 * memory that a program has not touched before costs more than the reading; what a pass comes by is not, for it comes once.
 *
 * A block never changes, and its id and checksum say which it is; so what is kept needs no care when the file changes.
 * Those least recently used make room, while they are used themselves they live on outside. Cost: a lock and a look
 * into a table. Memory: the limit, and blocks in use. */
#include "store/store.h"

enum { LEAST_BUCKETS = 256, ONCE = 1 << 14 };

struct lapse_cached {
    int64_t id;
    uint64_t checksum;
    struct lapse_buffer bytes;
    atomic_size_t users;                   /* the cache is one, while it can be found */
    struct lapse_cached *chain;            /* the next of the bucket */
    struct lapse_cached *newer, *older;    /* by last use, in a ring through the cache's head */
};
struct lapse_cache {
    lapse_allocator mem;
    struct lapse_lock *lock;
    size_t limit, used;                    /* bytes */
    size_t count, bucket_count;            /* the latter 0 or a power of two */
    struct lapse_cached **buckets;
    struct lapse_cached head;              /* older: the most recently used; newer: the least */
    uint64_t *once;                        /* checksums of blocks that were looked for once, each in its place */
};

struct lapse_cache *lapse_cache_new(const lapse_allocator *mem)
{
    struct lapse_cache *c = lapse_mem_zero(mem, 1, sizeof *c);
    if (!c)
        return NULL;
    c->mem = *mem;
    c->head.newer = c->head.older = &c->head;
    c->lock = lapse_lock_new(mem);
    if (c->lock)
        return c;
    lapse_mem_free(mem, c);
    return NULL;
}

static size_t weight(const struct lapse_cached *e)
{
    return sizeof *e + e->bytes.capacity;
}

/* Without the lock, which in a child of fork() may be held for ever. */
void lapse_cache_release(struct lapse_cache *c, struct lapse_cached *e)
{
    if (atomic_fetch_sub(&e->users, 1) != 1)
        return;
    lapse_buffer_free(&e->bytes);
    lapse_mem_free(&c->mem, e);
}

/* The place that points to it, or would if it were listed: the end of its chain. */
static struct lapse_cached **place_of(struct lapse_cache *c, int64_t id, uint64_t checksum)
{
    struct lapse_cached **at = &c->buckets[(size_t)checksum & (c->bucket_count - 1)];
    while (*at && !((*at)->id == id && (*at)->checksum == checksum))
        at = &(*at)->chain;
    return at;
}

static void leave_ring(struct lapse_cached *e)
{
    e->newer->older = e->older;
    e->older->newer = e->newer;
}

static void enter_ring(struct lapse_cache *c, struct lapse_cached *e)
{
    e->newer = &c->head;
    e->older = c->head.older;
    e->older->newer = e;
    c->head.older = e;
}

static void evict(struct lapse_cache *c, size_t limit)
{
    while (c->used > limit) {
        struct lapse_cached *e = c->head.newer;
        *place_of(c, e->id, e->checksum) = e->chain;
        leave_ring(e);
        c->used -= weight(e);
        c->count--;
        lapse_cache_release(c, e);
    }
}

/* Was it looked for before, as far as is known? Others that share its place are forgotten for it. */
static bool looked_for_again(struct lapse_cache *c, uint64_t checksum)
{
    if (!c->once && !(c->once = lapse_mem_zero(&c->mem, ONCE, sizeof *c->once)))
        return false;
    uint64_t *place = &c->once[(size_t)checksum % ONCE], before = *place;
    *place = checksum;
    return before == checksum;
}

/* Chains stay short. When there is no memory for that they grow. */
static bool grow(struct lapse_cache *c)
{
    size_t n = c->bucket_count ? 2 * c->bucket_count : LEAST_BUCKETS;
    struct lapse_cached **buckets = lapse_mem_zero(&c->mem, n, sizeof *buckets);
    if (!buckets)
        return c->bucket_count > 0;
    lapse_mem_free(&c->mem, c->buckets);
    c->buckets = buckets;
    c->bucket_count = n;
    for (struct lapse_cached *e = c->head.older; e != &c->head; e = e->older) {
        struct lapse_cached **at = &buckets[(size_t)e->checksum & (n - 1)];
        e->chain = *at;
        *at = e;
    }
    return true;
}

static void limit(struct lapse_cache *c, size_t bytes)
{
    c->limit = bytes;
    evict(c, bytes);
    if (bytes > 0)
        return;
    lapse_mem_free(&c->mem, c->buckets);
    lapse_mem_free(&c->mem, c->once);
    c->buckets = NULL;
    c->once = NULL;
    c->bucket_count = 0;
}

void lapse_cache_limit(struct lapse_cache *c, size_t bytes)
{
    lapse_lock_take(c->lock);
    limit(c, bytes);
    lapse_lock_give(c->lock);
}

void lapse_cache_clear(struct lapse_cache *c)
{
    lapse_lock_take(c->lock);
    evict(c, 0);
    lapse_lock_give(c->lock);
}

void lapse_cache_free(struct lapse_cache *c)
{
    if (!c)
        return;
    const lapse_allocator mem = c->mem;
    limit(c, 0);
    lapse_lock_free(&mem, c->lock);
    lapse_mem_free(&mem, c);
}

struct lapse_cached *lapse_cache_find(struct lapse_cache *c, int64_t id, uint64_t checksum)
{
    if (!c)
        return NULL;
    lapse_lock_take(c->lock);
    struct lapse_cached *e = c->count ? *place_of(c, id, checksum) : NULL;
    if (e) {
        atomic_fetch_add(&e->users, 1);
        leave_ring(e);
        enter_ring(c, e);
    }
    lapse_lock_give(c->lock);
    return e;
}

struct lapse_cached *lapse_cache_keep(struct lapse_cache *c, int64_t id, uint64_t checksum, struct lapse_buffer *bytes)
{
    struct lapse_cached *e = NULL;
    if (!c)
        return NULL;
    lapse_lock_take(c->lock);
    bool room = sizeof *e + bytes->capacity <= c->limit && looked_for_again(c, checksum) &&
                (c->count < c->bucket_count || grow(c));
    struct lapse_cached **at = room ? place_of(c, id, checksum) : NULL;
    if (at)
        e = *at; /* another thread was faster */
    if (at && !e && (e = lapse_mem_zero(&c->mem, 1, sizeof *e))) {
        *e = (struct lapse_cached){ .id = id, .checksum = checksum, .bytes = *bytes };
        atomic_init(&e->users, 1);
        lapse_buffer_init(bytes, &c->mem);
        *at = e;
        enter_ring(c, e);
        c->used += weight(e);
        c->count++;
        evict(c, c->limit);
    }
    if (e)
        atomic_fetch_add(&e->users, 1);
    lapse_lock_give(c->lock);
    return e;
}

const struct lapse_buffer *lapse_cached_bytes(const struct lapse_cached *e)
{
    return &e->bytes;
}
