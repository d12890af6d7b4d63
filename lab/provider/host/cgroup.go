package host

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// cgroup is a host's folder in a hierarchy. Every host has one of its own: that is how all of its processes
// are found, however they were forked, and killed at once, and how two hosts don't share the folders that
// systemd-nspawn makes beside itself.
func (l *Lab) cgroup(root, deployment, node string) string {
	return filepath.Join(root, "refarch-lab"+l.realm(), deployment, node)
}

type mount struct {
	root, point, kind, options string
}

// mounts reads this process's mounts.
func mounts() ([]mount, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var listed []mount
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if one, ok := parseMount(lines.Text()); ok {
			listed = append(listed, one)
		}
	}
	return listed, lines.Err()
}

// parseMount reads a line of mountinfo: the fields before " - " have fixed places, those behind it too.
func parseMount(line string) (mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	first, last := strings.Fields(before), strings.Fields(after)
	if !ok || len(first) < 6 || len(last) < 3 {
		return mount{}, false
	}
	return mount{root: unescape(first[3]), point: unescape(first[4]), kind: last[0], options: last[2]}, true
}

// unescape undoes the octal escapes that the kernel writes for blanks in paths.
func unescape(path string) string {
	for _, escape := range []struct{ code, plain string }{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		path = strings.ReplaceAll(path, escape.code, escape.plain)
	}
	return path
}

// cgroupRoots returns where the unified hierarchy is mounted, and systemd's own hierarchy of version 1 where
// the machine still has one: systemd-nspawn makes its folders in both.
func cgroupRoots() (unified string, named string, err error) {
	listed, err := mounts()
	if err != nil {
		return "", "", err
	}
	for _, one := range listed {
		switch {
		case one.kind == "cgroup2" && unified == "":
			unified = one.point
		case one.kind == "cgroup" && strings.Contains(","+one.options+",", ",name=systemd,"):
			named = one.point
		}
	}
	if unified == "" {
		return "", "", &Problem{
			Summary: "the lab needs control groups of version 2",
			Detail:  "no cgroup2 file system is mounted on this machine. Mount one: `mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified`.",
		}
	}
	return unified, named, nil
}

// makeCgroups makes a host's cgroup in each hierarchy and returns their folders, the unified one first.
func (l *Lab) makeCgroups(deployment, node string) ([]string, error) {
	unified, named, err := cgroupRoots()
	if err != nil {
		return nil, err
	}
	folders := []string{l.cgroup(unified, deployment, node)}
	if named != "" {
		folders = append(folders, l.cgroup(named, deployment, node))
	}
	for _, folder := range folders {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	return folders, nil
}

// unifiedCgroup is a host's folder in the unified hierarchy; it need not exist.
func (l *Lab) unifiedCgroup(deployment, node string) (string, error) {
	unified, _, err := cgroupRoots()
	return l.cgroup(unified, deployment, node), err
}

// populated says whether any process lives in a cgroup or below it.
func populated(folder string) bool {
	content, err := os.ReadFile(filepath.Join(folder, "cgroup.events"))
	return err == nil && strings.Contains(string(content), "populated 1")
}

// supervisor finds the systemd-nspawn process of a host; 0 when there is none.
func supervisor(folder string) int {
	for _, process := range processesIn(folder) {
		name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(process), "comm"))
		if err == nil && strings.TrimSpace(string(name)) == "systemd-nspawn" {
			return process
		}
	}
	return 0
}

// processesIn lists the processes of a cgroup and of the folder that systemd-nspawn moves itself to.
func processesIn(folder string) []int {
	var processes []int
	for _, within := range []string{folder, filepath.Join(folder, "supervisor")} {
		content, err := os.ReadFile(filepath.Join(within, "cgroup.procs"))
		if err != nil {
			continue
		}
		for _, line := range strings.Fields(string(content)) {
			if process, err := strconv.Atoi(line); err == nil {
				processes = append(processes, process)
			}
		}
	}
	return processes
}

// killCgroup ends every process of a cgroup at once and waits until they are gone.
func killCgroup(folder string) error {
	if !populated(folder) {
		return nil
	}
	if err := os.WriteFile(filepath.Join(folder, "cgroup.kill"), []byte("1"), 0o200); err != nil {
		return err
	}
	if !waitEmpty(folder, 20*time.Second) {
		return &Problem{
			Summary: "a host's processes can't be ended",
			Detail:  "they are listed in " + folder + " and below it, and hang in the kernel. Look at their state with `ps`, and try again.",
		}
	}
	return nil
}

func waitEmpty(folder string, patience time.Duration) bool {
	deadline := time.Now().Add(patience)
	for populated(folder) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}

// removeCgroups removes a host's folders in every hierarchy, and the ones above them that are empty then.
func (l *Lab) removeCgroups(deployment, node string) error {
	unified, named, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range []string{unified, named} {
		if root == "" {
			continue
		}
		if err := removeCgroupTree(l.cgroup(root, deployment, node)); err != nil {
			return err
		}
		// These are shared with other hosts and stay while one of them is there.
		_ = os.Remove(l.cgroup(root, deployment, ""))
		_ = os.Remove(l.cgroup(root, "", ""))
	}
	return nil
}

// removeCgroupTree removes folders from the deepest up: the files in a cgroup go with it, so no more can or
// need be removed.
func removeCgroupTree(top string) error {
	var folders []string
	err := filepath.WalkDir(top, func(path string, entry os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil && entry.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	sort.Sort(sort.Reverse(sort.StringSlice(folders)))
	for _, folder := range folders {
		if err := removeCgroup(folder); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroup waits for processes that have ended but whose end the kernel hasn't finished.
func removeCgroup(folder string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := os.Remove(folder)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
