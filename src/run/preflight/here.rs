//! What is asked of this machine, and of what the user gives: all of it, whatever the first answer is.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::hosts::Wanted;
use super::{INSTALL_SSH, NEEDED_MIB, SSH_PROGRAMS, free_mib, owned_here, terraform};
use crate::ansible;
use crate::checks::preflight::Check;
use crate::checks::preflight::here::{self, WantedPackage};
use crate::checks::{Miss, Question};
use crate::events::Finding;
use crate::exit::ExitCode;
use crate::process::{Command, Quiet, Stdout};
use crate::report;
use crate::run::given::{Flaw, Inspected};
use crate::run::{Error, World, lab::Inspection};
use crate::spec::{Package, Provider, Tls};
use crate::terraform::Client;

/// How long the resolver may take.
const LOOKUP: Duration = Duration::from_secs(5);
/// How long a program that reads a file may take.
const READING: Duration = Duration::from_secs(30);
const PACKAGE: &str = "gitlab-ee";

/// A finding, with the error behind it where there is one.
pub(super) struct Answer {
    pub(super) finding: Finding,
    pub(super) error: Option<Error>,
}

impl From<Finding> for Answer {
    fn from(finding: Finding) -> Self {
        Self { finding, error: None }
    }
}

/// What was found here, and the tools that were.
pub(super) struct Here {
    pub(super) answers: Vec<Answer>,
    pub(super) ansible: Option<ansible::Client>,
}

/// Asks all but Terraform. `front` is the address that GitLab's name should lead to, where that is known.
pub(super) async fn ask(world: &World, front: Option<IpAddr>, wanted: Wanted<'_>) -> Result<Here, Error> {
    let mut answers = vec![spec(world).into()];
    if wanted(Check::Room) {
        answers.push(room(world)?);
    }
    let lab = match world.deployment.provider {
        Provider::Lab(_) => lab(world)?,
    };
    let dns = async { if wanted(Check::Dns) { Some(dns(world, front).await) } else { None } };
    let package = async { if wanted(Check::Package) { package(world).await.map(Some) } else { Ok(None) } };
    // Who owns a name is asked of the lab's own program.
    let owner = async { if lab.error.is_none() { owner(world).await.map(Some) } else { Ok(None) } };
    let (ansible, ssh, owner, dns, package) =
        tokio::join!(ansible_found(world), ssh(world), owner, dns, package);
    let (ansible, client) = ansible?;
    answers.extend([lab, ansible, ssh]);
    answers.extend(owner?);
    answers.extend(dns.map(Answer::from));
    answers.extend(package?);
    answers.extend(given(world));
    Ok(Here { answers, ansible: client })
}

/// An error is an answer, unless it is the user's own wish to stop.
fn answered<T>(
    question: Question,
    result: Result<T, Error>,
    saw: impl FnOnce(&T) -> String,
) -> Result<(Answer, Option<T>), Error> {
    match result {
        Err(error) if error.exit_code() == ExitCode::Interrupted => Err(error),
        Err(error) => {
            let finding = question.answer(Err(Miss::of_error(&error)));
            Ok((Answer { finding, error: Some(error) }, None))
        }
        Ok(found) => Ok((question.answer(Ok(saw(&found))).into(), Some(found))),
    }
}

fn spec(world: &World) -> Finding {
    let deployment = &world.deployment;
    let saw = format!(
        "GitLab {} as a {} of {}, on {}",
        deployment.gitlab.version,
        deployment.architecture.name,
        report::counted(deployment.nodes.len(), "node"),
        deployment.provider.name(),
    );
    Question::new(Check::Spec, "the spec and its architecture", "a deployment that can be made")
        .answer(Ok(saw))
}

fn room(world: &World) -> Result<Answer, Error> {
    let path = world.workdir.root();
    let asked =
        Question::new(Check::Room, format!("the disk of `{path}`"), format!("{NEEDED_MIB} MiB or more"));
    let free = free_mib(path);
    match super::room(world) {
        Err(error) => Ok(answered::<()>(asked, Err(error), |()| String::new())?.0),
        Ok(()) => Ok(asked.answer(here::room(free)).into()),
    }
}

/// Whether Terraform is there, and Terraform.
pub(super) async fn terraform_found(world: &World) -> Result<(Answer, Option<Client>), Error> {
    match world.deployment.provider {
        Provider::Lab(_) => {}
    }
    let asked = Question::new(Check::Terraform, "`version -json`", "Terraform or OpenTofu, 1.11 or newer");
    answered(asked, terraform(world).await, |client| format!("{}, new enough", client.tool()))
}

async fn ansible_found(world: &World) -> Result<(Answer, Option<ansible::Client>), Error> {
    let asked =
        Question::new(Check::Ansible, "refarch's cache folder and `PATH`", "ansible-core 2.19 or newer");
    answered(asked, super::ansible(world).await, |client| format!("`{}`, new enough", client.program()))
}

async fn ssh(world: &World) -> Answer {
    let asked = Question::new(Check::Ssh, "`PATH`", "`ssh`, `ssh-keygen` and `ssh-keyscan`");
    let find = |name: &str| world.runner.ambient().find(name, INSTALL_SSH);
    let missing = SSH_PROGRAMS.iter().find_map(|name| find(name).err());
    let ssh = match (find("ssh"), missing) {
        (Ok(ssh), None) => ssh,
        (Err(missing), _) | (_, Some(missing)) => {
            let finding = asked.answer(Err(Miss::of_error(&missing)));
            return Answer { finding, error: Some(missing.into()) };
        }
    };
    let version = world.runner.run(Command::new("ssh", ssh).arg("-V").timeout(READING), &mut Quiet).await;
    let version = version.ok().and_then(|outcome| outcome.tail.last().cloned());
    asked.answer(Ok(version.unwrap_or_else(|| "all of them".into()))).into()
}

async fn owner(world: &World) -> Result<Answer, Error> {
    let asked = Question::new(
        Check::Owner,
        format!("whose the deployment `{}` is on this machine", world.deployment.name),
        "nobody's, or this work directory's",
    );
    let whose = |found: &Inspection| {
        if found.exists { "this work directory's".into() } else { "nobody's".into() }
    };
    answered(asked, owned_here(world).await, whose).map(|(answer, _)| answer)
}

async fn dns(world: &World, front: Option<IpAddr>) -> Finding {
    let host = world.deployment.gitlab.url.host();
    let wanted = front.map_or_else(|| "an address".to_owned(), |address| address.to_string());
    let asked = Question::new(Check::Dns, format!("this machine's resolver for `{host}`"), wanted);
    let lookup = async {
        let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 0))).await;
        let found: BTreeSet<IpAddr> =
            found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??.map(|it| it.ip()).collect();
        Ok(found.into_iter().collect())
    };
    let found: io::Result<Vec<IpAddr>> = lookup.await;
    asked.answer(here::dns(host, &found, front))
}

fn lab(world: &World) -> Result<Answer, Error> {
    let asked =
        Question::new(Check::Lab, "who runs this, and refarch's cache folder", "root, and the lab's parts");
    let found = if nix::unistd::geteuid().is_root() { world.lab.check() } else { Err(Error::NotRoot) };
    answered(asked, found, |()| "root, and all parts".into()).map(|(answer, _)| answer)
}

/// The certificate and the secrets that the spec refers to, as far as it does.
fn given(world: &World) -> Vec<Answer> {
    let (certificate, secrets) = world.look_at_given();
    let mut answers = Vec::new();
    if let Tls::Files(_) = world.deployment.tls {
        let host = world.deployment.gitlab.url.host();
        let asked = Question::new(
            Check::Certificate,
            "the files that `tls.files` names",
            format!("a certificate for `{host}` with its chain and its key, for 30 days or more"),
        );
        let passes =
            format!("it is for `{host}`, its key and its chain belong to it, and it lasts 30 days or more");
        answers.push(of_given(asked, certificate, passes));
    }
    let count = world.deployment.given_secrets().len();
    if count > 0 {
        let asked = Question::new(
            Check::Secrets,
            "the variables and files that the spec refers to",
            "a secret in each",
        );
        answers.push(of_given(asked, secrets, format!("all {count}")));
    }
    answers
}

fn of_given(asked: Question, found: Inspected, passes: String) -> Answer {
    let joined = |texts: Vec<String>| texts.join("; ");
    let answer = match &found {
        Ok(warnings) if warnings.is_empty() => Ok(passes),
        Ok(warnings) => Err(Miss::warn(
            joined(warnings.iter().map(|warning| warning.message.clone()).collect()),
            joined(warnings.iter().map(|warning| warning.help.clone()).collect()),
        )),
        Err(flaws) => {
            let help = |flaw: &Flaw| miette::Diagnostic::help(flaw).map(|help| help.to_string());
            let mut remedies: Vec<String> = flaws.iter().filter_map(help).collect();
            remedies.dedup();
            Err(Miss::fail(joined(flaws.iter().map(ToString::to_string).collect()), joined(remedies)))
        }
    };
    Answer { finding: asked.answer(answer), error: found.err().map(|reasons| Error::Given { reasons }) }
}

/// The package, where it is a file here; one that the nodes fetch themselves can only be asked for by them.
async fn package(world: &World) -> Result<Answer, Error> {
    let mut architectures: Vec<&'static str> =
        world.deployment.nodes.values().map(|node| node.architecture).collect();
    architectures.sort_unstable();
    architectures.dedup();
    let wanted = WantedPackage { name: PACKAGE, version: world.deployment.package_version(), architectures };
    let asked = |of: String| Question::new(Check::Package, of, wanted.words());
    let path = match &world.deployment.gitlab.package {
        Package::Standin {} => world.lab.standin_package(&wanted.version),
        Package::File { path } => world.beside_spec(path),
        Package::Url { url, .. } | Package::Repository { url, .. } => {
            return Ok(asked(url.to_string()).answer(Err(fetched_by_nodes())).into());
        }
    };
    let question = asked(format!("`{path}`"));
    if let Err(error) = fs_err::File::open(&path) {
        let missing = match &world.deployment.gitlab.package {
            Package::Standin {} => Error::LabMissing { what: "stand-in package", path },
            _ => Error::LocalFile { path, why: error.kind().to_string() },
        };
        return answered::<()>(question, Err(missing), |()| String::new()).map(|(answer, _)| answer);
    }
    Ok(question.answer(package_file(world, &path, &wanted).await?).into())
}

fn fetched_by_nodes() -> Miss {
    Miss::skip(
        "the nodes fetch it, and this machine may have another way out",
        "try its address from a node, as by `curl --head`",
    )
}

async fn package_file(
    world: &World,
    path: &Utf8PathBuf,
    wanted: &WantedPackage,
) -> Result<Result<String, Miss>, Error> {
    let Ok(program) = world.runner.ambient().find("dpkg-deb", "install dpkg") else {
        let remedy = format!("look at it on a Debian host: `dpkg-deb --info {path}`");
        return Ok(Err(Miss::skip("the file is there, and no `dpkg-deb` is here to read it", remedy)));
    };
    let command = Command::new("dpkg-deb", program)
        .args(["--show", "--showformat", "${Package} ${Version} ${Architecture}\n", path.as_str()])
        .timeout(READING)
        .stdout(Stdout::Private);
    let outcome = world.runner.run(command, &mut Quiet).await?;
    if outcome.interrupted {
        return Err(Error::Interrupted);
    }
    let text = String::from_utf8_lossy(&outcome.private);
    Ok(match here::read_package(&text).filter(|_| outcome.is_success()) {
        Some(found) => here::package(&found, wanted),
        None => Err(Miss::fail(
            format!(
                "it is no Debian package: {}",
                outcome.tail.last().map_or("no reason is told", String::as_str)
            ),
            "fetch the file again, and compare its checksum",
        )),
    })
}
