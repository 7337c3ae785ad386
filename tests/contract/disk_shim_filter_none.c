#include "disk_shim_filter.h"

#include <stddef.h>

#include "disk_contract.h"

const bool shim_has_beneath = true;

const char *filter_install(void)
{
    return NULL;
}
