package openapi

import (
	"reflect"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// accepted stands for the answer to one task or to several.
type accepted struct{}

func init() {
	described[reflect.TypeFor[accepted]()] = object{"oneOf": []object{ref("SubmitAnswer"), ref("BulkAnswer")}}
}

func bounded(least, most any, absent any) object {
	o := object{"type": []string{"integer", "null"}, "minimum": least, "maximum": most}
	if absent != nil {
		o["default"] = absent
	}
	return o
}

func pattern(p, description string) object {
	return object{"type": []string{"string", "null"}, "pattern": p, "description": description}
}

var whenever = object{"type": []string{"string", "null"}, "format": "date-time"}

// oneOrMore is a filter in a body: a string, or an array of them (or).
func oneOrMore(description string) object {
	return object{"description": description, "oneOf": []object{{"type": "string"}, array(object{"type": "string"})}}
}

var (
	maxConcurrent = withDescription(bounded(1, wire.MaxConcurrentLimit, nil),
		"Tasks that run at once, over all pools and priorities; null for no limit.")
	ratePerSecond = object{
		"type": []string{"number", "null"}, "exclusiveMinimum": 0, "maximum": wire.MaxRateLimit,
		"description": "Starts a second, over all pools and priorities; after a pause at most a tenth of that, at least one, comes at once. Null for no limit.",
	}
)

// inputs are the schemas of bodies.
var inputs = object{
	"Submission": closed(object{
		"id":         pattern("^[A-Za-z0-9_-]{1,64}$", "Made by Batuta where it is left out; not of the form task-<n>."),
		"type":       object{"type": "string", "pattern": `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`, "maxLength": 64},
		"queue":      object{"type": []string{"string", "null"}, "pattern": "^[A-Za-z0-9_-]{1,32}$", "default": "default"},
		"priority":   object{"type": []string{"string", "null"}, "enum": []any{"critical", "high", "medium", "low", nil}, "default": "medium"},
		"payload":    anyJSON("Any JSON, up to 64 MiB; numbers keep their digits."),
		"maxRetries": bounded(0, 100, wire.StandardDefaults.MaxRetries),
		"backoff": object{"type": []string{"object", "null"}, "additionalProperties": false, "properties": object{
			"policy": object{"type": []string{"string", "null"}, "enum": []any{"fixed", "linear", "exponential", nil}, "default": wire.DefaultBackoff.Policy},
			"baseMs": bounded(1, 86_400_000, wire.DefaultBackoff.BaseMs),
			"maxMs":  bounded(1, 86_400_000, wire.DefaultBackoff.MaxMs),
			"jitter": object{"type": []string{"number", "null"}, "minimum": 0, "maximum": 1, "default": wire.DefaultBackoff.Jitter},
		}},
		"timeoutMs":   bounded(1, 604_800_000, wire.StandardDefaults.TimeoutMs),
		"delayMs":     bounded(0, int64(31_536_000_000), nil),
		"runAt":       withDescription(whenever, "Not beside delayMs; up to a year ahead."),
		"deadline":    withDescription(whenever, "A task not finished by then ends as failed."),
		"retentionMs": bounded(60_000, int64(2_592_000_000), wire.StandardDefaults.RetentionMs),
		"tags": object{
			"type": []string{"object", "null"}, "description": "Up to 16.", "maxProperties": 16,
			"propertyNames": object{"pattern": "^[A-Za-z0-9_.-]{1,32}$"}, "additionalProperties": object{"type": "string", "maxLength": 128},
		},
	}, "type"),
	"BulkFilter": closed(object{
		"status": oneOrMore("Statuses."), "type": oneOrMore("Types; image.* takes all below image."), "queue": oneOrMore("Queues."),
		"priority": oneOrMore("Priorities."), "worker": oneOrMore("Workers."), "tag": oneOrMore("key:value pairs."),
		"q":      object{"type": "string", "description": "Prefix of the id."},
		"ids":    object{"type": "array", "items": object{"type": "string"}, "minItems": 1, "maxItems": 10_000, "description": "The tasks one by one, in place of filters."},
		"dryRun": object{"type": "boolean", "default": false},
	}),
	"PoolChange": closed(object{
		"min": bounded(0, 100_000, nil), "max": bounded(1, 100_000, nil), "paused": object{"type": "boolean"},
	}),
	"QueueChange": closed(object{
		"paused": object{"type": "boolean"}, "maxConcurrent": maxConcurrent, "ratePerSecond": ratePerSecond,
		"types": object{
			"type": []string{"object", "null"}, "description": "Limits by type: a type not named keeps its own, null takes them away.",
			"maxProperties": wire.MaxLimitedTypes,
			"additionalProperties": object{"oneOf": []object{
				closed(object{"maxConcurrent": maxConcurrent, "ratePerSecond": ratePerSecond}), {"type": "null"},
			}},
		},
	}),
	"SignIn": closed(object{"token": object{"type": "string", "minLength": 1}}, "token"),
}
