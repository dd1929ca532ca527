package report

import (
	"github.com/batuta-tasks/batuta/deploy/bench/internal/workload"
)

// rivals are what Batuta is compared with, as well tuned as they can be.
var rivals = []string{"asynq", "river", "bullmq"}

// target is a ratio, or a figure, that Batuta wants to reach.
type target struct {
	name                     string
	system, workload, figure string
	// against are the systems of which the best counts; none: the figure itself counts.
	against []string
	// theirs is the figure of the others where it differs from ours.
	theirs string
	// least or most is what the ratio must be.
	least, most float64
	unit        string
}

const (
	second          = "batuta-1s"
	always          = "batuta-always"
	secondProcesses = "batuta-1s-processes"
)

// targets of one run, in the order of the table.
var targets = []target{
	{name: "`1s`, one at a time, 8 producers", system: second, workload: "one8", figure: workload.PerSecond, against: rivals, least: 3, unit: "tasks/s"},
	{name: "`1s`, one at a time, 64 producers", system: second, workload: "one64", figure: workload.PerSecond, against: rivals, least: 4, unit: "tasks/s"},
	{name: "`1s`, in bulk, live, until recorded", system: second, workload: "bulk", figure: workload.Recorded, against: rivals, least: 3, unit: "tasks/s"},
	{name: "`1s`, drain, until recorded", system: second, workload: "drain", figure: workload.Recorded, against: rivals, least: 3, unit: "tasks/s"},
	{name: "`always`, one at a time through the API, 64 clients, against River's single inserts", system: always, workload: "api64", figure: workload.PerSecond, against: []string{"river@one64"}, least: 5, unit: "tasks/s"},
	{name: "`always`, in bulk, live, until recorded, against River", system: always, workload: "bulk", figure: workload.Recorded, against: []string{"river"}, least: 2, unit: "tasks/s"},
	{name: "`always`, drain, until recorded, against River", system: always, workload: "drain", figure: workload.Recorded, against: []string{"river"}, least: 2, unit: "tasks/s"},
	{name: "`1s`, idle, submit to start, p50", system: second, workload: "idle", figure: workload.P50, against: rivals, most: 0.6, unit: "ms"},
	{name: "`1s`, idle, submit to start, p99", system: second, workload: "idle", figure: workload.P99, against: rivals, most: 0.6, unit: "ms"},
	{name: "`1s`, idle p50 against a raw synchronous publish", system: second, workload: "idle", figure: workload.P50, against: []string{"jetstream"}, theirs: workload.CallP50, most: 6, unit: "ms"},
	{name: "`1s`, `high` over a backlog of `low`, p50", system: second, workload: "high", figure: workload.P50, against: rivals, most: 0.8, unit: "ms"},
	{name: "`1s`, `high` over a backlog of `low`, p99", system: second, workload: "high", figure: workload.P99, against: rivals, most: 0.8, unit: "ms"},
	{name: "`1s`, CPU seconds for 1,000 tasks in bulk, all processes", system: second, workload: "bulk", figure: workload.CPU, against: rivals, most: 0.5, unit: "s"},
	{name: "`1s`, memory of all processes after the bulk run", system: second, workload: "bulk", figure: workload.MemoryMB, most: 150, unit: "MB"},
	{name: "`1s`, disk for a finished task with its history", system: second, workload: "bulk", figure: workload.DiskBytes, most: 800, unit: "bytes"},
	{name: "worker processes against handlers in one process, in bulk", system: secondProcesses, workload: "bulk", figure: workload.Recorded, against: []string{second}, least: 0.8, unit: "tasks/s"},
	{name: "worker processes against handlers in one process, one at a time, 64 producers, until recorded", system: secondProcesses, workload: "one64", figure: workload.Recorded, against: []string{second}, least: 0.8, unit: "tasks/s"},
}
