// The lab's program. Started by Terraform, without arguments, it is the provider; started by people or by
// refarch, its commands say what exists and remove it.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"golang.org/x/sys/unix"

	"refarch.invalid/refarch/lab/provider/provider"
)

func main() {
	// A host must inherit nothing: one that held terraform's pipes would keep their reader waiting for years.
	_ = unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	if len(os.Args) > 1 {
		os.Exit(runCommand(os.Args[1:]))
	}
	go endWithTerraform()
	err := providerserver.Serve(context.Background(), provider.New, providerserver.ServeOpts{Address: provider.Address})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// endWithTerraform ends a provider whose terraform was killed, after it has finished and recorded what it was
// making: nobody else would ever end it.
func endWithTerraform() {
	parent := os.Getppid()
	for os.Getppid() == parent {
		time.Sleep(500 * time.Millisecond)
	}
	provider.Finish()
	os.Exit(1)
}
