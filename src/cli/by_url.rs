//! `refarch verify URL`: what a URL needs besides, and the run.

use std::io::{self, Write as _};
use std::time::Instant;

use camino::Utf8PathBuf;
use miette::Diagnostic;
use secrecy::SecretString;
use thiserror::Error;
use url::Url;

use super::session::command_line;
use super::subject::Resolve;
use super::verify::Args;
use super::{Failure, Output, Session};
use crate::checks::{Level, Proxy, SshAccess, Target};
use crate::exit::ExitCode;
use crate::instance::Trust;
use crate::report;
use crate::run::{UrlRequest, UrlRun};

/// Options that don't fit.
#[derive(Debug, Diagnostic, Error)]
pub enum Misfit {
    /// What was given is no name, and may well be the token itself: it is not repeated.
    #[error("what `--token-env` was given is no name of a variable")]
    #[diagnostic(
        code(refarch::cli::token_name),
        help(
            "give the name of the variable that holds the token; if this was a token, revoke it: every user of this machine could read it"
        )
    )]
    NoName,
    /// The variable with the token is not there.
    #[error("the variable `{name}` that `--token-env` names is not set, or empty")]
    #[diagnostic(
        code(refarch::cli::token_missing),
        help(
            "export an access token of the instance in it, with the scope `api`; for a look without one, leave the option out"
        )
    )]
    NoToken {
        /// The variable's name.
        name: String,
    },
    /// What the variable holds can't be a token.
    #[error(
        "the variable `{name}` that `--token-env` names holds no access token: a token is one word of letters, digits and signs"
    )]
    #[diagnostic(
        code(refarch::cli::token_odd),
        help("see how the variable was set: spaces, line breaks and quotes don't belong to a token")
    )]
    OddToken {
        /// The variable's name.
        name: String,
    },
    /// A host's name without a scheme, which is looked for as a file.
    #[error("there is no file `{word}`")]
    #[diagnostic(
        code(refarch::cli::no_scheme),
        help(
            "for a GitLab by its URL write `https://{word}`; for a deployment name its spec, such as `gitlab.yml`"
        )
    )]
    NoScheme {
        /// What was given.
        word: Utf8PathBuf,
    },
    /// refarch made no token there, so that there is none to take back.
    #[error("`--revoke` is for a spec: refarch makes no token for `{url}`")]
    #[diagnostic(
        code(refarch::cli::revoke_by_url),
        help("leave `--revoke` out; the token of `--token-env` is yours to revoke")
    )]
    NothingToRevoke {
        /// The URL.
        url: Url,
    },
    /// An option for URLs was given with a spec.
    #[error("`{option}` is for a URL, and `{spec}` is a spec: {why}")]
    #[diagnostic(code(refarch::cli::for_urls), help("leave it out, or give the URL instead of the spec"))]
    ForUrls {
        /// The option.
        option: &'static str,
        /// The spec.
        spec: Utf8PathBuf,
        /// Why a spec needs none.
        why: &'static str,
    },
    /// Another host is resolved than the one that is asked.
    #[error("`--resolve` speaks of `{host}`, and the URL's host is `{asked}`")]
    #[diagnostic(
        code(refarch::cli::resolve_other),
        help("write `--resolve {asked}:{address}`, if the URL is right")
    )]
    OtherHost {
        /// The host that was resolved.
        host: String,
        /// The host that is asked.
        asked: String,
        /// Its address.
        address: std::net::IpAddr,
    },
    /// The file can't be read as certificates.
    #[error("`--ca {path}` can't be used: {why}")]
    #[diagnostic(
        code(refarch::cli::ca),
        help("name a file of certificates in PEM, each from `BEGIN CERTIFICATE` to `END CERTIFICATE`")
    )]
    Ca {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A level that asks the nodes, of which a URL tells nothing.
    #[error("level `{level}` asks the nodes, and a URL names none")]
    #[diagnostic(
        code(refarch::cli::needs_nodes),
        help("verify the deployment by its spec, or ask the URL for `--level function`")
    )]
    NeedsNodes {
        /// The level.
        level: Level,
    },
    /// A named check belongs to a deeper level than was asked for.
    #[error("`{check}` is a check of level {of}, and `--level {level}` does not come to it")]
    #[diagnostic(code(refarch::cli::deeper), help("ask for `--level {of}`, or leave `--level` out"))]
    Deeper {
        /// The check.
        check: &'static str,
        /// Its level.
        of: Level,
        /// The level that was asked for.
        level: Level,
    },
}

impl From<Misfit> for Failure {
    fn from(error: Misfit) -> Self {
        Self::new(error, ExitCode::Usage)
    }
}

impl Args {
    /// Asks the instance at this URL.
    pub(super) async fn by_url(self, session: &Session, url: Url) -> Result<ExitCode, Failure> {
        let began = Instant::now();
        self.fits_a_url(&url)?;
        let token = self.token(session)?;
        let target = self.target(&url, token.clone())?;
        let level = self.level_of_url(token.is_some())?;
        let run = UrlRun::open(UrlRequest {
            command: command_line(),
            host: url.host_str().unwrap_or_default().to_owned(),
            secrets: token.into_iter().collect(),
            readers: vec![session.reader()],
            interrupts: session.interrupts.clone(),
            ambient: session.ambient.clone(),
        })?;
        let options = self.options(run.options(level));
        let verdict = run.verify(&target, &options).await;
        let verdict = verdict.map_err(|error| session.interrupted(error.into()));
        let exit = match &verdict {
            Ok(verdict) => self.reports.finish(verdict, &run.events),
            Err(failure) => failure.exit,
        };
        run.close(exit.code(), began.elapsed().as_secs_f64());
        let verdict = verdict?;
        if session.output == Output::Text {
            // Where nobody listens any more there is nobody to tell.
            let text = report::verdict_text(&verdict, session.style());
            let _ = io::stdout().write_all(text.as_bytes());
        }
        Ok(exit)
    }

    fn target(&self, url: &Url, token: Option<SecretString>) -> Result<Target, Misfit> {
        let address = match &self.resolve {
            Some(resolve) if !resolve.is_of(url) => return Err(other_host(resolve, url)),
            Some(resolve) => Some(resolve.address),
            None => None,
        };
        // A fixed address is meant to be asked itself, and a proxy would look the name up for itself.
        let proxy = if address.is_some() { Proxy::None } else { Proxy::Environment };
        Ok(Target {
            deployment: None,
            url: url.clone(),
            address,
            ca_pem: self.ca_pem()?,
            nodes: Vec::new(),
            standin: None,
            wanted: None,
            token: token.ok_or_else(|| {
                "no token was given: `--token-env NAME` names a variable that holds one".into()
            }),
            group: self.group(),
            ssh: SshAccess::default(),
            proxy,
        })
    }

    fn fits_a_url(&self, url: &Url) -> Result<(), Misfit> {
        if self.revoke { Err(Misfit::NothingToRevoke { url: url.clone() }) } else { Ok(()) }
    }

    fn ca_pem(&self) -> Result<Option<String>, Misfit> {
        let Some(path) = &self.ca else { return Ok(None) };
        let failed = |why: String| Misfit::Ca { path: path.clone(), why };
        let pem = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        Trust::new(Some(&pem)).map_err(|error| failed(error.to_string()))?;
        Ok(Some(pem))
    }
}

fn other_host(resolve: &Resolve, url: &Url) -> Misfit {
    let asked = url.host_str().unwrap_or_default().to_owned();
    Misfit::OtherHost { host: resolve.host.clone(), asked, address: resolve.address }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::instance::testing::Authority;
    use crate::process::{Ambient, Interrupts};

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &[&str]) -> Args {
        Command::try_parse_from(["verify"].iter().chain(words)).unwrap_or_else(|error| panic!("{error}")).args
    }

    fn session(variables: &[(&str, &str)]) -> Session {
        let ambient = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Session {
            output: Output::Text,
            interrupts: Interrupts::default(),
            ambient: ambient.collect::<Ambient>(),
        }
    }

    fn target_of(words: &[&str]) -> Result<Target, Misfit> {
        let url = Url::parse("https://gitlab.acme.example").unwrap();
        args(&[&["https://gitlab.acme.example"], words].concat()).target(&url, None)
    }

    #[test]
    fn a_fixed_address_goes_past_the_proxy() {
        let straight = target_of(&["--resolve", "gitlab.acme.example:[2001:db8::7]"]).unwrap();
        assert_eq!(straight.address, Some("2001:db8::7".parse().unwrap()));
        assert_eq!(straight.proxy, Proxy::None);
        let usual = target_of(&[]).unwrap();
        assert_eq!((usual.address, usual.proxy, usual.deployment), (None, Proxy::Environment, None));
        assert!(usual.token.unwrap_err().contains("--token-env"));
        let other = target_of(&["--resolve", "gitlab.other.example:192.0.2.7"]).unwrap_err();
        assert!(other.help().unwrap().to_string().contains("--resolve gitlab.acme.example:192.0.2.7"));
    }

    #[test]
    fn the_ca_is_read_before_anything_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(path("ca.pem"), Authority::new("Acme CA").pem()).unwrap();
        std::fs::write(path("no.pem"), "hello").unwrap();
        assert!(target_of(&["--ca", &path("ca.pem")]).unwrap().ca_pem.is_some());
        for name in ["no.pem", "missing.pem"] {
            let refused = target_of(&["--ca", &path(name)]).unwrap_err();
            assert!(matches!(&refused, Misfit::Ca { path, .. } if path.ends_with(name)), "{refused}");
        }
    }

    #[test]
    fn what_is_for_specs_is_refused_for_a_url() {
        let url = Url::parse("https://gitlab.acme.example").unwrap();
        let misfit = args(&[url.as_str(), "--revoke"]).fits_a_url(&url).unwrap_err();
        assert!(misfit.to_string().contains("`--revoke` is for a spec"), "{misfit}");
        assert!(args(&[url.as_str()]).fits_a_url(&url).is_ok());
    }

    #[tokio::test]
    async fn an_instance_is_asked_by_its_url_and_nothing_stays_here() {
        let server = MockServer::start().await;
        let page = r#"<form action="/users/sign_in"><input name="user[login]"><input name="user[password]">"#;
        Mock::given(path("/users/sign_in"))
            .respond_with(ResponseTemplate::new(200).set_body_raw(page, "text/html"))
            .mount(&server)
            .await;
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("verdict.json");
        let url = format!("http://localhost:{}", server.address().port());
        let words = [&url, "--json", json.to_str().unwrap(), "--only", "tls,sign_in"];
        let exit = args(&words).run(&session(&[])).await.unwrap();
        let verdict: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
        assert_eq!(exit, ExitCode::Ok, "{verdict:#}");
        let found: Vec<_> =
            verdict["findings"].as_array().unwrap().iter().map(|it| it["status"].as_str()).collect();
        assert_eq!((found, verdict.get("deployment")), (vec![Some("warn"), Some("pass")], None));
    }

    #[tokio::test]
    async fn what_is_no_gitlab_is_a_failed_verification() {
        let server = MockServer::start().await;
        let url = format!("http://localhost:{}", server.address().port());
        let exit = args(&[&url, "--only", "sign_in"]).run(&session(&[])).await.unwrap();
        assert_eq!(exit, ExitCode::VerificationFailed);
    }

    #[tokio::test]
    async fn an_interrupt_ends_it_as_one() {
        let session = session(&[]);
        session.interrupts.interrupt();
        let failure = args(&["https://localhost:1"]).run(&session).await.unwrap_err();
        assert_eq!(failure.exit, ExitCode::Interrupted);
    }
}
