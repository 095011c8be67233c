/* A store's file with bytes changed: it opens and answers as before, or a status says that it does not; what verify finds
 * nothing in answers as before; what salvage saves are lines of the export. Or the log of a writer that was killed: an
 * export of an earlier commit. Input: a byte of options, then changes to a file that is made once: how, where (three
 * bytes), what. */
#define _POSIX_C_SOURCE 200809L

#include <unistd.h>

#include "fuzz.h"

#include "store/store.h"

enum { COMMITS = 3 };
static char path[64], beside[80];
static struct text image, events, info;
static struct text killed[2], commits[COMMITS + 1]; /* file and log in the middle; the export after each commit */

/* ---- the file --------------------------------------------------------------------------------------------------------- */

static void remove_file(void)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
    for (int i = 0; i < 4; i++) {
        snprintf(beside, sizeof beside, "%s%s", path, suffixes[i]);
        unlink(beside);
    }
}

static void write_file(const char *name, const struct text *bytes)
{
    FILE *f = fopen(name, "wb");
    CHECK(f && (bytes->size == 0 || fwrite(bytes->data, 1, bytes->size, f) == bytes->size) && fclose(f) == 0);
}

static void read_file(const char *name, struct text *bytes)
{
    char buffer[4096];
    size_t n;
    FILE *f = fopen(name, "rb");
    CHECK(f);
    while ((n = fread(buffer, 1, sizeof buffer, f)) > 0)
        text_put(bytes, buffer, n);
    fclose(f);
}

static lapse_store *open_file(uint32_t flags, lapse_status *status, lapse_error *error)
{
    lapse_store_options o;
    lapse_store *store = NULL;
    CHECK(lapse_store_options_init(&o, sizeof o) == LAPSE_OK);
    o.flags = flags;
    o.sync = LAPSE_SYNC_OFF;
    o.memory_limit = 16 << 20;
    o.timeout_ms = 0;
    *error = (lapse_error){ .size = sizeof *error };
    *status = lapse_store_open(path, &o, &store, error);
    CHECK((*status == LAPSE_OK) == (store != NULL));
    return store;
}

/* Three commits: rows with ids, rows without, and a few of both again; then what is merged away is swept. */
static void make_image(void)
{
    lapse_status status;
    lapse_error error;
    snprintf(path, sizeof path, "%s/lapse-fuzz-%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
    remove_file();
    lapse_store *store = open_file(0, &status, &error);
    CHECK(store);
    /* A key of zeros instead of a random one: the same file in every process. */
    static const uint8_t key[32] = { 0 };
    CHECK(lapse_file_set(store->file, "key", key, sizeof key, NULL) == LAPSE_OK);
    lapse_store_close(store);
    store = open_file(0, &status, &error);
    CHECK(store);
    CHECK(text_of_store(&commits[0], store) == LAPSE_OK);
    for (int part = 0; part < COMMITS; part++) {
        struct text file = { 0 };
        lapse_import_options import;
        text_put(&file, "customer,time,amount,ref,channel,topic,endpoint,source,event_id\n", 64);
        for (int i = 0; i < (part == 2 ? 9 : 60); i++) {
            char line[200], id[24] = "";
            if (part == 0 || (part == 2 && i % 2))
                snprintf(id, sizeof id, "shop,%d", part * 1000 + i);
            int n = snprintf(line, sizeof line, "customer%d,@%lld,%d.%02d,o%d,%s,t%d,a%d@example.org,%s\n", i % 37,
                             INT64_C(1700000000) + i * 4321LL, i % 90, i % 100, i / 2, i % 3 ? "email" : "sms", i % 5,
                             i % 37, id[0] ? id : "crm,");
            text_put(&file, line, (size_t)n);
        }
        struct stream stream = { file.data, file.size, file.size };
        CHECK(lapse_import_options_init(&import, sizeof import) == LAPSE_OK);
        CHECK(lapse_store_import_stream(store, stream_read, &stream, &import, NULL, NULL) == LAPSE_OK);
        CHECK(text_of_store(&commits[part + 1], store) == LAPSE_OK);
        text_free(&file);
    }
    read_file(path, &killed[0]);
    snprintf(beside, sizeof beside, "%s-wal", path);
    read_file(beside, &killed[1]);
    lapse_store_close(store);
    read_file(path, &image);
    store = open_file(LAPSE_STORE_READ_ONLY, &status, &error);
    lapse_result *result = NULL;
    CHECK(store && text_of_store(&events, store) == LAPSE_OK);
    CHECK(lapse_store_info(store, &result, NULL) == LAPSE_OK && text_of_result(&info, result) == LAPSE_OK);
    lapse_store_close(store);
    remove_file();
}

static void change(struct text *bytes, struct fuzz *in)
{
    uint8_t how = fuzz_byte(in);
    size_t where = (size_t)fuzz_int(in, 3) % (bytes->size + 1);
    uint8_t what = fuzz_byte(in);
    if (how % 8 == 6) { /* cut */
        bytes->size = where;
    } else if (how % 8 == 7) { /* cut at a page, or longer by zeros */
        size_t size = what & 1 ? where / 4096 * 4096 : bytes->size + what * 16;
        while (bytes->size < size)
            text_put(bytes, "\0", 1);
        bytes->size = size;
    } else if (how % 8 == 5 && bytes->size >= 8192) { /* a page in the place of another */
        size_t pages = bytes->size / 4096;
        memmove(bytes->data + where / 4096 % pages * 4096, bytes->data + what % pages * 4096, 4096);
    } else if (where < bytes->size) {
        if (how % 8 == 4)
            bytes->data[where] = (char)what;
        else if (how % 8 == 3)
            bytes->data[where / 4096 * 4096 + what % 16 < bytes->size ? where / 4096 * 4096 + what % 16 : where] =
                (char)(where & 255); /* the head of a page */
        else
            bytes->data[where] = (char)(bytes->data[where] ^ (what ? what : 1));
    }
}

/* ---- asking --------------------------------------------------------------------------------------------------------- */

/* Read-only: what opens a file for writing takes a changed version of SQLite's format for that. */
static void check_clear(lapse_status status, const lapse_error *error)
{
    error_check(status, error);
    bool clear = status == LAPSE_OK || status == LAPSE_DAMAGED || status == LAPSE_UNSUPPORTED || status == LAPSE_IO ||
                 status == LAPSE_READ_ONLY;
    if (!clear)
        fprintf(stderr, "%s: %s\n", lapse_status_name(status), error->message);
    CHECK(clear);
}

static void pull(lapse_status status, lapse_result *result, struct text *out, lapse_error *error, const struct text *want)
{
    check_clear(status, error);
    if (status != LAPSE_OK)
        return;
    status = lapse_result_write_csv(result, text_write, out, error);
    lapse_result_free(result);
    check_clear(status, error);
    if (status == LAPSE_OK && !text_same(out, want))
        fprintf(stderr, "was:\n%.2000s\nis:\n%.2000s\n", want->data, out->data);
    CHECK(status != LAPSE_OK || text_same(out, want));
}

static void ask(uint32_t flags, bool same_size)
{
    lapse_status status;
    lapse_error error;
    lapse_view *view = NULL;
    lapse_result *result = NULL;
    struct text out = { 0 };
    lapse_store *store = open_file(flags, &status, &error);
    check_clear(status, &error);
    if (!store)
        return;
    status = lapse_view_open(store, INT64_MAX, &view, &error);
    check_clear(status, &error);
    if (status == LAPSE_OK) {
        status = lapse_view_events(view, &result, &error);
        pull(status, result, &out, &error, &events);
    }
    lapse_view_close(view);
    error = (lapse_error){ .size = sizeof error };
    out.size = 0;
    if (same_size) { /* it tells the bytes of the file */
        status = lapse_store_info(store, &result, &error);
        pull(status, result, &out, &error, &info);
    }
    text_free(&out);
    if (!(flags & LAPSE_STORE_READ_ONLY)) { /* and on: nothing is promised but that it ends well or says why */
        static const char file[] = "customer,time,source,event_id\ncustomer1,2024-01-01,shop,1\nz,2024-01-01,crm,\n";
        struct stream stream = { file, sizeof file - 1, sizeof file };
        lapse_import_options import;
        CHECK(lapse_import_options_init(&import, sizeof import) == LAPSE_OK);
        error = (lapse_error){ .size = sizeof error };
        status = lapse_store_import_stream(store, stream_read, &stream, &import, NULL, &error);
        error_check(status, &error);
    }
    lapse_store_close(store);
}

/* All that verify and salvage have to say. */
static void look_over(void)
{
    lapse_status status;
    lapse_error error;
    lapse_result *result = NULL;
    struct text out = { 0 };
    lapse_store *store = open_file(LAPSE_STORE_VERIFY, &status, &error);
    check_clear(status, &error);
    if (!store)
        return;
    bool sound = lapse_store_verify(store, NULL, &result, NULL) == LAPSE_OK;
    lapse_result_free(result);
    result = NULL;
    status = lapse_store_salvage(store, NULL, &result, &error);
    check_clear(status, &error);
    if (result) {
        bool whole = status == LAPSE_OK;
        CHECK(whole == (lapse_result_notes(result) == 0) && (whole || !sound));
        error = (lapse_error){ .size = sizeof error };
        CHECK(lapse_result_write_csv(result, text_write, &out, &error) == LAPSE_OK);
        CHECK(!whole || text_same(&out, &events));
        CHECK(out.size <= events.size);
        const char *customers = strchr(out.data, '\n');
        for (const char *at = customers; at && at[1]; at = strchr(at + 1, '\n')) { /* its line begins as one of the export */
            char begin[80];
            const char *end = strchr(strchr(at + 1, ',') + 1, ',');
            CHECK(end && snprintf(begin, sizeof begin, "%.*s", (int)(end - at), at) < (int)sizeof begin);
            CHECK(strstr(events.data, begin));
        }
    }
    lapse_result_free(result);
    lapse_store_close(store);
    text_free(&out);
}

/* What a killed writer left, its log changed: the store as it was after one of the commits, or a status says why not. */
static void ask_killed(struct fuzz *in, uint32_t flags)
{
    struct text log = { 0 }, out = { 0 };
    lapse_status status;
    lapse_error error;
    text_put(&log, killed[1].data, killed[1].size);
    while (in->left)
        change(&log, in);
    remove_file();
    write_file(path, &killed[0]);
    snprintf(beside, sizeof beside, "%s-wal", path); /* removing used it */
    write_file(beside, &log);
    lapse_store *store = open_file(flags, &status, &error);
    check_clear(status, &error);
    if (store && text_of_store(&out, store) == LAPSE_OK) {
        bool known = false;
        for (int i = 0; i <= COMMITS; i++)
            known |= text_same(&out, &commits[i]);
        CHECK(known);
    }
    lapse_store_close(store);
    text_free(&log);
    text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz in = { data, size < 256 ? size : 256 };
    struct text bytes = { 0 };
    if (image.size == 0)
        make_image();
    uint8_t options = fuzz_byte(&in);
    if (options & 2) {
        ask_killed(&in, options & 1 ? 0 : LAPSE_STORE_READ_ONLY);
        remove_file();
        return 0;
    }
    text_put(&bytes, image.data, image.size);
    while (in.left)
        change(&bytes, &in);
    remove_file();
    write_file(path, &bytes);
    bool same_size = bytes.size == image.size;
    ask(LAPSE_STORE_READ_ONLY, same_size);
    look_over();
    if (options & 1 && bytes.size > 0) { /* a file without bytes is a new store */
        remove_file();
        write_file(path, &bytes);
        ask(0, same_size);
    }
    remove_file();
    text_free(&bytes);
    return 0;
}
