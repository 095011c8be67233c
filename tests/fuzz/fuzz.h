/* What the targets share: input taken apart from its front, checks that abort, and a store's contents as text.
 *
 * Every target is a LLVMFuzzerTestOneInput(): libFuzzer calls it in its own build, replay.c for each file of a corpus
 * in all others. A property that does not hold ends the process, whichever of the two it is. */
#ifndef LAPSE_FUZZ_H
#define LAPSE_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lapse.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

/* ---- input: what is missing reads as zeros, so that every prefix of an input is one ------------------------- */

struct fuzz {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t fuzz_byte(struct fuzz *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static inline uint64_t fuzz_int(struct fuzz *in, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)fuzz_byte(in) << 8 * i;
    return v;
}

static inline size_t fuzz_below(struct fuzz *in, size_t limit)
{
    return fuzz_byte(in) % limit;
}

/* Everything up to a line feed, which is dropped, or to the end. */
static inline struct fuzz fuzz_line(struct fuzz *in)
{
    const uint8_t *lf = in->left ? memchr(in->at, '\n', in->left) : NULL;
    struct fuzz line = { in->at, lf ? (size_t)(lf - in->at) : in->left };
    size_t used = line.left + (lf != NULL);
    in->at += used;
    in->left -= used;
    return line;
}

/* A copy without NULs that ends in one; the caller's to free. */
static inline char *fuzz_text(struct fuzz in)
{
    char *text = malloc(in.left + 1);
    size_t n = 0;
    CHECK(text);
    for (size_t i = 0; i < in.left; i++)
        if (in.at[i])
            text[n++] = (char)in.at[i];
    text[n] = '\0';
    return text;
}

/* A value of interest oftener than chance has it: near a bound, a power of ten or of two, or any. */
static inline int64_t fuzz_number(struct fuzz *in)
{
    static const int64_t corners[] = { 0, INT64_MAX, INT64_MIN, LAPSE_TIME_MIN, LAPSE_TIME_MAX, 1000000000000,
                                       INT64_C(1) << 53, 86400000000 };
    uint8_t how = fuzz_byte(in);
    if (how < 64)
        return (int64_t)((uint64_t)corners[how & 7] + (uint64_t)(how >> 3) - 4);
    if (how < 128)
        return (int8_t)fuzz_byte(in);
    return (int64_t)fuzz_int(in, how < 192 ? 4 : 8);
}

/* ---- output as text --------------------------------------------------------------------------------------------- */

struct text {
    char *data;
    size_t size, capacity;
};

static inline void text_put(struct text *t, const char *bytes, size_t n)
{
    if (t->size + n + 1 > t->capacity) {
        t->capacity = 2 * (t->size + n + 1);
        t->data = realloc(t->data, t->capacity);
        CHECK(t->data);
    }
    if (n)
        memcpy(t->data + t->size, bytes, n);
    t->size += n;
    t->data[t->size] = '\0';
}

static inline bool text_same(const struct text *a, const struct text *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static inline void text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){ NULL, 0, 0 };
}

static inline int32_t text_write(void *user, const char *bytes, int64_t size)
{
    text_put(user, bytes, (size_t)size);
    return 0;
}

/* Writes a whole result, appending its notes, and frees it. */
static inline lapse_status text_of_result(struct text *out, lapse_result *result)
{
    lapse_status status = lapse_result_write_csv(result, text_write, out, NULL);
    for (int32_t i = 0; i < lapse_result_notes(result); i++) {
        text_put(out, "# ", 2);
        text_put(out, lapse_result_note(result, i), strlen(lapse_result_note(result, i)));
    }
    lapse_result_free(result);
    return status;
}

/* All events of a store as an event file. */
static inline lapse_status text_of_store(struct text *out, lapse_store *store)
{
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    out->size = 0;
    lapse_status status = lapse_view_open(store, INT64_MAX, &view, NULL);
    if (status == LAPSE_OK)
        status = lapse_view_events(view, &result, NULL);
    if (status == LAPSE_OK)
        status = text_of_result(out, result);
    lapse_view_close(view);
    return status;
}

/* RFM and segments as of an instant: they answer or overflow, the same on two threads as on one. */
static inline void answers_check(lapse_store *store, int64_t as_of, const lapse_rfm_options *options, struct text *out)
{
    lapse_rfm_options o = *options;
    lapse_view *view = NULL;
    CHECK(lapse_view_open(store, as_of, &view, NULL) == LAPSE_OK);
    for (int segments = 0; segments < 2; segments++) {
        struct text answer[2] = { { 0 }, { 0 } };
        lapse_status status[2];
        for (int i = 0; i < 2; i++) {
            lapse_result *result = NULL;
            lapse_error error = { .size = sizeof error };
            o.threads = 1 + i;
            status[i] = segments ? lapse_view_segments(view, &o, &result, &error)
                                 : lapse_view_rfm(view, &o, &result, &error);
            CHECK((status[i] == LAPSE_OK) == (result != NULL));
            if (status[i] == LAPSE_OK)
                status[i] = text_of_result(&answer[i], result);
            else
                text_put(&answer[i], error.message, strlen(error.message));
        }
        CHECK(status[0] == status[1] && text_same(&answer[0], &answer[1]));
        CHECK(status[0] == LAPSE_OK || status[0] == LAPSE_OVERFLOW || status[0] == LAPSE_BAD_INPUT ||
              status[0] == LAPSE_INVALID);
        if (out)
            text_put(out, answer[0].data, answer[0].size);
        text_free(&answer[0]);
        text_free(&answer[1]);
    }
    lapse_view_close(view);
}

/* ---- stores and files -------------------------------------------------------------------------------------------- */

static inline lapse_store *store_new(const lapse_store_options *options)
{
    lapse_store *store = NULL;
    lapse_error error = { .size = sizeof error };
    if (lapse_store_open(NULL, options, &store, &error) != LAPSE_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    return store;
}

/* Hands out bytes in pieces of `piece`. */
struct stream {
    const char *at;
    size_t left, piece;
};

static inline int64_t stream_read(void *user, char *buffer, int64_t capacity)
{
    struct stream *s = user;
    size_t n = s->left < s->piece ? s->left : s->piece;
    n = n < (size_t)capacity ? n : (size_t)capacity;
    if (n)
        memcpy(buffer, s->at, n);
    s->at += n;
    s->left -= n;
    return (int64_t)n;
}

/* The status and error of a call agree: a failing one says why, a good one leaves the error alone. */
static inline void error_check(lapse_status status, const lapse_error *error)
{
    if (status == LAPSE_OK || status == LAPSE_DONE) {
        CHECK(error->status == 0 && error->message[0] == '\0');
        return;
    }
    CHECK(error->status == status);
    CHECK(error->message[0] && memchr(error->message, '\0', sizeof error->message));
    CHECK(memchr(error->text, '\0', sizeof error->text) && memchr(error->rule, '\0', sizeof error->rule));
    CHECK(memchr(error->column, '\0', sizeof error->column));
}

#endif
