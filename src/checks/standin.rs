//! Is it GitLab or the lab's stand-in, and does the spec say the same?

use super::catalogue::Check;
use super::question::{Miss, Question};
use crate::events::Finding;
use crate::instance::{Answer, STANDIN_HEADER};

/// What is seen where the header is there.
const SAYS_SO: &str = "lab stand-in, not GitLab";

/// Compares what the spec says with what the instance says of itself.
pub(super) fn check(spec_says_standin: Option<bool>, answer: Option<&Answer>) -> Finding {
    let wanted = match spec_says_standin {
        Some(true) => "the lab stand-in, as the spec says",
        Some(false) => "GitLab, as the spec says",
        None => "GitLab",
    };
    let question =
        Question::new(Check::Standin, format!("the header `{STANDIN_HEADER}` of the sign-in page"), wanted);
    let Some(answer) = answer else { return question.blocked(Check::SignIn) };
    question.answer(judge(spec_says_standin, answer.standin.as_deref()))
}

fn judge(spec_says_standin: Option<bool>, header: Option<&str>) -> Result<String, Miss> {
    match (spec_says_standin, header) {
        (Some(true), Some(_)) => Ok(SAYS_SO.into()),
        (None, Some(_)) => Err(Miss::warn(SAYS_SO, "read nothing about GitLab itself into this verdict")),
        (Some(false) | None, None) => Ok("it does not say that it is a stand-in".into()),
        (Some(false), Some(_)) => Err(Miss::fail(
            SAYS_SO,
            "install the real package that `gitlab.package` names, or say `standin: {}` there",
        )),
        (Some(true), None) => Err(Miss::warn(
            "it does not say that it is a stand-in",
            "if the real package is installed here, name it in `gitlab.package`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Status;

    fn answer(header: Option<&str>) -> Answer {
        let standin = header.map(ToOwned::to_owned);
        Answer {
            status: 200,
            content_type: None,
            location: None,
            standin,
            retry_after: None,
            body: Vec::new(),
        }
    }

    #[test]
    fn passes_when_both_say_the_same() {
        let finding = check(Some(true), Some(&answer(Some("lab"))));
        assert_eq!((finding.status, finding.saw.as_str()), (Status::Pass, "lab stand-in, not GitLab"));
        assert_eq!(check(Some(false), Some(&answer(None))).status, Status::Pass);
    }

    #[test]
    fn fails_when_the_spec_says_gitlab_and_the_stand_in_answers() {
        assert_eq!(check(Some(false), Some(&answer(Some("lab")))).status, Status::Fail);
    }

    #[test]
    fn warns_when_nobody_said_which_and_the_stand_in_answers() {
        assert_eq!(check(None, Some(&answer(Some("lab")))).status, Status::Warn);
        assert_eq!(check(None, Some(&answer(None))).status, Status::Pass);
    }

    #[test]
    fn warns_when_the_spec_says_stand_in_and_it_does_not() {
        assert_eq!(check(Some(true), Some(&answer(None))).status, Status::Warn);
    }

    #[test]
    fn skips_when_the_page_did_not_come() {
        assert_eq!(check(Some(true), None).status, Status::Skip);
        assert_eq!(check(Some(false), None).status, Status::Skip);
    }
}
