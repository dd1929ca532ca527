// Command worker-pool runs tasks in worker processes.
package main

import (
	"os"

	workerpool "github.com/batuta-tasks/batuta/services/worker-pool"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
)

func main() {
	os.Exit(program.Main(program.Spec{
		Name: "worker-pool", Settings: settings.WorkerPool,
		Long: "worker-pool takes Batuta's tasks from their queues and runs them in worker processes. Any number may run on one NATS.",
		New:  func(e program.Env) (program.Service, error) { return workerpool.New(workerpool.ConfigOf(e)) },
	}))
}
