package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// refusal is what the daemon had to say against an order.
func (c *Client) refusal(answer *http.Response) error {
	var said line
	if json.NewDecoder(answer.Body).Decode(&said) != nil || said.Error == "" {
		return fmt.Errorf("what answers at %s is no kamal-proxy, or another version of it: it said %q", c.path, answer.Status)
	}
	if said.Moved {
		return errMoved
	}
	return errors.New(said.Error)
}

// unreachable says why no answer came.
func (c *Client) unreachable(ctx context.Context, err error) error {
	var dial *net.OpError
	var impostor *impostorError
	switch {
	case ctx.Err() != nil:
		return interrupted(ctx)
	case errors.As(err, &impostor):
		return impostor
	case errors.Is(err, fs.ErrPermission):
		return c.forbidden()
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return c.nobodyThere()
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("unable to reach kamal-proxy: %w", err)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return c.stranger(err)
	default:
		return c.ended()
	}
}

func (c *Client) nobodyThere() error {
	if file, err := os.Lstat(c.path); err == nil && file.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("kamal-proxy is not running: %s is not a socket; set KAMAL_PROXY_SOCKET to the path that the daemon was started with", c.path)
	}
	return fmt.Errorf("kamal-proxy is not running (nothing answers at %s): start it with `kamal-proxy run`", c.path)
}

func (c *Client) forbidden() error {
	if owner, known := ownerOf(c.path); known {
		return fmt.Errorf("permission denied: the control socket %s belongs to %s; run this command as that user or as root", c.path, owner)
	}
	return fmt.Errorf("permission denied to reach the control socket %s: run this command as root, or as the user that runs kamal-proxy", c.path)
}

// cutOff says why an answer that began has no end.
func (c *Client) cutOff(ctx context.Context, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case ctx.Err() != nil:
		return interrupted(ctx)
	case errors.As(err, &syntax), errors.As(err, &kind):
		return c.stranger(err)
	default:
		return c.ended()
	}
}

func (c *Client) ended() error {
	return fmt.Errorf("kamal-proxy at %s ended before it had answered: whether the order was carried out is unknown, look at its log and at `kamal-proxy list`", c.path)
}

func (c *Client) stranger(err error) error {
	return fmt.Errorf("what answers at %s is no kamal-proxy, or another version of it: %w", c.path, err)
}

func interrupted(ctx context.Context) error {
	return fmt.Errorf("stopped waiting (%w): the proxy goes on with what it has accepted", context.Cause(ctx))
}
