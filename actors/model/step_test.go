package model_test

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"
)

// step is one thing that happens. What its numbers choose depends on the kind,
// and on what there is to choose from then.
type step struct {
	kind    string
	a, b, c int
}

func (s step) String() string { return fmt.Sprintf("%s %d %d %d", s.kind, s.a, s.b, s.c) }

// kinds are drawn with these weights.
var kinds = weighted(map[string]int{
	"ask": 12, "finish": 6, "leave": 2, "tunnel": 2, "fail": 2, "again": 3,
	"deploy": 8, "rollout": 3, "split": 3, "pause": 4, "stop": 2, "resume": 4, "remove": 2,
	"wait": 6, "health": 4,
	"hold disk": 1, "free disk": 2, "disk fails": 1, "disk panics": 1,
	"panic": 6, "bomb": 3,
	"hand over": 2, "take back": 1, "succeed": 2, "leave process": 1,
})

func weighted(weights map[string]int) (list []string) {
	for _, kind := range slices.Sorted(maps.Keys(weights)) {
		n := weights[kind]
		for range n {
			list = append(list, kind)
		}
	}
	return list
}

func drawStep(t *rapid.T) step {
	n := rapid.Uint64().Draw(t, "seed") // small ones are drawn more often: they are stirred
	if n == 0 {
		return step{kind: "nothing"} // what a failure's steps become that it does not need
	}
	for range 3 {
		n = (n ^ n>>31 ^ 0x5851f42d4c957f2d) * 0x9e3779b97f4a7c15
	}
	next := func(below int) int {
		n ^= n >> 29
		n *= 0xbf58476d1ce4e5b9
		return int(n>>33) % below
	}
	return step{kinds[next(len(kinds))], next(60), next(60), next(60)}
}

func (w *world) take(s step) {
	switch s.kind {
	case "ask":
		w.ask(s)
	case "finish":
		w.finish(s.a)
	case "leave":
		w.leave(s.a)
	case "tunnel":
		w.tunnel(s.a)
	case "fail":
		w.fail(s.a)
	case "again":
		w.again(s.a, s.b%2 == 0)
	case "deploy", "rollout":
		w.deploy(s)
	case "split":
		w.split(s)
	case "pause", "stop", "resume":
		w.turn(s)
	case "remove":
		w.remove(s)
	case "wait":
		w.wait(s)
	case "health":
		w.change(s)
	case "hold disk", "free disk", "disk fails", "disk panics":
		w.disk.take(s)
	case "panic":
		w.traps.set(traps[s.a%len(traps)], s.b%4)
	case "bomb":
		w.bomb(s)
	case "hand over":
		w.handOver()
	case "take back":
		w.takeBack()
	case "succeed":
		w.succeed()
	case "leave process":
		w.part()
	}
	w.settle()
}
