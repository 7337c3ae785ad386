/*
 * tests/sim/world.h - one seed is one world: a worker, clients that behave or do not, a disk that works or
 * does not, and at the end a power failure. What must always hold is asserted on the way and at the end.
 */
#pragma once

#include <stdint.h>

/* Fails the running test when a promise is broken. */
void world_run(uint64_t seed);
