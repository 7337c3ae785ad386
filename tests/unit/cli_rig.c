#include "cli_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

enum { PATIENCE_S = 60, FOR_ALL = 0755 };

/* In a shell it would stand for something, too. */
static char *with_folder(const struct cli *c, const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, "$", -1);
    return g_strjoinv(c->folder, parts);
}

struct cli *cli_new(void)
{
    struct cli *c = g_new0(struct cli, 1);
    c->folder = g_build_filename(g_get_tmp_dir(), "postern-XXXXXX", NULL);
    assert_non_null(g_mkdtemp(c->folder));
    assert_int_equal(chmod(c->folder, FOR_ALL), 0);
    return c;
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        remove_tree(inner);
    }
    (void)g_remove(path);
}

void cli_free(struct cli *c)
{
    if (c == NULL)
        return;
    remove_tree(c->folder);
    g_free(c->folder);
    g_free(c->out);
    g_free(c->err);
    g_free(c);
}

void cli_file(const struct cli *c, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(c->folder, name, NULL);
    g_autofree char *content = with_folder(c, text);
    assert_true(g_file_set_contents(path, content, -1, NULL));
    assert_int_equal(chmod(path, 0644), 0);
}

void cli_maildir(const struct cli *c, const char *name)
{
    static const char *const subs[] = { "tmp", "new", "cur" };
    for (size_t i = 0; i < G_N_ELEMENTS(subs); i++) {
        g_autofree char *path = g_build_filename(c->folder, name, subs[i], NULL);
        assert_int_equal(g_mkdir_with_parents(path, FOR_ALL), 0);
    }
}

char *cli_built(const char *name)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = g_path_get_dirname(self);
    return g_build_filename(folder, "..", "..", name, NULL);
}

void cli_handlers(const struct cli *c)
{
    g_autofree char *path = g_build_filename(c->folder, "handlers", NULL),
                    *target = cli_built("tests/handlers");
    assert_int_equal(symlink(target, path), 0);
}

/* ---- a run ---- */

static int memory_file(void)
{
    int fd = memfd_create("cli", MFD_CLOEXEC);
    assert_true(fd > STDERR_FILENO);
    return fd;
}

static char *read_whole(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    char *text = g_malloc0((size_t)st.st_size + 1);
    assert_int_equal(pread(fd, text, (size_t)st.st_size, 0), st.st_size);
    return text;
}

/* In a build for coverage, a host whose sandbox keeps it from writing its counts says so. */
static char *without_coverage(char *take_text)
{
    if (g_getenv("COVERAGE_FOLDER") == NULL)
        return take_text;
    g_autofree char *text = take_text;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    size_t kept = 0;
    for (size_t i = 0; lines[i] != NULL; i++)
        if (g_str_has_prefix(lines[i], "profiling:"))
            g_free(lines[i]);
        else
            lines[kept++] = lines[i];
    lines[kept] = NULL;
    return g_strjoinv("\n", lines);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int cli_run(struct cli *c, const char *line)
{
    g_autofree char *words = with_folder(c, line), *path = cli_built("src/postern");
    g_auto(GStrv) arguments = NULL;
    g_autofree char *whole = g_strconcat("postern ", words, NULL);
    assert_true(g_shell_parse_argv(whole, NULL, &arguments, NULL));
    auto_fd int in = memory_file(), out = memory_file(), err = memory_file();
    assert_int_equal(pwrite(in, c->input.data, c->input.len, 0), c->input.len);
    c->input = slice_of(NULL, 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(PATIENCE_S);
        if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0)
            (void)execv(path, arguments);
        _exit(127);
    }
    int status = wait_for(pid);
    g_free(c->out);
    g_free(c->err);
    c->out = read_whole(out);
    c->err = without_coverage(read_whole(err));
    return status;
}

static void check_said(const struct cli *c, const char *what, const char *said, const char *wanted)
{
    g_autofree char *pattern = with_folder(c, wanted);
    if (!g_pattern_match_simple(pattern, said))
        fail_msg("%s: got \"%s\", expected \"%s\"", what, said, pattern);
}

void cli_check(struct cli *c, const struct cli_row *row)
{
    if (row->input != NULL)
        c->input = slice_str(row->input);
    int status = cli_run(c, row->line);
    check_said(c, "standard output", c->out, row->out);
    check_said(c, "standard error", c->err, row->err);
    assert_int_equal(status, row->status);
}
