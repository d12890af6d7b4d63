package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"refarch.invalid/refarch/lab/provider/host"
)

type hostResource struct{ configured }

type hostModel struct {
	ID           types.String `tfsdk:"id"`
	Name         types.String `tfsdk:"name"`
	Network      types.String `tfsdk:"network"`
	Image        types.String `tfsdk:"image"`
	SSHPublicKey types.String `tfsdk:"ssh_public_key"`
	SSHPort      types.Int64  `tfsdk:"ssh_port"`
	Disks        types.Set    `tfsdk:"disks"`
	Address      types.String `tfsdk:"address"`
	ConsoleLog   types.String `tfsdk:"console_log"`
}

func (h *hostResource) Metadata(_ context.Context, _ resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = "lab_host"
}

func (h *hostResource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	required := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			Required: true, Description: description,
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
		}
	}
	computed := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			Computed: true, Description: description,
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
		}
	}
	response.Schema = schema.Schema{
		Description: "A machine of the lab: booted by systemd-nspawn, reached as root by SSH. Ready when its sshd answers.",
		Attributes: map[string]schema.Attribute{
			"name":           required("The node's name; also the host name."),
			"network":        required("The id of the deployment's lab_network."),
			"image":          required("The image's folder, the one that holds rootfs/."),
			"ssh_public_key": required("The key that root is reached with, one line as in authorized_keys."),
			"ssh_port": schema.Int64Attribute{
				Required: true, Description: "The port of its sshd.",
				PlanModifiers: []planmodifier.Int64{int64planmodifier.RequiresReplace()},
			},
			"disks": schema.SetAttribute{
				Required: true, ElementType: types.StringType, Description: "The ids of its data disks (lab_disk).",
				PlanModifiers: []planmodifier.Set{setplanmodifier.RequiresReplace()},
			},
			"id":          computed("DEPLOYMENT/NAME/SERIAL: a host that is made again has another one."),
			"address":     computed("Its address, which a host of the same name gets again."),
			"console_log": computed("What it printed while it booted, on this machine."),
		},
	}
}

func (m hostModel) spec(ctx context.Context) (host.HostSpec, error) {
	spec := host.HostSpec{
		Name: m.Name.ValueString(), Image: m.Image.ValueString(),
		SSHPublicKey: m.SSHPublicKey.ValueString(), SSHPort: int(m.SSHPort.ValueInt64()),
	}
	if diagnostics := m.Disks.ElementsAs(ctx, &spec.Disks, false); diagnostics.HasError() {
		return spec, &host.Problem{Summary: diagnostics[0].Summary(), Detail: diagnostics[0].Detail()}
	}
	return spec, nil
}

func fillHost(model *hostModel, made host.Host) {
	model.ID = types.StringValue(made.ID)
	model.Address = types.StringValue(made.Address)
	model.ConsoleLog = types.StringValue(made.ConsoleLog)
}

func (h *hostResource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	var model hostModel
	response.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	spec, err := model.spec(ctx)
	if err != nil {
		report(&response.Diagnostics, err)
		return
	}
	claimed, err := h.deployment.ClaimHost(ctx, spec)
	if err != nil {
		report(&response.Diagnostics, err)
		return
	}
	// The state holds the id before the work begins: what fails from here on is recorded, and replaced next.
	fillHost(&model, claimed)
	response.Diagnostics.Append(response.State.Set(ctx, model)...)
	if err := h.deployment.MakeHost(ctx, claimed.Name); err != nil {
		report(&response.Diagnostics, err)
	}
}

// Read finds hosts that died, lost their cable or were made again by someone else: all of them are planned
// to be created.
func (h *hostResource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	var model hostModel
	response.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	found, err := h.deployment.ReadHost(ctx, model.Name.ValueString())
	if err != nil {
		report(&response.Diagnostics, err)
		return
	}
	if !found.Running || !found.Connected || found.ID != model.ID.ValueString() {
		response.State.RemoveResource(ctx)
		return
	}
	fillHost(&model, found)
	response.Diagnostics.Append(response.State.Set(ctx, model)...)
}

// Update has nothing to change: whatever differs replaces the host.
func (h *hostResource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	response.State.Raw = request.Plan.Raw
}

func (h *hostResource) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	var model hostModel
	response.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	if err := h.deployment.DestroyHost(ctx, model.Name.ValueString()); err != nil {
		report(&response.Diagnostics, err)
	}
}
