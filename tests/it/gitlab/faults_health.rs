//! Faults that `reach` and `health` own.

use std::time::Duration;

use refarch::checks::{Check, Level, Patience};

use super::fake::{Certificate, Endpoint, Fault, Site};
use super::table::{Case, judge};
use super::trial::Trial;

fn case(name: &'static str, arrange: impl Fn(&mut Trial) + Send + 'static) -> Case {
    Case::new(name, move |trial| {
        trial.options.level = Level::Health;
        trial.options.patience =
            Patience { deadline: Duration::from_secs(4), attempt: Duration::from_millis(1500) };
        arrange(trial);
    })
}

fn shows(name: &'static str, certificate: Certificate) -> Case {
    let site = Site { name: "localhost", certificate, ..Site::default() };
    let blocked = [Check::SignIn, Check::Standin, Check::ReadinessOutside];
    case(name, |_| {}).at(site).fails(&[Check::Tls]).skips(&blocked)
}

fn breaks(name: &'static str, endpoint: Endpoint, fault: Fault) -> Case {
    case(name, move |trial| trial.fake.breaks(endpoint, fault.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_way_and_of_the_first_page() {
    let sign_in =
        |name, fault| breaks(name, Endpoint::SignIn, fault).fails(&[Check::SignIn]).skips(&[Check::Standin]);
    let cases = vec![
        shows("an expired certificate", Certificate::Expired),
        shows("a certificate of another name", Certificate::OtherName),
        shows("a self-signed certificate", Certificate::SelfSigned),
        case("a port without TLS", |trial| trial.target.url.set_scheme("https").unwrap())
            .at(Site { name: "localhost", certificate: Certificate::None, ..Site::default() })
            .fails(&[Check::Tls])
            .skips(&[Check::SignIn, Check::Standin, Check::ReadinessOutside]),
        case("plain HTTP by the URL", |_| {})
            .at(Site { name: "localhost", certificate: Certificate::None, ..Site::default() })
            .warns(&[Check::Tls]),
        sign_in("the sign-in page is missing", Fault::Status(404)),
        sign_in("the sign-in page fails", Fault::Status(500)),
        sign_in("nothing behind NGINX answers", Fault::Status(502)),
        sign_in("another page in its place", Fault::Html),
        sign_in("a redirect loop", Fault::RedirectLoop),
        sign_in("the answer is cut", Fault::Cut),
        sign_in("no answer", Fault::Slow),
    ];
    judge("faults_health", &[], cases).await;
}
