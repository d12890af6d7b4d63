//! Do the file systems that GitLab writes to have room, for bytes and for files?

use super::NodeFacts;
use crate::checks::question::Miss;
use crate::rollout::Space;

/// Below this share the room is spent before anybody looks again: PostgreSQL's log, Git's repacking and an upgrade each
/// need a multiple of what they keep.
const WARN_BELOW: u64 = 20;
/// Below this share PostgreSQL and Gitaly are about to stop: a full disk is the one fault that they don't survive.
const FAIL_BELOW: u64 = 5;

pub(super) fn wanted() -> String {
    format!("at least {WARN_BELOW} % of bytes and of files free everywhere")
}

/// One thing that a file system can run out of.
struct Room {
    place: String,
    what: &'static str,
    free_percent: u64,
}

pub(super) fn judge(facts: &NodeFacts) -> Result<String, Miss> {
    let mut rooms: Vec<Room> = facts.state.space.iter().flat_map(rooms).collect();
    rooms.sort_by_key(|room| room.free_percent);
    let Some(least) = rooms.first() else {
        return Err(Miss::skip("the node named no file system", "look at `df -h` on the node"));
    };
    let short = |below: u64| {
        let found = rooms.iter().filter(|room| room.free_percent < below).map(Room::told);
        found.collect::<Vec<_>>().join(", ")
    };
    let remedy = format!(
        "see what takes the room with `du -xh --max-depth=3 {} | sort -h` on the node, then remove or enlarge",
        least.place
    );
    match least.free_percent {
        free if free < FAIL_BELOW => Err(Miss::fail(short(FAIL_BELOW), remedy)),
        free if free < WARN_BELOW => Err(Miss::warn(short(WARN_BELOW), remedy)),
        _ => Ok(format!("at the least, {}", least.told())),
    }
}

fn rooms(space: &Space) -> impl Iterator<Item = Room> {
    let counted = [("bytes", space.free_bytes, space.size_bytes), ("files", space.free_inodes, space.inodes)];
    let place = space.place.clone();
    // Some file systems set no limit to files and say so by a total of none.
    counted.into_iter().filter(|(_, _, total)| *total > 0).map(move |(what, free, total)| {
        let percent = u128::from(free) * 100 / u128::from(total);
        Room { place: place.clone(), what, free_percent: u64::try_from(percent).unwrap_or(100) }
    })
}

impl Room {
    fn told(&self) -> String {
        format!("{} % of the {} of `{}` are free", self.free_percent, self.what, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;
    use crate::events::Status;

    fn with(free_bytes: u64, free_inodes: u64) -> Result<String, Miss> {
        let mut facts = facts();
        let space = &mut facts.state.space[0];
        (space.free_bytes, space.free_inodes) = (free_bytes, free_inodes);
        judge(&facts)
    }

    #[test]
    fn passes_where_there_is_room() {
        assert_eq!(with(60, 90).unwrap(), "at the least, 30 % of the bytes of `/var/opt/gitlab` are free");
        assert!(with(20, 20).is_ok());
    }

    #[test]
    fn warns_and_fails_on_bytes_and_on_files() {
        let miss = with(19, 90).unwrap_err();
        assert_eq!((miss.status, miss.saw.as_str()), (Status::Warn, "19 % of the bytes of `/` are free"));
        assert_eq!(with(5, 90).unwrap_err().status, Status::Warn);
        let miss = with(4, 3).unwrap_err();
        assert_eq!(miss.status, Status::Fail);
        assert_eq!(miss.saw, "3 % of the files of `/` are free, 4 % of the bytes of `/` are free");
        assert_eq!(with(90, 0).unwrap_err().status, Status::Fail);
    }

    #[test]
    fn skips_where_no_file_system_is_named() {
        let mut facts = facts();
        facts.state.space.clear();
        assert_eq!(judge(&facts).unwrap_err().status, Status::Skip);
    }
}
