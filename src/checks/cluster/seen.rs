//! What a check saw on many nodes, on the way to one answer.

use crate::checks::question::Miss;

/// How many things one finding names; a cause that all nodes have need not be told for each of them.
const NAMED: usize = 6;

/// What was seen, good and bad.
#[derive(Debug, Default)]
pub struct Seen {
    wrong: Vec<String>,
    odd: Vec<String>,
    unseen: Vec<String>,
}

impl Seen {
    /// Notes what is not as it should be.
    pub fn wrong(&mut self, what: impl Into<String>) {
        push(&mut self.wrong, what.into());
    }

    /// Notes what works and deserves attention.
    pub fn odd(&mut self, what: impl Into<String>) {
        push(&mut self.odd, what.into());
    }

    /// Notes what could not be looked at.
    pub fn unseen(&mut self, why: impl Into<String>) {
        push(&mut self.unseen, why.into());
    }

    /// Takes what was told, or notes why it was not.
    pub fn take<T>(&mut self, told: Result<T, String>) -> Option<T> {
        told.map_err(|why| self.unseen(why)).ok()
    }

    /// The answer: a failure where anything is wrong, a skip where not all could be looked at, and a pass only where all
    /// was seen and good.
    pub fn answer(self, good: impl Into<String>, remedy: &str) -> Result<String, Miss> {
        if !self.wrong.is_empty() {
            return Err(Miss::fail(listed(&self.wrong), remedy));
        }
        if !self.unseen.is_empty() {
            let told = self.unseen.iter().chain(&self.odd).cloned().collect::<Vec<_>>();
            let remedy = "see on the node why it does not answer, and verify again";
            return Err(Miss::skip(format!("could not look everywhere: {}", listed(&told)), remedy));
        }
        if !self.odd.is_empty() {
            return Err(Miss::warn(listed(&self.odd), remedy));
        }
        Ok(good.into())
    }
}

fn push(list: &mut Vec<String>, what: String) {
    if !list.contains(&what) {
        list.push(what);
    }
}

fn listed(things: &[String]) -> String {
    let named = things.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    match things.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

/// The last line that says something: where a command's reason stands.
pub fn last_words(out: &str) -> &str {
    out.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Status;

    #[test]
    fn what_is_wrong_counts_more_than_what_was_not_seen() {
        let mut seen = Seen::default();
        seen.odd("slow");
        assert_eq!(Seen::default().answer("good", "mend").unwrap(), "good");
        assert_eq!(seen.answer("good", "mend").unwrap_err().status, Status::Warn);
        let mut seen = Seen::default();
        seen.unseen("a: silent");
        seen.odd("slow");
        let miss = seen.answer("good", "mend").unwrap_err();
        assert_eq!(
            (miss.status, miss.saw.as_str()),
            (Status::Skip, "could not look everywhere: a: silent; slow")
        );
        let mut seen = Seen::default();
        seen.unseen("a: silent");
        seen.wrong("b is down");
        seen.wrong("b is down");
        let miss = seen.answer("good", "mend").unwrap_err();
        assert_eq!((miss.status, miss.saw.as_str()), (Status::Fail, "b is down"));
    }

    #[test]
    fn many_are_counted_and_not_all_named() {
        let mut seen = Seen::default();
        (0..9).for_each(|number| seen.wrong(format!("node {number}")));
        let miss = seen.answer("good", "mend").unwrap_err();
        assert!(miss.saw.ends_with("node 5; and 3 more"), "{}", miss.saw);
    }
}
