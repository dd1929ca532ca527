package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/batuta-tasks/batuta/services/batuta/internal/apiclient"
	"github.com/batuta-tasks/batuta/shared/wire"
)

// filterFlags are the filters of GET /tasks; each flag is called as its filter.
type filterFlags struct {
	status, taskType, queue, priority, worker, q string
	tags                                         []string
}

func (f *filterFlags) register(a *app, cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.status, "status", "", "only of these `states`: "+strings.Join(words(wire.Statuses), ", ")+" (comma = or)")
	fs.StringVar(&f.taskType, "type", "", "only of these `types`, 'image.*' for all below image (comma = or)")
	fs.StringVar(&f.queue, "queue", "", "only of these `queues` (comma = or)")
	fs.StringVar(&f.priority, "priority", "", "only of these `priorities`: "+strings.Join(words(wire.Priorities), ", ")+" (comma = or)")
	fs.StringVar(&f.worker, "worker", "", "only on these `workers` (comma = or)")
	fs.StringArrayVar(&f.tags, "tag", nil, "only with this tag, as `key:value`; repeated: with any of them")
	fs.StringVar(&f.q, "q", "", "only ids that begin with this `text`")
	complete(cmd, "status", fixed(words(wire.Statuses)))
	complete(cmd, "priority", fixed(words(wire.Priorities)))
	complete(cmd, "queue", a.queueNames)
	complete(cmd, "worker", a.workerIDs)
}

// filter is what was asked for; empty where nothing was.
func (f *filterFlags) filter() (apiclient.Filter, error) {
	if err := oneOf("status", f.status, words(wire.Statuses)); err != nil {
		return nil, err
	}
	if err := oneOf("priority", f.priority, words(wire.Priorities)); err != nil {
		return nil, err
	}
	out := apiclient.Filter{}
	for name, value := range map[string]string{
		"status": f.status, "type": f.taskType, "queue": f.queue, "priority": f.priority, "worker": f.worker, "q": f.q,
	} {
		if value != "" {
			out[name] = value
		}
	}
	tags, err := f.tagFilter()
	if tags != "" {
		out["tag"] = tags
	}
	return out, err
}

// tagFilter takes key=value too, as `submit` does.
func (f *filterFlags) tagFilter() (string, error) {
	tags := make([]string, len(f.tags))
	for i, t := range f.tags {
		at := strings.IndexAny(t, ":=")
		if at <= 0 {
			return "", usagef("--tag: %q is not key:value", t)
		}
		tags[i] = t[:at] + ":" + t[at+1:]
	}
	return strings.Join(tags, ","), nil
}

func words[T ~string](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
