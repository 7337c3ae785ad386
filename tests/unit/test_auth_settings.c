/* The section [auth], and what `postern check` finds wrong with it. */
#include "suite.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/mechanism.h"

static const struct value {
    const char *name, *key, *text;
    const char *problem; /* NULL: it is good */
} values[] = {
    { "a file", "passwords", "/etc/postern/passwords" },
    { "a socket", "dovecot", "/run/dovecot/auth-client" },
    { "a mechanism", "mechanisms", "PLAIN" },
    { "mechanisms", "mechanisms", "scram-sha-256-plus,EXTERNAL  LOGIN" },
    { "an unknown mechanism", "mechanisms", "PLAIN CRAM-MD5", "\"CRAM-MD5\"" },
    { "no mechanism", "mechanisms", " , ", "none" },
    { "a delay", "failure-delay", "5s" },
    { "no delay", "failure-delay", "0" },
    { "too long a delay", "failure-delay", "2m", "" },
};

static void test_value(void **state)
{
    const struct value *row = *state;
    struct auth_settings s = { 0 };
    g_autofree char *problem = NULL;
    const struct option_row *option = option_find(auth_rows, auth_row_count, row->key);
    assert_non_null(option);
    option_set_defaults(auth_rows, auth_row_count, &s);
    assert_int_equal(s.failure_delay, 2000);
    int r = option_set_key(option, &s, row->key, row->text, &problem);
    assert_int_equal(r < 0, row->problem != NULL);
    if (row->problem != NULL)
        assert_non_null(strstr(problem, row->problem));
    option_clear(auth_rows, auth_row_count, &s);
}

static void test_set(void **state)
{
    (void)state;
    struct auth_settings s = { 0 };
    char *problem = NULL;
    (void)option_set_key(option_find(auth_rows, auth_row_count, "mechanisms"), &s, "mechanisms",
                         "login,plain", &problem);
    assert_int_equal(s.mechanisms, MECHANISM_BIT(MECHANISM_LOGIN) | MECHANISM_BIT(MECHANISM_PLAIN));
}

/* ---- the check, on files ---- */

static char *folder, *file, *sock;

static int make_files(void **state)
{
    (void)state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    folder = g_dir_make_tmp("postern-auth-XXXXXX", NULL);
    file = g_build_filename(folder, "passwords", NULL);
    sock = g_build_filename(folder, "socket", NULL);
    g_strlcpy(address.sun_path, sock, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(fd, (struct sockaddr *)&address, sizeof address) | close(fd);
}

static int remove_files(void **state)
{
    (void)state;
    (void)g_unlink(file);
    (void)g_unlink(sock);
    (void)g_rmdir(folder);
    g_free(folder);
    g_free(file);
    g_free(sock);
    return 0;
}

static char *check(const struct auth_settings *s, bool is_wanted)
{
    auto_val(diag) problems = { NULL };
    g_autoptr(GString) text = g_string_new(NULL);
    auth_check(s, is_wanted, (struct origin){ "postern.conf", 7 }, &problems);
    for (unsigned i = 0; i < diag_count(&problems); i++)
        g_string_append_printf(text, "%s\n", (char *)g_ptr_array_index(problems.problems, i));
    return g_strdup(text->str);
}

static void expect(const struct auth_settings *s, bool is_wanted, const char *want)
{
    g_autofree char *got = check(s, is_wanted);
    if (*want == '\0')
        assert_string_equal(got, "");
    else if (strstr(got, want) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", want, got);
}

static void test_check(void **state)
{
    (void)state;
    struct auth_settings none = { 0 }, both = { .passwords = file, .dovecot = sock };
    struct auth_settings passwords = { .passwords = file }, dovecot = { .dovecot = sock };
    static const char good[] = "# users\nalice:$5$saltsalt$abcdefghijklmnopqrstuvwxyz\n";
    static const char bad[] = "\nalice:secret\nbob\n";
    expect(&none, false, "");
    expect(&none, true, "postern.conf:7: a listener offers authentication");
    expect(&passwords, true, "passwords: No such file");
    assert_true(g_file_set_contents(file, good, -1, NULL));
    assert_int_equal(g_chmod(file, 0640), 0);
    expect(&passwords, true, "");
    expect(&passwords, false, "");
    expect(&both, true, "expected one of them");
    assert_int_equal(g_chmod(file, 0644), 0);
    expect(&passwords, true, "its mode 0644 lets others");
    assert_int_equal(g_chmod(file, 0602), 0);
    expect(&passwords, true, "its mode 0602 lets others");
    assert_true(g_file_set_contents(file, bad, -1, NULL));
    assert_int_equal(g_chmod(file, 0600), 0);
    expect(&passwords, true, "passwords:2: expected a hash");
    expect(&passwords, true, "passwords:3: expected USER:HASH");
    expect(&dovecot, true, "");
    dovecot.dovecot = file;
    expect(&dovecot, true, "it is no socket");
    g_autofree char *nowhere = g_build_filename(folder, "none", NULL);
    dovecot.dovecot = nowhere; /* it may come later */
    expect(&dovecot, true, "");
    g_autofree char *longest = g_strnfill(AUTH_SOCKET_PATH_SIZE, 'x');
    dovecot.dovecot = longest;
    expect(&dovecot, true, "at most 107 octets");
    passwords.passwords = folder;
    expect(&passwords, true, "it is no regular file");
}

static void test_check_in_folder(void **state)
{
    assert_int_equal(make_files(state), 0);
    test_check(state);
    assert_int_equal(remove_files(state), 0);
}

int main(int argc, char **argv)
{
    struct suite *s = suite_new("auth_settings");
    suite_add_rows(s, values, test_value);
    suite_add(s, "a set of mechanisms", test_set, NULL);
    suite_add(s, "what is wrong with files and sockets", test_check_in_folder, NULL);
    return suite_run(s, argc, argv);
}
