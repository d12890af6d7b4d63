package host

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// machineRecord is what the lab changed on this machine beyond its own things, so that it can be set back.
type machineRecord struct {
	Version int `json:"version"`
	// Limits says of each limit that was raised what it was before and is now.
	Limits map[string]raisedLimit `json:"limits"`
	// Before and Raised are how a lab that knew no limit but that of inotify wrote it down; they are only read.
	Before int `json:"before,omitempty"`
	Raised int `json:"raised,omitempty"`
	// Absent lists the folders of other programs that were not there before.
	Absent []string `json:"absent"`
}

// borrowedFolders are made by `ip` and systemd-nspawn for the lab's sake, and left there by them.
var borrowedFolders = []string{namespaceFolder, nspawnFolder}

func (l *Lab) machinePath() string { return filepath.Join(l.state, "machine.json") }

// loadMachine reads what was changed on the machine; nothing where nothing was.
func (l *Lab) loadMachine() (noted machineRecord, found bool, err error) {
	noted = machineRecord{Version: recordVersion}
	found, err = readJSON(l.machinePath(), &noted)
	if noted.Limits == nil {
		noted.Limits = map[string]raisedLimit{}
	}
	if noted.Raised != 0 {
		noted.Limits[inotifyInstances] = raisedLimit{Before: noted.Before, Raised: noted.Raised}
		noted.Before, noted.Raised = 0, 0
	}
	return noted, found, err
}

// noteMachine writes down how the machine was found, before the first thing is made on it. The caller holds
// the records' lock.
func (l *Lab) noteMachine() error {
	noted, found, err := l.loadMachine()
	if err != nil || found {
		return err
	}
	for _, folder := range borrowedFolders {
		if !exists(folder) {
			noted.Absent = append(noted.Absent, folder)
		}
	}
	return writeJSON(l.machinePath(), noted)
}

// restoreMachine sets back what the lab changed, unless someone else has changed it since. A record that
// can't be read is no reason to keep it: nothing else hangs on it.
func (l *Lab) restoreMachine() error {
	if noted, found, err := l.loadMachine(); err == nil && found {
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
	if err := restoreLimits(noted.Limits); err != nil {
		return err
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
