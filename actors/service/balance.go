package service

// rotation hands out targets round robin, leaving out those that are not
// healthy.
type rotation struct {
	targets []*target
	turn    int // whose it is
}

// next returns the next healthy target, or nil.
func (r *rotation) next() *target {
	for range r.targets {
		t := r.targets[r.turn]
		if r.turn++; r.turn == len(r.targets) {
			r.turn = 0
		}
		if t.healthy {
			return t
		}
	}
	return nil
}
