// Package env is what an applet gets from its surroundings: arguments, streams
// and environment, and the paths and flags that follow from them. Applets take an
// *Env and return an exit code, so that each of them runs in-process in a test.
//
// It promises that keeper, server and command line resolve the same words to the
// same paths: the rules are here and nowhere else. It refuses to know what an
// applet does with them; it opens nothing.
package env
