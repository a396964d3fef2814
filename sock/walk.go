package sock

import "bytes"

// The functions here walk over JSON that a scanner has found valid, without
// decoding it; on anything else they stop early and do not panic.

// isObject says whether raw is a JSON object; raw has no blanks before it.
func isObject(raw []byte) bool { return len(raw) > 0 && raw[0] == '{' }

// members calls f with every key and value of an object, until f returns false.
// The key is still quoted and escaped.
func members(object []byte, f func(key, value []byte) bool) {
	if !isObject(object) {
		return
	}
	rest := skipBlank(object[1:])
	for len(rest) > 0 && rest[0] == '"' {
		n := valueLen(rest)
		key := rest[:n]
		rest = skipBlank(rest[n:])
		if len(rest) == 0 {
			return
		}
		rest = skipBlank(rest[1:]) // the colon
		n = valueLen(rest)
		if n == 0 || !f(key, rest[:n]) {
			return
		}
		rest = skipComma(rest[n:])
	}
}

// elements calls f with every element of an array, until f returns false.
func elements(array []byte, f func(value []byte) bool) {
	if len(array) == 0 || array[0] != '[' {
		return
	}
	rest := skipBlank(array[1:])
	for len(rest) > 0 && rest[0] != ']' {
		n := valueLen(rest)
		if n == 0 || !f(rest[:n]) {
			return
		}
		rest = skipComma(rest[n:])
	}
}

// member is the value of one key of an object, the last one if there are more;
// nil if there is none.
func member(object []byte, name string) []byte {
	var found []byte
	members(object, func(key, value []byte) bool {
		if keyIs(key, name) {
			found = value
		}
		return true
	})
	return found
}

// keyIs compares a quoted key with a name.
func keyIs(key []byte, name string) bool {
	if len(key) == len(name)+2 {
		return string(key[1:len(key)-1]) == name
	}
	return len(key) > len(name)+2 && bytes.IndexByte(key, '\\') >= 0 && unquote(key) == name
}

// valueLen is the length of the value that b begins with, 0 when there is none.
func valueLen(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	switch b[0] {
	case '"':
		return stringLen(b)
	case '{', '[':
		depth := 0
		for i := 0; i < len(b); i++ {
			switch b[i] {
			case '"':
				i += stringLen(b[i:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(b)
	}
	n := bytes.IndexAny(b, ",]} \t\r\n")
	if n < 0 {
		return len(b)
	}
	return n
}

func stringLen(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

func skipBlank(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

func skipComma(b []byte) []byte {
	b = skipBlank(b)
	if len(b) > 0 && b[0] == ',' {
		b = skipBlank(b[1:])
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
