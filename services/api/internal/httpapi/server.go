package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/batuta-tasks/batuta/services/api/internal/openapi"
	"github.com/batuta-tasks/batuta/shared/client"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// apiPrefix is the other place where everything of the API stands.
	apiPrefix = "/api/v1"

	readTimeout  = 2 * time.Minute
	writeTimeout = 2 * time.Minute
	idleTimeout  = 2 * time.Minute
	// requestTimeout is how long a request may take in which NATS has a word.
	requestTimeout = 10 * time.Second
	// largeTimeout is the same for requests that store large payloads.
	largeTimeout = time.Minute
	// awayTimeout is the most that a request waits that comes while NATS is away: long enough
	// for a server that is just started anew, and no longer, since the client can ask again.
	awayTimeout = time.Second
)

// Deps are what a server works with.
type Deps struct {
	Model    Model
	Store    *Store
	Submit   *client.Submitter
	Events   EventSink
	Access   Access
	Defaults wire.Defaults
	// Dashboard is the built dashboard: its index file at the root.
	Dashboard fs.FS
	Registry  *prometheus.Registry
	Log       *slog.Logger
	Version   string
}

// EventSink stores events; it must not block.
type EventSink interface {
	PublishAsync(then func(error), events ...wire.Event)
}

// Server answers HTTP.
type Server struct {
	app      *fiber.App
	model    Model
	store    *Store
	submit   *client.Submitter
	events   EventSink
	access   Access
	defaults wire.Defaults
	assets   assets
	registry *prometheus.Registry
	requests *requests

	openAPIFile, docsPage, docsCSS *asset

	log    *slog.Logger
	ids    keyedLocks
	large  chan struct{}
	routes []route

	sockets  counter
	stopping chan struct{}
	stopOnce sync.Once
}

// within bounds what a request does over NATS: by d, or by awayTimeout while NATS is away.
func (s *Server) within(d time.Duration) (context.Context, context.CancelFunc) {
	if !s.store.js.Conn().IsConnected() {
		d = min(d, awayTimeout)
	}
	return context.WithTimeout(context.Background(), d)
}

// New makes a server that does not listen yet.
func New(d Deps) (*Server, error) {
	if err := d.Access.Validate(); err != nil {
		return nil, err
	}
	files, err := loadAssets(d.Dashboard)
	if err != nil {
		return nil, err
	}
	s := &Server{
		model: d.Model, store: d.Store, submit: d.Submit, events: d.Events, access: d.Access, defaults: d.Defaults,
		assets: files, registry: d.Registry, requests: newRequests(d.Registry), log: d.Log,
		large: make(chan struct{}, largeBodies), stopping: make(chan struct{}),
	}
	if err := s.describe(d.Version); err != nil {
		return nil, err
	}
	if err := d.Registry.Register(newFigures(d.Model)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	s.app = fiber.New(fiber.Config{
		AppName: "batuta", ServerHeader: "", DisableStartupMessage: true, CaseSensitive: true, Immutable: true,
		BodyLimit: MaxBody, StreamRequestBody: true, DisablePreParseMultipartForm: true, ReadBufferSize: 16 << 10,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		ErrorHandler: s.answerError,
	})
	s.register()
	return s, nil
}

// describe makes the API's description ready to be sent.
func (s *Server) describe(version string) error {
	doc, err := openapi.New(version)
	if err != nil {
		return err
	}
	s.openAPIFile = newAsset("openapi.json", doc.JSON)
	s.docsPage = newAsset("docs.html", doc.Page)
	s.docsCSS = newAsset("style.css", doc.Style)
	return nil
}

// Ready is nil when requests will be answered, else the reason why not.
func (s *Server) Ready() error { return s.model.Ready() }

// route is one request that is answered.
type route struct {
	method, path string
	// role that is needed; 0 is none.
	role   Role
	handle fiber.Handler
	// page: of the dashboard, so at this path only and with a free query.
	page bool
}

func (s *Server) table() []route {
	return []route{
		{"POST", "/tasks", RoleSubmitter, s.postTasks, false},
		{"GET", "/tasks", RoleViewer, s.listTasks, false},
		{"POST", "/tasks/cancel", RoleOperator, s.bulk(actionCancel), false},
		{"POST", "/tasks/retry", RoleOperator, s.bulk(actionRetry), false},
		{"POST", "/tasks/delete", RoleOperator, s.bulk(actionDelete), false},
		{"GET", "/tasks/:id", RoleViewer, bare(s.getTask), false},
		{"DELETE", "/tasks/:id", RoleOperator, s.deleteTask, false},
		{"GET", "/tasks/:id/logs", RoleViewer, s.taskLogs, false},
		{"POST", "/tasks/:id/cancel", RoleOperator, s.cancelTask, false},
		{"POST", "/tasks/:id/retry", RoleOperator, s.retryTask, false},
		{"GET", "/workers/status", RoleViewer, bare(s.listWorkers), false},
		{"GET", "/workers/:id", RoleViewer, bare(s.getWorker), false},
		{"POST", "/workers/:id/drain", RoleOperator, s.commandWorker(wire.CommandDrain), false},
		{"POST", "/workers/:id/kill", RoleOperator, s.commandWorker(wire.CommandKill), false},
		{"GET", "/pools", RoleViewer, bare(s.listPools), false},
		{"GET", "/pools/:name", RoleViewer, bare(s.getPool), false},
		{"PATCH", "/pools/:name", RoleOperator, s.patchPool, false},
		{"GET", "/queues", RoleViewer, bare(s.listQueues), false},
		{"GET", "/queues/:name", RoleViewer, bare(s.getQueue), false},
		{"PATCH", "/queues/:name", RoleOperator, s.patchQueue, false},
		{"POST", "/queues/:name/pause", RoleOperator, s.pauseQueue(true), false},
		{"POST", "/queues/:name/resume", RoleOperator, s.pauseQueue(false), false},
		{"GET", "/stats", RoleViewer, bare(s.stats), false},
		{"GET", "/stats/series", RoleViewer, s.series, false},
		{"GET", "/events", RoleViewer, s.listEvents, false},
		{"GET", "/metrics", RoleViewer, bare(s.metrics), false},
		{"GET", "/ws", RoleViewer, s.live(), false},
		{"GET", "/openapi.json", RoleViewer, bare(s.openAPI), false},
		{"GET", "/docs", RoleViewer, bare(s.docs), false},
		{"GET", "/docs/style.css", RoleViewer, bare(s.docsStyle), false},
		{"GET", "/session", RoleViewer, bare(s.session), false},
		{"POST", "/session", 0, bare(s.signIn), false},
		{"DELETE", "/session", 0, bare(s.signOut), false},
		{"GET", "/healthz", 0, bare(s.healthz), false},
		{"GET", "/readyz", 0, bare(s.readyz), false},
		{"GET", "/", 0, s.dashboard, true},
		{"GET", "/favicon.ico", 0, s.favicon, true},
		{"GET", "/ui", 0, s.dashboard, true},
		{"GET", "/ui/*", 0, s.dashboardFile, true},
	}
}

func (s *Server) register() {
	s.app.Use(s.around)
	for _, r := range s.table() {
		prefixes := []string{"", apiPrefix}
		if r.page {
			prefixes = prefixes[:1]
		}
		for _, prefix := range prefixes {
			one := r
			one.path = prefix + r.path
			s.routes = append(s.routes, one)
			s.app.Add(one.method, one.path, s.handlers(one)...)
			if one.method == http.MethodGet {
				s.app.Add(http.MethodHead, one.path, s.handlers(one)...)
			}
		}
	}
	s.app.Use(s.noRoute)
}

func (s *Server) handlers(r route) []fiber.Handler {
	name := r.path
	mark := func(c *fiber.Ctx) error {
		c.Locals(routeKey, name)
		return c.Next()
	}
	if r.role == 0 {
		return []fiber.Handler{mark, r.handle}
	}
	return []fiber.Handler{mark, s.access.allow(r.role), r.handle}
}

const routeKey = "route"

// around is what every request passes: headers, Host and Origin, panics, measures.
func (s *Server) around(c *fiber.Ctx) (err error) {
	begun := time.Now()
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("panic in a handler", "method", c.Method(), "path", c.Path(), obs.KeyErr, cause, "stack", string(debug.Stack()))
			err = problem(http.StatusInternalServerError, "an unexpected error; the log of the service has it")
		}
		if err != nil {
			err = s.answerError(c, err)
		}
		s.measure(c, begun)
	}()
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	if err := s.access.checkHost(c); err != nil {
		return err
	}
	if err := s.access.checkOrigin(c); err != nil {
		return err
	}
	s.access.allowOrigin(c)
	return c.Next()
}

func (s *Server) measure(c *fiber.Ctx, begun time.Time) {
	route, ok := c.Locals(routeKey).(string)
	if !ok {
		route = "(none)"
	}
	s.requests.observe(c.Method(), route, c.Response().StatusCode(), time.Since(begun))
}

// noRoute answers what no route does: 405 where the path is known, else 404.
func (s *Server) noRoute(c *fiber.Ctx) error {
	if c.Method() != http.MethodOptions { // browsers ask these without a token
		if _, err := s.access.identify(c); err != nil {
			return err
		}
	}
	methods := s.methodsOf(c.Path())
	if len(methods) == 0 {
		return problem(http.StatusNotFound, "there is nothing at %s", clip(c.Path()))
	}
	allow := strings.Join(methods, ", ")
	if c.Method() == http.MethodOptions {
		if !s.access.preflight(c, allow) {
			c.Set(fiber.HeaderAllow, allow)
		}
		return c.SendStatus(http.StatusNoContent)
	}
	c.Set(fiber.HeaderAllow, allow)
	return problem(http.StatusMethodNotAllowed, "%s is not answered at %s; these are: %s", c.Method(), clip(c.Path()), allow)
}

func (s *Server) methodsOf(path string) []string {
	var all []string
	for _, r := range s.routes {
		if fiber.RoutePatternMatch(path, r.path, fiber.Config{CaseSensitive: true}) && !slices.Contains(all, r.method) {
			all = append(all, r.method)
			if r.method == http.MethodGet {
				all = append(all, http.MethodHead)
			}
		}
	}
	if len(all) > 0 {
		all = append(all, http.MethodOptions)
	}
	slices.Sort(all)
	return all
}

// Serve answers on a listener until Shutdown.
func (s *Server) Serve(l net.Listener) error {
	if err := s.app.Listener(l); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// WatchTokens follows the tokens file until ctx ends; without one it returns at once.
func (s *Server) WatchTokens(ctx context.Context) {
	if s.access.Tokens != nil {
		s.access.Tokens.watch(ctx)
	}
}

// Shutdown closes WebSockets with a reason, takes no new connections, and waits until the
// requests that run are answered, or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopOnce.Do(func() { close(s.stopping) })
	err := s.app.ShutdownWithContext(ctx)
	select {
	case <-s.sockets.close():
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("close the WebSockets: %w", context.Cause(ctx)))
	}
	if err != nil {
		return fmt.Errorf("shut the HTTP server down: %w", err)
	}
	return nil
}
