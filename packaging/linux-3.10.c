/* Runs a command as if the kernel were Linux 3.10 (CentOS 7): every system call that is newer answers
 * ENOSYS, and the newer forms of old calls that a program may try first answer what 3.10 answers.
 *
 *     linux-3.10 COMMAND [ARGUMENT...]
 *
 * x86_64 only. It also holds for all children, and cannot be taken off again. What a filter cannot show:
 * flags that hide in structures, files of /proc and /sys that 3.10 lacks, and the bugs of 3.10.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* finit_module is number 313, of Linux 3.8; the next one is sched_setattr of 3.14. */
enum { FIRST_NEW_CALL = 314, STATX = 332 };

/* Not in every system's headers, which is the point. */
enum { OFD_GETLK = 36, OFD_SETLKW = 38, ADD_SEALS = 1033, GET_SEALS = 1034, MADVISE_FREE = 8, TMPFILE = 020000000 };

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ARGUMENT(n) LOAD(args[n])
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, action)
#define REFUSE(code) ANSWER(SECCOMP_RET_ERRNO | (code))
/* The next instruction when the condition holds, else `skip` more. */
#define IF(condition, value, skip) BPF_JUMP(BPF_JMP | BPF_##condition | BPF_K, value, 0, skip)

static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
    REFUSE(ENOSYS),
    LOAD(nr),
    IF(JGE, FIRST_NEW_CALL, 1),
    REFUSE(ENOSYS),

    /* O_TMPFILE (3.11): 3.10 overlooks the new bit and sees a folder opened for writing. */
    IF(JEQ, SYS_open, 4),
    ARGUMENT(1),
    IF(JSET, TMPFILE, 1),
    REFUSE(EISDIR),
    ANSWER(SECCOMP_RET_ALLOW),
    IF(JEQ, SYS_openat, 4),
    ARGUMENT(2),
    IF(JSET, TMPFILE, 1),
    REFUSE(EISDIR),
    ANSWER(SECCOMP_RET_ALLOW),

    /* Locks of open file descriptions (3.15) and seals (3.17). */
    IF(JEQ, SYS_fcntl, 8),
    ARGUMENT(1),
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, OFD_GETLK, 0, 2),
    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, OFD_SETLKW, 1, 0),
    REFUSE(EINVAL),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ADD_SEALS, 1, 0),
    IF(JEQ, GET_SEALS, 1),
    REFUSE(EINVAL),
    ANSWER(SECCOMP_RET_ALLOW),

    /* MADV_FREE (4.5), which allocators like. */
    IF(JEQ, SYS_madvise, 3),
    ARGUMENT(2),
    IF(JEQ, MADVISE_FREE, 1),
    REFUSE(EINVAL),
    ANSWER(SECCOMP_RET_ALLOW),
};

/* A filter that is not in force would let everything pass, so ask for one thing of each kind. */
static const char *not_refused(void) {
    if (syscall(STATX, 0, 0, 0, 0, 0) != -1 || errno != ENOSYS) return "statx";
    if (openat(AT_FDCWD, "/tmp", TMPFILE | O_DIRECTORY | O_RDWR, 0600) != -1 || errno != EISDIR) return "O_TMPFILE";
    if (fcntl(0, GET_SEALS) != -1 || errno != EINVAL) return "F_GET_SEALS";
    if (madvise(NULL, 0, MADVISE_FREE) != -1 || errno != EINVAL) return "MADV_FREE";
    return NULL;
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: linux-3.10 COMMAND [ARGUMENT...]\n");
        return 64;
    }
    struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("linux-3.10: install the filter");
        return 71;
    }
    const char *passed = not_refused();
    if (passed) {
        fprintf(stderr, "linux-3.10: the filter is installed but lets %s pass\n", passed);
        return 71;
    }
    execvp(arguments[1], arguments + 1);
    fprintf(stderr, "linux-3.10: ");
    perror(arguments[1]);
    return 127;
}
