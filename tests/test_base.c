/* lib/base, what all rooms stand on: memory, option structs, errors, UTF-8; against a naive re-computation. */
#include "help.h"

#include "base/base.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint64_t seed = 1;

/* ---- Memory ---- */

static lapse_allocator hooks(struct heap *h)
{
    lapse_allocator given = heap_hooks(h), mem;

    assert_int_equal(lapse_mem_init(&mem, &given, NULL), LAPSE_OK);
    return mem;
}

static void hooks_are_checked_and_copied(void **state)
{
    struct heap h = { 0 };
    lapse_allocator good = { sizeof good, 0, &h, heap_alloc, heap_resize, heap_release }, bad, mem;
    lapse_error error = { .size = sizeof error };

    (void)state;
    memset(&mem, 0x5A, sizeof mem);
    for (int i = 0; i < 6; i++) {
        unsigned char *bytes = (unsigned char *)&mem;

        bad = good;
        if (i == 0)
            bad.size = 0;
        if (i == 1)
            bad.size = 5000;
        if (i == 2)
            bad.flags = 1;
        if (i == 3)
            bad.alloc = NULL;
        if (i == 4)
            bad.resize = NULL;
        if (i == 5)
            bad.release = NULL;
        assert_int_equal(lapse_mem_init(&mem, &bad, &error), LAPSE_INVALID);
        assert_non_null(strstr(error.message, "lapse_allocator"));
        for (size_t k = 0; k < sizeof mem; k++)
            assert_int_equal(bytes[k], 0x5A);
    }
    assert_int_equal(lapse_mem_init(&mem, &good, NULL), LAPSE_OK);
    lapse_mem_free(&mem, lapse_mem_alloc(&mem, 10));
    lapse_mem_free(&mem, NULL);
    assert_true(h.calls == 1 && h.live == 0);
}

static void memory_is_counted(void **state)
{
    struct heap h = { 0 };
    lapse_allocator mem = hooks(&h);
    unsigned char *zeros = lapse_mem_zero(&mem, 10, 10);
    char *copy = lapse_mem_text(&mem, "abc\0def", 7), *empty = lapse_mem_text(&mem, NULL, 0);
    void *nothing = lapse_mem_alloc(&mem, 0), *grown = lapse_mem_resize(&mem, NULL, 5);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeros[i], 0);
    assert_memory_equal(copy, "abc\0def", 8);
    assert_string_equal(empty, "");
    assert_true(nothing && grown);
    grown = lapse_mem_resize(&mem, grown, 500);
    assert_int_equal(h.live, 5);
    assert_null(lapse_mem_zero(&mem, SIZE_MAX / 8 + 1, 8));
    assert_null(lapse_mem_text(&mem, "", SIZE_MAX));
    lapse_mem_free(&mem, zeros);
    lapse_mem_free(&mem, copy);
    lapse_mem_free(&mem, empty);
    lapse_mem_free(&mem, nothing);
    lapse_mem_free(&mem, grown);
    assert_int_equal(h.live, 0);
}

static void arrays_grow_by_half(void **state)
{
    struct heap h = { 0 };
    lapse_allocator mem = hooks(&h);
    int64_t *array = NULL;
    size_t capacity = 0;

    (void)state;
    for (size_t n = 0; n < 100000; n++) {
        assert_true(lapse_mem_reserve(&mem, &array, &capacity, n + 1, sizeof *array));
        assert_true(capacity > n);
        array[n] = (int64_t)n;
    }
    assert_true(h.calls < 30); /* log 1.5 of 100,000 / 8 is 23 */
    for (size_t n = 0; n < 100000; n++)
        assert_int_equal(array[n], n);
    capacity = 150000 > capacity ? capacity : 150000;
    assert_false(lapse_mem_reserve(&mem, &array, &capacity, SIZE_MAX / 8 + 1, sizeof *array));
    h.fail_at = h.calls + 1;
    assert_false(lapse_mem_reserve(&mem, &array, &capacity, capacity + 1, sizeof *array));
    assert_int_equal(array[99999], 99999);
    lapse_mem_free(&mem, array);
}

static void buffers_remember_failure(void **state)
{
    struct heap h = { 0 };
    lapse_allocator mem = hooks(&h);
    struct lapse_buffer b;

    (void)state;
    lapse_buffer_init(&b, &mem);
    lapse_buffer_text(&b, "one");
    lapse_buffer_byte(&b, ',');
    lapse_buffer_put(&b, "two", 3);
    lapse_buffer_put(&b, NULL, 0);
    assert_true(b.size == 7 && !b.failed && memcmp(b.data, "one,two", 7) == 0);
    assert_true(lapse_buffer_room(&b, 1000) && b.capacity >= 1007 && b.size == 7);
    h.fail_at = h.calls + 1;
    assert_false(lapse_buffer_room(&b, 100000));
    lapse_buffer_text(&b, "three");
    assert_true(b.failed && b.size == 7 && memcmp(b.data, "one,two", 7) == 0);
    lapse_buffer_free(&b);
    assert_true(h.live == 0 && b.size == 0 && !b.failed);
    lapse_buffer_text(&b, "x");
    assert_false(lapse_buffer_room(&b, SIZE_MAX));
    lapse_buffer_free(&b);
    assert_int_equal(h.live, 0);
}

/* ---- Option structs, as in include/lapse: callers of other versions ---- */

struct options { /* ours */
    uint32_t size, flags;
    int64_t first, second;
};

struct newer {
    struct options known;
    uint64_t extra;
};

static const struct options defaults = { sizeof defaults, 0, 10, 20 };

static void options_of_this_version(void **state)
{
    struct options theirs = { sizeof theirs, 3, 1, 2 }, ours = defaults;

    (void)state;
    assert_int_equal(lapse_options_read(&ours, sizeof ours, &theirs, 16, "options", NULL), LAPSE_OK);
    assert_memory_equal(&ours, &theirs, sizeof ours);
    ours = defaults;
    assert_int_equal(lapse_options_read(&ours, sizeof ours, NULL, 16, "options", NULL), LAPSE_OK);
    assert_memory_equal(&ours, &defaults, sizeof ours);
}

static void options_of_older_and_newer_callers(void **state)
{
    struct options old = { 16, 0, 7, 99 }, ours = defaults;
    struct newer new = { { sizeof new, 0, 5, 6 }, 0 };
    lapse_error error = { .size = sizeof error };

    (void)state;
    assert_int_equal(lapse_options_read(&ours, sizeof ours, &old, 16, "options", NULL), LAPSE_OK);
    assert_true(ours.size == sizeof ours && ours.first == 7 &&
                ours.second == 20); /* 99 is not theirs to give */
    ours = defaults;
    assert_int_equal(lapse_options_read(&ours, sizeof ours, &new, 16, "options", NULL), LAPSE_OK);
    assert_true(ours.size == sizeof ours && ours.first == 5 && ours.second == 6);
    ours = defaults;
    new.extra = UINT64_C(1) << 63;
    assert_int_equal(lapse_options_read(&ours, sizeof ours, &new, 16, "options", &error), LAPSE_INVALID);
    assert_non_null(strstr(error.message, "does not know"));
    assert_memory_equal(&ours, &defaults, sizeof ours);
    for (uint32_t size = 0; size < 16; size++) {
        old.size = size;
        assert_int_equal(lapse_options_read(&ours, sizeof ours, &old, 16, "options", NULL), LAPSE_INVALID);
    }
    old.size = 4097;
    assert_int_equal(lapse_options_read(&ours, sizeof ours, &old, 16, "options", NULL), LAPSE_INVALID);
    old.size = UINT32_MAX;
    assert_int_equal(lapse_options_read(&ours, sizeof ours, &old, 16, "options", NULL), LAPSE_INVALID);
    assert_memory_equal(&ours, &defaults, sizeof ours);
}

static void options_are_written_for_each_size(void **state)
{
    struct {
        struct newer new;
        unsigned char guard;
    } t;

    (void)state;
    memset(&t, 0xEE, sizeof t);
    assert_int_equal(lapse_options_write(&t, sizeof t.new, &defaults, sizeof defaults, 16), LAPSE_OK);
    assert_true(t.new.known.size == sizeof t.new &&t.new.known.second == 20 && t.new.extra == 0 &&
                t.guard == 0xEE);
    memset(&t, 0xEE, sizeof t);
    assert_int_equal(lapse_options_write(&t, 16, &defaults, sizeof defaults, 16), LAPSE_OK);
    assert_true(t.new.known.size == 16 && t.new.known.first == 10);
    assert_int_equal(t.new.known.second, (int64_t)UINT64_C(0xEEEEEEEEEEEEEEEE));
    assert_int_equal(lapse_options_write(&t, 15, &defaults, sizeof defaults, 16), LAPSE_INVALID);
    assert_int_equal(lapse_options_write(&t, 4097, &defaults, sizeof defaults, 16), LAPSE_INVALID);
    assert_int_equal(lapse_options_write(NULL, 24, &defaults, sizeof defaults, 16), LAPSE_INVALID);
}

/* ---- Errors ---- */

static void statuses_have_names(void **state)
{
    (void)state;
    assert_string_equal(lapse_status_name(LAPSE_OK), "ok");
    assert_string_equal(lapse_status_name(LAPSE_NO_MEMORY), "no memory");
    for (int a = LAPSE_OK; a <= LAPSE_ERASE_PENDING; a++)
        for (int b = LAPSE_OK; b < a; b++)
            assert_string_not_equal(lapse_status_name(a), lapse_status_name(b));
    assert_string_equal(lapse_status_name(LAPSE_ERASE_PENDING + 1), "unknown status");
    assert_string_equal(lapse_status_name(-1), "unknown status");
    assert_string_equal(lapse_status_name(INT32_MIN), "unknown status");
    assert_string_equal(lapse_status_name(INT32_MAX), "unknown status");
}

static void a_bad_value_is_described(void **state)
{
    const struct lapse_place place = { "orders.csv", 7, -1, "amount" }, row = { NULL, 0, 0, "value" };
    lapse_error e = { .size = sizeof e };

    (void)state;
    assert_int_equal(lapse_fail_at(&e, LAPSE_BAD_INPUT, &place, "12,5", 4, "an amount is -?digits[.digits]"),
                     LAPSE_BAD_INPUT);
    assert_string_equal(e.message,
                        "orders.csv, line 7, column amount: \"12,5\": an amount is -?digits[.digits]");
    assert_true(e.size == sizeof e && e.status == LAPSE_BAD_INPUT && e.line == 7 && e.row == -1);
    assert_string_equal(e.column, "amount");
    assert_string_equal(e.text, "12,5");
    assert_string_equal(e.rule, "an amount is -?digits[.digits]");
    lapse_fail_at(&e, LAPSE_BAD_INPUT, &row, NULL, 0, "missing");
    assert_string_equal(e.message, "row 0, column value: missing");
    assert_true(e.line == 0 && e.row == 0);
    assert_string_equal(e.text, "");
    lapse_fail_at(&e, LAPSE_BAD_INPUT, NULL, "", 0, "empty");
    assert_string_equal(e.message, "\"\": empty");
    assert_int_equal(lapse_fail(&e, LAPSE_IO, "cannot open %s: %d", "x", 5), LAPSE_IO);
    assert_string_equal(e.message, "cannot open x: 5");
    assert_true(e.status == LAPSE_IO && e.line == 0 && e.row == -1 && !*e.column && !*e.text && !*e.rule);
    assert_int_equal(lapse_fail_memory(&e), LAPSE_NO_MEMORY);
    assert_int_equal(e.status, LAPSE_NO_MEMORY);
    assert_int_equal(lapse_fail(NULL, LAPSE_IO, "x"), LAPSE_IO);
    assert_int_equal(lapse_fail_at(NULL, LAPSE_IO, NULL, NULL, 0, "x"), LAPSE_IO);
    assert_int_equal(lapse_fail_memory(NULL), LAPSE_NO_MEMORY);
}

static void hostile_bytes_are_shown_harmlessly(void **state)
{
    lapse_error e = { .size = sizeof e };
    const struct lapse_place place = { "a\nb", 0, -1, "c\x1b[31m" };

    (void)state;
    lapse_fail_at(&e, LAPSE_BAD_INPUT, &place, "\xff\t\xc3\xa9\0\xe2\x82", 7, "no");
    assert_string_equal(e.message, "a\\x0ab, column c\\x1b[31m: \"\\xff\\x09\xc3\xa9\\x00\\xe2\\x82\": no");
    assert_string_equal(e.text, "\\xff\t\xc3\xa9\\x00\\xe2\\x82");
    assert_string_equal(e.column, "c\x1b[31m");
    lapse_fail(&e, LAPSE_NOT_FOUND, "no customer %s", "x\x7f\xc2\x9b\x80");
    assert_string_equal(e.message, "no customer x\\x7f\\xc2\\x9b\\x80");
}

/* Characters of one to four bytes at every offset, any length: valid, within bounds, ends in NUL. */
static void texts_are_cut_at_characters(void **state)
{
    static const char *const characters[] = { "x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xff" };

    (void)state;
    for (size_t c = 0; c < COUNT(characters); c++)
        for (size_t shift = 0; shift < 4; shift++) {
            char text[2000] = "abc";
            size_t n = shift, size = strlen(characters[c]);
            lapse_error e = { .size = sizeof e };
            struct lapse_place place = { text, 1, 2, text };

            for (; n + size < sizeof text; n += size)
                memcpy(text + n, characters[c], size);
            text[n] = '\0';
            lapse_fail_at(&e, LAPSE_BAD_INPUT, &place, text, n, text);
            assert_true(lapse_utf8_valid(e.column, strlen(e.column)) && strlen(e.column) > sizeof e.column - 5);
            assert_true(lapse_utf8_valid(e.text, strlen(e.text)) && strlen(e.text) > sizeof e.text - 5);
            assert_true(lapse_utf8_valid(e.rule, strlen(e.rule)) && strlen(e.rule) > sizeof e.rule - 5);
            assert_true(lapse_utf8_valid(e.message, strlen(e.message)));
            assert_non_null(strstr(e.message, ", line 1, row 2, column "));
            lapse_fail(&e, LAPSE_IO, "%s", text);
            assert_true(lapse_utf8_valid(e.message, strlen(e.message)) &&
                        strlen(e.message) > sizeof e.message - 5);
            lapse_fail_at(&e, LAPSE_BAD_INPUT, &place, text, n, "the rule is there");
            assert_non_null(strstr(e.message, "...\": the rule is there"));
        }
}

/* A caller with a shorter struct, of whatever size, gets what fits and not a byte more. */
static void errors_end_where_the_caller_says(void **state)
{
    const struct lapse_place place = { "f", 3, 4, "\xc3\xa9\xc3\xa9\xc3\xa9" };

    (void)state;
    for (uint32_t size = 0; size <= sizeof(lapse_error); size++) {
        union {
            lapse_error e;
            unsigned char bytes[sizeof(lapse_error)];
        } u;

        memset(&u, 0xEE, sizeof u);
        u.e.size = size;
        lapse_fail_at(&u.e, LAPSE_BAD_INPUT, &place, "t", 1, "r");
        assert_int_equal(u.e.size, size);
        for (size_t i = size > 4 ? size : 4; i < sizeof u; i++)
            assert_int_equal(u.bytes[i], 0xEE);
        if (size >= 8)
            assert_int_equal(u.e.status, LAPSE_BAD_INPUT);
        if (size >= 24)
            assert_true(u.e.line == 3 && u.e.row == 4);
        if (size > offsetof(lapse_error, column)) {
            size_t room = size - offsetof(lapse_error, column), n = strlen(u.e.column);

            assert_int_equal(n, room > 6 ? 6 : (room - 1) / 2 * 2);
        }
    }
}

/* ---- Text ---- */

/* Well-formed by decoding to a number and asking what that number's encoding is. */
static bool naive_utf8(const unsigned char *p, size_t n)
{
    while (n > 0) {
        size_t size = p[0] < 0x80   ? 1
                      : p[0] < 0xC0 ? 0
                      : p[0] < 0xE0 ? 2
                      : p[0] < 0xF0 ? 3
                      : p[0] < 0xF8 ? 4
                                    : 0;
        uint32_t u = size == 1 ? p[0] : p[0] & (0x7Fu >> size);

        if (size == 0 || size > n)
            return false;
        for (size_t i = 1; i < size; i++) {
            if (p[i] >> 6 != 2)
                return false;
            u = u << 6 | (p[i] & 0x3F);
        }
        if (u == 0 || u > 0x10FFFF || (u >= 0xD800 && u < 0xE000))
            return false;
        if (size != (u < 0x80 ? 1u : u < 0x800 ? 2u : u < 0x10000 ? 3u : 4u))
            return false;
        p += size;
        n -= size;
    }
    return true;
}

static void utf8_is_checked(void **state)
{
    static const char *const good[] = {
        "\xc2\x80",     "\xdf\xbf",     "\xe0\xa0\x80",     "\xed\x9f\xbf",
        "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"
    };
    static const char *const bad[] = { "\xc1\xbf",         "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",     "\xed\xbf\xbf",
                                       "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80", "\x80" };
    unsigned char text[40];

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(lapse_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(lapse_utf8_valid(bad[i], strlen(bad[i])));
    assert_true(lapse_utf8_valid(NULL, 0));
    /* All of two and three bytes, and four with the second and third at their edges, among plain text of any
     * length. */
    for (uint32_t w = 0; w<0x1000000; w += w> 0xFFFF ? (uint32_t)(random64(&seed) % 61) + 1 : 1) {
        size_t before = w % 11, size = w > 0xFFFF ? 3 : 2, n;

        memset(text, 'a', sizeof text);
        for (size_t i = 0; i < size; i++)
            text[before + i] = (unsigned char)(w >> (8 * (size - 1 - i)));
        n = before + size + w % 7;
        assert_true(lapse_utf8_valid((char *)text, n) == naive_utf8(text, n));
    }
    for (int i = 0; i < 300000; i++) {
        static const unsigned char bytes[] = { 0xE0, 0xED, 0xF0, 0xF4, 0xF5, 0x80, 0x8F, 0x90, 0x9F, 0xA0,
                                               0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xEF, 'a',  0,    0x7F, 'b' };
        size_t n = random64(&seed) % 24;

        memset(text, 'c', sizeof text);
        for (size_t k = random64(&seed) % 5; k > 0; k--)
            text[random64(&seed) % 24] = bytes[random64(&seed) % COUNT(bytes)];
        assert_true(lapse_utf8_valid((char *)text, n) == naive_utf8(text, n));
    }
    for (size_t n = 1; n < 40; n++) /* NUL and a high byte at every place */
        for (size_t i = 0; i < n; i++) {
            memset(text, 0x7F, sizeof text);
            assert_true(lapse_utf8_valid((char *)text, n));
            text[i] = 0;
            assert_false(lapse_utf8_valid((char *)text, n));
            text[i] = 0x80;
            assert_false(lapse_utf8_valid((char *)text, n));
        }
    assert_int_equal(lapse_utf8_char("\xf0\x9f\x98\x80z", 5), 4);
    assert_int_equal(lapse_utf8_char("\xf0\x9f\x98\x80z", 3), 0);
    assert_int_equal(lapse_utf8_char("", 1), 0);
    assert_int_equal(lapse_utf8_char("", 0), 0);
}

static void texts_are_ordered_by_bytes(void **state)
{
    static const char *const ascending[] = { "", "A", "a", "aa", "ab", "b", "\x7f", "\xc3\xa9", "\xff" };

    (void)state;
    for (size_t i = 0; i < COUNT(ascending); i++)
        for (size_t k = 0; k < COUNT(ascending); k++) {
            int c = lapse_text_compare(ascending[i], strlen(ascending[i]), ascending[k], strlen(ascending[k]));

            assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
        }
    assert_int_equal(lapse_text_compare(NULL, 0, NULL, 0), 0);
    assert_true(lapse_text_compare(NULL, 0, "a", 1) < 0);
    assert_true(lapse_text_compare("a\0b", 3, "a\0c", 3) < 0);
}

static void versions_agree(void **state)
{
    char text[40];

    (void)state;
    assert_int_equal(lapse_version_number(), LAPSE_VERSION_NUMBER);
    assert_string_equal(lapse_version_string(), LAPSE_VERSION_STRING);
    snprintf(text, sizeof text, "%u.%u.%u", lapse_version_number() / 1000000,
             lapse_version_number() / 1000 % 1000, lapse_version_number() % 1000);
    assert_string_equal(text, lapse_version_string());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hooks_are_checked_and_copied),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(arrays_grow_by_half),
        cmocka_unit_test(buffers_remember_failure),
        cmocka_unit_test(options_of_this_version),
        cmocka_unit_test(options_of_older_and_newer_callers),
        cmocka_unit_test(options_are_written_for_each_size),
        cmocka_unit_test(statuses_have_names),
        cmocka_unit_test(a_bad_value_is_described),
        cmocka_unit_test(hostile_bytes_are_shown_harmlessly),
        cmocka_unit_test(texts_are_cut_at_characters),
        cmocka_unit_test(errors_end_where_the_caller_says),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(texts_are_ordered_by_bytes),
        cmocka_unit_test(versions_agree),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
