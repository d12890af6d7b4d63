//! `refarch validate`: says whether specs can be used, and touches nothing.

use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use miette::Report;

use super::spec_file::{self, Unusable};
use crate::exit::ExitCode;
use crate::spec::Spec;

/// Check specs; touch nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The specs to check.
    #[arg(required = true, value_name = "SPEC")]
    specs: Vec<Utf8PathBuf>,
    /// Take a warning for a problem.
    #[arg(long)]
    strict: bool,
}

impl Args {
    /// Checks each spec and reports on all of them, whatever is wrong with the first.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let mut ending = ExitCode::Ok;
        for path in &self.specs {
            match check(path, self.strict) {
                Ok(spec) => say(&mut io::stdout(), &summary(path, &spec)),
                Err(unusable) => {
                    ending = unusable.exit_code();
                    say(&mut io::stderr(), &format!("{:?}", Report::new(unusable)));
                }
            }
        }
        ending
    }
}

fn check(path: &Utf8Path, strict: bool) -> Result<Spec, Unusable> {
    let parsed = spec_file::read(path)?;
    if strict {
        return Ok(parsed.strictly(path.as_str())?);
    }
    for warning in parsed.warnings {
        say(&mut io::stderr(), &format!("{:?}", Report::new(warning)));
    }
    Ok(parsed.spec)
}

/// One line that says what the spec describes.
fn summary(path: &Utf8Path, spec: &Spec) -> String {
    let package = if spec.gitlab.package.is_standin() { "the lab's stand-in for GitLab" } else { "GitLab" };
    let why = spec.choice.as_ref().map(|choice| format!("\n{path}: {choice}")).unwrap_or_default();
    format!(
        "{path}: valid: `{}` is a {} with {package} {} at {} on {}{why}",
        spec.name,
        spec.architecture,
        spec.gitlab.version,
        spec.gitlab.url,
        spec.provider.name(),
    )
}

/// Writes a line. Where nobody listens any more there is nobody to tell, and the exit code says the rest.
fn say(to: &mut impl Write, line: &str) {
    let _ = writeln!(to, "{}", line.trim_end());
}
