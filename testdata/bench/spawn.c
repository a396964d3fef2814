/* The least that a start and a stop of N services can cost: vfork + exec, one
 * after the other, and later a SIGTERM to each and a wait for all.
 *
 * spawn N PROGRAM: starts, says "up" on stdout, waits for the end of stdin, stops. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int n = atoi(argv[1]);
	pid_t *pids = calloc(n + 1, sizeof *pids);
	char *args[] = { argv[2], NULL };
	if (!pids)
		return 1;
	/* Children must not hold the pipes to whoever measures. */
	fcntl(0, F_SETFD, FD_CLOEXEC);
	fcntl(1, F_SETFD, FD_CLOEXEC);
	for (int i = 0; i < n; i++) {
		pids[i] = vfork();
		if (pids[i] < 0)
			return 1;
		if (pids[i] == 0) {
			execve(args[0], args, environ);
			_exit(127);
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
	return 0;
}
