/* The shim and its model of a disk: faultfs.h. A file of the model lives until faultfs_clear(), also without a name. */
#define _POSIX_C_SOURCE 200809L

#include "faultfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

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

static void note(struct inode *file, int64_t at, int64_t size, const void *data)
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

static bool ours(const char *path)
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
    if (!ours(path))
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

static void point(const char *path, struct inode *file)
{
    struct name *name = find(path);
    if (name && file_of(name) != file)
        add_file(name, file);
}

static void sync_names(void)
{
    for (size_t i = 0; i < disk.count && !disk.plan.lying; i++) {
        struct name *name = &disk.names[i];
        name->files[0] = file_of(name);
        name->count = 1;
    }
}

/* ---- faults --------------------------------------------------------------------------------------------------------- */

enum class { READING, LOCKING, WRITING, CHANGING, SYNCING }; /* CHANGING: sizes and names */

static enum faultfs_what meet(enum class class)
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
        if (all || !ours(path) || !file_of(find(path)))
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

/* ---- SQLite's files --------------------------------------------------------------------------------------------------- */

struct shim {
    sqlite3_file base;
    struct inode *file;   /* NULL: not of the folder */
    bool new_name;        /* the first sync is of the folder too, as that of SQLite on Unix */
    sqlite3_file *real;
};
static sqlite3_vfs *system_vfs;

static struct shim *shim_of(sqlite3_file *f)
{
    return (struct shim *)(void *)f;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
    return shim_of(f)->real;
}

static int shim_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int shim_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
    return meet(READING) ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), out, n, at);
}

static int do_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    int code = real_of(f)->pMethods->xWrite(real_of(f), data, n, at);
    if (code == SQLITE_OK && shim_of(f)->file)
        note(shim_of(f)->file, at, n, data);
    return code;
}

static int shim_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    enum faultfs_what what = meet(WRITING);
    if (what == FAULTFS_SHORT || what == FAULTFS_FULL)
        do_write(f, data, n / 2, at);
    if (what == FAULTFS_CUT && shim_of(f)->file)
        note(shim_of(f)->file, at, n, data);
    return what == FAULTFS_NONE ? do_write(f, data, n, at) : what == FAULTFS_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    enum faultfs_what what = meet(CHANGING);
    if ((what == FAULTFS_NONE || what == FAULTFS_CUT) && shim_of(f)->file)
        note(shim_of(f)->file, 0, size, NULL);
    return what ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    struct shim *s = shim_of(f);
    (void)flags;
    if (meet(SYNCING))
        return SQLITE_IOERR_FSYNC;
    if (s->file && !disk.plan.lying)
        settle(s->file, 8);
    if (s->file && s->new_name)
        sync_names();
    s->new_name = false;
    return SQLITE_OK;
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return meet(READING) ? SQLITE_IOERR_FSTAT : real_of(f)->pMethods->xFileSize(real_of(f), out);
}

static int shim_lock(sqlite3_file *f, int level)
{
    return meet(LOCKING) ? SQLITE_IOERR_LOCK : real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_check_lock(sqlite3_file *f, int *out)
{
    return meet(LOCKING) ? SQLITE_IOERR_CHECKRESERVEDLOCK : real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
    (void)f;
    return SECTOR;
}

static int shim_traits(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f)) & SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int shim_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return meet(LOCKING) ? SQLITE_IOERR_SHMMAP : real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    if (flags & SQLITE_SHM_LOCK && meet(LOCKING))
        return SQLITE_IOERR_SHMLOCK;
    return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}

static void shim_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_unmap(sqlite3_file *f, int remove_it)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove_it);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, .xClose = shim_close, .xRead = shim_read, .xWrite = shim_write, .xTruncate = shim_truncate,
    .xSync = shim_sync, .xFileSize = shim_size, .xLock = shim_lock, .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_check_lock, .xFileControl = shim_control, .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits, .xShmMap = shim_map, .xShmLock = shim_shm_lock, .xShmBarrier = shim_barrier,
    .xShmUnmap = shim_unmap,
};

/* ---- SQLite's names --------------------------------------------------------------------------------------------------- */

static int shim_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
    struct shim *s = shim_of(f);
    (void)vfs;
    *s = (struct shim){ .real = (sqlite3_file *)(void *)(s + 1) };
    struct name *name = find(path);
    bool comes = name && !file_of(name) && flags & SQLITE_OPEN_CREATE;
    if (meet(comes ? CHANGING : READING))
        return SQLITE_CANTOPEN;
    int code = system_vfs->xOpen(system_vfs, path, s->real, flags, out_flags);
    if (code != SQLITE_OK)
        return code;
    s->base.pMethods = &methods;
    if (comes) {
        add_file(name, new_inode());
        s->new_name = flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL);
    }
    s->file = file_of(find(path));
    return SQLITE_OK;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    (void)vfs;
    enum faultfs_what what = meet(CHANGING);
    if (what == FAULTFS_NONE || what == FAULTFS_CUT)
        point(path, NULL);
    if (what)
        return SQLITE_IOERR_DELETE;
    int code = system_vfs->xDelete(system_vfs, path, 0);
    if (sync && code == SQLITE_OK)
        sync_names();
    return code;
}

static int shim_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    (void)vfs;
    return meet(READING) ? SQLITE_IOERR_ACCESS : system_vfs->xAccess(system_vfs, path, flags, out);
}

/* ---- the library's own calls ------------------------------------------------------------------------------------------- */

int __real_fsync(int fd);
int __real_link(const char *from, const char *to);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_fsync(int fd);
int __wrap_link(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);

static int refused(void)
{
    errno = EIO;
    return -1;
}

int __wrap_fsync(int fd)
{
    struct stat info, named;
    if (!disk.folder[0] || fstat(fd, &info) != 0)
        return __real_fsync(fd);
    if (meet(SYNCING))
        return refused();
    if (S_ISDIR(info.st_mode))
        sync_names();
    for (size_t i = 0; i < disk.count && !disk.plan.lying; i++)
        if (file_of(&disk.names[i]) && stat(disk.names[i].path, &named) == 0 && named.st_ino == info.st_ino &&
            named.st_dev == info.st_dev)
            settle(file_of(&disk.names[i]), 8);
    return 0;
}

/* `to` gets the file of `from`, NULL: none; and `from` loses it. */
static int rearrange(const char *from, const char *to, bool loses)
{
    enum faultfs_what what = meet(CHANGING);
    struct inode *file = from ? file_of(find(from)) : NULL;
    if (what != FAULTFS_NONE && what != FAULTFS_CUT)
        return refused();
    if (to)
        point(to, file);
    if (loses)
        point(from, NULL);
    return what ? refused() : 0;
}

int __wrap_link(const char *from, const char *to)
{
    if (ours(to) && access(to, F_OK) == 0)
        return __real_link(from, to);
    return ours(to) && rearrange(from, to, false) != 0 ? -1 : __real_link(from, to);
}

int __wrap_rename(const char *from, const char *to)
{
    return ours(to) && rearrange(from, to, true) != 0 ? -1 : __real_rename(from, to);
}

int __wrap_unlink(const char *path)
{
    return ours(path) && rearrange(path, NULL, true) != 0 ? -1 : __real_unlink(path);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------ */

bool faultfs_begin(const char *folder)
{
    static sqlite3_vfs vfs;
    system_vfs = sqlite3_vfs_find(NULL);
    if (!system_vfs || strlen(folder) >= sizeof disk.folder)
        return false;
    vfs = *system_vfs;
    vfs.zName = "faultfs";
    vfs.szOsFile = (int)sizeof(struct shim) + system_vfs->szOsFile;
    vfs.xOpen = shim_open;
    vfs.xDelete = shim_delete;
    vfs.xAccess = shim_access;
    snprintf(disk.folder, sizeof disk.folder, "%s", folder);
    return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK;
}
