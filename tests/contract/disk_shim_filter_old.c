#include "disk_shim_filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "disk_contract.h"

const bool shim_has_beneath = false;

#define FAIL(call, error)                                                                                    \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

/*
 * openat2 fails as it does under container runtimes that have not heard of it, the others as in old kernels.
 * That the system call's number is this architecture's need not be checked: this confines nobody, it is an
 * old kernel for ourselves.
 */
const char *filter_install(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        FAIL(SYS_openat2, EPERM),
        FAIL(SYS_renameat2, ENOSYS),
        FAIL(SYS_copy_file_range, ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    static const struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return "system calls cannot be filtered here";
    return NULL;
}
