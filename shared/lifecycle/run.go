package lifecycle

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Exit codes of Run.
const (
	ExitOK     = 0
	ExitFailed = 1
)

// stopTimeoutDefault lets the default drain of 30 s pass and leaves time to hand back
// what is unfinished.
const stopTimeoutDefault = 40 * time.Second

// Runner runs the services of one process.
type Runner struct {
	// Log tells of start, stop and failure; nil means slog.Default().
	Log *slog.Logger
	// StopTimeout bounds the whole stop. 0 means 40 s; mains set it to the drain
	// setting and 10 s more. Negative means no bound.
	StopTimeout time.Duration
	// Ready is called once every service has started; may be nil.
	Ready func()

	signals chan os.Signal // nil except in tests: the process's SIGINT and SIGTERM
	exit    func(code int) // nil except in tests: os.Exit
}

// Run runs services with a Runner of defaults.
func Run(ctx context.Context, services ...Service) int {
	return (&Runner{}).Run(ctx, services...)
}

// Run starts services in order and waits for SIGINT, SIGTERM, the end of ctx or a
// service's failure (see Failer); then it stops them in reverse order. A failed start
// stops those that were started. A second signal exits the process at once. The exit
// code is 0 after an orderly stop, 1 when a start, a service or a stop failed.
func (r *Runner) Run(ctx context.Context, services ...Service) int {
	signals, release := r.listen()
	defer release()
	startCtx, cancelStart := context.WithCancelCause(ctx)
	defer cancelStart(nil)

	stopping := make(chan struct{}) // closed at the first signal
	finished := make(chan struct{})
	var listener sync.WaitGroup
	listener.Go(func() {
		r.onSignals(signals, finished, func() {
			close(stopping)
			cancelStart(ErrStop)
		})
	})
	defer listener.Wait()
	defer close(finished)

	if err := r.start(startCtx, services); err != nil {
		return r.startFailed(startCtx, err)
	}
	if r.Ready != nil {
		r.Ready()
	}
	failure := wait(ctx, stopping, services)
	if failure != nil {
		r.log().Error("service failed, stopping", "err", failure)
	}
	return r.stop(ctx, services, failure)
}

func (r *Runner) start(ctx context.Context, services []Service) error {
	unwind, cancel := r.stopContext(ctx)
	defer cancel()
	return StartAll(ctx, unwind, services...)
}

// startFailed distinguishes a start that broke from one that a signal called off: the
// latter is what was asked for.
func (r *Runner) startFailed(ctx context.Context, err error) int {
	if Stopped(ctx) && (errors.Is(err, context.Canceled) || errors.Is(err, ErrStop)) {
		r.log().Info("stopped before the start was complete")
		return ExitOK
	}
	r.log().Error("start failed", "err", err)
	return ExitFailed
}

func (r *Runner) stop(ctx context.Context, services []Service, failure error) int {
	stopCtx, cancel := r.stopContext(ctx)
	defer cancel()
	r.log().Info("stopping")
	if err := StopAll(stopCtx, services...); err != nil {
		r.log().Error("stop failed", "err", err)
		return ExitFailed
	}
	r.log().Info("stopped")
	if failure != nil {
		return ExitFailed
	}
	return ExitOK
}

// stopContext outlives ctx: what asks for the stop must not cut the stop short.
func (r *Runner) stopContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	switch {
	case r.StopTimeout < 0:
		return context.WithCancel(ctx)
	case r.StopTimeout == 0:
		return context.WithTimeout(ctx, stopTimeoutDefault)
	default:
		return context.WithTimeout(ctx, r.StopTimeout)
	}
}

// wait returns nil when the process was asked to stop, else the failure of a service.
func wait(ctx context.Context, stopping <-chan struct{}, services []Service) error {
	failed, release := watch(services)
	defer release()
	select {
	case <-ctx.Done():
		return nil
	case <-stopping:
		return nil
	case err := <-failed:
		return err
	}
}

// watch merges the failures of all services into one channel, until release.
func watch(services []Service) (failed <-chan error, release func()) {
	merged, done := make(chan error), make(chan struct{})
	var watchers sync.WaitGroup
	for _, s := range services {
		f, ok := s.(Failer)
		if !ok {
			continue
		}
		watchers.Go(func() { forward(f.Failed(), merged, done) })
	}
	return merged, func() {
		close(done)
		watchers.Wait()
	}
}

// forward passes one error on, unless done comes first.
func forward(from <-chan error, to chan<- error, done <-chan struct{}) {
	select {
	case err := <-from:
		select {
		case to <- err:
		case <-done:
		}
	case <-done:
	}
}

// onSignals calls first at the first signal and exits the process at the second.
func (r *Runner) onSignals(signals <-chan os.Signal, finished <-chan struct{}, first func()) {
	for count := 0; ; count++ {
		select {
		case s := <-signals:
			if count > 0 {
				r.log().Warn("second signal, exiting at once", "signal", s.String())
				r.exitProcess(ExitFailed)
				return
			}
			r.log().Info("signal received", "signal", s.String())
			first()
		case <-finished:
			return
		}
	}
}

func (r *Runner) listen() (signals <-chan os.Signal, release func()) {
	if r.signals != nil {
		return r.signals, func() {}
	}
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM)
	return c, func() { signal.Stop(c) }
}

func (r *Runner) exitProcess(code int) {
	if r.exit != nil {
		r.exit(code)
		return
	}
	os.Exit(code)
}

func (r *Runner) log() *slog.Logger {
	if r.Log != nil {
		return r.Log
	}
	return slog.Default()
}
