/*
 * tests/unit/auth_rig.h - an authenticator on the simulated reactor and disk, a client that follows its
 * steps, and a passwords file whose hashes cost little.
 */
#pragma once

#include "suite.h"

#include <gsasl.h>

#include "auth/auth.h"
#include "reactor/reactor_sim.h"

#define RIG_PASSWORDS "/passwords"

struct auth_rig {
    struct reactor *reactor;
    struct auth_settings settings;
    struct pst_log log;
    GString *logged;
    struct authenticator *auth;
    struct auth_facts facts;
    struct auth_exchange *exchange; /* NULL: none, or it has ended */
    unsigned steps;                 /* that have come */
    /* The last one: */
    enum auth_kind kind;
    char *challenge, *user, *mechanism, *reason;
    msec_t came_at;
};

/* USER:HASH[:KEYS] and a line's end; g_free it. */
char *rig_line(const char *user, const char *password, bool with_scram);
/* Makes the file, durably and settled; it must not be there. */
void rig_write_passwords(const char *text);
/* Replaces it by another one. */
void rig_change_passwords(const char *text);

/* With RIG_PASSWORDS, or what the settings say by then. */
void rig_open(struct auth_rig *rig);
void rig_close(struct auth_rig *rig);

void rig_begin(struct auth_rig *rig, const char *mechanism, const char *initial); /* NULL: none */
void rig_go_on(struct auth_rig *rig, const char *response);
/* Until the next step; fails when none comes. */
enum auth_kind rig_wait(struct auth_rig *rig);

/* What a client knows; NULL: nothing. */
struct rig_client {
    const char *user, *password, *authzid;
    struct slice tls_exporter, tls_unique;
    bool waits; /* sends no initial response */
};
/* The whole exchange by libgsasl's client; what came of it. Not DONE unless the client is content, too. */
enum auth_kind rig_log_in(struct auth_rig *rig, const char *mechanism, const struct rig_client *client);
