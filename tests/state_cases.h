/* Cases about states that are worked out by hand: events as short lines, what is asked of them, and the rows wanted. */
#ifndef TESTS_STATE_CASES_H
#define TESTS_STATE_CASES_H

#include "states.h"

#define CASE_HEADER "customer,time,kind,channel,purpose,topic,platform,ref,value,reason,endpoint,evidence,source,amount\n"

/* A line of events: customer, time, kind, then `column=value` with commas between. */
static inline void put_line(struct text *t, const char *line, size_t n)
{
    static const char *const columns[] = { "channel", "purpose", "topic", "platform", "ref", "value", "reason", "endpoint",
                                           "evidence", "source", "amount" };
    char copy[512], *at = copy, *field[3];
    snprintf(copy, sizeof copy, "%.*s", (int)n, line);
    for (int i = 0; i < 3; i++) {
        field[i] = at;
        at += strcspn(at, ",");
        if (*at)
            *at++ = 0;
    }
    putf(t, "%s,%s,%s", field[0], field[1], field[2]);
    for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++) {
        char name[32];
        int size = snprintf(name, sizeof name, "%s=", columns[c]);
        const char *found = at;
        while (*found && strncmp(found, name, (size_t)size) != 0) {
            found += strcspn(found, ",");
            found += *found == ',';
        }
        putf(t, ",%.*s", *found ? (int)strcspn(found + size, ",") : 0, *found ? found + size : "");
    }
    put(t, "\n", 1);
}

static inline lapse_store *store_of_lines(const char *lines)
{
    struct text t = { 0 };
    put(&t, CASE_HEADER, strlen(CASE_HEADER));
    for (const char *at = lines; *at;) {
        size_t n = strcspn(at, "\n");
        if (n)
            put_line(&t, at, n);
        at += n + (at[n] == '\n');
    }
    lapse_store *store = store_of(t.data);
    free(t.data);
    return store;
}

/* The rows that are wanted, without the header. */
static inline void expect(int line, const char *lines, enum which which, struct ask a, const char *expected)
{
    lapse_store *store = store_of_lines(lines);
    char *got = ask(store, which, a);
    const char *rows = strchr(got, '\n') + 1;
    if (strcmp(rows, expected) != 0)
        fail_msg("line %d, events:\n%s\nwanted:\n%s\ngot:\n%s", line, lines, expected, rows);
    free(got);
    lapse_store_close(store);
}
#define EXPECT(...) expect(__LINE__, __VA_ARGS__)
#define AT(text) .as_of = instant(text)

static inline int count_lines(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        n++;
    return n;
}

#endif
