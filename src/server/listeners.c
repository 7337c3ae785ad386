#include "server/listeners.h"

#include "server/values.h"

/* ---- the section ---- */

#define NETWORKS_ROW(key, field, text)                                                                       \
    .name = (key), .kind = OPTION_CUSTOM, .offset = OPTION_OFFSET(listen_section, field),                    \
    .parse = value_networks, .clear = value_networks_clear,                                                  \
    .expected = "networks such as 127.0.0.0/8, ::1 or unix, separated by commas", .sentence = (text)

static const char *const tls_client_names[] = {
    [TLS_CLIENT_OFF] = "off", [TLS_CLIENT_REQUEST] = "request", [TLS_CLIENT_REQUIRE] = "require", NULL
};

static const struct option_row listen_rows[] = {
    { .name = "address",
      .kind = OPTION_CUSTOM,
      .offset = OPTION_OFFSET(listen_section, addresses),
      .required = true,
      .parse = value_addresses,
      .clear = value_addresses_clear,
      .expected = "addresses such as 0.0.0.0:25, [::]:25 or unix:/run/postern/lmtp.sock, separated by commas",
      .sentence = "Where to listen. An IPv6 address takes no IPv4 clients; port 0 lets the system choose, "
                  "and the log says which." },
    { .name = "protocol",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(listen_section, protocol),
      .fallback = "smtp",
      .choices = smtp_protocol_names,
      .sentence = "What is spoken there." },
    { .name = "socket-mode",
      .kind = OPTION_CUSTOM,
      .offset = OPTION_OFFSET(listen_section, socket_mode),
      .fallback = "0660",
      .parse = value_mode,
      .expected = "an octal mode such as 0660",
      .sentence = "Who may connect to a unix socket: the mode of its file, which belongs to the server's "
                  "user and group." },
    { NETWORKS_ROW("proxy", proxy,
                   "The proxies that pass their clients' connections on to here. "
                   "Every connection must then come from one of these networks and begin with a header of "
                   "the PROXY protocol, version 1 or 2, which says who the client is; any other connection "
                   "is closed. "
                   "Without this key, there are no such headers.") },
    { NETWORKS_ROW("xclient", xclient,
                   "Which clients may say XCLIENT, and so become whoever they name. "
                   "Without this key, none.") },
    { NETWORKS_ROW("xforward", xforward,
                   "Which clients may say XFORWARD, and so tell whom they have a message from. "
                   "Without this key, none.") },
    { .name = "greeting-delay",
      .kind = OPTION_CUSTOM,
      .offset = OPTION_OFFSET(listen_section, greeting_delay),
      .fallback = "auto",
      .parse = value_greeting_delay,
      .expected = "auto, or a duration such as 500ms or 5s, at most 1m",
      .sentence = "How long the greeting is held back; a client that speaks before it is refused. "
                  "With auto, 100 ms for clients of SMTP that are not on this host." },
    { .name = "tls",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(listen_section, tls),
      .fallback = "off",
      .choices = worker_tls_names,
      .sentence =
          "Whether clients can use TLS, with the certificates of [tls]: optional, by STARTTLS; required, so "
          "that nothing is done for them before it; implicit, from the first octet. Where other servers "
          "send mail to, required would turn some of them away. For the handshake a client has the "
          "handshake-timeout of [limits], by default 30 seconds." },
    { .name = "tls-client",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(listen_section, tls_client),
      .fallback = "off",
      .choices = tls_client_names,
      .sentence = "Whether clients are asked for a certificate, which client-ca of [tls] is to have signed: "
                  "request takes those who have none or another one as well." },
    { .name = "auth",
      .kind = OPTION_CHOICE,
      .offset = OPTION_OFFSET(listen_section, auth),
      .fallback = "off",
      .choices = worker_auth_names,
      .sentence = "Whether clients can say who they are, see [auth]; with required, they must before mail is "
                  "taken from them. It is offered inside TLS." },
    { .name = "auth-without-tls",
      .kind = OPTION_BOOL,
      .offset = OPTION_OFFSET(listen_section, auth_without_tls),
      .fallback = "no",
      .sentence = "Whether it is offered outside TLS as well, where each address is a unix socket or one of "
                  "loopback." },
};
static const size_t listen_row_count = G_N_ELEMENTS(listen_rows);
const struct config_table listen_tables[] = { { listen_rows, &listen_row_count, 0 } };

/* ---- what cannot be together ---- */

/* The same place twice, unless it is the system that chooses a port. */
static void check_unique(const struct settings_listener *others, size_t count,
                         const struct settings_listener *l, struct origin at, struct diag *d)
{
    char text[NET_ADDRESS_TEXT];
    net_address_format(&l->listener.address, text);
    if (!net_address_is_unix(&l->listener.address) && g_str_has_suffix(text, ":0"))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct worker_listener *other = &others[i].listener;
        if (net_address_equal(&other->address, &l->listener.address)) {
            diag_add(d, at, "address = %s: [listen %s] listens there already; expected another address", text,
                     other->name);
            return;
        }
    }
}

/* Who connects is of the address's family: our IPv6 sockets take no IPv4 clients (server/sockets.c). */
static const char *network_for(const struct net_address *a)
{
    return net_address_is_unix(a)             ? "unix"
           : a->storage.ss_family == AF_INET6 ? "an IPv6 network"
                                              : "an IPv4 network";
}

/* A list that leaves out all who can connect to these addresses is a mistake. */
static void check_networks(const struct config_section *at, const char *key, const struct net_networks *list,
                           const struct net_address *addresses, size_t count, struct diag *d)
{
    for (size_t i = 0; i < count; i++)
        if (list == NULL || net_networks_have_family_of(list, &addresses[i]))
            return;
    char text[NET_ADDRESS_TEXT];
    diag_add(d, config_key_origin(at, key),
             "%s: none of these networks can have a client of %s; expected %s among them", key,
             net_address_format(&addresses[0], text), network_for(&addresses[0]));
}

static void check_tls(const struct config_section *at, const struct listen_means *means, struct diag *d)
{
    const struct listen_section *values = config_section_values(at);
    if (values->tls != WORKER_TLS_OFF && !means->certificates)
        diag_add(d, config_key_origin(at, "tls"),
                 "tls = %s: there is no certificate; expected certificate and private-key in [tls]",
                 worker_tls_names[values->tls]);
    if (values->tls_client == TLS_CLIENT_OFF)
        return;
    const char *problem = NULL;
    if (values->tls == WORKER_TLS_OFF)
        problem = "there is no TLS here; expected tls = optional, required or implicit";
    else if (!means->client_ca)
        problem = "nobody's signature makes a client's certificate good; expected client-ca = FILE in [tls]";
    else if (values->tls_client == TLS_CLIENT_REQUIRE && values->tls == WORKER_TLS_OPTIONAL)
        problem = "without STARTTLS, clients need none; expected tls = required or implicit";
    if (problem != NULL)
        diag_add(d, config_key_origin(at, "tls-client"), "tls-client = %s: %s",
                 tls_client_names[values->tls_client], problem);
}

static void check_without_tls(const struct config_section *at, struct diag *d)
{
    const struct listen_section *values = config_section_values(at);
    char text[NET_ADDRESS_TEXT];
    for (guint i = 0; values->addresses != NULL && i < values->addresses->len; i++) {
        const struct net_address *a = &g_array_index(values->addresses, struct net_address, i);
        if (!net_address_is_local(a))
            diag_add(d, config_key_origin(at, "auth-without-tls"),
                     "auth-without-tls = yes: passwords would come in clear text to %s; expected addresses "
                     "that are unix sockets or of loopback, or no",
                     net_address_format(a, text));
    }
}

static void check_auth(const struct config_section *at, const struct listen_means *means, struct diag *d)
{
    const struct listen_section *values = config_section_values(at);
    const char *problem = NULL;
    bool in_tls = values->tls != WORKER_TLS_OFF;
    if (means->auth == NULL)
        problem = "nobody knows the passwords; expected passwords = FILE or dovecot = PATH in [auth]";
    else if (!in_tls && !values->auth_without_tls)
        problem = "it is offered inside TLS alone, which there is none of here; expected tls = optional, "
                  "required or implicit, or auth-without-tls = yes";
    else if (!auth_has_mechanism_for(means->auth, in_tls, in_tls && values->tls_client != TLS_CLIENT_OFF))
        problem = "no mechanism of [auth] can be used here; expected tls-client = request or require for "
                  "EXTERNAL, tls and passwords = FILE for SCRAM-SHA-256-PLUS, or another one";
    if (values->auth != WORKER_AUTH_OFF && problem != NULL)
        diag_add(d, config_key_origin(at, "auth"), "auth = %s: %s", worker_auth_names[values->auth], problem);
    if (values->auth_without_tls && values->auth == WORKER_AUTH_OFF)
        diag_add(d, config_key_origin(at, "auth-without-tls"),
                 "auth-without-tls = yes: there is no AUTH here; expected auth = optional or required");
    else if (values->auth_without_tls)
        check_without_tls(at, d);
}

/*
 * Each address needs its proxies, or it refuses everybody. Of the clients that may say more, it is enough
 * when they can come to one of the addresses; and behind a proxy they can be anywhere.
 */
static void check_clients(const struct config_section *at, struct diag *d)
{
    const struct listen_section *values = config_section_values(at);
    if (values->addresses == NULL)
        return;
    const struct net_address *addresses = (const struct net_address *)(void *)values->addresses->data;
    size_t count = values->addresses->len;
    for (size_t i = 0; i < count; i++)
        check_networks(at, "proxy", values->proxy, &addresses[i], 1, d);
    if (values->proxy != NULL)
        return;
    check_networks(at, "xclient", values->xclient, addresses, count, d);
    check_networks(at, "xforward", values->xforward, addresses, count, d);
}

static size_t count_addresses(const struct config *c)
{
    size_t count = 0;
    for (const struct config_section *s = NULL; (s = config_next(c, "listen", s)) != NULL;) {
        const struct listen_section *values = config_section_values(s);
        count += values->addresses != NULL ? values->addresses->len : 0;
    }
    return count;
}

static void add_listeners(const struct config_section *at, struct settings_listener *to, size_t *count,
                          struct diag *d)
{
    const struct listen_section *values = config_section_values(at);
    for (guint i = 0; values->addresses != NULL && i < values->addresses->len; i++) {
        struct settings_listener *l = &to[*count];
        *l = (struct settings_listener){
            .listener = { .name = config_section_name(at),
                          .protocol = (enum smtp_protocol)values->protocol,
                          .address = g_array_index(values->addresses, struct net_address, i),
                          .fd = -1,
                          .proxy = values->proxy,
                          .xclient = values->xclient,
                          .xforward = values->xforward,
                          .greeting_delay = values->greeting_delay,
                          .tls = (enum worker_tls)values->tls,
                          .tls_client = (enum tls_client_mode)values->tls_client,
                          .auth = (enum worker_auth)values->auth,
                          .auth_without_tls = values->auth_without_tls },
            .socket_mode = values->socket_mode,
        };
        check_unique(to, *count, l, config_key_origin(at, "address"), d);
        (*count)++;
    }
}

struct settings_listener *listeners_take(const struct config *c, bool is_whole,
                                         const struct listen_means *means, size_t *ret_count,
                                         struct diag *problems)
{
    if (is_whole && config_next(c, "listen", NULL) == NULL)
        diag_add(problems, config_origin(c),
                 "there is nowhere to listen; expected a section [listen NAME] with address = HOST:PORT");
    struct settings_listener *listeners = g_new0(struct settings_listener, count_addresses(c));
    size_t count = 0;
    for (const struct config_section *at = NULL; (at = config_next(c, "listen", at)) != NULL;) {
        add_listeners(at, listeners, &count, problems);
        check_clients(at, problems);
        check_tls(at, means, problems);
        check_auth(at, means, problems);
    }
    *ret_count = count;
    return listeners;
}
