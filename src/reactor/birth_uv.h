/*
 * reactor/birth_uv.h - how child processes of the libuv twin come to be, on threads of its pool. child_uv.c
 * and reactor_uv.c include it.
 */
#pragma once

#include <stdatomic.h>

#include "reactor/reactor.h"

/* What a child is made from: its own copies, for the job may come late. */
struct birth {
    char *file;
    char **argv, **env; /* NULL: this process's */
    int *fds, *moved;   /* at least 0, 1 and 2; and room for their numbers in the child */
    unsigned fd_count;
    bool stands_back;
    uint64_t spare_processors;
    struct nursery *nursery; /* NULL: none */
    _Atomic pid_t *pid;      /* is set before the child can do anything; */
    _Atomic int *error;      /* to -errno, when there is none, or when it does not become its program */
};

/* NULL when there are no descriptors left. `channel_fd` stands for CHILD_CHANNEL. */
struct birth *birth_new(const struct child_options *o, int channel_fd, int *ret_error);
void birth_free(struct birth *b);

/* On a thread that may wait. Its number, or -1; once it has its program, or has none. One at a time by the
 * same nursery. */
pid_t birth_give(const struct birth *b);

/* base/nursery.h. One for all the nursed children of a reactor; its process begins with the first. */
struct nursery *nursery_new(void);
void nursery_free(struct nursery *n); /* while no birth is under way; NULL is welcome */
