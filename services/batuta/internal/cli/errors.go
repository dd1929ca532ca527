package cli

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/services/batuta/internal/term"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// errSaid is returned where a command failed and has told why already.
var errSaid = errors.New("failed")

// failure is an error of what was asked for, as opposed to how it was asked: exit status 1.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usageError is wrong usage: exit status 2.
type usageError struct{ message string }

func (u *usageError) Error() string { return u.message }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// reportUsage tells what was wrong with the command line, and where help is.
func (a *app) reportUsage(cmd *cobra.Command, err error) {
	message := strings.TrimSpace(err.Error())
	a.note("%s %s", a.err.Paint(term.Red, cmd.CommandPath()+":"), message)
	a.note("See '%s --help'.", cmd.CommandPath())
}

// reportFailure prints an error, one fault a line.
func (a *app) reportFailure(cmd *cobra.Command, err error) {
	if errors.Is(err, errSaid) {
		return
	}
	for _, line := range a.describe(err) {
		a.note("%s %s", a.err.Paint(term.Red, cmd.CommandPath()+":"), term.Clean(line))
	}
}

// describe says an error in lines that each tell one thing.
func (a *app) describe(err error) []string {
	var away *apiclient.UnreachableError
	var status *apiclient.StatusError
	var stranger *apiclient.StrangerError
	switch {
	case errors.As(err, &away):
		return []string{a.describeAway(away)}
	case errors.As(err, &status):
		return a.describeStatus(status)
	case errors.As(err, &stranger):
		return []string{stranger.Error() + ": check " + envURL}
	}
	return []string{err.Error()}
}

func (a *app) describeAway(e *apiclient.UnreachableError) string {
	return fmt.Sprintf("no Batuta answers at %s (%s): start one with 'batuta up', or say in %s where one runs (%s)",
		e.URL, envURL, envURL, e.Reason())
}

func (a *app) describeStatus(e *apiclient.StatusError) []string {
	if len(e.Errors) > 0 {
		lines := make([]string, len(e.Errors))
		for i, f := range e.Errors {
			lines[i] = faultText(f)
		}
		return lines
	}
	if e.Status == http.StatusUnauthorized {
		if token, _ := a.lookup(envToken); token == "" {
			return []string{"this Batuta wants a token: put it into " + envToken}
		}
		return []string{"the token in " + envToken + " is not accepted"}
	}
	if e.Detail != "" {
		return []string{e.Detail}
	}
	return []string{e.Title}
}

// faultText leaves out a value that is null: mostly there was none.
func faultText(f wire.Fault) string {
	if string(f.Value) == "null" {
		f.Value = nil
	}
	return f.String()
}

// short is an error on one line, for one of several things that were asked.
func (a *app) short(err error) string { return term.Clean(strings.Join(a.describe(err), "; ")) }

// flagError makes wrong usage of what pflag says, with a suggestion for a mistyped name.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return &usageError{err.Error()}
	}
	name := unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return &usageError{err.Error()}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return usagef("unknown flag --%s%s", name, didYouMean(name, names, "--"))
}

// didYouMean is a question with the nearest of the names, or nothing where none is near.
func didYouMean(given string, names []string, prefix string) string {
	best, distance := "", max(len(given)/2, 1)+1
	for _, n := range names {
		d := edits(strings.ToLower(given), strings.ToLower(n))
		if strings.HasPrefix(n, given) {
			d = 1
		}
		if d < distance && d <= 3 {
			best, distance = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s%s?", prefix, best)
}

// edits is the number of letters to add, drop or change to get from a to b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, change)
		}
	}
	return row[len(b)]
}

// oneOf checks a value, or several separated by commas, against a closed set of words.
func oneOf(flag, value string, words []string) error {
	for one := range strings.SplitSeq(value, ",") {
		if one != "" && !slices.Contains(words, one) {
			return usagef("--%s: %q is not one of %s%s", flag, one, strings.Join(words, ", "), didYouMean(one, words, ""))
		}
	}
	return nil
}

// argCount checks the number of arguments; most < 0 means any number.
func argCount(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("%s is missing: %s", what, cmd.UseLine())
		case most >= 0 && len(args) > most && most == 0:
			return usagef("%q is too much: %s takes no arguments", args[0], cmd.CommandPath())
		case most >= 0 && len(args) > most:
			return usagef("%q is too much: %s", args[most], cmd.UseLine())
		}
		if slices.Contains(args, "") {
			return usagef("%s is empty", what)
		}
		return nil
	}
}
