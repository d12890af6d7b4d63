//! Can a node that runs Rails use every bucket that it was configured with?
//!
//! There is no documented command that tries a connection without a file in it, so the module uses each bucket as the node's
//! own configuration says. Source: <https://docs.gitlab.com/administration/object_storage/> (read 2026-11).

use super::member::{Cluster, Member};
use super::seen::Seen;
use crate::checks::question::Miss;

const REMEDY: &str = "compare `gitlab_rails['object_store']` of the node with that of the others, and the rights of its key on the bucket";

pub fn applies(cluster: &Cluster, member: &Member) -> bool {
    cluster.object_storage && member.runs_rails()
}

pub fn judge(_: &Cluster, member: &Member) -> Result<String, Miss> {
    let mut seen = Seen::default();
    let mut count = 0;
    if let Some(told) = seen.take(member.about(|state| state.object_storage.as_ref())) {
        count = told.buckets.len();
        if count == 0 {
            seen.wrong(format!("{} has no bucket for anything", member.name));
        }
        for (name, bucket) in &told.buckets {
            let error =
                bucket.error.as_deref().filter(|error| !error.is_empty()).unwrap_or("it says nothing");
            match bucket.status {
                Some(200) => {}
                Some(status) => {
                    seen.wrong(format!("{} can't use the bucket {name}: {status}, {error}", member.name));
                }
                None => seen.wrong(format!("{} can't reach the bucket {name}: {error}", member.name)),
            }
        }
    }
    seen.answer(format!("it can use all {count} buckets"), REMEDY)
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Asked, Bucket};
    use super::super::tests::{healthy, told};
    use super::*;
    use crate::events::Status;

    const NODE: &str = "acme-sidekiq-1";

    fn changed(change: impl Fn(&mut Bucket)) -> Result<String, Miss> {
        let mut cluster = healthy();
        let Some(Asked::Told(view)) = &mut told(&mut cluster, NODE).object_storage else { panic!() };
        change(view.buckets.values_mut().next().unwrap());
        judge(&cluster, cluster.named(NODE).unwrap())
    }

    #[test]
    fn passes_when_every_bucket_can_be_used() {
        assert_eq!(changed(|_| {}).unwrap(), "it can use all 2 buckets");
    }

    #[test]
    fn fails_on_wrong_credentials_and_on_what_can_t_be_reached() {
        let miss = changed(|bucket| {
            (bucket.status, bucket.error) = (Some(403), Some("SignatureDoesNotMatch".into()));
        })
        .unwrap_err();
        assert_eq!(
            (miss.status, miss.saw.as_str()),
            (Status::Fail, "acme-sidekiq-1 can't use the bucket acme-artifacts: 403, SignatureDoesNotMatch")
        );
        let miss =
            changed(|bucket| (bucket.status, bucket.error) = (None, Some("timed out".into()))).unwrap_err();
        assert_eq!(miss.saw, "acme-sidekiq-1 can't reach the bucket acme-artifacts: timed out");
    }

    #[test]
    fn skips_when_it_could_not_be_tried() {
        let mut cluster = healthy();
        told(&mut cluster, NODE).object_storage =
            Some(Asked::Unasked("a connection of provider Google".into()));
        assert_eq!(judge(&cluster, cluster.named(NODE).unwrap()).unwrap_err().status, Status::Skip);
    }
}
