package workerpool

import "context"

// ReconnectInVain is what follows a reconnection while nothing answers.
func (p *Pool) ReconnectInVain() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.connected(ctx, p.live)
}
