package cli

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kamal-proxy/transport/control"
)

func (a *app) deployCommand() *cobra.Command {
	form := newDeployForm(DataFolder(a.env))
	cmd := &cobra.Command{
		Use:   "deploy <service> --target <host:port> [flags]",
		Short: "Send a service's requests to new targets",
		Long: `Send a service's requests to new targets, as soon as these are healthy, and wait
until the old ones have finished what they had begun. If the new targets do not
get healthy in time, nothing changes.

Lists may be given as one flag with commas or as several flags.`,
		Example: `  kamal-proxy deploy shop --target shop-2:3000
  kamal-proxy deploy shop --target shop-2:3000 --host shop.example.com --tls`,
		Args: oneService,
	}
	form.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		order, err := form.order(args[0], cmd.Flags())
		if err != nil {
			return err
		}
		steps := a.console.steps("new requests go to " + strings.Join(order.Targets, ", "))
		if err := a.daemon().Deploy(cmd.Context(), order, steps.told); err != nil {
			return err
		}
		a.warnForeign(order.Service, order.Foreign())
		a.warnOfSecrets(order)
		return nil
	}
	return cmd
}

// warnOfSecrets tells that the log will have what nobody but its owner should
// know, since it was asked to.
func (a *app) warnOfSecrets(d control.Deploy) {
	for _, name := range slices.Concat(d.LogRequestHeaders, d.LogResponseHeaders) {
		switch strings.ToLower(name) {
		case "authorization", "proxy-authorization", "cookie", "set-cookie":
			a.console.warn("the log has every value of %s from now on, and with it the secrets of clients", name)
		}
	}
}

// warnForeign tells who may go back to the program that this one stands in for.
func (a *app) warnForeign(service string, why error) {
	if why != nil {
		a.console.warn("upstream's kamal-proxy would not know %s, which is kept beside its state file: %v", service, why)
	}
}

// deployForm is a deploy while it is being filled in.
type deployForm struct {
	control.Deploy
	bufferRequests, bufferResponses bool
	maxRequestBody, maxResponseBody int64
	forwardHeaders                  bool
}

func newDeployForm(data string) *deployForm {
	form := &deployForm{Deploy: control.NewDeploy(), forwardHeaders: true}
	form.TLSACMECachePath = filepath.Join(data, "certs")
	return form
}

// order is the deploy as the flags say it, checked.
func (d *deployForm) order(service string, flags *pflag.FlagSet) (control.Deploy, error) {
	d.Service = service
	d.BufferRequests = ifGiven(flags, "buffer-requests", &d.bufferRequests)
	d.BufferResponses = ifGiven(flags, "buffer-responses", &d.bufferResponses)
	d.MaxRequestBody = ifGiven(flags, "max-request-body", &d.maxRequestBody)
	d.MaxResponseBody = ifGiven(flags, "max-response-body", &d.maxResponseBody)
	d.ForwardHeaders = ifGiven(flags, "forward-headers", &d.forwardHeaders)
	for _, path := range []*string{&d.TLSCertificatePath, &d.TLSPrivateKeyPath, &d.TLSACMECachePath, &d.TLSACMECAPath, &d.ErrorPages} {
		if err := makeAbsolute(path); err != nil {
			return control.Deploy{}, err
		}
	}
	return d.Deploy, d.Validate()
}

func ifGiven[T any](flags *pflag.FlagSet, name string, value *T) *T {
	if !flags.Changed(name) {
		return nil
	}
	return value
}

func makeAbsolute(path *string) (err error) {
	if *path != "" {
		*path, err = filepath.Abs(*path)
	}
	return err
}
