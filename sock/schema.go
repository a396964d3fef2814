package sock

import (
	"encoding/json"
	"reflect"
	"strings"
)

// A schema is a JSON schema (draft 7), as far as our shapes need it.
type schema struct {
	Ref                  string             `json:"$ref,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 any                `json:"type,omitempty"` // a name, or a list of names
	Enum                 []string           `json:"enum,omitempty"`
	Minimum              *int64             `json:"minimum,omitempty"`
	Maximum              *int64             `json:"maximum,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	MinItems             int                `json:"minItems,omitempty"`
	MaxItems             int                `json:"maxItems,omitempty"`
	AdditionalProperties *schema            `json:"additionalProperties,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AnyOf                []*schema          `json:"anyOf,omitempty"`

	fields []string // the properties in the order of the Go type
}

// schemas turns Go types into schemas. What it says about a field comes from its
// tags: json as ever; doc is the description; enum names the values (enumOf);
// also:"null" is for a pointer that is null in some cases and left out in others.
type schemas struct {
	named map[string]*schema // by name of the Go type
	names []string           // of named, in the order in which they were met
}

const refPrefix = "#/components/schemas/"

// of is the schema of the type of v. What a client sends may leave out every
// optional part; that is input.
func (s *schemas) of(v any, input bool) *schema {
	if v == nil {
		return &schema{}
	}
	return s.ofType(reflect.TypeOf(v), input)
}

func (s *schemas) ofType(t reflect.Type, input bool) *schema {
	if t == reflect.TypeFor[json.RawMessage]() || t == reflect.TypeFor[Encoded]() {
		return &schema{}
	}
	if t == reflect.TypeFor[Null]() {
		return &schema{Type: "null"}
	}
	if t == reflect.TypeFor[Scalar]() {
		return &schema{Type: []string{"integer", "string"}}
	}
	switch t.Kind() {
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.String:
		return &schema{Type: "string"}
	case reflect.Float64:
		return &schema{Type: "number"}
	case reflect.Int, reflect.Int64:
		return &schema{Type: "integer"}
	case reflect.Uint16:
		return &schema{Type: "integer", Minimum: new(int64(0)), Maximum: new(int64(1<<16 - 1))}
	case reflect.Uint64:
		return &schema{Type: "integer", Minimum: new(int64(0))}
	case reflect.Slice:
		return &schema{Type: "array", Items: s.ofType(t.Elem(), input)}
	case reflect.Array:
		return &schema{Type: "array", Items: s.ofType(t.Elem(), input), MinItems: t.Len(), MaxItems: t.Len()}
	case reflect.Map:
		return &schema{Type: "object", AdditionalProperties: s.ofType(t.Elem(), input)}
	case reflect.Pointer:
		return s.ofType(t.Elem(), input)
	case reflect.Struct:
		return s.ofStruct(t, input)
	}
	return &schema{}
}

func (s *schemas) ofStruct(t reflect.Type, input bool) *schema {
	if v, ok := reflect.Zero(t).Interface().(interface{ alternatives() []any }); ok {
		var any schema
		for _, one := range v.alternatives() {
			any.AnyOf = append(any.AnyOf, s.of(one, input))
		}
		return &any
	}
	name := t.Name()
	if input {
		name += "Input"
	}
	if s.named[name] == nil {
		named := &schema{Type: "object", Properties: make(map[string]*schema)}
		s.named[name] = named // before its fields: one may be of the same type
		s.names = append(s.names, name)
		s.addFields(named, t, input)
	}
	return &schema{Ref: refPrefix + name}
}

func (s *schemas) addFields(to *schema, t reflect.Type, input bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			s.addFields(to, f.Type, input)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		one := s.ofType(f.Type, input)
		pointer := f.Type.Kind() == reflect.Pointer
		optional := options == "omitempty"
		if pointer && (!optional || f.Tag.Get("also") == "null") {
			one = one.orNull()
		}
		one.Enum = enumOf(f.Tag.Get("enum"))
		one.Description = f.Tag.Get("doc")
		to.Properties[name] = one
		to.fields = append(to.fields, name)
		if !optional && (!input || requiredInput(t, name)) {
			to.Required = append(to.Required, name)
		}
	}
}

// requiredInput says which parts a client must send: only a service needs a name
// and a command, and a health check a type and a target.
func requiredInput(t reflect.Type, field string) bool {
	switch t {
	case reflect.TypeFor[ServiceConfig]():
		return field == "service"
	case reflect.TypeFor[Service]():
		return field == "name" || field == "exec"
	case reflect.TypeFor[Health]():
		return true
	}
	return false
}

func (s *schema) orNull() *schema {
	if s.Ref != "" {
		return &schema{AnyOf: []*schema{s, {Type: "null"}}}
	}
	orNull := *s
	orNull.Type = []string{s.Type.(string), "null"}
	return &orNull
}

// enumOf is the values of a field by the word in its tag.
func enumOf(word string) []string {
	switch word {
	case "state":
		return States()
	case "reason":
		return []string{ReasonExitCode, ReasonSignal, ReasonStartTimeout, ReasonStopTimeout, ReasonHealthCheckFailed,
			ReasonDependencyFailed, ReasonSpawnError, ReasonMissingDependency}
	case "source":
		return []string{FromCgroup, FromProc}
	case "event":
		return []string{EventState, EventAdded, EventRemoved, EventChanged, EventNow, EventGap}
	}
	return nil
}

func (Configured) alternatives() []any { return []any{ServiceConfig{}, Target{}} }
