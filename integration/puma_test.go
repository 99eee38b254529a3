package integration

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// startPuma runs the small app of testdata/puma, and returns its target.
func startPuma(t *testing.T, name string) (target string) {
	t.Helper()
	address := freeAddress(t)
	bootPuma(t, name, address)
	return address
}

func bootPuma(t *testing.T, name, address string) {
	t.Helper()
	folder, err := filepath.Abs("testdata/puma")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(peer(t, "puma"), "-C", filepath.Join(folder, "puma.rb"), filepath.Join(folder, "config.ru"))
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "APP_NAME="+name, "APP_ADDRESS="+address)
	launch(t, address, cmd)
}

// post sends text to be echoed, and returns an error if something else comes
// back.
func post(client *http.Client, url, text string) error {
	response, err := client.Post(url, "text/plain", strings.NewReader(text))
	if err != nil {
		return err
	}
	body, err := whole(response)
	if err == nil && body != text {
		err = fmt.Errorf("POST of %d bytes echoed %d: %.40q", len(text), len(body), body)
	}
	return err
}

// Puma closes many of the connections that it could keep. No client may notice,
// whatever it asks for, and whichever instance is there.
func TestDeploysFromPumaToPumaLoseNothing(t *testing.T) {
	targets := []string{startPuma(t, "blue"), startPuma(t, "green")}
	for _, flags := range [][]string{nil, {"--buffer-requests", "--buffer-responses"}} {
		d := startDaemon(t)
		deploy := func(target string) { d.must(append([]string{"deploy", "web", "--target", target}, flags...)...) }
		deploy(targets[0])
		reads := startLoad(d.url("/"), 8)
		text := strings.Repeat("0123456789abcdef", 1<<10)
		writes := startLoadOf(8, func(client *http.Client) (string, error) {
			asked := time.Now()
			err := post(client, d.url("/echo"), text)
			if err != nil && strings.HasPrefix(err.Error(), "408 ") && stoodStill(asked) > 500*time.Millisecond {
				err = nil // Puma's patience was at its end
			}
			return "", err
		})
		for i := range 6 {
			reads.awaitMore(t, 50)
			writes.awaitMore(t, 50)
			deploy(targets[(i+1)%2])
		}
		reads.stop(t)
		writes.stop(t)
		if reads.by["blue"] == 0 || reads.by["green"] == 0 {
			t.Errorf("answers by instance: %v, want some of both", reads.by)
		}
	}
}

// Puma closes a connection that was idle for a second (puma.rb); the next
// request may be on its way on it just then.
func TestPostsMeetPumasIdleTimeout(t *testing.T) {
	t.Parallel()
	d := startDaemon(t)
	d.must("deploy", "web", "--target", startPuma(t, "a"))
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for round := range 3 {
				if err := post(client, d.url("/echo"), fmt.Sprint("post ", i, round)); err != nil {
					t.Error(err)
				}
				<-time.After(time.Second + time.Duration(i)*50*time.Millisecond) // Puma's own clock runs; nothing is waited for
			}
		})
	}
	clients.Wait()
}

func TestPumaStreamsEvents(t *testing.T) {
	d := startDaemon(t)
	d.must("deploy", "web", "--target", startPuma(t, "a"), "--buffer-requests", "--buffer-responses")
	response, err := http.Get(d.url("/events"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("its type is %q", kind)
	}
	late := time.AfterFunc(patience, func() { response.Body.Close() })
	defer late.Stop()
	lines := bufio.NewReader(response.Body)
	for i := range 3 {
		line, err := lines.ReadString('\n')
		if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
			t.Fatalf("event %d is %q, %v", i, line, err)
		}
		lines.ReadString('\n')
		if status, _ := d.get("any.host", "/next"); status != http.StatusNoContent { // the next follows when this one has arrived
			t.Fatalf("the app answers %d", status)
		}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
		t.Errorf("after the last event: %q, %v", rest, err)
	}
}

func TestPumaGetsBufferedBodiesWhole(t *testing.T) {
	d := startDaemon(t)
	d.must("deploy", "web", "--target", startPuma(t, "a"), "--buffer-requests", "--buffer-responses", "--buffer-memory", "65536")
	sent := make([]byte, 3<<20)
	rand.Read(sent)
	for _, body := range []io.Reader{
		bytes.NewReader(sent),
		io.MultiReader(bytes.NewReader(sent)), // of unknown length: chunked
	} {
		response, err := http.Post(d.url("/echo"), "application/octet-stream", body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := whole(response); got != string(sent) {
			t.Errorf("%d bytes sent, %d echoed (or others), %v", len(sent), len(got), err)
		}
	}
}

// A container's port refuses connections until the app in it has booted.
func TestDeployWaitsForSlowBoot(t *testing.T) {
	peer(t, "puma")
	d := startDaemon(t)
	port, err := net.Listen("tcp", freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	deployed := make(chan struct{})
	go func() {
		defer close(deployed)
		d.must("deploy", "web", "--target", port.Addr().String(), "--health-check-interval", "200ms")
	}()
	port.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	check, err := port.Accept()
	if err != nil {
		t.Fatal(err)
	}
	check.Close() // the deploy has begun
	port.Close()
	bootPuma(t, "late", port.Addr().String())
	booted := time.Now()
	within(t, "the deploy", deployed)
	if took := awake(booted); took > 5*time.Second {
		t.Errorf("the deploy noticed %s late that the app listens", took)
	}
	if _, body := d.get("any.host", "/"); body != "late" {
		t.Errorf("got %q, want late", body)
	}
}
