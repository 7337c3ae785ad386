/*
 * server/background.h - detaching from the terminal (`--daemon`). The process forks; who started it waits
 * until the one in the background says that it serves, or ends, and has its exit status. Until then the
 * terminal still shows what is wrong.
 */
#pragma once

#include <stdbool.h>

struct background {
    int ready; /* end of a pipe to the waiting process, or -1 */
};
#define BACKGROUND_NONE                                                                                      \
    {                                                                                                        \
        .ready = -1                                                                                          \
    }

/* Returns in both processes. *ret_waited: in the one that has waited, which must now exit with *ret_status.
 * -errno: no fork. */
int background_enter(struct background *b, bool *ret_waited, int *ret_status);

/* In the background: all is well; from now on standard input, output and error are /dev/null. */
void background_ready(struct background *b);
