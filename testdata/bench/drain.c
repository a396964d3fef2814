/* The least that taking in what a service writes can cost: read and forget.
 *
 * drain BYTES: reads as many from stdin, then ends; with 0 it ends at once,
 * which is the least that any command can cost. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char buf[65536];
	long left = argc > 1 ? atol(argv[1]) : 0;
	while (left > 0) {
		ssize_t n = read(0, buf, sizeof buf);
		if (n <= 0)
			return 1;
		left -= n;
	}
	return 0;
}
