package systems

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// profileSeconds is how long a CPU profile of `batuta up` takes.
const profileSeconds = 5

// profile makes `batuta up` serve profiles where they are wanted; what it returns takes one
// as soon as the server runs.
func (b Batuta) profile(args *[]string, e Env) (func(*Server), error) {
	if e.Profile == "" {
		return func(*Server) {}, nil
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	*args = append(*args, "--ops-addr="+addr)
	return func(s *Server) {
		var taken sync.WaitGroup
		taken.Go(func() {
			name := filepath.Join(e.Profile, fmt.Sprintf("%s-%d.pprof", b.Name(), time.Now().UnixNano()))
			if err := fetch(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", addr, profileSeconds), name); err != nil {
				fmt.Fprintln(os.Stderr, "profile:", err)
			}
		})
		s.stop = append(s.stop, taken.Wait)
	}, nil
}

func fetch(url, file string) error {
	res, err := http.Get(url) //nolint:gosec,noctx // this program made the address, and the answer ends by itself
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // only read
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // a broken profile shows when it is read
	_, err = io.Copy(f, res.Body)
	return err
}
