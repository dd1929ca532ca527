// Bench measures Batuta and its rivals side by side, in one go on one machine.
//
// The servers of every system, its producers and its workers are processes of their own,
// each on loopback ports that were free, with data in a temporary folder. This program is
// most of those processes, too: see the roles below.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/systems"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := dispatch(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// dispatch tells the benchmark itself from the processes that it starts.
func dispatch(ctx context.Context, args []string) error {
	word := ""
	if len(args) > 0 {
		word = args[0]
	}
	switch {
	case word == "role" && len(args) == 3:
		defer profile(args[1])()
		return systems.RunRole(ctx, args[1], args[2])
	case word == "grow":
		return grow(ctx, args[1:])
	case word == "line-worker":
		return systems.LineWorker(context.WithoutCancel(ctx))
	case word == "nats-server" && len(args) == 2:
		return systems.NATSServer(ctx, args[1])
	}
	return measure(ctx, args)
}

// profile writes a CPU profile of a role where BENCH_PROFILE names a folder.
func profile(kind string) (stop func()) {
	dir := os.Getenv(envProfile)
	if dir == "" {
		return func() {}
	}
	f, err := os.Create(fmt.Sprintf("%s/%s-%d.pprof", dir, kind, os.Getpid()))
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		return func() {}
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a broken profile shows when it is read
	}
}

// envProfile is how --profile reaches the roles.
const envProfile = "BENCH_PROFILE"
