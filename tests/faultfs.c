/* The calls that come through: SQLite's, by a VFS over that of the system, and the library's own, by the linker. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "faultdisk.h"

enum { SECTOR = 512 };

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
    return disk_meet(READING) ? SQLITE_IOERR_READ : real_of(f)->pMethods->xRead(real_of(f), out, n, at);
}

static int do_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    int code = real_of(f)->pMethods->xWrite(real_of(f), data, n, at);
    if (code == SQLITE_OK && shim_of(f)->file)
        disk_note(shim_of(f)->file, at, n, data);
    return code;
}

static int shim_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    enum faultfs_what what = disk_meet(WRITING);
    if (what == FAULTFS_SHORT || what == FAULTFS_FULL)
        do_write(f, data, n / 2, at);
    if (what == FAULTFS_CUT && shim_of(f)->file)
        disk_note(shim_of(f)->file, at, n, data);
    return what == FAULTFS_NONE ? do_write(f, data, n, at) : what == FAULTFS_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    enum faultfs_what what = disk_meet(CHANGING);
    if ((what == FAULTFS_NONE || what == FAULTFS_CUT) && shim_of(f)->file)
        disk_note(shim_of(f)->file, 0, size, NULL);
    return what ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    struct shim *s = shim_of(f);
    (void)flags;
    if (disk_meet(SYNCING))
        return SQLITE_IOERR_FSYNC;
    if (s->file)
        disk_sync(s->file);
    if (s->file && s->new_name)
        disk_sync_names();
    s->new_name = false;
    return SQLITE_OK;
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return disk_meet(READING) ? SQLITE_IOERR_FSTAT : real_of(f)->pMethods->xFileSize(real_of(f), out);
}

static int shim_lock(sqlite3_file *f, int level)
{
    return disk_meet(LOCKING) ? SQLITE_IOERR_LOCK : real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_check_lock(sqlite3_file *f, int *out)
{
    return disk_meet(LOCKING) ? SQLITE_IOERR_CHECKRESERVEDLOCK : real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
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
    return disk_meet(LOCKING) ? SQLITE_IOERR_SHMMAP : real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    if (flags & SQLITE_SHM_LOCK && disk_meet(LOCKING))
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
    bool comes = disk_has(path) && !disk_file(path) && flags & SQLITE_OPEN_CREATE;
    if (disk_meet(comes ? CHANGING : READING))
        return SQLITE_CANTOPEN;
    int code = system_vfs->xOpen(system_vfs, path, s->real, flags, out_flags);
    if (code != SQLITE_OK)
        return code;
    s->base.pMethods = &methods;
    s->new_name = comes && flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL);
    s->file = comes ? disk_make(path) : disk_file(path);
    return SQLITE_OK;
}

static int shim_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    (void)vfs;
    enum faultfs_what what = disk_meet(CHANGING);
    if (what == FAULTFS_NONE || what == FAULTFS_CUT)
        disk_point(path, NULL);
    if (what)
        return SQLITE_IOERR_DELETE;
    int code = system_vfs->xDelete(system_vfs, path, 0);
    if (sync && code == SQLITE_OK)
        disk_sync_names();
    return code;
}

static int shim_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    (void)vfs;
    return disk_meet(READING) ? SQLITE_IOERR_ACCESS : system_vfs->xAccess(system_vfs, path, flags, out);
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
    if (!disk_is_open())
        return __real_fsync(fd);
    if (disk_meet(SYNCING))
        return refused();
    disk_sync_open(fd);
    return 0;
}

/* `to` gets the file of `from`, NULL: none; and `from` loses it. */
static int rearrange(const char *from, const char *to, bool loses)
{
    enum faultfs_what what = disk_meet(CHANGING);
    struct inode *file = disk_file(from);
    if (what != FAULTFS_NONE && what != FAULTFS_CUT)
        return refused();
    if (to)
        disk_point(to, file);
    if (loses)
        disk_point(from, NULL);
    return what ? refused() : 0;
}

int __wrap_link(const char *from, const char *to)
{
    if (disk_has(to) && access(to, F_OK) == 0)
        return __real_link(from, to);
    return disk_has(to) && rearrange(from, to, false) != 0 ? -1 : __real_link(from, to);
}

int __wrap_rename(const char *from, const char *to)
{
    return disk_has(to) && rearrange(from, to, true) != 0 ? -1 : __real_rename(from, to);
}

int __wrap_unlink(const char *path)
{
    return disk_has(path) && rearrange(path, NULL, true) != 0 ? -1 : __real_unlink(path);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------ */

bool faultfs_begin(const char *folder)
{
    static sqlite3_vfs vfs;
    system_vfs = sqlite3_vfs_find(NULL);
    if (!system_vfs || !disk_open(folder))
        return false;
    vfs = *system_vfs;
    vfs.zName = "faultfs";
    vfs.szOsFile = (int)sizeof(struct shim) + system_vfs->szOsFile;
    vfs.xOpen = shim_open;
    vfs.xDelete = shim_delete;
    vfs.xAccess = shim_access;
    return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK;
}
