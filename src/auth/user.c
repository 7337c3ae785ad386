#include "auth/user.h"

#include <crypt.h>
#include <glib.h>
#include <gsasl.h>
#include <string.h>

#include "auth/auth.h"

/* libgsasl's own is on the C library's heap, and would outlive what it was made for. */
static char *move(char *prepared, size_t most)
{
    size_t len = strlen(prepared);
    char *copy = len > 0 && len <= most ? g_memdup2(prepared, len + 1) : NULL;
    explicit_bzero(prepared, len);
    gsasl_free(prepared);
    return copy;
}

static char *prepare(const char *text, size_t most, enum user_origin origin)
{
    char *prepared;
    Gsasl_saslprep_flags flags = origin == USER_ASKED ? GSASL_ALLOW_UNASSIGNED : 0;
    /* Preparing can make it longer, or shorter: what is far too long is not looked at. */
    if (strlen(text) > 4 * most || !g_utf8_validate(text, -1, NULL))
        return NULL;
    if (gsasl_saslprep(text, flags, &prepared, NULL) != GSASL_OK)
        return NULL;
    return move(prepared, most);
}

char *user_prepare(const char *name, enum user_origin origin)
{
    return prepare(name, AUTH_USER_MAX, origin);
}

bool user_is_nothing(const char *name)
{
    char *prepared;
    if (gsasl_saslprep(name, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) != GSASL_OK)
        return false;
    bool is_nothing = *prepared == '\0';
    gsasl_free(prepared);
    return is_nothing;
}

char *password_prepare(const char *password, enum user_origin origin)
{
    return prepare(password, CRYPT_MAX_PASSPHRASE_SIZE - 1, origin);
}

void password_wipe(char *password)
{
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    g_free(password);
}

bool user_is_presentable(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > AUTH_USER_MAX || !g_utf8_validate(name, -1, NULL))
        return false;
    for (const char *at = name; *at != '\0'; at = g_utf8_next_char(at))
        if (g_unichar_iscntrl(g_utf8_get_char(at)))
            return false;
    return true;
}
