//! A run without a deployment: it asks any GitLab by its URL, and leaves nothing on this machine.

use std::time::Instant;

use jiff::Timestamp;
use secrecy::SecretString;

use super::Error;
use super::scratch::Scratch;
use crate::checks::{self, Options, Target, Verdict};
use crate::events::{self, Kind, Phase, Reader, Sender, Writer};
use crate::process::{Ambient, Interrupts, Parts, Redactor, Runner};

/// What a run by URL is made of.
pub struct UrlRequest {
    /// The command as the user gave it.
    pub command: String,
    /// The host, as people call it.
    pub host: String,
    /// What must never be said.
    pub secrets: Vec<SecretString>,
    /// Who shows the events.
    pub readers: Vec<Box<dyn Reader>>,
    /// The user's wishes to stop.
    pub interrupts: Interrupts,
    /// refarch's own environment.
    pub ambient: Ambient,
}

/// A run that has no work directory: what it writes lies in a folder that goes with it.
pub struct UrlRun {
    /// Takes events.
    pub events: Sender,
    id: String,
    scratch: Scratch,
    runner: Runner,
    writer: Writer,
}

impl UrlRun {
    /// Makes the folder and starts the record.
    pub fn open(request: UrlRequest) -> Result<Self, Error> {
        let UrlRequest { command, host, secrets, readers, interrupts, ambient } = request;
        let scratch = Scratch::make()?;
        let id = Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
        let redactor = Redactor::knowing(&secrets);
        let path = scratch.path().join("events.jsonl");
        let (events, writer) = events::start(events::Options {
            run: id.clone(),
            path: path.clone(),
            redactor: redactor.clone(),
            readers,
        })
        .map_err(|error| Error::Events { path, why: error.to_string() })?;
        let refarch = env!("CARGO_PKG_VERSION").to_owned();
        events.send(Kind::RunStarted { command, deployment: host, refarch });
        let runner = Runner::new(Parts {
            logs: scratch.path().to_owned(),
            redactor,
            events: events.clone(),
            interrupts,
            ambient,
            lock: None,
        });
        Ok(Self { events, id, scratch, runner, writer })
    }

    /// The options of this run: where its clones and keys lie, and by what name its things go on the instance.
    #[must_use]
    pub fn options(&self, level: checks::Level) -> Options {
        Options::new(level, self.scratch.path().join("scratch"), self.id.clone())
    }

    /// Asks.
    pub async fn verify(&self, target: &Target, options: &Options) -> Result<Verdict, Error> {
        let phase = Phase::Verify;
        self.events.send(Kind::PhaseStarted { phase });
        let began = Instant::now();
        let verdict = checks::verify(target, options, &self.runner).await;
        let verdict = verdict.map_err(|checks::Interrupted| Error::Interrupted)?;
        self.events.send(Kind::PhaseFinished { phase, seconds: began.elapsed().as_secs_f64() });
        Ok(verdict)
    }

    /// Closes the record, and removes the folder.
    pub fn close(self, exit: u8, seconds: f64) {
        self.events.send(Kind::RunFinished { exit, seconds });
        // What could not be shown is told by the terminal; the run's own ending is not changed by it.
        let _ = self.writer.finish();
    }
}
