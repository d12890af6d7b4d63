//! Runs gitlab.rb in the package's Ruby and takes its values back as JSON.
//!
//! Request and answer go through pipes, because both may hold secrets.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Catalogue;
use crate::paths;

/// Why gitlab.rb could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("`{path}` does not exist; write it, beginning with external_url")]
    Missing {
        /// The file.
        path: String,
    },
    /// Ruby could not be run.
    #[error("cannot run `{program}`: {reason}")]
    Ruby {
        /// The interpreter.
        program: String,
        /// What went wrong.
        reason: String,
    },
    /// gitlab.rb itself failed.
    #[error("{}", sentence(.0))]
    Failed(Failure),
}

/// Where and how the evaluation failed.
#[derive(Debug, Deserialize)]
pub struct Failure {
    kind: Kind,
    class: String,
    message: String,
    file: String,
    line: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Unknown,
    Shape,
    Syntax,
    Runtime,
}

fn sentence(failure: &Failure) -> String {
    let place = failure.line.map_or_else(|| failure.file.clone(), |line| format!("{}:{line}", failure.file));
    let (class, message) = (&failure.class, &failure.message);
    match failure.kind {
        Kind::Unknown => format!("{place}: Mixlib::Config::UnknownConfigOptionError: {message}"),
        Kind::Shape => format!("{place}: {message}"),
        Kind::Syntax | Kind::Runtime => format!("{place}: {class}: {message}"),
    }
}

#[derive(Deserialize)]
struct Answer {
    settings: Option<Map<String, Value>>,
    error: Option<Failure>,
}

/// The values that the file sets.
pub fn evaluate(path: &Path, catalogue: &Catalogue) -> Result<Map<String, Value>, Error> {
    if !path.is_file() {
        return Err(Error::Missing { path: path.display().to_string() });
    }
    let request = json!({
        "path": path,
        "sections": catalogue.sections(),
        "scalars": catalogue.scalars(),
    });
    let output = ruby("evaluate.rb", &request)?;
    let answer: Answer = serde_json::from_slice(&output)
        .map_err(|reason| Error::Ruby { program: "evaluate.rb".to_owned(), reason: reason.to_string() })?;
    match (answer.settings, answer.error) {
        (Some(settings), _) => Ok(settings),
        (None, Some(failure)) => Err(Error::Failed(failure)),
        (None, None) => {
            Err(Error::Ruby { program: "evaluate.rb".to_owned(), reason: "it said nothing".to_owned() })
        }
    }
}

/// Runs one of the stand-in's Ruby programs with a JSON request on its standard input.
pub fn ruby(script: &str, request: &Value) -> Result<Vec<u8>, Error> {
    let program = format!("{}/ruby", paths::BIN);
    let failed = |reason: String| Error::Ruby { program: format!("{program} {script}"), reason };
    let mut child = Command::new(&program)
        .arg(format!("{}/{script}", paths::RUBY_LIB))
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|reason| failed(reason.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(request.to_string().as_bytes()).map_err(|reason| failed(reason.to_string()))?;
    }
    let output = child.wait_with_output().map_err(|reason| failed(reason.to_string()))?;
    if output.status.success() { Ok(output.stdout) } else { Err(failed(output.status.to_string())) }
}
