package workload

import (
	"context"
	"fmt"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/ledger"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/role"
)

// Names of figures.
const (
	// PerSecond is tasks a second until the last handler's end; Recorded until the last
	// record says completed, where the system keeps records.
	PerSecond = "perSecond"
	Recorded  = "recorded"
	// CPU is the seconds of all processes for 1,000 tasks.
	CPU       = "cpu"
	MemoryMB  = "memoryMB"
	DiskBytes = "diskBytes"
	P50       = "p50"
	P99       = "p99"
	// CallP50 is the p50 of the call that submits, in milliseconds.
	CallP50 = "callP50"
	// First and Last restart after a death, in milliseconds.
	First = "first"
	Last  = "last"
)

// bulkProducers submit in bulk side by side.
const bulkProducers = 2

// live measures submitting and running at the same time.
func (b *bench) live(ctx context.Context, mode string, producers int) (Figures, error) {
	n := b.size.One
	if mode == role.ModeBulk {
		n = b.size.Bulk
	}
	if err := b.start(ctx, role.Worker{Expect: n, Tuned: true}); err != nil {
		return nil, err
	}
	w, err := b.worker(ctx)
	if err != nil {
		return nil, err
	}
	p, err := b.producer(ctx, role.Producer{Mode: mode, Tasks: n, Producers: producers, Batch: b.size.Batch})
	if err != nil {
		return nil, err
	}
	m, err := b.meter()
	if err != nil {
		return nil, err
	}
	if err := p.Say(role.OpGo); err != nil {
		return nil, err
	}
	submitted, err := p.Hear(ctx, role.OpDone)
	if err != nil {
		return nil, err
	}
	handled, recorded, err := b.finished(ctx, n, w)
	if err != nil {
		return nil, err
	}
	f := Figures{
		PerSecond: rate(n, submitted.From, handled), Recorded: rate(n, submitted.From, recorded), CallP50: submitted.CallsMs[0],
	}
	if err := m.read(ctx, f, n); err != nil {
		return nil, err
	}
	_, err = b.verify(ctx, n, w)
	return f, err
}

func rate(n int, from, to int64) float64 { return float64(n) / (float64(to-from) / 1e9) }

// meter reads what the processes have used since it was made.
type meter struct {
	b    *bench
	cpu  float64
	disk int64
}

func (b *bench) meter() (*meter, error) {
	cpu, err := proc.CPU(b.pids()...)
	if err != nil {
		return nil, err
	}
	disk, err := proc.Disk(b.server.Data)
	return &meter{b, cpu.Seconds(), disk}, err
}

// settle is how long memory may settle after the last task.
const settle = 5 * time.Second

func (m *meter) read(ctx context.Context, f Figures, n int) error {
	cpu, err := proc.CPU(m.b.pids()...)
	if err != nil {
		return err
	}
	disk, err := proc.Disk(m.b.server.Data)
	if err != nil {
		return err
	}
	if err := rest(ctx, settle); err != nil {
		return err
	}
	memory, err := proc.Memory(m.b.pids()...)
	if err != nil {
		return err
	}
	f[CPU] = (cpu.Seconds() - m.cpu) / float64(n) * 1000
	f[MemoryMB] = float64(memory) / (1 << 20)
	f[DiskBytes] = float64(disk-m.disk) / float64(n)
	return nil
}

// prefill submits n tasks in bulk and waits until they lie ready.
func (b *bench) prefill(ctx context.Context, n int, priority string) error {
	p, err := b.producer(ctx, role.Producer{Mode: b.fillMode(), Tasks: n, Producers: b.fillers(), Batch: b.size.Batch, Priority: priority})
	if err != nil {
		return err
	}
	if err := p.Say(role.OpGo); err != nil {
		return err
	}
	if _, err := p.Hear(ctx, role.OpDone); err != nil {
		return fmt.Errorf("prefill: %w", err)
	}
	b.stopRoles()
	if b.server.Settled != nil {
		return b.server.Settled(ctx, n)
	}
	return nil
}

// fillMode is how a queue is filled: in bulk where the system can.
func (b *bench) fillMode() string {
	if b.sys.Runs("bulk") {
		return role.ModeBulk
	}
	return role.ModeOne
}

func (b *bench) fillers() int {
	if b.sys.Runs("bulk") {
		return bulkProducers
	}
	return 64
}

// drain measures how fast workers take what lies ready.
func (b *bench) drain(ctx context.Context) (Figures, error) {
	n := b.size.Bulk
	if err := b.start(ctx, role.Worker{Expect: n, Tuned: true}); err != nil {
		return nil, err
	}
	if err := b.prefill(ctx, n, ""); err != nil {
		return nil, err
	}
	m, err := b.meter()
	if err != nil {
		return nil, err
	}
	w, err := b.worker(ctx)
	if err != nil {
		return nil, err
	}
	handled, recorded, err := b.finished(ctx, n, w)
	if err != nil {
		return nil, err
	}
	f := Figures{}
	if err := m.read(ctx, f, n); err != nil {
		return nil, err
	}
	l, err := b.verify(ctx, n, w)
	if err != nil {
		return nil, err
	}
	first, _ := l.Span()
	f[PerSecond], f[Recorded] = rate(n, first, handled), rate(n, first, recorded)
	return f, nil
}

// high measures how soon urgent tasks start that come while a backlog runs.
func (b *bench) high(ctx context.Context) (Figures, error) {
	low, most := b.size.Low, b.size.High
	// Only an upper bound of the starts is known: how many come before the backlog is empty.
	if err := b.start(ctx, role.Worker{Expect: low + most, Slots: b.size.PrioritySlots, TaskUs: 1000, Tuned: true, Priorities: true}); err != nil {
		return nil, err
	}
	if err := b.prefill(ctx, low, "low"); err != nil {
		return nil, err
	}
	p, err := b.producer(ctx, role.Producer{Mode: role.ModeStep, First: low, Priority: "high"})
	if err != nil {
		return nil, err
	}
	w, err := b.worker(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.steps(ctx, p, most, highEvery); err != nil {
		return nil, err
	}
	if _, _, err := b.finished(ctx, low+most, w); err != nil {
		return nil, err
	}
	l, err := b.verify(ctx, low+most, w)
	if err != nil {
		return nil, err
	}
	lastLow := int64(0)
	for _, e := range l.Entries {
		if int(e.N) < low {
			lastLow = max(lastLow, e.Started)
		}
	}
	waits := l.Waits(func(e ledger.Entry) bool { return int(e.N) >= low && e.Submitted < lastLow })
	if len(waits) < most/4 {
		return nil, fmt.Errorf("only %d urgent tasks came while the backlog lasted", len(waits))
	}
	return latencies(waits), nil
}
