/* Memory through the caller's hooks, and a growing run of bytes. Sizes are checked before they are added or
 * multiplied; a request that cannot be expressed fails like one that cannot be met. */
#include "base/base.h"

#include <stdlib.h>

static void *default_alloc(void *user, size_t bytes)
{
    (void)user;
    return malloc(bytes);
}

static void *default_resize(void *user, void *memory, size_t bytes)
{
    (void)user;
    return realloc(memory, bytes);
}

static void default_release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

lapse_status lapse_mem_init(lapse_allocator *mem, const lapse_allocator *given, lapse_error *error)
{
    lapse_allocator ours = { sizeof ours, 0, NULL, default_alloc, default_resize, default_release };
    lapse_status st = lapse_options_read(&ours, sizeof ours, given, sizeof ours, "lapse_allocator", error);

    if (st != LAPSE_OK)
        return st;
    if (ours.flags != 0)
        return lapse_fail(error, LAPSE_INVALID, "lapse_allocator: flags must be 0");
    if (!ours.alloc || !ours.resize || !ours.release)
        return lapse_fail(error, LAPSE_INVALID, "lapse_allocator: alloc, resize and release must be set");
    *mem = ours;
    return LAPSE_OK;
}

/* A request for nothing gives a block that can be freed, so that NULL always means failure. */
void *lapse_mem_alloc(const lapse_allocator *mem, size_t bytes)
{
    return mem->alloc(mem->user, bytes ? bytes : 1);
}

void *lapse_mem_zero(const lapse_allocator *mem, size_t count, size_t each)
{
    void *p;

    if (each && count > SIZE_MAX / each)
        return NULL;
    p = lapse_mem_alloc(mem, count * each);
    if (p)
        memset(p, 0, count * each);
    return p;
}

void *lapse_mem_resize(const lapse_allocator *mem, void *p, size_t bytes)
{
    return p ? mem->resize(mem->user, p, bytes ? bytes : 1) : lapse_mem_alloc(mem, bytes);
}

void lapse_mem_free(const lapse_allocator *mem, void *p)
{
    if (p)
        mem->release(mem->user, p);
}

char *lapse_mem_text(const lapse_allocator *mem, const char *text, size_t n)
{
    char *copy = n < SIZE_MAX ? lapse_mem_alloc(mem, n + 1) : NULL;

    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

bool lapse_mem_reserve(const lapse_allocator *mem, void *array, size_t *capacity, size_t need, size_t each)
{
    size_t most = SIZE_MAX / each, grown = *capacity;
    void *old, *bigger;

    if (need <= *capacity)
        return true;
    if (need > most)
        return false;
    grown = grown / 2 <= most - grown ? grown + grown / 2 : most;
    if (grown < need)
        grown = need;
    if (grown < 8 && most >= 8)
        grown = 8;
    memcpy(&old, array, sizeof old); /* `array` is the address of a pointer to any type */
    bigger = lapse_mem_resize(mem, old, grown * each);
    if (!bigger)
        return false;
    memcpy(array, &bigger, sizeof bigger);
    *capacity = grown;
    return true;
}

void lapse_buffer_init(struct lapse_buffer *b, const lapse_allocator *mem)
{
    *b = (struct lapse_buffer){ .mem = mem };
}

void lapse_buffer_free(struct lapse_buffer *b)
{
    lapse_mem_free(b->mem, b->data);
    lapse_buffer_init(b, b->mem);
}

bool lapse_buffer_grow(struct lapse_buffer *b, size_t more)
{
    b->failed = b->failed || more > SIZE_MAX - b->size ||
                !lapse_mem_reserve(b->mem, &b->data, &b->capacity, b->size + more, 1);
    return !b->failed;
}

void lapse_buffer_text(struct lapse_buffer *b, const char *text)
{
    lapse_buffer_put(b, text, strlen(text));
}

void lapse_buffer_byte(struct lapse_buffer *b, uint8_t byte)
{
    lapse_buffer_put(b, &byte, 1);
}
