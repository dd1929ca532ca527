// Package manifests checks the examples under deploy/kubernetes against the programs.
package manifests
