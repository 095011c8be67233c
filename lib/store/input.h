/* Shared by input.c and import.c only. */
#ifndef LAPSE_LIB_STORE_INPUT_H
#define LAPSE_LIB_STORE_INPUT_H

#include "store/store.h"

struct lapse_input {
    const lapse_allocator *mem;
    const char *name;      /* for messages */
    lapse_read_fn read;
    void *user;
    int fd;                /* of a file, else -1 */
    int64_t total, done;   /* bytes; total -1: unknown */
    bool ended;
    struct lapse_buffer carry; /* the beginning of a record that goes on */
    int64_t line;          /* of the next chunk */
};
void lapse_input_init(struct lapse_input *in, const lapse_allocator *mem, const char *name);
lapse_status lapse_input_open(struct lapse_input *in, const char *path, lapse_error *error);
void lapse_input_close(struct lapse_input *in);
/* The next chunk of about `size` bytes that holds whole records, and its line. LAPSE_DONE: there is none. */
lapse_status lapse_input_chunk(struct lapse_input *in, int delimiter, struct lapse_buffer *chunk, size_t size,
                               int64_t *line, lapse_error *error);

#endif
