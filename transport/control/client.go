package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

const dialTimeout = 5 * time.Second

// Client gives orders to the daemon. Its methods return when the order has
// been carried out; leaving early, by their context, does not take it back.
type Client struct {
	path string
	http http.Client
}

// Progress is told the steps of an order; nil: nobody listens.
type Progress func(Step)

// NewClient makes a client for the daemon whose socket is at path.
func NewClient(path string) *Client {
	return &Client{path: path, http: http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialTimeout}
			conn, err := d.DialContext(ctx, "unix", path)
			if err != nil {
				return nil, err
			}
			if err := believable(conn, path); err != nil {
				conn.Close()
				return nil, err
			}
			return conn, nil
		},
	}}}
}

// Deploy waits until the new targets serve and the old ones have drained.
func (c *Client) Deploy(ctx context.Context, d Deploy, told Progress) error {
	return c.order(ctx, deployPath, d, told)
}

// Remove waits until the service's requests have ended.
func (c *Client) Remove(ctx context.Context, r Remove, told Progress) error {
	return c.order(ctx, removePath, r, told)
}

// Pause waits until the service's requests have ended.
func (c *Client) Pause(ctx context.Context, p Pause, told Progress) error {
	return c.order(ctx, pausePath, p, told)
}

// Stop waits until the service's requests have ended.
func (c *Client) Stop(ctx context.Context, s Stop, told Progress) error {
	return c.order(ctx, stopPath, s, told)
}

// Resume lets the service's requests go on.
func (c *Client) Resume(ctx context.Context, r Resume, told Progress) error {
	return c.order(ctx, resumePath, r, told)
}

// RolloutDeploy waits as Deploy does.
func (c *Client) RolloutDeploy(ctx context.Context, d RolloutDeploy, told Progress) error {
	return c.order(ctx, rolloutDeployPath, d, told)
}

// RolloutSet chooses who is sent to the rollout targets.
func (c *Client) RolloutSet(ctx context.Context, s RolloutSet, told Progress) error {
	return c.order(ctx, rolloutSetPath, s, told)
}

// RolloutStop sends everybody to the active targets.
func (c *Client) RolloutStop(ctx context.Context, s RolloutStop, told Progress) error {
	return c.order(ctx, rolloutStopPath, s, told)
}

// List returns the services in the order of their names.
func (c *Client) List(ctx context.Context) ([]Row, error) { return c.list(ctx, listPath) }

// Examine is List with the health of the targets.
func (c *Client) Examine(ctx context.Context) ([]Row, error) {
	return c.list(ctx, listPath+"?"+withHealth)
}

func (c *Client) list(ctx context.Context, path string) ([]Row, error) {
	var rows []Row
	err := c.wherever(func() error {
		answer, err := c.send(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if err := json.NewDecoder(answer.Body).Decode(&rows); err != nil {
			return c.cutOff(ctx, err)
		}
		return nil
	})
	return rows, err
}

func (c *Client) order(ctx context.Context, path string, args any, told Progress) error {
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	return c.wherever(func() error {
		answer, err := c.send(ctx, http.MethodPost, path, body)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		return c.follow(ctx, answer.Body, told)
	})
}

// wherever asks again while the daemon has moved to another process, which has
// the socket by then.
func (c *Client) wherever(ask func() error) (err error) {
	for range moves {
		if err = ask(); !errors.Is(err, errMoved) {
			break
		}
	}
	return err
}

// follow reads the lines up to the last one.
func (c *Client) follow(ctx context.Context, stream io.Reader, told Progress) error {
	for lines := json.NewDecoder(stream); ; {
		var next line
		if err := lines.Decode(&next); err != nil {
			return c.cutOff(ctx, err)
		}
		switch {
		case next.Done:
			return nil
		case next.Moved:
			return errMoved
		case next.Error != "":
			return errors.New(next.Error)
		case next.Progress != nil && told != nil:
			told(*next.Progress)
		}
	}
}

// send returns the answer to an order that was accepted.
func (c *Client) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://kamal-proxy"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, c.refusal(answer)
}
