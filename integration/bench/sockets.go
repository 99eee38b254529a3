package main

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

func (l *load) webSocket(w *worker, _ int) {
	payload := bytes.Repeat([]byte("m"), 64)
	frame := appendFrame(nil, 1, payload, true)
	for !l.stopped.Load() {
		if err := l.webSocketConn(w, frame, len(payload)); err != nil {
			l.fail(w, err)
		}
	}
}

func (l *load) webSocketConn(w *worker, frame []byte, size int) error {
	c, err := l.dial()
	if err != nil {
		return err
	}
	defer c.c.Close()
	fmt.Fprintf(c.c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", l.cfg.Hosts[0])
	line, err := c.br.ReadString('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 || line[9:12] != "101" {
		return fmt.Errorf("no upgrade: %q", line)
	}
	for len(line) > 2 {
		if line, err = c.br.ReadString('\n'); err != nil {
			return err
		}
	}
	buf := make([]byte, 0, 256)
	for !l.stopped.Load() {
		start := time.Now()
		if _, err := c.c.Write(frame); err != nil {
			return err
		}
		_, got, err := readFrame(c.br, buf)
		if err != nil {
			return err
		}
		if len(got) != size {
			return fmt.Errorf("echo of %d bytes", len(got))
		}
		l.done(w, start, size)
	}
	return nil
}

// idle opens connections, sends one request on each and leaves them open.
func (l *load) idle() (loadResult, error) {
	var res loadResult
	warm := &worker{hist: newHist()}
	var c *client
	for range 2000 {
		c = l.once(warm, c, time.Now())
	}
	if c != nil {
		c.c.Close()
	}
	time.Sleep(time.Second)
	pids := tree(l.cfg.ProxyPID)
	res.IdleBase = memory(pids, "VmRSS")

	clients := make([]*client, l.cfg.Conns)
	w := &worker{hist: newHist()}
	var next atomic.Int64
	var mu sync.Mutex
	begin := time.Now()
	for range 16 {
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			own := &worker{hist: newHist()}
			for i := next.Add(1) - 1; i < int64(len(clients)); i = next.Add(1) - 1 {
				clients[i] = l.once(own, nil, time.Now())
			}
			mu.Lock()
			defer mu.Unlock()
			w.requests.Add(own.requests.Load())
			w.errors.Add(own.errors.Load())
		}()
	}
	l.wg.Wait()
	res.Elapsed = time.Since(begin)
	time.Sleep(2 * time.Second)
	res.IdleRSS = memory(pids, "VmRSS")
	cpu := cpuTime(pids)
	time.Sleep(l.cfg.Pause)
	res.ProxyCPU = cpuTime(pids) - cpu
	res.IdleRSS2 = memory(pids, "VmRSS")
	res.PeakRSS = memory(pids, "VmHWM")
	for i := 0; i < len(clients); i += max(1, len(clients)/200) { // do they still live?
		if clients[i] == nil {
			continue
		}
		if _, _, err := clients[i].do(l.request()); err != nil {
			l.fail(w, err)
		}
	}
	res.Requests, res.Errors = w.requests.Load(), w.errors.Load()
	res.LastError, _ = l.lastError.Load().(string)
	for _, c := range clients {
		if c != nil {
			c.c.Close()
		}
	}
	return res, nil
}
