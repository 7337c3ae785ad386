#include "mess.h"

#include <string.h>

/* ---- random ---- */

static const char *const well_formed[] = {
    "--a\n\n",
    "--a\nX: y\n\ntext\n",
    "--b\nContent-Type: text/plain\n\ntext\n",
    "--a--\n",
    "--b--\n",
    "--a b\n\n",
    "--a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n",
    "--b\nX: y\nContent-Type: multipart/digest; boundary=\"a b\"\n\n",
    "--a\nX: y\nContent-Type: multipart/digest; boundary=a\n\n--a\n\n",
    "--b\nX: y\nContent-Type: message/rfc822\n\nTo: a, b: c;\n\n",
    "--a\nContent-Transfer-Encoding: base64\nContent-Type: message/rfc822\n\nX: y\n\n",
    "text\n",
};

static const char *const lines[] = {
    "Content-Type: multipart/mixed; boundary=a",
    "Content-Type: multipart/mixed; boundary=b",
    "Content-Type: multipart/digest; boundary=\"a b\"",
    "Content-Type: multipart/x; boundary=\"a--\"",
    "Content-Type: multipart/x; boundary=\"\"",
    "Content-Type: multipart/mixed; (;) boundary=a",
    "Content-Type: (x)multipart/mixed;boundary(y)=(z) a ",
    "Content-Type: multipart/mixed; boundary=\"a",
    "Content-Type: multipart/mixed; x; boundary=a",
    "Content-Type : multipart/mixed; boundary=b; x=\"\\\"\"",
    "Content-Type: message/rfc822",
    "Content-Type: message/global",
    "Content-Type: text/plain",
    "Content-Type: multipart/mixed;",
    "Content-Type:",
    " multipart/mixed;",
    " boundary=b",
    " boundary=a;;",
    "Content-Transfer-Encoding: base64",
    "content-transfer-encoding: 7bit",
    "MIME-Version: 1.0",
    "X: y",
    "To: a:b:c, d",
    "From x",
    " folded",
    "text",
    "",
    "",
    "-",
    "--",
    "----",
    "--a",
    "--a--",
    "--a ",
    "--b",
    "--b--",
    "--ab",
    "--a b",
    "--a----",
    "---a",
    "--\"a",
};

#define ANY(random, table) (table)[pst_random_below((random), G_N_ELEMENTS(table))]

static void append_many(struct pst_random *random, GString *to, const char *octets, size_t most)
{
    size_t kinds = strlen(octets), count = pst_random_below(random, most);
    for (size_t i = 0; i < count; i++)
        g_string_append_c(to, octets[pst_random_below(random, kinds)]);
}

static void append_line(struct pst_random *random, GString *to)
{
    static const char *const fillers[] = { "x", "-", " ", "y" };
    static const char odd[] = { '\0', '\r', '\n', ' ' };
    size_t start = to->len, long_one = pst_random_below(random, 4) > 0 ? 200 : 9000;
    switch (pst_random_below(random, 40)) {
    case 0:
        append_many(random, to, "\r -a:\t;=\"(\\,?\xe4", 6);
        break;
    case 1: /* blanks behind what may be a boundary */
        g_string_append(to, ANY(random, lines));
        append_many(random, to, " \t", long_one);
        break;
    case 2:
        append_many(random, to, ANY(random, fillers), long_one);
        g_string_append(to, ANY(random, lines));
        break;
    case 3:
        g_string_append(to, ANY(random, lines));
        g_string_insert_c(to, (gssize)(start + pst_random_below(random, to->len - start + 1)),
                          ANY(random, odd));
        break;
    default:
        g_string_append(to, ANY(random, lines));
        break;
    }
    g_string_append(to, pst_random_below(random, 20) > 0 ? "\n" : "\r\n");
}

GString *mess_random(struct pst_random *random)
{
    GString *message = g_string_new(NULL);
    if (pst_random_below(random, 3) > 0)
        g_string_append(message, "Content-Type: multipart/mixed; boundary=a\n\n--a\n");
    unsigned strangeness = 1 + (unsigned)pst_random_below(random, 8);
    for (uint64_t count = 1 + pst_random_below(random, 60); count > 0; count--)
        if (pst_random_below(random, 8) < strangeness)
            append_line(random, message);
        else
            g_string_append(message, ANY(random, well_formed));
    return message;
}

GString *mess_as_stored(const GString *wire, bool is_verbatim)
{
    GString *stored = g_string_sized_new(wire->len);
    for (size_t i = 0; i < wire->len; i++)
        if (is_verbatim || wire->str[i] != '\r' || wire->str[i + 1] != '\n')
            g_string_append_c(stored, wire->str[i]);
    return stored;
}

/* ---- bombs ---- */

GString *mess_field(const char *name, const char *item, size_t octets)
{
    GString *message = g_string_sized_new(octets + 100);
    g_string_append_printf(message, "%s: ", name);
    size_t len = strlen(item);
    for (size_t at = 0; at + len <= octets; at += len)
        g_string_append_len(message, item, (gssize)len);
    return g_string_append(message, "\n\nbody\n");
}

GString *mess_repeat(const char *front, const char *item, unsigned count)
{
    GString *message = g_string_new(front);
    g_auto(GStrv) pieces = g_strsplit(item, "%u", -1);
    for (unsigned i = 0; i < count; i++) {
        char number[16];
        (void)g_snprintf(number, sizeof number, "%u", i);
        g_string_append(message, pieces[0]);
        for (size_t k = 1; pieces[0] != NULL && pieces[k] != NULL; k++) {
            g_string_append(message, number);
            g_string_append(message, pieces[k]);
        }
    }
    return message;
}
