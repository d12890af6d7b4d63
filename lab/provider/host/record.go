package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const recordVersion = 1

// record is what is written down about a deployment before anything of it is made.
type record struct {
	Version   int                   `json:"version"`
	Network   *networkRecord        `json:"network"`
	Addresses map[string]int        `json:"addresses"`
	Hosts     map[string]hostRecord `json:"hosts"`
	Disks     map[string]diskRecord `json:"disks"`
	// Firewall is what each host lets in; null while there is no firewall, and every host is open.
	Firewall FirewallSpec `json:"firewall"`
}

type networkRecord struct {
	Subnet int    `json:"subnet"`
	Link   string `json:"link"`
}

type hostRecord struct {
	Serial string   `json:"serial"`
	Spec   HostSpec `json:"spec"`
}

type diskRecord struct {
	Serial string `json:"serial"`
	SizeGB int64  `json:"size_gb"`
}

type ownerRecord struct {
	Version int `json:"version"`
	Owner
}

func (l *Lab) folder(deployment string) string { return filepath.Join(l.state, deployment) }
func (l *Lab) recordPath(name string) string   { return filepath.Join(l.folder(name), "record.json") }
func (l *Lab) ownerPath(name string) string    { return filepath.Join(l.folder(name), "owner.json") }

// owner reads who holds a name; nil when nobody does.
func (l *Lab) owner(name string) (*Owner, error) {
	var owner ownerRecord
	found, err := readJSON(l.ownerPath(name), &owner)
	if err != nil || !found {
		return nil, err
	}
	if owner.Version != recordVersion || owner.Suffix == "" {
		return nil, brokenRecord(l.ownerPath(name), fmt.Errorf("version %d", owner.Version))
	}
	return &owner.Owner, nil
}

// load reads a deployment's record; an empty one when there is none.
func (l *Lab) load(name string) (*record, error) {
	loaded := &record{Version: recordVersion}
	if _, err := readJSON(l.recordPath(name), loaded); err != nil {
		return nil, err
	}
	if loaded.Version != recordVersion {
		return nil, brokenRecord(l.recordPath(name), fmt.Errorf("version %d", loaded.Version))
	}
	if loaded.Addresses == nil {
		loaded.Addresses = map[string]int{}
	}
	if loaded.Hosts == nil {
		loaded.Hosts = map[string]hostRecord{}
	}
	if loaded.Disks == nil {
		loaded.Disks = map[string]diskRecord{}
	}
	return loaded, nil
}

// CheckOwner refuses a deployment that another work directory holds.
func (d *Deployment) CheckOwner() error {
	owner, err := d.lab.owner(d.Name)
	if err != nil {
		return err
	}
	if owner != nil && owner.Suffix != d.Owner.Suffix {
		return &OwnedError{Name: d.Name, Owner: *owner}
	}
	return nil
}

// change alters the record under the lab's lock, and claims the name if nobody holds it.
func (d *Deployment) change(ctx context.Context, alter func(*record) error) error {
	release, err := d.lab.lockRecords(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := d.CheckOwner(); err != nil {
		return err
	}
	loaded, err := d.lab.load(d.Name)
	if err != nil {
		return err
	}
	if err := alter(loaded); err != nil {
		return err
	}
	if err := d.lab.noteMachine(); err != nil {
		return err
	}
	// Written each time, so that a work directory which was moved is named as it is now.
	if err := writeJSON(d.lab.ownerPath(d.Name), ownerRecord{recordVersion, d.Owner}); err != nil {
		return err
	}
	return writeJSON(d.lab.recordPath(d.Name), loaded)
}

// view reads the record of a deployment that must be the caller's own.
func (d *Deployment) view() (*record, error) {
	if err := d.CheckOwner(); err != nil {
		return nil, err
	}
	return d.lab.load(d.Name)
}

func readJSON(path string, into any) (bool, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return false, brokenRecord(path, err)
	}
	return true, nil
}

func brokenRecord(path string, cause error) error {
	name := filepath.Base(filepath.Dir(path))
	return &Problem{
		Summary: "the lab's record can't be read",
		Detail:  fmt.Sprintf("%s: %v. Remove what it stands for with `refarch-lab sweep %s`.", path, cause, name),
	}
}

// writeJSON replaces a file in one step that survives a crash of the machine: written beside, flushed, renamed.
func writeJSON(path string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	beside := path + ".new"
	if err := writeFlushed(beside, append(content, '\n')); err != nil {
		return err
	}
	if err := os.Rename(beside, path); err != nil {
		return err
	}
	return flushFolder(folder)
}

func writeFlushed(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		file.Close()
		return err
	}
	if err := file.Sync(); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

func flushFolder(folder string) error {
	opened, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer opened.Close()
	return opened.Sync()
}
