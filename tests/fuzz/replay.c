/* Plays files, or all files of directories, through a target: the main() of builds without libFuzzer. A find is
 * reproduced by giving its file; meson gives the corpus. Files are taken in order of their names. */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static long played;

static void play_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    long size = -1;
    if (f && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    uint8_t *data = size >= 0 ? malloc((size_t)size + 1) : NULL; /* + 1: malloc(0) may be NULL */
    if (!data || fseek(f, 0, SEEK_SET) != 0 || fread(data, 1, (size_t)size, f) != (size_t)size) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    fclose(f);
    /* A copy of the exact size, so that a sanitizer sees a byte too many being read. */
    uint8_t *exact = size ? malloc((size_t)size) : data;
    if (size && exact)
        memcpy(exact, data, (size_t)size);
    fprintf(stderr, "%s\n", path); /* the last line before a crash */
    if (exact)
        LLVMFuzzerTestOneInput(exact, (size_t)size);
    if (exact != data)
        free(exact);
    free(data);
    played++;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void play(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        play_file(path);
        return;
    }
    struct dirent **entries;
    int n = scandir(path, &entries, visible, alphasort);
    for (int i = 0; i < n; i++) {
        char *name = malloc(strlen(path) + strlen(entries[i]->d_name) + 2);
        if (name) {
            sprintf(name, "%s/%s", path, entries[i]->d_name);
            play_file(name);
        }
        free(name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        play(argv[i]);
    if (played == 0) {
        fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...: nothing was played\n", argv[0]);
        return 1;
    }
    printf("%ld inputs, no find\n", played);
    return 0;
}
