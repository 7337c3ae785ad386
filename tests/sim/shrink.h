/*
 * tests/sim/shrink.h - finds a smaller world that fails in the same way. Each try is a process of its own,
 * which may abort or run for ever.
 */
#pragma once

#include "plan.h"

/* Sets the plan's knobs to less, as long as what is told first stays the same but for numbers. False: the
 * world does not fail. What is tried is told on standard error. */
bool shrink(struct plan *plan);
