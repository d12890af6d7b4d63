//! Does the port answer?

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::catalogue::Check;
use super::question::{Miss, Patience, Question};
use crate::events::Finding;
use crate::instance::Fault;

/// Connects to each address in turn and gives back the first that answers.
pub(super) async fn check(
    url: &Url,
    addresses: &[IpAddr],
    patience: Patience,
) -> (Finding, Option<SocketAddr>) {
    let port = url.port_or_known_default().unwrap_or(443);
    let sockets: Vec<_> = addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
    let listed = sockets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if sockets.is_empty() {
        let question = Question::new(Check::Tcp, format!("a connection to port {port}"), "a connection");
        return (question.blocked(Check::Dns), None);
    }
    let question = Question::new(Check::Tcp, format!("a connection to {listed}"), "a connection");
    let attempt = async |limit: Duration| {
        let mut last = Fault::Refused;
        for socket in &sockets {
            match connect(*socket, limit).await {
                Ok(()) => return Ok((format!("{socket} answers"), *socket)),
                Err(fault) => last = fault,
            }
        }
        Err(miss(&last, port))
    };
    question.settle(patience, attempt).await
}

async fn connect(socket: SocketAddr, limit: Duration) -> Result<(), Fault> {
    match timeout(limit, TcpStream::connect(socket)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Fault::of_io(&error, limit)),
        Err(_) => Err(Fault::Silent(limit)),
    }
}

fn miss(fault: &Fault, port: u16) -> Miss {
    let remedy = match fault {
        Fault::Refused => {
            format!(
                "start NGINX on the node with `gitlab-ctl start nginx`, and see that it listens on {port}"
            )
        }
        Fault::Silent(_) => format!(
            "a packet filter drops port {port}, or the host is down: see `access.web_from` and whether the host runs"
        ),
        _ => "see whether this machine has a route to the deployment's address".into(),
    };
    Miss::fail(fault.to_string(), remedy).passing(fault.passing())
}

#[cfg(test)]
mod tests {
    use super::super::question::tests::IMPATIENT;
    use super::*;
    use crate::events::Status;
    use crate::instance::testing::{TlsServer, closed_port};

    fn url(port: u16) -> Url {
        Url::parse(&format!("https://gitlab.acme.example:{port}")).unwrap()
    }

    #[tokio::test]
    async fn passes_when_the_port_answers() {
        let server = TlsServer::silent().await;
        let (finding, socket) = check(&url(server.address.port()), &[server.address.ip()], IMPATIENT).await;
        assert_eq!((finding.status, socket), (Status::Pass, Some(server.address)));
    }

    #[tokio::test]
    async fn fails_when_nothing_listens() {
        let address = closed_port().await;
        let (finding, socket) = check(&url(address.port()), &[address.ip()], IMPATIENT).await;
        assert_eq!((finding.status, socket), (Status::Fail, None));
        assert_eq!(finding.saw, "the connection was refused");
    }

    #[tokio::test]
    async fn a_port_that_opens_late_passes() {
        let address = closed_port().await;
        let open = async {
            tokio::time::sleep(Duration::from_millis(150)).await;
            tokio::net::TcpListener::bind(address).await
        };
        let patience = Patience { deadline: Duration::from_secs(10), attempt: Duration::from_secs(1) };
        let (url, addresses) = (url(address.port()), [address.ip()]);
        let ((finding, _), listener) = tokio::join!(check(&url, &addresses, patience), open);
        assert!(listener.is_ok());
        assert_eq!(finding.status, Status::Pass);
    }

    #[tokio::test]
    async fn skips_when_there_is_no_address() {
        let (finding, socket) = check(&url(443), &[], IMPATIENT).await;
        assert_eq!((finding.status, socket), (Status::Skip, None));
    }
}
