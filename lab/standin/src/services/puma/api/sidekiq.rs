//! What Sidekiq does, for administrators (docs: `api/sidekiq_metrics`).

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use super::auth::User;
use super::{Api, Failure};
use crate::redis_link;

const QUEUES: [&str; 2] = ["default", "mailers"];

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/sidekiq/queue_metrics", get(async |State(api), user| answer(&api, &user, &["queues"]).await))
        .route(
            "/sidekiq/process_metrics",
            get(async |State(api), user| answer(&api, &user, &["processes"]).await),
        )
        .route("/sidekiq/job_stats", get(async |State(api), user| answer(&api, &user, &["jobs"]).await))
        .route(
            "/sidekiq/compound_metrics",
            get(async |State(api), user| answer(&api, &user, &["queues", "processes", "jobs"]).await),
        )
}

async fn answer(api: &Api, User(user): &User, parts: &[&str]) -> Result<Json<Value>, Failure> {
    if !user.admin {
        return Err(Failure::forbidden());
    }
    let connection = api.config.redis("queues").ok_or_else(|| Failure::internal("no Redis is configured"))?;
    let mut redis = redis_link::open(connection).await.map_err(Failure::internal)?;
    let mut body = json!({});
    for part in parts {
        let value = match *part {
            "queues" => queues(&mut redis).await,
            "processes" => processes(&mut redis).await,
            _ => jobs(&mut redis).await,
        };
        body[*part] = value.map_err(|error| Failure::internal(error.to_string()))?;
    }
    Ok(Json(body))
}

async fn queues(redis: &mut MultiplexedConnection) -> redis::RedisResult<Value> {
    let mut queues = json!({});
    for name in QUEUES {
        let key = format!("queue:{name}");
        let backlog: u64 = redis.llen(&key).await?;
        let oldest: Option<String> = redis.lindex(&key, -1).await?;
        queues[name] = json!({"backlog": backlog, "latency": oldest.map_or(0, |job| latency(&job))});
    }
    Ok(queues)
}

/// Seconds that a job has waited.
fn latency(job: &str) -> u64 {
    let job: Value = serde_json::from_str(job).unwrap_or_default();
    let since = job["enqueued_at"].as_f64().filter(|since| *since > 0.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since
        .and_then(|since| std::time::Duration::try_from_secs_f64(since).ok())
        .map_or(0, |since| now.saturating_sub(since).as_secs())
}

/// The processes that still beat.
async fn processes(redis: &mut MultiplexedConnection) -> redis::RedisResult<Value> {
    let mut known: Vec<String> = redis.smembers("processes").await?;
    known.sort_unstable();
    let mut processes = Vec::new();
    for identity in known {
        let info: Option<String> = redis.hget(&identity, "info").await?;
        let Some(info) = info.and_then(|info| serde_json::from_str::<Value>(&info).ok()) else { continue };
        processes.push(json!({
            "hostname": info["hostname"],
            "pid": info["pid"],
            "tag": "gitlab",
            "queues": info["queues"],
            "labels": [],
            "concurrency": info["concurrency"],
            "busy": 0,
        }));
    }
    Ok(Value::Array(processes))
}

async fn jobs(redis: &mut MultiplexedConnection) -> redis::RedisResult<Value> {
    let processed: Option<u64> = redis.get("stat:processed").await?;
    let failed: Option<u64> = redis.get("stat:failed").await?;
    let dead: u64 = redis.zcard("dead").await?;
    let mut enqueued = 0;
    for name in QUEUES {
        enqueued += redis.llen::<_, u64>(format!("queue:{name}")).await?;
    }
    Ok(json!({
        "processed": processed.unwrap_or(0),
        "failed": failed.unwrap_or(0),
        "enqueued": enqueued,
        "dead": dead,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_waits_has_a_latency() {
        assert!(latency(r#"{"enqueued_at": 1.5}"#) > 1_000_000);
        assert_eq!(latency("{}"), 0);
        assert_eq!(latency(r#"{"enqueued_at": 1e300}"#), 0);
    }
}
