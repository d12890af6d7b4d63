//! One question that preflight or verify asked, and its answer.

use serde::{Deserialize, Serialize};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// What was seen is what was wanted.
    Pass,
    /// Something deserves attention, but the deployment works.
    Warn,
    /// What was seen is not what was wanted.
    Fail,
    /// The check could not look; never a pass.
    Skip,
}

/// The answer of one check, with the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's stable name.
    pub check: String,
    /// How it ended.
    pub status: Status,
    /// What was asked, and of whom.
    pub asked: String,
    /// What came back.
    pub saw: String,
    /// What should have come back.
    pub wanted: String,
    /// Why it matters.
    pub why: String,
    /// What to do about it; absent where nothing has to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The node it speaks of; absent for the deployment as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How long asking took, in milliseconds.
    #[serde(rename = "duration_ms", with = "milliseconds")]
    pub duration: std::time::Duration,
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
