package proc

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/batuta-tasks/batuta/shared/child"
	"github.com/batuta-tasks/batuta/shared/obs"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// Command starts worker processes. Each has a process group of its own, and its stdin is
// closed when the pool dies, however it dies.
type Command struct {
	// Args are the program and its arguments.
	Args []string
	// Env is the environment, less what the pool adds.
	Env []string
	// Heartbeat is what workers are told in wire.EnvHeartbeatMs.
	Heartbeat time.Duration
	Log       *slog.Logger
}

// lastWords is how long lines are read that a process wrote before it ended. A descendant
// in a group of its own may hold the pipe open for ever.
const lastWords = 250 * time.Millisecond

// Launch starts a process.
func (c *Command) Launch(id string, h Handler) (Worker, error) {
	path, err := resolve(c.Args[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, c.Args[1:]...) //nolint:noctx // it lives until it is killed
	cmd.Args[0] = c.Args[0]
	cmd.Env = append(append([]string(nil), c.Env...), wire.EnvWorkerID+"="+id,
		wire.EnvHeartbeatMs+"="+strconv.FormatInt(c.Heartbeat.Milliseconds(), 10))
	cmd.SysProcAttr = groupAttr()
	var pipes pipeSet
	stdin := pipes.toChild(&cmd.Stdin)
	stdout, stderr := pipes.fromChild(&cmd.Stdout), pipes.fromChild(&cmd.Stderr)
	if pipes.err != nil {
		pipes.close(true)
		return nil, fmt.Errorf("make pipes for a worker: %w", pipes.err)
	}
	if err := child.Start(cmd); err != nil {
		pipes.close(true)
		return nil, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	pipes.close(false)
	p := &process{cmd: cmd, out: newOutbox(), stdin: stdin, stdout: stdout, stderr: stderr, log: c.Log.With(obs.KeyWorker, id)}
	go p.run(h)
	return p, nil
}

// resolve finds the program in PATH, else beside this program's own file.
func resolve(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if own, ownErr := os.Executable(); ownErr == nil && !strings.ContainsRune(name, filepath.Separator) {
		if path, err := exec.LookPath(filepath.Join(filepath.Dir(own), name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find the worker command: %w", err)
}

// pipeSet makes pipes and remembers both ends: the library's own pipes are closed by Wait,
// which would lose the last lines.
type pipeSet struct {
	ours, theirs []*os.File
	err          error
}

func (s *pipeSet) make() (r, w *os.File) {
	if s.err != nil {
		return nil, nil
	}
	r, w, s.err = os.Pipe()
	return r, w
}

func (s *pipeSet) toChild(field *io.Reader) *os.File {
	r, w := s.make()
	if s.err == nil {
		*field = r
		s.ours, s.theirs = append(s.ours, w), append(s.theirs, r)
	}
	return w
}

func (s *pipeSet) fromChild(field *io.Writer) *os.File {
	r, w := s.make()
	if s.err == nil {
		*field = w
		s.ours, s.theirs = append(s.ours, r), append(s.theirs, w)
	}
	return r
}

func (s *pipeSet) close(all bool) {
	for _, f := range s.theirs {
		_ = f.Close()
	}
	if all {
		for _, f := range s.ours {
			_ = f.Close()
		}
	}
}

// process is a worker process.
type process struct {
	cmd                   *exec.Cmd
	out                   *outbox
	stdin, stdout, stderr *os.File
	log                   *slog.Logger

	mu     sync.Mutex
	waited bool // the process id may belong to another process by now
}

func (p *process) PID() int { return p.cmd.Process.Pid }

func (p *process) Send(l *wire.LineToWorker) error { return p.out.send(l) }

func (p *process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.waited {
		killGroup(p.cmd)
	}
}

// run owns the process: it returns when the process and its goroutines have ended.
func (p *process) run(h Handler) {
	var wg sync.WaitGroup
	unwritable := make(chan struct{})
	wg.Go(func() {
		if !p.out.run(p.stdin) {
			close(unwritable)
		}
	})
	wg.Go(p.logStderr)
	died := make(chan struct{})
	wg.Go(func() {
		<-died
		// Who holds the pipes now is no child of ours that matters.
		deadline := time.Now().Add(lastWords)
		_ = p.stdout.SetReadDeadline(deadline)
		_ = p.stderr.SetReadDeadline(deadline)
		_ = p.stdin.SetWriteDeadline(deadline)
	})
	var exit Exit
	wg.Go(func() { exit = p.wait(); close(died) })
	var deaf error
	wg.Go(func() {
		select {
		case <-unwritable:
			deaf = p.mustEnd(died, halfClosed, "stdin")
		case <-died:
		}
	})

	broken := p.read(h)
	var mute error
	if broken == nil {
		patience := closing
		if h.Busy() {
			patience = halfClosed
		}
		mute = p.mustEnd(died, patience, "stdout")
	}
	<-died
	p.out.close()
	wg.Wait()
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		_ = f.Close()
	}
	switch {
	case broken != nil:
		exit.Broken = broken
	case exit.Signal == killed: // else it was about to end by itself
		exit.Broken = cmp.Or(deaf, mute)
	}
	h.Exited(exit)
}

const (
	// killed is what SIGKILL is called.
	killed = "killed"
	// closing is how long a process without tasks may live after it closed its stdout.
	closing = 500 * time.Millisecond
	// halfClosed is the same for one whose tasks nobody would hear of again. One that is
	// about to end has that long until its own exit is what is told.
	halfClosed = 20 * time.Millisecond
)

// mustEnd gives a process that closed a pipe time to end by itself, and else ends it.
func (p *process) mustEnd(died <-chan struct{}, patience time.Duration, pipe string) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-died:
		return nil
	case <-t.C:
		p.Kill()
		return errClosed(pipe)
	}
}

// wait waits for the process, and ends what is left of its group.
func (p *process) wait() Exit {
	if waitExited(p.cmd) { // while it is not reaped, its group's id cannot be taken by another
		killGroup(p.cmd)
		p.reaped()
	}
	_ = p.cmd.Wait() // what there is to know stands in ProcessState
	p.reaped()
	return exitOf(p.cmd.ProcessState)
}

// reaped says that there is nothing left to kill.
func (p *process) reaped() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waited = true
}

// read passes lines on until the worker ends or breaks the protocol.
func (p *process) read(h Handler) (broken error) {
	lines := wire.NewLineReader(p.stdout)
	for {
		l, err := lines.Next()
		var bad *wire.ProtocolError
		switch {
		case errors.As(err, &bad):
			p.Kill()
			return err
		case err != nil:
			return nil //nolint:nilerr // the end of the worker, however it came; its exit says more
		}
		if err := h.Line(&l); err != nil {
			p.Kill()
			return err
		}
	}
}

// maxLogLine is the longest line of stderr that is logged as one.
const maxLogLine = 16 << 10

func (p *process) logStderr() {
	r := bufio.NewReaderSize(p.stderr, maxLogLine)
	for {
		line, _, err := r.ReadLine()
		if len(line) > 0 {
			p.log.Info("worker says", "line", strings.ToValidUTF8(string(line), "�"))
		}
		if err != nil {
			return
		}
	}
}
