/*
 * base/stand_back.h - a process that shall not hold up others, whatever it does.
 */
#pragma once

#include <stdint.h>

/*
 * From now on this process, and those that it starts, run behind others, and not on the last
 * `spare_processors` of those that they may use, but on one at least. What the system does not let them do is
 * left out. System calls only, so that it may stand between fork and execve.
 */
void stand_back(uint64_t spare_processors);
