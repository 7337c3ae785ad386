#include "handlers/verdict.h"

#include <string.h>

#include "suite.h"

static const struct handler_bounds bounds = {
    .recipients = 2, .handlers = 3, .message_size = 1000, .scratch_size = 500
};

/* ---- all of it ---- */

static const struct row {
    const char *name;
    struct wire_verdict verdict; /* its fates deliver */
    const char *problem;
} rows[] = {
    { "nothing changed", { .fate_count = 2 }, NULL },
    { "one fate too few", { .fate_count = 1 }, "not as many fates as recipients" },
    { "one fate too many", { .fate_count = 3 }, "not as many fates as recipients" },
    { "no fate", { .fate_count = 0 }, "not as many fates as recipients" },
    { "all is left out", { .fate_count = 2, .skip = 1000 }, NULL },
    { "more than all is left out", { .fate_count = 2, .skip = 1001 }, "more is left out than is there" },
    { "far more is left out", { .fate_count = 2, .skip = UINT64_MAX }, "more is left out than is there" },
    { "replaced", { .fate_count = 2, .replaced = true, .replaced_size = 500 }, NULL },
    { "replaced: all is left out",
      { .fate_count = 2, .skip = 500, .replaced = true, .replaced_size = 500 },
      NULL },
    { "replaced: more is left out",
      { .fate_count = 2, .skip = 501, .replaced = true, .replaced_size = 500 },
      "more is left out than is there" },
    { "replaced: by less",
      { .fate_count = 2, .replaced = true, .replaced_size = 499 },
      "not the size of the scratch file" },
    { "replaced: by more",
      { .fate_count = 2, .replaced = true, .replaced_size = 501 },
      "not the size of the scratch file" },
    { "not replaced, but of a size",
      { .fate_count = 2, .replaced_size = 500 },
      "not the size of the scratch file" },
    { "fields in front", { .fate_count = 2, .front = { (const uint8_t *)"A: b\n", 5 } }, NULL },
    { "half a field in front",
      { .fate_count = 2, .front = { (const uint8_t *)"A: b", 4 } },
      "half a line in front" },
};

static void check_row(void **state)
{
    const struct row *row = *state;
    struct wire_fate fates[3] = { { .handler = -1, .enhanced = "", .text = "" } };
    fates[2] = fates[1] = fates[0];
    struct wire_verdict v = row->verdict;
    v.fates = fates;
    const char *problem = handler_verdict_problem(&v, &bounds);
    assert_string_equal(problem != NULL ? problem : "", row->problem != NULL ? row->problem : "");
}

/* ---- a fate ---- */

#define LETTERS_20  "xxxxxxxxxxxxxxxxxxxx"
#define LETTERS_100 LETTERS_20 LETTERS_20 LETTERS_20 LETTERS_20 LETTERS_20
#define LETTERS_300 LETTERS_100 LETTERS_100 LETTERS_100

#define ADDRESSES(...)                                                                                       \
    {                                                                                                        \
        (const char *[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *)      \
    }

static const struct fate_row {
    const char *name;
    struct wire_fate fate;
    const char *problem;
} fate_rows[] = {
    { "deliver", { WIRE_DELIVER, -1, 0, "", "" }, NULL },
    { "discard", { WIRE_DISCARD, 0, 0, "", "" }, NULL },
    { "deliver: a reply is not looked at", { WIRE_DELIVER, 0, 250, "x", "\n" }, NULL },
    { "the last handler's", { WIRE_DELIVER, 2, 0, "", "" }, NULL },
    { "no handler's", { WIRE_DELIVER, 3, 0, "", "" }, "no such handler" },
    { "no handler's at all", { WIRE_DELIVER, -2, 0, "", "" }, "no such handler" },
    { "reject", { WIRE_REJECT, 0, 550, "5.7.1", "Not here." }, NULL },
    { "reject: without a text", { WIRE_REJECT, 0, 599, "5.999.999", "" }, NULL },
    { "reject: for now", { WIRE_REJECT, 0, 450, "5.7.1", "no" }, "no such reply" },
    { "reject: enhanced for now", { WIRE_REJECT, 0, 550, "4.7.1", "no" }, "no such reply" },
    { "reject: 499", { WIRE_REJECT, 0, 499, "5.7.1", "no" }, "no such reply" },
    { "reject: 600", { WIRE_REJECT, 0, 600, "5.7.1", "no" }, "no such reply" },
    { "reject: 0", { WIRE_REJECT, 0, 0, "5.7.1", "no" }, "no such reply" },
    { "reject: a large number", { WIRE_REJECT, 0, UINT32_MAX, "5.7.1", "no" }, "no such reply" },
    { "defer", { WIRE_DEFER, 0, 451, "4.7.1", "Not now." }, NULL },
    { "defer: for ever", { WIRE_DEFER, 0, 550, "4.7.1", "no" }, "no such reply" },
    { "defer: 399", { WIRE_DEFER, 0, 399, "4.7.1", "no" }, "no such reply" },
    { "enhanced: nothing", { WIRE_DEFER, 0, 451, "", "no" }, "no such reply" },
    { "enhanced: two numbers", { WIRE_DEFER, 0, 451, "4.7", "no" }, "no such reply" },
    { "enhanced: four numbers", { WIRE_DEFER, 0, 451, "4.7.1.1", "no" }, "no such reply" },
    { "enhanced: four digits", { WIRE_DEFER, 0, 451, "4.7.1111", "no" }, "no such reply" },
    { "enhanced: an empty number", { WIRE_DEFER, 0, 451, "4..1", "no" }, "no such reply" },
    { "enhanced: a class of two digits", { WIRE_DEFER, 0, 451, "44.7.1", "no" }, "no such reply" },
    { "enhanced: a letter", { WIRE_DEFER, 0, 451, "4.7.x", "no" }, "no such reply" },
    { "text: two lines", { WIRE_REJECT, 0, 550, "5.7.1", "no\r\n250 yes" }, "no such reply" },
    { "text: a line end", { WIRE_REJECT, 0, 550, "5.7.1", "no\n" }, "no such reply" },
    { "text: a control character", { WIRE_REJECT, 0, 550, "5.7.1", "no\033[2J" }, "no such reply" },
    { "text: DEL", { WIRE_REJECT, 0, 550, "5.7.1", "no\177" }, "no such reply" },
    { "text: UTF-8", { WIRE_REJECT, 0, 550, "5.7.1", "n\303\266" }, "no such reply" },
    { "text: long", { WIRE_REJECT, 0, 550, "5.7.1", LETTERS_300 LETTERS_100 }, NULL },
    { "text: too long", { WIRE_REJECT, 0, 550, "5.7.1", LETTERS_300 LETTERS_300 }, "no such reply" },
    { "folder", { WIRE_DELIVER, 0, 0, "", "", .folder = "Lists/Gr\303\274\303\237e" }, NULL },
    { "folder: empty", { WIRE_DELIVER, 0, 0, "", "", .folder = "" }, "no such folder" },
    { "folder: a line end", { WIRE_DELIVER, 0, 0, "", "", .folder = "a\nb" }, "no such folder" },
    { "folder: no UTF-8", { WIRE_DELIVER, 0, 0, "", "", .folder = "\377" }, "no such folder" },
    { "folder: too long", { WIRE_DELIVER, 0, 0, "", "", .folder = LETTERS_300 }, "no such folder" },
    { "flags", { WIRE_DELIVER, 0, 0, "", "", .flags = "DFPRST" }, NULL },
    { "flags: none", { WIRE_DELIVER, 0, 0, "", "", .flags = "" }, NULL },
    { "flags: twice the same", { WIRE_DELIVER, 0, 0, "", "", .flags = "SFS" }, "no such flags" },
    { "flags: a slash", { WIRE_DELIVER, 0, 0, "", "", .flags = "S/" }, "no such flags" },
    { "flags: lower case", { WIRE_DELIVER, 0, 0, "", "", .flags = "s" }, "no such flags" },
    { "redirects", { WIRE_DELIVER, 0, 0, "", "", .redirects = ADDRESSES("a@b", "c@d") }, NULL },
    { "redirects: to nobody",
      { WIRE_DELIVER, 0, 0, "", "", .redirects = ADDRESSES("a@b", "") },
      "no such address" },
    { "redirects: a line end",
      { WIRE_DELIVER, 0, 0, "", "", .redirects = ADDRESSES("a@b\r\n") },
      "no such address" },
    { "redirects: too long",
      { WIRE_DELIVER, 0, 0, "", "", .redirects = ADDRESSES(LETTERS_300 LETTERS_100) },
      "no such address" },
};

static void check_fate(void **state)
{
    const struct fate_row *row = *state;
    struct wire_fate fates[2] = { { .handler = -1, .enhanced = "", .text = "" }, row->fate };
    const struct wire_verdict v = { .fates = fates, .fate_count = 2 };
    const char *problem = handler_verdict_problem(&v, &bounds);
    assert_string_equal(problem != NULL ? problem : "", row->problem != NULL ? row->problem : "");
}

static void many_redirects(void **state)
{
    (void)state;
    const char *addresses[HANDLER_REDIRECTS_MAX + 1];
    for (size_t i = 0; i <= HANDLER_REDIRECTS_MAX; i++)
        addresses[i] = "alice@example.org";
    struct wire_fate fates[2] = { { .handler = -1, .enhanced = "", .text = "" } };
    fates[1] = fates[0];
    fates[1].redirects = (struct wire_text_list){ addresses, HANDLER_REDIRECTS_MAX };
    const struct wire_verdict v = { .fates = fates, .fate_count = 2 };
    assert_null(handler_verdict_problem(&v, &bounds));
    fates[1].redirects.count++;
    assert_string_equal(handler_verdict_problem(&v, &bounds), "too many redirects");
}

int main(int argc, char **argv)
{
    struct suite *suite = suite_new("handler_verdict");
    suite_add_rows(suite, rows, check_row);
    suite_add_rows(suite, fate_rows, check_fate);
    suite_add(suite, "redirects: many", many_redirects, NULL);
    return suite_run(suite, argc, argv);
}
