#include "suite.h"

#include <glib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "host/parts.h"

static const postern_functions functions = {
    .size = sizeof(postern_functions),
    .abi = POSTERN_HANDLER_ABI,
    .parts_next = host_parts_next,
    .parts_free = host_parts_free,
};

#define HEAD "From: a@example.org\nMIME-Version: 1.0\n"

static const struct row {
    const char *name, *message;
    const char *want; /* depth type [name] size "content", a line for each part */
} rows[] = {
    { "no MIME", "From: a@example.org\n\nhello\n", "0 text/plain 6 hello\\n\n" },
    { "no body", "From: a@example.org\n", "0 text/plain 0 \n" },
    { "type in lower case", HEAD "Content-Type: Image/PNG\n\nx", "0 image/png 1 x\n" },
    { "name of the disposition goes first",
      HEAD "Content-Type: text/plain; name=t\nContent-Disposition: attachment; filename=d\n\nx",
      "0 text/plain [d] 1 x\n" },
    { "name of the type",
      HEAD "Content-Type: text/plain; name=\"=?utf-8?b?YQ==?= =?utf-8?b?Yg==?=\"\n"
           "Content-Disposition: attachment\n\nx",
      "0 text/plain [ab] 1 x\n" },
    { "an empty name is none",
      HEAD "Content-Type: text/plain; name=t\nContent-Disposition: attachment; filename=\"\"\n\nx",
      "0 text/plain [t] 1 x\n" },
    { "base64", HEAD "Content-Transfer-Encoding: BASE64\n\naGVs\nbG8=\n", "0 text/plain 5 hello\n" },
    { "base64 without padding", HEAD "Content-Transfer-Encoding: base64\n\naGVs\nbG8\n",
      "0 text/plain 5 hello\n" },
    { "base64, one octet without padding", HEAD "Content-Transfer-Encoding: base64\n\naA\n",
      "0 text/plain 1 h\n" },
    { "base64, a lone digit", HEAD "Content-Transfer-Encoding: base64\n\naGVsb\n", "0 text/plain 3 hel\n" },
    { "base64, other characters", HEAD "Content-Transfer-Encoding: base64\n\naG*V\n s bG8=\n!",
      "0 text/plain 5 hello\n" },
    { "base64, empty", HEAD "Content-Transfer-Encoding: base64\n\n", "0 text/plain 0 \n" },
    { "quoted-printable", HEAD "Content-Transfer-Encoding: quoted-printable\n\na=3Db=\nc=\r\nd=ZZ\n",
      "0 text/plain 9 a=bcd=ZZ\\n\n" },
    { "uuencode", HEAD "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n%:&5L;&\\`\n`\nend\n",
      "0 text/plain 5 hello\n" },
    { "an unknown encoding is none", HEAD "Content-Transfer-Encoding: x-none\n\na=3D\n",
      "0 text/plain 5 a=3D\\n\n" },
    { "multipart",
      HEAD
      "Content-Type: multipart/mixed; boundary=x\n\nin front\n--x\n\na\n--x\nContent-Type: text/html\n\nb\n\n"
      "--x--\nbehind\n",
      "1 text/plain 1 a\n1 text/html 2 b\\n\n" },
    { "multipart in multipart",
      HEAD "Content-Type: multipart/mixed; boundary=x\n\n"
           "--x\nContent-Type: multipart/alternative; boundary=y\n\n--y\n\na\n--y\n\nb\n--y--\n"
           "--x\n\nc\n--x--\n",
      "2 text/plain 1 a\n2 text/plain 1 b\n1 text/plain 1 c\n" },
    { "embedded message",
      HEAD "Content-Type: multipart/mixed; boundary=x\n\n--x\n\na\n"
           "--x\nContent-Type: message/rfc822\n\nSubject: s\nContent-Type: multipart/mixed; boundary=y\n\n"
           "--y\nContent-Type: application/pdf; name=p\n\nb\n--y--\n"
           "--x\n\nc\n--x--\n",
      "1 text/plain 1 a\n3 application/pdf [p] 1 b\n1 text/plain 1 c\n" },
    { "nothing but an embedded message", HEAD "Content-Type: message/rfc822\n\nSubject: s\n\nb\n",
      "1 text/plain 2 b\\n\n" },
    { "digest", HEAD "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: s\n\na\n--x--\n",
      "2 text/plain 1 a\n" },
    { "embedded message in base64 is a leaf",
      HEAD "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nOgoKYg==\n",
      "0 message/rfc822 4 :\\n\\nb\n" },
    { "delivery status is a leaf", HEAD "Content-Type: message/delivery-status\n\nA: b\n\nC: d\n",
      "0 message/delivery-status 11 A: b\\n\\nC: d\\n\n" },
    { "multipart without parts", HEAD "Content-Type: multipart/mixed; boundary=x\n\nonly text\n",
      "0 multipart/mixed 10 only text\\n\n" },
    { "multipart without boundary", HEAD "Content-Type: multipart/mixed\n\n--x\n\na\n--x--\n",
      "0 multipart/mixed 13 --x\\n\\na\\n--x--\\n\n" },
    { "multipart without end", HEAD "Content-Type: multipart/mixed; boundary=x\n\n--x\n\na\n--x\n\nb",
      "1 text/plain 1 a\n1 text/plain 1 b\n" },
    { "empty embedded message",
      HEAD
      "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n--x\n\na\n--x--\n",
      "1 message/rfc822 0 \n1 text/plain 1 a\n" },
};

static GMimeMessage *parse_stream(GMimeStream *take_stream)
{
    GMimeParser *parser = g_mime_parser_new_with_stream(take_stream);
    g_mime_parser_set_persist_stream(parser, TRUE);
    GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
    g_object_unref(parser);
    g_object_unref(take_stream);
    assert_non_null(message);
    return message;
}

static GMimeMessage *parse(const char *text, size_t len)
{
    return parse_stream(g_mime_stream_mem_new_with_buffer(text, len));
}

/* As a host has it: in a file, behind something else. */
static GMimeMessage *parse_file(const char *text, size_t len)
{
    int fd = memfd_create("message", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "header of the file", 18), 18);
    assert_int_equal(write(fd, text, len), len);
    return parse_stream(g_mime_stream_fs_new_with_bounds(fd, 18, -1));
}

static char *read_all(GMimeStream *take_stream)
{
    GByteArray *octets = g_byte_array_new();
    GMimeStream *out = g_mime_stream_mem_new_with_byte_array(octets);
    g_mime_stream_mem_set_owner(GMIME_STREAM_MEM(out), FALSE);
    assert_true(g_mime_stream_write_to_stream(take_stream, out) >= 0);
    g_object_unref(out);
    g_object_unref(take_stream);
    g_byte_array_append(octets, (const uint8_t *)"", 1);
    return (char *)g_byte_array_free(octets, FALSE);
}

static char *list(GMimeMessage *message)
{
    GString *out = g_string_new(NULL);
    postern_parts *parts = host_parts_new(message, &functions);
    for (postern_part part; postern_parts_next(parts, &part);) {
        GMimeStream *stream = host_part_open(&part);
        g_autofree char *content = stream != NULL ? read_all(stream) : g_strdup("");
        g_autofree char *escaped = g_strescape(content, NULL);
        g_string_append_printf(out, "%u %s ", part.depth, part.type);
        if (part.name != NULL)
            g_string_append_printf(out, "[%s] ", part.name);
        g_string_append_printf(out, "%lld %s\n", (long long)host_part_size(&part), escaped);
        assert_true(GMIME_IS_OBJECT(part.object));
    }
    postern_parts_free(parts);
    return g_string_free(out, FALSE);
}

static void check_row(void **state)
{
    const struct row *row = *state;
    GMimeMessage *(*const parsers[])(const char *, size_t) = { parse, parse_file };
    for (size_t i = 0; i < G_N_ELEMENTS(parsers); i++) {
        GMimeMessage *message = parsers[i](row->message, strlen(row->message));
        g_autofree char *listed = list(message);
        assert_string_equal(listed, row->want);
        g_autofree char *again = list(message); /* what was read is still there */
        assert_string_equal(again, row->want);
        g_object_unref(message);
    }
}

/* What a handler would do with two parts that it compares. */
static void two_at_once(void **state)
{
    (void)state;
    GString *text = g_string_new(HEAD "Content-Type: multipart/mixed; boundary=x\n\n");
    for (char c = 'a'; c <= 'b'; c++) {
        g_string_append(text, "--x\n\n");
        for (int i = 0; i < 100000; i++)
            g_string_append_c(text, c);
        g_string_append_c(text, '\n');
    }
    GMimeMessage *message = parse_file(text->str, text->len);
    g_string_free(text, TRUE);
    postern_parts *parts = host_parts_new(message, &functions);
    GMimeStream *streams[2];
    for (int i = 0; i < 2; i++) {
        postern_part part;
        assert_int_equal(postern_parts_next(parts, &part), 1);
        streams[i] = host_part_open(&part);
    }
    for (int count = 0; count < 100000; count += 1000)
        for (int i = 0; i < 2; i++) {
            char octets[1000];
            assert_int_equal(g_mime_stream_read(streams[i], octets, sizeof octets), sizeof octets);
            assert_int_equal(octets[0], 'a' + i);
            assert_int_equal(octets[999], 'a' + i);
        }
    g_object_unref(streams[0]);
    g_object_unref(streams[1]);
    postern_part part;
    assert_int_equal(postern_parts_next(parts, &part), 0);
    assert_int_equal(postern_parts_next(parts, &part), 0);
    postern_parts_free(parts);
    g_object_unref(message);
}

/* Read as everybody does: until 0. */
static void pieces_that_decode_to_nothing(void **state)
{
    (void)state;
    GString *text = g_string_new(HEAD "Content-Transfer-Encoding: base64\n\n");
    g_string_append(text, "aGVs");
    for (int i = 0; i < 100000; i++)
        g_string_append_c(text, '\n');
    g_string_append(text, "bA");
    GMimeMessage *message = parse_file(text->str, text->len);
    g_string_free(text, TRUE);
    postern_parts *parts = host_parts_new(message, &functions);
    postern_part part;
    assert_int_equal(postern_parts_next(parts, &part), 1);
    GMimeStream *stream = host_part_open(&part);
    char octets[10] = "";
    size_t len = 0;
    for (ssize_t some; (some = g_mime_stream_read(stream, octets + len, sizeof octets - len)) > 0;)
        len += (size_t)some;
    assert_int_equal(len, 4);
    assert_string_equal(octets, "hell");
    assert_int_equal(g_mime_stream_read(stream, octets, 0), 0);
    g_object_unref(stream);
    postern_parts_free(parts);
    g_object_unref(message);
}

static void outlived_by_its_iterator(void **state)
{
    (void)state;
    static const char text[] = HEAD "\nhello";
    GMimeMessage *message = parse(text, strlen(text));
    postern_parts *parts = host_parts_new(message, &functions);
    g_object_unref(message);
    postern_part part;
    assert_int_equal(postern_parts_next(parts, &part), 1);
    assert_int_equal(host_part_size(&part), 5);
    postern_parts_free(parts);
    postern_parts_free(NULL);
    host_parts_free(NULL);
}

static void of_nothing(void **state)
{
    (void)state;
    GMimeMessage *message = g_mime_message_new(FALSE);
    postern_parts *parts = host_parts_new(message, &functions);
    postern_part part;
    assert_int_equal(postern_parts_next(parts, &part), 0);
    postern_parts_free(parts);

    GMimePart *empty = g_mime_part_new_with_type("text", "plain");
    part = (postern_part){ .object = GMIME_OBJECT(empty) };
    assert_null(host_part_open(&part));
    assert_int_equal(host_part_size(&part), 0);
    g_object_unref(empty);
    g_object_unref(message);
}

/* Built, not parsed, for the parser and the guard have limits of their own; and unref takes stack, so that
 * the levels are freed one by one. */
static void deep_nesting(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    GMimeMessage *message = g_mime_message_new(FALSE);
    GPtrArray *levels = g_ptr_array_new();
    for (int i = 0; i < DEPTH; i++)
        g_ptr_array_add(levels, g_mime_multipart_new());
    g_mime_message_set_mime_part(message, levels->pdata[0]);
    for (int i = 1; i < DEPTH; i++)
        g_mime_multipart_add(levels->pdata[i - 1], levels->pdata[i]);
    GMimePart *leaf = g_mime_part_new_with_type("image", "png");
    g_mime_multipart_add(levels->pdata[DEPTH - 1], GMIME_OBJECT(leaf));

    postern_parts *parts = host_parts_new(message, &functions);
    postern_part part;
    assert_int_equal(postern_parts_next(parts, &part), 1);
    assert_ptr_equal(part.object, leaf);
    assert_int_equal(part.depth, DEPTH);
    assert_int_equal(postern_parts_next(parts, &part), 0);
    postern_parts_free(parts);

    for (int i = DEPTH - 1; i > 0; i--) {
        g_mime_multipart_clear(levels->pdata[i]);
        g_mime_multipart_clear(levels->pdata[i - 1]);
        g_object_unref(levels->pdata[i]);
    }
    g_object_unref(levels->pdata[0]);
    g_object_unref(leaf);
    g_ptr_array_free(levels, TRUE);
    g_object_unref(message);
}

static long resident_kib(void)
{
    g_autofree char *text = NULL;
    assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
    long size = 0, resident = 0;
    assert_int_equal(sscanf(text, "%ld %ld", &size, &resident), 2);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void no_part_in_memory(void **state)
{
    (void)state;
    enum { LINES = 1000000 }; /* 77 MB of base64 */
    auto_fd int fd = memfd_create("message", MFD_CLOEXEC);
    FILE *file = fdopen(dup(fd), "w");
    fputs(HEAD "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n", file);
    for (int i = 0; i < LINES; i++)
        fputs("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4\n", file);
    assert_int_equal(fclose(file), 0);
    GMimeMessage *message = parse_stream(g_mime_stream_fs_new_with_bounds(dup(fd), 0, -1));
    long before = resident_kib();
    postern_parts *parts = host_parts_new(message, &functions);
    postern_part part;
    assert_int_equal(postern_parts_next(parts, &part), 1);
    assert_int_equal(host_part_size(&part), LINES * 57LL);
    assert_true(resident_kib() - before < 4096);
    postern_parts_free(parts);
    g_object_unref(message);
}

int main(int argc, char **argv)
{
    g_mime_init();
    struct suite *s = suite_new("host/parts");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "two parts are read at the same time", two_at_once, NULL);
    suite_add(s, "a piece that decodes to nothing is no end", pieces_that_decode_to_nothing, NULL);
    suite_add(s, "an iterator holds the message", outlived_by_its_iterator, NULL);
    suite_add(s, "a message and a part without content", of_nothing, NULL);
    suite_add(s, "deep nesting costs no stack", deep_nesting, NULL);
    suite_add(s, "a large part is not held in memory", no_part_in_memory, NULL);
    return suite_run(s, argc, argv);
}
