package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/batuta-tasks/batuta/shared/obs"
)

// Role says what a client may do; each includes the ones before it.
type Role int

// The roles.
const (
	RoleViewer Role = iota + 1
	RoleSubmitter
	RoleOperator
	RoleAdmin
)

var roleNames = map[Role]string{RoleViewer: "viewer", RoleSubmitter: "submitter", RoleOperator: "operator", RoleAdmin: "admin"}

// String is the role as the tokens file has it.
func (r Role) String() string { return roleNames[r] }

func parseRole(s string) (Role, bool) {
	for r, name := range roleNames {
		if name == s {
			return r, true
		}
	}
	return 0, false
}

// Identity is who sends a request.
type Identity struct {
	Name string
	Role Role
}

// anonymous is who everybody is while there is no tokens file.
var anonymous = Identity{Name: "anonymous", Role: RoleAdmin}

type tokenEntry struct {
	sum [sha256.Size]byte
	Identity
}

// reloadInterval is how often the tokens file is looked at.
const reloadInterval = time.Second

// Tokens are those of a tokens file: `token-sha256  role  name` a line, the hash in hex;
// empty lines and lines that begin with # are skipped. A changed file is read again.
type Tokens struct {
	path    string
	log     *slog.Logger
	entries atomic.Pointer[[]tokenEntry]
	seen    fileState
}

type fileState struct {
	modified time.Time
	size     int64
}

// LoadTokens reads a tokens file. Its error names file, line and rule.
func LoadTokens(path string, log *slog.Logger) (*Tokens, error) {
	t := &Tokens{path: path, log: log}
	state, err := t.stat()
	if err != nil {
		return nil, err
	}
	if err := t.load(); err != nil {
		return nil, err
	}
	t.seen = state
	return t, nil
}

func (t *Tokens) stat() (fileState, error) {
	info, err := os.Stat(t.path)
	if err != nil {
		return fileState{}, fmt.Errorf("BATUTA_TOKENS_FILE: %w", err)
	}
	return fileState{info.ModTime(), info.Size()}, nil
}

func (t *Tokens) load() error {
	content, err := os.ReadFile(t.path)
	if err != nil {
		return fmt.Errorf("BATUTA_TOKENS_FILE: %w", err)
	}
	entries, err := parseTokens(content)
	if err != nil {
		return fmt.Errorf("BATUTA_TOKENS_FILE: %s, %w", t.path, err)
	}
	t.entries.Store(&entries)
	return nil
}

func parseTokens(content []byte) ([]tokenEntry, error) {
	var entries []tokenEntry
	lines := bufio.NewScanner(bytes.NewReader(content))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseToken(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		entries = append(entries, e)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, errors.New("no token in it (rule: token-sha256  role  name on each line)")
	}
	return entries, nil
}

func parseToken(line string) (tokenEntry, error) {
	var e tokenEntry
	parts := strings.Fields(line)
	if len(parts) < 3 {
		return e, errors.New("must have three parts: token-sha256  role  name")
	}
	sum, err := hex.DecodeString(parts[0])
	if err != nil || len(sum) != sha256.Size {
		return e, errors.New("the first part must be the SHA-256 of the token in 64 hex digits")
	}
	role, ok := parseRole(parts[1])
	if !ok {
		return e, fmt.Errorf("%q is not a role (rule: viewer, submitter, operator or admin)", parts[1])
	}
	copy(e.sum[:], sum)
	e.Identity = Identity{Name: strings.Join(parts[2:], " "), Role: role}
	return e, nil
}

// Who tells whose token it is. Every entry is compared, each in constant time, so that the
// time taken says nothing.
func (t *Tokens) Who(token string) (Identity, bool) {
	sum := sha256.Sum256([]byte(token))
	var found Identity
	ok := false
	for _, e := range *t.entries.Load() {
		if subtle.ConstantTimeCompare(sum[:], e.sum[:]) == 1 {
			found, ok = e.Identity, true
		}
	}
	return found, ok
}

// watch reads the file again when it changes, until ctx ends. What cannot be read leaves
// the tokens as they were: a half-written file must lock nobody out.
func (t *Tokens) watch(ctx context.Context) {
	tick := time.NewTicker(reloadInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.reload()
		}
	}
}

func (t *Tokens) reload() {
	state, err := t.stat()
	if err == nil && state == t.seen {
		return
	}
	if err == nil {
		err = t.load()
	}
	if state != t.seen {
		if err != nil {
			t.log.Error("the tokens stay as they were", obs.KeyErr, err)
		} else {
			t.log.Info("read the tokens file again", "tokens", len(*t.entries.Load()))
		}
	}
	t.seen = state
}
