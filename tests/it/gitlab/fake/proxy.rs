//! A forward proxy that knows one name and notes what passes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A proxy that leads every name to one address.
pub struct Proxy {
    pub address: SocketAddr,
    passed: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passed = Arc::new(Mutex::new(Vec::new()));
        let noted = passed.clone();
        let task = super::RUNTIME.spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(pass(stream, target, noted.clone()));
            }
        });
        Self { address, passed, task }
    }

    /// The first lines of what passed: `CONNECT name:port`.
    pub fn passed(&self) -> Vec<String> {
        self.passed.lock().unwrap().clone()
    }
}

async fn pass(stream: TcpStream, target: SocketAddr, noted: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    if stream.read_line(&mut first).await.is_err() {
        return;
    }
    let mut rest = String::new();
    while !rest.ends_with("\r\n\r\n") && rest != "\r\n" {
        if stream.read_line(&mut rest).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let words: Vec<&str> = first.split_whitespace().take(2).collect();
    noted.lock().unwrap().push(words.join(" "));
    let Ok(mut onward) = TcpStream::connect(target).await else { return };
    if words.first() == Some(&"CONNECT") {
        if stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
            return;
        }
    } else if onward.write_all(format!("{first}{rest}").as_bytes()).await.is_err() {
        return;
    }
    let early = stream.buffer().to_vec();
    let _ = onward.write_all(&early).await;
    let length = early.len();
    let _ = (&mut stream).take(length as u64).read_to_end(&mut Vec::new()).await;
    let _ = copy_bidirectional(&mut stream, &mut onward).await;
}
