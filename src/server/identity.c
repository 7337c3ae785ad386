#include "server/identity.h"

#include <errno.h>
#include <glib.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int identity_find(const char *user, struct identity *ret_identity)
{
    errno = 0;
    const struct passwd *entry = getpwnam(user); /* its static storage is safe: nothing has threads yet */
    if (entry == NULL)
        return errno != 0 && errno != ESRCH ? -errno : -ENOENT;
    *ret_identity = (struct identity){ .user = g_strdup(user), .uid = entry->pw_uid, .gid = entry->pw_gid };
    return 0;
}

void identity_clear(struct identity *id)
{
    g_clear_pointer(&id->user, g_free);
}

/* A drop that only seems to have worked is worse than none: ask the kernel, and try to go back. */
static int verify(const struct identity *id)
{
    uid_t uid[3];
    gid_t gid[3];
    if (getresuid(&uid[0], &uid[1], &uid[2]) < 0 || getresgid(&gid[0], &gid[1], &gid[2]) < 0)
        return -errno;
    for (size_t i = 0; i < 3; i++)
        if (uid[i] != id->uid || gid[i] != id->gid)
            return -EPERM;
    if (id->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
        return -EPERM;
    return 0;
}

int identity_assume(const struct identity *id)
{
    if (initgroups(id->user, id->gid) < 0 || setgid(id->gid) < 0 || setuid(id->uid) < 0)
        return -errno;
    return verify(id);
}

int identity_shed(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
    if (syscall(SYS_capset, &header, none) < 0)
        return -errno;
    return 0;
}
