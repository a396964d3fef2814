/* The least that a start and a stop of N services can cost: vfork + exec, one
 * after the other, and later a SIGTERM to each and a wait for all.
 *
 * spawn N PROGRAM [capture [DIR]]: starts, says "up" on stdout, waits for the end of
 * stdin, stops. With "capture" each process has a session and two output pipes of
 * its own, whose read ends are held twice: the least for whoever keeps output. With
 * DIR each is born in a cgroup of its own below it: the least for whoever also knows
 * which processes are whose. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* struct clone_args of linux/sched.h, which old headers do not have whole. */
struct clone_request {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/* vfork_into is vfork into a cgroup. Like vfork it must be inline: the child would
 * destroy the frame that the parent is to return from. */
static inline __attribute__((always_inline)) long vfork_into(int cgroup)
{
	struct clone_request r = { .flags = 0x200000000ULL /* CLONE_INTO_CGROUP */, .exit_signal = SIGCHLD, .cgroup = cgroup };
#if defined(__x86_64__)
	long ret;
	r.flags |= CLONE_VM | CLONE_VFORK;
	__asm__ volatile("syscall" : "=a"(ret) : "0"(SYS_clone3), "D"(&r), "S"(sizeof r) : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = SYS_clone3, x0 __asm__("x0") = (long)&r, x1 __asm__("x1") = sizeof r;
	r.flags |= CLONE_VM | CLONE_VFORK;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
	return x0;
#else
	return syscall(SYS_clone3, &r, sizeof r);
#endif
}

static char path[4096];

static char *group(const char *dir, int i)
{
	snprintf(path, sizeof path, "%s/%d.svc", dir, i);
	return path;
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 5)
		return 2;
	int n = atoi(argv[1]), capture = argc > 3;
	const char *dir = argc > 4 ? argv[4] : NULL;
	int (*held)[4] = calloc(n + 1, sizeof *held);
	pid_t *pids = calloc(n + 1, sizeof *pids);
	char *args[] = { argv[2], NULL };
	if (!pids || !held)
		return 1;
	/* Children must not hold the pipes to whoever measures. */
	fcntl(0, F_SETFD, FD_CLOEXEC);
	fcntl(1, F_SETFD, FD_CLOEXEC);
	for (int i = 0; i < n; i++) {
		int out[2], err[2];
		if (capture) {
			if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
				return 1;
			held[i][0] = out[0];
			held[i][1] = err[0];
			held[i][2] = fcntl(out[0], F_DUPFD_CLOEXEC, 0);
			held[i][3] = fcntl(err[0], F_DUPFD_CLOEXEC, 0);
			if (held[i][2] < 0 || held[i][3] < 0)
				return 1;
		}
		if (dir) {
			int fd;
			if (mkdir(group(dir, i), 0755) || (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
				return 1;
			pids[i] = vfork_into(fd);
			if (pids[i] != 0)
				close(fd);
		} else
			pids[i] = vfork();
		if (pids[i] < 0)
			return 1;
		if (pids[i] == 0) {
			if (capture) {
				setsid();
				dup2(out[1], 1);
				dup2(err[1], 2);
			}
			execve(args[0], args, environ);
			_exit(127);
		}
		if (capture) {
			close(out[1]);
			close(err[1]);
		}
	}
	char c;
	if (write(1, "up\n", 3) != 3)
		return 1;
	while (read(0, &c, 1) > 0)
		;
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGTERM);
	for (int left = n; left > 0; left--)
		if (wait(NULL) < 0)
			return 1;
	for (int i = 0; capture && i < n; i++)
		for (int j = 0; j < 4; j++)
			close(held[i][j]);
	for (int i = 0; dir && i < n; i++)
		if (rmdir(group(dir, i)))
			return 1;
	return 0;
}
