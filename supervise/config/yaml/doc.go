// Package yaml reads YAML into a tree of values with their lines.
//
// It owns what may stand in a YAML text that describes a service: mappings with plain
// keys, lists and scalars, in one document. Anchors, aliases, tags, merge keys,
// several documents and keys that are no scalars are refused with their line; so is
// whatever nests too deep or says a key twice. It knows no keys and no services.
//
// It is the only package that imports the YAML library. A panic of that becomes an
// error.
package yaml
