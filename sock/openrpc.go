package sock

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// The parts of an OpenRPC document. Keys that begin with x- are ours.
type (
	openRPC struct {
		OpenRPC    string          `json:"openrpc"`
		Info       openRPCInfo     `json:"info"`
		Methods    []openRPCMethod `json:"methods"`
		Components struct {
			Schemas map[string]*schema      `json:"schemas"`
			Errors  map[string]openRPCError `json:"errors"`
		} `json:"components"`
	}
	openRPCInfo struct {
		Title       string `json:"title"`
		Version     string `json:"version"`
		Description string `json:"description"`
	}
	openRPCMethod struct {
		Name           string         `json:"name"`
		Summary        string         `json:"summary"`
		ParamStructure string         `json:"paramStructure"`
		Params         []openRPCValue `json:"params"`
		Result         openRPCValue   `json:"result"`
		Access         string         `json:"x-access"`
		Waits          bool           `json:"x-waits,omitempty"`
		Pushes         []openRPCValue `json:"x-pushes,omitempty"`
	}
	openRPCValue struct {
		Name     string  `json:"name"`
		Summary  string  `json:"summary,omitempty"`
		Required bool    `json:"required,omitempty"`
		Schema   *schema `json:"schema"`
	}
	openRPCError struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
)

// OpenRPC is the table as an OpenRPC document (1.2.6), for rpc.discover. version
// is that of the server.
func (t Table) OpenRPC(version string) Encoded {
	var doc openRPC
	doc.OpenRPC = "1.2.6"
	doc.Info = openRPCInfo{"Zinit RPC API", version, "The methods of a zinit server, as JSON-RPC 2.0 over a unix socket. " +
		"x-access says what a method needs: read or change; x-waits that the reply may take long; " +
		"x-pushes which notifications follow the reply on the same connection."}
	s := schemas{named: make(map[string]*schema)}
	for i := range t {
		doc.Methods = append(doc.Methods, t[i].openRPC(&s))
	}
	doc.Components.Schemas = s.named
	doc.Components.Errors = make(map[string]openRPCError)
	for _, c := range codes() {
		doc.Components.Errors[c.name] = openRPCError{c.code, c.when}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic("sock: cannot encode the OpenRPC document: " + err.Error()) // it has no part that can fail
	}
	return text
}

func (m *Method) openRPC(s *schemas) openRPCMethod {
	doc := openRPCMethod{Name: m.Name, Summary: m.Summary, ParamStructure: "by-name", Params: []openRPCValue{},
		Result: openRPCValue{Name: "result", Schema: s.of(m.Result, false)}, Access: m.Access.String(), Waits: m.Waits}
	for i := range m.Params {
		p := &m.Params[i]
		doc.Params = append(doc.Params, openRPCValue{p.Name, p.Summary, p.Required, p.schema(s)})
	}
	for _, push := range m.pushes() {
		doc.Pushes = append(doc.Pushes, openRPCValue{Name: push.Name, Schema: s.of(push.Params, false)})
	}
	return doc
}

// pushes is every notification of a method that streams.
func (m *Method) pushes() []Push {
	if !m.Streams {
		return nil
	}
	return append(m.Pushes[:len(m.Pushes):len(m.Pushes)], Push{NoteEnd, Error{}})
}

func (p *Param) schema(s *schemas) *schema {
	switch {
	case p.Of != nil:
		return s.of(p.Of, true)
	case p.Type == "any" || p.Type == "":
		return &schema{}
	}
	return &schema{Type: p.Type}
}

// String is the name of an access level.
func (a Access) String() string {
	switch a {
	case Nothing:
		return "nothing"
	case Read:
		return "read"
	case Change:
		return "change"
	}
	return "access " + strconv.Itoa(int(a))
}

// typeName is how a schema is called in a table for people.
func (s *schema) typeName() string {
	switch {
	case s.Ref != "":
		return s.Ref[len(refPrefix):]
	case len(s.AnyOf) > 0:
		name := s.AnyOf[0].typeName()
		for _, one := range s.AnyOf[1:] {
			name += " or " + one.typeName()
		}
		return name
	case s.Items != nil && s.MaxItems > 0:
		return fmt.Sprintf("list of exactly %d %s", s.MaxItems, s.Items.typeName())
	case s.Items != nil:
		return "array of " + s.Items.typeName()
	case s.AdditionalProperties != nil:
		return "object of " + s.AdditionalProperties.typeName()
	}
	switch t := s.Type.(type) {
	case string:
		return t
	case []string:
		return t[0] + " or null"
	}
	return "any"
}
