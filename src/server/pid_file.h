/*
 * server/pid_file.h - a file with the process's number, for those who start and stop daemons without a
 * service manager. It is locked as long as the process lives, so that a number that a crash left behind is no
 * obstacle. Failure: -errno, -EWOULDBLOCK when another process holds it.
 */
#pragma once

#include "base/auto.h"

struct pid_file {
    int fd; /* or -1 */
    char *path;
};
#define PID_FILE_NONE                                                                                        \
    {                                                                                                        \
        .fd = -1                                                                                             \
    }

int pid_file_write(struct pid_file *f, const char *path);
/* Removes the file; if that is no longer allowed, at least what it says. */
void pid_file_clear(struct pid_file *f);
AUTO_VAL_DEFINE(pid_file);
