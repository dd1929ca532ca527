package systems

import "runtime/debug"

// moduleVersion is a dependency's, as it was built in.
func moduleVersion(name, path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return name + " " + m.Version
			}
		}
	}
	return name
}
