package control

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"kamal-proxy/actors/registry"
	"kamal-proxy/actors/service"
	"kamal-proxy/actors/spec"
)

// order is what each struct of a POST can do: say what is wrong with it, and
// become the registry's message. The message is made once it is valid.
type order interface {
	Validate() error
	message(asker *service.Asker, load Load) (registry.Message, error)
}

// Validate says what is wrong, in a sentence that names the flag at fault.
func (d RolloutDeploy) Validate() error {
	return cmp.Or(spec.ValidName(d.Service), spec.ValidateTargets(d.Targets, d.ReadTargets), d.how().Validate())
}

// Foreign is that of Deploy, for these targets.
func (d RolloutDeploy) Foreign() error {
	return spec.UpstreamLoads(&spec.Record{
		TargetOptions:  spec.DefaultTargetOptions(),
		RolloutTargets: d.Targets,
		RolloutReaders: d.ReadTargets,
	})
}

func (d RolloutDeploy) how() spec.Deployment {
	return spec.Deployment{DeployTimeout: d.DeployTimeout, DrainTimeout: d.DrainTimeout}
}

func (d RolloutDeploy) message(asker *service.Asker, _ Load) (registry.Message, error) {
	return registry.Order{Service: d.Service, Order: &service.Deploy{
		Asker:   asker,
		Slot:    service.Rollout,
		Targets: d.Targets,
		Readers: d.ReadTargets,
		How:     d.how(),
	}}, nil
}

// Validate says what is wrong, in a sentence that names the flag at fault.
func (s RolloutSet) Validate() error {
	if s.Percent == nil && s.List == nil {
		return errors.New("a rollout needs a percent or a list: give at least one")
	}
	_, err := s.rollout()
	return cmp.Or(spec.ValidName(s.Service), err)
}

func (s RolloutSet) rollout() (*spec.Rollout, error) {
	return spec.NewRollout(given(s.Percent, 0), s.List)
}

func (s RolloutSet) message(asker *service.Asker, _ Load) (registry.Message, error) {
	rollout, err := s.rollout()
	return registry.Order{Service: s.Service, Order: &service.Split{Asker: asker, Rollout: rollout}}, err
}

// Validate says what is wrong.
func (s RolloutStop) Validate() error { return spec.ValidName(s.Service) }

func (s RolloutStop) message(asker *service.Asker, _ Load) (registry.Message, error) {
	return registry.Order{Service: s.Service, Order: &service.Split{Asker: asker}}, nil
}

// Validate says what is wrong, in a sentence that names the flag at fault.
func (p Pause) Validate() error {
	return cmp.Or(spec.ValidName(p.Service), notNegative("drain-timeout", p.DrainTimeout), notNegative("max-pause", p.MaxPause))
}

func (p Pause) message(asker *service.Asker, _ Load) (registry.Message, error) {
	return registry.Order{Service: p.Service, Order: &service.Pause{
		Asker: asker, DrainTimeout: p.DrainTimeout, MaxPause: p.MaxPause,
	}}, nil
}

// Validate says what is wrong, in a sentence that names the flag at fault.
func (s Stop) Validate() error {
	return cmp.Or(spec.ValidName(s.Service), notNegative("drain-timeout", s.DrainTimeout))
}

func (s Stop) message(asker *service.Asker, _ Load) (registry.Message, error) {
	return registry.Order{Service: s.Service, Order: &service.Stop{
		Asker: asker, DrainTimeout: s.DrainTimeout, Message: s.Message,
	}}, nil
}

// Validate says what is wrong.
func (r Resume) Validate() error { return spec.ValidName(r.Service) }

func (r Resume) message(asker *service.Asker, _ Load) (registry.Message, error) {
	return registry.Order{Service: r.Service, Order: &service.Resume{Asker: asker}}, nil
}

// Validate says what is wrong, in a sentence that names the flag at fault.
func (r Remove) Validate() error {
	return cmp.Or(spec.ValidName(r.Service), notNegative("drain-timeout", r.DrainTimeout))
}

func (r Remove) message(asker *service.Asker, _ Load) (registry.Message, error) {
	return registry.Remove{Asker: asker, Service: r.Service, DrainTimeout: r.DrainTimeout}, nil
}

func notNegative(flag string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s is %v: it must not be negative", flag, d)
	}
	return nil
}

func given[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}
