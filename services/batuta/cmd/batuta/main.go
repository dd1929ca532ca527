// Command batuta runs, submits and watches tasks; `batuta --help` lists what it can do.
package main

import (
	"context"
	"os"

	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos"
	"github.com/batuta-tasks/batuta/services/batuta/internal/chaos/role"
	"github.com/batuta-tasks/batuta/services/batuta/internal/cli"
	"github.com/batuta-tasks/batuta/services/batuta/internal/up"
	"github.com/batuta-tasks/batuta/services/batuta/internal/workercmd"
)

func main() {
	commands := cli.Commands{Up: up.Run, Worker: workercmd.Run, Chaos: chaos.Run, Role: role.Run}
	os.Exit(cli.New(commands, cli.ProcessIO()).Run(context.Background(), os.Args[1:]))
}
