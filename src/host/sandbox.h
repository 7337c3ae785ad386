/*
 * host/sandbox.h - what user code can do to the rest of the machine: only what its configuration names.
 *
 * Three walls, each as high as the kernel can build it: no capabilities, also not by way of a program that is
 * set-user-id; Landlock, which knows files, TCP and whom a signal may reach; seccomp, which knows system
 * calls. They hold for the calling thread, for what it starts from then on, and for every program that these
 * execute; what is open stays open. Where the kernel lacks one, the others stand all the same.
 *
 *                        without `network`                    with `network`
 *     files              the system's libraries and what      certificates, and what a resolver reads,
 *                        comes with them, the handlers,       too
 *                        `paths`, `writable-paths`
 *     sockets            pairs of them only                   unix, IPv4, IPv6
 *     signals            to what it has started itself
 *     other processes, the clock, mounts, keys, ...: nothing
 *
 * Sockets of the unix family are network here: no Landlock before version 9 can keep one from connecting to
 * whatever service of the machine listens in the file system, such as the system's message bus, a data base,
 * or this daemon itself.
 *
 * What is lacking on older kernels: signals to other processes of the same user are known since version 6 of
 * Landlock (Linux 6.12); before, only those that go wrong by mistake are refused (to everybody, to the
 * parent, to its group). Without seccomp, sockets other than TCP, and modes and owners of files, are not kept
 * from it.
 *
 * Ownership: nothing is kept. Failure: -errno and a sentence; the process is then partly confined, and is to
 * end.
 */
#pragma once

#include <stdbool.h>

#include "handlers/wire.h"

/* What the running kernel, and this build, can do. */
struct sandbox_means {
    int landlock; /* the version of its interface; 0: none */
    bool seccomp;
};

struct sandbox_means sandbox_means(void);

/* "landlock=7 seccomp=yes", for the log; g_free it. */
char *sandbox_describe(void);

/*
 * For a process of one thread, before it loads the handlers. -errno, with *ret_problem for the one who wrote
 * the configuration (g_free it): a folder that does not exist, mostly.
 */
int sandbox_enter(const struct wire_config *config, char **ret_problem);

/* The same with no more than these means, for tests: older kernels are what most systems have. */
int sandbox_enter_by(const struct wire_config *config, struct sandbox_means means, char **ret_problem);
