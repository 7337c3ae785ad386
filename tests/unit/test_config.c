/* The reader of configurations: each mistake that one can make in a file, and exactly what is said about it.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <unistd.h>

#include "config/config.h"
#include "config/ini.h"
#include "config/nearest.h"
#include "suite.h"

/* ---- what the tests configure ---- */

struct server_values {
    char *name;
    uint64_t workers;
};

struct limits_values {
    uint64_t before; /* the second table begins behind it */
    struct {
        msec_t wait;
    } inner;
};

struct door_values {
    char *address;
    int colour;
};

static const char *const colours[] = { "red", "green", NULL };

static const struct option_row server_rows[] = {
    { .name = "hostname",
      .kind = OPTION_TEXT,
      .offset = OPTION_OFFSET(server_values, name),
      .expected = "a name" },
    { .name = "workers",
      .kind = OPTION_COUNT,
      .offset = OPTION_OFFSET(server_values, workers),
      .fallback = "2",
      .min = 1,
      .max = 9 },
};
static const struct option_row size_rows[] = {
    { .name = "message-size",
      .kind = OPTION_SIZE,
      .offset = OPTION_OFFSET(limits_values, before),
      .fallback = "1M" },
};
static const struct option_row wait_rows[] = {
    { .name = "command-timeout", .kind = OPTION_DURATION, .offset = 0, .fallback = "5m" },
};
static const struct option_row door_rows[] = {
    { .name = "address",
      .kind = OPTION_TEXT,
      .offset = OPTION_OFFSET(door_values, address),
      .required = true,
      .expected = "an address" },
    { .name = "colour",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(door_values, colour),
      .choices = colours },
};

struct plug_values {
    GString *options; /* "a=1;b=2;" */
};

static int append_option(const char *rest, const char *text, void *field, char **ret_problem)
{
    GString **options = field;
    if (strcmp(text, "bad") == 0) {
        *ret_problem = g_strdup_printf("%s says no", rest);
        return -1;
    }
    if (*options == NULL)
        *options = g_string_new(NULL);
    g_string_append_printf(*options, "%s=%s;", rest, text);
    return 0;
}

static void clear_options(void *field)
{
    GString **options = field;
    if (*options != NULL)
        g_string_free(*options, TRUE);
}

static const struct option_row plug_rows[] = {
    { .name = "option.*",
      .kind = OPTION_CUSTOM,
      .offset = OPTION_OFFSET(plug_values, options),
      .parse_rest = append_option,
      .clear = clear_options,
      .expected = "anything else" },
};
/* [lamp] and [lamp NAME], which have a key in common and keys of their own. */
struct lamp_values {
    uint64_t watts;
    bool dimmed;
};
static const struct option_row lamp_rows[] = {
    { .name = "watts", .kind = OPTION_COUNT, .offset = OPTION_OFFSET(lamp_values, watts), .fallback = "40" },
    { .name = "dimmed", .kind = OPTION_BOOL, .offset = OPTION_OFFSET(lamp_values, dimmed) },
};
struct bulb_values {
    uint64_t watts;
};
static const struct option_row bulb_rows[] = {
    { .name = "watts", .kind = OPTION_COUNT, .offset = OPTION_OFFSET(bulb_values, watts), .required = true },
};
static const size_t lamp_count = G_N_ELEMENTS(lamp_rows), bulb_count = G_N_ELEMENTS(bulb_rows);
static const struct config_table lamp_tables[] = { { lamp_rows, &lamp_count, 0 } };
static const struct config_table bulb_tables[] = { { bulb_rows, &bulb_count, 0 } };

static const size_t server_count = G_N_ELEMENTS(server_rows), size_count = G_N_ELEMENTS(size_rows),
                    wait_count = G_N_ELEMENTS(wait_rows), door_count = G_N_ELEMENTS(door_rows),
                    plug_count = G_N_ELEMENTS(plug_rows);

static const struct config_table server_tables[] = { { server_rows, &server_count, 0 } };
static const struct config_table limits_tables[] = {
    { size_rows, &size_count, 0 },
    { wait_rows, &wait_count, OPTION_OFFSET(limits_values, inner) },
};
static const struct config_table door_tables[] = { { door_rows, &door_count, 0 } };
static const struct config_table plug_tables[] = { { plug_rows, &plug_count, 0 } };

static const struct config_kind kinds[] = {
    { "server", NULL, server_tables, 1, sizeof(struct server_values), "" },
    { "limits", NULL, limits_tables, 2, sizeof(struct limits_values), "" },
    { "door", "NAME", door_tables, 1, sizeof(struct door_values), "" },
    { "plug", "NAME", plug_tables, 1, sizeof(struct plug_values), "" },
    { "lamp", NULL, lamp_tables, 1, sizeof(struct lamp_values), "" },
    { "lamp", "NAME", bulb_tables, 1, sizeof(struct bulb_values), "" },
};

static struct config *new_config(struct diag *d)
{
    return config_new(kinds, G_N_ELEMENTS(kinds), d);
}

static char *all_problems(const struct diag *d)
{
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i < diag_count(d); i++)
        g_string_append_printf(text, "%s\n", (const char *)g_ptr_array_index(d->problems, i));
    return g_string_free(text, FALSE);
}

/* ---- what is wrong ---- */

struct problem_row {
    const char *name;
    struct slice text;
    const char *problems; /* whole lines */
};

#define TEXT(literal)                                                                                        \
    {                                                                                                        \
        (const uint8_t *)(literal), sizeof(literal) - 1                                                      \
    }
#define KNOWN_SECTIONS "[server], [limits], [door NAME], [plug NAME], [lamp], [lamp NAME]"
#define X10            "xxxxxxxxxx"
#define X100           X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X186           X100 X10 X10 X10 X10 X10 X10 X10 X10 "xxxxxx"

static const struct problem_row problem_rows[] = {
    { "nothing at all", TEXT(""), "" },
    { "empty lines and comments", TEXT("\n  \n\t\n; a\n# b\n  ; c\n\t# d"), "" },
    { "comments behind", TEXT("[server] ; a\nhostname = x ; b\nworkers = 3\t; c\n"), "" },
    { "lines that end in CR LF", TEXT("[server]\r\nhostname = x\r\n\r\nworkers = 3\r\n"), "" },
    { "a byte order mark", TEXT("\xef\xbb\xbf[server]\nworkers = 3\n"), "" },
    { "no newline at the end", TEXT("[server]\nworkers = 3"), "" },
    { "UTF-8", TEXT("; gr\xc3\xbc\xc3\x9f\n[server]\nhostname = gr\xc3\xbc\xc3\x9f\n"), "" },

    { "an unknown section", TEXT("[nothing]\nx = 1\n"),
      "f:1: unknown section [nothing]; expected one of " KNOWN_SECTIONS "\n" },
    { "a misspelt section", TEXT("[srever]\n"),
      "f:1: unknown section [srever]; did you mean [server]? (known: " KNOWN_SECTIONS ")\n" },
    { "a misspelt section with a name", TEXT("[dor front]\n"),
      "f:1: unknown section [dor front]; did you mean [door NAME]? (known: " KNOWN_SECTIONS ")\n" },
    { "a section in the wrong case", TEXT("[Server]\n"),
      "f:1: unknown section [Server]; did you mean [server]? (known: " KNOWN_SECTIONS ")\n" },
    { "a name that is missing", TEXT("[door]\n"), "f:1: [door] is no section; expected [door NAME]\n" },
    { "a name that is too much", TEXT("[server a]\n"), "f:1: [server a] is no section; expected [server]\n" },
    { "a name of two words", TEXT("[door a b]\n"), "f:1: [door a b] is no section; expected [door NAME]\n" },
    { "a header that does not end", TEXT("[server\nworkers = many\n[limits]\nx\n"),
      "f:1: malformed section header; expected [section] or [section NAME] and nothing behind it\n"
      "f:4: no \"=\" in the line; expected key = value\n" },
    { "an empty header", TEXT("[ ]\n"),
      "f:1: malformed section header; expected [section] or [section NAME] and nothing behind it\n" },
    { "something behind a header", TEXT("[server] workers = 3\n"),
      "f:1: malformed section header; expected [section] or [section NAME] and nothing behind it\n" },
    { "a section twice", TEXT("[server]\nworkers = 1\n\n[server]\nhostname = x\nworkers = 2\n"),
      "f:4: [server] is there already, in line 1; expected it once\n"
      "f:6: workers was given in line 2 already; expected it once in [server]\n" },
    { "a named section twice", TEXT("[door a]\naddress = 1\n[door b]\naddress = 1\n[door a]\n"),
      "f:5: [door a] is there already, in line 1; expected it once\n" },

    { "a kind with and without names", TEXT("[lamp]\ndimmed = yes\n[lamp a]\nwatts = 1\n"), "" },
    { "what the named one needs", TEXT("[lamp]\n[lamp a]\n"),
      "f:2: [lamp a] has no watts; expected a whole number\n" },
    { "what only the other one has", TEXT("[lamp a]\nwatts = 1\ndimmed = yes\n"),
      "f:3: unknown key dimmed in [lamp a]; it belongs in [lamp] (known here: watts)\n" },
    { "a wrong name of such a kind", TEXT("[lamp a b]\n"),
      "f:1: [lamp a b] is no section; expected [lamp NAME]\n" },
    { "both twice", TEXT("[lamp]\n[lamp a]\nwatts = 1\n[lamp]\n[lamp a]\n"),
      "f:4: [lamp] is there already, in line 1; expected it once\n"
      "f:5: [lamp a] is there already, in line 2; expected it once\n" },
    { "keys with a free end", TEXT("[plug a]\noption.x = 1\noption.y.z = 2\n"), "" },
    { "a key with a free end that is not there", TEXT("[plug a]\noption. = 1\n"),
      "f:2: unknown key option. in [plug a]; did you mean option.*? (known: option.*)\n" },
    { "a misspelt key with a free end", TEXT("[plug a]\noptoin.x = 1\n"),
      "f:2: unknown key optoin.x in [plug a]; did you mean option.*? (known: option.*)\n" },
    { "a key with a free end elsewhere", TEXT("[server]\noption.x = 1\n"),
      "f:2: unknown key option.x in [server]; it belongs in [plug NAME] (known here: hostname, workers)\n" },
    { "a key with a free end twice", TEXT("[plug a]\noption.x = 1\noption.xx = 1\noption.x = 1\n"),
      "f:4: option.x was given in line 2 already; expected it once in [plug a]\n" },
    { "a wrong value of a key with a free end", TEXT("[plug a]\noption.x = bad\n"),
      "f:2: option.x = bad: x says no; expected anything else\n" },
    { "an unknown key", TEXT("[server]\nfrobnicate = 1\n"),
      "f:2: unknown key frobnicate in [server]; expected one of hostname, workers\n" },
    { "a misspelt key", TEXT("[server]\nhostnmae = 1\n"),
      "f:2: unknown key hostnmae in [server]; did you mean hostname? (known: hostname, workers)\n" },
    { "a key in the wrong case", TEXT("[server]\nWorkers = 1\n"),
      "f:2: unknown key Workers in [server]; did you mean workers? (known: hostname, workers)\n" },
    { "a key of another section", TEXT("[server]\nmessage-size = 1M\n"),
      "f:2: unknown key message-size in [server]; it belongs in [limits] (known here: hostname, workers)\n" },
    { "a key of a named section", TEXT("[limits]\naddress = 1\n"),
      "f:2: unknown key address in [limits]; it belongs in [door NAME] (known here: message-size, "
      "command-timeout)\n" },
    { "a key twice", TEXT("[server]\nworkers = 3\nworkers = 3\n"),
      "f:3: workers was given in line 2 already; expected it once in [server]\n" },
    { "a wrong key is told again", TEXT("[server]\nworkers = 0\nworkers = 3\n"),
      "f:2: workers = 0: expected a whole number, from 1 to 9\n"
      "f:3: workers was given in line 2 already; expected it once in [server]\n" },
    { "a key before all sections", TEXT("workers = 3\n"),
      "f:1: workers stands in front of the first section; expected a [section] before it\n" },
    { "a required key", TEXT("\n[door a]\ncolour = red\n"),
      "f:2: [door a] has no address; expected an address\n" },
    { "a required key that is wrong is not missing", TEXT("[door a]\naddress =\n"),
      "f:2: address has no value; expected an address\n" },

    { "a wrong value", TEXT("[server]\nworkers = ten\n"),
      "f:2: workers = ten: expected a whole number, from 1 to 9\n" },
    { "a value of the second table", TEXT("[limits]\ncommand-timeout = 5\n"),
      "f:2: command-timeout = 5: expected a duration such as 90s or 5m\n" },
    { "no value", TEXT("[server]\nworkers =\n"),
      "f:2: workers has no value; expected a whole number, from 1 to 9\n" },
    { "a comment for a value", TEXT("[server]\nworkers = ; 3\n"),
      "f:2: workers has no value; expected a whole number, from 1 to 9\n" },
    { "# begins no comment behind a value", TEXT("[server]\nworkers = 3 # c\n"),
      "f:2: workers = 3 # c: expected a whole number, from 1 to 9\n" },

    { "no equals sign", TEXT("[server]\nworkers 3\n"), "f:2: no \"=\" in the line; expected key = value\n" },
    { "a colon is no equals sign", TEXT("[server]\nworkers: 3\n"),
      "f:2: no \"=\" in the line; expected key = value\n" },
    { "a colon before the equals sign", TEXT("[server]\nworkers: 3=4\n"),
      "f:2: \"workers: 3\" cannot be a key; expected key = value, the key of letters, digits and \"-\"\n" },
    { "a comment before the equals sign", TEXT("[server]\nworkers ; x = 4\n"),
      "f:2: \"workers ; x\" cannot be a key; expected key = value, the key of letters, digits and \"-\"\n" },
    { "no key", TEXT("[server]\n= 3\n"),
      "f:2: \"\" cannot be a key; expected key = value, the key of letters, digits and \"-\"\n" },
    { "a value in a second line", TEXT("[server]\nhostname = a,\n  b\n"),
      "f:3: the line begins with a blank; expected a key or a [section] in the first column (a value cannot "
      "go on in a "
      "second line)\n" },
    { "a header behind a blank ends its section", TEXT("[server]\n [limits]\nmessage-size = 1M\n"),
      "f:2: the line begins with a blank; expected a key or a [section] in the first column (a value cannot "
      "go on in a "
      "second line)\n" },
    { "a line that is too long", TEXT("[server]\nhostname = " X186 "xx\nworkers = 0\n"),
      "f:2: the line is 199 octets long; expected at most 197\n"
      "f:3: workers = 0: expected a whole number, from 1 to 9\n" },
    { "a header that is too long", TEXT("[door " X186 X10 "]\naddress = 1\n"),
      "f:1: the line is 203 octets long; expected at most 197\n" },
    { "a comment may be long", TEXT("[server]\n; " X186 X10 " = 3\n# " X186 X186 "hostname = 3\n"), "" },
    { "NUL", TEXT("[server]\nhostname = a\0b\n"),
      "f:2: control character 0x00 in column 13; expected plain text\n" },
    { "escape", TEXT("[server]\nhostname = \x1b[2J\n"),
      "f:2: control character 0x1b in column 12; expected plain text\n" },
    { "a carriage return inside", TEXT("[server]\rworkers = 3\n"),
      "f:1: control character 0x0d in column 9; expected plain text\n" },
    { "delete", TEXT("[server]\nhostname = \x7f\n"),
      "f:2: control character 0x7f in column 12; expected plain text\n" },
    { "Latin-1", TEXT("[server]\nhostname = gr\xfc\xdf\n"), "f:2: byte 0xfc in column 14 is not UTF-8\n" },
    { "all of it in one run",
      TEXT("[server]\nworkers = x\nhostname\n[dor x]\nlost = 1\n[door y]\ncolour = blue\n"),
      "f:2: workers = x: expected a whole number, from 1 to 9\n"
      "f:3: no \"=\" in the line; expected key = value\n"
      "f:4: unknown section [dor x]; did you mean [door NAME]? (known: " KNOWN_SECTIONS ")\n"
      "f:7: colour = blue: expected one of red, green\n"
      "f:6: [door y] has no address; expected an address\n" },
};

static void check_problems(void **state)
{
    const struct problem_row *row = *state;
    auto_val(diag) d = { 0 };
    auto_ptr(config) c = new_config(&d);
    /* On the heap and without a NUL behind it, so that a sanitizer sees whoever reads too far. */
    g_autofree uint8_t *text = row->text.len > 0 ? g_memdup2(row->text.data, row->text.len) : NULL;
    config_read_text(c, "f", slice_of(text, row->text.len));
    config_finish(c);
    g_autofree char *told = all_problems(&d);
    assert_string_equal(told, row->problems);
}

/* ---- what is right ---- */

static const void *values_of(const struct config *c, const char *kind, const char *name)
{
    const struct config_section *s = config_find(c, kind, name);
    assert_non_null(s);
    return config_section_values(s);
}

static void check_values(void **state)
{
    (void)state;
    static const char text[] = "[limits]\n"
                               "command-timeout = 90s\n"
                               "[door front]\n"
                               "address=a = b;c ; comment\n"
                               "[door back]\n"
                               "address\t=\t \t:25  \n"
                               "colour = green\n";
    auto_val(diag) d = { 0 };
    auto_ptr(config) c = new_config(&d);
    config_read_text(c, "f", slice_str(text));
    config_finish(c);
    assert_int_equal(diag_count(&d), 0);

    const struct server_values *server = values_of(c, "server", NULL);
    assert_null(server->name);
    assert_int_equal(server->workers, 2);
    const struct limits_values *limits = values_of(c, "limits", NULL);
    assert_int_equal(limits->before, 1024 * 1024);
    assert_int_equal(limits->inner.wait, 90000);

    const struct config_section *s = config_next(c, "door", NULL);
    assert_string_equal(config_section_name(s), "front");
    assert_string_equal(((const struct door_values *)config_section_values(s))->address, "a = b;c");
    s = config_next(c, "door", s);
    assert_string_equal(config_section_name(s), "back");
    assert_string_equal(((const struct door_values *)config_section_values(s))->address, ":25");
    assert_int_equal(((const struct door_values *)config_section_values(s))->colour, 1);
    assert_null(config_next(c, "door", s));
    assert_null(config_find(c, "door", "side"));
}

static void assert_origin(struct origin at, const char *file, unsigned line)
{
    assert_string_equal(at.file, file);
    assert_int_equal(at.line, line);
}

static void check_origins(void **state)
{
    (void)state;
    auto_val(diag) d = { 0 };
    auto_ptr(config) c = new_config(&d);
    config_read_text(c, "f", slice_str("\n[door a]\naddress = 1\n"));
    config_set(c, "door", "a", "colour", "green", (struct origin){ "--set", 0 });
    config_set(c, "door", "b", "address", "2", (struct origin){ "--door", 0 });
    config_finish(c);
    const struct config_section *a = config_find(c, "door", "a"), *b = config_find(c, "door", "b");
    assert_origin(config_origin(c), "f", 0);
    assert_origin(config_section_origin(a), "f", 2);
    assert_origin(config_key_origin(a, "address"), "f", 3);
    assert_origin(config_key_origin(a, "colour"), "--set", 0);
    assert_origin(config_section_origin(b), "--door", 0);
    assert_origin(config_key_origin(b, "colour"), "--door", 0);
    assert_origin(config_section_origin(config_find(c, "server", NULL)), "f", 0);
}

static void check_command_line(void **state)
{
    (void)state;
    auto_val(diag) d = { 0 };
    auto_ptr(config) c = new_config(&d);
    config_read_text(c, "f", slice_str("[server]\nhostname = old\nworkers = 3\n"));
    g_autofree char *label = g_strdup("--hostname");
    config_set(c, "server", NULL, "hostname", "new ; and no comment", (struct origin){ label, 0 });
    label[0] = '?'; /* it was copied */
    config_set(c, "server", NULL, "workers", "x", (struct origin){ "--workers", 0 });
    config_set(c, "sever", NULL, "workers", "1", (struct origin){ "--set 1", 0 });
    config_set(c, "server", "x", "workers", "1", (struct origin){ "--set 2", 0 });
    config_set(c, "door", "a", "adress", "1", (struct origin){ "--set 3", 0 });
    config_finish(c);
    const struct server_values *server = values_of(c, "server", NULL);
    assert_string_equal(server->name, "new ; and no comment");
    assert_int_equal(server->workers, 3);
    assert_origin(config_key_origin(config_find(c, "server", NULL), "hostname"), "--hostname", 0);
    g_autofree char *told = all_problems(&d);
    assert_string_equal(
        told, "--workers: workers = x: expected a whole number, from 1 to 9\n"
              "--set 1: unknown section [sever]; did you mean [server]? (known: " KNOWN_SECTIONS ")\n"
              "--set 2: [server x] is no section; expected [server]\n"
              "--set 3: unknown key adress in [door a]; did you mean address? (known: address, colour)\n"
              "--set 3: [door a] has no address; expected an address\n");
}

static void check_free_keys(void **state)
{
    (void)state;
    auto_val(diag) d = { 0 };
    auto_ptr(config) c = new_config(&d);
    config_read_text(c, "f", slice_str("[plug p]\noption.b = 1\noption.a.b = x = y\n"));
    config_set(c, "plug", "p", "option.b", "", (struct origin){ "--set", 0 });
    config_finish(c);
    assert_int_equal(diag_count(&d), 0);
    const struct plug_values *plug = values_of(c, "plug", "p");
    assert_string_equal(plug->options->str, "b=1;a.b=x = y;b=;");
    const struct config_section *s = config_find(c, "plug", "p");
    assert_origin(config_key_origin(s, "option.a.b"), "f", 3);
    assert_origin(config_key_origin(s, "option.b"), "--set", 0);
    assert_origin(config_key_origin(s, "option.none"), "f", 1);
    assert_true(config_knows_key(c, "plug", "option.none"));
    assert_false(config_knows_key(c, "plug", "option."));
    assert_false(config_knows_key(c, "plug", "option"));
    assert_false(config_knows_key(c, "door", "option.x"));
    assert_false(config_knows_key(c, "dor", "address"));
}

static void check_two_kinds(void **state)
{
    (void)state;
    auto_val(diag) d = { 0 };
    auto_ptr(config) c = new_config(&d);
    config_read_text(c, "f", slice_str("[lamp b]\nwatts = 1\n[lamp a]\nwatts = 2\n"));
    config_set(c, "lamp", NULL, "dimmed", "yes", (struct origin){ "--set", 0 });
    config_set(c, "lamp", "a", "watts", "3", (struct origin){ "--set", 0 });
    config_finish(c);
    assert_int_equal(diag_count(&d), 0);
    const struct config_section *s = config_next(c, "lamp", NULL);
    assert_null(config_section_name(s));
    assert_ptr_equal(s, config_find(c, "lamp", NULL));
    assert_false(config_key_is_given(s, "watts"));
    assert_true(config_key_is_given(s, "dimmed"));
    assert_int_equal(((const struct lamp_values *)config_section_values(s))->watts, 40);
    s = config_next(c, "lamp", s);
    assert_string_equal(config_section_name(s), "b");
    s = config_next(c, "lamp", s);
    assert_string_equal(config_section_name(s), "a");
    assert_ptr_equal(s, config_find(c, "lamp", "a"));
    assert_int_equal(((const struct bulb_values *)config_section_values(s))->watts, 3);
    assert_null(config_next(c, "lamp", s));
    assert_true(config_knows_key(c, "lamp", "dimmed"));
    assert_true(config_knows_key(c, "lamp", "watts"));
}

static void check_no_text(void **state)
{
    (void)state;
    auto_val(diag) d = { 0 };
    auto_ptr(config) c = new_config(&d);
    config_finish(c);
    assert_int_equal(diag_count(&d), 0);
    assert_origin(config_origin(c), "command line", 0);
    assert_null(config_next(c, "door", NULL));
    assert_int_equal(((const struct server_values *)values_of(c, "server", NULL))->workers, 2);
}

/* inih's own limits lie above ours: what fits into a line arrives whole, values as well as names of sections.
 */
static void check_longest_line(void **state)
{
    (void)state;
    static const char name[] = X186 "xxxx";
    static const char value[] = X186;
    g_autofree char *text = g_strdup_printf("[door %s]\r\naddress = %s\r\n", name, value);
    assert_int_equal(strcspn(text, "\r"), INI_LINE_MAX);
    assert_int_equal(strlen("address = ") + strlen(value) + 1, INI_LINE_MAX);
    auto_val(diag) d = { 0 };
    auto_ptr(config) c = new_config(&d);
    config_read_text(c, "f", slice_str(text));
    config_finish(c);
    g_autofree char *told = all_problems(&d);
    assert_string_equal(told, "");
    const struct door_values *door = values_of(c, "door", name);
    assert_string_equal(door->address, value);
}

/* ---- files ---- */

static void check_file(void **state)
{
    (void)state;
    g_autofree char *dir = g_build_filename(g_get_tmp_dir(), "postern-XXXXXX", NULL);
    assert_non_null(g_mkdtemp(dir));
    g_autofree char *path = g_build_filename(dir, "postern.conf", NULL);
    assert_true(g_file_set_contents(path, "[server]\nworkers = 7\nx = 1\n", -1, NULL));
    auto_val(diag) d = { 0 };
    auto_ptr(config) c = new_config(&d);
    assert_int_equal(config_read_file(c, path), 0);
    assert_int_equal(((const struct server_values *)values_of(c, "server", NULL))->workers, 7);
    assert_int_equal(diag_count(&d), 1);
    assert_true(g_str_has_prefix(g_ptr_array_index(d.problems, 0), path));

    diag_clear(&d);
    g_autofree char *big = g_malloc(2 * 1024 * 1024);
    memset(big, '\n', 2 * 1024 * 1024);
    assert_true(g_file_set_contents(path, big, 2 * 1024 * 1024, NULL));
    assert_true(config_read_file(c, path) < 0);
    assert_int_equal(g_unlink(path), 0);
    assert_true(config_read_file(c, path) < 0);
    assert_true(config_read_file(c, dir) < 0);
    assert_int_equal(g_rmdir(dir), 0);
    g_autofree char *told = all_problems(&d);
    g_autofree char *wanted = g_strdup_printf("%s: cannot be read: File too large\n"
                                              "%s: cannot be read: No such file or directory\n"
                                              "%s: cannot be read: Is a directory\n",
                                              path, path, dir);
    assert_string_equal(told, wanted);
}

/* ---- the nearest word ---- */

struct distance_row {
    const char *name, *a, *b;
    size_t distance;
};

static const struct distance_row distance_rows[] = {
    { "equal words", "level", "level", 0 },
    { "words that differ in case", "Level", "lEVEL", 0 },
    { "a letter too much", "levell", "level", 1 },
    { "a letter too little", "levl", "level", 1 },
    { "another letter", "lavel", "level", 1 },
    { "two letters exchanged", "elvel", "level", 1 },
    { "nothing in common", "abc", "xyz", 3 },
    { "an empty word", "", "level", 5 },
    { "two empty words", "", "", 0 },
    { "several things", "comand-timeuot", "command-timeout", 2 },
    { "the longest word", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg",
      "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggh", 1 },
    { "a word that is too long", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg", "a",
      SIZE_MAX },
};

static void check_distance(void **state)
{
    const struct distance_row *row = *state;
    assert_true(nearest_distance(row->a, row->b) == row->distance);
    assert_true(nearest_distance(row->b, row->a) == row->distance);
}

static void check_nearest(void **state)
{
    (void)state;
    size_t best = SIZE_MAX;
    assert_false(nearest_improves("sync", "tls", &best));
    assert_true(nearest_improves("formt", "target", &best) == false);
    assert_true(nearest_improves("formt", "format", &best));
    assert_int_equal(best, 1);
    assert_false(nearest_improves("formt", "formats", &best)); /* farther than the one found */
    assert_int_equal(best, 1);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("config");
    suite_add_rows(s, problem_rows, check_problems);
    suite_add(s, "values of all tables, and defaults", check_values, NULL);
    suite_add(s, "where things were said", check_origins, NULL);
    suite_add(s, "the command line overrides", check_command_line, NULL);
    suite_add(s, "keys with a free end", check_free_keys, NULL);
    suite_add(s, "one kind with and without names", check_two_kinds, NULL);
    suite_add(s, "nothing was read", check_no_text, NULL);
    suite_add(s, "the longest lines arrive whole", check_longest_line, NULL);
    suite_add(s, "files that can be read and others", check_file, NULL);
    suite_add_rows(s, distance_rows, check_distance);
    suite_add(s, "what is near enough", check_nearest, NULL);
    return suite_run(s, argc, argv);
}
