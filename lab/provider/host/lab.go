// Package host makes the machines of the lab on this machine: one network a deployment, data disks, and
// hosts that systemd-nspawn boots from a shared image. Every operation is idempotent, asks the world rather
// than trusting its notes, and writes down what it is about to make before it makes it, so that whatever a
// killed program leaves behind is found again. It knows nothing of Terraform.
package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
)

// DefaultState is where ownership records, roots and disks lie: outside any work directory, because they
// must be found when a work directory is gone.
const DefaultState = "/var/lib/refarch-lab"

// StateVariable replaces DefaultState, for tests and for machines whose /var is small.
const StateVariable = "REFARCH_LAB_STATE"

// Lab is everything that refarch made on this machine, of all deployments.
type Lab struct {
	state string
}

// Owner says which work directory a deployment belongs to. The suffix decides; the directory is for people.
type Owner struct {
	Suffix        string `json:"suffix"`
	WorkDirectory string `json:"work_directory"`
}

// Deployment is one deployment's part of the lab, as its owner sees it.
type Deployment struct {
	lab   *Lab
	Name  string
	Owner Owner
}

var (
	namePattern   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	suffixPattern = regexp.MustCompile(`^[a-z0-9]{6}$`)
)

// Open returns the lab of this machine, wherever its state lies.
func Open() *Lab {
	state := os.Getenv(StateVariable)
	if state == "" {
		state = DefaultState
	}
	if absolute, err := filepath.Abs(state); err == nil {
		state = absolute
	}
	// The kernel names the files of loop devices by their real paths, and they are compared with ours.
	if parent, err := filepath.EvalSymlinks(filepath.Dir(state)); err == nil {
		state = filepath.Join(parent, filepath.Base(state))
	}
	return &Lab{state: state}
}

// CheckMachine says what keeps this machine from holding a lab.
func CheckMachine() error {
	if runtime.GOOS != "linux" {
		return &Problem{Summary: "the lab needs Linux", Detail: "its hosts are Linux containers; this is " + runtime.GOOS}
	}
	if os.Geteuid() != 0 {
		return &Problem{
			Summary: "the lab needs root",
			Detail:  "it makes network namespaces, loop devices and mounts. Run the command as root, for example with `sudo -E`.",
		}
	}
	extendPath()
	packages := map[string]string{"systemd-nspawn": "systemd-container", "ip": "iproute2", "losetup": "mount", "nsenter": "util-linux"}
	for _, program := range []string{"systemd-nspawn", "ip", "losetup", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			return &Problem{
				Summary: fmt.Sprintf("the lab needs `%s`", program),
				Detail: fmt.Sprintf("it is not in PATH (%s). Install the Debian package `%s`, or run `make lab`.",
					os.Getenv("PATH"), packages[program]),
			}
		}
	}
	return nil
}

// extendPath adds the folders of system programs, which a user's PATH often lacks.
func extendPath() {
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}

// Deployment returns the handle through which its owner changes a deployment.
func (l *Lab) Deployment(name string, owner Owner) (*Deployment, error) {
	if !namePattern.MatchString(name) {
		return nil, &Problem{
			Summary: fmt.Sprintf("deployment name `%s` can't be used", name),
			Detail:  "a name has 1 to 63 characters of a-z, 0-9 and -, and neither begins nor ends with -.",
		}
	}
	if !suffixPattern.MatchString(owner.Suffix) {
		return nil, &Problem{
			Summary: fmt.Sprintf("owner `%s` can't be used", owner.Suffix),
			Detail:  "an owner is the deployment's suffix: 6 characters of a-z and 0-9.",
		}
	}
	return &Deployment{lab: l, Name: name, Owner: owner}, nil
}

// Adopted returns the handle of a deployment in its owner's name, for people at the machine. A name that
// nobody holds gets an owner of its own: the folder that they work in.
func (l *Lab) Adopted(name string) (*Deployment, error) {
	owner, err := l.owner(name)
	if err != nil {
		return nil, err
	}
	if owner == nil {
		folder, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		owner = &Owner{Suffix: newSerial()[:6], WorkDirectory: folder}
	}
	return l.Deployment(name, *owner)
}

// Problem is a failure that the user can do something about.
type Problem struct {
	Summary string
	Detail  string
}

func (p *Problem) Error() string { return p.Summary + ": " + p.Detail }

// OwnedSummary begins the refusal of a name that another work directory holds; refarch recognises it.
const OwnedSummary = "deployment name is owned by another work directory"

// OwnedError refuses to touch what another work directory made.
type OwnedError struct {
	Name  string
	Owner Owner
}

func (e *OwnedError) Error() string { return OwnedSummary + ": " + e.Detail() }

// Detail names the owner and the ways on.
func (e *OwnedError) Detail() string {
	return fmt.Sprintf("`%s` on this machine belongs to %s (suffix `%s`). "+
		"Use another name, work from that directory, or, if nobody needs it any more, remove it with `refarch-lab sweep %s`.",
		e.Name, e.Owner.WorkDirectory, e.Owner.Suffix, e.Name)
}

// IsOwned reports whether err is the refusal of somebody else's name.
func IsOwned(err error) bool {
	var owned *OwnedError
	return errors.As(err, &owned)
}
