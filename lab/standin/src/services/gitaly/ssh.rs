//! Git over SSH: GitLab Shell takes the connection over, and talks through it to git itself.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path as Segment, Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::mpsc;

use super::repositories::existing;
use super::{Answer, Refusal, git};
use crate::frames::{self, Frame};
use crate::site::Gitaly;

/// Frames that may wait for a slow reader.
const WAITING: usize = 8;

/// The repository, and the program that the user's git asked for.
#[derive(Deserialize)]
pub struct Asked {
    path: String,
    service: String,
}

/// Hands the connection over to git.
pub async fn serve(
    State(gitaly): State<Arc<Gitaly>>,
    Segment(storage): Segment<String>,
    Query(Asked { path, service }): Query<Asked>,
    mut request: Request,
) -> Answer {
    let refuse = |status: StatusCode, reason: &str| Refusal(status, reason.to_owned());
    let directory = existing(&gitaly, &storage, &path)?;
    let Some(program) = service.strip_prefix("git-").filter(|name| PROGRAMS.contains(name)) else {
        return Err(refuse(StatusCode::BAD_REQUEST, "that is no program of git for SSH"));
    };
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return Err(refuse(StatusCode::UPGRADE_REQUIRED, "git over SSH takes the connection over"));
    };
    let mut command = git::command(&git::actor(request.headers()));
    command.arg(program).arg(&directory);
    if let Some(version) = request.headers().get("git-protocol").and_then(|value| value.to_str().ok()) {
        command.env("GIT_PROTOCOL", version);
    }
    tokio::spawn(talk(upgrade, command, directory));
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header("connection", "upgrade")
        .header("upgrade", frames::PROTOCOL)
        .body(Body::empty())
        .map_err(|error| refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))
}

const PROGRAMS: [&str; 3] = ["upload-pack", "receive-pack", "upload-archive"];

async fn talk(upgrade: OnUpgrade, command: Command, directory: PathBuf) {
    let outcome = match upgrade.await {
        Ok(connection) => run(connection, command).await,
        Err(error) => Err(std::io::Error::other(error)),
    };
    if let Err(error) = outcome {
        crate::terminal::complain(format!("ssh: {}: {error}", shown(&directory)));
    }
}

fn shown(directory: &Path) -> std::path::Display<'_> {
    directory.display()
}

async fn run(connection: Upgraded, mut command: Command) -> std::io::Result<()> {
    let (mut from_user, mut to_user) = tokio::io::split(TokioIo::new(connection));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (frames, mut waiting) = mpsc::channel(WAITING);
    if let Some(output) = child.stdout.take() {
        tokio::spawn(forward(output, frames.clone(), Frame::Output));
    }
    if let Some(complaints) = child.stderr.take() {
        tokio::spawn(forward(complaints, frames.clone(), Frame::Complaint));
    }
    drop(frames);
    let input = child.stdin.take();
    let feeder = tokio::spawn(async move {
        if let Some(mut input) = input {
            // Ends when the user's git has said everything, or git listens no longer.
            let _ = tokio::io::copy(&mut from_user, &mut input).await;
            let _ = input.shutdown().await;
        }
    });
    // The channel ends when git has closed both of its outputs.
    while let Some(frame) = waiting.recv().await {
        frames::write(&mut to_user, &frame).await?;
    }
    let code = child.wait().await?.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(128);
    feeder.abort();
    frames::write(&mut to_user, &Frame::End(code)).await?;
    to_user.shutdown().await
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    frames: mpsc::Sender<Frame>,
    frame: impl Fn(Vec<u8>) -> Frame,
) {
    while let Ok(Some(content)) = frames::chunk(&mut from).await {
        if frames.send(frame(content)).await.is_err() {
            return;
        }
    }
}
