package supervise

import (
	"encoding/json"
	"strconv"
	"strings"
)

// connMemo is the key of the record for a process for a connection. Each has one of its
// own, so that who comes and goes costs the same however many others there are.
func connMemo(service string, run uint64) string {
	return connKey + service + "/" + strconv.FormatUint(run, 10)
}

// decodeConn reads such a record; nil if it is none. Of one that is damaged only the run
// is known. No name of a service has a slash.
func decodeConn(key string, value []byte) (service string, one *conn) {
	rest, ok := strings.CutPrefix(key, connKey)
	if !ok {
		return "", nil
	}
	service, number, _ := strings.Cut(rest, "/")
	run, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return "", nil
	}
	one = new(conn)
	if json.Unmarshal(value, one) != nil || one.Run != run {
		one = &conn{Run: run}
	}
	return service, one
}

// forgetConns has nobody told of the connections that have ended.
func (c *core) forgetConns(r *record) {
	for _, run := range r.conns.ended {
		c.Memory.Delete(connMemo(r.name, run))
	}
	r.conns.ended = r.conns.ended[:0]
}

// writeConns writes down what has changed of the connections of a service.
func (c *core) writeConns(r *record) error {
	c.forgetConns(r)
	for _, one := range r.conns.list {
		if one.written {
			continue
		}
		text, err := json.Marshal(one)
		if err == nil {
			err = c.Memory.Put(connMemo(r.name, one.Run), text)
		}
		if err != nil {
			return err
		}
		one.written = true
	}
	return nil
}

// settleConns forgets what was written down of connections that have ended meanwhile.
func (c *core) settleConns() {
	for service, list := range c.recalledConns {
		r := c.byName[service]
		for _, was := range list {
			at := -1
			if r != nil {
				at = r.conns.find(was.Run)
			}
			if at < 0 {
				c.Memory.Delete(connMemo(service, was.Run))
				continue
			}
			is := r.conns.list[at]
			is.written = is.Pid == was.Pid
		}
	}
	c.recalledConns = nil
}
