/* The least that a restart can cost: wait, vfork, exec.
 *
 * respawn PROGRAM ARGUMENT: keeps one process of PROGRAM running until it gets
 * a signal itself. */
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	char *args[] = { argv[1], argv[2], NULL };
	for (;;) {
		pid_t pid = vfork();
		if (pid < 0)
			return 1;
		if (pid == 0) {
			execve(args[0], args, environ);
			_exit(127);
		}
		if (waitpid(pid, NULL, 0) < 0)
			return 1;
	}
}
