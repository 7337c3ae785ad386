#include "server/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- with a worker's eyes ---- */

/* In a child: what is wrong with the settings for whom they make us, one problem a line. */
static int tell_as_worker(const struct settings *s, int to)
{
    auto_val(diag) problems = { 0 };
    settings_drop_privileges(s, &problems);
    if (diag_count(&problems) == 0)
        settings_probe_handlers(s, &problems);
    GString *text = g_string_new(NULL);
    for (unsigned i = 0; i < diag_count(&problems); i++)
        g_string_append_printf(text, "%s\n", (const char *)g_ptr_array_index(problems.problems, i));
    bool told = write(to, text->str, text->len) == (ssize_t)text->len;
    g_string_free(text, TRUE);
    return told ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void read_problems(int from, struct diag *problems)
{
    char text[4096]; /* a pipe takes as much at once; what is longer is not told */
    size_t len = 0;
    for (ssize_t got; len < sizeof text - 1 && (got = read(from, text + len, sizeof text - 1 - len)) != 0;)
        if (got > 0)
            len += (size_t)got;
        else if (errno != EINTR)
            break;
    text[len] = '\0';
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++)
        if (**line != '\0')
            diag_add(problems, (struct origin){ 0 }, "%s", *line);
}

void reload_check_as_worker(const struct settings *s, struct diag *problems)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        diag_add(problems, (struct origin){ 0 }, "no pipe: %s", g_strerror(errno));
        return;
    }
    pid_t pid = fork();
    if (pid == 0)
        _exit(tell_as_worker(s, ends[1]));
    (void)close(ends[1]);
    if (pid < 0)
        diag_add(problems, (struct origin){ 0 }, "no process: %s", g_strerror(errno));
    else
        read_problems(ends[0], problems);
    (void)close(ends[0]);
    int status = 0;
    if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0) && diag_count(problems) == 0)
        diag_add(problems, (struct origin){ 0 }, "the check as the user of the workers did not end well");
}

/* ---- reload ---- */

/* What cannot change while the server runs. */
static void check_same(const struct reload_former *former, const struct settings *next, struct diag *problems)
{
    const struct settings *now = former->settings;
    if (next->workers != now->workers)
        diag_add(problems, (struct origin){ 0 }, "workers = %u, not %u: needs a restart", next->workers,
                 now->workers);
    if (g_strcmp0(next->identity.user, now->identity.user) != 0)
        diag_add(problems, (struct origin){ 0 }, "user = %s, not %s: needs a restart",
                 next->identity.user != NULL ? next->identity.user : "",
                 now->identity.user != NULL ? now->identity.user : "");
    if (former->free_rows < next->workers)
        diag_add(problems, (struct origin){ 0 },
                 "workers of former reloads have not finished yet: try again a little later");
}

/* The sink and the sockets of the next configuration; or what is wrong, and neither. */
static void take_resources(const struct reload_former *former, const struct settings *next,
                           struct log_sink **ret_sink, struct sockets **ret_sockets, struct diag *problems)
{
    auto_ptr(log_sink) sink = NULL;
    int r = log_sink_open(&next->log, &sink);
    if (r < 0) {
        diag_add(problems, (struct origin){ 0 }, "%s: cannot be opened for the log: %s",
                 next->log.target.path, g_strerror(-r));
        return;
    }
    if (sockets_open(next, former->sockets, former->log, ret_sockets) < 0)
        diag_add(problems, (struct origin){ 0 }, "an address cannot be listened at");
    else
        *ret_sink = g_steal_pointer(&sink);
}

void reload_prepare(const struct reload_former *former, const struct master_events *events, void *owner,
                    struct reload *ret_reload, struct diag *problems)
{
    auto_ptr(settings) next = events->load(owner, problems);
    struct log_sink *sink = NULL;
    struct sockets *sockets = NULL;
    if (diag_count(problems) == 0)
        tls_settings_check_renewal(&next->tls, former->settings->tls.store, next->tls.store,
                                   g_get_real_time() / G_USEC_PER_SEC, problems);
    if (diag_count(problems) == 0)
        check_same(former, next, problems);
    if (diag_count(problems) == 0)
        reload_check_as_worker(next, problems);
    if (diag_count(problems) == 0)
        take_resources(former, next, &sink, &sockets, problems);
    if (diag_count(problems) == 0)
        *ret_reload = (struct reload){ g_steal_pointer(&next), sink, sockets };
}
