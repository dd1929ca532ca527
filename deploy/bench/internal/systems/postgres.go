package systems

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/batuta-tasks/batuta/deploy/bench/internal/proc"
)

// startPostgres starts a PostgreSQL as it comes, on new storage.
func startPostgres(ctx context.Context, e Env) (*Server, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(e.Dir, "data")
	uid, gid, err := postgresUser(data)
	if err != nil {
		return nil, err
	}
	init := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "--pgdata="+data, "--username=bench", "--auth=trust", "--no-sync", "--encoding=UTF8")
	init.Dir = "/"
	if uid != 0 {
		init.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	}
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	p, err := proc.Start(proc.Options{Name: "postgres", Dir: "/", Log: e.log("postgres"), UID: uid, GID: gid, Args: []string{
		filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=" + data,
	}})
	if err != nil {
		return nil, err
	}
	s := &Server{
		Addr: fmt.Sprintf("postgres://bench@127.0.0.1:%d/postgres?sslmode=disable", port), Data: data, procs: []*proc.Process{p},
		stop: []func(){func() { p.Stop(syscall.SIGINT) }}, // the fast shutdown
	}
	if s.Settings, err = postgresSettings(ctx, s.Addr); err != nil {
		s.Stop()
		return nil, errors.Join(err, errors.New(p.Tail()))
	}
	return s, nil
}

// postgresBin is the folder of the newest server that Debian has installed.
func postgresBin() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.Join(err, errors.New("PostgreSQL is not installed: apt-get install postgresql"))
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return postgresMajor(a) - postgresMajor(b) })
	return filepath.Dir(newest), nil
}

func postgresMajor(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// postgresUser makes the storage for whom the server must run as: it refuses root.
func postgresUser(data string) (uid, gid uint32, err error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return 0, 0, err
	}
	if os.Getuid() != 0 {
		return 0, 0, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return 0, 0, err
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	group, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	return uint32(id), uint32(group), os.Chown(data, int(id), int(group))
}

// postgresSettings waits for the server and reads its settings back.
func postgresSettings(ctx context.Context, url string) ([]string, error) {
	var conn *pgx.Conn
	err := until(ctx, func() (err error) {
		conn, err = pgx.Connect(ctx, url)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // only read
	var parts []string
	for _, name := range []string{"synchronous_commit", "fsync", "wal_sync_method", "full_page_writes", "shared_buffers"} {
		var v string
		if err := conn.QueryRow(ctx, "SHOW "+name).Scan(&v); err != nil {
			return nil, err
		}
		parts = append(parts, name+" "+v)
	}
	return []string{"PostgreSQL: " + strings.Join(parts, ", ")}, nil
}

func postgresVersion(ctx context.Context) string {
	bin, err := postgresBin()
	if err != nil {
		return "PostgreSQL, not installed"
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "PostgreSQL"
	}
	version, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(string(out), "postgres (PostgreSQL) ")), " ")
	return "PostgreSQL " + version
}
