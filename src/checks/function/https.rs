//! Push and clone over HTTPS.

use super::Ground;
use super::git::{CHANGE, Failure, Git, MAIN, Pushed, files};
use crate::checks::api::Obstacle;
use crate::checks::catalogue::Check;
use crate::checks::question::{Miss, Question};
use crate::events::Finding;
use crate::instance::Limits;

pub(super) async fn push(
    ground: Result<&Ground<'_>, &Obstacle>,
    git: &Result<Git<'_>, Miss>,
) -> (Finding, Result<Pushed, Obstacle>) {
    let asked = "git push of two branches over HTTPS";
    let question = Question::new(Check::PushHttps, asked, "the push is accepted");
    let ground = match ground {
        Ok(ground) => ground,
        Err(obstacle) => return (question.obstructed(obstacle), Err(obstacle.clone())),
    };
    let work = async |limits| {
        let git = git.as_ref().map_err(Clone::clone)?;
        let pushed = push_both(git, ground, limits).await.map_err(Failure::miss)?;
        Ok((format!("{} pushed to `{}`", pushed.change_commit, ground.project.http), pushed))
    };
    let (finding, pushed) = question.work(ground.patience, work).await;
    (finding, pushed.ok_or(Obstacle::Check(Check::PushHttps)))
}

async fn push_both(git: &Git<'_>, ground: &Ground<'_>, limits: Limits) -> Result<Pushed, Failure> {
    let folder = git.scratch.join("https");
    let files = files();
    let main_commit = git.commit(&folder, MAIN, &files[..1], limits).await?;
    let change_commit = git.commit(&folder, CHANGE, &files[1..], limits).await?;
    let url = ground.project.http.as_str();
    git.run(&folder, &["push", "--quiet", url, MAIN, CHANGE], limits, &[]).await?;
    Ok(Pushed { main: MAIN, main_commit, change: CHANGE, change_commit, files, folder })
}

pub(super) async fn clone(
    ground: Result<&Ground<'_>, &Obstacle>,
    git: &Result<Git<'_>, Miss>,
    pushed: Result<&Pushed, &Obstacle>,
) -> Finding {
    let question =
        Question::new(Check::CloneHttps, "git clone over HTTPS", "the commit and the files that were pushed");
    let (ground, pushed) = match ground.and_then(|ground| pushed.map(|pushed| (ground, pushed))) {
        Ok(both) => both,
        Err(obstacle) => return question.obstructed(obstacle),
    };
    let work = async |limits| {
        let git = git.as_ref().map_err(Clone::clone)?;
        let url = ground.project.http.as_str();
        let came =
            git.clone_and_compare(url, pushed.change, &pushed.change_commit, &pushed.files, limits, &[]);
        came.await.map(|saw| (saw, ())).map_err(Failure::miss)
    };
    question.work(ground.patience, work).await.0
}
