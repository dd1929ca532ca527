// Package wire is everything that Batuta's services must agree on: subjects, headers, stream,
// bucket and consumer names, messages, states, events and rules of validation, each once.
// It imports the standard library only.
//
// # The states of a task
//
// A task's record is the fold of its events by [Next], in the order of the event stream.
// The recorder alone writes records. The columns say which event leads where; a cell that is
// empty means that the event is ignored there, "refused" that it is refused and an
// EventRefused published.
//
//		event           none        scheduled  pending     inProgress   retrying    completed  failed     cancelled
//		submitted       pending¹    other submissions under the same id: duplicate or collision, everywhere
//		dispatched                  pending    pending²    inProgress²  pending³
//		scheduled: delay            scheduled
//		           manual                                                                      pending⁴   pending⁴
//		           repair           pending⁴   pending⁴    pending⁴     pending⁴
//		started         inProgress⁵ inProgress inProgress  inProgress⁶  inProgress³
//		progress                                           inProgress⁷
//		completed                   refused    refused     completed⁷   refused     refused⁸   refused    refused
//		failed                      failed⁹    failed⁹     retrying or failed⁷ failed⁹ refused refused⁸   refused
//		reassigned                                         pending⁷
//		cancelled                   cancelled  cancelled   cancelled    cancelled
//		deleted                                                                     removed    removed    removed
//
//	 1. scheduled, where it is to run later.
//	 2. It learns its lane sequence. A task whose holder is gone may be moved to another lane
//	    before anybody takes it again.
//	 3. Of the next attempt only.
//	 4. A new round: what belongs to an earlier one is refused or ignored from then on.
//	 5. Where the submission is younger than YoungSubmission: in the event stream a start may
//	    stand before its submission.
//	 6. With a higher fence only. It counts a crash: the earlier hand-out neither ended nor was
//	    handed back in order.
//	 7. With the fence of the latest hand-out only; an outcome with a lower one is refused.
//	 8. The very outcome that was recorded, told twice, is ignored.
//	 9. By the scheduler (fence 0) or by a taker that does not start it (a fence above the
//	    recorded one): deadline, crashed.
//
// Every event of a hand-out must also be of the record's round and attempt. Commands
// (cancelled, manual retries, deleted) carry their sequence in the control stream; one that
// is not newer than the last applied is ignored.
package wire
