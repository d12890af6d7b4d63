//! Does the sign-in page come?

use std::time::Duration;

use super::catalogue::Check;
use super::page;
use super::question::{Miss, Patience, Question};
use crate::events::Finding;
use crate::instance::{Answer, Fault, Instance};

const PAGE: &str = "/users/sign_in";

/// Asks for the page and gives its answer back for who wants to know more of it.
pub(super) async fn check(
    instance: Result<&Instance, Check>,
    patience: Patience,
) -> (Finding, Option<Answer>) {
    let wanted = "200 and an HTML page with the sign-in form";
    let instance = match instance {
        Ok(instance) => instance,
        Err(by) => return (Question::new(Check::SignIn, format!("GET {PAGE}"), wanted).blocked(by), None),
    };
    let question = Question::new(Check::SignIn, format!("GET {}", instance.page(PAGE)), wanted);
    let attempt = async |limit: Duration| {
        let answer = instance.get(PAGE, limit).await.map_err(|fault| unanswered(&fault))?;
        judge(&answer).map(|saw| (saw, answer))
    };
    question.settle(patience, attempt).await
}

fn judge(answer: &Answer) -> Result<String, Miss> {
    if answer.status != 200 {
        return Err(page::unexpected(answer.status, PAGE, answer.location.as_deref()));
    }
    let remedy = "see whether GitLab answers at this address, or another server in its place";
    if answer.content_type.as_deref() != Some("text/html") {
        let kind = answer.content_type.as_deref().unwrap_or("no content type");
        return Err(Miss::fail(
            format!("200, but {kind} instead of HTML: {}", page::excerpt(&answer.text())),
            remedy,
        ));
    }
    // GitLab's own names of the two fields; a page of another program has a form, but not these.
    let body = answer.text();
    let has_form = body.contains("<form") && body.contains("user[password]");
    if !has_form {
        return Err(Miss::fail("200 and HTML, but no sign-in form in it", remedy));
    }
    Ok("200, the sign-in form came".into())
}

/// Why the page did not come, once TLS is known to work.
pub(super) fn unanswered(fault: &Fault) -> Miss {
    let remedy = "see `gitlab-ctl status` and `gitlab-ctl tail nginx` on the node";
    Miss::fail(fault.to_string(), remedy).passing(fault.passing())
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::super::question::tests::IMPATIENT;
    use super::super::verify::tests::{SIGN_IN, instance};
    use super::*;
    use crate::events::Status;

    async fn answered(response: ResponseTemplate) -> Finding {
        let server = MockServer::start().await;
        Mock::given(path(PAGE)).respond_with(response).mount(&server).await;
        check(Ok(&instance(&server)), IMPATIENT).await.0
    }

    fn html(status: u16, body: &str) -> ResponseTemplate {
        ResponseTemplate::new(status).set_body_raw(body, "text/html; charset=utf-8")
    }

    #[tokio::test]
    async fn passes_on_the_sign_in_form() {
        let finding = answered(html(200, SIGN_IN)).await;
        assert_eq!((finding.status, finding.remedy), (Status::Pass, None));
    }

    #[tokio::test]
    async fn passes_once_puma_is_up() {
        let server = MockServer::start().await;
        Mock::given(path(PAGE)).respond_with(html(502, "bad gateway")).up_to_n_times(2).mount(&server).await;
        Mock::given(path(PAGE)).respond_with(html(200, SIGN_IN)).mount(&server).await;
        let patience = Patience { deadline: Duration::from_secs(20), ..IMPATIENT };
        assert_eq!(check(Ok(&instance(&server)), patience).await.0.status, Status::Pass);
    }

    #[tokio::test]
    async fn fails_on_anything_else() {
        let cases = [
            (html(502, ""), "NGINX works but Workhorse or Puma"),
            (html(503, "Deploy in progress"), "503, GitLab says"),
            (html(500, ""), "500, GitLab failed"),
            (html(404, ""), "404, there is no `/users/sign_in`"),
            (html(418, ""), "418, which GitLab does not answer"),
            (
                html(302, "").insert_header("location", "https://other.example/"),
                "redirect to `https://other.example/`",
            ),
            (html(200, "<html>Welcome to nginx!</html>"), "no sign-in form"),
            (
                ResponseTemplate::new(200).set_body_raw("{}", "application/json"),
                "application/json instead of HTML: `{}`",
            ),
            (html(200, SIGN_IN).set_delay(Duration::from_secs(30)), "no answer within"),
        ];
        for (response, words) in cases {
            let finding = answered(response).await;
            assert_eq!(finding.status, Status::Fail, "{finding:?}");
            assert!(finding.saw.contains(words), "{:?} lacks {words:?}", finding.saw);
            assert!(finding.remedy.is_some());
        }
    }

    #[tokio::test]
    async fn skips_when_it_cannot_look() {
        let (finding, answer) = check(Err(Check::Tls), IMPATIENT).await;
        assert_eq!((finding.status, answer.is_none()), (Status::Skip, true));
        let finding = answered(html(429, "Retry later")).await;
        assert_eq!(finding.status, Status::Skip);
    }
}
