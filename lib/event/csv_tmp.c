#include "event/csv.h"
void lapse_csv_work_init(struct lapse_csv_work *w, const lapse_allocator *mem)
{ lapse_rows_init(&w->rows, mem); lapse_buffer_init(&w->scratch, mem); }
void lapse_csv_work_free(struct lapse_csv_work *w) { lapse_rows_free(&w->rows); lapse_buffer_free(&w->scratch); }
void lapse_csv_constants(const struct lapse_csv *csv, struct lapse_columns *out)
{
    static const uint32_t zero = 0; static uint8_t len; 
    memset(out, 0, sizeof *out);
    uint32_t k = LAPSE_FIELD_BIT(LAPSE_F_KIND), s = LAPSE_FIELD_BIT(LAPSE_F_SOURCE);
    if (!lapse_csv_has(csv, LAPSE_F_KIND)) { out->fields |= k; out->name[LAPSE_F_KIND] = &csv->kind; }
    if (!lapse_csv_has(csv, LAPSE_F_SOURCE) && csv->source.size) { out->fields |= s; len = (uint8_t)csv->source.size;
        out->text[LAPSE_F_SOURCE] = (struct lapse_text_column){ csv->source.data, &zero, &len, NULL }; }
    out->constant = out->fields;
}
struct tmp { const struct lapse_csv *csv; struct lapse_csv_work *w; const struct lapse_csv_sink *sink; };
static int give(struct tmp *t)
{
    struct lapse_columns c; lapse_rows_columns(&t->w->rows, &c);
    int r = t->w->rows.count ? t->sink->rows(t->sink->self, &c, t->w->rows.count) : 0;
    lapse_rows_clear(&t->w->rows);
    return r;
}
static int row(void *self, const struct lapse_row *r, int64_t line, struct lapse_text raw)
{
    struct tmp *t = self;
    static const uint32_t zero = 0;
    struct lapse_columns c = { 0 };
    uint8_t len[LAPSE_COLUMNS];
    if (t->sink->row) { int x = t->sink->row(t->sink->self, line, raw, r->text[LAPSE_F_EVENT_ID]); if (x) return x; }
    for (int f = 0; f < LAPSE_COLUMNS; f++) {
        if (f < LAPSE_FIELDS && !lapse_csv_has(t->csv, (enum lapse_field)f)) continue;
        if (f == LAPSE_F_LINE && !lapse_csv_has(t->csv, LAPSE_F_EVENT_ID)) continue;
        c.fields |= LAPSE_FIELD_BIT(f);
        if (lapse_column_class(f) == LAPSE_CLASS_NUMBER) c.number[f] = f == LAPSE_F_LINE ? &line : &r->number[f];
        else if (lapse_column_class(f) == LAPSE_CLASS_NAME) c.name[f] = &r->name[f];
        else { struct lapse_text x = f == LAPSE_F_CUSTOMER ? r->customer : r->text[f]; len[f] = (uint8_t)x.size;
            c.text[f] = (struct lapse_text_column){ x.data, &zero, &len[f], NULL }; }
    }
    if (!lapse_rows_gather(&t->w->rows, &c, UINT32_MAX, NULL, 0, 1)) { t->w->scratch.failed = true; return LAPSE_NO_MEMORY; }
    return t->w->rows.count == 16384 ? give(t) : 0;
}
static int bad(void *self, const struct lapse_csv_fault *f) { struct tmp *t = self; return t->sink->bad(t->sink->self, f); }
int lapse_csv_parse(const struct lapse_csv *csv, struct lapse_csv_work *work, const char *text, size_t n,
                    int64_t line, const struct lapse_csv_sink *sink, int64_t *rows)
{
    struct tmp t = { csv, work, sink };
    struct lapse_csv_oldsink s = { &t, row, bad };
    lapse_rows_clear(&work->rows);
    int r = lapse_csv_oldparse(csv, &work->scratch, text, n, line, &s, rows);
    return r ? r : give(&t);
}
