//! Is it ready, as seen from here?
//!
//! Monitoring pages answer 404 to addresses outside the allowlist. refarch never adds its own address to it,
//! so that a deployment is asked as the spec wants it to be.

use std::time::Duration;

use super::catalogue::Check;
use super::question::{Patience, Question};
use super::{readiness, sign_in};
use crate::events::Finding;
use crate::instance::Instance;

const PAGE: &str = "/-/readiness";

pub(super) async fn check(instance: Result<&Instance, Check>, patience: Patience) -> Finding {
    let wanted = "200 and `status: ok`";
    let instance = match instance {
        Ok(instance) => instance,
        Err(by) => return Question::new(Check::ReadinessOutside, format!("GET {PAGE}"), wanted).blocked(by),
    };
    let asked = format!("GET {} from this machine", instance.page(PAGE));
    let attempt = async |limit: Duration| {
        let answer = instance.get(PAGE, limit).await.map_err(|fault| sign_in::unanswered(&fault))?;
        readiness::judge(answer.status, &answer.text(), &[]).map(|saw| (saw, ()))
    };
    Question::new(Check::ReadinessOutside, asked, wanted).settle(patience, attempt).await.0
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::super::question::tests::IMPATIENT;
    use super::super::verify::tests::instance;
    use super::*;
    use crate::events::Status;

    async fn answered(status: u16, body: &str) -> Finding {
        let server = MockServer::start().await;
        let response = ResponseTemplate::new(status).set_body_raw(body, "application/json");
        Mock::given(path(PAGE)).respond_with(response).mount(&server).await;
        check(Ok(&instance(&server)), IMPATIENT).await
    }

    #[tokio::test]
    async fn passes_when_it_is_ready() {
        assert_eq!(
            answered(200, r#"{"status":"ok","master_check":[{"status":"ok"}]}"#).await.status,
            Status::Pass
        );
    }

    #[tokio::test]
    async fn fails_when_it_is_not() {
        let body =
            r#"{"status":"failed","master_check":[{"status":"failed","message":"Puma worker is not up"}]}"#;
        let finding = answered(503, body).await;
        assert_eq!(finding.status, Status::Fail);
        assert!(finding.saw.contains("Puma worker is not up"), "{}", finding.saw);
        assert_eq!(answered(502, "").await.status, Status::Fail);
    }

    #[tokio::test]
    async fn skips_when_it_cannot_look() {
        let finding = answered(404, "").await;
        assert_eq!((finding.status, finding.saw.as_str()), (Status::Skip, "address not in the allowlist"));
        assert_eq!(check(Err(Check::Tcp), IMPATIENT).await.status, Status::Skip);
    }
}
