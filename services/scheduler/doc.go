// Package scheduler is the only writer of the lanes. It turns submissions into tasks, grants
// what falls due, carries out commands, and once a second, on one replica, sizes the pools
// and looks after what was left behind.
//
// Every replica is equal and keeps no state: they share durable consumers, and whatever one
// held when it died comes to another within a lease. So each step may be done twice, and is
// made so that this shows nowhere: message ids, the fold of events, and, for everything that
// may have been seen before, a look at the task's record behind the barrier.
//
// What goes wrong, and what answers it:
//
//	a replica dies between two steps    the submission, command or due message comes again
//	NATS forgets acknowledgements       what was stored before its present run is checked
//	a stream is full                    nothing is taken, what is held is extended
//	the recorder is down                checked decisions wait, the normal path goes on
//	a message is lost after all         the audit begins a new round of its task
package scheduler
