package api

import (
	"context"

	"github.com/batuta-tasks/batuta/services/api/internal/readmodel"
)

// model is the read model with the life of the service.
type model struct{ *readmodel.Model }

// startModel begins to read; the model says by Ready when it has caught up.
func startModel(ctx context.Context, cfg Config) (*model, error) {
	m := readmodel.New(readmodel.Config{JS: cfg.JS, Log: cfg.Log, Defaults: cfg.Defaults})
	if err := m.Start(ctx); err != nil {
		return nil, err
	}
	return &model{m}, nil
}

func (m *model) stop(ctx context.Context) error { return m.Stop(ctx) }
