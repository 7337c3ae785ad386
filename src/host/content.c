#include "host/content.h"

#include <errno.h>
#include <unistd.h>

GMimeStream *content_stream(const struct content *c, GByteArray *borrowed)
{
    if (c->fd < 0) {
        *borrowed = (GByteArray){ .data = (guint8 *)c->octets.data, .len = (guint)c->octets.len };
        GMimeStream *memory = g_mime_stream_mem_new_with_byte_array(borrowed);
        g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(memory), FALSE);
        return memory;
    }
    GMimeStream *stream =
        g_mime_stream_fs_new_with_bounds(c->fd, (gint64)c->offset, (gint64)(c->offset + c->size));
    if (stream != NULL)
        g_mime_stream_fs_set_owner(GMIME_STREAM_FS(stream), FALSE);
    return stream;
}

int content_begin(const struct content *c, size_t len, GByteArray *buffer, struct slice *ret_begin)
{
    if (c->fd < 0) {
        *ret_begin = slice_first(c->octets, len);
        return 0;
    }
    len = MIN(len, c->size);
    while (buffer->len < len) {
        guint done = buffer->len;
        g_byte_array_set_size(buffer, (guint)len);
        ssize_t n = pread(c->fd, buffer->data + done, len - done, (off_t)(c->offset + done));
        int problem = errno;
        g_byte_array_set_size(buffer, done + (guint)MAX(n, 0));
        if (n == 0)
            return -EIO; /* it was to be longer */
        if (n < 0 && problem != EINTR)
            return -problem;
    }
    *ret_begin = slice_of(buffer->data, len);
    return 0;
}
