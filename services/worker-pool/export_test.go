package workerpool

import (
	"context"
	"time"
)

// TrustNoParcel makes a pool look at the records of the tasks of every parcel.
func TrustNoParcel(c *Config) { c.parcelTrust = -time.Hour }

// AskSoonAboutCancels makes a pool ask at once whether a cancel was carried out.
func AskSoonAboutCancels(c *Config) { c.cancelSettles = time.Millisecond }

// WaitInParcels is for how long a task of a parcel waits for a slot before it is given to others.
func WaitInParcels(c *Config, d time.Duration) { c.parcelWait = d }

// WaitApart is how long suspects wait for others of the same death.
func WaitApart(c *Config, d time.Duration) { c.apartWait = d }

// ReconnectInVain is what follows a reconnection while nothing answers.
func (p *Pool) ReconnectInVain() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.connected(ctx, p.live)
}
