//go:build !chaos

package main_test

// chaosChild is a service of TestChaos, which ./build.sh chaos runs.
func chaosChild() int { return 2 }
