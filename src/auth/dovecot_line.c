#include "auth/dovecot_line.h"

#include <errno.h>
#include <string.h>

#include "auth/user.h"

/* ---- written ---- */

static void append_escaped(GString *line, const char *value)
{
    for (const char *at = value; *at != '\0'; at++)
        switch (*at) {
        case '\001':
            g_string_append(line, "\0011");
            break;
        case '\t':
            g_string_append(line, "\001t");
            break;
        case '\r':
            g_string_append(line, "\001r");
            break;
        case '\n':
            g_string_append(line, "\001n");
            break;
        default:
            g_string_append_c(line, *at);
        }
}

static void append_value(GString *line, const char *name, const char *value)
{
    if (value == NULL)
        return;
    g_string_append_printf(line, "\t%s=", name);
    append_escaped(line, value);
}

static void append_port(GString *line, const char *name, uint16_t port)
{
    if (port != 0)
        g_string_append_printf(line, "\t%s=%u", name, port);
}

char *dovecot_hello(int pid)
{
    return g_strdup_printf("VERSION\t1\t2\nCPID\t%d\n", pid);
}

char *dovecot_line_auth(uint32_t id, enum mechanism m, const struct auth_facts *facts, const char *response)
{
    GString *line = g_string_new(NULL);
    g_string_append_printf(line, "AUTH\t%u\t%s", id, mechanism_names[m]);
    append_value(line, "service", facts->service);
    /* nologin: nobody will ask for the user's session. no-penalty: we delay ourselves, and longer than that
     * would be no answer. */
    g_string_append(line, "\tnologin\tno-penalty");
    append_value(line, "session", facts->session);
    append_value(line, "lip", facts->local);
    append_value(line, "rip", facts->client);
    append_port(line, "lport", facts->local_port);
    append_port(line, "rport", facts->client_port);
    if (facts->is_secure)
        g_string_append(line, "\tsecured");
    if (facts->certificate_identity != NULL) {
        g_string_append(line, "\tvalid-client-cert");
        append_value(line, "cert_username", facts->certificate_identity);
    }
    if (response != NULL)
        g_string_append_printf(line, "\tresp=%s", response); /* the last one: the protocol says so */
    g_string_append_c(line, '\n');
    return g_string_free(line, FALSE);
}

char *dovecot_line_cont(uint32_t id, const char *response)
{
    return g_strdup_printf("CONT\t%u\t%s\n", id, response);
}

char *dovecot_line_cancel(uint32_t id)
{
    return g_strdup_printf("CANCEL\t%u\n", id);
}

/* ---- read ---- */

void dovecot_reply_clear(struct dovecot_reply *r)
{
    g_free(r->challenge);
    g_free(r->user);
    *r = (struct dovecot_reply){ DOVECOT_OTHER };
}

static bool next_word(struct slice *rest, struct slice *ret_word)
{
    if (rest->data == NULL)
        return false;
    size_t at = slice_find(*rest, 0, '\t');
    *ret_word = slice_first(*rest, at);
    *rest = at < rest->len ? slice_skip(*rest, at + 1) : (struct slice){ NULL };
    return true;
}

static bool begins(struct slice word, const char *prefix)
{
    size_t len = strlen(prefix);
    return word.len >= len && memcmp(word.data, prefix, len) == 0;
}

/* A NUL in it ends it, quoted or not, and then the name is another one: none. */
static char *parse_user(struct slice value)
{
    g_autoptr(GString) text = g_string_new(NULL);
    for (size_t i = 0; i < value.len; i++) {
        char c = (char)value.data[i];
        if (c == '\001' && i + 1 < value.len) {
            i++;
            static const char quoted[] = "1trn0", meant[] = "\001\t\r\n";
            const char *at = memchr(quoted, value.data[i], sizeof quoted - 1);
            c = at != NULL ? meant[at - quoted] : (char)value.data[i];
        }
        g_string_append_c(text, c);
    }
    bool is_good = strlen(text->str) == text->len && user_is_presentable(text->str);
    return is_good ? g_strdup(text->str) : NULL;
}

static bool is_base64(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!g_ascii_isalnum(text.data[i]) && memchr("+/=", text.data[i], 3) == NULL)
            return false;
    return true;
}

static const struct failure {
    const char *word; /* a boolean of versions before 1.2, or a code of later ones */
    enum auth_kind kind;
    const char *reason;
} failures[] = {
    { "temp", AUTH_UNAVAILABLE, "dovecot-temporary" },
    { "code=temp_fail", AUTH_UNAVAILABLE, "dovecot-temporary" },
    { "authz", AUTH_FAILED, "other-identity" },
    { "code=authz_fail", AUTH_FAILED, "other-identity" },
    { "user_disabled", AUTH_FAILED, "user-disabled" },
    { "code=user_disabled", AUTH_FAILED, "user-disabled" },
    { "pass_expired", AUTH_FAILED, "password-expired" },
    { "code=pass_expired", AUTH_FAILED, "password-expired" },
};

static void take_parameter(struct dovecot_reply *r, struct slice word)
{
    if (begins(word, "user=")) {
        g_free(r->user);
        r->user = parse_user(slice_skip(word, strlen("user=")));
        return;
    }
    for (size_t i = 0; r->verb == DOVECOT_FAIL && i < G_N_ELEMENTS(failures); i++)
        if (slice_equal(word, slice_str(failures[i].word))) {
            r->kind = failures[i].kind;
            r->reason = failures[i].reason;
        }
}

static int parse_id(struct slice *rest, struct dovecot_reply *r)
{
    struct slice word;
    uint64_t id;
    if (!next_word(rest, &word) || pst_parse_u64(word, UINT32_MAX, &id) < 0)
        return -EBADMSG;
    r->id = (uint32_t)id;
    return 0;
}

static int parse_result(struct slice rest, struct dovecot_reply *r)
{
    struct slice word;
    if (parse_id(&rest, r) < 0)
        return -EBADMSG;
    while (next_word(&rest, &word))
        take_parameter(r, word);
    return 0;
}

static int parse_cont(struct slice rest, struct dovecot_reply *r)
{
    struct slice word = { NULL };
    if (parse_id(&rest, r) < 0)
        return -EBADMSG;
    (void)next_word(&rest, &word); /* there may be nothing to say */
    if (!is_base64(word))
        return -EBADMSG;
    r->challenge = word.len > 0 ? slice_dup(word) : g_strdup("");
    return 0;
}

static int parse_version(struct slice rest, struct dovecot_reply *r)
{
    struct slice word;
    if (!next_word(&rest, &word) || pst_parse_u64(word, UINT32_MAX, &r->major) < 0)
        return -EBADMSG;
    return 0;
}

static int parse_mech(struct slice rest, struct dovecot_reply *r)
{
    struct slice word;
    if (!next_word(&rest, &word))
        return -EBADMSG;
    r->mechanism = mechanism_find(word);
    return 0;
}

static int parse_done(struct slice rest, struct dovecot_reply *r)
{
    (void)rest, (void)r;
    return 0;
}

static const struct verb {
    const char *word;
    enum dovecot_verb verb;
    int (*parse)(struct slice rest, struct dovecot_reply *r);
} verbs[] = {
    { "VERSION", DOVECOT_VERSION, parse_version }, { "MECH", DOVECOT_MECH, parse_mech },
    { "DONE", DOVECOT_DONE, parse_done },          { "OK", DOVECOT_OK, parse_result },
    { "FAIL", DOVECOT_FAIL, parse_result },        { "CONT", DOVECOT_CONT, parse_cont },
};

int dovecot_reply_parse(struct slice line, struct dovecot_reply *ret_reply)
{
    auto_val(dovecot_reply) r = { .kind = AUTH_FAILED, .reason = "wrong-credentials" };
    struct slice rest = line, word;
    if (!next_word(&rest, &word))
        return -EBADMSG;
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (slice_equal(word, slice_str(verbs[i].word))) {
            r.verb = verbs[i].verb;
            if (verbs[i].parse(rest, &r) < 0)
                return -EBADMSG;
        }
    *ret_reply = r;
    r = (struct dovecot_reply){ DOVECOT_OTHER };
    return 0;
}
