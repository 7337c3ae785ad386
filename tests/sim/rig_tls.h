/* tests/sim/rig_tls.h - what a rig needs for TLS. What goes wrong fails the running test. */
#pragma once

#include "net/tls_store.h"

/* With a certificate for mx.example.org, which is written into the folder. */
struct tls_store *rig_store(const char *folder);
