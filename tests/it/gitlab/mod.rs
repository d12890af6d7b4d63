//! What `refarch verify` says of a GitLab that is healthy, and of one that is not: judged by a fake.

mod fake;
mod fake_itself;
mod faults_api;
mod faults_function;
mod faults_health;
mod function;
mod healthy;
mod program;
mod table;
mod trial;
