package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usage prints how a command is used: below its description, and nowhere else.
func usage(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", useLine(cmd))
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, "\nAlso called:\n  %s\n", strings.Join(cmd.Aliases, ", "))
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	usageCommands(&b, cmd)
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(&b, "\nFlags:\n%s", flagUsages(cmd.LocalFlags()))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n'%s COMMAND --help' says more about a command.\n", cmd.CommandPath())
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}

func useLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() && !strings.Contains(cmd.Use, " ") {
		return cmd.CommandPath() + " COMMAND"
	}
	return cmd.UseLine()
}

// usageCommands lists the commands below cmd, by group; what is in no group comes last.
func usageCommands(b *strings.Builder, cmd *cobra.Command) {
	list := func(title, group string) {
		var part strings.Builder
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.GroupID == group || c.Name() == "help" && c.GroupID == group {
				fmt.Fprintf(&part, "  %-12s%s\n", c.Name(), c.Short)
			}
		}
		if part.Len() > 0 {
			fmt.Fprintf(b, "\n%s\n%s", title, part.String())
		}
	}
	for _, g := range cmd.Groups() {
		list(g.Title, g.ID)
	}
	title := "Commands:"
	if len(cmd.Groups()) > 0 {
		title = "Others:"
	}
	list(title, "")
}

// flagUsages leaves out the form of a switch with a value, which nobody needs to know.
func flagUsages(fs *pflag.FlagSet) string {
	const form = "[=true|false]"
	return strings.ReplaceAll(fs.FlagUsages(), form, strings.Repeat(" ", len(form)))
}
