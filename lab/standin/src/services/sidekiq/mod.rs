//! Sidekiq: takes jobs from Redis as Sidekiq keeps them, registers itself as Sidekiq does, and answers
//! health checks.
//!
//! A class that it doesn't know is an error of the job, which goes to the retry set with its reason.

mod authorized_keys;
mod destroy;
mod export;
mod merge_requests;
mod post_receive;
mod workers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::workers::{Work, perform};
use super::metrics::{self, Sample};
use super::{Error, listen};
use crate::config::Config;
use crate::database::Pool;
use crate::redis_link;

const QUEUES: [&str; 2] = ["queue:default", "queue:mailers"];
const HEARTBEAT: Duration = Duration::from_secs(5);
const FORGOTTEN_AFTER: i64 = 60;
const BETWEEN_LOOKS: f64 = 2.0;
/// How often the jobs that failed are looked through for those whose time has come.
const BETWEEN_RETRIES: Duration = Duration::from_secs(5);
/// More jobs at a time would only wait for each other on a lab host.
const MOST_AT_ONCE: u64 = 5;

/// Works until it is told to stop; a Redis that is away makes it unready, not dead.
pub async fn run() -> Result<(), Error> {
    let config = Arc::new(Config::read()?);
    let ready = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    if let Some(place) = &config.application.sidekiq_health {
        let listener = listen::tcp(place).await?;
        let app = health_router(Arc::clone(&ready));
        tasks.spawn(async move { axum::serve(listener, app).await.map_err(|error| error.to_string()) });
    }
    if let Some(place) = config.application.sidekiq_metrics.clone() {
        let config = Arc::clone(&config);
        tasks.spawn(async move {
            let end = metrics::serve(&place, "sidekiq", move || samples(Arc::clone(&config))).await;
            end.map_err(|error| error.to_string())
        });
    }
    let identities = identities(&config.application.sidekiq_queue_groups);
    tasks.spawn(register(Arc::clone(&config), identities.clone(), Arc::clone(&ready)));
    let hands = Work { pool: Pool::new(config.database.clone()), config: Arc::clone(&config) };
    for _ in 0..config.application.sidekiq_concurrency.clamp(1, MOST_AT_ONCE) {
        tasks.spawn(work(hands.clone()));
    }
    tasks.spawn(retry(Arc::clone(&config)));
    let ended = tokio::select! {
        Some(end) = tasks.join_next() => {
            let reason = end.map_err(|error| error.to_string()).and_then(|end| end);
            Err(Error::Stopped(reason.err().unwrap_or_else(|| "a task ended".to_owned())))
        }
        () = listen::told_to_stop() => Ok(()),
    };
    tasks.shutdown().await;
    leave(&config, &identities).await;
    ended
}

/// One process for each queue group, as the cluster of the package has; here, all of them are in this one.
fn identities(groups: &[String]) -> Vec<String> {
    let (host, process) = (crate::hostname(), std::process::id());
    groups.iter().enumerate().map(|(number, _)| format!("{host}:{process}:{number}")).collect()
}

/// What the queues hold, which is the same wherever it is asked.
async fn samples(config: Arc<Config>) -> Vec<Sample> {
    let Ok(mut redis) = connect(&config).await else { return Vec::new() };
    let mut samples = Vec::new();
    for (name, key) in
        [("sidekiq_queue_size", "queue:default"), ("sidekiq_mailers_queue_size", "queue:mailers")]
    {
        if let Ok(value) = redis.llen::<_, i64>(key).await {
            samples.push(Sample { name, labels: String::new(), value });
        }
    }
    samples
}

fn health_router(ready: Arc<AtomicBool>) -> Router {
    let readiness = move || {
        let ready = ready.load(Ordering::Relaxed);
        async move {
            if ready {
                (StatusCode::OK, axum::Json(json!({"status": "ok"})))
            } else {
                let message = "Redis does not answer";
                (StatusCode::SERVICE_UNAVAILABLE, axum::Json(json!({"status": "failed", "message": message})))
            }
        }
    };
    Router::new()
        .route("/liveness", get(async || axum::Json(json!({"status": "ok"}))))
        .route("/readiness", get(readiness))
}

async fn connect(config: &Config) -> Result<MultiplexedConnection, String> {
    let connection = config.redis("queues").ok_or("no Redis is configured")?;
    redis_link::open(connection).await
}

/// Beats, so that who looks at the set of processes finds this one; what dies disappears from it.
async fn register(
    config: Arc<Config>,
    identities: Vec<String>,
    ready: Arc<AtomicBool>,
) -> Result<(), String> {
    loop {
        let beat = beat_all(&config, &identities).await;
        ready.store(beat.is_ok(), Ordering::Relaxed);
        if let Err(reason) = beat {
            crate::terminal::complain(format!("heartbeat: {reason}"));
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
}

async fn beat_all(config: &Config, identities: &[String]) -> Result<(), String> {
    let mut redis = connect(config).await?;
    for identity in identities {
        beat(config, &mut redis, identity).await?;
    }
    Ok(())
}

async fn beat(config: &Config, redis: &mut MultiplexedConnection, identity: &str) -> Result<(), String> {
    let info = json!({
        "hostname": crate::hostname(),
        "pid": std::process::id(),
        "identity": identity,
        "concurrency": config.application.sidekiq_concurrency,
        "queues": QUEUES.map(|queue| queue.trim_start_matches("queue:")),
    });
    redis::pipe()
        .sadd("processes", identity)
        .ignore()
        .hset_multiple(identity, &[("info", info.to_string()), ("beat", now().to_string())])
        .ignore()
        .expire(identity, FORGOTTEN_AFTER)
        .ignore()
        .exec_async(redis)
        .await
        .map_err(|error| error.to_string())
}

async fn leave(config: &Config, identities: &[String]) {
    let Ok(mut redis) = connect(config).await else { return };
    for identity in identities {
        let _ = redis::pipe().srem("processes", identity).ignore().del(identity).exec_async(&mut redis).await;
    }
}

async fn work(hands: Work) -> Result<(), String> {
    loop {
        if let Err(reason) = take(&hands).await {
            crate::terminal::complain(format!("queues: {reason}"));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Takes jobs over one connection for as long as it holds.
async fn take(hands: &Work) -> Result<(), String> {
    let explain = |error: redis::RedisError| error.to_string();
    let mut redis = connect(&hands.config).await?;
    redis.set_response_timeout(Duration::from_secs(10));
    loop {
        let job: Option<(String, String)> = redis.brpop(&QUEUES, BETWEEN_LOOKS).await.map_err(explain)?;
        let Some((_, payload)) = job else { continue };
        let counter = match perform(hands, &payload).await {
            Ok(()) => "stat:processed",
            Err(reason) => {
                crate::terminal::complain(format!("job: {reason}"));
                let retry = retried(&payload, &reason);
                let _: () = redis.zadd("retry", retry, now() + 30.0).await.map_err(explain)?;
                "stat:failed"
            }
        };
        let _: () = redis.incr(counter, 1).await.map_err(explain)?;
    }
}

/// Brings jobs back to their queue when their time has come; after the fifth failure they are left where they
/// can be looked at.
async fn retry(config: Arc<Config>) -> Result<(), String> {
    loop {
        if let Err(reason) = bring_back(&config).await {
            crate::terminal::complain(format!("retries: {reason}"));
        }
        tokio::time::sleep(BETWEEN_RETRIES).await;
    }
}

async fn bring_back(config: &Config) -> Result<(), String> {
    let explain = |error: redis::RedisError| error.to_string();
    let mut redis = connect(config).await?;
    let due: Vec<String> = redis.zrangebyscore("retry", "-inf", now()).await.map_err(explain)?;
    for job in due.into_iter().filter(|job| !spent(job)) {
        // Only who takes it out of the set may put it into the queue.
        if redis.zrem::<_, _, u64>("retry", &job).await.map_err(explain)? == 1 {
            let _: () = redis.lpush(QUEUES[0], job).await.map_err(explain)?;
        }
    }
    Ok(())
}

fn spent(job: &str) -> bool {
    let job: Value = serde_json::from_str(job).unwrap_or_default();
    job["retry_count"].as_u64().is_none_or(|count| count >= 5)
}

fn retried(payload: &str, reason: &str) -> String {
    let Ok(Value::Object(mut job)) = serde_json::from_str(payload) else { return payload.to_owned() };
    let (class, message) = reason.split_once(": ").unwrap_or(("StandardError", reason));
    let count = job.get("retry_count").and_then(Value::as_u64).map_or(0, |count| count + 1);
    job.insert("error_class".to_owned(), json!(class));
    job.insert("error_message".to_owned(), json!(message));
    job.insert("retry_count".to_owned(), json!(count));
    Value::Object(job).to_string()
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_carries_its_reason() {
        let job = retried(r#"{"class":"X","args":[],"jid":"1"}"#, "NameError: uninitialized constant X");
        let job: Value = serde_json::from_str(&job).expect("JSON");
        assert_eq!(job["error_class"], "NameError");
        assert_eq!(job["retry_count"], 0);
        let again: Value = serde_json::from_str(&retried(&job.to_string(), "NameError: x")).expect("JSON");
        assert_eq!(again["retry_count"], 1);
    }

    #[test]
    fn a_job_is_not_tried_for_ever() {
        assert!(!spent(r#"{"class":"X","retry_count":0}"#));
        assert!(spent(r#"{"class":"X","retry_count":5}"#));
        assert!(spent("garbage"));
    }
}
