package env

// Version is the version of every applet; it follows semantic versioning.
const Version = "0.4.0"
