// Package ears hears the services of a server over its life: it opens for each run the
// way by which it speaks, tells the supervisor what was said, and hands both kinds,
// sockets and descriptors, to the keeper and takes them over again.
//
// It owns their names in the hands of the keeper. What a message means is notify's, what
// follows from it the supervisor's; who may speak is asked of others.
package ears
