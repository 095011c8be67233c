/* lapse_store_backup(): a copy of one moment, as a view of that moment would read it. Filters are left out: they are made
 * anew when a writer needs them.
 *
 * The runs of a manifest never change, so that their blocks are copied as they are, under the same ids, and no lock or
 * transaction is held. Only another process can take away what is being copied; then the manifest of a later moment is
 * copied, with what is there already, until one is whole. Cost: the stored bytes, read and written once. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/upkeep.h"

struct backup {
    struct lapse_store *store;
    struct lapse_upkeep upkeep;
    char *temporary;             /* the name under which the copy is made */
    bool made;
    struct lapse_file *copy;
    struct lapse_run **runs;     /* copied, whole */
    size_t run_count, run_capacity;
    struct lapse_buffer bytes;
};

/* ---- what is copied --------------------------------------------------------------------------------------------- */

static lapse_status copy_block(struct backup *b, const struct lapse_run *run, const struct lapse_run_block *block,
                               lapse_error *error)
{
    struct lapse_file *file = b->store->file;
    lapse_status status = lapse_file_get_block(file, block->id, &b->bytes, error);
    status = lapse_run_check_bytes(run, block, status, &b->bytes, error);
    if (status == LAPSE_OK)
        status = lapse_file_put_block_as(b->copy, block->id, b->bytes.data, b->bytes.size, error);
    return status == LAPSE_OK ? lapse_upkeep_go_on(&b->upkeep, block->rows, error) : status;
}

static lapse_status drop_blocks(struct backup *b, const struct lapse_run *run, size_t n, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < n && status == LAPSE_OK; i++) {
        status = lapse_file_drop_blocks(b->copy, &run->blocks[i].id, 1, error);
        b->upkeep.done -= run->blocks[i].rows;
    }
    return status;
}

static lapse_status copy_run(struct backup *b, struct lapse_run *run, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    size_t n = 0;
    for (size_t i = 0; i < b->run_count; i++)
        if (b->runs[i]->id == run->id)
            return LAPSE_OK;
    if (!lapse_mem_reserve(&b->store->mem, &b->runs, &b->run_capacity, b->run_count + 1, sizeof(struct lapse_run *)))
        return lapse_fail_memory(error);
    while (n < run->block_count && (status = copy_block(b, run, &run->blocks[n], error)) == LAPSE_OK)
        n++;
    if (status == LAPSE_STALE) {
        lapse_status dropped = drop_blocks(b, run, n, error);
        return dropped == LAPSE_OK ? status : dropped;
    }
    if (status == LAPSE_OK) {
        lapse_run_retain(run);
        b->runs[b->run_count++] = run;
    }
    return status;
}

static bool has(const struct lapse_manifest *m, int64_t id)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->runs[i]->id == id)
            return true;
    return false;
}

/* Takes back the runs that this moment no longer has. */
static lapse_status drop_others(struct backup *b, const struct lapse_manifest *m, lapse_error *error)
{
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < b->run_count && status == LAPSE_OK;) {
        struct lapse_run *run = b->runs[i];
        if (has(m, run->id)) {
            i++;
            continue;
        }
        status = drop_blocks(b, run, run->block_count, error);
        lapse_run_release(run);
        b->runs[i] = b->runs[--b->run_count];
    }
    return status;
}

/* The runs of one moment; *out is its manifest. */
static lapse_status copy_runs(struct backup *b, struct lapse_manifest **out, lapse_error *error)
{
    struct lapse_manifest *before = NULL, *m = NULL;
    lapse_status status = LAPSE_OK;
    do {
        lapse_manifest_release(before);
        before = m;
        m = NULL;
        status = lapse_store_manifest(b->store, &m, error);
        if (status == LAPSE_OK && m == before)
            status = lapse_fail(error, LAPSE_STALE, "what is to be copied is gone: another process rewrote the store");
        if (status != LAPSE_OK)
            break;
        b->upkeep.total = 0;
        for (size_t i = 0; i < m->count; i++)
            b->upkeep.total += m->runs[i]->rows;
        status = drop_others(b, m, error);
        if (status == LAPSE_OK)
            status = lapse_upkeep_go_on(&b->upkeep, 0, error);
        for (size_t i = 0; i < m->count && status == LAPSE_OK; i++)
            status = copy_run(b, m->runs[i], error);
    } while (status == LAPSE_STALE);
    lapse_manifest_release(before);
    *out = m;
    return status;
}

static lapse_status copy_value(void *user, const char *name, const void *data, size_t n, bool sound, lapse_error *error)
{
    const struct backup *b = user;
    if (!sound)
        return lapse_fail(error, LAPSE_DAMAGED, "the store's value named %s is damaged", name);
    return lapse_file_set(b->copy, name, data, n, error);
}

static lapse_status fill(struct backup *b, lapse_error *error)
{
    struct lapse_manifest *m = NULL;
    lapse_status status = lapse_file_values(b->store->file, copy_value, b, error);
    if (status == LAPSE_OK)
        status = copy_runs(b, &m, error);
    uint64_t digest = 0, checksum = 0;
    for (size_t i = 0; status == LAPSE_OK && i < m->count; i++) {
        status = lapse_run_copy(m->runs[i], b->copy, &checksum, error);
        digest = lapse_digest_add(digest, m->runs[i]->id, checksum);
    }
    if (status == LAPSE_OK)
        status = lapse_file_set_digest(b->copy, digest, error);
    if (status == LAPSE_OK)
        status = lapse_file_commit(b->copy, error);
    lapse_manifest_release(m);
    return status == LAPSE_OK ? lapse_upkeep_go_on(&b->upkeep, 0, error) : status;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static lapse_status fail_existing(const char *path, lapse_error *error)
{
    return lapse_fail(error, LAPSE_BAD_INPUT, "%s exists already (--replace puts the copy in its place)", path);
}

/* May the copy get this name? A journal beside it would be taken for that of the copy. */
static lapse_status check_name(struct backup *b, const char *path, lapse_error *error)
{
    static const char *const beside[] = { "-wal", "-journal" };
    struct stat there, own;
    const char *name = lapse_file_name(b->store->file);
    if (!*path)
        return lapse_fail(error, LAPSE_INVALID, "the name of the copy is empty");
    bool exists = lstat(path, &there) == 0;
    if (exists && name && stat(name, &own) == 0 && own.st_dev == there.st_dev && own.st_ino == there.st_ino)
        return lapse_fail(error, LAPSE_BAD_INPUT, "%s is the store itself", path);
    if (exists && !S_ISREG(there.st_mode))
        return lapse_fail(error, LAPSE_BAD_INPUT, "%s exists already, and is no regular file", path);
    if (exists && !(b->upkeep.options.flags & LAPSE_BACKUP_REPLACE))
        return fail_existing(path, error);
    size_t size = strlen(path) + 24;
    char *text = lapse_mem_alloc(&b->store->mem, size);
    if (!text)
        return lapse_fail_memory(error);
    lapse_status status = LAPSE_OK;
    for (size_t i = 0; i < sizeof beside / sizeof *beside && status == LAPSE_OK; i++) {
        snprintf(text, size, "%s%s", path, beside[i]);
        if (access(text, F_OK) == 0)
            status = lapse_fail(error, LAPSE_BAD_INPUT, "%s is there: a store of that name is in use, or was when its process "
                                "ended", text);
    }
    lapse_mem_free(&b->store->mem, text);
    return status;
}

static lapse_status make_temporary(struct backup *b, const char *path, lapse_error *error)
{
    uint64_t number;
    size_t size = strlen(path) + 32;
    b->temporary = lapse_mem_alloc(&b->store->mem, size);
    if (!b->temporary)
        return lapse_fail_memory(error);
    if (!lapse_random(&number, sizeof number))
        return lapse_fail(error, LAPSE_IO, "the system gives no random bytes for the name of a temporary file");
    snprintf(b->temporary, size, "%s.%016llx.tmp", path, (unsigned long long)number);
    lapse_status status = lapse_file_make_copy(&b->store->mem, b->temporary, &b->copy, error);
    b->made = status == LAPSE_OK;
    return status;
}

static bool sync_name(const char *name, int flags)
{
    int fd = open(name, flags | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

static void sync_folder(struct backup *b, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        sync_name(".", O_RDONLY);
        return;
    }
    /* The temporary name is not needed any more; a folder that cannot be synced is no reason to fail. */
    size_t n = slash == path ? 1 : (size_t)(slash - path);
    memcpy(b->temporary, path, n);
    b->temporary[n] = 0;
    sync_name(b->temporary, O_RDONLY);
}

/* Gives the whole copy its name. A link refuses one that has come to exist meanwhile, where file systems have links. */
static lapse_status take_name(struct backup *b, const char *path, lapse_error *error)
{
    bool replace = b->upkeep.options.flags & LAPSE_BACKUP_REPLACE, named;
    if (!sync_name(b->temporary, O_RDWR))
        return lapse_fail(error, LAPSE_IO, "the copy cannot be written to the disk");
    named = !replace && link(b->temporary, path) == 0;
    if (named)
        unlink(b->temporary);
    else if (!replace && access(path, F_OK) == 0)
        return fail_existing(path, error);
    else if (rename(b->temporary, path) != 0)
        return lapse_fail(error, LAPSE_IO, "the copy cannot be named %s", path);
    b->made = false;
    sync_folder(b, path);
    return LAPSE_OK;
}

lapse_status lapse_store_backup(lapse_store *store, const char *path, const lapse_upkeep_options *options,
                                lapse_error *error)
{
    struct backup b = { .store = store };
    lapse_status status = lapse_store_check(store, error);
    if (status == LAPSE_OK && !path)
        status = lapse_fail(error, LAPSE_INVALID, "path is NULL");
    if (status == LAPSE_OK)
        status = lapse_upkeep_begin(&b.upkeep, options, LAPSE_BACKUP_REPLACE, error);
    if (status == LAPSE_OK)
        status = check_name(&b, path, error);
    if (status != LAPSE_OK)
        return status;
    lapse_buffer_init(&b.bytes, &store->mem);
    status = make_temporary(&b, path, error);
    if (status == LAPSE_OK)
        status = fill(&b, error);
    lapse_file_close(b.copy);
    if (status == LAPSE_OK)
        status = take_name(&b, path, error);
    if (b.made)
        unlink(b.temporary);
    while (b.run_count)
        lapse_run_release(b.runs[--b.run_count]);
    lapse_mem_free(&store->mem, b.runs);
    lapse_mem_free(&store->mem, b.temporary);
    lapse_buffer_free(&b.bytes);
    return status;
}
