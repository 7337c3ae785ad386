/*
 * What GMime alone takes to parse a message that lies in memory, as a host does it:
 *
 *     parse FILE COUNT
 *
 * parses it as often, and prints the milliseconds of processor time of one time.
 */
#include <gmime/gmime.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void parse(GMimeParser *parser, GByteArray *octets)
{
    GMimeStream *stream = g_mime_stream_mem_new_with_byte_array(octets);
    g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(stream), FALSE);
    g_mime_parser_init_with_stream(parser, stream);
    g_mime_parser_set_persist_stream(parser, TRUE);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    g_object_unref(stream);
    g_clear_object(&message);
}

int main(int argc, char **argv)
{
    char *text;
    gsize len;
    long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (count <= 0 || !g_file_get_contents(argv[1], &text, &len, NULL)) {
        fprintf(stderr, "usage: parse FILE COUNT\n");
        return 2;
    }
    g_mime_init();
    GByteArray *octets = g_byte_array_new_take((guint8 *)text, len);
    GMimeParser *parser = g_mime_parser_new();
    clock_t begin = clock();
    for (long i = 0; i < count; i++)
        parse(parser, octets);
    printf("%g\n", (double)(clock() - begin) / CLOCKS_PER_SEC * 1000 / (double)count);
    g_object_unref(parser);
    g_byte_array_unref(octets);
    return 0;
}
