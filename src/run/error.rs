//! Why a run stopped.

use camino::Utf8PathBuf;

use super::given::Flaw;
use crate::exit::ExitCode;
use crate::rollout::{Difference, Refusal};
use crate::{ansible, architecture, events, process, render, secrets, terraform, workdir};

/// Why a run stopped.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// The program's own data.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Architecture(#[from] architecture::Error),
    /// Rendering.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Render(#[from] render::Error),
    /// The work directory.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Workdir(#[from] workdir::Error),
    /// A program.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] process::Error),
    /// Terraform.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Terraform(#[from] terraform::Error),
    /// Ansible.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Ansible(#[from] ansible::Error),
    /// Making secrets.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Secrets(#[from] secrets::Error),
    /// The record of the run.
    #[error("failed to write the run's events to `{path}`: {why}")]
    #[diagnostic(
        code(refarch::run::events),
        help("check that the disk isn't full and that you may write there")
    )]
    Events {
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        why: String,
    },
    /// The disk of the work directory is full, or nearly.
    #[error("there is no room left on the disk of `{path}`: {free} MiB are free, and a run needs {needed}")]
    #[diagnostic(
        code(refarch::run::no_room),
        help(
            "make room there and run the same command again. Terraform's state lies there too, and on a full disk it could not be written down what was made"
        )
    )]
    NoRoom {
        /// The work directory.
        path: Utf8PathBuf,
        /// How much is free, in MiB.
        free: u64,
        /// How much is needed, in MiB.
        needed: u64,
    },
    /// A step of the configuration failed on some of its nodes.
    #[error("step {number} of {of} ({what}) failed: {source}")]
    #[diagnostic(code(refarch::run::step), help("{}No later step was begun.", help_of(source)))]
    Step {
        /// Which, counted from 1.
        number: usize,
        /// How many there are.
        of: usize,
        /// What was done, to which nodes.
        what: String,
        /// What Ansible says.
        source: Box<ansible::Error>,
    },
    /// A secret has another value than the nodes were given.
    #[error("the store has other values than the nodes were given, of {}", names.join(", "))]
    #[diagnostic(
        code(refarch::run::changed_secrets),
        help(
            "this refarch doesn't change a secret that nodes use yet: put the backup of `secrets.json` back into the work directory. Nothing was changed"
        )
    )]
    ChangedSecrets {
        /// Which secrets.
        names: Vec<String>,
    },
    /// The lab needs root.
    #[error("the lab needs root: it makes network namespaces, mounts and hosts")]
    #[diagnostic(code(refarch::run::not_root), help("run the same command as root, such as by `sudo -E`"))]
    NotRoot,
    /// A part of the lab was not built.
    #[error("the lab's {what} is missing: there is no `{path}`")]
    #[diagnostic(
        code(refarch::run::lab_missing),
        help("run `make lab`, which builds it; `REFARCH_CACHE` says where it is kept")
    )]
    LabMissing {
        /// Which part.
        what: &'static str,
        /// Where it was looked for.
        path: Utf8PathBuf,
    },
    /// The package that the spec names.
    #[error("failed to read the file `{path}` that the spec names: {why}")]
    #[diagnostic(
        code(refarch::run::local_file),
        help("put the file there, or correct `gitlab.package`; a relative path starts at the spec's folder")
    )]
    LocalFile {
        /// Where it should be.
        path: Utf8PathBuf,
        /// What the system says.
        why: String,
    },
    /// What the spec refers to is missing, or can't be used.
    #[error("what the spec refers to can't be used: {}", places(reasons))]
    #[diagnostic(code(refarch::run::given), help("nothing was made or changed"))]
    Given {
        /// Each flaw, with what to do.
        #[related]
        reasons: Vec<Flaw>,
    },
    /// Preflight found several things that stand in the way.
    #[error("{}", not_ready(reasons))]
    #[diagnostic(
        code(refarch::run::not_ready),
        help("nothing was made or changed; `refarch preflight SPEC` asks all of it again")
    )]
    NotReady {
        /// Each of them, with what to do.
        #[related]
        reasons: Vec<NotReady>,
        /// How the run ends because of them.
        exit: ExitCode,
    },
    /// Nodes are there, and nobody here knows their secrets.
    #[error("the deployment `{name}` exists on this machine, but its secrets are not in `{path}`")]
    #[diagnostic(
        code(refarch::run::secrets_missing),
        help(
            "no new secrets were made: the nodes' data can't be read with others. Put the backup of `secrets.json` (and of `terraform/terraform.tfstate`, if you have it) back into that folder and run the same command. If the data may go, `refarch destroy SPEC --confirm {name}` removes the hosts first"
        )
    )]
    SecretsMissing {
        /// The deployment.
        name: String,
        /// The work directory.
        path: Utf8PathBuf,
    },
    /// The name belongs to somebody else.
    #[error("the deployment name `{name}` is owned by another work directory: `{owner}`")]
    #[diagnostic(
        code(refarch::run::owned_elsewhere),
        help("give this deployment another `name`, or run refarch with the spec beside that work directory")
    )]
    OwnedElsewhere {
        /// The deployment.
        name: String,
        /// The other work directory.
        owner: String,
    },
    /// What was found stands against going on.
    #[error("refused: going on would lose or overwrite something")]
    #[diagnostic(code(refarch::run::refused), help("nothing was changed on the nodes"))]
    Refused {
        /// Each reason, with what to do.
        #[related]
        reasons: Vec<Refusal>,
    },
    /// The plan would lose data.
    #[error("refused: the plan would lose data")]
    #[diagnostic(code(refarch::run::plan_refused), help("nothing was changed"))]
    PlanRefused {
        /// Each reason, with what to do.
        #[related]
        reasons: Vec<terraform::Refusal>,
    },
    /// The plan would take away hosts of a built cluster while they serve.
    #[error("refused: the plan would remove or replace {}, and the cluster that they serve was built", hosts.join(", "))]
    #[diagnostic(
        code(refarch::run::serving_hosts),
        help(
            "nothing was changed. This refarch doesn't change a built cluster yet, because it can't do so without an outage: take the change back in the spec. A host that is gone is made anew"
        )
    )]
    ServingHosts {
        /// Which hosts.
        hosts: Vec<String>,
    },
    /// A new node of Redis has nobody to follow, and others have data.
    #[error("{node} is new and holds no data, and nobody is known to lead its group of Redis: {why}")]
    #[diagnostic(
        code(refarch::run::no_primary),
        help(
            "nothing was changed: were it started as the primary, the others would throw their data away for its emptiness. Wait until the Sentinels have chosen a primary, which takes a majority of them, and run the same command again. Where too few of them live, have the Sentinel of a node with data make it the primary all the same: `gitlab-redis-cli -p 26379 sentinel failover GROUP` on it, with the `redis['master_name']` of its gitlab.rb"
        )
    )]
    NoPrimary {
        /// The new node.
        node: String,
        /// What stands against it.
        why: String,
    },
    /// A node holds other secrets than the store.
    #[error("{node} holds other secrets than this deployment's store: {}", keys(differences))]
    #[diagnostic(
        code(refarch::run::other_secrets),
        help(
            "nothing was overwritten: its data can't be read with other keys. Put the backup of `secrets.json` that belongs to this node into the work directory, or restore /etc/gitlab/gitlab-secrets.json on the node"
        )
    )]
    OtherSecrets {
        /// Which node.
        node: String,
        /// Where they differ.
        differences: Vec<Difference>,
    },
    /// A host answers with another key than the one that was pinned.
    #[error("{node} answers with another SSH host key than at first contact")]
    #[diagnostic(
        code(refarch::run::host_key),
        help(
            "somebody may stand between, or the host was made anew without refarch. If you know why, remove the line of {node} from `{pins}` and run the same command"
        )
    )]
    HostKey {
        /// Which node.
        node: String,
        /// The file with the pins.
        pins: Utf8PathBuf,
    },
    /// A host does not answer.
    #[error("{node} does not answer on SSH ({address}) within {seconds} s")]
    #[diagnostic(
        code(refarch::run::no_ssh),
        help("look at the host's console log, and whether its network is up; then run the same command")
    )]
    NoSsh {
        /// Which node.
        node: String,
        /// Where it was asked.
        address: String,
        /// For how long.
        seconds: u64,
    },
    /// An output of Terraform that is not as the contract says.
    #[error("the outputs of Terraform are not what refarch's modules give: {why}")]
    #[diagnostic(code(refarch::run::outputs), help("this is a bug in refarch: report it with this message"))]
    Outputs {
        /// What does not fit.
        why: String,
    },
    /// The answer of the lab's program.
    #[error("failed to understand `{command}`: {why}")]
    #[diagnostic(
        code(refarch::run::lab_answer),
        help("run `make lab`, so that it is the one of this refarch")
    )]
    LabAnswer {
        /// What was run.
        command: String,
        /// What does not fit.
        why: String,
    },
    /// Nobody could be asked.
    #[error("there is nobody to ask: standard input is not a terminal")]
    #[diagnostic(code(refarch::run::nobody_to_ask), help("{help}"))]
    NobodyToAsk {
        /// Which option answers the question beforehand.
        help: String,
    },
    /// The user said no.
    #[error("not confirmed: nothing was changed")]
    #[diagnostic(code(refarch::run::declined), help("run the same command again to be asked again"))]
    Declined,
    /// `--accept-data-loss` names no node of the deployment.
    #[error("`--accept-data-loss {name}` names no node of this deployment")]
    #[diagnostic(
        code(refarch::run::no_such_node),
        help("nothing was changed. Its nodes are: {}", nodes.join(", "))
    )]
    NoSuchNode {
        /// What was given.
        name: String,
        /// What could be given.
        nodes: Vec<String>,
    },
    /// There is no deployment yet.
    #[error("there is no deployment `{name}` in `{path}`")]
    #[diagnostic(code(refarch::run::no_deployment), help("`refarch up SPEC` makes it"))]
    NoDeployment {
        /// Its name.
        name: String,
        /// Where it would be.
        path: Utf8PathBuf,
    },
    /// The tokens of the checks could not be taken back.
    #[error("the tokens of refarch on the instance could not be revoked: {why}")]
    #[diagnostic(
        code(refarch::run::not_revoked),
        help(
            "{remedy}. By hand: as `root`, Preferences, Personal access tokens, those named `refarch-verify-…`. Left alone they end within a day"
        )
    )]
    NotRevoked {
        /// What happened.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// The user interrupted.
    #[error("interrupted")]
    #[diagnostic(
        code(refarch::run::interrupted),
        help("nothing is lost: run the same command again, and it does what is left")
    )]
    Interrupted,
}

/// Something that stands in the way of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("{check}: {saw}")]
#[diagnostic(code(refarch::run::not_ready), help("{remedy}"))]
pub struct NotReady {
    /// The check, and the node that it speaks of.
    pub check: String,
    /// What was seen.
    pub saw: String,
    /// What to do.
    pub remedy: String,
}

impl From<&events::Finding> for NotReady {
    fn from(finding: &events::Finding) -> Self {
        let node = finding.node.iter().map(|node| format!(" on {node}"));
        Self {
            check: finding.check.clone() + &node.collect::<String>(),
            saw: finding.saw.clone(),
            remedy: finding.remedy.clone().unwrap_or_default(),
        }
    }
}

/// All that stands in the way; each follows in full where there is room.
fn not_ready(reasons: &[NotReady]) -> String {
    let named: Vec<&str> = reasons.iter().map(|reason| reason.check.as_str()).collect();
    format!("{} not ready: {}", crate::report::counted(reasons.len(), "thing"), named.join(", "))
}

/// Where the spec refers to it; each reason follows in full where there is room.
fn places(flaws: &[Flaw]) -> String {
    let mut places: Vec<String> = flaws.iter().map(Flaw::place).collect();
    places.dedup();
    places.join(", ")
}

/// What the cause itself advises, to be read before a sentence of one's own.
fn help_of(source: &ansible::Error) -> String {
    miette::Diagnostic::help(source).map(|help| format!("{help} ")).unwrap_or_default()
}

fn keys(differences: &[Difference]) -> String {
    let names: Vec<_> = differences.iter().map(|it| format!("`{}.{}`", it.section, it.key)).collect();
    names.join(", ")
}

impl Error {
    /// How the run ends because of it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Architecture(_) | Self::Render(_) | Self::Outputs { .. } => ExitCode::Bug,
            Self::Given { reasons } if reasons.iter().all(Flaw::is_missing) => ExitCode::ToolMissing,
            Self::Given { .. } => ExitCode::SpecInvalid,
            Self::NotReady { exit, .. } => *exit,
            Self::Workdir(error) => error.exit_code(),
            Self::Process(error) => error.exit_code(),
            Self::Terraform(error) => error.exit_code(),
            Self::Ansible(error) => error.exit_code(),
            Self::Secrets(error) => error.exit_code(),
            Self::Events { .. }
            | Self::NoRoom { .. }
            | Self::NotRoot
            | Self::LabMissing { .. }
            | Self::LocalFile { .. }
            | Self::LabAnswer { .. } => ExitCode::ToolMissing,
            Self::SecretsMissing { .. }
            | Self::OwnedElsewhere { .. }
            | Self::Refused { .. }
            | Self::PlanRefused { .. }
            | Self::OtherSecrets { .. }
            | Self::ChangedSecrets { .. }
            | Self::ServingHosts { .. }
            | Self::NoPrimary { .. }
            | Self::HostKey { .. }
            | Self::Declined => ExitCode::Refused,
            Self::NotRevoked { .. } => ExitCode::LeftBehind,
            Self::NoSsh { .. } => ExitCode::AnsibleFailed,
            Self::Step { source, .. } => source.exit_code(),
            Self::NobodyToAsk { .. } | Self::NoDeployment { .. } | Self::NoSuchNode { .. } => ExitCode::Usage,
            Self::Interrupted => ExitCode::Interrupted,
        }
    }
}

/// An error and the phase that it happened in.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{phase} failed")]
#[diagnostic(code(refarch::run::phase))]
pub struct PhaseFailed {
    /// Which phase.
    pub phase: events::Phase,
    /// How the run ends because of it.
    pub exit: ExitCode,
    /// What happened.
    #[source]
    #[diagnostic_source]
    pub error: Box<dyn miette::Diagnostic + Send + Sync>,
}
