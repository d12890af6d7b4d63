package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract is the schema, once as a validator of values and once as the types that inputs must have.
type contract struct {
	outputs     *jsonschema.Schema
	inputTypes  map[string]string
	nullable    map[string]bool
	outputNames []string
}

// free is the one input whose type is the module's own.
const free = "cloud"

// node is the part of JSON Schema that the inputs are written in.
type node struct {
	Type       any              `json:"type"`
	Properties map[string]*node `json:"properties"`
	Required   []string         `json:"required"`
	Items      *node            `json:"items"`
	Additional json.RawMessage  `json:"additionalProperties"`
}

func loadContract(path string) (*contract, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var top node
	if err := json.Unmarshal(content, &top); err != nil {
		return nil, err
	}
	inputs, outputs := top.Properties["inputs"], top.Properties["outputs"]
	if inputs == nil || outputs == nil {
		return nil, fmt.Errorf("it states no `inputs` or no `outputs`")
	}
	compiled, err := jsonschema.NewCompiler().Compile(path + "#/properties/outputs")
	if err != nil {
		return nil, err
	}
	loaded := &contract{
		outputs: compiled, inputTypes: map[string]string{}, nullable: map[string]bool{},
		outputNames: slices.Sorted(maps.Keys(outputs.Properties)),
	}
	for name, input := range inputs.Properties {
		loaded.inputTypes[name], err = input.terraformType()
		if err != nil {
			return nil, fmt.Errorf("input `%s`: %w", name, err)
		}
		loaded.nullable[name] = input.allows("null")
	}
	return loaded, nil
}

func (n *node) allows(kind string) bool {
	switch stated := n.Type.(type) {
	case string:
		return stated == kind
	case []any:
		return slices.Contains(stated, any(kind))
	default:
		return false
	}
}

// terraformType writes a schema as Terraform would write the type, in one line and with sorted attributes.
func (n *node) terraformType() (string, error) {
	switch {
	case n.allows("string"):
		return "string", nil
	case n.allows("boolean"):
		return "bool", nil
	case n.allows("number"), n.allows("integer"):
		return "number", nil
	case n.allows("array") && n.Items != nil:
		element, err := n.Items.terraformType()
		return "list(" + element + ")", err
	case n.allows("object") && n.Properties != nil:
		return n.objectType()
	case n.allows("object"):
		return n.mapType()
	default:
		return "", fmt.Errorf("type %v has no counterpart in Terraform", n.Type)
	}
}

func (n *node) objectType() (string, error) {
	var attributes []string
	for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
		written, err := n.Properties[name].terraformType()
		if err != nil {
			return "", fmt.Errorf("`%s`: %w", name, err)
		}
		if !slices.Contains(n.Required, name) {
			written = "optional(" + written + ")"
		}
		attributes = append(attributes, name+"="+written)
	}
	return "object({" + strings.Join(attributes, ",") + "})", nil
}

func (n *node) mapType() (string, error) {
	var element node
	if len(n.Additional) == 0 || json.Unmarshal(n.Additional, &element) != nil {
		return "object({})", nil
	}
	written, err := element.terraformType()
	return "map(" + written + ")", err
}

func (c *contract) compareInputs(found *module) []string {
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(c.inputTypes)) {
		variable, ok := found.variables[name]
		switch {
		case !ok:
			differences = append(differences, fmt.Sprintf("it has no variable `%s`", name))
			continue
		case variable.hasDefault:
			differences = append(differences, fmt.Sprintf("variable `%s` has a default, and every input is given", name))
		case variable.nullable != c.nullable[name]:
			differences = append(differences, fmt.Sprintf("variable `%s` has nullable = %t, the contract says %t", name, variable.nullable, c.nullable[name]))
		}
		if name != free && variable.written != c.inputTypes[name] {
			differences = append(differences, fmt.Sprintf("variable `%s` has type\n    %s\n  and the contract says\n    %s", name, variable.written, c.inputTypes[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found.variables)) {
		if _, ok := c.inputTypes[name]; !ok {
			differences = append(differences, fmt.Sprintf("variable `%s` is not in the contract", name))
		}
	}
	return differences
}

func (c *contract) compareOutputs(found *module) []string {
	var differences []string
	for _, name := range c.outputNames {
		if !found.outputs[name] {
			differences = append(differences, fmt.Sprintf("it has no output `%s`", name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found.outputs)) {
		if !slices.Contains(c.outputNames, name) {
			differences = append(differences, fmt.Sprintf("output `%s` is not in the contract", name))
		}
	}
	return differences
}
