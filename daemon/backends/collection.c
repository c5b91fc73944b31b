/* What the collections of all backends have in common: their notes. */
#include "belfry/backends/backend.h"
#include "belfry/base/buf.h"
#include "belfry/base/text.h"

/* At a character's border. */
static size_t note_length(const struct buf *text)
{
    size_t len = text->len < NOTE_BYTES ? text->len : NOTE_BYTES;

    while (len > 0 && len < text->len && ((unsigned char)text->data[len] & 0xC0) == 0x80)
        len--;
    return len;
}

void collection_note(struct collection *c, const char *format, va_list ap)
{
    struct buf text = { 0 }, shown = { 0 };

    if (json_array_size(c->notes) >= NOTES_MAX) {
        c->notes_over++;
        return;
    }
    buf_vaddf(&text, format, ap);
    text_printable(buf_str(&text), text.len, &shown);   /* it names files of the run's */
    (void)json_array_append_new(c->notes, json_stringn(buf_str(&shown), note_length(&shown)));
    buf_close(&text);
    buf_close(&shown);
}
