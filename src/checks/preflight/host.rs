//! Can a node be made of a host? Each question is judged by what the host told.

use std::collections::BTreeMap;

use super::catalogue::{Check, Side};
use super::facts::{HostState, Leftovers, Ports};
use super::{disks, flows, systems};
use crate::architecture::Component;
use crate::checks::cluster::Asked as Told;
use crate::checks::node_state::Offset;
use crate::checks::{Miss, Question};
use crate::events::Finding;
use crate::spec::GitlabVersion;

/// The kernel keeps some of the memory for itself, and disks are sold in other gigabytes than systems count in.
pub(super) const TOLD_SHARE: f64 = 0.85;
/// From here on a clock is worth a warning, and from there on requests that carry the time are refused.
const CLOCK_WARN_S: f64 = 1.0;
const CLOCK_FAIL_S: f64 = 30.0;

/// A host, what it is to be, and what it told.
#[derive(Clone, Debug)]
pub struct Host {
    /// The node's name.
    pub name: String,
    /// What it is for.
    pub component: Component,
    /// Processors that its architecture gives it.
    pub vcpu: u32,
    /// Memory that its architecture gives it, in GB.
    pub memory_gb: f64,
    /// Its root disk, in GB.
    pub root_disk_gb: u32,
    /// What it told, and how its clock stands; or why it told nothing.
    pub told: Result<(HostState, Offset), String>,
}

/// What all hosts are to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The GitLab that will run on them.
    pub gitlab: GitlabVersion,
    /// The deployment's name.
    pub deployment: String,
    /// The deployment's suffix.
    pub suffix: String,
    /// Why size, speed, clock and swap say nothing, where hosts share one machine.
    pub simulated: Option<&'static str>,
    /// Every host.
    pub hosts: Vec<Host>,
}

/// What hosts that share one machine can't tell.
const SIMULATED: [Check; 4] = [Check::HostSize, Check::RootDisk, Check::DiskSpeed, Check::Swap];

/// Every host's findings. One that told nothing has a single one, which says why.
#[must_use]
pub fn findings(plan: &Plan) -> Vec<Finding> {
    let of_hosts = plan.hosts.iter().flat_map(|host| of_host(plan, host));
    let Some(why) = plan.simulated else { return of_hosts.collect() };
    let unasked = |check: Check| {
        let miss = Miss::skip(why, "read nothing about speed or capacity into this deployment");
        Question::new(check, "the hosts, by SSH", check.prepare()).answer(Err(miss))
    };
    SIMULATED.map(unasked).into_iter().chain(of_hosts).collect()
}

/// What is said where there are no hosts to ask yet.
#[must_use]
pub fn not_made() -> Vec<Finding> {
    let checks = Check::ALL.into_iter().filter(|check| matches!(check.side(), Side::Hosts | Side::Network));
    let skip = || {
        Err(Miss::skip("not made yet", "ask again once the hosts are made, as by `refarch up --until bind`"))
    };
    checks.map(|check| Question::new(check, "no host", check.prepare()).answer(skip())).collect()
}

fn of_host(plan: &Plan, host: &Host) -> Vec<Finding> {
    let asked = |check: Check| Question::new(check, "the host, by SSH", check.prepare()).on(&host.name);
    let (state, offset) = match &host.told {
        Ok((state, offset)) => (state, *offset),
        Err(why) => return vec![asked(Check::Reachable).answer(unreachable(why))],
    };
    let mut found = vec![(Check::Reachable, Ok("it answers, and becomes root".into()))];
    found.push((Check::System, told(&state.system, |it| systems::judge(it, plan.gitlab))));
    found.push((
        Check::DataDisk,
        told(&state.data_disks, |it| disks::data(it, &plan.deployment, &plan.suffix)),
    ));
    found.push((
        Check::HostClock,
        told(&state.clock, |it| clock(plan.simulated.is_some(), it.synchronized, offset)),
    ));
    found.push((Check::Locale, told(&state.locale, |it| locale(&it.utf8))));
    found.push((Check::TimeZone, told(&state.time_zone, |it| time_zone(&it.name, &common_zone(plan)))));
    found.push((Check::AccessControl, told(&state.access_control, access_control)));
    found.push((Check::Firewall, told(&state.firewall, |it| firewall(&it.active, flows_are_open(state)))));
    found.push((Check::Umask, told(&state.umask, |it| umask(it.mask))));
    found.push((Check::Mounts, told(&state.places, disks::mounts)));
    let ours = is_ours(plan, state);
    found.push((Check::Ports, told(&state.ports, |it| ports(it, host.component, ours))));
    found.push((Check::Leftovers, told(&state.leftovers, |it| leftovers(it, plan))));
    if let Some(sources) = &state.sources {
        found.push((Check::PackageSource, told(sources, |it| package_source(&it.sources))));
    }
    found.extend(state.flows.as_ref().map(|found| (Check::Flows, flows::judge(plan, host, found))));
    if plan.simulated.is_none() {
        found.extend(capacity(host, state));
    }
    found.into_iter().map(|(check, answer)| asked(check).answer(answer)).collect()
}

/// What a host has of its own, where it is a machine of its own.
fn capacity(host: &Host, state: &HostState) -> Vec<(Check, Result<String, Miss>)> {
    let mut found = vec![
        (Check::HostSize, told(&state.size, |it| size(host, it.vcpu, it.memory_gb))),
        (Check::RootDisk, told(&state.places, |it| disks::root(it, host.root_disk_gb))),
        (Check::Swap, told(&state.swap, |it| swap(it.kib))),
    ];
    found.extend(state.speed.as_ref().map(|speed| (Check::DiskSpeed, told(speed, disks::speed))));
    found
}

/// What a host could not tell is a skip, whatever the question was.
pub(super) fn told<T>(
    told: &Told<T>,
    judge: impl FnOnce(&T) -> Result<String, Miss>,
) -> Result<String, Miss> {
    match told {
        Told::Told(value) => judge(value),
        Told::Unasked(why) => Err(Miss::skip(why.as_str(), "look at it on the host by hand")),
    }
}

fn unreachable(why: &str) -> Result<String, Miss> {
    let has = |words: &[&str]| words.iter().any(|word| why.to_lowercase().contains(word));
    let remedy = if has(&["host key verification failed", "identification has changed"]) {
        "compare the host's key with what its owner says, and correct the line in `known_hosts` of the work directory".into()
    } else if has(&["requires a minimum of python", "future feature annotations"]) {
        systems::too_old("an old Python")
    } else if has(&["permission denied", "too many authentication"]) {
        "put the public key of the spec's SSH key into `authorized_keys` of the user on the host".into()
    } else if has(&["sudo", "become", "privilege"]) {
        "let the SSH user become root by `sudo` without a terminal, or give the password that it asks for"
            .into()
    } else {
        "see that the host runs and that its SSH port can be reached from here, also through the jump host where there is one".into()
    };
    Err(Miss::fail(why, remedy))
}

fn size(host: &Host, vcpu: u32, memory_gb: f64) -> Result<String, Miss> {
    let saw = format!("{vcpu} vCPU and {memory_gb:.1} GB of memory");
    if vcpu < host.vcpu || memory_gb < host.memory_gb * TOLD_SHARE {
        let remedy = format!(
            "give the host {} vCPU and {} GB of memory, as its architecture says",
            host.vcpu, host.memory_gb
        );
        return Err(Miss::fail(saw, remedy));
    }
    Ok(saw)
}

fn clock(simulated: bool, synchronized: Option<bool>, offset: Offset) -> Result<String, Miss> {
    let Offset { seconds, uncertainty_s } = offset;
    // What asking may have added is taken in the host's favour.
    let surely = (seconds.abs() - uncertainty_s).max(0.0);
    let remedy = "let chrony or systemd-timesyncd keep the clock, by the same source on all hosts";
    if surely > CLOCK_FAIL_S {
        return Err(Miss::fail(format!("{surely:.0} s or more off this machine's clock"), remedy));
    }
    if surely > CLOCK_WARN_S {
        return Err(Miss::warn(format!("{surely:.0} s or more off this machine's clock"), remedy));
    }
    match (simulated, synchronized) {
        (true, _) => Ok("this machine's own clock".into()),
        (false, Some(true)) => Ok("it is kept right".into()),
        (false, Some(false)) => Err(Miss::warn("nobody keeps it right", remedy)),
        (false, None) => Err(Miss::skip(
            "the host doesn't tell whether somebody keeps it right",
            "see `timedatectl` on the host",
        )),
    }
}

fn locale(utf8: &[String]) -> Result<String, Miss> {
    match utf8.first() {
        Some(name) => Ok(name.as_str().into()),
        None => Err(Miss::warn(
            "there is no locale of UTF-8",
            "install one, as by `apt-get install locales` and `locale-gen`",
        )),
    }
}

/// The time zone that most hosts have.
fn common_zone(plan: &Plan) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for host in &plan.hosts {
        if let Ok((HostState { time_zone: Told::Told(zone), .. }, _)) = &host.told {
            *counts.entry(&zone.name).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or_else(String::new, |(name, _)| name.to_owned())
}

fn time_zone(name: &str, common: &str) -> Result<String, Miss> {
    if name == common {
        return Ok(name.into());
    }
    Err(Miss::warn(
        format!("{name}, and most hosts have {common}"),
        format!(
            "run `timedatectl set-timezone {common}` on it, so that logs of all hosts can be read together"
        ),
    ))
}

/// Source: <https://docs.gitlab.com/administration/reference_architectures/> "Swap" (read 2026-11): a failsafe that costs performance.
fn swap(kib: u64) -> Result<String, Miss> {
    if kib == 0 {
        return Ok("none".into());
    }
    let saw = format!("{} MiB", kib / 1024);
    Err(Miss::warn(
        saw,
        "switch it off by `swapoff --all` and in `/etc/fstab`: the architectures have memory enough, and swap hides where it is short",
    ))
}

fn access_control(found: &super::facts::AccessControl) -> Result<String, Miss> {
    let apparmor = if found.apparmor { ", AppArmor on" } else { "" };
    let saw = format!("SELinux {}{apparmor}", found.selinux);
    if found.selinux == "enforcing" && !found.missing_tools.is_empty() {
        let missing = found.missing_tools.join(" and ");
        return Err(Miss::fail(
            format!("{saw}, and there is no {missing}"),
            "install `policycoreutils`, by which GitLab's package sets up its own rules",
        ));
    }
    Ok(saw)
}

fn flows_are_open(state: &HostState) -> bool {
    matches!(&state.flows, Some(Told::Told(flows)) if flows.closed.is_empty())
}

fn firewall(active: &[String], open: bool) -> Result<String, Miss> {
    if active.is_empty() {
        return Ok("none of its own".into());
    }
    let saw = format!("{} runs", active.join(" and "));
    if open {
        return Ok(format!("{saw}, and lets through what was tried from here"));
    }
    Err(Miss::warn(saw, "let the flows through that the check `flows` names, or switch it off"))
}

fn umask(mask: u32) -> Result<String, Miss> {
    let saw = format!("{mask:04o}");
    if mask & 0o055 != 0 {
        return Err(Miss::warn(
            saw,
            "set root's umask to 0022 (`UMASK` in `/etc/login.defs`): GitLab's users must read what root writes",
        ));
    }
    Ok(saw)
}

/// Whether a host is a node of this deployment already, or on the way to it.
fn is_ours(plan: &Plan, state: &HostState) -> bool {
    let Told::Told(left) = &state.leftovers else { return false };
    left.begun && left.stamp.is_none() || stamped(left, plan)
}

fn stamped(left: &Leftovers, plan: &Plan) -> bool {
    left.stamp.as_ref().is_some_and(|stamp| {
        stamp.suffix.as_deref() == Some(&plan.suffix) && stamp.deployment.as_deref() == Some(&plan.deployment)
    })
}

fn ports(found: &Ports, component: Component, ours: bool) -> Result<String, Miss> {
    // Git's SSH port is the host's own but on a load balancer, which has to serve it itself.
    let is_sshd = |port: u16, program: &str| {
        port == 22
            && component != Component::ExternalLb
            && ["sshd", "systemd"].iter().any(|name| program.ends_with(&format!("/{name}")))
    };
    let foreign = found.used.iter().filter(|used| !is_sshd(used.port, &used.program));
    let used: Vec<String> = foreign.map(|used| format!("{} by {}", used.port, used.program)).collect();
    if used.is_empty() {
        return Ok("all free".into());
    }
    let saw = used.join(", ");
    if ours {
        return Ok(format!("in use by this deployment: {saw}"));
    }
    Err(Miss::fail(saw, "stop and disable what listens there, or give it another port"))
}

fn leftovers(found: &Leftovers, plan: &Plan) -> Result<String, Miss> {
    if let Some(stamp) = &found.stamp {
        if stamped(found, plan) {
            return Ok("this deployment's own".into());
        }
        let name = stamp.deployment.as_deref().unwrap_or("unknown");
        return Err(Miss::fail(
            format!("it is a node of another deployment of refarch, `{name}`"),
            "take another host, or remove that deployment from it first",
        ));
    }
    if found.begun {
        return Ok("a build of refarch that is not finished".into());
    }
    let all: Vec<&str> = found.packages.iter().chain(&found.folders).map(String::as_str).collect();
    let saw = all.join(", ");
    if found.folders.iter().any(|folder| folder == "/var/opt/gitlab") {
        return Err(Miss::fail(
            saw,
            "take a host without GitLab, or back its data up and remove package and folders: nothing of it is taken over",
        ));
    }
    if all.is_empty() {
        return Ok("none".into());
    }
    Err(Miss::warn(saw, "remove it where it isn't wanted; the package is brought to the spec's version"))
}

fn package_source(sources: &[super::facts::Source]) -> Result<String, Miss> {
    let bad: Vec<String> = sources
        .iter()
        .filter(|source| source.status != Some(200))
        .map(|source| match (source.status, &source.error) {
            (Some(status), _) => format!("{} answers {status}", source.url),
            (None, error) => format!("{}: {}", source.url, error.as_deref().unwrap_or("no answer")),
        })
        .collect();
    if bad.is_empty() {
        return Ok("it answers".into());
    }
    Err(Miss::fail(
        bad.join(", "),
        "let the hosts reach it, directly or by a mirror, or give the package as a file",
    ))
}
