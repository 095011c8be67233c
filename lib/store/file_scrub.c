/* The free space of a file, made zeros: what lies between the cells of a page, and pages of no tree.
 *
 * SQLite overwrites what is deleted in a page that it writes anyway (secure_delete = FAST), but leaves pages as they are
 * that become free as a whole: to overwrite those of each merge would cost as much as the merge. And when it evens out
 * neighbouring pages, cells that move to the next page stay readable in the space that is free then between the cell
 * pointers and the first cell. So it is done here, when something is erased, through the VFS, in the pages that lie in the
 * file once the write-ahead log is empty.
 *
 * That is safe at any moment: those bytes are none of the page's content, whoever reads it meanwhile and wherever a crash
 * stops it. No writer works meanwhile, and each must not go on with a copy of a page in its memory: a commit in the
 * end makes all connections read anew. Cost: each page of the trees and each free one is read once, and written where it
 * holds something; none of those that only hold what does not fit in the trees, which are most. */
#include "store/file.h"
#include "store/upkeep.h"

enum { MOST_PAGE = 65536, INTERIOR = 5, LEAF = 13, INDEX_INTERIOR = 2, INDEX_LEAF = 10 };

struct scrub {
    const lapse_allocator *mem;
    sqlite3_file *file;
    uint32_t size;             /* of a page */
    int64_t most;              /* pages of the file */
    uint32_t *pages;           /* those still to be looked at, by number */
    size_t count, capacity;
    uint8_t *page;
    int64_t cleared;           /* pages that held something */
};

static uint32_t number_at(const uint8_t *p, int bytes)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static int put_page(struct scrub *s, uint32_t number)
{
    if (!lapse_mem_reserve(s->mem, &s->pages, &s->capacity, s->count + 1, sizeof *s->pages))
        return SQLITE_NOMEM;
    s->pages[s->count++] = number;
    return SQLITE_OK;
}

static sqlite3_int64 place_of(const struct scrub *s, uint32_t number)
{
    return (sqlite3_int64)(number - 1) * s->size;
}

static int read_page(struct scrub *s, uint32_t number)
{
    if (number == 0 || number > s->most)
        return SQLITE_CORRUPT;
    return s->file->pMethods->xRead(s->file, s->page, (int)s->size, place_of(s, number));
}

/* Of the page that was read last, the bytes from..to. */
static int clear(struct scrub *s, uint32_t number, uint32_t from, uint32_t to)
{
    while (from < to && s->page[from] == 0)
        from++;
    if (from == to)
        return SQLITE_OK;
    memset(s->page + from, 0, to - from);
    s->cleared++;
    return s->file->pMethods->xWrite(s->file, s->page + from, (int)(to - from), place_of(s, number) + from);
}

/* What a page is not: SQLITE_CORRUPT. Its children are put on the list. */
static int scrub_page(struct scrub *s, uint32_t number)
{
    const uint8_t *p = s->page;
    uint32_t head = number == 1 ? 100 : 0;
    int code = read_page(s, number);
    if (code != SQLITE_OK)
        return code;
    uint8_t type = p[head];
    bool interior = type == INTERIOR || type == INDEX_INTERIOR;
    uint32_t cells = number_at(p + head + 3, 2), content = number_at(p + head + 5, 2);
    uint32_t first = head + (interior ? 12 : 8), gap = first + 2 * cells;
    content = content ? content : MOST_PAGE;
    if ((!interior && type != LEAF && type != INDEX_LEAF) || gap > content || content > s->size)
        return SQLITE_CORRUPT;
    for (uint32_t i = 0; interior && i < cells && code == SQLITE_OK; i++) {
        uint32_t cell = number_at(p + first + 2 * i, 2);
        code = cell + 4 <= s->size ? put_page(s, number_at(p + cell, 4)) : SQLITE_CORRUPT;
    }
    if (interior && code == SQLITE_OK)
        code = put_page(s, number_at(p + head + 8, 4));
    return code == SQLITE_OK ? clear(s, number, gap, content) : code;
}

/* A page of the list of free ones: the number of the next such page, how many others it names, their numbers. */
static int scrub_free(struct scrub *s)
{
    int code = read_page(s, 1);
    if (code != SQLITE_OK)
        return code;
    uint32_t next = number_at(s->page + 32, 4), left = number_at(s->page + 36, 4);
    while (code == SQLITE_OK && left > 0) {
        uint32_t list = next, n;
        code = read_page(s, list);
        if (code != SQLITE_OK)
            return code;
        next = number_at(s->page, 4);
        n = number_at(s->page + 4, 4);
        if (n >= left || n > s->size / 4 - 2)
            return SQLITE_CORRUPT;
        left -= n + 1;
        for (uint32_t i = 0; i < n && code == SQLITE_OK; i++)
            code = put_page(s, number_at(s->page + 8 + 4 * i, 4));
        if (code == SQLITE_OK)
            code = clear(s, list, 8 + 4 * n, s->size);
        while (code == SQLITE_OK && s->count) {
            uint32_t number = s->pages[--s->count];
            code = read_page(s, number);
            if (code == SQLITE_OK)
                code = clear(s, number, 0, s->size);
        }
    }
    return code;
}

static int scrub_trees(struct scrub *s, sqlite3 *db)
{
    sqlite3_stmt *q = NULL;
    int64_t seen = 0;
    int end, code = put_page(s, 1);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_schema WHERE rootpage > 1", -1, &q, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(q)) == SQLITE_ROW)
        code = put_page(s, (uint32_t)sqlite3_column_int64(q, 0));
    end = sqlite3_finalize(q);
    code = code == SQLITE_DONE ? end : code;
    while (code == SQLITE_OK && s->count) {
        uint32_t number = s->pages[--s->count];
        code = seen++ < s->most ? scrub_page(s, number) : SQLITE_CORRUPT;
    }
    return code;
}

/* In a transaction of `other`, which nobody has committed anything before since the log was empty. */
static int scrub(struct lapse_file *file, struct lapse_file *other)
{
    struct scrub s = { .mem = &file->mem };
    int64_t size = 0;
    sqlite3_int64 bytes = 0;
    int code = lapse_file_pragma(other, "PRAGMA page_size", &size);
    if (code != SQLITE_ROW || size < 512 || size > MOST_PAGE)
        return code == SQLITE_ROW ? SQLITE_CORRUPT : code;
    s.size = (uint32_t)size;
    s.page = lapse_mem_alloc(s.mem, s.size);
    code = s.page ? sqlite3_file_control(other->db, "main", SQLITE_FCNTL_FILE_POINTER, &s.file) : SQLITE_NOMEM;
    if (code == SQLITE_OK)
        code = s.file->pMethods->xFileSize(s.file, &bytes);
    s.most = bytes / size;
    if (code == SQLITE_OK)
        code = scrub_trees(&s, other->db);
    if (code == SQLITE_OK)
        code = scrub_free(&s);
    if (code == SQLITE_OK && s.cleared)
        code = s.file->pMethods->xSync(s.file, SQLITE_SYNC_FULL);
    if (code == SQLITE_OK && s.cleared)
        code = sqlite3_exec(other->db, "UPDATE meta SET value = value WHERE name = 'runs'", NULL, NULL, NULL);
    lapse_mem_free(s.mem, s.pages);
    lapse_mem_free(s.mem, s.page);
    return code;
}

static lapse_status pending(int code, lapse_error *error)
{
    bool busy = (code & 0xff) == SQLITE_BUSY;
    return lapse_fail(error, LAPSE_ERASE_PENDING, "%s: what was erased may still lie in free space of the file",
                      busy ? "another process is in the way" : sqlite3_errstr(code));
}

lapse_status lapse_file_scrub(struct lapse_file *file, lapse_error *error)
{
    enum { TRIES = 5 };
    struct lapse_file other = { .mem = file->mem };
    const char *name = lapse_file_name(file);
    lapse_status status = LAPSE_OK;
    bool done = !name;
    if (done)
        return LAPSE_OK;
    int code = lapse_file_connect(&other, name, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_READWRITE);
    if (code == SQLITE_OK)
        sqlite3_busy_timeout(other.db, file->timeout_ms);
    for (int tries = 0; tries < TRIES && code == SQLITE_OK && status == LAPSE_OK && !done; tries++) {
        int64_t before = 0, after = 1;
        status = lapse_file_version(file, &before, error);
        if (status == LAPSE_OK)
            status = lapse_file_empty_log(file, error);
        if (status == LAPSE_OK)
            code = sqlite3_exec(other.db, "PRAGMA secure_delete = FAST; BEGIN IMMEDIATE", NULL, NULL, NULL);
        if (status == LAPSE_OK && code == SQLITE_OK)
            status = lapse_file_version(file, &after, error);
        if (status == LAPSE_OK && code == SQLITE_OK && before == after) {
            code = scrub(file, &other);
            done = code == SQLITE_OK;
        }
        if (code == SQLITE_OK)
            code = sqlite3_exec(other.db, done ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL);
    }
    sqlite3_close(other.db);
    if (status == LAPSE_OK && !done)
        status = pending(code == SQLITE_OK ? SQLITE_BUSY : code, error);
    return status == LAPSE_OK ? lapse_file_empty_log(file, error) : status;
}
