package reap

import "strconv"

func outputName(key string, run uint64, fd int) string {
	return "out/" + key + "/" + strconv.FormatUint(run, 10) + "/" + strconv.Itoa(fd)
}
