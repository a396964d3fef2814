/* The least that a server with an heir can cost: wait, vfork, exec, accept.
 *
 * revive SOCKET: listens, and keeps one child running, which is this program too
 * and answers each line with its pid. The socket outlives it. Ends with a signal. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* answer is the child: its socket is descriptor 0. */
static int answer(void)
{
	char line[4096], reply[32];
	int size = sprintf(reply, "%d\n", getpid());

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int conn = accept(0, NULL, NULL);
		if (conn < 0)
			return 1;
		while (read(conn, line, sizeof line) > 0 && write(conn, reply, size) == size)
			;
		close(conn);
	}
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return answer();
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	if (argc != 2 || strlen(argv[1]) >= sizeof at.sun_path)
		return 2;
	strcpy(at.sun_path, argv[1]);
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	if (sock < 0 || bind(sock, (struct sockaddr *)&at, sizeof at) < 0 || listen(sock, 100) < 0 || dup2(sock, 0) < 0)
		return 1;
	close(sock);
	signal(SIGPIPE, SIG_IGN);
	char *args[] = { argv[0], NULL };
	for (;;) {
		pid_t pid = vfork();
		if (pid < 0)
			return 1;
		if (pid == 0) {
			execve("/proc/self/exe", args, environ);
			_exit(127);
		}
		if (waitpid(pid, NULL, 0) < 0)
			return 1;
	}
}
