/*
 * A handler that does what its option `do` says: lines of a word and what it needs, one after the other.
 *
 *     add X-Seen yes          reject 1 550 5.7.1 not here      log 2 a text
 *
 * With `do` = by-header, the lines are the values of the message's fields X-Do. Recipients are numbers; `all`
 * is all. The last word decides what is returned; without one it is delivered. What `init`, `load` and `exit`
 * stand in front of is done then.
 */
#include <postern/handler.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct scene {
    postern_delivery *delivery;
    postern_setup *setup;
    const postern_envelope *envelope;
    GMimeMessage *message;
    postern_verdict verdict;
};

struct data { /* of one of several that may be this file */
    const char *script;
    int count;
};

G_GNUC_PRINTF(2, 3) static void say(const struct scene *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (s->delivery != NULL)
        postern_log(s->delivery, POSTERN_INFO, text);
    else if (s->setup != NULL)
        postern_setup_log(s->setup, POSTERN_INFO, text);
}

/* The next word, and *rest behind it. */
static char *word(char **rest)
{
    char *at = *rest != NULL ? *rest : (char *)"";
    char *end = strchr(at, ' ');
    *rest = end != NULL ? end + 1 : NULL;
    if (end != NULL)
        *end = '\0';
    return at;
}

static size_t recipient(char **rest)
{
    const char *text = word(rest);
    return strcmp(text, "all") == 0 ? POSTERN_ALL : (size_t)strtoull(text, NULL, 10);
}

static char *unescaped(const char *text)
{
    return text != NULL ? g_strcompress(text) : NULL;
}

/* ---- what it can do ---- */

static void decide(struct scene *s, postern_verdict verdict, char *rest)
{
    size_t whom = recipient(&rest);
    int code = verdict == POSTERN_DISCARD ? 0 : atoi(word(&rest));
    const char *enhanced = verdict == POSTERN_DISCARD ? NULL : word(&rest);
    g_autofree char *text = unescaped(rest);
    int r = s->delivery->functions->set_verdict(s->delivery, whom, verdict, code, enhanced, text);
    if (r < 0)
        say(s, "set_verdict %s", strerror(-r));
    if (whom == POSTERN_ALL)
        s->verdict = verdict;
}

static void do_deliver(struct scene *s, char *rest)
{
    decide(s, POSTERN_DELIVER, rest);
}

static void do_reject(struct scene *s, char *rest)
{
    decide(s, POSTERN_REJECT, rest);
}

static void do_defer(struct scene *s, char *rest)
{
    decide(s, POSTERN_DEFER, rest);
}

static void do_discard(struct scene *s, char *rest)
{
    decide(s, POSTERN_DISCARD, rest);
}

static void do_return(struct scene *s, char *rest)
{
    s->verdict = (postern_verdict)atoi(rest);
}

static void do_add(struct scene *s, char *rest)
{
    const char *name = word(&rest);
    g_autofree char *value = unescaped(rest);
    say(s, "add %d", postern_add_header(s->delivery, name, value));
}

static void do_remove(struct scene *s, char *rest)
{
    say(s, "remove %d", postern_remove_header(s->delivery, rest));
}

static void do_replace(struct scene *s, char *rest)
{
    const char *name = word(&rest);
    g_autofree char *value = unescaped(rest);
    say(s, "replace %d", postern_replace_header(s->delivery, name, value));
}

static void do_header(struct scene *s, char *rest)
{
    g_autofree char *text = postern_header_text(s->delivery, GMIME_OBJECT(s->message), rest);
    say(s, "%s: %s", rest, text != NULL ? text : "(none)");
}

/* Of a name, all values that GMime has, in their order. */
static void do_headers(struct scene *s, char *rest)
{
    GMimeHeaderList *list = g_mime_object_get_header_list(GMIME_OBJECT(s->message));
    g_autoptr(GString) all = g_string_new(NULL);
    for (int i = 0; i < g_mime_header_list_get_count(list); i++) {
        GMimeHeader *header = g_mime_header_list_get_header_at(list, i);
        if (g_ascii_strcasecmp(g_mime_header_get_name(header), rest) == 0)
            g_string_append_printf(all, "[%s]", g_mime_header_get_value(header));
    }
    say(s, "%s", all->str);
}

static void do_subject(struct scene *s, char *rest)
{
    g_mime_message_set_subject(s->message, rest, "utf-8");
}

static void do_parts(struct scene *s, char *rest)
{
    (void)rest;
    postern_parts *parts = postern_parts_new(s->delivery, s->message);
    for (postern_part part; postern_parts_next(parts, &part);)
        say(s, "part %s %s %u %lld", part.type, part.name != NULL ? part.name : "-", part.depth,
            (long long)postern_part_size(s->delivery, &part));
    postern_parts_free(parts);
}

static void do_folder(struct scene *s, char *rest)
{
    size_t whom = recipient(&rest);
    say(s, "folder %d", postern_set_folder(s->delivery, whom, rest));
}

static void do_flags(struct scene *s, char *rest)
{
    size_t whom = recipient(&rest);
    say(s, "flags %d", postern_set_flags(s->delivery, whom, rest != NULL ? rest : ""));
}

static void do_redirect(struct scene *s, char *rest)
{
    size_t whom = recipient(&rest);
    say(s, "redirect %d", postern_redirect(s->delivery, whom, rest));
}

static void do_replace_message(struct scene *s, char *rest)
{
    (void)rest;
    say(s, "replace_message %d", postern_replace_message(s->delivery, s->message));
}

static void do_replace_text(struct scene *s, char *rest)
{
    g_autofree char *text = unescaped(rest);
    int fd = memfd_create("new", MFD_CLOEXEC);
    if (write(fd, text, strlen(text)) < 0)
        abort();
    say(s, "replace_raw %d", postern_replace_raw(s->delivery, fd));
    (void)close(fd);
}

static void do_replace_zeros(struct scene *s, char *rest)
{
    int fd = memfd_create("new", MFD_CLOEXEC);
    if (ftruncate(fd, atol(rest)) < 0)
        abort();
    say(s, "replace_raw %d", postern_replace_raw(s->delivery, fd));
    (void)close(fd);
}

static void do_raw(struct scene *s, char *rest)
{
    (void)rest;
    uint64_t offset = 0;
    char text[2000];
    int fd = postern_raw(s->delivery, &offset);
    if (postern_raw(s->delivery, NULL) != fd)
        abort();
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t n = pread(fd, text, sizeof text, (off_t)offset);
    say(s, "raw %llu %lld %.*s", (unsigned long long)offset, (long long)at, (int)n, text);
}

static void do_option(struct scene *s, char *rest)
{
    const char *value =
        s->setup != NULL ? postern_setup_option(s->setup, rest) : postern_option(s->delivery, rest);
    say(s, "option %s", value != NULL ? value : "(none)");
}

static void do_envelope(struct scene *s, char *rest)
{
    (void)rest;
    const postern_envelope *e = s->envelope;
    const char *facts[] = { e->session,     e->id,   e->listener,     e->protocol,   e->client,
                            e->client_name, e->helo, e->tls_version,  e->tls_cipher, e->tls_server_name,
                            e->tls_client,  e->user, e->reverse_path, e->body,       e->ret,
                            e->envelope_id };
    for (size_t i = 0; i < G_N_ELEMENTS(facts); i++)
        say(s, "%s", facts[i] != NULL ? facts[i] : "(none)");
    say(s, "%d %llu %llu %lld", e->utf8, (unsigned long long)e->declared_size, (unsigned long long)e->size,
        (long long)e->arrived_us);
    for (size_t i = 0; i < e->recipient_count; i++) {
        g_autofree char *mailboxes = g_strjoinv(",", (char **)(void *)e->recipients[i].mailboxes);
        say(s, "%s %s %s %s", e->recipients[i].address, mailboxes,
            e->recipients[i].notify != NULL ? e->recipients[i].notify : "(none)",
            e->recipients[i].original != NULL ? e->recipients[i].original : "(none)");
    }
}

static void do_log(struct scene *s, char *rest)
{
    int level = atoi(word(&rest));
    g_autofree char *text = unescaped(rest);
    postern_log(s->delivery, (postern_level)level, text);
}

static void do_log_long(struct scene *s, char *rest)
{
    g_autofree char *text = g_strnfill((gsize)atol(rest), 'x');
    memcpy(text + strlen(text) - 2, "\xc3\xbc", 2);
    postern_log(s->delivery, POSTERN_INFO, text);
}

static void do_count(struct scene *s, char *rest)
{
    (void)rest;
    struct data *data = postern_data(s->delivery);
    say(s, "count %d", ++data->count);
}

static void do_replace_raw(struct scene *s, char *rest)
{
    (void)rest;
    uint64_t offset = 0;
    say(s, "replace_raw %d", postern_replace_raw(s->delivery, postern_raw(s->delivery, &offset)));
}

/* ---- what it should not do ---- */

static void do_fail(struct scene *s, char *rest)
{
    (void)postern_fail(s->setup, rest);
}

static void do_crash(struct scene *s, char *rest)
{
    (void)s;
    (void)raise(rest != NULL ? atoi(rest) : SIGSEGV);
}

static void do_exit(struct scene *s, char *rest)
{
    (void)s;
    exit(atoi(rest));
}

static __attribute__((noinline)) int overflow(int depth)
{
    volatile char room[4096];
    room[0] = (char)depth;
    return depth < 0 ? 0 : overflow(depth + 1) + room[0];
}

static void do_overflow(struct scene *s, char *rest)
{
    (void)rest;
    say(s, "%d", overflow(0));
}

static void do_malloc(struct scene *s, char *rest)
{
    size_t len = strtoull(rest, NULL, 10) << 20;
    char *memory = malloc(len);
    for (size_t i = 0; memory != NULL && i < len; i += 4096)
        ((volatile char *)memory)[i] = 1;
    say(s, "malloc %s", memory != NULL ? "all" : "none");
    free(memory);
}

static void do_spin(struct scene *s, char *rest)
{
    (void)s;
    (void)rest;
    for (volatile unsigned turn = 0;; turn++)
        ;
}

static void do_burn(struct scene *s, char *rest)
{
    (void)s;
    clock_t end = clock() + atol(rest) * (CLOCKS_PER_SEC / 1000);
    while (clock() < end)
        ;
}

static void do_hang(struct scene *s, char *rest)
{
    (void)rest;
    say(s, "hangs");
    for (;;)
        (void)pause();
}

static void do_rubbish(struct scene *s, char *rest)
{
    (void)s;
    g_autofree char *text = unescaped(rest);
    (void)!write(3, text, strlen(text));
}

static void do_close_all(struct scene *s, char *rest)
{
    (void)s;
    (void)rest;
    (void)close_range(0, ~0U, 0);
}

/* A child that lingers: plain; `far`: of a session of its own, and its parent is gone; `stubborn`: it has
 * blocked all signals. */
static void do_fork(struct scene *s, char *rest)
{
    bool far = rest != NULL && strcmp(rest, "far") == 0;
    int told[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, told) < 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        if (far && (setsid() < 0 || fork() != 0))
            _exit(0);
        sigset_t all;
        (void)sigfillset(&all);
        (void)sigprocmask(SIG_BLOCK, &all, NULL);
        pid_t self = getpid();
        (void)!write(told[1], &self, sizeof self);
        for (;;)
            (void)pause();
    }
    pid_t lingering = 0;
    (void)!read(told[0], &lingering, sizeof lingering);
    (void)close(told[0]);
    (void)close(told[1]);
    say(s, "child %d", (int)lingering);
}

static void *fork_and_stay(void *told)
{
    pid_t child = fork();
    while (child == 0)
        (void)pause();
    (void)!write(*(int *)told, &child, sizeof child);
    while (child != 0)
        (void)pause();
    return NULL;
}

/* The child of a thread, which stays, too. */
static void do_thread(struct scene *s, char *rest)
{
    (void)rest;
    int told[2];
    pthread_t thread;
    pid_t child = 0;
    if (pipe(told) < 0 || pthread_create(&thread, NULL, fork_and_stay, &told[1]) != 0 ||
        read(told[0], &child, sizeof child) < 0)
        abort();
    say(s, "child %d", (int)child);
}

static const struct {
    const char *name;
    void (*act)(struct scene *s, char *rest);
} acts[] = {
    { "add", do_add },
    { "burn", do_burn },
    { "close-all", do_close_all },
    { "count", do_count },
    { "crash", do_crash },
    { "defer", do_defer },
    { "deliver", do_deliver },
    { "discard", do_discard },
    { "envelope", do_envelope },
    { "exit", do_exit },
    { "fail", do_fail },
    { "flags", do_flags },
    { "folder", do_folder },
    { "fork", do_fork },
    { "hang", do_hang },
    { "header", do_header },
    { "headers", do_headers },
    { "log", do_log },
    { "log-long", do_log_long },
    { "malloc", do_malloc },
    { "option", do_option },
    { "overflow", do_overflow },
    { "parts", do_parts },
    { "raw", do_raw },
    { "redirect", do_redirect },
    { "reject", do_reject },
    { "remove", do_remove },
    { "replace", do_replace },
    { "replace-message", do_replace_message },
    { "replace-raw", do_replace_raw },
    { "replace-text", do_replace_text },
    { "replace-zeros", do_replace_zeros },
    { "return", do_return },
    { "rubbish", do_rubbish },
    { "spin", do_spin },
    { "subject", do_subject },
    { "thread", do_thread },
};

/* ---- the script ---- */

static void act(struct scene *s, char *line)
{
    const char *name = word(&line);
    for (size_t i = 0; i < G_N_ELEMENTS(acts); i++)
        if (strcmp(acts[i].name, name) == 0) {
            acts[i].act(s, line);
            return;
        }
    say(s, "cannot %s", name);
}

/* The lines that begin so; or, without a prefix, all lines of no such kind. */
static void play(struct scene *s, const char *script, const char *prefix)
{
    g_auto(GStrv) lines = g_strsplit(script != NULL ? script : "", "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        bool is_special = g_str_has_prefix(*line, "init ") || g_str_has_prefix(*line, "shutdown ") ||
                          g_str_has_prefix(*line, "at-exit ");
        if (prefix != NULL ? g_str_has_prefix(*line, prefix) : !is_special && **line != '\0')
            act(s, *line + (prefix != NULL ? strlen(prefix) : 0));
    }
}

static const char *script_of_exit;

static void at_exit(void)
{
    play(&(struct scene){ 0 }, script_of_exit, "at-exit ");
}

static int init(postern_setup *setup)
{
    struct data *data = g_new0(struct data, 1);
    data->script = postern_setup_option(setup, "do");
    postern_set_data(setup, data);
    script_of_exit = data->script;
    (void)atexit(at_exit);
    play(&(struct scene){ .setup = setup }, data->script, "init ");
    const char *result = postern_setup_option(setup, "init");
    return result != NULL ? atoi(result) : 0;
}

static void stop(void *given)
{
    struct data *data = given;
    play(&(struct scene){ 0 }, data->script, "shutdown ");
    g_free(data);
}

static char *script_of(GMimeMessage *message)
{
    GMimeHeaderList *list = g_mime_object_get_header_list(GMIME_OBJECT(message));
    GString *script = g_string_new(NULL);
    for (int i = 0; i < g_mime_header_list_get_count(list); i++) {
        GMimeHeader *header = g_mime_header_list_get_header_at(list, i);
        if (g_ascii_strcasecmp(g_mime_header_get_name(header), "X-Do") == 0)
            g_string_append_printf(script, "%s\n", g_mime_header_get_value(header));
    }
    return g_string_free(script, FALSE);
}

static postern_verdict on_message(postern_delivery *delivery, const postern_envelope *envelope,
                                  GMimeMessage *message)
{
    struct scene s = { .delivery = delivery, .envelope = envelope, .message = message };
    const char *script = postern_option(delivery, "do");
    g_autofree char *told = g_strcmp0(script, "by-header") == 0 ? script_of(message) : NULL;
    play(&s, told != NULL ? told : script, NULL);
    return s.verdict;
}

POSTERN_HANDLER(.name = "act", .init = init, .on_message = on_message, .shutdown = stop)
