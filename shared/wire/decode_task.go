package wire

// readEnvelope reads an envelope; false where the library has to.
func readEnvelope(b []byte, e *Envelope) bool {
	r := jsonReader{b: b}
	r.envelope(e)
	return r.end()
}

// readEnvelopes reads a parcel; nil where the library has to.
func readEnvelopes(b []byte) []*Envelope {
	r := jsonReader{b: b}
	var all []*Envelope
	r.array(func() {
		e := new(Envelope)
		r.envelope(e)
		all = append(all, e)
	})
	if !r.end() {
		return nil
	}
	return all
}

func (r *jsonReader) envelope(e *Envelope) {
	r.object(func(key []byte) {
		switch string(key) {
		case "id":
			e.ID = r.text()
		case "task":
			r.compactTask(&e.Task)
		case "attempt":
			e.Attempt = int(r.int())
		case "retries":
			e.Retries = int(r.int())
		case "round":
			e.Round = int(r.int())
		case "after":
			e.After = r.uint()
		case "submitSeq":
			e.SubmitSeq = r.uint()
		case "member":
			e.Member = int(r.int())
		case "submittedAt":
			e.SubmittedAt = r.time()
		case "dueAt":
			e.DueAt = r.time()
		case "controlSeq":
			e.ControlSeq = r.uint()
		case "hash":
			e.Hash = r.text()
		case "payload":
			e.Payload = r.value()
		case "payloadObject":
			e.PayloadObject = r.text()
		default:
			r.fail()
		}
	})
}

// readRecord reads a record; false where the library has to.
func readRecord(b []byte, rec *Record) bool {
	r := jsonReader{b: b}
	r.object(func(key []byte) {
		switch string(key) {
		case "id":
			rec.ID = r.text()
		case "status":
			rec.Status = Status(r.name())
		case "attempt":
			rec.Attempt = int(r.int())
		case "retries":
			rec.Retries = int(r.int())
		case "fence":
			rec.Fence = r.uint()
		case "result":
			rec.Result = r.value()
		case "worker":
			rec.Worker = r.text()
		case "pool":
			rec.Pool = r.text()
		case "submittedAt":
			rec.SubmittedAt = r.time()
		case "scheduledFor":
			rec.ScheduledFor = r.time()
		case "startedAt":
			rec.StartedAt = r.time()
		case "finishedAt":
			rec.FinishedAt = r.time()
		case "waitTimeMs":
			rec.WaitTimeMs = new(r.int())
		case "executionTimeMs":
			rec.ExecutionTimeMs = new(r.int())
		case "meta":
			r.object(func(key []byte) { r.meta(&rec.Meta, key) })
		default:
			r.definition(&rec.Definition, key)
		}
	})
	return r.end()
}

func (r *jsonReader) definition(d *Definition, key []byte) {
	switch string(key) {
	case "type":
		d.Type = r.text()
	case "queue":
		d.Queue = r.text()
	case "priority":
		d.Priority = Priority(r.text())
	case "maxRetries":
		d.MaxRetries = int(r.int())
	case "backoff":
		if raw := r.raw(); string(raw) == defaultBackoffJSON {
			d.Backoff = DefaultBackoff
		} else {
			r.fail()
		}
	case "timeoutMs":
		d.TimeoutMs = r.int()
	case "delayMs":
		d.DelayMs = r.int()
	case "runAt":
		d.RunAt = r.time()
	case "deadline":
		d.Deadline = r.time()
	case "retentionMs":
		d.RetentionMs = r.int()
	case "tags":
		r.tags(&d.Tags)
	default:
		r.fail()
	}
}

func (r *jsonReader) meta(m *Meta, key []byte) {
	switch string(key) {
	case "submitSeq":
		m.SubmitSeq = r.uint()
	case "member":
		m.Member = int(r.int())
	case "hash":
		m.Hash = r.text()
	case "round":
		m.Round = int(r.int())
	case "laneSeq":
		m.LaneSeq = r.uint()
	case "controlSeq":
		m.ControlSeq = r.uint()
	case "crashes":
		m.Crashes = int(r.int())
	case "dueAt":
		m.DueAt = r.time()
	case "updatedAt":
		m.UpdatedAt = r.time()
	case "history":
		m.History = []Position{}
		r.array(func() {
			p, err := ParsePosition(string(r.token()))
			if err != nil {
				r.fail()
			}
			m.History = append(m.History, p)
		})
	default:
		r.fail()
	}
}
