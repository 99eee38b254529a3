package spec

import (
	"fmt"
	"hash/fnv"
	"testing"
)

func TestRolloutFollowsTheHashOfTheCookie(t *testing.T) {
	for _, percent := range []int{0, 1, 33, 50, 99, 100} {
		r, err := NewRollout(percent, []string{"listed"})
		if err != nil {
			t.Fatal(err)
		}
		in := 0
		for i := range 2000 {
			cookie := fmt.Sprint("visitor-", i)
			h := fnv.New32a()
			h.Write([]byte(cookie))
			want := percent > 0 && float64(h.Sum32()) <= float64(0xFFFFFFFF)*float64(percent)/100
			if r.Includes(cookie) != want {
				t.Errorf("%d percent, %s: %v, want %v", percent, cookie, !want, want)
			}
			if want {
				in++
			}
		}
		if share := in / 20; share < percent-5 || share > percent+5 {
			t.Errorf("%d percent are %d", percent, share)
		}
		if !r.Includes("listed") || r.Includes("") {
			t.Errorf("%d percent: the listed are always in, nobody without a cookie is", percent)
		}
	}
	if (*Rollout)(nil).Includes("x") {
		t.Error("no rollout includes somebody")
	}
	for _, percent := range []int{-1, 101} {
		if _, err := NewRollout(percent, nil); err == nil {
			t.Errorf("%d percent was accepted", percent)
		}
	}
}

func TestRolloutKeepsItsOwnList(t *testing.T) {
	list := []string{"a"}
	r, _ := NewRollout(0, list)
	if list[0] = "b"; !r.Includes("a") || r.Includes("b") {
		t.Error("the caller's list is the rollout's")
	}
}
