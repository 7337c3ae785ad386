#include "host/message.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/field.h"

int message_init(struct message *m, int scratch)
{
    *m = (struct message){ .descriptor = -1, .scratch = scratch };
    m->copy = memfd_create("message", MFD_CLOEXEC);
    if (m->copy < 0)
        return -errno;
    m->parser = g_mime_parser_new();
    m->former = g_ptr_array_new_with_free_func(g_object_unref);
    return 0;
}

int message_begin(struct message *m, const struct wire_message *from, int take_fd)
{
    m->descriptor = take_fd;
    edits_init(&m->edits, &m->content);
    m->original = (struct content){ .octets = from->octets, .fd = -1, .size = from->octets.len };
    if (!from->in_frame) {
        struct stat status;
        if (take_fd < 0 || fstat(take_fd, &status) < 0 || from->offset > (uint64_t)status.st_size ||
            from->size > (uint64_t)status.st_size - from->offset)
            return -EBADMSG;
        m->original = (struct content){ .fd = take_fd, .offset = from->offset, .size = from->size };
    }
    m->content = m->original;
    m->is_binary = g_ascii_strcasecmp(from->body, "BINARYMIME") == 0;
    return 0;
}

/* ---- parsing ---- */

static GMimeMessage *without_fields(GMimeStream *stream)
{
    GMimeMessage *message = g_mime_message_new(FALSE);
    GMimePart *part = g_mime_part_new_with_type("text", "plain");
    GMimeDataWrapper *content = g_mime_data_wrapper_new_with_stream(stream, GMIME_CONTENT_ENCODING_DEFAULT);
    g_mime_part_set_content(part, content);
    g_mime_message_set_mime_part(message, GMIME_OBJECT(part));
    g_object_unref(content);
    g_object_unref(part);
    return message;
}

void message_parse(struct message *m)
{
    GMimeStream *stream = content_stream(&m->content, &m->borrowed);
    g_mime_parser_init_with_stream(m->parser, stream);
    g_mime_parser_set_persist_stream(m->parser, TRUE); /* parts stay where they are */
    m->mime = g_mime_parser_construct_message(m->parser, NULL);
    if (m->mime == NULL) {
        (void)g_mime_stream_reset(stream);
        m->mime = without_fields(stream);
    }
    g_object_unref(stream);
}

void message_turned(struct message *m)
{
    g_ptr_array_set_size(m->former, 0);
}

void message_end(struct message *m)
{
    message_turned(m);
    g_clear_object(&m->mime);
    edits_clear(&m->edits);
    auto_fd_close(&m->descriptor);
    m->descriptor = -1;
    m->is_copied = false;
    m->scratch_size = 0;
}

/* ---- header fields ---- */

/* GMime keeps the fields that tell of the content with the part, and all others with the message. */
static GMimeHeaderList *list_of(struct message *m, const char *name)
{
    GMimeObject *part = g_mime_message_get_mime_part(m->mime);
    bool is_of_part = part != NULL && g_ascii_strncasecmp(name, "Content-", strlen("Content-")) == 0;
    return g_mime_object_get_header_list(is_of_part ? part : GMIME_OBJECT(m->mime));
}

static void set_text(GMimeHeader *header, const char *name, const char *text)
{
    g_mime_header_set_raw_value(header, text + strlen(name) + 1);
}

static void prepend(GMimeHeaderList *list, const char *name, const char *text)
{
    g_mime_header_list_prepend(list, name, "", NULL);
    set_text(g_mime_header_list_get_header_at(list, 0), name, text);
}

/* All of that name but the first `keep`; the first one, if there is one. */
static GMimeHeader *leave(GMimeHeaderList *list, const char *name, int keep)
{
    GMimeHeader *first = NULL;
    for (int i = 0; i < g_mime_header_list_get_count(list); i++) {
        GMimeHeader *header = g_mime_header_list_get_header_at(list, i);
        if (g_ascii_strcasecmp(g_mime_header_get_name(header), name) != 0)
            continue;
        if (keep > 0 && first == NULL)
            first = header;
        else
            g_mime_header_list_remove_at(list, i--);
    }
    return first;
}

static int make(const char *name, const char *value, char **ret_text, const char **ret_why)
{
    *ret_why = "that is no name of a header field";
    if (name == NULL || !field_name_is_valid(name))
        return -EINVAL;
    *ret_why = "the value is NULL";
    if (value == NULL)
        return -EINVAL;
    *ret_text = field_make(name, value, ret_why);
    return *ret_text != NULL ? 0 : -EINVAL;
}

int message_add_header(struct message *m, const char *name, const char *value, const char **ret_why)
{
    char *text;
    int r = make(name, value, &text, ret_why);
    if (r < 0)
        return r;
    prepend(list_of(m, name), name, text);
    edits_add(&m->edits, text);
    return 0;
}

int message_remove_header(struct message *m, const char *name, const char **ret_why)
{
    *ret_why = "that is no name of a header field";
    if (name == NULL || !field_name_is_valid(name))
        return -EINVAL;
    *ret_why = "the header cannot be read";
    int r = edits_remove(&m->edits, name);
    if (r >= 0)
        (void)leave(list_of(m, name), name, 0);
    return r;
}

int message_replace_header(struct message *m, const char *name, const char *value, const char **ret_why)
{
    char *made;
    int r = make(name, value, &made, ret_why);
    if (r < 0)
        return r;
    g_autofree char *text = made;
    *ret_why = "the header cannot be read";
    r = edits_replace(&m->edits, name, g_strdup(text));
    if (r < 0)
        return r;
    GMimeHeaderList *list = list_of(m, name);
    GMimeHeader *first = leave(list, name, 1);
    if (first != NULL)
        set_text(first, name, text);
    else
        prepend(list, name, text);
    return 0;
}

/* ---- replacing all of it ---- */

/*
 * Writes behind what the scratch file holds: a message that a handler replaced before is there, and parts of
 * it are read while they are written.
 */
static GMimeStream *scratch_stream(const struct message *m)
{
    GMimeStream *file = g_mime_stream_fs_new_with_bounds(m->scratch, (gint64)m->scratch_size, -1);
    g_mime_stream_fs_set_owner(GMIME_STREAM_FS(file), FALSE);
    GMimeStream *buffered = g_mime_stream_buffer_new(file, GMIME_STREAM_BUFFER_BLOCK_WRITE);
    g_object_unref(file);
    return buffered;
}

/* LF ends lines in message files. */
static GMimeStream *with_unix_lines(GMimeStream *to)
{
    GMimeStream *filtered = g_mime_stream_filter_new(to);
    GMimeFilter *filter = g_mime_filter_dos2unix_new(FALSE);
    (void)g_mime_stream_filter_add(GMIME_STREAM_FILTER(filtered), filter);
    g_object_unref(filter);
    return filtered;
}

/* The scratch file has it: it is what the next handlers, and further edits, are about. */
static void take_replaced(struct message *m, uint64_t end)
{
    edits_clear(&m->edits);
    m->content =
        (struct content){ .fd = m->scratch, .offset = m->scratch_size, .size = end - m->scratch_size };
    m->scratch_size = end;
    edits_init(&m->edits, &m->content);
    g_ptr_array_add(m->former, m->mime);
    message_parse(m);
}

/* One of the two is NULL. */
static bool write_either(GMimeMessage *message, GMimeStream *from, GMimeStream *to)
{
    gint64 written = message != NULL ? g_mime_object_write_to_stream(GMIME_OBJECT(message), NULL, to)
                                     : g_mime_stream_write_to_stream(from, to);
    return written >= 0 && g_mime_stream_flush(to) == 0;
}

/* Filters hide what became of their writes: what was to be written is compared with what is there. */
static int write_scratch(struct message *m, GMimeMessage *with, GMimeStream *from, uint64_t *ret_end)
{
    if (ftruncate(m->scratch, (off_t)m->scratch_size) < 0)
        return -errno;
    errno = 0;
    GMimeStream *file = scratch_stream(m);
    GMimeStream *lines = m->is_binary ? g_object_ref(file) : with_unix_lines(file);
    struct stat status;
    bool is_written = write_either(with, from, lines) && g_mime_stream_flush(file) == 0 &&
                      fstat(m->scratch, &status) == 0 && status.st_size == g_mime_stream_tell(file);
    int problem = errno != 0 ? errno : EIO;
    g_object_unref(lines);
    g_object_unref(file);
    if (!is_written)
        return -problem;
    *ret_end = (uint64_t)status.st_size;
    return 0;
}

static int replace(struct message *m, GMimeMessage *with, GMimeStream *from, const char **ret_why)
{
    *ret_why = "the new message cannot be written";
    uint64_t end;
    int r = write_scratch(m, with, from, &end);
    if (r == 0)
        take_replaced(m, end);
    return r;
}

int message_replace(struct message *m, GMimeMessage *with, const char **ret_why)
{
    *ret_why = "that is no message";
    return GMIME_IS_MESSAGE(with) ? replace(m, with, NULL, ret_why) : -EINVAL;
}

int message_replace_raw(struct message *m, int fd, const char **ret_why)
{
    struct stat status;
    *ret_why = "that is no file";
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    GMimeStream *from = g_mime_stream_fs_new_with_bounds(fd, 0, -1);
    g_mime_stream_fs_set_owner(GMIME_STREAM_FS(from), FALSE);
    int r = replace(m, NULL, from, ret_why);
    g_object_unref(from);
    return r;
}

/* ---- what came ---- */

static int copy_original(struct message *m)
{
    if (ftruncate(m->copy, 0) < 0)
        return -errno;
    struct slice left = m->original.octets;
    for (off_t at = 0; left.len > 0;) {
        ssize_t n = pwrite(m->copy, left.data, left.len, at);
        if (n < 0 && errno != EINTR)
            return -errno;
        left = slice_skip(left, (size_t)MAX(n, 0));
        at += MAX(n, 0);
    }
    m->is_copied = true;
    return 0;
}

int message_raw(struct message *m, uint64_t *ret_offset)
{
    int fd = m->original.fd;
    if (fd < 0) {
        int r = m->is_copied ? 0 : copy_original(m);
        if (r < 0)
            return r;
        fd = m->copy;
    }
    if (lseek(fd, (off_t)m->original.offset, SEEK_SET) < 0)
        return -errno;
    if (ret_offset != NULL)
        *ret_offset = m->original.offset;
    return fd;
}

/* ---- what it comes to ---- */

/* The last of several that were written behind one another, to where the worker looks for it. */
static int move_down(struct message *m)
{
    char buffer[64 << 10];
    uint64_t done = 0;
    while (m->content.offset > 0 && done < m->content.size) {
        size_t len = MIN(sizeof buffer, m->content.size - done);
        ssize_t n = pread(m->scratch, buffer, len, (off_t)(m->content.offset + done));
        if (n > 0)
            n = pwrite(m->scratch, buffer, (size_t)n, (off_t)done);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (uint64_t)n;
    }
    return 0;
}

int message_result(struct message *m, GByteArray *front, struct wire_verdict *verdict)
{
    size_t skip;
    edits_result(&m->edits, front, &skip);
    verdict->front = slice_of(front->data, front->len);
    verdict->skip = skip;
    verdict->replaced = m->content.fd == m->scratch;
    verdict->replaced_size = verdict->replaced ? m->content.size : 0;
    return verdict->replaced ? move_down(m) : 0;
}
