#include "suite.h"

#include <errno.h>
#include <glib.h>

#include "smtp/command.h"

static const struct split_row {
    const char *name, *line, *verb, *argument;
} split_rows[] = {
    { "verb alone", "QUIT", "QUIT", "" },
    { "verb and argument", "HELO mx.example.org", "HELO", "mx.example.org" },
    { "white space at the end is tolerated", "QUIT \t ", "QUIT", "" },
    { "white space in front is tolerated", "  NOOP", "NOOP", "" },
    { "blanks between", "NOOP   a  b ", "NOOP", "a  b" },
    { "nothing", "", "", "" },
    { "only blanks", "   ", "", "" },
    { "no blank behind the verb", "MAIL:FROM", "MAIL:FROM", "" },
};

static void check_split(void **state)
{
    const struct split_row *row = *state;
    struct smtp_command command = smtp_command_split(slice_str(row->line));
    assert_true(slice_equal(command.verb, slice_str(row->verb)));
    assert_true(slice_equal(command.argument, slice_str(row->argument)));
}

static const struct base64_row {
    const char *name, *text;
    bool valid;
} base64_rows[] = {
    { "base64: nothing", "", true },
    { "base64: three octets", "AGFs", true },
    { "base64: all digits", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true },
    { "base64: two octets", "AGE=", true },
    { "base64: one octet", "AA==", true },
    { "base64: three pads", "A===", false },
    { "base64: only pads", "====", false },
    { "base64: a pad in front", "=AAA", false },
    { "base64: a pad in the middle", "AAA=BBB=", false },
    { "base64: a digit between pads", "AA=A", false },
    { "base64: a pad alone", "=", false },
    { "base64: too short", "AAA", false },
    { "base64: too long", "AAAAA", false },
    { "base64: a pad too many", "AAAA=", false },
    { "base64: a blank", "AA A", false },
    { "base64: a blank at the end", "AAAA ", false },
    { "base64: the other alphabet", "AA-_", false },
    { "base64: a control character", "AAA\x01", false },
    { "base64: an octet above 127", "AAA\xc1", false },
    { "base64: an asterisk", "*", false },
};

static void check_base64(void **state)
{
    const struct base64_row *row = *state;
    g_autofree char *copy = g_memdup2(row->text, strlen(row->text));
    assert_int_equal(smtp_base64_valid(slice_of(copy, strlen(row->text))), row->valid);
}

/* `want` lists the parameters as "K=V;", and ends in "!" when what follows is malformed. */
static const struct parameter_row {
    const char *name, *input, *want;
} parameter_rows[] = {
    { "none", "", "" },
    { "only blanks", "   ", "" },
    { "one", " SIZE=1000", "SIZE=1000;" },
    { "two", " SIZE=1 BODY=8BITMIME", "SIZE=1;BODY=8BITMIME;" },
    { "several blanks", "   A   B=1  ", "A=;B=1;" },
    { "keyword alone", " SMTPUTF8", "SMTPUTF8=;" },
    { "hyphens and digits", " X-2=a-b", "X-2=a-b;" },
    { "hangs on the path", "SIZE=1", "!" },
    { "hyphen in front", " -A=1", "!" },
    { "empty value", " SIZE=", "!" },
    { "equals sign in a value", " A=b=c", "!" },
    { "no keyword", " =5", "!" },
    { "character that no keyword has", " A_B=1", "!" },
    { "the first is good, the second not", " A=1 B=", "A=1;!" },
    { "UTF-8 in a value", " A=\xc3\xa4", "A=\xc3\xa4;" },
    { "malformed UTF-8 in a value", " A=\xc3", "!" },
    { "overlong UTF-8 in a value", " A=\xc0\xbc", "!" },
    { "UTF-8 in a keyword", " \xc3\xa4=1", "!" },
    { "control character in a value", " A=\x01", "!" },
    { "DEL in a value", " A=\x7f", "!" },
};

static void check_parameters(void **state)
{
    const struct parameter_row *row = *state;
    g_autoptr(GString) got = g_string_new(NULL);
    struct slice rest = slice_str(row->input);
    struct smtp_parameter p;
    int r;
    while ((r = smtp_parameter_next(&rest, &p)) > 0)
        g_string_append_printf(got, "%.*s=%.*s;", (int)p.keyword.len, p.keyword.data, (int)p.value.len,
                               p.value.len > 0 ? (const char *)p.value.data : "");
    if (r < 0) {
        assert_int_equal(r, -EBADMSG);
        g_string_append_c(got, '!');
    }
    assert_string_equal(got->str, row->want);
}

static void paths_follow_their_keyword(void **state)
{
    (void)state;
    struct slice path;
    assert_true(smtp_path_argument(slice_str("FROM:<a@b> SIZE=1"), "FROM:", &path));
    assert_true(slice_equal(path, slice_str("<a@b> SIZE=1")));
    assert_true(smtp_path_argument(slice_str("from: <a@b>"), "FROM:", &path));
    assert_true(slice_equal(path, slice_str("<a@b>")));
    assert_false(smtp_path_argument(slice_str("FROM <a@b>"), "FROM:", &path));
    assert_false(smtp_path_argument(slice_str("TO:<a@b>"), "FROM:", &path));
    assert_false(smtp_path_argument(slice_str(""), "FROM:", &path));
}

static void clean_lines(void **state)
{
    (void)state;
    assert_true(smtp_line_is_clean(slice_str("NOOP a\tb \xc3\xa4")));
    assert_false(smtp_line_is_clean(slice_of("NO\0OP", 5)));
    assert_false(smtp_line_is_clean(slice_str("NOOP\n")));
    assert_false(smtp_line_is_clean(slice_str("NOOP\rX")));
    assert_false(smtp_line_is_clean(slice_str("NOOP\x7f")));
    assert_false(smtp_line_is_clean(slice_str("\x1b[2J")));
}

/* At each place of lines that are looked at by several octets at once. */
static void clean_octets(void **state)
{
    (void)state;
    for (unsigned octet = 0; octet <= UINT8_MAX; octet++)
        for (size_t at = 0; at < 20; at++) {
            char line[] = "NOOP of some length.";
            bool is_control = (octet < ' ' && octet != '\t') || octet == 0x7f;
            line[at] = (char)octet;
            assert_int_equal(smtp_line_is_clean(slice_of(line, sizeof line - 1)), !is_control);
        }
}

static const struct foreign_row {
    const char *name, *line;
    size_t len;
    bool is_foreign;
} foreign_rows[] = {
#define FOREIGN(name, line, is_foreign)                                                                      \
    {                                                                                                        \
        (name), (line), sizeof(line) - 1, (is_foreign)                                                       \
    }
    FOREIGN("HTTP GET", "GET / HTTP/1.1", true),
    FOREIGN("HTTP POST", "POST /x HTTP/1.0", true),
    FOREIGN("HTTP PUT", "PUT / HTTP/1.1", true),
    FOREIGN("HTTP HEAD", "HEAD / HTTP/1.1", true),
    FOREIGN("HTTP DELETE", "DELETE / HTTP/1.1", true),
    FOREIGN("HTTP CONNECT", "CONNECT a:25 HTTP/1.1", true),
    FOREIGN("HTTP OPTIONS", "OPTIONS * HTTP/1.1", true),
    FOREIGN("HTTP TRACE", "TRACE / HTTP/1.1", true),
    FOREIGN("HTTP PATCH", "PATCH / HTTP/1.1", true),
    FOREIGN("HTTP/2's preface", "PRI * HTTP/2.0", true),
    FOREIGN("a header of HTTP", "Host: mx.example.org", true),
    FOREIGN("a header of HTTP without a blank", "host:mx", true),
    FOREIGN("lower case", "get / http/1.1", true),
    FOREIGN("SSH's version", "SSH-2.0-OpenSSH_9.2", true),
    FOREIGN("a proxy's header", "PROXY TCP4 192.0.2.1 192.0.2.2 1 25", true),
    FOREIGN("a proxy's header in version 2, from its QUIT on", "QUIT\n\x21\x11", true),
    FOREIGN("of a connection that is the proxy's own", "QUIT\n\x20\0", true),
    FOREIGN("a proxy's header that cannot be told yet", "QUIT\n", false),
    FOREIGN("a version that the PROXY protocol does not have", "QUIT\n\x11", false),
    FOREIGN("QUIT", "QUIT\r\n", false),
    FOREIGN("NUL, which a proxy's header has in front", "\0\r\n", false),
    FOREIGN("TLS 1.0 to 1.3", "\x16\x03\x01\x02\0\x01", true),
    FOREIGN("SSL 3", "\x16\x03\0", true),
    FOREIGN("two octets of TLS", "\x16\x03", true),
    FOREIGN("one octet of TLS says nothing yet", "\x16", false),
    FOREIGN("a record that is no handshake", "\x17\x03\x03", false),
    FOREIGN("a version that TLS does not have", "\x16\x04", false),
    FOREIGN("nothing", "", false),
    FOREIGN("half a method", "GE", false),
    FOREIGN("a method without a target", "GET", false),
    FOREIGN("a longer word", "GETX /", false),
    FOREIGN("a blank in front", " GET /", false),
    FOREIGN("PRI alone", "PRI *", false),
    FOREIGN("a longer header", "Hosts: a", false),
    FOREIGN("SSH without a hyphen", "SSH 2.0", false),
    FOREIGN("EHLO", "EHLO GET / HTTP/1.1", false),
    FOREIGN("MAIL", "MAIL FROM:<POST@example.org>", false),
    FOREIGN("HELP", "HELP", false),
#undef FOREIGN
};

static void check_foreign(void **state)
{
    const struct foreign_row *row = *state;
    assert_int_equal(smtp_line_is_foreign(slice_of(row->line, row->len)), row->is_foreign);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("smtp/command");
    suite_add_rows(s, split_rows, check_split);
    suite_add_rows(s, base64_rows, check_base64);
    suite_add_rows(s, parameter_rows, check_parameters);
    suite_add(s, "paths follow their keyword", paths_follow_their_keyword, NULL);
    suite_add_rows(s, foreign_rows, check_foreign);
    suite_add(s, "lines without control characters", clean_lines, NULL);
    suite_add(s, "every octet at every place of a line", clean_octets, NULL);
    return suite_run(s, argc, argv);
}
