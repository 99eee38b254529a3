package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestDateGoesOnOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble's clock begins at 2000-01-01
		var c Clock
		for _, want := range []string{"Sat, 01 Jan 2000 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:01 GMT"} {
			first, second := c.Date(), c.Date()
			if first != want || second != want {
				t.Errorf("%q, then %q, want %q", first, second, want)
			}
			time.Sleep(time.Second)
		}
	})
}
