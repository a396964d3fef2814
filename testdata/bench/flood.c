/* A service that talks: lines of 100 bytes, written 4 KiB at a time as stdio
 * does into a pipe.
 *
 * flood GO DONE LINES: waits for a byte on the FIFO GO, writes to stdout, tells
 * on the FIFO DONE when all has been written (as idle does), and stays. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char c;
	if (argc != 4)
		return 2;
	int go = open(argv[1], O_RDONLY);
	if (go < 0 || read(go, &c, 1) != 1)
		return 1;
	setvbuf(stdout, NULL, _IOFBF, 4096);
	long lines = atol(argv[3]);
	for (long i = 1; i <= lines; i++)
		printf("line %09ld %083d.\n", i, 0);
	fflush(stdout);

	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t told[2] = { getpid(), now.tv_sec * INT64_C(1000000000) + now.tv_nsec };
	int done = open(argv[2], O_WRONLY);
	if (done < 0 || write(done, told, sizeof told) != sizeof told)
		return 1;
	for (;;)
		pause();
}
