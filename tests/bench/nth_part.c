/* A handler that looks at all parts and decodes the one whose number, from 1, is option.part; the log tells
 * how many there are, and how many octets that one has. */
#include <postern/handler.h>

#include <stdint.h>
#include <stdlib.h>

static int64_t decode(postern_delivery *delivery, const postern_part *part)
{
    GMimeStream *content = postern_part_open(delivery, part);
    if (content == NULL)
        return -1;
    static char octets[64 << 10];
    int64_t size = 0;
    for (ssize_t len; (len = g_mime_stream_read(content, octets, sizeof octets)) > 0;)
        size += len;
    g_object_unref(content);
    return size;
}

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    (void)envelope;
    const char *wanted = postern_option(delivery, "part");
    long number = wanted != NULL ? strtol(wanted, NULL, 10) : 0, count = 0;
    int64_t size = -1;
    postern_parts *parts = postern_parts_new(delivery, message);
    for (postern_part part; postern_parts_next(parts, &part);)
        if (++count == number)
            size = decode(delivery, &part);
    postern_parts_free(parts);
    g_autofree char *text = g_strdup_printf("parts %ld octets %" G_GINT64_FORMAT, count, size);
    postern_log(delivery, POSTERN_INFO, text);
    return POSTERN_DELIVER;
}

POSTERN_HANDLER(.name = "nth-part", .on_message = on_message)
