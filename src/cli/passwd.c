#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "auth/password.h"
#include "auth/user.h"
#include "base/auto.h"
#include "base/number.h"
#include "cli/command.h"

enum {
    PASSWORD_SIZE = 4096
}; /* octets that may be typed, with the line's end; how many are good is not
      decided here */

enum option { STDIN, ITERATIONS };
static const struct cli_option rows[] = {
    [STDIN] = { "stdin", 0, NULL, "read the password from standard input, once, up to the end of the line" },
    [ITERATIONS] = { "iterations", 0, "N", "of the SCRAM keys, from 4096 to 1000000. Without it, 10000" },
};
static const struct cli_options own_options = { rows, G_N_ELEMENTS(rows) };
static const struct cli_options *const options[] = { &own_options, NULL };

struct passwd {
    bool from_stdin;
    const char *iterations;
};

static void on_option(void *owner, const struct cli_option *option, const char *value)
{
    struct passwd *p = owner;
    if (option == &rows[STDIN])
        p->from_stdin = true;
    else
        p->iterations = value;
}

/* ---- the password ---- */

/* Octet by octet, and not through stdio, whose buffers nobody wipes. Without the line's end. */
static int read_line(int fd, char *line, size_t size, size_t *ret_len)
{
    size_t len = 0;
    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0 || c == '\n')
            break;
        if (len == size - 1)
            return -EMSGSIZE;
        line[len++] = c;
    }
    if (len > 0 && line[len - 1] == '\r')
        len--;
    line[len] = '\0';
    *ret_len = len;
    return 0;
}

/* A copy, to be wiped; a NUL inside would cut it short. */
static int read_password(int fd, char **ret_password)
{
    char line[PASSWORD_SIZE];
    size_t len = 0;
    int r = read_line(fd, line, sizeof line, &len);
    if (r == 0 && strlen(line) != len)
        r = -EBADMSG;
    if (r == 0)
        *ret_password = g_strdup(line);
    explicit_bzero(line, sizeof line);
    return r;
}

/*
 * Keys that would stop the program do not: it would leave the terminal without echo. Their characters are
 * none that a password may have, so they end it all the same.
 */
static int ask(int terminal, const char *prompt, char **ret_password)
{
    struct termios before, silent;
    if (tcgetattr(terminal, &before) < 0)
        return -errno;
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    if (tcsetattr(terminal, TCSAFLUSH, &silent) < 0)
        return -errno;
    (void)dprintf(terminal, "%s", prompt); /* who does not see it can still type */
    int r = read_password(terminal, ret_password);
    (void)dprintf(terminal, "\n");
    (void)tcsetattr(terminal, TCSAFLUSH, &before); /* as good as can be */
    return r;
}

static int ask_twice(const char *user, char **ret_password)
{
    auto_fd int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0)
        return -ENOTTY;
    auto_password char *first = NULL, *second = NULL;
    g_autofree char *prompt = g_strdup_printf("Password of %s: ", user);
    int r = ask(terminal, prompt, &first);
    if (r == 0)
        r = ask(terminal, "The same again: ", &second);
    if (r < 0)
        return r;
    if (strcmp(first, second) != 0)
        return -EKEYREJECTED;
    *ret_password = g_steal_pointer(&first);
    return 0;
}

static const char *explain(int error)
{
    switch (error) {
    case -ENOTTY:
        return "there is no terminal to ask at; with --stdin, standard input is read";
    case -EKEYREJECTED:
        return "the two are not the same";
    case -EMSGSIZE:
        return "that is too long for a password";
    case -EBADMSG:
        return "a password has no NUL in it";
    default:
        return g_strerror(-error);
    }
}

/* ---- the command ---- */

static int make(const char *user, const char *password, uint64_t iterations)
{
    g_autofree char *line = NULL;
    const char *problem = NULL;
    int r = password_make(user, password, iterations, &line, &problem);
    if (r < 0) {
        (void)fprintf(stderr, "postern passwd: %s\n", problem != NULL ? problem : g_strerror(-r));
        return EXIT_FAILURE;
    }
    return printf("%s\n", line) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct passwd p = { 0 };
    uint64_t iterations = PASSWORD_ITERATIONS;
    int rest, status;
    if (command_parse(self, argc, argv, on_option, &p, &rest, &status) < 0)
        return status;
    if (argc - rest != 1)
        return command_misuse(self, "expected one user's name");
    if (p.iterations != NULL &&
        (pst_parse_u64(slice_str(p.iterations), PASSWORD_ITERATIONS_MAX, &iterations) < 0 ||
         iterations < PASSWORD_ITERATIONS_MIN))
        return command_misuse(self, "--iterations: expected a whole number from %d to %d",
                              PASSWORD_ITERATIONS_MIN, PASSWORD_ITERATIONS_MAX);
    const char *user = argv[rest];
    const char *problem = password_user_problem(user);
    if (problem != NULL) { /* before anybody types anything */
        (void)fprintf(stderr, "postern passwd: %s\n", problem);
        return EXIT_FAILURE;
    }
    auto_password char *password = NULL;
    int r = p.from_stdin ? read_password(STDIN_FILENO, &password) : ask_twice(user, &password);
    if (r < 0) {
        (void)fprintf(stderr, "postern passwd: %s\n", explain(r));
        return EXIT_FAILURE;
    }
    return make(user, password, iterations);
}

const struct command command_passwd = {
    .name = "passwd",
    .arguments = "USER [OPTION...]",
    .summary = "Makes a line for the passwords file of [auth]",
    .text = "Asks for the password at the terminal, twice, and prints the user's line on standard output:\n"
            "the password's hash for PLAIN and LOGIN, and keys for SCRAM. See postern-passwords(5).\n",
    .options = options,
    .run = run,
};
