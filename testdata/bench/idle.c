/* A service that does nothing: the figures are the supervisor's own.
 *
 * idle [FIFO]: with a FIFO it first tells there, in one write, its pid and the
 * time at which it began (CLOCK_MONOTONIC, nanoseconds), two native 64-bit
 * integers. */
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (argc > 1) {
		int64_t told[2] = { getpid(), now.tv_sec * INT64_C(1000000000) + now.tv_nsec };
		int fd = open(argv[1], O_WRONLY);
		if (fd < 0 || write(fd, told, sizeof told) != sizeof told)
			return 1;
		close(fd);
	}
	for (;;)
		pause();
}
