// Package cli is the command for people. It speaks with a Batuta over HTTP and holds no
// state; only `up`, `worker` and `chaos` run parts of Batuta itself, and are given by the caller.
package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/options"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Commands are the parts of Batuta that this command can run in its own process. A
// command whose function is nil is not offered.
type Commands struct {
	// Up runs the whole system until ctx ends or a signal comes, and returns the exit
	// status. args are the flags that were given, each as --name=value; their names are
	// those of settings.Up. env is as of os.Environ.
	Up func(ctx context.Context, args, env []string, stdout, stderr io.Writer) int
	// Worker runs the built-in worker process and returns the exit status. env is as of
	// os.Environ, with the flags that were given as variables at its end.
	Worker func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, env []string) int
	// Chaos breaks a system on purpose (that of the client, or nil: its own), and Role is one of the processes of that system;
	// both return the exit status.
	Chaos func(ctx context.Context, o options.Options, client *apiclient.Client, out, errOut *term.Screen) int
	Role  func(ctx context.Context, args, env []string, stdout, stderr io.Writer) int
}

// IO is what a command reads and writes.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	// Env is the environment, as of os.Environ.
	Env []string
	// Interactive: somebody sits at In and can answer a question.
	Interactive bool
}

// ProcessIO is that of this process.
func ProcessIO() IO {
	return IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ(), Interactive: term.IsTerminal(os.Stdin)}
}

// CLI is the command, ready to run once.
type CLI struct {
	app  *app
	root *cobra.Command
}

// New builds the command.
func New(c Commands, streams IO) *CLI {
	a := newApp(c, streams)
	return &CLI{app: a, root: newRoot(a)}
}

// Run runs the command with its arguments (without the program's name) and returns the
// exit status: 0, 1 where it failed, 2 where it was used in a wrong way.
func (c *CLI) Run(ctx context.Context, args []string) int {
	c.root.SetArgs(args)
	cmd, err := c.root.ExecuteContextC(ctx)
	if err == nil {
		return c.app.status
	}
	if failed, ok := errors.AsType[*failure](err); ok {
		wrong, ok := errors.AsType[*usageError](failed.err)
		if !ok {
			c.app.reportFailure(cmd, failed.err)
			return exitFailed
		}
		err = wrong
	}
	c.app.reportUsage(cmd, err)
	return exitUsage
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "batuta",
		Short: "Run, submit and watch tasks on NATS JetStream",
		Long: `Batuta runs background tasks on NATS JetStream and nothing else.

'batuta up' starts the whole system on this machine. All other commands speak with a
running system over HTTP, wherever it is: BATUTA_URL says where (default
` + "http://127.0.0.1:8080" + `), BATUTA_TOKEN holds the token where one is needed.

Exit status: 0; 1 if it failed, also where a task waited for failed; 2 on wrong usage.`,
		Example: `  batuta up
  batuta submit sleep --payload '{"ms": 1000}' --wait
  batuta list --status failed,retrying
  batuta watch`,
		Version:       versionLine(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetIn(a.in)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(cmd, err) })
	root.SetHelpCommand(newHelp())
	root.AddGroup(groups...)
	root.SetUsageFunc(usage)
	addCommands(a, root)
	addCompletion(root)
	return root
}

// The groups of commands in the order of the help.
const (
	groupTasks  = "tasks"
	groupSystem = "system"
	groupRun    = "run"
)

var groups = []*cobra.Group{
	{ID: groupRun, Title: "Run it:"},
	{ID: groupTasks, Title: "Tasks:"},
	{ID: groupSystem, Title: "The system:"},
}

func addCommands(a *app, root *cobra.Command) {
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			c.Flags().SortFlags = false
			root.AddCommand(c)
		}
	}
	if a.commands.Up != nil {
		add(groupRun, newUp(a))
	}
	if a.commands.Worker != nil {
		add(groupRun, newWorker(a))
	}
	add(groupRun, newBench(a))
	if a.commands.Chaos != nil {
		add(groupRun, newChaos(a), newRole(a))
	}
	add(groupTasks, newSubmit(a), newGet(a), newList(a), newWatch(a), newLogs(a),
		newCancel(a), newRetry(a), newDelete(a))
	add(groupSystem, newStats(a), newWorkers(a), newDrain(a), newKill(a), newPools(a), newQueues(a),
		newPause(a), newResume(a), newEvents(a))
	root.AddCommand(newVersion(a))
}

// newHelp replaces cobra's own, which answers an unknown topic with success.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return usagef("there is no command %q", rest[0])
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// app is what all commands share.
type app struct {
	commands Commands
	env      []string
	in       io.Reader
	out, err *term.Screen
	// interactive: a question would be answered.
	interactive bool
	// json: data is printed as JSON, one object a line.
	json bool
	// status is the exit status where no error is to be told.
	status int
}

func newApp(c Commands, streams IO) *app {
	a := &app{commands: c, env: streams.Env, in: streams.In, interactive: streams.Interactive}
	a.out = term.New(streams.Out, a.lookup)
	a.err = term.New(streams.Err, a.lookup)
	return a
}
