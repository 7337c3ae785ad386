/* Who is at the other end: the one who has connected, or whom a proxy or a trusted client speaks for. */
#include <errno.h>

#include "net/proxy.h"
#include "worker/conn_internal.h"
#include "worker/greeting.h"
#include "worker/session_log.h"

enum { CONN_PROXY_MS = 5 * 1000 /* how long a proxy may take to send its header */ };

/* Who has connected: the client, or the proxy of one. */
static struct net_address peer_of(const struct conn *c)
{
    struct net_address peer = { 0 };
    if (stream_peer(c->stream, &peer.storage, &peer.len) < 0)
        peer = (struct net_address){ 0 }; /* it has gone already */
    return peer;
}

static void name_client(struct conn *c, const struct net_address *client)
{
    char text[NET_ADDRESS_TEXT] = "unknown";
    if (client->len > 0)
        net_address_host(client, text);
    (void)g_strlcpy(c->client, text, sizeof c->client);
}

/* ---- the session's begin ---- */

void conn_begin(struct conn *c)
{
    c->terms.mechanisms = conn_mechanisms(c);
    c->session = smtp_session_new(&c->host->service, &c->terms, reactor_now(c->host->reactor));
}

/* A proxy that does not say whom it serves lends nobody its own rights. */
static void greet(struct conn *c, const struct net_address *client, bool is_known)
{
    const struct conn_host *host = c->host;
    c->terms = (struct smtp_client){
        .may_xclient = is_known && net_networks_have(host->xclient, client),
        .may_xforward = is_known && net_networks_have(host->xforward, client),
        .greeting_delay = greeting_delay(host->greeting_delay, host->service.protocol, client),
        .tls = worker_tls_at_start(host->tls_mode),
        .auth_required = host->auth_mode == WORKER_AUTH_REQUIRED,
        .auth_in_tls = host->auth_mode != WORKER_AUTH_OFF && host->tls_mode != WORKER_TLS_OFF,
    };
    name_client(c, client);
    session_log_opened(host->log, c->id, c->client, host->listener);
    if (host->tls_mode == WORKER_TLS_IMPLICIT)
        conn_start_tls(c);
    else
        conn_begin(c);
}

void conn_meet(struct conn *c)
{
    const struct conn_host *host = c->host;
    const struct net_address peer = peer_of(c);
    if (host->proxy == NULL) {
        greet(c, &peer, true);
        return;
    }
    name_client(c, &peer);
    if (net_networks_have(host->proxy, &peer))
        c->limit = reactor_now(host->reactor) + CONN_PROXY_MS;
    else
        conn_refuse_proxy(c, "not-a-proxy-of-ours");
}

/* ---- the proxy in front of it ---- */

void conn_refuse_proxy(struct conn *c, const char *reason)
{
    pst_log(c->host->log, PST_LOG_WARNING, "proxy-refused", PST_STR("session", c->id),
            PST_STR("peer", c->client), PST_STR("listener", c->host->listener), PST_STR("reason", reason));
    conn_close(c, "proxy-refused");
}

size_t conn_feed_proxy(struct conn *c, struct slice in)
{
    struct net_proxy proxy;
    size_t len;
    int r = net_proxy_parse(in, &proxy, &len);
    if (r < 0)
        conn_refuse_proxy(c, r == -E2BIG ? "header-too-long" : "malformed-header");
    if (r <= 0)
        return 0;
    char destination[NET_ADDRESS_TEXT] = "";
    if (!proxy.is_local)
        net_address_format(&proxy.destination, destination);
    pst_log(c->host->log, PST_LOG_INFO, "proxied", PST_STR("session", c->id), PST_STR("proxy", c->client),
            PST_STR("destination", destination));
    if (proxy.is_local)
        proxy.source = peer_of(c);
    greet(c, &proxy.source, !proxy.is_local);
    return len;
}

/* ---- XCLIENT ---- */

/* The client is the one that this one speaks for. */
void conn_take_client(struct conn *c, const struct smtp_facts *facts)
{
    struct slice name = facts->value[SMTP_FACT_NAME];
    if (c->met_as == NULL)
        c->met_as = g_strdup(c->client);
    smtp_facts_take_client(facts, c->client, sizeof c->client);
    if ((facts->given & (SMTP_FACT_BIT(SMTP_FACT_NAME) | SMTP_FACT_BIT(SMTP_FACT_ADDR))) != 0) {
        g_free(c->client_name); /* which is not the name of another address */
        c->client_name = name.len > 0 ? slice_dup(name) : NULL;
    }
    conn_log_out(c);
    smtp_session_set_mechanisms(c->session, conn_mechanisms(c));
}

bool conn_is_spoken_for(const struct conn *c)
{
    return c->met_as != NULL;
}

void conn_forget_client(struct conn *c)
{
    if (c->met_as != NULL)
        (void)g_strlcpy(c->client, c->met_as, sizeof c->client);
    g_clear_pointer(&c->met_as, g_free);
    g_clear_pointer(&c->client_name, g_free);
}
