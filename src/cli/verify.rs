//! `refarch verify`: checks a deployment, or any GitLab by its URL.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::SecretString;

use super::by_url::Misfit;
use super::reports::Reports;
use super::session::Ending;
use super::subject::{Resolve, Subject};
use super::{Failure, Session};
use crate::checks::{Check, GroupName, Level, Options};
use crate::exit::ExitCode;
use crate::report;
use crate::run::{self, VerifyOptions, World};

/// Check a deployment, or any GitLab by its URL.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The spec of a deployment, or the URL of any GitLab.
    #[arg(value_name = "SPEC|URL")]
    subject: Subject,
    /// How deep to look: `reach`, `health`, `api`, `function`, `cluster` or `conformance`, each with those before it
    /// [default: `conformance`; for a URL `function`, or `api` with --read-only, and `health` without a token].
    #[arg(long)]
    level: Option<Level>,
    /// Leave out every check that writes to the instance.
    #[arg(long)]
    read_only: bool,
    /// Report only these checks (docs/checks.md names them), and what stands in their way.
    #[arg(long, value_name = "CHECK", value_delimiter = ',')]
    only: Option<Vec<Check>>,
    /// The environment variable with the access token to use. A deployment needs none: refarch makes one for it.
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
    /// Make and use things in this group, which exists, instead of in a group of refarch's own.
    #[arg(long, value_name = "PATH")]
    group: Option<GroupName>,
    /// Only for a URL: trust the certificates in this PEM file and no others.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<Utf8PathBuf>,
    /// Only for a URL: ask this address, whatever DNS says and straight past any proxy.
    #[arg(long, value_name = "HOST:ADDRESS")]
    pub(super) resolve: Option<Resolve>,
    /// Only for a spec: at the end, take back the tokens that refarch made for the checks of this deployment. The
    /// next verification that needs one makes another.
    #[arg(long)]
    pub(super) revoke: bool,
    #[command(flatten)]
    pub(super) reports: Reports,
}

const AFTER_HELP: &str = "\
A URL is asked through the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name, if any; a deployment is asked
at its own address. Level `function` makes a private group for the time of the checks, and removes it.";

impl Args {
    pub(super) async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
        self.reports.check()?;
        match self.subject.clone() {
            Subject::Url(url) => self.by_url(session, url).await,
            Subject::Spec(spec) => {
                self.fits_a_spec(&spec)?;
                let options = self.for_spec(session)?;
                session.run(&spec, async |world| self.work(session, world, &options).await).await
            }
        }
    }

    async fn work(
        self,
        session: &Session,
        world: &mut World,
        options: &VerifyOptions,
    ) -> Result<Ending, Failure> {
        let done = run::verify(world, options).await?;
        let exit = done.verdict.as_ref().map_or(ExitCode::Ok, |it| self.reports.finish(it, &world.events));
        let text = done.verdict.as_ref().map(|verdict| report::verdict_text(verdict, session.style()));
        if self.revoke {
            let count = run::revoke(world).await?;
            world.events.note(format!("tokens of refarch revoked: {count}"));
        }
        Ok(Ending { exit, text: text.unwrap_or_default() })
    }

    fn fits_a_spec(&self, spec: &Utf8PathBuf) -> Result<(), Misfit> {
        if looks_like_a_host(spec) {
            return Err(Misfit::NoScheme { word: spec.clone() });
        }
        let misfit = |option, why| Misfit::ForUrls { option, spec: spec.clone(), why };
        if self.ca.is_some() {
            return Err(misfit("--ca", "the CA of a deployment is known"));
        }
        if self.resolve.is_some() {
            return Err(misfit("--resolve", "a deployment is asked at its own address"));
        }
        Ok(())
    }

    fn for_spec(&self, session: &Session) -> Result<VerifyOptions, Misfit> {
        Ok(VerifyOptions {
            level: self.level_with(DEEPEST)?,
            read_only: self.read_only,
            only: self.only(),
            token: self.token(session)?,
            group: self.group.clone().unwrap_or_default(),
        })
    }

    /// The group to make things in.
    pub(super) fn group(&self) -> GroupName {
        self.group.clone().unwrap_or_default()
    }

    /// What was asked for, as options of a run by URL.
    pub(super) fn options(&self, options: Options) -> Options {
        Options { read_only: self.read_only, only: self.only(), ..options }
    }

    fn only(&self) -> Option<BTreeSet<Check>> {
        self.only.as_ref().map(|checks| checks.iter().copied().collect())
    }

    /// How deep to look at a URL, with or without a token. Without a spec nobody knows the nodes.
    pub(super) fn level_of_url(&self, has_token: bool) -> Result<Level, Misfit> {
        let usual = match (has_token, self.read_only) {
            (false, _) => Level::Health,
            // Without writing, the API is all that is left.
            (true, true) => Level::Api,
            (true, false) => Level::Function,
        };
        let level = self.level_with(usual)?;
        if level > Level::Function { Err(Misfit::NeedsNodes { level }) } else { Ok(level) }
    }

    /// How deep to look, where nobody said.
    fn level_with(&self, usual: Level) -> Result<Level, Misfit> {
        let only = self.only.as_deref().unwrap_or_default();
        let Some(level) = self.level else {
            return Ok(Level::holding(only).unwrap_or(usual));
        };
        match only.iter().find(|check| check.level() > level) {
            Some(check) => Err(Misfit::Deeper { check: check.name(), of: check.level(), level }),
            None => Ok(level),
        }
    }

    /// The token in the variable that was named.
    pub(super) fn token(&self, session: &Session) -> Result<Option<SecretString>, Misfit> {
        let Some(name) = &self.token_env else { return Ok(None) };
        if !name.chars().all(|sign| sign.is_ascii_alphanumeric() || sign == '_') {
            return Err(Misfit::NoName);
        }
        // A line feed at the end comes from the file that it was read from, and is never meant.
        let value = session.ambient.variable(name).unwrap_or_default().trim();
        if value.is_empty() {
            return Err(Misfit::NoToken { name: name.clone() });
        }
        if !value.chars().all(|sign| sign.is_ascii_graphic()) {
            return Err(Misfit::OddToken { name: name.clone() });
        }
        Ok(Some(SecretString::from(value)))
    }
}

/// Whether a word that names no file may well be meant as a host, with or without a path.
fn looks_like_a_host(word: &Utf8Path) -> bool {
    let first = word.as_str().split('/').next().unwrap_or_default();
    let is_spec = matches!(word.extension(), Some("yml" | "yaml"));
    !is_spec && first.trim_matches('.').contains('.') && !word.exists()
}

/// How deep to look at a deployment: what `--read-only` leaves out, it leaves out on the way.
const DEEPEST: Level = {
    let [.., deepest] = Level::ALL;
    deepest
};

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::cli::Output;
    use crate::process::{Ambient, Interrupts};

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &[&str]) -> Args {
        let words = ["verify"].iter().chain(words);
        Command::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).args
    }

    fn session(variables: &[(&str, &str)]) -> Session {
        let ambient = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Session {
            output: Output::Text,
            interrupts: Interrupts::default(),
            ambient: ambient.collect::<Ambient>(),
        }
    }

    #[test]
    fn a_check_that_is_unknown_names_the_ones_that_are() {
        let error =
            Command::try_parse_from(["verify", "a.yml", "--only", "dns,tcpp"]).unwrap_err().to_string();
        assert!(error.contains("`tcpp` is no check") && error.contains("`sign_in`"), "{error}");
    }

    #[test]
    fn named_checks_say_how_deep_to_look() {
        let level = |words: &[&str]| args(&[&["a.yml"], words].concat()).level_with(DEEPEST);
        assert_eq!(level(&["--only", "dns,tcp"]).unwrap(), Level::Reach);
        assert_eq!(level(&["--only", "dns,sign_in"]).unwrap(), Level::Health);
        assert_eq!(level(&["--only", "dns", "--level", "health"]).unwrap(), Level::Health);
        let deeper = level(&["--only", "sign_in", "--level", "reach"]).unwrap_err();
        assert!(matches!(deeper, Misfit::Deeper { check: "sign_in", of: Level::Health, .. }), "{deeper}");
    }

    #[test]
    fn a_url_without_a_token_is_looked_at_up_to_its_health() {
        let level = |words: &[&str], has_token| {
            args(&[&["https://gitlab.acme.example"], words].concat()).level_of_url(has_token)
        };
        assert_eq!(level(&[], false).unwrap(), Level::Health);
        assert_eq!(level(&[], true).unwrap(), Level::Function);
        assert_eq!(level(&["--read-only"], true).unwrap(), Level::Api);
        for words in [["--level", "cluster"], ["--only", "topology"]] {
            let error = level(&words, true).unwrap_err();
            assert!(matches!(error, Misfit::NeedsNodes { .. }), "{error}");
        }
    }

    #[test]
    fn a_token_comes_from_a_variable_and_is_never_said() {
        let session = session(&[("TOKEN", " glpat-abc \n"), ("TWO", "glpat-abc glpat-def")]);
        let token = |name| args(&["a.yml", "--token-env", name]).token(&session);
        assert_eq!(token("TOKEN").unwrap().unwrap().expose_secret(), "glpat-abc");
        assert!(matches!(token("NONE").unwrap_err(), Misfit::NoToken { name } if name == "NONE"));
        let odd = token("TWO").unwrap_err();
        assert!(!format!("{odd:?} {odd}").contains("glpat"), "{odd}");
        assert_eq!(Failure::from(odd).exit, ExitCode::Usage);
        assert!(args(&["a.yml"]).token(&session).unwrap().is_none());
    }

    #[test]
    fn a_host_without_a_scheme_is_told_how_to_write_a_url() {
        for word in ["gitlab.acme.example", "gitlab.acme.example/git", "192.0.2.7"] {
            let misfit = args(&[word]).fits_a_spec(&word.into()).unwrap_err();
            assert!(matches!(misfit, Misfit::NoScheme { .. }), "{misfit}");
        }
        for word in ["gitlab.yml", "../specs/gitlab.yaml", "./acme", "acme", "Cargo.toml"] {
            assert!(args(&[word]).fits_a_spec(&word.into()).is_ok(), "{word}");
        }
    }

    #[test]
    fn what_is_for_urls_is_refused_for_a_spec() {
        let spec = Utf8PathBuf::from("a.yml");
        for words in [["--ca", "ca.pem"], ["--resolve", "a.example:192.0.2.7"]] {
            let misfit = args(&["a.yml", words[0], words[1]]).fits_a_spec(&spec).unwrap_err();
            assert!(matches!(misfit, Misfit::ForUrls { option, .. } if option == words[0]), "{misfit}");
        }
        assert!(args(&["a.yml", "--token-env", "TOKEN", "--group", "probes"]).fits_a_spec(&spec).is_ok());
    }
}
