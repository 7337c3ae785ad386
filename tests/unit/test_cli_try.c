/* Sessions that `postern try` holds on its standard streams: replies, what is logged, and that nothing is
 * stored. */
#include <sys/stat.h>
#include <sysexits.h>

#include "cli_rig.h"
#include "suite.h"

static const char config[] =
    "[server]\nhostname = mx.example.org\n"
    "[limits]\nmessage-size = 64K\nerrors = 3\n"
    "[listen in]\naddress = 127.0.0.1:2525, [::1]:2525\nxclient = 192.0.2.1\nxforward = 192.0.2.1\n"
    "[listen behind]\naddress = 127.0.0.1:2526\nproxy = 127.0.0.1\n"
    "[listen lmtp]\naddress = unix:$/socket\nprotocol = lmtp\n"
    "[domain example.org]\nmaildirs = $/mail\naliases = $/aliases\n"
    "[domain full.example.org]\nmaildirs = $/full\nquota = 100\ncreate = yes\n";
static const char aliases[] = "team: alice, bob\nhalf: alice, closed\nlost: ghost\n";

#define MAIL(to) "MAIL FROM:<s@example.net>\r\nRCPT TO:<" to "@example.org>\r\n"
#define MESSAGE  "DATA\r\nSubject: x\r\n\r\n..\r\n.\r\n"
#define TO_DATA  "250 2.1.0 *250 2.1.5 *354 *"
#define KEPT     "250 2.0.0 Would be delivered; this was a try, nothing is kept\r\n"
#define QUIET    "try -c $/conf --quiet"

static const struct cli_row rows[] = {
    { "a message", "try -c $/conf", 0, "220 mx.example.org ESMTP postern\r\n250 *" TO_DATA KEPT "221 *",
      "*event=session-opened session=* client=127.0.0.1 listener=in\n*event=route *"
      "event=rcpt-accepted * to=alice@example.org mailbox=alice maildirs=$/mail\n*"
      "event=would-be-delivered session=* id=*.1 from=s@example.net to=alice@example.org mailbox=alice "
      "maildirs=$/mail octets=17\n*event=session-closed * reason=bye phase=ready messages=1\n",
      "HELO a\r\n" MAIL("alice") MESSAGE "QUIT\r\n" },
    { "lines that end in LF", QUIET, 0, "220 *" TO_DATA KEPT "221 *", "",
      "HELO a\nMAIL FROM:<s@example.net>\nRCPT TO:<alice@example.org>\nDATA\na\n.\nQUIT\n" },
    { "one LF among CR LF", "try -c $/conf", 0, "220 *" TO_DATA "550 5.6.0 *221 *",
      "*event=message-refused * from=s@example.net recipients=1 code=550 *",
      "HELO a\r\n" MAIL("alice") "DATA\r\na\nb\r\n.\r\nQUIT\r\n" },
    { "chunks", QUIET, 0, "220 *250 2.1.0 *250 2.1.5 *250 2.0.0 *" KEPT, "",
      "EHLO a\r\n" MAIL("alice") "BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n" },
    { "who is not taken", "try -c $/conf --log-format json", 0,
      "220 *250 2.1.0 *550 5.1.1 *550 5.7.1 *503 5.5.1 *",
      "*\"event\":\"rcpt-refused\"*\"code\":550,\"reason\":\"no-such-mailbox\",\"to\":\"ghost@example.org\"*"
      "\"event\":\"rcpt-refused\"*\"reason\":\"no-such-domain\",\"to\":\"a@example.net\"*"
      "\"event\":\"command-refused\"*\"code\":503*\"line\":\"DATA\"*\"reason\":\"peer-ended\",*",
      "HELO a\r\n" MAIL("ghost") "RCPT TO:<a@example.net>\r\nDATA\r\n" },
    { "an alias to nobody", "try -c $/conf", 0, "220 *250 2.1.0 *451 4.3.0 *",
      "*event=mailbox-lookup-failed * to=lost@example.org error=*ghost*", "HELO a\r\n" MAIL("lost") },
    { "a mailbox without room", QUIET, 0, "220 *250 2.1.0 *452 4.2.2 *250 2.1.5 *", "",
      "EHLO a\r\nMAIL FROM:<s@example.net> SIZE=99\r\nRCPT TO:<carol@full.example.org>\r\n"
      "RCPT TO:<dave@full.example.org>\r\n" },
    { "a maildir that nobody may write to", "try -c $/conf", 0, "220 *" TO_DATA "451 4.3.0 *",
      "*event=delivery-failed * to=half@example.org mailbox=alice * code=451 error=?*\n*"
      "event=delivery-failed * to=half@example.org mailbox=closed * code=451 *",
      "HELO a\r\n" MAIL("half") MESSAGE },
    { "each recipient in LMTP", "try -c $/conf --listener lmtp", 0,
      "220 mx.example.org LMTP postern\r\n*250 2.1.0 *250 2.1.5 *250 2.1.5 *250 2.1.5 *354 *\r\n" KEPT
      "451 4.3.0 *\r\n" KEPT "221 *",
      "*client=unix listener=lmtp\n*event=would-be-delivered * mailbox=alice *"
      "event=delivery-failed * mailbox=closed *event=would-be-delivered * mailbox=bob *",
      "LHLO a\r\n" MAIL("alice") "RCPT TO:<half@example.org>\r\nRCPT TO:<bob@example.org>\r\n" MESSAGE
                                 "QUIT\r\n" },
    { "a size that is told", QUIET, 0, "220 *552 5.3.4 *", "",
      "EHLO a\r\nMAIL FROM:<s@example.net> SIZE=65537\r\n" },
    { "an alias, and a transaction that is begun anew", QUIET, 0,
      "220 *250 2.1.0 *250 2.1.5 *250 2.0.0 *" TO_DATA KEPT, "",
      "HELO a\r\n" MAIL("alice") "RSET\r\n" MAIL("team") MESSAGE },
    { "too many mistakes", "try -c $/conf", 0, "220 *500 5.5.1 *500 5.5.1 *421 4.7.0 *",
      "*event=session-closed * reason=too-many-errors *", "A\r\nB\r\nC\r\nD\r\nE\r\n" },
    { "a client that hangs up in the message", "try -c $/conf", 0, "220 *" TO_DATA,
      "*reason=peer-ended phase=data messages=1\n", "HELO a\r\n" MAIL("alice") "DATA\r\na\r\n" },
    { "a client that says nothing", "try -c $/conf", 0, "220 mx.example.org ESMTP postern\r\n",
      "*reason=peer-ended *" },
    { "XCLIENT and XFORWARD", "try -c $/conf --client 192.0.2.1", 0,
      "220 *250*XCLIENT *XFORWARD *250 2.0.0 *220 *",
      "*event=xforward * name=a.example.net*event=xclient * client=198.51.100.1 *",
      "EHLO a\r\nXFORWARD NAME=a.example.net\r\nXCLIENT ADDR=198.51.100.1 PORT=25\r\n" },
    { "neither for others", "try -c $/conf --client 192.0.2.2", 0, "220 *550 5.7.0 *550 5.7.0 *", "*",
      "EHLO a\r\nXFORWARD NAME=a\r\nXCLIENT NAME=a\r\n" },
    { "a client of IPv6", "try -c $/conf --client 2001:db8::1", 0, "220 *",
      "*client=2001:db8::1 listener=in\n*" },
    { "a client of a unix socket", "try -c $/conf --client unix", 0, "220 *", "*client=unix listener=in\n*" },
    { "behind a proxy", "try -c $/conf --listener behind", 0, "220 *221 *",
      "*event=proxy-left-out * advice=*event=session-closed *", "QUIT\r\n" },

    { "a listener that is not there", "try -c $/conf --listener out", EX_USAGE, "",
      "postern try: \"out\" is no listener; expected one of in, behind, lmtp; *" },
    { "a client with a port", "try -c $/conf --client 192.0.2.1:25", EX_USAGE, "",
      "postern try: --client 192.0.2.1:25: expected an address such as *" },
    { "a client at a path", "try -c $/conf --client unix:/tmp/a", EX_USAGE, "",
      "postern try: --client unix:/tmp/a: *" },
    { "a client by name", "try -c $/conf --client localhost", EX_USAGE, "",
      "postern try: --client localhost: *" },
    { "a problem in the configuration", "try -c $/conf --set limits.errors=many", 1, "",
      "--set limits.errors=many: *" },
    { "a directory that is not there", "try -c $/conf --domain example.com=$/none", 1, "", "*$/none*" },
    { "no file at all",
      "try --listen smtp://127.0.0.1:2525 --domain example.org=$/mail --hostname a.example.org", 0,
      "220 a.example.org ESMTP postern\r\n221 *", "*listener=smtp-1\n*", "QUIT\r\n" },
};

static struct cli *set_up(void)
{
    struct cli *cli = cli_new();
    cli_file(cli, "conf", config);
    cli_file(cli, "aliases", aliases);
    cli_maildir(cli, "mail/alice");
    cli_maildir(cli, "mail/bob");
    cli_maildir(cli, "mail/closed");
    cli_maildir(cli, "full/carol");
    cli_file(cli, "full/carol/maildirsize", "100S\n50 1\n");
    g_autofree char *tmp = g_build_filename(cli->folder, "mail/closed/tmp", NULL);
    assert_int_equal(chmod(tmp, 0555), 0);
    return cli;
}

static void assert_empty(const struct cli *cli, const char *name)
{
    g_autofree char *path = g_build_filename(cli->folder, name, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    assert_non_null(dir);
    assert_null(g_dir_read_name(dir));
}

static void check_row(void **state)
{
    auto_ptr(cli) cli = set_up();
    cli_check(cli, *state);
    assert_empty(cli, "mail/alice/new");
    assert_empty(cli, "mail/alice/tmp");
    assert_empty(cli, "mail/bob/new");
    g_autofree char *made = g_build_filename(cli->folder, "full/dave", NULL);
    assert_false(g_file_test(made, G_FILE_TEST_EXISTS));
}

/* More than one read takes, a line after the other cut anywhere. */
static void check_large(void **state)
{
    (void)state;
    auto_ptr(cli) cli = set_up();
    g_autoptr(GString) said =
        g_string_new("HELO a\r\nMAIL FROM:<s@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
    for (size_t i = 0; i < 20000; i++)
        g_string_append_printf(said, "%.*s\r\n", (int)(i % 71),
                               "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrs");
    g_string_append(said, ".\r\nQUIT\r\n");
    cli->input = slice_of((const uint8_t *)said->str, said->len);
    assert_int_equal(cli_run(cli, QUIET " --set limits.message-size=1M"), 0);
    assert_non_null(strstr(cli->out, KEPT "221 2.0.0 Bye\r\n"));
    assert_string_equal(cli->err, "");
}

/* Replies that gather until they are written, to the last octet. */
static void check_many_replies(void **state)
{
    (void)state;
    enum { COMMANDS = 5000 };
    auto_ptr(cli) cli = set_up();
    g_autoptr(GString) said = g_string_new(NULL),
                       wanted = g_string_new("220 mx.example.org ESMTP postern\r\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        g_string_append(said, "NOOP\r\n");
        g_string_append(wanted, "250 2.0.0 OK\r\n");
    }
    cli->input = slice_of((const uint8_t *)said->str, said->len);
    assert_int_equal(cli_run(cli, QUIET), 0);
    assert_string_equal(cli->out, wanted->str);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("cli try");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "a message larger than what is read at once", check_large, NULL);
    suite_add(s, "more replies than are written at once", check_many_replies, NULL);
    return suite_run(s, argc, argv);
}
