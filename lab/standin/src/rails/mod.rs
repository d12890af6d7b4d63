//! `gitlab-rails`: of its commands, `runner` (docs: `administration/operations/rails_console`, "Using the Rails
//! runner"). The Ruby that it is given runs in the real Ruby, against records of our own; `records` is the
//! process that asks the database for them.

mod records;
mod runner;

pub use records::serve as records;
pub use runner::run;
