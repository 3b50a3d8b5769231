/* The first process of the machine that boot.py boots: runs the driver on all cases.
 * Linux hands it what it does not know itself, `few` and `refuse`, as the environment. */
#include <fcntl.h>
#include <glob.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* arch_prctl(ARCH_REQ_XCOMP_PERM, ...) becomes EPERM, as by a container's policy. */
static int refuse_tiles(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 158, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1023, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program);
}

int main(void)
{
    int status = 0;
    glob_t found = {.gl_offs = 1};
    glob(getenv("few") ? "/*-0000.case" : "/*.case", GLOB_DOOFFS, NULL, &found);
    found.gl_pathv[0] = "/driver";
    /* Real-time threads may have the CPU for as long as they like. */
    mount("proc", "/proc", "proc", 0, NULL);
    const int share = open("/proc/sys/kernel/sched_rt_runtime_us", O_WRONLY);
    const struct sched_param first = {.sched_priority = 1};
    if (write(share, "-1", 2) != 2)
        perror("machine: sched_rt_runtime_us");
    if (!fork()) {
        if (sched_setscheduler(0, SCHED_FIFO, &first) || (getenv("refuse") && refuse_tiles()))
            perror("machine");
        else
            execv("/driver", found.gl_pathv);
        _exit(127);
    }
    wait(&status);
    printf("machine: signal %d, exit code %d\nmachine: end\n", WTERMSIG(status), WEXITSTATUS(status));
    fflush(stdout);
    for (;;)
        pause();
}
