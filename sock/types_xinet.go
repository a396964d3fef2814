package sock

import "context"

// The names of the methods about proxies.
const (
	MethodXinetSet        = "xinet.set"
	MethodXinetRegister   = "xinet.register"
	MethodXinetDelete     = "xinet.delete"
	MethodXinetUnregister = "xinet.unregister"
	MethodXinetList       = "xinet.list"
	MethodXinetGet        = "xinet.get"
	MethodXinetStatus     = "xinet.status"
	MethodXinetStatusAll  = "xinet.status_all"

	// These two are for who carries connections: a service is needed, and is needed no
	// more.
	MethodXinetActivate = "xinet.activate"
	MethodXinetRelease  = "xinet.release"
)

// A XinetConfig is one proxy, as xinet.set takes it and xinet.get returns it.
// Addresses are tcp:HOST:PORT or unix:/PATH. Timeouts are seconds; a string with a unit
// is taken, too.
type XinetConfig struct {
	Name             string  `json:"name"`
	Listen           Names   `json:"listen" doc:"addresses; one string is taken, too"`
	Backend          string  `json:"backend"`
	Service          string  `json:"service"`
	ConnectTimeout   float64 `json:"connect_timeout" doc:"seconds; 30 when absent"`
	IdleTimeout      float64 `json:"idle_timeout" doc:"seconds; 0: never"`
	IdleFrom         string  `json:"idle_from" doc:"close or byte: what the idle timeout is counted from"`
	SingleConnection bool    `json:"single_connection"`
	MaxConnections   int64   `json:"max_connections" doc:"0: any number"`
	OnBusy           string  `json:"on_busy" doc:"queue or refuse: what becomes of connections above the limit"`
}

// A XinetStatus is how a proxy is. The first nine members are those of zinit 0.3.9.
type XinetStatus struct {
	ActiveConnections int64  `json:"active_connections" doc:"that wait or are served"`
	Backend           string `json:"backend"`
	BytesFromBackend  int64  `json:"bytes_from_backend"`
	BytesToBackend    int64  `json:"bytes_to_backend"`
	Listen            string `json:"listen" doc:"the addresses, with a comma and a blank between them"`
	Name              string `json:"name"`
	Running           bool   `json:"running" doc:"it accepts connections"`
	Service           string `json:"service"`
	TotalConnections  int64  `json:"total_connections"`

	Connections    int64  `json:"connections" doc:"the same as active_connections"`
	Activations    int64  `json:"activations" doc:"connections that had the service started"`
	Failed         int64  `json:"failed" doc:"connections that were closed because the service did not come up, or the backend could not be reached"`
	Refused        int64  `json:"refused" doc:"connections that were closed because there were too many"`
	LastActivityMs int64  `json:"last_activity_ms" doc:"Unix milliseconds; 0: never"`
	Error          string `json:"error,omitempty" doc:"why it does not run"`
}

// ActivateParams is what xinet.activate and xinet.release take.
type ActivateParams struct {
	Service string `json:"service"`
}

// ReleaseResult is the result of xinet.release. Stopped: the service is down or on its
// way; otherwise it was started by hand, or others require it.
type ReleaseResult struct {
	Stopped bool `json:"stopped"`
}

// Activate has a service up because somebody needs it now, and returns when it is: or
// with an *Error that says why it will not be. It does not count as started by hand.
func (c *Client) Activate(ctx context.Context, service string) error {
	return c.Call(ctx, MethodXinetActivate, ActivateParams{service}, nil)
}

// Release says that nobody needs a service any more that was activated.
func (c *Client) Release(ctx context.Context, service string) (stopped bool, err error) {
	r, err := get[ReleaseResult](ctx, c, MethodXinetRelease, ActivateParams{service})
	return r.Stopped, err
}

// SetXinet adds a proxy, or replaces the one of that name. What is wrong with it is an
// *Error, and nothing has changed.
func (c *Client) SetXinet(ctx context.Context, config XinetConfig) error {
	return c.Call(ctx, MethodXinetSet, map[string]XinetConfig{"config": config}, nil)
}

// DeleteXinet removes a proxy and its file. Its connections go on.
func (c *Client) DeleteXinet(ctx context.Context, name string) error {
	return c.Call(ctx, MethodXinetDelete, NameParams{name}, nil)
}

// ListXinet is the names of all proxies.
func (c *Client) ListXinet(ctx context.Context) ([]string, error) {
	return get[[]string](ctx, c, MethodXinetList, nil)
}

// GetXinet is the configuration of a proxy.
func (c *Client) GetXinet(ctx context.Context, name string) (XinetConfig, error) {
	return get[XinetConfig](ctx, c, MethodXinetGet, NameParams{name})
}

// XinetStatus is how a proxy is.
func (c *Client) XinetStatus(ctx context.Context, name string) (XinetStatus, error) {
	return get[XinetStatus](ctx, c, MethodXinetStatus, NameParams{name})
}

// XinetStatusAll is how all proxies are, by name.
func (c *Client) XinetStatusAll(ctx context.Context) ([]XinetStatus, error) {
	return get[[]XinetStatus](ctx, c, MethodXinetStatusAll, nil)
}
