//! Lab stand-in, not GitLab: calls the library by the name that the program was started with.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let called = arguments.next().unwrap_or_default();
    let program = Path::new(&called).file_name().map(|name| name.to_string_lossy().into_owned());
    let arguments: Vec<String> = arguments.collect();
    ExitCode::from(gitlab_standin::run(&program.unwrap_or_default(), &arguments))
}
