// Command scheduler runs one replica of Batuta's scheduler.
package main

import (
	"os"

	"github.com/batuta-tasks/batuta/services/scheduler"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
)

func main() {
	os.Exit(program.Main(program.Spec{
		Name: "scheduler", Settings: settings.Scheduler,
		Long: "scheduler takes Batuta's submissions in and decides what runs when. Any number may run on one NATS.",
		New:  func(e program.Env) (program.Service, error) { return scheduler.New(scheduler.ConfigOf(e)) },
	}))
}
