package upstream

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Both the time's end and a connection may wait for a process that stood still:
// then there is a connection.
func TestAConnectionThatIsThereInTheEndIsTaken(t *testing.T) {
	const limit = time.Second
	for took, want := range map[time.Duration]string{
		limit / 2:          "",
		limit + lastLook/2: "",
		limit + 2*lastLook: "it took no connection within 1s",
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
