package cli

import "zinit/sock"

// remove stops services and takes them out of the configuration. The server
// answers when they are gone, or a little earlier when that takes long.
func remove(s *session) int {
	return s.each(s.call.words, func(name string) error {
		params := sock.DeleteParams{Name: name, Cascade: s.call.has("cascade")}
		if err := s.ask(sock.MethodDelete, params, nil); err != nil {
			return err
		}
		s.printf("Removed: %s\n", name)
		return nil
	})
}
