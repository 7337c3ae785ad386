/* A command line and its parts (smtp/command.h): all are slices of the line, and lose nothing but blanks. */
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz.h"
#include "smtp/command.h"

static bool is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t';
}

static void check_within(struct slice line, struct slice part)
{
    if (part.len == 0)
        return;
    pst_assert(part.data >= line.data && part.data + part.len <= line.data + line.len);
}

static void check_blank(const uint8_t *from, const uint8_t *to)
{
    for (; from < to; from++)
        pst_assert(is_blank(*from));
}

static void check_split(struct slice line)
{
    struct smtp_command c = smtp_command_split(line);
    check_within(line, c.verb);
    check_within(line, c.argument);
    pst_assert(memchr(c.verb.len > 0 ? (const char *)c.verb.data : "", ' ', c.verb.len) == NULL);
    const uint8_t *end = line.data + line.len;
    if (c.verb.len == 0) {
        pst_assert(c.argument.len == 0);
        check_blank(line.data, end);
        return;
    }
    check_blank(line.data, c.verb.data);
    const uint8_t *behind_verb = c.verb.data + c.verb.len;
    if (c.argument.len == 0) {
        check_blank(behind_verb, end);
        return;
    }
    pst_assert(behind_verb < c.argument.data);
    check_blank(behind_verb, c.argument.data);
    check_blank(c.argument.data + c.argument.len, end);
    pst_assert(!is_blank(c.argument.data[0]) && !is_blank(c.argument.data[c.argument.len - 1]));
}

static void check_clean(struct slice line)
{
    bool clean = true;
    for (size_t i = 0; i < line.len; i++)
        clean &= line.data[i] == '\t' || (line.data[i] >= 0x20 && line.data[i] != 0x7f);
    pst_assert(smtp_line_is_clean(line) == clean);
}

static void check_path_argument(struct slice line)
{
    struct slice path;
    if (smtp_path_argument(line, "FROM:", &path))
        check_within(slice_skip(line, 5), path);
}

/* Its first octets tell, and no command of ours is taken for another protocol's: behind a QUIT of theirs
 * stands an LF, which no line of ours holds. */
static void check_foreign(struct slice line)
{
    bool foreign = smtp_line_is_foreign(line);
    uint8_t *copy = fuzz_copy(slice_first(line, 12));
    pst_assert(smtp_line_is_foreign(slice_of(copy, line.len < 12 ? line.len : 12)) == foreign);
    free(copy);
    static const char *const ours[] = { "MAIL", "RCPT", "DATA", "BDAT", "EHLO",
                                        "HELO", "LHLO", "RSET", "NOOP", "QUIT" };
    for (size_t i = 0; i < sizeof ours / sizeof *ours && memchr(line.data, '\n', line.len) == NULL; i++)
        pst_assert(!foreign || !slice_has_prefix_nocase(line, ours[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice line = slice_of(data, size);
    check_split(line);
    check_clean(line);
    check_path_argument(line);
    check_foreign(line);
    return 0;
}
