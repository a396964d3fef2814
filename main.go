// Command zinit is a process supervisor, an init and their command line in one
// binary; the name that it is called by chooses.
package main

import (
	"os"

	"zinit/applets"
)

func main() { os.Exit(applets.Main(os.Args)) }
