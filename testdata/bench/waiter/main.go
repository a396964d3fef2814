// Command waiter is linked of what zinit is linked of, and waits for the end of its
// standard input: what a process of that size has in memory at least. With a number it
// first gives memory back as the keeper does, so many times.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"

	"zinit/applets"
	"zinit/reap"
)

func main() {
	switch len(os.Args) {
	case 1:
	case 2:
		debug.SetGCPercent(-1)
		times, _ := strconv.Atoi(os.Args[1]) // 0 if it is no number
		for range times {
			reap.GiveBack(nil)
		}
	default:
		os.Exit(applets.Main(os.Args[2:])) // nobody asks for it; without it nothing is linked
	}
	fmt.Println("waits")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
