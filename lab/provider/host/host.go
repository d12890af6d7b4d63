package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HostSpec is what is wanted of a host.
type HostSpec struct {
	Name         string   `json:"name"`
	Image        string   `json:"image"`
	SSHPublicKey string   `json:"ssh_public_key"`
	SSHPort      int      `json:"ssh_port"`
	Disks        []string `json:"disks"`
}

// Host is a machine of the lab: a booted tree of its own with an address, an sshd and its disks.
type Host struct {
	ID         string
	Name       string
	Address    string
	SSHPort    int
	ConsoleLog string
	Running    bool
	Connected  bool
}

// patience is how long a host may take until its sshd answers.
const patience = 60 * time.Second

// lockPatience is how long to wait for another process that makes or destroys the same host.
const lockPatience = 90 * time.Second

func (l *Lab) hostFolder(deployment, node string) string {
	return filepath.Join(l.folder(deployment), "hosts", node)
}

func (l *Lab) hostRoot(deployment, node string) string {
	return filepath.Join(l.hostFolder(deployment, node), "root")
}

func (l *Lab) consoleLog(deployment, node string) string {
	return filepath.Join(l.hostFolder(deployment, node), "console.log")
}

func (s HostSpec) check(deployment string) error {
	problem := ""
	switch {
	case !namePattern.MatchString(s.Name):
		problem = "a host's name has 1 to 63 characters of a-z, 0-9 and -"
	case s.SSHPort < 1 || s.SSHPort > 65535:
		problem = fmt.Sprintf("SSH port %d is outside of 1 to 65535", s.SSHPort)
	case strings.TrimSpace(s.SSHPublicKey) == "" || strings.ContainsAny(strings.TrimSpace(s.SSHPublicKey), "\r\n"):
		problem = "the SSH public key must be one line"
	case !exists(filepath.Join(s.Image, "rootfs", "usr", "lib", "systemd", "systemd")):
		problem = fmt.Sprintf("`%s` holds no image (no rootfs with systemd in it); `make lab` builds one", s.Image)
	}
	for _, id := range s.Disks {
		if owner, _, _, err := splitID(id); err != nil {
			problem = err.Error()
		} else if owner != deployment {
			problem = fmt.Sprintf("disk `%s` belongs to another deployment", id)
		}
	}
	if problem == "" {
		return nil
	}
	return &Problem{Summary: fmt.Sprintf("host `%s` can't be made", s.Name), Detail: problem + "."}
}

// ClaimHost writes down the host that is about to be made, with the address that it will have. One that is
// recorded as it is wanted keeps its id, so that MakeHost can take it over if it runs.
func (d *Deployment) ClaimHost(ctx context.Context, spec HostSpec) (Host, error) {
	spec.SSHPublicKey = strings.TrimSpace(spec.SSHPublicKey)
	slices.Sort(spec.Disks)
	if err := spec.check(d.Name); err != nil {
		return Host{}, err
	}
	var claimed Host
	err := d.change(ctx, func(r *record) error {
		if r.Network == nil {
			return d.notRecorded("network")
		}
		for _, id := range spec.Disks {
			if _, name, serial, _ := splitID(id); r.Disks[name].Serial != serial {
				return d.notRecorded("disk " + name)
			}
		}
		if _, err := r.allocate(spec.Name); err != nil {
			return err
		}
		if recorded, ok := r.Hosts[spec.Name]; !ok || !d.asWanted(recorded.Spec, spec) {
			r.Hosts[spec.Name] = hostRecord{Serial: newSerial(), Spec: spec}
		}
		claimed = d.host(r, spec.Name)
		return nil
	})
	return claimed, err
}

// asWanted says whether a recorded host may be taken over. One that runs may be of an older image: a newer one
// is for hosts that are made.
func (d *Deployment) asWanted(recorded, wanted HostSpec) bool {
	if d.lab.running(d.Name, wanted.Name) {
		recorded.Image = wanted.Image
	}
	return reflect.DeepEqual(recorded, wanted)
}

func (d *Deployment) host(r *record, name string) Host {
	recorded := r.Hosts[name]
	return Host{
		ID: makeID(d.Name, name, recorded.Serial), Name: name, SSHPort: recorded.Spec.SSHPort,
		Address:    addressOf(r.Network.Subnet, r.Addresses[name]),
		ConsoleLog: d.lab.consoleLog(d.Name, name),
	}
}

// MakeHost boots a claimed host and returns when its sshd answers. One that runs already, because whoever
// made it was killed before it could say so, is taken over; what is left of a dead one is removed first.
func (d *Deployment) MakeHost(ctx context.Context, name string) error {
	waiting, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	release, err := d.lab.lockThing(waiting, d.Name, "host-"+name)
	if err != nil {
		return err
	}
	defer release()
	r, err := d.view()
	if err != nil {
		return err
	}
	recorded, ok := r.Hosts[name]
	if !ok || r.Network == nil {
		return d.vanished(ctx, "host "+name)
	}
	if d.adopt(ctx, r, recorded) {
		return nil
	}
	if err := d.lab.clearHost(ctx, d.Name, name); err != nil {
		return err
	}
	if err := d.boot(ctx, r, recorded); err != nil {
		// What was started is ended again; the console's log and the record stay, so nothing is lost.
		if clearing := d.lab.stopHost(ctx, d.Name, name, 0); clearing != nil {
			return errors.Join(err, clearing)
		}
		return err
	}
	return nil
}

// adopt takes over a running host that was made as it is wanted now.
func (d *Deployment) adopt(ctx context.Context, r *record, recorded hostRecord) bool {
	name := recorded.Spec.Name
	if !d.lab.running(d.Name, name) || !exists(d.madeFrom(name, recorded.Serial)) {
		return false
	}
	if err := d.connect(ctx, r, name); err != nil {
		return false
	}
	ended := func() bool { return !d.lab.running(d.Name, name) }
	return d.awaitSSH(ctx, d.host(r, name), patience/2, ended) == nil
}

// madeFrom is a file beside a host's tree that says which claim the tree was made for: a host that was
// claimed anew since, with another key or disk, is not the one that runs.
func (d *Deployment) madeFrom(name, serial string) string {
	return filepath.Join(d.lab.hostFolder(d.Name, name), "serial-"+serial)
}

func (l *Lab) running(deployment, node string) bool {
	folder, err := l.unifiedCgroup(deployment, node)
	return err == nil && supervisor(folder) != 0
}

// awaitSSH waits until a host's sshd sends its banner, and no longer than until the host has ended.
func (d *Deployment) awaitSSH(ctx context.Context, host Host, within time.Duration, ended func() bool) error {
	deadline := time.Now().Add(within)
	address := net.JoinHostPort(host.Address, strconv.Itoa(host.SSHPort))
	for {
		err := askSSH(ctx, address)
		if err == nil {
			return nil
		}
		dead := ended()
		if dead || time.Now().After(deadline) {
			reason := fmt.Sprintf("its sshd at %s did not answer within %s (%v)", address, within, err)
			if dead {
				reason = "it ended while it was booting"
			}
			return &Problem{
				Summary: fmt.Sprintf("host `%s` did not come up", host.Name),
				Detail:  fmt.Sprintf("%s. Its console said: %s. The whole log is in %s.", reason, tail(host.ConsoleLog), host.ConsoleLog),
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func askSSH(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	banner := make([]byte, 4)
	if _, err := connection.Read(banner); err != nil {
		return err
	}
	if string(banner) != "SSH-" {
		return fmt.Errorf("%s is not an SSH server", address)
	}
	return nil
}

// tail returns the last line of a log, as evidence in an error.
func tail(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "nothing"
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	if last == "" {
		return "nothing"
	}
	return strconv.Quote(last)
}

// ReadHost says what is recorded of a host, whether it runs and whether its cable is whole.
func (d *Deployment) ReadHost(ctx context.Context, name string) (Host, error) {
	r, err := d.view()
	if err != nil {
		return Host{}, err
	}
	if _, ok := r.Hosts[name]; !ok || r.Network == nil {
		return Host{}, nil
	}
	host := d.host(r, name)
	host.Running = d.lab.running(d.Name, name)
	network, err := d.lab.networkPresent(ctx, d.Name, *r.Network)
	if err != nil {
		return Host{}, err
	}
	// A broken network is repaired as a network, and plugs its hosts in again.
	host.Connected = !network
	if network && host.Running {
		host.Connected, err = d.lab.connected(ctx, d.Name, name, r.Addresses[name])
	}
	return host, err
}

// DestroyHost ends a host and removes its tree. Its disks and its address stay.
func (d *Deployment) DestroyHost(ctx context.Context, name string) error {
	waiting, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	release, err := d.lab.lockThing(waiting, d.Name, "host-"+name)
	if err != nil {
		return err
	}
	defer release()
	if err := d.CheckOwner(); err != nil {
		return err
	}
	if err := d.lab.stopHost(ctx, d.Name, name, politeness); err != nil {
		return err
	}
	if err := d.lab.clearHost(ctx, d.Name, name); err != nil {
		return err
	}
	err = d.change(ctx, func(r *record) error {
		delete(r.Hosts, name)
		return nil
	})
	if err != nil {
		return err
	}
	return d.settle(ctx)
}

// settle ends each destruction. A host that died is unknown to Terraform from the next reading on, so nobody
// asks for its destruction; what is left of it goes when the deployment's network is gone, without which no
// host can be in the making.
func (d *Deployment) settle(ctx context.Context) error {
	if namespaceExists(d.lab.namespace(d.Name)) {
		return nil
	}
	r, err := d.view()
	if err != nil {
		return err
	}
	for name := range r.Hosts {
		if !d.lab.running(d.Name, name) {
			if err := d.lab.clearHost(ctx, d.Name, name); err != nil {
				return err
			}
		}
	}
	err = d.change(ctx, func(r *record) error {
		for name := range r.Hosts {
			if !d.lab.running(d.Name, name) {
				delete(r.Hosts, name)
			}
		}
		if len(r.Hosts) == 0 && len(r.Disks) == 0 {
			r.Network = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.lab.forgetIfEmpty(ctx, d.Name)
}
