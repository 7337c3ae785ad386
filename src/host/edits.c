#include "host/edits.h"

#include <errno.h>
#include <string.h>

#include "handlers/wire.h"
#include "host/field.h"

enum { BEGIN_FIRST = 64 << 10 }; /* octets of a file, in which most header sections lie */

void edits_init(struct edits *e, const struct content *content)
{
    *e = (struct edits){ .content = content };
}

void edits_clear(struct edits *e)
{
    g_clear_pointer(&e->added, g_ptr_array_unref);
    g_clear_pointer(&e->owned, g_ptr_array_unref);
    g_clear_pointer(&e->fields, g_array_unref);
    g_clear_pointer(&e->begin, g_byte_array_unref);
}

/* Reads as much of the message as its header section is long. */
static int find_fields(struct edits *e)
{
    if (e->fields != NULL)
        return 0;
    g_autoptr(GArray) fields = g_array_new(FALSE, FALSE, sizeof(struct field));
    g_autoptr(GByteArray) buffer = g_byte_array_new();
    struct slice begin;
    bool found = false;
    for (size_t len = BEGIN_FIRST; !found; len *= 2) {
        int r = len > WIRE_FRAME_MAX ? -EMSGSIZE : content_begin(e->content, len, buffer, &begin);
        if (r < 0)
            return r;
        found = fields_find(begin, begin.len == e->content->size, fields, &e->len);
    }
    size_t of_fields = 0;
    for (guint i = 0; i < fields->len; i++)
        of_fields += g_array_index(fields, struct field, i).octets.len;
    e->blank = slice_skip(slice_first(begin, e->len), of_fields);
    e->begin = g_steal_pointer(&buffer);
    e->fields = g_steal_pointer(&fields);
    return 0;
}

void edits_add(struct edits *e, char *take_text)
{
    if (e->added == NULL)
        e->added = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(e->added, take_text);
}

static bool has_name(const char *text, const char *name)
{
    size_t len = strlen(name);
    return g_ascii_strncasecmp(text, name, len) == 0 && text[len] == ':';
}

/* Of those that handlers have added, the newest, which is the first in the message, gets `text`, unless that
 * is NULL; the others go. */
static int change_added(struct edits *e, const char *name, const char *text)
{
    int count = 0;
    for (guint i = e->added != NULL ? e->added->len : 0; i-- > 0;) {
        char *added = g_ptr_array_index(e->added, i);
        if (!has_name(added, name))
            continue;
        if (count++ == 0 && text != NULL) {
            g_ptr_array_index(e->added, i) = g_strdup(text);
            g_free(added);
        } else {
            g_ptr_array_remove_index(e->added, i);
        }
    }
    return count;
}

/* The same with the message's own. A field of no octets is one that went. */
static int change_own(struct edits *e, const char *name, const char *text)
{
    int count = 0;
    for (guint i = 0; i < e->fields->len; i++) {
        struct field *field = &g_array_index(e->fields, struct field, i);
        if (field->octets.len == 0 || !slice_equal_nocase(field->name, name))
            continue;
        e->is_changed = true;
        field->octets = count++ == 0 && text != NULL ? slice_str(text) : slice_of(NULL, 0);
    }
    return count;
}

int edits_remove(struct edits *e, const char *name)
{
    int r = find_fields(e);
    if (r < 0)
        return r;
    int count = change_added(e, name, NULL);
    return count + change_own(e, name, NULL);
}

int edits_replace(struct edits *e, const char *name, char *take_text)
{
    if (e->owned == NULL)
        e->owned = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(e->owned, take_text);
    int r = find_fields(e);
    if (r < 0)
        return r;
    int count = change_added(e, name, take_text);
    count += change_own(e, name, count == 0 ? take_text : NULL);
    if (count == 0)
        edits_add(e, g_strdup(take_text));
    return count;
}

void edits_result(const struct edits *e, GByteArray *front, size_t *ret_skip)
{
    for (guint i = e->added != NULL ? e->added->len : 0; i-- > 0;) {
        const char *added = g_ptr_array_index(e->added, i);
        g_byte_array_append(front, (const guint8 *)added, (guint)strlen(added));
    }
    *ret_skip = 0;
    if (!e->is_changed)
        return;
    for (guint i = 0; i < e->fields->len; i++) {
        struct slice octets = g_array_index(e->fields, struct field, i).octets;
        g_byte_array_append(front, octets.data, (guint)octets.len);
    }
    g_byte_array_append(front, e->blank.data, (guint)e->blank.len);
    *ret_skip = e->len;
}
