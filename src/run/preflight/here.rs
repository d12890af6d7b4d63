//! What is asked of this machine, and of what the user gives: all of it, whatever the first answer is.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use super::{NEEDED_MIB, ansible, free_mib, owned_here, terraform};
use crate::checks::preflight::here::{self, WantedPackage};
use crate::checks::preflight::{Answer, Asked, Check};
use crate::events::Finding;
use crate::process::{Command, Quiet, Stdout};
use crate::run::given::{Flaw, Inspected};
use crate::run::{Error, World};
use crate::spec::{Package, Provider, Tls};

/// How long the resolver may take.
const LOOKUP: Duration = Duration::from_secs(5);
/// How long a program that reads a file may take.
const READING: Duration = Duration::from_secs(30);
const INSTALL_SSH: &str = "install the OpenSSH client, as by `apt-get install openssh-client`";
const PACKAGE: &str = "gitlab-ee";

/// Asks all of it. `front` is the address that GitLab's name should lead to, where it is known.
pub(super) async fn findings(world: &World, front: Option<IpAddr>) -> Result<Vec<Finding>, Error> {
    let mut findings = vec![spec(world), room(world)];
    let (terraform, ansible, ssh, owner, dns, package) = tokio::join!(
        terraform_found(world),
        ansible_found(world),
        ssh(world),
        owner(world),
        dns(world, front),
        package(world)
    );
    findings.extend([ansible?, ssh, dns, package?]);
    findings.extend(terraform?);
    findings.extend(owner?);
    match world.deployment.provider {
        Provider::Lab(_) => findings.push(lab(world)),
    }
    findings.extend(given(world));
    Ok(findings)
}

/// An error is an answer, unless it is the user's own wish to stop.
fn answered<T>(result: Result<T, Error>, saw: impl FnOnce(T) -> String) -> Result<Answer, Error> {
    match result {
        Ok(value) => Ok(Answer::pass(saw(value))),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => Ok(Answer::of_error(&error)),
    }
}

fn spec(world: &World) -> Finding {
    let deployment = &world.deployment;
    let saw = format!(
        "GitLab {} as a {} of {}, on {}",
        deployment.gitlab.version,
        deployment.architecture.name,
        counted_nodes(deployment.nodes.len()),
        deployment.provider.name(),
    );
    Asked::new(Check::Spec, "the spec and its architecture", "a deployment that can be made")
        .answer(Answer::pass(saw))
}

fn counted_nodes(count: usize) -> String {
    if count == 1 { "1 node".into() } else { format!("{count} nodes") }
}

fn room(world: &World) -> Finding {
    let path = world.workdir.root();
    Asked::new(Check::Room, format!("the disk of `{path}`"), format!("{NEEDED_MIB} MiB or more"))
        .answer(here::room(free_mib(path), NEEDED_MIB))
}

async fn terraform_found(world: &World) -> Result<Option<Finding>, Error> {
    match world.deployment.provider {
        Provider::Lab(_) => {}
    }
    let began = Instant::now();
    let found = terraform(world).await;
    let asked = Asked::new(Check::Terraform, "`version -json`", "Terraform or OpenTofu, 1.11 or newer");
    let answer = answered(found, |client| format!("{}, new enough", client.tool()))?;
    Ok(Some(asked.taking(began.elapsed()).answer(answer)))
}

async fn ansible_found(world: &World) -> Result<Finding, Error> {
    let began = Instant::now();
    let found = ansible(world).await;
    let asked = Asked::new(Check::Ansible, "refarch's cache folder and `PATH`", "ansible-core 2.19 or newer");
    let answer = answered(found, |client| format!("`{}`, new enough", client.program()))?;
    Ok(asked.taking(began.elapsed()).answer(answer))
}

async fn ssh(world: &World) -> Finding {
    let asked = Asked::new(Check::Ssh, "`PATH`", "`ssh`, `ssh-keygen` and `ssh-keyscan`");
    let missing =
        super::SSH_PROGRAMS.iter().find_map(|name| world.runner.ambient().find(name, INSTALL_SSH).err());
    if let Some(missing) = missing {
        return asked.answer(Answer::of_error(&missing));
    }
    let Ok(ssh) = world.runner.ambient().find("ssh", INSTALL_SSH) else {
        return asked.answer(Answer::skip("it went away", "ask again"));
    };
    let version = world.runner.run(Command::new("ssh", ssh).arg("-V").timeout(READING), &mut Quiet).await;
    let version = version.ok().and_then(|outcome| outcome.tail.last().cloned());
    asked.answer(Answer::pass(version.unwrap_or_else(|| "all of them".into())))
}

async fn owner(world: &World) -> Result<Option<Finding>, Error> {
    match world.deployment.provider {
        Provider::Lab(_) => {}
    }
    let asked = Asked::new(
        Check::Owner,
        format!("whose the deployment `{}` is on this machine", world.deployment.name),
        "nobody's, or this work directory's",
    );
    let answer = answered(owned_here(world).await, |found| {
        if found.exists { "this work directory's".into() } else { "nobody's".into() }
    })?;
    Ok(Some(asked.answer(answer)))
}

async fn dns(world: &World, front: Option<IpAddr>) -> Finding {
    let host = world.deployment.gitlab.url.host();
    let wanted = front.map_or_else(|| "an address".to_owned(), |address| address.to_string());
    let asked = Asked::new(Check::Dns, format!("this machine's resolver for `{host}`"), wanted);
    let began = Instant::now();
    let lookup = async {
        let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, 0))).await;
        let found: BTreeSet<IpAddr> =
            found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??.map(|it| it.ip()).collect();
        Ok(found.into_iter().collect())
    };
    let found: io::Result<Vec<IpAddr>> = lookup.await;
    asked.taking(began.elapsed()).answer(here::dns(host, &found, front))
}

fn lab(world: &World) -> Finding {
    let asked =
        Asked::new(Check::Lab, "who runs this, and refarch's cache folder", "root, and the lab's parts");
    let answer = if nix::unistd::geteuid().is_root() {
        match world.lab.check() {
            Ok(()) => Answer::pass("root, and all parts"),
            Err(error) => Answer::of_error(&error),
        }
    } else {
        Answer::of_error(&Error::NotRoot)
    };
    asked.answer(answer)
}

/// The certificate and the secrets that the spec refers to, as far as it does.
fn given(world: &World) -> Vec<Finding> {
    let (certificate, secrets) = world.look_at_given();
    let mut findings = Vec::new();
    if let Tls::Files(_) = world.deployment.tls {
        let host = world.deployment.gitlab.url.host();
        let asked = Asked::new(
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
        let asked =
            Asked::new(Check::Secrets, "the variables and files that the spec refers to", "a secret in each");
        findings.push(asked.answer(of_given(secrets, format!("all {count}"))));
    }
    findings
}

fn of_given(found: Inspected, passes: String) -> Answer {
    let joined = |texts: Vec<String>| texts.join("; ");
    match found {
        Ok(warnings) if warnings.is_empty() => Answer::pass(passes),
        Ok(warnings) => Answer::warn(
            joined(warnings.iter().map(|warning| warning.message.clone()).collect()),
            joined(warnings.iter().map(|warning| warning.help.clone()).collect()),
        ),
        Err(flaws) => {
            let help = |flaw: &Flaw| miette::Diagnostic::help(flaw).map(|help| help.to_string());
            let mut remedies: Vec<String> = flaws.iter().filter_map(help).collect();
            remedies.dedup();
            Answer::fail(joined(flaws.iter().map(ToString::to_string).collect()), joined(remedies))
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
    let asked = |of: String| Asked::new(Check::Package, of, wanted.words());
    let path = match &world.deployment.gitlab.package {
        Package::Standin {} => world.lab.standin_package(&wanted.version),
        Package::File { path } => world.beside_spec(path),
        Package::Url { url, .. } | Package::Repository { url, .. } => {
            return Ok(asked(url.to_string()).answer(fetched_by_nodes()));
        }
    };
    let began = Instant::now();
    let answer = package_file(world, &path, &wanted).await?;
    Ok(asked(format!("`{path}`")).taking(began.elapsed()).answer(answer))
}

fn fetched_by_nodes() -> Answer {
    Answer::skip(
        "the nodes fetch it, and this machine may have another way out",
        "try its address from a node, as by `curl --head`",
    )
}

async fn package_file(world: &World, path: &Utf8PathBuf, wanted: &WantedPackage) -> Result<Answer, Error> {
    if let Err(error) = fs_err::File::open(path) {
        let missing = Error::LocalFile { path: path.clone(), why: error.kind().to_string() };
        return Ok(Answer::of_error(&missing));
    }
    let Ok(program) = world.runner.ambient().find("dpkg-deb", "install dpkg") else {
        let remedy = format!("look at it on a Debian host: `dpkg-deb --info {path}`");
        return Ok(Answer::skip("the file is there, and no `dpkg-deb` is here to read it", remedy));
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
        None => Answer::fail(
            format!(
                "it is no Debian package: {}",
                outcome.tail.last().map_or("no reason is told", String::as_str)
            ),
            "fetch the file again, and compare its checksum",
        ),
    })
}
