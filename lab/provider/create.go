package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"refarch.invalid/refarch/lab/provider/host"
)

// creation is what `create` is asked for.
type creation struct {
	image, key string
	port       int
	disks      []host.DiskSpec
}

func (c *creation) declare(flags *flag.FlagSet) {
	flags.StringVar(&c.image, "image", "", "")
	flags.StringVar(&c.key, "key", "", "")
	flags.IntVar(&c.port, "port", 22, "")
	flags.Func("disk", "", func(given string) error {
		name, size, _ := strings.Cut(given, "=")
		gigabytes, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			return fmt.Errorf("it is DISK=GB, a name and a number")
		}
		c.disks = append(c.disks, host.DiskSpec{Name: name, SizeGB: gigabytes})
		return nil
	})
}

// create makes a host, and the network and disks that it needs, as Terraform would one after the other.
func create(ctx context.Context, name, node string, wanted creation) int {
	key, err := os.ReadFile(wanted.key)
	if err != nil || wanted.image == "" {
		return misused("`create` needs --image and a --key file that can be read")
	}
	image, err := filepath.Abs(wanted.image)
	if err != nil {
		return failed(err)
	}
	deployment, err := host.Open().Adopted(name)
	if err != nil {
		return failed(err)
	}
	spec := host.HostSpec{Name: node, Image: image, SSHPublicKey: string(key), SSHPort: wanted.port}
	if err := makeAll(ctx, deployment, spec, wanted.disks); err != nil {
		return failed(err)
	}
	return inspect(ctx, name)
}

func makeAll(ctx context.Context, deployment *host.Deployment, spec host.HostSpec, disks []host.DiskSpec) error {
	if _, err := deployment.ClaimNetwork(ctx); err != nil {
		return err
	}
	if err := deployment.MakeNetwork(ctx); err != nil {
		return err
	}
	for _, wanted := range disks {
		disk, err := deployment.ClaimDisk(ctx, wanted)
		if err != nil {
			return err
		}
		if err := deployment.MakeDisk(ctx, disk.Name); err != nil {
			return err
		}
		spec.Disks = append(spec.Disks, disk.ID)
	}
	if _, err := deployment.ClaimHost(ctx, spec); err != nil {
		return err
	}
	return deployment.MakeHost(ctx, spec.Name)
}
