/*
 * host/runner.h - the process in which handlers run: it takes a configuration, and then messages, from the
 * wire, until that ends. What goes wrong here is told by its end: the guard and the worker see to the rest.
 */
#pragma once

#include "host/stage.h"

/* What the process is to exit with. */
int runner_run(struct stage *stage, int wire, int scratch);
