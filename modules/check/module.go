package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
)

// module is what a Terraform module says of itself.
type module struct {
	variables map[string]variable
	outputs   map[string]bool
}

type variable struct {
	written    string
	hasDefault bool
	nullable   bool
}

func readModule(folder string) (*module, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.tf"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no *.tf file", folder)
	}
	found := &module{variables: map[string]variable{}, outputs: map[string]bool{}}
	parser := hclparse.NewParser()
	for _, path := range files {
		file, problems := parser.ParseHCLFile(path)
		if problems.HasErrors() {
			return nil, problems
		}
		if err := found.add(file.Body); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (m *module) add(body hcl.Body) error {
	content, _, problems := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "variable", LabelNames: []string{"name"}},
		{Type: "output", LabelNames: []string{"name"}},
	}})
	if problems.HasErrors() {
		return problems
	}
	for _, block := range content.Blocks {
		if block.Type == "output" {
			m.outputs[block.Labels[0]] = true
			continue
		}
		read, err := readVariable(block.Body)
		if err != nil {
			return fmt.Errorf("variable `%s`: %w", block.Labels[0], err)
		}
		m.variables[block.Labels[0]] = read
	}
	return nil
}

func readVariable(body hcl.Body) (variable, error) {
	content, _, problems := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{
		{Name: "type", Required: true}, {Name: "default"}, {Name: "nullable"},
	}})
	if problems.HasErrors() {
		return variable{}, problems
	}
	// Terraform's own default: null is allowed wherever nobody says otherwise.
	read := variable{nullable: true}
	_, read.hasDefault = content.Attributes["default"]
	if attribute, ok := content.Attributes["nullable"]; ok {
		value, problems := attribute.Expr.Value(nil)
		if problems.HasErrors() || value.Type() != cty.Bool {
			return variable{}, fmt.Errorf("`nullable` is no plain true or false")
		}
		read.nullable = value.True()
	}
	stated, _, problems := typeexpr.TypeConstraintWithDefaults(content.Attributes["type"].Expr)
	if problems.HasErrors() {
		return variable{}, problems
	}
	read.written = write(stated)
	return read, nil
}

// write gives a type in the form that the contract's types are written in.
func write(stated cty.Type) string {
	switch {
	case stated.IsObjectType():
		var attributes []string
		types := stated.AttributeTypes()
		for _, name := range slices.Sorted(maps.Keys(types)) {
			written := write(types[name])
			if stated.AttributeOptional(name) {
				written = "optional(" + written + ")"
			}
			attributes = append(attributes, name+"="+written)
		}
		return "object({" + strings.Join(attributes, ",") + "})"
	case stated.IsMapType():
		return "map(" + write(stated.ElementType()) + ")"
	case stated.IsListType():
		return "list(" + write(stated.ElementType()) + ")"
	default:
		return stated.FriendlyName()
	}
}
