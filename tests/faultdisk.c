/* The model of a disk with a volatile cache, and what happens to a call: faultfs.h. A file of the model lives until
 * faultfs_clear(), also without a name. */
#define _POSIX_C_SOURCE 200809L

#include "faultdisk.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, NAME = 160 };

/* ---- the model ------------------------------------------------------------------------------------------------ */

struct bytes {
    uint8_t *data;
    int64_t size;
};
struct change { /* data NULL: the file gets this size */
    int64_t at, size;
    uint8_t *data;
};
struct inode {
    struct bytes disk; /* certainly there */
    struct change *changes;
    size_t count, capacity;
    struct inode *next; /* of all, to be freed */
};
struct name {
    char path[NAME];
    struct inode **files; /* which it certainly had, then those since; NULL: none. The last is that of now */
    size_t count, capacity;
};
static struct {
    char folder[NAME];
    struct inode *inodes;
    struct name *names;
    size_t count, capacity;
    struct faultfs_plan plan;
    long calls;
    bool fired, cut;
} disk;

static void *grown(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = 2 * count + 8;
    void *more = realloc(array, *capacity * size);
    if (!more)
        abort();
    return more;
}

static void put(struct bytes *b, int64_t at, int64_t size, const uint8_t *data)
{
    if (at + size > b->size) {
        b->data = realloc(b->data, (size_t)(at + size));
        if (!b->data)
            abort();
        memset(b->data + b->size, 0, (size_t)(at + size - b->size));
        b->size = at + size;
    }
    memcpy(b->data + at, data, (size_t)size);
}

static void resize(struct bytes *b, int64_t size)
{
    static const uint8_t zero = 0;
    if (size > b->size)
        put(b, size - 1, 1, &zero);
    b->size = size;
}

void disk_note(struct inode *file, int64_t at, int64_t size, const void *data)
{
    file->changes = grown(file->changes, &file->capacity, file->count, sizeof *file->changes);
    struct change *c = &file->changes[file->count++];
    *c = (struct change){ .at = at, .size = size };
    if (data) {
        c->data = malloc((size_t)size + 1);
        if (!c->data)
            abort();
        memcpy(c->data, data, (size_t)size);
    }
}

static uint64_t state;
static uint64_t chance(void) /* splitmix64 */
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* What was noted gets to the disk: of each sector, and each new size, with a chance of `in_8`. */
static void settle(struct inode *file, unsigned in_8)
{
    for (size_t i = 0; i < file->count; i++) {
        struct change *c = &file->changes[i];
        if (!c->data && (in_8 == 8 || chance() % 8 < in_8))
            resize(&file->disk, c->size);
        for (int64_t at = c->at, end = c->at + c->size, to; c->data && at < end; at = to) {
            to = (at / SECTOR + 1) * SECTOR;
            to = to < end ? to : end;
            if (in_8 == 8 || chance() % 8 < in_8)
                put(&file->disk, at, to - at, c->data + (at - c->at));
        }
        free(c->data);
    }
    file->count = 0;
}

static struct inode *new_inode(void)
{
    struct inode *file = calloc(1, sizeof *file);
    if (!file)
        abort();
    file->next = disk.inodes;
    disk.inodes = file;
    return file;
}

bool disk_has(const char *path)
{
    size_t n = strlen(disk.folder), all = path ? strlen(path) : 0;
    return all > n + 1 && all < NAME && strncmp(path, disk.folder, n) == 0 && path[n] == '/' &&
           strcmp(path + all - 4, "-shm") != 0; /* that one lives in memory, so to speak */
}

static void add_file(struct name *name, struct inode *file)
{
    name->files = grown(name->files, &name->capacity, name->count, sizeof *name->files);
    name->files[name->count++] = file;
}

/* The name's entry; NULL: none of ours. A file that the model did not see come is new when it is empty, and was there before
 * otherwise. */
static struct name *find(const char *path)
{
    struct stat info;
    if (!disk_has(path))
        return NULL;
    for (size_t i = 0; i < disk.count; i++)
        if (strcmp(disk.names[i].path, path) == 0)
            return &disk.names[i];
    disk.names = grown(disk.names, &disk.capacity, disk.count, sizeof *disk.names);
    struct name *name = &disk.names[disk.count++];
    *name = (struct name){ .count = 0 };
    snprintf(name->path, sizeof name->path, "%s", path);
    bool exists = stat(path, &info) == 0;
    if (!exists || info.st_size == 0)
        add_file(name, NULL);
    if (exists) {
        add_file(name, new_inode());
        FILE *f = fopen(path, "rb");
        uint8_t buffer[4096];
        for (size_t n; f && (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
            put(&name->files[name->count - 1]->disk, name->files[name->count - 1]->disk.size, (int64_t)n, buffer);
        if (f)
            fclose(f);
    }
    return name;
}

static struct inode *file_of(const struct name *name)
{
    return name ? name->files[name->count - 1] : NULL;
}

void disk_point(const char *path, struct inode *file)
{
    struct name *name = find(path);
    if (name && file_of(name) != file)
        add_file(name, file);
}

struct inode *disk_file(const char *path)
{
    return file_of(find(path));
}

struct inode *disk_make(const char *path)
{
    struct name *name = find(path);
    if (name)
        add_file(name, new_inode());
    return file_of(name);
}

void disk_sync(struct inode *file)
{
    if (!disk.plan.lying)
        settle(file, 8);
}

void disk_sync_names(void)
{
    for (size_t i = 0; i < disk.count && !disk.plan.lying; i++) {
        struct name *name = &disk.names[i];
        name->files[0] = file_of(name);
        name->count = 1;
    }
}

void disk_sync_open(int fd)
{
    struct stat info, named;
    if (fstat(fd, &info) != 0)
        return;
    if (S_ISDIR(info.st_mode))
        disk_sync_names();
    for (size_t i = 0; i < disk.count; i++)
        if (file_of(&disk.names[i]) && stat(disk.names[i].path, &named) == 0 && named.st_ino == info.st_ino &&
            named.st_dev == info.st_dev)
            disk_sync(file_of(&disk.names[i]));
}

bool disk_open(const char *folder)
{
    snprintf(disk.folder, sizeof disk.folder, "%s", folder);
    return strlen(folder) < sizeof disk.folder;
}

bool disk_is_open(void)
{
    return disk.folder[0] != 0;
}

/* ---- faults --------------------------------------------------------------------------------------------------------- */

enum faultfs_what disk_meet(enum class class)
{
    static const unsigned concerned[] = {
        [FAULTFS_ERROR] = 1u << READING | 1u << LOCKING | 1u << WRITING | 1u << CHANGING | 1u << SYNCING,
        [FAULTFS_SHORT] = 1u << WRITING,
        [FAULTFS_FULL] = 1u << WRITING,
        [FAULTFS_CUT] = 1u << WRITING | 1u << CHANGING | 1u << SYNCING,
    };
    const struct faultfs_plan *plan = &disk.plan;
    if (disk.cut)
        return FAULTFS_ERROR;
    if (!(concerned[plan->what] >> class & 1))
        return FAULTFS_NONE;
    disk.calls++;
    if (plan->at == 0 || disk.calls < plan->at || (disk.calls > plan->at && !plan->for_good))
        return FAULTFS_NONE;
    disk.fired = true;
    disk.cut = plan->what == FAULTFS_CUT;
    return plan->what;
}

void faultfs_arm(const struct faultfs_plan *plan)
{
    disk.plan = plan ? *plan : (struct faultfs_plan){ .what = FAULTFS_NONE };
    disk.calls = 0;
    disk.fired = false;
}

bool faultfs_fired(void)
{
    return disk.fired;
}

bool faultfs_is_cut(void)
{
    return disk.cut;
}

static void empty_folder(bool all)
{
    DIR *folder = opendir(disk.folder);
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        char path[2 * NAME + 256];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", disk.folder, entry->d_name);
        if (all || !disk_has(path) || !file_of(find(path)))
            remove(path);
    }
    if (folder)
        closedir(folder);
}

void faultfs_restore(uint64_t seed)
{
    static const unsigned chances[] = { 0, 1, 4, 7, 8, 4 };
    state = seed;
    for (size_t i = 0; i < disk.count; i++) {
        struct name *name = &disk.names[i];
        name->files[0] = name->files[chance() % name->count];
        name->count = 1;
    }
    unsigned in_8 = chances[chance() % (sizeof chances / sizeof *chances)];
    for (struct inode *file = disk.inodes; file; file = file->next)
        settle(file, in_8);
    empty_folder(false);
    for (size_t i = 0; i < disk.count; i++) {
        const struct inode *file = file_of(&disk.names[i]);
        FILE *f = file ? fopen(disk.names[i].path, "wb") : NULL;
        if (f && ((int64_t)fwrite(file->disk.data ? file->disk.data : (const uint8_t *)"", 1, (size_t)file->disk.size, f) !=
                      file->disk.size || fclose(f) != 0))
            abort();
    }
    disk.cut = false;
    faultfs_arm(NULL);
}

void faultfs_clear(void)
{
    empty_folder(true);
    for (size_t i = 0; i < disk.count; i++)
        free(disk.names[i].files);
    for (struct inode *file; (file = disk.inodes) != NULL;) {
        disk.inodes = file->next;
        for (size_t i = 0; i < file->count; i++)
            free(file->changes[i].data);
        free(file->changes);
        free(file->disk.data);
        free(file);
    }
    free(disk.names);
    disk.names = NULL;
    disk.count = disk.capacity = 0;
    disk.cut = false;
    faultfs_arm(NULL);
}
