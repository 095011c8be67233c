/* A disk for tests, under SQLite and under the library's own calls: every call can fail, and the power can be cut.
 *
 * Files are real ones, in one folder; the shim sits between them and SQLite (a VFS) or the library (link --wrap of fsync,
 * link, rename and unlink). Beside them it keeps what a disk with a volatile cache certainly has: of each file what was
 * there at its last sync, of each name the file that it certainly has, and every change since. After a cut the files
 * become what such a disk may hold: each sector written since the sync is there or not, whatever the order, a file has
 * any of its lengths, a name made, changed or removed may be so or not. One thread, one process. */
#ifndef LAPSE_TEST_FAULTFS_H
#define LAPSE_TEST_FAULTFS_H

#include <stdbool.h>
#include <stdint.h>

enum faultfs_what {
    FAULTFS_NONE,
    FAULTFS_ERROR,  /* any call fails, nothing happens: reading, writing, syncing, opening, removing, locking ... */
    FAULTFS_SHORT,  /* half of what is written is, then an error */
    FAULTFS_FULL,   /* the same, and the disk is full */
    FAULTFS_CUT     /* the power goes: this change may be done or not, and no call does anything from then on */
};
struct faultfs_plan {
    enum faultfs_what what;
    long at;         /* from 1, of the calls that such a fault concerns */
    bool for_good;   /* and all such calls after it */
    bool lying;      /* syncs tell that they are done, and do nothing */
};

/* Becomes SQLite's default; once in a process. `folder` is absolute and has no links in it. */
bool faultfs_begin(const char *folder);
/* Starts counting anew. NULL: everything works, and syncs do what they say. */
void faultfs_arm(const struct faultfs_plan *plan);
bool faultfs_fired(void);
bool faultfs_is_cut(void);
/* After a cut, when all files are closed: the power is back, and chance decides what is there. */
void faultfs_restore(uint64_t seed);
/* Removes all files of the folder. They are closed. */
void faultfs_clear(void);

#endif
