package workerpool_test

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// deed is what a raw worker does with a task of the type "do" the first time; when its file
// exists it gives the fence as result.
type deed struct {
	File   string
	Do     string
	Signal syscall.Signal
	Code   int
}

// rawWorker speaks the protocol without the SDK, and breaks it when asked to.
type rawWorker struct {
	mu   sync.Mutex
	mute bool
}

// runDeafWorker never reads its stdin.
func runDeafWorker() {
	w := &rawWorker{}
	w.say(`{"op":"ready","protocol":1}`)
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE) // a stopped process hears of its parent's death so
	for range time.Tick(50 * time.Millisecond) {
		w.say(`{"op":"heartbeat"}`)
	}
}

func runRawWorker() {
	w := &rawWorker{}
	w.say(`{"op":"ready","protocol":1,"types":["do","hold"]}`)
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			w.say(`{"op":"heartbeat"}`)
		}
	}()
	in := wire.NewPoolLineReader(os.Stdin)
	for {
		l, err := in.Next()
		if err != nil {
			// A worker that closed its stdin itself lives on; else its pool is gone.
			if _, statErr := os.Stdin.Stat(); statErr != nil {
				select {}
			}
			os.Exit(0)
		}
		if l.Op == wire.OpDrain {
			os.Exit(0)
		}
		if l.Op == wire.OpCancel {
			w.say(fmt.Sprintf(`{"op":"result","id":%q,"result":"yielded"}`, l.ID))
		}
		if l.Op == wire.OpTask && l.Type == "do" {
			w.do(&l)
		}
	}
}

func (w *rawWorker) say(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.mute {
		fmt.Println(line) //nolint:forbidigo // that is the protocol
	}
}

func (w *rawWorker) do(l *wire.LineToWorker) {
	var d deed
	mustParse(l.Payload, &d)
	result := fmt.Sprintf(`{"op":"result","id":%q,"result":%d}`, l.ID, l.Fence)
	f, err := os.OpenFile(d.File, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		w.say(result)
		return
	}
	_ = f.Close()
	switch d.Do {
	case "exit":
		os.Exit(d.Code)
	case "signal":
		_ = syscall.Kill(os.Getpid(), d.Signal)
	case "garbage":
		w.say("once upon a time")
	case "long":
		w.say(`{"op":"result","id":"` + l.ID + `","result":"` + strings.Repeat("x", wire.MaxLine) + `"}`)
	case "unknown op":
		w.say(`{"op":"confess"}`)
	case "foreign result":
		w.say(`{"op":"result","id":"task-999999"}`)
	case "ready again":
		w.say(`{"op":"ready","protocol":1}`)
	case "torn line":
		_, _ = os.Stdout.WriteString(`{"op":"result","id":"` + l.ID + `"`)
		os.Exit(0)
	case "closed stdout":
		_ = os.Stdout.Close()
	case "closed stdin":
		_ = os.Stdin.Close()
		w.say(fmt.Sprintf(`{"op":"progress","id":%q,"percent":1}`, l.ID))
	case "busy loop":
		w.mu.Lock()
		w.mute = true
		w.mu.Unlock()
		for { //nolint:staticcheck // it is to use the CPU and say nothing
		}
	}
}
