//! The command line: one file per command, with its arguments and what it does.

mod by_url;
mod destroy;
mod failure;
mod plan;
mod preflight;
mod render;
mod reports;
mod schema;
mod session;
pub mod spec_file;
mod status;
mod subject;
mod tool_choice;
mod tools;
mod up;
mod validate;
mod verify;
mod waivers;

pub use failure::Failure;
pub use session::Session;

use clap::{Parser, Subcommand, ValueEnum};

use crate::exit::ExitCode;
use crate::process::{Ambient, Interrupts};

/// Turns one file that describes a GitLab installation into a running, proven one.
#[derive(Debug, Parser)]
#[command(name = "refarch", version, max_term_width = 100)]
pub struct Cli {
    /// How a run tells what it does.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text, env = "REFARCH_OUTPUT")]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

/// How a run tells what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines for people.
    Text,
    /// One JSON event a line, on standard output.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Preflight(preflight::Args),
    Up(up::Args),
    Plan(plan::Args),
    Verify(Box<verify::Args>),
    Status(status::Args),
    Destroy(destroy::Args),
    Render(render::Args),
    Validate(validate::Args),
    /// Print the JSON Schema of specs.
    Schema,
    Tools(tools::Args),
}

impl Cli {
    /// Runs the command that was asked for.
    ///
    /// # Errors
    /// Whatever stops the command, with the exit code it asks for.
    pub async fn run(self, interrupts: Interrupts) -> Result<ExitCode, Failure> {
        let session = Session { output: self.output, interrupts, ambient: Ambient::of_this_process() };
        match self.command {
            Command::Preflight(args) => args.run(&session).await,
            Command::Up(args) => args.run(&session).await,
            Command::Plan(args) => args.run(&session).await,
            Command::Verify(args) => args.run(&session).await,
            Command::Status(args) => args.run(&session).await,
            Command::Destroy(args) => args.run(&session).await,
            Command::Render(args) => args.run(&session).await,
            Command::Validate(args) => Ok(args.run()),
            Command::Schema => Ok(schema::run()),
            Command::Tools(args) => Ok(args.run(session.interrupts).await?),
        }
    }
}
