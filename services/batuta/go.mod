module github.com/batuta-tasks/batuta/services/batuta

go 1.26.0

require (
	github.com/batuta-tasks/batuta/shared v0.0.0
	github.com/batuta-tasks/batuta/web v0.0.0
	github.com/batuta-tasks/batuta/services/scheduler v0.0.0
	github.com/batuta-tasks/batuta/services/worker-pool v0.0.0
	github.com/batuta-tasks/batuta/services/state-recorder v0.0.0
	github.com/batuta-tasks/batuta/services/api v0.0.0
)

replace (
	github.com/batuta-tasks/batuta/shared => ../../shared
	github.com/batuta-tasks/batuta/web => ../../web
	github.com/batuta-tasks/batuta/services/scheduler => ../../services/scheduler
	github.com/batuta-tasks/batuta/services/worker-pool => ../../services/worker-pool
	github.com/batuta-tasks/batuta/services/state-recorder => ../../services/state-recorder
	github.com/batuta-tasks/batuta/services/api => ../../services/api
)
