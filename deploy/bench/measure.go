package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/report"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/systems"
	"github.com/batuta-tasks/batuta/deploy/bench/internal/workload"
)

// options are the command line.
type options struct {
	runs             int
	quick            bool
	only, systems    string
	batuta, root     string
	docs, chart, dir string
	profile          string
}

func parse(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.IntVar(&o.runs, "runs", 3, "runs of each workload; the figures are their medians")
	fs.BoolVar(&o.quick, "quick", false, "small numbers and one run: shows that everything runs, not how fast")
	fs.StringVar(&o.only, "only", "", "workloads, comma separated: "+workload.Names()+"; of grow: tasks, workers, dashboards")
	fs.StringVar(&o.systems, "systems", "", "systems, comma separated: "+systems.Names()+"; a prefix names all that begin with it")
	fs.StringVar(&o.batuta, "batuta", "", "the program batuta")
	fs.StringVar(&o.root, "root", ".", "the folder of this benchmark")
	fs.StringVar(&o.docs, "docs", "", "the Markdown file whose generated part is replaced; empty: none")
	fs.StringVar(&o.chart, "chart", "", "the SVG file to draw; empty: none")
	fs.StringVar(&o.dir, "dir", "", "folder for data and logs; empty: a temporary one, removed at the end")
	fs.StringVar(&o.profile, "profile", "", "folder for CPU profiles of Batuta's processes; empty: none")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if o.quick {
		o.runs = 1
	}
	switch {
	case fs.NArg() > 0:
		return nil, fmt.Errorf("what is %q? There are flags only", fs.Arg(0))
	case o.runs < 1:
		return nil, errors.New("--runs: at least 1")
	case o.batuta == "":
		return nil, errors.New("--batuta: the program is needed; run `make bench`")
	}
	return o, nil
}

// measure is the benchmark itself.
func measure(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	chosen, err := choose(workload.All(), func(w workload.Workload) string { return w.Name }, o.only)
	if err != nil {
		return fmt.Errorf("--only: %w", err)
	}
	sys, err := choose(systems.All(), systems.System.Name, o.systems)
	if err != nil {
		return fmt.Errorf("--systems: %w", err)
	}
	env, done, err := o.env()
	if err != nil {
		return err
	}
	defer done()
	r := report.New(o.runs, o.quick)
	for _, s := range sys {
		r.Describe(s, s.Versions(ctx, env))
	}
	failed := runAll(ctx, o, chosen, sys, env, r)
	fmt.Print("\n", r.Markdown())
	return errors.Join(failed, r.Write(o.docs, o.chart))
}

// choose picks by names or, where no name is meant, their prefixes; none is all.
func choose[T any](all []T, name func(T) string, wanted string) ([]T, error) {
	if wanted == "" {
		return all, nil
	}
	var out []T
	taken := map[string]bool{}
	for want := range strings.SplitSeq(wanted, ",") {
		found := false
		exact := slices.ContainsFunc(all, func(one T) bool { return name(one) == want })
		for _, one := range all {
			if name(one) == want || !exact && strings.HasPrefix(name(one), want) {
				found = true
				if !taken[name(one)] {
					taken[name(one)] = true
					out = append(out, one)
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no %q", want)
		}
	}
	return out, nil
}

func (o *options) env() (systems.Env, func(), error) {
	self, err := os.Executable()
	if err != nil {
		return systems.Env{}, nil, err
	}
	dir, done := o.dir, func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "batuta-bench-"); err != nil {
			return systems.Env{}, nil, err
		}
		done = func() { _ = os.RemoveAll(dir) }      // a temporary folder
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // PostgreSQL runs as another user
			return systems.Env{}, nil, err
		}
	}
	var paths []string
	for _, p := range []string{o.batuta, o.root, dir} {
		abs, err := filepath.Abs(p)
		if err != nil {
			return systems.Env{}, nil, err
		}
		paths = append(paths, abs)
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return systems.Env{}, nil, err
		}
		abs, err := filepath.Abs(o.profile)
		if err != nil {
			return systems.Env{}, nil, err
		}
		o.profile = abs
		if err := os.Setenv(envProfile, abs); err != nil {
			return systems.Env{}, nil, err
		}
	}
	return systems.Env{Self: self, Batuta: paths[0], Root: paths[1], Dir: paths[2], Profile: o.profile}, done, nil
}

// runAll measures; what fails is told and left out, and the rest goes on.
func runAll(ctx context.Context, o *options, chosen []workload.Workload, sys []systems.System, env systems.Env, r *report.Report) error {
	size := workload.Full
	if o.quick {
		size = workload.Quick
	}
	var failed error
	for run := range o.runs {
		for _, w := range chosen {
			if w.Once && run > 0 {
				continue
			}
			for i := range sys {
				s := sys[(i+run)%len(sys)] // another is first in each run
				if !s.Runs(w.Name) || ctx.Err() != nil {
					continue
				}
				failed = errors.Join(failed, runOne(ctx, w, s, size, env, run, r))
			}
		}
	}
	return errors.Join(failed, ctx.Err())
}

func runOne(ctx context.Context, w workload.Workload, s systems.System, size workload.Sizes, env systems.Env, run int, r *report.Report) error {
	began := time.Now()
	one := env
	one.Dir = filepath.Join(env.Dir, fmt.Sprintf("%s-%s-%d", s.Name(), w.Name, run+1))
	f, settings, err := w.Run(ctx, s, size, one)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%-24s %-9s run %d failed: %v\n", s.Name(), w.Name, run+1, err)
		return err
	}
	if err := os.RemoveAll(one.Dir); err != nil {
		return err
	}
	r.Add(s, w.Name, f, settings)
	fmt.Printf("%-24s %-9s run %d  %s (%.0f s)\n", s.Name(), w.Name, run+1, show(f), time.Since(began).Seconds())
	return nil
}

func show(f workload.Figures) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(f)) {
		parts = append(parts, fmt.Sprintf("%s=%.4g", k, f[k]))
	}
	return strings.Join(parts, " ")
}
