// Package run takes the tasks that the lanes bring through their attempts: check, hand to a
// worker, outcome, acknowledgement; and answers the deaths of workers, cancels, timeouts and
// lost leases on the way.
//
//	         ┌─ checking ─┐
//	taken ───┤            ├─▶ waiting ─▶ starting ─▶ running ─▶ ending ─▶ over
//	         └────────────┘      ▲                      │
//	                             └── its worker died ───┘
//
// Starting: a slot is taken, the start is being stored. Ending: the outcome is being stored
// or acknowledged; the slot is free. All states are guarded by one lock, under which
// nothing waits.
package run

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/batuta-tasks/batuta/services/worker-pool/internal/claim"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/fleet"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/lease"
	"github.com/batuta-tasks/batuta/services/worker-pool/internal/permits"
	"github.com/batuta-tasks/batuta/shared/natsx"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Config of a Runner.
type Config struct {
	JS      jetstream.JetStream
	Pool    string
	Objects jetstream.ObjectStore
	Events  *natsx.Events
	Pub     *natsx.Publisher
	Records *natsx.Records
	Keeper  *lease.Keeper
	// Permits are what tasks under a limit need to run.
	Permits *permits.Book
	// Instance is this pool process, as in wire.Worker.Instance.
	Instance    string
	MaxCrashes  int
	CancelGrace time.Duration
	// HandledCommands is up to where schedulers have dealt with all commands. It is asked about
	// a cancel that is not in its task's record after CancelSettles; 0 is 10 s.
	HandledCommands func(context.Context) (uint64, error)
	CancelSettles   time.Duration
	// ParcelTrust is how old a parcel may be whose tasks run without a look at their records; 0
	// is 15 s, within which a cancel is remembered.
	ParcelTrust time.Duration
	// ParcelWait is how long a task of a parcel may wait for a slot, where it should need a
	// millisecond, before it is given to others by itself; 0 is 250 ms.
	ParcelWait time.Duration
	// ApartWait is how long a suspect waits for a worker that is being started, where it could
	// run among others at once, and one with its last chance for the others of its death; 0 is
	// 250 ms. It must be less than a lease.
	ApartWait time.Duration
	// TempDir is where payloads lie that are too long for a line.
	TempDir string
	// Wake says that the lanes can be asked again.
	Wake func()
	Log  *slog.Logger
}

// Runner holds the tasks of one pool process.
type Runner struct {
	cfg    Config
	fleet  *fleet.Fleet
	checks *natsx.Gather[string, *wire.Record]
	begun  time.Time
	ctx    context.Context //nolint:containedctx // the life of what is done in the background
	cancel context.CancelFunc
	bg     sync.WaitGroup

	finished atomic.Int64
	busyUs   atomic.Int64
	service  service

	mu       sync.Mutex
	held     map[string]*attempt      // by task
	parcels  map[uint64]*lease.Parcel // by lane sequence
	waiting  []*attempt
	unplaced int // taken, without a slot yet
	ending   int
	empty    chan struct{} // closed while draining and nothing is held
	paused   bool
	draining bool
	// epoch is since when the NATS server runs, zero where lanes are replicated; while it is not
	// known nothing is claimed.
	epoch      time.Time
	epochKnown bool
	// behind is by how much this machine's clock is behind the server's, as far as known.
	behind    time.Duration
	cancelled map[string]mark
	absent    map[string]time.Time  // workers without a key, by when that was seen first
	suspects  map[string]*suspects  // by the worker that died
	risky     map[*attempt]struct{} // with a worker, and may kill this process
}

// mark remembers a cancel.
type mark struct {
	seq uint64
	at  time.Time
	// waited is when a task last waited for it to get into the record, settled that schedulers
	// are done with it.
	waited  time.Time
	settled bool
}

const (
	// rememberCancels is how long a cancel makes deliveries checked.
	rememberCancels = 60 * time.Second
	// maxEnding bounds outcomes that are not acknowledged yet.
	maxEnding = 8192
	// busyDelay is for how long a task is handed back that runs here already.
	busyDelay = 500 * time.Millisecond
)

// New makes a runner; SetFleet comes before its first use.
func New(cfg Config) *Runner {
	if cfg.CancelSettles == 0 {
		cfg.CancelSettles = 10 * time.Second
	}
	if cfg.ParcelTrust == 0 {
		cfg.ParcelTrust = rememberCancels / 4
	}
	if cfg.ParcelWait == 0 {
		cfg.ParcelWait = 250 * time.Millisecond
	}
	if cfg.ApartWait == 0 {
		cfg.ApartWait = 250 * time.Millisecond
	}
	r := &Runner{
		cfg: cfg, begun: time.Now(), held: map[string]*attempt{}, empty: make(chan struct{}), cancelled: map[string]mark{}, parcels: map[uint64]*lease.Parcel{}, absent: map[string]time.Time{},
		suspects: map[string]*suspects{}, risky: map[*attempt]struct{}{},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.checks = natsx.NewGather(500, 500, func(string) int { return 1 }, r.readRecords)
	return r
}

// SetFleet says who runs the workers.
func (r *Runner) SetFleet(f *fleet.Fleet) { r.fleet = f }

func (r *Runner) readRecords(ctx context.Context, ids []string) ([]*wire.Record, error) {
	found, err := r.cfg.Records.Behind(ctx, ids...)
	if err != nil {
		return nil, err
	}
	out := make([]*wire.Record, len(ids))
	for i, id := range ids {
		out[i] = found[id]
	}
	return out, nil
}

// spawn runs something in the background; Close waits for it.
func (r *Runner) spawn(f func()) { r.bg.Go(f) }

// SetPaused stops claiming, or lets it go on.
func (r *Runner) SetPaused(paused bool) {
	r.mu.Lock()
	changed := r.paused != paused
	r.paused = paused
	r.mu.Unlock()
	if changed {
		r.cfg.Wake()
	}
}

// SetEpoch says since when the server runs. What was stored before is checked.
func (r *Runner) SetEpoch(at time.Time) {
	r.mu.Lock()
	r.epoch, r.epochKnown = at, true
	r.mu.Unlock()
	r.cfg.Wake()
}

// ForgetEpoch stops claiming until SetEpoch: the connection is, or was, cut.
func (r *Runner) ForgetEpoch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epochKnown = false
	clear(r.absent)
}

// Free implements claim.Taker.
func (r *Runner) Free() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.free()
}

func (r *Runner) free() int {
	if r.paused || r.draining || !r.epochKnown || r.ending >= maxEnding || r.cfg.Events.Full() {
		return 0
	}
	return min(r.fleet.FreeSlots()-r.unplaced, maxEnding-r.ending)
}

// Take implements claim.Taker.
func (r *Runner) Take(d claim.Delivery) int {
	if time.Since(d.Since) >= r.cfg.Keeper.Lease() {
		r.cfg.Keeper.NakMessage(d.Reply, 0) // we were stopped meanwhile: somebody else may have it
		return 0
	}
	members, err := wire.DecodeLaneMessage(d.Data)
	if err != nil {
		r.cfg.Log.Error("a lane message that nobody can run is removed", obs.KeySeq, d.Seq, obs.Err(err))
		r.cfg.Keeper.Term(d.Reply)
		return 0
	}
	if len(members) > 1 {
		return r.takeParcel(d, members)
	}
	r.take(d, members[0])
	return 1
}

func (r *Runner) take(d claim.Delivery, env *wire.Envelope) {
	r.mu.Lock()
	if old := r.held[env.ID]; old != nil {
		known := old.seq == d.Seq && old.hold.Renew(d.Reply, d.Since)
		r.mu.Unlock()
		if !known {
			r.cfg.Keeper.NakMessage(d.Reply, busyDelay)
		}
		return
	}
	if r.free() <= 0 {
		r.mu.Unlock()
		r.cfg.Keeper.NakMessage(d.Reply, 0)
		return
	}
	a := &attempt{r: r, env: env, seq: d.Seq, since: d.Since, phase: checking}
	r.held[env.ID] = a
	r.unplaced++
	a.hold = r.cfg.Keeper.Hold(d.Reply, d.Since, func() { r.leaseLost(a) })
	checked := r.needsCheck(&d, env)
	if !checked {
		a.fence, a.crashesKnown = wire.FirstFence(d.Seq), env.Attempt == 1 && env.Round == 0
		a.unchecked = true
	}
	// Under the lock: a limit that comes into force now is met here, or adopts the attempt.
	limits := r.cfg.Permits.Of(env.Task.Queue, env.Task.Type)
	a.limits = limits
	r.mu.Unlock()
	if limits != nil {
		r.askPermits(a, limits, d.Limited)
		return
	}
	r.proceed(a)
}

// proceed takes an attempt on that may run as far as limits go.
func (r *Runner) proceed(a *attempt) {
	if a.unchecked {
		r.prepare(a)
		return
	}
	r.check(a)
}

// needsCheck needs the lock.
func (r *Runner) needsCheck(d *claim.Delivery, env *wire.Envelope) bool {
	m, cancelled := r.cancelled[env.ID]
	return d.Deliveries != 1 || d.Header.Get(wire.HeaderCheck) != "" || d.Stored.Before(r.epoch) ||
		cancelled && m.seq > env.ControlSeq
}

// Changed implements fleet.Owner: who waits for a slot comes before the lanes.
func (r *Runner) Changed() {
	r.mu.Lock()
	begun := r.placeWaiting()
	r.mu.Unlock()
	for _, a := range begun {
		r.begin(a)
	}
	r.cfg.Wake()
}

// placeWaiting needs the lock.
func (r *Runner) placeWaiting() (begun []*attempt) {
	if len(r.waiting) == 0 {
		return nil
	}
	free := r.fleet.FreeSlots()
	for _, last := range []bool{false, true} { // who has to run alone comes after the others
		for _, a := range r.waiting {
			if free <= 0 && a.suspects == nil || r.lastChance(a) != last {
				continue
			}
			if r.place(a) {
				begun = append(begun, a)
				free--
			}
		}
	}
	r.waiting = slices.DeleteFunc(r.waiting, func(a *attempt) bool { return a.phase != waiting })
	r.reserve()
	return begun
}

// place needs the lock.
func (r *Runner) place(a *attempt) bool {
	if r.mustWait(a) {
		return false
	}
	c := r.company(a)
	w := r.fleet.Place(a, c)
	if w == nil && c == fleet.Suspects && (time.Since(a.waitSince) >= r.cfg.ApartWait || !r.fleet.Expecting()) {
		w = r.fleet.Place(a, fleet.Anyone)
	}
	if w == nil {
		return false
	}
	if a.poolDied {
		r.risky[a] = struct{}{}
	}
	r.unplaced--
	a.worker, a.phase = w, starting
	a.handOut++
	return true
}

// Run hands back what has waited for a slot for too long, and forgets old cancels, until
// ctx ends.
func (r *Runner) Run(ctx context.Context) {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			r.sweep()
			r.Changed() //nolint:contextcheck // a suspect may have waited for long enough; what it stores outlives Run
		}
	}
}

func (r *Runner) sweep() {
	now := time.Now()
	r.mu.Lock()
	var late []*attempt
	for _, a := range r.waiting {
		patience := r.cfg.Keeper.Lease()
		if a.inParcel && a.suspects == nil {
			patience = min(patience, r.cfg.ParcelWait)
		}
		if now.Sub(a.waitSince) >= patience || r.draining {
			late = append(late, a)
		}
	}
	for seq, p := range r.parcels {
		if p.Over() {
			delete(r.parcels, seq)
		}
	}
	for id, m := range r.cancelled {
		if now.Sub(m.at) > rememberCancels && now.Sub(m.waited) > rememberCancels {
			delete(r.cancelled, id)
		}
	}
	r.mu.Unlock()
	for _, a := range late {
		r.handBack(a, waiting, handBackDelay)
	}
}

// Figures are the tasks finished here and the milliseconds spent in them.
func (r *Runner) Figures() (finished, busyMs int64) {
	return r.finished.Load(), r.busyUs.Load() / 1000
}

// Drain takes nothing more and hands back what has no slot. Empty is closed when nothing is
// held any more.
func (r *Runner) Drain() (empty <-chan struct{}) {
	r.mu.Lock()
	r.draining = true
	if len(r.held) == 0 {
		r.closeEmpty()
	}
	r.mu.Unlock()
	r.sweep()
	return r.empty
}

func (r *Runner) closeEmpty() {
	select {
	case <-r.empty:
	default:
		close(r.empty)
	}
}

// Close gives up what is left and waits for everything in the background. The connection
// and the events' publisher must still work.
func (r *Runner) Close(ctx context.Context) {
	r.cancel()
	r.checks.Close(ctx)
	r.bg.Wait()
}
