package server

import (
	"fmt"
	"strings"

	"zinit/proxy"
	"zinit/proxy/address"
)

// placeName ends the name under which the keeper holds a socket: where it is, and which
// file that is, so that the next server removes no other one.
func placeName(a address.Address, id proxy.FileID) string {
	return fmt.Sprintf("%d/%d/%s", id.Dev, id.Ino, a)
}

// readPlace undoes placeName.
func readPlace(name string) (a address.Address, id proxy.FileID, err error) {
	if _, err := fmt.Sscanf(name, "%d/%d/", &id.Dev, &id.Ino); err != nil {
		return a, id, fmt.Errorf("cannot read its name: %w", err)
	}
	a, err = address.Parse(strings.SplitN(name, "/", 3)[2])
	return a, id, err
}
