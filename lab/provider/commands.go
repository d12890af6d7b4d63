package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"refarch.invalid/refarch/lab/provider/host"
)

// The exit codes are refarch's own.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitEnvironment = 4
	exitRefused     = 9
	exitLeft        = 11
)

// Data goes to one, words for people to the other; tests read both.
var (
	answers    io.Writer = os.Stdout
	complaints io.Writer = os.Stderr
)

const usage = `refarch-lab: what refarch made on this machine

usage:
  refarch-lab inspect NAME                   what exists of deployment NAME
  refarch-lab sweep NAME [--owner SUFFIX]    remove everything of it, whoever owns it;
                                             with --owner only if SUFFIX does
  refarch-lab create NAME HOST --image DIR --key FILE [--port PORT] [--disk DISK=GB]...
                                             boot one host of it, as Terraform would
  refarch-lab destroy NAME HOST              end one host; its disks and its address stay
  refarch-lab --help

The answer is JSON on standard output. Without arguments it is the Terraform provider, which
terraform starts by itself. Records lie in ` + host.DefaultState + `, or where $` + host.StateVariable + ` says.

exit codes: 0 done, 1 failed, 2 usage, 4 not Linux, not root or a program is missing,
            9 refused (another work directory owns it), 11 something is left
`

// command is one of the program's commands: how many names it takes, its flags, and what it does.
type command struct {
	names int
	flags func(*flag.FlagSet)
	run   func(ctx context.Context, names []string) int
}

func commands() map[string]command {
	var owner string
	var wanted creation
	return map[string]command{
		"inspect": {names: 1, run: func(ctx context.Context, names []string) int { return inspect(ctx, names[0]) }},
		"sweep": {
			names: 1,
			flags: func(flags *flag.FlagSet) { flags.StringVar(&owner, "owner", "", "") },
			run:   func(ctx context.Context, names []string) int { return sweep(ctx, names[0], owner) },
		},
		"create": {
			names: 2,
			flags: wanted.declare,
			run:   func(ctx context.Context, names []string) int { return create(ctx, names[0], names[1], wanted) },
		},
		"destroy": {names: 2, run: func(ctx context.Context, names []string) int { return destroy(ctx, names[0], names[1]) }},
	}
}

func runCommand(arguments []string) int {
	name, rest := arguments[0], arguments[1:]
	if name == "--help" || name == "-h" || name == "help" {
		fmt.Fprint(answers, usage)
		return exitOK
	}
	chosen, ok := commands()[name]
	if !ok {
		return misused(fmt.Sprintf("there is no command `%s`", name))
	}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	if chosen.flags != nil {
		chosen.flags(flags)
	}
	names, err := parse(flags, rest)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(answers, usage)
		return exitOK
	}
	if err != nil {
		return misused(err.Error())
	}
	if len(names) != chosen.names {
		return misused(fmt.Sprintf("`%s` takes %d name(s), and %d are given", name, chosen.names, len(names)))
	}
	if err := host.CheckMachine(); err != nil {
		fmt.Fprintln(complaints, "refarch-lab:", err)
		return exitEnvironment
	}
	return chosen.run(context.Background(), names)
}

// parse reads flags wherever they stand, before or behind the names.
func parse(flags *flag.FlagSet, arguments []string) ([]string, error) {
	var names []string
	for {
		if err := flags.Parse(arguments); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return names, nil
		}
		names = append(names, flags.Arg(0))
		arguments = flags.Args()[1:]
	}
}

func misused(why string) int {
	fmt.Fprintf(complaints, "refarch-lab: %s\n\n%s", why, usage)
	return exitUsage
}

func inspect(ctx context.Context, name string) int {
	found, err := host.Open().Inspect(ctx, name)
	if err != nil {
		return failed(err)
	}
	return answer(found, exitOK)
}

func sweep(ctx context.Context, name, owner string) int {
	done, err := host.Open().Sweep(ctx, name, owner)
	if err != nil {
		return failed(err)
	}
	if len(done.Left) > 0 {
		return answer(done, exitLeft)
	}
	return answer(done, exitOK)
}

func destroy(ctx context.Context, name, node string) int {
	deployment, err := host.Open().Adopted(name)
	if err != nil {
		return failed(err)
	}
	if err := deployment.DestroyHost(ctx, node); err != nil {
		return failed(err)
	}
	return inspect(ctx, name)
}

func answer(value any, code int) int {
	encoder := json.NewEncoder(answers)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return failed(err)
	}
	return code
}

func failed(err error) int {
	fmt.Fprintln(complaints, "refarch-lab:", err)
	if host.IsOwned(err) {
		return exitRefused
	}
	return exitFailed
}
