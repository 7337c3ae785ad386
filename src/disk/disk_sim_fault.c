#include "disk/disk_sim_fault.h"

#include "base/assert.h"

static const char *const kind_names[] = {
    [DISK_SIM_ANY] = "any",
    [DISK_SIM_OPEN_ROOT] = "open-root",
    [DISK_SIM_OPEN_PATH] = "open-path",
    [DISK_SIM_OPEN_BENEATH] = "open-beneath",
    [DISK_SIM_STAT] = "stat",
    [DISK_SIM_STAT_OPEN] = "stat-open",
    [DISK_SIM_CREATE] = "create",
    [DISK_SIM_OPEN_FILE] = "open-file",
    [DISK_SIM_OPEN_APPEND] = "open-append",
    [DISK_SIM_MKDIR] = "mkdir",
    [DISK_SIM_RMDIR] = "rmdir",
    [DISK_SIM_APPEND] = "append",
    [DISK_SIM_READ] = "read",
    [DISK_SIM_APPEND_COPY] = "append-copy",
    [DISK_SIM_SCRATCH] = "scratch",
    [DISK_SIM_TRUNCATE] = "truncate",
    [DISK_SIM_WRITE_OUT] = "write-out",
    [DISK_SIM_SYNC] = "sync",
    [DISK_SIM_CHECK] = "check",
    [DISK_SIM_SYNC_DIR] = "sync-dir",
    [DISK_SIM_CAN_SYNC_ALL] = "can-sync-all",
    [DISK_SIM_SYNC_ALL] = "sync-all",
    [DISK_SIM_RENAME] = "rename",
    [DISK_SIM_LINK] = "link",
    [DISK_SIM_REPLACE] = "replace",
    [DISK_SIM_UNLINK] = "unlink",
    [DISK_SIM_LIST] = "list",
};

const char *disk_sim_kind_name(enum disk_sim_kind kind)
{
    pst_assert((size_t)kind < G_N_ELEMENTS(kind_names));
    return kind_names[kind];
}

void disk_faults_clear(struct disk_faults *f)
{
    g_clear_pointer(&f->planned, g_array_unref);
    f->calls = 0;
    f->failures = 0;
}

void disk_faults_plan(struct disk_faults *f, struct disk_sim_fault fault)
{
    pst_assert(fault.nth > 0 && fault.error > 0);
    if (f->planned == NULL)
        f->planned = g_array_new(FALSE, FALSE, sizeof(struct disk_sim_fault));
    g_array_append_val(f->planned, fault);
}

/* Whether it strikes at this call. One that has struck, and does so once, stays at 0. */
static bool strikes(struct disk_sim_fault *fault, enum disk_sim_kind kind)
{
    if (fault->kind != DISK_SIM_ANY && fault->kind != kind)
        return false;
    if (fault->nth == 1 && fault->for_ever)
        return true;
    return fault->nth > 0 && --fault->nth == 0;
}

int disk_faults_next(struct disk_faults *f, enum disk_sim_kind kind, struct disk_sim_fault *ret_fault)
{
    const struct disk_sim_fault *first = NULL;
    f->calls++;
    for (guint i = 0; f->planned != NULL && i < f->planned->len; i++) {
        struct disk_sim_fault *fault = &g_array_index(f->planned, struct disk_sim_fault, i);
        if (strikes(fault, kind) && first == NULL)
            first = fault;
    }
    if (first == NULL)
        return 0;
    f->failures++;
    *ret_fault = *first;
    return -first->error;
}
