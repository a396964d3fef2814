package env

// Version is the version of every applet; it follows semantic versioning. It is a
// variable for the linker's sake (-X) and never changes in a running program.
var Version = "0.4.0"
