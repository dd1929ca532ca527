package wire

// Worker is a worker process as its pool last reported it: a value of BucketWorkers.
type Worker struct {
	ID     string       `json:"id"`
	Pool   string       `json:"pool"`
	Host   string       `json:"host"`
	PID    int          `json:"pid"`
	Status WorkerStatus `json:"status"`
	// CPUPercent is of one core, MemoryMb resident; nil before the first sample.
	CPUPercent    *float64 `json:"cpuPercent,omitempty"`
	MemoryMb      *float64 `json:"memoryMb,omitempty"`
	AssignedTasks int      `json:"assignedTasks"`
	Concurrency   int      `json:"concurrency"`
	Completed     int64    `json:"completed"`
	Failed        int64    `json:"failed"`
	StartedAt     Time     `json:"startedAt"`
	LastHeartbeat Time     `json:"lastHeartbeat"`
	Tasks         []string `json:"tasks"`
	// Instance is the pool process that runs the worker.
	Instance string `json:"instance"`
}

// Instance is one process of a pool: the value of InstanceKey in BucketWorkers.
type Instance struct {
	Pool     string   `json:"pool"`
	Instance string   `json:"instance"`
	Host     string   `json:"host"`
	PID      int      `json:"pid"`
	Queues   []string `json:"queues"`
	// Min and Max are this process's settings, in worker processes.
	Min int `json:"min"`
	Max int `json:"max"`
	// Running workers, those in a task, and slots of all workers and those in use.
	Running   int `json:"running"`
	Active    int `json:"active"`
	Slots     int `json:"slots"`
	BusySlots int `json:"busySlots"`
	// Concurrency is the slots of one worker, as last announced or set.
	Concurrency int  `json:"concurrency"`
	Draining    bool `json:"draining,omitempty"`
	// Finished tasks and the milliseconds spent in them since the process started: the
	// autoscaler measures the service rate by their growth.
	Finished int64 `json:"finished"`
	BusyMs   int64 `json:"busyMs"`
	// ServiceUs is how long a task of each type takes at present, in microseconds: the scheduler
	// puts short ones into parcels.
	ServiceUs map[string]int64 `json:"serviceUs,omitempty"`
	// ScaleTargetMs and ScaleDownAfterMs are the process's settings.
	ScaleTargetMs    int64 `json:"scaleTargetMs"`
	ScaleDownAfterMs int64 `json:"scaleDownAfterMs"`
	StartedAt        Time  `json:"startedAt"`
	LastHeartbeat    Time  `json:"lastHeartbeat"`
}

// Desired is the autoscaler's word to a pool: the value of DesiredKey in BucketWorkers.
// While it is absent each process keeps the size it has.
type Desired struct {
	Pool    string `json:"pool"`
	Desired int    `json:"desired"`
	Min     int    `json:"min"`
	Max     int    `json:"max"`
	Paused  bool   `json:"paused"`
	Reason  string `json:"reason"`
	// ScaledAt is when Desired last changed.
	ScaledAt Time `json:"scaledAt"`
	// Instances is each process's share of Desired.
	Instances map[string]int `json:"instances"`
}

// WorkerCommand is the value of WorkerCommandKey in BucketWorkers.
type WorkerCommand struct {
	// Command is drain or kill.
	Command string `json:"command"`
	At      Time   `json:"at"`
}

// Worker commands.
const (
	CommandDrain = "drain"
	CommandKill  = "kill"
)

// Service is a running service process: the value of ServiceKey in BucketWorkers.
type Service struct {
	Service       string `json:"service"`
	Instance      string `json:"instance"`
	Host          string `json:"host"`
	PID           int    `json:"pid"`
	Version       string `json:"version"`
	StartedAt     Time   `json:"startedAt"`
	LastHeartbeat Time   `json:"lastHeartbeat"`
}

// PoolSettings is what operators set for a pool, under PoolSettingsKey in BucketSettings;
// nil leaves a setting to the pool's processes. Min and Max are totals over all processes.
type PoolSettings struct {
	Min    *int `json:"min,omitempty"`
	Max    *int `json:"max,omitempty"`
	Paused bool `json:"paused"`
}

// QueueSettings is what operators set for a queue, under QueueSettingsKey in BucketSettings.
type QueueSettings struct {
	Paused bool `json:"paused"`
	// Limits of all the queue's tasks together, Types those of single types.
	Limits
	Types map[string]Limits `json:"types,omitempty"`
}

// LimitsOf are the limits of a type, or of the whole queue where that is empty.
func (s *QueueSettings) LimitsOf(taskType string) Limits {
	if taskType == "" {
		return s.Limits
	}
	return s.Types[taskType]
}

// Epoch is the value of EpochKey in BucketSettings.
type Epoch struct {
	Since Time `json:"since"`
}
