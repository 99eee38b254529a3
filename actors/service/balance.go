package service

// rotation hands out targets round robin, leaving out those that are not
// healthy.
type rotation struct {
	targets []*target
	last    int
}

// next returns the next healthy target, or nil.
func (r *rotation) next() *target {
	for range r.targets {
		r.last++
		if r.last >= len(r.targets) {
			r.last = 0
		}
		if t := r.targets[r.last]; t.healthy {
			return t
		}
	}
	return nil
}
