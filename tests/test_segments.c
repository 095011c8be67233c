/* Segment tables: the one of the contract cell by cell, tables of hosts, what is noted about them, and what is
 * refused. */
#include "rfms.h"

static lapse_allocator memory;

static const char *name_at(const struct lapse_segment_table *t, int r, int f, int m)
{
    static char name[256];
    int32_t i = lapse_segment_of(t, r, f, m);
    if (i < 0)
        return LAPSE_SEGMENT_NONE;
    memcpy(name, t->names[i].data, t->names[i].size);
    name[t->names[i].size] = 0;
    return name;
}

static void test_default_table(void **state)
{
    (void)state;
    /* the table of the contract, f ascending to the right */
    static const char *const grid[5][5] = {
        { "hibernating", "hibernating", "at risk", "at risk", "can't lose" },
        { "hibernating", "hibernating", "at risk", "at risk", "can't lose" },
        { "about to sleep", "about to sleep", "need attention", "loyal customers", "loyal customers" },
        { "promising", "potential loyalists", "potential loyalists", "loyal customers", "loyal customers" },
        { "new customers", "potential loyalists", "potential loyalists", "champions", "champions" }
    };
    struct lapse_segment_table t;
    for (int bins_m = 2; bins_m <= 10; bins_m++) {
        lapse_rfm_options o = defaults();
        o.bins_m = bins_m;
        assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
        assert_int_equal(t.count, 10);
        assert_int_equal(t.notes.size, 0);
        for (int r = 1; r <= 5; r++)
            for (int f = 1; f <= 5; f++)
                for (int m = 1; m <= bins_m; m++)
                    assert_string_equal(name_at(&t, r, f, m), grid[r - 1][f - 1]);
        lapse_segment_table_free(&t);
    }
    /* R15: other bins on R or F need a table of their own */
    for (int axis = 0; axis < 2; axis++) {
        lapse_rfm_options o = defaults();
        lapse_error error = { .size = sizeof error };
        *(axis ? &o.bins_f : &o.bins_r) = 4;
        assert_int_equal(lapse_segment_table_read(&t, &memory, &o, &error), LAPSE_BAD_INPUT);
        assert_non_null(strstr(error.message, "--segments"));
        lapse_segment_table_free(&t);
    }
}

static void test_custom_table(void **state)
{
    (void)state;
    /* BOM, CRLF, columns in another order, quotes, empty lines, a line break in a name, no LF at the end; the
     * first row that matches wins, empty bounds are open, a name twice is one segment (R17) */
    lapse_rfm_options o = with_table("\xEF\xBB\xBF"
                                     "r_min,r_max,segment,f_min,f_max,m_min,m_max\r\n"
                                     "5,5,\"the \"\"best\"\"\",5,,5,\r\n\r\n"
                                     "4,99,\"two\nlines\",-7,3,,\n"
                                     ",2,\"low\",,,,\n"
                                     "4,,\"the \"\"best\"\"\",,,,");
    struct lapse_segment_table t;
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    assert_int_equal(t.count, 3);
    assert_string_equal(name_at(&t, 5, 5, 5), "the \"best\"");
    assert_string_equal(name_at(&t, 5, 5, 4), "the \"best\"");
    assert_string_equal(name_at(&t, 5, 3, 5), "two\nlines");
    assert_string_equal(name_at(&t, 4, 4, 1), "the \"best\"");
    assert_string_equal(name_at(&t, 1, 5, 5), "low");
    assert_string_equal(name_at(&t, 3, 1, 1), "(none)");
    /* cells without a segment are told, those of all m at once */
    assert_string_equal(t.notes.data,
                        "no segment covers 25 of 125 cells (r,f,m): 3,1,*; 3,2,*; 3,3,*; 3,4,*; 3,5,*");
    assert_int_equal(t.notes.size, strlen(t.notes.data) + 1);
    lapse_segment_table_free(&t);
}

static void test_table_notes(void **state)
{
    (void)state;
    struct lapse_segment_table t;
    lapse_rfm_options o = with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\n"
                                     "a,1,3,,,,\n"
                                     "inside a,2,3,1,1,,\n"
                                     "upside down,4,3,,,,\n"
                                     "beyond,6,,,,,\n"
                                     "before,,0,,,,\n"
                                     "b,2,,,,2,\n"
                                     "between,3,4,,,2,3\n");
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    static const char *const notes[] = {
        "segment `inside a` on line 3 can never match: the rows before it take all of its cells",
        "segment `upside down` on line 4 can never match: its bounds hold no score",
        "segment `beyond` on line 5 can never match: its bounds hold no score",
        "segment `before` on line 6 can never match: its bounds hold no score",
        "segment `between` on line 8 can never match: the rows before it take all of its cells",
        ("no segment covers 10 of 125 cells (r,f,m): 4,1,1; 4,2,1; 4,3,1; 4,4,1; 4,5,1; "
         "5,1,1; 5,2,1; 5,3,1; 5,4,1; 5,5,1"),
    };
    size_t at = 0;
    for (int i = 0; i < COUNT(notes); i++) {
        assert_true(at < t.notes.size);
        assert_string_equal(t.notes.data + at, notes[i]);
        at += strlen(notes[i]) + 1;
    }
    assert_int_equal(at, t.notes.size);
    assert_int_equal(t.count, 7); /* also those that match nothing are listed */
    lapse_segment_table_free(&t);

    /* at most 20 are told, the rest counted */
    o = with_table("segment,r_min,r_max,f_min,f_max,m_min,m_max\nx,1,1,,,,\n");
    o.bins_r = o.bins_f = o.bins_m = 10;
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    assert_memory_equal(t.notes.data, "no segment covers 900 of 1000 cells (r,f,m): 2,1,*; ", 52);
    assert_non_null(strstr(t.notes.data, "; 3,10,* and 700 more"));
    lapse_segment_table_free(&t);
    char *many = calloc(1, 60000);
    strcpy(many, "segment,r_min,r_max,f_min,f_max,m_min,m_max\n");
    for (int i = 0; i < 1000; i++)
        sprintf(many + strlen(many), "s%d,,,,,,\n", i);
    o = with_table(many);
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    assert_int_equal(t.count, 1000);
    const char more[] = "979 more rows of the segment table can never match"; /* 1000 less the first and 20 */
    assert_string_equal(t.notes.data + t.notes.size - sizeof more, more);
    lapse_segment_table_free(&t);
    strcat(many, "one too many,,,,,,\n");
    o = with_table(many);
    lapse_error error = { .size = sizeof error };
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, &error), LAPSE_BAD_INPUT);
    assert_int_equal(error.line, 1002);
    free(many);
}

static void test_bad_tables(void **state)
{
    (void)state;
#define HEAD "segment,r_min,r_max,f_min,f_max,m_min,m_max\n"
    static const struct {
        const char *text;
        int line;
        const char *column, *found;
    } cases[] = {
        { "", 0, "", "" },
        { "\xEF\xBB\xBF\n\n", 0, "", "" },
        { "segment,r_min,r_max,f_min,f_max,m_min\n", 1, "", "segment,r_min,r_max,f_min,f_max,m_min" },
        { "segment,r_min,r_max,f_min,f_max,m_min,m_max,x\n", 1, "",
          "segment,r_min,r_max,f_min,f_max,m_min,m_max,x" },
        { "\nsegment,r_min,r_max,f_min,f_max,m_min,M_max\n", 2, "", "M_max" },
        { "segment,r_min,r_max,f_min,f_max,m_min,r_min\n", 1, "", "r_min" },
        { HEAD "a,1,2,3,4,5\n", 2, "", "a,1,2,3,4,5" },
        { HEAD "a,1,2,3,4,5,5,6\n", 2, "", "a,1,2,3,4,5,5,6" },
        { HEAD "a,,,,,,\nb,1,x,,,,\n", 3, "r_max", "x" },
        { HEAD "a,,,,,,\r\n\r\nb,,,,1.5,,\n", 4, "f_max", "1.5" },
        { HEAD "\"a\nb\",,,,,,\nc, 1,,,,,\n", 4, "r_min", " 1" },
        { HEAD "a,+1,,,,,\n", 2, "r_min", "+1" },
        { HEAD "a,99999999999999999999,,,,,\n", 2, "r_min", "99999999999999999999" },
        { HEAD ",,,,,,\n", 2, "segment", "" },
        { HEAD "(none),,,,,,\n", 2, "segment", "(none)" },
        { HEAD "(absent),,,,,,\n", 2, "segment", "(absent)" },
        { HEAD "\xC0\xAF,,,,,,\n", 2, "segment", NULL },
        { HEAD "a\"b,,,,,,\n", 2, "segment", "a\"b" },
        { HEAD "\"a\"b,,,,,,\n", 2, "segment", "\"a\"b" },
        { HEAD "\"a,,,,,,\n", 2, "segment", NULL },
        { HEAD "a,,,\r,,,\n", 2, "f_min", "\r" },
    };
    for (int i = 0; i < COUNT(cases); i++) {
        lapse_rfm_options o = with_table(cases[i].text);
        lapse_error error = { .size = sizeof error };
        struct lapse_segment_table t;
        assert_int_equal(lapse_segment_table_read(&t, &memory, &o, &error), LAPSE_BAD_INPUT);
        assert_int_equal(error.line, cases[i].line);
        assert_string_equal(error.column, cases[i].column);
        if (cases[i].found)
            assert_string_equal(error.text, cases[i].found);
        assert_true(error.message[0] != 0);
        lapse_segment_table_free(&t); /* harmless */
    }
    /* a NUL in a name; a name of 256 bytes; more than a mebibyte */
    lapse_rfm_options o = defaults();
    struct lapse_segment_table t;
    static const char nul[] = HEAD "a\0b,,,,,,\n";
    o.segments = nul;
    o.segments_size = sizeof nul - 1;
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_BAD_INPUT);
    char *text = calloc(1, (1 << 20) + 2);
    for (int length = 255; length <= 256; length++) {
        sprintf(text, HEAD "%0*d,,,,,,", length, 0);
        o = with_table(text);
        assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL),
                         length > 255 ? LAPSE_BAD_INPUT : LAPSE_OK);
        lapse_segment_table_free(&t);
    }
    memset(text, '\n', (1 << 20) + 1);
    memcpy(text, HEAD, strlen(HEAD));
    o = with_table(text);
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_BAD_INPUT);
    o.segments_size--;
    assert_int_equal(lapse_segment_table_read(&t, &memory, &o, NULL), LAPSE_OK);
    assert_int_equal(t.count, 0);
    lapse_segment_table_free(&t);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_table),
        cmocka_unit_test(test_custom_table),
        cmocka_unit_test(test_table_notes),
        cmocka_unit_test(test_bad_tables),
    };
    if (lapse_mem_init(&memory, NULL, NULL) != LAPSE_OK)
        return 1;
    return cmocka_run_group_tests_name("segments", tests, NULL, NULL);
}
