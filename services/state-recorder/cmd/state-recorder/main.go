// Command state-recorder folds events into the records of tasks.
package main

import (
	"os"

	recorder "github.com/batuta-tasks/batuta/services/state-recorder"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
)

func main() {
	os.Exit(program.Main(program.Spec{
		Name: "state-recorder", Settings: settings.StateRecorder,
		Long: "state-recorder folds Batuta's events into the record of each task. Any number may run on one NATS.",
		New:  func(e program.Env) (program.Service, error) { return recorder.New(recorder.ConfigOf(e)) },
	}))
}
