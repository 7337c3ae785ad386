/*
 * exec - a handler in any language: runs a program for each message.
 *
 *     [handler filter]
 *     load = /usr/lib/postern/handlers/exec.so
 *     paths = /bin, /usr/bin, /etc/myfilter
 *     option.command = /etc/myfilter/filter --strict
 *     option.output = reply
 *
 * The command is an absolute path and arguments, quoted as in a shell, but it is none: nothing is expanded.
 * `paths` names the program, what it runs in turn, such as the interpreter of a script, and what it reads;
 * the system's libraries it may always read. `writable-paths` and `network` are for it as well.
 *
 * The program finds the message as it came, without the edits of handlers before this one, on its standard
 * input, a file that it may seek in from where it stands, and the envelope in its environment:
 *
 *     POSTERN_ID POSTERN_SESSION POSTERN_LISTENER POSTERN_PROTOCOL POSTERN_CLIENT POSTERN_CLIENT_NAME
 *     POSTERN_HELO POSTERN_USER POSTERN_TLS_VERSION POSTERN_TLS_CLIENT POSTERN_FROM POSTERN_SIZE
 *     POSTERN_TO, one recipient a line; POSTERN_MAILBOXES, the mailboxes of each, separated by blanks
 *
 * Its exit status is the verdict (sysexits.h): 0 deliver; 99 discard; EX_NOUSER, EX_UNAVAILABLE, EX_NOPERM,
 * EX_DATAERR or 100 reject; anything else, and death by a signal, defer. What it writes to its standard
 * output is, by option.output,
 *
 *     reply      when it does not deliver: the first line is the text of the reply (the default)
 *     headers    when it delivers: header fields to put in front of the message, one a line
 *     message    when it delivers: the message, which takes the place of the one that came; nothing at all is
 *                no message, and defers
 *
 * The limits are those of [handlers]. Whatever it leaves running is killed when it has ended.
 */
#include <errno.h>
#include <postern/handler.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { DISCARD = 99, REJECT = 100, REPLY_MAX = 300, HEADERS_MAX = 64 * 1024 };

struct exec {
    char **command;
    enum { OUTPUT_REPLY, OUTPUT_HEADERS, OUTPUT_MESSAGE } output;
};

static int init(postern_setup *setup)
{
    static const char *const outputs[] = { "reply", "headers", "message", NULL };
    const char *command = postern_setup_option(setup, "command");
    const char *output = postern_setup_option(setup, "output");
    if (command == NULL)
        return postern_fail(setup, "option.command is missing: the program to run, and its arguments");
    struct exec *e = g_new0(struct exec, 1);
    while (output != NULL && outputs[e->output] != NULL && strcmp(output, outputs[e->output]) != 0)
        e->output++;
    if (outputs[e->output] == NULL)
        return postern_fail(setup, "option.output: expected reply, headers or message");
    if (!g_shell_parse_argv(command, NULL, &e->command, NULL))
        return postern_fail(setup, "option.command: it is empty, or its quotes do not match");
    if (!g_path_is_absolute(e->command[0]))
        return postern_fail(setup, "option.command: expected an absolute path, and arguments");
    if (access(e->command[0], X_OK) < 0)
        return postern_fail(setup, "option.command: that program cannot be run; is it beneath one of paths?");
    postern_set_data(setup, e);
    return 0;
}

static void shut_down(void *data)
{
    struct exec *e = data;
    if (e != NULL)
        g_strfreev(e->command);
    g_free(e);
}

/* ---- the program's surroundings ---- */

static char **set(char **environment, const char *name, const char *value)
{
    return value != NULL ? g_environ_setenv(environment, name, value, TRUE) : environment;
}

static char **environment_of(const postern_envelope *v)
{
    GString *to = g_string_new(NULL), *mailboxes = g_string_new(NULL);
    for (size_t i = 0; i < v->recipient_count; i++) {
        g_autofree char *all = g_strjoinv(" ", (char **)v->recipients[i].mailboxes);
        g_string_append_printf(to, "%s%s", i > 0 ? "\n" : "", v->recipients[i].address);
        g_string_append_printf(mailboxes, "%s%s", i > 0 ? "\n" : "", all);
    }
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, v->size);
    char **e = set(NULL, "PATH", "/usr/local/bin:/usr/bin:/bin");
    e = set(e, "POSTERN_ID", v->id);
    e = set(e, "POSTERN_SESSION", v->session);
    e = set(e, "POSTERN_LISTENER", v->listener);
    e = set(e, "POSTERN_PROTOCOL", v->protocol);
    e = set(e, "POSTERN_CLIENT", v->client);
    e = set(e, "POSTERN_CLIENT_NAME", v->client_name);
    e = set(e, "POSTERN_HELO", v->helo);
    e = set(e, "POSTERN_USER", v->user);
    e = set(e, "POSTERN_TLS_VERSION", v->tls_version);
    e = set(e, "POSTERN_TLS_CLIENT", v->tls_client);
    e = set(e, "POSTERN_FROM", v->reverse_path);
    e = set(e, "POSTERN_SIZE", size);
    e = set(e, "POSTERN_TO", to->str);
    e = set(e, "POSTERN_MAILBOXES", mailboxes->str);
    g_string_free(to, TRUE);
    g_string_free(mailboxes, TRUE);
    return e;
}

/* Hosts ignore some signals, which programs rely on: `yes | head` ends by one. */
static void set_signals(posix_spawnattr_t *attributes)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    posix_spawnattr_setsigdefault(attributes, &signals);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF);
}

static int start(const struct exec *e, const postern_envelope *envelope, int message, int output, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, message, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    set_signals(&attributes);
    g_auto(GStrv) environment = environment_of(envelope);
    int error = posix_spawn(pid, e->command[0], &files, &attributes, e->command, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* A script that is there may lack its interpreter. */
static void tell_start(postern_delivery *delivery, int error)
{
    g_autofree char *line = g_strdup_printf("the program cannot be run: %s; are it and its interpreter "
                                            "beneath one of paths?",
                                            g_strerror(error));
    postern_log(delivery, POSTERN_ERROR, line);
}

/* Its exit status; 128 and more: a signal, or it could not be run. */
static int run(postern_delivery *delivery, const postern_envelope *envelope, int message, int output)
{
    pid_t pid;
    int error = start(postern_data(delivery), envelope, message, output, &pid);
    if (error != 0) {
        tell_start(delivery, error);
        return 128;
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 128;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- what it said ---- */

static char *output_text(int output, size_t limit)
{
    char *text = g_malloc(limit + 1);
    ssize_t len = pread(output, text, limit, 0);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

static int add_headers(postern_delivery *delivery, int output)
{
    g_autofree char *text = output_text(output, HEADERS_MAX);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    int r = 0;
    for (guint i = g_strv_length(lines); i-- > 0 && r == 0;) { /* each goes in front of those behind it */
        char *colon = strchr(lines[i], ':');
        if (colon == NULL)
            continue;
        *colon = '\0';
        r = postern_add_header(delivery, lines[i], g_strstrip(colon + 1));
    }
    return r;
}

static int replace_message(postern_delivery *delivery, int output)
{
    if (lseek(output, 0, SEEK_END) > 0)
        return postern_replace_raw(delivery, output);
    postern_log(delivery, POSTERN_WARNING, "the program wrote no message");
    return -ENODATA;
}

static postern_verdict deliver(const struct exec *e, postern_delivery *delivery, int output)
{
    int r = e->output == OUTPUT_HEADERS   ? add_headers(delivery, output)
            : e->output == OUTPUT_MESSAGE ? replace_message(delivery, output)
                                          : 0;
    return r == 0 ? POSTERN_DELIVER : postern_defer(delivery, 451, "4.3.0", "try again later");
}

static postern_verdict refuse(const struct exec *e, postern_delivery *delivery, int status, int output)
{
    bool is_for_good = status == EX_NOUSER || status == EX_UNAVAILABLE || status == EX_NOPERM ||
                       status == EX_DATAERR || status == REJECT;
    g_autofree char *text = e->output == OUTPUT_REPLY ? output_text(output, REPLY_MAX) : g_strdup("");
    text[strcspn(text, "\r\n")] = '\0';
    if (!is_for_good) {
        g_autofree char *line = g_strdup_printf("the program ended with status %d", status);
        postern_log(delivery, POSTERN_WARNING, line);
        return postern_defer(delivery, 451, "4.3.0", *text != '\0' ? text : "try again later");
    }
    return status == EX_NOUSER
               ? postern_reject(delivery, 550, "5.1.1", *text != '\0' ? text : "no such mailbox here")
               : postern_reject(delivery, 550, "5.7.1", *text != '\0' ? text : "message refused");
}

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    (void)message; /* the program reads it itself */
    const struct exec *e = postern_data(delivery);
    uint64_t offset;
    int raw = postern_raw(delivery, &offset);
    int output = memfd_create("output", MFD_CLOEXEC);
    if (raw < 0 || output < 0 || lseek(raw, (off_t)offset, SEEK_SET) < 0) {
        if (output >= 0)
            close(output);
        return POSTERN_DEFER;
    }
    int status = run(delivery, envelope, raw, output);
    postern_verdict verdict = status == 0         ? deliver(e, delivery, output)
                              : status == DISCARD ? POSTERN_DISCARD
                                                  : refuse(e, delivery, status, output);
    close(output);
    return verdict;
}

POSTERN_HANDLER(.name = "exec", .init = init, .on_message = on_message, .shutdown = shut_down)
