//! The bounded channel between a run and its readers.
//!
//! One thread of its own takes every event, redacts its text, appends it to the file and hands it to the
//! readers; it doesn't share the run's async threads, so a stuck run still gets its last words written.

use std::fs::File;
use std::io::{self, Write};

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use fs_err::os::unix::fs::OpenOptionsExt;
use jiff::Timestamp;
use serde_json::Value;

use super::{Event, Kind, VERSION};
use crate::process::Redactor;

/// How many events may wait for the file. Filling it takes a disk that stands still.
const WAITING_FOR_FILE: usize = 1024;
/// How many events may wait for one reader before it misses some.
const WAITING_FOR_READER: usize = 8192;
/// How long the end of a run waits for readers to say what they have.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Keys whose values are words of the format itself, and so never text to redact.
const CLOSED_KEYS: [&str; 8] = ["type", "time", "run", "phase", "status", "severity", "since", "check"];

/// Names how many events a run of the tests outlives.
#[cfg(feature = "lab-tests")]
const KILLED_AFTER: &str = "REFARCH_TEST_KILLED_AFTER";

/// A reader has gone, as when the other end of a pipe was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Something that reads the events of a run and shows them.
pub trait Reader: Send {
    /// Takes the next event. After `Gone` it is not asked again.
    fn read(&mut self, event: &Event) -> Result<(), Gone>;

    /// Takes note that no event will follow.
    fn finish(&mut self) {}
}

/// What a run's events need.
pub struct Options {
    /// The run's id.
    pub run: String,
    /// The file they are appended to.
    pub path: Utf8PathBuf,
    /// Takes secrets out of all text.
    pub redactor: Redactor,
    /// Who else reads them.
    pub readers: Vec<Box<dyn Reader>>,
}

/// An event and when it happened; nothing closes the stream.
type Message = Option<(Timestamp, Kind)>;

/// Sends events; cheap to clone, and never fails the sender.
#[derive(Clone, Debug)]
pub struct Sender(Option<SyncSender<Message>>);

impl Sender {
    /// A sender whose events nobody keeps, for commands that make no run.
    #[must_use]
    pub const fn nowhere() -> Self {
        Self(None)
    }

    /// Sends an event.
    pub fn send(&self, kind: Kind) {
        if let Some(channel) = &self.0 {
            // The other end only goes away once the run has been closed; what is said later has no record.
            let _ = channel.send(Some((Timestamp::now(), kind)));
        }
    }

    /// Sends a line worth saying.
    pub fn note(&self, message: impl Into<String>) {
        self.send(Kind::Note { message: message.into() });
    }

    /// Sends a warning.
    pub fn warn(&self, message: impl Into<String>, help: Option<String>) {
        self.send(Kind::Warning { message: message.into(), help });
    }
}

/// How the writing of events ended.
#[derive(Debug, Default)]
#[must_use]
pub struct Ending {
    /// Why the record on disk is incomplete, if it is.
    pub file_error: Option<io::Error>,
    /// How many readers had not read all when the run stopped waiting for them.
    pub stuck_readers: usize,
}

/// The thread that writes events. Dropping it closes the stream as [`Writer::finish`] does.
#[derive(Debug)]
pub struct Writer {
    channel: SyncSender<Message>,
    thread: Option<JoinHandle<Ending>>,
}

impl Writer {
    /// Closes the stream and waits until the file has everything and the readers had their time.
    pub fn finish(mut self) -> Ending {
        self.close()
    }

    fn close(&mut self) -> Ending {
        let Some(thread) = self.thread.take() else { return Ending::default() };
        let _ = self.channel.send(None);
        thread.join().unwrap_or_else(|_| Ending {
            file_error: Some(io::Error::other("the thread that writes events panicked")),
            stuck_readers: 0,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// Opens the file and starts the thread that writes events.
pub fn start(options: Options) -> io::Result<(Sender, Writer)> {
    let file =
        fs_err::OpenOptions::new().create(true).append(true).mode(0o600).open(&options.path)?.into_parts().0;
    let (channel, inbox) = sync_channel(WAITING_FOR_FILE);
    let readers = options.readers.into_iter().map(ReaderThread::start).collect::<io::Result<Vec<_>>>()?;
    let mut desk = Desk {
        run: options.run,
        file,
        redactor: options.redactor,
        readers,
        file_error: None,
        #[cfg(feature = "lab-tests")]
        killed_after: std::env::var(KILLED_AFTER).ok().and_then(|count| count.parse().ok()),
    };
    let thread = std::thread::Builder::new().name("events".into()).spawn(move || desk.work(&inbox))?;
    Ok((Sender(Some(channel.clone())), Writer { channel, thread: Some(thread) }))
}

struct Desk {
    run: String,
    file: File,
    redactor: Redactor,
    readers: Vec<ReaderThread>,
    file_error: Option<io::Error>,
    /// How many events are left until a test wants the program dead.
    #[cfg(feature = "lab-tests")]
    killed_after: Option<usize>,
}

impl Desk {
    fn work(&mut self, inbox: &Receiver<Message>) -> Ending {
        while let Ok(Some((time, kind))) = inbox.recv() {
            self.write(Event { v: VERSION, time, run: self.run.clone(), event: kind });
        }
        let deadline = Instant::now() + LAST_WORDS;
        let stuck_readers =
            self.readers.drain(..).map(|reader| reader.close(deadline)).filter(|stuck| *stuck).count();
        Ending { file_error: self.file_error.take(), stuck_readers }
    }

    fn write(&mut self, event: Event) {
        let event = redacted(event, &self.redactor);
        let line = serde_json::to_vec(&event).map(|mut line| {
            line.push(b'\n');
            line
        });
        let written = line.map_err(io::Error::from).and_then(|line| self.file.write_all(&line));
        if let Err(error) = written {
            self.file_error.get_or_insert(error);
        }
        #[cfg(feature = "lab-tests")]
        self.die_in_time();
        let run = &self.run;
        self.readers.retain_mut(|reader| reader.offer(&event, run));
    }
}

#[cfg(feature = "lab-tests")]
impl Desk {
    /// Ends the program as kill -9 does once the wanted event is in the file: between it and the next one, wherever the
    /// rest of the program is then.
    fn die_in_time(&mut self) {
        self.killed_after = self.killed_after.map(|left| left.saturating_sub(1));
        if self.killed_after == Some(0) {
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// Takes secrets out of every text in the event, and leaves alone the words that the format itself is made of.
fn redacted(event: Event, redactor: &Redactor) -> Event {
    if redactor.is_empty() {
        return event;
    }
    let Ok(mut value) = serde_json::to_value(&event) else { return event };
    redact_value(&mut value, redactor);
    // Node names are keys of a map; a secret equal to one can only come from a user who chose it so.
    serde_json::from_value(value).unwrap_or_else(|_| Event {
        event: Kind::Note {
            message: "an event was left out, because a secret stood where its format needs a word".into(),
        },
        ..event
    })
}

fn redact_value(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => {
            if let Some(clean) = redactor.replaced(text) {
                *text = clean;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| redact_value(value, redactor)),
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                if !(CLOSED_KEYS.contains(&key.as_str()) && value.is_string()) {
                    redact_value(value, redactor);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

struct ReaderThread {
    channel: SyncSender<Event>,
    done: Receiver<()>,
    missed: u64,
}

impl ReaderThread {
    fn start(mut reader: Box<dyn Reader>) -> io::Result<Self> {
        let (channel, inbox) = sync_channel::<Event>(WAITING_FOR_READER);
        let (report_done, done) = sync_channel(1);
        std::thread::Builder::new().name("reader".into()).spawn(move || {
            while let Ok(event) = inbox.recv() {
                if reader.read(&event).is_err() {
                    return;
                }
            }
            reader.finish();
            let _ = report_done.send(());
        })?;
        Ok(Self { channel, done, missed: 0 })
    }

    /// Hands over an event without ever waiting; says whether the reader is still there.
    fn offer(&mut self, event: &Event, run: &str) -> bool {
        if self.missed > 0 {
            let kind = Kind::Missed { count: self.missed };
            let told = Event { v: VERSION, time: event.time, run: run.to_owned(), event: kind };
            match self.channel.try_send(told) {
                Ok(()) => self.missed = 0,
                Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        match self.channel.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed += 1;
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// Lets the reader finish until the deadline; says whether it did not.
    fn close(self, deadline: Instant) -> bool {
        drop(self.channel);
        let left = deadline.saturating_duration_since(Instant::now());
        matches!(self.done.recv_timeout(left), Err(RecvTimeoutError::Timeout))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender as Plain, channel};

    use secrecy::SecretString;

    use super::*;
    use crate::events::{Phase, WaitingFor};

    struct Collects(Plain<Event>);

    impl Reader for Collects {
        fn read(&mut self, event: &Event) -> Result<(), Gone> {
            self.0.send(event.clone()).map_err(|_| Gone)
        }
    }

    /// Reads nothing until it is let go.
    struct Stuck(Receiver<()>);

    impl Reader for Stuck {
        fn read(&mut self, _: &Event) -> Result<(), Gone> {
            self.0.recv().map_err(|_| Gone)
        }
    }

    fn run(
        redactor: Redactor,
        readers: Vec<Box<dyn Reader>>,
        say: impl FnOnce(&Sender),
    ) -> (Ending, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("events.jsonl")).unwrap();
        let (sender, writer) =
            start(Options { run: "r1".into(), path: path.clone(), redactor, readers }).unwrap();
        say(&sender);
        let ending = writer.finish();
        let lines = fs_err::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        (ending, lines)
    }

    #[test]
    fn writes_what_was_sent_in_order_and_free_of_secrets() {
        let (seen, inbox) = channel();
        let redactor = Redactor::knowing(&[SecretString::from("s3cr3t-value")]);
        let (ending, lines) = run(redactor, vec![Box::new(Collects(seen))], |sender| {
            sender.send(Kind::PhaseStarted { phase: Phase::Plan });
            sender.note("the password is s3cr3t-value");
        });
        assert!(ending.file_error.is_none());
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains(r#""event":{"type":"phase_started","phase":"plan"}"#), "{}", lines[0]);
        assert!(!lines[1].contains("s3cr3t-value") && lines[1].contains("[redacted]"), "{}", lines[1]);
        let events: Vec<_> = inbox.iter().collect();
        assert_eq!(events[1].event, Kind::Note { message: "the password is [redacted]".into() });
        let reread: Event = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!(reread, events[1]);
    }

    #[test]
    fn only_its_owner_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("events.jsonl")).unwrap();
        let options =
            Options { run: "r1".into(), path: path.clone(), redactor: Redactor::default(), readers: vec![] };
        let (_, writer) = start(options).unwrap();
        let _ = writer.finish();
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_dead_reader_does_not_stop_the_others() {
        let (seen, inbox) = channel();
        let (dead, closed) = channel();
        drop(closed);
        let (_, lines) =
            run(Redactor::default(), vec![Box::new(Collects(dead)), Box::new(Collects(seen))], |sender| {
                for number in 0..10 {
                    sender.note(number.to_string());
                }
            });
        assert_eq!((lines.len(), inbox.iter().count()), (10, 10));
    }

    #[test]
    fn a_slow_reader_misses_events_and_is_told_so() {
        let (slow_sender, slow) = sync_channel(WAITING_FOR_READER);
        let (done_sender, done) = sync_channel(1);
        let mut reader = ReaderThread { channel: slow_sender, done, missed: 0 };
        let event = |text: &str| Event {
            v: VERSION,
            time: Timestamp::UNIX_EPOCH,
            run: "r1".into(),
            event: Kind::Note { message: text.into() },
        };
        for _ in 0..WAITING_FOR_READER + 3 {
            assert!(reader.offer(&event("x"), "r1"));
        }
        assert_eq!(slow.try_iter().count(), WAITING_FOR_READER);
        reader.offer(&event("after"), "r1");
        let told: Vec<_> = slow.try_iter().map(|event| event.event).collect();
        assert_eq!(told[0], Kind::Missed { count: 3 });
        assert_eq!(told.len(), 2);
        drop(done_sender);
        assert!(!reader.close(Instant::now()));
    }

    #[test]
    fn a_stuck_reader_does_not_hold_up_the_file() {
        let (release, held) = channel();
        let (sender, inbox) = sync_channel(WAITING_FOR_FILE);
        drop(sender);
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("events.jsonl")).unwrap();
        let mut reader = ReaderThread::start(Box::new(Stuck(held))).unwrap();
        let event = Event {
            v: VERSION,
            time: Timestamp::UNIX_EPOCH,
            run: "r1".into(),
            event: Kind::Note { message: "x".into() },
        };
        reader.offer(&event, "r1");
        assert!(reader.close(Instant::now()), "it has not read all");
        let mut desk = Desk {
            run: "r1".into(),
            file,
            redactor: Redactor::default(),
            readers: vec![],
            file_error: None,
            #[cfg(feature = "lab-tests")]
            killed_after: None,
        };
        assert_eq!(desk.work(&inbox).stuck_readers, 0);
        drop(release);
    }

    #[test]
    fn words_of_the_format_survive_any_secret() {
        let redactor = Redactor::knowing(
            &["note", "warning", "plan", "type", "leftover", "message"].map(SecretString::from),
        );
        let kinds = [
            Kind::Note { message: "a note".into() },
            Kind::PhaseStarted { phase: Phase::Plan },
            Kind::Warning { message: "b".into(), help: None },
            Kind::Waiting { waiting_for: WaitingFor::World { what: "x".into() } },
        ];
        let (_, lines) = run(redactor, vec![], |sender| kinds.into_iter().for_each(|kind| sender.send(kind)));
        let events: Vec<Event> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events[0].event, Kind::Note { message: "a [redacted]".into() });
        assert_eq!(events[1].event, Kind::PhaseStarted { phase: Phase::Plan });
    }
}
