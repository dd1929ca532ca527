package httpapi

import (
	"slices"
	"sync"
)

// keyedLocks serialises work by key. The zero value is ready.
type keyedLocks struct {
	mu   sync.Mutex
	held map[string]*keyedLock
}

type keyedLock struct {
	sync.Mutex
	users int
}

// lock takes all keys, in one order so that two callers cannot wait for each other, and
// returns what gives them back.
func (l *keyedLocks) lock(keys ...string) (unlock func()) {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	taken := make([]*keyedLock, len(keys))
	for i, key := range keys {
		taken[i] = l.enter(key)
		taken[i].Lock()
	}
	return func() {
		for i, key := range keys {
			taken[i].Unlock()
			l.leave(key, taken[i])
		}
	}
}

func (l *keyedLocks) enter(key string) *keyedLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = map[string]*keyedLock{}
	}
	k := l.held[key]
	if k == nil {
		k = &keyedLock{}
		l.held[key] = k
	}
	k.users++
	return k
}

func (l *keyedLocks) leave(key string, k *keyedLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.held, key)
	}
}

// counter counts what runs until it is closed. The zero value is ready.
type counter struct {
	mu     sync.Mutex
	n      int
	closed chan struct{}
}

// enter counts one more, unless the counter is closed.
func (k *counter) enter() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed != nil {
		return false
	}
	k.n++
	return true
}

func (k *counter) leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.n--; k.n == 0 && k.closed != nil {
		close(k.closed)
	}
}

// close lets nothing more in; the channel is closed when nothing runs.
func (k *counter) close() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed == nil {
		if k.closed = make(chan struct{}); k.n == 0 {
			close(k.closed)
		}
	}
	return k.closed
}
