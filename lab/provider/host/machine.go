package host

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The systemd in every host takes some inotify instances out of one limit that all of root's processes share.
// Its default of 128 is enough for 19 hosts; the lab raises it when more are made, and sets it back when its
// last deployment goes.
const (
	instancesPerHost = 7
	raisedInstances  = 2048
)

// inotifyLimit is a variable for the tests, which must not change the machine.
var inotifyLimit = "/proc/sys/fs/inotify/max_user_instances"

// machineRecord is what the lab changed on this machine beyond its own things, so that it can be set back.
type machineRecord struct {
	Version int `json:"version"`
	// Before and Raised are the limit of inotify instances; 0 while it was not changed.
	Before int `json:"before"`
	Raised int `json:"raised"`
	// Absent lists the folders of other programs that were not there before.
	Absent []string `json:"absent"`
}

// borrowedFolders are made by `ip` and systemd-nspawn for the lab's sake, and left there by them.
var borrowedFolders = []string{namespaceFolder, nspawnFolder}

func (l *Lab) machinePath() string { return filepath.Join(l.state, "machine.json") }

// noteMachine writes down how the machine was found, before the first thing is made on it. The caller holds
// the records' lock.
func (l *Lab) noteMachine() error {
	noted := machineRecord{}
	found, err := readJSON(l.machinePath(), &noted)
	if err != nil || found {
		return err
	}
	noted.Version = recordVersion
	for _, folder := range borrowedFolders {
		if !exists(folder) {
			noted.Absent = append(noted.Absent, folder)
		}
	}
	return writeJSON(l.machinePath(), noted)
}

// instancesWanted is the limit that a number of hosts needs; 0 when the one that is set will do.
func instancesWanted(hosts, limit int) int {
	if hosts*instancesPerHost <= limit {
		return 0
	}
	return max(raisedInstances, hosts*instancesPerHost)
}

// raiseInotify makes room for the hosts that are recorded. The caller holds the records' lock.
func (l *Lab) raiseInotify() error {
	recorded, err := l.countHosts()
	if err != nil {
		return err
	}
	// The limit is shared with the hosts of labs that have another state.
	hosts := max(recorded, countHostNamespaces())
	limit, err := readLimit()
	if err != nil {
		return err
	}
	wanted := instancesWanted(hosts, limit)
	if wanted == 0 {
		return nil
	}
	noted := machineRecord{Version: recordVersion}
	if _, err := readJSON(l.machinePath(), &noted); err != nil {
		return err
	}
	if noted.Raised == 0 {
		noted.Before = limit
	}
	noted.Raised = wanted
	if err := writeJSON(l.machinePath(), noted); err != nil {
		return err
	}
	return os.WriteFile(inotifyLimit, []byte(strconv.Itoa(wanted)), 0o644)
}

// restoreMachine sets back what the lab changed, unless someone else has changed it since. A record that
// can't be read is no reason to keep it: nothing else hangs on it.
func (l *Lab) restoreMachine() error {
	var noted machineRecord
	if found, err := readJSON(l.machinePath(), &noted); err == nil && found {
		if err := restore(noted); err != nil {
			return err
		}
	}
	if err := os.Remove(l.machinePath()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func restore(noted machineRecord) error {
	limit, err := readLimit()
	if err != nil {
		return err
	}
	if noted.Raised != 0 && limit == noted.Raised {
		if err := os.WriteFile(inotifyLimit, []byte(strconv.Itoa(noted.Before)), 0o644); err != nil {
			return err
		}
	}
	for _, folder := range noted.Absent {
		if err := removeBorrowed(folder); err != nil {
			return err
		}
	}
	return nil
}

// removeBorrowed removes a folder of another program's, and what lies in it, only while all of it is empty.
func removeBorrowed(folder string) error {
	if !slices.Contains(borrowedFolders, folder) || !emptyTree(folder) {
		return nil
	}
	// `ip` mounts its folder on itself.
	if err := unmount(folder); err != nil {
		return err
	}
	return os.RemoveAll(folder)
}

func emptyTree(folder string) bool {
	empty := true
	err := filepath.WalkDir(folder, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			empty = false
		}
		return err
	})
	return err == nil && empty
}

// countHostNamespaces counts the hosts of every lab on this machine.
func countHostNamespaces() int {
	entries, _ := os.ReadDir(namespaceFolder)
	hosts := 0
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "refarch") && strings.Count(entry.Name(), ".") == 2 {
			hosts++
		}
	}
	return hosts
}

func (l *Lab) countHosts() (int, error) {
	names, err := l.deployments()
	if err != nil {
		return 0, err
	}
	hosts := 0
	for _, name := range names {
		if loaded, err := l.load(name); err == nil {
			hosts += len(loaded.Hosts)
		}
	}
	return hosts, nil
}

func readLimit() (int, error) {
	content, err := os.ReadFile(inotifyLimit)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(content)))
}
