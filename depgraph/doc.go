// Package depgraph orders services: names in; orders, waves, cycles and
// explanations out.
//
//	web.toml  requires = ["db"]  wants = ["cache"]  after = ["log"]
//
//	            requires
//	      web ------------> db          start   cache, db, log, then web
//	       | \   after                  stop    web, then cache, db and log at once
//	       |  `-----------> log         ready   all but web; web when db is satisfied
//	       | wants
//	       `--------------> cache       why     web: requires db, not yet satisfied
//
// Five kinds of relation. Four are edges that point from a service to what it
// names, and all four order starts and stops:
//
//	requires   starts when the other is satisfied; is stopped when it is stopped
//	awaits     starts when the other is satisfied; is not stopped with it
//	after      starts when the other was attempted, whatever came of it
//	wants      has the other started too, and starts anyway
//
// The fifth, conflicts, says "never together". It has no direction and orders
// nothing.
//
// # Promises
//
// Build never fails as a whole. A service that cannot be satisfied gets a Fault,
// and only that one: a member of a cycle, with the cycle spelled out, or a
// service whose requires or awaits names nobody. What merely depends on a faulty
// service has no fault; it waits, and Blockers says for whom. An after or wants
// of an unknown name is ignored, but CycleWith knows of it: a service added later
// under that name is ordered.
//
// All results are deterministic. They depend on names, not on the order in which
// the nodes were given, and ties break by name. Building is O(V + E) beside one
// sort of the names and one heap for ties; no algorithm here recurses, so a chain
// of any length is fine. A *Graph is immutable and safe for concurrent use.
//
// # What it refuses to know
//
// States, processes, time, files. Whether a service is satisfied, attempted or
// active are facts that the caller supplies.
package depgraph
