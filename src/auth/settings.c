#include "auth/auth.h"

#include <glib.h>
#include <sys/stat.h>

#include "auth/credentials.h"
#include "auth/mechanism.h"

#define ROW(field, ...)                                                                                      \
    {                                                                                                        \
        .offset = OPTION_OFFSET(auth_settings, field), __VA_ARGS__                                           \
    }

/* Names with commas or blanks between them. */
static int parse_mechanisms(const char *text, void *field, char **ret_problem)
{
    unsigned set = 0;
    g_auto(GStrv) names = g_strsplit_set(text, ", \t", -1);
    for (char **name = names; *name != NULL; name++) {
        if (**name == '\0')
            continue;
        int m = mechanism_find(slice_str(*name));
        if (m < 0) {
            *ret_problem = g_strdup_printf("\"%s\" is no mechanism that there is here", *name);
            return -1;
        }
        set |= MECHANISM_BIT(m);
    }
    if (set == 0) {
        *ret_problem = g_strdup("there is none in it");
        return -1;
    }
    *(unsigned *)field = set;
    return 0;
}

const struct option_row auth_rows[] = {
    ROW(passwords, .name = "passwords", .kind = OPTION_TEXT, .expected = "the path of a file",
        .sentence = "The file of users and their hashed passwords, see postern-passwords(5). It must not be "
                    "open to others than its owner and group. When it changes, it is read anew."),
    ROW(dovecot, .name = "dovecot", .kind = OPTION_TEXT, .expected = "the path of a unix socket",
        .sentence = "Instead of passwords: a socket of Dovecot's authentication service for clients, such "
                    "as /run/dovecot/auth-client. Dovecot then says who may log in."),
    ROW(mechanisms, .name = "mechanisms", .kind = OPTION_CUSTOM, .parse = parse_mechanisms,
        .expected = "names of mechanisms such as SCRAM-SHA-256, PLAIN",
        .sentence = "Which SASL mechanisms are offered, of EXTERNAL, SCRAM-SHA-256-PLUS, SCRAM-SHA-256, "
                    "PLAIN and LOGIN. Without it, all that the client's connection and the source of "
                    "passwords can do."),
    ROW(failure_delay, .name = "failure-delay", .kind = OPTION_DURATION, .fallback = "2s", .max = 60 * 1000,
        .sentence = "How long a client waits for the answer that its credentials are wrong: twice as long "
                    "each time it fails again, up to eight times; forgotten after ten minutes. Each worker "
                    "counts the failures that it has seen, and after a reload they all begin anew."),
};
const size_t auth_row_count = G_N_ELEMENTS(auth_rows);

bool auth_is_configured(const struct auth_settings *s)
{
    return s->passwords != NULL || s->dovecot != NULL;
}

bool auth_has_mechanism_for(const struct auth_settings *s, bool in_tls, bool with_certificate)
{
    unsigned set = s->mechanisms != 0 ? s->mechanisms : MECHANISMS_ALL;
    if (!with_certificate)
        set &= ~MECHANISM_BIT(MECHANISM_EXTERNAL);
    if (!in_tls || s->dovecot != NULL) /* which is not told what the channel is bound by */
        set &= ~MECHANISM_BIT(MECHANISM_SCRAM_SHA_256_PLUS);
    return set != 0;
}

/* ---- the check ---- */

/* A file that can be read by all can be guessed at by all. */
static void check_access(const char *path, struct origin at, struct diag *problems)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO) != 0)
        diag_add(problems, at, "%s: its mode %04o lets others than its owner and group at the passwords",
                 path, (unsigned)(st.st_mode & 07777));
}

static void check_passwords(const char *path, struct origin at, struct diag *problems)
{
    check_access(path, at, problems);
    credentials_free(credentials_new(path, at, problems));
}

/* That nothing listens there now is no mistake: Dovecot may be started later. */
static void check_dovecot(const char *path, struct origin at, struct diag *problems)
{
    struct stat st;
    if (strlen(path) >= AUTH_SOCKET_PATH_SIZE)
        diag_add(problems, at, "%s: expected a path of at most %d octets", path, AUTH_SOCKET_PATH_SIZE - 1);
    else if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        diag_add(problems, at, "%s: it is no socket", path);
}

void auth_check(const struct auth_settings *s, bool is_wanted, struct origin at, struct diag *problems)
{
    if (s->passwords != NULL && s->dovecot != NULL)
        diag_add(problems, at, "[auth] has both \"passwords\" and \"dovecot\"; expected one of them");
    if (is_wanted && !auth_is_configured(s))
        diag_add(problems, at,
                 "a listener offers authentication, and [auth] has neither \"passwords\" nor \"dovecot\"");
    if (s->passwords != NULL)
        check_passwords(s->passwords, at, problems);
    if (s->dovecot != NULL)
        check_dovecot(s->dovecot, at, problems);
}
