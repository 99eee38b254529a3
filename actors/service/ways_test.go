package service

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"kamal-proxy/actors/spec"
)

func TestBudget(t *testing.T) {
	now := time.Now()
	take := func(b *budget, at time.Time, underWay int) (n int) {
		for b.take(at, underWay) {
			if n++; n > 100_000 {
				break
			}
		}
		return n
	}
	for _, c := range []struct {
		what     string
		requests int           // that came
		within   time.Duration // since the budget began
		underWay int
		want     int
	}{
		{"a service that nobody uses", 0, time.Hour, 0, 100},
		{"a burst", 1000, 0, 0, 300},
		{"1,000 a second for long", 3_600_000, time.Hour, 0, 2100},
		{"one a second for long", 3600, time.Hour, 0, 102},
		{"idle for long, then many at once", 500, time.Hour, 500, 200},
	} {
		b := budget{looked: now}
		b.seen = c.requests
		if got := take(&b, now.Add(c.within), c.underWay); math.Abs(float64(got-c.want)) > 1 {
			t.Errorf("%s: %d retries, want %d", c.what, got, c.want)
		}
	}
}

// A pool that fails all of its requests gets 120 for 100, and the floor.
func TestBudgetInTheLongRun(t *testing.T) {
	now := time.Now()
	b := budget{looked: now}
	retries := 0
	for range 60_000 { // a minute of 1,000 a second
		now = now.Add(time.Millisecond)
		b.seen++
		if b.take(now, 10) {
			retries++
		}
	}
	if retries < 12_000 || retries > 60_000/5+7*retryFloor {
		t.Errorf("%d of 60,000 requests were sent again", retries)
	}
}

func TestRecord(t *testing.T) {
	now := time.Now()
	fail := func(r *record, n int) (keeps bool) {
		for range n {
			keeps = r.failure(now, "down")
		}
		return keeps
	}
	answer := func(r *record, n int) {
		for range n {
			r.answered()
		}
	}

	var row record
	answer(&row, 1000)
	if fail(&row, ejectRow-1) {
		t.Error("four in a row are enough")
	}
	if !fail(&row, 1) {
		t.Error("five in a row are not enough")
	}
	if row.last != "down" || !row.since.Equal(now) {
		t.Errorf("it is known as %+v", row)
	}
	answer(&row, 1)
	if fail(&row, ejectRow-1) {
		t.Error("the row went on after an answer")
	}

	var half record
	keeps := false
	for range ejectSample {
		answer(&half, 1)
		keeps = fail(&half, 1)
	}
	if !keeps {
		t.Error("a target that fails each second request is kept")
	}
	var third record
	for range 100 {
		answer(&third, 2)
		if fail(&third, 1) {
			t.Fatal("a target that fails each third request is taken out")
		}
	}
	var slow record // five failures, but each in a window of its own
	for range 100 {
		answer(&slow, 1)
		if fail(&slow, 1) {
			t.Fatal("failures of different windows are added up")
		}
		now = now.Add(ejectWindow + 1)
	}
}

func TestEjectionsGrow(t *testing.T) {
	var r record
	now := time.Now()
	var got []string
	for range 6 {
		d := r.eject(now)
		got = append(got, d.String())
		now = now.Add(d + time.Second)
	}
	now = now.Add(ejectForgiven)
	got = append(got, r.eject(now).String())
	if s := strings.Join(got, " "); s != "5s 10s 20s 40s 1m0s 1m0s 5s" {
		t.Errorf("ejections last %s", s)
	}
	r.ejections = 1 << 40
	if d := r.eject(now); d != ejectLongest {
		t.Errorf("a long row of ejections ends with %v", d)
	}
}

func team(names string) *rotation {
	r := &rotation{}
	for _, name := range strings.Fields(names) {
		r.targets = append(r.targets, &target{name: name, healthy: true, token: token("key", name)})
	}
	r.arrange(false)
	return r
}

func TestPanicThreshold(t *testing.T) {
	r := team("a b c d")
	for ejected, want := range []int{4, 3, 2, 4, 4} {
		for i, x := range r.targets {
			x.ejected = i < ejected
		}
		if r.arrange(false); len(r.ready) != want {
			t.Errorf("with %d of 4 ejected, %d take their turn, want %d", ejected, len(r.ready), want)
		}
	}
	for i, x := range r.targets { // a is ejected; of b, c, d the checks say no
		x.ejected, x.healthy = i == 0, i == 0
	}
	if r.arrange(false); len(r.ready) != 1 || r.ready[0].name != "a" {
		t.Error("the last one is left out")
	}
}

func TestAReturningTargetGetsItsShare(t *testing.T) {
	for withheld, want := range map[int]int{9: 7, 5: 30, 0: 50} { // of 100 that two targets get
		for way, choose := range map[string]func(*rotation) *target{
			"in turn": (*rotation).next,
			"least":   func(r *rotation) *target { return r.least(rand.IntN) },
		} {
			r := team("a b")
			r.targets[1].withheld = withheld
			got := 0
			for range 1000 {
				if choose(r).name == "b" {
					got++
				}
			}
			if math.Abs(float64(got)/10-float64(want)) > 10 {
				t.Errorf("%s, with %d tenths withheld, it gets %d of 1000, want about %d0", way, withheld, got, want)
			}
		}
	}
	both := team("a b")
	both.targets[0].withheld, both.targets[1].withheld = 9, 9
	if both.next() == nil || both.least(rand.IntN) == nil {
		t.Error("nobody takes a request")
	}
}

// Targets that have come back together, as after a restart of the app, share
// what nobody else can take.
func TestTargetsThatReturnTogetherShareTheLoad(t *testing.T) {
	for withheld := 9; withheld > 0; withheld-- {
		r := &rotation{}
		for range 3 {
			r.targets = append(r.targets, &target{healthy: true, withheld: withheld})
		}
		r.arrange(false)
		got := map[*target]int{}
		for range 300 {
			got[r.next()]++
		}
		for i, x := range r.targets {
			if n := got[x]; n < 90 || n > 110 {
				t.Errorf("with %d tenths withheld, target %d gets %d of 300, want about 100", withheld, i, n)
			}
		}
	}
}

func TestLeastPrefersTheIdleOne(t *testing.T) {
	r := team("a b c")
	r.targets[0].underWay, r.targets[1].underWay, r.targets[2].underWay = 9, 2, 1
	// The dice say which two are compared.
	for _, c := range []struct {
		i, j int
		want string
	}{{0, 0, "b"}, {0, 1, "c"}, {1, 0, "b"}, {1, 1, "c"}, {2, 0, "c"}, {2, 1, "c"}} {
		rolls := []int{c.i, c.j}
		got := r.least(func(n int) int { roll := rolls[0]; rolls = rolls[1:]; return roll })
		if got.name != c.want {
			t.Errorf("of %d and the %d. other it is %s, want %s", c.i, c.j, got.name, c.want)
		}
	}
	lone := team("a")
	if lone.least(nil).name != "a" || team("").least(nil) != nil {
		t.Error("one or none")
	}
}

func TestOtherIsTheLeastBusyThatWasNotTried(t *testing.T) {
	r := team("a b c")
	a, b, c := r.targets[0], r.targets[1], r.targets[2]
	b.underWay, c.underWay = 2, 1
	tried, ok := tries{}.and(a)
	if got := r.other(tried); !ok || got != c {
		t.Errorf("after a it is %v", got)
	}
	tried, ok = tried.and(c)
	if got := r.other(tried); !ok || got != b {
		t.Errorf("after a and c it is %v", got)
	}
	if _, ok := tried.and(b); ok {
		t.Error("a fourth target is tried")
	}
	b.healthy = false
	r.arrange(false)
	if got := r.other(tried); got != nil {
		t.Errorf("an unhealthy one is tried: %v", got)
	}
}

func TestSticky(t *testing.T) {
	r := team("a b c")
	a, b := r.targets[0], r.targets[1]
	o := &spec.Options{Sticky: true}
	pick := func(cookie string) *target { return r.pick(o, cookie, nil) }

	cookie := r.stick("", b)
	if cookie != b.token || strings.Contains(cookie, "b") && strings.Contains(cookie, "80") {
		t.Errorf("the cookie is %q", cookie)
	}
	for range 5 {
		if pick(cookie) != b {
			t.Fatal("the client is sent elsewhere")
		}
	}
	if again := r.stick(cookie, b); again != "" {
		t.Errorf("the cookie is given again: %q", again)
	}
	b.ejected = true
	r.arrange(false)
	if pick(cookie) == b {
		t.Error("an ejected target is asked")
	}
	moved := r.stick(cookie, a)
	b.ejected = false
	r.arrange(false)
	if moved != a.token || pick(moved) != a {
		t.Errorf("the client that moved is sent back: %q", moved)
	}
	if r.pick(&spec.Options{}, cookie, nil) == nil || r.pick(&spec.Options{}, moved, nil) == r.pick(&spec.Options{}, moved, nil) {
		t.Error("clients stick though nobody asked for it")
	}
}

// The names of other services' targets, and of readers, stay in the cookie.
func TestStickyKeepsWhatOthersHaveSet(t *testing.T) {
	writers, readers := team("w1 w2"), team("r1 r2")
	cookie := writers.stick("", writers.targets[0])
	cookie = readers.stick(cookie, readers.targets[1])
	if writers.named(cookie) != writers.targets[0] || readers.named(cookie) != readers.targets[1] {
		t.Errorf("%q does not name both", cookie)
	}
	for i := range 20 {
		cookie = team("x"+string(rune('a'+i))).stick(cookie, team("x" + string(rune('a'+i))).targets[0])
	}
	if len(cookie) > MaxSticky {
		t.Errorf("the cookie grows to %d bytes", len(cookie))
	}
	if made := writers.stick("a;b. x\r\n.."+strings.Repeat("a", tokenLength-1)+"\"", writers.targets[0]); made != writers.targets[0].token {
		t.Errorf("what a client has made up is kept: %q", made)
	}
}

func TestTokens(t *testing.T) {
	if token("k", "web:80") != token("k", "web:80") {
		t.Error("a token does not last")
	}
	if token("k", "web:80") == token("l", "web:80") || token("k", "web:80") == token("k", "web:81") {
		t.Error("tokens tell nothing apart")
	}
	if !isToken(token("k", "web:80")) {
		t.Error("a token is none")
	}
}
