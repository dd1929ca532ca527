package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/obs"
)

// Variables of the environment.
const (
	envURL   = "BATUTA_URL"
	envToken = "BATUTA_TOKEN" //nolint:gosec // the name of a variable, not a token
)

// lookup reads a variable as os.LookupEnv does; of two the last counts.
func (a *app) lookup(name string) (string, bool) {
	for _, pair := range slices.Backward(a.env) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// handler is what a command does with the API.
type handler func(ctx context.Context, c *apiclient.Client, args []string) error

// api makes a handler the action of a command: it ends with the first SIGINT or SIGTERM,
// and what it returns is a failure, not wrong usage.
func (a *app) api(h handler) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		client, err := a.client()
		if err != nil {
			return err
		}
		defer client.Close()
		err = h(ctx, client, args)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil: // whoever stopped it knows why it did not end well
			return &failure{errSaid}
		}
		return &failure{err}
	}
}

func (a *app) client() (*apiclient.Client, error) {
	base, _ := a.lookup(envURL)
	token, _ := a.lookup(envToken)
	client, err := apiclient.New(apiclient.Options{
		URL: strings.TrimSpace(base), Token: strings.TrimSpace(token), UserAgent: "batuta/" + obs.Version,
	})
	switch {
	case errors.Is(err, apiclient.ErrToken):
		return nil, usagef("%s: %v", envToken, err)
	case err != nil:
		return nil, usagef("%s: %v", envURL, err)
	}
	return client, nil
}

// jsonFlag gives a command --json.
func (a *app) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.json, "json", false, "print JSON, one object a line")
	return cmd
}

// printRaw prints one value as the API sent it, on one line.
func (a *app) printRaw(raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := a.out.Write(b.Bytes())
	return err
}

// printDocs prints the JSON of each.
func printDocs[T any](a *app, docs []apiclient.Doc[T]) error {
	for _, d := range docs {
		if err := a.printRaw(d.Raw); err != nil {
			return err
		}
	}
	return nil
}

// say prints a line to stdout.
func (a *app) say(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}

// note prints a line to stderr, that is, beside the data.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// watched tells whether somebody follows the work: progress is drawn then, on stderr.
func (a *app) watched() bool { return a.out.Terminal && a.err.Terminal }

// paint is text in a style on stdout.
func (a *app) paint(style term.Style, text string) string { return a.out.Paint(style, text) }

// status word in its colour, on stdout.
func (a *app) word(status string) string { return a.out.Paint(term.StatusStyle(status), status) }
