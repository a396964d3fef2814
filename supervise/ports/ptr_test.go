package ports

import "unsafe"

// ptr is the address of bytes, for prctl.
func ptr(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }
