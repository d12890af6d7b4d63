package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// DiskSpec is what is wanted of a data disk.
type DiskSpec struct {
	Name   string
	SizeGB int64
}

// Disk is a data disk: a sparse file here, a block device at a stable path in its host.
type Disk struct {
	ID      string
	Name    string
	SizeGB  int64
	Path    string
	Present bool
}

const gigabyte = 1 << 30

func (l *Lab) diskFile(deployment, disk string) string {
	return filepath.Join(l.folder(deployment), "disks", disk+".img")
}

// DiskPath is where a host sees its disk. Neither a reboot nor another order of disks changes it.
func DiskPath(disk string) string { return "/dev/refarch/" + disk }

// ClaimDisk writes down the disk that is about to be made. A recorded one is taken over with its content.
func (d *Deployment) ClaimDisk(ctx context.Context, spec DiskSpec) (Disk, error) {
	if !namePattern.MatchString(spec.Name) || spec.SizeGB < 1 {
		return Disk{}, &Problem{
			Summary: fmt.Sprintf("disk `%s` of %d GB can't be made", spec.Name, spec.SizeGB),
			Detail:  "a disk's name has 1 to 63 characters of a-z, 0-9 and -, and its size is at least 1 GB.",
		}
	}
	var claimed Disk
	err := d.change(ctx, func(r *record) error {
		recorded, ok := r.Disks[spec.Name]
		if ok && spec.SizeGB < recorded.SizeGB {
			return &Problem{
				Summary: fmt.Sprintf("disk `%s` can't shrink", spec.Name),
				Detail:  fmt.Sprintf("it has %d GB, and %d GB are asked for. Set its size to at least %d GB.", recorded.SizeGB, spec.SizeGB, recorded.SizeGB),
			}
		}
		if !ok || !exists(d.lab.diskFile(d.Name, spec.Name)) {
			recorded.Serial = newSerial()
		}
		recorded.SizeGB = spec.SizeGB
		r.Disks[spec.Name] = recorded
		claimed = d.disk(spec.Name, recorded)
		return nil
	})
	return claimed, err
}

func (d *Deployment) disk(name string, r diskRecord) Disk {
	return Disk{
		ID: makeID(d.Name, name, r.Serial), Name: name, SizeGB: r.SizeGB, Path: DiskPath(name),
		Present: exists(d.lab.diskFile(d.Name, name)),
	}
}

// MakeDisk makes or grows a claimed disk. It never touches what is on it.
func (d *Deployment) MakeDisk(ctx context.Context, name string) error {
	release, err := d.lab.lockThing(ctx, d.Name, "disk-"+name)
	if err != nil {
		return err
	}
	defer release()
	r, err := d.view()
	if err != nil {
		return err
	}
	recorded, ok := r.Disks[name]
	if !ok {
		return d.vanished(ctx, "disk "+name)
	}
	return growDisk(ctx, d.lab.diskFile(d.Name, name), recorded.SizeGB*gigabyte)
}

func growDisk(ctx context.Context, path string, size int64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	status, err := file.Stat()
	if err != nil {
		return err
	}
	if status.Size() < size {
		if err := file.Truncate(size); err != nil {
			return err
		}
	}
	if err := file.Sync(); err != nil {
		return err
	}
	devices, err := loopsOf(path)
	if err != nil {
		return err
	}
	for _, device := range devices {
		if _, err := command(ctx, "losetup", "--set-capacity", device); err != nil {
			return err
		}
	}
	return nil
}

// ReadDisk says what is recorded of a disk and whether its file is there.
func (d *Deployment) ReadDisk(name string) (Disk, error) {
	r, err := d.view()
	if err != nil {
		return Disk{}, err
	}
	recorded, ok := r.Disks[name]
	if !ok {
		return Disk{}, nil
	}
	return d.disk(name, recorded), nil
}

// DestroyDisk removes a disk and what is on it.
func (d *Deployment) DestroyDisk(ctx context.Context, name string) error {
	release, err := d.lab.lockThing(ctx, d.Name, "disk-"+name)
	if err != nil {
		return err
	}
	defer release()
	if err := d.CheckOwner(); err != nil {
		return err
	}
	path := d.lab.diskFile(d.Name, name)
	if err := detachLoops(ctx, path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err = d.change(ctx, func(r *record) error {
		delete(r.Disks, name)
		return nil
	})
	if err != nil {
		return err
	}
	return d.settle(ctx)
}

// attachLoop gives a disk's file a block device, the one it has if it has one.
func attachLoop(ctx context.Context, path string) (string, error) {
	devices, err := loopsOf(path)
	if err != nil {
		return "", err
	}
	if len(devices) > 0 {
		return devices[0], nil
	}
	printed, err := command(ctx, "losetup", "--find", "--show", path)
	return strings.TrimSpace(string(printed)), err
}

// loopsOf lists the block devices of a file, also of one that was deleted beneath them.
func loopsOf(path string) ([]string, error) {
	files, err := loopFiles()
	if err != nil {
		return nil, err
	}
	var devices []string
	for _, device := range sortedKeys(files) {
		if files[device] == path {
			devices = append(devices, device)
		}
	}
	return devices, nil
}

// loopFiles maps every loop device that is in use to its file.
func loopFiles() (map[string]string, error) {
	backings, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, backing := range backings {
		content, err := os.ReadFile(backing)
		if err != nil {
			continue // Detached between the listing and the reading.
		}
		device := "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(backing)))
		files[device] = strings.TrimSuffix(strings.TrimSpace(string(content)), " (deleted)")
	}
	return files, nil
}

// detachLoops frees the block devices of a file and waits until they are free: the kernel keeps one for as
// long as a file system on it is mounted anywhere.
func detachLoops(ctx context.Context, path string) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		devices, err := loopsOf(path)
		if err != nil {
			return err
		}
		if len(devices) == 0 {
			return nil
		}
		for _, device := range devices {
			// A device that is busy is detached by the kernel when its last user goes.
			_, _ = command(ctx, "losetup", "--detach", device)
		}
		if time.Now().After(deadline) {
			return &Problem{
				Summary: "a disk is still in use",
				Detail:  fmt.Sprintf("%s of %s is mounted or held open. Find who with `grep %s /proc/*/mountinfo` and try again.", strings.Join(devices, ", "), path, filepath.Base(devices[0])),
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
