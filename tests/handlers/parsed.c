#include "parsed.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void count_fields(GMimeObject *object, struct parsed *to)
{
    GMimeHeaderList *list = g_mime_object_get_header_list(object);
    int count = g_mime_header_list_get_count(list);
    for (int i = 0; i < count; i++) {
        GMimeHeader *field = g_mime_header_list_get_header_at(list, i);
        (void)g_mime_header_get_value(field);
        if (g_mime_header_get_offset(field) < 0)
            continue; /* added by GMime */
        to->header_fields++;
        to->header_octets += strlen(g_mime_header_get_raw_name(field)) + strlen(":") +
                             strlen(g_mime_header_get_raw_value(field));
    }
}

static uint64_t length(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

static void count_part(GMimeObject *part, uint64_t depth, struct parsed *to);

static void count_multipart(GMimeMultipart *multipart, uint64_t depth, struct parsed *to)
{
    to->between +=
        length(g_mime_multipart_get_prologue(multipart)) + length(g_mime_multipart_get_epilogue(multipart));
    int count = g_mime_multipart_get_count(multipart);
    for (int i = 0; i < count; i++)
        count_part(g_mime_multipart_get_part(multipart, i), depth + 1, to);
}

static void count_message(GMimeMessage *message, uint64_t depth, struct parsed *to)
{
    count_fields(GMIME_OBJECT(message), to);
    count_part(g_mime_message_get_mime_part(message), depth, to);
}

static void count_part(GMimeObject *part, uint64_t depth, struct parsed *to)
{
    if (part == NULL)
        return;
    to->parts++;
    to->depth = MAX(to->depth, depth);
    count_fields(part, to);
    if (GMIME_IS_MULTIPART(part))
        count_multipart(GMIME_MULTIPART(part), depth, to);
    else if (GMIME_IS_MESSAGE_PART(part) && g_mime_message_part_get_message(GMIME_MESSAGE_PART(part)) != NULL)
        count_message(g_mime_message_part_get_message(GMIME_MESSAGE_PART(part)), depth + 1, to);
}

void parse_all(struct slice message, struct parsed *ret)
{
    g_mime_init();
    GMimeStream *stream = g_mime_stream_mem_new();
    g_autoptr(GByteArray) octets = g_byte_array_sized_new((guint)message.len);
    g_byte_array_append(octets, message.data, (guint)message.len);
    g_mime_stream_mem_set_byte_array(GMIME_STREAM_MEM(stream), octets);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    GMimeMessage *parsed = g_mime_parser_construct_message(parser, NULL);
    *ret = (struct parsed){ .is_message = parsed != NULL };
    if (parsed != NULL) {
        count_message(parsed, 0, ret);
        g_object_unref(parsed);
    }
    g_object_unref(parser);
    g_object_unref(stream);
}

static void confine(int resource, rlim_t most)
{
    struct rlimit limit = { most, most };
    if (setrlimit(resource, &limit) < 0)
        _exit(EXIT_FAILURE);
}

int parse_confined(struct slice message, size_t address_space)
{
    pid_t child = fork();
    if (child == 0) {
        struct parsed parsed;
        confine(RLIMIT_CORE, 0);
        confine(RLIMIT_STACK, 8 << 20);
        confine(RLIMIT_CPU, 20);
        confine(RLIMIT_AS, address_space);
        parse_all(message, &parsed);
        _exit(EXIT_SUCCESS);
    }
    int status;
    return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}
