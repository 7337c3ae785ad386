/*
 * server/spool.h - a message from wherever, as a file without a name, with the line ends that message files
 * have: each CR LF becomes LF. Memory does not grow with the message. Failure: -errno, of reading or writing.
 */
#pragma once

#include <stdint.h>

/* Reads `from` to its end. The descriptor, which is the caller's, is for reading only. */
int spool_message(int from, int *ret_fd, uint64_t *ret_size);
