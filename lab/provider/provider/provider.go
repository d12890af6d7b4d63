// Package provider lets Terraform make the lab's networks, disks and hosts. It translates between Terraform's
// values and package host, and decides nothing itself.
package provider

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"refarch.invalid/refarch/lab/provider/host"
)

// Address is where Terraform finds the provider; its host name is one that can't exist.
const Address = "refarch.invalid/refarch/lab"

// deadline ends work that hangs. It is longer than everything in it that has a deadline of its own.
const deadline = 4 * time.Minute

// Version is set when the program is linked.
var Version = "0.1.0"

type labProvider struct{}

type providerModel struct {
	Deployment    types.String `tfsdk:"deployment"`
	Owner         types.String `tfsdk:"owner"`
	WorkDirectory types.String `tfsdk:"work_directory"`
}

// New makes the provider.
func New() provider.Provider { return &labProvider{} }

func (p *labProvider) Metadata(_ context.Context, _ provider.MetadataRequest, response *provider.MetadataResponse) {
	response.TypeName = "lab"
	response.Version = Version
}

func (p *labProvider) Schema(_ context.Context, _ provider.SchemaRequest, response *provider.SchemaResponse) {
	response.Schema = schema.Schema{
		Description: "Networks, disks and hosts of a lab deployment on this machine. Needs Linux and root.",
		Attributes: map[string]schema.Attribute{
			"deployment": schema.StringAttribute{
				Required: true, Description: "The deployment's name, unique on this machine.",
			},
			"owner": schema.StringAttribute{
				Required: true, Description: "The deployment's suffix; a name that is recorded with another one is refused.",
			},
			"work_directory": schema.StringAttribute{
				Required: true, Description: "The owner's work directory, named in refusals.",
			},
		},
	}
}

func (p *labProvider) Configure(_ context.Context, request provider.ConfigureRequest, response *provider.ConfigureResponse) {
	var model providerModel
	response.Diagnostics.Append(request.Config.Get(context.Background(), &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	if unknown(model) {
		response.Diagnostics.AddError("the lab provider's settings must be known before anything is planned",
			"`deployment`, `owner` and `work_directory` can't come from a resource. Give them as values or variables.")
		return
	}
	if err := host.CheckMachine(); err != nil {
		report(&response.Diagnostics, err)
		return
	}
	owner := host.Owner{Suffix: model.Owner.ValueString(), WorkDirectory: model.WorkDirectory.ValueString()}
	deployment, err := host.Open().Deployment(model.Deployment.ValueString(), owner)
	if err == nil {
		err = deployment.CheckOwner()
	}
	if err != nil {
		report(&response.Diagnostics, err)
		return
	}
	response.ResourceData = deployment
}

func unknown(model providerModel) bool {
	return model.Deployment.IsUnknown() || model.Owner.IsUnknown() || model.WorkDirectory.IsUnknown()
}

func (p *labProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &networkResource{} },
		func() resource.Resource { return &diskResource{} },
		func() resource.Resource { return &hostResource{} },
		func() resource.Resource { return &firewallResource{} },
	}
}

func (p *labProvider) DataSources(context.Context) []func() datasource.DataSource { return nil }

// configured is the part that all resources share: the deployment that they belong to.
type configured struct {
	deployment *host.Deployment
}

func (c *configured) Configure(_ context.Context, request resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if deployment, ok := request.ProviderData.(*host.Deployment); ok {
		c.deployment = deployment
	}
}

// report turns an error into a diagnostic: what happened, and what to do.
func report(diagnostics *diag.Diagnostics, err error) {
	var owned *host.OwnedError
	var problem *host.Problem
	switch {
	case errors.As(err, &owned):
		diagnostics.AddError(host.OwnedSummary, owned.Detail())
	case errors.As(err, &problem):
		diagnostics.AddError(problem.Summary, problem.Detail)
	default:
		diagnostics.AddError("the lab failed", err.Error()+". Run the command again; `refarch-lab inspect NAME` shows what exists.")
	}
}

// atWork counts the operations that are running, so that a provider whose terraform was killed ends after
// them and not in the middle of one.
var atWork sync.WaitGroup

// undisturbed gives an operation a context that an interrupt does not cancel: Terraform cancels running
// operations on the first Ctrl-C and records nothing of what they would have made.
func undisturbed(ctx context.Context) (context.Context, func()) {
	atWork.Add(1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
	return ctx, func() {
		cancel()
		atWork.Done()
	}
}

// Finish waits for the operations that are running.
func Finish() { atWork.Wait() }
