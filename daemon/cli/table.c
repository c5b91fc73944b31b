/* Tables for people: as wide as they must be, no wider than the terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cli.h"

#define GAP 2
#define LEAST_COLUMN 4

size_t cli_width(const char *text)
{
    mbstate_t state = { 0 };
    size_t width = 0, left = strlen(text);

    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, left, &state);
        int columns;

        if (n == 0 || n > left)   /* not a character in this locale: a byte takes a column */
            return width + left;
        columns = wcwidth(c);
        width += columns > 0 ? (size_t)columns : 0;
        text += n;
        left -= n;
    }
    return width;
}

void cli_table_init(struct cli_table *table, const char *const *titles, size_t columns)
{
    *table = (struct cli_table) { .columns = columns, .titles = titles };
}

void cli_table_add(struct cli_table *t, const char *const *cells, const char *const *colors)
{
    if (t->rows == t->cap) {
        t->cap = t->cap == 0 ? 16 : t->cap * 2;
        t->cells = reallocarray(t->cells, t->cap * t->columns, sizeof *t->cells);
        t->colors = reallocarray(t->colors, t->cap * t->columns, sizeof *t->colors);
        if (t->cells == NULL || t->colors == NULL)
            abort();
    }
    for (size_t i = 0; i < t->columns; i++) {
        struct buf shown = { 0 };

        cli_text(&shown, cells[i]);
        t->cells[t->rows * t->columns + i] = shown.len > 0 ? buf_take(&shown) : strdup("");
        t->colors[t->rows * t->columns + i] = colors != NULL && colors[i] != NULL ? colors[i] : "";
        buf_close(&shown);
    }
    t->rows++;
}

/* The column to take from next, or `columns` when none can give any more. */
static size_t column_to_cut(const struct cli_table *t, const size_t widths[CLI_COLUMNS_MAX], unsigned among)
{
    size_t widest = t->columns;

    for (size_t c = 0; c < t->columns; c++) {
        if ((among & (1u << c)) != 0 && widths[c] > LEAST_COLUMN && (widest == t->columns || widths[c] > widths[widest]))
            widest = c;
    }
    return widest;
}

static void measure(const struct cli *cli, const struct cli_table *t, size_t widths[CLI_COLUMNS_MAX])
{
    size_t total = 0;

    for (size_t c = 0; c < t->columns; c++) {
        widths[c] = cli_width(t->titles[c]);
        for (size_t r = 0; r < t->rows; r++) {
            size_t w = cli_width(t->cells[r * t->columns + c]);

            widths[c] = w > widths[c] ? w : widths[c];
        }
        total += widths[c] + (c > 0 ? GAP : 0);
    }
    while (cli->columns > 0 && total > (size_t)cli->columns) {
        size_t c = column_to_cut(t, widths, t->yielding);

        if (c == t->columns)
            c = column_to_cut(t, widths, ~t->whole);
        if (c == t->columns)
            return;
        widths[c]--;
        total--;
    }
}

/* Prints at most `width` columns of a text; what is cut ends in "…". */
static void print_cell(const char *text, size_t width, bool last)
{
    size_t wide = cli_width(text), shown = 0;
    mbstate_t state = { 0 };

    if (wide <= width) {
        (void)fputs(text, stdout);
        shown = wide;
    } else {
        while (true) {
            wchar_t c;
            size_t n = mbrtowc(&c, text, strlen(text), &state);
            int columns = n != 0 && n <= strlen(text) ? wcwidth(c) : 1;

            n = n != 0 && n <= strlen(text) ? n : 1;
            if (shown + (size_t)(columns > 0 ? columns : 0) + 1 > width)
                break;
            (void)fwrite(text, 1, n, stdout);
            shown += (size_t)(columns > 0 ? columns : 0);
            text += n;
        }
        (void)fputs("…", stdout);
        shown++;
    }
    for (; !last && shown < width + GAP; shown++)
        (void)putchar(' ');
}

void cli_table_print(const struct cli *cli, struct cli_table *t)
{
    size_t widths[CLI_COLUMNS_MAX];

    measure(cli, t, widths);
    for (size_t c = 0; c < t->columns; c++) {
        (void)fputs(cli->color ? "\033[1m" : "", stdout);
        print_cell(t->titles[c], widths[c], c + 1 == t->columns);
        (void)fputs(cli->color ? "\033[0m" : "", stdout);
    }
    (void)putchar('\n');
    for (size_t r = 0; r < t->rows; r++) {
        size_t last = t->columns - 1;

        while (last > 0 && t->cells[r * t->columns + last][0] == '\0')
            last--;
        for (size_t c = 0; c < t->columns; c++) {
            const char *color = t->colors[r * t->columns + c];

            (void)fputs(color, stdout);
            print_cell(t->cells[r * t->columns + c], widths[c], c >= last);
            (void)fputs(color[0] != '\0' ? "\033[0m" : "", stdout);
            free(t->cells[r * t->columns + c]);
        }
        (void)putchar('\n');
    }
    free(t->cells);
    free(t->colors);
}
