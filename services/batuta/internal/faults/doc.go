// Package faults tests the whole system, its services in processes of their own, under what
// can go wrong with services, servers, networks and disks. Every test ends with the books:
// each accepted task ended exactly once, and the records are what the events say.
package faults
