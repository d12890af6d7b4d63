//! Things that can be wrong with a cluster, made one at a time: the table of them, how each is put in and taken back, and
//! whether the verdict tells it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use serde::Deserialize;
use serde_json::{Value, json};

use super::deployment::{self, Deployment};

const TABLE: &str = include_str!("mistakes.yml");
/// How long a fault may take to show: a load balancer asks three times before it gives a server up, ten seconds apart.
const NOTICED: Duration = Duration::from_secs(75);

/// A row of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub mistake: String,
    says: String,
    check: String,
    on: Option<String>,
    evidence: Vec<String>,
    put: Option<Value>,
    on_node: Option<OnNode>,
    before_mending: Option<Script>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnNode {
    node: String,
    r#do: String,
    mend: Script,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    node: String,
    r#do: String,
}

/// Every row, those that are made on a node first: they need no delivery between them.
pub fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = serde_saphyr::from_str(TABLE).expect("the table");
    rows.sort_by_key(|row| row.put.is_some());
    rows
}

/// Makes one mistake after the other; each `up` takes back the one before. Afterwards the deployment is as it should be.
/// What was not found is told at the end, all at once.
pub fn all_found(cluster: &Deployment, chosen: impl Fn(&Row) -> bool) {
    let workshop = Workshop::new(cluster);
    let mut record = Record::new("mistakes", "| mistake | check | seconds | evidence |\n|---|---|---|---|\n");
    let mut missed = Vec::new();
    for row in rows().iter().filter(|row| chosen(row)) {
        let began = Instant::now();
        let told = workshop.make(row).and_then(|()| told(&workshop, row));
        let words = told.clone().unwrap_or_else(|why| format!("MISSED {why}"));
        record.row(cluster, &[&row.says, &row.check, &seconds(began), &words]);
        missed.extend(told.err().map(|why| format!("{}: {why}", row.mistake)));
        workshop.unmake(row);
    }
    workshop.deliver(&json!({}), "configure").expect("what is right");
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

/// Where mistakes are put in and taken back.
pub struct Workshop<'a> {
    cluster: &'a Deployment,
    file: PathBuf,
}

impl<'a> Workshop<'a> {
    pub fn new(cluster: &'a Deployment) -> Self {
        let file = cluster.folder().join("mistake.json");
        std::fs::write(&file, "{}").expect("a file");
        Self { cluster, file }
    }

    fn make(&self, row: &Row) -> Result<(), String> {
        match (&row.put, &row.on_node) {
            (Some(put), None) => self.deliver(put, "configure"),
            (None, Some(here)) => {
                self.cluster.on(&here.node, &filled(self.cluster, &here.r#do));
                Ok(())
            }
            _ => panic!("{} is not made in exactly one way", row.mistake),
        }
    }

    /// What was delivered goes with the next delivery.
    fn unmake(&self, row: &Row) {
        let scripts = row.before_mending.iter().chain(row.on_node.as_ref().map(|here| &here.mend));
        for Script { node, r#do } in scripts {
            self.cluster.on(node, &filled(self.cluster, r#do));
        }
    }

    /// Delivers this mistake and none that was there before.
    pub fn deliver(&self, mistake: &Value, until: &str) -> Result<(), String> {
        std::fs::write(&self.file, filled(self.cluster, &mistake.to_string())).expect("a file");
        let args = ["up", "--yes", "--until", until];
        let ended = self.cluster.refarch_with(&[self.variable()], &args);
        if ended.code == Some(0) { Ok(()) } else { Err(format!("it was not delivered: {}", ended.said)) }
    }

    /// The failed findings of a verification; nothing where it found no fault.
    pub fn failures(&self, args: &[&str]) -> Vec<Value> {
        let path = self.cluster.folder().join("verdict.json");
        let args = [&["verify", "--json", path.to_str().expect("UTF-8")], args].concat();
        let ended = self.cluster.refarch_with(&[self.variable()], &args);
        assert!(
            [Some(0), Some(7)].contains(&ended.code),
            "verify ended with {:?}: {}",
            ended.code,
            ended.said
        );
        let verdict = deployment::json(&path);
        let findings = verdict["findings"].as_array().expect("findings").iter();
        findings.filter(|finding| finding["status"] == "fail").cloned().collect()
    }

    pub fn cluster(&self) -> &Deployment {
        self.cluster
    }

    fn variable(&self) -> (&str, &str) {
        ("REFARCH_TEST_MISTAKE", self.file.to_str().expect("UTF-8"))
    }
}

/// The verdict must name node and cause at the right check, with these words. That something differs from what was
/// delivered is not enough.
fn told(workshop: &Workshop<'_>, row: &Row) -> Result<String, String> {
    let node = row.on.as_ref().map(|on| format!("{}-{on}", workshop.cluster.name));
    let tells = |finding: &Value| {
        let of = finding["node"].as_str();
        let words = finding["saw"].as_str().unwrap_or_default();
        finding["check"] == row.check
            && (node.is_none() || of.is_none() || of == node.as_deref())
            && row.evidence.iter().all(|part| words.contains(&filled(workshop.cluster, part)))
    };
    until_told(|| {
        let failures = workshop.failures(&["--only", &row.check]);
        match failures.iter().find(|finding| tells(finding)) {
            Some(finding) => Ok(finding["saw"].as_str().unwrap_or_default().to_owned()),
            None => Err(format!("`{}` does not say it: {failures:#?}", row.check)),
        }
    })
}

/// Asks until the answer is the right one or it is too late for it.
pub fn until_told<T>(mut ask: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let end = Instant::now() + NOTICED;
    loop {
        let answer = ask();
        if answer.is_ok() || Instant::now() > end {
            return answer;
        }
    }
}

/// A text with the deployment's name, addresses and what else only a deployment knows.
fn filled(cluster: &Deployment, text: &str) -> String {
    let mut text = text.replace("{name}", cluster.name);
    if text.contains("{address:") {
        for host in cluster.inspect()["hosts"].as_array().expect("hosts") {
            let (name, address) = (host["name"].as_str(), host["address"].as_str());
            let (name, address) = (name.expect("a name"), address.expect("an address"));
            let short = name.strip_prefix(&format!("{}-", cluster.name)).unwrap_or(name);
            text = text.replace(&format!("{{address:{short}}}"), address);
        }
    }
    if text.contains("{replica}") {
        text = text.replace("{replica}", &replica(cluster));
    }
    if text.contains("{ended_certificate}") {
        let certificate = json!(ended_certificate(cluster)).to_string();
        text = text.replace("{ended_certificate}", certificate.trim_matches('"'));
    }
    text
}

/// The address of a database node that doesn't lead.
fn replica(cluster: &Deployment) -> String {
    let leader = cluster.on("postgres-1", "gitlab-ctl get-postgresql-primary");
    let leader = leader.trim().split(':').next().expect("a host").to_owned();
    let members = ["postgres-1", "postgres-2"].map(|node| cluster.address_of(node));
    members.into_iter().find(|member| *member != leader).expect("a replica")
}

/// A certificate of the deployment's own authority, for its own key and name, that has ended.
fn ended_certificate(cluster: &Deployment) -> String {
    let secrets = cluster.secrets();
    let pairs = secrets["certificates"].as_object().expect("certificates");
    let key = |pair: &Value| KeyPair::from_pem(pair["private"].as_str().expect("PEM")).expect("a key");
    let (host, pair) = pairs.iter().find(|(name, _)| *name != "ca").expect("the instance's certificate");
    let ca = &pairs["ca"];
    let issuer =
        Issuer::from_ca_cert_pem(ca["public"].as_str().expect("PEM"), key(ca)).expect("an authority");
    let mut params = CertificateParams::new([host.clone()]).expect("a name");
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2025, 1, 1));
    params.use_authority_key_identifier_extension = true;
    params.signed_by(&key(pair), &issuer).expect("a certificate").pem()
}

/// A table of what was seen, for the documentation.
pub struct Record {
    path: PathBuf,
    text: String,
}

impl Record {
    pub fn new(name: &str, head: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{name}.md"));
        Self { path, text: head.to_owned() }
    }

    /// Adds a row, and writes the file, so that whoever waits sees how far it is.
    pub fn row(&mut self, cluster: &Deployment, cells: &[&str]) {
        let own = format!("{}-", cluster.name);
        let cells = cells.iter().map(|cell| cell.replace(&own, "").replace('\n', " ").replace('|', "\\|"));
        let row = format!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        writeln!(self.text, "{row}").expect("a string takes it");
        std::fs::write(&self.path, &self.text).expect("a file");
    }
}

pub fn seconds(began: Instant) -> String {
    began.elapsed().as_secs().to_string()
}
