//go:build e2e

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"refarch.invalid/refarch/lab/provider/host"
)

const owner = "own3rx"

// world is one deployment that a test makes with plain terraform, in folders of its own.
type world struct {
	t      *testing.T
	name   string
	cache  string
	state  string
	folder string
	env    []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if err := host.CheckMachine(); err != nil {
		t.Fatalf("these tests boot hosts: %v", err)
	}
	raw := make([]byte, 3)
	_, _ = rand.Read(raw)
	top := t.TempDir()
	w := &world{
		t: t, name: "e2e-" + hex.EncodeToString(raw), cache: cacheFolder(t),
		state: filepath.Join(top, "state"), folder: filepath.Join(top, "work"),
	}
	t.Setenv(host.StateVariable, w.state)
	w.layOut()
	// What a failed test made goes too, and a passed one must have left nothing to sweep.
	t.Cleanup(func() {
		if _, err := host.Open().Sweep(context.Background(), w.name, ""); err != nil {
			t.Errorf("sweep after the test: %v", err)
		}
		w.wantNothingLeft()
	})
	return w
}

func cacheFolder(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv("REFARCH_CACHE"); folder != "" {
		return folder
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "refarch")
}

// layOut writes the work directory: root module, module, variables, key and terraform's own settings.
func (w *world) layOut() {
	w.t.Helper()
	must(w.t, os.MkdirAll(w.folder, 0o700))
	must(w.t, os.CopyFS(filepath.Join(w.folder, "modules", "lab"), os.DirFS("../../modules/lab")))
	root, err := os.ReadFile("testdata/main.tf")
	must(w.t, err)
	w.write("main.tf", string(root))
	w.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f", filepath.Join(w.folder, "id"))
	key, err := os.ReadFile(filepath.Join(w.folder, "id.pub"))
	must(w.t, err)
	values, err := json.Marshal(map[string]any{
		"name": w.name, "suffix": owner, "ssh_public_key": strings.TrimSpace(string(key)),
		"image": filepath.Join(w.cache, "lab", "image"),
	})
	must(w.t, err)
	w.write("terraform.tfvars.json", string(values))
	w.write("terraformrc", "provider_installation {\n  filesystem_mirror {\n    path = \""+
		filepath.Join(w.cache, "lab", "mirror")+"\"\n  }\n}\n")
	w.env = append(os.Environ(), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0",
		"TF_CLI_CONFIG_FILE="+filepath.Join(w.folder, "terraformrc"))
	w.terraform(0, "init", "-no-color")
}

func (w *world) write(name, content string) {
	w.t.Helper()
	must(w.t, os.WriteFile(filepath.Join(w.folder, name), []byte(content), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) run(name string, arguments ...string) string {
	w.t.Helper()
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %v: %v\n%s", name, arguments, err, output)
	}
	return string(output)
}

// terraform runs it to its end and wants an exit code. Its output is read through pipes, so this also waits
// for whoever else holds them.
func (w *world) terraform(code int, arguments ...string) string {
	w.t.Helper()
	output, got := w.tryTerraform(arguments...)
	if got != code {
		w.t.Fatalf("terraform %v ended with %d, not %d:\n%s", arguments, got, code, output)
	}
	return output
}

func (w *world) tryTerraform(arguments ...string) (string, int) {
	w.t.Helper()
	var output bytes.Buffer
	process := w.terraformProcess(arguments...)
	process.Stdout, process.Stderr = &output, &output
	err := process.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		w.t.Fatal(err)
	}
	return output.String(), process.ProcessState.ExitCode()
}

func (w *world) terraformProcess(arguments ...string) *exec.Cmd {
	process := exec.Command("terraform", append([]string{"-chdir=" + w.folder}, arguments...)...)
	process.Env = w.env
	return process
}

func (w *world) apply(arguments ...string) {
	w.t.Helper()
	w.terraform(0, append([]string{"apply", "-no-color", "-auto-approve"}, arguments...)...)
}

// planned returns what the next apply would do, as "action address" of everything that is not left alone.
func (w *world) planned(arguments ...string) []string {
	w.t.Helper()
	output, _ := w.tryTerraform(append([]string{"plan", "-json"}, arguments...)...)
	var changes []string
	for line := range strings.Lines(output) {
		var event struct {
			Type    string
			Message string `json:"@message"`
			Level   string `json:"@level"`
			Change  struct {
				Action   string
				Resource struct {
					Type string `json:"resource_type"`
					Key  string `json:"resource_key"`
				}
			}
		}
		if json.Unmarshal([]byte(line), &event) != nil {
			continue
		}
		if event.Level == "error" {
			w.t.Fatalf("plan failed: %s", event.Message)
		}
		if event.Type == "planned_change" {
			changes = append(changes, event.Change.Action+" "+event.Change.Resource.Type)
		}
	}
	slices.Sort(changes)
	return changes
}

func (w *world) wantPlanned(want ...string) {
	w.t.Helper()
	if got := w.planned(); !slices.Equal(got, want) {
		w.t.Fatalf("the next plan is %v, not %v", got, want)
	}
}

func (w *world) destroy() {
	w.t.Helper()
	w.terraform(0, "destroy", "-no-color", "-auto-approve")
	w.wantNothingLeft()
}

func (w *world) inspect() host.Inspection {
	w.t.Helper()
	found, err := host.Open().Inspect(context.Background(), w.name)
	must(w.t, err)
	return found
}

func (w *world) node() string { return w.name + "-all-in-one-1" }

// ssh runs a command on the first host.
func (w *world) ssh(command string) string {
	w.t.Helper()
	output, err := exec.Command("ssh", "-i", filepath.Join(w.folder, "id"), "-p", "2222",
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10",
		"root@"+w.inspect().Hosts[0].Address, command).CombinedOutput()
	if err != nil {
		w.t.Fatalf("ssh %q: %v\n%s", command, err, output)
	}
	return strings.TrimSpace(string(output))
}

// birth tells one boot of the first host from another.
func (w *world) birth() string {
	w.t.Helper()
	return w.ssh("stat --format %Y%i /etc/ssh/ssh_host_ed25519_key && cut -d' ' -f22 /proc/1/stat")
}

// wantNothingLeft looks for every kind of thing that the lab makes, by the deployment's name and folders.
func (w *world) wantNothingLeft() {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		left := w.leftovers()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (w *world) leftovers() []string {
	var left []string
	find := func(kind, listing, needle string) {
		for line := range strings.Lines(listing) {
			if strings.Contains(line, needle) {
				left = append(left, kind+": "+strings.TrimSpace(line))
			}
		}
	}
	find("namespace", w.run("ip", "netns", "list"), w.name)
	find("link", w.run("ip", "-details", "link", "show"), w.name)
	find("loop device", w.run("losetup", "--list", "--output", "NAME,BACK-FILE"), w.state)
	find("mount", read("/proc/self/mountinfo"), w.state)
	find("process", w.run("ps", "-eo", "args="), "--machine="+w.name)
	left = append(left, w.processesHere()...)
	for _, pattern := range []string{
		"/sys/fs/cgroup/refarch*/" + w.name, "/sys/fs/cgroup/*/refarch*/" + w.name,
		"/run/systemd/nspawn/propagate/" + w.name + "*", w.state,
	} {
		found, _ := filepath.Glob(pattern)
		for _, one := range found {
			left = append(left, "path: "+one)
		}
	}
	return left
}

// processesHere lists the processes that work in the test's folder: terraform and its provider.
func (w *world) processesHere() []string {
	var here []string
	folders, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, folder := range folders {
		if at, err := os.Readlink(folder); err == nil && at == w.folder {
			here = append(here, "process: "+read(filepath.Join(filepath.Dir(folder), "comm")))
		}
	}
	return here
}

func read(path string) string {
	content, _ := os.ReadFile(path)
	return string(content)
}
