package sockets

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain is also the child of the tests below.
func TestMain(m *testing.M) {
	if role := os.Getenv("CHILD"); role != "" {
		if os.Getenv("LISTEN_PID") == "own" {
			os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		}
		json.NewEncoder(os.Stdout).Encode(child(role))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// report is what a child has to say.
type report struct {
	Error string
	Given map[string]string // what each socket is
	File  string
	Left  []string
	Env   []string // what is still in the environment
}

// child inherits; as "answer" it also answers once on each socket.
func child(role string) (r report) {
	set, err := Inherit(Ports{HTTP: portOf("P_HTTP"), HTTPS: portOf("P_HTTPS")})
	for _, entry := range os.Environ() {
		if tellsOfSockets(entry) {
			r.Env = append(r.Env, entry)
		}
	}
	if err != nil {
		return report{Error: err.Error(), Env: r.Env}
	}
	r.File, r.Given = set.ControlFile(), map[string]string{}
	for name, socket := range set.given {
		r.Given[name] = describe(socket)
	}
	if role == "answer" {
		if err := answer(set); err != nil {
			r.Error = err.Error()
		}
	}
	r.Left = set.Close()
	return r
}

func portOf(name string) int { n, _ := strconv.Atoi(os.Getenv(name)); return n }

func answer(set *Set) error {
	plain, err := set.TCP(HTTP)
	if err != nil {
		return err
	}
	local, err := set.Unix(Control)
	if err != nil {
		return err
	}
	for _, l := range []net.Listener{plain, local} {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		io.WriteString(conn, "child")
		conn.Close()
		l.Close()
	}
	udp, err := set.UDP(HTTP3)
	if err != nil {
		return err
	}
	packet := make([]byte, 10)
	n, peer, err := udp.ReadFrom(packet)
	if err != nil {
		return err
	}
	_, err = udp.WriteTo(packet[:n], peer)
	return err
}

func self(t *testing.T, role string, env ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), append(env, "CHILD="+role, "GORACE=atexit_sleep_ms=0")...)
	cmd.Stderr = os.Stderr
	return cmd
}

func result(t *testing.T, cmd *exec.Cmd) (r report) {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return r
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func listenUDP(t *testing.T, port int) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A child serves on what it was passed: also what came before it was there.
func TestAChildServesWhatItWasPassed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	plain, udp := listen(t, "tcp", "127.0.0.1:0"), listenUDP(t, 0)
	local := listen(t, "unix", path)
	metrics := listen(t, "tcp", "127.0.0.1:0")

	early, err := net.Dial("tcp", plain.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.Dial("udp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(packets, "ping")

	cmd := self(t, "answer", "LISTEN_PID=own", "LISTEN_FDS=1")
	release, err := Pass(cmd, Open{HTTP: plain, HTTP3: udp, Control: local, Metrics: metrics, ControlFile: path})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan report)
	go func() { done <- result(t, cmd) }()

	orders, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{early, orders} {
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		if got, err := io.ReadAll(conn); string(got) != "child" {
			t.Errorf("%s answered %q, %v, want child", conn.RemoteAddr(), got, err)
		}
	}
	packet := make([]byte, 10)
	packets.SetDeadline(time.Now().Add(30 * time.Second))
	if n, err := packets.Read(packet); string(packet[:n]) != "ping" {
		t.Errorf("UDP answered %q, %v, want ping", packet[:n], err)
	}
	r := <-done
	release()
	if r.Error != "" || len(r.Env) > 0 || r.File != path {
		t.Errorf("the child: error %q, environment %q, file %q", r.Error, r.Env, r.File)
	}
	if len(r.Left) != 1 || r.Left[0] != Metrics {
		t.Errorf("the child left %q, want the metrics", r.Left)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the child that closed the unix socket removed its file: %v", err)
	}
	for _, socket := range []any{plain, udp, local, metrics} {
		if blocks(t, socket) {
			t.Errorf("%s is blocking after it was passed", describe(socket))
		}
	}
}

func blocks(t *testing.T, socket any) bool {
	t.Helper()
	file, err := duplicate(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	flags := 0
	raw.Control(func(fd uintptr) { flags, _ = unix.FcntlInt(fd, unix.F_GETFL, 0) })
	return flags&unix.O_NONBLOCK == 0
}

// systemd gives descriptors from 3 on, with or without names of ours.
func TestSystemd(t *testing.T) {
	plain, secure, local := listen(t, "tcp", "127.0.0.1:0"), listen(t, "tcp", "127.0.0.1:0"), listen(t, "unix", filepath.Join(t.TempDir(), "s"))
	other := listen(t, "tcp", "127.0.0.1:0")
	udp := listenUDP(t, secure.Addr().(*net.TCPAddr).Port)
	client, err := net.Dial("tcp", other.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ports := []string{"P_HTTP=" + strconv.Itoa(plain.Addr().(*net.TCPAddr).Port), "P_HTTPS=" + strconv.Itoa(secure.Addr().(*net.TCPAddr).Port)}
	for _, c := range []struct {
		name    string
		sockets []any
		env     []string
		given   []string
		err     string
	}{
		{"by port", []any{secure, plain, local, udp}, []string{"LISTEN_FDS=4"}, []string{HTTP, HTTPS, HTTP3, Control}, ""},
		{"by the names of units", []any{plain}, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=kamal-proxy.socket"}, []string{HTTP}, ""},
		{"by our names", []any{other, plain}, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=metrics:https"}, []string{HTTPS, Metrics}, ""},
		{"for another process", []any{plain}, []string{"LISTEN_FDS=1", "LISTEN_PID=1"}, nil, ""},
		{"fewer than there are", []any{plain, secure}, []string{"LISTEN_FDS=1"}, []string{HTTP}, ""},
		{"more than there are", []any{plain}, []string{"LISTEN_FDS=2"}, nil, "not an open socket"},
		{"nobody's port", []any{other}, []string{"LISTEN_FDS=1"}, nil, "FileDescriptorName="},
		{"where any port will do, in their order", []any{other, secure}, []string{"LISTEN_FDS=2", "P_HTTP=0", "P_HTTPS=0"}, []string{HTTP, HTTPS}, ""},
		{"beside one by its name", []any{other, plain}, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=unknown:http", "P_HTTP=0", "P_HTTPS=0"}, []string{HTTP, HTTPS}, ""},
		{"beside one by its port", []any{other, plain}, []string{"LISTEN_FDS=2", "P_HTTPS=0"}, []string{HTTP, HTTPS}, ""},
		{"more than any will do for", []any{other, plain, secure}, []string{"LISTEN_FDS=3", "P_HTTP=0", "P_HTTPS=0"}, nil, "FileDescriptorName="},
		{"two of one name", []any{plain, secure}, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=http:http"}, nil, "two sockets"},
		{"no listener", []any{client}, []string{"LISTEN_FDS=1", "LISTEN_FDNAMES=http"}, nil, "does not listen"},
		{"no number", nil, []string{"LISTEN_FDS=many"}, nil, `LISTEN_FDS is "many"`},
		{"too many", nil, []string{"LISTEN_FDS=100000"}, nil, "0 to 64"},
		{"damaged, of ours", []any{plain}, []string{"KAMAL_PROXY_SOCKETS=http=x"}, nil, "KAMAL_PROXY_SOCKETS"},
		{"stderr, of ours", []any{plain}, []string{"KAMAL_PROXY_SOCKETS=http=2"}, nil, "KAMAL_PROXY_SOCKETS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := self(t, "look", append(append([]string{"LISTEN_PID=own"}, ports...), c.env...)...)
			for _, socket := range c.sockets {
				file, err := duplicate(socket)
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				cmd.ExtraFiles = append(cmd.ExtraFiles, file)
			}
			r := result(t, cmd)
			if (c.err == "") != (r.Error == "") || !strings.Contains(r.Error, c.err) {
				t.Errorf("error %q, want %q", r.Error, c.err)
			}
			if len(r.Env) > 0 {
				t.Errorf("children would inherit %q", r.Env)
			}
			for _, name := range c.given {
				if r.Given[name] == "" {
					t.Errorf("no %s in %q", name, r.Given)
				}
			}
			if len(r.Given) != len(c.given) {
				t.Errorf("given %q, want %q", r.Given, c.given)
			}
		})
	}
}

func TestASocketOfTheWrongKindIsRefused(t *testing.T) {
	set := &Set{}
	set.add(HTTP3, listen(t, "tcp", "127.0.0.1:0"))
	if _, err := set.UDP(HTTP3); err == nil || !strings.Contains(err.Error(), "has to be a UDP socket") {
		t.Errorf("UDP: %v, want that it has to be a UDP socket", err)
	}
	if l, err := set.TCP(HTTP); l != nil || err != nil {
		t.Errorf("TCP of what was not given: %v, %v, want nothing", l, err)
	}
}
