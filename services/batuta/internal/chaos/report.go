package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/check"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
)

// Report is what a run has shown.
type Report struct {
	check.Report
	Seed    uint64
	Servers int
	// Faults were injected, WhileBusy of them while 100 or more tasks ran; Skipped found no
	// victim in time.
	Faults, WhileBusy, Skipped int
	// Running tasks on average.
	Running float64
	// Unheard submissions got no answer.
	Unheard      int
	StressedFor  time.Duration
	SettledAfter time.Duration
	StableAfter  time.Duration
	// Broken is what went wrong beside what the checker found.
	Broken []string
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.err, format+"\n", args...) }

// progress shows how far the run is, until ctx ends: in place on a terminal, else a line
// every ten seconds.
func (r *run) progress(ctx context.Context) {
	every := 10 * time.Second
	var live *term.Live
	if r.err.Terminal {
		live, every = term.NewLive(r.err), 200*time.Millisecond
		defer func() { _ = live.Clear() }()
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		line := r.status()
		if live == nil {
			r.say("%s", line)
			continue
		}
		lines := []string{term.Clip(line, r.err.Width())}
		for _, f := range r.inj.current() {
			lines = append(lines, term.Clip("  "+f, r.err.Width()))
		}
		_ = live.Draw(lines)
	}
}

func (r *run) status() string {
	accepted, _ := r.load.Accepted()
	return fmt.Sprintf("%s: %d accepted, %d ended, %d running, %d of %d faults", time.Since(r.begun).Round(time.Second), accepted,
		r.watch.inBooks(), r.watch.runningNow(), len(r.inj.faults()), len(r.plan))
}

// print prints the report.
func (r *run) print(rep *Report) error {
	if r.opts.JSON {
		b, err := json.Marshal(rep.view())
		if err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
		_, err = fmt.Fprintf(r.out, "%s\n", b)
		return err
	}
	line := func(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }
	if r.opts.Join {
		r.printJoined(rep, line)
		r.printBroken(rep, line)
		return nil
	}
	c := rep.Counts
	line("seed %d, %d NATS server(s), %s under fault", rep.Seed, rep.Servers, rep.StressedFor.Round(time.Second))
	line("tasks: %d accepted, %d more whose answer was lost; %d ended: %d completed, %d failed (%d of them by crashes), %d cancelled",
		c.Accepted, c.Unasked, c.Ended, c.Completed, c.Failed, c.Crashed, c.Cancelled)
	line("executions: %d by the ledger, %d tasks ran more than once at one attempt, %d executions began after their task's end; %d hand-outs, %d parcels of %d tasks",
		c.Executions, c.Again, c.AfterEnd, c.HandOuts, c.Parcels, c.Packed)
	line("late outcomes refused: %d; repairs by the audit: %d", c.Refused, c.Repairs)
	line("priority: %d starts in quiet times compared with what waited, %d of them the lowest lane's share", c.Compared, c.Shares)
	line("faults: %d, %d (%d %%) while %d or more tasks ran, %.0f tasks on average; %d found no victim", rep.Faults, rep.WhileBusy,
		percent(rep.WhileBusy, rep.Faults), busy, rep.Running, rep.Skipped)
	line("all had ended %s after the last fault, Stable %s later", rep.SettledAfter.Round(time.Millisecond), rep.StableAfter.Round(time.Millisecond))
	if !rep.Whole {
		line("the oldest events were trimmed: records were not compared with the fold of their events")
	}
	t := term.NewTable("FAULT", "COUNT>", "SAMPLES>", "MEDIAN>", "P99>", "WORST>")
	for _, one := range rep.Recoveries {
		t.Add(term.Text(one.Kind), term.Text(fmt.Sprint(one.Faults)), term.Text(fmt.Sprint(one.Samples)),
			term.Text(ms(one.Median)), term.Text(ms(one.P99)), term.Text(ms(one.Worst)))
	}
	if err := t.Write(r.out); err != nil {
		return err
	}
	r.printBroken(rep, line)
	return nil
}

// printJoined prints what is known of a system that was joined.
func (r *run) printJoined(rep *Report, line func(string, ...any)) {
	c := rep.Counts
	line("seed %d, %s under fault; %d workers were killed or drained", rep.Seed, rep.StressedFor.Round(time.Second), rep.Faults)
	line("tasks: %d accepted; %d ended: %d completed, %d failed (%d of them by crashes); %d hand-outs, %d late outcomes refused", c.Accepted,
		c.Ended, c.Completed, c.Failed, c.Crashed, c.HandOuts, c.Refused)
	line("all had ended %s after the last fault", rep.SettledAfter.Round(time.Millisecond))
}

func (r *run) printBroken(rep *Report, line func(string, ...any)) {
	if len(rep.Findings) == 0 && len(rep.Broken) == 0 {
		line("%s", r.out.Paint(term.Green, "nothing was lost, nothing counted twice"))
		return
	}
	for _, b := range rep.Broken {
		line("%s %s", r.out.Paint(term.Red, "broken:"), term.Clean(b))
	}
	for i, f := range rep.Findings {
		line("%s %s: %s: %s", r.out.Paint(term.Red, "broken:"), f.Rule, f.TaskID, term.Clean(f.Text))
		if i >= historiesMost {
			continue
		}
		for _, h := range f.History {
			line("    %s", term.Clean(h))
		}
	}
	line("%d things are broken; the same faults again: batuta chaos --seed %d", len(rep.Findings)+len(rep.Broken), rep.Seed)
}

// historiesMost bounds the histories that are printed; JSON has them all.
const historiesMost = 20

func percent(part, whole int) int { return part * 100 / max(whole, 1) }

func ms(d time.Duration) string {
	if d >= 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// view is the report as JSON.
func (rep *Report) view() map[string]any {
	recoveries := make([]map[string]any, len(rep.Recoveries))
	for i, one := range rep.Recoveries {
		recoveries[i] = map[string]any{
			"fault": one.Kind, "count": one.Faults, "samples": one.Samples,
			"medianMs": one.Median.Milliseconds(), "p99Ms": one.P99.Milliseconds(), "worstMs": one.Worst.Milliseconds(),
		}
	}
	findings := rep.Findings
	if findings == nil {
		findings = []check.Finding{}
	}
	broken := rep.Broken
	if broken == nil {
		broken = []string{}
	}
	return map[string]any{
		"seed": rep.Seed, "servers": rep.Servers, "ok": len(findings)+len(broken) == 0, "tasks": rep.Counts,
		"faults": rep.Faults, "faultsWhileBusy": rep.WhileBusy, "faultsSkipped": rep.Skipped, "meanRunning": rep.Running,
		"unheardSubmissions": rep.Unheard, "stressedMs": rep.StressedFor.Milliseconds(), "settledMs": rep.SettledAfter.Milliseconds(),
		"stableMs": rep.StableAfter.Milliseconds(), "recordsCompared": rep.Whole, "recoveries": recoveries,
		"findings": findings, "broken": broken,
	}
}
