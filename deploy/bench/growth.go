package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/report"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/systems"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/workload"
)

// grow measures how Batuta's figures change as tasks, workers and dashboards grow in number.
func grow(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	chosen, err := choose(workload.Growths(), func(g workload.Growth) string { return g.Name }, o.only)
	if err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	env, done, err := o.env()
	if err != nil {
		return err
	}
	defer done()
	sys := systems.Batuta{Sync: systems.PromiseSecond}
	size := workload.Full
	if o.quick {
		size = workload.Quick
	}
	curves := make([]report.Curve, len(chosen))
	var failed error
	for i, g := range chosen {
		curves[i] = report.Curve{Name: g.Name, Of: g.Of}
		at := g.At
		if o.quick {
			at = g.QuickAt
		}
		for run := range o.runs {
			for _, n := range at {
				if ctx.Err() != nil {
					break
				}
				failed = errors.Join(failed, growOne(ctx, g, sys, size, env, run, n, &curves[i]))
			}
		}
	}
	text := report.GrowthMarkdown(curves, o.runs, o.quick)
	fmt.Print("\n", text)
	return errors.Join(failed, ctx.Err(), report.WriteGrowth(o.docs, o.chart, text, curves))
}

func growOne(ctx context.Context, g workload.Growth, sys systems.System, size workload.Sizes, env systems.Env, run, n int, c *report.Curve) error {
	began := time.Now()
	env.Dir = filepath.Join(env.Dir, fmt.Sprintf("%s-%d-%d", g.Name, n, run+1))
	f, _, err := g.Run(ctx, sys, size, env, n)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%-11s %9d run %d failed: %v\n", g.Name, n, run+1, err)
		return err
	}
	c.Add(n, f)
	fmt.Printf("%-11s %9d run %d  %s (%.0f s)\n", g.Name, n, run+1, show(f), time.Since(began).Seconds())
	return os.RemoveAll(env.Dir)
}
