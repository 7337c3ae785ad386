#include "host/decoded.h"

typedef GMimeStreamFilter HostDecoded;
typedef GMimeStreamFilterClass HostDecodedClass;

static GType host_decoded_get_type(void);
G_DEFINE_TYPE(HostDecoded, host_decoded, GMIME_TYPE_STREAM_FILTER)

static ssize_t decoded_read(GMimeStream *stream, char *octets, size_t len)
{
    GMimeStreamClass *filter = GMIME_STREAM_CLASS(host_decoded_parent_class);
    ssize_t result = 0;
    do
        result = filter->read(stream, octets, len);
    while (result == 0 && len > 0 && !filter->eos(stream));
    return result;
}

static void host_decoded_class_init(HostDecodedClass *class)
{
    GMIME_STREAM_CLASS(class)->read = decoded_read;
}

static void host_decoded_init(HostDecoded *decoded)
{
    (void)decoded;
}

/* Some senders leave base64's padding out. More of it than is due is ignored. */
static GMimeStream *add_padding(GMimeStream *take_stored)
{
    GMimeStream *padding = g_mime_stream_mem_new_with_buffer("=", 1);
    GMimeStream *cat = g_mime_stream_cat_new();
    g_mime_stream_cat_add_source(GMIME_STREAM_CAT(cat), take_stored);
    g_mime_stream_cat_add_source(GMIME_STREAM_CAT(cat), padding);
    g_object_unref(take_stored);
    g_object_unref(padding);
    return cat;
}

GMimeStream *host_decoded_new(GMimeStream *take_stored, GMimeContentEncoding encoding)
{
    if (encoding != GMIME_CONTENT_ENCODING_BASE64 && encoding != GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE &&
        encoding != GMIME_CONTENT_ENCODING_UUENCODE)
        return take_stored;
    HostDecoded *decoded = g_object_new(host_decoded_get_type(), NULL);
    /* What g_mime_stream_filter_new() does for its own type. */
    decoded->source = encoding == GMIME_CONTENT_ENCODING_BASE64 ? add_padding(take_stored) : take_stored;
    g_mime_stream_construct(GMIME_STREAM(decoded), decoded->source->bound_start, decoded->source->bound_end);
    GMimeFilter *decoder = g_mime_filter_basic_new(encoding, FALSE);
    g_mime_stream_filter_add(decoded, decoder);
    g_object_unref(decoder);
    return GMIME_STREAM(decoded);
}
