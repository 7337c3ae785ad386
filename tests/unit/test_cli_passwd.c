/* Lines that `postern passwd` makes of what comes on standard input or is typed at a terminal; and what it
 * takes for no password. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "cli_rig.h"
#include "suite.h"

enum { PATIENCE_MS = 60 * 1000 };

#define LINE  "alice:$y$?*:{SCRAM-SHA-256}10000,?*,?*,?*\n"
#define STDIN "passwd --stdin "

static const struct cli_row rows[] = {
    { "a password", STDIN "alice", 0, LINE, "", "secret\n" },
    { "without a line end", STDIN "alice", 0, LINE, "", "secret" },
    { "that ends in CR LF", STDIN "alice", 0, LINE, "", "secret\r\n" },
    { "only the first line", STDIN "alice", 0, LINE, "", "secret\nb\tc" },
    { "beyond ASCII", STDIN "alice", 0, LINE, "", "pa\xc3\x9fwort\n" },
    { "iterations", STDIN "--iterations 4096 alice", 0, "alice:*{SCRAM-SHA-256}4096,*", "", "secret\n" },
    { "too few iterations", STDIN "--iterations 4095 alice", EX_USAGE, "", "*from 4096 to 1000000; *",
      "secret\n" },
    { "too many iterations", STDIN "--iterations 1000001 alice", EX_USAGE, "", "*from 4096 to 1000000; *",
      "secret\n" },
    { "iterations that are no number", STDIN "--iterations 5k alice", EX_USAGE, "", "*from 4096 to *",
      "secret\n" },
    { "nothing", STDIN "alice", 1, "", "postern passwd: a password has from 1 to 511 octets in UTF-8, *",
      "" },
    { "an empty line", STDIN "alice", 1, "", "postern passwd: a password has *", "\nsecret\n" },
    { "a control character", STDIN "alice", 1, "", "postern passwd: a password has *no control characters\n",
      "a\tb\n" },
    { "what is not UTF-8", STDIN "alice", 1, "", "postern passwd: a password has * in UTF-8*", "\xff\n" },
    { "a name with a colon", STDIN "alice:b", 1, "",
      "postern passwd: a user's name cannot have a ':' in it\n", "secret\n" },
    { "no name", STDIN "''", 1, "", "postern passwd: *", "secret\n" },
};

/* "$" begins hashes here, and no path. */
static void check_row(void **state)
{
    const struct cli_row *row = *state;
    auto_ptr(cli) cli = cli_new();
    cli->input = slice_str(row->input);
    assert_int_equal(cli_run(cli, row->line), row->status);
    assert_true(g_pattern_match_simple(row->out, cli->out));
    assert_true(g_pattern_match_simple(row->err, cli->err));
}

static void check_length(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        int status;
        const char *err;
    } lengths[] = { { 511, 0, "" },
                    { 512, 1, "postern passwd: a password has from 1 to 511 *" },
                    { 4095, 1, "postern passwd: a password has from 1 to 511 *" },
                    { 4096, 1, "postern passwd: that is too long for a password\n" } };
    auto_ptr(cli) cli = cli_new();
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_autofree char *password = g_strnfill(lengths[i].len, 'a');
        cli->input = slice_str(password);
        assert_int_equal(cli_run(cli, STDIN "alice"), lengths[i].status);
        assert_true(g_pattern_match_simple(lengths[i].err, cli->err));
        assert_int_equal(*cli->out == '\0', lengths[i].status != 0);
    }
}

static void check_nul(void **state)
{
    (void)state;
    auto_ptr(cli) cli = cli_new();
    cli->input = slice_of((const uint8_t *)"a\0b\n", 4);
    assert_int_equal(cli_run(cli, STDIN "alice"), 1);
    assert_string_equal(cli->err, "postern passwd: a password has no NUL in it\n");
    assert_string_equal(cli->out, "");
}

/* ---- at a terminal ---- */

struct typist {
    int fd;
    pid_t pid;
    GString *seen;
};

static void typist_begin(struct typist *t)
{
    g_autofree char *program = cli_built("src/postern");
    t->seen = g_string_new(NULL);
    t->pid = forkpty(&t->fd, NULL, NULL, NULL);
    assert_true(t->pid >= 0);
    if (t->pid == 0) {
        (void)execl(program, "postern", "passwd", "alice", (char *)NULL);
        _exit(127);
    }
}

/* False: it has ended. */
static bool typist_look(struct typist *t)
{
    char octets[256];
    struct pollfd wait = { .fd = t->fd, .events = POLLIN };
    assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
    ssize_t n = read(t->fd, octets, sizeof octets);
    if (n > 0)
        g_string_append_len(t->seen, octets, n);
    return n > 0;
}

/* What is asked is asked only once the echo is off. */
static void typist_answer(struct typist *t, const char *question, const char *answer)
{
    while (strstr(t->seen->str, question) == NULL)
        assert_true(typist_look(t));
    struct termios terminal;
    assert_int_equal(tcgetattr(t->fd, &terminal), 0);
    assert_int_equal(terminal.c_lflag & (ECHO | ISIG), 0);
    assert_int_equal(write(t->fd, answer, strlen(answer)), strlen(answer));
}

/* The exit status; what was typed is nowhere to be seen. */
static int typist_end(struct typist *t)
{
    while (typist_look(t))
        continue;
    int status = 0;
    assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
    (void)close(t->fd);
    assert_null(strstr(t->seen->str, "secret"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_typed(void **state)
{
    (void)state;
    struct typist t;
    typist_begin(&t);
    typist_answer(&t, "Password of alice: ", "secret\n");
    typist_answer(&t, "The same again: ", "secret\n");
    assert_int_equal(typist_end(&t), 0);
    assert_non_null(strstr(t.seen->str, "\nalice:$y$"));
    g_string_free(t.seen, TRUE);
}

static void check_typed_otherwise(void **state)
{
    (void)state;
    struct typist t;
    typist_begin(&t);
    typist_answer(&t, "Password of alice: ", "secret\n");
    typist_answer(&t, "The same again: ", "secrets\n");
    assert_int_equal(typist_end(&t), 1);
    assert_non_null(strstr(t.seen->str, "postern passwd: the two are not the same"));
    g_string_free(t.seen, TRUE);
}

/* ^C is a character there, and no password has it. */
static void check_interrupted(void **state)
{
    (void)state;
    struct typist t;
    typist_begin(&t);
    typist_answer(&t, "Password of alice: ", "secret\x03\n");
    typist_answer(&t, "The same again: ", "secret\x03\n");
    assert_int_equal(typist_end(&t), 1);
    assert_non_null(strstr(t.seen->str, "no control characters"));
    g_string_free(t.seen, TRUE);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("cli passwd");
    suite_add_rows(s, rows, check_row);
    suite_add(s, "the longest", check_length, NULL);
    suite_add(s, "a NUL", check_nul, NULL);
    suite_add(s, "typed twice", check_typed, NULL);
    suite_add(s, "typed twice, not alike", check_typed_otherwise, NULL);
    suite_add(s, "typed with ^C", check_interrupted, NULL);
    return suite_run(s, argc, argv);
}
