/*
 * What `postern handle` tells of handlers' verdicts, and of handlers that fail, with real ones in a real
 * host: text, JSON, the message as it would be stored, what handlers log, and the exit status.
 */
#include <sysexits.h>

#include "cli_rig.h"
#include "suite.h"

enum { DISCARDED = 99, FAILED = EX_SOFTWARE };

#define MESSAGE "From: bob@example.net\r\nSubject: one\r\n two\r\nX-Odd: \x1b[1m \xff\r\n\r\nhello\r\n"
#define STORED  "From: bob@example.net\nSubject: one\n two\nX-Odd: \x1b[1m \xff\n\nhello\n"

#define JUDGE            "handle --load $/handlers/judge.so "
#define ZOO              "handle --set handlers.timeout=2s --load $/handlers/zoo.so --handler-option zoo."
#define LET(name, value) "--handler-option 'judge." name "=" value "' "
#define TWO              "--to alice@example.org --to carol@example.org "
#define ANSWER_451       "\nthe server would answer 451 4.3.0\n"

static const struct cli_row rows[] = {
    { "deliver", JUDGE, 0, "recipient@example.org: deliver to recipient@example.org\n", "" },
    { "reject", JUDGE LET("verdict", "reject"), EX_UNAVAILABLE,
      "recipient@example.org: reject 554 5.7.0 not like this (by judge)\n", "" },
    { "defer", JUDGE LET("verdict", "defer"), EX_TEMPFAIL,
      "recipient@example.org: defer 452 4.3.1 not now (by judge)\n", "" },
    { "discard", JUDGE LET("verdict", "discard"), DISCARDED, "recipient@example.org: discard (by judge)\n",
      "" },
    { "421 is what the server would make of it",
      "handle --load $/handlers/act.so --handler-option 'act.do=defer all 421 4.3.2 later'", EX_TEMPFAIL,
      "recipient@example.org: defer 451 4.3.2 later *", "" },
    { "one of two is refused", JUDGE TWO LET("second", "reject"), EX_UNAVAILABLE,
      "alice@example.org: deliver to alice@example.org\ncarol@example.org: reject 550 5.1.1 nobody, "
      "\"really\" (by judge)\n",
      "" },
    { "one of two is left out", JUDGE TWO LET("second", "discard"), 0,
      "alice@example.org: deliver to alice@example.org\ncarol@example.org: discard (by judge)\n", "" },
    { "elsewhere", JUDGE LET("folder", "Lists/A") LET("flags", "FS") LET("redirect", "bob@example.org"), 0,
      "recipient@example.org: deliver to bob@example.org, folder Lists/A, flags FS\n", "" },
    { "what a handler logs", JUDGE LET("log", "a\tb\nc\x1b"), 0, "*", "judge: warning: a b c?\n" },
    { "the envelope",
      JUDGE "--from '' --to Postmaster --client 2001:db8::1 --helo a.example.net --protocol SMTP --listener "
            "in " LET("envelope", "1"),
      0, "Postmaster: *", "judge: info: in SMTP 2001:db8::1 a.example.net <> * <Postmaster>=Postmaster\n" },

    { "JSON", JUDGE "--json " TWO LET("second", "reject") LET("folder", "A\"B\\"), EX_UNAVAILABLE,
      "{\"verdict\":\"reject\",\"recipients\":[{\"address\":\"alice@example.org\",\"verdict\":\"deliver\","
      "\"handler\":null,\"code\":null,\"enhanced\":null,\"text\":null,\"mailboxes\":[\"alice@example.org\"],"
      "\"redirects\":[],"
      "\"folder\":\"A\\\"B\\\\\",\"flags\":null},{\"address\":\"carol@example.org\",\"verdict\":\"reject\","
      "\"handler\":\"judge\",\"code\":550,\"enhanced\":\"5.1.1\",\"text\":\"nobody, \\\"really\\\"\",*}],"
      "\"replaced\":false,\"removed\":[],\"added\":[],\"size\":*}\n",
      "" },
    { "edits in JSON", JUDGE "--json " LET("remove", "Subject") LET("add", "X-New: a"), 0,
      "*\"removed\":[\"Subject: one\\u000a two\"],\"added\":[\"X-New: a\"],*", "" },
    { "edits", JUDGE LET("remove", "X-Odd") LET("replace", "Subject: two"), 0,
      "*: deliver *\n- Subject: one\n-  two\n- X-Odd: \\u001b[1m \xef\xbf\xbd\n+ Subject: two\n", "" },
    { "the message", JUDGE "--output -", 0, "*From: bob@example.net\nSubject: one\n two\n*\n\nhello\n",
      "*: deliver *\n" },
    { "the message with its edits", JUDGE "--output - " LET("add", "X-New: a"), 0,
      "X-New: a\nFrom: bob@example.net\n*", "*\n+ X-New: a\n" },
    { "another message", JUDGE "--output - " LET("message", "A: b\n\nwholly\n"), 0, "A: b\n\nwholly\n",
      "*: deliver *\nthe message is replaced by one of 13 octets\n- From: *\n- Subject: *\n+ A: b\n" },
    { "another message without a header section", JUDGE "--json " LET("message", "wholly"), 0,
      "*\"replaced\":true,*\"size\":?*}\n", "" },
    { "no message when it is refused", JUDGE "--output - " LET("verdict", "reject"), EX_UNAVAILABLE, "",
      "*: reject *" },
    { "for who still gets it over LMTP", JUDGE "--output - --protocol LMTP " TWO LET("second", "reject"),
      EX_UNAVAILABLE, "From: bob@example.net\n*", "*: reject *" },
    { "a file that cannot be made", JUDGE "--output $/none/file", EX_IOERR, "*: deliver *",
      "postern handle: $/none/file: No such file or directory\n" },

    { "it crashes", ZOO "how=abort", FAILED,
      "failure: handler zoo died of signal 6 (Aborted) while it had the message" ANSWER_451, "*" },
    { "it exits", ZOO "how=exit", FAILED,
      "failure: handler zoo ended with status 0 while it had the message" ANSWER_451, "*" },
    { "it says rubbish", ZOO "how=rubbish", FAILED,
      "failure: the host said what makes no sense: a handler wrote on its wire" ANSWER_451, "*" },
    { "it takes too long",
      "handle --set handlers.timeout=300ms --load $/handlers/zoo.so --handler-option zoo.how=sleep --json",
      FAILED,
      "{\"verdict\":\"failure\",\"failure\":\"handler zoo took longer than 0.3 s while it had the "
      "message\",\"reply\":\"451 4.3.0\"}\n",
      "*" },
    { "it is delivered unhandled", ZOO "how=abort --set handlers.on-failure=deliver", FAILED,
      "failure: *\nthe server would deliver the message as it is\n", "*" },
    { "the same in JSON", ZOO "how=abort --set handlers.on-failure=deliver --json", FAILED,
      "*,\"reply\":null}\n", "*" },
    { "it does not want to start", JUDGE LET("fail", "no queue"), FAILED,
      "failure: handler judge: no queue" ANSWER_451, "" },
    { "it crashes when it is loaded", "handle --load $/handlers/crash_at_load.so", FAILED,
      "failure: handler crash_at_load died of signal 6 (Aborted) while it was loaded" ANSWER_451, "*" },
    { "it exits when it is loaded", "handle --load $/handlers/exit_at_load.so", FAILED,
      "failure: handler exit_at_load ended with status 0 while it was loaded" ANSWER_451, "*" },
    { "it does not end",
      "handle --set handlers.timeout=300ms --load $/handlers/zoo.so --handler-option zoo.shutdown=hang", 0,
      "*: deliver *", "postern: warning: handler zoo took longer than 0.3 s at its end\n" },

    { "a client that is none", JUDGE "--client somewhere", EX_USAGE, "",
      "*--client somewhere: expected an IP address, or unix*" },
    { "a client of a unix socket", JUDGE "--client unix", 0, "*: deliver *", "" },
    { "a sender that is none", JUDGE "--from 'a b'", EX_USAGE, "", "*--from a b: expected an address *" },
    { "a recipient that is none", JUDGE "--to alice@example.org --to @", EX_USAGE, "",
      "*--to @: expected an address *" },
    { "a file that is not there", "handle --load $/none.so", EX_CONFIG, "",
      "*load = $/none.so: No such file or directory; expected a shared object that can be read\n" },
};

static const char config[] = "[server]\nhostname = mx.example.org\n"
                             "[listen in]\naddress = 127.0.0.1:2525\n"
                             "[listen lmtp]\naddress = unix:$/socket\nprotocol = lmtp\n"
                             "[domain example.org]\nmaildirs = $/mail\naliases = $/aliases\n"
                             "[domain example.net]\nmaildirs = $/mail\n"
                             "[handler all]\nload = handlers/judge.so\noption.envelope = 1\n"
                             "[handler net]\nload = handlers/judge.so\noption.verdict = reject\ndomains = "
                             "example.net\nlisteners = lmtp\n";

#define CONFIGURED "handle -c $/conf "

static const struct cli_row configured_rows[] = {
    { "an alias and the first listener", CONFIGURED "--to all@example.org", 0,
      "all@example.org: deliver to alice@example.org, carol@example.org\n",
      "all: info: in ESMTP 127.0.0.1 localhost <sender@example.org> * "
      "<all@example.org>=alice@example.org,carol@example.org\n" },
    { "a listener of LMTP, and a handler for one of two",
      CONFIGURED "--listener lmtp --to alice@example.org --to carol@example.net", EX_UNAVAILABLE,
      "alice@example.org: deliver to alice@example.org\ncarol@example.net: reject 554 5.7.0 * (by net)\n",
      "all: info: lmtp LMTP *" },
    { "a handler for all of them", CONFIGURED "--listener lmtp --to carol@example.net", EX_UNAVAILABLE,
      "carol@example.net: reject *", "*" },
    { "who is nobody", CONFIGURED "--to nobody@example.org", 0, "nobody@example.org: deliver\n",
      "postern: warning: the server would not take mail for nobody@example.org\n*" },
    { "a redirect to nobody",
      CONFIGURED "--to alice@example.org --handler-option all.redirect=nobody@example.org", FAILED,
      "failure: a redirect to nobody@example.org, which the server would not take mail for" ANSWER_451, "*" },
    { "a redirect to an alias",
      CONFIGURED "--to alice@example.org --handler-option all.redirect=all@example.org", 0,
      "alice@example.org: deliver to all@example.org\n", "*" },
    { "a listener that is not there", CONFIGURED "--listener out", EX_USAGE, "",
      "postern handle: \"out\" is no listener; expected the name of a section [listen NAME]; *" },
    { "no handler for that listener",
      "handle -c $/conf --set 'handler all.listeners=lmtp' --to alice@example.org --json", 0,
      "{\"verdict\":\"deliver\",\"recipients\":[{*\"mailboxes\":[\"alice@example.org\"],*", "" },
    { "no such section of domains", CONFIGURED "--set 'handler net.domains=example.nett'", EX_CONFIG, "",
      "*domains: there is no section [domain example.nett]; did you mean example.net? (known: example.org, "
      "example.net)\n" },
    { "no such section of listeners", CONFIGURED "--set 'handler net.listeners=elsewhere'", EX_CONFIG, "",
      "*listeners: there is no section [listen elsewhere]; expected one of in, lmtp\n" },
    { "paths that are not there",
      CONFIGURED "--set 'handler net.paths=$/none' --set 'handler net.writable-paths=$/handlers,/none'",
      EX_CONFIG, "",
      "*paths = $/none: No such file or directory; expected *\n*writable-paths = /none: No such *\n" },
    { "a folder for a handler", CONFIGURED "--to alice@example.org --set 'handler net.load=$/handlers'",
      EX_CONFIG, "", "*load = $/handlers: Is a directory; expected *" },
};

static void check_row(void **state)
{
    auto_ptr(cli) cli = cli_new();
    cli_handlers(cli);
    cli->input = slice_str(MESSAGE);
    cli_check(cli, *state);
}

static void check_configured(void **state)
{
    auto_ptr(cli) cli = cli_new();
    cli_handlers(cli);
    cli_file(cli, "conf", config);
    cli_file(cli, "aliases", "all: alice, carol\n");
    cli_maildir(cli, "mail/alice");
    cli_maildir(cli, "mail/carol");
    cli->input = slice_str(MESSAGE);
    cli_check(cli, *state);
}

/* To the octet, CR of line ends excepted. */
static void check_file(void **state)
{
    (void)state;
    auto_ptr(cli) cli = cli_new();
    cli_handlers(cli);
    cli->input = slice_str(MESSAGE);
    assert_int_equal(cli_run(cli, JUDGE "--output $/stored"), 0);
    g_autofree char *path = g_build_filename(cli->folder, "stored", NULL), *stored = NULL;
    assert_true(g_file_get_contents(path, &stored, NULL, NULL));
    assert_string_equal(stored, STORED);
}

/* Many times what is read, and what a frame holds, at once. */
static void check_large(void **state)
{
    (void)state;
    auto_ptr(cli) cli = cli_new();
    cli_handlers(cli);
    g_autoptr(GString) message = g_string_new("Subject: x\n\n");
    for (size_t i = 0; i < 50000; i++)
        g_string_append_printf(message, "%zu\n", i);
    cli->input = slice_of((const uint8_t *)message->str, message->len);
    assert_int_equal(cli_run(cli, JUDGE "--output -"), 0);
    assert_string_equal(cli->out, message->str);
}

/* It could end the parser: no handler is asked. */
static void check_bomb(void **state)
{
    (void)state;
    auto_ptr(cli) cli = cli_new();
    cli_handlers(cli);
    g_autoptr(GString) bomb = g_string_new(NULL);
    for (size_t i = 0; i < 300; i++)
        g_string_append(bomb, "Content-Type: message/rfc822\n\n");
    cli->input = slice_of((const uint8_t *)bomb->str, bomb->len);
    cli_check(cli, &(struct cli_row){
                       .line = JUDGE LET("log", "seen"),
                       .status = FAILED,
                       .out = "failure: the message exceeds the limit mime-depth, and no handler sees it\n"
                              "the server would answer 554 5.6.0\n",
                       .err = "" });
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("cli handle");
    suite_add_rows(s, rows, check_row);
    suite_add_rows(s, configured_rows, check_configured);
    suite_add(s, "the message in a file", check_file, NULL);
    suite_add(s, "a large message", check_large, NULL);
    suite_add(s, "a message that no parser may see", check_bomb, NULL);
    return suite_run(s, argc, argv);
}
