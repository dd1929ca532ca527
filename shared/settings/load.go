package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

const envPrefix = "BATUTA_"

// otherEnv are variables of Batuta that are no settings: the client's and those that a
// pool gives to its workers.
var otherEnv = []string{"BATUTA_URL", "BATUTA_TOKEN", "BATUTA_WORKER_ID", "BATUTA_HEARTBEAT_MS"}

// flagValue keeps what was said on the command line as text. Load parses it, so that a
// bad value reads the same from a flag and from a variable.
type flagValue struct {
	value string
	kind  string
}

func (v *flagValue) String() string         { return v.value }
func (v *flagValue) Set(value string) error { v.value = value; return nil }
func (v *flagValue) Type() string           { return v.kind }

// Register adds the flags of the named settings to fs. It panics on a name that is not
// in the table, which is a mistake in the program.
func Register(fs *pflag.FlagSet, names ...string) {
	for _, n := range names {
		s, ok := lookup(n)
		if !ok {
			panic("settings: no setting is called " + n)
		}
		f := fs.VarPF(&flagValue{value: s.Default, kind: s.Type}, s.Name, "", usage(s, s.DefaultText))
		if s.Name == "insecure" {
			f.NoOptDefVal = "1"
		}
	}
}

// usage is the help of a flag; pflag adds the default itself, unless it is a text.
func usage(s Setting, defaultText string) string {
	help := strings.ReplaceAll(s.Help, "`", "")
	if defaultText != "" {
		help += " (default: " + strings.ReplaceAll(defaultText, "`", "") + ")"
	}
	return help + " [" + s.Env() + "]"
}

// SetDefault changes the default of a registered setting for one program.
func SetDefault(fs *pflag.FlagSet, name, value string) {
	f := fs.Lookup(name)
	if f == nil {
		panic("settings: no flag is called " + name)
	}
	row, _ := lookup(name)
	f.Usage, f.DefValue = usage(row, ""), value
	f.Value.(*flagValue).value = value
}

// Load gives the values in force: from the flags of fs, which must be parsed, else from
// environ (as os.Environ), else the defaults. Every bad value is a line of the error.
func Load(fs *pflag.FlagSet, environ []string) (*Settings, error) {
	s := &Settings{Warnings: unknown(environ)}
	env := variables(environ)
	var faults []string
	for _, row := range table {
		src := find(row, fs, env)
		if err := src.apply(s); err != nil {
			faults = append(faults, err.Error())
		}
	}
	if s.PoolMax == 0 {
		s.PoolMax = poolMaxDefault(s.PoolMin)
	}
	if len(faults) == 0 {
		faults = relations(s, fs.Lookup("http-addr") != nil)
	}
	if len(faults) > 0 {
		return nil, &Error{Faults: faults}
	}
	return s, nil
}

// Error is returned by Load: one line a fault.
type Error struct {
	Faults []string
}

// Error joins the faults with line ends.
func (e *Error) Error() string { return strings.Join(e.Faults, "\n") }

// source is a value and where it comes from.
type source struct {
	row   Setting
	label string // as the user wrote it: variable or flag
	value string
	given bool
	used  bool // the program has registered the setting
}

func find(row Setting, fs *pflag.FlagSet, env map[string]string) source {
	src := source{row: row, label: row.Env(), value: row.Default}
	f := fs.Lookup(row.Name)
	if f != nil {
		src.used, src.value = true, f.DefValue
	}
	switch value := env[row.Env()]; {
	case f != nil && f.Changed:
		src.label, src.value, src.given = "--"+row.Name, f.Value.String(), true
	case value != "":
		src.value, src.given = value, true
	}
	return src
}

func (src source) apply(s *Settings) error {
	if err := src.row.parse(s, src.value); err != nil {
		return src.fault(err)
	}
	if src.row.check == nil || src.value == "" || !src.used {
		return nil
	}
	if err := src.row.check(src.value); err != nil {
		return src.fault(err)
	}
	return nil
}

func (src source) fault(cause error) error {
	what := "is not allowed"
	if src.row.Form != "" && errors.Is(cause, errForm) {
		what = "is not " + src.row.Form
	}
	return fmt.Errorf("%s: %s %s (rule: %s)", src.label, src.row.quoted(src.value), what, src.row.Rule)
}

// relations checks rules that hold between settings; serves tells that the program listens
// for HTTP.
func relations(s *Settings, serves bool) []string {
	var faults []string
	bad := func(name string, value any, rule string) {
		faults = append(faults, fmt.Sprintf("%s: \"%v\" is not allowed (rule: %s)", envOf(name), value, rule))
	}
	if s.HungAfter < 2*s.Heartbeat {
		bad("hung-after", s.HungAfter, fmt.Sprintf("at least twice %s, which is %s", envOf("heartbeat"), s.Heartbeat))
	}
	if s.PoolMax < s.PoolMin {
		bad("pool-max", s.PoolMax, fmt.Sprintf("not below %s, which is %d", envOf("pool-min"), s.PoolMin))
	}
	if (s.NATS.Cert == "") != (s.NATS.Key == "") {
		bad("nats-tls-cert", s.NATS.Cert, "goes together with "+envOf("nats-tls-key"))
	}
	if serves && s.TokensFile == "" && !s.Insecure && !Loopback(s.HTTPAddr) {
		bad("http-addr", s.HTTPAddr, "loopback only, without "+envOf("tokens-file")+" or "+envOf("insecure")+"=1")
	}
	return faults
}

func envOf(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func envName(pair string) string {
	n, _, _ := strings.Cut(pair, "=")
	return n
}

func variables(environ []string) map[string]string {
	env := make(map[string]string)
	for _, pair := range environ {
		if n, value, _ := strings.Cut(pair, "="); strings.HasPrefix(n, envPrefix) {
			env[n] = value
		}
	}
	return env
}

// unknown warns of variables that look like settings and are none: a typo would
// otherwise pass in silence.
func unknown(environ []string) []string {
	var warnings []string
	for _, pair := range environ {
		n := envName(pair)
		if !strings.HasPrefix(n, envPrefix) || slices.Contains(otherEnv, n) || isSetting(n) {
			continue
		}
		w := n + " is not a setting and has no effect"
		if near := nearest(n); near != "" {
			w += "; did you mean " + near + "?"
		}
		warnings = append(warnings, w)
	}
	slices.Sort(warnings)
	return warnings
}

func isSetting(env string) bool {
	return slices.ContainsFunc(table, func(s Setting) bool { return s.Env() == env })
}
