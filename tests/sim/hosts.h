/*
 * tests/sim/hosts.h - the handler hosts of a simulated world: they read the head of each message, in the
 * frame or through the descriptor that came along, and do what it says (enum sim_act). How they do it is
 * drawn from the seed and the message, and not from what else there is in the world.
 *
 * Troubled ones, besides, may fail to start, hang or take long in it, die between two messages, say rubbish
 * behind a verdict, and fill the log. That costs a message no more than a 4xx in place of its act; so does
 * waiting too long for a host that hangs with another message, also where there is no trouble.
 *
 * Ownership: they live as long as the reactor's children, and are freed behind them; the settings are theirs.
 */
#pragma once

#include "handlers/handlers.h"
#include "reactor/reactor.h"

struct hosts;

struct hosts *hosts_new(struct reactor *r, uint64_t seed, bool troubled);
const struct handler_settings *hosts_settings(const struct hosts *h);
void hosts_free(struct hosts *h); /* asserts that none is running; NULL is welcome */
