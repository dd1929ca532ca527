// Package submit stores accepted tasks in the stream of submissions.
//
// It is group commit: what arrives while a publish is in flight goes together into the
// next one, as one array, so that load makes batches and an idle system adds no delay. The
// outcome of every publish is found out: where the answer is lost, the same bytes go out
// again under the same message id, which the stream's window of two minutes takes for one,
// until the deadline of those who wait.
package submit
