/* A service that listens on the unix socket PATH and sends back the first byte of
 * each connection: answer PATH. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c;
	char byte;
	if (argc != 2 || strlen(argv[1]) >= sizeof at.sun_path)
		return 2;
	strcpy(at.sun_path, argv[1]);
	unlink(argv[1]);
	if (bind(l, (struct sockaddr *)&at, sizeof at) || listen(l, 64))
		return 1;
	while ((c = accept(l, 0, 0)) >= 0) {
		if (read(c, &byte, 1) == 1 && write(c, &byte, 1) != 1)
			return 1;
		close(c);
	}
	return 1;
}
