/* Shared by faultdisk.c, the model of a disk, and faultfs.c, the calls that come through. */
#ifndef LAPSE_TEST_FAULTDISK_H
#define LAPSE_TEST_FAULTDISK_H

#include "faultfs.h"

struct inode;

enum class { READING, LOCKING, WRITING, CHANGING, SYNCING }; /* CHANGING: sizes and names */
enum faultfs_what disk_meet(enum class class);  /* what happens to the next call of this sort */

bool disk_open(const char *folder);             /* false: its name is too long */
bool disk_is_open(void);
bool disk_has(const char *path);                /* is it one of the folder's? */
struct inode *disk_file(const char *path);      /* NULL: there is none, or it is not ours */
struct inode *disk_make(const char *path);      /* a new one of that name; NULL: not ours */
void disk_point(const char *path, struct inode *file); /* gives the name another file; NULL: none */
/* Noted as possibly on the disk, until the file is synced. data NULL: the file gets this size. */
void disk_note(struct inode *file, int64_t at, int64_t size, const void *data);
void disk_sync(struct inode *file);
void disk_sync_open(int fd);                    /* the file, or all names of the folder, that a descriptor stands for */
void disk_sync_names(void);

#endif
