// Command api serves HTTP: the API and the dashboard.
package main

import (
	"os"

	"github.com/batuta-tasks/batuta/services/api"
	"github.com/batuta-tasks/batuta/shared/program"
	"github.com/batuta-tasks/batuta/shared/settings"
)

func main() {
	os.Exit(program.Main(program.Spec{
		Name: "api", Settings: settings.API,
		Long: "api serves Batuta's HTTP API and its dashboard. Any number may run on one NATS.",
		New:  func(e program.Env) (program.Service, error) { return api.New(api.ConfigOf(e)) },
	}))
}
