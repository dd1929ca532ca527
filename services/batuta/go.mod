module github.com/batuta-tasks/batuta/services/batuta

go 1.26.0

require (
	github.com/batuta-tasks/batuta/services/api v0.0.0
	github.com/batuta-tasks/batuta/services/scheduler v0.0.0
	github.com/batuta-tasks/batuta/services/state-recorder v0.0.0
	github.com/batuta-tasks/batuta/services/worker-pool v0.0.0
	github.com/batuta-tasks/batuta/shared v0.0.0
	github.com/batuta-tasks/batuta/web v0.0.0
)

require (
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/fasthttp/websocket v1.5.12
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/molecule-man/go-brrr v1.3.1 // indirect
	github.com/nats-io/jwt/v2 v2.8.2 // indirect
	github.com/nats-io/nats-server/v2 v2.15.2 // indirect
	github.com/nats-io/nats.go v1.55.0 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/savsgio/gotils v0.0.0-20240704082632-aef3928b8a38 // indirect
	github.com/shirou/gopsutil/v3 v3.24.5 // indirect
	github.com/spf13/cobra v1.10.2
	github.com/spf13/pflag v1.1.0
	github.com/stretchr/testify v1.12.1
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasthttp v1.78.0 // indirect
	go.uber.org/goleak v1.3.0
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/image v0.47.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/term v0.47.0
	golang.org/x/time v0.16.0 // indirect
)

replace (
	github.com/batuta-tasks/batuta/services/api => ../../services/api
	github.com/batuta-tasks/batuta/services/scheduler => ../../services/scheduler
	github.com/batuta-tasks/batuta/services/state-recorder => ../../services/state-recorder
	github.com/batuta-tasks/batuta/services/worker-pool => ../../services/worker-pool
	github.com/batuta-tasks/batuta/shared => ../../shared
	github.com/batuta-tasks/batuta/web => ../../web
)
