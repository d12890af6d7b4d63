package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func load(t *testing.T) *contract {
	t.Helper()
	loaded, err := loadContract("../contract.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func TestEveryModuleKeepsTheContract(t *testing.T) {
	modules, err := filepath.Glob("../*/main.tf")
	if err != nil || len(modules) == 0 {
		t.Fatalf("no module found: %v", err)
	}
	for _, path := range modules {
		for _, difference := range load(t).compare(filepath.Dir(path), "") {
			t.Errorf("%s: %s", filepath.Dir(path), difference)
		}
	}
}

func TestADifferentModuleIsNamed(t *testing.T) {
	for name, fault := range map[string]struct{ file, from, to, said string }{
		"other type":     {"variables.tf", "protection\" {\n  description = \"Whether the cloud's deletion protection guards what holds data.\"\n  type        = bool", "protection\" {\n  type = string", "variable `protection` has type"},
		"deep in a type": {"variables.tf", "port     = number", "port     = string", "variable `flows` has type"},
		"optional":       {"variables.tf", "optional(string)", "string", "variable `nodes` has type"},
		"other name":     {"variables.tf", `variable "tags"`, `variable "labels"`, "it has no variable `tags`"},
		"one too many":   {"outputs.tf", `output "cidrs"`, "output \"extra\" {\n  value = 1\n}\noutput \"cidrs\"", "output `extra` is not in the contract"},
		"one too few":    {"outputs.tf", `output "simulated"`, `output "cores"`, "it has no output `simulated`"},
		"nullable":       {"variables.tf", "nullable    = true", "nullable    = false", "nullable = false"},
		"no module":      {"variables.tf", "variable", "varia ble", ""},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.CopyFS(folder, os.DirFS("../lab")); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, fault.file)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(content), fault.from, fault.to, 1)
			if changed == string(content) {
				t.Fatalf("%s holds no %q", fault.file, fault.from)
			}
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			said := strings.Join(load(t).compare(folder, ""), "\n")
			if said == "" || !strings.Contains(said, fault.said) {
				t.Errorf("it says %q", said)
			}
		})
	}
}

func TestRecordedOutputsAreHeldAgainstTheContract(t *testing.T) {
	right := `{
		"nodes": {"value": {"a-1": {"provider_id": "a/a-1/1", "zone": 1, "private_address": "198.18.1.10",
			"public_address": null, "data_disks": {"data": {"provider_id": "d", "path": "/dev/refarch/a-1-data", "size_gb": 1}}}}},
		"access": {"value": {"a-1": {"host": "198.18.1.10", "port": 22, "user": "root", "proxy_command": null}}},
		"endpoints": {"value": {"external": {"address": "198.18.1.10", "health_checks_from": ["198.18.1.1/32"]}, "internal": null}},
		"managed_services": {"value": {}}, "object_storage": {"value": null},
		"cidrs": {"value": {"network": "198.18.1.0/24"}}, "simulated": {"value": "sizes"}}`
	path := filepath.Join(t.TempDir(), "outputs.json")
	check := func(content string) []string {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return load(t).checkOutputs(path)
	}
	if differences := check(right); len(differences) > 0 {
		t.Errorf("right outputs: %v", differences)
	}
	for _, fault := range [][2]string{
		{`"zone": 1, `, ``}, {`"port": 22`, `"port": "22"`}, {`"/dev/refarch`, `"/mnt`},
		{`"simulated"`, `"imagined"`}, {`"network"`, `"net"`},
	} {
		wrong := strings.Replace(right, fault[0], fault[1], 1)
		if wrong == right || len(check(wrong)) == 0 {
			t.Errorf("outputs with %q instead of %q pass", fault[1], fault[0])
		}
	}
}
