package systems

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BullMQ keeps tasks in Redis and runs on Node. It waits on Redis and polls nothing.
type BullMQ struct{}

// Name of the system.
func (BullMQ) Name() string { return "bullmq" }

// Promise of the system.
func (BullMQ) Promise() string { return PromiseSecond }

// Runs tells whether the system takes part in a workload.
func (BullMQ) Runs(workload string) bool { return workload != "api64" }

// Command of its producers and workers: see the folder bullmq.
func (BullMQ) Command(e Env, kind string) []string {
	return []string{"node", filepath.Join(e.Root, "bullmq", kind+".mjs")}
}

// Versions of what is compared.
func (BullMQ) Versions(ctx context.Context, e Env) []string {
	var pkg struct{ Version string }
	b, err := os.ReadFile(filepath.Join(e.Root, "bullmq", "node_modules", "bullmq", "package.json"))
	if err != nil || json.Unmarshal(b, &pkg) != nil {
		pkg.Version = "of an unknown version"
	}
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		node = []byte("of an unknown version")
	}
	return []string{"BullMQ " + pkg.Version, "Node.js " + strings.TrimSpace(string(node)), redisVersion(ctx)}
}

// Start starts Redis.
func (BullMQ) Start(ctx context.Context, e Env) (*Server, error) { return startRedis(ctx, e) }
