package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The phrases that the licences which the project allows are known by.
var allowedLicences = map[string]string{
	"MPL-2.0":    "Mozilla Public License",
	"MIT":        "Permission is hereby granted, free of charge",
	"Apache-2.0": "Apache License",
	"BSD":        "Redistribution and use in source and binary forms",
}

func TestEveryLinkedModuleHasAnAllowedLicence(t *testing.T) {
	for _, program := range []string{".", "../../modules/check"} {
		command := exec.Command("go", "list", "-deps", "-f", `{{with .Module}}{{if not .Main}}{"path":"{{.Path}}","dir":"{{.Dir}}"}{{end}}{{end}}`, ".")
		command.Dir = program
		listed, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		modules := map[string]string{}
		decoder := json.NewDecoder(strings.NewReader(string(listed)))
		for decoder.More() {
			var one struct{ Path, Dir string }
			if err := decoder.Decode(&one); err != nil {
				t.Fatal(err)
			}
			modules[one.Path] = one.Dir
		}
		if len(modules) < 5 {
			t.Fatalf("%s links only %d modules", program, len(modules))
		}
		for path, folder := range modules {
			if licence := licenceIn(folder); licence == "" {
				t.Errorf("%s: its licence is not one that the project allows", path)
			}
		}
	}
}

func licenceIn(folder string) string {
	files, _ := filepath.Glob(filepath.Join(folder, "LICEN[CS]E*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		plain := strings.Join(strings.Fields(string(text)), " ")
		for name, phrase := range allowedLicences {
			if strings.Contains(plain, phrase) {
				return name
			}
		}
	}
	return ""
}

func TestAnUnknownLicenceIsSeen(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "LICENSE"), []byte("All rights reserved."), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := licenceIn(folder); got != "" {
		t.Errorf("it passes as %s", got)
	}
}
