//! The options that choose between Terraform and OpenTofu, for the commands that drive one.

use crate::run::World;
use crate::terraform::{Tool, Wish};

/// Which of Terraform and OpenTofu a command drives.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ToolChoice {
    /// Take this one; else the one that made the deployment, else the first that is there.
    #[arg(long, value_enum, env = "REFARCH_TOOL")]
    tool: Option<Tool>,
    /// Go over to the one that `--tool` names, for good.
    #[arg(long, requires = "tool")]
    switch_tool: bool,
}

impl ToolChoice {
    /// Tells the run of it.
    pub fn apply(self, world: &mut World) {
        world.tool = Wish { tool: self.tool, switch: self.switch_tool };
    }
}
