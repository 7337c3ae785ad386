#include "host/parts.h"

#include <errno.h>

#include "host/decoded.h"
#include "host/header_text.h"
#include "host/parameter.h"

/* One that has parts, and which of them is next. */
struct level {
    GMimeObject *object;
    int next;
    unsigned depth; /* of its parts */
};

struct parts {
    postern_parts public;
    GMimeMessage *message;
    GArray *levels;
    char *name, *type;
};

static void parts_enter(struct parts *p, GMimeObject *object, unsigned depth)
{
    g_array_append_val(p->levels, ((struct level){ .object = object, .depth = depth }));
}

postern_parts *host_parts_new(GMimeMessage *message, const postern_functions *functions)
{
    struct parts *p = g_new0(struct parts, 1);
    p->public.functions = functions;
    p->message = g_object_ref(message);
    p->levels = g_array_new(FALSE, FALSE, sizeof(struct level));
    parts_enter(p, GMIME_OBJECT(message), 0);
    return &p->public;
}

void host_parts_free(postern_parts *parts)
{
    if (parts == NULL)
        return;
    struct parts *p = (struct parts *)parts;
    g_free(p->name);
    g_free(p->type);
    g_array_free(p->levels, TRUE);
    g_object_unref(p->message);
    g_free(p);
}

/* NULL: there are not so many. */
static GMimeObject *get_child(GMimeObject *object, int index)
{
    if (GMIME_IS_MULTIPART(object)) {
        GMimeMultipart *multipart = GMIME_MULTIPART(object);
        return index < g_mime_multipart_get_count(multipart) ? g_mime_multipart_get_part(multipart, index)
                                                             : NULL;
    }
    if (index > 0)
        return NULL;
    if (GMIME_IS_MESSAGE_PART(object))
        return (GMimeObject *)g_mime_message_part_get_message(GMIME_MESSAGE_PART(object));
    return GMIME_IS_MESSAGE(object) ? g_mime_message_get_mime_part(GMIME_MESSAGE(object)) : NULL;
}

static GMimeObject *next_leaf(struct parts *p, unsigned *ret_depth)
{
    while (p->levels->len > 0) {
        struct level *level = &g_array_index(p->levels, struct level, p->levels->len - 1);
        unsigned depth = level->depth;
        GMimeObject *child = get_child(level->object, level->next++);
        if (child == NULL) {
            g_array_set_size(p->levels, p->levels->len - 1);
        } else if (GMIME_IS_MESSAGE(child)) {
            parts_enter(p, child, depth); /* the part that holds it counted already */
        } else if (get_child(child, 0) != NULL) {
            parts_enter(p, child, depth + 1);
        } else {
            *ret_depth = depth;
            return child;
        }
    }
    return NULL;
}

static char *find_name(GMimeObject *object)
{
    const char *disposition = host_header_raw(object, "Content-Disposition");
    char *name = disposition != NULL ? host_parameter(disposition, "filename") : NULL;
    if (name != NULL)
        return name;
    const char *type = host_header_raw(object, "Content-Type");
    return type != NULL ? host_parameter(type, "name") : NULL;
}

static char *find_type(GMimeObject *object)
{
    g_autofree char *type = g_mime_content_type_get_mime_type(g_mime_object_get_content_type(object));
    return g_ascii_strdown(type, -1);
}

int host_parts_next(postern_parts *parts, postern_part *ret_part)
{
    struct parts *p = (struct parts *)parts;
    unsigned depth = 0;
    GMimeObject *object = next_leaf(p, &depth);
    if (object == NULL)
        return 0;
    g_free(p->name);
    g_free(p->type);
    p->name = find_name(object);
    p->type = find_type(object);
    *ret_part = (postern_part){ .object = object, .name = p->name, .type = p->type, .depth = depth };
    return 1;
}

/* What is in a multipart without parts: its boundary never came, or it has none. */
static GMimeStream *open_text(GMimeMultipart *multipart)
{
    const char *text = g_mime_multipart_get_prologue(multipart);
    return text != NULL ? g_mime_stream_mem_new_with_buffer(text, strlen(text)) : NULL;
}

GMimeStream *host_part_open(const postern_part *part)
{
    if (GMIME_IS_MULTIPART(part->object))
        return open_text(GMIME_MULTIPART(part->object));
    GMimeDataWrapper *content =
        GMIME_IS_PART(part->object) ? g_mime_part_get_content(GMIME_PART(part->object)) : NULL;
    GMimeStream *stored = content != NULL ? g_mime_data_wrapper_get_stream(content) : NULL;
    if (stored == NULL)
        return NULL;
    /* One with a position of its own over the message's. */
    GMimeStream *own = g_mime_stream_substream(stored, stored->bound_start, stored->bound_end);
    return host_decoded_new(own, g_mime_data_wrapper_get_encoding(content));
}

int64_t host_part_size(const postern_part *part)
{
    GMimeStream *content = host_part_open(part);
    if (content == NULL)
        return 0;
    int64_t size = 0;
    if (GMIME_IS_STREAM_FILTER(content)) {
        GMimeStream *nowhere = g_mime_stream_null_new();
        size = g_mime_stream_write_to_stream(content, nowhere);
        g_object_unref(nowhere);
    } else {
        size = g_mime_stream_length(content);
    }
    g_object_unref(content);
    return size >= 0 ? size : -EIO;
}
