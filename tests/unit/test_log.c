/* Log lines: what peers wrote can neither end a line nor break its form, in both formats, however long it is.
 */
#include <glib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "suite.h"

struct sink {
    char line[2 * PST_LOG_LINE_MAX];
    size_t len;
    unsigned calls;
    enum pst_log_level level;
};

static void take_line(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    struct sink *s = owner;
    assert_in_range(len, 1, PST_LOG_LINE_MAX);
    memcpy(s->line, line, len);
    s->line[len] = '\0';
    s->len = len;
    s->level = level;
    s->calls++;
}

static int64_t fixed_wall_us(void *owner)
{
    (void)owner;
    return INT64_C(1795296824123456);
}

static struct pst_log logger(struct sink *s, enum pst_log_format format)
{
    return (struct pst_log){
        .format = format, .timeless = true, .wall_us = fixed_wall_us, .write = take_line, .owner = s
    };
}

/* ---- values ---- */

struct value_row {
    const char *name;
    struct slice value;
    const char *logfmt, *json; /* what stands behind "key=" and "key": */
};

#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        (const uint8_t *)(literal), sizeof(literal) - 1                                                      \
    }
#define BOTH(text) (text), (text)

static const struct value_row value_rows[] = {
    { "a plain word", BYTES("abc-1.2/x"), "abc-1.2/x", "\"abc-1.2/x\"" },
    { "an empty value", BYTES(""), BOTH("\"\"") },
    { "a blank", BYTES("a b"), BOTH("\"a b\"") },
    { "an equals sign", BYTES("a=b"), BOTH("\"a=b\"") },
    { "escapes between runs of octets", BYTES("ab\"cd\\\n=ef\x7fg h\xffi"),
      BOTH("\"ab\\\"cd\\\\\\u000a=ef\\u007fg h\\u00ffi\"") },
    { "a quote", BYTES("a\"b"), BOTH("\"a\\\"b\"") },
    { "a backslash", BYTES("a\\b"), BOTH("\"a\\\\b\"") },
    { "a backslash at the end", BYTES("a\\"), BOTH("\"a\\\\\"") },
    { "a newline cannot begin a line of its own", BYTES("x\nlevel=panic"), BOTH("\"x\\u000alevel=panic\"") },
    { "a carriage return", BYTES("\r"), BOTH("\"\\u000d\"") },
    { "NUL", BYTES("a\0b"), BOTH("\"a\\u0000b\"") },
    { "escape cannot reach a terminal", BYTES("\x1b[2J"), BOTH("\"\\u001b[2J\"") },
    { "delete", BYTES("\x7f"), BOTH("\"\\u007f\"") },
    { "UTF-8 stays", BYTES("gr\xc3\xbc\xc3\x9f"), BOTH("\"gr\xc3\xbc\xc3\x9f\"") },
    { "four bytes of UTF-8 stay", BYTES("\xf0\x9f\x93\xac"), BOTH("\"\xf0\x9f\x93\xac\"") },
    { "a byte that is no UTF-8", BYTES("\xff"), BOTH("\"\\u00ff\"") },
    { "half a character at the end", BYTES("a\xc3"), BOTH("\"a\\u00c3\"") },
    { "an overlong slash", BYTES("\xc0\xaf"), BOTH("\"\\u00c0\\u00af\"") },
    { "a surrogate", BYTES("\xed\xa0\x80"), BOTH("\"\\u00ed\\u00a0\\u0080\"") },
    { "a C1 control", BYTES("\xc2\x9b"), BOTH("\"\\u00c2\\u009b\"") },
    { "text cannot be turned around", BYTES("\xe2\x80\xae"), BOTH("\"\\u00e2\\u0080\\u00ae\"") },
    { "an isolate of direction", BYTES("\u2067"), BOTH("\"\\u00e2\\u0081\\u00a7\"") },
    { "a mark of direction", BYTES("\u061c"), BOTH("\"\\u00d8\\u009c\"") },
    { "a zero width joiner", BYTES("\u200d"), BOTH("\"\\u00e2\\u0080\\u008d\"") },
    { "a byte order mark", BYTES("\ufeff"), BOTH("\"\\u00ef\\u00bb\\u00bf\"") },
    { "a tag", BYTES("\U000e0041"), BOTH("\"\\u00f3\\u00a0\\u0081\\u0081\"") },
    { "a noncharacter", BYTES("\uffff"), BOTH("\"\\u00ef\\u00bf\\u00bf\"") },
    { "beyond Unicode", BYTES("\xf4\x90\x80\x80"), BOTH("\"\\u00f4\\u0090\\u0080\\u0080\"") },
    { "a new line of C1", BYTES("\xc2\x85"), BOTH("\"\\u00c2\\u0085\"") },
    { "a bare octet of C1", BYTES("\x9b"), BOTH("\"\\u009b\"") },
    { "an address in UTF-8", BYTES("pel\u00e9@m\u00fcnchen.example"),
      BOTH("\"pel\u00e9@m\u00fcnchen.example\"") },
    { "a line separator", BYTES("\xe2\x80\xa8"), BOTH("\"\\u00e2\\u0080\\u00a8\"") },
    { "a paragraph separator", BYTES("\u2029"), BOTH("\"\\u00e2\\u0080\\u00a9\"") },
};

static void check_value(void **state)
{
    const struct value_row *row = *state;
    struct sink s = { .calls = 0 };
    struct pst_log log = logger(&s, PST_LOG_LOGFMT);
    pst_log(&log, PST_LOG_INFO, "test", PST_BYTES("key", row->value), PST_INT("code", 550));
    g_autofree char *logfmt = g_strdup_printf("level=info event=test key=%s code=550\n", row->logfmt);
    assert_string_equal(s.line, logfmt);
    assert_int_equal(s.len, strlen(logfmt));

    log = logger(&s, PST_LOG_JSON);
    pst_log(&log, PST_LOG_INFO, "test", PST_BYTES("key", row->value), PST_INT("code", 550));
    g_autofree char *json =
        g_strdup_printf("{\"level\":\"info\",\"event\":\"test\",\"key\":%s,\"code\":550}\n", row->json);
    assert_string_equal(s.line, json);
    assert_int_equal(s.len, strlen(json));
}

/* What an octet alone becomes, as one would write it who need not be fast. */
static char *octet_slowly(unsigned octet, enum pst_log_format format)
{
    if (octet == '"' || octet == '\\')
        return g_strdup_printf("\"\\%c\"", octet);
    if (octet < ' ' || octet >= 0x7f)
        return g_strdup_printf("\"\\u%04x\"", octet);
    bool quoted = format == PST_LOG_JSON || octet == ' ' || octet == '=';
    return g_strdup_printf(quoted ? "\"%c\"" : "%c", octet);
}

static void check_octets(void **state)
{
    (void)state;
    for (unsigned octet = 0; octet <= UINT8_MAX; octet++) {
        const uint8_t byte = (uint8_t)octet;
        struct sink s = { .calls = 0 };
        struct pst_log log = logger(&s, PST_LOG_LOGFMT);
        pst_log(&log, PST_LOG_INFO, "test", PST_BYTES("key", slice_of(&byte, 1)));
        g_autofree char *value = octet_slowly(octet, PST_LOG_LOGFMT);
        g_autofree char *logfmt = g_strdup_printf("level=info event=test key=%s\n", value);
        assert_string_equal(s.line, logfmt);

        log = logger(&s, PST_LOG_JSON);
        pst_log(&log, PST_LOG_INFO, "test", PST_BYTES("key", slice_of(&byte, 1)));
        g_autofree char *text = octet_slowly(octet, PST_LOG_JSON);
        g_autofree char *json = g_strdup_printf("{\"level\":\"info\",\"event\":\"test\",\"key\":%s}\n", text);
        assert_string_equal(s.line, json);
    }
}

/* ---- the form of whole lines ---- */

/* What may stand behind a backslash; *at is there, and moves to its last character. */
static bool is_escape(const char **at, const char *end)
{
    const char *p = *at;
    if (p == end || strchr("\"\\/bfnrtu", *p) == NULL)
        return false;
    for (unsigned i = 0; *p == 'u' && i < 4; i++)
        if (p + 1 + i >= end || !g_ascii_isxdigit(p[1 + i]))
            return false;
    *at = *p == 'u' ? p + 4 : p;
    return true;
}

/* A string at *at, as RFC 8259 has it; *at moves behind it. */
static bool is_string(const char **at, const char *end)
{
    const char *p = *at;
    if (p == end || *p++ != '"')
        return false;
    for (; p < end && *p != '"'; p++) {
        if ((unsigned char)*p < ' ')
            return false;
        if (*p == '\\' && (p++, !is_escape(&p, end)))
            return false;
    }
    if (p >= end)
        return false;
    *at = p + 1;
    return true;
}

static bool is_integer(const char **at, const char *end)
{
    const char *p = *at;
    if (p < end && *p == '-')
        p++;
    const char *digits = p;
    while (p < end && g_ascii_isdigit(*p))
        p++;
    *at = p;
    return p > digits && (*digits != '0' || p == digits + 1);
}

/* A flat object of strings and integers, and a newline. */
static bool is_json_line(const char *line, size_t len)
{
    const char *p = line, *end = line + len - 1;
    if (*end != '\n' || !g_utf8_validate(line, (gssize)len, NULL) || *p++ != '{')
        return false;
    do {
        if (!is_string(&p, end) || p == end || *p++ != ':')
            return false;
        if (!(p < end && *p == '"' ? is_string(&p, end) : is_integer(&p, end)))
            return false;
    } while (p < end && *p++ == ',');
    return p == end && p[-1] == '}';
}

/* key=word or key="string", separated by single blanks, and a newline. */
static bool is_logfmt_line(const char *line, size_t len)
{
    const char *p = line, *end = line + len - 1;
    if (*end != '\n' || !g_utf8_validate(line, (gssize)len, NULL))
        return false;
    for (;;) {
        const char *key = p;
        while (p < end && (g_ascii_isalnum(*p) || *p == '_' || *p == '-'))
            p++;
        if (p == key || p == end || *p++ != '=')
            return false;
        if (p < end && *p == '"') {
            if (!is_string(&p, end))
                return false;
        } else {
            const char *word = p;
            while (p<end && * p> ' ' && *p < 0x7f && strchr("\"=\\", *p) == NULL)
                p++;
            if (p == word)
                return false;
        }
        if (p == end)
            return true;
        if (*p++ != ' ')
            return false;
    }
}

static void check_the_checkers(void **state)
{
    (void)state;
    static const char *const good[] = { "{\"a\":\"b\\\\ \"}\n", "{\"a\":-1,\"b\":\"\\u00ff\\\"\"}\n" };
    static const char *const bad[] = {
        "{\"a\":\"b\"}", "{\"a\":\"b}\n", "{\"a\":\"b\\\"}\n", "{\"a\":\"\\u00f\"}\n", "{\"a\":01}\n",
        "{\"a\":}\n",    "{\"a\"}\n",     "{\"a\":1,}\n",      "{\"a\":1\n",           "{\"a\":\"\xff\"}\n",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        assert_true(is_json_line(good[i], strlen(good[i])));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_false(is_json_line(bad[i], strlen(bad[i])));
    assert_true(is_logfmt_line("a=b c=\"d e\"\n", 12));
    static const char *const bad_logfmt[] = { "a=\n", "a b\n", "a=b  c=d\n", "a=\"b\n", "a=b=c\n", "a=b" };
    for (size_t i = 0; i < G_N_ELEMENTS(bad_logfmt); i++)
        assert_false(is_logfmt_line(bad_logfmt[i], strlen(bad_logfmt[i])));
}

/* Lines of all lengths around the limit, of bytes that need escapes of one, two, three, four and six octets.
 */
static void check_cut(void **state)
{
    (void)state;
    static const struct slice fillers[] = {
        BYTES("x"),  BYTES("\""), BYTES("\xc3\xbc"), BYTES("\xe2\x82\xac"), BYTES("\xf0\x9f\x93\xac"),
        BYTES("\n"), BYTES(" "),
    };
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    for (size_t f = 0; f < G_N_ELEMENTS(fillers); f++) {
        for (size_t len = PST_LOG_LINE_MAX / 6 - 40; len < PST_LOG_LINE_MAX + 20; len++) {
            g_byte_array_set_size(bytes, 0);
            while (bytes->len < len)
                g_byte_array_append(bytes, fillers[f].data, (guint)fillers[f].len);
            struct sink s = { .calls = 0 };
            struct pst_log log = logger(&s, PST_LOG_JSON);
            pst_log(&log, PST_LOG_INFO, "test", PST_STR("before", "kept"),
                    PST_BYTES("key", slice_of(bytes->data, bytes->len)), PST_UINT("after", UINT64_MAX),
                    PST_STR("last", "two words"));
            assert_true(is_json_line(s.line, s.len));
            assert_non_null(strstr(s.line, "kept"));
            log.format = PST_LOG_LOGFMT;
            pst_log(&log, PST_LOG_INFO, "test", PST_STR("before", "kept"),
                    PST_BYTES("key", slice_of(bytes->data, bytes->len)), PST_UINT("after", UINT64_MAX),
                    PST_STR("last", "two words"));
            assert_true(is_logfmt_line(s.line, s.len));
            assert_non_null(strstr(s.line, "kept"));
        }
    }
}

/* A field behind one that did not fit may still do so. */
static void check_field_after_a_long_one(void **state)
{
    (void)state;
    char big[3 * PST_LOG_LINE_MAX];
    memset(big, 'x', sizeof big);
    struct sink s = { .calls = 0 };
    struct pst_log log = logger(&s, PST_LOG_LOGFMT);
    pst_log(&log, PST_LOG_INFO, "test", PST_BYTES("key", slice_of(big, sizeof big)), PST_INT("code", 550));
    assert_string_equal(s.line, "level=info event=test code=550\n");
}

static void check_random_bytes(void **state)
{
    (void)state;
    struct pst_random random;
    pst_random_seed(&random, 2);
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t bytes[3000];
        size_t len = pst_random_below(&random, i % 2 == 0 ? 40 : sizeof bytes);
        pst_random_fill(&random, bytes, len);
        struct sink s = { .calls = 0 };
        struct pst_log log = logger(&s, PST_LOG_JSON);
        pst_log(&log, PST_LOG_INFO, "test", PST_BYTES("a", slice_of(bytes, len)),
                PST_BYTES("b", slice_of(bytes, len)));
        assert_true(is_json_line(s.line, s.len));
        log.format = PST_LOG_LOGFMT;
        pst_log(&log, PST_LOG_INFO, "test", PST_BYTES("a", slice_of(bytes, len)),
                PST_BYTES("b", slice_of(bytes, len)));
        assert_true(is_logfmt_line(s.line, s.len));
        assert_int_equal(s.calls, 2);
    }
}

/* ---- levels, time, numbers ---- */

static void check_threshold(void **state)
{
    (void)state;
    struct sink s = { .calls = 0 };
    struct pst_log log = logger(&s, PST_LOG_LOGFMT);
    log.threshold = PST_LOG_WARNING;
    for (int level = PST_LOG_DEBUG; level <= PST_LOG_PANIC; level++)
        pst_log(&log, (enum pst_log_level)level, "test");
    assert_int_equal(s.calls, PST_LOG_PANIC - PST_LOG_WARNING + 1);
    assert_int_equal(s.level, PST_LOG_PANIC);
    assert_string_equal(s.line, "level=panic event=test\n");
}

struct stamp_row {
    const char *name;
    int64_t wall_us;
    const char *want;
};

static const struct stamp_row stamp_rows[] = {
    { "the epoch", 0, "1970-01-01T00:00:00.000000Z" },
    { "zeros in front of all", INT64_C(946782245000006), "2000-01-02T03:04:05.000006Z" },
    { "the last microsecond of a year", INT64_C(1798761599999999), "2026-12-31T23:59:59.999999Z" },
    { "a leap day", INT64_C(1709208000500000), "2024-02-29T12:00:00.500000Z" },
    { "the last second of four digits", INT64_C(253402300799000000), "9999-12-31T23:59:59.000000Z" },
    { "before the epoch", INT64_C(-1000000), "1969-12-31T23:59:59.000000Z" },
};

static void check_stamp(void **state)
{
    const struct stamp_row *row = *state;
    char text[PST_TIMESTAMP_SIZE];
    pst_timestamp(row->wall_us, text);
    assert_string_equal(text, row->want);
}

static void check_time(void **state)
{
    (void)state;
    struct sink s = { .calls = 0 };
    struct pst_log log = logger(&s, PST_LOG_LOGFMT);
    log.timeless = false;
    pst_log(&log, PST_LOG_DEBUG, "test");
    assert_string_equal(s.line, "time=2026-11-21T21:33:44.123456Z level=debug event=test\n");
    log.format = PST_LOG_JSON;
    pst_log(&log, PST_LOG_DEBUG, "test");
    assert_string_equal(
        s.line, "{\"time\":\"2026-11-21T21:33:44.123456Z\",\"level\":\"debug\",\"event\":\"test\"}\n");
}

static void check_numbers(void **state)
{
    (void)state;
    struct sink s = { .calls = 0 };
    struct pst_log log = logger(&s, PST_LOG_JSON);
    pst_log(&log, PST_LOG_INFO, "test", PST_INT("a", INT64_MIN), PST_INT("b", INT64_MAX),
            PST_UINT("c", UINT64_MAX), PST_INT("d", 0));
    assert_string_equal(s.line, "{\"level\":\"info\",\"event\":\"test\",\"a\":-9223372036854775808,"
                                "\"b\":9223372036854775807,\"c\":18446744073709551615,\"d\":0}\n");
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("log");
    suite_add_rows(s, value_rows, check_value);
    suite_add(s, "the test's own checks of a line's form", check_the_checkers, NULL);
    suite_add(s, "a line that is cut keeps its form", check_cut, NULL);
    suite_add(s, "a field that does not fit is left out", check_field_after_a_long_one, NULL);
    suite_add(s, "each octet alone", check_octets, NULL);
    suite_add(s, "random bytes keep the form", check_random_bytes, NULL);
    suite_add(s, "levels below the threshold", check_threshold, NULL);
    suite_add_rows(s, stamp_rows, check_stamp);
    suite_add(s, "time stamps", check_time, NULL);
    suite_add(s, "numbers at their limits", check_numbers, NULL);
    return suite_run(s, argc, argv);
}
