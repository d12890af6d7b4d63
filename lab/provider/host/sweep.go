package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Inspection is what exists of a deployment, whoever owns it.
type Inspection struct {
	Version int                `json:"version"`
	Name    string             `json:"name"`
	Exists  bool               `json:"exists"`
	Owner   *Owner             `json:"owner"`
	Network *NetworkInspection `json:"network"`
	Hosts   []HostInspection   `json:"hosts"`
	Disks   []DiskInspection   `json:"disks"`
}

// NetworkInspection is the network's part of an Inspection.
type NetworkInspection struct {
	CIDR      string `json:"cidr"`
	Present   bool   `json:"present"`
	Namespace string `json:"namespace"`
	Link      string `json:"link"`
}

// HostInspection is a host's part of an Inspection. The process is that of systemd-nspawn, 0 without one.
type HostInspection struct {
	Name    string `json:"name"`
	Running bool   `json:"running"`
	Address string `json:"address"`
	Process int    `json:"process"`
	// Firewall is what really stands in the host's namespace.
	Firewall FirewallInspection `json:"firewall"`
}

// FirewallInspection is what a host lets in; not closed means that it lets in everything, or that somebody
// has changed the lab's table.
type FirewallInspection struct {
	Closed bool   `json:"closed"`
	Rules  []Rule `json:"rules"`
}

// DiskInspection is a disk's part of an Inspection.
type DiskInspection struct {
	Name    string `json:"name"`
	Present bool   `json:"present"`
	SizeGB  int64  `json:"size_gb"`
	Path    string `json:"path"`
}

// Inspect says what exists of a deployment.
func (l *Lab) Inspect(ctx context.Context, name string) (Inspection, error) {
	found := Inspection{Version: 1, Name: name, Hosts: []HostInspection{}, Disks: []DiskInspection{}}
	owner, err := l.owner(name)
	if err != nil {
		return found, err
	}
	r, err := l.load(name)
	if err != nil {
		return found, err
	}
	found.Owner, found.Exists = owner, owner != nil
	if r.Network != nil {
		present, err := l.networkPresent(ctx, name, *r.Network)
		if err != nil {
			return found, err
		}
		found.Network = &NetworkInspection{
			CIDR: subnetCIDR(r.Network.Subnet), Present: present, Namespace: l.namespace(name), Link: r.Network.Link,
		}
		for _, node := range sortedKeys(r.Hosts) {
			folder, err := l.unifiedCgroup(name, node)
			if err != nil {
				return found, err
			}
			process := supervisor(folder)
			admitted, closed := l.admitted(ctx, name, r.Hosts[node].Spec)
			found.Hosts = append(found.Hosts, HostInspection{
				Name: node, Running: process != 0, Process: process, Address: addressOf(r.Network.Subnet, r.Addresses[node]),
				Firewall: FirewallInspection{Closed: closed, Rules: rulesOf(admitted)},
			})
		}
	}
	for _, disk := range sortedKeys(r.Disks) {
		found.Disks = append(found.Disks, DiskInspection{
			Name: disk, SizeGB: r.Disks[disk].SizeGB, Path: DiskPath(disk), Present: exists(l.diskFile(name, disk)),
		})
	}
	return found, nil
}

func sortedKeys[V any](from map[string]V) []string {
	keys := make([]string, 0, len(from))
	for key := range from {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Sweeping is what a sweep removed and what it could not.
type Sweeping struct {
	Version int        `json:"version"`
	Removed []string   `json:"removed"`
	Left    []LeftOver `json:"left"`
}

// LeftOver is something that a sweep could not remove.
type LeftOver struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

func (s *Sweeping) note(what string, err error) {
	if err != nil {
		s.Left = append(s.Left, LeftOver{What: what, Why: err.Error()})
		return
	}
	s.Removed = append(s.Removed, what)
}

// Sweep removes everything of a deployment. It goes by what is there, and by the record only where that can
// be read, so it also cleans up after a record that is broken or gone. A suffix that is given must be the
// owner's.
func (l *Lab) Sweep(ctx context.Context, name, suffix string) (Sweeping, error) {
	done := Sweeping{Version: 1, Removed: []string{}, Left: []LeftOver{}}
	if !namePattern.MatchString(name) {
		return done, &Problem{Summary: fmt.Sprintf("`%s` is no deployment's name", name), Detail: "a name has 1 to 63 characters of a-z, 0-9 and -."}
	}
	if suffix != "" {
		if err := l.checkSweeper(name, suffix); err != nil {
			return done, err
		}
	}
	l.sweepHosts(ctx, name, &done)
	l.sweepDisks(ctx, name, &done)
	if namespaceExists(l.namespace(name)) || exists(filepath.Join(namespaceFolder, l.namespace(name))) {
		done.note("network "+name, removeNamespace(ctx, l.namespace(name)))
	}
	if len(done.Left) > 0 {
		return done, nil
	}
	if exists(l.folder(name)) {
		done.note("record "+name, l.forget(ctx, name, func() (bool, error) { return true, nil }))
	}
	return done, nil
}

func (l *Lab) checkSweeper(name, suffix string) error {
	owner, err := l.owner(name)
	if err != nil {
		return err
	}
	if owner != nil && owner.Suffix != suffix {
		return &OwnedError{Name: name, Owner: *owner}
	}
	return nil
}

// sweepHosts ends every host that the record, the folders, the namespaces or the cgroups know of.
func (l *Lab) sweepHosts(ctx context.Context, name string, done *Sweeping) {
	for _, node := range l.traces(name) {
		waiting, cancel := context.WithTimeout(ctx, lockPatience)
		release, err := l.lockThing(waiting, name, "host-"+node)
		cancel()
		if err != nil {
			done.note("host "+node, err)
			continue
		}
		err = l.stopHost(ctx, name, node, 0)
		if err == nil {
			err = os.RemoveAll(l.hostFolder(name, node))
		}
		done.note("host "+node, err)
		release()
	}
}

// traces lists the nodes of a deployment that left anything on this machine.
func (l *Lab) traces(name string) []string {
	nodes := map[string]bool{}
	if r, err := l.load(name); err == nil {
		for node := range r.Hosts {
			nodes[node] = true
		}
	}
	folders := []string{filepath.Join(l.folder(name), "hosts")}
	if unified, named, err := cgroupRoots(); err == nil {
		folders = append(folders, l.cgroup(unified, name, ""))
		if named != "" {
			folders = append(folders, l.cgroup(named, name, ""))
		}
	}
	for _, folder := range folders {
		entries, _ := os.ReadDir(folder)
		for _, entry := range entries {
			nodes[entry.Name()] = entry.IsDir() || nodes[entry.Name()]
		}
	}
	entries, _ := os.ReadDir(namespaceFolder)
	for _, entry := range entries {
		if node, ok := strings.CutPrefix(entry.Name(), l.hostNamespace(name, "")); ok {
			nodes[node] = true
		}
	}
	return slices.DeleteFunc(sortedKeys(nodes), func(node string) bool {
		return !nodes[node] || !namePattern.MatchString(node)
	})
}

func (l *Lab) sweepDisks(ctx context.Context, name string, done *Sweeping) {
	entries, err := os.ReadDir(filepath.Join(l.folder(name), "disks"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		done.note("disks of "+name, err)
	}
	for _, entry := range entries {
		path := filepath.Join(l.folder(name), "disks", entry.Name())
		err := detachLoops(ctx, path)
		if err == nil {
			err = os.Remove(path)
		}
		done.note("disk "+strings.TrimSuffix(entry.Name(), ".img"), err)
	}
	l.sweepLoops(ctx, name, done)
}

// sweepLoops frees the block devices whose files were deleted beneath them.
func (l *Lab) sweepLoops(ctx context.Context, name string, done *Sweeping) {
	files, err := loopFiles()
	if err != nil {
		done.note("loop devices of "+name, err)
	}
	for device, file := range files {
		if strings.HasPrefix(file, filepath.Join(l.folder(name), "disks")+"/") {
			done.note("loop device "+device, detachLoops(ctx, file))
		}
	}
}

// forgetIfEmpty removes a deployment's record when nothing of the deployment is recorded any more.
func (l *Lab) forgetIfEmpty(ctx context.Context, name string) error {
	return l.forget(ctx, name, func() (bool, error) {
		r, err := l.load(name)
		return err == nil && r.Network == nil && len(r.Hosts) == 0 && len(r.Disks) == 0, err
	})
}

// forget removes a deployment's folder if it may, and the lab's state with the last of them.
func (l *Lab) forget(ctx context.Context, name string, allowed func() (bool, error)) error {
	release, err := l.lockRecords(ctx)
	if err != nil {
		return err
	}
	defer release()
	if ok, err := allowed(); err != nil || !ok {
		return err
	}
	if err := os.RemoveAll(l.folder(name)); err != nil {
		return err
	}
	return l.closeIfEmpty()
}

// closeIfEmpty sets back what the lab changed on this machine when no deployment is left.
// The caller holds the records' lock.
func (l *Lab) closeIfEmpty() error {
	names, err := l.deployments()
	if err != nil || len(names) > 0 {
		return err
	}
	if err := l.restoreMachine(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(l.state, "lock")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// Anything that is not the lab's own keeps the folder.
	_ = os.Remove(l.state)
	return nil
}
