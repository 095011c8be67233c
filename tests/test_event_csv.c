/* Event files: header and mapping, records and fields, each rule as a row of a table. */
#include "csv_run.h"

/* ---- good files ------------------------------------------------------------------------------------------ */

struct good_case {
    const char *header, *text, *expected;
    const char *map, *format, *kind;
    uint32_t flags;
    int delimiter, digits;
};

/* clang-format off */
static const struct good_case good_cases[] = {
    { .header = "customer,time,amount", /* the last line needs no LF */
      .text = "a,2024-03-01,12\nb,2024-03-01T10:15:00.5+01:00,12.5",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|amount=12.00\n"
                  "3 b|2024-03-01T09:15:00.5Z|kind=order.placed|amount=12.50\n" },
    { .header = "amount,time,customer", /* any order; empty is missing; LF and CRLF; empty lines count as lines */
      .text = "\n,@1709288100,x\r\n\r\n\n1.500,2024-03-01 10:15, \n",
      .expected = "3 x|2024-03-01T10:15:00Z|kind=order.placed\n"
                  "6  |2024-03-01T10:15:00Z|kind=order.placed|amount=1.50\n" },
    { .header = "customer,time,topic", /* quotes, doubled quotes, line breaks and CR in quotes */
      .text = "\"a\",\"2024-03-01\",\"x,\"\"y\"\"\"\n\"b\nc\",2024-03-01,\"\r\n\r\"\r\n\"\"\"\",2024-03-01,\"\"\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|topic=x,\"y\"\n"
                  "3 b\nc|2024-03-01T00:00:00Z|kind=order.placed|topic=\r\n\r\n"
                  "6 \"|2024-03-01T00:00:00Z|kind=order.placed\n" },
    { .header = "\"customer\",\"ti\"\"me\",time",
      .flags = IGNORE,
      .text = "a,junk,2024-03-01\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed\n" },
    { .header = "customer;time;amount", .delimiter = ';', .text = "a,b;2024-03-01;1\n",
      .expected = "2 a,b|2024-03-01T00:00:00Z|kind=order.placed|amount=1.00\n" },
    { .header = "customer time", .delimiter = ' ', .text = "a 2024-03-01\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed\n" },
    { .header = "customer\ttime", .delimiter = '\t', .text = "a\t2024-03-01\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed\n" },
    { .header = "customer,time,kind,channel,purpose,platform", /* an empty kind is the default */
      .kind = "session.started",
      .text = "a,2024-03-01,,,,app\na,2024-03-01,message.sent,email,marketing,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=session.started|platform=app\n"
                  "3 a|2024-03-01T00:00:00Z|kind=message.sent|channel=email|purpose=marketing\n" },
    { .header = "customer,time,value,quantity,price,item,category,reason,evidence",
      .text = "a,2024-03-01,5.0,1.5,0.10,i,c,r,e\na,2024-03-01,-0,-0.0,-0.00,,,,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|value=5|reason=r|item=i|quantity=1.5|category=c|"
                  "price=0.10|evidence=e\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed|value=0|quantity=0|price=0.00\n" },
    { .header = "customer,time,amount", .text = "a,2024-03-01,-0.00\n", /* M17: not negative */
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|amount=0.00\n" },
    { .header = "customer,time,kind,amount,quantity,ref", .flags = REFUND, /* M5, M15, F29 */
      .text = "a,2024-03-01,,-3.00,-2,o1\na,2024-03-01,,3,-2,o1\na,2024-03-01,order.refunded,-1,,o1\n"
              "a,2024-03-01,,1,,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.refunded|amount=3.00|ref=o1|quantity=2\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed|amount=3.00|ref=o1|quantity=2\n"
                  "4 a|2024-03-01T00:00:00Z|kind=order.refunded|amount=1.00|ref=o1\n"
                  "5 a|2024-03-01T00:00:00Z|kind=order.placed|amount=1.00\n" },
    { .header = "customer,time,amount", .flags = REFUND, /* without a kind column the next row is an order again */
      .text = "a,2024-03-01,-3.00\na,2024-03-01,1\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.refunded|amount=3.00\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed|amount=1.00\n" },
    { .header = "CustomerID,InvoiceDate,InvoiceNo,Quantity,UnitPrice",
      .map = "customer=CustomerID,time=InvoiceDate,ref=InvoiceNo,amount=Quantity*UnitPrice",
      .format = "%m/%d/%Y %H:%M",
      .text = "17850,12/1/2010 8:26,536365,6,2.55\n17850,12/1/2010 8:26,536365,,2.55\n"
              "17850,12/1/2010 8:26,536365,6,\n17850,12/1/2010 8:26,536365,0.5,0.04\n",
      .expected = "2 17850|2010-12-01T08:26:00Z|kind=order.placed|amount=15.30|ref=536365\n"
                  "3 17850|2010-12-01T08:26:00Z|kind=order.placed|ref=536365\n"
                  "4 17850|2010-12-01T08:26:00Z|kind=order.placed|ref=536365\n"
                  "5 17850|2010-12-01T08:26:00Z|kind=order.placed|amount=0.02|ref=536365\n" },
    { .header = "customer,time,a,b", .map = "amount=a*b", .digits = 3, .text = "c,2024-03-01,0.001,1\n",
      .expected = "2 c|2024-03-01T00:00:00Z|kind=order.placed|amount=0.001\n" },
    { .header = "customer,time,a,b", .map = "value=a*b,quantity=b*b,price=a*a,amount=b", /* many from one column */
      .text = "c,2024-03-01,-0.5,3\nc,2024-03-01,-0.0,5\nc,2024-03-01,-20,0.05\n",
      .expected = "2 c|2024-03-01T00:00:00Z|kind=order.placed|amount=3.00|value=-1.5|quantity=9|price=0.25\n"
                  "3 c|2024-03-01T00:00:00Z|kind=order.placed|amount=5.00|value=0|quantity=25|price=0.00\n"
                  "4 c|2024-03-01T00:00:00Z|kind=order.placed|amount=0.05|value=-1|quantity=0.0025|price=400.00\n" },
    { .header = "customer,time,ref", .map = "customer=ref,ref=customer", /* exchanged */
      .text = "a,2024-03-01,b\n",
      .expected = "2 b|2024-03-01T00:00:00Z|kind=order.placed|ref=a\n" },
    { .header = "customer,time,price,quantity", .map = "amount=price*quantity", /* named in --map: own name lost */
      .text = "a,2024-03-01,2,3\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|amount=6.00\n" },
    { .header = "customer,time,amount,paid", .map = "amount=paid", .flags = IGNORE, /* the mapping wins */
      .text = "a,2024-03-01,x,3\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|amount=3.00\n" },
    { .header = "customer,time,event_id", /* F10: an id alone has the empty source */
      .text = "a,2024-03-01,e1\na,2024-03-01,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|event_id=e1|nosource\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed\n" },
    { .header = "customer,time,source,event_id",
      .text = "a,2024-03-01,s,e1\na,2024-03-01,,e1\na,2024-03-01,s,\na,2024-03-01,,\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=order.placed|source=s|event_id=e1\n"
                  "3 a|2024-03-01T00:00:00Z|kind=order.placed|event_id=e1|nosource\n"
                  "4 a|2024-03-01T00:00:00Z|kind=order.placed|source=s\n"
                  "5 a|2024-03-01T00:00:00Z|kind=order.placed|nosource\n" },
    { .header = "endpoint,customer,time,kind,channel", /* the channel may stand behind its endpoint */
      .text = "A@B,c,2024-03-01,endpoint.added,email\n"
              "hash:000102030405060708090A0b0c0d0e0f101112131415161718191a1b1c1d1e1f,c,2024-03-01,endpoint.added,sms\n",
      .expected = "2 c|2024-03-01T00:00:00Z|kind=endpoint.added|channel=email|"
                  "endpoint=hash:85a0be1cfa9b2af7882b9c6c1803347119e1704cf5ed16026d62e149b531bb4b\n"
                  "3 c|2024-03-01T00:00:00Z|kind=endpoint.added|channel=sms|"
                  "endpoint=hash:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n" },
    { .header = "customer,time", .format = "%d %b %y %H:%M:%S%z",
      .text = "a,1 mar 24 9:05:07.25+0100\na,01 MAR 69 09:05:07Z\n",
      .expected = "2 a|2024-03-01T08:05:07.25Z|kind=order.placed\n3 a|1969-03-01T09:05:07Z|kind=order.placed\n" },
    { .header = "customer,time,kind,topic,value", .text = "a,2024-03-01,preference.set,news,1.0\n",
      .expected = "2 a|2024-03-01T00:00:00Z|kind=preference.set|topic=news|value=1\n" },
    { .header = "customer,time", .text = "", .expected = "" }, /* F23: a header alone is a good file */
    { .header = "customer,time", .text = "\xC3\xA9\x01,2024-03-01\n", /* controls are kept */
      .expected = "2 \xC3\xA9\x01|2024-03-01T00:00:00Z|kind=order.placed\n" },
};
/* clang-format on */

static void test_good_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_cases / sizeof good_cases[0]; i++) {
        const struct good_case *c = &good_cases[i];
        struct run r;
        begin(&r);
        r.options.map = c->map;
        r.options.time_format = c->format;
        r.options.kind = c->kind;
        r.options.flags = c->flags;
        r.options.delimiter = c->delimiter ? c->delimiter : ',';
        r.check.digits = c->digits ? c->digits : 2;
        open_good(&r, c->header);
        assert_int_equal(parse(&r, c->text, strlen(c->text), 2), 0);
        if (r.bad)
            fail_msg("%s: line %d: %s", c->header, (int)r.line, r.rule);
        assert_int_equal(r.rows, r.good);
        check_out(&r, c->expected);
        end(&r);
    }
}

/* ---- bad rows --------------------------------------------------------------------------------------------- */

/* The first bad row of a text, of which all other rows are good. */
/* clang-format off */
static const struct bad_case {
    const char *header, *text;
    size_t size; /* 0: up to NUL */
    int line;
    const char *column, *found, *rule;
    const char *map, *format;
    uint32_t flags;
} bad_cases[] = {
    { .header = "customer,time", "a\n", 0, 2, "", "a", "1 field, the header 2" },
    { .header = "customer,time", "a,2024-03-01,\n", 0, 2, "", "a,2024-03-01,", "3 fields, the header 2" },
    { .header = "customer,time", "a,2024-03-01\n \n", 0, 3, "", " ", "1 field," },
    { .header = "customer,time", "\"\"\n", 0, 2, "", "\"\"", "1 field," },
    { .header = "customer,time", "\"a\nb\",2024-03-01\n\n\"c\nd\",x\n", 0, 5, "time", "x", "a time is" },
    { .header = "customer,time", "a\"b,2024-03-01\n", 0, 2, "customer", "a\"b", "quote stands inside" },
    { .header = "customer,time", "a, \"2024-03-01\"\n", 0, 2, "time", " \"2024-03-01\"", "quote stands inside" },
    { .header = "customer,time", "\"a\"b,2024-03-01\n", 0, 2, "customer", "\"a\"b", "after a closing quote" },
    { .header = "customer,time", "\"a\"b\"\"c\",2024-03-01\nx,2024-03-01\n", 0, 2, "customer", "\"a\"b\"\"c\"", "after" },
    { .header = "customer,time", "\"a\" ,2024-03-01\n", 0, 2, "customer", "\"a\" ", "after a closing quote" },
    { .header = "customer,time", "\"a\"b\r\n", 0, 2, "customer", "\"a\"b", "after a closing quote" },
    { .header = "customer,time", "a\rb,2024-03-01\n", 0, 2, "customer", "a\rb", "carriage return" },
    { .header = "customer,time", "a,2024-03-01\r\r\n", 0, 2, "time", "2024-03-01\r", "carriage return" },
    { .header = "customer,time", "a,2024-03-01\r", 0, 2, "time", "2024-03-01\r", "carriage return" },
    { .header = "customer,time", "\"a\"\r,2024-03-01\n", 0, 2, "customer", "\"a\"\r", "carriage return" },
    { .header = "customer,time", "a,2024-03-01\n\"b,2024-03-01\nc,2024-03-01\n", 0, 3, "customer", "\"b,2024-03-01\nc,2024-03-01\n",
      "a quote is never closed" },
    { .header = "customer,time,note", "a,2024-03-01,\xFF\n", 0, 2, "note", "\xFF", "UTF-8", NULL, NULL, IGNORE },
    { .header = "customer,time", "a\0b,2024-03-01\n", 15, 2, "customer", NULL, "NUL" },
    { .header = "customer,time", "\"\xC0\xAF\",2024-03-01\n", 0, 2, "customer", "\xC0\xAF", "UTF-8" },
    { .header = "customer,time", "a,2024-03-01\nb\xED\xA0\x80,2024-03-01\nc,2024-03-01\n", 0, 3, "customer", NULL, "UTF-8" },
    { .header = "customer,time", ",2024-03-01\n", 0, 2, "customer", "", "a customer is required" },
    { .header = "customer,time", "\"\",2024-03-01\n", 0, 2, "customer", "", "a customer is required" },
    { .header = "customer,time", "a,\n", 0, 2, "time", "", "a time is required" },
    { .header = "id,when", "a,\n", 0, 2, "when", "", "a time is required", "customer=id,time=when" },
    { .header = "customer,time", "a,03/01/2024\n", 0, 2, "time", "03/01/2024", "--time-format" },
    { .header = "customer,time", "a,2024-03-01\n", 0, 2, "time", "2024-03-01", "--time-format", NULL, "%m/%d/%Y" },
    { .header = "customer,time", "a,1970-01-01\n", 0, 2, "time", "1970-01-01", "missing time" },
    { .header = "customer,time", "a,1899-12-31\n", 0, 2, "time", "1899-12-31", "1900" },
    { .header = "customer,time", "a,2099-01-01\n", 0, 2, "time", "2099-01-01", "import.skew" },
    { .header = "customer,time,amount", "a,2024-03-01,1.005\n", 0, 2, "amount", "1.005", "decimals" },
    { .header = "customer,time,amount", "a,2024-03-01, 1\n", 0, 2, "amount", " 1", "an amount is" },
    { .header = "customer,time,paid", "a,2024-03-01,x\n", 0, 2, "paid", "x", "an amount is", "amount=paid" },
    { .header = "customer,time,amount", "a,2024-03-01,-1\n", 0, 2, "amount", "-1", "--negative refund" },
    { .header = "customer,time,kind,amount", "a,2024-03-01,order.refunded,-1\n", 0, 2, "amount", "-1", "--negative refund" },
    { .header = "customer,time,kind,amount", "a,2024-03-01,points.adjusted,-1\n", 0, 2, "amount", "-1", "not negative", NULL,
      NULL, REFUND },
    { .header = "customer,time,quantity", "a,2024-03-01,-1\n", 0, 2, "quantity", "-1", "--negative refund" },
    { .header = "customer,time,kind,quantity", "a,2024-03-01,product.viewed,-1\n", 0, 2, "quantity", "-1", "not negative", NULL,
      NULL, REFUND },
    { .header = "customer,time,price", "a,2024-03-01,-1\n", 0, 2, "price", "-1", "a price is not negative", NULL, NULL, REFUND },
    { .header = "customer,time,quantity", "a,2024-03-01,0.0000001\n", 0, 2, "quantity", "0.0000001", "at most 6 digits" },
    { .header = "customer,time,value", "a,2024-03-01,1234567890.123456\n", 0, 2, "value", NULL, "15" },
    { .header = "customer,time,q,p", "a,2024-03-01,0.001,1\n", 0, 2, "q*p", "0.001*1", "decimals", "amount=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,-1,1\n", 0, 2, "q*p", "-1*1", "--negative refund", "amount=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,x,1\n", 0, 2, "q", "x", "a number is", "amount=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,1,1e3\n", 0, 2, "p", "1e3", "a number is", "amount=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,0.00000001,1234567891234567\n", 0, 2, "q*p", NULL, "15", "value=q*p" },
    { .header = "customer,time,q,p", "a,2024-03-01,0.001,0.0001\n", 0, 2, "q*p", NULL, "6 digits", "quantity=q*p" },
    { .header = "customer,time,kind", "a,2024-03-01,Order.placed\n", 0, 2, "kind", "Order.placed", "kind is unknown" },
    { .header = "customer,time,channel", "a,2024-03-01,mail\n", 0, 2, "channel", "mail", "email, sms" },
    { .header = "customer,time,purpose", "a,2024-03-01,x\n", 0, 2, "purpose", "x", "transactional" },
    { .header = "customer,time,platform", "a,2024-03-01,ios\n", 0, 2, "platform", "ios", "app, web, store" },
    { .header = "customer,time,kind", "a,2024-03-01,message.sent\n", 0, 2, "channel", "", "needs a channel" },
    { .header = "customer,time,kind,by", "a,2024-03-01,message.sent,\n", 0, 2, "by", "", "needs a channel", "channel=by" },
    { .header = "customer,time,kind,channel", "a,2024-03-01,consent.requested,sms\n", 0, 2, "ref", "", "needs a ref" },
    { .header = "customer,time,kind,value", "a,2024-03-01,preference.set,1\n", 0, 2, "topic", "", "needs a topic" },
    { .header = "customer,time,kind,topic", "a,2024-03-01,preference.set,n\n", 0, 2, "value", "", "needs a value" },
    { .header = "customer,time,kind,topic,value", "a,2024-03-01,preference.set,n,2\n", 0, 2, "value", "2", "1 (on)" },
    { .header = "customer,time,endpoint", "a,2024-03-01,hash:12\n", 0, 2, "endpoint", "hash:12", "64 hexadecimal" },
    { .header = "amount,time,customer", "x,y,\n", 0, 2, "amount", "x", "an amount is" }, /* the leftmost is told */
};
/* clang-format on */

static void test_bad_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        const struct bad_case *c = &bad_cases[i];
        for (int skip = 0; skip <= 1; skip++) {
            struct run r;
            begin(&r);
            r.options.map = c->map;
            r.options.time_format = c->format;
            r.options.flags = c->flags | (skip ? LAPSE_IMPORT_SKIP_BAD_ROWS : 0);
            r.check.latest = INT64_C(1800000000) * LAPSE_SECOND;
            open_good(&r, c->header);
            assert_int_equal(parse(&r, c->text, c->size ? c->size : strlen(c->text), 2), 0);
            assert_int_equal(r.bad, 1);
            assert_int_equal(r.rows, r.good + r.bad);
            if (r.line != c->line || strcmp(r.column, c->column) != 0 || !strstr(r.rule, c->rule))
                fail_msg("%s / %s: line %d, column %s: %s", c->header, c->text, (int)r.line, r.column, r.rule);
            if (c->found)
                assert_string_equal(r.text, c->found);
            bool never = strstr(c->rule, "never closed") != NULL; /* which cannot be skipped */
            assert_int_equal(strstr(r.rule, "--on-error skip") != NULL, !skip && !never);
            end(&r);
        }
    }
}

static void test_long_texts(void **state)
{
    (void)state;
    for (int f = -1; f < LAPSE_FIELDS; f++) {
        if (f >= 0 && lapse_fields[f].class != LAPSE_CLASS_TEXT)
            continue;
        for (int over = 0; over <= 1; over++) {
            struct run r;
            char header[100], text[600];
            begin(&r);
            if (f < 0)
                snprintf(header, sizeof header, "customer,time");
            else
                snprintf(header, sizeof header, "%s,customer,time", lapse_fields[f].name);
            memset(text, 'x', 255 + (size_t)over);
            snprintf(text + 255 + over, 100, f < 0 ? ",2024-03-01\n" : ",c,2024-03-01\n");
            open_good(&r, header);
            assert_int_equal(parse(&r, text, strlen(text), 2), 0);
            assert_int_equal(r.bad, over);
            if (over) {
                assert_string_equal(r.column, f < 0 ? "customer" : lapse_fields[f].name);
                assert_non_null(strstr(r.rule, "255"));
            }
            end(&r);
        }
    }
}

static void test_rows_as_they_stood(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    open_good(&r, "customer,time");
    static const char text[] = "a,2024-03-01\n\"b\n\"\"c\",nope\r\nd,2024-03-01\n";
    assert_int_equal(parse(&r, text, strlen(text), 10), 0);
    assert_string_equal(r.row, "\"b\n\"\"c\",nope");
    assert_int_equal(r.line, 11);
    check_out(&r, "10 a|2024-03-01T00:00:00Z|kind=order.placed\n11 bad \"b\n\"\"c\",nope\n"
                  "13 d|2024-03-01T00:00:00Z|kind=order.placed\n");
    end(&r);
    for (int stop = 1; stop <= 2; stop++) { /* a row, and a bad row, can stop it */
        begin(&r);
        r.stop_after = stop;
        open_good(&r, "customer,time");
        assert_int_equal(parse(&r, text, strlen(text), 2), 77);
        assert_true(r.good + r.bad == stop || (r.good == 0 && r.bad == 1)); /* bad rows are told before good ones */
        end(&r);
    }
}

static void test_zone(void **state)
{
    (void)state;
    static const int64_t starts[] = { INT64_MIN, INT64_C(1711846800000000), INT64_C(1729990800000000) };
    static const int32_t offsets[] = { 3600, 7200, 3600 }; /* Paris in 2024 */
    struct lapse_zone paris = { 3, starts, offsets };
    struct run r;
    begin(&r);
    r.zone = &paris;
    open_good(&r, "customer,time");
    static const char text[] = "a,2024-07-01\na,2024-07-01T00:00Z\na,2024-03-31T02:30\na,2024-10-27 02:30\n";
    assert_int_equal(parse(&r, text, strlen(text), 2), 0);
    check_out(&r, "2 a|2024-06-30T22:00:00Z|kind=order.placed\n3 a|2024-07-01T00:00:00Z|kind=order.placed\n"
                  "4 bad a,2024-03-31T02:30\n5 bad a,2024-10-27 02:30\n");
    end(&r);
}

/* ---- headers and options ---------------------------------------------------------------------------------- */

/* clang-format off */
static const struct header_case {
    const char *header;
    size_t size;
    lapse_status status;
    const char *column, *rule;
    const char *map, *kind, *format;
    uint32_t flags;
    int delimiter;
} header_cases[] = {
    { .header = "", 0, LAPSE_BAD_INPUT, "", "no header" },
    { .header = "customer", 0, LAPSE_BAD_INPUT, "time", "--map time=" },
    { .header = "time,amount", 0, LAPSE_BAD_INPUT, "customer", "--map customer=" },
    { .header = "customer,time,customer", 0, LAPSE_BAD_INPUT, "customer", "twice" },
    { .header = "customer,time,x,y,x", 0, LAPSE_BAD_INPUT, "x", "twice", NULL, NULL, NULL, IGNORE },
    { .header = "customer,,time", 0, LAPSE_BAD_INPUT, "", "field 2" },
    { .header = "customer,time,", 0, LAPSE_BAD_INPUT, "", "empty name" },
    { .header = "customer,time,\"\"", 0, LAPSE_BAD_INPUT, "", "empty name" },
    { .header = "customer,time,Amount", 0, LAPSE_BAD_INPUT, "Amount", "--ignore-unknown" },
    { .header = "customer, time", 0, LAPSE_BAD_INPUT, " time", "--ignore-unknown" },
    { .header = "customer, time", 0, LAPSE_BAD_INPUT, "time", "required", NULL, NULL, NULL, IGNORE },
    { .header = "customer;time", 0, LAPSE_BAD_INPUT, "customer;time", "unknown" },
    { .header = "customer,time\r", 0, LAPSE_BAD_INPUT, "", "carriage return" },
    { .header = "customer,\"time", 0, LAPSE_BAD_INPUT, "", "never closed" },
    { .header = "customer,ti\"me", 0, LAPSE_BAD_INPUT, "", "quote" },
    { .header = "customer,time,\xFF", 0, LAPSE_BAD_INPUT, "", "UTF-8", NULL, NULL, NULL, IGNORE },
    { .header = "customer,time,\0", 15, LAPSE_BAD_INPUT, "", "NUL", NULL, NULL, NULL, IGNORE },
    { .header = "customer,time\na,b", 0, LAPSE_BAD_INPUT, "", "one line" },
    { .header = "customer,time", 0, LAPSE_BAD_INPUT, "Paid", "--map", "amount=Paid" },
    { .header = "customer,time,q", 0, LAPSE_BAD_INPUT, "p", "--map", "amount=q*p" },
    { .header = "customer,time,amount,x", 0, LAPSE_BAD_INPUT, "amount", "--ignore-unknown", "amount=x" },
    { .header = "customer,time,x", 0, LAPSE_BAD_INPUT, "customer", "required", "ref=customer", NULL, NULL, IGNORE },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "=a" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a*" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=*a" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a*b*c" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a=b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a*b=c" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", "amount=a," },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "FIELD=COLUMN", ",amount=a" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "no such field", "Amount=a" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "no such field", "amount=a, ref=b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "twice", "amount=a,amount=b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "product", "time=a*b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--map", "product", "customer=a*b" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--kind", "kind", NULL, "order" },
    { .header = "customer,time", 0, LAPSE_INVALID, "--time-format", "", NULL, NULL, "%m/%d" },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, '"' },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, '\n' },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, '\r' },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, 200 },
    { .header = "customer,time", 0, LAPSE_INVALID, "", "", NULL, NULL, NULL, 0, -1 },
};
/* clang-format on */

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof header_cases / sizeof header_cases[0]; i++) {
        const struct header_case *c = &header_cases[i];
        struct run r;
        begin(&r);
        r.options.map = c->map;
        r.options.kind = c->kind;
        r.options.time_format = c->format;
        r.options.flags = c->flags;
        r.options.delimiter = c->delimiter ? c->delimiter : ',';
        lapse_status status = open_csv(&r, c->header, c->size ? c->size : strlen(c->header));
        if (status != c->status || strcmp(r.error.column, c->column) != 0 || !strstr(r.error.rule, c->rule))
            fail_msg("case %d, %s: %d: %s", (int)i, c->header, (int)status, r.error.message);
        assert_null(r.csv);
        assert_int_equal(r.error.line, status == LAPSE_BAD_INPUT ? 1 : 0);
        end(&r);
    }
    struct run r;
    begin(&r);
    char big[300];
    memset(big, 's', sizeof big);
    big[256] = '\0';
    r.source = big;
    assert_int_equal(open_csv(&r, "customer,time", 13), LAPSE_BAD_INPUT);
    assert_non_null(strstr(r.error.rule, "--source"));
    end(&r);
}

static void test_wide_headers(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        struct run r;
        begin(&r);
        r.options.flags = IGNORE;
        lapse_buffer_text(&r.out, "customer,time");
        for (int i = 0; i < 65533 + over; i++) {
            lapse_buffer_text(&r.out, ",c");
            put_number(&r, (int64_t)i * 7919 % 65537);
        }
        assert_int_equal(open_csv(&r, r.out.data, r.out.size), over ? LAPSE_BAD_INPUT : LAPSE_OK);
        if (over)
            assert_non_null(strstr(r.error.rule, "65535"));
        end(&r);
    }
}

static void test_fields_of_a_file(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    r.options.map = "amount=q*p";
    open_good(&r, "customer,time,q,p");
    assert_true(lapse_csv_has(r.csv, LAPSE_F_TIME) && lapse_csv_has(r.csv, LAPSE_F_AMOUNT));
    assert_false(lapse_csv_has(r.csv, LAPSE_F_KIND) || lapse_csv_has(r.csv, LAPSE_F_SOURCE));
    end(&r);
    begin(&r);
    r.options.flags = REFUND;
    open_good(&r, "customer,time,event_id");
    assert_true(lapse_csv_has(r.csv, LAPSE_F_KIND) && lapse_csv_has(r.csv, LAPSE_F_SOURCE));
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_files),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_rows_as_they_stood),
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_wide_headers),
        cmocka_unit_test(test_fields_of_a_file),
    };
    return cmocka_run_group_tests_name("event files", tests, NULL, NULL);
}
