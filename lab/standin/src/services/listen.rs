//! Sockets to listen on, and stopping when runit says so.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

use super::Error;

/// A UNIX socket that every user may connect to who can reach its directory. What a dead process left is
/// removed; runit runs only one.
pub fn unix(path: &str) -> Result<UnixListener, Error> {
    let failed = |source| Error::Listen { place: path.to_owned(), source };
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(0o777)).map_err(failed)?;
    Ok(listener)
}

/// A TCP socket.
pub async fn tcp(place: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(place).await.map_err(|source| Error::Listen { place: place.to_owned(), source })
}

/// Ends when the process is told to stop.
pub async fn told_to_stop() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
