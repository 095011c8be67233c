/* What the suites of upkeep share: stores of several commits, files as bytes, and a host that counts the questions
 * it is asked, stops at one, or dies at it. A suite defines _POSIX_C_SOURCE 200809L before this. */
#ifndef TESTS_UPKEEP_H
#define TESTS_UPKEEP_H

#include "stores.h"

#include <dirent.h>
#include <signal.h>

/* `rows` orders of customers that come again and again, in one commit, with ids where asked for. */
static inline void append(lapse_store *store, int commit, int rows, bool with_ids)
{
    int64_t *offsets = malloc(((size_t)rows + 1) * 3 * sizeof *offsets), *times = offsets + rows + 1;
    int64_t *id_offsets = times + rows;
    char *customers = malloc((size_t)rows * 8 + 1), *ids = malloc((size_t)rows * 12 + 1);
    for (int i = 0; i < rows; i++) {
        sprintf(customers + 7 * i, "c%06d", (commit * 31 + i * 7) % 3000);
        sprintf(ids + 11 * i, "%05d-%05d", commit % 100000, i % 100000);
        offsets[i] = 7 * i;
        id_offsets[i] = 11 * i;
        times[i] = (1 + commit) * LAPSE_DAY + i;
    }
    offsets[rows] = 7 * rows;
    id_offsets[rows] = 11 * rows;
    lapse_batch batch = { .size = sizeof batch, .rows = rows, .customer = customers, .customer_offsets = offsets,
                          .time = times };
    if (with_ids) {
        batch.event_id = ids;
        batch.event_id_offsets = id_offsets;
    }
    assert_int_equal(lapse_store_append(store, &batch, NULL, NULL, NULL), LAPSE_OK);
    free(offsets);
    free(customers);
    free(ids);
}

/* A store of several runs, in blocks of several families. */
static inline lapse_store *filled(const char *at, int commits, int rows)
{
    if (at)
        unlink(at);
    lapse_store *store = opened(at, 0);
    for (int i = 0; i < commits; i++)
        append(store, i, rows, i % 2);
    return store;
}

/* Names in the folder that hold `part`. */
static inline int names_with(const char *part)
{
    DIR *dir = opendir(folder);
    int n = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.' && strstr(entry->d_name, part);
    closedir(dir);
    return n;
}

static inline char *bytes_of(const char *at, size_t *n)
{
    FILE *f = fopen(at, "r");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*n);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static inline void check_sound_file(const char *at)
{
    lapse_store *store = opened(at, LAPSE_STORE_VERIFY);
    check_sound(store);
    lapse_store_close(store);
}

/* ---- a host that counts the questions, stops at one, or dies at it --------------------------------------- */

struct host {
    long asked, stop_at, die_at;
    int64_t last;
    lapse_store *other; /* compacted at question `other_at` */
    long other_at;
    bool backwards;
};

static inline int32_t asked(void *user, int64_t done, int64_t total)
{
    struct host *h = user;
    h->asked++;
    h->backwards |= done < h->last || done > total;
    h->last = done;
    if (h->asked == h->die_at)
        raise(SIGKILL);
    if (h->other && h->asked == h->other_at)
        assert_int_equal(lapse_store_compact(h->other, NULL, NULL), LAPSE_OK);
    return h->asked == h->stop_at;
}

static inline lapse_upkeep_options told_by(struct host *h)
{
    lapse_upkeep_options o;
    assert_int_equal(lapse_upkeep_options_init(&o, sizeof o), LAPSE_OK);
    o.on_progress = asked;
    o.progress_user = h;
    return o;
}

#endif
