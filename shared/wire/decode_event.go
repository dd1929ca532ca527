package wire

// readEvents reads a message of StreamEvents; nil where the library has to.
func readEvents(b []byte) []Event {
	r := jsonReader{b: b}
	// An event of the hot path takes some 300 bytes.
	events := make([]Event, 0, len(b)/300+1)
	r.array(func() {
		events = append(events, Event{})
		r.event(&events[len(events)-1])
	})
	if !r.end() {
		return nil
	}
	return events
}

func (r *jsonReader) event(e *Event) {
	r.object(func(key []byte) {
		switch string(key) {
		case "seq":
			e.Seq = r.text()
		case "timestamp":
			e.Timestamp = r.time()
		case "event":
			e.Event = EventName(r.name())
		case "description":
			e.Description = r.text()
		case "taskId":
			e.TaskID = r.text()
		case "workerId":
			e.WorkerID = r.name()
		case "pool":
			e.Pool = r.name()
		case "attempt":
			e.Attempt = int(r.int())
		case "data":
			r.object(func(key []byte) { r.eventData(&e.Data, key) })
		default:
			r.fail()
		}
	})
}

// eventData reads what events of the hot path hold.
func (r *jsonReader) eventData(d *EventData, key []byte) {
	switch string(key) {
	case "task":
		d.Task = new(Compact)
		r.compactTask(d.Task)
	case "submitSeq":
		d.SubmitSeq = r.uint()
	case "member":
		d.Member = int(r.int())
	case "submittedAt":
		d.SubmittedAt = r.time()
	case "hash":
		d.Hash = r.text()
	case "round":
		d.Round = int(r.int())
	case "fence":
		d.Fence = r.uint()
	case "laneSeq":
		d.LaneSeq = r.uint()
	case "retries":
		d.Retries = new(int(r.int()))
	case "controlSeq":
		d.ControlSeq = r.uint()
	case "dueAt":
		d.DueAt = r.time()
	case "result":
		d.Result = r.value()
	case "executionTimeMs":
		d.ExecutionTimeMs = new(r.int())
	case "waitTimeMs":
		d.WaitTimeMs = new(r.int())
	case "lane":
		d.Lane = r.name()
	case "first":
		d.First = r.uint()
	case "sizes":
		d.Sizes = []int{}
		r.array(func() { d.Sizes = append(d.Sizes, int(r.int())) })
	case "ids":
		d.IDs = []string{}
		r.array(func() { d.IDs = append(d.IDs, r.text()) })
	default:
		r.fail()
	}
}

// compactTask reads a definition and fills in what was left out.
func (r *jsonReader) compactTask(c *Compact) {
	d := StandardDefaults
	*c = Compact{
		Queue: "default", Priority: PriorityMedium, MaxRetries: d.MaxRetries, Backoff: DefaultBackoff, TimeoutMs: d.TimeoutMs,
		RetentionMs: d.RetentionMs, Tags: map[string]string{},
	}
	r.object(func(key []byte) {
		switch string(key) {
		case "type":
			c.Type = r.name()
		case "queue":
			c.Queue = r.name()
		case "priority":
			c.Priority = Priority(r.name())
		case "maxRetries":
			c.MaxRetries = int(r.int())
		case "timeoutMs":
			c.TimeoutMs = r.int()
		case "delayMs":
			c.DelayMs = r.int()
		case "runAt":
			c.RunAt = r.time()
		case "deadline":
			c.Deadline = r.time()
		case "retentionMs":
			c.RetentionMs = r.int()
		case "tags":
			r.tags(&c.Tags)
		default:
			r.fail()
		}
	})
}

func (r *jsonReader) tags(into *map[string]string) {
	tags := map[string]string{}
	r.object(func(key []byte) { tags[string(key)] = r.text() })
	*into = tags
}
