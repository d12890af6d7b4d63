use std::sync::Arc;

use wiremock::matchers::{header, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::instance::TlsFault;
use crate::instance::testing::{Authority, Behaviour, TlsServer};

const LIMIT: Duration = Duration::from_secs(5);

fn instance(server: &MockServer, host: &str) -> Instance {
    let url = Url::parse(&format!("http://{host}:{}", server.address().port())).unwrap();
    let trust = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
    Instance::new(url, &[*server.address()], &trust).unwrap()
}

#[tokio::test]
async fn the_fixed_address_is_asked_under_the_instances_name() {
    let server = MockServer::start().await;
    let name = format!("gitlab.acme.example:{}", server.address().port());
    Mock::given(path("/users/sign_in"))
        .and(header("host", name.as_str()))
        .respond_with(ResponseTemplate::new(200).set_body_raw("page", "Text/HTML; charset=utf-8"))
        .mount(&server)
        .await;
    let answer = instance(&server, "gitlab.acme.example").get("/users/sign_in", LIMIT).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "page"));
    assert_eq!(answer.content_type.as_deref(), Some("text/html"));
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let server = MockServer::start().await;
    Mock::given(path("/"))
        .respond_with(ResponseTemplate::new(302).insert_header("location", "/elsewhere"))
        .mount(&server)
        .await;
    let answer = instance(&server, "gitlab.acme.example").get("/", LIMIT).await.unwrap();
    assert_eq!((answer.status, answer.location.as_deref()), (302, Some("/elsewhere")));
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_slow_answer_is_silence() {
    let server = MockServer::start().await;
    Mock::given(path("/"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(30)))
        .mount(&server)
        .await;
    let limit = Duration::from_millis(50);
    let fault = instance(&server, "gitlab.acme.example").get("/", limit).await.unwrap_err();
    assert_eq!(fault, Fault::Silent(limit));
    assert!(fault.passing());
}

#[tokio::test]
async fn a_huge_answer_is_refused() {
    let server = MockServer::start().await;
    let body = vec![b'x'; 4 * 1024 * 1024 + 1];
    Mock::given(path("/")).respond_with(ResponseTemplate::new(200).set_body_bytes(body)).mount(&server).await;
    let fault = instance(&server, "gitlab.acme.example").get("/", LIMIT).await.unwrap_err();
    assert_eq!(fault, Fault::TooLarge(4 * 1024 * 1024));
}

#[tokio::test]
async fn nothing_listening_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = Url::parse(&format!("http://gitlab.acme.example:{}", address.port())).unwrap();
    let trust = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
    let instance = Instance::new(url, &[address], &trust).unwrap();
    assert_eq!(instance.get("/", LIMIT).await.unwrap_err(), Fault::Refused);
}

async fn over_tls(behaviour: Behaviour, trusted: &Authority, signed_by: &Authority) -> Result<Answer, Fault> {
    let identity = signed_by.issue(&["gitlab.acme.example"]);
    let server = TlsServer::start(identity, behaviour).await;
    let url = Url::parse(&format!("https://gitlab.acme.example:{}", server.address.port())).unwrap();
    let trust = Trust::new(Some(&trusted.pem())).unwrap();
    Instance::new(url, &[server.address], &trust).unwrap().get("/", LIMIT).await
}

#[tokio::test]
async fn the_own_ca_is_trusted_and_no_other() {
    let (own, other) = (Authority::new("Acme CA"), Authority::new("Other CA"));
    let page = Behaviour::Answer(Arc::from("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"));
    assert_eq!(over_tls(page.clone(), &own, &own).await.unwrap().text(), "hi");
    let fault = over_tls(page, &own, &other).await.unwrap_err();
    assert!(matches!(fault, Fault::Tls(TlsFault::UnknownCa { .. })), "{fault:?}");
    assert!(!fault.passing());
}

#[tokio::test]
async fn a_cut_answer_is_cut() {
    let own = Authority::new("Acme CA");
    let page = Behaviour::Answer(Arc::from("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi"));
    let fault = over_tls(page, &own, &own).await.unwrap_err();
    assert!(matches!(fault, Fault::Cut(_)), "{fault:?}");
}

fn limits(seconds: u64) -> Limits {
    Limits { attempt: LIMIT, end: tokio::time::Instant::now() + Duration::from_secs(seconds) }
}

async fn answering(path_: &str, responses: Vec<ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    let last = responses.len() - 1;
    for (index, response) in responses.into_iter().enumerate() {
        let mock = Mock::given(path(path_)).respond_with(response);
        if index == last { mock.mount(&server).await } else { mock.up_to_n_times(1).mount(&server).await }
    }
    server
}

#[tokio::test]
async fn what_is_put_off_is_asked_again_when_the_instance_says() {
    let busy = |value: &str| ResponseTemplate::new(429).insert_header("retry-after", value);
    let server = answering("/api/v4/issues", vec![busy("0"), busy("1"), ResponseTemplate::new(201)]).await;
    let instance = instance(&server, "gitlab.acme.example");
    let began = std::time::Instant::now();
    let request = Request::api(Method::Post, "issues");
    assert_eq!(instance.call(&request, limits(20)).await.unwrap().status, 201);
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");

    let server = answering("/api/v4/issues", vec![busy("3600")]).await;
    let instance = self::instance(&server, "gitlab.acme.example");
    let began = std::time::Instant::now();
    assert_eq!(instance.call(&request, limits(20)).await.unwrap().status, 429);
    assert!(began.elapsed() < Duration::from_secs(3), "nothing waits beyond its deadline");
}

#[tokio::test]
async fn only_what_may_be_asked_twice_is() {
    for (method, asked) in [(Method::Post, 1), (Method::Get, 2), (Method::Put, 2), (Method::Delete, 2)] {
        let answers = vec![ResponseTemplate::new(502), ResponseTemplate::new(200)];
        let server = answering("/api/v4/x", answers).await;
        let instance = instance(&server, "gitlab.acme.example");
        let _ = instance.call(&Request::api(method, "x"), limits(20)).await.unwrap();
        assert_eq!(server.received_requests().await.unwrap().len(), asked, "{method:?}");
    }
}

#[tokio::test]
async fn the_token_goes_where_it_is_meant_to_and_nowhere_else() {
    let storage = answering("/bucket/file", vec![ResponseTemplate::new(200).set_body_bytes(b"bytes")]).await;
    let there = format!("http://127.0.0.1:{}/bucket/file?signature=s3cr3t", storage.address().port());
    let server =
        answering("/api/v4/file", vec![ResponseTemplate::new(302).insert_header("location", there.as_str())])
            .await;
    let instance = instance(&server, "gitlab.acme.example").with_token("glpat-s3cr3t".into());
    let answer = instance.download(Request::api(Method::Get, "file"), limits(20)).await.unwrap();
    assert_eq!(answer.text(), "bytes");
    let asked = server.received_requests().await.unwrap();
    assert_eq!(asked[0].headers["private-token"], "glpat-s3cr3t");
    let asked = storage.received_requests().await.unwrap();
    assert!(
        !asked[0].headers.contains_key("private-token") && !asked[0].headers.contains_key("authorization")
    );
    assert!(!format!("{instance:?}").contains("glpat"));
}

#[tokio::test]
async fn a_download_that_goes_in_circles_ends() {
    let server =
        answering("/api/v4/x", vec![ResponseTemplate::new(302).insert_header("location", "/api/v4/x")]).await;
    let instance = instance(&server, "gitlab.acme.example");
    let fault = instance.download(Request::api(Method::Get, "x"), limits(20)).await.unwrap_err();
    assert!(matches!(fault, Fault::Redirect(_)), "{fault:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), HOPS + 1);
}

#[tokio::test]
async fn no_more_than_eight_are_under_way() {
    let busy = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (counted, seen) = (busy.clone(), most.clone());
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (busy, most) = (counted.clone(), seen.clone());
            tokio::spawn(async move {
                use std::sync::atomic::Ordering::SeqCst;
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    most.fetch_max(busy.fetch_add(1, SeqCst) + 1, SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    busy.fetch_sub(1, SeqCst);
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
        }
    });
    let url = Url::parse(&format!("http://gitlab.acme.example:{}", address.port())).unwrap();
    let trust = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
    let instance = Instance::new(url, &[address], &trust).unwrap();
    let asked = (0..40).map(|_| instance.get("/", LIMIT));
    assert!(futures_util::future::join_all(asked).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(most.load(std::sync::atomic::Ordering::SeqCst), AT_ONCE);
    server.abort();
}

#[tokio::test]
async fn a_relative_root_and_an_ipv6_literal_are_kept() {
    let trust = Trust::new(Some(&Authority::new("Acme CA").pem())).unwrap();
    let at = |url: &str| Instance::new(Url::parse(url).unwrap(), &[], &trust).unwrap();
    let root = at("https://acme.example/gitlab/");
    assert_eq!(root.page("/api/v4/version"), "https://acme.example/gitlab/api/v4/version");
    let on = |url: &str| root.holds(&Url::parse(url).unwrap());
    assert!(on("https://acme.example/gitlab/group/project.git") && on("https://acme.example:443/gitlab"));
    assert!(
        !on("https://acme.example/gitlab2/x")
            && !on("http://acme.example/gitlab/x")
            && !on("https://x.example/gitlab/x")
    );

    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else { return };
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nv6").await;
    });
    assert_eq!(at(&format!("http://[::1]:{port}")).get("/", LIMIT).await.unwrap().text(), "v6");
    server.await.unwrap();
}
