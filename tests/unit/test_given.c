/* Command lines: what options become of the configuration, and which make no sense. */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cli/command.h"
#include "cli/given.h"
#include "suite.h"

enum { ARGUMENTS_MAX = 12 };

struct folder {
    char *path;
};

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        remove_tree(inner);
    }
    (void)g_remove(path);
}

static void folder_make(struct folder *f)
{
    f->path = g_build_filename(g_get_tmp_dir(), "postern-XXXXXX", NULL);
    assert_non_null(g_mkdtemp(f->path));
}

static void folder_clear(struct folder *f)
{
    remove_tree(f->path);
    g_free(f->path);
}
AUTO_VAL_DEFINE(folder);

/* "@" stands for the folder's path. */
static char *with_folder(const char *text, const struct folder *f)
{
    g_auto(GStrv) parts = g_strsplit(text, "@", -1);
    return g_strjoinv(f->path, parts);
}

static void on_option(void *owner, const struct cli_option *option, const char *value)
{
    assert_true(given_take(owner, option, value));
}

/* A command line of `check`, as it is parsed there; the arguments outlive what was given. */
struct line {
    char *argv[ARGUMENTS_MAX + 2]; /* the command's name, and NULL at the end */
    struct given given;
    int parsed, rest, status;
};

static void line_parse(struct line *l, const char *const *arguments, const struct folder *f)
{
    int argc = 0;
    *l = (struct line){ .argv = { g_strdup("check") } };
    for (argc = 1; arguments[argc - 1] != NULL; argc++)
        l->argv[argc] = with_folder(arguments[argc - 1], f);
    l->parsed = command_parse(&command_check, argc, l->argv, on_option, &l->given, &l->rest, &l->status);
}

static void line_clear(struct line *l)
{
    for (size_t i = 0; l->argv[i] != NULL; i++)
        g_free(l->argv[i]);
    given_clear(&l->given);
}
AUTO_VAL_DEFINE(line);

/* ---- problems ---- */

struct problem_row {
    const char *name;
    const char *arguments[ARGUMENTS_MAX];
    const char *problems;
};

#define HOSTNAME  "--hostname", "mx.example.org"
#define LISTEN    "--listen", "smtp://127.0.0.1:25"
#define HERE      "--domain", "example.org=@"
#define ADDRESSES "addresses such as 0.0.0.0:25, [::]:25 or unix:/run/postern/lmtp.sock, separated by commas"

static const struct problem_row problem_rows[] = {
    { "all that is needed", { HOSTNAME, LISTEN, HERE }, "" },
    { "values behind an equals sign",
      { "--hostname=mx.example.org", "--listen=smtp://127.0.0.1:25", HERE },
      "" },
    { "nothing to do",
      { HOSTNAME },
      "command line: there is nowhere to listen; expected a section [listen NAME] with address = HOST:PORT\n"
      "command line: there is no domain to take mail for; expected a section [domain NAME] with maildirs = "
      "DIRECTORY\n" },
    { "a URL that is none",
      { HOSTNAME, LISTEN, HERE, "--listen", "127.0.0.1:25" },
      "--listen 127.0.0.1:25: expected [NAME=]smtp://HOST:PORT, or lmtp://, or unix:PATH instead of "
      "HOST:PORT\n" },
    { "a URL of the web",
      { HOSTNAME, HERE, "--listen", "http://127.0.0.1:80" },
      "--listen http://127.0.0.1:80: protocol = http: expected one of smtp, lmtp\n" },
    { "a URL without a port",
      { HOSTNAME, HERE, "--listen", "smtp://127.0.0.1" },
      "--listen smtp://127.0.0.1: address = 127.0.0.1: \"127.0.0.1\" is no address; expected " ADDRESSES
      "\n" },
    { "a domain without a folder",
      { HOSTNAME, LISTEN, HERE, "--domain", "example.net" },
      "--domain example.net: expected DOMAIN=DIR\n" },
    { "a folder without a domain",
      { HOSTNAME, LISTEN, HERE, "--domain", "=@" },
      "--domain =@: expected DOMAIN=DIR\n" },
    { "a key without a section",
      { HOSTNAME, LISTEN, HERE, "--set", "errors=1" },
      "--set errors=1: expected SECTION.KEY=VALUE\n" },
    { "a key without a value",
      { HOSTNAME, LISTEN, HERE, "--set", "limits.errors" },
      "--set limits.errors: expected SECTION.KEY=VALUE\n" },
    { "an unknown key",
      { HOSTNAME, LISTEN, HERE, "--set", "log.levl=info" },
      "--set log.levl=info: unknown key levl in [log]; did you mean level? (known: target, format, "
      "level)\n" },
    { "TLS without a certificate",
      { HOSTNAME, HERE, "--listen", "smtps://127.0.0.1:465" },
      "--listen smtps://127.0.0.1:465: tls = implicit: there is no certificate; expected certificate and "
      "private-key in [tls]\n" },
    { "a certificate without a key",
      { HOSTNAME, LISTEN, HERE, "--tls-certificate", "c.pem" },
      "--tls-certificate c.pem: [tls] has certificate and no private-key; expected both or neither\n" },
    { "a handler that is missing",
      { HOSTNAME, LISTEN, HERE, "--handler", "@/h.so" },
      "--handler @/h.so: load = @/h.so: No such file or directory; expected a shared object that can be "
      "read\n" },
    { "a handler without a name",
      { HOSTNAME, LISTEN, HERE, "--handler", "/a b.so" },
      "--handler /a b.so: [handler a b] is no section; expected [handler NAME]\n" },
    { "an option without a handler",
      { HOSTNAME, LISTEN, HERE, "--handler-option", "h.queue=support" },
      "--handler-option h.queue=support: there is no such handler; expected NAME.KEY=VALUE with the NAME of "
      "one\n" },
    { "an option without a key",
      { HOSTNAME, LISTEN, HERE, "--handler", "/dev/null", "--handler-option", "null=support" },
      "--handler-option null=support: expected NAME.KEY=VALUE\n" },
    { "an option with an empty key",
      { HOSTNAME, LISTEN, HERE, "--handler", "/dev/null", "--handler-option", "null.=support" },
      "--handler-option null.=support: unknown key option. in [handler null]; did you mean option.*? (known: "
      "load, domains, listeners, paths, writable-paths, network, option.*)\n" },
    { "an option without a value",
      { HOSTNAME, LISTEN, HERE, "--handler", "/dev/null", "--handler-option", "null.queue" },
      "--handler-option null.queue: expected NAME.KEY=VALUE\n" },
    { "several in one run",
      { "--hostname", "-", LISTEN, HERE, "--workers", "0", "--log", "nowhere" },
      "--workers 0: workers = 0: expected auto, or a whole number from 1 to 256\n"
      "--log nowhere: target = nowhere: expected stderr, syslog, or file:PATH\n"
      "--hostname -: hostname = -: expected a domain name such as mx.example.org\n" },
    { "a file that is missing",
      { "-c", "@/none", LISTEN },
      "@/none: cannot be read: No such file or directory\n" },
};

static void check_problems(void **state)
{
    const struct problem_row *row = *state;
    auto_val(folder) f;
    folder_make(&f);
    auto_val(line) l;
    line_parse(&l, row->arguments, &f);
    assert_int_equal(l.parsed, 0);
    auto_val(diag) d = { 0 };
    settings_free(given_settings(&l.given, &d));
    g_autoptr(GString) told = g_string_new(NULL);
    for (unsigned i = 0; i < diag_count(&d); i++)
        g_string_append_printf(told, "%s\n", (const char *)g_ptr_array_index(d.problems, i));
    g_autofree char *wanted = with_folder(row->problems, &f);
    assert_string_equal(told->str, wanted);
}

/* ---- what comes of it ---- */

static void assert_listener(const struct settings *s, size_t i, const char *name, enum smtp_protocol protocol,
                            const char *address)
{
    assert_true(i < s->listener_count);
    const struct worker_listener *l = &s->listeners[i].listener;
    char text[NET_ADDRESS_TEXT];
    assert_string_equal(l->name, name);
    assert_int_equal(l->protocol, protocol);
    assert_string_equal(net_address_format(&l->address, text), address);
}

static struct settings *good_settings(const struct line *l)
{
    auto_val(diag) d = { 0 };
    assert_int_equal(l->parsed, 0);
    struct settings *s = given_settings(&l->given, &d);
    diag_print(&d, stderr);
    assert_int_equal(diag_count(&d), 0);
    return s;
}

/* Who names a certificate has STARTTLS where --listen says no more, and what else says more goes before that.
 */
static void check_tls(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    g_autofree char *path = g_build_filename(f.path, "postern.conf", NULL);
    assert_true(g_file_set_contents(path,
                                    "[listen in]\naddress = 127.0.0.1:25\ntls = required\n"
                                    "[listen plain]\naddress = 127.0.0.1:26\n",
                                    -1, NULL));
    static const char *const arguments[] = {
        "-c",
        "@/postern.conf",
        HOSTNAME,
        HERE,
        "--listen=smtp://127.0.0.1:27",
        "--listen=lmtps://unix:/s",
        "--listen=in=smtp://127.0.0.1:28",
        "--tls-certificate=cert.pem",
        "--tls-key=/key.pem",
        NULL,
    };
    auto_val(line) l;
    line_parse(&l, arguments, &f);
    auto_ptr(settings) s = good_settings(&l);
    static const enum worker_tls wanted[] = { WORKER_TLS_REQUIRED, WORKER_TLS_OFF, WORKER_TLS_OPTIONAL,
                                              WORKER_TLS_IMPLICIT };
    assert_listener(s, 0, "in", SMTP_PROTOCOL_SMTP, "127.0.0.1:28");
    assert_listener(s, 1, "plain", SMTP_PROTOCOL_SMTP, "127.0.0.1:26");
    assert_listener(s, 2, "smtp-1", SMTP_PROTOCOL_SMTP, "127.0.0.1:27");
    assert_listener(s, 3, "lmtps-1", SMTP_PROTOCOL_LMTP, "unix:/s");
    for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++)
        assert_int_equal(s->listeners[i].listener.tls, wanted[i]);
    g_autofree char *here = g_get_current_dir();
    g_autofree char *certificate = g_build_filename(here, "cert.pem", NULL);
    const struct tls_host *host = &g_array_index(s->tls.hosts, struct tls_host, 0);
    assert_string_equal(host->pairs[0].certificate.value, certificate);
    assert_string_equal(host->pairs[0].private_key.value, "/key.pem");
}

/* Whatever the order of the options: the command line overrides the file, and adds to it. */
static void check_file_and_options(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    g_autofree char *path = g_build_filename(f.path, "postern.conf", NULL);
    g_autofree char *text = with_folder("[server]\nhostname = old.example.org\nworkers = 3\n"
                                        "[listen in]\naddress = 127.0.0.1:25\n"
                                        "[listen smtp-1]\naddress = 127.0.0.1:26\n"
                                        "[domain example.org]\nmaildirs = /nonexistent\n",
                                        &f);
    assert_true(g_file_set_contents(path, text, -1, NULL));
    static const char *const arguments[] = {
        "--hostname",
        "new.example.org",
        "--listen",
        "in=lmtp://unix:/run/x.sock",
        "--listen",
        "smtp://[::1]:27",
        "--domain",
        "example.org=@",
        "--config=@/postern.conf",
        "--set=listen in.socket-mode=0600",
        NULL,
    };
    auto_val(line) l;
    line_parse(&l, arguments, &f);
    auto_ptr(settings) s = good_settings(&l);
    assert_string_equal(s->worker.hostname, "new.example.org");
    assert_int_equal(s->workers, 3);
    assert_int_equal(s->listener_count, 3);
    assert_listener(s, 0, "in", SMTP_PROTOCOL_LMTP, "unix:/run/x.sock");
    assert_int_equal(s->listeners[0].socket_mode, 0600);
    assert_listener(s, 1, "smtp-1", SMTP_PROTOCOL_SMTP, "127.0.0.1:26");
    assert_listener(s, 2, "smtp-2", SMTP_PROTOCOL_SMTP, "[::1]:27");
}

static void check_sets(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    static const char *const arguments[] = {
        "--set", "server.hostname=a=b.example.org", "--set",        "server.hostname=mx.example.org",
        "--set", "domain example.org.maildirs=@",   "--set",        "listen a.b.address=127.0.0.1:25",
        "--set", "limits.message-size=1M",          "--log-format", "json",
        NULL,
    };
    auto_val(line) l;
    line_parse(&l, arguments, &f);
    auto_ptr(settings) s = good_settings(&l);
    assert_string_equal(s->worker.hostname, "mx.example.org"); /* the last one counts */
    assert_int_equal(s->worker.smtp.message_size, 1024 * 1024);
    assert_int_equal(s->log.format, PST_LOG_JSON);
    assert_listener(s, 0, "a.b", SMTP_PROTOCOL_SMTP, "127.0.0.1:25");
}

/* Options may come before their handler; names, and keys of options, may have dots. */
static void check_handlers(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    g_autofree char *path = g_build_filename(f.path, "a.1.so", NULL);
    assert_true(g_file_set_contents(path, "", 0, NULL));
    static const char *const arguments[] = {
        "--demo=@",
        "--handler-option=a.1.queue=x = y",
        "--handler=/dev/null",
        "--handler=@/a.1.so",
        "--handler-option=null.b.c=",
        "--set=handler null.option.load=2",
        "--set=handler a.1.network=yes",
        "--set=handlers.timeout=1s",
        NULL,
    };
    auto_val(line) l;
    line_parse(&l, arguments, &f);
    auto_ptr(settings) s = good_settings(&l);
    assert_int_equal(s->handlers.timeout, 1000);
    assert_int_equal(s->handlers.config.handler_count, 2);
    assert_true(s->handlers.config.network);
    const struct wire_handler *null = &s->handlers.config.handlers[0], *a = &s->handlers.config.handlers[1];
    assert_string_equal(null->name, "null");
    assert_string_equal(null->file, "/dev/null");
    assert_int_equal(null->option_count, 2);
    assert_string_equal(null->options[0].name, "load");
    assert_string_equal(null->options[0].value, "2");
    assert_string_equal(null->options[1].name, "b.c");
    assert_string_equal(null->options[1].value, "");
    assert_string_equal(a->name, "a.1");
    assert_string_equal(a->file, path);
    assert_int_equal(a->option_count, 1);
    assert_string_equal(a->options[0].name, "queue");
    assert_string_equal(a->options[0].value, "x = y");
}

/* The demonstration makes its maildirs, finds them the next time, and can be given another port. */
static void check_demo(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    static const char *const arguments[] = { "--demo", "@/mail", "--listen", "demo=smtp://127.0.0.1:0",
                                             NULL };
    for (unsigned round = 0; round < 2; round++) {
        auto_val(line) l;
        line_parse(&l, arguments, &f);
        auto_ptr(settings) s = good_settings(&l);
        assert_int_equal(s->listener_count, 1);
        assert_listener(s, 0, "demo", SMTP_PROTOCOL_SMTP, "127.0.0.1:0");
        assert_string_equal(s->worker.hostname, "localhost");
    }
    static const char *const folders[] = { "alice/new", "bob/cur", "postmaster/tmp" };
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *path = g_build_filename(f.path, "mail", folders[i], NULL);
        assert_true(g_file_test(path, G_FILE_TEST_IS_DIR));
    }
    static const char *const only[] = { "--demo", "@/mail", NULL };
    auto_val(line) l;
    line_parse(&l, only, &f);
    auto_ptr(settings) s = good_settings(&l);
    assert_listener(s, 0, "demo", SMTP_PROTOCOL_SMTP, "127.0.0.1:2525");
}

static void check_demo_that_cannot_be(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    static const char *const arguments[] = { "--demo", "/dev/null/mail", NULL };
    auto_val(line) l;
    line_parse(&l, arguments, &f);
    auto_val(diag) d = { 0 };
    auto_ptr(settings) s = given_settings(&l.given, &d);
    assert_non_null(s);
    assert_true(diag_count(&d) > 0);
    assert_true(g_str_has_prefix(g_ptr_array_index(d.problems, 0), "--demo /dev/null/mail: "));
}

/* ---- command lines that make no sense ---- */

struct misuse_row {
    const char *name;
    const char *arguments[4];
};

static const struct misuse_row misuse_rows[] = {
    { "an unknown option", { "--nonsense" } },
    { "an unknown letter", { "-x" } },
    { "a value that is missing", { "--config" } },
    { "a value that is missing behind a letter", { "-c" } },
    { "an option that could be several", { "--log-=x" } },
    { "an unknown option behind others", { "-c", "x", "--nonsense" } },
};

static void check_misuse(void **state)
{
    const struct misuse_row *row = *state;
    auto_val(folder) f;
    folder_make(&f);
    auto_val(line) l;
    line_parse(&l, row->arguments, &f);
    assert_true(l.parsed < 0);
    assert_int_equal(l.status, EX_USAGE);
}

static void check_rest(void **state)
{
    (void)state;
    auto_val(folder) f;
    folder_make(&f);
    static const char *const arguments[] = { "-c", "file", "--", "--listen", NULL };
    auto_val(line) l;
    line_parse(&l, arguments, &f);
    assert_int_equal(l.parsed, 0);
    assert_string_equal(l.given.file, "file");
    assert_string_equal(l.argv[l.rest], "--listen");
    assert_null(l.argv[l.rest + 1]);
}

/* The table of commands is whole, and no option of a command is there twice. */
static void check_commands(void **state)
{
    (void)state;
    for (const struct command *const *c = commands; *c != NULL; c++) {
        assert_ptr_equal(command_find((*c)->name), *c);
        assert_non_null((*c)->run);
        g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
        for (const struct cli_options *const *o = (*c)->options; o != NULL && *o != NULL; o++)
            for (size_t i = 0; i < (*o)->count; i++)
                assert_true(g_hash_table_add(seen, (void *)(*o)->rows[i].name));
    }
    assert_null(command_find("ser"));
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("given");
    suite_add_rows(s, problem_rows, check_problems);
    suite_add(s, "the command line adds to the file and overrides it", check_file_and_options, NULL);
    suite_add(s, "certificates", check_tls, NULL);
    suite_add(s, "any key can be set", check_sets, NULL);
    suite_add(s, "handlers", check_handlers, NULL);
    suite_add(s, "the demonstration", check_demo, NULL);
    suite_add(s, "a demonstration that cannot be", check_demo_that_cannot_be, NULL);
    suite_add_rows(s, misuse_rows, check_misuse);
    suite_add(s, "arguments behind the options", check_rest, NULL);
    suite_add(s, "the table of commands", check_commands, NULL);
    return suite_run(s, argc, argv);
}
