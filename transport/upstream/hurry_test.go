package upstream

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAConnectionHasItsTime(t *testing.T) {
	const limit = time.Second
	for took, want := range map[time.Duration]string{
		limit - 1: "",
		limit + 1: "it took no connection within 1s",
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := within(limit, func(ctx context.Context) (net.Conn, error) {
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(took):
					return nil, nil
				}
			})(t.Context())
			if (err == nil) != (want == "") || err != nil && err.Error() != want {
				t.Errorf("a connection after %v: %v, want %q", took, err, want)
			}
		})
	}
	refused := errors.New("refused")
	_, err := within(limit, func(context.Context) (net.Conn, error) { return nil, refused })(t.Context())
	if !errors.Is(err, refused) {
		t.Errorf("what is refused at once: %v", err)
	}
}

// A timer that comes late, for whatever reason, does not take others along.
func TestATimeInWhichTheProcessStoodStillIsOneBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, late := time.Now(), sync.OnceFunc(func() { time.Sleep(time.Minute) })
		ctx := slowly{t.Context(), late}
		ended := make(chan time.Duration)
		afterBeats(ctx, time.Second, func() { ended <- time.Since(began) })
		if took := <-ended; took != time.Minute+beats*time.Second {
			t.Errorf("it ended after %v", took)
		}
	})
}

// slowly is a context that takes its time to tell whether it has ended.
type slowly struct {
	context.Context
	wait func()
}

func (s slowly) Err() error {
	s.wait()
	return s.Context.Err()
}
