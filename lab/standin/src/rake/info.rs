//! `gitlab:env:info`: what runs here, in the package's words. What nothing stands in for is `unknown`.
//! <https://docs.gitlab.com/administration/raketasks/maintenance/#gather-gitlab-and-system-information>

use std::process::Command;

use crate::config::{self, Config};
use crate::terminal::say;
use crate::{database, health, paths, redis_link};

/// Prints everything.
pub async fn run(config: &Config) -> Result<u8, String> {
    let client = database::connect(&config.database).await.map_err(|error| error.to_string())?;
    let row = client.query_one("SHOW server_version", &[]).await.map_err(|error| error.to_string())?;
    let postgresql: String = row.get(0);
    let redis = redis(config).await;
    system(&redis);
    gitlab(config, postgresql.split(' ').next().unwrap_or_default());
    shell(config);
    say("Gitaly");
    for (name, storage) in &config.application.storages {
        let reachable = health::gitaly(name, storage).await;
        say(format!("- {name} Address: \t{}", storage.gitaly_address));
        match reachable {
            Ok(()) => {
                say(format!("- {name} Version: \t{}", config.application.version));
                say(format!("- {name} Git Version: \t{}", first_version(&output("git", &["--version"]))));
            }
            Err(reason) => say(format!("- {name}: \t{reason}")),
        }
    }
    say("");
    Ok(0)
}

fn line(name: &str, value: &str) {
    say(format!("{name}:\t{value}"));
}

fn system(redis: &str) {
    say("");
    say(format!("System information ({})", paths::NOTICE));
    line("System", &pretty_name());
    line("Current User", &user());
    line("Using RVM", "no");
    line("Ruby Version", &output("ruby", &["-e", "print RUBY_VERSION, 'p', RUBY_PATCHLEVEL"]));
    line("Gem Version", &output("ruby", &["-e", "print Gem::VERSION"]));
    line("Bundler Version", "unknown");
    line("Rake Version", "unknown");
    line("Redis Version", redis);
    line("Sidekiq Version", "unknown");
    line("Go Version", "unknown");
}

fn gitlab(config: &Config, postgresql: &str) {
    let application = &config.application;
    say("");
    say("GitLab information");
    line("Version", &format!("{}-ee", application.version));
    line("Revision", paths::NOTICE);
    line("Directory", "/opt/gitlab/embedded/service/gitlab-rails");
    line("DB Adapter", "PostgreSQL");
    line("DB Version", postgresql);
    line("URL", &application.origin);
    line("HTTP Clone URL", &format!("{}/some-group/some-project.git", application.origin));
    let user = config::shell().map_or_else(|_| "git".to_owned(), |shell| shell.user);
    line("SSH Clone URL", &ssh_address(&user, &application.ssh_host, application.ssh_port));
    line("Elasticsearch", "no");
    line("Geo", "no");
    line("Using LDAP", "no");
    line("Using Omniauth", "no");
}

/// A port of its own needs the form with a scheme.
fn ssh_address(user: &str, host: &str, port: u64) -> String {
    let project = "some-group/some-project.git";
    if port == 22 {
        format!("{user}@{host}:{project}")
    } else {
        format!("ssh://{user}@{host}:{port}/{project}")
    }
}

fn shell(config: &Config) {
    say("");
    say("GitLab Shell");
    line("Version", "unknown");
    say("Repository storages:");
    for (name, storage) in &config.application.storages {
        say(format!("- {name}: \t{}", storage.gitaly_address));
    }
    line("GitLab Shell path", paths::SHELL);
    say("");
}

fn pretty_name() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(String::new, |name| name.trim_matches('"').to_owned())
}

fn user() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.map_or_else(|| "unknown".to_owned(), |user| user.name)
}

fn output(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(format!("{}/{program}", paths::BIN)).args(arguments).output();
    let printed = ran.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    printed.map_or_else(|| "unknown".to_owned(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}

/// The first word that is a version, as in `git version 2.47.3`.
fn first_version(text: &str) -> String {
    let digit = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    text.split(' ').find(digit).unwrap_or("unknown").to_owned()
}

async fn redis(config: &Config) -> String {
    let ask = async || -> Option<String> {
        let mut redis = redis_link::open(config.redis("shared_state")?).await.ok()?;
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut redis).await.ok()?;
        let found = info.lines().find_map(|line| line.strip_prefix("redis_version:"))?;
        Some(found.trim().to_owned())
    };
    ask().await.unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_its_own_shows_in_the_address() {
        assert_eq!(ssh_address("git", "a.b", 22), "git@a.b:some-group/some-project.git");
        assert_eq!(ssh_address("git", "a.b", 2222), "ssh://git@a.b:2222/some-group/some-project.git");
    }

    #[test]
    fn a_version_is_found_in_words() {
        assert_eq!(first_version("git version 2.47.3"), "2.47.3");
        assert_eq!(first_version("unknown"), "unknown");
    }
}
