package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/shared/obs"
)

// natsModule is the server that `batuta up` embeds.
const natsModule = "github.com/nats-io/nats-server/v2"

func newVersion(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Print the version of this program, of Go, and of the NATS server that it embeds.",
		Example: `  batuta version
  batuta version --json`,
		Args: argCount(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			if !a.json {
				return a.say("%s", versionLine())
			}
			raw, err := json.Marshal(map[string]string{
				"version": obs.Version, "commit": obs.Commit, "date": obs.Date, "go": runtime.Version(),
				"platform": runtime.GOOS + "/" + runtime.GOARCH, "natsServer": natsVersion(),
			})
			if err != nil {
				return fmt.Errorf("print the version: %w", err)
			}
			return a.printRaw(raw)
		},
	}
	return a.jsonFlag(cmd)
}

func versionLine() string {
	line := obs.VersionLine("batuta")
	if v := natsVersion(); v != "" {
		line += ", nats-server " + v
	}
	return line
}

// natsVersion is taken from the program itself: the server package need not be linked to
// know it.
func natsVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == natsModule {
			return m.Version
		}
	}
	return ""
}
