package embedded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/shirou/gopsutil/v3/disk"
)

const (
	checkEvery = time.Second
	// After a restart the next one waits for firstPause, then twice as long up to longestPause:
	// where the disk is broken, not full, the second restart will help as little as the first.
	firstPause, longestPause = 10 * time.Second, 10 * time.Minute
)

// watch restarts the server where a store is frozen. After one failed write, as on a full
// disk, JetStream stores nothing more in a stream and answers acknowledgements without
// doing anything, until it opens the store anew.
func (s *Server) watch(ctx context.Context) {
	every := s.cfg.CheckEvery
	if every == 0 {
		every = checkEvery
	}
	t := time.NewTicker(every)
	defer t.Stop()
	next, pause := time.Now(), firstPause
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		mend, trouble := s.look(ctx)
		if fresh := s.told(trouble); fresh || !mend || time.Now().Before(next) {
			continue
		}
		if time.Since(next) > longestPause {
			pause = firstPause
		}
		if err := s.restart(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Error("the embedded NATS server cannot be started again; it is tried again", "err", err)
		}
		next, pause = time.Now().Add(pause), min(2*pause, longestPause)
	}
}

// told notes why the store takes nothing, and whether that is new.
func (s *Server) told(err error) (fresh bool) {
	before := s.trouble.Load()
	if err == nil {
		s.trouble.Store(nil)
		if before != nil {
			s.cfg.Log.Info("the store takes what is given to it again")
		}
		return false
	}
	s.trouble.Store(&err)
	if before == nil {
		s.cfg.Log.Error("the store is frozen; it is opened again once the disk has room", "err", err)
	}
	return before == nil
}

// look says whether a restart may mend the stores, and what is wrong with them, nil where
// nothing is.
func (s *Server) look(ctx context.Context) (mend bool, trouble error) {
	ns := s.NATS()
	if !ns.Running() {
		return true, errStopped
	}
	var errs []error
	for _, e := range ns.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if e.Type == server.HealthzErrorConn {
			continue // it gives itself a millisecond to look, which on a busy machine passes; the stores are well
		}
		errs = append(errs, errors.New(e.Error))
		mend = mend || e.Type == server.HealthzErrorJetStream || strings.Contains(e.Error, "write error")
	}
	if !mend {
		return false, errors.Join(errs...)
	}
	full := s.noRoom(ctx)
	return full == nil, errors.Join(append(errs, full)...)
}

// errNoRoom is returned while the disk is full.
var errNoRoom = errors.New("the disk is full")

// noRoom says how little is free where that is too little to go on with.
func (s *Server) noRoom(ctx context.Context) error {
	usage, err := disk.UsageWithContext(ctx, filepath.Join(s.cfg.DataDir, "nats"))
	if err != nil || usage.Free >= goOnAbove {
		return nil //nolint:nilerr // then the restart has to show it
	}
	return fmt.Errorf("BATUTA_DATA_DIR: %w: %d MB are free in %s; when %d MB are, it goes on by itself",
		errNoRoom, usage.Free>>20, s.cfg.DataDir, goOnAbove>>20)
}

// restart closes the store and opens it again, on the same port.
func (s *Server) restart(ctx context.Context) error {
	s.cfg.Log.Warn("restarting the embedded NATS server: a store is frozen")
	s.close()
	opts, err := s.options(ctx)
	if err != nil {
		return err
	}
	return s.open(opts)
}
