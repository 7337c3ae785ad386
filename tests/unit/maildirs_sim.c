#include "maildirs.h"

#include "disk/disk_sim.h"

char *maildirs_new(void)
{
    disk_sim_reset(1);
    disk_sim_mkdir_all("/mail");
    return g_strdup("/mail");
}

void maildirs_free(char *take_root)
{
    g_free(take_root);
    disk_sim_reset(1);
}

size_t maildirs_open_descriptors(void)
{
    return disk_sim_open_descriptors();
}

void maildirs_link(const char *root, const char *name, const char *target)
{
    g_autofree char *path = g_build_filename(root, name, NULL);
    disk_sim_symlink(path, target);
}
