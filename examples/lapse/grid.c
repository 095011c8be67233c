/* The table format: takes the CSV that the library writes and aligns its columns. A value looks as it does
 * there (rulings K13); columns may be left out. Rows are kept until a part is full, then printed; columns only ever grow wider, so a long answer streams in bounded memory. Row 0 of the
 * first part is the header. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

enum { PART_BYTES = 4 << 20, PART_CELLS = 1 << 18 };

struct grid {
    struct output *out;
    size_t columns;
    size_t *width;
    unsigned *look; /* GRID_ flags of each column */
    size_t last;    /* column that is shown */
    char *text;     /* cells, one after another */
    size_t used, room;
    size_t *ends; /* where each cell ends in `text` */
    size_t cells, ends_room;
    char *line; /* one cell as it is shown */
    size_t line_room;
    enum { PLAIN, QUOTED, QUOTE } state;
};

struct grid *grid_new(struct output *out, int columns)
{
    struct grid *grid = calloc(1, sizeof *grid);

    if (!grid)
        return NULL;
    grid->out = out;
    grid->columns = (size_t)columns;
    grid->width = calloc(grid->columns, sizeof *grid->width);
    grid->look = calloc(grid->columns, sizeof *grid->look);
    grid->last = grid->columns - 1;
    if (grid->width && grid->look)
        return grid;
    grid_free(grid);
    return NULL;
}

void grid_free(struct grid *grid)
{
    if (!grid)
        return;
    free(grid->width);
    free(grid->look);
    free(grid->text);
    free(grid->ends);
    free(grid->line);
    free(grid);
}

void grid_look(struct grid *grid, int column, unsigned look)
{
    grid->look[column] = look;
    for (size_t i = 0; i < grid->columns; i++)
        grid->last = grid->look[i] & GRID_HIDDEN ? grid->last : i;
}

static bool reserve(struct grid *grid, void *array, size_t *room, size_t need, size_t each)
{
    void **memory = array;
    size_t more = *room;
    void *larger;

    if (need <= more)
        return true;
    while (more < need)
        more = more ? 2 * more : 1024;
    larger = realloc(*memory, more * each);
    if (!larger) {
        grid->out->failed = ENOMEM;
        return false;
    }
    *memory = larger;
    *room = more;
    return true;
}

static bool pad(struct output *out, size_t n)
{
    static const char blanks[] = "                                ";

    for (; n > 0; n -= n < sizeof blanks - 1 ? n : sizeof blanks - 1) {
        if (output_write(out, blanks, (int64_t)(n < sizeof blanks - 1 ? n : sizeof blanks - 1)) != 0)
            return false;
    }
    return true;
}

static bool print(struct grid *grid)
{
    size_t from = 0;
    bool good = true;

    for (size_t i = 0; i < grid->cells; i++) {
        size_t *most = &grid->width[i % grid->columns];
        size_t wide;

        visible(grid->text + from, grid->ends[i] - from, NULL, &wide);
        *most = wide > *most ? wide : *most;
        from = grid->ends[i];
    }
    from = 0;
    for (size_t i = 0; good && i < grid->cells; i++) {
        size_t column = i % grid->columns;
        size_t size = grid->ends[i] - from;
        bool right = grid->look[column] & GRID_RIGHT;
        bool last = column == grid->last;
        size_t wide;

        if (!reserve(grid, &grid->line, &grid->line_room, 4 * size + 1, 1))
            return false;
        size = visible(grid->text + from, size, grid->line, &wide);
        wide = grid->width[column] - wide;
        if (!(grid->look[column] & GRID_HIDDEN))
            good = (!right || pad(grid->out, wide)) &&
                   output_write(grid->out, grid->line, (int64_t)size) == 0 &&
                   (right || last || pad(grid->out, wide)) &&
                   output_write(grid->out, last ? "\n" : "  ", last ? 1 : 2) == 0;
        from = grid->ends[i];
    }
    grid->used = grid->cells = 0;
    return good;
}

static bool end_cell(struct grid *grid)
{
    if (!reserve(grid, &grid->ends, &grid->ends_room, grid->cells + 1, sizeof *grid->ends))
        return false;
    grid->ends[grid->cells++] = grid->used;
    grid->state = PLAIN;
    if (grid->cells % grid->columns != 0 || (grid->used < PART_BYTES && grid->cells < PART_CELLS))
        return true;
    return print(grid);
}

int32_t grid_write(void *self, const char *csv, int64_t size)
{
    struct grid *grid = self;

    if (!reserve(grid, &grid->text, &grid->room, grid->used + (size_t)size, 1))
        return 1;
    for (int64_t i = 0; i < size; i++) {
        char c = csv[i];

        if (grid->state == QUOTED && c == '"') {
            grid->state = QUOTE;
            continue;
        }
        if (grid->state != QUOTED && (c == ',' || c == '\n')) {
            if (!end_cell(grid))
                return 1;
            continue;
        }
        if (c == '"' && grid->state == PLAIN) {
            grid->state = QUOTED;
            continue;
        }
        grid->state = grid->state == QUOTE ? QUOTED : grid->state; /* a doubled quote is one */
        grid->text[grid->used++] = c;
    }
    return 0;
}

int32_t grid_end(struct grid *grid)
{
    return !print(grid);
}
