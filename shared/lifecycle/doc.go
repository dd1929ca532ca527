// Package lifecycle is the one contract for everything that lives long: a service, a
// loop, a server.
//
//	new ──Start──▶ running ──Stop──▶ stopped ──Start──▶ running …
//
// Start returns once the service works; its context bounds the start alone. What it
// started lives until Stop, whatever becomes of that context: a signal that cancelled
// every loop at once would leave no time to finish running work. Stop drains and
// returns when every goroutine has ended, or names those that have not when its own
// context ends first.
//
// Group owns the goroutines of one service; Runner runs the services of one process.
package lifecycle
