package obs

import "runtime"

// Version, Commit and Date are set by the build (-ldflags -X); a plain `go build` leaves
// them as they are here.
var (
	Version = "dev"
	Commit  = "unknown"
	Date    = "unknown"
)

// VersionLine is what the `version` command of a program prints.
func VersionLine(program string) string {
	return program + " " + Version + " (commit " + Commit + ", built " + Date + ", " +
		runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
