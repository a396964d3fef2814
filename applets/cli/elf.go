package cli

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// An image is what the kernel looks at first when it executes a program, see
// elf(5). Reading these few bytes here, debug/elf with all that it knows of
// debugging need not be in the binary.
type image struct {
	class, data   byte // 32 or 64 bits, byte order
	kind, machine uint16
	dynamic       bool // an interpreter is to load it
}

const (
	elfExec, elfDyn = 2, 3 // kinds that are executed
	elfInterp       = 3    // the program header that names the interpreter
	elf64           = 2
	elfBig          = 2
)

// readImage reads the head of an ELF file.
func readImage(path string) (image, error) {
	f, err := os.Open(path)
	if err != nil {
		return image{}, err
	}
	defer f.Close()
	var head [64]byte
	if n, err := f.ReadAt(head[:], 0); err != nil && !(errors.Is(err, io.EOF) && n >= 52) {
		return image{}, errors.New("it is too short")
	}
	if string(head[:4]) != "\x7fELF" {
		return image{}, errors.New("it does not begin as an ELF file does")
	}
	i := image{class: head[4], data: head[5]}
	var order binary.ByteOrder = binary.LittleEndian
	if i.data == elfBig {
		order = binary.BigEndian
	}
	i.kind, i.machine = order.Uint16(head[16:]), order.Uint16(head[18:])
	at, size, count := int64(order.Uint32(head[28:])), order.Uint16(head[42:]), order.Uint16(head[44:])
	if i.class == elf64 {
		at, size, count = int64(order.Uint64(head[32:])), order.Uint16(head[54:]), order.Uint16(head[56:])
	}
	for n := range int64(count) {
		var kind [4]byte
		if _, err := f.ReadAt(kind[:], at+n*int64(size)); err != nil {
			return image{}, fmt.Errorf("its program headers cannot be read: %w", err)
		}
		if order.Uint32(kind[:]) == elfInterp {
			i.dynamic = true
		}
	}
	return i, nil
}

// processor is the name of the one that it is for.
func (i image) processor() string {
	switch i.machine {
	case 3:
		return "386"
	case 40:
		return "arm"
	case 62:
		return "amd64"
	case 183:
		return "arm64"
	case 243:
		return "riscv64"
	}
	return fmt.Sprintf("machine %d", i.machine)
}
