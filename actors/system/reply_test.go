package system_test

import (
	"context"
	"errors"
	"testing"

	"kamal-proxy/actors/system"
)

func TestReplyIsAnsweredOnce(t *testing.T) {
	r := ask()
	if !r.Answer(1, nil) || r.Answer(2, nil) {
		t.Error("the first answer does not win")
	}
	r.Fail(0, errors.New("late"))
	if n, err := r.Wait(t.Context(), nil); n != 1 || err != nil {
		t.Errorf("the answer is %d, %v", n, err)
	}
	var nobody *system.Reply[int]
	if nobody.Answer(1, nil) || nobody.Ticket().Asked != nil {
		t.Error("somebody answers for nobody")
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	why := errors.New("the caller left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := ask().Wait(ctx, nil); !errors.Is(err, why) {
		t.Errorf("Wait returned %v", err)
	}
	answered := ask()
	answered.Answer(7, nil)
	if n, err := answered.Wait(ctx, nil); n != 7 || err != nil {
		t.Errorf("an answer that is there is not taken: %d, %v", n, err)
	}
}
