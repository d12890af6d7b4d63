//! How git's output, its complaints and its exit code share one connection, between Gitaly and GitLab Shell. What
//! the user's git sends goes the other way as it is, until it ends.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The protocol's name in the `Upgrade` header.
pub const PROTOCOL: &str = "standin-git-ssh";

/// The most that one frame carries.
const LONGEST: usize = 64 * 1024;

/// A piece of what comes from git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Standard output.
    Output(Vec<u8>),
    /// Standard error.
    Complaint(Vec<u8>),
    /// The end, with git's exit code.
    End(u8),
}

/// Writes a frame: a letter, the length in four bytes, the content.
pub async fn write(out: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> std::io::Result<()> {
    let (kind, content): (u8, &[u8]) = match frame {
        Frame::Output(content) => (b'o', content),
        Frame::Complaint(content) => (b'e', content),
        Frame::End(code) => (b'x', std::slice::from_ref(code)),
    };
    let length = u32::try_from(content.len()).map_err(std::io::Error::other)?;
    out.write_u8(kind).await?;
    out.write_u32(length).await?;
    out.write_all(content).await?;
    out.flush().await
}

/// Reads a frame.
pub async fn read(input: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Frame> {
    let kind = input.read_u8().await?;
    let length = usize::try_from(input.read_u32().await?).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(std::io::Error::other("a frame is longer than any that Gitaly writes"));
    }
    let mut content = vec![0; length];
    input.read_exact(&mut content).await?;
    match kind {
        b'o' => Ok(Frame::Output(content)),
        b'e' => Ok(Frame::Complaint(content)),
        b'x' => Ok(Frame::End(content.first().copied().unwrap_or(1))),
        _ => Err(std::io::Error::other("Gitaly writes something that is no frame")),
    }
}

/// Reads what is there, up to what one frame carries; none at the end.
pub async fn chunk(input: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let mut content = vec![0; LONGEST];
    let length = input.read(&mut content).await?;
    content.truncate(length);
    Ok((length > 0).then_some(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_arrive_as_they_were_sent() {
        let frames = [Frame::Output(b"pack".to_vec()), Frame::Complaint(Vec::new()), Frame::End(128)];
        let mut wire = Vec::new();
        for frame in &frames {
            write(&mut wire, frame).await.expect("written");
        }
        let mut rest = wire.as_slice();
        for frame in &frames {
            assert_eq!(read(&mut rest).await.expect("read"), *frame);
        }
        assert!(read(&mut rest).await.is_err());
        assert!(read(&mut [b'o', 255, 255, 255, 255].as_slice()).await.is_err());
        assert!(read(&mut [b'?', 0, 0, 0, 0].as_slice()).await.is_err());
    }
}
