// Package client submits tasks from Go.
//
//	c, err := client.New(nc)
//	...
//	defer c.Close()
//	at, err := c.Submit(ctx, client.Task{Type: "image.resize", Payload: in})
//
// When Submit returns without an error the task is stored durably and will reach an end
// state. A client may be used by any number of goroutines, and should be: it is group
// commit. What arrives while a publish is in flight goes together into the next one, as one
// array, so that load makes batches and an idle system adds no delay. The outcome of every
// publish is found out: where the answer is lost, the same bytes go out again under the same
// message id, which the stream's window of two minutes takes for one, until the deadline of
// those who wait.
//
// [Submitter] is the same for submissions that have been read and checked already, as by the
// HTTP API.
package client
