//! Lab stand-in, not GitLab: what the stand-in `gitlab-ee` package consists of.
//!
//! One binary does everything, by the name it is called with: `gitlab-ctl` converges the node from gitlab.rb
//! and drives runit, `gitlab-rake` runs tasks, and `gitlab-standin SERVICE` is one of the five services that
//! the lab can't have for real (Rails, Workhorse, Sidekiq, Gitaly, Praefect). PostgreSQL, Redis, nginx, runit and Ruby
//! are the real programs. It knows nothing of refarch: what it accepts, refuses and answers comes from
//! GitLab's documentation and the recorded facts about the package.

mod cluster;
mod config;
mod control;
mod database;
mod frames;
mod gitaly_check;
mod health;
mod hook;
mod internal_api;
mod jobs;
mod leader;
mod local_http;
mod manifest;
mod objects;
mod paths;
mod praefect;
mod rails;
mod rake;

mod reconfigure;
mod redis_link;
mod repositories;
mod seal;
mod secrets;
mod services;
mod settings;
mod shell;
mod site;
mod targets;
mod terminal;
mod token;
mod wire;

use terminal::complain;

/// Does what the program's name and arguments say; returns the exit code.
#[must_use]
pub fn run(program: &str, arguments: &[String]) -> u8 {
    match (program, arguments) {
        ("gitlab-ctl", arguments) => control::run(arguments),
        ("gitlab-psql", arguments) => cluster::psql(arguments),
        ("gitlab-redis-cli", arguments) => cluster::redis_cli(arguments),
        ("gitlab-rails", arguments) => rails::run(arguments),
        ("gitlab-rake", arguments) => rake::run(arguments),
        ("gitlab-shell", arguments) => shell::run(arguments),
        ("gitlab-shell-check", _) => shell::check(),
        ("gitlab-shell-authorized-keys-check", arguments) => shell::authorized_keys_check(arguments),
        ("praefect", arguments) => praefect::run(arguments),
        ("gitaly", arguments) => gitaly_check::run(arguments),
        ("pre-receive", _) => hook::pre_receive(),
        ("post-receive", _) => hook::post_receive(),
        (_, [word, rest @ ..]) if word == "rails" => rails::run(rest),
        (_, [word, rest @ ..]) if word == "rake" => rake::run(rest),
        (_, [word, rest @ ..]) if word == "failover-pgbouncer" => cluster::failover(rest),
        (_, [word, service]) if word == "prometheus-targets" => targets::write(service),
        (_, [word]) if word == "records" => rails::records(),
        (_, [word]) if word == "seeded" => rake::seeded(),
        (_, [service]) => serve(service),
        _ => usage(),
    }
}

fn usage() -> u8 {
    complain(format!("usage: gitlab-standin gitaly|praefect|puma|sidekiq|workhorse ({})", paths::NOTICE));
    2
}

fn serve(service: &str) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format!("{service}: {error}"));
            return 1;
        }
    };
    let ended = runtime.block_on(services::run(service));
    // Connections that are still open must not hold up a stop.
    runtime.shutdown_background();
    match ended {
        None => usage(),
        Some(Ok(())) => 0,
        Some(Err(error)) => {
            complain(format!("{service}: {error}"));
            1
        }
    }
}

/// This host's name.
fn hostname() -> String {
    std::fs::read_to_string("/etc/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
