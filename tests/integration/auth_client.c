/*
 * auth_client SOCKET MECHANISM USER PASSWORD [CERTIFICATE-IDENTITY]: one exchange with a server of Dovecot's
 * authentication protocol, as the daemon would have it, by libgsasl's client. Prints what came of it:
 * "done USER", "failed USER REASON", "unavailable - REASON", "malformed - REASON" or "unknown - REASON".
 */
#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/auth.h"

struct talk {
    struct authenticator *auth;
    struct auth_exchange *exchange;
    Gsasl_session *client;
};

static int64_t no_time(void *owner)
{
    (void)owner;
    return 0;
}

static void write_log(void *owner, enum pst_log_level level, const char *line, size_t len)
{
    (void)owner, (void)level;
    (void)fwrite(line, 1, len, stderr);
}

static void print(const struct auth_step *step)
{
    static const char *const names[] = {
        [AUTH_DONE] = "done",
        [AUTH_FAILED] = "failed",
        [AUTH_MALFORMED] = "malformed",
        [AUTH_UNKNOWN_MECHANISM] = "unknown",
        [AUTH_UNAVAILABLE] = "unavailable",
    };
    printf("%s %s %s\n", names[step->kind], step->user != NULL ? step->user : "-",
           step->reason != NULL ? step->reason : "-");
}

static void on_step(void *owner, const struct auth_step *step)
{
    struct talk *t = owner;
    char *text = NULL;
    if (step->kind != AUTH_CHALLENGE) {
        print(step);
        authenticator_close(t->auth);
        return;
    }
    int r = gsasl_step64(t->client, step->challenge, &text);
    if (r == GSASL_OK || r == GSASL_NEEDS_MORE) {
        auth_go_on(t->exchange, slice_str(text != NULL ? text : ""));
    } else {
        printf("distrusted - %s\n", gsasl_strerror_name(r));
        auth_cancel(t->exchange);
        authenticator_close(t->auth);
    }
    gsasl_free(text);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 64;
    const char *identity = argc > 5 ? argv[5] : NULL;
    struct auth_settings settings = { .dovecot = argv[1] };
    struct pst_log log = { .timeless = true, .wall_us = no_time, .write = write_log };
    struct auth_facts facts = { .service = "smtp",
                                .session = "s1",
                                .client = "192.0.2.1",
                                .is_secure = true,
                                .certificate_identity = identity };
    struct talk talk = { NULL };
    struct reactor *reactor;
    Gsasl *context;
    if (reactor_new(1, &reactor) < 0 || authenticator_new(reactor, &settings, &log, &talk.auth) < 0)
        return EXIT_FAILURE;
    if (gsasl_init(&context) != GSASL_OK || gsasl_client_start(context, argv[2], &talk.client) != GSASL_OK)
        return EXIT_FAILURE;
    (void)gsasl_property_set(talk.client, GSASL_AUTHID, argv[3]);
    (void)gsasl_property_set(talk.client, GSASL_PASSWORD, argv[4]);
    talk.exchange = auth_begin(talk.auth, &facts, slice_str(argv[2]), NULL, on_step, &talk);
    reactor_run(reactor);
    gsasl_finish(talk.client);
    gsasl_done(context);
    return reactor_free(reactor) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
