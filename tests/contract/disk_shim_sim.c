#include "disk_contract.h"

#include <glib.h>

#include "disk/disk_sim.h"

const bool shim_has_beneath = true;

enum { NOW_S = 1795296824 };
static int64_t passed_us; /* since then */

const char *shim_start(void)
{
    return NULL;
}

void shim_make_root(void)
{
    disk_sim_reset(1);
    passed_us = 0;
    disk_sim_set_time(shim_now_us());
    disk_sim_mkdir_all(shim_root());
}

const char *shim_root(void)
{
    return "/contract/root";
}

void shim_symlink(const char *name, const char *target)
{
    g_autofree char *path = g_build_filename(shim_root(), name, NULL);
    disk_sim_symlink(path, target);
}

void shim_special(const char *name)
{
    g_autofree char *path = g_build_filename(shim_root(), name, NULL);
    disk_sim_special(path);
}

size_t shim_open_descriptors(void)
{
    return disk_sim_open_descriptors();
}

int64_t shim_now_us(void)
{
    return NOW_S * INT64_C(1000000) + passed_us;
}

void shim_pass_us(int64_t us)
{
    passed_us += us;
    disk_sim_set_time(shim_now_us());
}

/* What only the simulated one can do has a suite of its own: tests/unit/test_disk_sim. */
void shim_add(struct suite *s)
{
    (void)s;
}
