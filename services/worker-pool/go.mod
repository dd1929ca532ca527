module github.com/batuta-tasks/batuta/services/worker-pool

go 1.26.0

require (
	github.com/batuta-tasks/batuta/shared v0.0.0
)

replace (
	github.com/batuta-tasks/batuta/shared => ../../shared
)
