/*
 * tests/model/generate_internal.h - what the generator's files share.
 */
#pragma once

#include "generate.h"

uint64_t below(struct generator *g, uint64_t limit);
bool one_in(struct generator *g, uint64_t n);
#define pick(g, rows) (&(rows)[below((g), G_N_ELEMENTS(rows))])

/* Onto the wire. */
void put_keyword(struct generator *g, struct act *act, const char *text);
void end_line(struct generator *g, struct act *act);
void put_line(struct generator *g, struct act *act, const char *text);
void put_too_long(struct generator *g, struct act *act, const char *beginning, size_t limit);

void generate_starttls(struct generator *g, struct act *act);
void generate_handshake(struct generator *g, struct act *act);
void generate_auth(struct generator *g, struct act *act);
void generate_response(struct generator *g, struct act *act);
void generate_hello(struct generator *g, struct act *act);
void generate_mail(struct generator *g, struct act *act);
void generate_rcpt(struct generator *g, struct act *act);
void generate_message(struct generator *g, struct act *act);
void generate_bdat(struct generator *g, struct act *act);
