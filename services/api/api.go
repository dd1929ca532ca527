// Package api is the API service: it turns HTTP into messages, and keeps a read model of
// the tasks for lists, filters, figures and the dashboard. It owns no state: any number may
// run, and each answers for what was acknowledged anywhere.
package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync"

	"github.com/batuta-tasks/batuta/services/api/internal/httpapi"
	"github.com/batuta-tasks/batuta/shared/client"
	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/topology"
	"github.com/batuta-tasks/batuta/web"
)

// Service is a running API.
type Service struct {
	cfg    Config
	access httpapi.Access
	group  lifecycle.Group

	mu   sync.Mutex
	life *life
}

// life is what one start has made, from Start to Stop.
type life struct {
	listener net.Listener
	server   *httpapi.Server
	submit   *client.Submitter
	events   *natsx.Events
	model    *model
}

// New checks the configuration: a tokens file that cannot be read, or an address that
// everybody could reach, is an error of one line.
func New(cfg Config) (*Service, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	a := httpapi.Access{Addr: cfg.Addr, Origins: cfg.Origins, Insecure: cfg.Insecure}
	if cfg.TokensFile != "" {
		if a.Tokens, err = httpapi.LoadTokens(cfg.TokensFile, cfg.Log); err != nil {
			return nil, err
		}
	}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	if cfg.Dashboard == nil {
		if cfg.Dashboard, err = fs.Sub(web.Dist, "dist"); err != nil {
			return nil, fmt.Errorf("api: open the dashboard: %w", err)
		}
	}
	return &Service{cfg: cfg, access: a}, nil
}

// String names the service.
func (s *Service) String() string { return "api" }

// Start listens, makes what is missing of streams and buckets, and answers. Until the read
// model has caught up, Ready and /readyz say so.
func (s *Service) Start(ctx context.Context) error {
	listener, err := obs.Listen(ctx, "BATUTA_HTTP_ADDR", s.cfg.Addr)
	if err != nil {
		return err
	}
	l := &life{listener: listener}
	if err := s.start(ctx, l); err != nil {
		unwind, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return errors.Join(fmt.Errorf("api: %w", err), s.end(unwind, l))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = l
	return nil
}

func (s *Service) start(ctx context.Context, l *life) error {
	o := topology.Options{Replicas: s.cfg.Replicas, ClusterSize: s.cfg.ClusterSize}
	if err := topology.Ensure(ctx, s.cfg.JS, o); err != nil {
		return err
	}
	if err := s.group.Start(ctx); err != nil {
		return err
	}
	store, err := httpapi.OpenStore(ctx, s.cfg.JS)
	if err != nil {
		return err
	}
	if l.model, err = startModel(ctx, s.cfg); err != nil {
		return err
	}
	l.submit = client.NewSubmitter(s.cfg.JS, store.Objects())
	l.events = natsx.NewEvents(natsx.NewPublisher(s.cfg.JS))
	l.server, err = httpapi.New(httpapi.Deps{
		Model: l.model, Store: store, Submit: l.submit, Events: l.events, Access: s.access, Defaults: s.cfg.Defaults,
		Dashboard: s.cfg.Dashboard, Registry: s.cfg.Metrics, Log: s.cfg.Log, Version: s.cfg.Version,
	})
	if err != nil {
		return err
	}
	s.run(l, o)
	return nil
}

// run starts the goroutines of one life.
func (s *Service) run(l *life, o topology.Options) {
	beat := natsx.NewBeat(s.cfg.JS, "api", s.cfg.Version, func(ctx context.Context) error {
		return topology.Repair(ctx, s.cfg.JS, o)
	})
	s.group.Go("heartbeat", func(ctx context.Context) { beat.Run(ctx, s.cfg.Log) })
	s.group.Go("tokens file", l.server.WatchTokens)
	s.group.Go("serve", func(context.Context) {
		if err := l.server.Serve(l.listener); err != nil {
			s.group.Fail(fmt.Errorf("api: %w", err))
		}
	})
	s.cfg.Log.Info("api listens", "addr", l.listener.Addr().String())
}

// Stop closes WebSockets with a reason, answers the requests that run, stores what is on
// its way, and ends.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	l := s.life
	s.life = nil
	s.mu.Unlock()
	if l == nil {
		return s.group.Stop(ctx)
	}
	if err := s.end(ctx, l); err != nil {
		return fmt.Errorf("api: %w", err)
	}
	return nil
}

// end undoes what start has made, in reverse, as far as it came.
func (s *Service) end(ctx context.Context, l *life) error {
	var errs []error
	if l.server != nil {
		errs = append(errs, l.server.Shutdown(ctx))
	}
	_ = l.listener.Close() // already closed where the server ran
	if l.submit != nil {
		l.submit.Close()
	}
	if l.events != nil {
		l.events.Close(ctx)
	}
	errs = append(errs, s.group.Stop(ctx))
	if l.model != nil {
		errs = append(errs, l.model.stop(ctx))
	}
	return errors.Join(errs...)
}

// Failed yields an error after which the service is of no use.
func (s *Service) Failed() <-chan error { return s.group.Failed() }

// Addr is where the API listens, with the port that port 0 became; empty before the start.
func (s *Service) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil {
		return ""
	}
	return s.life.listener.Addr().String()
}

// Ready is nil when requests will be answered, else the reason why not.
func (s *Service) Ready() error {
	s.mu.Lock()
	l := s.life
	s.mu.Unlock()
	if l == nil {
		return errors.New("the API does not run")
	}
	return l.server.Ready()
}
