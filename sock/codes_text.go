package sock

// A code is one error code with its documentation.
type code struct {
	code int
	name string
	when string
}

// codes lists every code.
func codes() []code {
	return []code{
		{CodeParse, "parse", "what came is no request; the id is 0"},
		{CodeInvalidRequest, "invalid_request", "a member of a batch is no request, a batch is empty or too long, or a stream was asked for in a batch"},
		{CodeMethodNotFound, "method_not_found", "there is no such method"},
		{CodeInvalidParams, "invalid_params", "a parameter is missing, or of a wrong type or value"},
		{CodeInternal, "internal", "the server will not do it, or cannot; data.code says why"},
		{CodeServiceNotFound, "service_not_found", "a reading method was given an unknown name"},
		{CodeAlreadyRunning, "already_running", "not sent: to start what runs is no error"},
		{CodeNotRunning, "not_running", "not sent: see internal with data.code not_running"},
		{CodeInvalidConfig, "invalid_config", "service.get of a service whose file is broken; data.code is unusable. What is to be added is validation instead"},
		{CodeCycle, "cycle", "the configuration would have a dependency cycle; nothing was changed"},
		{CodeUnsafeRemoval, "unsafe_removal", "others require what was to be deleted; nothing was changed"},
		{CodeServiceExists, "service_exists", "a service of that name exists"},
		{CodeValidation, "validation", "the configuration is not valid; data.errors lists what is wrong"},
		{CodeDependencyMissing, "dependency_missing", "the configuration names a service that does not exist"},
		{CodeExecNotFound, "exec_not_found", "the program does not exist"},
		{CodePersist, "persist", "the file could not be written; nothing was changed"},
	}
}

// A word is one stable word with its documentation.
type word struct{ word, when string }

// words lists every word.
func words() []word {
	return []word{
		{WordServiceNotFound, "there is no service of that name"},
		{WordNotRunning, "it has no process to signal"},
		{WordSignal, "there is no such signal, or the system refused it"},
		{WordShuttingDown, "the server is about to end and changes nothing more; where the message says that another server takes over, that one may be asked the same"},
		{WordConflict, "a service that it conflicts with runs"},
		{WordUnusable, "the service cannot be started as it is configured"},
		{WordTarget, "it is a target, and has no process"},
		{WordAccessDenied, "the user may not do that, or not connect at all"},
		{WordTooManyConnections, "the server holds as many connections as it will"},
		{WordFrameTooLarge, "the request is too long, or the server holds too many long ones; the connection is closed"},
		{WordFrameTimeout, "the request was not complete in time; the connection is closed"},
		{WordTooDeep, "the request is nested too deeply; the connection is closed"},
		{WordNotUTF8, "the request is not valid UTF-8; the connection is closed"},
		{WordBatchSize, "a batch is empty or too long"},
		{WordInvalidParam, "a parameter has a wrong type or value"},
		{WordCycle, "the configuration would have a dependency cycle"},
		{WordRequired, "others require what was to be deleted"},
		{WordSystem, "a service of the system is not changed over the wire"},
		{WordSlow, "a subscriber did not keep up; the stream has ended"},
		{WordCheckFailed, "what a configuration asks for was not found"},
		{WordNoProc, "processes cannot be looked at: /proc is missing"},
		{WordNotInit, "process 1 is not the keeper: the machine is not ours to end"},
		{WordExists, "there is a service of that name already"},
		{WordProxyNotFound, "there is no proxy of that name"},
		{WordInvalidProxy, "an address of the proxy cannot be used, or something else of it is wrong"},
		{WordPersist, "a file of the configuration could not be written or removed"},
	}
}
