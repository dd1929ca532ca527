// Package worker is for writing a Batuta worker in Go: a program that a worker-pool runs
// and that speaks the line protocol over its stdin and stdout.
//
//	w := worker.New(worker.Options{})
//	w.Handle("greet", func(ctx context.Context, t *worker.Task) (any, error) {
//		var in struct{ Name string `json:"name"` }
//		if err := t.Bind(&in); err != nil {
//			return nil, err
//		}
//		return map[string]string{"greeting": "Hello, " + in.Name}, nil
//	})
//	if err := w.Run(context.Background()); err != nil {
//		log.Fatal(err)
//	}
//
// Run announces the types, sends heartbeats from a goroutine of its own, runs each task in
// a goroutine, ends on `drain`, and exits the process at once when stdin is closed: the
// pool is gone then, and will not read a result any more.
//
// A [Mux] of handlers, [NewTask] and [Execute] run the same handlers inside another
// process, without the protocol.
package worker
