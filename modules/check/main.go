// Compares refarch's Terraform modules with their contract: every module takes the same inputs and gives the
// same outputs, but for the type of `cloud`, so that whatever drives one can drive all.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	schemaPath := flag.String("schema", "contract.schema.json", "the contract")
	modules, outputs, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2)
	}
	contract, err := loadContract(*schemaPath)
	if err != nil {
		fmt.Fprintf(os.Stderr, "check-contract: %s: %v\n", *schemaPath, err)
		os.Exit(1)
	}
	differences := 0
	for _, folder := range modules {
		for _, difference := range contract.compare(folder, outputs) {
			fmt.Fprintf(os.Stderr, "check-contract: %s: %s\n", filepath.Base(folder), difference)
			differences++
		}
	}
	if differences > 0 {
		fmt.Fprintf(os.Stderr, "check-contract: change the module, or the contract and every module with it\n")
		os.Exit(1)
	}
	fmt.Printf("check-contract: %d module(s) keep the contract\n", len(modules))
}

// parse reads flags wherever they stand.
func parse(arguments []string) (modules []string, outputs string, err error) {
	flag.StringVar(&outputs, "outputs", "", "what `terraform output -json` printed")
	for {
		if err := flag.CommandLine.Parse(arguments); err != nil {
			return nil, "", err
		}
		if flag.NArg() == 0 {
			return modules, outputs, nil
		}
		modules = append(modules, flag.Arg(0))
		arguments = flag.Args()[1:]
	}
}

// compare returns every difference between a module and the contract.
func (c *contract) compare(folder, outputs string) []string {
	found, err := readModule(folder)
	if err != nil {
		return []string{err.Error()}
	}
	differences := append(c.compareInputs(found), c.compareOutputs(found)...)
	if outputs != "" {
		differences = append(differences, c.checkOutputs(outputs)...)
	}
	return differences
}

// checkOutputs holds recorded outputs against the contract.
func (c *contract) checkOutputs(path string) []string {
	content, err := os.ReadFile(path)
	if err != nil {
		return []string{err.Error()}
	}
	var printed map[string]struct{ Value any }
	if err := json.Unmarshal(content, &printed); err != nil {
		return []string{fmt.Sprintf("%s is not what `terraform output -json` prints: %v", path, err)}
	}
	// Terraform leaves out an output that is null.
	values := map[string]any{}
	for _, name := range c.outputNames {
		values[name] = nil
	}
	for name, output := range printed {
		values[name] = output.Value
	}
	if err := c.outputs.Validate(values); err != nil {
		return []string{err.Error()}
	}
	return nil
}
