/* tests/sim/memory_internal.h - what memory.c offers to memory_seams.c. */
#pragma once

#include <stddef.h>

/* The program holds so much more or less. */
void memory_add(size_t octets);
void memory_remove(size_t octets);
