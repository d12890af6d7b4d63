//! Choosing a size: the smallest reference architecture that covers what is asked for.
//!
//! Source: <https://docs.gitlab.com/administration/reference_architectures/>, "Available reference architectures", and
//! <https://docs.gitlab.com/install/sizing/>, "Map traffic to reference architectures" (read 2026-11).

use std::fmt;

use super::{Architecture, Error, of_size};
use crate::spec::{RequestsPerSecond, Size};

/// How far a peak may lie above an architecture's figure before the documentation advises the next size: it speaks of 10 to
/// 15 %, and this is the lower end.
const HEADROOM: f64 = 1.1;

/// What an installation must bear, where the spec doesn't name an architecture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Demand {
    /// So many users.
    Users(u32),
    /// So many requests a second, by kind, at the peak.
    Rps(RequestsPerSecond),
}

/// The architecture that was chosen for a demand.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What was asked for.
    pub demand: Demand,
    /// The smallest architecture that covers it.
    pub size: Size,
    /// The next smaller one, where the documentation takes what it lacks as acceptable.
    pub nearly: Option<Size>,
    /// What decided: which figures of the next smaller one are passed.
    passed: Vec<Passed>,
}

/// A figure of an architecture that a demand passes.
#[derive(Clone, Debug, PartialEq)]
struct Passed {
    size: Size,
    what: &'static str,
    wanted: f64,
    covered: u32,
}

/// The smallest architecture that covers a demand; none where even the largest does not.
///
/// # Errors
/// As [`of_size`].
pub fn choose(demand: Demand) -> Result<Option<Choice>, Error> {
    let mut before: Vec<Passed> = Vec::new();
    for size in Size::ALL.iter().copied() {
        let passed = passed(demand, size, &of_size(size)?);
        if passed.is_empty() {
            let close = |passed: &Passed| passed.wanted <= f64::from(passed.covered) * HEADROOM;
            let nearly = before.first().filter(|_| before.iter().all(close)).map(|passed| passed.size);
            return Ok(Some(Choice { demand, size, nearly, passed: before }));
        }
        before = passed;
    }
    Ok(None)
}

fn passed(demand: Demand, size: Size, architecture: &Architecture) -> Vec<Passed> {
    let all = match demand {
        Demand::Users(users) => vec![("users", f64::from(users), architecture.users)],
        Demand::Rps(wanted) => {
            let covered = architecture.rps;
            vec![
                ("API", wanted.api, covered.api),
                ("web", wanted.web, covered.web),
                ("Git pull", wanted.pull, covered.pull),
                ("Git push", wanted.push, covered.push),
            ]
        }
    };
    all.into_iter()
        .filter(|(_, wanted, covered)| *wanted > f64::from(*covered))
        .map(|(what, wanted, covered)| Passed { size, what, wanted, covered })
        .collect()
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users(1) => f.write_str("1 user"),
            Self::Users(users) => write!(f, "{users} users"),
            Self::Rps(RequestsPerSecond { api, web, pull, push }) => {
                write!(f, "requests a second of API {api}, web {web}, Git pull {pull} and Git push {push}")
            }
        }
    }
}

impl fmt::Display for Choice {
    /// Which size, and why: one sentence, and a second one where there is something to weigh.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} is the smallest that covers {}", self.size, self.demand)?;
        for (index, Passed { size, what, wanted, covered }) in self.passed.iter().enumerate() {
            match (index, what) {
                (0, &"users") => write!(f, ": a {size} is documented for {covered}"),
                (0, what) => write!(f, ": a {size} is documented for {what} {covered}, and this is {wanted}"),
                (_, what) => write!(f, "; {what} {covered}, and this is {wanted}"),
            }?;
        }
        if let Some(size) = self.nearly {
            write!(
                f,
                "; what it lacks is within the 10 % that GitLab's sizing page accepts of peaks: `architecture: {size}` takes \
                 the smaller one"
            )?;
        }
        if self.size < Size::ThreeK {
            write!(f, "; it is not highly available, and `architecture: 3k` is the smallest that is")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(users: u32) -> Option<Choice> {
        choose(Demand::Users(users)).expect("the program's own data")
    }

    fn rps(api: f64, web: f64, pull: f64, push: f64) -> Option<Choice> {
        choose(Demand::Rps(RequestsPerSecond { api, web, pull, push })).expect("the program's own data")
    }

    #[test]
    fn each_size_is_chosen_up_to_its_own_figures_and_not_beyond() {
        for (size, next) in Size::ALL.iter().zip(Size::ALL.iter().skip(1)) {
            let most = of_size(*size).expect("data").users;
            assert_eq!(users(most).map(|choice| choice.size), Some(*size));
            assert_eq!(users(most + 1).map(|choice| choice.size), Some(*next));
            let covered = of_size(*size).expect("data").rps;
            let choice =
                rps(covered.api.into(), covered.web.into(), covered.pull.into(), covered.push.into());
            // Sizes may share a figure, never all of them.
            assert_eq!(choice.map(|choice| choice.size), Some(*size));
        }
        assert_eq!(users(50_001), None);
        assert_eq!(rps(1000.5, 1.0, 1.0, 1.0), None);
    }

    #[test]
    fn the_largest_demand_of_any_kind_decides() {
        for (demand, size) in [
            ((70.0, 7.0, 7.0, 2.0), Size::FiveK),
            ((10.0, 2.0, 2.0, 4.0), Size::TenK),
            ((10.0, 45.0, 2.0, 1.0), Size::TwentyFiveK),
            ((10.0, 1.0, 100.0, 0.0), Size::FiftyK),
            ((0.5, 0.0, 0.0, 0.0), Size::OneK),
        ] {
            let (api, web, pull, push) = demand;
            assert_eq!(rps(api, web, pull, push).map(|choice| choice.size), Some(size), "{demand:?}");
        }
    }

    #[test]
    fn the_reason_names_what_decided_and_what_can_be_weighed() {
        let why = |choice: Option<Choice>| choice.expect("covered").to_string();
        assert_eq!(
            why(users(4200)),
            "a 5k is the smallest that covers 4200 users: a 3k is documented for 3000"
        );
        assert_eq!(
            why(users(1)),
            "a 1k is the smallest that covers 1 user; it is not highly available, and `architecture: 3k` is the smallest \
             that is"
        );
        assert_eq!(
            why(rps(110.0, 10.5, 2.0, 1.0)),
            "a 10k is the smallest that covers requests a second of API 110, web 10.5, Git pull 2 and Git push 1: a 5k is \
             documented for API 100, and this is 110; web 10, and this is 10.5; what it lacks is within the 10 % that \
             GitLab's sizing page accepts of peaks: `architecture: 5k` takes the smaller one"
        );
        assert_eq!(rps(150.0, 10.0, 2.0, 1.0).expect("covered").nearly, None);
    }
}
