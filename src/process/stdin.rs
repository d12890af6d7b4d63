//! What a child reads: nothing, or a text that only it and the driver ever hold.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::process::Stdio;

use nix::sys::memfd::{MFdFlags, memfd_create};
use secrecy::{ExposeSecret as _, SecretString};

/// The stdin of a child. A text lies in a nameless file in memory and not in a pipe: whatever its length, writing it
/// waits for nobody, a child that reads late still gets it when the driver was killed, and with the last process that
/// holds it it is gone.
pub(super) fn of(text: Option<&SecretString>) -> io::Result<Stdio> {
    let Some(text) = text else { return Ok(Stdio::null()) };
    let mut file = File::from(memfd_create(c"stdin", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.expose_secret().as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}
