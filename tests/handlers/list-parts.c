/*
 * What a host makes of messages, for test_corpus.py to compare. For each file that is named, lines of
 *     file PATH
 *     field NAME TEXT                       each header field of each level, in the order of the file, but
 *                                           those of a message before the Content-* fields of its content
 *     part DEPTH TYPE NAME SIZE SHA256      each leaf; NAME: "-" for none
 * Texts and names are in hexadecimal digits, after a "x".
 */
#include <fcntl.h>
#include <glib.h>
#include <gmime/gmime.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/auto.h"
#include "host/header_text.h"
#include "host/parts.h"

static void print_hex(const char *text)
{
    putchar('x');
    for (const char *p = text; *p != '\0'; p++)
        printf("%02x", (unsigned char)*p);
}

static void print_fields(GMimeObject *object)
{
    GMimeHeaderList *fields = g_mime_object_get_header_list(object);
    for (int i = 0; i < g_mime_header_list_get_count(fields); i++) {
        GMimeHeader *field = g_mime_header_list_get_header_at(fields, i);
        const char *name = g_mime_header_get_name(field);
        /* What handlers call knows the first of each name. */
        bool first = g_mime_header_list_get_header(fields, name) == field;
        g_autofree char *text =
            first ? host_header_text(object, name) : host_header_decode(g_mime_header_get_raw_value(field));
        printf("field ");
        print_hex(name);
        putchar(' ');
        print_hex(text);
        putchar('\n');
    }
}

static void print_all_fields(GMimeObject *object)
{
    if (object == NULL)
        return;
    print_fields(object);
    if (GMIME_IS_MESSAGE(object))
        print_all_fields(g_mime_message_get_mime_part(GMIME_MESSAGE(object)));
    else if (GMIME_IS_MESSAGE_PART(object))
        print_all_fields((GMimeObject *)g_mime_message_part_get_message(GMIME_MESSAGE_PART(object)));
    else if (GMIME_IS_MULTIPART(object))
        for (int i = 0; i < g_mime_multipart_get_count(GMIME_MULTIPART(object)); i++)
            print_all_fields(g_mime_multipart_get_part(GMIME_MULTIPART(object), i));
}

static void print_part(const postern_part *part)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    GMimeStream *content = host_part_open(part);
    uint8_t octets[1000]; /* which is no multiple of what decoders take */
    for (ssize_t len;
         content != NULL && (len = g_mime_stream_read(content, (char *)octets, sizeof octets)) > 0;)
        g_checksum_update(checksum, octets, len);
    g_clear_object(&content);
    printf("part %u %s ", part->depth, part->type);
    if (part->name != NULL)
        print_hex(part->name);
    else
        putchar('-');
    printf(" %lld %s\n", (long long)host_part_size(part), g_checksum_get_string(checksum));
}

static bool list_file(const char *path)
{
    static const postern_functions functions = { .parts_next = host_parts_next,
                                                 .parts_free = host_parts_free };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        perror(path);
        return false;
    }
    GMimeStream *stream = g_mime_stream_fs_new(fd);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    g_mime_parser_set_persist_stream(parser, TRUE);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    g_object_unref(parser);
    g_object_unref(stream);
    printf("file %s\n", path);
    if (message == NULL)
        return true;
    print_all_fields(GMIME_OBJECT(message));
    postern_parts *parts = host_parts_new(message, &functions);
    for (postern_part part; postern_parts_next(parts, &part);)
        print_part(&part);
    postern_parts_free(parts);
    g_object_unref(message);
    return true;
}

int main(int argc, char **argv)
{
    g_mime_init();
    bool all = true;
    for (int i = 1; i < argc; i++)
        all = list_file(argv[i]) && all;
    g_mime_shutdown();
    return all && fflush(stdout) == 0 ? 0 : 1;
}
