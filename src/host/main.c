/*
 * postern-host: runs handlers, one message at a time, for the process that started it. Descriptor 3 is the
 * wire to it (handlers/wire.h), descriptor 4 the scratch file for a message that is replaced.
 */
#include "handlers/wire.h"

int main(void)
{
    return 70;
}
