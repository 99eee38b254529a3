// Package model has one test: random orders of several operators, requests that
// come, wait, go, leave and become tunnels, apps that get well and ill, a disk
// that fails, hand-overs from process to process, and panics wherever a function
// is called that the actors were given; against a plain model of what all of it
// should come to. What happens is drawn first, as a list of steps, so a failure
// is made as short as it can be.
//
//	make model
package model
