#include "host/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "host/sandbox_calls.h"

/*
 * What newer kernels than the one whose headers we may be compiled with have, as bits of their interface:
 * a header of Debian 12 knows version 2.
 */
enum {
    FILE_EXECUTE = LANDLOCK_ACCESS_FS_EXECUTE,
    FILE_WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE,
    FILE_READ = LANDLOCK_ACCESS_FS_READ_FILE,
    FILE_READ_DIR = LANDLOCK_ACCESS_FS_READ_DIR,
    FILE_REFER = 1 << 13,     /* version 2: rename and link from one folder to another */
    FILE_TRUNCATE = 1 << 14,  /* version 3 */
    FILE_IOCTL_DEV = 1 << 15, /* version 5 */
    FILE_ALL_1 = (1 << 13) - 1,
    FILE_NOT_OF_DIRECTORIES = FILE_EXECUTE | FILE_WRITE | FILE_READ | FILE_TRUNCATE | FILE_IOCTL_DEV,

    NET_ALL = 1 << 0 | 1 << 1,   /* version 4: bind and connect, TCP */
    SCOPE_ALL = 1 << 0 | 1 << 1, /* version 6: abstract unix sockets, and signals */

    MAY_READ = FILE_READ | FILE_READ_DIR,
    MAY_EXECUTE = MAY_READ | FILE_EXECUTE,
    /* No symbolic links: others than the handler may follow those. No devices, sockets, pipes. Nothing that
     * was written is executed, unless `paths` says so, too. */
    MAY_WRITE = MAY_READ | FILE_WRITE | FILE_TRUNCATE | FILE_REFER | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG,
};

/* struct landlock_ruleset_attr as of version 6; older kernels are told of its beginning only. */
struct ruleset {
    uint64_t files, net, scopes;
};

/*
 * What belongs to the system's libraries, and is in no need of secrecy. Those that are not there are not
 * missed. A rule is for the file that it found: where one of /etc is replaced, hosts see it when they are
 * new.
 */
static const struct place {
    const char *path;
    int rights;
    bool network; /* only with it */
} places[] = {
    { "/lib", MAY_EXECUTE },
    { "/lib32", MAY_EXECUTE },
    { "/lib64", MAY_EXECUTE },
    { "/usr/lib", MAY_EXECUTE },
    { "/usr/lib32", MAY_EXECUTE },
    { "/usr/lib64", MAY_EXECUTE },
    { "/usr/local/lib", MAY_EXECUTE },
    { "/usr/local/lib64", MAY_EXECUTE },
    { "/etc/ld.so.cache", MAY_READ },
    { "/etc/ld.so.preload", MAY_READ },
    { "/usr/share/i18n", MAY_READ },
    { "/usr/share/locale", MAY_READ },
    { "/etc/locale.alias", MAY_READ },
    { "/usr/share/zoneinfo", MAY_READ },
    { "/etc/localtime", MAY_READ },
    { "/etc/timezone", MAY_READ },
    { "/usr/share/mime", MAY_READ },
    { "/usr/local/share/mime", MAY_READ },
    { "/etc/mime.types", MAY_READ },
    { "/dev/null", FILE_READ | FILE_WRITE | FILE_IOCTL_DEV },
    { "/dev/zero", FILE_READ | FILE_WRITE | FILE_IOCTL_DEV },
    { "/dev/random", FILE_READ },
    { "/dev/urandom", FILE_READ },
    /* Not all of /etc/ssl: beside the certificates lie private keys, which the worker may well read. */
    { "/etc/ssl/certs", MAY_READ },
    { "/etc/ssl/openssl.cnf", MAY_READ },
    { "/etc/ca-certificates", MAY_READ },
    { "/etc/crypto-policies", MAY_READ },
    { "/etc/pki/ca-trust", MAY_READ },
    { "/etc/pki/tls/certs", MAY_READ },
    { "/etc/pki/tls/openssl.cnf", MAY_READ },
    { "/usr/share/ca-certificates", MAY_READ },
    { "/usr/local/share/ca-certificates", MAY_READ },
    { "/usr/share/crypto-policies", MAY_READ },
    { "/usr/share/pki", MAY_READ },
    { "/etc/gai.conf", MAY_READ, true },
    { "/etc/host.conf", MAY_READ, true },
    { "/etc/hosts", MAY_READ, true },
    { "/etc/nsswitch.conf", MAY_READ, true },
    { "/etc/protocols", MAY_READ, true },
    { "/etc/resolv.conf", MAY_READ, true },
    { "/etc/services", MAY_READ, true },
    { "/run/systemd/resolve", MAY_READ, true }, /* where resolv.conf may lead to, and is replaced */
    { "/run/resolvconf", MAY_READ, true },
    { "/run/NetworkManager", MAY_READ, true },
};

struct sandbox_means sandbox_means(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return (struct sandbox_means){
        .landlock = version > 0 ? (int)version : 0,
        .seccomp = sandbox_calls_can_be_limited(),
    };
}

char *sandbox_describe(void)
{
    struct sandbox_means means = sandbox_means();
    return g_strdup_printf("landlock=%d seccomp=%s", means.landlock, means.seccomp ? "yes" : "no");
}

/* strerror: g_strerror would load a converter, for which there may be no memory left. */
static int problem(int error, char **ret_problem, const char *what)
{
    const char *hint = error == -ENOMEM ? "; is memory of [handlers] enough?" : "";
    *ret_problem = g_strdup_printf("%s: %s%s", what, strerror(-error), hint);
    return error;
}

static int problem_of_path(int error, char **ret_problem, const char *key, const char *path)
{
    g_autofree char *what = g_strdup_printf("%s = %s", key, path);
    return problem(error, ret_problem, what);
}

/* ---- files, TCP and signals: Landlock ---- */

static int all_files(int version)
{
    return FILE_ALL_1 | (version >= 2 ? FILE_REFER : 0) | (version >= 3 ? FILE_TRUNCATE : 0) |
           (version >= 5 ? FILE_IOCTL_DEV : 0);
}

static int ruleset_new(int version, bool network)
{
    struct ruleset set = {
        .files = (uint64_t)all_files(version),
        .net = version >= 4 && !network ? NET_ALL : 0,
        .scopes = version >= 6 ? SCOPE_ALL : 0,
    };
    size_t known = version >= 6   ? sizeof set
                   : version >= 4 ? offsetof(struct ruleset, scopes)
                                  : offsetof(struct ruleset, net);
    int fd = (int)syscall(SYS_landlock_create_ruleset, &set, known, 0);
    return fd < 0 ? -errno : fd;
}

/* Where there is no Landlock (ruleset -1), it still tells whether the path exists. */
static int allow(int ruleset, int version, const char *path, int rights)
{
    auto_fd int fd = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (ruleset < 0)
        return 0;
    struct landlock_path_beneath_attr rule = {
        .allowed_access = (uint64_t)(unsigned)(rights & all_files(version) &
                                               (S_ISDIR(st.st_mode) ? ~0 : FILE_NOT_OF_DIRECTORIES)),
        .parent_fd = fd,
    };
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return -errno;
    return 0;
}

static int allow_places(int ruleset, int version, bool network, char **ret_problem)
{
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        if (places[i].network && !network)
            continue;
        int r = allow(ruleset, version, places[i].path, places[i].rights);
        /* Also ones that this user cannot reach: then nobody will, by it. */
        if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -EACCES)
            return problem(r, ret_problem, places[i].path);
    }
    return 0;
}

static int allow_list(int ruleset, int version, const char *key, const struct wire_text_list *paths,
                      int rights, char **ret_problem)
{
    for (uint32_t i = 0; i < paths->count; i++) {
        int r = allow(ruleset, version, paths->texts[i], rights);
        if (r < 0)
            return problem_of_path(r, ret_problem, key, paths->texts[i]);
    }
    return 0;
}

static int confine_files(const struct wire_config *config, int version, char **ret_problem)
{
    auto_fd int ruleset = -1;
    if (version > 0) {
        int r = ruleset_new(version, config->network);
        if (r < 0)
            return problem(r, ret_problem, "landlock");
        ruleset = r;
    }
    int r = allow_places(ruleset, version, config->network, ret_problem);
    for (uint32_t i = 0; r == 0 && i < config->handler_count; i++) {
        r = allow(ruleset, version, config->handlers[i].file, MAY_EXECUTE);
        if (r < 0)
            return problem_of_path(r, ret_problem, "load", config->handlers[i].file);
    }
    if (r == 0)
        r = allow_list(ruleset, version, "paths", &config->paths, MAY_EXECUTE, ret_problem);
    if (r == 0)
        r = allow_list(ruleset, version, "writable-paths", &config->writable, MAY_WRITE, ret_problem);
    if (r < 0)
        return r;
    if (ruleset >= 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return problem(-errno, ret_problem, "landlock");
    return 0;
}

/* ---- all of it ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_LEAK_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_LEAK_SANITIZER
#endif

#ifdef WITH_LEAK_SANITIZER
/* It looks at an ending process by /proc and ptrace, and when it has neither, it makes of that a failure. */
const char *__lsan_default_options(void);
const char *__lsan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

/* A daemon that was told to stay root has them. What a program that is executed would gain, it gains only
 * from what is left here, by PR_SET_NO_NEW_PRIVS. */
static int drop_privileges(char **ret_problem)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return problem(-errno, ret_problem, "no_new_privs");
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };
    if (syscall(SYS_capset, &head, none) < 0)
        return problem(-errno, ret_problem, "capset");
    return 0;
}

int sandbox_enter_by(const struct wire_config *config, struct sandbox_means means, char **ret_problem)
{
    int r = drop_privileges(ret_problem);
    if (r == 0)
        r = confine_files(config, means.landlock, ret_problem);
    if (r < 0)
        return r;
    if (!means.seccomp)
        return 0;
    r = sandbox_calls_limit(config->network, means.landlock);
    return r < 0 ? problem(r, ret_problem, "seccomp") : 0;
}

int sandbox_enter(const struct wire_config *config, char **ret_problem)
{
    return sandbox_enter_by(config, sandbox_means(), ret_problem);
}
