//! What is asked of this machine, and of what the user gives: all of it, whatever the first answer is.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::hosts::Wanted;
use super::{INSTALL_SSH, NEEDED_MIB, SSH_PROGRAMS, ansible, free_mib, owned_here, terraform};
use crate::checks::preflight::Check;
use crate::checks::preflight::here::{self, WantedPackage};
use crate::checks::{Miss, Question};
use crate::events::Finding;
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

/// Asks all but Terraform. `front` is the address that GitLab's name should lead to, where that is known.
pub(super) async fn findings(
    world: &World,
    front: Option<IpAddr>,
    wanted: Wanted<'_>,
) -> Result<Vec<Finding>, Error> {
    let mut findings = vec![spec(world), room(world)];
    let dns = async { if wanted(Check::Dns) { Some(dns(world, front).await) } else { None } };
    let package = async { if wanted(Check::Package) { package(world).await.map(Some) } else { Ok(None) } };
    let (ansible, ssh, owner, dns, package) =
        tokio::join!(ansible_found(world), ssh(world), owner(world), dns, package);
    findings.extend([ansible?, ssh]);
    findings.extend(dns);
    findings.extend(package?);
    findings.extend(owner?);
    match world.deployment.provider {
        Provider::Lab(_) => findings.push(lab(world)),
    }
    findings.extend(given(world));
    Ok(findings)
}

/// An error is an answer, unless it is the user's own wish to stop.
fn answered<T>(
    question: Question,
    result: Result<T, Error>,
    saw: impl FnOnce(T) -> String,
) -> Result<Finding, Error> {
    match result {
        Err(Error::Interrupted) => Err(Error::Interrupted),
        result => Ok(question.answer(result.map(saw).map_err(|error| Miss::of_error(&error)))),
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

fn room(world: &World) -> Finding {
    let path = world.workdir.root();
    Question::new(Check::Room, format!("the disk of `{path}`"), format!("{NEEDED_MIB} MiB or more"))
        .answer(here::room(free_mib(path), NEEDED_MIB))
}

/// Whether Terraform is there, and Terraform.
pub(super) async fn terraform_found(world: &World) -> Result<(Option<Finding>, Option<Client>), Error> {
    match world.deployment.provider {
        Provider::Lab(_) => {}
    }
    let asked = Question::new(Check::Terraform, "`version -json`", "Terraform or OpenTofu, 1.11 or newer");
    let found = terraform(world).await;
    let client = found.as_ref().ok().cloned();
    let finding = answered(asked, found, |client| format!("{}, new enough", client.tool()))?;
    Ok((Some(finding), client))
}

async fn ansible_found(world: &World) -> Result<Finding, Error> {
    let asked =
        Question::new(Check::Ansible, "refarch's cache folder and `PATH`", "ansible-core 2.19 or newer");
    answered(asked, ansible(world).await, |client| format!("`{}`, new enough", client.program()))
}

async fn ssh(world: &World) -> Finding {
    let asked = Question::new(Check::Ssh, "`PATH`", "`ssh`, `ssh-keygen` and `ssh-keyscan`");
    let find = |name: &str| world.runner.ambient().find(name, INSTALL_SSH);
    let missing = SSH_PROGRAMS.iter().find_map(|name| find(name).err());
    let ssh = match (find("ssh"), missing) {
        (Ok(ssh), None) => ssh,
        (Err(missing), _) | (_, Some(missing)) => return asked.answer(Err(Miss::of_error(&missing))),
    };
    let version = world.runner.run(Command::new("ssh", ssh).arg("-V").timeout(READING), &mut Quiet).await;
    let version = version.ok().and_then(|outcome| outcome.tail.last().cloned());
    asked.answer(Ok(version.unwrap_or_else(|| "all of them".into())))
}

async fn owner(world: &World) -> Result<Option<Finding>, Error> {
    match world.deployment.provider {
        Provider::Lab(_) => {}
    }
    let asked = Question::new(
        Check::Owner,
        format!("whose the deployment `{}` is on this machine", world.deployment.name),
        "nobody's, or this work directory's",
    );
    let whose = |found: Inspection| {
        if found.exists { "this work directory's".into() } else { "nobody's".into() }
    };
    answered(asked, owned_here(world).await, whose).map(Some)
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

fn lab(world: &World) -> Finding {
    let asked =
        Question::new(Check::Lab, "who runs this, and refarch's cache folder", "root, and the lab's parts");
    let found = if nix::unistd::geteuid().is_root() { world.lab.check() } else { Err(Error::NotRoot) };
    asked.answer(found.map(|()| "root, and all parts".into()).map_err(|error| Miss::of_error(&error)))
}

/// The certificate and the secrets that the spec refers to, as far as it does.
fn given(world: &World) -> Vec<Finding> {
    let (certificate, secrets) = world.look_at_given();
    let mut findings = Vec::new();
    if let Tls::Files(_) = world.deployment.tls {
        let host = world.deployment.gitlab.url.host();
        let asked = Question::new(
            Check::Certificate,
            "the files that `tls.files` names",
            format!("a certificate for `{host}` with its chain and its key, for 30 days or more"),
        );
        let passes =
            format!("it is for `{host}`, its key and its chain belong to it, and it lasts 30 days or more");
        findings.push(asked.answer(of_given(certificate, passes)));
    }
    let count = world.deployment.given_secrets().len();
    if count > 0 {
        let asked = Question::new(
            Check::Secrets,
            "the variables and files that the spec refers to",
            "a secret in each",
        );
        findings.push(asked.answer(of_given(secrets, format!("all {count}"))));
    }
    findings
}

fn of_given(found: Inspected, passes: String) -> Result<String, Miss> {
    let joined = |texts: Vec<String>| texts.join("; ");
    match found {
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
    }
}

/// The package, where it is a file here; one that the nodes fetch themselves can only be asked for by them.
async fn package(world: &World) -> Result<Finding, Error> {
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
            return Ok(asked(url.to_string()).answer(Err(fetched_by_nodes())));
        }
    };
    let question = asked(format!("`{path}`"));
    Ok(question.answer(package_file(world, &path, &wanted).await?))
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
    if let Err(error) = fs_err::File::open(path) {
        let missing = Error::LocalFile { path: path.clone(), why: error.kind().to_string() };
        return Ok(Err(Miss::of_error(&missing)));
    }
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
