//! Handing work to Sidekiq, the way Sidekiq's own client does: JSON in a Redis list.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::RngExt as _;
use redis::AsyncCommands as _;
use serde_json::{Value, json};

use crate::config::Config;
use crate::redis_link;

/// Puts a job into the default queue.
pub async fn enqueue(config: &Config, class: &str, arguments: Value) -> Result<(), String> {
    let connection = config.redis("queues").ok_or("no Redis is configured")?;
    let mut redis = redis_link::open(connection).await?;
    let explain = |error: redis::RedisError| error.to_string();
    let _: () = redis.sadd("queues", "default").await.map_err(explain)?;
    let _: () = redis.lpush("queue:default", job(class, &arguments).to_string()).await.map_err(explain)?;
    Ok(())
}

fn job(class: &str, arguments: &Value) -> Value {
    let id: [u8; 12] = rand::rng().random();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    json!({
        "class": class,
        "args": arguments,
        "queue": "default",
        "retry": true,
        "jid": crate::hex(&id),
        "created_at": now,
        "enqueued_at": now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_what_sidekiq_reads() {
        let job = job("MergeWorker", &json!([1, 2, {}]));
        assert_eq!(job["class"], "MergeWorker");
        assert_eq!(job["args"][1], 2);
        assert_eq!(job["jid"].as_str().map(str::len), Some(24));
    }
}
