// Package readmodel is what the API knows of the system: columns in memory that follow the
// streams and buckets of NATS. It owns no state; after a start it reads everything anew.
//
// # What is followed
//
//   - the bucket of task records, as columns for lists, counts and facets. Records themselves
//     are read from the bucket when a page shows them;
//   - the stream of submissions, from what the scheduler has acknowledged on. A submission
//     without a record yet is a row too (the overlay): pending, or scheduled. Such a row goes
//     when its record arrives, when the submission is rejected or is a duplicate, or when
//     recorder and scheduler have passed it and there is no record;
//   - the buckets of workers and settings, the stream of samples, and the end of the stream
//     of events.
//
// # What a reader can rely on
//
// A query sees every row once, before or after what happens to it meanwhile. A task whose
// retention is over is seen nowhere, however long its record is still kept. A cursor names
// a place in the order, not a number of rows to pass over: whatever does not change its place
// is listed once. Where a listed task has changed so that the filter no longer takes it, the
// page leaves it out.
//
// # After a fault
//
// When the connection is made anew each follower reads on where it was; it reads everything
// anew where the stream is another one, or where markers of deleted keys may be gone.
package readmodel
