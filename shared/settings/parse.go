package settings

import (
	"errors"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-shellwords"
)

// errRule is what a parser returns for a value that breaks the setting's rule: the
// rule's text says the rest.
var errRule = errors.New("against the rule")

// errForm is what a parser returns for a value that does not even look like one.
var errForm = errors.New("of another form")

type parser = func(s *Settings, value string) error

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

const queuesMax = 16

// optional lets an empty value leave the field as it is.
func optional(parse parser) parser {
	return func(s *Settings, value string) error {
		if value == "" {
			return nil
		}
		return parse(s, value)
	}
}

func nonEmpty(parse parser) parser {
	return func(s *Settings, value string) error {
		if value == "" {
			return errRule
		}
		return parse(s, value)
	}
}

func text(field func(*Settings) *string) parser {
	return func(s *Settings, value string) error {
		*field(s) = value
		return nil
	}
}

func oneOf(field func(*Settings) *string, allowed ...string) parser {
	return func(s *Settings, value string) error {
		if !slices.Contains(allowed, value) {
			return errRule
		}
		*field(s) = value
		return nil
	}
}

func name(field func(*Settings) *string) parser {
	return func(s *Settings, value string) error {
		if !nameForm.MatchString(value) {
			return errRule
		}
		*field(s) = value
		return nil
	}
}

func integer(low, high int, field func(*Settings) *int) parser {
	return func(s *Settings, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return errForm
		}
		if n < low || n > high {
			return errRule
		}
		*field(s) = n
		return nil
	}
}

func duration(low, high time.Duration, field func(*Settings) *time.Duration) parser {
	return func(s *Settings, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil {
			return errForm
		}
		if d < low || d > high {
			return errRule
		}
		*field(s) = d
		return nil
	}
}

// addr wants a port that is a number: a service name would be looked up on a machine
// whose list differs from the reader's.
func addr(field func(*Settings) *string) parser {
	return func(s *Settings, value string) error {
		_, port, err := net.SplitHostPort(value)
		if err != nil {
			return errForm
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return errForm
		}
		*field(s) = value
		return nil
	}
}

// list splits at commas; blanks around an item and empty items are dropped.
func list(field func(*Settings) *[]string) parser {
	return func(s *Settings, value string) error {
		*field(s) = splitList(value)
		return nil
	}
}

func splitList(value string) []string {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func joinList(items []string) string { return strings.Join(items, ",") }

func queues(s *Settings, value string) error {
	items := splitList(value)
	if len(items) == 0 || len(items) > queuesMax {
		return errRule
	}
	for i, item := range items {
		if !nameForm.MatchString(item) || slices.Contains(items[:i], item) {
			return errRule
		}
	}
	s.Queues = items
	return nil
}

func natsURLs(s *Settings, value string) error {
	items := splitList(value)
	for _, item := range items {
		if !strings.Contains(item, "://") {
			item = "nats://" + item
		}
		u, err := url.Parse(item)
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return errRule
		}
	}
	if len(items) == 0 {
		return errRule
	}
	s.NATS.URL = strings.Join(items, ",")
	return nil
}

// origins are compared with a browser's Origin header as they stand, so they may have
// neither path nor trailing slash.
func origins(s *Settings, value string) error {
	items := splitList(value)
	for _, item := range items {
		u, err := url.Parse(item)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Scheme+"://"+u.Host != item {
			return errRule
		}
	}
	s.Origins = items
	return nil
}

func parseSync(s *Settings, value string) error {
	if value == syncAlways {
		s.Sync = Sync{Always: true}
		return nil
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		return errForm
	}
	if d < time.Millisecond {
		return errRule
	}
	s.Sync = Sync{Interval: d}
	return nil
}

func parseInsecure(s *Settings, value string) error {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return errRule
	}
	s.Insecure = on
	return nil
}

// workerCommand splits shell words; variables and backquotes are left alone, for no
// shell will see them.
func workerCommand(s *Settings, value string) error {
	p := shellwords.NewParser()
	p.ParseEnv, p.ParseBacktick = false, false
	words, err := p.Parse(value)
	if err != nil || len(words) == 0 || p.Position != -1 {
		return errRule
	}
	s.WorkerCommand = words
	return nil
}

// readable opens the file: permissions say less than a try.
func readable(path string) error {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return f.Close()
}

func isDir(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errRule
	}
	return nil
}
