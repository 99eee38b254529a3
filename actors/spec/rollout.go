package spec

import (
	"fmt"
	"math"
	"slices"
)

// NewRollout sends percent of the visitors who carry the rollout cookie, and
// those whose cookie is in list, to the rollout targets.
func NewRollout(percent int, list []string) (*Rollout, error) {
	if err := checkPercentage(percent); err != nil {
		return nil, err
	}
	return &Rollout{
		Percentage:           percent,
		PercentageSplitPoint: splitPoint(percent),
		Allowlist:            slices.Clone(list),
	}, nil
}

// Includes reports whether a request with this value of the rollout cookie
// goes to the rollout targets. Without a cookie it never does.
func (r *Rollout) Includes(cookie string) bool {
	if r == nil || cookie == "" {
		return false
	}
	if r.Percentage > 0 && hash(cookie) <= r.PercentageSplitPoint {
		return true
	}
	return slices.Contains(r.Allowlist, cookie)
}

func checkPercentage(percent int) error {
	if percent < 0 || percent > 100 {
		return fmt.Errorf("percent is %d: it goes from 0 to 100", percent)
	}
	return nil
}

func splitPoint(percent int) uint32 {
	return uint32(math.MaxUint32 * uint64(max(0, min(percent, 100))) / 100)
}

// hash is FNV-1a of 32 bits.
func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
