/* The least that a start and a stop of N services can cost: vfork + exec, one
 * after the other, and later a SIGTERM to each and a wait for all.
 *
 * spawn N PROGRAM [capture]: starts, says "up" on stdout, waits for the end of
 * stdin, stops. With "capture" each process has a session and two output pipes of
 * its own, whose read ends are held twice: the least for whoever keeps output. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 4)
		return 2;
	int n = atoi(argv[1]), capture = argc == 4;
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
	return 0;
}
