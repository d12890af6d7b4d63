//! `users` and `rps`: what an installation must bear, in the place of an architecture's name.

use schemars::JsonSchema;
use serde::Serialize;

use super::block::{Block, Field, Placed};
use super::draft::Draft;
use super::parse::Value;
use super::problem::{Findings, Problem};
use super::rule;
use crate::architecture::{Demand, choose};

/// Requests a second at the peak, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RequestsPerSecond {
    /// Requests to the API.
    #[schemars(range(min = 0))]
    pub api: f64,
    /// Pages that people look at.
    #[schemars(range(min = 0))]
    pub web: f64,
    /// Git pulls and clones.
    #[schemars(range(min = 0))]
    pub pull: f64,
    /// Git pushes.
    #[schemars(range(min = 0))]
    pub push: f64,
}

/// The keys that say how large the installation is, of which a spec has one.
pub(super) const KEYS: [&str; 3] = ["architecture", "users", "rps"];

const USERS: &str = "`users: 4200`";
const RPS: &str = "`rps: {api: 70, web: 7, pull: 7, push: 2}`";
const ANY: &str = "`architecture: 3k`, `users: 4200` or `rps: {api: 70, web: 7, pull: 7, push: 2}`";

/// Reads the size: its name, or what it must cover.
pub(super) fn read(block: &mut Block<'_>, draft: &mut Draft, findings: &mut Findings) {
    let [named, users, rps] = KEYS.map(|key| block.optional(key));
    let said: Vec<&Field<'_>> = [&named, &users, &rps].into_iter().flatten().collect();
    if let [first, others @ ..] = said.as_slice()
        && !others.is_empty()
    {
        let keys: Vec<String> = said.iter().map(|field| format!("`{}`", field.path)).collect();
        let message = format!("the size is said more than once: {}", keys.join(", "));
        let mut problem = Problem::new(&rule::CHOICE_SEVERAL, message);
        for field in others.iter().chain([first]) {
            problem = problem.at(field.key_at.clone(), "says the size");
        }
        findings.add(problem);
        return;
    }
    if let Some(field) = named {
        draft.architecture = field.value("`architecture: 1k`", findings);
    } else if let Some(field) = users {
        if let Some(users) = number_of_users(&field, findings) {
            chosen(Demand::Users(users), &field, draft, findings);
        }
    } else if let Some(field) = rps {
        if let Some(rps) = requests(&field, findings) {
            chosen(Demand::Rps(rps), &field, draft, findings);
        }
    } else {
        block.lacks(&KEYS, ANY);
    }
}

/// Keeps what covers a demand, or says that nothing does.
fn chosen(demand: Demand, field: &Field<'_>, draft: &mut Draft, findings: &mut Findings) {
    // A test reads every architecture.
    let Ok(choice) = choose(demand) else { return };
    if let Some(choice) = choice {
        draft.architecture = Some(Placed { value: choice.size, at: field.key_at.clone() });
        draft.choice = Some(choice);
    } else {
        let message = format!("no reference architecture covers {demand}");
        let problem = Problem::new(&rule::DEMAND_TOO_LARGE, message);
        findings.add(problem.at(field.key_at.clone(), "more than a 50k"));
    }
}

fn number_of_users(field: &Field<'_>, findings: &mut Findings) -> Option<u32> {
    match field.node.value {
        Value::Integer(number) => match u32::try_from(number) {
            Ok(users) if users > 0 => return Some(users),
            Err(_) if number > 0 => {
                let message = format!("no reference architecture covers {number} users");
                findings
                    .add(Problem::new(&rule::DEMAND_TOO_LARGE, message).at(field.at(), "more than a 50k"));
            }
            _ => {
                let problem = Problem::new(&rule::DEMAND, "there is at least one user");
                findings.add(problem.at(field.at(), "not a number of users"));
            }
        },
        Value::Null => field.is_empty(USERS, findings),
        _ => field.has_wrong_type("a whole number", USERS, findings),
    }
    None
}

fn requests(field: &Field<'_>, findings: &mut Findings) -> Option<RequestsPerSecond> {
    let mut block = Block::of(field, RPS, findings)?;
    let mut rate = |key, findings: &mut Findings| rate(&block.required(key, RPS)?, findings);
    let [api, web, pull, push] = ["api", "web", "pull", "push"].map(|key| rate(key, findings));
    block.close(&[], findings);
    let rps = RequestsPerSecond { api: api?, web: web?, pull: pull?, push: push? };
    if [rps.api, rps.web, rps.pull, rps.push].iter().all(|rate| *rate <= 0.0) {
        let problem = Problem::new(&rule::DEMAND, "no requests at all choose no size");
        findings.add(problem.at(field.key_at.clone(), "nothing but zeros"));
        return None;
    }
    Some(rps)
}

fn rate(field: &Field<'_>, findings: &mut Findings) -> Option<f64> {
    let rate = match field.node.value {
        Value::Integer(number) => i32::try_from(number).map_or(f64::INFINITY, f64::from),
        Value::Float(number) => number,
        Value::Null => {
            field.is_empty(RPS, findings);
            return None;
        }
        _ => {
            field.has_wrong_type("a number", RPS, findings);
            return None;
        }
    };
    if rate.is_finite() && rate >= 0.0 {
        return Some(rate);
    }
    let message = format!("`{}` is not a number of requests a second", field.path);
    findings.add(Problem::new(&rule::DEMAND, message).at(field.at(), "this number"));
    None
}
