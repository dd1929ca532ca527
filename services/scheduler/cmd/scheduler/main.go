// Command scheduler runs one replica of Batuta's scheduler.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/batuta-tasks/batuta/services/scheduler"
	"github.com/batuta-tasks/batuta/shared/lifecycle"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/settings"
	"github.com/spf13/pflag"
)

func main() { os.Exit(run(context.Background(), os.Args[1:])) }

const exitUsage = 2

func run(ctx context.Context, args []string) int {
	fs := pflag.NewFlagSet("scheduler", pflag.ContinueOnError)
	settings.RegisterProgram(fs, settings.Scheduler)
	fs.Usage = func() {
		fmt.Fprintf(os.Stderr, "Usage: scheduler [healthcheck | version] [flags]\n\n%s", fs.FlagUsages())
	}
	switch err := fs.Parse(args); {
	case err == pflag.ErrHelp: //nolint:errorlint // it is never wrapped
		return lifecycle.ExitOK
	case err != nil:
		return fail(err, exitUsage)
	}
	if fs.Arg(0) == "version" && fs.NArg() == 1 {
		fmt.Println(obs.VersionLine("scheduler"))
		return lifecycle.ExitOK
	}
	s, err := settings.Load(fs, os.Environ())
	if err != nil {
		return fail(err, exitUsage)
	}
	switch {
	case fs.NArg() == 0:
		return serve(ctx, s)
	case fs.NArg() == 1 && fs.Arg(0) == "healthcheck":
		if err := obs.Healthcheck(ctx, s.OpsAddr); err != nil {
			return fail(err, lifecycle.ExitFailed)
		}
		return lifecycle.ExitOK
	}
	return fail(fmt.Errorf("unknown command %q: there are healthcheck and version", fs.Arg(0)), exitUsage)
}

func serve(ctx context.Context, s *settings.Settings) int {
	log, err := obs.Setup("scheduler", s.LogLevel, s.LogFormat)
	if err != nil {
		return fail(err, exitUsage)
	}
	for _, w := range s.Warnings {
		log.Warn(w)
	}
	metrics := obs.NewRegistry("scheduler", obs.Version)
	cfg := scheduler.FromSettings(s, log)
	cfg.Metrics = metrics
	svc, err := scheduler.New(cfg)
	if err != nil {
		return fail(err, lifecycle.ExitFailed)
	}
	ops := obs.NewServer(obs.Config{Addr: s.OpsAddr, Ready: svc.Ready, Metrics: metrics, Log: log})
	r := lifecycle.Runner{Log: log, StopTimeout: s.Drain + 10*time.Second, Ready: func() { log.Info("scheduler is ready") }}
	return r.Run(ctx, ops, svc)
}

func fail(err error, code int) int {
	fmt.Fprintln(os.Stderr, "scheduler:", err)
	return code
}
