// Package web holds the built dashboard.
package web

import "embed"

// Dist is the dashboard as built by `make build`: its root is `dist`. In a checkout
// where the dashboard has not been built it holds nothing but a marker file.
//
//go:embed all:dist
var Dist embed.FS
