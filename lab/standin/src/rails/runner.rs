//! `gitlab-rails runner CODE`, `runner FILE`, `runner -`.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::config::Config;
use crate::terminal::complain;
use crate::{database, paths};

/// Where the code is.
#[derive(Debug, PartialEq, Eq)]
enum Source<'a> {
    Input,
    Argument(&'a str),
}

fn parse<'a>(arguments: &[&'a str]) -> Result<Source<'a>, String> {
    let known = |environment: &str| {
        if environment == "production" {
            Ok(())
        } else {
            Err(format!("the environment is production, not `{environment}`"))
        }
    };
    let rest = match arguments {
        ["runner", rest @ ..] => rest,
        ["console" | "c" | "dbconsole" | "db", ..] => {
            return Err(format!("there is no console: this is a {}, which has `runner`", paths::NOTICE));
        }
        _ => return Err(format!("usage: gitlab-rails runner CODE|FILE|- ({})", paths::NOTICE)),
    };
    let rest = match rest {
        ["-e" | "--environment", environment, rest @ ..] => known(environment).map(|()| rest)?,
        [option, rest @ ..] if option.starts_with("--environment=") => {
            known(option.trim_start_matches("--environment=")).map(|()| rest)?
        }
        rest => rest,
    };
    match rest {
        ["-"] => Ok(Source::Input),
        [code] => Ok(Source::Argument(code)),
        [] => Err("Please specify a valid ruby command or the path of a script to run.".to_owned()),
        _ => Err("arguments of a script are not handed on here".to_owned()),
    }
}

/// Runs gitlab-rails; returns its exit code. Root becomes the application's user first, as the package's
/// wrapper does.
#[must_use]
pub fn run(arguments: &[String]) -> u8 {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let source = match parse(&words) {
        Ok(source) => source,
        Err(reason) => return abort(&reason),
    };
    if nix::unistd::geteuid().is_root() {
        return crate::rake::as_application_user("rails", arguments, Stdio::inherit());
    }
    match code(&source).and_then(|code| ready().map(|()| code)) {
        Ok((code, name)) => ruby(&code, &name),
        Err(reason) => abort(&reason),
    }
}

fn abort(reason: &str) -> u8 {
    complain(reason);
    1
}

/// The code, and the name that its errors carry.
fn code(source: &Source<'_>) -> Result<(String, String), String> {
    match source {
        Source::Input => {
            let mut code = String::new();
            std::io::stdin().read_to_string(&mut code).map_err(|error| format!("standard input: {error}"))?;
            Ok((code, "stdin".to_owned()))
        }
        Source::Argument(path) if Path::new(path).is_file() => std::fs::read_to_string(path)
            .map(|code| (code, (*path).to_owned()))
            .map_err(|error| format!("{path}: {error}; it is read as the application's user")),
        Source::Argument(code) => Ok(((*code).to_owned(), "runner".to_owned())),
    }
}

/// Rails doesn't start without its database, nor with the secrets of another one.
fn ready() -> Result<(), String> {
    let config = Config::read().map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let client = database::connect(&config.database).await;
        let client = client.map_err(|error| format!("ActiveRecord::ConnectionNotEstablished: {error}"))?;
        let pending = database::pending(&client).await.map_err(|error| error.to_string())?;
        if !pending.is_empty() {
            return Err(
                "ActiveRecord::PendingMigrationError: run `gitlab-rake gitlab:db:configure`".to_owned()
            );
        }
        let fit = database::secrets_fit(&client, &config).await;
        fit.map_err(|error| format!("OpenSSL::Cipher::CipherError: {error}"))
    })
}

fn ruby(code: &str, name: &str) -> u8 {
    let program = format!("{}/ruby", paths::BIN);
    let started = Command::new(&program)
        .args(["--disable-gems", "--disable-did_you_mean", "--disable-error_highlight"])
        .arg(format!("{}/runner.rb", paths::RUBY_LIB))
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return abort(&format!("{program}: {error}")),
    };
    if let Some(mut input) = child.stdin.take() {
        let request = json!({"code": code, "name": name}).to_string();
        if let Err(error) = input.write_all(request.as_bytes()) {
            complain(format!("{program}: {error}"));
        }
    }
    match child.wait() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        Err(error) => abort(&format!("{program}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comes_from_where_rails_takes_it() {
        assert_eq!(parse(&["runner", "-"]), Ok(Source::Input));
        assert_eq!(parse(&["runner", "puts 1"]), Ok(Source::Argument("puts 1")));
        assert_eq!(parse(&["runner", "-e", "production", "-"]), Ok(Source::Input));
        assert!(parse(&["runner", "-e", "test", "-"]).is_err());
        assert!(parse(&["runner"]).expect_err("refused").starts_with("Please specify a valid ruby command"));
        assert!(parse(&["console"]).is_err());
        assert!(parse(&[]).is_err());
    }
}
