#include "server/tls_settings.h"

#include <errno.h>

#include "base/option.h"
#include "server/values.h"

/* ---- the sections ---- */

static const char *const version_names[] = { [TLS_1_2] = "1.2", [TLS_1_3] = "1.3", NULL };

#define FILES_ROW(key, field, is_required, text)                                                             \
    {                                                                                                        \
        .name = (key), .kind = OPTION_CUSTOM, .offset = OPTION_OFFSET(tls_files, field),                     \
        .required = (is_required), .parse = value_words, .clear = value_words_clear,                         \
        .expected = "paths of PEM files, separated by commas", .sentence = (text)                            \
    }
#define CERTIFICATE_SENTENCE                                                                                 \
    "Each file has a certificate, and behind it those that have signed it, each after the one that it "      \
    "signed. Several are offered side by side: one of ECDSA, and one of RSA for clients that know no other."
#define PRIVATE_KEY_SENTENCE                                                                                 \
    "The certificates' keys, in the same order. Nobody but the file's owner and its group may have access. " \
    "It is read before the server drops to its user, who needs no access, and so it is when it changes."

static const struct option_row file_rows[] = {
    FILES_ROW("certificate", certificates, false,
              CERTIFICATE_SENTENCE " A relative path begins where this file lies, or on the command line in "
                                   "the working directory."),
    FILES_ROW("private-key", private_keys, false, PRIVATE_KEY_SENTENCE),
};
static const size_t file_row_count = G_N_ELEMENTS(file_rows);

static const struct option_row host_rows[] = {
    FILES_ROW("certificate", certificates, true, CERTIFICATE_SENTENCE),
    FILES_ROW("private-key", private_keys, true, PRIVATE_KEY_SENTENCE),
};
static const size_t host_row_count = G_N_ELEMENTS(host_rows);

#define TEXT_ROW(key, field, what, text)                                                                     \
    {                                                                                                        \
        .name = (key), .kind = OPTION_TEXT, .offset = OPTION_OFFSET(tls_section, field), .expected = (what), \
        .sentence = (text)                                                                                   \
    }

static const struct option_row policy_rows[] = {
    { .name = "minimum-version",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(tls_section, minimum_version),
      .fallback = "1.2",
      .choices = version_names,
      .sentence = "The oldest version of TLS that is spoken." },
    TEXT_ROW(
        "ciphers", ciphers, "a list as openssl-ciphers(1) has it",
        "The ciphers of TLS 1.2; groups such as ECDHE+AESGCM make the list short enough for a line. Without "
        "this key, those with forward secrecy and authenticated encryption."),
    TEXT_ROW("ciphersuites", suites, "names such as TLS_AES_256_GCM_SHA384, separated by colons",
             "The ciphers of TLS 1.3. Without this key, AES-128-GCM, which costs least, AES-256-GCM and "
             "CHACHA20-POLY1305."),
    TEXT_ROW("curves", curves, "names such as X25519:P-256:P-384",
             "The groups for the exchange of keys, the best first. Without this key, X25519:P-256:P-384."),
    { .name = "tickets",
      .kind = OPTION_BOOL,
      .offset = OPTION_OFFSET(tls_section, tickets),
      .fallback = "yes",
      .sentence = "Whether clients get tickets, with which they can resume a session at less cost within two "
                  "hours. Their keys change as often. Some senders break on them." },
    TEXT_ROW("client-ca", client_ca, "the path of a PEM file",
             "Whose signature makes a client's certificate a good one, for tls-client."),
};
static const size_t policy_row_count = G_N_ELEMENTS(policy_rows);

const struct config_table tls_tables[2] = {
    { file_rows, &file_row_count, OPTION_OFFSET(tls_section, files) },
    { policy_rows, &policy_row_count, 0 },
};
const struct config_table tls_host_tables[1] = { { host_rows, &host_row_count, 0 } };

/* ---- from sections to hosts ---- */

static void host_clear(void *host)
{
    g_free((struct tls_pair *)((struct tls_host *)host)->pairs);
}

/* The same file may be named twice, for a certificate with its key in one. */
static struct tls_option take_path(struct tls_settings *t, const char *path, struct origin at)
{
    if (path == NULL)
        return (struct tls_option){ 0 };
    char *absolute = value_path(path, at);
    g_ptr_array_add(t->paths, absolute);
    return (struct tls_option){ absolute, at };
}

static void take_host(const struct config_section *at, const struct tls_files *files, struct tls_settings *t,
                      struct diag *d)
{
    if (files->certificates == NULL && files->private_keys == NULL)
        return;
    struct origin certificates = config_key_origin(at, "certificate");
    struct origin keys = config_key_origin(at, "private-key");
    guint count = files->certificates != NULL ? g_strv_length(files->certificates) : 0;
    guint key_count = files->private_keys != NULL ? g_strv_length(files->private_keys) : 0;
    if (count == 0 || key_count == 0) {
        if (config_section_name(at) == NULL) /* else it is told already */
            diag_add(d, count == 0 ? keys : certificates, "[tls] has %s; expected both or neither",
                     count == 0 ? "private-key and no certificate" : "certificate and no private-key");
        return;
    }
    if (count != key_count) {
        diag_add(d, keys,
                 "private-key: %u of them, for %u certificates; expected one for each, in their order",
                 key_count, count);
        return;
    }
    struct tls_pair *pairs = g_new0(struct tls_pair, count);
    for (guint i = 0; i < count; i++) {
        pairs[i].certificate = take_path(t, files->certificates[i], certificates);
        pairs[i].private_key = take_path(t, files->private_keys[i], keys);
    }
    struct tls_host host = { .name = config_section_name(at), .pairs = pairs, .pair_count = count };
    g_array_append_val(t->hosts, host);
}

static struct tls_option take_text(const struct config_section *at, const char *key, const char *value)
{
    return (struct tls_option){ value, config_key_origin(at, key) };
}

void tls_settings_take(const struct config *c, struct tls_settings *ret_settings, struct diag *problems)
{
    struct tls_settings *t = ret_settings;
    t->hosts = g_array_new(FALSE, FALSE, sizeof(struct tls_host));
    g_array_set_clear_func(t->hosts, host_clear);
    t->paths = g_ptr_array_new_with_free_func(g_free);
    const struct config_section *at = config_find(c, "tls", NULL);
    const struct tls_section *values = config_section_values(at);
    t->policy = (struct tls_policy){
        .minimum_version = (enum tls_version)values->minimum_version,
        .ciphers = take_text(at, "ciphers", values->ciphers),
        .suites = take_text(at, "ciphersuites", values->suites),
        .curves = take_text(at, "curves", values->curves),
        .client_ca = take_path(t, values->client_ca, config_key_origin(at, "client-ca")),
        .tickets = values->tickets,
    };
    take_host(at, &values->files, t, problems);
    while ((at = config_next(c, "tls", at)) != NULL)
        take_host(at, config_section_values(at), t, problems);
}

void tls_settings_clear(struct tls_settings *t)
{
    tls_store_free(t->store);
    watch_free(t->watch);
    g_clear_pointer(&t->hosts, g_array_unref);
    g_clear_pointer(&t->paths, g_ptr_array_unref);
    *t = (struct tls_settings){ 0 };
}

/* ---- the files ---- */

static struct watch *watch_paths(const struct tls_settings *t)
{
    g_autofree const char **list = g_new0(const char *, t->paths->len + 1);
    for (guint i = 0; i < t->paths->len; i++)
        list[i] = g_ptr_array_index(t->paths, i);
    return watch_new(list);
}

int tls_settings_load(struct tls_settings *t, int64_t now_s, struct diag *problems)
{
    if (!tls_settings_have_certificates(t))
        return 0;
    /* Before they are read: what changes meanwhile is a change. */
    if (t->watch == NULL)
        t->watch = watch_paths(t);
    t->due_s = 0;
    auto_ptr(tls_store) store =
        tls_store_new(&t->policy, (const struct tls_host *)(void *)t->hosts->data, t->hosts->len, problems);
    if (store == NULL)
        return -EINVAL;
    unsigned before = diag_count(problems);
    t->due_s = tls_settings_check_renewal(t, t->store, store, now_s, problems);
    if (diag_count(problems) > before)
        return -EINVAL;
    tls_store_free(t->store);
    t->store = g_steal_pointer(&store);
    return 0;
}

bool tls_settings_have_changed(struct tls_settings *t, int64_t now_s)
{
    bool is_due = t->due_s != 0 && now_s >= t->due_s;
    if (is_due)
        t->due_s = 0;
    return (t->watch != NULL && watch_has_changed(t->watch)) || is_due;
}

/* ---- how long they are good ---- */

/* Where the configuration names the file. */
static struct origin origin_of(const struct tls_settings *t, const struct tls_certificate *c)
{
    for (guint i = 0; i < t->hosts->len; i++) {
        const struct tls_host *host = &g_array_index(t->hosts, struct tls_host, i);
        for (size_t k = 0; k < host->pair_count; k++)
            if (g_strcmp0(host->name, c->host) == 0 && strcmp(host->pairs[k].certificate.value, c->path) == 0)
                return host->pairs[k].certificate.origin;
    }
    return (struct origin){ 0 };
}

static void tell_invalid(struct origin at, const struct tls_certificate *c, const char *text,
                         struct diag *problems)
{
    diag_add(problems, at, "certificate = %s: %s; expected one that is valid now", c->path, text);
}

void tls_settings_check_dates(const struct tls_settings *t, int64_t now_s, struct diag *problems,
                              struct diag *notes)
{
    for (size_t i = 0; t->store != NULL && i < tls_store_count(t->store); i++) {
        const struct tls_certificate *c = tls_store_certificate(t->store, i);
        g_autofree char *text = NULL;
        enum tls_dates dates = tls_certificate_dates(c, now_s, &text);
        if (dates == TLS_DATES_END_SOON)
            diag_add(notes, origin_of(t, c), "certificate = %s: %s", c->path, text);
        else if (dates != TLS_DATES_GOOD)
            tell_invalid(origin_of(t, c), c, text, problems);
    }
}

/* NULL: there is none in that place of a section of that name. */
static const struct tls_certificate *find_certificate(const struct tls_store *s, const char *host,
                                                      size_t place)
{
    for (size_t i = 0; s != NULL && i < tls_store_count(s); i++) {
        const struct tls_certificate *c = tls_store_certificate(s, i);
        if (g_strcmp0(c->host, host) == 0 && place-- == 0)
            return c;
    }
    return NULL;
}

static bool is_valid(const struct tls_certificate *c, int64_t now_s, char **ret_text)
{
    enum tls_dates dates = tls_certificate_dates(c, now_s, ret_text);
    return dates == TLS_DATES_GOOD || dates == TLS_DATES_END_SOON;
}

int64_t tls_settings_check_renewal(const struct tls_settings *t, const struct tls_store *former,
                                   const struct tls_store *next, int64_t now_s, struct diag *problems)
{
    int64_t due_s = 0;
    for (guint i = 0; i < t->hosts->len; i++) {
        const struct tls_host *host = &g_array_index(t->hosts, struct tls_host, i);
        for (size_t k = 0; k < host->pair_count; k++) {
            const struct tls_certificate *was = find_certificate(former, host->name, k);
            const struct tls_certificate *c = find_certificate(next, host->name, k);
            g_autofree char *text = NULL;
            if (was == NULL || !is_valid(was, now_s, NULL) || is_valid(c, now_s, &text))
                continue;
            tell_invalid(host->pairs[k].certificate.origin, c, text, problems);
            if (c->not_before_s > now_s && (due_s == 0 || c->not_before_s < due_s))
                due_s = c->not_before_s;
        }
    }
    return due_s;
}

static int64_t days_until(int64_t then_s, int64_t now_s)
{
    enum { DAY = 24 * 3600 };
    int64_t left = then_s - now_s;
    return left >= 0 ? left / DAY : -((-left + DAY - 1) / DAY);
}

void tls_settings_log_dates(const struct tls_settings *t, int64_t now_s, const struct pst_log *log)
{
    for (size_t i = 0; t->store != NULL && i < tls_store_count(t->store); i++) {
        const struct tls_certificate *c = tls_store_certificate(t->store, i);
        g_autofree char *text = NULL;
        enum tls_dates dates = tls_certificate_dates(c, now_s, &text);
        if (dates == TLS_DATES_GOOD)
            continue;
        g_autoptr(GDateTime) end = g_date_time_new_from_unix_utc(c->not_after_s);
        g_autofree char *not_after = end != NULL ? g_date_time_format_iso8601(end) : g_strdup("");
        pst_log(log, dates == TLS_DATES_END_SOON ? PST_LOG_WARNING : PST_LOG_ERROR, "certificate-expires",
                PST_STR("host", c->host != NULL ? c->host : ""), PST_STR("path", c->path),
                PST_INT("days", days_until(c->not_after_s, now_s)), PST_STR("not_after", not_after),
                PST_STR("problem", text));
    }
}
