package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"refarch.invalid/refarch/lab/provider/host"
)

type diskResource struct{ configured }

type diskModel struct {
	ID     types.String `tfsdk:"id"`
	Name   types.String `tfsdk:"name"`
	SizeGB types.Int64  `tfsdk:"size_gb"`
	Path   types.String `tfsdk:"path"`
}

func (d *diskResource) Metadata(_ context.Context, _ resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = "lab_disk"
}

func (d *diskResource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	kept := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	response.Schema = schema.Schema{
		Description: "A data disk: a sparse file on this machine, a block device in its host. It outlives the host.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
				Description:   "Unique in the deployment; ends the path in the host.",
			},
			"size_gb": schema.Int64Attribute{Required: true, Description: "It can grow in place and never shrinks."},
			"id": schema.StringAttribute{
				Computed: true, PlanModifiers: kept,
				Description: "DEPLOYMENT/NAME/SERIAL: a disk that was lost and made again has another one, and its host is replaced.",
			},
			"path": schema.StringAttribute{
				Computed: true, PlanModifiers: kept, Description: "Where the host sees it, at every boot.",
			},
		},
	}
}

// ModifyPlan refuses to shrink a disk before anything is changed.
func (d *diskResource) ModifyPlan(ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse) {
	if request.Plan.Raw.IsNull() || request.State.Raw.IsNull() {
		return
	}
	var plan, state diskModel
	response.Diagnostics.Append(request.Plan.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.State.Get(ctx, &state)...)
	if response.Diagnostics.HasError() || plan.SizeGB.IsUnknown() {
		return
	}
	if plan.Name.Equal(state.Name) && plan.SizeGB.ValueInt64() < state.SizeGB.ValueInt64() {
		response.Diagnostics.AddAttributeError(path.Root("size_gb"), "a disk can't shrink",
			"`"+state.Name.ValueString()+"` has "+state.SizeGB.String()+" GB and "+plan.SizeGB.String()+
				" GB are asked for. Keep its size, or move its data and destroy it.")
	}
}

func fillDisk(model *diskModel, disk host.Disk) {
	model.ID = types.StringValue(disk.ID)
	model.Name = types.StringValue(disk.Name)
	model.SizeGB = types.Int64Value(disk.SizeGB)
	model.Path = types.StringValue(disk.Path)
}

func (d *diskResource) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	var model diskModel
	response.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	claimed, err := d.deployment.ClaimDisk(ctx, host.DiskSpec{Name: model.Name.ValueString(), SizeGB: model.SizeGB.ValueInt64()})
	if err != nil {
		report(&response.Diagnostics, err)
		return
	}
	fillDisk(&model, claimed)
	response.Diagnostics.Append(response.State.Set(ctx, model)...)
	if err := d.deployment.MakeDisk(ctx, claimed.Name); err != nil {
		report(&response.Diagnostics, err)
	}
}

func (d *diskResource) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	var model diskModel
	response.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	disk, err := d.deployment.ReadDisk(model.Name.ValueString())
	if err != nil {
		report(&response.Diagnostics, err)
		return
	}
	if !disk.Present || disk.ID != model.ID.ValueString() {
		response.State.RemoveResource(ctx)
		return
	}
	fillDisk(&model, disk)
	response.Diagnostics.Append(response.State.Set(ctx, model)...)
}

// Update grows the disk; everything else replaces it.
func (d *diskResource) Update(ctx context.Context, request resource.UpdateRequest, response *resource.UpdateResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	var model diskModel
	response.Diagnostics.Append(request.Plan.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	grown, err := d.deployment.ClaimDisk(ctx, host.DiskSpec{Name: model.Name.ValueString(), SizeGB: model.SizeGB.ValueInt64()})
	if err == nil {
		err = d.deployment.MakeDisk(ctx, grown.Name)
	}
	if err != nil {
		report(&response.Diagnostics, err)
		return
	}
	response.Diagnostics.Append(response.State.Set(ctx, model)...)
}

func (d *diskResource) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	ctx, done := undisturbed(ctx)
	defer done()
	var model diskModel
	response.Diagnostics.Append(request.State.Get(ctx, &model)...)
	if response.Diagnostics.HasError() {
		return
	}
	if err := d.deployment.DestroyDisk(ctx, model.Name.ValueString()); err != nil {
		report(&response.Diagnostics, err)
	}
}
