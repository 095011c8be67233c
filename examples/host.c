/* A host that acts once on each change, however often it is killed. Usage: host STORE AS_OF ACTIONS
 *
 * What it does is a line in the file ACTIONS, appended by one write and synced: action and memory of it are one and the
 * same. A real host does both in one transaction of its own database, or hands the seq to the other side as the key by
 * which that side knows what it has done already. Run it as often as you like, with the present instant. */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <lapse.h>

/* The seq of the last action. Half a line, which a host wrote that was killed, is none: it is cut off. */
static int last_done(int file, int64_t *seq)
{
    struct stat info;
    char *text;
    off_t end;

    *seq = 0;
    if (fstat(file, &info) != 0 || !(text = malloc((size_t)info.st_size + 1)))
        return 0;
    if (pread(file, text, (size_t)info.st_size, 0) != info.st_size) {
        free(text);
        return 0;
    }
    for (end = info.st_size; end > 0 && text[end - 1] != '\n';)
        end--;
    if (end > 0) {
        off_t begin = end - 1;

        while (begin > 0 && text[begin - 1] != '\n')
            begin--;
        *seq = strtoll(text + begin, NULL, 10);
    }
    free(text);
    return ftruncate(file, end) == 0 && lseek(file, 0, SEEK_END) == end;
}

static lapse_column column(const lapse_table *table, const char *name)
{
    lapse_column found = { .size = sizeof found };

    lapse_table_column(table, lapse_table_find(table, name), &found);
    return found;
}

static int add_text(char *line, int size, lapse_column from, int64_t row)
{
    int n = (int)(from.offsets[row + 1] - from.offsets[row]);

    memcpy(line + size, (const char *)from.data + from.offsets[row], (size_t)n);
    line[size + n] = ' ';
    return size + n + 1;
}

static int act(int file, const lapse_table *table, int64_t row, int64_t seq)
{
    static const char *const columns[] = { "customer", "region", "key", "from", "to" };
    char line[2048];
    int size = snprintf(line, sizeof line, "%lld ", (long long)seq);

    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        size = add_text(line, size, column(table, columns[i]), row);
    line[size - 1] = '\n';
    return write(file, line, (size_t)size) == size && fsync(file) == 0;
}

/* Acts on what is new, and sets *done to the last seq that there is. */
static lapse_status act_on_all(lapse_result *result, int file, int64_t *done, lapse_error *error)
{
    lapse_table *table;
    lapse_status status;

    while ((status = lapse_result_next(result, &table, error)) == LAPSE_OK) {
        lapse_column seq = column(table, "seq");

        for (int64_t row = 0; row < seq.rows && status == LAPSE_OK; row++) {
            int64_t number = ((const int64_t *)seq.data)[row];

            if (number <= *done)
                continue; /* told again, since it was not confirmed */
            status = act(file, table, row, number) ? LAPSE_OK : LAPSE_IO;
            *done = number;
        }
        lapse_table_release(table);
        if (status != LAPSE_OK)
            return status;
    }
    return status == LAPSE_DONE ? LAPSE_OK : status;
}

int main(int count, char **words)
{
    lapse_error error = { .size = sizeof error };
    lapse_store *store = NULL;
    lapse_result *changes = NULL;
    int64_t as_of, done;
    lapse_status status;
    int file;

    if (count != 4) {
        fprintf(stderr, "usage: host STORE AS_OF ACTIONS\n");
        return 2;
    }
    file = open(words[3], O_RDWR | O_CREAT, 0600);
    if (file < 0 || !last_done(file, &done)) {
        perror(words[3]);
        return 1;
    }
    status = lapse_store_open(words[1], NULL, &store, &error);
    if (status == LAPSE_OK)
        status = lapse_store_time(store, words[2], &as_of, &error);
    if (status == LAPSE_OK)
        status = lapse_store_advance(store, as_of, NULL, &changes, &error);
    if (status == LAPSE_OK)
        status = act_on_all(changes, file, &done, &error);
    if (status == LAPSE_OK)
        status = lapse_store_acknowledge(store, done, &error);
    if (status != LAPSE_OK)
        fprintf(stderr, "%s\n", error.message);
    lapse_result_free(changes);
    lapse_store_close(store);
    close(file);
    return status != LAPSE_OK;
}
